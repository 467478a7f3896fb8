"""No query of ours is long, and one that is refused all the same is asked in another way: nothing is lost by length."""

from __future__ import annotations

import json
import time
from urllib.parse import parse_qsl, quote

import pytest
import requests
from builders import AS_OF, PATIENT, SNOMED, given, observation, open_app, patient
from real_server import TOKEN, answer, answering, dropping

from cds_service.hooks.catalogue import SERVICES
from cds_service.settings.config import default_config
from explanations.judgement.assessment import Engine
from fhir_adapters.access import templates as templates_module
from fhir_adapters.access.chart_request import ChartRequest
from fhir_adapters.access.client import FhirClient
from fhir_adapters.access.prefetch import Access, gather
from fhir_adapters.access.templates import PATIENT_ID, local_template, templates
from fhir_adapters.codesets.questions import QuestionnaireMap
from fhir_adapters.gaps import Cause
from fhir_adapters.instruments import Instrument
from fhir_adapters.resources.gathered import ALL_KEYS
from fhir_adapters.settings import ReadSettings

ADDRESS = "/cds-services/depression-suicide-risk"
UUID = "0d4e2a34-9d5b-4a44-8f52-2f0d7c1f9a11"
BASE = f"https://fhir.hospital.example.org/tenants/{UUID}/interconnect-production/api/FHIR/R4/"
POSITIVE = given("PHQ-9, 2 days ago: items 1-8 = 0, item 9 = 2")
ATTEMPT = [observation(SNOMED, "82313006", "2026-11-21", {"valueBoolean": True})]
LIMIT = 2048
GAP = ["could-not-assess"]


def call(server, who: str, **changes):
    client = open_app(default_config(), engine=Engine(), now=lambda: AS_OF).test_client()
    authorization = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 60, "scope": "user/*.rs"}
    body = {
        "hook": "patient-view",
        "hookInstance": "h1",
        "context": {"userId": "Practitioner/doc", "patientId": who},
        "fhirServer": server.base,
        "fhirAuthorization": authorization,
    }
    return client.post(ADDRESS, json={k: v for k, v in (body | changes).items() if v is not ...})


def topics(got) -> list[str]:
    assert got.status_code == 200, got.get_json()
    return [c["source"]["topic"]["code"] for c in got.get_json()["cards"]]


def gathered(server, who: str):
    client = FhirClient(base=server.base, token=TOKEN, deadline=time.monotonic() + 10)
    asked = ChartRequest(patient_id=who, as_of=AS_OF)
    return gather(asked, {}, Access(fetch=client.get, server=server.base), settings=ReadSettings())


def sent(query: str) -> str:
    """A query as the most thorough client writes it: everything but letters, digits and the signs of a query encoded."""
    return BASE + quote(query.replace(PATIENT_ID, UUID), safe="?&=/")


def refusing(status: int, longest: int):
    """A fault: requests whose address is longer are refused."""
    return lambda handler: len(handler.path) > longest and answer(handler, status, b"{}")


# ---- how long a query is ----

LOCAL = QuestionnaireMap(
    instrument=Instrument.ASQ,
    source="https://terminology.hospital.example.org/fhir/CodeSystem/flowsheet-rows",
    form=False,
    items={f"BEHAVIOURAL-HEALTH-SCREENING-{n}": "q1" for n in range(60)},
)


def every_query() -> list[str]:
    known = [*templates(ALL_KEYS), local_template([LOCAL])]
    own = [form for t in known for query in t.queries for form in t.reads(query)]
    return [*own, *(query for t in known for _, query in t.prefetch())]


def test_no_template_and_no_query_of_ours_reaches_1000_characters() -> None:
    too_long = [query for query in every_query() if len(sent(query)) >= 1000]

    assert not too_long
    assert max(len(sent(query)) for query in every_query()) > 700, "this test measures something"


def test_a_list_that_grows_is_split_and_every_code_is_asked_for_once(grown) -> None:
    (screening,) = [t for t in templates(ALL_KEYS) if t.key == "screening"]

    codes = [code for query in screening.queries for code in query.partition("code=")[2].split(",")]

    assert codes == grown
    assert screening.keys == tuple(f"screening-{n}" for n in range(1, len(screening.queries) + 1))
    assert len(screening.queries) > 2
    assert not [query for query in every_query() if len(sent(query)) >= 1000]


@pytest.fixture
def grown(monkeypatch):
    """A list of codes that needs several queries; the codes of item 9 in the last of them."""
    made = [f"{n}-{n % 10}" for n in range(100000, 100150)] + ["44260-8", "82313006"]
    monkeypatch.setattr(templates_module, "_screened", lambda: tuple(made))
    templates_module._all_templates.cache_clear()
    yield made
    templates_module._all_templates.cache_clear()


