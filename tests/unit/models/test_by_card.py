"""On which card a finding stands: earlier positive answers with the current ones (decision 0042)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import given, record_of

from models.rules.findings import Topic, Urgency
from models.rules.ordering import by_card
from models.rules.safety_rules import apply_safety_rules

NOW = "PHQ-9, today: items 1-8 = 0, item 9 = 1"
EARLIER = "PHQ-9, 50 days ago: items 1-8 = 0, item 9 = 2"


def findings(*lines: str):
    return apply_safety_rules(record_of(*(r for line in lines for r in given(line)))).findings


def test_an_earlier_answer_follows_the_current_ones() -> None:
    current, earlier = findings(NOW, EARLIER)

    assert by_card((current, earlier)) == {Topic.POSITIVE_SAFETY_ANSWER: [current, earlier]}


@pytest.mark.parametrize("change", [{"urgency": Urgency.NOTE}, {"rule": "R2"}, {"rule": "R4"}])
def test_what_was_lowered_or_is_acute_keeps_its_card(change: dict) -> None:
    current, earlier = findings(NOW, EARLIER)
    kept = replace(earlier, **change)

    assert by_card((current, kept)) == {Topic.POSITIVE_SAFETY_ANSWER: [current], Topic.RECENT_SAFETY: [kept]}


@pytest.mark.parametrize(
    "line",
    [
        "PHQ-9, today: items 1-8 = 0, item 9 = declined",
        "PHQ-9, today: items 1-8 = 0, item 9 = unreadable",
        "Condition R45.851, today",
        "RiskAssessment, today: moderate",
    ],
)
def test_an_earlier_answer_joins_answers_only(line: str) -> None:
    found = by_card(findings(line, EARLIER))

    assert [finding.days for finding in found[Topic.RECENT_SAFETY]] == [50]


def test_none_is_lost() -> None:
    all_of_them = findings(NOW, EARLIER, "C-SSRS, today: question 4 = yes", "Condition T14.91XA, 41 days ago", "EPDS, 80 days ago: item 10 = 3")  # fmt: skip

    assert {id(f) for card in by_card(all_of_them).values() for f in card} == {id(f) for f in all_of_them}
