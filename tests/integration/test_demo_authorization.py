"""The demo EHR as a SMART server: launches, tokens, scopes and writing, over real HTTP on loopback."""

import base64
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests
from demo_ehr_server import HOOK_TOKEN, OTHER_CLIENT, SECRET_CLIENT, ScriptedApp, running_ehr
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.operationoutcome import OperationOutcome
from fhir.resources.R4B.practitioner import Practitioner

from cds_service.demo_ehr.authorization.behaviour import Behaviour, TokenFailure
from cds_service.demo_ehr.authorization.id_tokens import new_key
from cds_service.demo_ehr.authorization.scopes import Syntax
from cds_service.demo_ehr.config import CLIENT_ID

PILAR, TOMAS = "pilar-ostrowski", "tomas-wojcik"
WRITING = (
    "launch patient/QuestionnaireResponse.cru patient/Observation.crus patient/Task.cs patient/ServiceRequest.write"
)


@pytest.fixture(scope="module")
def running():
    with running_ehr() as found:
        yield found


@pytest.fixture
def ehr(running):
    """Honest at the beginning of each test."""
    running.server.behaviour = Behaviour()
    return running


@pytest.fixture
def app(ehr):
    return ScriptedApp(ehr)


def behave(ehr, **changes):
    ehr.server.behaviour = replace(Behaviour(), **changes)


def a_form(patient=PILAR, **changes):
    return {
        "resourceType": "QuestionnaireResponse",
        "identifier": {"system": "urn:test", "value": "form-1"},
        "questionnaire": "http://loinc.org/q/44249-1|1.0",
        "status": "completed",
        "subject": {"reference": f"Patient/{patient}"},
        "authored": "2026-11-23T16:20:00+00:00",
        "item": [{"linkId": "/44250-9", "answer": [{"valueCoding": {"code": "LA6569-3", "display": "Several days"}}]}],
    } | changes


def an_order(patient=PILAR, **changes):
    return {
        "resourceType": "ServiceRequest",
        "status": "draft",
        "intent": "proposal",
        "code": {"text": "PHQ-9"},
        "subject": {"reference": f"Patient/{patient}"},
    } | changes


def refused(answer, code, status=400):
    assert (answer.status_code, answer.json()["error"]) == (status, code), answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return True


# Discovery


def test_discovery_says_where_everything_is_and_is_open_to_every_page(ehr, app):
    answer = requests.get(f"{ehr.base}/.well-known/smart-configuration", timeout=10)
    found = answer.json()

    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert {"launch-ehr", "launch-standalone", "sso-openid-connect", "permission-v1", "permission-v2"} <= set(
        found["capabilities"]
    )
    assert found["token_endpoint_auth_signing_alg_values_supported"] == ["ES384", "RS384"]
    assert requests.get(found["jwks_uri"], timeout=10).json()["keys"][0].keys() >= {"kty", "kid", "n", "e"}
    assert "d" not in requests.get(found["jwks_uri"], timeout=10).json()["keys"][0]


def test_keys_are_found_by_openid_configuration_where_discovery_leaves_them_out(ehr, app):
    behave(ehr, jwks_uri=False, metadata={"capabilities": ["launch-ehr"]})
    found = app.discovered()

    assert "jwks_uri" not in found
    assert found["capabilities"] == ["launch-ehr"]
    other = requests.get(f"{found['issuer']}/.well-known/openid-configuration", timeout=10).json()
    assert requests.get(other["jwks_uri"], timeout=10).status_code == 200


# The authorization endpoint


