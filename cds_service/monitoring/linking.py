"""What is on record of a site's scores and results, linked into episodes (decision 0056).

Days are of the site's own calendar, so a window of 14 days is 14 days whatever the clocks do. Order is the chain's: a
clock that was set back changes neither which of two scores came first nor whether a result was on file before a score.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import msgspec

from cds_service.burden.on_record import EventOnRecord, Window, opted_out, recorded
from cds_service.monitoring.episodes import UNRECORDED, Episode, Exposure
from cds_service.settings.sites import SiteConfig
from cds_service.storage.chain import AuditKind
from cds_service.storage.store import Store
from fhir_adapters.facts import Consent

LINKED = (AuditKind.ANSWER.value, AuditKind.APP.value, AuditKind.READING.value)
# An episode begins where the one before it has ended, so scores of some time before the first day are read too.
LEAD = timedelta(days=182)
# An earlier day than that of the episode's first score is of a clock that was ahead then, or has been set back since.
A_DAY = timedelta(days=1)
SETTLED = (Consent.ALLOWED.value, Consent.OPTED_OUT.value, Consent.DENIED.value)


class RecordedScore(msgspec.Struct, kw_only=True, gc=False):
    """A score of an answer. flagged: None in answers of earlier releases, which begin no episode."""

    model: str
    probability: float
    shown: bool
    flagged: bool | None = None
    inputs: str = ""


class RecordedResult(msgspec.Struct, kw_only=True, gc=False):
    """A result on file. on: a day, or a moment. id: the same at each sight of it. positive: None: it was taken back."""

    outcome: str
    id: str
    positive: bool | None = None
    on: str = ""


class InTrial(msgspec.Struct, kw_only=True, gc=False):
    """The arm in which an answer was given, and the outcome of the model that the trial is about."""

    id: str
    outcome: str = ""
    version: str
    unit: str
    stratum: str
    arm: str


class LinkedEvent(EventOnRecord, kw_only=True, gc=False):
    """What is read of an event here."""

    scores: tuple[RecordedScore, ...] = ()
    measured: tuple[RecordedResult, ...] = ()
    sex: str | None = None
    age_band: str | None = None
    groups: Mapping[str, str] = {}
    department: str | None = None
    trial: InTrial | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """A result, as it was last seen. day: when it was answered; moment: at what time, where that is known.

    seq, known: number and time of the first event that had it.
    """

    day: date
    moment: datetime | None
    positive: bool
    seq: int
    known: datetime


@dataclass(slots=True, kw_only=True)
class _Open:
    """An episode that later scores may join."""

    begun: LinkedEvent
    first: RecordedScore
    day: date
    last: date
    seen: datetime | None = None
    result: _Result | None = None


def episodes(store: Store, site: SiteConfig, window: Window | None, now: datetime) -> tuple[Episode, ...]:
    """The episodes of a site that begin within these days (None: all), in the order of the chain.

    Raises StoreUnavailable.
    """
    since = window.since - LEAD if window else None
    events, settled = list[LinkedEvent](), set[str | None]()
    for _, event in recorded(store, site.id, since, LINKED, LinkedEvent):
        # Of what neither scores nor measures, a patient's latest word on consent is enough.
        latest = event.consent in SETTLED and event.patient not in settled
        if latest:
            settled.add(event.patient)
        if latest or event.scores or event.measured or event.consent == Consent.OPTED_OUT:
            events.append(event)
    found = linked(events, site, now, left_out=opted_out(store, site.id))
    return tuple(episode for episode in found if window is None or window.holds(site.day(episode.at)))


def linked(
    events: Iterable[LinkedEvent], site: SiteConfig, now: datetime, *, left_out: Collection[str] = ()
) -> tuple[Episode, ...]:
    """The episodes of one site's events, in any order.

    left_out: pseudonyms. So are those who opted out in the chart, and whose latest consent denies the use.

    An episode is one patient's, of one version. It begins with a score that no earlier one covers, and holds those of
    the days up to `outcome_days` later. Its outcome is the first result answered after its first score on one of these
    days; where one is known by its day alone it counts as after a score of that day, and of several at one time, or
    whose order is unknown, one with the outcome counts. A result that was on record when the episode began is none, nor
    is one of a day yet to come. Each counts once: where versions overlap, for the episode that began first.
    """
    ordered = sorted(events, key=lambda event: event.seq)
    gone = {event.patient for event in ordered if event.consent == Consent.OPTED_OUT} | set(left_out)
    latest = {event.patient: event.consent for event in ordered if event.consent in SETTLED}
    gone |= {patient for patient, consent in latest.items() if consent == Consent.DENIED}
    of_patients = defaultdict[str, list[LinkedEvent]](list)
    for event in ordered:
        if event.patient and event.patient not in gone and (event.scores or event.measured):
            of_patients[event.patient].append(event)
    found = [pair for own in of_patients.values() for pair in _of_patient(own, site, now)]
    return tuple(episode for _, episode in sorted(found, key=lambda pair: pair[0]))


def _of_patient(events: list[LinkedEvent], site: SiteConfig, now: datetime) -> Iterator[tuple[int, Episode]]:
    begun = _begun(events, site, now)
    for outcome, results in _results(events, site, now).items():
        left = results
        for episode in (each for each in begun if each.first.model.partition(" ")[0] == outcome):
            after = [result for result in left if _is_after(result, episode)]
            at_once = _first(after)
            if at_once:
                episode.result = next((result for result in at_once if result.positive), at_once[0])
                left = [result for result in left if result not in at_once]
    for each in begun:
        yield each.begun.seq, _episode(each, site, now)


def _begun(events: Iterable[LinkedEvent], site: SiteConfig, now: datetime) -> list[_Open]:
    """The episodes of a patient, without outcomes, in the order of the chain."""
    latest, found, today = dict[str, _Open](), list[_Open](), site.day(now)
    length = timedelta(days=site.monitoring.outcome_days)
    for event in events:
        day = site.day(event.at)
        # A day yet to come is of a clock that was ahead.
        for score in event.scores if day <= today else ():
            open_one = latest.get(score.model)
            ended = open_one is None or day > open_one.last or day < open_one.day - A_DAY
            if score.flagged is not None and ended:
                open_one = latest[score.model] = _Open(begun=event, first=score, day=day, last=day + length)
                found.append(open_one)
            if open_one is not None and score.shown and open_one.seen is None:
                open_one.seen = event.at
    return found


def _results(events: Iterable[LinkedEvent], site: SiteConfig, now: datetime) -> Mapping[str, list[_Result]]:
    """Outcome -> a patient's results until today, each once, as it was last seen."""
    first, last = dict[tuple[str, str], LinkedEvent](), dict[tuple[str, str], RecordedResult]()
    for event in events:
        for result in event.measured:
            key = (result.outcome, result.id)
            first.setdefault(key, event)
            last[key] = result
    found, today = defaultdict[str, list[_Result]](list), site.day(now)
    for key, result in last.items():
        if result.positive is None:
            continue
        moment = datetime.fromisoformat(result.on) if "T" in result.on else None
        day = site.day(moment) if moment else date.fromisoformat(result.on)
        if day <= today:
            seq, known = first[key].seq, first[key].at
            found[result.outcome].append(
                _Result(day=day, moment=moment, positive=result.positive, seq=seq, known=known)
            )
    return found


