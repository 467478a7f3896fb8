"""`mhcds evaluate-site` and `mhcds pool`: a site's figures without people, and those of many sites as one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from cds_service.commands.options import AS_JSON, BY, REQUIRED_CONFIG, SITE, opened, print_json, written

if TYPE_CHECKING:
    from cds_service.monitoring.episodes import Episode
    from cds_service.monitoring.sharing import SharedModel, SharedOutcome, SharedSite
    from models.evaluation.metrics import Figure

MONTH = click.DateTime(("%Y-%m",))
NAMES = {"auroc": "AUROC", "slope": "calibration slope", "o_e": "observed over expected"}


@click.command()
@REQUIRED_CONFIG
@SITE
@click.option(
    "--export", "file", required=True, type=click.Path(path_type=Path), help="A new file that only its owner can read."
)
@click.option("--name", help="What the site is called in the file. Default: its id.")
@click.option("--since", type=MONTH, help="The first month, such as 2026-01. Default: twelve months up to the last.")
@click.option("--last", type=MONTH, help="The last month. Default: the latest whose outcome windows have all passed.")
@click.option("--epsilon", type=click.FloatRange(0.01, 10),
              help="Add noise (differential privacy): the epsilon for all models together.")  # fmt: skip
@BY
def evaluate_site(  # an option each
    folder: Path, site: str, file: Path, name: str | None, since: datetime | None, last: datetime | None,
    epsilon: float | None, by: str,
) -> None:  # fmt: skip
    """Write the figures that a site may share: nobody singled out, counts rounded to 20, no date finer than a month.

    Who wrote it is recorded. Nobody who opted out is included.
    """
    from cds_service.burden.on_record import Window, first_of_month
    from cds_service.commands.options import one_line
    from cds_service.monitoring.daily import closed_months
    from cds_service.monitoring.linking import episodes
    from cds_service.monitoring.sharing import record_shared, refused, shared_before

    now = datetime.now(UTC)
    by = one_line(by, "--by")
    with opened(folder, ready=True) as (config, store):
        of_site = config.site(site)
        latest = first_of_month(closed_months(of_site, now).until, months_back=1)
        ends = (since or first_of_month(last or latest, months_back=11), last or latest)
        first, final = (f"{end:%Y-%m}" for end in ends)
        if not first <= final <= f"{latest:%Y-%m}":
            found = f"expected whole months up to {latest:%Y-%m} (its outcome windows have passed)"
            raise click.ClickException(f"--since, --last: {found}; found {first} to {final}")
        before = shared_before(store, of_site.id, first, final)
        if why := refused(first, final, epsilon, before):
            raise click.ClickException(why)
        window = Window(since=date.fromisoformat(f"{first}-01"), until=_month_after(final))
        found_episodes = [one for one in episodes(store, of_site, window, now) if first <= one.month <= final]
        made = _shared_site(found_episodes, name or of_site.id, first, final, now, epsilon)
        with written(file) as out:
            record_shared(store, of_site.id, made, by, now)
            out.write(msgspec.json.format(msgspec.json.encode(made)).decode() + "\n")
    spent = sum(each.epsilon or 0 for each in before) + (epsilon or 0)
    noise = "" if epsilon is None else f", with noise (epsilon {epsilon:g}; of all files of these months {spent:g})"
    click.echo(f"{file}: {len(made.models)} versions of models, {first} to {final}{noise}. Read it before you send it.")


def _shared_site(
    found: Sequence[Episode], name: str, since: str, last: str, now: datetime, epsilon: float | None
) -> SharedSite:
    from importlib.metadata import version

    from cds_service.commands.monitor_figures import weigh
    from cds_service.monitoring.counting import site_figures
    from cds_service.monitoring.sharing import FORMAT, SharedSite, shared_model

    of_version: dict[tuple[str, str], list[Episode]] = defaultdict(list)
    for episode in found:
        of_version[episode.outcome, episode.version].append(episode)
    models = []
    for _, those in sorted(of_version.items()):
        if epsilon is not None:
            models.append(_with_noise(those, epsilon / len(of_version)))
        elif rows := site_figures(those, threshold=None, now=now, weigh=weigh()):
            models.append(shared_model(rows[0]))
    made = SharedSite(
        format=FORMAT, site=name, release=version("mental-health-cds"), made=f"{now:%Y-%m}", since=since, last=last,
        epsilon=epsilon, models=tuple(models),
    )  # fmt: skip
    try:
        return msgspec.convert(msgspec.to_builtins(made), SharedSite)
    except msgspec.ValidationError as error:
        raise click.ClickException(
            f"--name: expected a name of up to 60 letters, digits and spaces ({error})"
        ) from error


def _with_noise(those: Sequence[Episode], epsilon: float) -> SharedModel:
    """All of a version's people from a noisy histogram; without groups, which would each cost as much again."""
    import numpy as np

    from cds_service.monitoring.sharing import SharedModel, shared_noisy
    from cds_service.monitoring.site_figures import SCORE_EDGES
    from models.errors import ModelError
    from models.evaluation.noise import histogram, noisy_figures, with_noise

    first: dict[str, Episode] = {}
    for episode in sorted(those, key=lambda one: one.at):
        if episode.positive is not None:
            first.setdefault(episode.patient, episode)
    estimates = np.array([one.probability for one in first.values()])
    positive = np.array([float(bool(one.positive)) for one in first.values()])
    try:
        noisy = noisy_figures(with_noise(histogram(estimates, positive, SCORE_EDGES), epsilon), epsilon, SCORE_EDGES)
    except ModelError as error:
        raise click.ClickException(str(error)) from error
    figures = {"auroc": noisy.auroc, "slope": noisy.slope, "o_e": noisy.o_e}
    everyone = shared_noisy(noisy.n, noisy.events, figures)
    return SharedModel(outcome=those[0].outcome, version=those[0].version, everyone=everyone)


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@AS_JSON
def pool(files: tuple[Path, ...], *, as_json: bool) -> None:
    """Combine FILES of `mhcds evaluate-site`, one or more a site, by random-effects meta-analysis."""
    from cds_service.monitoring.sharing import ambiguous, read_shared

    try:
        sites = [read_shared(file) for file in files]
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    if why := ambiguous(sites):
        raise click.ClickException(why)
    try:
        found = list(_pooled(sites))
    except ImportError as error:
        needs = f"{error.name} is not installed; pooling needs: pip install 'mental-health-cds[monitor]'"
        raise click.ClickException(needs) from error
    if as_json:
        print_json({"pooled": found})
        return
    if not found:
        click.echo("No file has a figure: with fewer than 20 people with or without the outcome none leaves a site.")
    for one in found:
        click.echo(f"{one['outcome']} {one['version']}, {NAMES[one['measure']]}, {one['row']}")
        for site, figure in one["of_sites"].items():
            click.echo(f"  {site}: {_words(figure)}")
        click.echo(f"  {_pooled_words(one['pooled'])}")


