"""The token endpoint: SMART-005, 008, 052 to 061, 079, 084, against a real host on loopback."""

from __future__ import annotations

import base64
import logging
from datetime import UTC, datetime
from urllib.parse import unquote_plus

import jwt
import pytest
from smart_host import Answer, smart_host

from smart_launch.errors import EhrFailed
from smart_launch.oauth.discovery import parse_configuration
from smart_launch.oauth.own_keys import new_pem, own_keys
from smart_launch.oauth.tokens import ASSERTION_TYPE, TokenEndpoint, token_response
from smart_launch.settings import ClientAuthentication

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
KEYS = own_keys([new_pem("ES384"), new_pem("RS384"), new_pem("ES384")])


@pytest.fixture
def host():
    with smart_host() as found:
        yield found


def endpoint(host, *, keys=KEYS, **registered) -> TokenEndpoint:
    return TokenEndpoint(
        endpoints=parse_configuration(host.configuration, host.base),
        registration=host.registration(**registered),
        keys=keys,
        now=NOW,
    )


def exchanged(host, **wanted):
    return endpoint(host, **wanted).exchange("the-code", "the-verifier", "https://cds.example/smart/callback")


def test_smart_052_060_a_code_is_exchanged_by_a_form_for_a_token_that_is_not_looked_into(host) -> None:
    answer = exchanged(host)

    (asked,) = host.of("/token")
    assert answer.access_token == "secret-access"
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert {k: asked.form[k] for k in ("grant_type", "code", "redirect_uri", "code_verifier")} == {
        "grant_type": "authorization_code",
        "code": "the-code",
        "redirect_uri": "https://cds.example/smart/callback",
        "code_verifier": "the-verifier",
    }


@pytest.mark.parametrize(
    ("offered", "registered", "signed"),
    [
        (["RS384"], None, "RS384"),
        (["ES384"], None, "ES384"),
        (None, None, "ES384"),
        (["ES384", "RS384"], "RS384", "RS384"),
    ],
)
def test_smart_005_024_055_056_117_the_assertion_is_fresh_short_and_signed_as_the_server_takes_it(
    host, offered: list | None, registered: str | None, signed: str
) -> None:
    host.configuration["token_endpoint_auth_signing_alg_values_supported"] = offered
    for _ in range(2):
        exchanged(host, algorithm=registered)

    forms = [asked.form for asked in host.of("/token")]
    heads = [jwt.get_unverified_header(form["client_assertion"]) for form in forms]
    key = KEYS.signing(signed)
    claims = [
        jwt.decode(
            form["client_assertion"],
            jwt.PyJWK(key.public).key,
            algorithms=[signed],
            audience=f"{host.root}/token",
            options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )
        for form in forms
    ]
    assert {form["client_assertion_type"] for form in forms} == {ASSERTION_TYPE}
    assert heads[0] == {"alg": signed, "kid": key.kid, "typ": "JWT"}
    assert (claims[0]["iss"], claims[0]["sub"]) == ("our-client", "our-client")
    assert 0 < claims[0]["exp"] - NOW.timestamp() <= 300
    assert claims[0]["iat"] <= NOW.timestamp()
    assert claims[0]["jti"] != claims[1]["jti"]
    assert "client_id" not in forms[0]
    assert "client_secret" not in forms[0]


def test_smart_053_054_basic_is_form_url_encoded_and_the_client_id_not_in_the_body(host) -> None:
    exchanged(host, authentication=ClientAuthentication.SECRET_BASIC, client_id="a:b c", secret="s/+e=:%")

    (asked,) = host.of("/token")
    pair = base64.b64decode(asked.headers["authorization"].removeprefix("Basic ")).decode()
    assert [unquote_plus(part) for part in pair.split(":")] == ["a:b c", "s/+e=:%"]
    assert not {"client_id", "client_secret", "client_assertion"} & set(asked.form)


def test_secrets_may_be_in_the_form_where_the_server_wants_that(host) -> None:
    exchanged(host, authentication=ClientAuthentication.SECRET_POST, secret="s")

    (asked,) = host.of("/token")
    assert (asked.form["client_id"], asked.form["client_secret"]) == ("our-client", "s")
    assert "authorization" not in asked.headers


def test_without_a_key_that_the_server_takes_nothing_is_sent(host) -> None:
    host.configuration["token_endpoint_auth_signing_alg_values_supported"] = ["RS384"]
    with pytest.raises(EhrFailed):
        exchanged(host, keys=own_keys([new_pem("ES384")]))

    assert host.of("/token") == []


