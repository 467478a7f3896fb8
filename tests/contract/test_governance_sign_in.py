"""The sign-in to the governance pages, against a real OpenID provider: who comes in, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from ehr import app_of, kept_in, settings
from flask import Response
from openid import OURS, ROLES, Browser, desk_app, governed, provider
from smart_run import Clock

from cds_service.storage.chain import AuditKind
from cds_service.storage.opening import open_store
from cds_service.storage.tables import audit_event, governance_session, sign_in
from cds_service.storage.versions import upgrade


@pytest.fixture(scope="module")
def openid():
    with provider() as found:
        yield found


@pytest.fixture
def between(openid):
    openid.honest()
    return openid


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(tmp_path, between, clock):
    return desk_app(tmp_path, between, now=clock)


@pytest.fixture
def browser(app) -> Browser:
    return Browser(app=app)


def store_of(app):
    return app.extensions["mhcds"].store


def events(app) -> list[dict]:
    rows = store_of(app).rows(audit_event)
    return [json.loads(row["event"]) for row in rows if row["kind"] == AuditKind.GOVERNANCE]


def refusal(answer) -> tuple[int, str]:
    return answer.status_code, answer.text.partition('data-refusal="')[2].partition('"')[0]


def test_without_the_table_there_is_no_page_and_no_authlib(tmp_path) -> None:
    app = app_of(settings(tmp_path))

    assert app.test_client().get("/governance/").status_code == 404
    assert app.test_client().get("/governance/sign-in").status_code == 404
    code = f"""
import sys; sys.path[:0] = {sys.path!r}
from pathlib import Path
from ehr import app_of
app_of(Path({str(tmp_path)!r}))
assert not [name for name in sys.modules if name.startswith(("authlib", "joserfc"))]
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_person_with_a_role_signs_in_and_out(app, browser, between) -> None:
    asked = parse_qs(urlsplit(browser.to_provider()).query)
    assert asked["redirect_uri"] == [f"{OURS}/governance/callback"]
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["scope"] == ["openid profile"]
    assert {"state", "nonce", "code_challenge"} <= set(asked)

    landed = browser.sign_in("vera")
    page = browser.get("/governance/")

    assert landed.status_code == 200
    assert 'http-equiv="refresh"' in landed.text
    assert page.status_code == 200
    assert "Vera Board, viewer" in page.text
    cookies = [c for c in landed.headers.getlist("Set-Cookie") if c.startswith("__Host-mhcds-governance=")]
    assert cookies[0].split("; ", 1)[1] == "Secure; HttpOnly; Path=/; SameSite=Strict"
    assert page.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]

    out = browser.post("/governance/sign-out", {"csrf": browser.csrf()}, Origin=OURS)
    assert out.status_code == 200
    assert f"{between.issuer}/oauth2/end_session?id_token_hint=" in out.text
    assert refusal(browser.get("/governance/")) == (401, "signed_out")
    assert [(e["what"], e["by"]) for e in events(app)] == [
        ("signed-in", "Vera Board (vera)"),
        ("signed-out", "Vera Board (vera)"),
    ]


def test_nothing_personal_stands_in_the_store_in_the_clear(app, browser) -> None:
    browser.sign_in("olu")

    kept = str(store_of(app).rows(governance_session)) + str(store_of(app).rows(sign_in))

    assert "Olu Officer" not in kept
    assert "cds-safety" not in kept


@pytest.mark.parametrize(
    "path", ["/governance/", "/governance/switches", "/governance/audit", "/governance/no-such-page"]
)
def test_nothing_is_shown_to_somebody_who_is_signed_out(browser, path: str) -> None:
    answer = browser.get(path)

    assert answer.status_code in (401, 404)
    assert "<nav" not in answer.text


def test_a_sign_in_leads_back_to_the_page_that_was_asked_for(app, browser) -> None:
    asked = browser.get("/governance/modes")
    link = asked.text.partition('class="button" href="')[2].partition('"')[0]
    assert link == "/governance/sign-in?back=/modes"

    landed = browser.get(browser.back("vera", back="/modes"))

    assert 'content="0; url=/governance/modes"' in landed.text
    assert 'href="/governance/modes"' in landed.text
    assert browser.get("/governance/modes").status_code == 200


