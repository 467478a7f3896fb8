"""Routes of the authorization server that apps call: `/token` and `/revoke` (RFC 6749, RFC 7009, SMART 2.2)."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.datastructures import MultiDict

from cds_service.demo_ehr.authorization.behaviour import with_members
from cds_service.demo_ehr.authorization.clients import Client, OAuthError
from cds_service.demo_ehr.authorization.grants import Grant
from cds_service.demo_ehr.authorization.scopes import REFRESHING, supported_of_systems
from cds_service.demo_ehr.authorization.server import TENANT, AuthorizationServer
from cds_service.demo_ehr.codes import Json

FORM = "application/x-www-form-urlencoded"


def add_routes(blueprint: Blueprint, server: AuthorizationServer) -> None:
    """Adds both routes."""

    @blueprint.post("/token")
    def token() -> Response:
        failure = server.behaviour.token_failure
        if failure and request.form.get("grant_type") in failure.grant_types:
            return _json(failure.body, failure.status)
        try:
            client, form = _caller(server)
            return _json(_token(server, client, form))
        except OAuthError as error:
            return _refused(error)

    @blueprint.post("/revoke")
    def revoke() -> Response:
        try:
            client, form = _caller(server)
            server.grants.revoke(_needed(form, "token"), client.client_id)
        except OAuthError as error:
            return _refused(error)
        return _json({})


def _caller(server: AuthorizationServer) -> tuple[Client, dict[str, str]]:
    form: MultiDict[str, str] = request.form
    if request.mimetype != FORM:
        raise OAuthError("invalid_request", f"Expected {FORM}.")
    repeated = sorted(name for name in form if len(form.getlist(name)) > 1)
    if repeated:
        raise OAuthError("invalid_request", f"Sent more than once: {', '.join(repeated)[:100]}.")
    single = form.to_dict()
    return server.clients.authenticated(single, request.headers.get("Authorization")), single


def _token(server: AuthorizationServer, client: Client, form: dict[str, str]) -> Json:
    kind = form.get("grant_type")
    if kind == "authorization_code":
        grant = server.grants.exchange_code(
            _needed(form, "code"), client.client_id, _needed(form, "redirect_uri"), _needed(form, "code_verifier")
        )
        return with_members(_first_answer(server, grant), server.behaviour.extra)
    if kind == "refresh_token":
        requested = tuple(form.get("scope", "").split())
        grant = server.grants.refresh(_needed(form, "refresh_token"), client.client_id, requested)
        patient = server.behaviour.refreshed_patient or grant.patient
        answer = _tokens(server, grant, requested or grant.scopes) | {"patient": patient}
        return with_members(answer, server.behaviour.extra)
    if kind == "client_credentials":
        return with_members(_own_token(server, client, _needed(form, "scope").split()), server.behaviour.extra)
    raise OAuthError("unsupported_grant_type", "Expected authorization_code, refresh_token or client_credentials.")


def _own_token(server: AuthorizationServer, client: Client, requested: list[str]) -> Json:
    """A token for a client itself (SMART Backend Services): system scopes alone, by a signed assertion alone."""
    if client.secret is not None:
        raise OAuthError("unauthorized_client", "Expected private_key_jwt.")
    known = filter(supported_of_systems, dict.fromkeys(requested))
    granted = tuple(text for text in known if server.behaviour.granted(text))
    if not granted:
        raise OAuthError("invalid_scope", "Expected scopes that begin with system/.")
    nobody = dict.fromkeys(("patient", "encounter", "app_context", "intent", "nonce"))
    return _tokens(server, Grant(client_id=client.client_id, scopes=granted, **nobody), granted)


def _tokens(server: AuthorizationServer, grant: Grant, scopes: tuple[str, ...]) -> Json:
    life_s = server.behaviour.token_life_s
    answer: Json = {
        "access_token": server.grants.new_access_token(grant, life_s, scopes),
        "token_type": "Bearer",
        "expires_in": life_s,
        "scope": " ".join(scopes),
    }
    if set(REFRESHING) & set(grant.scopes):
        answer["refresh_token"] = server.grants.new_refresh_token(grant)
    return answer


def _first_answer(server: AuthorizationServer, grant: Grant) -> Json:
    """The answer to a code: tokens, and what the launch is about (SMART App Launch 2.2, Launch Context)."""
    behaviour = server.behaviour
    context: Json = {
        "patient": grant.patient if behaviour.patient else None,
        "encounter": grant.encounter,
        "fhirContext": list(behaviour.fhir_context),
        "need_patient_banner": behaviour.need_patient_banner,
        "smart_style_url": f"{server.issuer}/smart-style.json",
        "tenant": TENANT,
        "appContext": grant.app_context,
        "intent": grant.intent,
        "id_token": server.id_token(grant) if "openid" in grant.scopes else None,
    }
    return _tokens(server, grant, grant.scopes) | {name: value for name, value in context.items() if value is not None}


def _needed(form: dict[str, str], name: str) -> str:
    if not form.get(name):
        raise OAuthError("invalid_request", f"Expected {name}.")
    return form[name]


def _refused(error: OAuthError) -> Response:
    answer = _json({"error": error.code, "error_description": error.description}, error.status)
    if error.status == 401:
        answer.headers["WWW-Authenticate"] = 'Basic realm="demo EHR"'
    return answer


def _json(body: Any, status: int = 200) -> Response:  # noqa: ANN401  # any JSON, or text where a test wants none
    text = body if isinstance(body, str) else json.dumps(body)
    answer = Response(text, status=status, content_type="application/json")
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Pragma"] = "no-cache"
    return answer
