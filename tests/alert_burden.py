"""A simulated month of 5,000 patients and 40 clinicians, with and without limits: how many cards each clinician gets.

    PYTHONPATH=.:tests .venv/bin/python tests/alert_burden.py            # prints docs/generated/alert-burden.md

What a chart says is made by the real rules, models and notices from a chart of each kind; what is held back is decided
by the real function. Who comes when, who looks and what they do is made up: the shares below, drawn with a fixed seed.
The same visits and the same people meet each policy; what a clinician does about a card is drawn by patient and moment.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cache
from statistics import mean, quantiles
from zoneinfo import ZoneInfo

from builders import given, record_of
from hook_calls import prompting

from cds_service.burden.limits import quietable
from cds_service.serving.engine import load_engine
from explanations.judgement.alert_limits import (
    MODEL,
    NO_LIMITS,
    QUIETABLE,
    SNOOZES,
    AlertHistory,
    AlertLimits,
    Candidate,
    Limiter,
    LimitReason,
    ShownCard,
    Snooze,
    snoozed_until,
)
from explanations.judgement.assessment import assess
from explanations.words.notices.notice import NoticeSettings
from explanations.words.notices.notice_list import notices
from models.rules.findings import SAFETY_TOPICS, Topic, Urgency
from models.scoring.risk import BandThresholds

SEED = 20261101
PATIENTS, CLINICIANS = 5000, 40
ZONE = ZoneInfo("America/Chicago")
FIRST, DAYS = date(2026, 11, 2), 29
WORKDAYS = [day for n in range(DAYS) if (day := FIRST + timedelta(n)).weekday() < 5]
# Kind of chart -> share of patients, and its lines. "model": a chart on which the depression model prompts.
KINDS: dict[str, tuple[float, tuple[str, ...]]] = {
    "acute answer": (0.002, ("C-SSRS, today: question 4 = yes",)),
    "positive answer": (0.02, ("PHQ-9, 6 days ago: items 1-7 = 1, item 8 = 0, item 9 = 1",)),
    "self-harm, recent": (0.015, ("Condition T14.91XA, 41 days ago",)),
    "total of 20 or more": (0.01, ("PHQ-9, 20 days ago: items 1-7 = 3, item 8 = 1, item 9 = 0",)),
    "contradiction": (0.01, ("PHQ-9, 8 days ago: items 1-9 = 1, total = 20",)),
    "item 9 left blank": (0.015, ("PHQ-9, 5 days ago: items 1-8 = 1, item 9 = blank",)),
    "total of 10 to 19": (0.06, ("PHQ-9, 20 days ago: items 1-7 = 2, item 8 = 0, item 9 = 0",)),
    "model prompts": (0.08, ("model",)),
    "in care, to be measured again": (0.03, ("model", "Medicine sertraline, today")),
    "positive answer, and a model prompts": (0.005, ("model", "C-SSRS, 3 days ago: question 1 = yes")),
}
VISITS, OPENINGS, BETWEEN = 1.2, 1.2, 0.4  # a patient; more a visit; between visits
COLLEAGUE = 0.3
CHANGED, ASSESSED = 0.15, 0.04  # of patients: an input or result is new within the month; a risk assessment is filed
ACCEPTED, OVERRIDDEN = 0.10, 0.20  # of model and follow-up cards; the rest is ignored
REASONS = {
    Topic.SCREENING_PROMPT: {"not-now": 10, "declines": 3, "screened": 3, "known-managed": 2, "estimate-wrong": 2},
    Topic.DEPRESSION_FOLLOW_UP: {"not-now": 10, "reviewed": 6, "elsewhere": 2, "declines": 2},
}
USUAL = AlertLimits()
POLICIES = {
    "no limit": NO_LIMITS,
    "a model's card once in 30 days": replace(NO_LIMITS, model_days=30),
    "silent for 14 days after an assessment": replace(NO_LIMITS, assessed_days=14),
    "the same card once in 2 hours": replace(NO_LIMITS, repeat_h=2),
    "20 cards a user a day": replace(NO_LIMITS, daily=20),
    "snoozes": replace(NO_LIMITS, snooze_days=7, declined_days=90),
    "all of them (the default)": USUAL,
    "all of them, 5 cards a user a day": replace(USUAL, daily=5),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A chart is opened: whose, by whom, when."""

    patient: int
    clinician: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A patient. changed: when what the card rests on is new; assessed: the day of a risk assessment; or None."""

    kind: str
    changed: datetime | None
    assessed: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """What came of a policy. cards: of each clinician and workday; held: by reason; safety: each card in order."""

    cards: Counter[tuple[int, date]]
    limited: int
    repeats: int
    weeks: int
    held: Counter[str]
    safety: list[tuple[int, int, datetime, str]]

    @property
    def offered(self) -> int:
        """Model and follow-up cards, shown or held back."""
        return self.limited + self.held.total()

    def per_day(self) -> list[int]:
        """Cards of each clinician on each workday, none included."""
        return [self.cards[clinician, day] for clinician in range(CLINICIANS) for day in WORKDAYS]


@cache
def chart_of(kind: str) -> tuple[tuple[Topic, Urgency], ...]:
    """The notices of a chart of this kind, as topic and urgency; and its candidates by `candidates_of`."""
    return tuple((notice.topic, notice.urgency) for notice in _read(kind)[1])


@cache
def candidates_of(kind: str) -> tuple[Candidate, ...]:
    """What limits apply to in a chart of this kind."""
    found, made = _read(kind)
    return tuple(quietable(found, made, str))


@cache
def _read(kind: str):
    lines = KINDS[kind][1]
    chart = [r for line in lines for r in (prompting() if line == "model" else given(line))]
    found = assess(record_of(*chart), load_engine(), BandThresholds())
    return found, notices(found, NoticeSettings(zone=ZONE))


@cache
def people() -> tuple[Person, ...]:
    drawer = random.Random(SEED)
    kinds = [*KINDS, "nothing to say"]
    shares = [share for share, _ in KINDS.values()]
    drawn = drawer.choices(kinds, [*shares, 1 - sum(shares)], k=PATIENTS)
    return tuple(
        Person(
            kind=kind,
            changed=_moment(drawer, drawer.choice(WORKDAYS)) if drawer.random() < CHANGED else None,
            assessed=drawer.choice(WORKDAYS) if drawer.random() < ASSESSED else None,
        )
        for kind in drawn
    )


@cache
def openings() -> tuple[Opening, ...]:
    drawer = random.Random(SEED + 1)
    found = []
    for patient in range(PATIENTS):
        own = drawer.randrange(CLINICIANS)
        rate = drawer.gammavariate(1.2, VISITS / 1.2)
        for day in drawer.choices(WORKDAYS, k=_poisson(drawer, rate)):
            begun = _moment(drawer, day)
            for n in range(1 + _poisson(drawer, OPENINGS)):
                other = n and drawer.random() < COLLEAGUE
                who = drawer.randrange(CLINICIANS) if other else own
                found.append(Opening(patient=patient, clinician=who, at=begun + timedelta(minutes=12 * n)))
        for day in drawer.choices(WORKDAYS, k=_poisson(drawer, BETWEEN)):
            found.append(Opening(patient=patient, clinician=drawer.randrange(CLINICIANS), at=_moment(drawer, day)))
    return tuple(sorted(found, key=lambda one: (one.at, one.patient)))


def _moment(drawer: random.Random, day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 8, tzinfo=ZONE) + timedelta(minutes=drawer.randrange(8 * 60))


def _poisson(drawer: random.Random, rate: float) -> int:
    left, count = drawer.expovariate(1), 0
    while left < rate:
        left, count = left + drawer.expovariate(1), count + 1
    return count


@dataclass(slots=True)
class Clinic:
    """A month under one policy, as it goes on."""

    limits: AlertLimits
    shown: dict[int, list[ShownCard]] = field(default_factory=dict)
    snoozes: dict[int, list[Snooze]] = field(default_factory=dict)
    answered: set[tuple[int, Topic]] = field(default_factory=set)
    cards: Counter[tuple[int, date]] = field(default_factory=Counter)
    quieted: Counter[tuple[int, date]] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    safety: list[tuple[int, int, datetime, str]] = field(default_factory=list)

    def open(self, one: Opening) -> None:
        """One opening of a chart."""
        person = people()[one.patient]
        if person.kind not in KINDS:
            return
        candidates = [c for c in self._candidates(one, person) if (one.patient, c.topic) not in self.answered]
        mine = self.shown.setdefault(one.patient, [])
        past = AlertHistory(
            shown=tuple(mine),
            snoozes=tuple(self.snoozes.get(one.patient, ())),
            today=self.quieted[one.clinician, one.at.date()],
        )
        assessed = (person.assessed,) if person.assessed else ()
        limiter = Limiter(
            limits=self.limits, history=past, zone=ZONE, now=one.at, user=str(one.clinician), assessed=assessed
        )
        held = limiter.held_back(candidates)
        self.held.update(why.reason.value for why in held.values())
        for topic, urgency in chart_of(person.kind):
            if topic not in QUIETABLE or urgency is not Urgency.NOTE:
                self.cards[one.clinician, one.at.date()] += 1
                self.safety.append((one.patient, one.clinician, one.at, topic.value))
        for candidate in candidates:
            if candidate.topic not in held:
                self._show(one, candidate, mine)

    def _candidates(self, one: Opening, person: Person) -> Iterator[Candidate]:
        """Those of the chart, with a grounds that is the patient's, and another one once something is new."""
        new = person.changed is not None and person.changed <= one.at
        for candidate in candidates_of(person.kind):
            yield replace(candidate, grounds=f"{one.patient} {'new' if new else 'old'}")

    def _show(self, one: Opening, candidate: Candidate, mine: list[ShownCard]) -> None:
        day, user = one.at.date(), str(one.clinician)
        self.cards[one.clinician, day] += 1
        self.quieted[one.clinician, day] += 1  # as the store counts them
        week = one.at - timedelta(7)
        self.repeats += any(c.topic is candidate.topic and c.grounds == candidate.grounds and c.at > week for c in mine)
        mine.append(
            ShownCard(
                topic=candidate.topic, user=user, at=one.at, outcomes=candidate.outcomes, grounds=candidate.grounds
            )
        )
        drawer = random.Random(f"{SEED} {one.patient} {one.at} {candidate.topic}")
        drawn = drawer.random()
        if drawn < ACCEPTED:
            self.answered.add((one.patient, candidate.topic))  # asked or followed up, so it is on file
        elif drawn < ACCEPTED + OVERRIDDEN:
            reasons = REASONS[candidate.topic]
            (code,) = drawer.choices([*reasons], [*reasons.values()])
            self._snooze(one, candidate, code)

    def _snooze(self, one: Opening, candidate: Candidate, code: str) -> None:
        until = snoozed_until(code, one.at, self.limits, ZONE)
        user = "" if SNOOZES[code].everybody else str(one.clinician)
        grounds = MODEL + candidate.grounds if candidate.outcomes else candidate.grounds
        made = Snooze(topic=candidate.topic, user=user, code=code, at=one.at, until=until, grounds=grounds)
        self.snoozes.setdefault(one.patient, []).append(made)

    def month(self) -> Month:
        """What came of it."""
        weeks = {(patient, card.at.isocalendar()[:2]) for patient, cards in self.shown.items() for card in cards}
        return Month(
            cards=self.cards,
            limited=self.quieted.total(),
            repeats=self.repeats,
            weeks=len(weeks),
            held=self.held,
            safety=self.safety,
        )


