"""What the criteria of an approval say of a model at a site: by a test that may be looked at every day (decision 0058).

Windows follow one another from the approval's first day, or from the last act on the model's mode if that is later. In
each a person counts once, and cases in the order in which they became known, so later looks only add to earlier ones.
An outcome counts as known once its time has passed, however soon it came: those that come soon are not like the others.
An exit once decided stays so, with the figure of that moment, until an act on the mode begins windows anew; a success
until a later window falls short. The windows of a year together decide falsely once in about twenty years.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

import numpy as np

from cds_service.control.targets import Mode
from cds_service.monitoring.episodes import LEAST_PEOPLE, Episode
from cds_service.settings.approvals import Approval, Criterion, Measure
from cds_service.settings.monitoring import MonitoringSettings
from models.evaluation.sequential import error_of, evidence

Role = Literal["success", "exit"]


class CriterionVerdict(StrEnum):
    """How far a criterion is. The values are stable: they stand in records and JSON."""

    TOO_FEW = "too-few"
    UNDECIDED = "undecided"  # a success not shown yet; an exit whose figure is past its limit, which may be chance
    HOLDS = "holds-so-far"  # an exit whose figure is on the right side
    BREACHED = "breached"
    MET = "met"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedCall:
    """A call to a service that asks models. scored: whether this model gave an estimate, said or not."""

    at: datetime
    patient: str
    scored: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedCard:
    """A card that the model prompted and of which there is feedback. at: when it counts as known what came of it."""

    at: datetime
    patient: str
    accepted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """All that criteria are about, of one model at a site. near_misses: when each was reported.

    closing: after which the outcome window of an episode has passed.
    """

    closing: timedelta = timedelta(days=MonitoringSettings().outcome_days + 1)
    episodes: Sequence[Episode] = ()
    calls: Sequence[WatchedCall] = ()
    cards: Sequence[WatchedCard] = ()
    near_misses: Sequence[datetime] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionState:
    """A criterion as of now, or of when it was decided. begins: its window; n: people, or reports of near misses.

    e_value: None for a plain count. decided: when the case that decided it became known. n, figure and e_value are None
    where they are withheld.
    """

    role: Role
    criterion: Criterion
    begins: datetime
    n: int | None
    figure: float | None
    e_value: float | None
    verdict: CriterionVerdict
    decided: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCriteria:
    """A model's criteria by one approval. begins: of the first window; mode: of all services."""

    site: str
    outcome: str
    version: str
    approval: str
    mode: Mode
    begins: datetime
    states: tuple[CriterionState, ...]

    @property
    def breached(self) -> tuple[CriterionState, ...]:
        """The exit criteria that were breached."""
        return tuple(state for state in self.states if state.verdict is CriterionVerdict.BREACHED)

    @property
    def published(self) -> ModelCriteria:
        """Without the figures of what is not decided: those of two days would tell of one person, by subtraction."""
        states = (
            state
            if state.decided or state.criterion.measure is Measure.NEAR_MISSES
            else replace(state, n=None, figure=None, e_value=None)
            for state in self.states
        )
        return replace(self, states=tuple(states))

    @property
    def may_be_promoted(self) -> bool:
        """Whether all success criteria are met and no exit is breached. People promote; nothing promotes itself."""
        success = [state.verdict is CriterionVerdict.MET for state in self.states if state.role == "success"]
        return self.mode not in (Mode.OFF, Mode.LIVE) and bool(success) and all(success) and not self.breached


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """at: when it became known. expected: the estimate, for observed over expected."""

    at: datetime
    person: str
    hit: bool
    expected: float = 1.0


def evaluated(approval: Approval, watched: Watched, begins: datetime, now: datetime) -> tuple[CriterionState, ...]:
    """Each criterion, successes first. watched: what happened before `begins` or after `now` does not count."""
    success = (_state("success", criterion, watched, begins, now) for criterion in approval.success)
    return (*success, *(_state("exit", criterion, watched, begins, now) for criterion in approval.exits))


