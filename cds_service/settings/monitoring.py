"""`[monitoring]` of a site's file: how its models are watched. Nothing of it is an input of a model."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
