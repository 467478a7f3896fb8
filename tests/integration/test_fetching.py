"""What was not sent is read from a real FHIR server with the given token, and every way that can fail is said."""

from __future__ import annotations

import gzip
import json
import re
import socketserver
import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests
from builders import (
    AS_OF,
    LOINC,
    PATIENT,
    PHQ,
    bundle,
    codeable,
    gap_said,
    given,
    observation,
    open_app,
    patient,
    prefetch_of,
    resource,
)
from msgspec import Raw
from real_server import TOKEN, answer, answering, cutting_short, dropping, hanging

from cds_service.hooks.access import readable_base
from cds_service.settings.config import ServiceConfig, default_config
from explanations.judgement.assessment import Engine
from explanations.words.findings.gaps import gap_words
from explanations.words.language import language
from fhir_adapters import errors
from fhir_adapters.access.addresses import is_loopback, same_base
from fhir_adapters.access.chart_request import ChartRequest
from fhir_adapters.access.client import MOST_BYTES, FhirClient, _retry_after
from fhir_adapters.access.deadline import POOLS, Watch
from fhir_adapters.access.prefetch import Access, gather
from fhir_adapters.access.templates import templates
from fhir_adapters.codesets.questions import QuestionnaireMap
from fhir_adapters.errors import FetchFailed
from fhir_adapters.facts import Consent
from fhir_adapters.gaps import Cause, Gap
from fhir_adapters.instruments import Instrument
from fhir_adapters.reading.extraction import patient_record
from fhir_adapters.settings import ReadSettings

ADDRESS = "/cds-services/depression-suicide-risk"
INTENT = "C-SSRS, today: question 4 = yes"
SEARCHED = (
    "Condition",
    "Observation",
    "QuestionnaireResponse",
    "MedicationRequest",
    "Encounter",
    "Procedure",
    "RiskAssessment",
    "Consent",
)


def site(**reading):
    return replace(default_config().sites[0], reading=ReadSettings(**reading))


def call(server, who: str, *sites, **changes):
    config = ServiceConfig(sites=sites or (site(budget_s=5.0),))
    client = open_app(config, engine=Engine(), now=lambda: AS_OF).test_client()
    authorization = {
        "access_token": TOKEN,
        "token_type": "Bearer",
        "expires_in": 60,
        "scope": "user/*.rs",
        "subject": "us",
    }
    body = {
        "hook": "patient-view",
        "hookInstance": "h1",
        "context": {"userId": "Practitioner/doc", "patientId": who},
        "fhirServer": server.base,
        "fhirAuthorization": authorization,
    }
    return client.post(ADDRESS, json=body | changes)


def topics(got) -> list[str]:
    assert got.status_code == 200, got.get_json()
    return [c["source"]["topic"]["code"] for c in got.get_json()["cards"]]


def gathered(server, who: str, **reading):
    client = FhirClient(base=server.base, token=TOKEN, deadline=time.monotonic() + 10)
    asked = ChartRequest(patient_id=who, as_of=AS_OF)
    return gather(asked, {}, Access(fetch=client.get, server=server.base), settings=ReadSettings(**reading))


# ---- what is asked for ----


def test_cdsh_093_096_everything_is_read_with_the_token_when_nothing_was_sent_and_consent_before_all_else(
    server,
) -> None:
    who = server.load(patient(), *given(INTENT))

    assert topics(call(server, who)) == ["acute-safety"]
    assert {token for _, token in server.proxy.seen} == {f"Bearer {TOKEN}"}
    assert len(server.asked()) == len(templates()) == 10
    assert server.asked()[0].startswith("Consent?")


def test_cdsh_070_072_073_097_only_what_was_not_sent_is_read(server) -> None:
    who = server.load(patient(), *given(INTENT))
    empty = json.loads(bundle()) | {"type": "searchset"}
    sent = {"patient": patient() | {"id": who}, "conditions": None, "questionnaires": empty, "consents": None}

    assert topics(call(server, who, prefetch=sent)) == ["acute-safety"]
    assert {path.partition("?")[0] for path in server.asked()} == {
        "Observation", "MedicationRequest", "Encounter", "Procedure", "RiskAssessment"}  # fmt: skip


@pytest.mark.parametrize("shape", ["observations", "panel", "components", "questionnaire"])
def test_an_answer_is_found_on_the_server_in_every_shape(server, shape: str) -> None:
    who = server.load(patient(), *given("PHQ-9, 2 days ago: items 1-8 = 1, item 9 = 2", shape))

    assert topics(call(server, who))[0] == "positive-safety-answer"


def test_cdsh_077_all_pages_of_a_search_are_read(server) -> None:
    many = [observation(LOINC, PHQ[0], f"2020-01-{n % 28 + 1:02d}", {"valueInteger": 0}) for n in range(450)]
    who = server.load(patient(), *given(INTENT), *many)

    assert topics(call(server, who)) == ["acute-safety"]
    assert len(server.asked("Observation?") + server.asked("?")) >= 4
    assert sum(r.kind == "Observation" for r in gathered(server, who).resources) == 451


def test_a_medicine_that_is_a_resource_of_its_own_is_included(server) -> None:
    drug = {"resourceType": "Medication", "id": "sertraline-1", "code": {"text": "sertraline 50 MG Oral Tablet"}}
    order = resource("MedicationRequest", status="active", intent="order", medicationReference={"reference": "Medication/sertraline-1"})  # fmt: skip
    who = server.load(patient(), drug, order)

    record = patient_record(gathered(server, who), settings=ReadSettings(), as_of=AS_OF)

    assert record.fact("rx_ssri").value is True


def test_cdsh_082_a_query_that_the_server_does_not_support_is_asked_again_in_the_guaranteed_form(server) -> None:
    assessed = resource("Procedure", status="completed", code=codeable("http://snomed.info/sct", "225337009"), performedDateTime="2026-11-20")  # fmt: skip
    who = server.load(patient(), assessed)
    server.fail("Procedure?", act=lambda handler: "code=" in handler.path and answer(handler, 400, b"{}"))
    server.fail("Procedure/_search", method="POST", act=answering(400, b"{}"))

    record = patient_record(gathered(server, who), settings=ReadSettings(), as_of=AS_OF)

    assert len(record.risk_assessments) == 1
    assert not record.unknown
    assert server.asked("Procedure?")[-1] == f"Procedure?patient={who}"