def _is_after(result: _Result, episode: _Open) -> bool:
    """Whether a result was answered after the first score, within the window, and not on record before it."""
    if result.seq <= episode.begun.seq or not episode.day <= result.day <= episode.last:
        return False
    return result.moment is None or result.moment >= episode.begun.at


def _first(results: list[_Result]) -> list[_Result]:
    """The earliest of these: several where they are of one time, or where one of the same day has none."""
    if not results:
        return []
    day = min(result.day for result in results)
    of_day = [result for result in results if result.day == day]
    earliest = min((result.moment for result in of_day if result.moment), default=None)
    return [result for result in of_day if result.moment in (None, earliest)]


def _episode(of: _Open, site: SiteConfig, now: datetime) -> Episode:
    event, score, trial = of.begun, of.first, of.begun.trial
    outcome, _, version = score.model.partition(" ")
    return Episode(
        site=site.id,
        outcome=outcome,
        version=version,
        patient=event.patient or "",
        at=event.at,
        month=f"{of.day:%Y-%m}",
        probability=score.probability,
        flagged=bool(score.flagged),
        shown=of.seen is not None,
        seen=of.seen,
        inputs=score.inputs,
        sex=event.sex or "unknown",
        age_band=event.age_band or "unknown",
        # What the site records no more is in no figure either.
        groups={group.value: event.groups.get(group.value, UNRECORDED) for group in site.monitoring.groups},
        department=event.department,
        exposure=None
        if trial is None or trial.outcome != outcome
        else Exposure(trial=trial.id, version=trial.version, unit=trial.unit, stratum=trial.stratum, arm=trial.arm),
        positive=of.result.positive if of.result else None,
        measured=_measured(of.result, site) if of.result else None,
        known=of.result.known if of.result else None,
        over=site.day(now) > of.last,
    )


def _measured(result: _Result, site: SiteConfig) -> datetime:
    """When it was answered; where only the day is known, as that day begins at the site."""
    if result.moment:
        return result.moment
    return datetime.combine(result.day, datetime.min.time(), site.cards.zone).astimezone(UTC)
