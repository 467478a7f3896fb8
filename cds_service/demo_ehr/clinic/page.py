"""The demo EHR's page: clinic list, one patient's facts, the cards as an EHR shows them, the pager, what was sent.

Plain HTML forms; the one script notices that the app wrote or the pager has news. Card text comes from the service and
is not trusted: markdown without HTML, images, headings or inline styles, under a strict content security policy.
Answers only to loopback names, so that no other site can reach it by DNS rebinding.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response as BaseResponse

from cds_service.demo_ehr.authorization.staff import ON_CALL
from cds_service.demo_ehr.clinic.chart_facts import chart_sections, written_rows
from cds_service.demo_ehr.clinic.clinic_list import SORTS, clinic_days, clinic_list, word
from cds_service.demo_ehr.clinic.hook_client import ServiceUnreachableError, sent_without_token, topic
from cds_service.demo_ehr.clinic.panel import AppPlace, content_security_policy, form_of
from cds_service.demo_ehr.clinic.state import Clinic, proposal_of
from cds_service.demo_ehr.codes import Json
from cds_service.demo_ehr.patients.people import OPENS_WITH, DemoPatient
from smart_launch.pages.markdown import html

__all__ = ["Clinic", "card_html", "create_blueprint"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def card_html(detail: str) -> Markup:
    """A card's markdown as safe HTML."""
    return html(detail)


def create_blueprint(clinic: Clinic, place: AppPlace | None = None) -> Blueprint:
    """The page's routes: `/`, `/patients/<id>` and the forms on it. `place`: the app that can be opened, if any."""
    blueprint = Blueprint("page", __name__, template_folder="../templates", static_folder="../static")

    blueprint.before_request(lambda: _only_here(place))
    blueprint.after_request(lambda answer: _protected(answer, place))
    _add_forms(blueprint, clinic)

    @blueprint.get("/")
    def first() -> str:
        return _page(clinic, clinic.patient(OPENS_WITH) or clinic.patients[0], place)

    @blueprint.get("/patients/<patient_id>")
    def show(patient_id: str) -> str:
        return _page(clinic, _known(clinic, patient_id), place)

    @blueprint.get("/patients/<patient_id>/changes")
    def changes(patient_id: str) -> str:
        return clinic.changes(_known(clinic, patient_id))

    @blueprint.post("/patients/<patient_id>/launch")
    def launch(patient_id: str) -> BaseResponse:
        patient = _known(clinic, patient_id)
        if place is None:
            abort(404)
        return redirect(_launch(clinic, patient, place, request.form), code=303)

    return blueprint


def _launch(clinic: Clinic, patient: DemoPatient, place: AppPlace, asked: Mapping[str, str]) -> str:
    """The URL that opens the app as a button asked: from a card (its topic), at the form that the card orders."""
    card = clinic.card(patient, asked.get("app", ""))
    form = form_of(card) if card and asked.get("form") else None
    return place.launch(patient.id, place.app_context(card), form)


def _add_forms(blueprint: Blueprint, clinic: Clinic) -> None:
    """The actions of the page's buttons; each redirects to the page."""

    @blueprint.post("/patients/<patient_id>/drafts")
    def take(patient_id: str) -> BaseResponse:
        patient = _known(clinic, patient_id)
        clinic.take(patient, request.form.get("card", ""), request.form.get("suggestion", ""))
        return _back(patient, "drafts")

    @blueprint.post("/patients/<patient_id>/drafts/discard")
    def discard(patient_id: str) -> BaseResponse:
        patient = _known(clinic, patient_id)
        clinic.discard(patient, request.form.get("card", ""), request.form.get("suggestion", ""))
        return _back(patient, "drafts")

    @blueprint.post("/patients/<patient_id>/pager")
    def acknowledge(patient_id: str) -> BaseResponse:
        patient = _known(clinic, patient_id)
        if clinic.pager is not None:
            clinic.pager.acknowledge(request.form.get("message", ""))
        return _back(patient, "pager")

    @blueprint.post("/patients/<patient_id>/overrides")
    def override(patient_id: str) -> BaseResponse:
        patient = _known(clinic, patient_id)
        card = request.form.get("card", "")
        known = clinic.override(patient, card, request.form.get("reason", ""))
        return _back(patient, f"card-{card}" if known else "cards")


def _only_here(place: AppPlace | None) -> BaseResponse | None:
    """Refuses names that are not this machine's and forms of others; leads to the page's own name."""
    if urlsplit(f"//{request.host}").hostname not in LOOPBACK:
        abort(403)
    origin = request.headers.get("Origin")
    if request.method == "POST" and origin and urlsplit(origin).netloc != request.host:
        abort(403)
    if place is None or request.method == "POST" or request.endpoint == "page.static":
        return None
    if request.host == urlsplit(place.addresses.page_origin).netloc:
        return None
    # Under another name of this machine the app would refuse to be framed.
    return redirect(f"{place.addresses.page_origin}{request.full_path.rstrip('?')}")


