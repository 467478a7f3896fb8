"""Who a pending launch comes from, so that a flood pushes out its own; indexes for deleting old rows in small parts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Adds columns with defaults, so that workers of the version before go on, and indexes."""
    op.add_column("launch_state", sa.Column("source", sa.String(64), nullable=False, server_default=""))
    op.add_column("launch_state", sa.Column("known", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index("ix_launch_state_known_expires", "launch_state", ["known", "expires"])
    op.drop_index("ix_app_session_started", "app_session")
    op.create_index("ix_app_session_used", "app_session", ["used"])
    op.create_index("ix_app_session_ended_used", "app_session", ["ended", "used"])


def downgrade() -> None:
    """Refused: acknowledged rows are never discarded."""
    raise NotImplementedError("the store goes forward only; restore a backup instead")
