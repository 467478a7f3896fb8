"""Half an emoji in a name loses no chart: it becomes U+FFFD, and nothing else changes."""

from __future__ import annotations

import json

import pytest
from builders import AS_OF, bundle, given, patient
from hook_calls import ACUTE, SERVICES, call_of, client_of
from hypothesis import given as drawn
from hypothesis import strategies as st

from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.reading.extraction import patient_record
from fhir_adapters.resources import r4
from fhir_adapters.settings import ReadSettings
from fhir_adapters.surrogates import without_halves

TEXTS = st.text(st.characters(exclude_categories=())) | st.text("\\u\ud83d\ude00dD8cab", max_size=12)


@drawn(TEXTS)
def test_every_text_is_read_with_its_halves_replaced_and_whole_characters_kept(text: str) -> None:
    sent = json.dumps({"text": text}).encode()

    read = json.loads(without_halves(sent))["text"]

    # As UTF-16 pairs halves that stand side by side.
    assert read == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert without_halves(without_halves(sent)) == without_halves(sent)


@pytest.mark.parametrize("half", [rb"\ud83d", rb"\uDE00"])
def test_a_chart_with_half_a_character_is_read(half: bytes) -> None:
    raw = bundle(patient(family="Okafor@"), *given(ACUTE)).replace(b"Okafor@", b"Okafor " + half)

    gathered = chart_bundle(raw, settings=ReadSettings(), as_of=AS_OF)

    assert not patient_record(gathered, settings=ReadSettings(), as_of=AS_OF).unreadable


def test_what_can_be_read_of_a_damaged_resource_with_half_a_character_is_kept() -> None:
    found = r4.read(rb'{"resourceType": "Condition", "id": "c1", "subject": {"reference": "Patient/p1"}, "code": 7, '
                    rb'"note": [{"text": "\ud83d"}]}')  # fmt: skip

    assert found.fault is not None
    assert (found.reference, found.owner.reference) == ("Condition/c1", "Patient/p1")


def test_a_call_with_half_a_character_is_answered(tmp_path) -> None:
    body = call_of(SERVICES[0], ACUTE)
    body["prefetch"]["patient"]["name"] = [{"family": "Okafor \ud83d"}]
    client = client_of(tmp_path)

    answer = client.post(body=body)

    assert [card["source"]["topic"]["code"] for card in answer.get_json()["cards"]] == ["acute-safety"]
