"""The audit record of a call: the allowlist of fields that may be written.

One row per call of a verified client, durable before the response is sent. Ids are pseudonyms; no field holds a value,
name or text from the chart. The call's log line has the same fields without pseudonyms and estimates.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
from msgspec.structs import asdict

from cds_service.cards.wire import Card
from cds_service.errors import ServiceError, StoreUnavailable, Unauthenticated
from cds_service.keys.data_key import DataKey
from cds_service.serving import metrics
from cds_service.serving.metrics import labelled
from cds_service.serving.runtime import Runtime
from cds_service.serving.stage_times import Stage, StageTimes
from cds_service.storage.calls import AnswerRow, CardRow, TokenUse
from cds_service.trust.auth import VerifiedClient
from explanations.judgement.alert_limits import Behind
from explanations.judgement.assessment import Assessment
from fhir_adapters.facts import Consent
from models.rules.findings import Topic
from models.scoring.risk import NotScored, RiskBand, RiskScore

log = logging.getLogger("mhcds")
TO_WATCH_BY = ("measured", "sex", "age_band", "groups", "department", "trial")
ON_RECORD_ALONE = ("patient", "user", "scores", *TO_WATCH_BY)  # not in the log


class AuditEvent(msgspec.Struct, kw_only=True):
    """One response. status: HTTP; models: outcome and version of those that scored.

    patient, user, hook_instance: pseudonyms.
    not_for: the kind of user, if that is why no card was sent. late: time was up, so no model ran.
    quieted: the card of a gap was not sent, since the user was shown the same gap within the site's hours.
    topics: of the cards sent. held_back: of those not sent since somebody switched them off. suppressed: of those not
    sent, each with the limit that held it back. escalation: how far somebody has been told. switched_off: what is, if
    that is why nothing was read. scores: model, probability, whether it was shown and flagged, and its inputs' bins.
    review: the models whose estimate is in the sample for review. measured: outcomes on file, to compare scores with;
    sex, age_band, groups: for the audit of fairness. trial: in which one the answer was given, and in which arm.
    cpu_ms: computing time of the call's own thread, before it was recorded. Other fields hold static codes or counts.
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
    quieted: bool = False
    scores: tuple[Mapping[str, Any], ...] = ()
    review: tuple[str, ...] = ()
    held_back: tuple[str, ...] = ()
    suppressed: tuple[str, ...] = ()
    escalation: str | None = None
    switched_off: str | None = None
    measured: tuple[Mapping[str, Any], ...] = ()
    sex: str | None = None
    age_band: str | None = None
    groups: Mapping[str, str] = {}
    department: str | None = None
    trial: Mapping[str, str] | None = None
    ms: float = 0.0
    cpu_ms: float = 0.0


class AuditRecord:
    """One call's event, filled in as the call proceeds."""

    def __init__(self, service: str, issuer: str, token: TokenUse | None, times: StageTimes) -> None:
        self.event = AuditEvent(service=service, issuer=issuer)
        self.token = token
        self.times = times
        self.cards: Sequence[Card] = ()
        self.behind: Mapping[Topic, Behind] = {}
        self.encounter: str | None = None

    def note(self, **known: Any) -> None:  # noqa: ANN401  # the event's own fields; it has no others
        """Sets fields of the event."""
        for name, value in known.items():
            setattr(self.event, name, value)

    def note_call(self, key: DataKey, site: str, hook_instance: str, patient: str, user: str) -> None:
        """Notes the site, and the ids of the call as pseudonyms."""
        self.note(
            site=site,
            hook_instance=key.pseudonym(site, hook_instance),
            patient=key.pseudonym(site, patient),
            user=key.pseudonym(site, user),
        )

    def note_assessment(self, assessment: Assessment) -> None:
        """Notes findings, scores and gaps, by code and count."""
        chart = assessment.chart
        self.note(
            rules=tuple(sorted({f.rule for f in assessment.findings})),
            models=tuple(s.model for s in assessment.scores if isinstance(s, RiskScore)),
            not_scored=tuple(f"{s.outcome} {s.reason}" for s in assessment.scores if isinstance(s, NotScored)),
            scores=(
                *(_score(s, shown=True) for s in assessment.scores if isinstance(s, RiskScore)),
                *(_score(s, shown=False) for s in assessment.unspoken),
            ),
            unknown=tuple(u.what for u in chart.unknown),
            unreadable=len(chart.unreadable),
            anomalies=len(chart.anomalies),
            consent=chart.consent.value,
            withheld=chart.withheld,
            deceased=chart.deceased,
        )

    def note_cards(self, cards: Sequence[Card], topics: Sequence[str]) -> None:
        """Notes the cards about to be sent, with their topic codes in our own spelling."""
        self.cards = cards
        self.note(status=200, topics=tuple(topics))


