"""What a site shares: nothing of few people, whatever is subtracted from what; and files of others are not trusted."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations

import msgspec
import numpy as np
import pytest
from episodes import episodes
from scipy.optimize import linprog

from cds_service.monitoring.counting import site_figures
from cds_service.monitoring.sharing import (
    MOST_BYTES,
    ROUNDED_TO,
    SharedBefore,
    SharedSite,
    ambiguous,
    coarse,
    read_shared,
    refused,
    shared_group,
    shared_model,
    shared_noisy,
)
from cds_service.monitoring.site_figures import GroupFigures, OutcomeFigures, SiteEstimate
from models.evaluation.metrics import SCALES, Z_95, auroc, observed_over_expected

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
MONTHS = tuple(f"2026-{month:02}" for month in range(1, 7))
FIGURE = {"value": 0.75, "low": 0.7, "high": 0.8}
COUNTS = ("people", "measured", "positive")
HALF = ROUNDED_TO // 2


def shared(people):
    return shared_model(site_figures(people, threshold=0.2, now=NOW)[0])


def of_months(people, last):
    return [one for one in people if one.month <= MONTHS[last]]


def truth(people, name, by="", group=""):
    own = [one for one in people if not by or {"sex": one.sex, "age-band": one.age_band, **one.groups}[by] == group]
    wanted = {
        "people": own,
        "measured": [o for o in own if o.positive is not None],
        "positive": [o for o in own if o.positive],
    }
    return len({one.patient for one in wanted[name]})


def a_file(tmp_path, name="north", *, since="2026-01", last="2026-06", **changes):
    everyone = {"people": 400, "measured": 200, "positive": 40, "observed": {"auroc": changes.pop("figure", FIGURE)}}
    body = {"format": 1, "site": name, "release": "0.1.0", "made": "2026-11", "since": since, "last": last,
            "models": [{"outcome": "depression", "version": "3.0.0", "everyone": everyone}]}  # fmt: skip
    path = tmp_path / f"{len(list(tmp_path.iterdir()))}.json"
    path.write_text(json.dumps(body | changes), encoding="utf-8")
    return path


# ---- somebody tries to find few people ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_no_difference_of_neighbouring_periods_or_of_groups_and_totals_is_a_count_from_1_to_10(seed):
    generator = random.Random(seed)
    people = episodes(generator.randrange(60, 700), seed=seed, months=MONTHS, measured=generator.choice([0.2, 0.5]))
    files = [shared(of_months(people, last)) for last in range(2, 6)]

    found = set()
    for name in COUNTS:
        totals = [getattr(file.everyone, name) for file in files]
        found |= {b - a for a, b in combinations(totals, 2) if a is not None and b is not None}
        for file in files:
            shown = {(g.by, g.group): getattr(g, name) for g in file.groups}
            for by in {key[0] for key in shown}:
                parts = [count for key, count in shown.items() if key[0] == by]
                found |= {count for count in parts if count is not None}
                for size in range(1, len(parts) + 1):
                    for some in combinations([p for p in parts if p is not None], size):
                        found |= {abs((getattr(file.everyone, name) or 0) - sum(some))}
        for a, b in combinations(files, 2):
            shown = {(g.by, g.group): getattr(g, name) for g in a.groups}
            later = {(g.by, g.group): getattr(g, name) for g in b.groups}
            found |= {abs(later[k] - shown[k]) for k in shown if shown[k] is not None and later.get(k) is not None}

    assert len(found) > 1
    assert not found & set(range(1, 11))


@pytest.mark.parametrize("seed", range(3))
def test_all_that_is_shared_together_is_compatible_with_nobody_or_with_more_than_ten_in_every_month(seed):
    """The attacker knows how counts are rounded and withheld, and solves for the least and the most."""
    people = episodes(120 + 40 * seed, seed=seed, months=MONTHS, measured=0.4)
    lasts = range(1, 6)
    files = [shared(of_months(people, last)) for last in lasts]
    pinned = 0
    for name in COUNTS:
        rows, limits = [], []
        for last, file in zip(lasts, files, strict=True):
            cumulated = [float(at <= last) for at in range(6)]
            count = getattr(file.everyone, name)
            if count is not None:
                rows += [cumulated, [-one for one in cumulated]]
                limits += [count + HALF - 1, -(count - HALF)]
        # Each month alone, but the first two: these were shared as one period of their own.
        for month in range(2, 6):
            ends = [
                linprog([sign * float(at == month) for at in range(6)], A_ub=np.array(rows), b_ub=limits, bounds=(0, None))
                for sign in (1, -1)
            ] if rows else []  # fmt: skip
            least, most = (ends[0].fun, -ends[1].fun) if ends and all(end.success for end in ends) else (0, 999)
            pinned += least > 0 and most <= 10

    assert pinned == 0


def test_the_number_with_the_outcome_cannot_be_had_from_an_interval():
    """O/E's standard error is sqrt((1 - o / n) / o): an exact one would tell o to the person."""
    given = {}
    for events in range(20, 90):
        y = np.array([1.0] * events + [0.0] * (400 - events))
        found = observed_over_expected(np.full(400, 0.1), y)
        group = GroupFigures(measured=400, positive=events, observed=OutcomeFigures(o_e=SiteEstimate(**found)))
        figure = shared_group(group).observed.o_e
        error = (np.log(figure.high) - np.log(figure.low)) / (2 * Z_95)
        given.setdefault(round(float(error), 2), set()).add(events)

    assert all(len(events) >= 11 for events in list(given.values())[:-1]), given