def test_cdsh_105_what_is_missing_is_read_side_by_side(server) -> None:
    who = server.load(patient(), *given(INTENT))
    together = threading.Barrier(len(templates()) - 1)  # all but the consents, which come first

    def waiting(_handler) -> bool:
        together.wait(timeout=20)  # passes only when all of them are here at once
        return False

    for path in (*SEARCHED, "Patient/"):
        if path != "Consent":
            server.fail(path, act=waiting)

    assert topics(call(server, who, site(budget_s=30.0))) == ["acute-safety"]


def test_cdsh_086_094_connections_are_kept_between_calls_and_nothing_else_is(server) -> None:
    who = server.load(patient(), *given(INTENT))
    server.fail("Condition", act=lambda handler: handler.headers.get("Cookie") and answer(handler, 500, b"cookie"))
    server.fail("Encounter", act=answering(200, bundle(), Set_Cookie="session=1"))

    assert {tuple(topics(call(server, who))) for _ in range(5)} == {("acute-safety",)}

    assert len(server.asked()) == 50
    assert server.proxy.connections <= 9


# ---- samples ----


def said(got) -> list[tuple[str, str]]:
    assert got.status_code == 200, got.get_json()
    return [(c["summary"], c["detail"]) for c in got.get_json()["cards"]]


def test_cdsh_096_a_sample_chart_gives_the_same_cards_whether_it_is_sent_or_read_from_the_server(
    server, shared
) -> None:
    seen = 0
    for path in sorted((shared / "data" / "fhir-samples" / "mixed-synthetic").glob("*.json.gz")):
        chart = [e["resource"] for e in json.loads(gzip.decompress(path.read_bytes()))["entry"]]
        server.transaction(chart)
        who = next(r["id"] for r in chart if r["resourceType"] == "Patient")

        from_server = said(call(server, who))

        assert from_server == said(call(server, who, prefetch=prefetch_of(chart), fhirAuthorization=None))
        seen += len(from_server)
    assert seen > 30


def test_synthea_charts_are_read_from_the_server_page_by_page(server, shared) -> None:
    for path in sorted((shared / "data" / "fhir-samples" / "synthea-r4").glob("*.json.gz"))[:6]:
        chart = json.loads(gzip.decompress(path.read_bytes()))
        places = [e["response"]["location"].removeprefix(f"{server.base}/") for e in server.post(chart)["entry"]]
        who = next(place.split("/")[1] for place in places if place.startswith("Patient/"))

        found = gathered(server, who)

        wanted = {"Condition", "Encounter"}
        stored = sum(e["resource"]["resourceType"] in wanted for e in chart["entry"])
        assert not found.unknown
        assert sum(r.kind in wanted for r in found.resources) == stored


# ---- everything that can go wrong ----

