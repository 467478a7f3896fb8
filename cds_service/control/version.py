"""The number that tells workers to read modes, switches and opt-outs again. Random: no restored database has it."""

from __future__ import annotations

import secrets

import sqlalchemy as sa

from cds_service.storage.calls import CONTROL
from cds_service.storage.tables import control_version, insert_into


def lock(connection: sa.Connection) -> None:
    """The first statement of every act: acts come one after the other, each seeing what the one before it left."""
    start = insert_into(connection, control_version).values(name=CONTROL, number=0)
    connection.execute(start.on_conflict_do_update(index_elements=["name"], set_={"number": control_version.c.number}))


def changed(connection: sa.Connection) -> None:
    """Within the act's transaction: the next call of every worker reads anew."""
    row = control_version.update().where(control_version.c.name == CONTROL)
    connection.execute(row.values(number=1 + secrets.randbits(62)))


def number(connection: sa.Connection) -> int:
    """The number now; 0 where nothing was ever changed."""
    found = connection.execute(sa.select(control_version.c.number).where(control_version.c.name == CONTROL)).scalar()
    return int(found or 0)
