"""The clinical tables: each line of a chart goes through reading, rules and cards, in every shape it may have."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from builders import MAPS, cards_of, given, patient, record_of

from explanations.judgement.regions import DEFAULT_REGION, REGIONS, Region
from fhir_adapters.reading.acute_codes import may_be_acute

TABLES = sorted((Path(__file__).parent / "tables").glob("*.toml"))
CASES = [case for path in TABLES for case in tomllib.loads(path.read_text(encoding="utf-8"))["case"]]
# The crisis line and the emergency number of a card on safety.
NUMBERS = {"US": ("988", "911"), "GB-ENG": ("116 123", "999"), "generic": ("the local emergency number",)}
SHAPES = ("observations", "questionnaire", "path")


def region_of(case: dict) -> Region:
    return REGIONS[case["region"]] if "region" in case else DEFAULT_REGION


def chart(case: dict, shape: str):
    deceased = case.get("deceased")
    who = {} if deceased is None else {"deceasedBoolean": True} if deceased is True else {"deceasedDateTime": deceased}
    resources = [r for line in case["given"] for r in given(line, shape)]
    encounter = f"Encounter/{case['encounter']}" if "encounter" in case else None
    return record_of(*resources, who=patient(age=case.get("age", 40), **who), encounter=encounter)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['rule']}: {case['name']}")
def test_a_chart_gives_the_cards_of_the_table(case: dict, shape: str) -> None:
    cards = cards_of(chart(case, shape), region=region_of(case))

    assert [f"{card.source.topic.code} {card.indicator}" for card in cards] == case["expect"]


@pytest.mark.parametrize("shape", SHAPES)
def test_whatever_is_acute_is_known_by_its_codes_alone(shape: str) -> None:
    """So that a call beyond the limits is answered."""
    acute = [case["given"] for case in CASES if "acute-safety critical" in case["expect"]]

    assert len(acute) > 20
    for lines in acute:
        assert may_be_acute(json.dumps([r for line in lines for r in given(line, shape)]).encode(), MAPS), lines


@pytest.mark.parametrize("case", [c for c in CASES if c["expect"]], ids=lambda case: case["name"])
def test_every_card_of_the_tables_is_short_sourced_and_answerable(case: dict) -> None:
    region = region_of(case)
    for card in cards_of(chart(case, "observations"), region=region):
        topic = card.source.topic.code
        assert 0 < len(card.summary) < 140
        assert 3 <= len(card.override_reasons) <= 5
        assert card.detail.count("`") >= 2, "a card names the source of what it says"
        if topic in ("acute-safety", "positive-safety-answer", "recent-safety"):
            assert all(number in card.detail for number in NUMBERS[region.id])
            assert "monitoring service" in card.detail


def test_each_rule_from_1_to_11_14_and_15_has_a_row() -> None:
    wanted = {f"R{n}" for n in (*range(1, 12), 14, 15)}

    assert wanted <= {case["rule"] for case in CASES}
