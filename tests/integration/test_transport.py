"""`mhcds transport` on the real files: figures in sane ranges, and those committed."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from cds_service.__main__ import main
from models.inputs.outcomes import OUTCOMES
from models.reports.transport_page import transport_figures
from models.scoring.registry import SHIPPED, the_version
from models.survey.other_surveys import FILES, MATCHES, NSDUH_2019, NSDUH_2023


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> dict:
    target = tmp_path_factory.mktemp("transport") / "transport.json"
    data = shared / "data"

    answer = CliRunner().invoke(
        main, ["transport", "--nhanes", str(data / "nhanes"), "--surveys", str(data), "--json", str(target)]
    )

    assert answer.exit_code == 0, answer.output
    return json.loads(target.read_text())


def test_nobody_reaches_the_minimum_of_data_and_every_figure_has_its_people(figures: dict):
    for run in figures["ranks"]:
        assert run["enough_for_a_score"] == 0
        assert run["people"] > 10_000
        for row in run["labels"]:
            for side in (row["survey"], row["nhanes"]):
                assert 100 < side["events"] < side["n"] / 4
                assert 0.4 < side["auroc"]["low"] < side["auroc"]["value"] < side["auroc"]["high"] < 0.85
                assert side["auroc"]["value"] < side["refitted"]["value"] + 0.1


def test_the_estimates_rank_people_of_other_surveys_better_than_chance_and_hardly_better_than_a_refit(figures: dict):
    for run in figures["ranks"]:
        for row in run["labels"]:
            # Work means nothing there (decision 0116), so that a run without care or smoking may come close to chance.
            assert row["survey"]["auroc"]["low"] > (0.5 if {"mh_visit_yr", "smoke_status"} & {*run["inputs"]} else 0.45)
            assert row["survey"]["auroc"]["value"] < row["survey"]["refitted"]["value"] + 0.03
        for row in run["order"]:
            assert 0.1 < row["survey"]["low"] < row["survey"]["high"] < 0.3


def test_the_committed_figures_of_the_other_surveys_are_what_the_command_gives(figures: dict):
    # NHANES people may be of more cycles there.
    for found, committed in zip(figures["ranks"], transport_figures()["ranks"], strict=True):
        assert found["people"] == committed["people"]
        for row, kept in zip(found["labels"], committed["labels"], strict=True):
            for name in ("n", "events"):
                assert row["survey"][name] == kept["survey"][name]
            assert row["survey"]["auroc"]["value"] == pytest.approx(kept["survey"]["auroc"]["value"], abs=1e-3)


@pytest.mark.parametrize("survey", [NSDUH_2019, NSDUH_2023])
def test_every_column_of_nsduh_has_its_row_among_the_matches(shared: Path, survey: str):
    paths = [path for pattern in FILES[survey] for path in (shared / "data").rglob(pattern)]

    columns = {name for path in paths for name in pq.read_schema(path).names}

    assert columns == {name for row in MATCHES if row.survey == survey for name in row.columns}


def test_one_survey_may_be_absent_and_none_is_refused(tmp_path: Path, shared: Path):
    command = ["transport", "--nhanes", str(shared / "data/nhanes"), "--json", "-", "--surveys"]

    refused = CliRunner().invoke(main, [*command, str(tmp_path)])
    alone = CliRunner().invoke(main, [*command, str(shared / "data/yrbs")])

    assert refused.exit_code == 1
    assert "expected one of" in refused.output
    assert json.loads(alone.stdout)["ranks"] == []
    assert {row["population"] for row in json.loads(alone.stdout)["factors"]} == {"YRBS 2019, high school"}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_one_model_alone_is_compared_on_the_labels_of_its_outcome(figures: dict, shared: Path, outcome: str):
    words = ["transport", "--nhanes", str(shared / "data/nhanes"), "--surveys", str(shared / "data"), "--json", "-"]

    alone = CliRunner().invoke(main, [*words, "--model", str(the_version(SHIPPED / outcome))])

    assert alone.exit_code == 0, alone.output
    found = json.loads(alone.stdout)
    assert list(found["models"]) == [outcome]
    expected = [
        [row for row in run[part] if row["outcome"] == outcome]
        for run in figures["ranks"]
        for part in ("labels", "order")
    ]
    shown = [run[part] for run in found["ranks"] for part in ("labels", "order")]
    assert [rows for rows in shown if rows] == [rows for rows in expected if rows]
    assert found["factors"] == [row for row in figures["factors"] if row["outcome"] == outcome]
