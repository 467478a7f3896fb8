"""`[monitoring]` of a site's file: how its models are watched. Nothing of it is an input of a model."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from cds_service.settings.shapes import shown

MOST_OUTCOME_DAYS = 60
MOST_PRICE = 10_000
CURRENCY = re.compile(r"[A-Z]{3}")


class AuditGroup(StrEnum):
    """What a site may switch on for the audit of fairness alone."""

    RACE_ETHNICITY = "race-ethnicity"
    LANGUAGE = "language"
    PAYER = "payer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """The site's own prices, in its currency (ISO 4217); None: not given."""

    currency: str = ""
    cpu_hour: float | None = None
    clinician_hour: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringSettings:
    """outcome_days: within how many days after a score a result is its outcome. groups: recorded for the audit.

    publish: whether the public model card shows the site's own figures.
    """

    outcome_days: int = 14
    groups: tuple[AuditGroup, ...] = ()
    publish: bool = False
    prices: Prices = Prices()


class PricesTable(msgspec.Struct):
    """`[monitoring.prices]`."""

    currency: str = ""
    cpu_hour: float | None = None
    clinician_hour: float | None = None


class MonitoringTable(msgspec.Struct):
    """`[monitoring]`."""

    outcome_days: int = MonitoringSettings().outcome_days
    groups: list[AuditGroup] = []
    publish: bool = False
    prices: PricesTable = msgspec.field(default_factory=PricesTable)


def monitoring(path: Path, raw: MonitoringTable, problems: list[str]) -> MonitoringSettings:
    """The settings, their problems appended."""
    if not 1 <= raw.outcome_days <= MOST_OUTCOME_DAYS:
        problems.append(
            f"{path}: [monitoring] outcome_days: expected 1 to {MOST_OUTCOME_DAYS}, since a later result says little "
            f"about that day; found {shown(raw.outcome_days)}"
        )
    given = {"cpu_hour": raw.prices.cpu_hour, "clinician_hour": raw.prices.clinician_hour}
    where = f"{path}: [monitoring.prices]"
    problems += [
        f"{where} {name}: expected 0 to {MOST_PRICE}; found {shown(value)}"
        for name, value in given.items()
        if value is not None and not (math.isfinite(value) and 0 <= value <= MOST_PRICE)
    ]
    currency = raw.prices.currency
    if (currency or any(value is not None for value in given.values())) and not CURRENCY.fullmatch(currency):
        problems.append(
            f"{where} currency: expected three capital letters such as USD (ISO 4217); found {shown(currency)}"
        )
    return MonitoringSettings(
        outcome_days=raw.outcome_days,
        groups=tuple(dict.fromkeys(raw.groups)),
        publish=raw.publish,
        prices=Prices(currency=currency, **given),
    )
