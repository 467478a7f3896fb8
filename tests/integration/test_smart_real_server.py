"""The app on a FHIR server that somebody else wrote (sekmet-fhir), behind OAuth: launch, read, and what must not leak."""

from __future__ import annotations

import time

import pytest
from builders import given, moment, patient, resource
from real_server import answering
from smart_front import front


@pytest.fixture
def two(server):
    """Two patients of the real server: with a positive answer of today, and with a quiet chart."""
    positive = server.load(patient(), *given("PHQ-9, today: item 9 = 2, total = 12"))
    quiet = server.load(patient(), *given("PHQ-9, 20 days ago: item 9 = 0, total = 2"))
    server.reset()
    return positive, quiet


def test_the_chart_of_the_launch_is_read_and_no_other(server, two) -> None:
    positive, quiet = two
    with front(server, *two) as ehr:
        visitor = ehr.visitor()
        page = visitor.get(visitor.open(positive)).text
        other = visitor.get(visitor.open(quiet)).text

    assert "item 9" in page
    assert "more than half the days" in page
    assert "more than half the days" not in other
    assert not any(quiet in path for path in server.asked() if positive in path)


def test_smart_086_087_the_token_of_the_launch_goes_to_the_fhir_base_alone(server, two) -> None:
    seen = []
    with front(server, *two) as ehr:
        visitor = ehr.visitor()
        where = visitor.open(two[0])
        token = list(ehr.authorization.grants._access)[-1]

        def elsewhere(content: dict) -> dict:
            content["link"] = [{"relation": "next", "url": "http://127.0.0.1:9/fhir/Observation?page=2"}]
            return content

        server.fail("Observation", change=elsewhere)
        page = visitor.get(where).text
        seen = [authorization for _, authorization in server.proxy.seen]

    assert "could not be read" in page.lower()
    assert token not in str(seen)


@pytest.mark.parametrize("status", [403, 500, 429])
def test_smart_043_089_a_part_that_cannot_be_read_is_named_and_the_rest_is_shown(server, two, status: int) -> None:
    with front(server, *two) as ehr:
        visitor = ehr.visitor()
        where = visitor.open(two[0])
        server.fail("Condition", answering(status))
        page = visitor.get(where)

    assert page.status_code == 200
    assert "more than half the days" in page.text
    assert "conditions" in page.text.lower()
    assert "could not be read" in page.text.lower()


def test_smart_088_resources_of_another_patient_never_reach_the_page(server, two) -> None:
    positive, quiet = two
    with front(server, *two) as ehr:
        visitor = ehr.visitor()
        where = visitor.open(quiet)
        server.fail("Observation", upstream=lambda path: path.replace(quiet, positive))
        page = visitor.get(where).text

    assert "more than half the days" not in page


def test_a_medicine_that_has_ended_is_under_the_trend_and_not_among_the_medicines(server) -> None:
    ended = resource(
        "MedicationRequest", status="completed", intent="order", authoredOn=moment("60 days ago"),
        medicationCodeableConcept={"text": "fluoxetine 20 mg"},
        dispenseRequest={"validityPeriod": {"end": moment("20 days ago")}},
    )  # fmt: skip
    results = [r for days in (90, 3) for r in given(f"PHQ-9, {days} days ago: item 9 = 0, total = 9")]
    who = server.load(patient(), *results, ended)
    server.reset()
    with front(server, who) as ehr:
        visitor = ehr.visitor()
        page = visitor.get(visitor.open(who)).text
        server.fail("MedicationRequest", answering(403))
        refused = visitor.get(visitor.open(who)).text

    assert "Fluoxetine 20 mg from 24 September 2026 to 3 November 2026, ended" in page
    assert "No active medicines found in the records read." in page
    assert "medicines that have ended" in refused


def test_a_server_that_is_down_gets_a_page_with_a_way_back(server, two) -> None:
    with front(server, *two) as ehr:
        visitor = ehr.visitor()
        where = visitor.open(two[0])
        server.fail("Patient", answering(503))
        down = visitor.get(where)
        server.reset()
        again = visitor.get(where)

    assert down.status_code == 502
    assert 'data-page="no-chart"' in down.text
    assert again.status_code == 200


def slowly(seconds: float):
    """A fault: the server's own answer, late."""

    def act(_handler) -> bool:
        time.sleep(seconds)
        return False

    return act


def test_a_chart_that_takes_long_is_said_to_be_read_and_then_shown(server, two, in_parts) -> None:
    with front(server, *two) as ehr:
        visitor = ehr.visitor()
        where = visitor.open(two[0])
        server.fail("Condition", slowly(1.5))
        page = visitor.get(where)

    assert page.is_streamed
    assert page.text.count("<html") == page.text.count("<body>") == page.text.count("</html>") == 1
    assert page.text.index("Reading the chart…") < page.text.index("more than half the days")
    assert "frame-ancestors http" in page.headers["Content-Security-Policy"]
    assert page.headers["Cache-Control"] == "no-store"


def test_a_chart_that_fails_after_a_while_gets_its_error_all_the_same(server, two, in_parts) -> None:
    with front(server, *two) as ehr:
        visitor = ehr.visitor()
        where = visitor.open(two[0])
        server.fail("Patient", lambda handler: slowly(1.5)(handler) or answering(403)(handler))
        page = visitor.get(where).text

    assert page.index("Reading the chart…") < page.index('data-page="no-chart"')
    assert page.count("</html>") == 1
