"""Which model and follow-up cards are held back, and why. Safety cards have no limit (rules R3, R17). Pure.

A card can be held back only where its topic is in `QUIETABLE` and its urgency is the lowest. Days are whole days of the
site's calendar: what was shown on the 1st for 30 days may come again on the 31st.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum

from explanations.judgement.assessment import Assessment
from fhir_adapters.facts import AnswerState, PatientRecord
from fhir_adapters.reading.questionnaires.totals import total_of
from models.inputs.outcomes import OUTCOME_SPECS
from models.rules.findings import Topic, Urgency
from models.scoring.risk import RiskScore

MODEL = "model:"  # before the grounds of a snooze of a model's card
QUIETABLE = (Topic.DEPRESSION_FOLLOW_UP, Topic.SCREENING_PROMPT)


class LimitReason(StrEnum):
    """Why a card is held back; of several the first. The values are stable: they stand in records."""

    SNOOZED = "snoozed"  # a clinician gave a reason on an earlier card
    ASSESSED = "assessed"  # a suicide risk assessment is on file
    SHOWN_BEFORE = "shown-before"  # a model's card, for this patient, on the same inputs
    REPEATED = "repeated"  # the same card, to the same user
    DAILY_LIMIT = "daily-limit"  # of this user


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLimits:
    """0 switches a limit off.

    model_days: days until a model's card comes again for a patient whose inputs are the same. assessed_days: days
    without one after a documented assessment. repeat_h: hours until the same card comes to the same user again.
    daily: model and follow-up cards a user a day. snooze_days: how long "not now" lasts, and what is not in the chart;
    declined_days: a refusal, and what has been dealt with.
    """

    model_days: int = 30
    assessed_days: int = 14
    repeat_h: int = 2
    daily: int = 20
    snooze_days: int = 7
    declined_days: int = 90


NO_LIMITS = AlertLimits(model_days=0, assessed_days=0, repeat_h=0, daily=0, snooze_days=0, declined_days=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnoozeRule:
    """What an override reason holds back. everybody: not only this user's cards. lasting: for declined_days.

    concerns_safety: prompts about thoughts of self-harm as well, these for snooze_days at most.
    """

    everybody: bool
    lasting: bool
    concerns_safety: bool = True


# By override reason of the quietable topics; of others nothing is held back. A reason about a documented result holds
# back that result alone, so that a new one is never silenced by a word on an old one.
SNOOZES = {
    # About this visit and this clinician; a colleague may have the time.
    "not-now": SnoozeRule(everybody=False, lasting=False),
    # One clinician's view of an estimate: it goes to the model's owner, and colleagues may see it otherwise.
    "estimate-wrong": SnoozeRule(everybody=False, lasting=False),
    # True of the patient, whoever looks; but not to be checked here, so it holds shorter than an answer on file (R12).
    "screened": SnoozeRule(everybody=True, lasting=False),
    "elsewhere": SnoozeRule(everybody=True, lasting=False),
    # Written down where colleagues find it.
    "reviewed": SnoozeRule(everybody=True, lasting=True),
    # A standing fact, as if the diagnosis were on file: the prompt about thoughts of self-harm still applies (R13).
    "known-managed": SnoozeRule(everybody=True, lasting=True, concerns_safety=False),
    # The patient's own choice: not to be asked again by each clinician in turn.
    "declines": SnoozeRule(everybody=True, lasting=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A notice about to be a card.

    outcomes: of the models that prompted it; none: a rule did. grounds: a digest of what it rests on.
    is_exempt: it also says something that may not be held back (`is_never_quiet`; entries of others left out).
    """

    topic: Topic
    urgency: Urgency
    outcomes: tuple[str, ...] = ()
    grounds: str = ""
    is_exempt: bool = False

    @property
    def is_quietable(self) -> bool:
        """Whether any limit applies to it."""
        return self.topic in QUIETABLE and self.urgency is Urgency.NOTE and not self.is_exempt

    @property
    def concerns_safety(self) -> bool:
        """Whether a model prompts to ask about thoughts of self-harm."""
        return any(OUTCOME_SPECS[outcome].concerns_safety for outcome in self.outcomes)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCard:
    """A card of the patient that was shown. user, encounter: pseudonyms; at: UTC; the rest as in `Candidate`."""

    topic: Topic
    user: str
    at: datetime
    outcomes: tuple[str, ...]
    grounds: str
    encounter: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snooze:
    """What somebody asked not to be shown for a while. user: "" for everybody; code: of the override reason.

    grounds: of the card, of a model's with MODEL before it.
    """

    topic: Topic
    user: str
    code: str
    at: datetime
    until: datetime
    grounds: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertHistory:
    """What was shown of this patient, what is snoozed, and how many quietable cards this user was shown today."""

    shown: tuple[ShownCard, ...] = ()
    snoozes: tuple[Snooze, ...] = ()
    today: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBack:
    """Why a card is held back. since: what the reason is about was then; until: it may come from then on.

    code: the override reason of a snooze; for_all: which holds for every user.
    """

    reason: LimitReason
    since: datetime
    until: datetime
    code: str = ""
    for_all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limiter:
    """The limits for one user, at one moment. user: a pseudonym, "" for nobody in particular; now: UTC.

    encounter: the one in which the chart is opened, as a pseudonym; "" where that is not known. assessed: days of
    documented suicide risk assessments.
    """

    limits: AlertLimits
    history: AlertHistory
    zone: tzinfo
    now: datetime
    user: str = ""
    encounter: str = ""
    assessed: tuple[date, ...] = ()

    def held_back(self, candidates: Iterable[Candidate]) -> dict[Topic, HeldBack]:
        """Those of the candidates whose cards are held back, by topic. Earlier ones come first in a day's limit."""
        held: dict[Topic, HeldBack] = {}
        shown = self.history.today
        for candidate in candidates:
            if not candidate.is_quietable:
                continue
            found = (
                self._snoozed(candidate)
                or self._assessed(candidate)
                or self._shown_before(candidate)
                or self._repeated(candidate)
                or (None if candidate.concerns_safety else self._over(shown))
            )
            if found is not None:
                held[candidate.topic] = found
            else:
                shown += 1
        return held

    def _snoozed(self, candidate: Candidate) -> HeldBack | None:
        found = [
            HeldBack(reason=LimitReason.SNOOZED, since=s.at, until=until, code=s.code, for_all=not s.user)
            for s in self.history.snoozes
            if s.topic is candidate.topic and s.user in ("", self.user) and (until := self._until(s, candidate))
        ]
        return max(found, key=lambda held: held.until, default=None)

    def _until(self, snooze: Snooze, candidate: Candidate) -> datetime | None:
        """Until when a snooze holds a card back; None: it does not."""
        rule = SNOOZES.get(snooze.code)
        own = MODEL + candidate.grounds if candidate.outcomes else candidate.grounds
        by_model = bool(candidate.outcomes) and snooze.grounds.startswith(MODEL)
        if rule is None or not (own == snooze.grounds or by_model) or not snooze.at <= self.now:
            return None
        until = snooze.until
        # A standing fact (the one rule that does not concern safety) holds whatever the inputs; a refusal does not.
        if candidate.concerns_safety or (own != snooze.grounds and rule.concerns_safety):
            days = self.limits.snooze_days if rule.concerns_safety else 0
            until = min(until, midnight(self._day(snooze.at) + timedelta(days), self.zone))
        return until if self.now < until else None

    def _assessed(self, candidate: Candidate) -> HeldBack | None:
        latest = max((day for day in self.assessed if day <= self._day(self.now)), default=None)
        if latest is None or not candidate.outcomes:
            return None
        return self._for_days(LimitReason.ASSESSED, midnight(latest, self.zone), self.limits.assessed_days)

    def _shown_before(self, candidate: Candidate) -> HeldBack | None:
        if not candidate.outcomes:
            return None
        same = (card.at for card in self._same(candidate) if set(candidate.outcomes) <= set(card.outcomes))
        latest = max(same, default=None)
        return self._for_days(LimitReason.SHOWN_BEFORE, latest, self.limits.model_days) if latest else None

    def _repeated(self, candidate: Candidate) -> HeldBack | None:
        latest = max((card.at for card in self._same(candidate) if card.user == self.user != ""), default=None)
        if latest is None:
            return None
        until = latest + timedelta(hours=self.limits.repeat_h)
        return HeldBack(reason=LimitReason.REPEATED, since=latest, until=until) if self.now < until else None

    def _over(self, shown: int) -> HeldBack | None:
        if not self.user or not 0 < self.limits.daily <= shown:
            return None
        return self._for_days(LimitReason.DAILY_LIMIT, midnight(self._day(self.now), self.zone), 1)

    def _same(self, candidate: Candidate) -> list[ShownCard]:
        """Cards of the patient that said the same. One of the future was noted by a clock that went wrong."""
        return [
            card
            for card in self.history.shown
            if card.topic is candidate.topic
            and card.grounds == candidate.grounds != ""
            and card.at <= self.now
            and not self._prepared(card)
        ]

    def _prepared(self, card: ShownCard) -> bool:
        """Whether the same user saw it today outside this encounter: preparing a visit uses up no card."""
        mine = card.user == self.user and self._day(card.at) == self._day(self.now)
        return bool(self.encounter) and mine and card.encounter != self.encounter

    def _for_days(self, reason: LimitReason, since: datetime, days: int) -> HeldBack | None:
        until = midnight(self._day(since) + timedelta(days), self.zone)
        return HeldBack(reason=reason, since=since, until=until) if self.now < until else None

    def _day(self, at: datetime) -> date:
        return at.astimezone(self.zone).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """What a model or follow-up card comes from. prompted: the models, by commas; grounds: a keyed digest."""

    prompted: str
    grounds: str

    @property
    def snoozed_as(self) -> str:
        """The grounds of a snooze of it."""
        return MODEL + self.grounds if self.prompted else self.grounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Limited:
    """What is held back of an answer, and what stands behind each notice that can be."""

    held: Mapping[Topic, HeldBack] = field(default_factory=dict)
    behind: Mapping[Topic, Behind] = field(default_factory=dict)


