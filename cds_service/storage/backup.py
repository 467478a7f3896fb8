"""Backups as gzipped lines of JSON, which SQLite and PostgreSQL both restore (decision 0022)."""

from __future__ import annotations

import gzip
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

import sqlalchemy as sa

from cds_service.errors import ConfigError
from cds_service.storage.store import Store
from cds_service.storage.tables import NUMBERED, PASSING, SCHEMA, delivery
from cds_service.storage.versions import NEWEST, revision_in

ROWS_AT_ONCE = 1000


def write_backup(store: Store, target: Path) -> int:
    """Writes a snapshot of all rows, for its owner alone, and returns their number. Encrypted values stay encrypted.

    Raises ConfigError when the file exists or cannot be written; no partial file is left behind.
    """
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ConfigError(f"{target}: expected a new file that can be written ({error.strerror})") from error
    try:
        with os.fdopen(descriptor, "wb") as raw:
            with gzip.open(raw, "wt", encoding="utf-8") as file:
                count = _write_rows(store, file)
            raw.flush()
            os.fsync(descriptor)
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise ConfigError(f"{target}: cannot be written ({error.strerror}); nothing was kept") from error
        raise
    return count


def _write_rows(store: Store, file: TextIO) -> int:
    count = 0
    with store.transaction(snapshot=True, patient=True) as connection:
        file.write(json.dumps({"mhcds": "backup", "revision": revision_in(connection)}) + "\n")
        for table in (t for t in SCHEMA.sorted_tables if t not in PASSING):
            rows = sa.select(table).order_by(*table.primary_key.columns).execution_options(yield_per=ROWS_AT_ONCE)
            for row in connection.execute(rows).mappings():
                values = {k: {"hex": v.hex()} if isinstance(v, bytes) else v for k, v in row.items()}
                file.write(json.dumps([table.name, values]) + "\n")
                count += 1
    return count


def restore_backup(store: Store, source: Path) -> int:
    """Reads a backup of either database into an empty store, all or nothing, and returns the number of rows.

    Raises ConfigError when the file is not a backup of this version, or the store is not empty.
    """
    count = 0
    try:
        with gzip.open(source, "rt", encoding="utf-8") as file, store.transaction(patient=True) as connection:
            head = json.loads(next(file, "null"))
            if not isinstance(head, dict) or head.get("mhcds") != "backup":
                raise ConfigError(f"{source}: expected a file written by `mhcds db backup`")
            if head["revision"] != NEWEST:
                raise ConfigError(f"{source}: its version is {head['revision']}, this is {NEWEST}")
            for table in SCHEMA.sorted_tables:
                if connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first():
                    raise ConfigError(f"restore: expected an empty store; found rows in {table.name}")
            for line in file:
                name, values = json.loads(line)
                row = {k: bytes.fromhex(v["hex"]) if _is_bytes(v) else v for k, v in values.items()}
                connection.execute(SCHEMA.tables[name].insert().values(row))
                count += 1
            _continue_numbering(connection)
            _withdraw_old(connection)
    except (OSError, EOFError, ValueError, KeyError) as error:
        raise ConfigError(f"{source}: expected a file written by `mhcds db backup`; it cannot be read") from error
    return count


def _is_bytes(value: object) -> bool:
    return isinstance(value, dict) and set(value) == {"hex"}


def _withdraw_old(connection: sa.Connection) -> None:
    """Nobody is told of what is long past; its escalation stays open and overdue (decision 0050)."""
    now = datetime.now(UTC)
    old = sa.and_(delivery.c.escalation.is_not(None), delivery.c.at < (now - timedelta(days=1)).isoformat())
    change = {"delivered": int(now.timestamp()), "failure": "withdrawn"}
    connection.execute(delivery.update().where(old, delivery.c.delivered.is_(None)).values(change))


def _continue_numbering(connection: sa.Connection) -> None:
    """Sets PostgreSQL's sequences; SQLite continues from the highest row by itself."""
    if connection.dialect.name != "postgresql":
        return
    for table in NUMBERED:
        highest = sa.select(sa.func.coalesce(sa.func.max(table.c.id), 0) + 1).scalar_subquery()
        sequence = sa.func.pg_get_serial_sequence(table.name, "id")
        connection.execute(sa.select(sa.func.setval(sequence, highest, False)))  # noqa: FBT003  # as SQL has it