def test_a_launch_of_the_ehr_needs_no_page(ehr, app):
    answer = app.authorize(launch=app.handle(PILAR))
    back = app.callback(answer)

    assert back.address == app.redirect_uri
    assert back.parameters["state"] == app.state
    assert back.parameters["iss"] == app.discovered()["issuer"]
    assert back.parameters["code"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_another_name_of_this_machine_leads_nowhere(ehr, app):
    metadata = f"{ehr.base}/.well-known/smart-configuration"

    assert requests.get(metadata, headers={"Host": "elsewhere.example"}, timeout=10).status_code == 403


def test_an_authorization_request_may_be_posted(ehr, app):
    assert app.callback(app.authorize(post=True, launch=app.handle(PILAR))).parameters["code"]


@pytest.mark.parametrize("changes", [{"client_id": "unknown"}, {"client_id": None}, {"redirect_uri": None}])
def test_a_wrong_client_gets_a_page_and_no_redirect(app, changes):
    answer = app.authorize(launch=app.handle(PILAR), **changes)

    assert answer.status_code == 400
    assert "The app could not be opened" in answer.text


@pytest.mark.parametrize("added", ["/", "?x=1", "x"])
def test_a_redirect_uri_must_be_the_registered_one_to_the_letter(app, added):
    answer = app.authorize(launch=app.handle(PILAR), redirect_uri=app.redirect_uri + added)

    assert (answer.status_code, "Location" in answer.headers) == (400, False)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"state": None}, "invalid_request"),
        ({"aud": None}, "invalid_request"),
        ({"aud": "https://ehr.example/fhir"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"launch": "never-given-out"}, "invalid_request"),
        ({"launch": None}, "invalid_request"),
        ({"scope": "patient/Patient.rs"}, "invalid_request"),
        ({"scope": "patient/Patient.rs", "launch": None}, "invalid_scope"),
        ({"scope": "launch", "launch": None}, "invalid_request"),
        ({"scope": "patient/Basic.rs launch/patient", "launch": None, "aud": ""}, "invalid_request"),
        ({"scope": "", "launch": None}, "invalid_scope"),
    ],
)
def test_every_other_fault_goes_back_to_the_app(app, changes, error):
    answer = app.authorize(**({"launch": app.handle(PILAR)} | changes))
    back = app.callback(answer)

    assert back.address == app.redirect_uri
    assert back.parameters["error"] == error
    assert back.parameters.get("state") == (None if "state" in changes else app.state)
    assert "code" not in back.parameters


def test_aud_is_compared_to_the_letter(ehr, app):
    back = app.callback(app.authorize(launch=app.handle(PILAR), aud=f"{ehr.base}/"))

    assert back.parameters["error"] == "invalid_request"


def test_a_parameter_that_comes_twice_is_refused(app):
    asked = [*app.request(launch=app.handle(PILAR)).items(), ("scope", "launch patient/Observation.rs")]
    answer = requests.get(app.discovered()["authorization_endpoint"], params=asked, allow_redirects=False, timeout=10)

    assert app.callback(answer).parameters["error"] == "invalid_request"


def test_a_launch_is_over_after_some_minutes_and_never_another_apps(ehr, app):
    of_another = ehr.server.new_launch(OTHER_CLIENT, PILAR)
    old = app.handle(PILAR)
    ehr.clock.pass_s(301)

    assert app.callback(app.authorize(launch=old)).parameters["error"] == "invalid_request"
    assert app.callback(app.authorize(launch=of_another)).parameters["error"] == "invalid_request"


def test_a_refusal_is_told_as_the_test_wants_it(ehr, app):
    behave(ehr, refuse="access_denied")

    assert app.callback(app.authorize(launch=app.handle(PILAR))).parameters["error"] == "access_denied"


def standalone(app):
    page = app.authorize(scope="launch/patient openid patient/Patient.rs")
    assert page.status_code == 200
    return page, re.search(r'name="request" value="([^"]+)"', page.text)[1]


def chosen(app, **form):
    where = f"{app.discovered()['issuer']}/authorize/patient"
    return requests.post(where, data=form, allow_redirects=False, timeout=10)


def test_an_app_without_a_patient_lets_the_user_choose_one(ehr, app):
    page, waiting = standalone(app)

    back = app.callback(chosen(app, request=waiting, patient=TOMAS))
    answer = app.exchange(back.parameters["code"]).json()

    assert all(patient.name in page.text for patient in ehr.patients)
    policy = page.headers["Content-Security-Policy"]
    assert f"frame-ancestors 'self' {ehr.addresses.page_origin}" in policy
    assert f"form-action 'self' {ehr.addresses.service};" in policy
    assert back.parameters["state"] == app.state
    assert answer["patient"] == TOMAS
    assert "encounter" not in answer


def test_a_user_may_cancel_and_a_page_counts_once(app):
    _, waiting = standalone(app)

    back = app.callback(chosen(app, request=waiting, cancel="1"))

    assert back.parameters["error"] == "access_denied"
    assert chosen(app, request=waiting, patient=TOMAS).status_code == 400


# Tokens


