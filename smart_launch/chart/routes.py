"""GET and POST below /smart/app/<launch>/: what a clinician sees of one patient, and what is said back about it."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from smart_launch.chart.opinions import opinion
from smart_launch.chart.reading import read_chart
from smart_launch.chart.summary import summary_of
from smart_launch.errors import EhrFailed
from smart_launch.launch.guard import Opened, looked_at, opened, opened_form, render
from smart_launch.pages.ehr_style import Styles
from smart_launch.pages.responses import page
from smart_launch.pages.waiting import in_its_time
from smart_launch.records import note
from smart_launch.runtime import AppRuntime
from smart_launch.session.cookies import SESSION, drop_cookie


def create_blueprint(app: AppRuntime) -> Blueprint:
    """The pages of a launch but its forms (`form_pages`)."""
    blueprint = Blueprint("smart_app", __name__, url_prefix="/smart/app")
    styles = Styles()

    @blueprint.get("/<launch>/")
    def summary(launch: str) -> Response:
        there = opened(app, launch)
        return in_its_time(lambda: shown(app, there, "summary.html"))

    @blueprint.get("/<launch>/print")
    def printable(launch: str) -> Response:
        there = opened(app, launch)
        return in_its_time(lambda: shown(app, there, "print.html"))

    @blueprint.get("/<launch>/ehr.css")
    def ehr_style(launch: str) -> Response:
        there = looked_at(app, launch)
        sheet = styles.sheet(there.session.context.style_url, there.registration, local=app.settings().local)
        return Response(sheet, content_type="text/css; charset=utf-8")

    @blueprint.post("/<launch>/opinion")
    def say(launch: str) -> BaseResponse:
        there = opened_form(app, launch)
        note(app, there.session, "opinion", **opinion(request.form, app.seal))
        return redirect(url_for("smart_app.thanks", launch=launch), 303)

    @blueprint.get("/<launch>/thanks")
    def thanks(launch: str) -> Response:
        return render(opened(app, launch), "thanks.html")

    @blueprint.post("/<launch>/extend")
    def extend(launch: str) -> BaseResponse:
        opened_form(app, launch)
        return redirect(url_for("smart_app.summary", launch=launch), 303)

    @blueprint.post("/<launch>/close")
    def close(launch: str) -> BaseResponse:
        there = opened_form(app, launch)
        give_back(app, there)
        app.store.end_session(launch, "closed")
        note(app, there.session, "closed")
        answer = page("closed.html")
        drop_cookie(answer, SESSION)
        return answer

    return blueprint


def shown(app: AppRuntime, there: Opened, template: str) -> Response:
    """A page about the chart as it is now; what was shown is on record before the page leaves."""
    reading = read_chart(app, there)
    found = summary_of(reading, there, app.phrases)
    note(
        app,
        there.session,
        "shown",
        page=template.removesuffix(".html"),
        topics=[n.topic.value for n in reading.notices],
        unknown=[u.what for u in reading.assessment.chart.unknown],
        consent=reading.assessment.chart.consent.value,
    )
    return render(there, template, summary=found)


def give_back(app: AppRuntime, there: Opened) -> None:
    """Revokes what the EHR gave, where it takes it back (SMART-084). A failure is logged and changes nothing."""
    session = there.session
    try:
        endpoint = app.token_endpoint(there.registration)
        if session.refresh_token is not None:
            endpoint.revoke(session.refresh_token, "refresh_token")
        endpoint.revoke(session.token, "access_token")
    except EhrFailed:
        note(app, session, "not-revoked")
