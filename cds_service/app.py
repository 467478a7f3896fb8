"""The service as a Flask app: wires settings, models and routes; reads nothing from the environment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from flask import Flask

from cds_service import discovery, errors, hooks, model_card
from cds_service.engine import load_engine
from cds_service.runtime import Runtime, nobody, now_utc, random_id
from cds_service.sites import ServiceConfig, default_config
from explanations.assessment import Engine
from explanations.phrasebook import load
from fhir_adapters.units import registry


def create_app(
    config: ServiceConfig | None = None,
    *,
    engine: Engine | None = None,
    now: Callable[[], datetime] = now_utc,
    new_id: Callable[[], str] = random_id,
    opted_out: Callable[[str, str], bool] = nobody,
) -> Flask:
    """The app. Models are loaded here unless an engine is given."""
    config = config or default_config()
    app = Flask("cds_service", static_folder=None)
    runtime = Runtime(
        config=config,
        engine=engine or load_engine(config.models),
        phrases=load(),
        now=now,
        new_id=new_id,
        opted_out=opted_out,
    )
    registry()  # built now rather than during a call
    errors.register(app)
    app.register_blueprint(discovery.create_blueprint())
    app.register_blueprint(hooks.create_blueprint(runtime))
    app.register_blueprint(model_card.create_blueprint(runtime))
    return app