EMPTY = b'{"resourceType":"Bundle","type":"searchset"}'
FAULTS = {
    "refused": (answering(401, b"{}"), errors.NotAuthorized, "refused access"),
    "forbidden": (answering(403), errors.Refused, "refused access"),
    "not found": (answering(404, b"{}"), errors.NotFound, "not found"),
    "gone": (answering(410, b"{}"), errors.NotFound, "not found"),
    "query refused": (answering(400, b"{}"), errors.AddressRefused, "does not support this query"),
    "redirect": (answering(307, Location="/fhir/Patient"), errors.Redirected, "redirects are not followed"),
    "not modified": (answering(304), errors.Redirected, "redirects are not followed"),
    "busy": (answering(429), errors.Busy, "too busy"),
    "busy for long": (answering(429, Retry_After="40"), errors.Busy, "too busy"),
    "server error": (answering(500, b"<html>"), errors.ServerFailed, "status 500"),
    "bad gateway": (answering(502, b"<html>"), errors.GatewayFailed, "status 502"),
    "unavailable": (answering(503, b"", Retry_After="40"), errors.GatewayFailed, "status 503"),
    "gateway time-out": (answering(504), errors.GatewayFailed, "status 504"),
    "accepted": (answering(202), errors.NotUsable, "status 202"),
    "page of a portal": (answering(200, b"<html>", Content_Type="text/html"), errors.NotUsable, "was not application/fhir+json"),
    "XML": (answering(200, b"<Bundle/>", Content_Type="application/fhir+xml"), errors.NotUsable, "was not application/fhir+json"),
    "no media type": (answering(200, EMPTY, Content_Type=""), errors.NotUsable, "was not application/fhir+json"),
    "STU3": (answering(200, EMPTY, Content_Type="application/fhir+json; fhirVersion=3.0"), errors.NotUsable, "FHIR version"),
    "truncated JSON": (answering(200, EMPTY[:20]), errors.NotUsable, "not FHIR"),
    "garbage": (answering(200, b"\xff\xfe\x00garbage"), errors.NotUsable, "not FHIR"),
    "null": (answering(200, b"null"), errors.NotUsable, "not FHIR"),
    "half an answer": (cutting_short(EMPTY), errors.Unreachable, "dropped the connection"),
    "dropped": (dropping, errors.Unreachable, "dropped the connection"),
    "broken gzip": (answering(200, b"\x1f\x8bxxxx", Content_Encoding="gzip"), errors.NotUsable, "decompressed"),
    "gzip bomb": (answering(200, gzip.compress(b" " * (MOST_BYTES + 1)), Content_Encoding="gzip"), errors.TooMuch, "more than can be read"),
    "more, and not said where": (answering(200, EMPTY[:-1] + b',"link":[{"relation":"next"}]}'), errors.NotUsable, "not where"),
    "next page elsewhere": (answering(200, EMPTY[:-1] + b',"link":[{"relation":"next","url":"http://127.0.0.1:9/fhir/x"}]}'), errors.NextElsewhere, "another server"),
    "next page by user info": (answering(200, EMPTY[:-1] + b',"link":[{"relation":"next","url":"http://ehr@127.0.0.2/fhir/x"}]}'), errors.NextElsewhere, "another server"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_every_failure_has_its_class_and_its_reason(server, name: str) -> None:
    fault, kind, reason = FAULTS[name]
    server.fail("Condition?", act=fault)
    server.fail("Condition/_search", method="POST", act=fault)
    client = FhirClient(base=server.base, token=TOKEN, deadline=time.monotonic() + 5)

    with pytest.raises(FetchFailed) as caught:
        client.get("Condition?patient=p1")

    assert type(caught.value) is kind
    assert reason in gap_words(caught.value.gap, language())
    assert TOKEN not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)


@pytest.mark.parametrize("name", FAULTS)
def test_cdsh_076_101_a_failed_read_of_needed_data_is_a_card_that_names_the_part_and_the_reason(
    server, name: str
) -> None:
    fault, _, reason = FAULTS[name]
    who = server.load(patient())
    server.fail("QuestionnaireResponse?", act=fault)
    server.fail("QuestionnaireResponse/_search", method="POST", act=fault)

    text = gap_said(call(server, who))

    assert "Not read: questionnaires" in text
    assert reason in text
    assert TOKEN not in text
    assert "127.0.0.1" not in text


def test_a_gateway_that_makes_one_slash_of_two_hides_no_answer(server) -> None:
    local = QuestionnaireMap(instrument=Instrument.CSSRS, source="http://local.example", form=False, items={"4": "q4"})
    who = server.load(patient(), observation("http://local.example", "4", "2026-11-23", {"valueBoolean": True}))
    server.fail("Observation?", upstream=lambda path: path.replace("//", "/"))

    assert topics(call(server, who, site(maps=(local,)))) == ["acute-safety"]


def test_a_search_that_was_altered_on_the_way_is_no_empty_chart(server) -> None:
    who = server.load(patient(), *given("PHQ-9, today: item 9 = 2"))
    server.fail("Observation?", upstream=lambda path: re.sub("code=[^&]*", "code=9-9", path))

    assert "codes other than those asked for" in gap_said(call(server, who))


def test_cdsh_101_a_failed_read_hides_no_finding(server) -> None:
    who = server.load(patient(), *given(INTENT))
    server.fail("Condition?", act=answering(503))

    assert topics(call(server, who)) == ["acute-safety", "could-not-assess"]


@pytest.mark.parametrize(("status", "unread"), [(400, False), (403, False), (404, False), (405, False), (501, False), (503, True)])  # fmt: skip
def test_a_server_without_risk_assessments_is_no_gap_in_every_card(server, status: int, unread: bool) -> None:
    who = server.load(patient(), *given("C-SSRS, 20 days ago: question 4 = yes"))
    server.fail("RiskAssessment", act=answering(status))

    answer = call(server, who)

    assert topics(answer) == ["recent-safety"]
    assert ("may be unread" in answer.get_json()["cards"][0]["summary"]) is unread


def test_cdsh_101_106_a_failed_read_of_data_that_is_not_needed_costs_no_card(server) -> None:
    who = server.load(patient(), *given(INTENT))
    for path in ("Encounter?", "MedicationRequest?", "Procedure?"):
        server.fail(path, act=answering(403))

    assert topics(call(server, who)) == ["acute-safety"]


@pytest.mark.parametrize(
    "fault", [answering(500), answering(503), answering(502), answering(504), answering(429), answering(429, Retry_After="0"), answering(503, Retry_After="1"), dropping, cutting_short(EMPTY)]
)  # fmt: skip
def test_cdsh_102_what_is_over_in_a_moment_is_asked_for_once_more(server, fault) -> None:
    who = server.load(patient(), *given(INTENT))
    server.fail("Observation?", act=fault, times=1)
    client = FhirClient(base=server.base, token=TOKEN, deadline=time.monotonic() + 10)

    (page,) = client.get(f"Observation?patient={who}")

    assert len(page.content.entry) == 1
    assert len(server.asked("Observation?")) == 2


@pytest.mark.parametrize(("name", "asked"), [("unavailable", 1), ("busy for long", 1), ("server error", 2), ("refused", 1), ("redirect", 1),
                                             ("busy", 2), ("bad gateway", 2), ("dropped", 2), ("garbage", 1)])  # fmt: skip
def test_cdsh_102_nothing_is_asked_for_again_in_vain(server, name: str, asked: int) -> None:
    server.fail("Condition?", act=FAULTS[name][0])
    client = FhirClient(base=server.base, token=TOKEN, deadline=time.monotonic() + 5)

    with suppress(FetchFailed):
        client.get("Condition?patient=p1")

    assert len(server.asked("Condition?")) == asked


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("0", 0), ("40", 40), ("in an hour", 3600), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("soon", None), ("-5", None), ("", None), (None, None)],
)  # fmt: skip
def test_the_wait_that_a_server_asks_for_is_read_as_a_number_or_a_date(said: str | None, seconds: int | None) -> None:
    if said == "in an hour":
        said = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    refusal = requests.Response()
    refusal.headers.update({"Retry-After": said} if said is not None else {})

    found = _retry_after(refusal)

    assert found is None if seconds is None else found == pytest.approx(seconds, abs=600)


def test_cdsh_100_111_216_a_server_that_does_not_answer_in_time_is_said_within_the_budget_of_the_site(server) -> None:
    who, given_up = server.load(patient()), threading.Event()
    server.fail("Condition?", act=hanging(given_up))

    begun = time.monotonic()
    failed = call(server, who, site(budget_s=0.7))
    given_up.set()

    assert "Not read: conditions (the EHR did not answer in time)" in gap_said(failed)
    assert time.monotonic() - begun < 50, "the server would have hung for a minute"


def test_cdsh_101_no_server_at_all_is_412(server) -> None:
    failed = call(server, PATIENT, fhirServer="http://127.0.0.1:9/fhir")

    assert failed.status_code == 412
    assert "could not be reached" in failed.get_data(as_text=True)


