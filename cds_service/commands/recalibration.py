"""What `mhcds recalibrate --from-store` does: a site's own episodes into a new version, which begins silent."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path

import click

from cds_service.commands.options import opened
from cds_service.control.acts import ModeRow, put_modes
from cds_service.control.targets import Mode, expect, known_of
from cds_service.control.version import lock
from cds_service.incidents.incidents import SERVICE
from cds_service.monitoring.episodes import Episode
from cds_service.monitoring.linking import episodes
from cds_service.serving.runtime import now_utc
from cds_service.settings.config import ServiceConfig
from cds_service.storage.store import Store
from models.errors import ModelError
from models.scoring.registry import SHIPPED, load_model
from models.training.recalibration import Labels, Recalibrated, labels_of, recalibrate

THROUGH = "recalibration"


def from_store(folder: Path, site_id: str, named: str, until: date, out: Path) -> Recalibrated:
    """Fits those who were scored before `until`, checks on others scored later, and prints how many they were.

    named: OUTCOME or OUTCOME@VERSION; without a version that which the site uses.
    """
    with opened(folder, ready=True) as (config, store):
        expect("site", site_id, [site.id for site in config.sites])
        site, now = config.site(site_id), now_utc()
        outcome, _, version = named.partition("@")
        version = known_of(config).version(site.id, outcome, version)
        found = [
            one
            for one in episodes(store, site, None, now)
            if (one.outcome, one.version, one.over) == (outcome, version, True)
        ]
        first = _first_of_each(one for one in found if one.positive is not None and site.day(one.at) < until)
        others = _first_of_each(
            one for one in found if one.positive is not None and one.patient not in first and site.day(one.at) >= until
        )
        try:
            model = load_model((config.models or SHIPPED) / outcome / version)
            done = recalibrate(
                model, _labels(first), out, later=_labels(others),
                begin=lambda new: _begin_silent(store, config, outcome, new, now),
            )  # fmt: skip
        except ModelError as error:
            raise click.ClickException(str(error)) from error
    earlier, later = ([one for one in found if (site.day(one.at) < until) is before] for before in (True, False))
    click.echo(f"{outcome} {version} at site {site.id}, scored before {until}: {_share_words(earlier)}.")
    click.echo(f"From then on: {_share_words(later)}.")
    return done


def _first_of_each(found: Iterable[Episode]) -> dict[str, Episode]:
    """Patient -> the first of their episodes."""
    kept = dict[str, Episode]()
    for one in found:
        kept.setdefault(one.patient, one)
    return kept


def _labels(found: dict[str, Episode]) -> Labels:
    chosen = list(found.values())
    return labels_of([one.probability for one in chosen], [bool(one.positive) for one in chosen])


def _begin_silent(store: Store, config: ServiceConfig, outcome: str, version: str, now: datetime) -> None:
    """Records it at every site of the deployment, since each without a version of its own takes what it finds."""
    rows = [
        ModeRow(
            site=site.id, service="", outcome=outcome, version=version, mode=Mode.SILENT, at=now,
            by=SERVICE, through=THROUGH, reason="a recalibrated version begins silent",
        )
        for site in config.sites
    ]  # fmt: skip
    with store.transaction() as connection:
        lock(connection)
        put_modes(connection, [(row, None) for row in rows])


def _share_words(found: list[Episode]) -> str:
    share = sum(one.positive is not None for one in found) / len(found) if found else 0.0
    return f"{len(found)} episodes, {share:.0%} of them with an outcome"
