"""Routes of the authorization server that a browser opens: discovery, keys, and the authorization endpoint.

A wrong client or redirect URI gets a plain page, every other fault goes back to the app as `error` (RFC 6749,
4.1.2.1). An EHR launch is answered at once; an app that is started without a patient lets the user choose one.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flask import Blueprint, Response, abort, redirect, render_template, request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse

from cds_service.demo_ehr.authorization import token_endpoint
from cds_service.demo_ehr.authorization.clients import Client, OAuthError
from cds_service.demo_ehr.authorization.grants import Grant
from cds_service.demo_ehr.authorization.scopes import scope_of, supported, written
from cds_service.demo_ehr.authorization.server import AuthorizationServer
from cds_service.demo_ehr.codes import Json

MOST_WAITING = 100
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
STYLE: Json = {
    "color_background": "#f4f6f8",
    "color_error": "#9b1c1c",
    "color_highlight": "#1d4f80",
    "color_modal_backdrop": "#17212b",
    "color_success": "#1d4f80",
    "color_text": "#17212b",
    "dim_border_radius": "4px",
    "dim_font_size": "16px",
    "dim_spacing_size": "16px",
    "font_family_body": "system-ui, sans-serif",
    "font_family_heading": "system-ui, sans-serif",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A checked authorization request. `choosing`: the user must choose a patient first."""

    client: Client
    redirect_uri: str
    state: str
    scopes: tuple[str, ...]
    challenge: str
    nonce: str | None
    patient: str | None
    encounter: str | None
    app_context: str | None
    intent: str | None
    choosing: bool


def create_blueprint(server: AuthorizationServer) -> Blueprint:
    """All routes of the authorization server, including those of `token_endpoint`."""
    blueprint = Blueprint("authorization", __name__, template_folder="../templates")
    pending = _PendingChoices()
    blueprint.before_request(lambda: _check_host(server))
    token_endpoint.add_routes(blueprint, server)
    _add_published(blueprint, server)

    @blueprint.route("/authorize", methods=["GET", "POST"])
    def authorize() -> BaseResponse:
        return _authorize(server, pending, request.form if request.method == "POST" else request.args)

    @blueprint.post("/authorize/patient")
    def choose() -> BaseResponse:
        return _choose_patient(server, pending.take(request.form.get("request", "")), request.form)

    return blueprint


def _check_host(server: AuthorizationServer) -> None:
    """Another site's page must not reach this server under its own host name (DNS rebinding)."""
    if request.host != urlsplit(server.issuer).netloc:
        abort(403)


def _add_published(blueprint: Blueprint, server: AuthorizationServer) -> None:
    """Documents that anyone may read."""

    @blueprint.get("/fhir/.well-known/smart-configuration")
    def smart_configuration() -> Response:
        return _public(server.metadata())

    @blueprint.get("/.well-known/openid-configuration")
    def openid_configuration() -> Response:
        return _public(server.openid_configuration())

    @blueprint.get("/jwks")
    def jwks() -> Response:
        return _public({"keys": [server.key.public_jwk]})

    @blueprint.get("/smart-style.json")
    def style() -> Response:
        return _public(STYLE)


def _authorize(server: AuthorizationServer, pending: _PendingChoices, params: MultiDict[str, str]) -> BaseResponse:
    client = server.clients.known(_single(params, "client_id"))
    redirect_uri = _single(params, "redirect_uri")
    if client is None or redirect_uri not in client.redirect_uris:
        return _page(server, "refused", 400)
    try:
        auth = check_request(server, client, redirect_uri, params)
    except OAuthError as error:
        return _redirect_error(server, redirect_uri, _single(params, "state"), error)
    if auth.choosing:
        return _page(server, "choose", auth=auth, pending=pending.put(auth), choices=server.choices)
    return _issue_code(server, auth, auth.patient, auth.encounter)


def _choose_patient(
    server: AuthorizationServer, auth: AuthorizationRequest | None, form: MultiDict[str, str]
) -> BaseResponse:
    if auth is None:
        return _page(server, "refused", 400)
    patient = form.get("patient", "")
    if patient not in {choice.patient for choice in server.choices}:
        return _redirect_error(
            server,
            auth.redirect_uri,
            auth.state,
            OAuthError("access_denied", "No patient was chosen."),
        )
    encounter = server.visit(patient) if "launch/encounter" in auth.scopes else None
    return _issue_code(server, auth, patient, encounter)


class _PendingChoices:
    """Requests waiting for the choice of a patient, by a handle known only to that page."""

    def __init__(self) -> None:
        self._pending: dict[str, AuthorizationRequest] = {}
        self._lock = threading.Lock()

    def put(self, auth: AuthorizationRequest) -> str:
        handle = secrets.token_urlsafe(24)
        with self._lock:
            self._pending[handle] = auth
            while len(self._pending) > MOST_WAITING:
                del self._pending[next(iter(self._pending))]
        return handle

    def take(self, handle: str) -> AuthorizationRequest | None:
        with self._lock:
            return self._pending.pop(handle, None)


