"""GET /about: what the cards are, for whoever follows the source of one. Public, without patient data.

Topics have the names that cards and app use; what a topic and a rule mean is in the template.
"""

from __future__ import annotations

from importlib.metadata import version

from flask import Blueprint, Response, render_template

from cds_service.serving.cacheable import cacheable_page
from explanations.words.notices.topics import TOPICS


def create_blueprint() -> Blueprint:
    """The route."""
    blueprint = Blueprint("about", __name__, template_folder="../templates")

    @blueprint.get("/about")
    def about() -> Response:
        return cacheable_page(render_template("about.html", topics=TOPICS, version=version("mental-health-cds")))

    return blueprint
