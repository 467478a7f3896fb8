"""What every request needs, put together once by `app`: settings, models, words, store, a clock, a source of ids."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from cds_service.keys.data_key import DataKey
from cds_service.keys.key_sets import KeySets
from cds_service.settings.sites import ServiceConfig
from cds_service.storage.seen import Seen
from cds_service.storage.store import Store
from explanations.judgement.assessment import Engine


def now_utc() -> datetime:
    """This moment, with its zone."""
    return datetime.now(UTC)


def random_id() -> str:
    """A random UUID as text."""
    return str(uuid.uuid4())


def nobody(_site: str, _patient: str) -> bool:
    """No opt-out is on record: there is no store of them yet."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """One process's settings and resources; `now` and `new_id` are its only clock and randomness.

    config: the settings for a call that begins now; a call asks once and keeps to them.
    problem: why the settings on disk are not in force, or None.
    opted_out: whether a patient (site id, patient id) has opted out.
    """

    config: Callable[[], ServiceConfig]
    problem: Callable[[], str | None]
    engine: Engine
    store: Store
    key: DataKey
    key_sets: KeySets
    seen: Seen
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    opted_out: Callable[[str, str], bool]