def test_a_codes_own_comma_or_bar_is_no_or(server) -> None:
    odd = QuestionnaireMap(instrument=Instrument.ASQ, source="urn:local", form=False, items={"a,b|c&d": "q1"})

    (query,) = local_template([odd]).queries

    assert dict(parse_qsl(query.partition("?")[2]))["code"] == "urn:local|a\\,b\\|c&d"


@pytest.mark.parametrize("system", ["urn:oid:2.16.840.1.113883.6.1", "https://loinc.org", "http://loinc.org/"])
def test_an_answer_is_found_however_the_chart_spells_its_code_system(server, system: str) -> None:
    who = server.load(patient(), *json.loads(json.dumps(POSITIVE).replace("http://loinc.org", system)))

    assert topics(call(server, who)) == ["positive-safety-answer"]


# ---- servers and gateways with limits ----


@pytest.mark.parametrize("limit", [LIMIT, 1000])
@pytest.mark.parametrize("answers", [POSITIVE, ATTEMPT], ids=["item 9", "finding"])
def test_a_positive_answer_is_found_behind_a_limit(server, limit: int, answers: list[dict]) -> None:
    who = server.load(patient(), *answers)
    server.fail("", act=refusing(414, limit - len(BASE)))

    assert topics(call(server, who))[0] in ("positive-safety-answer", "recent-safety")
    assert server.writes() == [], "no query had to be sent twice"


@pytest.mark.parametrize("status", [400, 405, 413, 414, 431])
def test_a_search_refused_for_its_length_is_sent_as_a_form(server, status: int) -> None:
    who = server.load(patient(), *POSITIVE)
    server.fail("Observation?", act=refusing(status, 150))

    assert topics(call(server, who)) == ["positive-safety-answer"]
    (method, path, headers), *_ = server.proxy.sent
    assert (method, path) == ("POST", "Observation/_search")
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_a_server_that_is_searched_by_forms_alone_is_read_in_full(server) -> None:
    who = server.load(patient(), *POSITIVE)
    server.fail("", act=lambda handler: "?" in handler.path and answer(handler, 405, b"{}"))

    found = gathered(server, who)

    assert not found.unknown
    assert sum(r.kind == "Observation" for r in found.resources) == 9


@pytest.mark.parametrize("status", [400, 413, 414])
def test_without_forms_the_codes_are_searched_by_halves(server, status: int) -> None:
    who = server.load(patient(), *POSITIVE, *ATTEMPT)
    server.fail("Observation?", act=refusing(status, 300))
    server.fail("Observation/_search", method="POST", act=answering(405))

    found = gathered(server, who)

    assert not found.unknown
    assert sum(r.kind == "Observation" for r in found.resources) == 10
    assert topics(call(server, who)) == ["positive-safety-answer", "recent-safety"]


def test_a_half_that_fails_is_a_gap_and_the_others_count(server) -> None:
    who = server.load(patient(), *POSITIVE, *ATTEMPT)
    server.fail("Observation?", act=lambda h: "82313006" in h.path and answer(h, 400, b"{}"))
    server.fail("Observation/_search", method="POST", act=answering(403))

    got = call(server, who)

    assert topics(got) == ["positive-safety-answer", "could-not-assess"]
    assert "screening" in got.get_json()["cards"][-1]["detail"]


def test_a_server_that_refuses_everything_is_not_asked_for_ever(server) -> None:
    who = server.load(patient())
    server.fail("Observation?", act=answering(400))
    server.fail("Observation/_search", method="POST", act=answering(400))

    assert topics(call(server, who)) == GAP
    queries = sum(len(t.queries) for t in templates() if "Observation" in t.types)
    assert len(server.asked("Observation?")) <= queries * (2 + 2 + 4)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_form_is_sent_after_no_redirect(server, status: int) -> None:
    who = server.load(patient(), *POSITIVE)
    server.fail("Observation?", act=answering(414))
    server.fail("Observation/_search", method="POST", act=answering(status, Location=f"{server.base}/elsewhere"))

    assert topics(call(server, who)) == GAP
    assert not server.asked("elsewhere")
    assert not server.writes("elsewhere")


def test_a_form_that_gets_no_answer_ends_with_the_budget(server) -> None:
    who = server.load(patient(), *POSITIVE)
    server.fail("Observation?", act=answering(414))
    server.fail("Observation/_search", method="POST", act=lambda _handler: time.sleep(4))

    begun = time.monotonic()
    failed = call(server, who)

    assert topics(failed) == GAP
    assert "did not answer in time" in failed.get_data(as_text=True)
    assert time.monotonic() - begun < 4


@pytest.mark.parametrize("fault", [answering(500), dropping], ids=["500", "dropped"])
def test_what_failed_once_is_read_once_more(server, fault) -> None:
    who = server.load(patient(), *POSITIVE)
    for path in ("Observation?", "Condition?", "QuestionnaireResponse?", "Patient/"):
        server.fail(path, act=fault, times=1)

    assert topics(call(server, who)) == ["positive-safety-answer"]


