"""A site's own addresses: discovery with the key for its own codes, calls and feedback below the same address."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from builders import PATIENT, observation
from ehr import issuer_table, mhcds, settings
from hook_calls import Client, call_of, client_of, topics

from cds_service.hooks.catalogue import SERVICES
from fhir_adapters.access.templates import PAGE

SYSTEM = "https://north.example/codes"
LOCAL = {
    "instrument": "asq",
    "system": SYSTEM,
    "items": {"A1": "q1", "A2": "q2", "A3": "q3", "A4": "q4", "A5": "acuity"},
}
BASES = {"north": "https://north.example/fhir", "south": "https://south.example/fhir"}
NORTH = "/sites/north/cds-services"
VIEW = SERVICES[0]
ACUTE = observation(SYSTEM, "A5", "2026-11-23", {"valueBoolean": True})


def sites(**changes) -> dict[str, dict]:
    """Two sites of one issuer, told apart by their FHIR servers; the first has codes of its own."""
    both = {
        name: {"consent": "not-used", "fhir_bases": [base], "issuer": [issuer_table()]} for name, base in BASES.items()
    }
    return {"north": both["north"] | {"questionnaire": [LOCAL]} | changes, "south": both["south"]}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    return client_of(tmp_path_factory.mktemp("sites"), sites=sites())


def called(client: Client, path: str = f"{NORTH}/{VIEW.id}", *, server: str = BASES["north"], **prefetch):
    return client.post(path, call_of(VIEW, prefetch=prefetch, fhirServer=server))


def test_a_sites_discovery_is_the_same_with_the_key_for_its_own_codes(client) -> None:
    found = client.flask.get(NORTH).get_json()
    common = client.flask.get("/cds-services").get_json()

    assert [entry.pop("prefetch")["local-screening"] for entry in found["services"]] == [
        f"Observation?patient={{{{context.patientId}}}}&code={','.join(f'{SYSTEM}|A{n}' for n in range(1, 6))}{PAGE}"
    ] * len(SERVICES)
    assert found["services"] == [{k: v for k, v in e.items() if k != "prefetch"} for e in common["services"]]
    needs = client.flask.get("/sites/north/data-needs.json").get_json()["needs"]
    assert needs[-1]["key"] == "local-screening"
    assert client.flask.get("/data-needs.json").get_json()["needs"] == needs[:-1]
    assert client.flask.get("/sites/south/cds-services").get_json()["services"] == common["services"]


def test_a_site_whose_client_takes_no_page_size_gets_templates_without(tmp_path: Path) -> None:
    found = client_of(tmp_path, sites=sites(prefetch_count=False)).flask.get(NORTH).get_json()

    assert not [q for entry in found["services"] for q in entry["prefetch"].values() if "_count" in q]


def test_it_is_open_cacheable_and_there_for_sites_alone(client) -> None:
    first = client.flask.get(NORTH)

    assert client.flask.get(NORTH, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    for other in (
        "/sites/west/cds-services",
        "/sites/nor%20th/cds-services",
        "/sites/../cds-services",
        "/sites",
        "/sites/north",
    ):
        assert client.flask.get(other).status_code == 404
    assert client.flask.post(f"/sites/west/cds-services/{VIEW.id}", json={}).status_code == 404
    assert client.flask.post(f"{NORTH}/none", json={}).status_code == 404


def test_a_service_is_called_below_the_address_of_its_discovery(client) -> None:
    for entry in client.flask.get(NORTH).get_json()["services"]:
        service = next(s for s in SERVICES if s.id == entry["id"])
        keys = dict.fromkeys(entry["prefetch"]) | {
            "patient": {"resourceType": "Patient", "id": PATIENT, "birthDate": "1980-01-01"}
        }
        body = call_of(service, prefetch=keys | {"local-screening": ACUTE}, fhirServer=BASES["north"])

        assert topics(client.post(f"{NORTH}/{entry['id']}", body)) == ["acute-safety"]


def test_the_key_for_local_codes_is_known_empty_when_null_and_a_gap_when_it_is_not_there(client) -> None:
    assert topics(called(client, **{"local-screening": None})) == []

    without = called(client)

    assert topics(without) == ["could-not-assess"]
    assert "not sent" in without.get_data(as_text=True)


def test_the_token_names_the_address_that_was_called(client) -> None:
    for aud, path in (
        (f"/cds-services/{VIEW.id}", f"{NORTH}/{VIEW.id}"),
        (f"{NORTH}/{VIEW.id}", f"/cds-services/{VIEW.id}"),
    ):
        answer = client.flask.post(path, json=call_of(VIEW), headers=client.ehr.headers(aud))
        assert answer.status_code == 401


@pytest.mark.parametrize("path", [f"{NORTH}/{VIEW.id}", f"/sites/south/cds-services/{VIEW.id}"])
def test_the_address_and_the_fhir_server_must_be_of_one_site(client, path: str) -> None:
    other = BASES["south" if "north" in path else "north"]

    refused = called(client, path, server=other)

    assert refused.status_code == 400
    assert "site" in refused.get_data(as_text=True)


def test_the_address_of_another_site_than_the_clients_is_refused(tmp_path: Path) -> None:
    two = sites()
    two["south"]["issuer"] = [issuer_table(iss="https://other.example")]
    client = client_of(tmp_path, sites=two)
    item = {"card": str(uuid.uuid4()), "outcome": "overridden", "outcomeTimestamp": "2026-11-23T15:00:00Z"}

    for path in (f"/sites/south/cds-services/{VIEW.id}", f"/sites/south/cds-services/{VIEW.id}/feedback"):
        assert client.post(path, call_of(VIEW) if "feedback" not in path else {"feedback": [item]}).status_code == 400
    assert client.post(f"{NORTH}/{VIEW.id}/feedback", {"feedback": [item]}).status_code == 200


def test_cdsh_164_plain_http_is_refused_at_a_sites_addresses_too(tmp_path: Path) -> None:
    client = client_of(tmp_path, service={"mode": "production", "public_url": "https://cds.example"}, sites=sites())

    assert client.flask.get(NORTH).status_code == 403
    assert client.flask.get(NORTH, base_url="https://cds.example").status_code == 200


def test_check_config_prints_the_address_key_and_template_and_warns_without_access(tmp_path: Path) -> None:
    done = mhcds("check-config", str(settings(tmp_path / "one", sites=sites())))
    without = mhcds("check-config", str(settings(tmp_path / "two", site={"questionnaire": [LOCAL]})))

    assert (done.returncode, without.returncode) == (0, 0), done.stderr + without.stderr
    assert f"site north: discovery http://127.0.0.1:8080{NORTH}" in done.stdout
    assert (
        f"site north: prefetch local-screening: Observation?patient={{{{context.patientId}}}}&code={SYSTEM}|A1,"
        in done.stdout
    )
    assert "warning" not in done.stdout
    assert "warning: site north: no fhir_bases: answers in its own codes" in without.stdout