@pytest.mark.parametrize(
    ("client_id", "how"), [(CLIENT_ID, "jwt"), (OTHER_CLIENT, "jwt"), (SECRET_CLIENT, "basic"), (SECRET_CLIENT, "post")]
)
def test_a_code_becomes_a_token_whichever_way_the_app_says_who_it_is(ehr, client_id, how):
    app = ScriptedApp(ehr, client_id=client_id, how=how)

    answer = app.exchange(app.code(PILAR, "context of a card"))
    given = answer.json()

    assert answer.headers["Cache-Control"] == "no-store"
    assert given["token_type"] == "Bearer"
    assert given["scope"] == app.scope
    assert (given["patient"], given["encounter"]) == (PILAR, f"{PILAR}-today")
    assert given["need_patient_banner"] is True
    assert given["appContext"] == "context of a card"
    assert requests.get(given["smart_style_url"], timeout=10).json()["color_text"]
    assert given["fhirContext"] == []
    assert app.fhir("GET", f"Encounter/{given['encounter']}", given["access_token"]).status_code == 403
    assert app.fhir("GET", f"Patient/{PILAR}", given["access_token"]).json()["id"] == PILAR


def test_the_id_token_says_who_the_user_is_to_this_app(ehr, app):
    given = app.launched(PILAR)
    found = app.discovered()
    keys = requests.get(found["jwks_uri"], timeout=10).json()
    kid = jwt.get_unverified_header(given["id_token"])["kid"]
    key = next(k for k in keys["keys"] if k["kid"] == kid)

    claims = jwt.decode(
        given["id_token"], jwt.PyJWK(key), algorithms=["RS256"], audience=CLIENT_ID, issuer=found["issuer"],
        options={"verify_exp": False, "verify_iat": False},
    )  # fmt: skip

    assert claims["nonce"] == "nonce-of-this-launch"
    assert 0 < claims["exp"] - claims["iat"] <= 300
    assert claims["fhirUser"] == f"{ehr.base}/Practitioner/demo-clinician"
    user = app.fhir("GET", "Practitioner/demo-clinician", given["access_token"])
    assert Practitioner.model_validate_json(user.content).name[0].family == "Lindqvist"


def test_without_openid_there_is_no_id_token_and_without_online_access_no_refresh_token(app):
    app.scope = "launch patient/Patient.rs"

    given = app.launched(PILAR)

    assert not {"id_token", "refresh_token", "appContext"} & set(given)


def test_what_is_not_supported_is_not_granted(app):
    app.scope = "launch patient/Patient.rs patient/Basic.rs user/Observation.rs system/Patient.rs patient/Patient.sr"

    assert app.launched(PILAR)["scope"] == "launch patient/Patient.rs"


def test_a_replayed_code_is_refused_and_what_it_gave_is_revoked(app):
    code = app.code(PILAR)
    given = app.exchange(code).json()

    assert app.fhir("GET", f"Patient/{PILAR}", given["access_token"]).status_code == 200
    assert refused(app.exchange(code), "invalid_grant")
    assert app.fhir("GET", f"Patient/{PILAR}", given["access_token"]).status_code == 401
    assert refused(app.refresh(given["refresh_token"]), "invalid_grant")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "x" * 64}, "invalid_grant"),
        ({"code_verifier": None}, "invalid_request"),
        ({"redirect_uri": "http://127.0.0.1:1/smart/callback"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"code": "never-given-out"}, "invalid_grant"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": None}, "unsupported_grant_type"),
    ],
)
def test_a_token_request_with_a_fault_is_refused(app, changes, error):
    fields = {
        "grant_type": "authorization_code",
        "code": app.code(PILAR),
        "redirect_uri": app.redirect_uri,
        "code_verifier": app.verifier,
    } | changes

    assert refused(app.post("token_endpoint", **fields), error)


def test_a_code_is_used_up_by_a_wrong_verifier(app):
    code = app.code(PILAR)

    app.exchange(code, code_verifier="x" * 64)

    assert refused(app.exchange(code), "invalid_grant")


def test_a_verifier_that_is_too_short_is_refused_even_if_it_fits(app):
    app.verifier = "short"

    assert refused(app.exchange(app.code(PILAR)), "invalid_grant")


def test_a_code_expires_after_a_minute(ehr, app):
    code = app.code(PILAR)
    ehr.clock.pass_s(61)

    assert refused(app.exchange(code), "invalid_grant")


