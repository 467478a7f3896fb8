"""Our own keys: SMART-002, 005 to 007."""

from __future__ import annotations

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from ehr import pem

from smart_launch.oauth.own_keys import new_pem, own_keys


def test_smart_006_only_public_members_are_published_and_they_verify() -> None:
    keys = own_keys([new_pem("ES384"), new_pem("RS384")])

    for key, public in zip(keys.keys, keys.published()["keys"], strict=True):
        assert not {"d", "p", "q", "dp", "dq", "qi", "oth", "k"} & set(public)
        token = jwt.encode({"a": 1}, key.private, algorithm=key.algorithm)
        assert jwt.decode(token, jwt.PyJWK(public).key, algorithms=[public["alg"]]) == {"a": 1}
    assert [set(k) for k in keys.published()["keys"]] == [
        {"kty", "crv", "x", "y", "kid", "alg", "use", "key_ops"},
        {"kty", "n", "e", "kid", "alg", "use", "key_ops"},
    ]


def test_smart_007_a_successor_is_published_before_it_signs() -> None:
    old, new = new_pem("ES384"), new_pem("ES384")

    before, after = own_keys([old, new]), own_keys([new, old])

    assert before.signing("ES384").kid == before.keys[0].kid == after.keys[1].kid
    assert after.signing("ES384").kid == before.keys[1].kid
    assert {k["kid"] for k in before.published()["keys"]} == {k["kid"] for k in after.published()["keys"]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no key",
        pem(ec.generate_private_key(ec.SECP256R1())),
        pem(rsa.generate_private_key(65537, 1024)),  # noqa: S505  # refused: that is the test
        pem(ed25519.Ed25519PrivateKey.generate()),
        ec.generate_private_key(ec.SECP384R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
        ).decode(),
    ],
)  # fmt: skip
def test_other_keys_are_refused_without_quoting_them(text: str) -> None:
    with pytest.raises(ValueError, match="expected a private key in PEM") as refused:
        own_keys([text])

    assert not text or text not in str(refused.value)
