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
class Asked:
    """A checked authorization request. `choosing`: the user has to choose a patient first."""

    client: Client
    redirect_uri: str
    state: str
    scopes: tuple[str, ...]
    challenge: str
    nonce: str | None
    patient: str | None
    encounter: str | None
    app_context: str | None
    choosing: bool


def create_blueprint(server: AuthorizationServer) -> Blueprint:
    """All routes of the authorization server, those of `token_endpoint` among them."""
    blueprint = Blueprint("authorization", __name__, template_folder="../templates")
    waiting = _Waiting()
    blueprint.before_request(lambda: _only_by_our_name(server))
    token_endpoint.add_routes(blueprint, server)
    _add_published(blueprint, server)

    @blueprint.route("/authorize", methods=["GET", "POST"])
    def authorize() -> BaseResponse:
        return _authorize(server, waiting, request.form if request.method == "POST" else request.args)

    @blueprint.post("/authorize/patient")
    def choose() -> BaseResponse:
        return _chosen(server, waiting.take(request.form.get("request", "")), request.form)

    return blueprint


def _only_by_our_name(server: AuthorizationServer) -> None:
    """No other site's page may reach this server by a name of its own."""
    if request.host != urlsplit(server.issuer).netloc:
        abort(403)


def _add_published(blueprint: Blueprint, server: AuthorizationServer) -> None:
    """What anybody may read."""

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


def _authorize(server: AuthorizationServer, waiting: _Waiting, given: MultiDict[str, str]) -> BaseResponse:
    client = server.clients.known(_single(given, "client_id"))
    redirect_uri = _single(given, "redirect_uri")
    if client is None or redirect_uri not in client.redirect_uris:
        return _page(server, "refused", 400)
    try:
        asked = checked(server, client, redirect_uri, given)
    except OAuthError as error:
        return _failed(server, redirect_uri, _single(given, "state"), error)
    if asked.choosing:
        return _page(server, "choose", asked=asked, waiting=waiting.put(asked), choices=server.choices)
    return _granted(server, asked, asked.patient, asked.encounter)


def _chosen(server: AuthorizationServer, asked: Asked | None, form: MultiDict[str, str]) -> BaseResponse:
    if asked is None:
        return _page(server, "refused", 400)
    patient = form.get("patient", "")
    if patient not in {choice.patient for choice in server.choices}:
        return _failed(server, asked.redirect_uri, asked.state, OAuthError("access_denied", "No patient was chosen."))
    encounter = server.visit(patient) if "launch/encounter" in asked.scopes else None
    return _granted(server, asked, patient, encounter)


class _Waiting:
    """Requests whose patient is being chosen, by a handle that only that page knows."""

    def __init__(self) -> None:
        self._asked: dict[str, Asked] = {}
        self._lock = threading.Lock()

    def put(self, asked: Asked) -> str:
        handle = secrets.token_urlsafe(24)
        with self._lock:
            self._asked[handle] = asked
            while len(self._asked) > MOST_WAITING:
                del self._asked[next(iter(self._asked))]
        return handle

    def take(self, handle: str) -> Asked | None:
        with self._lock:
            return self._asked.pop(handle, None)


def checked(server: AuthorizationServer, client: Client, redirect_uri: str, given: MultiDict[str, str]) -> Asked:
    """The request, with everything in it looked at. Raises OAuthError with the code that goes back to the app."""
    if server.behaviour.refuse:
        raise OAuthError(server.behaviour.refuse, "Refused as this run was told to.")
    repeated = sorted(name for name in given if len(given.getlist(name)) > 1)
    if repeated:
        raise OAuthError("invalid_request", f"Sent more than once: {', '.join(repeated)[:100]}.")
    if given.get("response_type") != "code":
        raise OAuthError("unsupported_response_type", "Expected response_type=code.")
    if not given.get("state"):
        raise OAuthError("invalid_request", "Expected a state.")
    if given.get("aud") != server.fhir_base:
        raise OAuthError("invalid_request", "Expected aud to be the FHIR base, character by character.")
    challenge = given.get("code_challenge", "")
    if given.get("code_challenge_method") != "S256" or not CHALLENGE.fullmatch(challenge):
        raise OAuthError("invalid_request", "Expected a code_challenge with the method S256.")
    wanted = tuple(dict.fromkeys(given.get("scope", "").split()))
    launch = server.grants.launch(given["launch"], client.client_id) if "launch" in given else None
    _check_context(wanted, with_handle="launch" in given, known=launch is not None)
    granted = tuple(s for s in wanted if supported(s) and server.behaviour.granted(s))
    if not granted:
        raise OAuthError("invalid_scope", "None of these scopes can be granted.")
    return Asked(
        client=client,
        redirect_uri=redirect_uri,
        state=given["state"],
        scopes=tuple(written(scope, server.behaviour.syntax) for scope in granted),
        challenge=challenge,
        nonce=given.get("nonce"),
        patient=launch.patient if launch else None,
        encounter=launch.encounter if launch else None,
        app_context=launch.app_context if launch else None,
        choosing=launch is None and "launch/patient" in wanted,
    )


def _check_context(wanted: tuple[str, ...], *, with_handle: bool, known: bool) -> None:
    """Scopes and launch must fit: `launch` goes with a handle, and a chart needs a patient."""
    if with_handle and not known:
        raise OAuthError("invalid_request", "This launch is unknown or has expired.")
    if with_handle != ("launch" in wanted):
        raise OAuthError("invalid_request", "Expected the scope launch together with the parameter launch.")
    of_a_patient = any(scope.level == "patient" for text in wanted if (scope := scope_of(text)))
    if of_a_patient and not with_handle and "launch/patient" not in wanted:
        raise OAuthError("invalid_scope", "Expected launch/patient, since no patient is open.")


def _granted(server: AuthorizationServer, asked: Asked, patient: str | None, encounter: str | None) -> BaseResponse:
    grant = Grant(
        client_id=asked.client.client_id,
        scopes=asked.scopes,
        patient=patient,
        encounter=encounter,
        app_context=asked.app_context,
        nonce=asked.nonce,
    )
    code = server.grants.new_code(grant, asked.redirect_uri, asked.challenge, server.behaviour.code_life_s)
    return _back(server, asked.redirect_uri, {"code": code, "state": asked.state, "iss": server.issuer})


def _failed(server: AuthorizationServer, redirect_uri: str, state: str | None, error: OAuthError) -> BaseResponse:
    said = {"error": error.code, "error_description": error.description, "iss": server.issuer}
    return _back(server, redirect_uri, said | ({"state": state} if state else {}))


def _back(server: AuthorizationServer, redirect_uri: str, members: dict[str, str]) -> BaseResponse:
    parts = urlsplit(redirect_uri)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *members.items()])
    return _protected(server, redirect(urlunsplit(parts._replace(query=query)), code=303))


def _page(server: AuthorizationServer, name: str, status: int = 200, **shown: Any) -> BaseResponse:  # noqa: ANN401  # values of a template
    answer = Response(render_template(f"demo_ehr/{name}.html", **shown), status=status)
    asked = shown.get("asked")
    return _protected(server, answer, (urlsplit(asked.redirect_uri),) if asked else ())


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


def _single(given: MultiDict[str, str], name: str) -> str | None:
    values = given.getlist(name)
    return values[0] if len(values) == 1 else None
