"""GET /patients: the page for patients, open, without anybody's data; below /sites/<id> that of one site."""

from __future__ import annotations

from flask import Blueprint, Response

from cds_service.hooks.access import named_site
from cds_service.serving.cacheable import cacheable_page
from cds_service.serving.runtime import Runtime
from cds_service.serving.site_facts import PAGE, patient_facts
from explanations.words.language import Language
from smart_launch.pages.patient_page import OWN_PARTS, open_page


def create_blueprint(runtime: Runtime) -> Blueprint:
    """The routes."""
    blueprint = Blueprint("patients", __name__)

    @blueprint.get(PAGE)
    @blueprint.get(f"/sites/<site>{PAGE}")
    def patients(site: str | None = None) -> Response:
        config = runtime.config()
        sites = (named_site(config, site),) if site else config.sites
        facts = patient_facts(runtime, sites)
        offered: dict[str, Language] = {}
        for each in (each for one in sites for each in one.languages):
            offered.setdefault(each.tag, each)
        text = open_page(facts, tuple(offered.values()), sites[0].day(runtime.now()))
        answer = cacheable_page(text, OWN_PARTS)
        answer.vary.add("Accept-Language")
        return answer

    return blueprint
