"""docs/generated/model-figures.md is what the shipped artifacts say; `make golden` writes it anew."""

import os
from pathlib import Path

import pytest

from models.inputs.patterns import ALL, patterns
from models.reports.figures import PATTERN_WORDS, figure, figures_page
from models.scoring.registry import load_json, load_models

PAGE = Path(__file__).parents[3] / "docs" / "generated" / "model-figures.md"


def test_the_page_of_figures_is_the_artifacts_word_for_word():
    expected = figures_page(load_models())

    if os.environ.get("MHCDS_REWRITE_GOLDEN"):
        PAGE.write_text(expected, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == expected


def test_every_pattern_subgroup_and_missed_target_stands_on_the_page():
    page = figures_page(load_models())

    for model in load_models():
        section = page[page.index(f"## {model.outcome} {model.version}") :]
        for pattern in patterns(model.outcome, model.schema):
            assert pattern == ALL or f"| {PATTERN_WORDS[pattern]} |" in section
        for group in load_json(model.folder / "validation.json")["breaches"]:
            assert f"| {group['variable']}: {group['group']} | {group['what']} |" in section
        assert "race-ethnicity: non-hispanic-black" in section
        assert "race-ethnicity: unrecorded" in section


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        ({"value": 0.83712, "low": 0.828, "high": 0.84449}, "0.837 (0.828 to 0.844)"),
        ({"value": None, "low": None, "high": None}, "too few"),
    ],
)
def test_a_figure_is_shown_with_its_interval_or_as_too_few(found, shown):
    assert figure(found) == shown
