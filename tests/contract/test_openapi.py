"""The service's description of itself: valid, complete, and what real answers are like."""

from __future__ import annotations

import gzip
import json
import re

import pytest
import sqlalchemy as sa
from builders import AS_OF, given, open_app, patient, prefetch_of
from described import Answer, Described
from ehr import ADDRESS, EHR, FEEDBACK, app_of, hook_request, settings
from openapi_spec_validator import validate

from cds_service import errors
from cds_service.documents.openapi import document
from cds_service.serving.engine import load_engine
from explanations.judgement.assessment import Engine, ModelFailure

DOCUMENT = document()
DESCRIBED = Described(DOCUMENT)
CLIENT = EHR(clock=AS_OF.timestamp())
ITEM = {"card": "c1", "outcome": "overridden", "outcomeTimestamp": "2026-11-23T15:00:00Z"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory):
    return app_of(settings(tmp_path_factory.mktemp("described")), now=lambda: AS_OF)


def sent(app, method: str, path: str, *, signed: bool = True, headers: dict | None = None, **wanted):
    """The answer, after it was held against the description."""
    signature = CLIENT.headers(path.rstrip("/")) if signed else {}
    found = app.test_client().open(path, method=method, headers=signature | (headers or {}), **wanted)
    answer = Answer(status=found.status_code, headers={k.lower(): v for k, v in found.headers.items()}, body=found.data)
    assert DESCRIBED.fault(method, path, answer) is None
    return found


def operations() -> list[tuple[str, str, dict]]:
    return [
        (path, method, operation)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
    ]


# ---- the document ----


def test_it_is_valid_openapi() -> None:
    validate(DOCUMENT)


def test_it_names_every_route_of_the_app_and_nothing_else(app) -> None:
    routes = {
        (re.sub(r"<[\w:]+>", "{}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        # Style sheets and scripts of the pages, and the page that says that there is nothing.
        if rule.endpoint not in ("smart_pages.static", "smart_pages.nothing")
    }

    assert routes == {(re.sub(r"{\w+}", "{}", path), method) for path, method, _ in operations()}


def test_every_status_of_our_errors_is_described() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ServiceError)]
    described = {status for _, _, operation in operations() for status in operation["responses"]}

    assert len(kinds) > 10
    assert {str(kind.status) for kind in kinds} <= described


def test_hook_calls_feedback_acts_and_notifications_of_a_sites_systems_alone_ask_for_a_token() -> None:
    signed = {path for path, _, operation in operations() if operation["security"]}

    below = ("/cds-services/{id}", "/cds-services/{id}/feedback")
    acts = ("/control/switch", "/control/opt-outs")
    told = ("/subscriptions/{site}", "/subscriptions/{site}/{place}")
    assert signed == {"/escalations/acknowledge", *below, *acts, *told, *(f"/sites/{{site}}{path}" for path in below)}


def test_every_example_is_as_its_schema_says_and_works(app) -> None:
    found = [
        content
        for _, _, operation in operations()
        for place in (operation.get("requestBody", {}), *operation["responses"].values())
        for content in place.get("content", {}).values()
        if "example" in content
    ]

    assert len(found) >= 6
    for content in found:
        DESCRIBED.validator(content["schema"]["$ref"]).validate(content["example"])
    call = DOCUMENT["paths"]["/cds-services/{id}"]["post"]["requestBody"]["content"]["application/json"]["example"]
    [card] = sent(app, "POST", ADDRESS, json=call).get_json()["cards"]
    assert card["source"]["topic"]["code"] == "positive-safety-answer"


def test_it_is_open_and_cacheable(app) -> None:
    first = sent(app, "GET", "/openapi.json", signed=False)
    again = sent(app, "GET", "/openapi.json", signed=False, headers={"If-None-Match": first.headers["ETag"]})

    assert first.get_json() == DOCUMENT
    assert again.status_code == 304
    assert "max-age" in first.headers["Cache-Control"]


# ---- real answers ----


