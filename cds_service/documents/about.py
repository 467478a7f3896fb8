"""GET /about: what the cards are, for whoever follows the source of one. Public, without patient data.

Topics have the names that cards and app use; what a topic and a rule mean is in the template. Where the region of no
site has models, bands and levels, the page has none either (rule R15).
"""

from __future__ import annotations

from importlib.metadata import version

from flask import Blueprint, Response, render_template

from cds_service.serving.cacheable import cacheable_page
from cds_service.serving.runtime import Runtime
from explanations.words.notices.topics import TOPICS
from models.rules.findings import Topic


def create_blueprint(runtime: Runtime) -> Blueprint:
    """The route."""
    blueprint = Blueprint("about", __name__, template_folder="../templates")

    @blueprint.get("/about")
    def about() -> Response:
        regions = [site.cards.region for site in runtime.config().sites]
        prompts = any(region.prompts for region in regions)
        return cacheable_page(
            render_template(
                "about.html",
                topics=[spec for spec in TOPICS if prompts or spec.topic is not Topic.SCREENING_PROMPT],
                models=any(region.models for region in regions),
                levels=any(region.levels for region in regions),
                version=version("mental-health-cds"),
            )
        )

    return blueprint