@cache
def month(policy: str) -> Month:
    """The month under a policy."""
    clinic = Clinic(POLICIES[policy])
    for one in openings():
        clinic.open(one)
    return clinic.month()


def page() -> str:
    """docs/generated/alert-burden.md."""
    months = {name: month(name) for name in POLICIES}
    free, usual = months["no limit"], months["all of them (the default)"]
    safety = len(free.safety)
    on_safety = sum(topic in SAFETY_TOPICS for *_, topic in free.safety)
    rows = [
        f"| {name} | {mean(m.per_day()):.2f} | {_share(m.per_day(), 95):.0f} | {max(m.per_day())} | {m.limited:,} | "
        f"{m.limited / len(m.per_day()):.2f} | {m.repeats / m.weeks:.2f} | {len(m.safety):,} |"
        for name, m in months.items()
    ]
    bands = ((0, 0), (1, 1), (2, 2), (3, 4), (5, 6), (7, 9), (10, 99))
    spread = [
        f"| {low if low == high else f'{low} or more' if high == 99 else f'{low} to {high}'} | "
        + " | ".join(_bar(sum(low <= n <= high for n in m.per_day()), len(m.per_day())) for m in (free, usual))
        + " |"
        for low, high in bands
    ]
    reasons = [
        f"| {reason} | {usual.held[reason]:,} | {_percent(usual.held[reason] / usual.offered)} |"
        for reason in LimitReason
    ]
    kinds = [
        f"| {kind} | {100 * share:.1f} % | {', '.join(f'{t} ({u.name.lower()})' for t, u in chart_of(kind))} |"
        for kind, (share, _) in KINDS.items()
    ]
    return PAGE.format(
        patients=PATIENTS,
        clinicians=CLINICIANS,
        openings=len(openings()),
        days=len(WORKDAYS),
        rows="\n".join(rows),
        spread="\n".join(spread),
        reasons="\n".join(reasons),
        shown=usual.limited,
        shown_share=_percent(usual.limited / usual.offered),
        kinds="\n".join(kinds),
        fewer=_percent(1 - usual.limited / free.limited),
        before=free.limited,
        safety=safety,
        on_safety=on_safety,
        visits=VISITS,
        more=OPENINGS,
        between=BETWEEN,
        colleague=_percent(COLLEAGUE),
        changed=_percent(CHANGED),
        assessed=_percent(ASSESSED),
        accepted=_percent(ACCEPTED),
        overridden=_percent(OVERRIDDEN),
    )


