"""Registers the app's routes with Flask, and what they share: templates, static files, headers, error pages."""

from __future__ import annotations

import hashlib
from functools import cache, partial
from pathlib import Path

from flask import Blueprint, Flask, Response, request, url_for

from smart_launch.errors import SmartError
from smart_launch.pages import language
from smart_launch.pages.headers import add_headers
from smart_launch.pages.responses import error_page, failure_page
from smart_launch.runtime import AppRuntime

STATIC = Path(__file__).parents[1] / "static"


def register(flask: Flask, app: AppRuntime, *blueprints: Blueprint) -> None:
    """Registers these routes and the shared ones."""
    for blueprint in (*blueprints, create_blueprint(app)):
        blueprint.register_error_handler(SmartError, partial(error_page, app))
        blueprint.register_error_handler(Exception, partial(failure_page, app))
        flask.register_blueprint(blueprint)


def create_blueprint(app: AppRuntime) -> Blueprint:
    """Templates, static files, headers, and a page for unknown addresses."""
    blueprint = Blueprint(
        "smart_pages",
        __name__,
        template_folder="../templates",
        static_folder="../static",
        static_url_path="/smart/static",
    )
    blueprint.record_once(lambda state: language.install(state.app.jinja_env))
    blueprint.record_once(lambda state: state.app.add_template_global(asset))

    @blueprint.route("/smart/", defaults={"_rest": ""}, methods=["GET", "OPTIONS"], strict_slashes=False)
    @blueprint.route("/smart/<path:_rest>", methods=["GET", "OPTIONS"])
    def nothing(_rest: str) -> Response:
        return error_page(app, SmartError("nothing at this address", "no-page", 404))

    def after(response: Response) -> Response:
        return add_headers(app, response) if f"{request.path}/".startswith("/smart/") else response

    blueprint.after_app_request(after)
    return blueprint


def asset(name: str) -> str:
    """The URL of a style sheet, script or picture; it changes with the content, so caches never serve old ones."""
    return url_for("smart_pages.static", filename=name, v=_version(name))


@cache
def _version(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:8]
