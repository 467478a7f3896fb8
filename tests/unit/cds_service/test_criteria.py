"""What counts for each measure, in which window, once a person; and what each verdict means."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from episodes import episodes

from cds_service.control.targets import Mode
from cds_service.monitoring.criteria import (
    CriterionState,
    CriterionVerdict,
    ModelCriteria,
    Watched,
    WatchedCall,
    WatchedCard,
    evaluated,
)
from cds_service.monitoring.episodes import Episode
from cds_service.settings.approvals import Approval, Criterion, Measure, Use

BEGINS = datetime(2026, 6, 1, tzinfo=UTC)
NOW = BEGINS + timedelta(days=80)


def criterion(measure: Measure, *, at_least: float | None = None, at_most: float | None = None, **more) -> Criterion:
    value = at_most if at_least is None else at_least
    comparison = "at-most" if at_least is None else "at-least"
    given = {"least_n": 20, "window_days": 90, "text": "In words."} | more
    return Criterion(measure=measure, comparison=comparison, value=value, **given)


def approval(*, exits: Sequence[Criterion] = (), success: Sequence[Criterion] = ()) -> Approval:
    return Approval(
        id="a", version="1", sites=("north",), services=(), owner="Ann", clinical_safety_officer="Ben",
        approved_on=date(2026, 6, 1), review_by=date(2027, 6, 1), uses=(Use.LIVE,), models=(),
        success=tuple(success), exits=tuple(exits),
    )  # fmt: skip


def exit_state(one: Criterion, watched: Watched, now: datetime = NOW) -> CriterionState:
    (state,) = evaluated(approval(exits=[one]), watched, BEGINS, now)
    return state


def success_state(one: Criterion, watched: Watched, now: datetime = NOW) -> CriterionState:
    (state,) = evaluated(approval(success=[one]), watched, BEGINS, now)
    return state


def cards(*accepted: bool, begins: datetime = BEGINS) -> list[WatchedCard]:
    """One a day, each of another person."""
    return [
        WatchedCard(at=begins + timedelta(days=number), patient=f"p{number}", accepted=one)
        for number, one in enumerate(accepted)
    ]


def episode(number: int, *, flagged: bool = False, positive: bool | None = None, **more) -> Episode:
    at = more.pop("at", BEGINS + timedelta(hours=6 * number))
    given = {"probability": 0.1, "patient": f"p{number}", "month": "2026-06", "shown": False, "positive": positive}
    given |= {"measured": None if positive is None else at + timedelta(days=2)}
    return Episode(site="north", outcome="depression", version="3.0.0", at=at, flagged=flagged, **given | more)


OVERRIDDEN = criterion(Measure.OVERRIDE_SHARE, at_least=0.6)


def test_an_exit_passed_by_far_is_breached_with_the_figure_and_moment_of_the_case_that_decided() -> None:
    found = exit_state(OVERRIDDEN, Watched(cards=cards(*[False] * 70)))

    assert (found.verdict, found.n, found.figure) == ("breached", 20, 1.0)
    assert found.decided == BEGINS + timedelta(days=19)
    assert found.e_value > 365 / 90 / 0.05


@pytest.mark.parametrize(
    ("accepted", "verdict"),
    [
        ([False] * 19, CriterionVerdict.TOO_FEW),
        ([False] * 14 + [True] * 8, CriterionVerdict.UNDECIDED),
        ([False] * 12 + [True] * 12, CriterionVerdict.HOLDS),
        ([], CriterionVerdict.TOO_FEW),
    ],
    ids=["too few", "past its limit by chance", "on the right side", "nothing yet"],
)
def test_an_exit_that_is_not_breached(accepted: list[bool], verdict: CriterionVerdict) -> None:
    assert exit_state(OVERRIDDEN, Watched(cards=cards(*accepted))).verdict is verdict


def test_a_success_is_met_beyond_chance_alone() -> None:
    wanted = criterion(Measure.ACCEPTED_SHARE, at_least=0.3)

    assert success_state(wanted, Watched(cards=cards(*[True, True, False] * 20))).verdict == "met"
    assert success_state(wanted, Watched(cards=cards(*[True, False, False] * 20))).verdict == "undecided"


@pytest.mark.parametrize("least_n", [1, 10])
def test_fewer_than_eleven_people_decide_nothing_whatever_the_approval_says(least_n: int) -> None:
    one = criterion(Measure.OVERRIDE_SHARE, at_least=0.05, least_n=least_n)

    found = exit_state(one, Watched(cards=cards(*[False] * 70)))

    assert (found.verdict, found.n) == ("breached", 11)


def test_a_person_counts_once_a_window_with_the_first_case() -> None:
    first, *others = cards(*[False] * 70)
    same = [replace(first, at=card.at, accepted=True) for card in others]

    assert exit_state(OVERRIDDEN, Watched(cards=[*same, first])).n == 1
    assert exit_state(OVERRIDDEN, Watched(cards=[*same, first])).figure == 1.0


def test_in_a_new_window_everything_is_counted_anew_and_what_was_decided_stays() -> None:
    later = NOW + timedelta(days=90)
    fewer = cards(*[False] * 15) + cards(*[False] * 15, begins=BEGINS + timedelta(days=90))

    assert exit_state(OVERRIDDEN, Watched(cards=fewer), later).verdict == "too-few"
    assert exit_state(OVERRIDDEN, Watched(cards=fewer), later).begins == BEGINS + timedelta(days=90)
    decided = exit_state(OVERRIDDEN, Watched(cards=cards(*[False] * 70)), later)
    assert (decided.verdict, decided.begins) == ("breached", BEGINS)


def test_daily_looks_say_what_one_look_at_the_end_says() -> None:
    watched = Watched(cards=cards(*[False] * 5, *[True], *[False] * 5, *[True], *[False] * 60))
    looks = [exit_state(OVERRIDDEN, watched, BEGINS + timedelta(days=day)) for day in range(81)]
    first = next(day for day, state in enumerate(looks) if state.decided)

    assert {state.verdict for state in looks[first:]} == {"breached"}
    assert looks[first] == looks[-1] == exit_state(OVERRIDDEN, watched)
    assert looks[-1].decided == BEGINS + timedelta(days=first)


def test_people_who_come_again_change_nothing_of_what_earlier_looks_saw() -> None:
    """Two of three people have an estimate at their first call, and every call after it says the opposite."""
    generator = random.Random(1)
    firsts = [(number, generator.random() < 0.35) for number in range(80)]
    calls = []
    for number, scored in firsts:
        for later in (0, *generator.sample(range(1, 80), 6)):
            at = BEGINS + timedelta(days=number + later, minutes=number)
            calls.append(WatchedCall(at=at, patient=f"p{number}", scored=scored != bool(later)))
    low = criterion(Measure.SCORED_SHARE, at_most=0.5, window_days=180)
    looks = [exit_state(low, Watched(calls=calls), BEGINS + timedelta(days=day)) for day in range(170)]
    decided = [state for state in looks if state.decided]

    assert decided
    assert looks[-len(decided) :] == [decided[0]] * len(decided)
    seen = [scored for _, scored in firsts]
    assert [state.figure for state in looks[1:20]] == [sum(seen[:n]) / n for n in range(1, 20)]
    assert decided[0].decided == BEGINS + timedelta(days=decided[0].n - 1, minutes=decided[0].n - 1)


def test_what_was_before_the_first_window_and_what_is_yet_to_come_does_not_count() -> None:
    early = cards(*[False] * 30, begins=BEGINS - timedelta(days=30))

    assert exit_state(OVERRIDDEN, Watched(cards=early)).n == 0
    assert exit_state(OVERRIDDEN, Watched(cards=cards(*[False] * 70)), BEGINS + timedelta(days=4)).n == 5
    begun_before = [episode(n, flagged=True, positive=True, at=BEGINS - timedelta(days=1)) for n in range(40)]
    assert exit_state(criterion(Measure.SENSITIVITY, at_most=0.2), Watched(episodes=begun_before)).n == 0


SOME = (
    [episode(n, flagged=True, positive=n % 2 == 0) for n in range(30)]
    + [episode(n, positive=n % 3 == 0) for n in range(30, 60)]
    + [episode(n) for n in range(60, 100)]
)


@pytest.mark.parametrize(
    ("measure", "n", "figure"),
    [
        (Measure.FLAG_RATE, 100, 0.3),
        (Measure.POSITIVE_PREDICTIVE_VALUE, 30, 0.5),
        (Measure.SENSITIVITY, 25, 0.6),
        (Measure.OBSERVED_TO_EXPECTED, 60, 25 / 6),
    ],
)
def test_what_is_counted_of_episodes(measure: Measure, n: int, figure: float) -> None:
    found = exit_state(criterion(measure, at_least=0.99 if n != 60 else 10), Watched(episodes=SOME))

    assert (found.n, found.figure) == (n, pytest.approx(figure))
    assert found.verdict == "holds-so-far"


def test_that_outcomes_come_sooner_where_they_are_there_stops_no_model() -> None:
    """Known after three days at most with the outcome, after five to fourteen without; at the limit, 40 windows."""
    limit, generator = criterion(Measure.OBSERVED_TO_EXPECTED, at_least=1.25), random.Random(3)
    breached = 0
    for _ in range(40):
        found = []
        for number in range(400):
            at, positive = BEGINS + timedelta(hours=4 * number), generator.random() < 0.25
            lag = timedelta(days=generator.uniform(0, 3) if positive else generator.uniform(5, 14))
            found.append(episode(number, positive=positive, at=at, probability=0.2, known=at + lag))
        looks = (exit_state(limit, Watched(episodes=found), BEGINS + timedelta(days=day)) for day in (10, 20, 80))
        breached += any(state.decided is not None for state in looks)

    assert breached <= 3


def test_a_success_of_an_earlier_window_holds_until_a_later_one_falls_short() -> None:
    wanted = criterion(Measure.ACCEPTED_SHARE, at_least=0.3)
    good, second = cards(*[True] * 30), BEGINS + timedelta(days=90)
    later = second + timedelta(days=100)

    assert success_state(wanted, Watched(cards=good), later).verdict == "met"
    assert success_state(wanted, Watched(cards=good + cards(*[True] * 5, begins=second)), later).verdict == "met"
    fell = Watched(cards=good + cards(*[False] * 25, begins=second))
    assert success_state(wanted, fell, second + timedelta(days=80)).verdict == "met", "not yet a whole window"
    assert success_state(wanted, fell, later).verdict == "too-few"


def test_calls_without_an_estimate_count_against_the_scored_share() -> None:
    calls = [
        WatchedCall(at=BEGINS + timedelta(hours=number), patient=f"p{number}", scored=number % 4 == 0)
        for number in range(100)
    ]

    found = exit_state(criterion(Measure.SCORED_SHARE, at_most=0.5), Watched(calls=calls))

    assert found.verdict == "breached"
    assert found.figure < 0.4


def test_near_misses_are_counted_and_need_no_test() -> None:
    reports = [BEGINS + timedelta(days=day) for day in (3, 30, 60)]
    two = criterion(Measure.NEAR_MISSES, at_least=2, least_n=1)

    found = exit_state(two, Watched(near_misses=reports))
    assert (found.verdict, found.n, found.decided, found.e_value) == ("breached", 2, reports[1], None)
    assert exit_state(two, Watched(near_misses=reports[:1])).verdict == "holds-so-far"
    assert exit_state(two, Watched()).verdict == "holds-so-far"


def test_that_there_were_few_near_misses_is_known_once_a_window_has_passed() -> None:
    none = criterion(Measure.NEAR_MISSES, at_most=0, least_n=1)

    assert success_state(none, Watched()).verdict == "undecided"
    found = success_state(none, Watched(), NOW + timedelta(days=90))
    assert (found.verdict, found.decided) == ("met", BEGINS + timedelta(days=90))


def test_a_calibrated_model_breaches_no_limit_above_its_figure_and_a_biased_clinic_is_found() -> None:
    limit = criterion(Measure.OBSERVED_TO_EXPECTED, at_least=1.25, window_days=92)
    calm, off = (
        exit_state(limit, Watched(episodes=episodes(1500, seed=4, level=level)), NOW + timedelta(days=11))
        for level in (0.0, 0.8)
    )

    assert calm.verdict == "holds-so-far"
    assert calm.figure == pytest.approx(1.0, abs=0.15)
    assert off.verdict == "breached"


@pytest.mark.parametrize(
    ("mode", "success", "exit_", "expected"),
    [
        (Mode.SILENT, ["met", "met"], ["holds-so-far"], True),
        (Mode.PILOT, ["met"], ["undecided"], True),
        (Mode.LIVE, ["met"], ["holds-so-far"], False),
        (Mode.OFF, ["met"], ["holds-so-far"], False),
        (Mode.SILENT, ["met", "undecided"], ["holds-so-far"], False),
        (Mode.SILENT, ["met"], ["breached"], False),
        (Mode.SILENT, [], ["holds-so-far"], False),
    ],
    ids=["silent", "pilot", "live already", "off", "one not met", "an exit breached", "no success criterion"],
)
def test_a_model_may_be_promoted_when_all_successes_are_met_and_no_exit_is_breached(
    mode: Mode, success: list[str], exit_: list[str], expected: bool
) -> None:
    states = [
        CriterionState(
            role=role, criterion=OVERRIDDEN, begins=BEGINS, n=50, figure=0.5, e_value=1.0,
            verdict=CriterionVerdict(verdict),
        )
        for role, verdicts in (("success", success), ("exit", exit_))
        for verdict in verdicts
    ]  # fmt: skip
    of_model = ModelCriteria(
        site="north", outcome="depression", version="3.0.0", approval="a", mode=mode, begins=BEGINS,
        states=tuple(states),
    )  # fmt: skip

    assert of_model.may_be_promoted is expected
