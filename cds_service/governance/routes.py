"""Everything below /governance: sign-in, the pages and their forms, errors, headers. Only where [governance] is set."""

from __future__ import annotations

import json
import logging
from functools import partial

from flask import Blueprint, Flask, Response, redirect, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from cds_service.errors import InsecureTransport, Overloaded, StoreUnavailable
from cds_service.escalation.records import NoSuchEscalation
from cds_service.governance import forms, pages, session
from cds_service.governance.errors import PageRefusal, PageRefused
from cds_service.governance.provider import Provider
from cds_service.governance.rendering import page
from cds_service.governance.session import BROWSER, INCIDENT, SESSION, Desk, form_visitor
from cds_service.serving.runtime import Runtime
from cds_service.storage.governance_store import GovernanceRows
from cds_service.trust.admission import CallSlots
from smart_launch.errors import SmartError
from smart_launch.launch.begin import head_response
from smart_launch.launch.guard import check_opened
from smart_launch.pages.headers import HEADERS, POLICY
from smart_launch.pages.responses import log_failure

log = logging.getLogger("mhcds")
# Sign-ins at once in a worker: each may wait for the provider, and anybody may begin one.
SIGN_INS = 4
REFUSED = {
    StoreUnavailable: PageRefusal.UNAVAILABLE,
    Overloaded: PageRefusal.UNAVAILABLE,
    InsecureTransport: PageRefusal.INSECURE,
    SmartError: PageRefusal.INVALID,
    NoSuchEscalation: PageRefusal.NOTHING,
}


def register(app: Flask, runtime: Runtime) -> None:
    """Registers the pages with the service."""
    provider = Provider(local=lambda: runtime.config().mode != "production")
    desk = Desk(runtime=runtime, rows=GovernanceRows(runtime.store), provider=provider)
    app.extensions["mhcds-governance"] = desk
    app.register_blueprint(create_blueprint(desk))


def create_blueprint(desk: Desk) -> Blueprint:
    """All routes; those of pages and forms are rows of `pages`."""
    blueprint = Blueprint(
        "governance", __name__, url_prefix="/governance", template_folder="templates", static_folder="static"
    )
    _add_sign_in(blueprint, desk)
    for name, path, right, show in (*pages.PAGES, *pages.ONE_OF):
        # Without the slash a redirect would lead to wherever the Host header says.
        blueprint.add_url_rule(path, name, partial(pages.shown, desk, right, show), strict_slashes=False)
    for name, path, right, act, show in pages.ACTS:
        blueprint.add_url_rule(path, name, partial(pages.acted, desk, right, act, show), methods=["POST"])

    blueprint.add_url_rule("/audit/search", "audit_search", partial(pages.audit_search, desk), methods=["POST"])

    @blueprint.post("/incidents/export")
    def incident_export() -> Response:
        content = forms.exported_incidents(desk, form_visitor(desk, INCIDENT))
        response = Response(content, content_type="application/json")
        response.headers["Content-Disposition"] = 'attachment; filename="incidents.json"'
        return response

    @blueprint.route("/<path:_rest>", methods=["GET", "POST", "OPTIONS"])
    def nothing(_rest: str) -> Response:
        return refused(desk, PageRefused(PageRefusal.NOTHING, "nothing at this address"))

    blueprint.context_processor(lambda: pages.IN_TEMPLATES)
    blueprint.after_request(_add_headers)
    blueprint.register_error_handler(Exception, lambda error: failed(desk, error))
    return blueprint


def _add_sign_in(blueprint: Blueprint, desk: Desk) -> None:
    slots = CallSlots()

    @blueprint.get("/sign-in")
    def sign_in() -> BaseResponse:
        check_opened()
        with slots.hold(SIGN_INS):
            url, browser = session.begin(desk, session.way_back(request.args.get("back", "")))
        response = redirect(url, 303)
        # Lax: the provider sends the browser back from another site.
        response.set_cookie(
            BROWSER, browser, max_age=session.SIGN_IN_S, path="/", secure=True, httponly=True, samesite="Lax"
        )
        return response

    @blueprint.get("/callback")
    def callback() -> BaseResponse:
        if (nothing := head_response()) is not None:
            return nothing
        with slots.hold(SIGN_INS):
            secret, visitor, back = session.finish(desk)
        # A page of ours that goes on by itself: a redirect would still count as coming from the provider's site, and
        # browsers would not send the session's cookie along.
        response = page("signed_in.html", visitor, back=back)
        response.set_cookie(SESSION, secret, path="/", secure=True, httponly=True, samesite="Strict")
        response.delete_cookie(BROWSER, path="/", secure=True, httponly=True, samesite="Lax")
        return response

    @blueprint.post("/sign-out")
    def sign_out() -> BaseResponse:
        response = page("signed_out.html", None, provider=session.sign_out(desk))
        response.delete_cookie(SESSION, path="/", secure=True, httponly=True, samesite="Strict")
        return response


def refused(desk: Desk, error: PageRefused) -> Response:
    """The page of a refusal; the cause is in the log."""
    status, headline, words = error.why.value
    # Whoever first opens a page is signed out; that is no warning.
    level = logging.INFO if status == 401 else logging.WARNING
    log.log(level, json.dumps({"event": "governance-refused", "page": error.why.name.lower(), "why": str(error)}))
    try:
        visitor = session.known_visitor(desk)
    except StoreUnavailable:
        visitor = None
    values = {"headline": headline, "words": words, "detail": error.detail, "code": error.why.name.lower()}
    if status == 401:
        values["back"] = session.way_back(request.path.removeprefix("/governance"))
    return page("refused.html", visitor, status, **values)


def failed(desk: Desk, error: Exception) -> Response:
    """The page of any error."""
    if isinstance(error, PageRefused):
        return refused(desk, error)
    if isinstance(error, HTTPException):
        why = PageRefusal.NOTHING if error.code == 404 else PageRefusal.INVALID
        return refused(desk, PageRefused(why, f"status {error.code}"))
    for kind, why in REFUSED.items():
        if isinstance(error, kind):
            return refused(desk, PageRefused(why, str(error)))
    log_failure(error)
    return refused(desk, PageRefused(PageRefusal.FAILED, type(error).__name__))


def _add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint == "governance.static":
        response.headers["Cache-Control"] = "public, max-age=3600"
    response.headers["Content-Security-Policy"] = f"{POLICY}; frame-ancestors 'none'"
    response.headers["X-Frame-Options"] = "DENY"
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    return response
