"""Episodes to figures: what counts, what is computed, and what is said where little is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest
from episodes import episodes

from cds_service.monitoring.counting import site_figures
from cds_service.monitoring.daily import as_of_closing, closed_months
from cds_service.monitoring.shown import shown
from cds_service.monitoring.site_figures import CountLevel, SiteFigures, Unsaid
from cds_service.settings.sites import SiteConfig
from explanations.words.notices.notice import NoticeSettings

NOW = datetime(2026, 11, 30, tzinfo=UTC)
REFERENCE = (("age", {"known": 0.9, "edges": [0.5, 1.5], "shares": [0.5, 0.3, 0.2]}),)
LIKE, OTHER = [[0.45, 0.27, 0.18]], [[0.1, 0.1, 0.7]]


def figures(made, **how) -> dict[str, SiteFigures]:
    return {row.month: row for row in site_figures(made, threshold=0.2, now=NOW, **how)}


def test_a_calibrated_site_is_seen_as_one_and_a_higher_level_as_that() -> None:
    level, higher = (figures(episodes(3000, level=level, seed=3))[""].everyone.observed for level in (0.0, 0.9))

    assert level.o_e.low < 1 < level.o_e.high
    assert higher.o_e.low > 1.4
    assert level.slope.low < 1 < level.slope.high
    assert abs(level.auroc.value - higher.auroc.value) < 0.05


def test_a_level_that_drifts_shows_by_month_and_a_bias_by_group() -> None:
    drifting = figures(episodes(4000, drift=0.5, seed=1))
    biased = figures(episodes(4000, bias={"es": 1.2}, seed=1))[""]

    values = [drifting[month].everyone.observed.o_e.value for month in ("2026-06", "2026-07", "2026-08")]
    assert values == sorted(values)
    assert values[-1] > 1.5 * values[0]
    groups = {group.group: group.observed.o_e for group in biased.groups if group.by == "language"}
    assert groups["es"].low > groups["en"].high


def test_all_months_are_computed_together_and_carry_their_days() -> None:
    found = figures(episodes(1000))

    assert list(found) == ["", "2026-06", "2026-07", "2026-08"]
    assert (found[""].since, found[""].last) == (date(2026, 6, 1), date(2026, 8, 31))
    assert found[""].everyone.episodes == sum(found[month].everyone.episodes for month in found if month)


def test_what_may_still_get_an_outcome_does_not_count_and_a_month_of_nothing_else_has_no_row() -> None:
    made = [replace(one, over=one.month != "2026-08") for one in episodes(900)]

    assert list(figures(made)) == ["", "2026-06", "2026-07"]
    assert not figures([replace(one, over=False) for one in made])


def test_one_event_in_a_group_gives_no_figure_of_its_outcome_and_says_why() -> None:
    made = [
        replace(
            one,
            groups={"language": "qu" if number < 40 else "en"},
            positive=number == 3 if number < 40 else one.positive,
        )
        for number, one in enumerate(episodes(1000, level=1.0))
    ]

    group = next(one for one in figures(made)[""].groups if one.group == "qu")

    assert group.observed.auroc is None
    assert group.unsaid[CountLevel.OUTCOME] is Unsaid.SMALL
    assert (shown(group, "auroc"), shown(group, "ppv"), shown(group, "episodes")) == ("under 11", "under 11", "40")


def test_inputs_that_shifted_are_unlike_and_those_that_did_not_are_not() -> None:
    (like,), (other,) = (
        figures(episodes(1000, inputs=inputs), reference=REFERENCE)[""].inputs for inputs in (LIKE, OTHER)
    )

    assert (like.unlike, other.unlike) == (False, True)
    assert other.psi > 0.25
    assert like.known == pytest.approx(0.9, abs=0.03)


def test_an_input_known_of_a_few_people_has_no_share() -> None:
    made = [replace(one, inputs="0" if number < 5 else "-") for number, one in enumerate(episodes(300))]

    (row,) = figures(made, reference=REFERENCE)[""].inputs

    assert (row.known, row.psi) == (None, None)


def test_events_of_earlier_releases_without_inputs_leave_the_others_as_they_are() -> None:
    made = [
        replace(one, inputs="" if number % 2 else one.inputs) for number, one in enumerate(episodes(1000, inputs=LIKE))
    ]

    (row,) = figures(made, reference=REFERENCE)[""].inputs

    assert row.known == pytest.approx(0.9, abs=0.05)


def test_flags_of_another_threshold_have_no_net_benefit_at_this_one() -> None:
    made = episodes(1500, threshold=0.3)

    mixed, right = (site_figures(made, threshold=threshold, now=NOW)[0].everyone.observed for threshold in (0.2, 0.3))

    assert (mixed.model, mixed.everyone) == (None, None)
    assert right.model is not None
    assert mixed.ppv == right.ppv


def test_rows_come_back_from_json_as_they_were() -> None:
    rows = site_figures(episodes(700, inputs=LIKE), threshold=0.2, now=NOW, reference=REFERENCE)

    assert tuple(msgspec.json.decode(msgspec.json.encode(row), type=SiteFigures) for row in rows) == rows


def test_only_months_whose_windows_have_passed_count_and_outcomes_known_when_the_last_closed() -> None:
    site = SiteConfig(id="north", cards=NoticeSettings(zone=ZoneInfo("America/Chicago")), audit_days=100)
    window = closed_months(site, datetime(2026, 9, 14, 12, tzinfo=UTC))
    late = datetime(2026, 8, 14, 12, tzinfo=UTC)
    made = [
        replace(one, known=late if number % 2 else one.measured)
        for number, one in enumerate(episodes(300, measured=1.0))
    ]

    kept = as_of_closing(site, made, window)

    assert (window.since, window.until) == (date(2026, 7, 1), date(2026, 8, 1))  # what is kept begins in June
    assert closed_months(site, datetime(2026, 9, 15, 12, tzinfo=UTC)).until == date(2026, 9, 1)
    assert {one.month for one in kept} == {"2026-07"}
    assert 0 < sum(one.positive is not None for one in kept) < len(kept)
    assert closed_months(replace(site, audit_days=None), NOW).since == date(2025, 11, 1)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_of_next_to_nobody_nothing_is_said(n: int) -> None:
    found = figures(episodes(n, months=("2026-06",)))

    assert all(row.everyone.episodes is None and not any(row.score_bins) for row in found.values())
    assert len(found) == (2 if n else 0)