@pytest.mark.parametrize(
    "back",
    [
        "//elsewhere.example", "/\\elsewhere.example", "https://elsewhere.example/", "/modes@elsewhere.example",
        "/..//elsewhere.example", "/../cds-services", "/modes?x=1", "/modes#x", "/modes/set", "javascript:alert(1)",
        "/%2f%2felsewhere.example", "/modes\n", "modes", '/modes"><script>', "/escalations/" + "a" * 37, "",
    ],
)  # fmt: skip
def test_a_sign_in_leads_to_no_address_but_a_page_of_ours(browser, back: str) -> None:
    landed = browser.get(browser.back("vera", back=back))

    assert 'content="0; url=/governance/"' in landed.text
    assert "elsewhere" not in landed.text
    assert "<script" not in landed.text


def test_the_page_after_a_sign_in_is_that_of_the_browser_that_asked(app, browser) -> None:
    """What stands beside the state in the address of the callback has no say."""
    landed = browser.get(browser.back("vera", back="/modes") + "&back=/switches")

    assert 'content="0; url=/governance/modes"' in landed.text


def test_somebody_without_a_role_sees_that_and_nothing_else(app, browser) -> None:
    browser.sign_in("nobody")

    answer = browser.get("/governance/")

    assert refusal(answer) == (403, "no_role")
    assert "<nav" not in answer.text
    assert events(app)[0]["what"] == "no-role"
    assert browser.post("/governance/sign-out", {"csrf": browser.csrf()}, Origin=OURS).status_code == 200


# ---- forged, replayed, stolen -----------------------------------------------------------------------------------------

