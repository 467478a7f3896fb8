"""Settings of a deployment and of its sites, from a folder of TOML files.

`service.toml` holds what is the same for all; `sites/*.toml` is one customer each. Unknown keys are
refused. Every problem is reported with file, key and remedy. Without a folder there is one site with
the defaults written here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from cds_service.card_topics import CardSettings
from cds_service.errors import ConfigError
from explanations.help_lines import countries
from fhir_adapters.client import is_base, is_loopback, same_base
from fhir_adapters.consent import ConsentSettings
from fhir_adapters.facts import Instrument
from fhir_adapters.instruments import QuestionnaireMap
from fhir_adapters.settings import ReadSettings
from models.card import LocalSections
from models.feature_schema import DEPRESSION, SUICIDAL_IDEATION
from models.risk import BandThresholds

DEFAULT_SITE = "default"
MODEL_CARD = "model-card.toml"
DEFAULT_BODY_BYTES = 2 * 1024 * 1024
DEFAULT_BUDGET_S = 2.0
LEAST_BODY_BYTES = 1024
MOST_BUDGET_S = 60
ITEMS = {
    Instrument.ASQ: {"q1", "q2", "q3", "q4", "acuity"},
    Instrument.EPDS: {*(f"item{n}" for n in range(1, 11)), "total"},
    Instrument.PHQ9M: {*(f"item{n}" for n in range(1, 10)), "total", "past_month_thoughts", "lifetime_attempt"},
    Instrument.CSSRS: {"q1", "q2", "q3", "q4", "q5", "q6", "q6_recent"},
}


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    """Base of file shapes: an unknown key is an error."""


T = TypeVar("T", bound=Strict)


class QuestionnaireTable(Strict):
    instrument: str
    items: dict[str, str]
    canonical: str | None = None
    system: str | None = None


class ThresholdTable(Strict):
    depression: float | None = None
    suicidal_ideation: float | None = msgspec.field(default=None, name="suicidal-ideation")


class SiteFile(Strict):
    id: str | None = None
    time_zone: str = "UTC"
    country: str = "US"
    fhir_bases: list[str] = []
    fetch_budget_s: float = DEFAULT_BUDGET_S
    consent: Literal["required", "not-used"] = "required"
    substance_use: Literal["withheld", "consented"] = "withheld"
    escalation_contact: str | None = None
    show_probability: bool = False
    thresholds: ThresholdTable = msgspec.field(default_factory=ThresholdTable)
    questionnaire: list[QuestionnaireTable] = []


class CardFile(Strict):
    depression: LocalSections = msgspec.field(default_factory=LocalSections)
    suicidal_ideation: LocalSections = msgspec.field(default_factory=LocalSections, name="suicidal-ideation")


class ServiceFile(Strict):
    body_bytes: int = DEFAULT_BODY_BYTES
    models: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteConfig:
    """One customer: how its charts are read, what its cards say, and from which estimate on a prompt is shown."""

    id: str
    cards: CardSettings
    thresholds: BandThresholds = BandThresholds()
    reading: ReadSettings = field(default_factory=ReadSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """Everything that a deployment sets.

    models: folder of the models; None: those shipped.
    model_cards: outcome -> what the deployment says on that model's card.
    """

    sites: tuple[SiteConfig, ...]
    body_bytes: int = DEFAULT_BODY_BYTES
    models: Path | None = None
    model_cards: Mapping[str, LocalSections] = field(default_factory=dict)

    def site(self, identifier: str | None = None, fhir_base: str | None = None) -> SiteConfig:
        """The site of that id, else the one that lists the FHIR base, else the first.

        Raises ConfigError for an unknown id.
        """
        if identifier is not None:
            found = next((s for s in self.sites if s.id == identifier), None)
            if found is None:
                known = ", ".join(s.id for s in self.sites)
                raise ConfigError(f"there is no site {identifier}; expected one of: {known}")
            return found
        base = fhir_base or ""
        return next((s for s in self.sites if any(same_base(base, b) for b in s.reading.fhir_bases)), self.sites[0])


def default_config() -> ServiceConfig:
    """One site, UTC, United States, thresholds of the models."""
    return ServiceConfig(sites=(SiteConfig(id=DEFAULT_SITE, cards=CardSettings(zone=ZoneInfo("UTC"))),))


def load_config(folder: Path) -> ServiceConfig:
    """The settings in `folder`. Raises ConfigError with every problem, one a line."""
    problems: list[str] = []
    if not folder.is_dir():
        raise ConfigError(f"{folder}: expected a folder with service.toml and sites/*.toml; found none")
    main = folder / "service.toml"
    service = _read(main, ServiceFile, problems) if main.exists() else ServiceFile()
    paths = sorted((folder / "sites").glob("*.toml"))
    if not paths:
        problems.append(f"{folder / 'sites'}: expected one .toml file a site; found none")
    sites = [site for path in paths if (site := load_site(path, problems))]
    names = [site.id for site in sites]
    doubled = sorted({n for n in names if names.count(n) > 1})
    problems += [f"{folder / 'sites'}: two files have the id {n}; give each site its own" for n in doubled]
    if service is not None and service.body_bytes < LEAST_BODY_BYTES:
        problems.append(f"{main}: body_bytes: expected at least {LEAST_BODY_BYTES}; found {service.body_bytes}")
    cards = _model_cards(folder / MODEL_CARD, problems)
    if problems or service is None:
        raise ConfigError("\n".join(problems))
    return ServiceConfig(
        sites=tuple(sites),
        body_bytes=service.body_bytes,
        models=None if service.models is None else folder / service.models,
        model_cards=cards,
    )


def load_site(path: Path, problems: list[str]) -> SiteConfig | None:
    """One site's file; problems are appended to the list, and then the site is None."""
    raw = _read(path, SiteFile, problems)
    if raw is None:
        return None
    before = len(problems)
    if raw.country not in countries():
        known = ", ".join(countries())
        problems.append(f"{path}: country: expected one with crisis lines on file ({known}); found {raw.country!r}")
    problems += [
        f"{path}: fhir_bases: expected addresses such as https://ehr.example/fhir (http on this machine only); "
        f"found {base!r}"
        for base in raw.fhir_bases
        if not (is_base(base) and (base.startswith("https:") or is_loopback(base)))
    ]
    if not 0 < raw.fetch_budget_s <= MOST_BUDGET_S:
        problems.append(
            f"{path}: fetch_budget_s: expected above 0 and at most {MOST_BUDGET_S}; found {raw.fetch_budget_s}"
        )
    try:
        zone = ZoneInfo(raw.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        problems.append(f"{path}: time_zone: expected an IANA name such as America/Chicago; found {raw.time_zone!r}")
        zone = ZoneInfo("UTC")
    try:
        thresholds = BandThresholds(
            depression=raw.thresholds.depression, suicidal_ideation=raw.thresholds.suicidal_ideation
        )
    except ValueError as error:
        problems.append(f"{path}: thresholds: {error}")
        thresholds = BandThresholds()
    maps = [found for table in raw.questionnaire if (found := _map(path, table, problems))]
    if len(problems) > before:
        return None
    return SiteConfig(
        id=raw.id or path.stem,
        cards=CardSettings(
            zone=zone, country=raw.country, contact=raw.escalation_contact, show_probability=raw.show_probability
        ),
        thresholds=thresholds,
        reading=ReadSettings(
            zone=zone,
            maps=tuple(maps),
            fhir_bases=tuple(base.rstrip("/") for base in raw.fhir_bases),
            consent=ConsentSettings(use=raw.consent, substance_use=raw.substance_use),
            budget_s=raw.fetch_budget_s,
        ),
    )


def _model_cards(path: Path, problems: list[str]) -> dict[str, LocalSections]:
    raw = _read(path, CardFile, problems) if path.exists() else None
    if raw is None:
        return {}
    return {DEPRESSION: raw.depression, SUICIDAL_IDEATION: raw.suicidal_ideation}


def _map(path: Path, table: QuestionnaireTable, problems: list[str]) -> QuestionnaireMap | None:
    names = {i.value: i for i in ITEMS}
    instrument = names.get(table.instrument)
    source = table.canonical or table.system
    if instrument is None:
        problems.append(
            f"{path}: questionnaire.instrument: expected one of {', '.join(names)}; found {table.instrument!r}"
        )
        return None
    if source is None or (table.canonical and table.system):
        problems.append(
            f"{path}: questionnaire {table.instrument}: expected either canonical or system, one of the two"
        )
        return None
    unknown = sorted(set(table.items.values()) - ITEMS[instrument])
    if unknown:
        problems.append(
            f"{path}: questionnaire {table.instrument}: items map to {', '.join(unknown)}; "
            f"expected {', '.join(sorted(ITEMS[instrument]))}"
        )
        return None
    return QuestionnaireMap(
        instrument=instrument,
        source=source,
        form=table.canonical is not None,
        items={link: name.removeprefix("item") for link, name in table.items.items()},
    )


def _read(path: Path, shape: type[T], problems: list[str]) -> T | None:
    try:
        return msgspec.toml.decode(path.read_bytes(), type=shape)
    except OSError as error:
        problems.append(f"{path}: cannot be read ({error.strerror})")
    except UnicodeDecodeError:
        problems.append(f"{path}: expected UTF-8 text; save the file as UTF-8")
    except msgspec.ValidationError as error:
        keys = ", ".join(field.encode_name for field in msgspec.structs.fields(shape))
        problems.append(f"{path}: {error}; known keys: {keys}")
    except msgspec.DecodeError as error:
        problems.append(f"{path}: is not valid TOML: {error}")
    return None
