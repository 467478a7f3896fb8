"""Escalations, what was shown to whom, snoozes, subscriptions; what is sent has lanes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Adds tables and columns; messages about an incident get its id as their lane."""
    op.create_table(
        "escalation",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("site", sa.String(100), nullable=False),
        sa.Column("patient", sa.String(32)),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("due", sa.BigInteger),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("contact", sa.String(100)),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("drill", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("only", sa.String(100)),
        sa.Column("acknowledged", sa.String(40)),
        sa.Column("acknowledged_by", sa.String(200)),
        sa.Column("through", sa.String(100)),
        sa.Column("done", sa.JSON, nullable=False),
        sa.Column("closed", sa.String(40)),
        sa.Column("why_closed", sa.String(40)),
        sa.Index("ix_escalation_site_patient", "site", "patient"),
        sa.Index("ix_escalation_status_due", "status", "due"),
        sa.Index(
            "ix_escalation_open",
            "site",
            "patient",
            unique=True,
            sqlite_where=sa.text("status = 'open'"),
            postgresql_where=sa.text("status = 'open'"),
        ),
    )
    op.create_table(
        "escalation_event",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("escalation", sa.String(36), sa.ForeignKey("escalation.id"), nullable=False, index=True),
        sa.Column("at", sa.String(40), nullable=False),
    )
    op.create_table(
        "snooze",
        sa.Column("site", sa.String(100), primary_key=True),
        sa.Column("patient", sa.String(32), primary_key=True),
        sa.Column("shown_to", sa.String(32), primary_key=True),
        sa.Column("topic", sa.String(40), primary_key=True),
        sa.Column("reason", sa.String(64), primary_key=True),
        sa.Column("basis", sa.String(40), primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "arrival",
        sa.Column("site", sa.String(100), primary_key=True),
        sa.Column("patient", sa.String(32), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=False, index=True),
        sa.Column("failure", sa.String(100)),
    )
    op.create_table(
        "subscription",
        sa.Column("site", sa.String(100), primary_key=True),
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("heard", sa.BigInteger, nullable=False),
        sa.Column("missing", sa.JSON, nullable=False),
    )
    for column in (
        sa.Column("patient", sa.String(32)),
        sa.Column("shown_to", sa.String(32)),
        sa.Column("at", sa.BigInteger),
        sa.Column("encounter", sa.String(32)),
        sa.Column("prompted", sa.String(200), nullable=False, server_default=""),
        sa.Column("basis", sa.String(32), nullable=False, server_default=""),
    ):
        op.add_column("card", column)
    op.create_index("ix_card_site_patient_at", "card", ["site", "patient", "at"])
    op.create_index("ix_card_site_shown_to_at", "card", ["site", "shown_to", "at"])
    _renew_deliveries()


def _renew_deliveries() -> None:
    """Copied, dropped and made anew, since SQLite can add neither a foreign key nor a column without a default."""
    kept = "id, site, incident, body, at, attempts, due, delivered, failure"
    op.execute(f"CREATE TEMPORARY TABLE old_delivery AS SELECT {kept} FROM delivery")  # noqa: S608  # our own names
    op.drop_table("delivery")
    op.create_table(
        "delivery",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("site", sa.String(100), nullable=False),
        sa.Column("lane", sa.String(140), nullable=False, index=True),
        sa.Column("incident", sa.String(36), sa.ForeignKey("incident.id"), index=True),
        sa.Column("escalation", sa.String(36), sa.ForeignKey("escalation.id"), index=True),
        sa.Column("contact", sa.String(100)),
        sa.Column("reference", sa.String(256)),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due", sa.BigInteger, nullable=False),
        sa.Column("delivered", sa.BigInteger),
        sa.Column("failure", sa.String(100)),
        sa.Index(
            "ix_delivery_waiting",
            "due",
            sqlite_where=sa.text("delivered IS NULL"),
            postgresql_where=sa.text("delivered IS NULL"),
        ),
    )
    op.execute(f"INSERT INTO delivery (lane, {kept}) SELECT COALESCE(incident, id), {kept} FROM old_delivery")  # noqa: S608
    op.drop_table("old_delivery")


def downgrade() -> None:
    """Refused: acknowledged rows are never discarded."""
    raise NotImplementedError("the store goes forward only; restore a backup instead")