def test_cdsh_100_pages_without_end_are_not_read_without_end(server) -> None:
    turn = iter(range(10**6))

    def another(handler) -> bool:
        page = json.loads(bundle()) | {
            "link": [{"relation": "next", "url": f"{server.base}/Condition?page={next(turn)}"}]
        }
        return answer(handler, 200, json.dumps(page).encode())

    server.fail("Condition?", act=another)
    client = FhirClient(base=server.base, token=TOKEN, deadline=time.monotonic() + 10)

    with pytest.raises(errors.TooMuch, match=Cause.TOO_MANY_PAGES):
        client.get("Condition?patient=p1")
    assert len(server.asked("Condition?")) == 20


def test_a_page_that_names_itself_as_the_next_is_read_once(server) -> None:
    page = json.loads(bundle()) | {"link": [{"relation": "next", "url": f"{server.base}/Condition?patient=p1"}]}
    server.fail("Condition?", act=answering(200, json.dumps(page).encode()))
    client = FhirClient(base=server.base, token=TOKEN, deadline=time.monotonic() + 10)

    with pytest.raises(errors.TooMuch):
        client.get("Condition?patient=p1")
    assert len(server.asked("Condition?")) == 1


def test_cdsh_100_pages_that_are_too_much_together_are_not_read_on(server) -> None:
    padding = {"resourceType": "Basic", "id": "x", "text": {"div": " " * 8_000_000}}

    def another(handler) -> bool:
        page = json.loads(bundle(padding)) | {"link": [{"relation": "next", "url": f"{handler.path}1"}]}
        return answer(handler, 200, json.dumps(page).encode())

    server.fail("Condition?", act=another)
    client = FhirClient(base=server.base, token=TOKEN, deadline=time.monotonic() + 20)

    with pytest.raises(errors.TooMuch, match=Cause.TOO_MUCH):
        client.get("Condition?patient=p1")
    assert len(server.asked("Condition?")) == 3


# ---- a page that fails after others were read ----

POSITIVE = "PHQ-9, 2 days ago: items 1-8 = 0, item 9 = 2"
UNSURE = ["positive-safety-answer", "could-not-assess"]


def then(server, who: str, following: str | None, *resources: dict, **more) -> bytes:
    """A page of a search for `who`, and where it says that the next one is."""
    own = json.loads(json.dumps(resources).replace(f'"Patient/{PATIENT}"', f'"Patient/{who}"'))
    page = json.loads(bundle(*own)) | {"type": "searchset"} | more
    return json.dumps(page | {"link": [{"relation": "next", "url": following}]}).encode()


SECOND = "Observation?page=2"
LATER_PAGES = {
    "elsewhere": ("http://127.0.0.1:9/fhir/x", None, "another server"),
    "by user info": ("http://ehr@127.0.0.1/fhir/x", None, "another server"),
    "not said where": ("", None, "not where"),
    "null": (None, None, "not where"),
    "not there": (SECOND, answering(404), "not found"),
    "gone": (SECOND, answering(410), "not found"),
    "refused as a query": (SECOND, answering(400, b"{}"), "does not support this query"),
    "forbidden": (SECOND, answering(403), "refused access"),
    "moved": (SECOND, answering(307, Location="/fhir/x"), "redirects"),
    "busy": (SECOND, answering(429), "too busy"),
    "a server error": (SECOND, answering(500), "status 500"),
    "a bad gateway": (SECOND, answering(502), "status 502"),
    "of another media type": (SECOND, answering(200, b"<html>", Content_Type="text/html"), "was not application/fhir+json"),
    "no FHIR": (SECOND, answering(200, b"null"), "not FHIR"),
    "an error report": (SECOND, answering(200, b'{"resourceType":"OperationOutcome"}'), "error report"),
    "half a page": (SECOND, cutting_short(EMPTY), "dropped the connection"),
    "dropped": (SECOND, dropping, "dropped the connection"),
    "a gzip bomb": (SECOND, answering(200, gzip.compress(b" " * (MOST_BYTES + 1)), Content_Encoding="gzip"), "more than can be read"),
}  # fmt: skip


@pytest.mark.parametrize("name", LATER_PAGES)
def test_cdsh_101_a_later_page_that_fails_hides_nothing_of_those_before_it(server, name: str) -> None:
    following, fault, reason = LATER_PAGES[name]
    who = server.load(patient())
    server.fail(SECOND, act=fault)
    server.fail("Observation?", act=answering(200, then(server, who, following, *given(POSITIVE))))

    got = call(server, who)

    assert topics(got) == UNSURE
    assert "Not read: screening" in _reason(got)
    assert reason in _reason(got)
    assert "screening" not in gathered(server, who).known


def _reason(got) -> str:
    return got.get_json()["cards"][-1]["detail"]


@pytest.mark.parametrize("name", LATER_PAGES)
def test_cdsh_101_a_later_page_that_fails_after_pages_without_a_finding_is_said(server, name: str) -> None:
    following, fault, reason = LATER_PAGES[name]
    who = server.load(patient())
    server.fail(SECOND, act=fault)
    server.fail("Observation?", act=answering(200, then(server, who, following)))

    assert reason in gap_said(call(server, who))


def test_cdsh_100_of_pages_without_end_those_that_were_read_count(server) -> None:
    who, turn = server.load(patient()), iter(range(2, 10**6))

    def another(handler) -> bool:
        more = given(POSITIVE) if "page" not in handler.path else ()
        return answer(handler, 200, then(server, who, f"Observation?page={next(turn)}", *more))

    server.fail("Observation?", act=another)

    got = call(server, who)

    assert topics(got) == UNSURE
    assert "more than 20 pages" in _reason(got)


def test_a_page_that_names_itself_as_the_next_counts_once(server) -> None:
    who = server.load(patient())
    visit = resource("Encounter", status="finished", period={"start": "2026-11-20"}) | {"class": {"code": "AMB"}}
    del visit["id"]

    def itself(handler) -> bool:
        return answer(handler, 200, then(server, who, handler.path, *given(POSITIVE), visit))

    server.fail("Observation?", act=itself)
    server.fail("Encounter?", act=itself)

    assert topics(call(server, who)) == UNSURE
    found = gathered(server, who)
    assert sum(r.kind == "Encounter" for r in found.resources) == 1
    assert not {"screening", "encounters"} & found.known