def _pooled(sites: Sequence[SharedSite]) -> Iterator[dict[str, Any]]:
    from models.evaluation.pooling import pool as combined
    from models.evaluation.pooling import together

    figures: dict[tuple[str, str, str, str], dict[str, list[Figure]]] = defaultdict(lambda: defaultdict(list))
    for site in sites:
        for model in site.models:
            for row, measure, figure in _figures_of(model):
                figures[model.outcome, model.version, measure, row][site.site].append(figure)
    for (outcome, version, measure, row), of_sites in sorted(figures.items()):
        each = {name: one for name, those in sorted(of_sites.items()) if (one := together(measure, those)) is not None}
        pooled = asdict(combined(measure, list(each.values())))
        head = {"outcome": outcome, "version": version, "measure": measure, "row": row}
        yield {**head, "of_sites": each, "pooled": pooled}


def _figures_of(model: SharedModel) -> Iterator[tuple[str, str, Figure]]:
    rows: list[tuple[str, SharedOutcome | None]] = [("as seen", model.everyone.observed), ("weighted", model.weighted)]
    for row, outcome in rows:
        for measure in NAMES:
            if (figure := getattr(outcome, measure, None)) is not None:
                yield row, measure, msgspec.to_builtins(figure)


def _pooled_words(pooled: dict[str, Any]) -> str:
    if pooled["mean"] is None:
        few = "one site" if pooled["sites"] == 1 else "no site"
        return f"{few} with a figure that can be pooled: nothing to pool"
    said = f"{pooled['sites']} sites together: {_words(pooled['mean'])}"
    if pooled["prediction"] is None:
        return f"{said}; how far sites differ cannot be told from two"
    low, high = pooled["prediction"]
    return f"{said}; a further site like these: {low:.2f} to {high:.2f}; I² {pooled['i2']:.0%}, tau² {pooled['tau2']:g}"


def _words(figure: Figure) -> str:
    value, low, high = figure["value"], figure["low"], figure["high"]
    return "not known" if value is None or low is None or high is None else f"{value:.2f} ({low:.2f} to {high:.2f})"


def _month_after(month: str) -> date:
    return (date.fromisoformat(f"{month}-01") + timedelta(days=31)).replace(day=1)
