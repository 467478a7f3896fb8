"""SMART App Launch from end to end against the demo EHR, step by step: what must work, and what must be refused."""

from __future__ import annotations

import hashlib
import html
import json
import logging
import re
import threading
from dataclasses import replace
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import pytest
import requests
from ehr import recorded
from smart_run import Run, Visitor, csrf_of, running

from cds_service.app import create_app
from cds_service.demo_ehr.authorization.behaviour import Behaviour, TokenFailure
from cds_service.demo_ehr.authorization.id_tokens import new_key
from cds_service.demo_ehr.authorization.scopes import Syntax
from cds_service.settings.config import ServiceConfig, default_config
from cds_service.settings.live import LiveConfig
from cds_service.storage.tables import app_session, launch_state
from explanations.judgement.assessment import Engine
from fhir_adapters.received import Noted, cleaned
from smart_launch.launch import begin
from smart_launch.launch.guard import origin_of
from smart_launch.oauth.tokens import TokenEndpoint, TokenResponse
from smart_launch.settings import ClientAuthentication

PATIENT, OTHER = "tomas-wojcik", "bronwen-achterberg"
DIRECT = {"http": "", "https": ""}


@pytest.fixture(scope="module")
def whole():
    with running() as found:
        yield found


@pytest.fixture
def run(whole: Run):
    whole.behave(Behaviour())
    before = whole.clock.ahead
    yield whole
    whole.behave(Behaviour())
    whole.forget()
    whole.clock.ahead = before


@pytest.fixture
def visitor(run: Run) -> Visitor:
    return Visitor(run)


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query, keep_blank_values=True).items()}


def with_query(url: str, **changes) -> str:
    kept = {name: value for name, value in (query_of(url) | changes).items() if value is not ...}
    return urlunsplit(urlsplit(url)._replace(query=urlencode(kept)))


def refused(answer, page: str, status: int) -> None:
    """An error page: that one, with a support code that the log has, and nothing for an attacker."""
    assert (answer.status_code, answer.content_type) == (status, "text/html; charset=utf-8"), answer.text[:500]
    assert re.search(r"\b[2-9A-Z]{3}-[2-9A-Z]{3}\b", answer.text)
    assert f'data-page="{page}"' in answer.text
    for secret in ("Traceback", "eyJ", "127.0.0.1", "access_token", "code_verifier="):
        assert secret not in answer.text
    assert "no-store" in answer.headers["Cache-Control"]


# ---- the launch ---------------------------------------------------------------------------------------------------


def test_smart_001_012_013_030_to_036_117_the_authorization_request_is_as_the_specification_says(run, visitor) -> None:
    launched = run.launch_url(PATIENT)
    sent = [query_of(visitor.get(launched).headers["Location"]) for _ in range(2)]

    first, second = sent
    assert first["response_type"] == "code"
    assert first["client_id"] == "mental-health-cds-demo"
    assert first["redirect_uri"] == run.addresses.redirect_uri
    assert first["aud"] == run.addresses.fhir_base
    assert first["launch"] == query_of(launched)["launch"]
    assert {"launch", "openid", "fhirUser", "patient/Patient.rs"} <= set(first["scope"].split())
    assert first["code_challenge_method"] == "S256"
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", first["code_challenge"])
    assert len(first["state"]) >= 43
    for name in ("state", "nonce", "code_challenge"):
        assert first[name] != second[name]


def test_smart_031_a_slash_at_the_end_of_iss_is_kept_in_aud(run, visitor) -> None:
    launched = run.launch_url(PATIENT)
    answer = visitor.get(with_query(launched, iss=f"{run.addresses.fhir_base}/"))

    assert query_of(answer.headers["Location"])["aud"] == f"{run.addresses.fhir_base}/"


def test_smart_014_other_parameters_are_tolerated(run, visitor) -> None:
    assert visitor.get(with_query(run.launch_url(PATIENT), epic="1", card="x")).status_code == 303


@pytest.mark.parametrize(
    "changes",
    [{"iss": ...}, {"launch": ...}, {"iss": ""}, {"launch": ""}, {"launch": "x" * 9000}, {"launch": "a\nb"}],
)
def test_smart_011_a_launch_that_lacks_something_gets_a_page(run, visitor, changes: dict) -> None:
    refused(visitor.get(with_query(run.launch_url(PATIENT), **changes)), "launch-refused", 400)


def test_smart_011_a_repeated_parameter_gets_a_page(run, visitor) -> None:
    refused(visitor.get(f"{run.launch_url(PATIENT)}&iss=https%3A%2F%2Fevil.example"), "launch-refused", 400)


