"""Pages of a launch that hold nothing of its patient: the page for patients, and the module for clinicians."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from smart_launch.chart.learning import learning_of, record_learned
from smart_launch.chart.patient import languages_of
from smart_launch.launch.guard import open_form, open_launch, render
from smart_launch.pages.patient_page import patient_view
from smart_launch.records import record_event
from smart_launch.runtime import AppRuntime


def add_pages(blueprint: Blueprint, app: AppRuntime) -> None:
    """Adds them to the routes of a launch."""

    @blueprint.get("/<launch_id>/patient")
    def for_patient(launch_id: str) -> Response:
        launch = open_launch(app, launch_id)
        facts, today = app.patient_facts(launch.session.site), app.now().astimezone(launch.site.reading.zone).date()
        view = patient_view(facts, languages_of(app, launch), launch.site.languages, launch.say, today)
        record_event(app, launch.session, "shown", page="patient")
        return render(launch, "for_patient.html", view=view)

    @blueprint.get("/<launch_id>/learn")
    def learn(launch_id: str) -> Response:
        launch = open_launch(app, launch_id)
        return render(launch, "learn.html", learning=learning_of(app, launch), learned="learned" in request.args)

    @blueprint.post("/<launch_id>/learn")
    def record_learning(launch_id: str) -> BaseResponse:
        launch = open_form(app, launch_id)
        record_learned(app, launch)
        return redirect(url_for("smart_app.learn", launch_id=launch_id, learned=1), 303)