def _state(role: Role, criterion: Criterion, watched: Watched, begins: datetime, now: datetime) -> CriterionState:
    window = timedelta(days=criterion.window_days)
    cases = defaultdict[int, list[_Case]](list)
    for case in sorted(_cases(criterion.measure, watched, begins), key=lambda case: (case.at, case.person)):
        if begins <= case.at <= now:
            cases[(case.at - begins) // window].append(case)
    judge = _counted if criterion.measure is Measure.NEAR_MISSES else _tested
    windows = range(max(now - begins, timedelta(0)) // window + 1)
    states = [judge(role, criterion, begins + number * window, cases[number], now) for number in windows]
    return _success(states) if role == "success" else next((one for one in states if one.decided), states[-1])


def _success(states: Sequence[CriterionState]) -> CriterionState:
    """That of the latest window in which it was met, unless a whole window after it fell short of the limit."""
    for state in reversed(states):
        if state.decided:
            return state
        if state is not states[-1] and state.verdict is CriterionVerdict.UNDECIDED and not _is_past(state):
            break
    return states[-1]


def _is_past(state: CriterionState) -> bool:
    criterion = state.criterion
    above = criterion.comparison == "at-least"
    return state.figure is not None and (state.figure >= criterion.value) == above


def _tested(
    role: Role, criterion: Criterion, begins: datetime, cases: Sequence[_Case], _now: datetime
) -> CriterionState:
    """Of the cases of one window, by the sequential test."""
    of_each = dict[str, _Case]()
    for case in cases:
        of_each.setdefault(case.person, case)
    first = list(of_each.values())
    above, least = criterion.comparison == "at-least", max(criterion.least_n, LEAST_PEOPLE)
    ratio = criterion.measure is Measure.OBSERVED_TO_EXPECTED
    found = evidence(
        np.array([case.hit for case in first], dtype=bool),
        np.array([case.expected for case in first]) if ratio else None,
        criterion.value,
        above=above,
        alpha=error_of(criterion.window_days),
        least_n=least,
    )
    past = found.figure is not None and (found.figure >= criterion.value) == above
    return CriterionState(
        role=role,
        criterion=criterion,
        begins=begins,
        n=found.n,
        figure=found.figure,
        e_value=found.e_value,
        verdict=_verdict(role, decided=found.decided is not None, enough=found.n >= least, past=past),
        decided=None if found.decided is None else first[found.decided].at,
    )


def _counted(
    role: Role, criterion: Criterion, begins: datetime, cases: Sequence[_Case], now: datetime
) -> CriterionState:
    """Reports of near misses: as many as the limit decide at once; that there were few, the end of the window."""
    n, ends = len(cases), begins + timedelta(days=criterion.window_days)
    decided = None
    if criterion.comparison == "at-least":
        limit = max(criterion.least_n, math.ceil(criterion.value))
        decided = cases[limit - 1].at if n >= limit else None
        n = min(n, limit)
    elif n <= criterion.value and now >= ends:
        decided = ends
    return CriterionState(
        role=role,
        criterion=criterion,
        begins=begins,
        n=n,
        figure=n,
        e_value=None,
        verdict=_verdict(role, decided=decided is not None, enough=True, past=False),
        decided=decided,
    )


def _verdict(role: Role, *, decided: bool, enough: bool, past: bool) -> CriterionVerdict:
    if decided:
        return CriterionVerdict.BREACHED if role == "exit" else CriterionVerdict.MET
    if not enough:
        return CriterionVerdict.TOO_FEW
    return CriterionVerdict.UNDECIDED if role == "success" or past else CriterionVerdict.HOLDS


def _cases(measure: Measure, watched: Watched, begins: datetime) -> Iterator[_Case]:
    """The cases of a measure. Episodes of before the first window were another mode's."""
    if measure is Measure.NEAR_MISSES:
        yield from (_Case(at=at, person="", hit=True) for at in watched.near_misses)
    elif measure is Measure.SCORED_SHARE:
        yield from (_Case(at=call.at, person=call.patient, hit=call.scored) for call in watched.calls)
    elif measure in (Measure.ACCEPTED_SHARE, Measure.OVERRIDE_SHARE):
        wanted = measure is Measure.ACCEPTED_SHARE
        yield from (_Case(at=card.at, person=card.patient, hit=card.accepted is wanted) for card in watched.cards)
    else:
        for episode in watched.episodes:
            if episode.at >= begins and (case := _of_episode(measure, episode, watched.closing)) is not None:
                yield case


def _of_episode(measure: Measure, episode: Episode, closing: timedelta) -> _Case | None:
    if measure is Measure.FLAG_RATE:
        return _Case(at=episode.at, person=episode.patient, hit=episode.flagged)
    known = episode.known or episode.measured
    if episode.positive is None or known is None:
        return None
    case = _Case(at=max(known, episode.at + closing), person=episode.patient, hit=episode.positive)
    if measure is Measure.OBSERVED_TO_EXPECTED:
        return replace(case, expected=episode.probability)
    if measure is Measure.SENSITIVITY:
        return replace(case, hit=episode.flagged) if episode.positive else None
    return case if episode.flagged else None
