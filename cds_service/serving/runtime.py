"""What every request needs, built once by `app`: settings, models, phrases, store, clock and a source of ids."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from cds_service.keys.data_key import DataKey
from cds_service.keys.key_sets import KeySets
from cds_service.settings.config import ServiceConfig
from cds_service.storage.recent_tokens import RecentTokens
from cds_service.storage.store import Store
from explanations.judgement.assessment import Engine


def now_utc() -> datetime:
    """This moment, with its zone."""
    return datetime.now(UTC)


def random_id() -> str:
    """A random UUID as text."""
    return str(uuid.uuid4())


def never_opted_out(_site: str, _patient: str) -> bool:
    """False: opt-outs are not stored yet."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """One process's settings and resources; `now` and `new_id` are its only clock and randomness.

    config: the settings for a call that begins now; each call reads them once.
    problem: why the settings on disk are not in force, or None.
    opted_out: whether a patient (site id, patient id) has opted out.
    """

    config: Callable[[], ServiceConfig]
    problem: Callable[[], str | None]
    engine: Engine
    store: Store
    key: DataKey
    key_sets: KeySets
    recent_tokens: RecentTokens
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    opted_out: Callable[[str, str], bool]