@contextmanager
def audit_record(runtime: Runtime, service: str, client: VerifiedClient, times: StageTimes) -> Iterator[AuditRecord]:
    """A record that is written when the call ends, however it ends, before the response is sent.

    Raises Unauthenticated if another call has used the token meanwhile.
    """
    started = time.monotonic()
    record = AuditRecord(service, client.iss, client.token, times)
    try:
        yield record
    except ServiceError as error:
        record.note(status=error.status)
        raise
    finally:
        times.skip()
        seconds = time.monotonic() - started
        record.note(ms=round(1000 * seconds, 1), cpu_ms=times.cpu_milliseconds())
        write(runtime, record)
        with suppress(OSError):  # shared counters are files; a full disk must not cost the response
            _count(record, seconds)


def write(runtime: Runtime, record: AuditRecord) -> None:
    """Writes the record to the store, or to the log if the store fails, so that it is not lost.

    Raises Unauthenticated if the token was used meanwhile; that answer is on record instead.
    """
    is_first = _write_row(runtime, record)
    if not is_first:
        record.token = None
        record.note_cards((), ())
        record.note(status=Unauthenticated.status)
        _write_row(runtime, record)
    record.times.end(Stage.RECORD)
    log.info(_line(_logged(record)))
    if not is_first:
        metrics.REFUSED.labels("replayed").inc()
        raise Unauthenticated("replayed")


def _score(score: RiskScore, *, shown: bool) -> dict[str, Any]:
    return {
        "model": score.model,
        "probability": round(score.probability, 4),
        "shown": shown,
        "flagged": score.band is RiskBand.AT_OR_ABOVE_THRESHOLD,
        "inputs": score.bins,
    }


def _write_row(runtime: Runtime, record: AuditRecord) -> bool:
    """False, and nothing is written, if the token was used before."""
    row = _row(runtime, record)
    try:
        return runtime.store.write_answer(row) is not None
    except StoreUnavailable:
        metrics.STORE_FAILED.inc()
        # All that `mhcds db replay` needs.
        lost = {"at": row.at, "site": row.site, "answer": _without_results(row.event), "cards": row.cards}
        log.error(_line({"event": "answer-not-stored", **lost}))
        return True


def _without_results(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event as the log may hold it while the store is down: the next call sees again what the models are watched by.

    Its scores keep their estimates alone.
    """
    known = {name: value for name, value in event.items() if name not in TO_WATCH_BY}
    scores = [{name: value for name, value in each.items() if name != "inputs"} for each in event["scores"]]
    return known | {"scores": scores}


def _logged(record: AuditRecord) -> dict[str, Any]:
    """What the log says of a call."""
    known = {name: value for name, value in asdict(record.event).items() if name not in ON_RECORD_ALONE}
    return {"event": "hook-answered", "cards": len(record.cards), **known, "stages": record.times.milliseconds()}


def _line(fields: dict[str, Any]) -> str:
    """As `json.dumps` writes it, in ASCII, in a quarter of the time."""
    line = msgspec.json.format(msgspec.json.encode(fields), indent=0).decode()
    return line if line.isascii() else json.dumps(msgspec.to_builtins(fields))


def _row(runtime: Runtime, record: AuditRecord) -> AnswerRow:
    event, now = record.event, runtime.now()
    cards = tuple(
        CardRow(
            uuid=card.uuid,
            topic=topic,
            indicator=card.indicator,
            suggestions=tuple(s.uuid for s in card.suggestions or ()),
            patient=event.patient,
            shown_to=event.user,
            at=int(now.timestamp()),
            encounter=record.encounter,
            prompted=behind.prompted if (behind := record.behind.get(Topic(topic))) else "",
            basis=behind.grounds if behind else "",
        )
        for card, topic in zip(record.cards, event.topics, strict=True)
    )
    return AnswerRow(at=now.isoformat(), site=event.site or "", event=asdict(event), cards=cards, token=record.token)


def _count(record: AuditRecord, seconds: float) -> None:
    event = record.event
    labelled(metrics.CALLS, event.service, str(event.status)).inc()
    labelled(metrics.SECONDS, event.service).observe(seconds)
    for stage, taken in record.times.seconds.items():
        labelled(metrics.STAGES, stage).observe(taken)
    if event.late:
        metrics.LATE.inc()
    if event.consent == Consent.OPTED_OUT:
        return  # nothing of them is watched; that a call was answered is
    for card, topic in zip(record.cards, event.topics, strict=True):
        labelled(metrics.CARDS, topic, card.indicator).inc()
    if event.status == 200 and not record.cards:
        metrics.NO_CARD.labels(event.service).inc()
    for held in event.suppressed:
        labelled(metrics.SUPPRESSED, *held.split(" ", 1)).inc()
    if event.quieted:
        metrics.QUIETED.labels(event.service).inc()
