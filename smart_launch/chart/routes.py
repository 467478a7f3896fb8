"""Routes below /smart/app/<launch_id>/: the pages about one patient, opinions on them, acknowledgements."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from smart_launch.chart.language_route import add_language_route
from smart_launch.chart.of_nobody import add_pages
from smart_launch.chart.opinions import opinion
from smart_launch.chart.overrides import overridden, recorded_words
from smart_launch.chart.reading import read_chart, record_shown
from smart_launch.chart.summary import summary_of
from smart_launch.chart.told import note_known, note_override
from smart_launch.errors import EhrFailed
from smart_launch.launch.guard import OpenLaunch, load_session, open_form, open_launch, render
from smart_launch.pages.ehr_style import Styles
from smart_launch.pages.responses import page
from smart_launch.pages.streaming import stream_if_slow
from smart_launch.records import record_event
from smart_launch.runtime import AppRuntime
from smart_launch.session.cookies import SESSION, drop_cookie


def create_blueprint(app: AppRuntime) -> Blueprint:
    """The pages of a launch, except its forms (`forms`)."""
    blueprint = Blueprint("smart_app", __name__, url_prefix="/smart/app")
    styles = Styles()
    add_language_route(blueprint, app)

    @blueprint.get("/<launch_id>/")
    def summary(launch_id: str) -> Response:
        launch = open_launch(app, launch_id)
        return stream_if_slow(app, launch.say, lambda: chart_page(app, launch, "summary.html"))

    @blueprint.get("/<launch_id>/print")
    def printable(launch_id: str) -> Response:
        launch = open_launch(app, launch_id)
        return stream_if_slow(app, launch.say, lambda: chart_page(app, launch, "print.html"))

    @blueprint.get("/<launch_id>/ehr.css")
    def ehr_style(launch_id: str) -> Response:
        launch = load_session(app, launch_id)
        sheet = styles.sheet(launch.session.context.style_url, launch.registration, local=app.settings().local)
        return Response(sheet, content_type="text/css; charset=utf-8")

    @blueprint.post("/<launch_id>/override")
    def override(launch_id: str) -> BaseResponse:
        launch = open_form(app, launch_id)
        said = overridden(request.form)
        record_event(app, launch.session, "overridden", topic=said.topic.value, reason=said.code)
        note_override(app, launch.session, said)
        app.snooze(launch.session, said.topic, said.code, said.grounds)
        where = url_for("smart_app.summary", launch_id=launch_id, recorded=f"{said.topic}.{said.code}")
        return redirect(where, 303)

    @blueprint.post("/<launch_id>/escalation")
    def acknowledge(launch_id: str) -> BaseResponse:
        launch = open_form(app, launch_id)
        note_known(app, launch.session, request.form.get("escalation", ""), request.form.getlist("done"))
        return redirect(url_for("smart_app.summary", launch_id=launch_id, _anchor="told"), 303)

    @blueprint.post("/<launch_id>/opinion")
    def send_opinion(launch_id: str) -> BaseResponse:
        launch = open_form(app, launch_id)
        record_event(app, launch.session, "opinion", **opinion(request.form, app.seal))
        return redirect(url_for("smart_app.thanks", launch_id=launch_id), 303)

    @blueprint.get("/<launch_id>/thanks")
    def thanks(launch_id: str) -> Response:
        return render(open_launch(app, launch_id), "thanks.html")

    @blueprint.post("/<launch_id>/extend")
    def extend(launch_id: str) -> BaseResponse:
        open_form(app, launch_id)
        return redirect(url_for("smart_app.summary", launch_id=launch_id), 303)

    @blueprint.post("/<launch_id>/close")
    def close(launch_id: str) -> BaseResponse:
        launch = open_form(app, launch_id)
        revoke_tokens(app, launch)
        app.store.end_session(launch_id, "closed")
        record_event(app, launch.session, "closed")
        response = page(launch.say, "closed.html")
        drop_cookie(response, SESSION)
        return response

    add_pages(blueprint, app)
    return blueprint


def chart_page(app: AppRuntime, launch: OpenLaunch, template: str) -> Response:
    """A page about the chart as it is now; what it shows is on record before the page is sent."""
    reading = read_chart(app, launch)
    summary = summary_of(reading, launch)
    record_shown(app, launch, reading, template.removesuffix(".html"))
    return render(launch, template, summary=summary, recorded=recorded_words(request.args.get("recorded"), launch.say))


def revoke_tokens(app: AppRuntime, launch: OpenLaunch) -> None:
    """Revokes the tokens of a launch (SMART-084). A failure is recorded and changes nothing."""
    session = launch.session
    try:
        endpoint = app.token_endpoint(launch.registration)
        if session.refresh_token is not None:
            endpoint.revoke(session.refresh_token, "refresh_token")
        endpoint.revoke(session.token, "access_token")
    except EhrFailed:
        record_event(app, session, "not-revoked")