def test_the_number_with_the_outcome_cannot_be_had_from_the_ratio_that_an_auroc_is():
    """To three places it is a ratio of whole numbers for most numbers of people that fit the rounded counts."""
    generator = np.random.default_rng(7)
    with_outcome, without = 24, 61
    ranking = generator.normal(size=85) + np.array([0.8] * with_outcome + [0.0] * without)
    value = round(auroc(ranking, np.array([1.0] * with_outcome + [0.0] * without))["value"], 3)

    fits = {m for m in range(15, 35) for k in range(45, 75) if abs(round(value * m * k) / (m * k) - value) <= 0.0005}

    assert len(fits) >= 15


def test_erasing_one_person_changes_no_count_or_a_whole_step():
    people = episodes(300, seed=9, months=MONTHS)
    before = shared(people)

    for gone in people[::50]:
        after = shared([one for one in people if one.patient != gone.patient])
        for name in COUNTS:
            a, b = getattr(before.everyone, name), getattr(after.everyone, name)
            assert a is None or b is None or abs(a - b) in (0, ROUNDED_TO)


def test_a_small_group_is_withheld_and_no_figure_leaves_of_fewer_than_twenty_either_way():
    people = episodes(400, seed=3, months=MONTHS, measured=0.5)
    few = [replace(one, groups={"language": "xx" if at < 7 else "en"}) for at, one in enumerate(people)]

    groups = {(g.by, g.group): g for g in shared(few).groups}
    few_with = shared_group(
        GroupFigures(measured=300, positive=19, observed=OutcomeFigures(auroc=SiteEstimate(**FIGURE)))
    )

    assert ("language", "xx") not in groups, "its name alone tells that somebody of it was there"
    assert ("sex", "female") in groups
    assert few_with.observed.auroc is None
    assert few_with.positive == 20


def test_what_leaves_holds_no_person_and_no_day():
    people = episodes(500, seed=5, months=MONTHS, measured=0.6)

    text = msgspec.json.encode(shared(people)).decode()

    assert not any(one.patient in text or (one.department or "") in text for one in people)
    assert "2026-" not in text


def test_shared_figures_are_near_those_of_the_people():
    people = episodes(4000, seed=6, months=MONTHS, measured=0.5)
    exact = site_figures(people, threshold=0.2, now=NOW)[0].everyone

    found = shared(people).everyone

    assert abs(found.people - exact.people) <= HALF
    for name, (there, _) in SCALES.items():
        ours, theirs = getattr(found.observed, name), getattr(exact.observed, name)
        assert ours.value == pytest.approx(theirs.value, abs=0.001)
        width, was = (there(f.high) - there(f.low) for f in (ours, theirs))
        assert 0.98 < width / was < 1.45