def test_a_code_is_of_no_use_to_another_client(ehr, app):
    code = app.code(PILAR)
    thief = ScriptedApp(ehr, client_id=OTHER_CLIENT, verifier=app.verifier)

    assert refused(thief.exchange(code), "invalid_grant")
    assert app.exchange(code).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://ehr.example/token"},
        {"aud": None},
        {"sub": "another"},
        {"iss": "unknown"},
        {"exp": 0},
        {"exp": 99999999999},
        {"exp": "soon"},
        {"nbf": 99999999999},
        {"jti": None},
        {"headers": {"typ": "at+jwt"}},
        {"headers": {"kid": "another"}},
        {"headers": {"jku": "http://127.0.0.1:1/jwks.json"}},
        {"key": "ES256"},
        {"key": "RS256"},
    ],
    ids=str,
)
def test_an_assertion_with_a_fault_is_refused(app, changes):
    if "key" in changes:
        changes = {"key": new_key(changes["key"])}
    app.assertion = lambda: ScriptedApp.assertion(app, **changes)

    assert refused(app.exchange("any"), "invalid_client", 401)


def test_an_assertion_by_another_key_of_the_same_name_is_refused(ehr, app):
    app.assertion = lambda: ScriptedApp.assertion(app, key=replace(new_key("ES384"), kid=ehr.key.kid))

    assert refused(app.exchange("any"), "invalid_client", 401)


def test_an_assertion_counts_once(app):
    once = app.assertion()
    app.assertion = lambda: once

    assert refused(app.exchange("any"), "invalid_grant")
    assert refused(app.exchange("any"), "invalid_client", 401)


def test_a_wrong_secret_no_client_and_two_ways_at_once_are_refused(ehr):
    app = ScriptedApp(ehr, client_id=SECRET_CLIENT, how="basic")
    wrong = base64.b64encode(b"an+app+with+a+secret:wrong").decode()

    app.credentials = lambda: ({}, {"Authorization": f"Basic {wrong}"})
    assert refused(app.exchange("any"), "invalid_client", 401)
    app.credentials = lambda: ({}, {"Authorization": "Basic %%%"})
    assert refused(app.exchange("any"), "invalid_client", 401)
    app.credentials = lambda: ({"client_id": CLIENT_ID, "client_secret": "x"}, {})
    assert refused(app.exchange("any"), "invalid_client", 401)
    app.credentials = lambda: ({"client_id": SECRET_CLIENT}, {})
    assert refused(app.exchange("any"), "invalid_client", 401)
    app.credentials = lambda: ({"client_secret": "x"}, {"Authorization": f"Basic {wrong}"})
    assert refused(app.exchange("any"), "invalid_request")


def test_refreshing_gives_new_tokens_and_ends_the_old_refresh_token(app):
    first = app.launched(PILAR)
    second = app.refresh(first["refresh_token"]).json()

    assert second["patient"] == PILAR
    assert second["access_token"] != first["access_token"]
    assert second["refresh_token"] != first["refresh_token"]
    assert app.fhir("GET", f"Patient/{PILAR}", second["access_token"]).status_code == 200
    assert refused(app.refresh(first["refresh_token"]), "invalid_grant")
    assert app.fhir("GET", f"Patient/{PILAR}", second["access_token"]).status_code == 401
    assert refused(app.refresh(second["refresh_token"]), "invalid_grant")


def test_refreshing_may_ask_for_less_and_never_for_more(app):
    first = app.launched(PILAR)

    assert refused(app.refresh(first["refresh_token"], scope="patient/Condition.rs"), "invalid_scope")
    second = app.refresh(first["refresh_token"], scope="launch patient/Patient.rs").json()

    assert second["scope"] == "launch patient/Patient.rs"
    assert app.fhir("GET", f"Observation?patient={PILAR}", second["access_token"]).status_code == 403


def test_a_token_expires(ehr, app):
    given = app.launched(PILAR)
    ehr.clock.pass_s(given["expires_in"] + 1)
    answer = app.fhir("GET", f"Patient/{PILAR}", given["access_token"])

    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_a_revoked_token_ends_at_once_and_a_refresh_token_takes_all_with_it(app):
    given = app.launched(PILAR)

    assert app.post("revocation_endpoint", token=given["access_token"]).status_code == 200
    assert app.fhir("GET", f"Patient/{PILAR}", given["access_token"]).status_code == 401
    again = app.refresh(given["refresh_token"]).json()
    assert app.post("revocation_endpoint", token=again["refresh_token"]).status_code == 200
    assert app.fhir("GET", f"Patient/{PILAR}", again["access_token"]).status_code == 401
    assert app.post("revocation_endpoint", token="unknown").status_code == 200


