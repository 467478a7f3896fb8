"""Discovery against CDS Hooks 2.0 and the 3.0 ballot: section A of the checklist (requirements.toml)."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hook_calls import client_of, empty_members

from cds_service.documents.discovery import document
from cds_service.hooks.catalogue import SERVICES
from fhir_adapters.access.templates import PAGE, templates

ADDRESS = "/cds-services"
DOCS = Path(__file__).parents[2] / "docs"
STORED = Path(__file__).parent / "stored_by_sites.json"
# The hooks that HL7 has published, with the version of each definition.
PUBLISHED = {"patient-view": "1.0", "order-select": "1.0", "order-sign": "1.0", "order-dispatch": "1.1", "encounter-start": "1.0",
             "encounter-discharge": "1.0", "appointment-book": "1.0"}  # fmt: skip
REVERSE_DOMAIN = re.compile(r"[a-z]{2,}(\.[a-z0-9-]+)+")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory):
    return client_of(tmp_path_factory.mktemp("discovery")).flask


@pytest.fixture
def services(client) -> list[dict]:
    return client.get(ADDRESS).get_json()["services"]


def test_cdsh_001_004_discovery_is_a_get_at_one_address_and_nothing_else_pretends_to_be_it(client) -> None:
    assert client.get(ADDRESS).status_code == 200

    for other in ("/", "/CDS-Services", "/cds-service", "/services", "/cds-services.json", "/cds-hooks/cds-services", "/r4/cds-services"):  # fmt: skip
        assert client.get(other).status_code == 404
    assert client.post(ADDRESS, json={}).status_code == 405


def test_cdsh_002_the_document_is_one_object_that_holds_the_list_of_services(client) -> None:
    whole = client.get(ADDRESS).get_json()

    assert isinstance(whole, dict)
    assert [entry["id"] for entry in whole["services"]] == [s.id for s in SERVICES] != []


def test_cdsh_003_without_a_service_the_list_is_there_and_empty() -> None:
    assert json.loads(document(()))["services"] == []


def test_cdsh_005_006_008_009_every_entry_says_in_words_what_it_is_and_what_it_needs(services) -> None:
    for entry in services:
        for member in ("hook", "title", "description", "usageRequirements"):
            assert isinstance(entry[member], str)
            assert entry[member].strip() == entry[member] != ""
        # Plain text in 2.0 and markdown in the 3.0 ballot: it has to read well as either.
        assert not re.search(r"[*_`#<>|\[\]]|\n", entry["description"])


def test_cdsh_007_020_an_id_is_the_last_part_of_an_address_as_it_stands(client, services) -> None:
    for entry in services:
        assert re.fullmatch(r"[A-Za-z0-9._~-]+", entry["id"])
        # 401: there is a service at the address, and it wants to know who calls.
        assert client.post(f"{ADDRESS}/{entry['id']}", json={}).status_code == 401


def test_cdsh_010_prefetch_is_an_object_of_texts_and_is_left_out_when_there_is_none(services) -> None:
    for entry in services:
        assert entry["prefetch"]
        assert all(isinstance(value, str) and value for value in entry["prefetch"].values())

    (without,) = json.loads(document([replace(SERVICES[0], occasion=replace(SERVICES[0].occasion, parts=()))]))[
        "services"
    ]
    assert "prefetch" not in without


def test_cdsh_011_212_no_two_entries_share_an_id_so_that_clients_may_key_services_by_it(services) -> None:
    ids = [entry["id"] for entry in services]

    assert len(ids) == len(set(ids))


def test_cdsh_012_013_the_specification_and_the_definition_of_the_hook_are_named_by_version(services) -> None:
    for entry in services:
        assert entry["version"] == "2.0.0"
        assert entry["hookVersion"] == PUBLISHED[entry["hook"]]


def test_cdsh_014_197_198_an_extension_is_an_object_under_a_reverse_domain_name_and_may_be_ignored(client) -> None:
    whole = client.get(ADDRESS).get_json()

    assert isinstance(whole["extension"], dict)
    for name, value in whole["extension"].items():
        assert REVERSE_DOMAIN.fullmatch(name)
        assert isinstance(value, dict)
    # All that a client needs stands outside it.
    assert all({"id", "hook", "title", "description", "prefetch"} <= entry.keys() for entry in whole["services"])


@pytest.mark.parametrize("header", [None, "Bearer nonsense", "Basic dTpw"])
def test_cdsh_015_213_discovery_is_open_whatever_authorization_comes_with_it(client, header: str | None) -> None:
    answer = client.get(ADDRESS, headers={"Authorization": header} if header else {})

    assert answer.status_code == 200
    assert answer.get_json()["services"]


def test_cdsh_016_148_discovery_is_json_in_utf_8_without_an_empty_member(client) -> None:
    answer = client.get(ADDRESS)

    assert answer.content_type == "application/json"
    assert json.loads(answer.data.decode("utf-8"))
    assert list(empty_members(answer.get_json())) == []


def test_cdsh_017_062_only_published_hooks_are_offered_and_none_that_was_withdrawn(services) -> None:
    assert {entry["hook"] for entry in services} <= PUBLISHED.keys()


@pytest.mark.parametrize("page", ["integration.md", "registering.md"])
def test_cdsh_018_the_pages_for_integrators_name_every_service_hook_and_prefetch_key(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")

    for service in SERVICES:
        for name in (service.id, service.hook, *service.keys):
            assert f"`{name}`" in text, name


def _without_codes(query: str) -> tuple[str, set[str]]:
    """A query without page size and codes, and its codes without their systems."""
    start, _, codes = query.removesuffix(PAGE).partition("&code=")
    return start, {code.rpartition("|")[2] for code in codes.split(",")}


def test_cdsh_001_019_ids_hooks_keys_and_what_they_stand_for_have_not_changed() -> None:
    # Clients read discovery when they are set up, not when they call. A change here breaks them: give it a new id.
    stored = json.loads(STORED.read_text(encoding="utf-8"))

    assert {s.id: s.hook for s in SERVICES} == {identifier: service["hook"] for identifier, service in stored.items()}
    for service in SERVICES:
        now = {t.key: [_without_codes(query) for query in t.queries] for t in templates(service.keys)}
        for key, query in stored[service.id]["prefetch"].items():
            start, codes = _without_codes(query)
            assert {of for of, _ in now[key]} == {start}
            assert codes <= set().union(*(of for _, of in now[key])), "what was asked for once is asked for still"


def test_cdsh_019_discovery_may_be_kept_and_is_not_sent_twice(client) -> None:
    first = client.get(ADDRESS)

    again = client.get(ADDRESS, headers={"If-None-Match": first.headers["ETag"]})

    assert "max-age" in first.headers["Cache-Control"]
    assert (again.status_code, again.data) == (304, b"")


def test_cdsh_058_063_064_066_081_every_template_is_a_relative_query_of_the_restricted_kind_about_one_patient() -> None:
    for query in (query for s in SERVICES for _, query in s.prefetch()):
        kind, _, criteria = query.partition("?")
        if not criteria:
            assert query == "Patient/{{context.patientId}}"
            continue
        pairs = [pair.split("=") for pair in criteria.split("&")]
        assert re.fullmatch(r"[A-Z][A-Za-z]+", kind), "a type, without a slash or a server before it"
        assert pairs[0] == ["patient", "{{context.patientId}}"]
        assert query.count("{{") == 1, "no token but the patient: those of users and visits are not there in every call"
        assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*|_count", name) for name, _ in pairs), (
            "nothing chained, modified or sorted"
        )
        assert not re.search(r"today\(|%[a-z]|\{%", query), "nothing of the 3.0 ballot, which 2.0 clients leave out"


def test_cdsh_084_prefetch_keys_are_short_words_that_collide_with_nothing() -> None:
    for service in SERVICES:
        for key, _ in service.prefetch():
            assert re.fullmatch(r"[a-z][a-z-]{2,30}(-[0-9]+)?", key)
            assert key not in {"context", "resource", "today", "now", "this"}


def test_head_on_discovery_answers_as_get_without_the_body(client) -> None:
    whole, head = client.get(ADDRESS), client.head(ADDRESS)

    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["ETag"] == whole.headers["ETag"]
    assert head.content_length == len(whole.data)