FORGED = {
    "a key that is not the provider's": {},
    "no signature": {"header": {"alg": "none"}},
    "our secret as its key": {"header": {"alg": "HS256"}},
    "another issuer": {"iss": "https://evil.example", "publish": True},
    "no issuer": {"iss": ..., "publish": True},
    "another client": {"aud": "another", "publish": True},
    "another client beside ours": {"aud": ["another", "mhcds-governance"], "publish": True},
    "another client, asked for by us": {"aud": "another", "azp": "mhcds-governance", "publish": True},
    "made for another party": {"azp": "another", "publish": True},
    "expired": {"exp": 1_700_000_000, "publish": True},
    "without an end": {"exp": ..., "publish": True},
    "of the future": {"iat": 4_000_000_000, "exp": 4_000_000_600, "publish": True},
    "without its time": {"iat": ..., "publish": True},
    "another nonce": {"nonce": "another", "publish": True},
    "no nonce": {"nonce": ..., "publish": True},
    "nobody": {"sub": ..., "publish": True},
    "a subject that is no text": {"sub": 7, "publish": True},
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_id_token_opens_nothing(app, browser, between, name: str) -> None:
    between.forge(**FORGED[name])

    answer = browser.sign_in("olu")

    assert refusal(answer) == (502, "provider")
    assert refusal(browser.get("/governance/")) == (401, "signed_out")
    assert store_of(app).rows(governance_session) == []


def test_the_forger_who_has_the_key_would_come_in(browser, between) -> None:
    """What the tests above rely on: it is the one changed claim that is refused."""
    between.forge(publish=True)

    assert browser.sign_in("olu").status_code == 200


def test_a_callback_is_good_once(app, browser) -> None:
    path = browser.back("olu")

    assert browser.get(path).status_code == 200
    assert refusal(browser.get(path)) == (400, "stale")


def test_a_state_is_of_no_use_in_another_browser(app, browser) -> None:
    path, thief = browser.back("olu"), Browser(app=app)
    thief.to_provider()

    assert refusal(thief.get(path)) == (400, "stale")
    assert refusal(Browser(app=app).get(path)) == (400, "stale")


def test_a_callback_comes_within_ten_minutes(browser, clock) -> None:
    path = browser.back("olu")
    clock.ahead = 601

    assert refusal(browser.get(path)) == (400, "stale")


@pytest.mark.parametrize("query", ["", "?state=x", "?state=x&state=y", "?code=1", "?state=&code=", "?state=x&code=%00"])
def test_a_callback_that_nobody_began(browser, query: str) -> None:
    assert refusal(browser.get(f"/governance/callback{query}")) == (400, "stale")


def test_a_person_who_declines_is_told_so(browser) -> None:
    state = parse_qs(urlsplit(browser.to_provider()).query)["state"][0]

    answer = browser.get(f"/governance/callback?error=access_denied&error_description=<b>x</b>&state={state}")

    assert refusal(answer) == (403, "declined")
    assert "<b>x" not in answer.text


def test_a_callback_that_names_another_issuer(browser) -> None:
    assert refusal(browser.get(browser.back("olu") + "&iss=https://evil.example")) == (502, "provider")


def elsewhere() -> Response:
    return Response(status=302, headers={"Location": "http://127.0.0.1:1/"})


PROVIDERS = {
    "another issuer in its document": {"change": {"/.well-known/openid-configuration": lambda d: d | {"issuer": "https://x.example"}}},
    "sign-in in the clear": {"change": {"/.well-known/openid-configuration": lambda d: d | {"authorization_endpoint": "http://sso.example/a"}}},
    "no token endpoint": {"change": {"/.well-known/openid-configuration": lambda d: d | {"token_endpoint": None}}},
    "keys in the clear": {"change": {"/.well-known/openid-configuration": lambda d: d | {"jwks_uri": "http://sso.example/keys"}}},
    "a redirect for its document": {"stand": {"/.well-known/openid-configuration": elsewhere}},
    "a redirect for the token": {"stand": {"/oauth2/token": elsewhere}},
    "an error for the token": {"stand": {"/oauth2/token": lambda: Response('{"error": "invalid_client"}', 401)}},
    "a page for the token": {"stand": {"/oauth2/token": lambda: Response("<html>", 200)}},
    "no ID token": {"change": {"/oauth2/token": lambda t: {k: v for k, v in t.items() if k != "id_token"}}},
    "keys that are none": {"change": {"/jwks": lambda _k: {"keys": [{"kty": "RSA"}]}}},
    "no keys": {"change": {"/jwks": lambda _k: {}}},
    "a failure for the keys": {"stand": {"/jwks": lambda: Response("", 500)}},
}  # fmt: skip


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_provider_that_cannot_be_trusted_lets_nobody_in(browser, between, name: str) -> None:
    fault = PROVIDERS[name]
    between.change |= fault.get("change", {})
    between.stand |= fault.get("stand", {})

    answer = browser.get("/governance/sign-in")
    if answer.status_code == 303:
        sent = requests.post(answer.headers["Location"], data={"sub": "olu"}, timeout=20, allow_redirects=False)
        answer = browser.get(sent.headers["Location"].removeprefix(OURS))

    assert refusal(answer) == (502, "provider")


def test_a_new_key_of_the_provider_is_read_when_a_token_names_it_but_not_at_every_one(app, browser, between) -> None:
    browser.sign_in("olu")
    between.forge(publish=True)

    assert refusal(browser.sign_in("olu")) == (502, "provider")
    app.extensions["mhcds-governance"].provider.keys._just_read.clear()
    assert browser.sign_in("olu").status_code == 200


# ---- sessions ---------------------------------------------------------------------------------------------------------


def test_each_sign_in_has_a_new_session(browser) -> None:
    first = [c for c in browser.sign_in("olu").headers.getlist("Set-Cookie") if "governance" in c]
    second = [c for c in browser.sign_in("olu").headers.getlist("Set-Cookie") if "governance" in c]

    assert first != second


def test_a_session_ends_when_it_is_idle_and_the_clock_going_back_revives_nothing(browser, clock) -> None:
    browser.sign_in("olu")
    clock.ahead = 890
    assert browser.get("/governance/").status_code == 200
    clock.ahead = 890 + 901

    assert refusal(browser.get("/governance/")) == (401, "timed_out")
    clock.ahead = 900
    assert refusal(browser.get("/governance/")) == (401, "timed_out")


def test_a_session_ends_after_its_longest_time_however_much_it_is_used(browser, clock) -> None:
    browser.sign_in("olu")
    for ahead in range(0, 28_800, 800):
        clock.ahead = ahead
        assert browser.get("/governance/").status_code == 200
    clock.ahead = 28_800

    assert refusal(browser.get("/governance/")) == (401, "timed_out")


def test_a_clock_that_is_set_back_ends_a_session(browser, clock) -> None:
    browser.sign_in("olu")
    clock.ahead = -120

    assert refusal(browser.get("/governance/")) == (401, "timed_out")


@pytest.mark.parametrize("value", ["x" * 43, "", "x", "a" * 3000, "../../etc"])
def test_a_cookie_that_is_not_ours(app, value: str) -> None:
    browser = Browser(app=app)
    browser.client.set_cookie("__Host-mhcds-governance", value, domain="cds.example", secure=True)

    assert refusal(browser.get("/governance/")) == (401, "signed_out")


def test_a_group_taken_out_of_the_settings_ends_what_its_people_may_do_at_once(tmp_path, between) -> None:
    app = desk_app(tmp_path, between)
    browser = Browser(app=app)
    browser.sign_in("olu")
    assert browser.get("/governance/").status_code == 200
    time.sleep(1.1)  # files are looked at once a second

    governed(tmp_path, between, roles=ROLES | {"safety-officer": ["others"]})

    assert refusal(browser.get("/governance/")) == (403, "no_role")


def test_roles_in_a_claim_with_a_path_as_keycloak_has_them(tmp_path, between) -> None:
    between.forge(publish=True, groups=..., realm_access={"roles": ["cds-it"]})
    browser = Browser(app=desk_app(tmp_path, between, roles_claim="realm_access.roles"))
    browser.sign_in("olu")

    assert "operator" in browser.get("/governance/").text


@pytest.mark.parametrize("groups", [None, 7, {"cds-safety": True}, [["cds-safety"]], [7], "cds-saf", ["CDS-SAFETY"]])
def test_a_claim_that_does_not_name_a_group_letter_by_letter_gives_no_role(tmp_path, between, groups) -> None:
    between.forge(publish=True, groups=groups)
    browser = Browser(app=desk_app(tmp_path, between))
    browser.sign_in("olu")

    assert refusal(browser.get("/governance/")) == (403, "no_role")


# ---- forms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        ("", {}),
        ("x" * 43, {}),
        ("good", {"Origin": "https://evil.example"}),
        ("good", {"Origin": OURS, "Sec-Fetch-Site": "cross-site"}),
        ("good", {"Sec-Fetch-Site": "same-site"}),
    ],
)
def test_a_form_of_another_site_does_nothing_and_is_recorded(app, browser, token: str, headers: dict) -> None:
    browser.sign_in("olu")
    token = browser.csrf() if token == "good" else token

    answer = browser.post("/governance/sign-out", {"csrf": token}, **headers)

    assert refusal(answer) == (403, "form")
    assert browser.get("/governance/").status_code == 200
    assert (events(app)[-1]["what"], events(app)[-1]["why"]) == ("refused", "form")