def test_nobody_revokes_anothers_token(ehr, app):
    given = app.launched(PILAR)

    ScriptedApp(ehr, client_id=OTHER_CLIENT).post("revocation_endpoint", token=given["access_token"])
    answer = requests.post(app.discovered()["revocation_endpoint"], data={"token": given["access_token"]}, timeout=10)

    assert refused(answer, "invalid_client", 401)
    assert app.fhir("GET", f"Patient/{PILAR}", given["access_token"]).status_code == 200


def test_the_server_misbehaves_as_a_test_tells_it(ehr, app):
    behave(
        ehr,
        token_life_s=7,
        syntax=Syntax.V1,
        granted=lambda scope: "Observation" not in scope,
        need_patient_banner="false",
        patient=False,
        extra={"tenant": None, "more": 1},
        id_token_claims=lambda claims: claims | {"aud": "another"},
        refreshed_patient=TOMAS,
    )
    given = app.launched(PILAR)

    assert given["expires_in"] == 7
    assert given["scope"] == "launch openid fhirUser online_access patient/Patient.read"
    assert given["need_patient_banner"] == "false"
    assert (given["more"], "tenant" in given, "patient" in given) == (1, False, False)
    assert jwt.decode(given["id_token"], options={"verify_signature": False})["aud"] == "another"
    assert app.refresh(given["refresh_token"]).json()["patient"] == TOMAS
    behave(ehr, id_token=lambda claims: f"{claims['sub']}, unsigned")
    assert app.launched(PILAR)["id_token"].endswith("unsigned")
    behave(ehr, id_token_key=new_key("ES384"))
    assert jwt.get_unverified_header(app.launched(PILAR)["id_token"])["alg"] == "ES384"
    behave(ehr, token_failure=TokenFailure(status=503, body="down"))
    assert app.exchange("any").status_code == 503


# Scopes on the FHIR API


@pytest.mark.parametrize("scope", ["patient/Observation.rs", "patient/Observation.read", "patient/*.rs"])
def test_a_search_gives_the_launch_patients_resources_only(app, scope):
    app.scope = f"launch {scope}"
    token = app.launched(PILAR)["access_token"]

    found = Bundle.model_validate_json(app.fhir("GET", "Observation?_count=50", token).content)
    of_another = app.fhir("GET", f"Observation?patient={TOMAS}", token).json()

    assert {entry.resource.subject.reference for entry in found.entry} == {f"Patient/{PILAR}"}
    assert all(entry.fullUrl.startswith(f"{app.ehr.base}/Observation/") for entry in found.entry)
    assert of_another["total"] == 0


def test_another_patients_resources_are_refused(app):
    token = app.launched(PILAR)["access_token"]

    for path in (f"Patient/{TOMAS}", "Observation/tomas-height"):
        answer = app.fhir("GET", path, token)
        assert answer.status_code == 403
        OperationOutcome.model_validate_json(answer.content)


@pytest.mark.parametrize(
    ("scope", "method", "path", "status"),
    [
        ("patient/Observation.r", "GET", "Observation/pilar-height", 200),
        ("patient/Observation.r", "GET", f"Observation?patient={PILAR}", 403),
        ("patient/Observation.s", "GET", "Observation/pilar-height", 403),
        ("patient/Observation.s", "GET", f"Observation?patient={PILAR}", 200),
        ("patient/Observation.write", "GET", "Observation/pilar-height", 403),
        ("patient/Observation.*", "GET", "Observation/pilar-height", 200),
        ("patient/Observation.rs", "GET", f"Condition?patient={PILAR}", 403),
        ("patient/Patient.rs", "GET", "Practitioner/demo-clinician", 403),
        ("user/Practitioner.rs", "GET", "Practitioner/demo-clinician", 200),
        ("patient/Observation.rs", "POST", "Observation", 403),
        ("patient/Observation.u", "POST", "Observation", 403),
        ("patient/*.cruds", "POST", "Condition", 405),
        ("patient/*.cruds", "GET", "Basic/1", 404),
    ],
)
def test_a_token_does_what_its_scopes_say(app, scope, method, path, status):
    app.scope = f"launch {scope}"
    answer = app.fhir(method, path, app.launched(PILAR)["access_token"], {} if method == "POST" else None)

    assert answer.status_code == status
    if status == 403:
        assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


