"""GET /model-card and /model-card.json: what each deployed model is, how well it performs, and its limits.

Public, without patient data. Made from the artifacts at the first request; a site's own sections come from
model-card.toml, its own figures, where it publishes them, from the last daily look. Models that could not be loaded are
listed as such.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from functools import lru_cache
from typing import Any

import msgspec
from flask import Blueprint, Response, render_template

from cds_service.errors import StoreUnavailable
from cds_service.monitoring.shown import shown
from cds_service.monitoring.site_figures import SiteFigures, read_figures
from cds_service.serving.cacheable import cacheable, cacheable_page
from cds_service.serving.runtime import Runtime
from cds_service.settings.config import ServiceConfig
from cds_service.storage.store import Store
from explanations.judgement.assessment import ModelFailure
from models.reports.card import TRANSPORT, LocalSections, model_card
from models.reports.figures import figure
from models.scoring.registry import Model, load_json

FRESH_S = 60.0  # anybody may ask, and they change once a day


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

    known = KnownFigures(runtime.store)

    def cards() -> dict[str, Any]:
        config, found = runtime.config(), known()
        content = made(config)
        models = zip(content["models"], runtime.engine.models, strict=True)
        return content | {"models": [card | {"here": _here(runtime, config, model, found)} for card, model in models]}

    @blueprint.get("/model-card.json")
    def as_json() -> Response:
        return cacheable(msgspec.json.encode(cards()), "application/json")

    @blueprint.get("/model-card")
    def as_page() -> Response:
        return cacheable_page(render_template("model_card.html", figure=figure, words=_words, shown=shown, **cards()))

    return blueprint


class KnownFigures:
    """What the last daily look found, of all months together, a minute old at most; None while the store fails."""

    def __init__(self, store: Store) -> None:
        self._store, self._lock, self._next = store, threading.Lock(), 0.0
        self._known: tuple[SiteFigures, ...] | None = None

    def __call__(self) -> tuple[SiteFigures, ...] | None:
        """By site, outcome and version."""
        with self._lock:
            if time.monotonic() >= self._next:
                try:
                    self._known = read_figures(self._store, months=False)
                except StoreUnavailable:
                    self._known = None
                self._next = time.monotonic() + FRESH_S
            return self._known


def _here(
    runtime: Runtime, config: ServiceConfig, model: Model, found: tuple[SiteFigures, ...] | None
) -> dict[str, Any]:
    """The figures of the sites that publish theirs. Of the others only how many there are, measured or not: no name."""
    if found is None:
        return {"known": False, "published": [], "measured": 0, "not_measured": 0}
    own = {row.site: row for row in found if (row.outcome, row.version) == (model.outcome, model.version)}
    using = [site for site in config.sites if model in site.models_of(runtime.engine)]
    published = [own[site.id] for site in using if site.id in own and site.monitoring.publish]
    measured = sum(site.id in own for site in using) - len(published)
    # Without the groups and the criteria: what a site publishes is how the model does there.
    rows = [replace(row, groups=(), criteria=(), not_scored={}, to_act=None, inputs=()) for row in published]
    left = len(using) - measured - len(published)
    return {"known": True, "published": rows, "measured": measured, "not_measured": left}


def _lost(failure: ModelFailure) -> dict[str, str]:
    return {"outcome": failure.outcome} | ({"version": failure.version} if failure.version else {})


def _words(name: str) -> str:
    """`known_risks_and_limitations` as a heading."""
    return name.replace("_", " ").capitalize().replace("Ehr ", "EHR ")
