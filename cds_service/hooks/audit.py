"""What is put on record of an answer, field by field: the allowlist of what may be written.

One row per call of a verified client, durable before the answer leaves; ids are pseudonyms, and no value, name
or text of the chart is among the fields. The same fields, less the pseudonyms, are the call's line of the log.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from cds_service.cards.wire import Card
from cds_service.errors import ServiceError, StoreUnavailable
from cds_service.serving import metrics
from cds_service.serving.runtime import Runtime
from cds_service.storage.store import CardRow
from explanations.judgement.assessment import Assessment
from models.scoring.risk import NotScored, RiskScore

log = logging.getLogger("mhcds")
PSEUDONYMS = ("patient", "user")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One answer. status: HTTP; patient, user: pseudonyms; models: outcome and version of those that scored.

    not_for: the kind of user that gets no cards, where that is why there are none. late: time was up, so that no
    model was asked. topics: of the cards sent. Other fields name things by their static codes or count them.
    """

    service: str
    status: int = 500
    site: str | None = None
    issuer: str | None = None
    hook_instance: str | None = None
    patient: str | None = None
    user: str | None = None
    topics: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    not_scored: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    unreadable: int = 0
    anomalies: int = 0
    consent: str | None = None
    withheld: int = 0
    deceased: bool = False
    not_for: str | None = None
    late: bool = False
    ms: float = 0.0


class Recording:
    """The event of one call, as it becomes known."""

    def __init__(self, service: str, issuer: str) -> None:
        self.event = AuditEvent(service=service, issuer=issuer)
        self.cards: Sequence[Card] = ()

    def note(self, **known: Any) -> None:  # noqa: ANN401  # the event's own fields, checked by `replace`
        """Takes note of some of the event's fields."""
        self.event = replace(self.event, **known)

    def assessed(self, assessment: Assessment) -> None:
        """Takes note of what was found and what was not, by code and count."""
        chart = assessment.chart
        self.note(
            rules=tuple(sorted({f.rule for f in assessment.findings})),
            models=tuple(f"{s.outcome} {s.model_version}" for s in assessment.scores if isinstance(s, RiskScore)),
            not_scored=tuple(f"{s.outcome} {s.reason}" for s in assessment.scores if isinstance(s, NotScored)),
            unknown=tuple(u.what for u in chart.unknown),
            unreadable=len(chart.unreadable),
            anomalies=len(chart.anomalies),
            consent=chart.consent.value,
            withheld=chart.withheld,
            deceased=chart.deceased,
        )

    def answered(self, cards: Sequence[Card], topics: Sequence[str]) -> None:
        """Takes note of the cards that will be sent; `topics` are their static codes in our own spelling."""
        self.cards = cards
        self.note(status=200, topics=tuple(topics))


@contextmanager
def recording(runtime: Runtime, service: str, issuer: str) -> Iterator[Recording]:
    """A recording that is written when the call ends, however it ends; before the answer leaves."""
    started = time.monotonic()
    found = Recording(service, issuer)
    try:
        yield found
    except ServiceError as error:
        found.note(status=error.status)
        raise
    finally:
        seconds = time.monotonic() - started
        found.note(ms=round(1000 * seconds, 1))
        write(runtime, found)
        with suppress(OSError):  # shared counters are files; no answer is lost for them
            _count(found, seconds)


def write(runtime: Runtime, found: Recording) -> None:
    """Puts an answer on record. When the store fails, the whole event is a line of the log, so that it stays."""
    event = found.event
    fields = asdict(event)
    shown = {name: value for name, value in fields.items() if name not in PSEUDONYMS}
    log.info(json.dumps({"event": "hook-answered", "cards": len(found.cards), **shown}))
    rows = [
        CardRow(
            uuid=card.uuid,
            topic=topic,
            indicator=card.indicator,
            suggestions=tuple(s.uuid for s in card.suggestions or ()),
        )
        for card, topic in zip(found.cards, event.topics, strict=True)
    ]
    try:
        runtime.store.write_answer(runtime.now(), event.site or "", fields, rows)
    except StoreUnavailable:
        metrics.STORE_FAILED.inc()
        log.error(json.dumps({"event": "answer-not-stored", "cards": [c.uuid for c in found.cards], **fields}))


def _count(found: Recording, seconds: float) -> None:
    event = found.event
    metrics.CALLS.labels(event.service, str(event.status)).inc()
    metrics.SECONDS.labels(event.service).observe(seconds)
    for card, topic in zip(found.cards, event.topics, strict=True):
        metrics.CARDS.labels(topic, card.indicator).inc()
    if event.status == 200 and not found.cards:
        metrics.NO_CARD.labels(event.service).inc()
    if event.late:
        metrics.LATE.inc()