def test_a_narrowed_scope_hides_the_rest(app):
    system = "http://terminology.hl7.org/CodeSystem/observation-category"
    app.scope = f"launch patient/Observation.rs?category={system}|survey"
    given = app.launched(PILAR)

    found = app.fhir("GET", f"Observation?patient={PILAR}&_count=50", given["access_token"]).json()

    assert given["scope"] == app.scope
    assert {e["resource"]["category"][0]["coding"][0]["code"] for e in found["entry"]} == {"survey"}
    assert app.fhir("GET", "Observation/pilar-height", given["access_token"]).status_code == 403


def test_the_token_of_hook_calls_reads_every_chart_and_writes_none(app):
    assert app.fhir("GET", f"Patient/{TOMAS}", HOOK_TOKEN).status_code == 200
    assert app.fhir("POST", "QuestionnaireResponse", HOOK_TOKEN, a_form()).status_code == 403
    assert app.fhir("GET", f"Patient/{TOMAS}", "unknown").status_code == 401


# Writing


@pytest.fixture
def writer(app):
    app.scope = WRITING
    token = app.launched(PILAR)["access_token"]
    return lambda method, path, body=None, **headers: app.fhir(method, path, token, body, **headers)


def test_a_written_form_is_in_the_chart_and_on_the_page(ehr, writer):
    answer = writer("POST", "QuestionnaireResponse", a_form(identifier={"system": "urn:test", "value": "shown"}))
    stored = answer.json()
    page = requests.get(f"{ehr.addresses.page_origin}/patients/{PILAR}", timeout=10).text

    assert answer.status_code == 201
    assert stored["meta"]["versionId"] == "1"
    assert stored["meta"]["lastUpdated"]
    assert answer.headers["Location"] == f"{ehr.base}/QuestionnaireResponse/{stored['id']}/_history/1"
    assert answer.headers["ETag"] == 'W/"1"'
    assert writer("GET", f"QuestionnaireResponse/{stored['id']}").json() == stored
    written, facts = page.partition('id="written"')[2].split('class="facts"')
    assert "1 of 1 questions answered" in facts
    assert f"QuestionnaireResponse/<wbr>{stored['id']}" in written
    assert "<strong>PHQ-9</strong>: 1 of 1 questions answered" in written


def test_the_same_form_is_written_once(writer):
    condition = "identifier=urn:test|once"
    form = a_form(identifier={"system": "urn:test", "value": "once"})

    first = writer("POST", "QuestionnaireResponse", form, If_None_Exist=condition)
    second = writer("POST", "QuestionnaireResponse", form, If_None_Exist=condition)

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()
    assert second.headers["Location"] == first.headers["Location"]


def test_the_same_form_by_many_at_once_is_written_once(writer):
    form = a_form(identifier={"system": "urn:test", "value": "at once"})

    def write(_):
        return writer("POST", "QuestionnaireResponse", form, If_None_Exist="identifier=urn:test|at once")

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(write, range(16)))

    assert sorted(answer.status_code for answer in answers) == [200] * 15 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_an_identifier_that_two_resources_have_stops_a_conditional_create(writer):
    form = a_form(identifier={"system": "urn:test", "value": "twice"})
    for _ in range(2):
        assert writer("POST", "QuestionnaireResponse", form).status_code == 201

    answer = writer("POST", "QuestionnaireResponse", form, If_None_Exist="identifier=urn:test|twice")

    assert answer.status_code == 412
    assert writer("POST", "QuestionnaireResponse", form, If_None_Exist="status=completed").status_code == 412


def test_written_resources_are_found_by_identifier_and_questionnaire(app):
    app.scope = "launch patient/QuestionnaireResponse.crs"
    token = app.launched(TOMAS)["access_token"]
    app.fhir("POST", "QuestionnaireResponse", token, a_form(TOMAS))

    def total(query):
        return app.fhir("GET", f"QuestionnaireResponse?{query}", token).json()["total"]

    assert total("identifier=urn:test|form-1") == 1
    assert total("identifier=urn:test|another") == 0
    assert total("questionnaire=http://loinc.org/q/44249-1") == 1
    assert total("questionnaire=http://loinc.org/q/44249-1|1.0") == 1
    assert total("questionnaire=http://loinc.org/q/44249-1|2.0") == 0


