"""`mhcds monitor --daily`: what the service starts once a day, as a process of its own."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cds_service.commands.monitor_figures import figures_of, window_of
from cds_service.commands.options import opened

if TYPE_CHECKING:
    from cds_service.monitoring.criteria import ModelCriteria
    from cds_service.monitoring.episodes import Episode
    from cds_service.settings.config import ServiceConfig
    from cds_service.settings.sites import SiteConfig
    from cds_service.storage.store import Store
    from explanations.judgement.assessment import Engine

log = logging.getLogger("mhcds")


def look(folder: Path, now: datetime, *, attached: bool) -> None:
    """Everything that the service looks at once a day; a failure is one line of the log, with its kind alone.

    Criteria first: what they stop must not wait for figures. Each site apart: none keeps another from its own.
    """
    from cds_service.serving.log import LogLines

    if attached:
        threading.Thread(target=_end_with_service, daemon=True).start()
    logging.basicConfig(handlers=[LogLines()], force=True)
    log.setLevel(logging.INFO)
    os.nice(10)
    try:
        with opened(folder) as (config, store):
            failed = _looked(store, config, now)
    except click.ClickException as error:
        log.error(json.dumps({"event": "monitor-failed", "why": str(error)}))
        failed = True
    sys.exit(1 if failed else 0)


def _end_with_service() -> None:
    # Not sys.stdin, whose lock this thread would hold when the interpreter ends.
    while os.read(0, 1):
        pass
    os._exit(1)


def _looked(store: Store, config: ServiceConfig, now: datetime) -> bool:
    """Whether something failed."""
    from cds_service.monitoring.linking import episodes
    from cds_service.monitoring.site_figures import forget_others
    from cds_service.serving.engine import load_engine

    all_of = cache(lambda site_id: episodes(store, config.site(site_id), None, now))
    engine = load_engine(config.models, config.kept_models) if config.approvals else None
    states: dict[str, tuple[ModelCriteria, ...]] = {}
    steps: list[tuple[str, str, Callable[[], None]]] = [
        *(
            ("criteria", one.id, partial(_apply, store, config, engine, one, all_of, states, now))
            for one in config.sites
        ),
        *(("figures", one.id, partial(_keep, store, config, one, all_of, states, now)) for one in config.sites),
        ("figures of sites that have left", "", lambda: forget_others(store, [one.id for one in config.sites])),
    ]
    failed = False
    for what, site_id, step in steps:
        try:
            step()
        except Exception as error:  # noqa: BLE001  # a traceback in a log could quote a chart
            failed = True
            log.error(json.dumps({"event": "monitor-failed", "site": site_id, "at": what, "why": type(error).__name__}))
    return failed


def _apply(  # a step of the look
    store: Store, config: ServiceConfig, engine: Engine | None, site: SiteConfig,
    all_of: Callable[[str], Sequence[Episode]], states: dict[str, tuple[ModelCriteria, ...]], now: datetime,
) -> None:  # fmt: skip
    from cds_service.monitoring.acting import apply_criteria

    if engine is not None:
        of_site = replace(config, sites=(site,))
        states[site.id] = apply_criteria(store, of_site, engine, lambda one: all_of(one.id), now)


def _keep(  # as above
    store: Store, config: ServiceConfig, site: SiteConfig,
    all_of: Callable[[str], Sequence[Episode]], states: Mapping[str, tuple[ModelCriteria, ...]], now: datetime,
) -> None:  # fmt: skip
    from cds_service.monitoring.site_figures import ALL_MONTHS, write_figures

    rows = figures_of(store, config, site, window_of(site, None, None, now), now, all_of(site.id))
    known = states.get(site.id, ())
    with_criteria = [
        replace(row, criteria=tuple(one for one in known if (one.outcome, one.version) == (row.outcome, row.version)))
        if row.month == ALL_MONTHS
        else row
        for row in rows
    ]
    write_figures(store, site.id, with_criteria)
    models = len({(row.outcome, row.version) for row in rows})
    log.info(json.dumps({"event": "monitored", "site": site.id, "models": models}))
