"""What every request needs, put together once by `app`: settings, models, words, a clock and a source of ids."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from cds_service.sites import ServiceConfig
from explanations.assessment import Engine
from explanations.phrasebook import Phrasebook


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

    opted_out: whether a patient (site id, patient id) has opted out.
    """

    config: ServiceConfig
    engine: Engine
    phrases: Phrasebook
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    opted_out: Callable[[str, str], bool]
