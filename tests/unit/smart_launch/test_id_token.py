"""ID tokens: SMART-025, 036, 073 to 078. Signed by real keys, whose public halves a real host serves."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from ehr import jws, private_key, public_jwk
from smart_host import Answer, smart_host

from smart_launch.errors import EhrFailed
from smart_launch.oauth.discovery import parse_configuration
from smart_launch.oauth.id_token import verified_user
from smart_launch.oauth.issuer_keys import IssuerKeys

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())


@pytest.fixture
def host():
    with smart_host() as found:
        yield found


def claims_of(host, **changes) -> dict:
    known = {
        "iss": f"{host.root}/op",
        "sub": "user-1",
        "aud": "our-client",
        "exp": SECONDS + 300,
        "iat": SECONDS,
        "nonce": "n1",
        "fhirUser": f"{host.base}/Practitioner/7",
    }
    return {name: value for name, value in (known | changes).items() if value is not ...}


def signed(claims: object, *, algorithm: str = "RS256", kid: str = "rsa", key: str = "first", **header) -> str:
    whole = {"alg": algorithm, "kid": kid, "typ": "JWT"} | header
    return jws({k: v for k, v in whole.items() if v is not ...}, claims, private_key(algorithm, key), algorithm)


def user_of(host, token: str, *, keys: IssuerKeys | None = None, **registered):
    return verified_user(
        token,
        registration=host.registration(**registered),
        endpoints=parse_configuration(host.configuration, host.base),
        keys=keys or IssuerKeys(local=lambda: True),
        nonce="n1",
        now=NOW,
    )


def refused(host, token: str, **registered) -> str:
    with pytest.raises(EhrFailed) as error:
        user_of(host, token, **registered)
    assert error.value.page in ("identity", "ehr-unreachable", "ehr-not-trusted", "ehr-failed")
    assert not token or token not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(("algorithm", "kid"), [("RS256", "rsa"), ("RS384", "rsa"), ("ES384", "ec")])
def test_smart_073_078_a_token_of_the_issuer_names_the_user(host, algorithm: str, kid: str) -> None:
    user = user_of(host, signed(claims_of(host), algorithm=algorithm, kid=kid))

    assert (user.iss, user.subject, user.fhir_user) == (f"{host.root}/op", "user-1", "Practitioner/7")


@pytest.mark.parametrize(
    ("name", "known"),
    [("Dr Robin Lindqvist", "Dr Robin Lindqvist"), (..., None), (["x"], None), (" ", None), ("a\nb", "ab")],
)
def test_a_name_in_the_token_is_that_of_the_user(host, name, known: str | None) -> None:
    assert user_of(host, signed(claims_of(host, name=name))).name == known


ACCEPTED = {
    "audience in a list": {"aud": ["our-client"]},
    "several audiences with azp": {"aud": ["other", "our-client"], "azp": "our-client"},
    "expired within the leeway": {"exp": SECONDS - 30},
    "a clock a little ahead": {"iat": SECONDS + 30},
    "good for a day": {"exp": SECONDS + 86_400},
    "times with fractions": {"exp": SECONDS + 300.5, "iat": SECONDS - 0.5},
    "the longest subject": {"sub": "s" * 255},
    "members that we do not know": {"email": "x@example.org", "acr": "0"},
}


@pytest.mark.parametrize("changes", ACCEPTED.values(), ids=ACCEPTED)
def test_smart_074_deviations_that_are_in_order_are_taken(host, changes: dict) -> None:
    assert user_of(host, signed(claims_of(host, **changes))).subject


REFUSED = {
    "another issuer": {"iss": "https://evil.example"},
    "an issuer with a slash more": {"iss": "ISSUER/"},
    "no issuer": {"iss": ...},
    "another audience": {"aud": "other-client"},
    "an audience among others without azp": {"aud": ["our-client", "other"]},
    "azp of another": {"azp": "other"},
    "no audience": {"aud": ...},
    "an empty audience": {"aud": []},
    "expired": {"exp": SECONDS - 61},
    "no expiry": {"exp": ...},
    "good for more than a day": {"exp": SECONDS + 86_461},
    "good for ever": {"exp": 1e300},
    "expiry as text": {"exp": str(SECONDS + 300)},
    "expiry true": {"exp": True},
    "issued in the future": {"iat": SECONDS + 61},
    "issued long ago": {"iat": SECONDS - 90_000},
    "no iat": {"iat": ...},
    "not yet valid": {"nbf": SECONDS + 61},
    "no subject": {"sub": ...},
    "an empty subject": {"sub": ""},
    "too long a subject": {"sub": "s" * 256},
    "a subject that is no text": {"sub": 7},
    "another nonce": {"nonce": "n2"},
    "a nonce that is nothing": {"nonce": None},
    "no nonce": {"nonce": ...},
}


@pytest.mark.parametrize("changes", REFUSED.values(), ids=REFUSED)
def test_smart_074_036_claims_that_are_not_for_us_are_refused(host, changes: dict) -> None:
    changed = {name: value.replace("ISSUER", f"{host.root}/op") if isinstance(value, str) else value
               for name, value in changes.items()}  # fmt: skip

    refused(host, signed(claims_of(host, **changed)))


def test_smart_073_signatures_that_prove_nothing_are_refused(host) -> None:
    good = signed(claims_of(host))
    head, body, signature = good.split(".")
    public = public_jwk("RS256", "rsa")["n"].encode()

    for token in (
        jws({"alg": "none", "kid": "rsa"}, claims_of(host), None, "none"),
        jws({"alg": "HS256", "kid": "rsa"}, claims_of(host), public, "HS256"),
        signed(claims_of(host), key="second"),
        signed(claims_of(host), kid="unknown"),
        signed(claims_of(host), kid="ec"),
        signed(claims_of(host), crit=["exp"]),
        signed(claims_of(host), kid=7),
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{signed(claims_of(host, sub='other')).split('.')[1]}.{signature}",
        signed(b"no json"),
        signed(json.dumps(claims_of(host)).replace("{", '{"sub":"user-2",', 1).encode()),
        signed([1, 2]),
        "not a token",
        "..",
        "",
    ):
        refused(host, token)


def test_smart_073_a_short_rsa_key_signs_nothing(host) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from jwt.algorithms import RSAAlgorithm

    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505  # refused: that is the test
    public = {**RSAAlgorithm.to_jwk(weak.public_key(), as_dict=True), "kid": "weak"}
    host.answers["/jwks"] = Answer({"keys": [public]})

    refused(host, jws({"alg": "RS256", "kid": "weak"}, claims_of(host), weak, "RS256"))


def test_a_key_for_another_use_or_algorithm_signs_nothing(host) -> None:
    for members in ({"use": "enc"}, {"alg": "RS384"}):
        host.answers["/jwks"] = Answer({"keys": [{**public_jwk("RS256", "rsa"), **members}]})

        refused(host, signed(claims_of(host)))


def test_a_token_without_kid_is_tried_with_the_keys_there_are(host) -> None:
    assert user_of(host, signed(claims_of(host), kid=...)).subject == "user-1"


def test_keys_without_a_name_are_tried_for_a_token_that_names_one(host) -> None:
    bare = {name: value for name, value in public_jwk("RS256", "rsa").items() if name not in ("kid", "alg", "use")}
    host.answers["/jwks"] = Answer({"keys": [bare]})

    assert user_of(host, signed(claims_of(host))).subject == "user-1"
    refused(host, signed(claims_of(host), key="second"))


def test_keys_of_the_registration_make_those_of_discovery_unneeded(host) -> None:
    host.configuration["jwks_uri"] = "https://elsewhere.example/jwks"

    assert user_of(host, signed(claims_of(host)), id_token_jwks=f"{host.root}/jwks").subject == "user-1"


def test_smart_027_a_new_key_is_found_and_unknown_ones_do_not_make_us_ask_again_and_again(host) -> None:
    clock = [0.0]
    keys = IssuerKeys(local=lambda: True, clock=lambda: clock[0])
    host.answers["/jwks"] = Answer({"keys": [public_jwk("ES384", "ec")]})
    user_of(host, signed(claims_of(host), algorithm="ES384", kid="ec"), keys=keys)
    host.answers["/jwks"] = Answer({"keys": [public_jwk("RS256", "rsa")]})

    for _ in range(5):
        with pytest.raises(EhrFailed):
            user_of(host, signed(claims_of(host)), keys=keys)
    assert len(host.of("/jwks")) == 1
    clock[0] += 61

    assert user_of(host, signed(claims_of(host)), keys=keys).subject == "user-1"
    assert len(host.of("/jwks")) == 2


def test_smart_025_keys_are_found_by_openid_configuration_where_discovery_leaves_them_out(host) -> None:
    del host.configuration["jwks_uri"]
    host.answers["/op/.well-known/openid-configuration"] = Answer({"jwks_uri": f"{host.root}/jwks"})

    assert user_of(host, signed(claims_of(host))).subject == "user-1"


def test_smart_028_keys_elsewhere_are_not_asked_for(host) -> None:
    del host.configuration["jwks_uri"]
    host.answers["/op/.well-known/openid-configuration"] = Answer({"jwks_uri": "https://evil.example/jwks"})

    assert "host of the registration" in refused(host, signed(claims_of(host)))


def test_smart_077_the_registration_may_say_who_the_issuer_is(host) -> None:
    token = signed(claims_of(host, iss="https://login.example"))

    assert user_of(host, token, id_token_issuer="https://login.example").iss == "https://login.example"
    refused(host, signed(claims_of(host)), id_token_issuer="https://login.example")


@pytest.mark.parametrize("answer", [Answer({}, 500), Answer({"keys": "x"}), Answer(raw=b"<html>"), Answer([])])
def test_keys_that_cannot_be_had_stop_the_launch(host, answer: Answer) -> None:
    host.answers["/jwks"] = answer

    refused(host, signed(claims_of(host)))
