"""`mhcds audit`: the audit chains verified, their heads signed, events exported and erased."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from cds_service.commands.options import AS_JSON, BY, REASON, REQUIRED_CONFIG, SITE, opened, print_json, written

if TYPE_CHECKING:
    from cds_service.audit.verify import Verified

ANY_SITE = click.option("--site", help='Id of one site; "" for the deployment itself. Default: all.')
DAY = click.DateTime(["%Y-%m-%d"])


def _iso(_context: click.Context, _parameter: click.Parameter, day: datetime | None) -> str | None:
    return day.date().isoformat() if day else None


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
    """Check for events that were changed, deleted, inserted, moved, cut off, or erased without a record.

    Exits with 1 and opens an incident if it finds any. Without heads that are kept elsewhere it cannot detect an older
    database, or a chain that was cut or rewritten together with its head.
    """
    from cds_service.audit.heads import read_heads
    from cds_service.audit.verify import verify
    from cds_service.commands.terminal import print_table, progress
    from cds_service.errors import StoreUnavailable
    from cds_service.incidents.watching import audit_faults, open_all
    from cds_service.serving.runtime import now_utc

    with opened(folder, ready=True) as (config, store), progress() as report:
        heads = read_heads(file, config.kept_key()) if file else []
        if site is not None:
            heads = [head for head in heads if head.site == site]
        if file and not heads:
            raise click.ClickException("--heads: expected a head that was signed; found none, so nothing was verified")
        found = verify(store, None if site is None else (site,), heads, report)
        try:
            open_all(store, audit_faults(found), now_utc())
        except StoreUnavailable:
            click.echo("The store cannot be written to, so no incident was opened.", err=True)
    faults = [fault for chain in found for fault in chain.faults]
    if as_json:
        chains = [asdict(c) | {"faults": [asdict(f) | {"said": f.words} for f in c.faults]} for c in found]
        events = sum(chain.events for chain in found)
        print_json({"whole": not faults, "events": events, "heads": len(heads), "chains": chains})
    else:
        print_table(("site", "events", "of them erased", "found"), map(_row, found))
        for fault in faults:
            click.echo(f"{fault.site or '(deployment)'}: {fault.words}")
        if not any(chain.events for chain in found):
            click.echo("There is no event yet, so nothing was verified.")
        elif not faults:
            told = f"against {len(heads)} signed heads" if heads else "without signed heads (--heads FILE)"
            click.echo(f"Every chain is whole, {told}.")
    sys.exit(1 if faults else 0)


@audit.command("head")
@REQUIRED_CONFIG
@click.option("--public-key", is_flag=True, help="Print the key that verifies heads instead.")
def audit_head(folder: Path, public_key: bool) -> None:
    """Print the signed head of each chain, one per line. Keep them out of reach of anyone who can change the store."""
    from cds_service.audit import heads
    from cds_service.serving.runtime import now_utc

    with opened(folder, ready=True) as (config, store):
        key = config.kept_key()
        lines = [heads.public_key(key).rstrip()] if public_key else heads.head_lines(store, key, now_utc())
    for line in lines:
        click.echo(line)


@audit.command("export")
@REQUIRED_CONFIG
@ANY_SITE
@click.option("--format", type=click.Choice(["jsonl", "fhir"]), default="jsonl", show_default=True,
              help="One JSON object, or one FHIR AuditEvent (R4), per line.")  # fmt: skip
@click.option("--since", type=DAY, callback=_iso, help="First day (UTC).")
@click.option("--until", type=DAY, callback=_iso, help="The day after the last (UTC).")
@click.option(
    "--out", type=click.Path(path_type=Path), help="A new file that only its owner can read. Default: standard output."
)
@click.option(
    "--all", "everyone", is_flag=True, help="Include patients who opted out, as an audit required by law needs."
)
@BY
@REASON
def audit_export(folder: Path, out: Path | None, by: str, reason: str, **wanted: Any) -> None:  # noqa: ANN401  # of `Export`
    """Write events, one per line; the export itself is recorded first.

    Patients who opted out are in it only with --all.
    """
    from cds_service.audit.export import Export, exported, record_export
    from cds_service.commands.terminal import progress
    from cds_service.serving.runtime import now_utc

    export = Export(**wanted)
    with opened(folder, ready=True) as (_, store), written(out) as file, progress() as report:
        with _refused():
            record_export(store, export, by, reason, now_utc())
        count = sum(1 for line in exported(store, export, report) if file.write(f"{line}\n"))
    click.echo(f"{count} events exported.", err=True)


@audit.command("erase")
@REQUIRED_CONFIG
@SITE
@BY
@REASON
def audit_erase(folder: Path, site: str, by: str, reason: str) -> None:
    """Erase all events of the patients whose ids are on standard input, one per line. This cannot be undone.

    The chain stays whole: the place, time, kind and digest of each event remain, and the erasure is recorded without
    saying whose events they were. Backups and logs are not touched, and an opt-out stays in force.
    """
    from cds_service.audit.erasure import Erasure, erase_people
    from cds_service.escalation.escalations import CloseReason, close_of
    from cds_service.serving.runtime import now_utc

    with opened(folder, ready=True) as (config, store):
        identifier, key = config.site(site).id, config.kept_key()
        patients = [key.pseudonym(identifier, line.rstrip("\r\n")) for line in sys.stdin]
        with _refused():
            why = Erasure(act="person", by=by, reason=reason, at=now_utc())
            close_of(store, identifier, patients, CloseReason.ERASED, by, why.at)
            count = erase_people(store, identifier, patients, why)
    click.echo(f"{count} events of {len(patients)} patients erased.")


def _row(chain: Verified) -> tuple[str, ...]:
    count = len(chain.faults)
    said = f"{count} fault{'s' * (count > 1)}" if count else "whole"
    return chain.site or "(deployment)", f"{chain.events:,}", f"{chain.erased:,}", said


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise click.ClickException(str(error)) from error