def _share(values: list[int], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _bar(count: int, total: int) -> str:
    return f"{'█' * round(40 * count / total)} {count}"


PAGE = """# How many cards each clinician gets: a simulated month

*Generated by `make golden`: change what it is made from (`tests/alert_burden.py`), not this page.*

For whoever sets or approves the limits of a site (`[alerts]` in [configuration.md](../configuration.md)). A reference.
**The month is made up**: it shows what the limits do, not what a clinic will see. {patients:,} patients, {clinicians}
clinicians, {days} workdays, {openings:,} openings of a chart. What a chart says comes from our rules, models and
notices; what is held back, from the function that serves calls. Each policy is tried on the same people
and the same openings.

With the default limits {shown:,} model and follow-up cards are shown instead of {before:,}: {fewer} fewer. The
{safety:,} other cards ({on_safety:,} on safety; the rest are severe totals, contradictions and what could not be
assessed) are the same, one by one, under every policy: no limit applies to them (rule R17).

## Cards by policy

All cards a clinician gets on a workday (days without any card are included); then model and follow-up cards alone.
*Repeats*: model and follow-up cards on the same inputs or the same result that the patient's chart had shown within 7
days, for each week of a patient with such a card.

| limits | cards a clinician a day | 95th percentile | most | model and follow-up cards | of them a clinician a day | repeats a patient-week | other cards |
|:--|--:|--:|--:|--:|--:|--:|--:|
{rows}

## Cards of one clinician on one day

| cards | days without limits | days with the default limits |
|--:|:--|:--|
{spread}

## What is held back by the default limits

A limit of 20 cards a user a day is a net under the others: in a month like this one nobody reaches it.
Of all model and follow-up cards that would have come at an opening. The first reason that applies counts.

| reason on record | cards | share |
|:--|--:|--:|
{reasons}
| shown | {shown:,} | {shown_share} |

## What was assumed

- A patient has {visits} visits in the month on average, few many and many none. The chart is opened {more} times more at
  each visit, {colleague} of those by a colleague, and {between} times between visits by anybody. The EHR does not say in
  which encounter.
- What a card rests on is new within the month for {changed} of patients; a suicide risk assessment is filed for
  {assessed}.
- {accepted} of model and follow-up cards are acted on, and are then no longer called for; {overridden} are
  overridden with a reason, half of these with “not now”; the rest is ignored.

| chart | patients | cards |
|:--|--:|:--|
{kinds}

The shares are round figures for a clinic: the models flag about 5 % of people not in care each at their own threshold
([model-figures.md](model-figures.md)); the rest is our guess. Replace them with your own and run it again.
"""

if __name__ == "__main__":
    print(page())