@pytest.mark.parametrize(
    "path",
    [
        "/cds-services",
        "/cds-services/",
        "/sites/north/cds-services",
        "/data-needs.json",
        "/sites/north/data-needs.json",
        "/about",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/openapi.json",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_open_addresses_answer_as_described(app, method: str, path: str) -> None:
    assert sent(app, method, path, signed=False).status_code == (405 if method == "DELETE" else 200)


def test_model_cards_answer_as_described() -> None:
    app = open_app()

    assert sent(app, "GET", "/model-card", signed=False).status_code == 200
    assert len(sent(app, "GET", "/model-card.json", signed=False).get_json()["models"]) == 2


LINES = (
    "C-SSRS, today: question 4 = yes",
    "C-SSRS, 40 days ago: question 4 = yes",
    "PHQ-9, 6 days ago: items 1-7 = 1, item 8 = 0, item 9 = 1",
    "PHQ-9, 30 days ago: items 1-8 = 2, item 9 = 0, total = 16",
    "PHQ-9, 3 days ago: items 1-8 = 1, item 9 = unreadable",
)


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("age", [15, 40])
def test_cards_are_as_described(app, line: str, age: int) -> None:
    chart = prefetch_of([patient(age), *given(line)])

    assert sent(app, "POST", ADDRESS, json=hook_request(prefetch=chart)).get_json()["cards"]


def test_a_models_card_is_as_described(tmp_path) -> None:
    folder = settings(tmp_path, site={"thresholds": {"depression": 0.001}})
    app = app_of(folder, engine=load_engine(None), now=lambda: AS_OF)
    chart = prefetch_of([patient(), *given("Condition F41.9, 60 days ago"), *given("Condition G47.00, 90 days ago")])

    [card] = sent(app, "POST", ADDRESS, json=hook_request(prefetch=chart)).get_json()["cards"]

    assert card["source"]["topic"]["code"] == "screening-prompt"


@pytest.mark.parametrize("form", ["batch", "alone"])
def test_feedback_is_answered_as_described(app, form: str) -> None:
    item = ITEM | {"card": form, "overrideReason": {"userComment": "made up"}}

    answer = sent(app, "POST", FEEDBACK, json={"feedback": [item]} if form == "batch" else item)

    assert answer.get_json() == {"received": 1, "stored": 1}


REFUSED = {
    400: {"json": hook_request(hook=7)},
    401: {"json": hook_request(), "signed": False},
    404: {"json": hook_request(), "path": "/cds-services/unknown"},
    405: {"json": hook_request(), "method": "PUT"},
    412: {"json": hook_request() | {"prefetch": None}},
    413: {"data": gzip.compress(b" " * 3_000_000), "content_type": "application/json", "headers": {"Content-Encoding": "gzip"}},
    415: {"data": b"{}", "content_type": "text/plain"},
}  # fmt: skip


@pytest.mark.parametrize("status", REFUSED)
@pytest.mark.parametrize("path", [ADDRESS, FEEDBACK])
def test_refusals_are_as_described(app, status: int, path: str) -> None:
    if status == 412 and path == FEEDBACK:
        return
    wanted = {"method": "POST", "path": path} | REFUSED[status]

    assert sent(app, **wanted).status_code == status


def test_an_address_that_there_is_not_is_404_as_described(app) -> None:
    for path in ("/", "/nothing", "/cds-services/a/b/c", "/openapi.json/"):
        assert sent(app, "GET", path, signed=False).status_code == 404


def test_plain_http_in_production_is_403_as_described(tmp_path) -> None:
    app = app_of(settings(tmp_path, service={"mode": "production", "public_url": "https://cds.example"}))

    assert sent(app, "POST", ADDRESS, json=hook_request()).status_code == 403


def test_limits_are_answered_as_described(tmp_path) -> None:
    app = app_of(settings(tmp_path, service={"limits": {"calls_per_minute": 1}}), now=lambda: AS_OF)

    statuses = [sent(app, "POST", ADDRESS, json=hook_request()).status_code for _ in range(2)]

    assert statuses == [200, 429]


def test_a_store_that_fails_is_503_as_described(tmp_path) -> None:
    app = app_of(settings(tmp_path), now=lambda: AS_OF)
    for table in ("feedback", "audit_event"):
        engine = sa.create_engine(f"sqlite:///{tmp_path / 'data' / 'mhcds.db'}")
        with engine.begin() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO gone_{table}")
        engine.dispose()

    assert sent(app, "POST", FEEDBACK, json=ITEM).status_code == 503
    assert sent(app, "POST", ADDRESS, json=hook_request()).status_code == 200


def test_a_service_that_is_not_ready_says_so_as_described() -> None:
    app = open_app(engine=Engine(failures=(ModelFailure(outcome="depression", reason="gone"),)))

    assert sent(app, "GET", "/health/ready", signed=False).status_code == 503


def test_an_unforeseen_error_is_500_as_described() -> None:
    assert sent(open_app(engine=Engine(), now=lambda: 1 / 0), "POST", ADDRESS, json=hook_request()).status_code == 500


# ---- the judge judges ----


@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [
        ("GET", "/health/live", Answer(status=200, headers={"content-type": "application/json"}, body=b'{"status": "up"}')),
        ("GET", "/health/live", Answer(status=200, headers={"content-type": "application/json"}, body=b"{")),
        ("GET", "/health/live", Answer(status=200, headers={"content-type": "text/html"}, body=b"")),
        ("GET", "/health/live", Answer(status=418, headers={}, body=b"")),
        ("HEAD", "/health/live", Answer(status=200, headers={}, body=b"x")),
        ("GET", "/nothing", Answer(status=200, headers={}, body=b"")),
        ("POST", ADDRESS, Answer(status=200, headers={"content-type": "application/json"}, body=b'{"cards": [], "x": 1}')),
        ("POST", ADDRESS, Answer(status=401, headers={"content-type": "application/json"}, body=b"{}")),
    ],
)  # fmt: skip
def test_what_is_not_as_described_is_a_fault(method: str, path: str, answer: Answer) -> None:
    assert DESCRIBED.fault(method, path, answer)


def test_the_document_holds_no_number_that_is_none() -> None:
    json.dumps(DOCUMENT, allow_nan=False)
