"""Signing keys of the demo EHR, and the ID token that identifies the clinician."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from cds_service.demo_ehr.codes import Json

LIFE_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerKey:
    """A private key with its id and the algorithm that it signs with."""

    kid: str
    algorithm: str
    private: Any = field(repr=False)

    @property
    def public_jwk(self) -> Json:
        """The public JWK."""
        kind = RSAAlgorithm if self.algorithm.startswith(("RS", "PS")) else ECAlgorithm
        jwk: Json = json.loads(kind.to_jwk(self.private.public_key()))
        return jwk | {"kid": self.kid, "alg": self.algorithm, "use": "sig", "key_ops": ["verify"]}

    def signed(self, claims: Json, headers: Json | None = None) -> str:
        """The claims as a signed token."""
        return jwt.encode(claims, self.private, algorithm=self.algorithm, headers={"kid": self.kid} | (headers or {}))


def new_key(algorithm: str = "RS256") -> ServerKey:
    """A fresh key for RS256, RS384, ES256 or ES384."""
    if algorithm.startswith("RS"):
        private: Any = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    else:
        private = ec.generate_private_key(ec.SECP384R1() if algorithm == "ES384" else ec.SECP256R1())
    return ServerKey(kid=secrets.token_urlsafe(8), algorithm=algorithm, private=private)


def claims(*, issuer: str, subject: str, client_id: str, now: int, nonce: str | None, fhir_user: str | None) -> Json:
    """What the ID token says. `now` is in seconds since 1970; `fhir_user` is the absolute URL of the clinician."""
    members: Json = {"iss": issuer, "sub": subject, "aud": client_id, "iat": now, "exp": now + LIFE_S}
    return members | ({"nonce": nonce} if nonce else {}) | ({"fhirUser": fhir_user} if fhir_user else {})