def test_another_persons_token_is_no_good(app, browser) -> None:
    other = Browser(app=app)
    browser.sign_in("olu")
    other.sign_in("otto")

    assert refusal(browser.post("/governance/sign-out", {"csrf": other.csrf()}, Origin=OURS)) == (403, "form")


def test_sign_in_is_no_picture_on_another_page(browser) -> None:
    answer = browser.get("/governance/sign-in", **{"Sec-Fetch-Dest": "image", "Sec-Fetch-Mode": "no-cors"})

    assert answer.status_code == 400


def test_waiting_sign_ins_are_bounded(app, browser, monkeypatch) -> None:
    monkeypatch.setattr("cds_service.storage.governance_store.MOST_WAITING", 3)

    for _ in range(6):
        browser.to_provider()

    assert len(store_of(app).rows(sign_in)) <= 4


def test_the_host_header_has_no_say(app, browser) -> None:
    answer = app.test_client().get(
        "/governance/sign-in", base_url=OURS, headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    )

    assert "evil" not in answer.headers["Location"]


def test_the_address_without_a_slash_is_the_page_itself(app) -> None:
    answer = app.test_client().get("/governance", base_url=OURS, headers={"Host": "evil.example"})

    assert refusal(answer) == (401, "signed_out")
    assert "evil" not in str(answer.headers) + answer.text


def test_plain_http_is_refused_in_production(tmp_path, between) -> None:
    app = desk_app(tmp_path, between)
    live = app.extensions["mhcds"].config
    config = live()
    live._config = replace(config, mode="production")

    assert app.test_client().get("/governance/", base_url="http://cds.example").status_code == 403


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_sign_in_and_its_session_on_both_databases(tmp_path, between, postgres, kind: str, monkeypatch) -> None:
    monkeypatch.setattr("cds_service.storage.governance_store.MOST_WAITING", 2)
    kept, clock = {}, Clock()
    if kind == "postgresql":
        kept = kept_in(postgres.new_database(), tmp_path)
        store = open_store(kept["store"])
        upgrade(store)
        store.close()
    app = desk_app(tmp_path, between, service=kept, now=clock)
    browser = Browser(app=app)
    for _ in range(5):
        browser.to_provider()
    path = browser.back("olu")

    assert browser.get(path).status_code == 200
    assert refusal(browser.get(path)) == (400, "stale")
    assert browser.get("/governance/").status_code == 200
    assert len(store_of(app).rows(sign_in)) <= 3
    clock.ahead = 26 * 60 * 60
    assert refusal(browser.get("/governance/")) == (401, "timed_out")
    between.forge(publish=True, iat=int(clock.seconds()), exp=int(clock.seconds()) + 60)
    browser.sign_in("olu")
    assert len(store_of(app).rows(governance_session)) == 1, "yesterday's is gone"
