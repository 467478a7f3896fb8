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
LEAST_SHARE = 0.5


def from_store(
    folder: Path, site_id: str, named: str, until: date, out: Path, *, despite_selection: bool
) -> Recalibrated:
    """Fits those who were scored before `until`, checks on others scored later, and prints how many they were.

    named: OUTCOME or OUTCOME@VERSION; without a version that which the site uses. despite_selection: go on although of
    few an outcome is known.
    """
    with opened(folder, ready=True) as (config, store):
        expect("site", site_id, [site.id for site in config.sites])
        site, now = config.site(site_id), now_utc()
        outcome, _, version = named.partition("@")
        version = known_of(config).version(site.id, outcome, version)
        parts: tuple[list[Episode], list[Episode]] = ([], [])
        for one in episodes(store, site, None, now):
            if (one.outcome, one.version, one.over) == (outcome, version, True):
                parts[site.day(one.at) >= until].append(one)
        shares = [sum(one.positive is not None for one in part) / len(part) if part else 1.0 for part in parts]
        click.echo(f"{outcome} {version} at site {site.id}, scored before {until}: {_words(parts[0], shares[0])}.")
        click.echo(f"From then on: {_words(parts[1], shares[1])}.")
        if min(shares) < LEAST_SHARE and not despite_selection:
            raise click.ClickException(
                f"expected an outcome of at least {LEAST_SHARE:.0%} of episodes in both; found {min(shares):.0%}. "
                "If mainly people who worried somebody were asked, the new version would estimate too high for all "
                "others, and the later episodes would not show it. If you know that people were asked at random, add "
                "--despite-selection"
            )
        first = _first_of_each(parts[0])
        others = {patient: one for patient, one in _first_of_each(parts[1]).items() if patient not in first}
        try:
            return recalibrate(
                load_model((config.models or SHIPPED) / outcome / version),
                _labels(first),
                out,
                later=_labels(others),
                measured={"earlier": round(shares[0], 3), "later": round(shares[1], 3)},
                begin=lambda new: _begin_silent(store, config, outcome, new, now),
            )
        except ModelError as error:
            raise click.ClickException(str(error)) from error


def _first_of_each(found: Iterable[Episode]) -> dict[str, Episode]:
    """Patient -> the first of their episodes with an outcome."""
    kept = dict[str, Episode]()
    for one in found:
        if one.positive is not None:
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


def _words(found: list[Episode], share: float) -> str:
    return f"{len(found)} episodes, {share:.0%} of them with an outcome" if found else "no episode"
