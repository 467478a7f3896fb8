"""`mhcds trial`: a trial's state, its audit, its table for analysis, and the estimate."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cds_service.commands.options import AS_JSON, BY, REASON, REQUIRED_CONFIG, opened, print_json

TRIAL = click.option("--trial", "name", required=True, metavar="ID", help="Id of the trial, as in its protocol.")
ANY_TRIAL = click.option("--trial", "name", metavar="ID", help="Id of one trial. Default: all.")


@click.group()
def trial() -> None:
    """Trials of models: silent against live, by clinic, clinician or patient. Rules are never part of one."""


@trial.command("show")
@REQUIRED_CONFIG
@ANY_TRIAL
@AS_JSON
def trial_show(folder: Path, name: str | None, as_json: bool) -> None:
    """Show how far each trial is: its protocol, who has been assigned, answers in each arm, and calls outside it."""
    from cds_service.commands.terminal import print_table
    from cds_service.commands.trial_run import chosen, state_of
    from cds_service.serving.runtime import now_utc

    with opened(folder, ready=True) as (config, store):
        found = [state_of(store, config, each, now_utc()) for each in chosen(config, name)]
    if as_json:
        print_json(found)
        return
    for one in found:
        print_table(("trial", one["id"]), [(key.replace("_", " "), str(value)) for key, value in one.items()][1:])
    if not found:
        click.echo("There is no protocol in trials/.")


@trial.command("verify")
@REQUIRED_CONFIG
@ANY_TRIAL
@AS_JSON
def trial_verify(folder: Path, name: str | None, as_json: bool) -> None:
    """Recompute every allocation and compare it with what is on file, the audit chain and the answers given.

    Exits with 1 if anything differs. `mhcds audit verify` says whether the chain itself is whole.
    """
    from dataclasses import asdict

    from cds_service.commands.trial_run import chosen
    from cds_service.trials.verification import verified

    with opened(folder, ready=True) as (config, store):
        key = config.kept_key()
        found = {each.id: verified(store, key, each, config.site(each.site).day) for each in chosen(config, name)}
    if as_json:
        print_json({one: asdict(check) for one, check in found.items()})
    else:
        for one, check in found.items():
            said = "as recorded" if not check.faults else f"{len(check.faults)} faults"
            click.echo(f"{one}: {check.units} units, {check.answers} answers, {check.erased} events erased: {said}")
            for fault in check.faults:
                click.echo(f"{one}: {fault}")
        if not found:
            click.echo("There is no protocol in trials/, so nothing was verified.")
    sys.exit(1 if any(check.faults for check in found.values()) else 0)


@trial.command("export")
@REQUIRED_CONFIG
@TRIAL
@click.option("--out", required=True, metavar="DIR", type=click.Path(path_type=Path), help="A folder of its own.")
@BY
@REASON
def trial_export(folder: Path, name: str, out: Path, by: str, reason: str) -> None:
    """Write trial.csv (one row per episode), dictionary.csv, protocol.toml and analysis.py; recorded first.

    Each row is one episode: keep the file as the trial's approval says. Patients who opted out are not in it.
    """
    from cds_service.commands.trial_run import chosen, export
    from cds_service.serving.runtime import now_utc

    with opened(folder, ready=True) as (config, store):
        (one,) = chosen(config, name)
        count = export(store, config, one, out, by, reason, now_utc())
    click.echo(f"{count} episodes written to {out}. The estimate: python {out / 'analysis.py'}")


@trial.command("analyse")
@REQUIRED_CONFIG
@TRIAL
@AS_JSON
def trial_analyse(folder: Path, name: str, as_json: bool) -> None:
    """Print the intention-to-treat estimate with its 95 % interval, as analysis.py in an export does."""
    from cds_service.commands.trial_run import chosen, rows_of
    from cds_service.serving.runtime import now_utc

    try:
        from models.evaluation.trials import effect_words, trial_data, trial_effect
    except ImportError as error:
        raise click.ClickException("expected the extra `monitor`; install mental-health-cds[monitor]") from error

    with opened(folder, ready=True) as (config, store):
        (one,) = chosen(config, name)
        rows = rows_of(store, config, one, now_utc())
    try:
        found = trial_effect(trial_data(rows, endpoint=one.endpoint, population=one.population), wedge=one.is_wedge)
    except ValueError as error:
        raise click.ClickException(f"trial {one.id}: {error}") from error
    if as_json:
        print_json(found)
    else:
        click.echo(f"{one.id}, version {one.version}: {one.endpoint}, {one.population} episodes\n{effect_words(found)}")