def test_an_update_changes_the_version_and_needs_a_resource_to_change(writer):
    stored = writer("POST", "QuestionnaireResponse", a_form()).json()
    path = f"QuestionnaireResponse/{stored['id']}"
    wrong = stored | {"status": "entered-in-error"}

    changed = writer("PUT", path, wrong, If_Match='W/"1"')

    assert changed.status_code == 200
    assert changed.json()["meta"]["versionId"] == "2"
    assert writer("GET", path).json()["status"] == "entered-in-error"
    assert writer("PUT", path, wrong, If_Match='W/"1"').status_code == 412
    assert writer("PUT", path, wrong | {"id": "another"}).status_code == 400
    assert writer("PUT", "QuestionnaireResponse/new", wrong | {"id": "new"}).status_code == 405
    assert writer("PUT", path, wrong | {"subject": {"reference": f"Patient/{TOMAS}"}}).status_code == 403
    assert writer("PUT", "ServiceRequest/new", an_order(id="new")).status_code == 405


def test_orders_and_tasks_are_taken_too(writer):
    task = {"resourceType": "Task", "status": "draft", "intent": "proposal", "for": {"reference": f"Patient/{PILAR}"}}

    assert writer("POST", "ServiceRequest", an_order()).status_code == 201
    assert writer("POST", "Task", task).status_code == 201
    quiet = writer("POST", "Task", task, Prefer="return=minimal")
    assert (quiet.status_code, quiet.content) == (201, b"")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (a_form(TOMAS), 403),
        (a_form(subject=None), 422),
        (a_form(subject={"display": "Pilar"}), 422),
        (a_form(subject={"reference": "Group/1"}), 422),
        (a_form(resourceType="Observation"), 422),
        (a_form(status=None), 422),
        (a_form(item={}), 422),
        (a_form(item=[5]), 422),
        (a_form(status="finished"), 422),
        (a_form(authored="yesterday"), 422),
        ([], 422),
    ],
)
def test_what_is_not_this_patients_or_not_complete_is_not_taken(writer, body, status):
    answer = writer("POST", "QuestionnaireResponse", body)

    assert answer.status_code == status
    OperationOutcome.model_validate_json(answer.content)


def test_what_is_no_json_is_not_taken(ehr, app):
    app.scope = WRITING
    token = app.launched(PILAR)["access_token"]
    where = f"{ehr.base}/QuestionnaireResponse"

    def status(content_type, body):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}
        return requests.post(where, data=body, headers=headers, timeout=10).status_code

    assert status("application/fhir+json", b"{") == 400
    assert status("text/plain", b"{}") == 415
    assert status("application/fhir+json", b" " * 2_000_000) == 413
    assert status("application/fhir+json", b"[" * 100_000) == 400


def test_the_capability_statement_names_what_can_be_written(ehr):
    answer = requests.get(f"{ehr.base}/metadata", timeout=10)
    statement = CapabilityStatement.model_validate_json(answer.content)
    writable = {r.type for r in statement.rest[0].resource if "create" in {i.code for i in r.interaction}}

    assert writable == {"QuestionnaireResponse", "Observation", "Task", "ServiceRequest"}


# The page


def test_the_page_opens_the_app_with_a_launch_of_its_own(ehr):
    url = f"{ehr.addresses.page_origin}/patients/{PILAR}/launch"

    answers = [requests.post(url, allow_redirects=False, timeout=10) for _ in range(2)]
    handles = [parse_qs(urlsplit(a.headers["Location"]).query) for a in answers]

    assert [a.status_code for a in answers] == [303, 303]
    assert answers[0].headers["Location"].startswith(f"{ehr.addresses.launch_url}?")
    assert handles[0]["iss"] == [ehr.base]
    assert handles[0]["launch"] != handles[1]["launch"]
    policy = answers[0].headers["Content-Security-Policy"]
    origin = ehr.base.removesuffix("/fhir")
    assert f"frame-src 'self' {ehr.addresses.service} {origin};" in policy
    assert f"form-action 'self' {ehr.addresses.service} {origin};" in policy


def test_the_page_has_one_name_so_that_the_app_may_be_framed(ehr):
    other = ehr.base.removesuffix("/fhir")

    answer = requests.get(f"{other}/patients/{PILAR}", allow_redirects=False, timeout=10)

    assert answer.headers["Location"] == f"{ehr.addresses.page_origin}/patients/{PILAR}"
    assert requests.post(f"{other}/patients/{PILAR}/launch", headers={"Origin": other}, timeout=10).url.startswith(
        ehr.addresses.launch_url
    )
