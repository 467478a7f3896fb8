"""The version of the store's tables: the current one, the one this code needs, and the upgrade."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from cds_service.errors import ConfigError, StoreUnavailable
from cds_service.storage.store import Store


def newest() -> str:
    """The version of the tables that this code expects."""
    return ScriptDirectory.from_config(_alembic()).get_current_head() or ""


def revision(store: Store) -> str | None:
    """The version of the store's tables; None for an empty database."""
    with store.transaction() as connection:
        return revision_in(connection)


def revision_in(connection: sa.Connection) -> str | None:
    """The same, within a transaction."""
    return MigrationContext.configure(connection).get_current_revision()


def check(store: Store) -> None:
    """Raises StoreUnavailable unless the database answers and has the tables of this version."""
    store.outage.until = 0.0  # a check must ask the database itself; calls go on without it until it has answered
    actual = revision(store)
    if actual != newest():
        raise StoreUnavailable(f"its tables are of version {actual}, expected {newest()}: run `mhcds db upgrade`")


def upgrade(store: Store) -> None:
    """Upgrades the tables to this version; idempotent. Raises ConfigError for later tables."""
    config = _alembic()
    try:
        with store.transaction(patient=True) as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise ConfigError(
            f"store: its tables are of version {revision(store)}, later than {newest()}: update mhcds"
        ) from error


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", "cds_service.storage:migrations")
    return config
