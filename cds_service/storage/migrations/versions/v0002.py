"""The SMART app: pending launches, sessions, what forms wrote, what was shown to whom."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Adds tables; changes no existing ones."""
    op.create_table(
        "launch_state",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "app_session",
        sa.Column("launch", sa.String(32), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("browser", sa.String(64), nullable=False, index=True),
        sa.Column("iss", sa.String(2048), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("started", sa.BigInteger, nullable=False, index=True),
        sa.Column("used", sa.BigInteger, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("ended", sa.String(20)),
    )
    op.create_table(
        "submission",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("launch", sa.String(32), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "written",
        sa.Column("submission", sa.String(128), primary_key=True),
        sa.Column("slot", sa.String(40), primary_key=True),
        sa.Column("reference", sa.String(256), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "app_event",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("event", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    """Refused: acknowledged rows are never discarded."""
    raise NotImplementedError("the store goes forward only; restore a backup instead")
