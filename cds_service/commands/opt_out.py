"""`mhcds opt-out`: the list of patients who have opted out at a site."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cds_service.commands.options import AS_JSON, BY, REASON, REQUIRED_CONFIG, SITE, opened, print_json

if TYPE_CHECKING:
    from cds_service.control.opt_outs import OptOutAct

DONE = {"add": "Put on the list", "remove": "Taken off the list"}
KEPT = {"add": "On the list before", "remove": "Not on the list, so nothing changed"}


@click.group("opt-out")
def opt_out() -> None:
    """Patients who have opted out: no model is used, nothing is read, and no review or export lists them.

    Only an export with --all, for an audit required by law, does.

    Ids are read from standard input, one per line, as the EHR sends them (context.patientId). Only pseudonyms are
    stored.
    """


@opt_out.command("list")
@REQUIRED_CONFIG
@SITE
@AS_JSON
def show(folder: Path, site: str, *, as_json: bool) -> None:
    """Print the list: pseudonym (`mhcds db pseudonym` prints that of an id), since when, and how it was added."""
    from cds_service.commands.terminal import print_table
    from cds_service.control.opt_outs import opt_outs

    with opened(folder, ready=True) as (config, store):
        rows = opt_outs(store, config.site(site).id)
    if as_json:
        print_json({"site": site, "opt_outs": rows})
        return
    if rows:
        lines = ((row.patient, row.at[:16].replace("T", " "), row.source) for row in rows)
        print_table(("pseudonym", "since (UTC)", "through"), lines, whole=("pseudonym", "since (UTC)"))
    click.echo(f"{len(rows)} opted out at site {site}.")


def _changing(name: str, words: str) -> None:
    """A command that changes the list."""

    @opt_out.command(name, help=words)
    @REQUIRED_CONFIG
    @SITE
    @BY
    @REASON
    @AS_JSON
    def change(folder: Path, site: str, by: str, reason: str, *, as_json: bool) -> None:
        _change(name, folder, site, by, reason, as_json=as_json)


_changing("add", "Add patients to the list, as of the next call.")
_changing("remove", "Remove patients from the list, as of the next call, and say which were not on it.")


def _change(name: str, folder: Path, site: str, by: str, reason: str, *, as_json: bool) -> None:
    from rich.progress import track

    from cds_service.commands.terminal import console_on
    from cds_service.control.acts import Actor
    from cds_service.control.opt_outs import MOST_AT_ONCE, OptOutAct, change_opt_outs, pseudonyms
    from cds_service.serving.runtime import now_utc

    act = OptOutAct(name)
    done: list[bool] = []
    with opened(folder, ready=True) as (config, store):
        site = config.site(site).id
        # Bytes that are no text become letters that no id has.
        lines = sys.stdin.buffer.read().decode(errors="surrogateescape").strip().splitlines()
        patients = pseudonyms(config.kept_key(), site, [line.strip() for line in lines])
        if not patients:
            raise click.ClickException("expected ids of patients on standard input, one a line; found none")
        actor = Actor(by, "command")
        starts = range(0, len(patients), MOST_AT_ONCE)
        for start in track(starts, console=console_on(sys.stderr), transient=True, disable=len(starts) == 1):
            some = patients[start : start + MOST_AT_ONCE]
            done += change_opt_outs(store, act, site, some, actor=actor, reason=reason, now=now_utc())
    _print(act, site, done, as_json=as_json)


def _print(act: OptOutAct, site: str, done: list[bool], *, as_json: bool) -> None:
    kept = [place for place, is_new in enumerate(done, 1) if not is_new]
    if as_json:
        print_json({"site": site, "act": act, "changed": sum(done), "unchanged": kept})
        return
    click.echo(f"{DONE[act]} of site {site}, from the next call on: {sum(done)}")
    if kept:
        click.echo(f"{KEPT[act]}: line{'s' if len(kept) > 1 else ''} {', '.join(map(str, kept))}")