def check_request(
    server: AuthorizationServer, client: Client, redirect_uri: str, params: MultiDict[str, str]
) -> AuthorizationRequest:
    """The checked request. Raises OAuthError with the code for the app."""
    if server.behaviour.refuse:
        raise OAuthError(server.behaviour.refuse, "Refused as this run was told to.")
    repeated = sorted(name for name in params if len(params.getlist(name)) > 1)
    if repeated:
        raise OAuthError("invalid_request", f"Sent more than once: {', '.join(repeated)[:100]}.")
    if params.get("response_type") != "code":
        raise OAuthError("unsupported_response_type", "Expected response_type=code.")
    if not params.get("state"):
        raise OAuthError("invalid_request", "Expected a state.")
    if params.get("aud") != server.fhir_base:
        raise OAuthError("invalid_request", "Expected aud to be the FHIR base, character by character.")
    challenge = params.get("code_challenge", "")
    if params.get("code_challenge_method") != "S256" or not CHALLENGE.fullmatch(challenge):
        raise OAuthError("invalid_request", "Expected a code_challenge with the method S256.")
    requested = tuple(dict.fromkeys(params.get("scope", "").split()))
    launch = server.grants.launch(params["launch"], client.client_id) if "launch" in params else None
    _check_context(requested, with_handle="launch" in params, known=launch is not None)
    granted = tuple(s for s in requested if supported(s) and server.behaviour.granted(s))
    if not granted:
        raise OAuthError("invalid_scope", "None of these scopes can be granted.")
    return AuthorizationRequest(
        client=client,
        redirect_uri=redirect_uri,
        state=params["state"],
        scopes=tuple(written(scope, server.behaviour.syntax) for scope in granted),
        challenge=challenge,
        nonce=params.get("nonce"),
        patient=launch.patient if launch else None,
        encounter=launch.encounter if launch else None,
        app_context=launch.app_context if launch else None,
        intent=launch.intent if launch else None,
        choosing=launch is None and "launch/patient" in requested,
    )


def _check_context(requested: tuple[str, ...], *, with_handle: bool, known: bool) -> None:
    """Scopes and launch must match: `launch` needs a handle, and a chart needs a patient."""
    if with_handle and not known:
        raise OAuthError("invalid_request", "This launch is unknown or has expired.")
    if with_handle != ("launch" in requested):
        raise OAuthError("invalid_request", "Expected the scope launch together with the parameter launch.")
    of_a_patient = any(scope.level == "patient" for text in requested if (scope := scope_of(text)))
    if of_a_patient and not with_handle and "launch/patient" not in requested:
        raise OAuthError("invalid_scope", "Expected launch/patient, since no patient is open.")


def _issue_code(
    server: AuthorizationServer, auth: AuthorizationRequest, patient: str | None, encounter: str | None
) -> BaseResponse:
    grant = Grant(
        client_id=auth.client.client_id,
        scopes=auth.scopes,
        patient=patient,
        encounter=encounter,
        app_context=auth.app_context,
        intent=auth.intent,
        nonce=auth.nonce,
    )
    code = server.grants.new_code(grant, auth.redirect_uri, auth.challenge, server.behaviour.code_life_s)
    return _redirect_back(server, auth.redirect_uri, {"code": code, "state": auth.state, "iss": server.issuer})


def _redirect_error(
    server: AuthorizationServer, redirect_uri: str, state: str | None, error: OAuthError
) -> BaseResponse:
    members = {"error": error.code, "error_description": error.description, "iss": server.issuer}
    return _redirect_back(server, redirect_uri, members | ({"state": state} if state else {}))


def _redirect_back(server: AuthorizationServer, redirect_uri: str, members: dict[str, str]) -> BaseResponse:
    parts = urlsplit(redirect_uri)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *members.items()])
    return _protected(server, redirect(urlunsplit(parts._replace(query=query)), code=303))


def _page(server: AuthorizationServer, name: str, status: int = 200, **context: Any) -> BaseResponse:  # noqa: ANN401  # values of a template
    answer = Response(render_template(f"demo_ehr/{name}.html", **context), status=status)
    auth = context.get("auth")
    return _protected(server, answer, (urlsplit(auth.redirect_uri),) if auth else ())


def _protected(server: AuthorizationServer, answer: BaseResponse, targets: tuple[Any, ...] = ()) -> BaseResponse:
    """Headers of what a browser opens. `targets`: where a form may lead, since its redirects count too."""
    forms = " ".join(["'self'", *(f"{target.scheme}://{target.netloc}" for target in targets)])
    answer.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'self'; img-src 'self'; form-action {forms}; base-uri 'none'; "
        f"frame-ancestors 'self' {server.page_origin}"
    )
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _public(body: Json) -> Response:
    """JSON that any page may read, as discovery must be."""
    answer = Response(json.dumps(body), content_type="application/json")
    answer.headers["Access-Control-Allow-Origin"] = "*"
    return answer


def _single(params: MultiDict[str, str], name: str) -> str | None:
    values = params.getlist(name)
    return values[0] if len(values) == 1 else None
