"""`mhcds monitor --html`: what is on record of a site, gathered for the report that a board reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from cds_service.burden.figures import figures
from cds_service.burden.on_record import Window
from cds_service.commands.options import written
from cds_service.control.acts import modes_in
from cds_service.monitoring.costs import costs
from cds_service.monitoring.episodes import Episode
from cds_service.monitoring.experience import events_met, experience
from cds_service.monitoring.report import SiteReport, report_page, reported_models
from cds_service.monitoring.site_figures import ALL_MONTHS, SiteEstimate, SiteFigures, read_figures
from cds_service.settings.config import ServiceConfig
from cds_service.settings.sites import SiteConfig
from cds_service.storage.store import Store
from models.errors import ArtifactError
from models.inputs.patterns import HEADLINE
from models.scoring.registry import SHIPPED, load_json, the_version


def write_report(  # what is known of the site, and where it goes
    file: Path, store: Store, config: ServiceConfig, site: SiteConfig, window: Window, rows: Sequence[SiteFigures],
    episodes: Sequence[Episode], now: datetime,
) -> None:  # fmt: skip
    """Writes the report as a new file. Criteria are as of the last daily look. Raises StoreUnavailable."""
    kept = {(row.outcome, row.version): row.criteria for row in read_figures(store, site.id) if row.month == ALL_MONTHS}
    with store.transaction() as connection:
        modes = {
            (row.outcome, row.version): row.mode.value
            for row in modes_in(connection)
            if row.site == site.id and not row.service
        }
    keys = {(row.outcome, row.version) for row in rows}
    survey = {key: found for key in keys if (found := _in_survey(config.models, *key)) is not None}
    events, today = events_met(store, site, window), site.day(now)
    trials = [trial.title for trial in config.trials if trial.site == site.id and trial.runs(today)]
    report = SiteReport(
        site=site.id,
        at=now,
        first=window.since,
        last=min(window.until - timedelta(days=1), today),
        outcome_days=site.monitoring.outcome_days,
        models=reported_models(
            [replace(row, criteria=kept.get((row.outcome, row.version), ())) for row in rows], modes, survey
        ),
        experience=experience(events),
        costs=costs(events, episodes, site.monitoring.prices),
        cards=figures(store, (site,), window, now).cards,
        trials=tuple(trials),
        groups_recorded=tuple(group.value for group in site.monitoring.groups),
    )
    with written(file) as out:
        out.write(report_page(report))


def _in_survey(root: Path | None, outcome: str, version: str) -> SiteEstimate | None:
    """Its AUROC in the survey, nothing of the PHQ known, each cycle judged by a model that never saw it."""
    try:
        folder = the_version((root or SHIPPED) / outcome, version)
        found = load_json(folder / "metrics.json")["outcomes"][outcome]["patterns"][HEADLINE]["all"]["auroc"]
        return SiteEstimate(value=found["value"], low=found["low"], high=found["high"])
    except (ArtifactError, KeyError, TypeError):
        return None