@pytest.mark.parametrize(
    ("error", "page"),
    [
        ("invalid_grant", "launch-expired"),
        ("invalid_client", "not-registered"),
        ("invalid_scope", "scope-refused"),
        ("<script>", "ehr-failed"),
        (None, "ehr-failed"),
        (["x"], "ehr-failed"),
    ],
)
def test_smart_008_061_errors_of_the_endpoint_have_their_pages_and_nothing_secret_is_said(
    host, caplog: pytest.LogCaptureFixture, error: object, page: str
) -> None:
    words = "Key the-code of <i>us</i> is the-verifier eyJ0b2tlbiI6MX0.eyJ0b2tlbiI6MX0.abc1"
    host.answers["/token"] = Answer({"error": error, "error_description": words}, 400)
    with caplog.at_level(logging.INFO), pytest.raises(EhrFailed) as refused:
        exchanged(host)

    said = caplog.text + str(refused.value)
    assert refused.value.page == page
    assert not any(word in said for word in ("the-code", "the-verifier", "<script>", "<i>", "eyJ"))
    shown = refused.value.said
    assert (shown.words if shown else None) == ("Key … of us is … …" if isinstance(error, str) else None)
    assert len(host.of("/token")) == 1
    assert any(r.levelno == logging.ERROR for r in caplog.records) == (error == "invalid_client")


FAULTS = {
    "no token": {"access_token": ...},
    "an empty token": {"access_token": ""},
    "a token that is no text": {"access_token": 7},
    "a token with a line break": {"access_token": "a\r\nX-Evil: 1"},
    "a token with a space": {"access_token": "a b"},
    "a token outside ASCII": {"access_token": "ä"},
    "no type": {"token_type": ...},
    "another type": {"token_type": "mac"},
    "no scope": {"scope": ...},
    "a scope that is no text": {"scope": ["openid"]},
}


@pytest.mark.parametrize("changes", FAULTS.values(), ids=FAULTS)
def test_smart_058_an_answer_that_is_no_grant_is_refused(changes: dict) -> None:
    whole = {"access_token": "t", "token_type": "bearer", "scope": "openid"} | changes

    with pytest.raises(EhrFailed):
        token_response({k: v for k, v in whole.items() if v is not ...}, first=True)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (3600, 3600),
        ("3600", 3600),
        (3600.9, 3600),
        (None, 300),
        ("soon", 300),
        (True, 300),
        (-5, 0),
        (10**12, 86400),
        ("inf", 300),
    ],
)
def test_smart_058_how_long_a_token_lasts_and_what_is_absent_counts_as_short(said: object, seconds: int) -> None:
    answer = token_response({"access_token": "t", "token_type": "BEARER", "scope": "", "expires_in": said}, first=True)

    assert answer.expires_in == seconds


def test_smart_079_a_token_is_refreshed_with_authentication_and_may_leave_scope_out(host) -> None:
    host.token = {"access_token": "next", "token_type": "Bearer"}

    answer = endpoint(host).refresh("the-refresh-token")

    (asked,) = host.of("/token")
    assert (asked.form["grant_type"], asked.form["refresh_token"]) == ("refresh_token", "the-refresh-token")
    assert "client_assertion" in asked.form
    assert (answer.access_token, answer.scopes, answer.refresh_token) == ("next", None, None)


def test_smart_084_a_token_is_given_back_with_authentication(host) -> None:
    endpoint(host).revoke("secret-access", "access_token")

    (asked,) = host.of("/revoke")
    assert (asked.form["token"], asked.form["token_type_hint"]) == ("secret-access", "access_token")
    assert "client_assertion" in asked.form


def test_nothing_is_given_back_where_the_server_takes_nothing_back(host) -> None:
    del host.configuration["revocation_endpoint"]

    endpoint(host).revoke("secret-access", "access_token")

    assert host.asked == []


@pytest.mark.parametrize(
    "answer",
    [Answer(raw=b"<html>"), Answer(raw=b""), Answer([]), Answer({}, 302, {"Location": "/elsewhere"}),
     Answer(raw=b"[" * 100_000), Answer(raw=b"x" * 600_000), Answer({}, 500),
     Answer(raw=b'{"access_token":"t","token_type":"Bearer","scope":"","patient":"p2","patient":"p1"}')],
)  # fmt: skip
def test_smart_052_whatever_else_an_endpoint_answers_is_an_error_and_asked_for_once(host, answer: Answer) -> None:
    host.answers["/token"] = answer
    with pytest.raises(EhrFailed):
        exchanged(host)

    assert [asked.path for asked in host.asked] == ["/token"]


def test_a_secret_that_was_sent_in_a_header_is_hidden_where_the_server_says_it_back(host) -> None:
    host.answers["/token"] = Answer({"error": "invalid_client", "error_description": "not hunter2"}, 401)

    with pytest.raises(EhrFailed) as failed:
        exchanged(host, authentication=ClientAuthentication.SECRET_BASIC, secret="hunter2")

    assert failed.value.said is not None
    assert failed.value.said.words == "not …"


def test_no_secret_is_in_what_python_shows_of_our_values(host) -> None:
    answer = exchanged(host)
    ours = endpoint(host, authentication=ClientAuthentication.SECRET_POST, secret="hidden-secret")

    assert "secret-access" not in repr(answer)
    assert "hidden-secret" not in repr(ours)
    assert "private" not in repr(KEYS).lower()
