"""`mhcds drift` and `mhcds recalibrate`: a deployed model on a site's own charts and outcomes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cds_service.commands.options import CONFIG, MODELS, configured, moment_option

if TYPE_CHECKING:
    from datetime import datetime


@click.command()
@click.argument("files", nargs=-1, required=True)
@MODELS
@click.option("--as-of", help="Read the charts as of a date (its end, UTC) or a date and time.")
@CONFIG
def drift(files: tuple[str, ...], root: Path | None, as_of: str | None, folder: Path | None) -> None:
    """Compare the inputs in FILES (Bundles or hook requests, 100 or more) with those the models were trained on."""
    from cds_service.commands.assess_files import Failed, assess_file
    from cds_service.commands.terminal import console, drift_table, with_progress
    from explanations.judgement.assessment import Engine
    from models.errors import ModelError
    from models.evaluation.drift import input_shifts
    from models.inputs.features import inputs
    from models.scoring.registry import load_json, load_models

    config = configured(folder)
    as_of_time = moment_option(as_of)
    charts = []
    for name in with_progress("Assessing", files) if sys.stderr.isatty() else files:
        result = assess_file(name, as_of=as_of_time, site=config.site(None), engine=Engine())
        if isinstance(result, Failed):
            click.echo(f"{result.name}: {result.error}", err=True)
        else:
            charts.append(inputs(result.assessment.chart))
    any_unlike = False
    try:
        models = load_models(root) if root else load_models(config.models, config.kept_models)
        for model in models:
            rows = [chart.vector(model.schema).values for chart in charts]
            shifts = input_shifts(model.schema, load_json(model.folder / "reference.json"), rows)
            console().print(drift_table(f"{model.outcome} {model.version}, {len(rows)} charts", shifts))
            any_unlike = any_unlike or any(shift.unlike for shift in shifts)
    except ModelError as error:
        raise click.ClickException(str(error)) from error
    sys.exit(3 if any_unlike else 0)


@click.command()
@click.option("--model", "named", required=True,
              help="Folder of one version, of one outcome (its newest) or of all models (with --outcome). With "
              "--from-store: OUTCOME[@VERSION], by default that which the site uses.")  # fmt: skip
@click.option("--labels", type=click.Path(path_type=Path), help="CSV file with columns score, outcome.")
@click.option("--out", default="models-recalibrated", show_default=True, type=click.Path(path_type=Path),
              help="Folder to write the new version to.")  # fmt: skip
@click.option("--outcome", help="The outcome of the model, if the folder holds several.")
@click.option(
    "--from-store", is_flag=True, help="Use the scores and outcomes on record; needs --config, --site and --until."
)
@CONFIG
@click.option("--site", help="Id of the site whose record it is.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]),
              help="People scored before this day fit the calibration; those scored later check it.")  # fmt: skip
@click.option("--despite-selection", is_flag=True, help="Continue even though fewer than half have an outcome.")
def recalibrate(  # noqa: PLR0913  # one argument an option
    *,
    named: str,
    labels: Path | None,
    out: Path,
    outcome: str | None,
    from_store: bool,
    folder: Path | None,
    site: str | None,
    until: datetime | None,
    despite_selection: bool,
) -> None:
    """Fit a model's calibration to a site's own scores and outcomes, as a new version; ranks stay the same."""
    from models.errors import ModelError
    from models.training.recalibration import one_model, read_labels
    from models.training.recalibration import recalibrate as run

    if from_store:
        if folder is None or site is None or until is None or labels is not None:
            raise click.UsageError("--from-store: expected --config, --site and --until, and no --labels")
        from cds_service.commands.recalibration import from_store as run_from_store

        result = run_from_store(folder, site, named, until.date(), out, despite_selection=despite_selection)
    elif labels is None:
        raise click.UsageError("expected --labels FILE, or --from-store")
    else:
        try:
            result = run(one_model(Path(named), outcome), read_labels(labels), out)
        except ModelError as error:
            raise click.ClickException(str(error)) from error
    click.echo(f"{result.n} people, {result.events} with the outcome (95 % intervals in brackets).")
    click.echo(f"Scores as they were: {_figures(result.before)}.")
    click.echo(f"New line on the log-odds: shift {_figure(result.shift)}, slope {_figure(result.slope)}.")
    checked = "." if result.later else ". Check them on people not in the file."
    click.echo(f"New scores, on these people: {_figures(result.after)}{checked}")
    if result.later:
        click.echo(f"On {result.later['n']} others, scored later, {result.later['events']} with the outcome:")
        click.echo(f"as they were: {_figures(result.later['before'])};")
        click.echo(f"new: {_figures(result.later['after'])}.")
    click.echo(f"Version {result.version} written to {result.folder}")
    if from_store:
        click.echo("It begins silent at every site of this deployment; name it in [models] of a site's file to use it.")


def _figures(figures: Mapping[str, Any]) -> str:
    return f"slope {_figure(figures['slope'])}, observed over expected {_figure(figures['o_e'])}"


def _figure(estimate: Mapping[str, float | None] | None) -> str:
    if estimate is None or estimate["value"] is None:
        return "not to be had"
    return f"{estimate['value']:.2f} ({estimate['low']:.2f} to {estimate['high']:.2f})"
