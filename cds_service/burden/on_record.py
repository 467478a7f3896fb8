"""What is on record of a site's cards within some days: each card with what came of it, each answer that left one out.

Nobody who has opted out is in it, on the site's list or in the chart, and no drill is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar

import msgspec
import sqlalchemy as sa

from cds_service.escalation.turns import EscalationAct
from cds_service.settings.sites import SiteConfig
from cds_service.storage.chain import AuditKind
from cds_service.storage.store import Store
from cds_service.storage.tables import audit_event, card, feedback, opt_out
from fhir_adapters.facts import Consent

KNOWN_AFTER = timedelta(days=7)
"""After which a card without feedback counts as ignored, and until which something done counts as done about it."""
NO_REASON, OTHER_REASON = "none", "other"
PAGE = 5000
READ = (AuditKind.ANSWER.value, AuditKind.APP.value, AuditKind.ESCALATION.value)
# A form of the app, and what was recorded as done about an escalation.
DONE = ("written", EscalationAct.DONE.value)
LEARNED = "learned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Days by the sites' own calendars; `until` is not included."""

    since: date
    until: date

    def holds(self, day: date) -> bool:
        """Whether a day is within."""
        return self.since <= day < self.until


def latest_months(today: date) -> Window:
    """This month and the two before it."""
    return Window(since=first_of_month(today, months_back=2), until=today + timedelta(days=1))


def first_of_month(day: date, *, months_back: int) -> date:
    """The first day of the month that is so many before a day's own."""
    month = day.year * 12 + day.month - 1 - months_back
    return date(month // 12, month % 12 + 1, 1)


class EventOnRecord(msgspec.Struct, kw_only=True):
    """What is read of every event. patient: a pseudonym; at: when it was recorded; seq: its number in the chain."""

    patient: str | None = None
    consent: str | None = None
    at: datetime = datetime.min.replace(tzinfo=UTC)
    seq: int = 0


E = TypeVar("E", bound=EventOnRecord)


class RecordedAnswer(EventOnRecord, kw_only=True):
    """What is read of an event here. user: a pseudonym; suppressed: topic and limit of each card left out."""

    what: str = ""
    service: str | None = None
    user: str | None = None
    suppressed: tuple[str, ...] = ()
    drill: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedCard:
    """A card that was sent. reason: why it was overridden, as a code; None where it was not, or was accepted too.

    acted: the first thing done about it.
    """

    topic: str
    answer: RecordedAnswer
    accepted: bool = False
    reason: str | None = None
    acted: datetime | None = None


@dataclass(slots=True)
class OnRecord:
    """One site's. first: the first day read, where there are more events than may be read.

    learned: the module for clinicians was recorded as read; of no patient.
    """

    cards: list[CountedCard] = field(default_factory=list)
    held_back: list[RecordedAnswer] = field(default_factory=list)
    learned: list[RecordedAnswer] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)
    first: date | None = None


def on_record(store: Store, site: SiteConfig, window: Window, most: int | None = None) -> OnRecord:
    """What is on record of a site. most: how many of its latest events to read; None for all.

    Raises StoreUnavailable.
    """
    found, answers, acts = OnRecord(), dict[int, RecordedAnswer](), defaultdict[str, list[datetime]](list)
    found.left_out |= opted_out(store, site.id)
    events = recorded(store, site.id, window.since, READ, RecordedAnswer)
    for seen, (kind, event) in enumerate(events, start=1):
        if most is not None and seen > most:
            found.first = site.day(event.at)
            break
        if event.consent == Consent.OPTED_OUT and event.patient:
            found.left_out.add(event.patient)
        if kind == AuditKind.ANSWER:
            answers[event.seq] = event
        elif event.what == LEARNED and window.holds(site.day(event.at)):
            found.learned.append(event)
        elif event.patient and event.what in DONE and not event.drill:
            acts[event.patient].append(event.at)
    counted = {
        seq: answer
        for seq, answer in answers.items()
        if window.holds(site.day(answer.at)) and answer.patient not in found.left_out
    }
    done = {patient: sorted(moments) for patient, moments in acts.items()}
    found.cards = list(_cards(store, site.id, counted, done))
    found.held_back = [answer for answer in counted.values() if answer.suppressed]
    return found


def opted_out(store: Store, site: str) -> set[str]:
    """The pseudonyms on the site's list. Raises StoreUnavailable."""
    with store.transaction() as connection:
        return set(connection.scalars(sa.select(opt_out.c.patient).where(opt_out.c.site == site)))


def recorded(
    store: Store, site: str, since: date | None, kinds: Sequence[str], read_as: type[E]
) -> Iterator[tuple[str, E]]:
    """Events of these kinds with their content, each with its kind, the newest first, back to `since` (None: all).

    Raises StoreUnavailable.
    """
    c, before = audit_event.c, sa.true()
    # A day more, since the days are of the site's own calendar.
    begin = datetime.combine(since - timedelta(days=1), time(), UTC).isoformat() if since else ""
    while True:
        page = sa.select(c.seq, c.at, c.kind, c.event).where(c.site == site, before)
        with store.transaction() as connection:
            rows = connection.execute(page.order_by(c.seq.desc()).limit(PAGE)).all()
        for row in rows:
            if row.at >= begin and row.event is not None and row.kind in kinds:
                event = msgspec.json.decode(row.event, type=read_as)
                event.at, event.seq = datetime.fromisoformat(row.at), row.seq
                yield row.kind, event
        # Not at the first that is older: a clock may have been set back for a while.
        if not any(row.at >= begin for row in rows):
            return
        before = c.seq < rows[-1].seq


def _cards(
    store: Store, site: str, answers: dict[int, RecordedAnswer], done: dict[str, list[datetime]]
) -> Iterator[CountedCard]:
    """The cards of these answers, in their order. done: patient -> when something was done."""
    lowest = min(answers, default=0)
    sent = sa.select(card.c.uuid, card.c.answer, card.c.topic).where(card.c.site == site, card.c.answer >= lowest)
    said = sa.select(feedback).where(feedback.c.site == site, feedback.c.answer >= lowest)
    accepted, reasons = dict[str, datetime](), dict[str, str]()
    with store.transaction(patient=True) as connection:
        rows = connection.execute(sent.order_by(card.c.answer)).all() if answers else []
        for row in connection.execute(said.order_by(feedback.c.id)) if answers else ():
            if row.outcome == "accepted":
                accepted.setdefault(row.card, _moment(row.outcome_at, row.at))
            else:
                # A code that is not ours may name a patient, so only its pseudonym is on record.
                ours = row.reason_code if row.reason_hl7 else OTHER_REASON
                reasons[row.card] = ours if row.reason_code else NO_REASON
    for row in rows:
        if (answer := answers.get(row.answer)) is not None:
            acts = done.get(answer.patient or "", [])
            first = acts[bisect_left(acts, answer.at) :][:1]
            when = accepted.get(row.uuid)
            first += [] if when is None else [max(when, answer.at)]
            acted = min(first, default=None)
            late = acted is None or acted - answer.at > KNOWN_AFTER
            reason = reasons.get(row.uuid) if when is None else None
            yield CountedCard(
                topic=row.topic, answer=answer, accepted=when is not None, reason=reason, acted=None if late else acted
            )


def _moment(said: str, received: str) -> datetime:
    """When something was done by the client's own word, which holds only if it is readable and not of the future."""
    known = datetime.fromisoformat(received)
    try:
        found = datetime.fromisoformat(said)
    except ValueError:
        return known
    return known if found.tzinfo is None else min(found, known)
