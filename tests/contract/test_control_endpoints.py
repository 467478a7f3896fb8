"""POST /control/switch and /control/opt-outs: who may use them, for which site, and what is refused."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from builders import AS_OF
from described import Answer, Described
from ehr import ADDRESS, EHR, app_of, hook_request, issuer_table, settings

from cds_service.control.acts import switches
from cds_service.control.opt_outs import MOST_AT_ONCE, opt_outs
from cds_service.documents.openapi import document
from cds_service.hooks.control_routes import MOST_BYTES
from cds_service.storage.chain import AuditKind
from cds_service.storage.tables import audit_event

SWITCH, OPT_OUTS = "/control/switch", "/control/opt-outs"
PAGER, REGISTRY, HOOKS, SOUTH = (
    EHR(iss=f"https://{name}.example", clock=AS_OF.timestamp()) for name in ("pager", "registry", "ehr", "south")
)
OFF = {"site": "north", "state": "off", "model": "depression", "by": "A. Smith", "reason": "reports of wrong prompts"}
ADD = {"site": "north", "act": "add", "patients": ["p-1"], "by": "Registration", "reason": "form 12"}
PLACES = {SWITCH: (PAGER, OFF), OPT_OUTS: (REGISTRY, ADD)}
DESCRIBED = Described(document())


@pytest.fixture
def app(tmp_path):
    def issuer(who: EHR, *uses: str) -> dict:
        return issuer_table(iss=who.iss) | ({"uses": list(uses)} if uses else {})

    north = [issuer(PAGER, "switch"), issuer(REGISTRY, "opt-out"), issuer(HOOKS)]
    sites = {"north": north, "south": [issuer(SOUTH, "hooks", "switch", "opt-out")]}
    whole = {name: {"consent": "not-used", "issuer": issuers} for name, issuers in sites.items()}
    return app_of(settings(tmp_path, sites=whole), now=lambda: AS_OF)


def runtime(app):
    return app.extensions["mhcds"]


def post(app, path: str, body: object, who: EHR | None, **claims):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = who.headers(path, **claims) if who else {}
    found = app.test_client().post(path, data=data, content_type="application/json", headers=headers)
    answer = Answer(status=found.status_code, headers={k.lower(): v for k, v in found.headers.items()}, body=found.data)
    assert DESCRIBED.fault("POST", path, answer) is None
    return found


def nothing_changed(app) -> bool:
    store = runtime(app).store
    kinds = {row["kind"] for row in store.rows(audit_event)}
    lists = [opt_outs(store, site) for site in ("north", "south")]
    return not (switches(store, AS_OF) or any(lists) or kinds & {AuditKind.SWITCH, AuditKind.OPT_OUT})


# ---- what they do ----


def test_a_model_is_switched_off_and_on_on_record(app) -> None:
    off = post(app, SWITCH, OFF, PAGER).get_json()
    again = post(app, SWITCH, OFF, PAGER).get_json()
    (row,) = switches(runtime(app).store, AS_OF)
    on = post(app, SWITCH, OFF | {"state": "on"}, PAGER).get_json()

    assert (off["done"], off["pending"], off["id"]) == (True, False, row.id)
    assert again["done"] is False
    assert (row.by, row.reason, row.through) == (OFF["by"], OFF["reason"], "endpoint, https://pager.example")
    assert (row.target.site, row.target.outcome) == ("north", "depression")
    assert on["done"]
    assert switches(runtime(app).store, AS_OF) == ()
    events = [json.loads(row["event"]) for row in runtime(app).store.rows(audit_event)]
    assert [(event["act"], event["by"]) for event in events] == [("off", "A. Smith"), ("on", "A. Smith")]


def test_a_topic_about_safety_waits_for_a_second_person(app) -> None:
    asked = post(app, SWITCH, {k: v for k, v in OFF.items() if k != "model"} | {"topic": "acute-safety"}, PAGER)

    assert asked.get_json()["pending"]
    assert [row.state for row in switches(runtime(app).store, AS_OF)] == ["pending"]


def test_a_patient_opts_out_and_in_again_and_only_a_pseudonym_is_kept(app, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    added = post(app, OPT_OUTS, ADD | {"patients": ["p-1", "p-2", "p-1"]}, REGISTRY).get_json()
    listed = opt_outs(runtime(app).store, "north")
    removed = post(app, OPT_OUTS, ADD | {"act": "remove", "patients": ["p-3", "p-2"]}, REGISTRY).get_json()

    key = runtime(app).key
    assert added == {"site": "north", "act": "add", "changed": 2, "unchanged": [3]}
    assert {row.patient for row in listed} == {key.pseudonym("north", p) for p in ("p-1", "p-2")}
    assert {row.source for row in listed} == {"endpoint, https://registry.example"}
    assert removed == {"site": "north", "act": "remove", "changed": 1, "unchanged": [1]}
    assert [row.patient for row in opt_outs(runtime(app).store, "north")] == [key.pseudonym("north", "p-1")]
    events = [(row["patient"], json.loads(row["event"])) for row in runtime(app).store.rows(audit_event)]
    assert [(event["act"], patient == key.pseudonym("north", "p-2")) for patient, event in events[-1:]] == [
        ("remove", True)
    ]
    assert len(events) == 3
    assert "p-2" not in caplog.text + json.dumps([str(row) for row in runtime(app).store.rows(audit_event)])


# ---- who may ----


@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize(
    ("who", "claims"),
    [
        (None, {}),
        (EHR(iss="https://stranger.example", clock=AS_OF.timestamp()), {}),
        (..., {"header": {"alg": "none"}}),
        (..., {"exp": int(AS_OF.timestamp()) - 100, "iat": int(AS_OF.timestamp()) - 200}),
        (..., {"aud": "http://127.0.0.1:8080/cds-services/depression-suicide-risk"}),
        (..., {"jti": ...}),
        (HOOKS, {}),
    ],
    ids=["no token", "a stranger", "unsigned", "expired", "for another address", "without jti", "an issuer for hooks"],
)
def test_whatever_is_wrong_with_a_token_the_answer_is_the_same(app, path: str, who, claims: dict) -> None:
    right, body = PLACES[path]

    answer = post(app, path, body, right if who is ... else who, **claims)

    assert answer.status_code == 401
    assert "registered CDS client" in answer.get_json()["issue"][0]["diagnostics"]
    assert nothing_changed(app)


@pytest.mark.parametrize("path", PLACES)
def test_a_forged_signature_is_refused(app, path: str) -> None:
    right, body = PLACES[path]
    headers = right.headers(path)
    head, claims, signature = headers["Authorization"].split(".")
    forged = {"Authorization": f"{head}.{claims}.{'A' * len(signature)}"}

    assert app.test_client().post(path, json=body, headers=forged).status_code == 401
    assert nothing_changed(app)


@pytest.mark.parametrize("path", PLACES)
def test_a_token_is_used_once(app, path: str) -> None:
    right, body = PLACES[path]
    headers = right.headers(path)

    statuses = [app.test_client().post(path, json=body, headers=headers).status_code for _ in range(2)]

    assert statuses == [200, 401]


@pytest.mark.parametrize(("path", "who"), [(SWITCH, REGISTRY), (OPT_OUTS, PAGER)])
def test_an_issuer_for_one_of_them_is_refused_at_the_other_and_at_hooks(app, path: str, who: EHR) -> None:
    elsewhere = post(app, path, PLACES[path][1], who)
    hook = app.test_client().post(ADDRESS, json=hook_request(), headers=who.headers())

    assert (elsewhere.status_code, hook.status_code) == (401, 401)
    assert elsewhere.get_json() == hook.get_json()
    assert nothing_changed(app)


def test_the_log_says_which_use_was_lacking(app, caplog: pytest.LogCaptureFixture) -> None:
    post(app, SWITCH, OFF, HOOKS)

    assert [json.loads(r.message) for r in caplog.records if "client-refused" in r.message] == [
        {"event": "client-refused", "why": "use", "path": SWITCH}
    ]


def test_an_issuer_with_several_uses_may_all_of_them(app) -> None:
    for path, (_, body) in PLACES.items():
        assert post(app, path, body | {"site": "south"}, SOUTH).status_code == 200
    assert app.test_client().post(ADDRESS, json=hook_request(), headers=SOUTH.headers()).status_code == 200


@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize("site", ["south", "nowhere", ""])
def test_a_sites_system_reaches_that_site_alone(app, path: str, site: str) -> None:
    who, body = PLACES[path]

    answer = post(app, path, body | {"site": site}, who)

    assert answer.status_code == 400
    assert answer.get_json()["issue"][0]["diagnostics"] == "site: expected a site that this client is registered for"
    assert nothing_changed(app)


def test_plain_http_is_refused_in_production(tmp_path) -> None:
    service = {"mode": "production", "public_url": "https://cds.example"}
    app = app_of(settings(tmp_path, service=service), now=lambda: AS_OF)

    assert {app.test_client().post(path, json={}).status_code for path in PLACES} == {403}


# ---- what they take ----

FAULTS = {
    "no JSON": (SWITCH, b"{", "expected one JSON object"),
    "no text": (SWITCH, b'{"site": "\xff"}', "expected one JSON object"),
    "a list": (SWITCH, b"[]", "nothing was changed"),
    "a misspelt member, which would switch off all": (SWITCH, OFF | {"sevice": "depression-suicide-risk"}, "unknown field"),  # codespell:ignore sevice
    "a member twice": (SWITCH, json.dumps(OFF).replace("{", '{"model": "suicidal-ideation", ', 1).encode(), "found one twice"),
    "nobody": (SWITCH, OFF | {"by": " "}, "who acts: expected one line"),
    "no reason": (SWITCH, {k: v for k, v in OFF.items() if k != "reason"}, "reason"),
    "another state": (SWITCH, OFF | {"state": "maybe"}, "nothing was changed"),
    "an unknown model": (SWITCH, OFF | {"model": "depresion"}, 'model: expected "depression"'),
    "an unknown service": (SWITCH, OFF | {"service": "x"}, "service: expected"),
    "a model and a topic": (SWITCH, OFF | {"topic": "screening-prompt"}, "expected a model or a topic"),
    "a reference for an id": (OPT_OUTS, ADD | {"patients": ["p-1", "Patient/p-1"]}, "in place 2. Nothing was changed"),
    "an id of nothing": (OPT_OUTS, ADD | {"patients": [""]}, "in place 1"),
    "an id of two": (OPT_OUTS, ADD | {"patients": ["a,b"]}, "in place 1"),
    "no ids": (OPT_OUTS, ADD | {"patients": []}, f"patients: expected 1 to {MOST_AT_ONCE} ids; found 0"),
    "too many ids": (OPT_OUTS, ADD | {"patients": ["p"] * (MOST_AT_ONCE + 1)}, "found 201"),
    "a number for an id": (OPT_OUTS, ADD | {"patients": [7]}, "nothing was changed"),
    "another act": (OPT_OUTS, ADD | {"act": "forget"}, "nothing was changed"),
    "an unknown member": (OPT_OUTS, ADD | {"name": "x"}, "unknown field"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_body_is_named_and_changes_nothing(app, name: str) -> None:
    path, body, words = FAULTS[name]

    answer = post(app, path, body, PLACES[path][0])

    assert answer.status_code == 400
    assert words in answer.get_json()["issue"][0]["diagnostics"]
    assert nothing_changed(app)


@pytest.mark.parametrize("path", PLACES)
def test_a_body_is_limited_and_is_json(app, path: str) -> None:
    who, body = PLACES[path]
    client = app.test_client()

    large = client.post(path, json=body | {"reason": "x" * MOST_BYTES}, headers=who.headers(path))
    form = client.post(path, data="x", content_type="text/plain", headers=who.headers(path))

    assert (large.status_code, form.status_code) == (413, 415)
    assert nothing_changed(app)


def test_a_client_at_its_limit_can_still_switch_off(tmp_path) -> None:
    both = [issuer_table(uses=["hooks", "switch"])]
    app = app_of(settings(tmp_path, issuers=both, service={"limits": {"calls_per_minute": 1}}), now=lambda: AS_OF)
    me = EHR(clock=AS_OF.timestamp())
    calls = [app.test_client().post(ADDRESS, json=hook_request(), headers=me.headers()).status_code for _ in range(2)]

    assert calls == [200, 429]
    assert post(app, SWITCH, OFF, me).status_code == 200


def test_while_every_place_of_a_hook_call_is_taken_a_switch_still_acts(tmp_path) -> None:
    inside, go, armed = Event(), Event(), Event()

    def now():
        if armed.is_set() and not inside.is_set():
            inside.set()
            assert go.wait(20)
        return AS_OF

    both = [issuer_table(uses=["hooks", "switch"])]
    app = app_of(settings(tmp_path, issuers=both, service={"limits": {"concurrent_calls": 1}}), now=now)
    me = EHR(clock=AS_OF.timestamp())

    def call() -> int:
        return app.test_client().post(ADDRESS, json=hook_request(), headers=me.headers()).status_code

    armed.set()
    with ThreadPoolExecutor() as pool:
        hanging = pool.submit(call)
        assert inside.wait(20)
        refused, switched = call(), post(app, SWITCH, OFF, me).status_code
        go.set()

    assert (hanging.result(), refused, switched) == (200, 503, 200)
