"""docs/generated/model-transport.md is what models/reports/transport.json says; `make transport` writes both anew."""

import os
from pathlib import Path

import pytest

from models.reports.transport_page import direction, transport_figures, transport_page
from models.scoring.registry import load_models
from models.survey.other_surveys import MATCHES

PAGE = Path(__file__).parents[3] / "docs" / "generated" / "model-transport.md"


def test_the_page_of_transport_checks_is_the_committed_figures_word_for_word():
    expected = transport_page(transport_figures())

    if os.environ.get("MHCDS_REWRITE_GOLDEN"):
        PAGE.write_text(expected, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == expected


def test_the_figures_are_of_the_shipped_models():
    shipped = {model.outcome: model.version for model in load_models()}

    assert transport_figures()["models"] == shipped, "run `make transport`"


def test_the_page_says_that_nobody_was_scored_and_names_every_match():
    page = transport_page(transport_figures())

    assert "never a score**" in page
    assert "(0 people reach the minimum of data)" in page
    for row in MATCHES:
        assert row.note in page


@pytest.mark.parametrize(
    ("there", "here", "found"),
    [
        ((1.2, 2.0), (1.1, 3.0), "same"),
        ((0.2, 0.9), (0.1, 0.8), "same"),
        ((1.2, 2.0), (0.5, 0.9), "opposite"),
        ((1.2, 2.0), (0.9, 1.1), "unclear"),
        ((1.2, 2.0), (None, None), "unclear"),
    ],
)
def test_two_odds_ratios_agree_or_disagree_only_where_both_leave_one_out(there: tuple, here: tuple, found: str):
    assert direction(*({"value": 1.0, "low": low, "high": high} for low, high in (there, here))) == found