def test_a_form_of_a_query_that_fails_twice_is_followed_by_a_plainer_one(server) -> None:
    who = server.load(patient(), *given("Medicine sertraline, today"))
    server.fail("MedicationRequest?", act=lambda h: "_include" in h.path and answer(h, 500, b"{}"))

    assert not gathered(server, who).unknown


@pytest.mark.parametrize("parameter", ["code", "status", "_count", "_include"])
def test_a_parameter_that_the_server_does_not_take_costs_no_part_that_us_core_has(server, parameter: str) -> None:
    who = server.load(patient())
    for kind in ("Procedure", "Consent", "Appointment", "MedicationRequest", "CarePlan", "Condition"):
        if (kind, parameter) != ("MedicationRequest", "status"):  # guaranteed
            server.fail(f"{kind}?", act=lambda h: f"{parameter}=" in h.path and answer(h, 400, b"{}"))
            server.fail(f"{kind}/_search", method="POST", act=answering(400))

    client = FhirClient(base=server.base, token=TOKEN, deadline=time.monotonic() + 10)
    asked = ChartRequest(patient_id=who, as_of=AS_OF, parts=ALL_KEYS)

    assert not gather(asked, {}, Access(fetch=client.get, server=server.base), settings=ReadSettings()).unknown


# ---- keys that sites have stored, and those of a list that was split ----


def prefetched(server, who: str, wanted: dict[str, str], *, page: int) -> dict:
    """What a client sends that runs these templates on a server with short pages."""
    found = {}
    for key, query in wanted.items():
        short = query if "_count" in query or "?" not in query else f"{query}&_count={page}"
        address = f"{server.base}/{short.replace(PATIENT_ID, who)}"
        found[key] = requests.get(address, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10).json()
    server.proxy.seen.clear()
    return found


@pytest.mark.parametrize("stored", [True, False])
def test_a_written_phq_9_is_whole_on_a_server_with_pages_of_20(server, stored: bool, request) -> None:
    who = server.load(patient(), *POSITIVE, *given("PHQ-9, 40 days ago: items 1-9 = 0"), *given("PHQ-9, 80 days ago: items 1-9 = 0"))  # fmt: skip
    path = request.path.parents[1] / "contract" / "stored_by_sites.json"
    wanted = json.loads(path.read_text())[SERVICES[0].id]["prefetch"] if stored else dict(SERVICES[0].prefetch())
    known = prefetched(server, who, wanted, page=20)

    without = call(server, who, prefetch=known, fhirServer=..., fhirAuthorization=...)
    read = call(server, who, prefetch=known)

    assert topics(without) == ["positive-safety-answer"] + ["could-not-assess"] * stored
    assert topics(read) == ["positive-safety-answer"]
    # The server takes no `patient` of a QuestionnaireResponse and sends those of all, so other tests make its pages.
    again = {path.partition("?")[0] for path in server.asked()} & {"Observation", "Condition"}
    assert again == ({"Observation"} if stored else set())


@pytest.mark.parametrize("with_access", [True, False])
def test_a_stored_query_that_was_refused_for_its_length_is_read_by_ours(server, with_access: bool) -> None:
    who = server.load(patient(), *POSITIVE)
    refused = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "too-long"}]}
    known = {t.key: None for t in templates()} | {"patient": patient() | {"id": who}, "screening": refused}

    got = call(server, who, prefetch=known, **({} if with_access else {"fhirAuthorization": ...}))

    assert topics(got) == (["positive-safety-answer"] if with_access else GAP)


def test_the_old_key_stands_for_the_whole_part_though_its_list_is_split_now(grown) -> None:
    known = {t.key: None for t in templates()} | {"patient": patient()}

    assert topics(call(NOWHERE, PATIENT, prefetch=known)) == []


def test_a_query_of_a_split_list_that_was_not_sent_is_read_or_a_gap(grown, server) -> None:
    who = server.load(patient(), *POSITIVE)
    keys = [key for t in templates() for key in t.keys]
    whole = dict.fromkeys(keys) | {"patient": patient() | {"id": who}}
    last = next(t.keys[-1] for t in templates() if t.key == "screening")
    partly = {key: value for key, value in whole.items() if key != last}

    assert topics(call(NOWHERE, who, prefetch=whole)) == []
    assert topics(call(NOWHERE, who, prefetch=partly, fhirAuthorization=...)) == GAP
    assert topics(call(server, who, prefetch=partly)) == ["positive-safety-answer"]


class NOWHERE:
    """No server is asked."""

    base = "http://127.0.0.1:9/fhir"


def test_why_a_part_is_not_whole_is_a_cause(grown) -> None:
    from msgspec import Raw

    known = {"patient": Raw(json.dumps(patient()).encode()), "screening-1": Raw(b"null")}
    found = gather(ChartRequest(patient_id=PATIENT, as_of=AS_OF), known, Access(), settings=ReadSettings())

    assert Cause.PARTLY_SENT in [gap.reason.cause for gap in found.unknown if gap.what == "screening"]
