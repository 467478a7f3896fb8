"""What modes and switches are about: sites, services, models and card topics, and which of them exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cds_service.control.refused import ActRefused
from cds_service.settings.config import ServiceConfig
from cds_service.settings.service_ids import ServiceId
from cds_service.settings.shapes import one_of
from fhir_adapters.received import cleaned
from models.inputs.outcomes import OUTCOMES
from models.rules.findings import SAFETY_TOPICS, Topic
from models.scoring.registry import SHIPPED, versions

# The SMART app counts as a service: modes and switches of all services are also its own.
APP = ServiceId.APP.value
TWO_PEOPLE = (*SAFETY_TOPICS, Topic.COULD_NOT_ASSESS)


class Mode(StrEnum):
    """How far a model goes. The values are stable: they stand in records."""

    OFF = "off"  # not asked
    SILENT = "silent"  # scored and recorded, no card
    REVIEW = "silent-with-review"  # as silent; a sample is listed for review
    PILOT = "pilot"  # speaks to some users, in some departments, or for a share of patients
    TRIAL = "trial"  # speaks in the live arm of the trial that the settings name
    LIVE = "live"


SPEAKING = (Mode.PILOT, Mode.TRIAL, Mode.LIVE)


def default_mode(*, governed: bool) -> Mode:
    """The mode of a model without a recorded one: so a new version begins silent where a site is governed."""
    return Mode.SILENT if governed else Mode.LIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchTarget:
    """What a switch turns off; "" stands for all. With a topic, its cards; with a model, the model; else everything."""

    site: str = ""
    service: str = ""
    outcome: str = ""
    topic: str = ""

    @property
    def words(self) -> str:
        """Such as `topic recent-safety at site north`."""
        what = [f"topic {self.topic}"] if self.topic else [f"model {self.outcome}"] if self.outcome else []
        what += [f"service {self.service}"] if self.service else []
        where = f"site {self.site}" if self.site else "all sites"
        return f"{', '.join(what)} at {where}" if what else where

    def covers(self, site: str, service: str) -> bool:
        """Whether it is about calls of this service at this site."""
        return self.site in ("", site) and self.service in ("", service)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What exists here. models: outcome -> versions on disk, oldest first; kept: (site, outcome) -> version.

    trials: (site, outcome) of those that some protocol is for.
    """

    sites: tuple[str, ...]
    services: tuple[str, ...]
    models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    kept: Mapping[tuple[str, str], str] = field(default_factory=dict)
    trials: frozenset[tuple[str, str]] = frozenset()

    def check(self, target: SwitchTarget) -> None:
        """Raises ActRefused for what is not here, and for a model and a topic at once."""
        for name, value, known in (
            ("site", target.site, self.sites),
            ("service", target.service, self.services),
            ("model", target.outcome, OUTCOMES),
            ("topic", target.topic, tuple(Topic)),
        ):
            expect(name, value, ("", *known))
        if target.outcome and target.topic:
            raise ActRefused("expected a model or a topic; found both; switch each off by itself")

    def version(self, site: str, outcome: str, version: str) -> str:
        """The version meant; without one, that which the site uses. Raises ActRefused."""
        expect("model", outcome, OUTCOMES)
        there = self.models.get(outcome, ())
        if not there:
            raise ActRefused(f"model {outcome}: there is no version of it here")
        if version:
            expect(f"version of {outcome}", version, there)
        return version or self.kept.get((site, outcome), there[-1])


def expect(name: str, value: str, known: Iterable[str]) -> None:
    """Raises ActRefused unless the value is known."""
    if value not in (listed := list(known)):
        raise ActRefused(f"{name}: expected {one_of([word for word in listed if word], value)}; found {cleaned(value)}")


def known_of(config: ServiceConfig) -> Known:
    """What exists in this deployment."""
    root = config.models or SHIPPED
    return Known(
        sites=tuple(site.id for site in config.sites),
        services=tuple(service.value for service in ServiceId),
        models={outcome: tuple(folder.name for folder in versions(root / outcome)) for outcome in OUTCOMES},
        kept={(site.id, outcome): version for site in config.sites for outcome, version in site.models.items()},
        trials=frozenset((trial.site, trial.outcome) for trial in config.trials),
    )
