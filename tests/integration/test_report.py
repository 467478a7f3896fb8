"""The evaluation report on invented people: whole, self-contained, with words and a table beside every plot."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.evaluate import SUBGROUPS, Evaluation
from models.evaluation.metrics import auroc, net_benefit
from models.inputs.patterns import ALL, patterns
from models.reports.figures import PATTERN_WORDS
from models.reports.html_report import precision_points, roc_points, write_report
from tests.unit.models import synthetic_survey

# shap and matplotlib warn of each other's future.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::PendingDeprecationWarning", "ignore::UserWarning"
)
CYCLES = ("2013-2014", "2017-2018")


def quiet(description: str, done: int, total: int) -> None:
    assert 0 <= done <= total


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    folder = synthetic_survey.write_parquet(tmp_path_factory.mktemp("survey") / "s", CYCLES, people=400)
    return Evaluation.of([folder], None, progress=quiet)


@pytest.fixture(scope="module")
def page(evaluation: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("report")
    metrics = evaluation.metrics(progress=quiet)
    path = write_report(evaluation.frame, evaluation.contenders, metrics, out, progress=quiet)
    assert [p.name for p in out.iterdir()] == ["report.html"]
    return path.read_text(encoding="utf-8")


def test_the_page_needs_no_other_file_and_no_network(page: str):
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#|data:)""", re.sub(r"xlink:href", "href", page))
    assert "<script" not in page
    assert "@import" not in page
    assert "url(http" not in page
    assert len(page) < 4_000_000


def test_every_plot_says_in_words_what_it_shows_and_has_its_table(page: str):
    sections = page.split('<section class="figure">')[1:]

    assert len(sections) == 11 * 2
    for section in sections:
        assert section.count("<table>") == 1
        drawings = len(re.findall(r'<svg[^>]*class="plot"', section)) + section.count('<img class="plot"')
        assert drawings <= 1
        assert section.count("<desc>") == section.count("<svg")
        if "<img" in section:
            assert re.search(r'<img class="plot" alt="[^"]{40,}"', section)


def test_no_two_parts_of_the_page_share_a_name(page: str):
    names = re.findall(r'\sid="([^"]+)"', page)

    assert len(names) == len(set(names))


def test_every_pattern_and_subgroup_is_named_and_small_cells_say_too_few(page: str, evaluation: Evaluation):
    for contender in evaluation.contenders:
        for pattern in patterns(contender.outcome, contender.schema):
            assert pattern == ALL or f'<th scope="row">{PATTERN_WORDS[pattern]}</th>' in page
    for variable in SUBGROUPS:
        assert f"{variable}: unrecorded" in page
    assert "too few" in page
    assert "nan" not in re.sub(r"data:image[^\"]+", "", page).lower().replace("finance", "")


def test_the_same_people_give_the_same_page(page: str, evaluation: Evaluation, tmp_path: Path):
    metrics = evaluation.metrics(progress=quiet)

    again = write_report(evaluation.frame, evaluation.contenders, metrics, tmp_path, progress=quiet)

    assert again.read_text(encoding="utf-8") == page


def test_the_page_says_where_its_rows_must_not_go(page: str):
    assert "must not be passed on" in page


rankings = st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=5, max_size=60).filter(
    lambda pairs: 2 <= sum(y for _, y in pairs) <= len(pairs) - 2
)


@given(pairs=rankings)
def test_the_area_under_the_drawn_roc_curve_is_the_auroc_that_is_reported(pairs):
    ranking, y = (np.array(values, dtype=float) for values in zip(*pairs, strict=True))

    x, height = roc_points(ranking, y)

    assert (x[0], height[0], x[-1], height[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(height, x) == pytest.approx(auroc(ranking, y)["value"], abs=1e-4)


@given(pairs=rankings)
def test_the_precision_recall_curve_ends_with_everybody_flagged(pairs):
    ranking, y = (np.array(values, dtype=float) for values in zip(*pairs, strict=True))

    recall, precision = precision_points(ranking, y)

    assert recall[-1] == 1
    assert precision[-1] == pytest.approx(y.mean())
    assert (np.diff(recall) >= 0).all()


@given(pairs=rankings, threshold=st.floats(0.01, 0.9))
def test_net_benefit_of_flagging_nobody_is_zero_and_of_everybody_at_a_tiny_threshold_the_prevalence(pairs, threshold):
    y = np.array([float(y) for _, y in pairs])

    assert net_benefit(np.zeros(y.size, dtype=bool), y, threshold) == 0
    assert net_benefit(np.ones(y.size, dtype=bool), y, 1e-9) == pytest.approx(y.mean(), abs=1e-6)
    assert net_benefit(np.ones(y.size, dtype=bool), y, threshold) <= y.mean()
    assert net_benefit(y == 1, y, threshold) == pytest.approx(y.mean())
