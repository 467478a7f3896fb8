"""The audit chain; modes, switches and opt-outs; incidents and their webhooks; sign-ins to the governance pages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Adds tables; changes no existing ones."""
    op.create_table(
        "audit_event",
        sa.Column("site", sa.String(100), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("patient", sa.String(32)),
        sa.Column("event", sa.Text),
        sa.Column("salt", sa.String(32)),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("link", sa.String(64), nullable=False),
        sa.Index("ix_audit_event_site_patient", "site", "patient"),
    )
    op.create_table(
        "chain_head",
        sa.Column("site", sa.String(100), primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("link", sa.String(64), nullable=False),
    )
    op.create_table(
        "control_version",
        sa.Column("name", sa.String(20), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "mode",
        sa.Column("site", sa.String(100), primary_key=True),
        sa.Column("service", sa.String(64), primary_key=True),
        sa.Column("outcome", sa.String(40), primary_key=True),
        sa.Column("version", sa.String(40), primary_key=True),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("setting", sa.JSON, nullable=False),
    )
    op.create_table(
        "switch",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("site", sa.String(100), nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("outcome", sa.String(40), nullable=False),
        sa.Column("topic", sa.String(40), nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("setting", sa.JSON, nullable=False),
    )
    op.create_table(
        "opt_out",
        sa.Column("site", sa.String(100), primary_key=True),
        sa.Column("patient", sa.String(32), primary_key=True),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("source", sa.String(100), nullable=False),
    )
    op.create_table(
        "incident",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("site", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        # The same occasion opens one incident: null once it is closed.
        sa.Column("occasion", sa.String(200), unique=True),
        sa.Column("severity", sa.String(10), nullable=False),
        sa.Column("status", sa.String(10), nullable=False, index=True),
        sa.Column("owner", sa.String(200)),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("closed", sa.String(40)),
        sa.Column("facts", sa.JSON, nullable=False),
    )
    op.create_table(
        "incident_note",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("incident", sa.String(36), sa.ForeignKey("incident.id"), nullable=False, index=True),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("what", sa.String(40), nullable=False),
        sa.Column("text", sa.LargeBinary),
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("site", sa.String(100), nullable=False),
        sa.Column("incident", sa.String(36), sa.ForeignKey("incident.id"), index=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=False, index=True),
        sa.Column("delivered", sa.BigInteger),
        sa.Column("failure", sa.String(100)),
    )
    op.create_table(
        "sign_in",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "governance_session",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("started", sa.BigInteger, nullable=False),
        sa.Column("used", sa.BigInteger, nullable=False, index=True),
        sa.Column("ended", sa.String(20)),
    )


def downgrade() -> None:
    """Refused: acknowledged rows are never discarded."""
    raise NotImplementedError("the store goes forward only; restore a backup instead")