def _protected(response: Response, place: AppPlace | None) -> Response:
    response.headers["Content-Security-Policy"] = content_security_policy(place)
    response.headers["X-Content-Type-Options"] = "nosniff"
    # "no-referrer" would turn the Origin of our own forms into "null".
    response.headers["Referrer-Policy"] = "same-origin"
    if request.endpoint != "page.static":
        response.headers["Cache-Control"] = "no-store"
    return response


def _known(clinic: Clinic, patient_id: str) -> DemoPatient:
    patient = clinic.patient(patient_id)
    if patient is None:
        abort(404)
    return patient


def _back(patient: DemoPatient, place: str) -> BaseResponse:
    """Redirects to the patient's page, so that reloading does not resubmit a form."""
    return redirect(url_for("page.show", patient_id=patient.id, _anchor=place), code=303)


def _page(clinic: Clinic, patient: DemoPatient, place: AppPlace | None) -> str:
    problem = None
    try:
        clinic.open(patient)
    except ServiceUnreachableError as error:
        problem = str(error)
    exchange = clinic.exchanges.get(patient.id)
    day, today = clinic_days(clinic.as_of)
    find, sort = request.args.get("find", ""), request.args.get("sort", "time")
    born = date.fromisoformat(patient.chart[0]["birthDate"])
    return render_template(
        "demo_ehr/page.html",
        clinic_day=day,
        today=today,
        rows=clinic_list(clinic, find, sort),
        find=find,
        sort=sort,
        sorts=SORTS,
        patient=patient,
        born=f"{born.day} {born:%B %Y}",
        sections=chart_sections(clinic.charts.of(patient.id), clinic.as_of),
        written=[(row, _json(held)) for row, held in written_rows(clinic.charts.written(patient.id), clinic.as_of)],
        changes=clinic.changes(patient),
        pager=clinic.pager,
        on_call=ON_CALL.name,
        cards=[_shown(clinic, patient, card, place) for card in clinic.cards(patient)],
        launchable=place is not None,
        governance=place.addresses.governance_url if place else None,
        app_url=_launch(clinic, patient, place, request.args) if place and "app" in request.args else None,
        opened_with={name: request.args[name] for name in ("app", "form") if name in request.args},
        problem=problem or (exchange.problem if exchange else "The service has not been asked."),
        answered=exchange is not None and exchange.cards is not None,
        drafts=[(draft, _json(draft.resource)) for draft in clinic.drafts(patient)],
        sent=sent_without_token(exchange) if exchange else "",
        answer=_json(exchange.answer) if exchange else "",
        milliseconds=round(exchange.seconds * 1000) if exchange else None,
    )


def _shown(clinic: Clinic, patient: DemoPatient, card: Json, place: AppPlace | None) -> Json:
    """A card as the template needs it: rendered detail, open suggestions, links that lead somewhere."""
    code = topic(card)
    taken = {draft.proposal for draft in clinic.drafts(patient) if draft.topic == code}
    suggestions = {proposal_of(suggestion): suggestion for suggestion in card.get("suggestions", ())}
    closed = card.get("selectionBehavior") == "at-most-one" and not taken.isdisjoint(suggestions)
    indicator = str(card.get("indicator", "info"))
    app = place.link(card) if place else None
    recorded = clinic.recorded(patient, code)
    return {
        "topic": code,
        "indicator": indicator if indicator in ("critical", "warning", "info") else "info",
        "word": word(code),
        "summary": card.get("summary", ""),
        "detail": card_html(str(card.get("detail", ""))),
        "source": card.get("source", {}).get("label", ""),
        "suggestions": [
            {"proposal": proposal, "label": suggestion.get("label", ""), "taken": proposal in taken}
            for proposal, suggestion in suggestions.items()
            if proposal in taken or not closed
        ],
        "app": app,
        "form": app and form_of(card),
        # Other schemes are not for a page; SMART links need a launch, which is a form.
        "links": [
            link
            for link in card.get("links", ())
            if link.get("type") == "absolute" and str(link.get("url", "")).startswith(("https://", "http://"))
        ],
        "reasons": card.get("overrideReasons", []),
        "recorded": recorded,
        # A reason was given for the chart as it was; once that has changed, the card may be answered anew.
        "answered": recorded is not None and recorded.changes == clinic.charts.changes(patient.id),
    }


def _json(content: object) -> str:
    return content if isinstance(content, str) else json.dumps(content, indent=2, ensure_ascii=False)