def snoozed_until(code: str, at: datetime, limits: AlertLimits, zone: tzinfo) -> datetime:
    """Until when a reason of SNOOZES that was given at a moment holds cards back."""
    days = limits.declined_days if SNOOZES[code].lasting else limits.snooze_days
    return midnight(at.astimezone(zone).date() + timedelta(days), zone)


def midnight(day: date, zone: tzinfo) -> datetime:
    """When a day begins at the site."""
    return datetime.combine(day, time.min, zone)


def prompted(assessment: Assessment, topic: Topic) -> tuple[RiskScore, ...]:
    """The scores that the notice of a topic comes from; none where a rule stands behind it."""
    if topic is Topic.SCREENING_PROMPT:
        return assessment.prompting()
    if topic is not Topic.DEPRESSION_FOLLOW_UP or any(f.topic is topic for f in assessment.findings):
        return ()
    return assessment.due_again()


def grounds(assessment: Assessment, topic: Topic) -> str:
    """What a quietable notice rests on, as text to make a digest of: what is different is news to a clinician.

    Of models the inputs as they see them, after caps and bands; of results the instrument, date and total.
    """
    scores = {score.outcome for score in prompted(assessment, topic)}
    taken = {
        name: float(value)
        for explanation in assessment.explanations
        if explanation.outcome in scores
        for name, value in zip(explanation.names, explanation.values, strict=True)
        if value is not None
    }
    results = (
        (f.form.instrument.value if f.form else f.kind.value, f.when.day.isoformat() if f.when else "", f.value or 0)
        for f in assessment.findings
        if f.topic is topic
    )
    return json.dumps(sorted(taken.items()) if scores else sorted(results))


def is_never_quiet(assessment: Assessment, topic: Topic) -> bool:
    """Whether a notice rests on a result whose item on self-harm was not answered, or on a severe one."""
    for form in (finding.form for finding in assessment.findings if finding.topic is topic):
        answer = form.safety_answer if form else None
        if form is None or answer is None or answer.state is AnswerState.BLANK:
            return True
        severe, total = form.instrument.spec.severe_total, total_of(form)
        if severe is not None and total is not None and total >= severe:
            return True
    return False


def assessed_on(chart: PatientRecord) -> tuple[date, ...]:
    """The days of suicide risk assessments by clinicians that are complete, where the very day is on file."""
    return tuple(done.when.day for done in chart.risk_assessments if done.complete and done.when and done.when.exact)
