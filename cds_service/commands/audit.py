"""`mhcds audit`: the audit chains verified, their heads signed."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

import click

from cds_service.commands.options import AS_JSON, REQUIRED_CONFIG, opened

ANY_SITE = click.option("--site", help='Id of one site; "" for the deployment itself. Default: all.')


@click.group()
def audit() -> None:
    """The audit chain: verify, sign, export, erase."""


@audit.command("verify")
@REQUIRED_CONFIG
@ANY_SITE
@click.option("--heads", "file", type=click.File(encoding="utf-8", errors="replace"),
              help="Signed heads kept elsewhere: lines of `mhcds audit head`, or a log with them.")  # fmt: skip
@AS_JSON
def audit_verify(folder: Path, site: str | None, file: TextIO | None, as_json: bool) -> None:
    """Look for any event that was changed, deleted, put in, moved, cut off, or erased without a record.

    Ends with 1 if there is one, and opens an incident. Without heads that are kept elsewhere, a chain that was cut or
    written anew together with its head, and an older database, cannot be told from a good one.
    """
    from rich.table import Table

    from cds_service.audit.heads import read_heads
    from cds_service.audit.verify import verify
    from cds_service.commands.terminal import console, progress
    from cds_service.errors import StoreUnavailable
    from cds_service.incidents.watching import audit_faults, open_all
    from cds_service.serving.runtime import now_utc

    with opened(folder) as (config, store), progress() as report:
        heads = read_heads(file, config.kept_key()) if file else []
        if site is not None:
            heads = [head for head in heads if head.site == site]
        found = verify(store, None if site is None else (site,), heads, report)
        try:
            open_all(store, audit_faults(found), now_utc())
        except StoreUnavailable:
            click.echo("The store cannot be written to, so no incident was opened.", err=True)
    faults = [fault for chain in found for fault in chain.faults]
    if as_json:
        chains = [asdict(c) | {"faults": [asdict(f) | {"said": f.words} for f in c.faults]} for c in found]
        click.echo(json.dumps({"whole": not faults, "heads": len(heads), "chains": chains}, indent=2))
    else:
        table = Table("site", "events", "of them erased", "found", box=None)
        for chain in found:
            said = f"{len(chain.faults)} faults" if chain.faults else "whole"
            table.add_row(chain.site or "(deployment)", f"{chain.events:,}", f"{chain.erased:,}", said)
        console().print(table)
        for fault in faults:
            click.echo(f"{fault.site or '(deployment)'}: {fault.words}")
        if not faults:
            told = f"against {len(heads)} signed heads" if heads else "without signed heads (--heads FILE)"
            click.echo(f"Every chain is whole, {told}.")
    sys.exit(1 if faults else 0)


@audit.command("head")
@REQUIRED_CONFIG
@click.option("--public-key", is_flag=True, help="Print the key that verifies heads instead.")
def audit_head(folder: Path, public_key: bool) -> None:
    """Print the signed head of each chain, a line each, to keep where nobody who can change the store can change it."""
    from cds_service.audit import heads
    from cds_service.serving.runtime import now_utc

    with opened(folder) as (config, store):
        key = config.kept_key()
        lines = [heads.public_key(key).rstrip()] if public_key else heads.head_lines(store, key, now_utc())
    for line in lines:
        click.echo(line)
