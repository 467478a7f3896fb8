"""The service as a Flask app: wires settings, models, store and routes; reads nothing from the environment."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from flask import Flask, Response, request

from cds_service import errors, smart_app
from cds_service.backend.backend import Backend
from cds_service.control.snapshot import ControlReader
from cds_service.control.switch_file import SwitchFile
from cds_service.control.targets import known_of
from cds_service.documents import about, discovery, model_card, openapi, patients
from cds_service.hooks import call as hooks
from cds_service.hooks import control_routes, escalation_routes, feedback
from cds_service.keys.data_key import DataKey, new_key
from cds_service.keys.key_sets import KeySets
from cds_service.serving import cross_origin
from cds_service.serving import health as ops
from cds_service.serving.engine import load_engine
from cds_service.serving.runtime import Runtime, now_utc, random_id
from cds_service.settings.config import ServiceConfig, default_config
from cds_service.settings.files import SWITCHES
from cds_service.settings.live import LiveConfig
from cds_service.storage.opening import open_store, prepare
from cds_service.storage.recent_tokens import RecentTokens
from cds_service.storage.store import Store
from cds_service.subscriptions import routes as subscriptions
from cds_service.subscriptions.arrivals import Missed
from cds_service.subscriptions.reading import READERS, read_due
from cds_service.trials.protocols import warn_of_protocols
from cds_service.trust.admission import CallSlots, require_https
from explanations.judgement.assessment import Engine
from fhir_adapters.codesets.units import registry
from fhir_adapters.kept import forget


def create_app(
    config: ServiceConfig | LiveConfig | None = None,
    *,
    engine: Engine | None = None,
    now: Callable[[], datetime] = now_utc,
    new_id: Callable[[], str] = random_id,
) -> Flask:
    """The app. Loads the models unless an engine is passed; a configured store must be ready."""
    live = config if isinstance(config, LiveConfig) else LiveConfig(config or default_config())
    first = live()
    store, key = _opened(first)
    live.changed = lambda config: warn_of_protocols(store, config.trials)
    live.changed(first)
    app = Flask("cds_service", static_folder=None)
    app.url_map.merge_slashes = False  # else `//` redirects to wherever the Host header says
    runtime = Runtime(
        config=live,
        problem=lambda: live.problem,
        folder=live.folder,
        engine=engine or load_engine(first.models, first.kept_models),
        store=store,
        controls=ControlReader(store, _switch_file(live)),
        key=key,
        key_sets=KeySets(most_waiting=lambda: max(1, live().limits.concurrent_calls // 2)),
        recent_tokens=RecentTokens(),
        backend=Backend(keys=lambda: live().own_keys(), local=lambda: live().mode != "production", now=now),
        now=now,
        new_id=new_id,
    )
    app.extensions["mhcds"] = runtime
    # What runs beside the calls, in a thread of its own each.
    missed, readers = Missed(), (f"subscriptions-{n}" for n in range(1, READERS + 1))
    app.extensions["mhcds-jobs"] = {reader: partial(read_due, runtime, missed) for reader in readers}
    registry()  # built now rather than during a call
    slots = CallSlots()
    errors.register(app)
    app.before_request(lambda: require_https(live(), request))
    cross_origin.register(app, runtime)
    if first.tls is not None:
        app.after_request(_https_from_now_on)
    app.register_blueprint(discovery.create_blueprint(runtime))
    app.register_blueprint(hooks.create_blueprint(runtime, slots))
    app.register_blueprint(feedback.create_blueprint(runtime, slots))
    app.register_blueprint(control_routes.create_blueprint(runtime))
    app.register_blueprint(escalation_routes.create_blueprint(runtime))
    app.register_blueprint(subscriptions.create_blueprint(runtime, missed))
    app.register_blueprint(ops.create_blueprint(runtime))
    app.register_blueprint(model_card.create_blueprint(runtime))
    app.register_blueprint(openapi.create_blueprint())
    app.register_blueprint(about.create_blueprint(runtime))
    app.register_blueprint(patients.create_blueprint(runtime))
    smart_app.register(app, runtime)
    if first.governance is not None:
        from cds_service.governance import routes as governance  # noqa: PLC0415  # Authlib, for these pages alone

        governance.register(app, runtime)
    app.teardown_request(lambda _error: forget())
    return app


def _https_from_now_on(answer: Response) -> Response:
    """Sets HSTS if the service itself terminates TLS; otherwise the proxy does."""
    answer.headers["Strict-Transport-Security"] = "max-age=31536000"
    return answer


def make_ready(config: ServiceConfig) -> None:
    """Before workers start: creates or checks the store's tables and key, and builds what workers can share.

    Raises ConfigError.
    """
    registry()
    if config.store is not None:
        prepare(config.store).close()
        config.kept_key()
        smart_app.make_ready(config)


def _switch_file(live: LiveConfig) -> SwitchFile:
    """The one beside the settings, if these are files."""
    path = live.folder / SWITCHES if live.folder else None
    return SwitchFile(path, lambda: known_of(live()))


def _opened(config: ServiceConfig) -> tuple[Store, DataKey]:
    """The configured store and key; without a store, a temporary one for the life of the process."""
    if config.store is not None:
        return open_store(config.store), config.kept_key()
    folder = tempfile.mkdtemp(prefix="mhcds-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return prepare(f"sqlite:///{Path(folder) / 'mhcds.db'}"), new_key()