def test_noisy_counts_are_as_coarse_and_small_ones_withheld():
    found = shared_noisy(47, 7, {"auroc": FIGURE, "slope": None, "o_e": {"value": None, "low": None, "high": None}})

    assert (found.measured, found.positive) == (coarse(47), None) == (40, None)
    assert found.observed.auroc.value == 0.75
    assert found.observed.o_e is None


@pytest.mark.parametrize(
    ("since", "last", "may"),
    [("2026-01", "2026-08", True), ("2026-01", "2026-06", True), ("2026-02", "2026-06", False), ("2025-12", "2026-01", False), ("2026-06", "2026-12", False)],
)  # fmt: skip
def test_months_that_were_shared_are_shared_again_only_from_the_same_month_on(since, last, may):
    why = refused(since, last, None, [SharedBefore(since="2026-01", until="2026-06")])

    assert (why is None) is may


def test_noise_of_several_files_adds_up_and_after_a_file_without_it_none_is_made():
    noisy = [SharedBefore(since="2026-01", until=until, epsilon=4.0) for until in ("2026-03", "2026-06")]

    assert refused("2026-01", "2026-06", 2.0, noisy) is None
    assert "8 went before" in refused("2026-01", "2026-06", 3.0, noisy)
    assert "without noise before" in refused(
        "2026-01", "2026-06", 1.0, [SharedBefore(since="2026-01", until="2026-06")]
    )
    assert refused("2026-07", "2026-08", 9.0, []) is None


# ---- files of others ----------------------------------------------------------------------------------------------


def test_a_file_is_read_as_it_was_written(tmp_path):
    found = read_shared(a_file(tmp_path))

    assert (found.site, found.models[0].everyone.observed.auroc.value) == ("north", 0.75)
    assert msgspec.json.decode(msgspec.json.encode(found), type=SharedSite) == found


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2}, {"format": "1"}, {"site": ""}, {"site": "x" * 61}, {"site": "\x1b[31mred"}, {"site": "a\nb"},
        {"since": "2026-13"}, {"since": "2026-07"}, {"made": "2026-11-30"}, {"epsilon": 0}, {"patients": ["p1"]},
        {"models": [{"outcome": "depression"}]}, {"models": {}}, {"figure": FIGURE | {"low": 0.9}},
        {"figure": FIGURE | {"value": "0.75"}}, {"figure": FIGURE | {"value": float("nan")}},
        {"figure": FIGURE | {"high": float("inf")}}, {"figure": FIGURE | {"high": 10**400}},
        {"figure": {"value": 5, "low": 4, "high": 6}}, {"figure": FIGURE | {"low": -1e308}},
    ],
)  # fmt: skip
def test_a_file_that_is_no_export_is_refused_with_what_was_expected(tmp_path, changes):
    with pytest.raises(ValueError, match="expected a file of `mhcds evaluate-site` of format 1") as error:
        read_shared(a_file(tmp_path, **changes))

    assert str(error.value).isprintable()


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"null", b'"x"', b"0" * (MOST_BYTES + 1)])
def test_bytes_that_are_no_json_of_ours_are_refused(tmp_path, body):
    path = tmp_path / "odd.json"
    path.write_bytes(body)

    with pytest.raises(ValueError, match=r"odd\.json: expected"):
        read_shared(path)


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path):
    with pytest.raises(ValueError, match="it cannot be read"):
        read_shared(tmp_path / "none.json")


def test_two_files_about_the_same_people_are_refused_and_two_of_different_months_are_not(tmp_path):
    first = read_shared(a_file(tmp_path))
    same, part = read_shared(a_file(tmp_path)), read_shared(a_file(tmp_path, since="2026-06", last="2026-08"))
    later, other = (
        read_shared(a_file(tmp_path, since="2026-07", last="2026-08")),
        read_shared(a_file(tmp_path, "south")),
    )

    assert "two files of north, 2026-01 to 2026-06 and 2026-01 to 2026-06" in ambiguous([first, other, same])
    assert ambiguous([part, first]) is not None
    assert ambiguous([first, later, other]) is None
