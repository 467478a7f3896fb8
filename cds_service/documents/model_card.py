"""GET /model-card and /model-card.json: what each deployed model is, how well it performs, and its limits.

Public, without patient data. Made from the artifacts at the first request; a site's own sections come from
model-card.toml. Models that could not be loaded are listed as such.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from flask import Blueprint, Response, render_template

from cds_service.serving.cacheable import cacheable, cacheable_page
from cds_service.serving.runtime import Runtime
from cds_service.settings.config import ServiceConfig
from explanations.judgement.assessment import ModelFailure
from models.reports.card import TRANSPORT, LocalSections, model_card
from models.reports.figures import figure
from models.scoring.registry import load_json


def create_blueprint(runtime: Runtime) -> Blueprint:
    """The two routes."""
    blueprint = Blueprint("model_card", __name__, template_folder="../templates")

    @lru_cache(maxsize=1)
    def made(config: ServiceConfig) -> dict[str, Any]:
        local, transport = config.model_cards, load_json(TRANSPORT)
        return {
            "models": [
                model_card(
                    model,
                    load_json(model.folder / "metrics.json"),
                    load_json(model.folder / "validation.json"),
                    transport,
                    local.get(model.outcome, LocalSections()).of(model.version),
                )
                for model in runtime.engine.models
            ],
            "not_loaded": [_lost(failure) for failure in runtime.engine.failures],
        }

    def cards() -> dict[str, Any]:
        return made(runtime.config())

    @blueprint.get("/model-card.json")
    def as_json() -> Response:
        return cacheable(msgspec.json.encode(cards()), "application/json")

    @blueprint.get("/model-card")
    def as_page() -> Response:
        return cacheable_page(render_template("model_card.html", figure=figure, words=_words, **cards()))

    return blueprint


def _lost(failure: ModelFailure) -> dict[str, str]:
    return {"outcome": failure.outcome} | ({"version": failure.version} if failure.version else {})


def _words(name: str) -> str:
    """`known_risks_and_limitations` as a heading."""
    return name.replace("_", " ").capitalize().replace("Ehr ", "EHR ")
