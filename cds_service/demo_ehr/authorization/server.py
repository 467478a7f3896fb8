"""The demo EHR's SMART authorization server: its addresses, register, grants, key, and how it behaves.

`routes` serves the browser, `token_endpoint` apps. The one user is always logged in and only asked for the patient
if an app is started without one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cds_service.demo_ehr.authorization import id_tokens
from cds_service.demo_ehr.authorization.behaviour import Behaviour, with_members
from cds_service.demo_ehr.authorization.clients import ALGORITHMS, Clients
from cds_service.demo_ehr.authorization.grants import Grant, Grants, Launch
from cds_service.demo_ehr.authorization.scopes import PLAIN, REFRESHING, WRITABLE, GrantedAccess
from cds_service.demo_ehr.codes import Json
from cds_service.demo_ehr.search import ELEMENTS

TENANT = "demo-clinic"
SUBJECT = "demo-clinician-1"
CAPABILITIES = (
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-confidential-asymmetric",
    "client-confidential-symmetric",
    "sso-openid-connect",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "context-standalone-encounter",
    "permission-online",
    "permission-offline",
    "permission-patient",
    "permission-v1",
    "permission-v2",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One choice for an app that was started without a patient."""

    patient: str
    name: str
    about: str


class AuthorizationServer:
    """`fhir_base` is the one FHIR base that apps know, `page_origin` the origin whose page may frame us.

    `user` is the reference of the clinician. `visit` gives the encounter of today for a patient's id. `behaviour` may
    be changed while it runs. `now` gives seconds since 1970.
    """

    def __init__(
        self,
        *,
        fhir_base: str,
        page_origin: str,
        user: str,
        choices: Sequence[Choice] = (),
        visit: Callable[[str], str | None] = lambda _patient: None,
        behaviour: Behaviour | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.fhir_base = fhir_base
        self.issuer = fhir_base.rpartition("/")[0]
        self.page_origin = page_origin
        self.user = user
        self.choices = tuple(choices)
        self.visit = visit
        self.behaviour = behaviour or Behaviour()
        self.now = now
        self.clients = Clients(self.token_endpoint, now)
        self.grants = Grants(now)
        self.key = id_tokens.new_key()

    @property
    def token_endpoint(self) -> str:
        """Its address, which client assertions name as aud."""
        return f"{self.issuer}/token"

    def new_launch(
        self, client_id: str, patient: str, app_context: str | None = None, intent: str | None = None
    ) -> str:
        """A launch handle for a patient who is open in the EHR. intent: where in the app to begin, in its words."""
        encounter = self.visit(patient)
        launch = Launch(
            client_id=client_id, patient=patient, encounter=encounter, app_context=app_context, intent=intent
        )
        return self.grants.new_launch(launch, self.behaviour.launch_life_s)

    def access(self, token: str) -> GrantedAccess | None:
        """What the bearer of an access token may do; None for a token that is unknown, expired or revoked."""
        access = self.grants.access(token)
        if access is None:
            return None
        grant, scopes = access
        return GrantedAccess(patient=grant.patient, user=self.user, scopes=scopes)

    def metadata(self) -> Json:
        """The body of `.well-known/smart-configuration` (SMART App Launch 2.2, Conformance)."""
        body: Json = {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/jwks" if self.behaviour.jwks_uri else None,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": self.token_endpoint,
            "revocation_endpoint": f"{self.issuer}/revoke",
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
            "response_types_supported": ["code"],
            "scopes_supported": _scopes_supported(),
            "capabilities": list(CAPABILITIES),
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic", "client_secret_post"],
            "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
            "authorization_response_iss_parameter_supported": True,
        }
        return with_members(body, self.behaviour.metadata)

    def openid_configuration(self) -> Json:
        """The body of `.well-known/openid-configuration`, which always includes jwks_uri."""
        names = ("issuer", "authorization_endpoint", "token_endpoint", "response_types_supported", "scopes_supported")
        body = self.metadata()
        return {name: body[name] for name in names if name in body} | {
            "jwks_uri": f"{self.issuer}/jwks",
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [self.key.algorithm],
        }

    def id_token(self, grant: Grant) -> str:
        """The signed ID token of a grant."""
        identity_scopes = {"fhirUser", "profile"} & set(grant.scopes)
        claims = id_tokens.claims(
            issuer=self.issuer,
            subject=SUBJECT,
            client_id=grant.client_id,
            now=int(self.now()),
            nonce=grant.nonce,
            fhir_user=f"{self.fhir_base}/{self.user}" if identity_scopes else None,
        )
        if self.behaviour.id_token_claims:
            claims = self.behaviour.id_token_claims(claims)
        if self.behaviour.id_token:
            return self.behaviour.id_token(claims)
        return (self.behaviour.id_token_key or self.key).signed(claims)


def _scopes_supported() -> list[str]:
    reading = [f"patient/{name}.{rights}" for name in ELEMENTS for rights in ("rs", "read")]
    writing = [f"patient/{name}.{rights}" for name in WRITABLE for rights in ("cu", "write")]
    return [*PLAIN, *REFRESHING, *reading, *writing, "user/Practitioner.rs", "user/Practitioner.read"]
