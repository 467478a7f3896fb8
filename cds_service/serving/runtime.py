"""What every request needs, built once by `app`: settings, models, phrases, store, clock and a source of ids."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cds_service.backend.backend import Backend
from cds_service.control.permission import Asker, asker, control_for
from cds_service.control.snapshot import ControlReader
from cds_service.keys.data_key import DataKey
from cds_service.keys.key_sets import KeySets
from cds_service.settings.config import ServiceConfig
from cds_service.storage.recent_tokens import RecentTokens
from cds_service.storage.store import Store
from cds_service.trials.assigning import TrialArm
from explanations.judgement.assessment import Engine
from explanations.judgement.control import Control


def now_utc() -> datetime:
    """This moment, with its zone."""
    return datetime.now(UTC)


def random_id() -> str:
    """A random UUID as text."""
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """One process's settings and resources; `now` and `new_id` are its only clock and randomness.

    config: the settings for a call that begins now; each call reads them once.
    problem: why the settings on disk are not in force, or None. folder: of those settings; None: they are not files.
    controls: modes, switches and opt-outs as they are at this moment. backend: tokens of our own at the sites.
    """

    config: Callable[[], ServiceConfig]
    problem: Callable[[], str | None]
    folder: Path | None
    engine: Engine
    store: Store
    controls: ControlReader
    key: DataKey
    key_sets: KeySets
    recent_tokens: RecentTokens
    backend: Backend
    now: Callable[[], datetime]
    new_id: Callable[[], str]

    def asker(self, site: str, service: str, user: str | None, patient: str) -> Asker:
        """Who asks about whom; patient: an id of the FHIR server."""
        return asker(self.key.derived(b"draw"), site, service, user, self.key.pseudonym(site, patient))

    def trial_arm(self, config: ServiceConfig, who: Asker) -> TrialArm:
        """Who says the arm of this call in a trial."""
        return TrialArm(store=self.store, key=self.key, trials=config.trials, who=who, now=self.now())

    def control(self, config: ServiceConfig, who: Asker, arm: TrialArm | None = None) -> Control:
        """What this call may use and show."""
        return control_for(self.controls(), config, who, self.now(), arm or self.trial_arm(config, who))
