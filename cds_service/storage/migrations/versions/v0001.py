"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Tokens used, calls counted, answers, their cards, feedback."""
    op.create_table(
        "used_token",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("expires", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "tally",
        sa.Column("client", sa.String(64), primary_key=True),
        sa.Column("minute", sa.BigInteger, primary_key=True),
        sa.Column("calls", sa.Integer, nullable=False),
    )
    op.create_table(
        "answer",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("event", sa.JSON, nullable=False),
    )
    op.create_table(
        "card",
        sa.Column("uuid", sa.String(36), primary_key=True),
        sa.Column("answer", NUMBER, sa.ForeignKey("answer.id"), nullable=False, index=True),
        sa.Column("site", sa.String(100), nullable=False),
        sa.Column("topic", sa.String(40), nullable=False),
        sa.Column("indicator", sa.String(10), nullable=False),
        sa.Column("suggestions", sa.JSON, nullable=False),
    )
    op.create_table(
        "feedback",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("site", sa.String(100), nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("card", sa.String(256), nullable=False, index=True),
        sa.Column("answer", NUMBER, sa.ForeignKey("answer.id")),
        sa.Column("topic", sa.String(40)),
        sa.Column("outcome", sa.String(10), nullable=False),
        sa.Column("outcome_at", sa.String(40), nullable=False),
        sa.Column("suggestions", sa.JSON, nullable=False),
        sa.Column("reason_system", sa.String(256)),
        sa.Column("reason_code", sa.String(256)),
        sa.Column("reason_hl7", sa.String(64)),
        sa.Column("comment", sa.LargeBinary),
    )


def downgrade() -> None:
    """Refused: acknowledged rows are never discarded."""
    raise NotImplementedError("the store goes forward only; restore a backup instead")
