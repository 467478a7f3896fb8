"""What is read from a chart, on the page and in discovery: complete, and the same in both."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from builders import open_app

from cds_service.documents.data_needs import EXTENSION, as_markdown, data_needs
from cds_service.settings.config import default_config
from explanations.judgement.assessment import Engine
from fhir_adapters.access.templates import templates
from fhir_adapters.resources.gathered import ALL_KEYS, SHOWN
from models.inputs.feature_schema import FEATURES

PAGE = Path(__file__).parents[2] / "docs" / "generated" / "data-needs.md"


def test_the_page_says_what_the_service_asks_for() -> None:
    if os.environ.get("MHCDS_REWRITE_GOLDEN"):
        PAGE.write_text(as_markdown(), encoding="utf-8")

    assert PAGE.read_text(encoding="utf-8") == as_markdown()


def test_cdsh_081_every_prefetch_key_is_a_need_and_every_model_input_has_one() -> None:
    needs = data_needs()

    assert [need.key for need in needs] == [template.key for template in templates(ALL_KEYS)]
    assert {name for need in needs for name in need.model_inputs} == {spec.name for spec in FEATURES}


def test_every_code_that_is_asked_for_has_a_meaning() -> None:
    nameless = [code.code for need in data_needs() for code in need.codes if not code.display]

    assert nameless == []


def test_cdsh_081_no_element_of_a_name_or_an_address_is_read() -> None:
    elements = {element for need in data_needs() for element in need.elements}
    # A note on an entry is heard for words on self-harm (R18), and never shown.
    elements -= {"Observation.note", "Condition.note", "Procedure.note", "RiskAssessment.note"}

    assert "Patient.birthDate" in elements
    assert "Observation.value[x]" in elements
    assert not [e for e in elements if e.endswith((".name", ".address", ".telecom", ".text", ".note", ".context"))]


@pytest.mark.parametrize("site", ["", "/sites/default"])
def test_cdsh_014_discovery_links_to_the_same_as_json_without_empty_members(site: str) -> None:
    client = open_app(replace(default_config(), address="https://cds.example/mh"), engine=Engine()).test_client()

    document = client.get(f"{site}/cds-services").get_json()
    link = document["extension"][EXTENSION]["url"]
    found = client.get(link.removeprefix("https://cds.example/mh")).get_json()

    assert link == f"https://cds.example/mh{site}/data-needs.json"
    assert [need["key"] for need in found["needs"]] == [need.key for need in data_needs()]
    assert all(value not in (None, "", [], {}) for need in found["needs"] for value in need.values())
    for service in document["services"]:
        asked = [need["prefetch"] for need in found["needs"] if service["id"] in need["services"]]
        assert {key: query for each in asked for key, query in each.items()} == service["prefetch"]


def test_discovery_is_small_enough_to_read() -> None:
    client = open_app(engine=Engine()).test_client()

    assert len(client.get("/cds-services").data) < 10_000
    assert client.get("/sites/nowhere/data-needs.json").status_code == 404


def test_only_the_app_asks_for_medicines_that_have_ended() -> None:
    asked = {template.key: template for template in templates(SHOWN)}

    (extra,) = set(asked) - {template.key for template in templates(ALL_KEYS)}
    assert asked[extra].queries[0].endswith("&intent=order,plan&status=stopped,completed")
    assert not asked[extra].needed
