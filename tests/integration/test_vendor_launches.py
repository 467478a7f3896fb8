"""Launches from servers that answer as the public SMART launcher and Medplum do; docs/registering/ says where each shape comes from.

The launcher's own code was run against this service by hand; Medplum's was read. Both shapes are put over the demo EHR's server.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from smart_run import Run, Visitor, running

from cds_service.demo_ehr.authorization.behaviour import Behaviour, TokenFailure

PATIENT = "tomas-wojcik"
METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
LAUNCHER = Behaviour(
    metadata={
        "token_endpoint_auth_methods_supported": METHODS,
        "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
        "revocation_endpoint": None,
        "scopes_supported": ["openid", "profile", "fhirUser", "launch", "launch/patient", "patient/*.*", "user/*.*"],
        "capabilities": ["launch-ehr", "launch-standalone", "sso-openid-connect", "permission-v1", "permission-v2"],
    },
    extra={"need_patient_banner": True, "smart_style_url": "https://launch.smarthealthit.org/smart-style.json"},
    id_token_claims=lambda claims: claims | {"profile": "Practitioner/doc", "fhirUser": "Practitioner/doc"},
)
MEDPLUM = Behaviour(
    metadata={
        "token_endpoint_auth_methods_supported": METHODS,
        "token_endpoint_auth_signing_alg_values_supported": ["RS256", "RS384", "ES384"],
        "revocation_endpoint": None,
        "scopes_supported": ["patient/*.rs", "user/*.cruds", "openid", "fhirUser", "launch", "launch/patient", "online_access"],
        "capabilities": ["launch-ehr", "launch-standalone", "sso-openid-connect", "permission-v1", "permission-v2"],
    },
    extra={"refresh_token": None, "project": {"reference": "Project/p"}, "profile": {"reference": "Practitioner/doc"}, "smart_style_url": None},
    id_token_claims=lambda claims: claims | {"fhirUser": "Practitioner/doc", "login_id": "l", "client_id": claims["aud"]},
)  # fmt: skip


@pytest.fixture(scope="module")
def whole() -> Iterator[Run]:
    with running() as found:
        yield found


@pytest.fixture
def run(whole: Run) -> Iterator[Run]:
    whole.forget()
    yield whole
    whole.behave(Behaviour())


@pytest.mark.parametrize("behaviour", [LAUNCHER, MEDPLUM], ids=["launcher", "Medplum"])
def test_a_launch_from_there_opens_the_page_and_lets_its_practitioner_write(run: Run, behaviour: Behaviour) -> None:
    run.behave(behaviour)
    visitor = Visitor(run)

    answer = visitor.callback(PATIENT)
    address = answer.headers["Location"]

    assert "C-SSRS" in visitor.get(address).text
    assert visitor.get(f"{address}forms/phq-9").status_code == 200


def test_medplum_names_no_patient_to_a_practitioner_who_launches_standalone(run: Run) -> None:
    run.behave(Behaviour(metadata=MEDPLUM.metadata, extra=MEDPLUM.extra, patient=False))

    answer = Visitor(run).callback(PATIENT)

    assert 'data-page="no-patient"' in answer.text


SAID = {
    "Invalid client_secret in the basic auth header": "invalid_client",
    "Client must have a JWK Set URL": "invalid_request",
}


@pytest.mark.parametrize("words", SAID)
def test_what_their_token_endpoints_say_is_on_the_page(run: Run, words: str) -> None:
    body = {"error": SAID[words], "error_description": words}
    run.behave(Behaviour(token_failure=TokenFailure(status=401, body=body)))

    answer = Visitor(run).callback(PATIENT)

    assert answer.status_code == 502
    assert f"<q>{words}</q> (<code>{SAID[words]}</code>)" in answer.text
