"""How the service was met: usefulness votes, reasons, near misses, and how fast and how often it answered.

From the audit chain of a site, in one pass; costs are counted from the same events. Nobody who opted out is included.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cds_service.burden.on_record import EventOnRecord, Window, opted_out, recorded
from cds_service.settings.sites import SiteConfig
from cds_service.storage.chain import AuditKind
from cds_service.storage.store import Store
from fhir_adapters.facts import Consent
from models.rules.findings import Topic
from smart_launch.chart.opinions import CHOICES

MET = (AuditKind.ANSWER.value, AuditKind.APP.value)


class MetEvent(EventOnRecord, kw_only=True):
    """What is read of an answer (status and what follows) or of the app (what and what follows).

    ms, cpu_ms: how long an answer took, and how much computing time. choice, reason: an opinion, or an override.
    """

    status: int = 0
    topics: tuple[str, ...] = ()
    late: bool = False
    ms: float = 0.0
    cpu_ms: float = 0.0
    what: str = ""
    launch: str = ""
    choice: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Percentiles of the time to an answer in milliseconds; None without answers."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Experience:
    """One site's. calls: verified calls that were heard; answered: with 200.

    unread: of them with 412, since nothing that was needed could be had; refused, failed: 4xx and 5xx.
    could_not_assess: answers with a card that says so; late: answers whose estimate was left out for want of time.
    votes: choice -> opinions in the app; reasons: code -> reasons of opinions and overrides there.
    """

    calls: int
    answered: int
    unread: int
    refused: int
    failed: int
    could_not_assess: int
    late: int
    speed: Speed
    votes: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def available(self) -> float | None:
        """The share of verified calls that were answered with 200."""
        return self.answered / self.calls if self.calls else None


def events_met(store: Store, site: SiteConfig, window: Window) -> tuple[MetEvent, ...]:
    """Answers and acts in the app on these days, the oldest first. Raises StoreUnavailable."""
    left_out = opted_out(store, site.id)
    found = [event for _, event in recorded(store, site.id, window.since, MET, MetEvent)]
    left_out |= {event.patient for event in found if event.consent == Consent.OPTED_OUT and event.patient}
    held = (one for one in reversed(found) if window.holds(site.day(one.at)) and one.patient not in left_out)
    return tuple(held)


def experience(events: Sequence[MetEvent]) -> Experience:
    """What these events say of how the service was met."""
    calls = [event for event in events if event.status]
    answered = [call for call in calls if call.status == 200]
    opinions = [event for event in events if event.what == "opinion"]
    overridden = [event for event in events if event.what == "overridden"]
    counts = Counter(_kind_of(call.status) for call in calls)
    return Experience(
        calls=len(calls),
        answered=len(answered),
        unread=counts["unread"],
        refused=counts["refused"],
        failed=counts["failed"],
        could_not_assess=sum(Topic.COULD_NOT_ASSESS in call.topics for call in answered),
        late=sum(call.late for call in answered),
        speed=_speed([call.ms for call in answered]),
        votes={choice: sum(one.choice == choice for one in opinions) for choice in CHOICES},
        reasons=Counter(one.reason for one in (*opinions, *overridden) if one.reason),
    )


def _kind_of(status: int) -> str:
    if status == 412:
        return "unread"
    return "answered" if status == 200 else "refused" if status < 500 else "failed"


def _speed(ms: Sequence[float]) -> Speed:
    ordered = sorted(ms)
    if not ordered:
        return Speed()
    return Speed(**{f"p{p}": ordered[math.ceil(len(ordered) * p / 100) - 1] for p in (50, 95, 99)})
