"""`mhcds db`: tables, backups and the data key; `mhcds smart`: keys of the SMART app."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

import click

from cds_service.commands.options import REQUIRED_CONFIG, opened


@click.group()
def db() -> None:
    """The store: tables, backups, keys."""


@db.command("upgrade")
@REQUIRED_CONFIG
def db_upgrade(folder: Path) -> None:
    """Upgrade the store's tables to this version; it is safe to repeat."""
    from cds_service.storage.versions import revision, upgrade

    with opened(folder) as (_config, store):
        before = revision(store)
        upgrade(store)
        click.echo(f"Tables: version {before or 'none'} before, {revision(store)} now.")


@db.command("backup")
@REQUIRED_CONFIG
@click.argument("file", type=click.Path(path_type=Path))
def db_backup(folder: Path, file: Path) -> None:
    """Back up every row, as of one moment, to FILE (gzip) while the service runs. The data key is not in it."""
    from cds_service.storage.backup import write_backup

    with opened(folder) as (_config, store):
        click.echo(f"{write_backup(store, file)} rows written to {file}. Keep the data key elsewhere.")


@db.command("restore")
@REQUIRED_CONFIG
@click.argument("file", type=click.Path(path_type=Path))
def db_restore(folder: Path, file: Path) -> None:
    """Restore a backup from FILE into an empty store, all or nothing; SQLite and PostgreSQL read each other's."""
    from cds_service.storage.backup import restore_backup
    from cds_service.storage.versions import upgrade

    with opened(folder) as (_config, store):
        upgrade(store)
        click.echo(f"{restore_backup(store, file)} rows restored.")


@db.command("pseudonym")
@REQUIRED_CONFIG
@click.option("--site", required=True, help="Id of the site whose records are searched.")
def db_pseudonym(folder: Path, site: str) -> None:
    """Print the pseudonym that a site's records hold for each id on standard input, one per line."""
    with opened(folder) as (config, _store):
        identifier, key = config.site(site).id, config.kept_key()
        for line in sys.stdin:
            click.echo(key.pseudonym(identifier, line.rstrip("\r\n")))


@db.command("replay")
@REQUIRED_CONFIG
@click.argument("file", metavar="LOG", type=click.File(encoding="utf-8", errors="replace"))
def db_replay(folder: Path, file: TextIO) -> None:
    """Add the answers that reached only the service's LOG (- for standard input) while the store was down.

    It is safe to repeat.
    """
    from cds_service.storage.replay import logged_answers, replay

    with opened(folder) as (_config, store):
        added, known = replay(store, logged_answers(file))
        click.echo(f"{added} answers added, {known} were already in the store.")


@db.command("new-key")
def db_new_key() -> None:
    """Print a new data key, for a file that only the service can read."""
    from cds_service.keys.data_key import new_key

    click.echo(new_key().text)


@click.group()
def smart() -> None:
    """The SMART app: our client keys."""


@smart.command("new-key")
@click.option("--algorithm", type=click.Choice(["ES384", "RS384"]), default="ES384", show_default=True)
def smart_new_key(algorithm: str) -> None:
    """Print a new private key (PEM), for a file that only the service can read; name it in smart_keys."""
    from smart_launch.oauth.own_keys import new_pem

    click.echo(new_pem(algorithm), nl=False)