def test_cdsh_100_of_pages_that_are_too_much_together_those_that_were_read_count(server) -> None:
    who = server.load(patient())
    padding = {"resourceType": "Basic", "id": "x", "text": {"div": " " * 8_000_000}}

    def another(handler) -> bool:
        return answer(handler, 200, then(server, who, f"{handler.path}1", padding, *given(POSITIVE)))

    server.fail("Observation?", act=another)

    got = call(server, who, site(budget_s=30.0))

    assert topics(got) == UNSURE
    assert "more than can be read" in _reason(got)


def test_cdsh_100_216_a_later_page_that_does_not_come_in_time_hides_nothing(server) -> None:
    who, given_up = server.load(patient()), threading.Event()
    server.fail(SECOND, act=hanging(given_up))
    server.fail("Observation?", act=answering(200, then(server, who, SECOND, *given(POSITIVE))))

    got = call(server, who, site(budget_s=1.5))
    given_up.set()

    assert topics(got) == UNSURE
    assert "in time" in _reason(got)


def dripping(handler) -> bool:
    """A fault: an answer that comes a little at a time."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/fhir+json")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    with suppress(OSError):
        for _ in range(40):
            handler.wfile.write(b" ")
            time.sleep(0.25)
    return dropping(handler)


def test_cdsh_100_216_a_later_page_that_drips_hides_nothing(server) -> None:
    who = server.load(patient())
    server.fail(SECOND, act=dripping)
    server.fail("Observation?", act=answering(200, then(server, who, SECOND, *given(POSITIVE))))

    got = call(server, who, site(budget_s=1.5))

    assert topics(got) == UNSURE
    assert "in time" in _reason(got)


def test_a_refusal_on_a_later_page_is_no_refusal_of_the_form(server) -> None:
    who = server.load(patient())
    server.fail(SECOND, act=answering(400))
    server.fail("Observation?", act=answering(200, then(server, who, SECOND, *given(POSITIVE))))

    found = gathered(server, who)

    asked = [path for path in server.asked("Observation?") if path != SECOND]
    assert len(asked) == 2, "one query each for answers and for measurements"
    assert [u.what for u in found.unknown] == ["screening", "measurements"]


def test_a_later_page_fails_in_a_plainer_form_and_hides_nothing(server) -> None:
    who = server.load(patient())
    server.fail(SECOND, act=answering(500))
    page = then(server, who, SECOND, *given(POSITIVE))
    server.fail("Observation?", act=lambda h: answer(h, 400, b"{}") if "_count" in h.path else answer(h, 200, page))
    server.fail("Observation/_search", method="POST", act=answering(405))

    got = call(server, who)

    assert topics(got) == UNSURE
    assert "status 500" in _reason(got)


def test_cdsh_077_a_first_page_that_was_sent_and_one_that_was_read_are_put_together_once(server) -> None:
    who = server.load(patient())
    visit = resource("Encounter", status="finished", period={"start": "2026-11-20"}, subject={"reference": f"Patient/{who}"}) | {"class": {"code": "AMB"}}  # fmt: skip
    nameless = {key: value for key, value in visit.items() if key != "id"} | {"period": {"start": "2026-11-10"}}
    other = visit | {"id": "another", "period": {"start": "2026-10-10"}}
    page = json.loads(then(server, who, "http://ehr/next", visit, nameless, other))
    server.fail("Encounter?page=2", act=answering(500))
    server.fail("Encounter?", act=answering(200, then(server, who, "Encounter?page=2", visit, nameless)))
    client = FhirClient(base=server.base, token=TOKEN, deadline=time.monotonic() + 10)
    sent = {"encounters": Raw(json.dumps(page, indent=3).encode())}

    found = gather(
        ChartRequest(patient_id=who, as_of=AS_OF),
        sent,
        Access(fetch=client.get, server=server.base),
        settings=ReadSettings(),
    )

    assert sum(r.kind == "Encounter" for r in found.resources) == 3
    assert [u.reason for u in found.unknown if u.what == "encounters"] == [Gap(cause=Cause.FAILED, detail="500")]


def test_cdsh_077_a_first_page_that_was_sent_hides_nothing_of_the_pages_that_were_read(server) -> None:
    who = server.load(patient())
    server.fail(SECOND, act=answering(500))
    server.fail("Observation?", act=answering(200, then(server, who, SECOND, *given(POSITIVE))))
    page = json.loads(then(server, who, "http://ehr/next"))

    assert topics(call(server, who, prefetch={"patient": patient() | {"id": who}, "screening": page})) == UNSURE


def test_a_consent_that_denies_counts_though_a_later_page_fails(server) -> None:
    who = server.load(patient(), *given(POSITIVE))
    own = {"patient": {"reference": f"Patient/{PATIENT}"}, "provision": {"type": "deny"}}
    denial = resource("Consent", status="active", **own)
    server.fail("Consent?page=2", act=answering(500))
    server.fail("Consent?", act=answering(200, then(server, who, "Consent?page=2", denial)))

    assert gathered(server, who).consent is Consent.DENIED
    assert not server.asked("Observation?")


# ---- answers that say that the answer is on the way ----


@pytest.mark.parametrize("status", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
@pytest.mark.parametrize("times", [1, 5])
def test_an_answer_that_only_says_that_another_is_on_the_way_is_passed_over(server, status: bytes, times: int) -> None:
    who = server.load(patient(), *given(INTENT))

    def first(handler) -> bool:
        handler.wfile.write((b"HTTP/1.1 " + status + b"\r\nLink: </style.css>; rel=preload\r\n\r\n") * times)
        return False

    server.fail("", act=first)

    assert topics(call(server, who)) == ["acute-safety"]
    assert topics(call(server, who)) == ["acute-safety"], "connections are of use afterwards"


def test_a_connection_that_ends_after_such_an_answer_was_dropped(server) -> None:
    def only(handler) -> bool:
        handler.wfile.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        return dropping(handler)

    server.fail("Condition?", act=only)
    client = FhirClient(base=server.base, token=TOKEN, deadline=time.monotonic() + 5)

    with pytest.raises(errors.Unreachable):
        client.get("Condition?patient=p1")


@pytest.mark.parametrize(
    "label", ["application/fhir+json", "application/fhir+json;charset=UTF-8", "application/json", "application/json+fhir", 'Application/FHIR+JSON; fhirVersion="4.0"', "application/fhir+json; fhirVersion=4.3"]
)  # fmt: skip
def test_cdsh_103_every_label_of_fhir_json_is_read_packed_or_not(server, label: str) -> None:
    who = server.load(patient())
    found = gzip.compress(bundle(*[r | {"subject": {"reference": f"Patient/{who}"}} for r in given(INTENT)]))
    server.fail("Observation?", act=answering(200, found, Content_Type=label, Content_Encoding="gzip"))

    assert topics(call(server, who)) == ["acute-safety"]


# ---- where the token goes ----


class Bystander(socketserver.ThreadingTCPServer):
    """Another server on this machine, which counts who comes."""

    allow_reuse_address, daemon_threads = True, True
    came = 0


class _Count(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.server.came += 1


@pytest.fixture
def elsewhere():
    with Bystander(("127.0.0.1", 0), _Count) as other:
        thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield other, f"http://127.0.0.1:{other.server_address[1]}"
        other.shutdown()
        thread.join()


def test_cdsh_093_098_the_token_follows_no_redirect_and_no_next_page_to_another_server(server, elsewhere) -> None:
    other, address = elsewhere
    who = server.load(patient())
    page = json.loads(bundle()) | {"link": [{"relation": "next", "url": f"{address}/fhir/Condition?page=2"}]}
    server.fail("Condition?", act=answering(200, json.dumps(page).encode()))
    server.fail("QuestionnaireResponse?", act=answering(307, Location=f"{address}/fhir/QuestionnaireResponse"))
    server.fail("Observation?", act=answering(301, Location=f"{address}/fhir/Observation"))

    assert "Not read: conditions" in gap_said(call(server, who))
    assert other.came == 0


def test_cdsh_098_the_token_follows_no_next_page_elsewhere_and_the_page_that_names_it_is_used(
    server, elsewhere
) -> None:
    other, address = elsewhere
    who = server.load(patient())
    page = then(server, who, f"{address}/fhir/Observation?page=2", *given(POSITIVE))
    server.fail("Observation?", act=answering(200, page))

    assert topics(call(server, who)) == UNSURE
    assert other.came == 0


def test_cdsh_099_a_server_that_the_site_does_not_list_is_not_read(server) -> None:
    who = server.load(patient(), *given(INTENT))
    listed = site(fhir_bases=("https://ehr.example/fhir",))

    failed = call(server, who, listed)

    assert failed.status_code == 412
    assert "this site does not allow reading from this FHIR server" in failed.get_data(as_text=True)
    assert server.asked() == []
    assert topics(call(server, who, site(fhir_bases=(server.base + "/",)))) == ["acute-safety"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("https://ehr.example/fhir", "https://ehr.example/fhir/", True), ("https://EHR.example:443/fhir", "https://ehr.example/fhir", True), ("https://ehr.example/fhir", "http://ehr.example/fhir", False),
     ("https://ehr.example/fhir", "https://ehr.example/fhir/other", False), ("https://ehr.example/fhir", "https://ehr.example.evil/fhir", False), ("https://ehr.example/fhir", "https://ehr.example@evil/fhir", False),
     ("https://ehr.example/fhir", "https://ehr.example/fhir?x=1", False), ("https://ehr.example/fhir", "https://ehr.example:8443/fhir", False), ("https://ehr.example/fhir", "//ehr.example/fhir", False), ("https://ehr.example/fhir", "", False)],
)  # fmt: skip
def test_cdsh_098_099_a_base_is_the_same_only_when_origin_and_path_are(one: str, other: str, same: bool) -> None:
    assert same_base(one, other) is same
    assert same_base(other, one) is same


def test_cdsh_101_a_token_that_the_server_does_not_know_is_refused_by_it_and_said(server) -> None:
    who = server.load(patient(), *given(INTENT))
    stale = {"access_token": "of-yesterday", "token_type": "Bearer", "expires_in": 60, "scope": "x", "subject": "us"}

    refused = call(server, who, fhirAuthorization=stale)

    assert refused.status_code == 412
    assert "conditions: the EHR refused access" in refused.get_data(as_text=True)
    assert "of-yesterday" not in refused.get_data(as_text=True)


def test_cdsh_095_without_a_token_nothing_is_read(server) -> None:
    who = server.load(patient())

    assert call(server, who, fhirAuthorization=None).status_code == 412
    assert server.asked() == []


@pytest.mark.parametrize(
    "address",
    ["http://ehr.example/fhir", "http://10.0.0.1/fhir", "http://169.254.169.254/latest", "file:///etc/passwd", "ftp://127.0.0.1/",
     "http://127.0.0.1@evil.example/fhir", "http://user:pw@127.0.0.1/fhir", "//127.0.0.1/fhir", "http://localhost.evil.example/",
     "http://[::2]/fhir", "http://127.0.0.1:port/fhir", "http://127.0.0.1/fhir?x=1", ""],
)  # fmt: skip
def test_cdsh_099_a_site_that_lists_no_server_reads_on_this_machine_only(server, address: str) -> None:
    assert not is_loopback(address)
    assert call(server, PATIENT, fhirServer=address).status_code in (400, 412)


def test_cdsh_099_a_server_is_known_by_the_sites_spelling_of_it() -> None:
    listed = ReadSettings(fhir_bases=("https://ehr.example/fhir",))

    assert readable_base("HTTPS://EHR.example:443/fhir/", listed, local=False) == "https://ehr.example/fhir"


def test_cdsh_099_in_production_a_site_that_lists_no_server_reads_none() -> None:
    assert readable_base("http://127.0.0.1:8080/fhir", ReadSettings(), local=True)
    assert not readable_base("http://127.0.0.1:8080/fhir", ReadSettings(), local=False)
    assert not readable_base("https://ehr.example/fhir", ReadSettings(), local=False)


# `good`: host and port of the server that the site lists, as http://{good}/fhir; `trap`: those of another that listens.
NO_BASE = (
    "http://{good}/fhir#", "http://{good}/fhir?", "http://{good}/fhir#/metadata", "http://{good}/fhir?x=1", "http://{good}/fhir\t",
    "http://{good}/fh\tir", "http://{good}/fhir\n", "http://{good}/fhir\r\nHost: evil", "http://{good}/fhir ", " http://{good}/fhir", "\x00http://{good}/fhir",
    "http://{good}/fhir\\", "http:\\\\{good}\\fhir", "http://{trap}\\@{good}/fhir", "http://{trap}#@{good}/fhir", "http://{trap}?@{good}/fhir",
    "http://{good}@{trap}/fhir", "http://@{good}/fhir", "http://:@{good}/fhir", "http://u:p@{good}/fhir", "ht\ttp://{good}/fhir", "//{good}/fhir",
    "{good}/fhir", "/fhir", "fhir", "http:/{good}/fhir", "http:{good}/fhir", "http:///fhir", "ftp://{good}/fhir", "file:///etc/passwd", "javascript:1",
    "http://{good}:80/fhir", "http://{good}%2ffhir", "http://127.0.0.1:99999/fhir", "http://[{good}/fhir", "http://\uff11\uff12\uff17.0.0.1/fhir", "http://{good}/fhir\u3002", "http://{good}\u2044fhir",
)  # fmt: skip
NOT_LISTED = (
    "http://{good}/%66hir", "http://{good}/fhir%2f", "http://{good}/fhir%2f..%2f..", "http://{good}/fhir%23", "http://{good}/fhir%3f",
    "http://{good}/fhir%09", "http://{good}/fhir%00", "http://{good}/%2e/fhir", "http://{good}/./fhir", "http://{good}/x/../fhir", "http://{good}/fhir/..",
    "http://{good}/fhir/../x", "http://{good}/fhir/%2e%2e/x", "http://{good}/fhir;x=1", "http://{good}/fhir/Patient", "http://{good}//fhir", "http://{good}/FHIR",
    "http://{good}", "https://{good}/fhir", "http://{trap}/fhir", "http://{trap}/fhir/http://{good}/fhir", "http://127.1:9/fhir", "http://0x7f000001:9/fhir",
)  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "status"), [*((address, 400) for address in NO_BASE), *((address, 412) for address in NOT_LISTED)]
)
def test_cdsh_099_no_spelling_of_an_address_leads_the_token_elsewhere(server, elsewhere, sent: str, status) -> None:
    trap, address = elsewhere
    hostile = sent.format(good=server.base.split("/")[2], trap=address.split("/")[2])

    answer = call(server, PATIENT, site(fhir_bases=(server.base,)), fhirServer=hostile)

    assert answer.status_code == status, answer.get_json()
    assert status == 412 or "fhirServer" in answer.get_data(as_text=True)
    assert (trap.came, server.proxy.connections, server.proxy.seen) == (0, 0, [])


@pytest.mark.parametrize("sent", ["{base}", "{base}/", "{base}//", "HTTP://{host}/fhir"])
def test_cdsh_099_what_is_read_is_below_the_base_as_the_site_spells_it(server, sent: str) -> None:
    who = server.load(patient(), *given(INTENT))
    spelled = sent.format(base=server.base, host=server.base.split("/")[2])

    assert topics(call(server, who, site(fhir_bases=(server.base,)), fhirServer=spelled)) == ["acute-safety"]
    assert all(re.match(r"/fhir/[A-Z]", path) for path, _ in server.proxy.seen)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8080/fhir", "http://localhost/fhir", "https://[::1]:1/fhir", "http://127.9.9.9/r4"]
)
def test_loopback_servers_are_known_as_such(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize(
    "following",
    ["http://evil.example/fhir/x", "http://127.0.0.1:1/fhir/x", "https://127.0.0.1:80/fhir/x", "//evil.example/fhir/x", "/other/x",
     "/fhir/../admin", "http://u@127.0.0.1:80/fhir/x", "/fhirx/y", "/fhir/%2e%2e/%2e%2e/stolen/fhir/Condition", "/fhir/x/%2e%2e%2f..%2fstolen", "/fhir/..;/evil", "/fhir/%252e%252e/evil", "http://[::1", "http://127.0.0.1:abc/x"],
)  # fmt: skip
def test_cdsh_098_a_next_page_outside_the_base_is_refused(following: str) -> None:
    client = FhirClient(base="http://127.0.0.1:80/fhir", token=TOKEN, deadline=0)

    with pytest.raises(errors.NextElsewhere, match=Cause.NEXT_PAGE_ELSEWHERE):
        client._below_base("http://127.0.0.1:80/fhir/Observation", following)


@pytest.mark.parametrize("following", ["?page=2", "/fhir?_getpages=7", "http://127.0.0.1/fhir/Observation?page=2"])
def test_cdsh_077_a_next_page_below_the_base_is_followed(following: str) -> None:
    client = FhirClient(base="http://127.0.0.1:80/fhir/", token=TOKEN, deadline=0)

    assert client._below_base("http://127.0.0.1:80/fhir/Observation?patient=1", following)


class Dripping(socketserver.BaseRequestHandler):
    """A server that keeps sending, a little at a time, and never ends: headers or body."""

    def handle(self) -> None:
        self.request.recv(65536)
        with suppress(OSError):
            self.request.sendall(self.server.start)
            for _ in range(240):
                self.request.sendall(self.server.piece)
                time.sleep(0.25)


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: 100000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n"),
        (b"HTTP/1.0 200 OK\r\nContent-Type: application/fhir+json\r\nContent-Length: 100000\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nConnection: close\r\n\r\n", b" "),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1\r\nx\r\n",
        ),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    ],
    ids=["body", "headers", "old HTTP", "until closed", "chunks", "on the way"],
)
def test_cdsh_100_216_a_server_that_drips_is_cut_off_at_the_deadline(start: bytes, piece: bytes) -> None:
    with Bystander(("127.0.0.1", 0), Dripping) as dripping_server:
        dripping_server.start, dripping_server.piece = start, piece
        thread = threading.Thread(target=dripping_server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            base = f"http://127.0.0.1:{dripping_server.server_address[1]}/fhir"
            client = FhirClient(base=base, token=TOKEN, deadline=time.monotonic() + 1)
            begun = time.monotonic()
            with pytest.raises(errors.TooLate, match=Cause.TOO_LATE):
                client.get("Condition?patient=p1")
            # Not a matter of speed: uncut, the server goes on for a minute.
            assert time.monotonic() - begun < 50
        finally:
            dripping_server.shutdown()
            thread.join()


def test_a_connection_cut_at_the_deadline_of_one_call_does_not_serve_the_next(server) -> None:
    who, given_up = server.load(patient(), *given(INTENT)), threading.Event()
    server.fail("Condition?", act=hanging(given_up), times=1)

    assert call(server, who, site(budget_s=0.5)).status_code in (200, 412)
    given_up.set()

    for _ in range(3):
        assert topics(call(server, who)) == ["acute-safety"]


def test_a_connection_that_went_back_to_the_pool_is_cut_by_nobodys_deadline(server) -> None:
    address, headers = f"{server.base}/Patient/none", {"Authorization": f"Bearer {TOKEN}"}
    watch = Watch(time.monotonic() + 60)
    again = threading.Thread(target=POOLS.request, args=("GET", address), kwargs={"headers": headers})

    with watch:
        POOLS.request("GET", address, headers=headers, retries=False)
        opened = server.proxy.connections
        watch.cut()
        again.start()  # another call, which no watch of this one may touch
        again.join()

    assert server.proxy.connections == opened, "the connection was cut, and another had to be opened"


# ---- whose data ----


def test_a_server_that_ignores_the_patient_parameter_and_says_so_leaks_nothing_and_costs_no_card(server) -> None:
    server.load(patient(), *given(INTENT, "questionnaire"))
    who = server.load(patient(), *given("PHQ-9, 40 days ago: items 1-9 = 0", "questionnaire"))

    assert topics(call(server, who)) == []

    record = patient_record(gathered(server, who), settings=ReadSettings(), as_of=AS_OF)
    assert [(a.flaw.kind, a.flaw.stops_model) for a in record.anomalies] == [("wrong-patient", False)]
    assert [f.total for f in record.administrations] == [None]
    assert record.fact("phq9").value == 0


def test_a_server_that_claims_to_have_searched_by_patient_and_has_not_is_an_anomaly(server) -> None:
    server.load(patient(), *given(INTENT, "questionnaire"))
    who = server.load(patient())

    def claiming(content: dict) -> dict:
        return content | {"link": [{"relation": "self", "url": f"{server.base}/QuestionnaireResponse?patient={who}"}]}

    server.fail("QuestionnaireResponse?", change=claiming)
    got = call(server, who)

    assert topics(got) == ["data-anomaly"]
    assert "question 4" not in got.get_data(as_text=True)


def test_a_server_that_searched_for_another_patient_has_not_said_that_there_is_nothing(server) -> None:
    who = server.load(patient())
    link = {"relation": "self", "url": f"{server.base}/QuestionnaireResponse?patient=p2"}
    server.fail("QuestionnaireResponse?", change=lambda content: content | {"link": [link], "entry": [], "total": 0})

    assert topics(call(server, who)) == ["could-not-assess"]


@pytest.mark.parametrize("path", ["Observation", "Condition", "Encounter", "MedicationRequest"])
def test_cdsh_085_no_search_that_ignores_the_patient_gives_a_foreign_fact(server, path: str) -> None:
    others = [
        *given(INTENT),
        *given("Condition T14.91XA, 2 days ago"),
        *given("Medicine sertraline, today"),
        *given("Visit for depression, 30 days ago"),
    ]
    server.load(patient(), *others)
    who = server.load(patient())
    ids = ",".join(r["id"] for r in others if r["resourceType"] == path)
    server.fail(f"{path}?", upstream=lambda _asked: f"/fhir/{path}?_id={ids}")

    record = patient_record(gathered(server, who), settings=ReadSettings(), as_of=AS_OF)

    assert topics(call(server, who)) == []
    assert not (record.events or record.administrations or record.visits)
    assert not [f.name for f in record.facts if f.value and f.name not in ("age", "female")]


def absolute(base: str):
    """Every relative reference made absolute, as some servers answer."""

    def change(content: dict) -> dict:
        text = json.dumps(content)
        return json.loads(text.replace('"reference": "', f'"reference": "{base}/'))

    return change


def test_cdsh_080_absolute_references_below_the_server_are_the_patients_own(server) -> None:
    who = server.load(patient(), *given(INTENT))
    server.fail("", change=absolute(server.base))

    assert topics(call(server, who)) == ["acute-safety"]


def test_cdsh_085_absolute_references_below_another_server_are_another_patients_even_when_the_site_lists_it(
    server,
) -> None:
    who = server.load(patient(), *given(INTENT))
    server.fail("", change=absolute("https://ehr.example/fhir"))

    assert topics(call(server, who)) == ["data-anomaly"]
    assert topics(call(server, who, site(fhir_bases=(server.base, "https://ehr.example/fhir")))) == ["data-anomaly"]


def test_another_patient_from_the_server_is_said(server) -> None:
    who, other = server.load(patient()), server.load(patient())
    server.fail("Patient/", upstream=lambda path: path.replace(who, other))

    assert "Not read: patient details (the EHR returned another patient)" in gap_said(call(server, who))


def test_cdsh_077_a_first_page_that_was_sent_is_completed_from_the_server(server) -> None:
    who = server.load(patient(), *given(INTENT))
    page = {"resourceType": "Bundle", "type": "searchset", "link": [{"relation": "next", "url": "http://ehr/next"}]}
    sent = {"patient": patient() | {"id": who}, "conditions": None, "questionnaires": None, "screening": page}

    assert topics(call(server, who, prefetch=sent)) == ["acute-safety"]
