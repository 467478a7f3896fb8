"""`mhcds incident`: what somebody must look at, who looks, and what came of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cds_service.commands.options import AS_JSON, BY, REASON, REQUIRED_CONFIG, one_line, opened, print_json, written

if TYPE_CHECKING:
    import sqlalchemy as sa

    from cds_service.incidents.incidents import Handling, Incident
    from cds_service.keys.data_key import DataKey
    from cds_service.settings.config import ServiceConfig

MOST_TEXT = 4000
HEADINGS = ("id", "opened", "site", "kind", "severity", "owner", "webhook")
ID = click.argument("identifier", metavar="ID")
TEXT = click.option("--text", required=True, help="What to write, or - for standard input. It is sealed.")


@click.group()
def incident() -> None:
    """Incidents: list, note, assign, close, export."""


@incident.command("list")
@REQUIRED_CONFIG
@click.option("--site", help="One site only. Default: all, and the whole deployment.")
@click.option("--all", "closed", is_flag=True, help="Include closed ones.")
@AS_JSON
def incident_list(folder: Path, site: str | None, *, closed: bool, as_json: bool) -> None:
    """List incidents, newest first, and how far their messages to your own system have come."""
    from cds_service.commands.terminal import print_table
    from cds_service.incidents.incidents import as_json as plain
    from cds_service.incidents.incidents import incidents

    with _at(folder) as (config, connection, key):
        found = incidents(connection, _sites(config, site), closed=closed)
        if as_json:
            print_json([plain(each, key) for each in found])
        elif found:
            print_table(HEADINGS, (_row(config, each) for each in found), whole=("id", "opened"))
        else:
            click.echo("No incidents." if closed else "No open incidents; --all lists those closed.")


@incident.command("show")
@REQUIRED_CONFIG
@ID
@AS_JSON
def incident_show(folder: Path, identifier: str, *, as_json: bool) -> None:
    """Print one incident: what it means, what to do, its timeline and its messages."""
    from cds_service.incidents.incidents import as_json as plain
    from cds_service.incidents.incidents import one_incident, unsealed
    from cds_service.incidents.kinds import KINDS

    with _at(folder) as (config, connection, key):
        found = one_incident(connection, identifier)
        if as_json:
            print_json(plain(found, key))
            return
        kind = KINDS[found.kind]
        where = f"site {found.site}" if found.site else "the whole deployment"
        click.echo(f"{found.id}: {found.kind}, {where}, severity {found.severity}, {found.status}")
        click.echo(f"owner: {found.owner or 'nobody yet'}; webhook: {_sent(config, found)}")
        click.echo(f"{kind.means} {kind.to_do}")
        for name, value in found.facts.items():
            click.echo(f"  {name}: {value}")
        for note in found.notes:
            text = f": {unsealed(note, key)}" if note.sealed else ""
            click.echo(f"{_minute(note.at)}  {note.what} by {note.who}{text}")


@incident.command("note")
@REQUIRED_CONFIG
@ID
@BY
@TEXT
def incident_note(folder: Path, identifier: str, by: str, text: str) -> None:
    """Add a note to the timeline of an incident."""
    from cds_service.incidents.incidents import note

    text = _text(text, "--text")
    with _at(folder) as (_, connection, key):
        note(connection, identifier, _handling(by, key, text))
    click.echo(f"Noted on {identifier}.")


@incident.command("assign")
@REQUIRED_CONFIG
@ID
@click.option("--to", "owner", required=True, metavar="NAME", help="Who takes it.")
@BY
def incident_assign(folder: Path, identifier: str, owner: str, by: str) -> None:
    """Make somebody the owner of an open incident."""
    from cds_service.incidents.incidents import assign

    owner = one_line(owner, "--to")
    with _at(folder) as (_, connection, key):
        assign(connection, identifier, owner, _handling(by, key))
    click.echo(f"The owner of {identifier} is {owner}.")


@incident.command("close")
@REQUIRED_CONFIG
@ID
@BY
@REASON
def incident_close(folder: Path, identifier: str, by: str, reason: str) -> None:
    """Close an incident; the reason is sealed into its timeline."""
    from cds_service.incidents.incidents import close

    reason = _text(reason, "--reason")
    with _at(folder) as (_, connection, key):
        close(connection, identifier, _handling(by, key, reason))
    click.echo(f"{identifier} is closed.")


@incident.command("export")
@REQUIRED_CONFIG
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--site", help="One site only. Default: all, and the whole deployment.")
@BY
@REASON
def incident_export(folder: Path, file: Path, site: str | None, by: str, reason: str) -> None:
    """Write every incident with its timeline to a new FILE, one JSON object per line, including what people wrote."""
    from cds_service.incidents.incidents import export

    said = {"by": one_line(by, "--by"), "reason": one_line(reason, "--reason")}
    # The file within the transaction: an export that fails is not on record.
    with _at(folder) as (config, connection, key), written(file) as out:
        found = export(connection, _sites(config, site), key, datetime.now(UTC), **said)
        out.writelines(f"{json.dumps(each)}\n" for each in found)
    click.echo(f"{len(found)} incidents written to {file}. People may be named in it.")


@contextmanager
def _at(folder: Path) -> Iterator[tuple[ServiceConfig, sa.Connection, DataKey]]:
    """The settings, one transaction of their store, and the data key."""
    with opened(folder, ready=True) as (config, store), store.transaction() as connection:
        yield config, connection, config.kept_key()


def _sites(config: ServiceConfig, site: str | None) -> list[str] | None:
    return None if site is None else [config.site(site).id]


def _handling(by: str, key: DataKey, text: str | None = None) -> Handling:
    from cds_service.incidents.incidents import Handling

    sealed = None if text is None else key.seal(text)
    return Handling(by=one_line(by, "--by"), at=datetime.now(UTC), sealed=sealed)


def _text(text: str, option: str) -> str:
    """What somebody wrote, here or on standard input. Raises ClickException."""
    try:
        text = (sys.stdin.read(MOST_TEXT + 1) if text == "-" else text).strip()
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{option}: expected UTF-8 text on standard input") from error
    if not 0 < len(text) <= MOST_TEXT:
        raise click.ClickException(f"{option}: expected 1 to {MOST_TEXT} characters; found {len(text) or 'none'}")
    return text


# ---- printing -----------------------------------------------------------------------------------------------------


def _minute(at: str) -> str:
    return f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _sent(config: ServiceConfig, found: Incident) -> str:
    """How far its messages are, in short."""
    waits = [message for message in found.messages if message.delivered is None]
    if not waits:
        return "sent"
    if config.webhook_of(found.site) is None:
        return "no webhook"
    return f"waits: {waits[0].failure}, attempt {waits[0].attempts}" if waits[0].failure else "waits"


def _row(config: ServiceConfig, each: Incident) -> tuple[str, ...]:
    owner = "(closed)" if each.closed else each.owner or "nobody"
    kind = each.kind.replace("-", " ")  # which wraps
    return each.id, each.at[:10], each.site or "(all)", kind, each.severity, owner, _sent(config, each)
