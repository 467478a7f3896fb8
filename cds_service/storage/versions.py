"""The version of the store's tables: the current one, the one this code needs, and the upgrade."""

from __future__ import annotations

import sqlalchemy as sa

from cds_service.errors import ConfigError, StoreUnavailable
from cds_service.storage.store import Store

NEWEST = "0008"
"""The version of the tables that this code expects: the last of `migrations`."""


def revision(store: Store) -> str | None:
    """The version of the store's tables; None for an empty database."""
    with store.transaction() as connection:
        return revision_in(connection)


def revision_in(connection: sa.Connection) -> str | None:
    """The same, within a transaction."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return found


def check(store: Store) -> None:
    """Raises StoreUnavailable unless the database answers and has the tables of this version."""
    store.outage.until = 0.0  # a check must ask the database itself; calls go on without it until it has answered
    actual = revision(store)
    if actual != NEWEST:
        raise StoreUnavailable(f"its tables are of version {actual}, expected {NEWEST}: run `mhcds db upgrade`")


def upgrade(store: Store) -> None:
    """Upgrades the tables to this version; idempotent. Raises ConfigError for later tables."""
    # Only an upgrade needs it; a worker would keep 9 MB of it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", "cds_service.storage:migrations")
    try:
        with store.transaction(patient=True) as connection:
            if store.file is not None:  # sqlite3 begins no transaction before a CREATE or DROP
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise ConfigError(
            f"store: its tables are of version {revision(store)}, later than {NEWEST}: update mhcds"
        ) from error
