"""`mhcds train`, `mhcds evaluate` and `mhcds transport`: on survey data, with the tools of the `train` extra."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cds_service.commands.options import MODELS

NHANES = click.option(
    "--nhanes",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="Folder with the survey's raw files; repeat the option for more folders.",
)
REPORT = click.option(
    "--report", "page", type=click.Path(path_type=Path), help="Folder for one HTML page with the figures and plots."
)


@click.command()
@NHANES
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write the models to.")
@REPORT
def train(nhanes: tuple[Path, ...], out: Path, page: Path | None) -> None:
    """Train both models from survey data and write their artifacts. The same data and release give the same bytes."""
    from models.errors import ModelError

    try:
        from cds_service.commands.terminal import progress
        from models.training.train import train as run

        with progress() as report:
            run(nhanes, out, progress=report)
    except (ModelError, ImportError) as error:
        raise click.ClickException(_needs_extra(error)) from error
    click.echo(f"Models written to {out}")
    if page is not None:
        _evaluated(nhanes, out, page)


@click.command()
@NHANES
@MODELS
@click.option(
    "--json", "target", type=click.Path(path_type=Path, allow_dash=True), help="Write metrics as JSON; - prints them."
)
@REPORT
def evaluate(nhanes: tuple[Path, ...], root: Path | None, target: Path | None, page: Path | None) -> None:
    """Evaluate models on survey data, per outcome, data pattern, cycle and subgroup, with 95 % intervals."""
    import msgspec

    metrics = _evaluated(nhanes, root, page)
    if target is not None and str(target) == "-":
        click.echo(msgspec.json.encode(metrics))
        return
    from cds_service.commands.terminal import console
    from models.reports.evaluation_table import report_table

    if target is not None:
        target.write_bytes(msgspec.json.encode(metrics) + b"\n")
    console().print(report_table(metrics))


@click.command()
@NHANES
@click.option(
    "--surveys", required=True, type=click.Path(path_type=Path), help="Folder with the files of NSDUH, YRBS or both."
)
@MODELS
@click.option(
    "--json",
    "target",
    required=True,
    type=click.Path(path_type=Path, allow_dash=True),
    help="Write the figures as JSON; - prints them.",
)
def transport(nhanes: tuple[Path, ...], surveys: Path, root: Path | None, target: Path) -> None:
    """Compare how the models rank people in other surveys and in NHANES, on the inputs that both ask about."""
    import msgspec

    from models.errors import ModelError

    try:
        from cds_service.commands.terminal import progress
        from models.evaluation.transport import transport as run
        from models.scoring.registry import load_models

        with progress() as report:
            figures = msgspec.json.encode(run(surveys, nhanes, load_models(root), progress=report)) + b"\n"
    except (ModelError, ImportError) as error:
        raise click.ClickException(_needs_extra(error)) from error
    if str(target) == "-":
        click.echo(figures, nl=False)
    else:
        target.write_bytes(figures)


def _evaluated(nhanes: tuple[Path, ...], root: Path | None, page: Path | None) -> dict[str, Any]:
    """Metrics of the models below root; also writes the page if it has a folder."""
    from models.errors import ModelError

    try:
        from cds_service.commands.terminal import progress
        from models.evaluation.evaluate import Evaluation

        with progress() as report:
            evaluation = Evaluation.of(nhanes, root, progress=report)
            metrics = evaluation.metrics(progress=report)
            if page is not None:
                from models.reports.html_report import write_report

                write_report(evaluation.frame, evaluation.contenders, metrics, page, progress=report)
    except (ModelError, ImportError) as error:
        raise click.ClickException(_needs_extra(error)) from error
    if page is not None:
        click.echo(f"Report written to {page / 'report.html'}", err=True)
    return metrics


def _needs_extra(error: Exception) -> str:
    if isinstance(error, ImportError):
        return f"{error.name} is not installed; training and evaluation need: pip install 'mental-health-cds[train]'"
    return str(error)
