"""What was found of models at a site, and who is in which arm of a trial."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Adds three tables."""
    op.create_table(
        "site_figure",
        sa.Column("site", sa.String(100), primary_key=True),
        sa.Column("outcome", sa.String(40), primary_key=True),
        sa.Column("version", sa.String(40), primary_key=True),
        sa.Column("month", sa.String(7), primary_key=True),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("figures", sa.JSON, nullable=False),
    )
    op.create_table(
        "trial_protocol",
        sa.Column("trial", sa.String(100), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("fixed", sa.String(64), nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
    )
    op.create_table(
        "allocation",
        sa.Column("trial", sa.String(100), primary_key=True),
        sa.Column("site", sa.String(100), primary_key=True),
        sa.Column("unit", sa.String(100), primary_key=True),
        sa.Column("stratum", sa.String(200), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("arm", sa.String(20), nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.UniqueConstraint("trial", "site", "stratum", "number", name="uq_allocation_number"),
    )