@pytest.mark.parametrize(
    "iss",
    [
        "https://evil.example/fhir",
        "BASE/",
        "BASE//",
        "BASE/x",
        "http://127.0.0.1/fhir",
        "javascript:alert(1)",
        "file:///etc",
    ],
)
def test_smart_004_an_unknown_issuer_is_refused_before_anything_is_asked_and_logged_as_it_came(
    run, visitor, iss: str, monkeypatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(begin, "noted", Noted())
    asked = []
    real = requests.Session.request
    monkeypatch.setattr(requests.Session, "request", lambda self, *a, **k: asked.append(a) or real(self, *a, **k))
    answer = visitor.get(
        f"/smart/launch?{urlencode({'iss': iss.replace('BASE', run.addresses.fhir_base.upper()), 'launch': 'x'})}"
    )

    refused(answer, "unknown-ehr", 400)
    assert asked == []
    (line,) = [json.loads(r.message) for r in caplog.records if "unknown-issuer" in r.message]
    assert line["found"] == cleaned(iss.replace("BASE", run.addresses.fhir_base.upper()))


def test_smart_018_a_launch_by_post_is_no_launch(visitor) -> None:
    assert visitor.post("/smart/launch", {"iss": "x"}).status_code == 405


def test_smart_015_016_without_iss_and_launch_there_is_a_choice_of_ehrs(run, visitor) -> None:
    page = visitor.get("/smart/launch")
    key = re.search(r"standalone=([0-9a-f]{16})", page.text)[1]

    sent = query_of(visitor.get(f"/smart/launch?standalone={key}").headers["Location"])

    assert "Demo EHR" in page.text
    assert "launch" not in sent
    assert {"launch/patient", "openid"} <= set(sent["scope"].split())
    assert "launch" not in sent["scope"].split()


def test_a_choice_in_other_letters_is_refused(visitor) -> None:
    refused(visitor.get("/smart/launch?standalone=%C3%A9"), "unknown-ehr", 400)


def test_a_choice_that_is_not_offered_is_refused(visitor) -> None:
    refused(visitor.get("/smart/launch?standalone=0123456789abcdef"), "unknown-ehr", 400)


def test_smart_010_where_no_ehr_may_be_chosen_none_is_named() -> None:
    with running(registration=lambda r: replace(r, standalone=False)) as run:
        assert "Demo EHR" not in Visitor(run).get("/smart/launch").text


def test_smart_118_a_launch_that_begins_here_lets_the_user_choose_the_patient(run, visitor) -> None:
    page = visitor.get(chosen_patient(run, visitor).headers["Location"])

    assert "C-SSRS question 4" in page.text


def chosen_patient(run, visitor):
    """The answer to the callback of a launch that begins here, after the user chose a patient."""
    key = re.search(r"standalone=([0-9a-f]{16})", visitor.get("/smart/launch").text)[1]
    chosen = requests.get(
        visitor.get(f"/smart/launch?standalone={key}").headers["Location"], timeout=10, proxies=DIRECT
    )
    handle = re.search(r'name="request" value="([^"]+)"', chosen.text)[1]
    back = requests.post(
        f"{run.ehr.authorization.issuer}/authorize/patient",
        {"request": handle, "patient": PATIENT},
        allow_redirects=False,
        timeout=10,
        proxies=DIRECT,
    )

    return visitor.get(back.headers["Location"])


FRAME = {"Sec_Fetch_Dest": "iframe"}


def test_smart_093_a_frame_that_keeps_the_cookie_goes_on_by_itself(run, visitor) -> None:
    first = visitor.get(run.launch_url(PATIENT), **FRAME)
    second = visitor.get(first.headers["Location"], **FRAME)

    assert first.headers["Location"].endswith("&tried=1")
    assert second.headers["Location"].startswith(f"{run.ehr.authorization.issuer}/authorize?")


def test_smart_093_a_frame_that_keeps_no_cookie_offers_a_window_before_anything_is_asked(run) -> None:
    launched = run.launch_url(PATIENT)
    first = Visitor(run).get(launched, **FRAME)
    page = Visitor(run).get(first.headers["Location"], **FRAME)
    again = html.unescape(re.search(r'href="(/smart/launch\?[^"]+)"', page.text)[1])

    in_a_window = Visitor(run)
    answer = in_a_window.get(again, Sec_Fetch_Dest="document")

    assert page.status_code == 200
    assert 'target="_blank"' in page.text
    assert 'rel="noopener"' in page.text
    assert query_of(again) == query_of(launched)
    assert in_a_window.get(in_a_window.authorize(answer.headers["Location"])).status_code == 303


# ---- the callback -------------------------------------------------------------------------------------------------


def test_a_launch_ends_on_the_page_of_its_patient(run, visitor) -> None:
    page = visitor.get(visitor.open())

    assert page.status_code == 200
    assert "C-SSRS question 4" in page.text
    assert "Wójcik" in page.text


@pytest.mark.parametrize("changes", [{"state": "x" * 43}, {"state": ...}, {"state": ""}])
def test_smart_048_a_state_that_is_not_ours_ends_the_launch(run, visitor, changes: dict) -> None:
    back = visitor.authorize(visitor.begin())

    answer = visitor.get(with_query(back, **changes))

    refused(answer, "used" if changes["state"] not in (..., "") else "launch-refused", 400)


def test_smart_033_a_state_is_used_once(run, visitor) -> None:
    back = visitor.authorize(visitor.begin())
    assert visitor.get(back).status_code == 303

    refused(visitor.get(back), "used", 400)


def test_smart_033_one_of_two_who_come_back_at_once_gets_in(run, visitor) -> None:
    back = visitor.authorize(visitor.begin())
    cookie = visitor.cookies()["__Host-mhcds-browser"]
    found = []

    def come() -> None:
        other = run.service.test_client()
        other.set_cookie("__Host-mhcds-browser", cookie, domain="127.0.0.1")
        found.append(other.get(visitor.inside(back), base_url=visitor.base).status_code)

    threads = [threading.Thread(target=come) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(found) == [303, 400, 400, 400]


def test_smart_033_a_state_belongs_to_the_browser_that_began(run, visitor) -> None:
    back = visitor.authorize(visitor.begin())
    stranger = Visitor(run)
    stranger.begin(OTHER)

    refused(stranger.get(back), "used", 400)


def test_smart_033_a_state_lasts_ten_minutes(run, visitor) -> None:
    run.behave(Behaviour(code_life_s=3600))
    back = visitor.authorize(visitor.begin())
    run.clock.ahead += 601

    refused(visitor.get(back), "used", 400)


def test_smart_091_without_the_cookie_the_page_says_so(run, visitor) -> None:
    answer = Visitor(run).get(visitor.authorize(visitor.begin()))

    # A window of its own is offered: the one page that holds the launch's own address.
    assert (answer.status_code, 'data-page="no-cookie"' in answer.text) == (400, True)
    assert 'target="_blank"' in answer.text
    assert answer.headers["Content-Security-Policy"].endswith(f"frame-ancestors {run.addresses.page_origin}")


@pytest.mark.parametrize(
    ("error", "page"),
    [
        ("access_denied", "access-denied"),
        ("invalid_scope", "scope-refused"),
        ("unauthorized_client", "not-registered"),
        ("invalid_client", "not-registered"),
        ("invalid_request", "ehr-refused"),
        ("server_error", "ehr-refused"),
        ("<script>alert(1)</script>", "ehr-refused"),
    ],
)
def test_smart_049_errors_of_the_ehr_get_a_page_with_its_own_words_and_nothing_else_of_it(
    run, visitor, caplog: pytest.LogCaptureFixture, error: str, page: str
) -> None:
    state = query_of(visitor.begin())["state"]
    said = {
        "error": error,
        "error_description": f"<b>Ask</b> the \u202ehelp\ndesk: {state} at https://x.example/a?{'b' * 50}1",
        "error_uri": "https://evil.example",
        "state": state,
        "iss": run.ehr.authorization.issuer,
    }

    answer = visitor.get(f"/smart/callback?{urlencode(said)}")

    refused(answer, page, 400)
    code = "alert(1)" if "<" in error else error
    words = "Ask the \ufffdhelp desk: … at https://x.example/a?…"
    assert f"<q>{words}</q> (<code>{code}</code>)" in answer.text
    assert not any(text in answer.text for text in ("evil.example", "<b>", "<script>alert", state))
    # The service runs in this process: its log is here.
    (line,) = [json.loads(r.message) for r in caplog.records if '"smart-error"' in r.message]
    assert (line["error"], line["words"]) == (code, words)


@pytest.mark.parametrize("state", [{}, {"state": "nobody-s"}], ids=["no state", "of nobody"])
def test_smart_049_an_error_of_nobodys_launch_is_logged_and_not_shown(
    run, visitor, caplog: pytest.LogCaptureFixture, state: dict
) -> None:
    said = {"error": "invalid_client", "error_description": f"call 555 {len(state)}", **state}

    answer = visitor.get(f"/smart/callback?{urlencode(said)}")

    assert answer.status_code == 400
    assert "555" not in answer.text
    assert f'"found": "invalid_client: call 555 {len(state)}"' in caplog.text


def test_smart_049_a_real_refusal_of_the_authorization_server(run, visitor) -> None:
    run.behave(Behaviour(refuse="access_denied"))

    refused(visitor.callback(), "access-denied", 400)


def test_smart_050_an_answer_of_another_server_is_refused(run, visitor) -> None:
    back = visitor.authorize(visitor.begin())

    refused(visitor.get(with_query(back, iss="https://evil.example")), "ehr-not-trusted", 400)


@pytest.mark.parametrize("error", [{}, {"code": ..., "error": "access_denied"}], ids=["code", "error"])
def test_smart_050_an_answer_without_iss_is_refused_where_the_server_says_that_it_sends_one(
    run, visitor, error: dict
) -> None:
    back = visitor.authorize(visitor.begin())

    refused(visitor.get(with_query(back, iss=..., **error)), "ehr-not-trusted", 400)


def test_smart_050_a_server_that_sends_iss_sends_its_issuer_letter_by_letter(run, visitor) -> None:
    for iss in (run.addresses.fhir_base, f"{run.ehr.authorization.issuer}/", run.ehr.authorization.issuer.upper()):
        back = visitor.authorize(visitor.begin())

        refused(visitor.get(with_query(back, iss=iss)), "ehr-not-trusted", 400)


@pytest.mark.parametrize("said", [None, False, "true"])
def test_smart_050_another_server_need_not_say_who_it_is_but_may_not_lie(run, visitor, said: object) -> None:
    run.behave(Behaviour(metadata={"authorization_response_iss_parameter_supported": said}))
    run.forget()
    answers = {iss: visitor.get(with_query(visitor.authorize(visitor.begin()), iss=iss)).status_code
               for iss in (..., run.ehr.authorization.issuer, run.addresses.fhir_base, "https://evil.example")}  # fmt: skip

    assert list(answers.values()) == [303, 303, 303, 400]


def test_smart_051_the_landing_page_is_fixed(run, visitor) -> None:
    back = visitor.authorize(visitor.begin())

    answer = visitor.get(with_query(back, redirect="https://evil.example", next="//evil.example"))

    assert re.fullmatch(r"/smart/app/[A-Za-z0-9_-]{22}/", answer.headers["Location"])


@pytest.mark.parametrize(
    ("intent", "page"),
    [
        ("phq-9", "forms/phq-9"),
        ("phq-2", "forms/phq-2"),
        ("asq", "forms/asq"),
        ("c-ssrs", ""),
        ("../phq-9", ""),
        ("//evil.example", ""),
    ],
)
def test_smart_068_an_intent_opens_a_form_that_we_have_and_nothing_else(run, visitor, intent: str, page: str) -> None:
    run.behave(Behaviour(extra={"intent": intent}))

    answer = visitor.callback()

    assert re.fullmatch(rf"/smart/app/[A-Za-z0-9_-]{{22}}/{page}", answer.headers["Location"])
    assert visitor.get(answer.headers["Location"]).status_code == 200


def test_smart_057_a_replayed_code_is_refused(run, visitor) -> None:
    back = visitor.authorize(visitor.begin())
    code = query_of(back)["code"]
    assert visitor.get(back).status_code == 303
    state = query_of(visitor.begin())["state"]

    refused(visitor.get(with_query(back, state=state, code=code)), "launch-expired", 502)


def test_smart_032_a_code_of_another_launch_does_not_fit_the_verifier(run, visitor) -> None:
    other = visitor.authorize(visitor.begin(OTHER))
    state = query_of(visitor.begin())["state"]

    refused(visitor.get(with_query(other, state=state)), "launch-expired", 502)


# ---- what the EHR says --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("authentication", list(ClientAuthentication))
def test_smart_053_all_three_ways_to_authenticate_work(authentication: ClientAuthentication) -> None:
    secret = None if authentication is ClientAuthentication.PRIVATE_KEY_JWT else "s p/ä:%"
    with running(registration=lambda r: replace(r, authentication=authentication, secret=secret)) as run:
        if secret:
            run.secret(secret)

        assert Visitor(run).callback().status_code == 303


@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
def test_smart_005_both_algorithms_are_taken_by_a_real_server(algorithm: str) -> None:
    with running(registration=lambda r: replace(r, algorithm=algorithm)) as run:
        assert Visitor(run).callback().status_code == 303


def test_a_key_that_the_ehr_does_not_know_gets_a_page_and_an_alarm(caplog) -> None:
    with running(registration=lambda r: replace(r, client_id="another-client")) as run:
        visitor = Visitor(run)
        began = visitor.begin()
        state = query_of(began)["state"]
        with caplog.at_level(logging.INFO):
            said = {"code": "x", "state": state, "iss": run.ehr.authorization.issuer}
            answer = visitor.get(f"/smart/callback?{urlencode(said)}")

    refused(answer, "not-registered", 502)
    assert any(r.levelno == logging.ERROR and "smart-token-refused" in r.message for r in caplog.records)


FAILURES = {
    "the token endpoint fails": (TokenFailure(status=500, body="<html>"), "ehr-failed"),
    "it answers no JSON": (TokenFailure(status=200, body="<html>"), "ehr-failed"),
    "it redirects": (TokenFailure(status=302, body=""), "ehr-failed"),
    "invalid_client": (TokenFailure(status=401, body={"error": "invalid_client"}), "not-registered"),
    "no access token": (TokenFailure(status=200, body={"token_type": "Bearer", "scope": "x"}), "ehr-failed"),
}


@pytest.mark.parametrize(("failure", "page"), FAILURES.values(), ids=FAILURES)
def test_smart_058_061_token_errors_have_their_pages(run, visitor, failure: TokenFailure, page: str) -> None:
    run.behave(Behaviour(token_failure=failure))

    refused(visitor.callback(), page, 502)


ID_TOKENS = {
    "wrong issuer": Behaviour(id_token_claims=lambda c: c | {"iss": "https://evil.example"}),
    "wrong audience": Behaviour(id_token_claims=lambda c: c | {"aud": "another"}),
    "expired": Behaviour(id_token_claims=lambda c: c | {"exp": c["iat"] - 3600}),
    "another launch's nonce": Behaviour(id_token_claims=lambda c: c | {"nonce": "other"}),
    "no nonce": Behaviour(id_token_claims=lambda c: {k: v for k, v in c.items() if k != "nonce"}),
    "good for years": Behaviour(id_token_claims=lambda c: c | {"exp": c["iat"] + 10 * 365 * 86400}),
    "tampered": Behaviour(id_token=lambda c: "eyJhbGciOiJub25lIn0." + "e30" + "."),
    "signed by another key": Behaviour(id_token_key=new_key()),
    "left out although openid was granted": Behaviour(extra={"id_token": None}),
}


@pytest.mark.parametrize("behaviour", ID_TOKENS.values(), ids=ID_TOKENS)
def test_smart_073_074_an_id_token_that_proves_nothing_ends_the_launch(run, visitor, behaviour: Behaviour) -> None:
    run.behave(behaviour)

    refused(visitor.callback(), "identity", 502)


def test_the_ehrs_keys_being_down_ends_the_launch(run, visitor) -> None:
    run.behave(Behaviour(metadata={"jwks_uri": f"{run.addresses.fhir_base}/nothing-here"}))
    run.forget()

    refused(visitor.callback(), "ehr-unreachable", 502)
    run.forget()


@pytest.mark.parametrize(("user", "status"), [("Patient/x", 403), ("RelatedPerson/x", 403), ("Practitioner/x", 303)])
def test_pages_are_for_clinicians(run, visitor, user: str, status: int) -> None:
    named = f"{run.addresses.fhir_base}/{user}"
    run.behave(Behaviour(id_token_claims=lambda c: c | {"fhirUser": named}))
    answer = visitor.callback()

    assert answer.status_code == status
    if status == 403:
        refused(answer, "clinicians-only", 403)


ELSEWHERE = "https://portal.example/fhir"


@pytest.mark.parametrize(
    "user",
    [
        f"{ELSEWHERE}/Patient/1",
        f"{ELSEWHERE}/RelatedPerson/1?x=Practitioner/1",
        "{base}/Patient/1/_history/2",
        "{base}/Person/1/",
        "{base}/Patient/1#Practitioner/1",
        "Patient/one two",
        "patient/1",
    ],
)
def test_a_patient_is_refused_however_the_ehr_writes_who_it_is(run, visitor, user: str) -> None:
    run.behave(Behaviour(id_token_claims=lambda c: c | {"fhirUser": user.format(base=run.addresses.fhir_base)}))

    refused(visitor.callback(), "clinicians-only", 403)


def test_a_user_that_is_no_text_proves_nothing(run, visitor) -> None:
    run.behave(Behaviour(id_token_claims=lambda c: c | {"fhirUser": ["Patient/1"]}))

    refused(visitor.callback(), "identity", 502)


@pytest.mark.parametrize("user", [f"{ELSEWHERE}/Practitioner/1", "urn:uuid:1"])
def test_who_is_named_on_another_server_reads_and_does_not_write(run, visitor, user: str) -> None:
    run.behave(Behaviour(id_token_claims=lambda c: c | {"fhirUser": user}))
    where = visitor.open()

    assert "C-SSRS question 4" in visitor.get(where).text
    assert "q-44250-9" not in visitor.get(f"{where}forms/phq-9").text


def test_smart_076_without_fhir_user_the_chart_is_read_all_the_same(run, visitor) -> None:
    run.behave(Behaviour(id_token_claims=lambda c: {k: v for k, v in c.items() if k != "fhirUser"}))

    assert "C-SSRS question 4" in visitor.get(visitor.open()).text


@pytest.mark.parametrize("user", [None, "Device/1"])
def test_a_launch_that_begins_here_is_for_practitioners_who_are_known(run, visitor, user: str | None) -> None:
    run.behave(
        Behaviour(
            id_token_claims=lambda c: (
                {k: v for k, v in c.items() if k != "fhirUser"} | ({"fhirUser": user} if user else {})
            )
        )
    )

    refused(chosen_patient(run, visitor), "clinicians-only", 403)


def test_smart_063_a_launch_without_a_patient_gets_a_page(run, visitor) -> None:
    run.behave(Behaviour(patient=False))

    refused(visitor.callback(), "no-patient", 400)


@pytest.mark.parametrize("syntax", list(Syntax))
def test_smart_039_scopes_granted_in_another_syntax_are_understood(run, visitor, syntax: Syntax) -> None:
    run.behave(Behaviour(syntax=syntax))

    page = visitor.get(visitor.open())

    assert "C-SSRS question 4" in page.text
    assert "did not allow" not in page.text


def test_smart_042_what_was_not_granted_is_named_and_never_read_as_nothing(run, visitor) -> None:
    run.behave(Behaviour(granted=lambda s: "QuestionnaireResponse" not in s and "Observation" not in s))

    page = visitor.get(visitor.open()).text

    assert "could not be read" in page.lower()
    assert "Nothing to show" not in page


def test_smart_040_041_rights_on_part_of_a_type_are_said_to_be_partial(run, visitor) -> None:
    scopes = "launch openid fhirUser patient/Patient.rs patient/QuestionnaireResponse.rs patient/Condition.rs"
    run.behave(Behaviour(extra={"scope": f"{scopes} patient/Observation.rs?category=laboratory"}))

    page = visitor.get(visitor.open("pilar-ostrowski")).text

    assert "covers only part of them" in page
    assert "Nothing to show" not in page


def test_smart_070_the_card_that_the_launch_came_from_is_marked_for_its_own_patient_only(run, visitor) -> None:
    context = run.app_context(PATIENT)

    own, others = (visitor.get(visitor.open(patient, context)).text for patient in (PATIENT, OTHER))

    assert "Opened from this card" in own
    assert "Opened from this card" not in others


@pytest.mark.parametrize("said", ["", "garbage", "e30.e30", {"a": 1}, "x" * 5000])
def test_smart_070_an_app_context_that_is_not_ours_changes_nothing(run, visitor, said: object) -> None:
    run.behave(Behaviour(extra={"appContext": said}))

    page = visitor.get(visitor.open())

    assert page.status_code == 200
    assert "Opened from this card" not in page.text


# ---- the session --------------------------------------------------------------------------------------------------


def test_smart_091_094_cookies_are_for_this_host_in_this_frame_and_new_at_each_login(run, visitor) -> None:
    launched = visitor.get(run.launch_url(PATIENT))
    answer = visitor.get(visitor.authorize(launched.headers["Location"]))
    again = visitor.callback()

    for found in (launched, answer, again):
        (said,) = found.headers.getlist("Set-Cookie")
        name, _, rest = said.partition("=")
        assert name.startswith("__Host-")
        parts = {part.strip().partition("=")[0].lower() for part in rest.split(";")[1:]}
        assert parts == {"secure", "httponly", "path", "samesite", "partitioned"}
        assert "SameSite=None" in rest
        assert "Path=/" in rest
    assert answer.headers["Set-Cookie"] != again.headers["Set-Cookie"]


def test_smart_094_another_browser_cannot_open_the_page(run, visitor) -> None:
    where = visitor.open()
    stranger = Visitor(run)
    stranger.open(OTHER)

    refused(stranger.get(where), "session-ended", 401)
    refused(Visitor(run).get(where), "session-ended", 401)


@pytest.mark.parametrize("path", ["", "print", "thanks", "forms/phq-9", "tasks/new"])
def test_every_page_of_a_launch_asks_for_its_session(run, visitor, path: str) -> None:
    launch = visitor.open()

    assert visitor.get(f"{launch}{path}").status_code == 200
    refused(Visitor(run).get(f"{launch}{path}"), "session-ended", 401)
    refused(visitor.get(f"/smart/app/unknown-launch/{path}"), "session-ended", 401)


def test_smart_017_a_new_launch_ends_the_session_of_the_patient_before_when_it_is_completed(run, visitor) -> None:
    first = visitor.open()
    back = visitor.authorize(visitor.begin(OTHER))
    assert visitor.get(first).status_code == 200
    assert visitor.get(back).status_code == 303

    refused(visitor.get(first), "moved", 401)


def test_smart_017_a_launch_that_is_refused_ends_nothing(run, visitor) -> None:
    first = visitor.open()
    run.behave(Behaviour(refuse="access_denied"))
    refused(visitor.callback(OTHER), "access-denied", 400)
    run.behave(Behaviour(token_failure=TokenFailure(status=500, body="")))
    refused(visitor.callback(OTHER), "ehr-failed", 502)
    run.behave(Behaviour(patient=False))
    refused(visitor.callback(OTHER), "no-patient", 400)

    assert visitor.get(first).status_code == 200


NO_PAGE = {
    "an image": {"Sec_Fetch_Dest": "image", "Sec_Fetch_Mode": "no-cors"},
    "a script that reads it": {"Sec_Fetch_Dest": "empty", "Sec_Fetch_Mode": "cors"},
    "a style sheet of our own": {"Sec_Fetch_Dest": "style", "Sec_Fetch_Mode": "no-cors"},
    "an object": {"Sec_Fetch_Dest": "object", "Sec_Fetch_Mode": "navigate"},
    "a frame that did not navigate": {"Sec_Fetch_Dest": "iframe", "Sec_Fetch_Mode": "cors"},
    "an image of a browser that says no mode": {"Sec_Fetch_Dest": "image"},
    "a mode alone": {"Sec_Fetch_Mode": "no-cors"},
}


@pytest.mark.parametrize("said", NO_PAGE.values(), ids=NO_PAGE)
@pytest.mark.parametrize("site", ["cross-site", "same-origin"])
def test_smart_092_what_is_not_opened_as_a_page_begins_and_uses_nothing(run, visitor, said: dict, site: str) -> None:
    first, back = visitor.open(), visitor.authorize(visitor.begin())
    waiting = run.store.rows(launch_state)

    refused(visitor.get(run.launch_url(OTHER), Sec_Fetch_Site=site, **said), "launch-refused", 403)
    refused(visitor.get(back, Sec_Fetch_Site=site, **said), "launch-refused", 403)

    assert run.store.rows(launch_state) == waiting
    assert visitor.get(first).status_code == 200
    assert visitor.get(back).status_code == 303


@pytest.mark.parametrize(
    "said",
    [
        {"Sec_Fetch_Dest": "document", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Dest": "iframe", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Dest": "frame", "Sec_Fetch_Mode": "navigate"},
        {"Sec_Fetch_Mode": "nested-navigate"},
        {"Sec_Fetch_Site": "none"},
        {},
    ],
)
def test_smart_092_pages_and_frames_of_any_site_and_browsers_that_say_nothing_launch(run, visitor, said: dict) -> None:
    visitor.begin()
    to = visitor.get(run.launch_url(PATIENT), **said).headers["Location"]

    assert visitor.get(visitor.authorize(to), **said).status_code == 303


def test_two_tabs_with_two_patients_never_mix(run, visitor) -> None:
    one, two = visitor.begin(), visitor.begin(OTHER)
    back_two, back_one = visitor.authorize(two), visitor.authorize(one)
    second = visitor.get(back_two).headers["Location"]
    first = visitor.get(back_one).headers["Location"]

    assert "Wójcik" in visitor.get(first).text
    refused(visitor.get(second), "moved", 401)


def test_a_launch_opened_twice_ends_in_one_session(run, visitor) -> None:
    launched = run.launch_url(PATIENT)
    wheres = [visitor.authorize(visitor.get(launched).headers["Location"]) for _ in range(2)]
    pages = [visitor.get(where).headers["Location"] for where in wheres]

    refused(visitor.get(pages[0]), "moved", 401)
    assert visitor.get(pages[1]).status_code == 200


def test_looking_at_an_address_begins_and_uses_nothing(run, visitor) -> None:
    page = visitor.open()
    launched = visitor.inside(run.launch_url(OTHER))
    assert visitor.client.head(launched, base_url=visitor.base).status_code == 200
    assert visitor.get(page).status_code == 200
    back = visitor.inside(visitor.authorize(visitor.begin()))
    assert visitor.client.head(back, base_url=visitor.base).status_code == 200

    assert visitor.get(back).status_code == 303


def test_the_back_button_leads_to_a_callback_that_was_used(run, visitor) -> None:
    back = visitor.authorize(visitor.begin())
    page = visitor.get(back).headers["Location"]
    refused(visitor.get(back), "used", 400)

    assert visitor.get(page).status_code == 200


def test_smart_071_094_a_session_ends_after_fifteen_minutes_without_use_and_after_eight_hours(run, visitor) -> None:
    run.behave(Behaviour(token_life_s=20 * 3600))
    where = visitor.open()
    for _ in range(3):
        run.clock.ahead += 14 * 60
        assert visitor.get(where).status_code == 200
    run.clock.ahead += 15 * 60 + 1
    refused(visitor.get(where), "timed-out", 401)

    where = visitor.open()
    form = {"csrf": csrf_of(visitor.get(where).text)}
    for _ in range(8 * 60 // 14):
        run.clock.ahead += 14 * 60
        assert visitor.post(f"{where}extend", form, Sec_Fetch_Site="same-origin").status_code == 303
    run.clock.ahead += 14 * 60
    refused(visitor.get(where), "timed-out", 401)


def test_of_a_session_that_nobody_came_back_to_no_token_is_kept(run, visitor) -> None:
    where = visitor.open()
    run.clock.ahead += 3601
    Visitor(run).open(OTHER)
    left = next(row for row in run.store.rows(app_session) if row["launch"] == where.split("/")[3])

    assert (left["sealed"], left["ended"]) == (b"", "timed-out")
    refused(visitor.get(where), "timed-out", 401)


def test_a_form_that_is_too_long_is_not_read(run, visitor) -> None:
    where = visitor.open()
    token = csrf_of(visitor.get(where).text)

    refused(visitor.post(f"{where}opinion", {"csrf": token, "comment": "x" * 100_000}), "form-refused", 413)


def test_a_form_keeps_the_session(run, visitor) -> None:
    where = visitor.open()
    token = csrf_of(visitor.get(where).text)

    assert visitor.post(f"{where}extend", {"csrf": token}, Sec_Fetch_Site="same-origin").status_code == 303


@pytest.mark.parametrize("path", ["extend", "close", "opinion", "tasks", "forms/phq-9"])
def test_smart_092_a_form_that_is_not_of_our_page_does_nothing(run, visitor, path: str) -> None:
    where = visitor.open()
    token = csrf_of(visitor.get(where).text)
    good = {"csrf": token, "outcome": "depression", "choice": "useful"}

    for form, headers in (
        ({}, {}),
        ({"csrf": "x" * 43}, {}),
        ({"csrf": ""}, {"Sec_Fetch_Site": "same-origin"}),
        ({"csrf": "é"}, {"Sec_Fetch_Site": "same-origin"}),
        (good, {"Sec_Fetch_Site": "cross-site"}),
        (good, {"Sec_Fetch_Site": "same-site"}),
        (good, {"Origin": "https://evil.example"}),
        (good, {"Origin": run.addresses.page_origin}),
    ):
        refused(visitor.post(f"{where}{path}", form, **headers), "form-refused", 403)
    assert visitor.get(where).status_code == 200


def test_smart_084_085_closing_gives_the_tokens_back_and_ends_the_session(run, visitor) -> None:
    where = visitor.open()
    token = csrf_of(visitor.get(where).text)
    access = run.tokens()[-1]
    assert run.ehr.authorization.access(access)

    closed = visitor.post(f"{where}close", {"csrf": token})

    assert closed.status_code == 200
    assert run.ehr.authorization.access(access) is None
    refused(visitor.get(where), "closed", 401)


def test_what_another_key_sealed_is_over_and_no_failure(run, visitor) -> None:
    where, back = visitor.open(), visitor.authorize(visitor.begin())
    with run.store.transaction() as connection:
        connection.execute(launch_state.update().values(sealed=b"sealed elsewhere"))
    refused(visitor.get(back), "used", 400)
    where = visitor.open()
    with run.store.transaction() as connection:
        connection.execute(app_session.update().values(sealed=b"sealed elsewhere"))

    refused(visitor.get(where), "session-ended", 401)


def test_a_site_that_hands_its_ehr_to_another_site_ends_the_sessions() -> None:
    kept = []

    def config(known: ServiceConfig) -> LiveConfig:
        kept.append(LiveConfig(known))
        return kept[0]

    with running(config=config) as run:
        visitor = Visitor(run)
        where = visitor.open()
        (site,) = kept[0]().sites
        taken = tuple(replace(entry, site="other") for entry in site.smart)
        kept[0]._config = replace(kept[0](), sites=(replace(site, smart=()), replace(site, id="other", smart=taken)))

        refused(visitor.get(where), "session-ended", 401)


# ---- tokens -------------------------------------------------------------------------------------------------------


def test_smart_080_082_a_token_is_refreshed_before_it_expires_and_by_one_request_only(run, visitor) -> None:
    run.behave(Behaviour(token_life_s=120))
    where = visitor.open()
    cookies = visitor.cookies()
    run.clock.ahead += 100
    found = []

    def look() -> None:
        other = run.service.test_client()
        for name, value in cookies.items():
            other.set_cookie(name, value, domain="127.0.0.1")
        found.append(other.get(where, base_url=visitor.base).status_code)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [200, 200, 200, 200]
    assert run.refreshes() == 1
    run.clock.ahead += 100
    assert visitor.get(where).status_code == 200
    assert run.refreshes() == 2


def test_smart_082_a_token_that_the_server_no_longer_takes_is_refreshed_once(run, visitor) -> None:
    where = visitor.open()
    run.forget_access_tokens()

    assert "C-SSRS question 4" in visitor.get(where).text
    assert run.refreshes() == 1


def test_smart_081_refreshing_never_changes_the_patient(run, visitor) -> None:
    run.behave(Behaviour(token_life_s=120, refreshed_patient=OTHER))
    where = visitor.open()
    run.clock.ahead += 100

    for _ in range(2):
        refused(visitor.get(where), "access-ended", 401)


def test_smart_081_a_patient_that_is_nothing_when_refreshing_is_no_other_patient(run, visitor, monkeypatch) -> None:
    run.behave(Behaviour(token_life_s=120))
    where = visitor.open()
    run.clock.ahead += 100
    refresh = TokenEndpoint.refresh
    monkeypatch.setattr(TokenEndpoint, "refresh", lambda self, t: replace(refresh(self, t), context={"patient": None}))

    assert "C-SSRS question 4" in visitor.get(where).text


def test_a_file_that_is_not_there_is_no_refused_form(visitor) -> None:
    refused(visitor.get("/smart/static/none.css"), "no-page", 404)


def test_while_the_ehr_cannot_say_where_to_refresh_nothing_is_lost(run, visitor) -> None:
    run.behave(Behaviour(token_life_s=120))
    where = visitor.open()
    run.clock.ahead += 100
    run.behave(Behaviour(token_life_s=120, metadata={"token_endpoint": None}))
    run.forget()
    refused(visitor.get(where), "ehr-failed", 502)
    run.behave(Behaviour(token_life_s=120))
    run.forget()

    assert "C-SSRS question 4" in visitor.get(where).text
    assert run.refreshes() == 1


def test_while_the_token_endpoint_cannot_be_reached_nothing_is_lost(run, visitor) -> None:
    run.behave(Behaviour(token_life_s=120))
    where = visitor.open()
    run.clock.ahead += 100
    run.behave(Behaviour(token_life_s=120, metadata={"token_endpoint": "http://127.0.0.1:1/token"}))
    run.forget()
    for _ in range(2):
        refused(visitor.get(where), "ehr-unreachable", 502)
    run.behave(Behaviour(token_life_s=120))
    run.forget()

    assert "C-SSRS question 4" in visitor.get(where).text
    assert run.refreshes() == 1


def test_a_launch_for_another_patient_while_a_token_is_refreshed_ends_the_page(run, visitor, monkeypatch) -> None:
    run.behave(Behaviour(token_life_s=120))
    where = visitor.open()
    run.clock.ahead += 100
    refresh, cookies = TokenEndpoint.refresh, visitor.cookies()

    def slowly(self: TokenEndpoint, token: str) -> TokenResponse:
        answer = refresh(self, token)
        visitor.open(OTHER)
        return answer

    monkeypatch.setattr(TokenEndpoint, "refresh", slowly)
    other = run.service.test_client()
    for name, value in cookies.items():
        other.set_cookie(name, value, domain="127.0.0.1")

    refused(other.get(where, base_url=visitor.base), "moved", 401)


def test_without_a_refresh_token_the_session_ends_with_the_token(run, visitor) -> None:
    run.behave(Behaviour(token_life_s=120, extra={"refresh_token": None}))
    where = visitor.open()
    assert visitor.get(where).status_code == 200
    run.clock.ahead += 121

    refused(visitor.get(where), "access-ended", 401)


def test_smart_097_tokens_are_nowhere_but_sealed_in_the_store(run, visitor, caplog) -> None:
    with caplog.at_level(logging.DEBUG):
        where = visitor.open()
        page = visitor.get(where)
    tokens = run.tokens()
    kept = b"".join(row["sealed"] for row in run.store.rows(app_session))
    events = json.dumps(recorded(run.store, "app"))
    everywhere = [page.text, str(page.headers), caplog.text, events, str(run.store.rows(launch_state))]

    assert tokens
    assert kept
    for token in tokens:
        assert token.encode() not in kept
        assert not any(token in text for text in everywhere)


def test_smart_100_who_saw_what_is_on_record_without_names(run, visitor) -> None:
    before = len(recorded(run.store, "app"))
    where = visitor.open()
    visitor.get(where)

    launched, shown = (row["event"] for row in recorded(run.store, "app")[before:])
    assert (launched["what"], shown["what"], shown["page"]) == ("launched", "shown", "summary")
    assert shown["topics"] == ["acute-safety"]
    assert launched["user"] == shown["user"]
    assert launched["launch"] == shown["launch"] == where.split("/")[3]
    assert not any(word in json.dumps([launched, shown]) for word in ("Wójcik", PATIENT, "Practitioner"))


# ---- the address --------------------------------------------------------------------------------------------------


def test_below_a_path_of_the_public_address_all_addresses_have_it() -> None:
    with running(config=lambda c: replace(c, address=f"{c.address}/cds")) as run:
        visitor = Visitor(run)
        tried = visitor.get(run.launch_url(PATIENT), Sec_Fetch_Dest="iframe")
        request_url = visitor.get(run.launch_url(PATIENT)).headers["Location"]
        back = query_of(request_url)["redirect_uri"]
        # The authorization server knows the address without the path; a proxy would take it away.
        answer = visitor.authorize(with_query(request_url, redirect_uri=run.addresses.redirect_uri))
        state = query_of(answer)["state"]
        no_code = visitor.get(f"/smart/callback?state={state}")
        choose = visitor.get("/smart/launch").text

    assert tried.headers["Location"].startswith("/cds/smart/launch?")
    assert back.endswith("/cds/smart/callback")
    assert "/cds/smart/static/app.css" in no_code.text
    assert set(re.findall(r'(?:href|src|action)="(/[a-z]*/)', choose)) == {"/cds/"}


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://Host.example/cds", "https://host.example"),
        ("https://host.example:443", "https://host.example"),
        ("https://host.example:8443/", "https://host.example:8443"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("https://[::1]:443", "https://[::1]"),
    ],
)
def test_smart_092_our_origin_is_written_as_browsers_write_it(address: str, origin: str) -> None:
    assert origin_of(address) == origin


def test_plain_http_in_production_gets_a_page_that_says_so(caplog) -> None:
    service = create_app(replace(default_config(), mode="production"), engine=Engine())

    refused(service.test_client().get("/smart/launch?iss=x&launch=y"), "insecure", 403)
    assert "X-Forwarded-Proto" in caplog.text


# ---- headers ------------------------------------------------------------------------------------------------------


def test_smart_059_095_096_pages_say_who_may_frame_them_and_keep_to_themselves(run, visitor) -> None:
    page = visitor.get(visitor.open())
    policy = {part.split()[0]: part.split()[1:] for part in page.headers["Content-Security-Policy"].split("; ")}

    assert policy["frame-ancestors"] == [run.addresses.page_origin]
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == ["'self'"]
    assert "X-Frame-Options" not in page.headers
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Cache-Control"] == "no-store"
    assert not re.search(r"<script(?! src)|\sstyle=|\son[a-z]+=|javascript:", page.text)


def test_style_sheets_and_scripts_have_another_address_when_they_change(run, visitor) -> None:
    page = visitor.get("/smart/launch").text
    addresses = re.findall(r'(?:href|src)="(/smart/static/[^"]+)"', page)

    assert {address.partition("?")[0].rpartition("/")[2] for address in addresses} == {"app.css", "app.js", "icon.svg"}
    for address in addresses:
        with visitor.get(address) as answer:
            assert hashlib.sha256(answer.data).hexdigest().startswith(query_of(address)["v"])
            assert "max-age" in answer.headers["Cache-Control"]


def test_smart_095_pages_of_no_launch_are_framed_by_nobody_and_name_nobody(run, visitor) -> None:
    for answer in (
        visitor.get("/smart/launch?iss=x&launch=y"),
        visitor.get("/smart/nothing"),
        visitor.get("/smart/launch"),
    ):
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Frame-Options"] == "DENY"


def test_smart_095_an_error_before_the_launch_is_known_shows_in_the_frame_that_it_came_from(run, visitor) -> None:
    origin = run.addresses.page_origin

    ours = visitor.get("/smart/launch?iss=x&launch=y", Referer=f"{origin}/patients/1")
    strange = visitor.get("/smart/launch?iss=x&launch=y", Referer="https://evil.example/")

    assert ours.headers["Content-Security-Policy"].endswith(f"frame-ancestors {origin}")
    assert "'none'" in strange.headers["Content-Security-Policy"].rpartition("frame-ancestors")[2]


def test_smart_006_007_our_keys_are_open_and_cacheable(visitor) -> None:
    answer = visitor.get("/smart/jwks.json")

    assert {key["alg"] for key in answer.get_json()["keys"]} == {"ES384", "RS384"}
    assert not any("d" in key for key in answer.get_json()["keys"])
    assert "max-age" in answer.headers["Cache-Control"]
