"""What Alembic tells an empty database, told again: it takes a tenth of a second to work that out, and most tests begin so.

The first upgrade of an empty SQLite file and of an empty PostgreSQL database is Alembic's own and is written down, and
every later one in this process says the same, statement by statement, in the transaction of whoever upgrades. A
database with any table in it is left to Alembic.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

_told: dict[str, list[tuple[str, object]]] = {}
_real = command.upgrade


def _upgrade(config: Config, revision: str) -> None:
    connection = config.attributes["connection"]
    if revision != "head" or sa.inspect(connection).get_table_names():
        _real(config, revision)
    elif known := _told.get(connection.dialect.name):
        for statement, values in known:
            connection.exec_driver_sql(statement, values)
    else:
        _told[connection.dialect.name] = _written_down(connection, config)


def _written_down(connection: sa.Connection, config: Config) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []

    def note(
        _connection: object, _cursor: object, statement: str, values: object, _context: object, _many: bool
    ) -> None:
        if not statement.lstrip().startswith(("SELECT", "PRAGMA")):
            found.append((statement, values or None))

    sa.event.listen(connection, "before_cursor_execute", note)
    try:
        _real(config, "head")
    finally:
        sa.event.remove(connection, "before_cursor_execute", note)
    return found


def install() -> None:
    """From here on, in this process."""
    command.upgrade = _upgrade
