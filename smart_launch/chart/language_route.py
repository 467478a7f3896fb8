"""The choice of a language in the footer of every page, kept by the browser until it closes."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, redirect, request, url_for

from smart_launch.errors import Forbidden
from smart_launch.launch.guard import open_form
from smart_launch.runtime import AppRuntime
from smart_launch.session.cookies import LANGUAGE, put_cookie


def add_language_route(blueprint: Blueprint, app: AppRuntime) -> None:
    """Adds the route that the choice is sent to; it leads back to the summary."""

    @blueprint.post("/<launch_id>/language")
    def choose_language(launch_id: str) -> Response:
        launch = open_form(app, launch_id)
        chosen = request.form.get("language", "")
        if chosen not in [each.tag for each in launch.site.languages]:
            raise Forbidden("language: expected one of the choices of the page", "form-refused", 400)
        response = make_response(redirect(url_for("smart_app.summary", launch_id=launch_id), 303))
        put_cookie(response, LANGUAGE, chosen)
        return response
