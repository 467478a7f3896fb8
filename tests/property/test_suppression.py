"""Of what a site's figures show, no cell of fewer than eleven people can be had, by any linear combination of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from episodes import episodes
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.monitoring import counting
from cds_service.monitoring.counting import MOST_GROUPS, site_figures
from cds_service.monitoring.episodes import LEAST_PEOPLE, Episode
from cds_service.monitoring.month_counts import by_month
from cds_service.monitoring.site_figures import CountLevel, SiteFigures
from cds_service.monitoring.suppression import withheld

NOW = datetime(2026, 11, 30, tzinfo=UTC)
PRIME = 2**31 - 1
COUNTS: dict[str, Callable[[Episode], bool]] = {
    "episodes": lambda one: True,
    "flagged": lambda one: one.flagged,
    "not flagged": lambda one: not one.flagged,
    "measured": lambda one: one.positive is not None,
    "not measured": lambda one: one.positive is None,
    "positive": lambda one: one.positive is True,
    "negative": lambda one: one.positive is False,
    "flagged and positive": lambda one: one.flagged and one.positive is True,
    "flagged and negative": lambda one: one.flagged and one.positive is False,
    "missed": lambda one: not one.flagged and one.positive is True,
    "neither": lambda one: not one.flagged and one.positive is False,
    "flagged and not measured": lambda one: one.flagged and one.positive is None,
    "neither flagged nor measured": lambda one: not one.flagged and one.positive is None,
}
NOBODY_TELLS_NOTHING = (
    "episodes",
    "measured",
    "not measured",
    "flagged and not measured",
    "neither flagged nor measured",
)


def test_a_small_part_takes_the_next_smallest_with_it_so_that_the_total_gives_away_neither() -> None:
    cells = {"all": _people(100), "a": _people(4), "b": _people(30, 4), "c": _people(66, 34)}

    assert set(withheld(cells, [("all", "a", "b", "c")])) == {"a", "b"}


def test_small_parts_that_make_fewer_than_eleven_together_take_another_with_them() -> None:
    cells = {"all": _people(60), "a": _people(4), "b": _people(5, 4), "c": _people(51, 9)}

    assert set(withheld(cells, [("all", "a", "b", "c")])) == {"a", "b", "c"}


def test_a_group_of_a_few_people_has_no_row_that_would_say_that_there_is_one() -> None:
    made = [
        replace(one, groups={"language": "haw" if number < 3 else "en"}) for number, one in enumerate(episodes(400))
    ]

    rows = site_figures(made, threshold=0.2, now=NOW)

    assert "haw" not in str(rows)
    assert not [group for group in rows[0].groups if group.by == "language"]  # the total less the others is that group


def test_twenty_languages_become_the_largest_and_the_others() -> None:
    months = [f"2026-{month:02}" for month in range(1, 13)]
    made = [
        replace(one, groups={"language": f"l{int((number * 7919 % 1000) ** 0.43)}"})
        for number, one in enumerate(episodes(3000, months=months))
    ]

    rows = site_figures(made, threshold=0.2, now=NOW)

    assert len({group.group for group in rows[0].groups if group.by == "language"}) == MOST_GROUPS + 1
    assert not rows[0].everyone.unsaid


def test_thirty_languages_in_two_years_make_no_more_cells_than_ten_and_none_by_month() -> None:
    months = [f"{year}-{month:02}" for year in (2025, 2026) for month in range(1, 13)]
    made = [
        replace(one, groups={"language": f"l{number % 30}"}) for number, one in enumerate(episodes(900, months=months))
    ]

    slices = counting._slices(made)

    by_language = {one for one in slices if one.by == "language"}
    assert {one.month for one in by_language} == {""}
    assert len(by_language) == MOST_GROUPS + 1
    assert len(slices) <= (len(months) + 1) * 8 + len(by_language)


def test_many_visits_of_few_people_are_few_people() -> None:
    counted = by_month(
        {"2026-06": {"too-few-inputs": ["p1", "p2"] * 40}, "2026-07": {"too-few-inputs": list("abcdefghijklmn")}}
    )

    assert counted["2026-06"]["too-few-inputs"] is None
    assert counted[""]["too-few-inputs"] is None or counted["2026-07"]["too-few-inputs"] is None


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.sampled_from([5, 12, 25, 60, 150, 400]),
    months=st.sampled_from([("2026-06",), ("2026-06", "2026-07"), ("2026-06", "2026-07", "2026-08")]),
    measured=st.sampled_from([0.1, 0.4, 1.0]),
    visits=st.integers(1, 3),
)
def test_no_cell_of_fewer_than_eleven_people_can_be_had_by_subtraction(seed, n, months, measured, visits) -> None:
    made = episodes(n, seed=seed, months=months, measured=measured, level=1.0)
    made = tuple(
        replace(one, patient=f"p{number // visits}", age_band=min(one.age_band, "45-64"))
        for number, one in enumerate(made)
    )

    rows = site_figures(made, threshold=0.2, now=NOW)

    # A reader does not know that nobody is in an atom, so each combination of groups has all six.
    sample = [
        replace(one, flagged=flagged, positive=positive)
        for one in {_atom(one): one for one in made}.values()
        for flagged in (True, False)
        for positive in (True, False, None)
    ]
    kept = _kept(made)
    basis = _basis([_vector(sample, test) for row in rows for test in _shown(row, kept)])
    for name, holds in _cells(made):
        own = [one for one in made if holds(one)]
        for count, test in COUNTS.items() if own else ():
            people = {one.patient for one in own if test(one)}
            if len(people) < LEAST_PEOPLE and (people or count not in NOBODY_TELLS_NOTHING):
                vector = _vector(sample, lambda one, holds=holds, test=test: holds(one) and test(one))
                assert not _spanned(basis, vector), f"{count} of {name} ({len(people)} people)"


@pytest.mark.parametrize("seed", range(3))
def test_a_large_site_loses_nothing_of_all_months_but_what_is_small_and_one_beside_it(seed) -> None:
    rows = site_figures(episodes(8000, seed=seed), threshold=0.2, now=NOW)

    assert not rows[0].everyone.unsaid
    shown = [group for group in rows[0].groups if CountLevel.OUTCOME not in group.unsaid]
    assert len(shown) >= 8


def _people(n: int, first: int = 0) -> tuple[frozenset[str]]:
    return (frozenset(f"p{number}" for number in range(first, first + n)),)


def _kept(made: tuple[Episode, ...]) -> set[tuple[str, str]]:
    """The groups that have a name of their own in figures."""
    people: dict[tuple[str, str], set[str]] = {}
    for one in made:
        for group in _groups(one).items():
            people.setdefault(group, set()).add(one.patient)
    return {group for group, own in people.items() if len(own) >= LEAST_PEOPLE}


def _shown(row: SiteFigures, kept: set[tuple[str, str]]) -> Iterator[Callable[[Episode], bool]]:
    """What a reader knows of each count, from what the row says; a figure gives away the counts it is made of."""
    for group in (row.everyone, *row.groups):
        holds = _holder(row.month, group.by, group.group, kept)
        names = {"episodes": group.episodes, "flagged": group.flag_rate, "measured": group.share_measured}
        names |= {"positive": group.observed.o_e or group.positive, "flagged and positive": group.observed.ppv}
        names |= {"flagged and negative": group.observed.model}
        for count, value in names.items():
            if value is not None:
                yield lambda one, holds=holds, count=count: holds(one) and COUNTS[count](one)


def _cells(made: tuple[Episode, ...]) -> Iterator[tuple[str, Callable[[Episode], bool]]]:
    groups = {("", "")} | {(by, group) for one in made for by, group in _groups(one).items()}
    for month in ("", *sorted({one.month for one in made})):
        for by, group in sorted(groups):
            yield f"{month} {by} {group}", _holder(month, by, group)


def _holder(month: str, by: str, group: str, kept: set[tuple[str, str]] | None = None) -> Callable[[Episode], bool]:
    """Of a group, or of all those without a name of their own."""

    def name(one: Episode) -> str:
        own = _groups(one)[by]
        return "others" if kept is not None and (by, own) not in kept else own

    return lambda one: month in ("", one.month) and (not by or name(one) == group)


def _groups(one: Episode) -> dict[str, str]:
    return {"sex": one.sex, "age-band": one.age_band, **one.groups}


def _atom(one: Episode) -> tuple[str, ...]:
    return (one.month, *_groups(one).values())


def _vector(sample: Iterable[Episode], test: Callable[[Episode], bool]) -> np.ndarray:
    """Which atoms a count holds, from an episode of each; a whole atom is in it or is not."""
    return np.array([int(test(one)) for one in sample], dtype=np.int64)


def _basis(rows: list[np.ndarray]) -> dict[int, np.ndarray]:
    """Pivot -> row, in echelon form modulo a prime."""
    basis: dict[int, np.ndarray] = {}
    for row in rows:
        left = _reduced(basis, row)
        if left.any():
            pivot = int(np.flatnonzero(left)[0])
            basis[pivot] = left * pow(int(left[pivot]), -1, PRIME) % PRIME
    return basis


def _reduced(basis: dict[int, np.ndarray], row: np.ndarray) -> np.ndarray:
    for pivot in sorted(basis):
        if row[pivot]:
            row = (row - row[pivot] * basis[pivot]) % PRIME
    return row


def _spanned(basis: dict[int, np.ndarray], row: np.ndarray) -> bool:
    return not _reduced(basis, row).any()
