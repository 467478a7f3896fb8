"""Charts in shapes that others write, by the path of `mhcds assess`: ours, and the ones of the same shape that are not
part of the project."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from builders import AS_OF, PATIENT, bundle, given, patient, prefetch_of
from reading_shapes import HEARD

from cds_service.cards.wire import Card
from cds_service.commands.assess_files import Assessed, assess_file, moment
from cds_service.settings.config import default_config
from explanations.judgement.assessment import Engine

CASES = tomllib.loads(Path(__file__).with_name("reading_cases.toml").read_text(encoding="utf-8"))["case"]
DATES = {
    "Observation": "effectiveDateTime",
    "DiagnosticReport": "effectiveDateTime",
    "QuestionnaireResponse": "authored",
}
named = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['kind']}: {case['name']}")


def entries(case: dict) -> list[dict]:
    """The resources of a case, numbered from 1."""
    found = []
    for line in case.get("chart", []):
        found += [json.loads(line)] if line.startswith("{") else given(line)
    for number, entry in enumerate(found, 1):
        kind = entry["resourceType"]
        status = {} if kind == "Condition" else {"status": "completed" if kind == "QuestionnaireResponse" else "final"}
        dated = {DATES[kind]: "2026-11-20T09:00:00Z"} if kind in DATES else {}
        found[number - 1] = (
            status | dated | {"subject": {"reference": f"Patient/{PATIENT}"}} | entry | {"id": str(number)}
        )
    return found


def hook_call(case: dict) -> dict:
    sent = prefetch_of([patient()])
    sent["screening"] = {"null": None, "sent": json.loads(bundle(*entries(case)))}.get(case["screening"])
    if case["screening"] == "missing":
        del sent["screening"]
    return {"hook": "patient-view", "hookInstance": "h", "context": {"userId": "Practitioner/d", "patientId": PATIENT}, "prefetch": sent}  # fmt: skip


def cards_of_file(path: Path, as_of) -> list[Card]:
    result = assess_file(str(path), as_of=as_of, site=default_config().site(None), engine=Engine())
    assert isinstance(result, Assessed), result.error
    return result.cards


def check(cards: list[Card], case: dict, id_of: str) -> None:
    """The cards are right: what must be there is, each reference is named, and nothing that may not be there is.

    `id_of` writes the id of an entry from its number.
    """
    there = {card.source.topic.code: card.indicator for card in cards}

    def naming(reference: str) -> set[str]:
        written = reference.replace("/", "/" + id_of)
        return {card.source.topic.code for card in cards if re.search(rf"{written}(?![\w-])", card.detail)}

    for wanted in case.get("cards", []):
        topics, _, indicator = wanted.partition(" ")
        assert any(there[topic] == (indicator or there[topic]) for topic in topics.split("|") if topic in there), (
            wanted,
            there,
        )
    for reference in case.get("heard", []):
        assert naming(reference) & set(HEARD), (reference, there)
    for reference in case.get("shown", []):
        assert naming(reference), (reference, there)
    assert not set(case.get("never", [])) & set(there)
    assert {"cards", "heard", "shown", "never"} & set(case), "a case says what is right"


@named
def test_a_shape_is_answered_rightly(case: dict, tmp_path: Path) -> None:
    path = tmp_path / "chart.json"
    path.write_bytes(json.dumps(hook_call(case)).encode() if "screening" in case else bundle(patient(), *entries(case)))

    check(cards_of_file(path, AS_OF), case, "")


@named
def test_the_original_of_a_shape_is_answered_rightly(case: dict, shared: Path) -> None:
    path = shared / "data" / "reading-cases" / f"{case['original']}.json"

    cards = cards_of_file(path, moment("2026-11-29T06:00:00Z"))

    check(cards, case, "r")


def test_every_original_has_its_own_sample(shared: Path) -> None:
    originals = {path.stem for path in (shared / "data" / "reading-cases").glob("*.json")}

    assert originals == {case["original"] for case in CASES}
