"""What `make fuzz-http` found, one test a fault: each was answered otherwise before."""

from __future__ import annotations

import json

import pytest
from builders import AS_OF, given
from ehr import ADDRESS, EHR, FEEDBACK, app_of, hook_request, settings
from gunicorn.http.errors import (
    ChunkMissingTerminator,
    InvalidChunkSize,
    InvalidHeader,
    LimitRequestHeaders,
    NoMoreData,
)

from cds_service.storage import tables
from cds_service.storage.opening import open_store

CLIENT = EHR(clock=AS_OF.timestamp())


@pytest.fixture
def app(tmp_path):
    return app_of(settings(tmp_path), now=lambda: AS_OF)


def refused(answer, status: int) -> str:
    assert (answer.status_code, answer.content_type) == (status, "application/json")
    return answer.get_json()["issue"][0]["diagnostics"]


@pytest.mark.parametrize("path", ["/cds-services//", "/cds-services//depression-suicide-risk", "/health//live"])
def test_slashes_side_by_side_lead_nowhere_and_least_of_all_to_the_host_header(app, path: str) -> None:
    answer = app.test_client().get(path, headers={"Host": "evil.example"})

    refused(answer, 404)
    assert "Location" not in answer.headers


@pytest.mark.parametrize(
    "path", ["/cds-services", "/openapi.json", "/about", "/data-needs.json", "/model-card", "/model-card.json"]
)
@pytest.mark.parametrize(
    "header", [{"If-Match": '"other"'}, {"If-Match": "*"}, {"If-Range": '"x"', "Range": "bytes=0-1"}]
)
def test_no_condition_but_if_none_match_changes_an_open_answer(app, path: str, header: dict) -> None:
    client = app.test_client()

    assert client.get(path, headers=header).data == client.get(path).data != b""
    assert client.get(path, headers=header).status_code == 200


class Broken:
    """A body that cannot be read to its end, as gunicorn says it."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def read(self, *_size: int) -> bytes:
        raise self.error


FAULTS = (
    NoMoreData(), InvalidChunkSize(b"zz"), ChunkMissingTerminator(b"XX"), InvalidHeader("Authorization Bearer x"), LimitRequestHeaders("too many"), ConnectionResetError(), TimeoutError(),
)  # fmt: skip


@pytest.mark.parametrize("error", FAULTS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("path", [ADDRESS, FEEDBACK])
def test_a_body_that_stops_or_is_chunked_wrongly_is_the_clients_fault(app, path: str, error: Exception, caplog) -> None:
    broken = {"wsgi.input": Broken(error), "wsgi.input_terminated": True}

    answer = app.test_client().post(
        path, headers=CLIENT.headers(path), content_type="application/json", environ_overrides=broken
    )

    assert "body" in refused(answer, 400)
    assert "unforeseen" not in caplog.text


def feedback(app, **changes):
    item = {"card": "c1", "outcome": "overridden", "outcomeTimestamp": "2026-11-23T15:00:00Z"} | changes
    return app.test_client().post(FEEDBACK, headers=CLIENT.headers(FEEDBACK), json={"feedback": [item]})


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"card": "a\u0000b"}, "card"),
        ({"card": "a\nb"}, "card"),
        ({"card": "İ" * 200}, "card"),  # 400 characters in small letters
        ({"outcome": "accepted", "acceptedSuggestions": [{"id": "\u0000"}]}, "acceptedSuggestions"),
        ({"overrideReason": {"reason": {"code": "\u0000"}}}, "overrideReason.reason"),
        ({"overrideReason": {"reason": {"code": "x", "system": "urn:\u0000"}}}, "overrideReason.reason"),
        ({"outcomeTimestamp": "٢٠٢٦-11-23T15:00:00Z"}, "outcomeTimestamp"),
    ],
)
def test_what_postgresql_could_not_store_is_the_clients_fault_and_named(app, changes: dict, names: str) -> None:
    assert f"feedback[0].{names}" in refused(feedback(app, **changes), 400)


def test_fractions_of_any_length_are_taken_and_stored_in_nanoseconds(tmp_path) -> None:
    app = app_of(settings(tmp_path), now=lambda: AS_OF)

    answer = feedback(app, outcomeTimestamp=f"2026-11-23T15:00:00.{'123456789' * 30}+02:00")

    assert answer.get_json() == {"received": 1, "stored": 1}
    store = open_store(f"sqlite:///{tmp_path / 'data' / 'mhcds.db'}")
    [row] = store.rows(tables.feedback)
    store.close()
    assert row["outcome_at"] == "2026-11-23T15:00:00.123456789+02:00"


@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", [10**400, -(10**400), 10**19, 1e308])
def test_a_time_beyond_all_numbers_is_a_refusal(app, claim: str, value) -> None:
    refused(app.test_client().post(ADDRESS, headers=CLIENT.headers(**{claim: value}), json=hook_request()), 401)


def test_a_host_that_is_none_is_a_400_as_an_operation_outcome(app) -> None:
    refused(app.test_client().get("/cds-services", headers={"Host": "x" * 5000}), 400)


# A number beyond all doubles in a member that nobody reads, beside a text with an escape or a contained owner.
BEYOND = [
    ('"note": [{"text": "n\\u00e9e", "x": 1e999}]', "positive-safety-answer"),
    ('"note": [{"text": "n\\u00e9e", "x": ' + "9" * 5000 + "}]", "could-not-assess"),
    ('"modifierExtension": [{"url": "x", "valueDecimal": 1e999}]', "could-not-assess"),
    (
        '"contained": [{"resourceType": "Patient", "id": "c", "x": 1e999}], "subject": {"reference": "#c"}',
        "data-anomaly",
    ),
]


@pytest.mark.parametrize(("member", "topic"), BEYOND)
def test_a_number_beyond_all_numbers_in_a_chart_is_no_fault_of_the_service(app, member: str, topic: str) -> None:
    line = given("PHQ-9, 6 days ago: item 9 = 1")[0] | {"note": "@"}
    if "subject" in member:
        del line["subject"]
    call = json.dumps(hook_request(more={"screening": line})).replace('"note": "@"', member)

    answer = app.test_client().post(ADDRESS, headers=CLIENT.headers(), data=call, content_type="application/json")

    assert answer.status_code == 200
    assert topic in {card["source"]["topic"]["code"] for card in answer.get_json()["cards"]}
