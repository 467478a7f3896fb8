"""Our own signing keys: which one signs, and the public halves that EHRs read at /smart/jwks.json.

EC on P-384 signs ES384, RSA signs RS384 (SMART-005). The first key of a type signs; all are published. To rotate, list
the new key second, then first, and keep the old one until caches expire (SMART-007).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ALGORITHMS = ("ES384", "RS384")
LEAST_RSA_BITS = 2048
EXPECTED = "expected a private key in PEM without a password, EC on P-384 or RSA of at least 2048 bits"
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnKey:
    """One key. kid: RFC 7638 thumbprint of its public half."""

    kid: str
    algorithm: str
    private: PrivateKey = field(repr=False)
    public: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnKeys:
    """All keys, in settings order."""

    keys: tuple[OwnKey, ...] = ()

    def signing(self, algorithm: str) -> OwnKey | None:
        """The key that signs with this algorithm."""
        return next((key for key in self.keys if key.algorithm == algorithm), None)

    def published(self) -> dict[str, Any]:
        """The JWK Set, public halves only (SMART-006)."""
        return {"keys": [dict(key.public) for key in self.keys]}


def own_key(pem: str) -> OwnKey:
    """A key from PEM. Raises ValueError, which says what was expected and quotes nothing."""
    try:
        private = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(EXPECTED) from error
    if isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(private.curve, ec.SECP384R1):
        algorithm, members = "ES384", ["crv", "kty", "x", "y"]
        public = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    elif isinstance(private, rsa.RSAPrivateKey) and private.key_size >= LEAST_RSA_BITS:
        algorithm, members = "RS384", ["e", "kty", "n"]
        public = RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
    else:
        raise ValueError(EXPECTED)
    bare = {name: public[name] for name in members}
    canonical = json.dumps(bare, sort_keys=True, separators=(",", ":")).encode()
    kid = base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=").decode()
    jwk = {**bare, "kid": kid, "alg": algorithm, "use": "sig", "key_ops": ["verify"]}
    return OwnKey(kid=kid, algorithm=algorithm, private=private, public=jwk)


def own_keys(pems: Iterable[str]) -> OwnKeys:
    """The keys of these PEMs. Raises ValueError."""
    return OwnKeys(keys=tuple(own_key(pem) for pem in pems))


def new_pem(algorithm: str) -> str:
    """A fresh private key for ES384 or RS384, in PEM."""
    key: PrivateKey = (
        ec.generate_private_key(ec.SECP384R1())
        if algorithm == "ES384"
        else rsa.generate_private_key(public_exponent=65537, key_size=3072)
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
