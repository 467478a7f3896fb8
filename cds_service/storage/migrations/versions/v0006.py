"""Answers, records of the app and feedback become events of the audit chain, in order of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

from cds_service.storage.chain import AuditKind, Content, first_link, linked

revision = "0006"
down_revision = "0005"
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
AT_ONCE = 500
ANSWER = sa.table("answer", sa.column("id"), sa.column("at"), sa.column("event"))
APP_EVENT = sa.table("app_event", sa.column("id"), sa.column("at"), sa.column("event"))
FEEDBACK_FIELDS = (
    "service", "card", "topic", "outcome", "outcome_at", "suggestions", "reason_system", "reason_code", "reason_hl7",
)  # fmt: skip
FEEDBACK = sa.table("feedback", *map(sa.column, ("id", "at", "site", "answer", *FEEDBACK_FIELDS)))
OLD_CARDS = """
    CREATE TEMPORARY TABLE old_card AS SELECT uuid, topic, indicator, suggestions, moved.site, seq
    FROM card JOIN moved ON moved.id = card.answer
"""
OLD_FEEDBACK = """
    CREATE TEMPORARY TABLE old_feedback AS SELECT feedback.id, at, digest, service, card, topic, outcome, outcome_at,
        suggestions, reason_system, reason_code, reason_hl7, comment, COALESCE(moved.site, feedback.site), seq
    FROM feedback LEFT JOIN moved ON moved.id = feedback.answer
"""
NEW_FEEDBACK = """
    INSERT INTO feedback (id, at, digest, service, card, topic, outcome, outcome_at,
        suggestions, reason_system, reason_code, reason_hl7, comment, site, answer)
    SELECT * FROM old_feedback
"""
CONTINUE_NUMBERING = """
    SELECT setval(pg_get_serial_sequence('feedback', 'id'), (SELECT COALESCE(MAX(id), 0) + 1 FROM feedback), false)
"""


def upgrade() -> None:
    """Moves every row; an answer's number becomes that in its site's chain, for its cards and feedback too."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        # Workers of the version before wait, fail, and leave their answers in the log, for `mhcds db replay`.
        op.execute("LOCK TABLE answer, app_event, card, feedback IN ACCESS EXCLUSIVE MODE")
    op.execute("CREATE TEMPORARY TABLE moved (id BIGINT PRIMARY KEY, site TEXT NOT NULL, seq BIGINT NOT NULL)")
    _move(connection)
    # Copied, dropped and made anew, since SQLite cannot change a foreign key.
    op.execute(OLD_CARDS)
    op.execute(OLD_FEEDBACK)
    for table in ("card", "feedback", "answer", "app_event"):
        op.drop_table(table)
    _create_tables()
    op.execute("INSERT INTO card (uuid, topic, indicator, suggestions, site, answer) SELECT * FROM old_card")
    op.execute(NEW_FEEDBACK)
    if connection.dialect.name == "postgresql":
        op.execute(CONTINUE_NUMBERING)
    for table in ("moved", "old_card", "old_feedback"):
        op.drop_table(table)


def _move(connection: sa.Connection) -> None:
    """Appends all rows to the chains, some hundred at a time."""
    heads: dict[str, tuple[int, str]] = {
        site: (seq, link) for site, seq, link in connection.execute(sa.text("SELECT site, seq, link FROM chain_head"))
    }
    order = _in_order(connection)
    while some := list(islice(order, AT_ONCE)):
        known = {
            name: _rows(connection, table, [row.id for row in some if row.name == name])
            for name, table in (("answer", ANSWER), ("app", APP_EVENT), ("feedback", FEEDBACK))
        }
        events, answers = [], []
        for name, number, _ in some:
            row = known[name][number]
            site, content = _event(connection, name, row)
            (event,) = linked(site, heads.get(site, (0, first_link(site))), (content,))
            heads[site] = event[1], event[-1]
            events.append(event)
            if name == "answer":
                answers.append({"id": number, "site": site, "seq": event[1]})
        names = ("site", "seq", "at", "kind", "patient", "event", "salt", "digest", "link")
        target = sa.table("audit_event", *map(sa.column, names))
        connection.execute(target.insert(), [dict(zip(names, event, strict=True)) for event in events])
        if answers:
            connection.execute(sa.table("moved", *map(sa.column, ("id", "site", "seq"))).insert(), answers)
    connection.execute(sa.text("DELETE FROM chain_head"))
    if heads:
        target = sa.table("chain_head", *map(sa.column, ("site", "seq", "link")))
        connection.execute(
            target.insert(), [{"site": site, "seq": seq, "link": link} for site, (seq, link) in heads.items()]
        )


def _in_order(connection: sa.Connection) -> Iterator[Any]:
    """Name of the table, id and time of every row, in order of time."""
    at = sa.collate(sa.column("at"), "C" if connection.dialect.name == "postgresql" else "BINARY")
    parts = (
        sa.select(sa.literal_column(f"'{name}'").label("name"), table.c.id, table.c.at)
        for name, table in (("answer", ANSWER), ("app", APP_EVENT), ("feedback", FEEDBACK))
    )
    every = sa.union_all(*parts).subquery()
    wanted = sa.select(every.c.name, every.c.id, every.c.at).order_by(at, every.c.name, every.c.id)
    yield from connection.execute(wanted.execution_options(yield_per=AT_ONCE))


def _rows(connection: sa.Connection, table: sa.TableClause, ids: list[int]) -> Mapping[int, Mapping[str, Any]]:
    if not ids:
        return {}
    found = connection.execute(sa.select(table).where(table.c.id.in_(ids)))
    return {row["id"]: dict(row) for row in found.mappings()}


def _event(connection: sa.Connection, name: str, row: Mapping[str, Any]) -> tuple[str, Content]:
    if name == "feedback":
        event = {field: _value(row[field]) if field == "suggestions" else row[field] for field in FEEDBACK_FIELDS}
        patient = _patient_of(connection, row["answer"])
        event |= {"patient": patient} if patient else {}
        return row["site"], Content.of(AuditKind.FEEDBACK, row["at"], event)
    event = _value(row["event"])
    return event.get("site") or "", Content.of(AuditKind(name), row["at"], event)


def _patient_of(connection: sa.Connection, answer: int | None) -> str | None:
    """The patient of a card's answer."""
    event = answer and connection.scalar(sa.select(ANSWER.c.event).where(ANSWER.c.id == answer))
    patient: str | None = _value(event).get("patient") if event else None
    return patient


def _value(found: object) -> Any:  # noqa: ANN401  # JSON
    """Psycopg reads JSON itself; sqlite3 does not."""
    return msgspec.json.decode(found) if isinstance(found, str) else found


def _create_tables() -> None:
    answer = ["audit_event.site", "audit_event.seq"]
    op.create_table(
        "card",
        sa.Column("uuid", sa.String(36), primary_key=True),
        sa.Column("site", sa.String(100), nullable=False),
        sa.Column("answer", sa.BigInteger, nullable=False),
        sa.Column("topic", sa.String(40), nullable=False),
        sa.Column("indicator", sa.String(10), nullable=False),
        sa.Column("suggestions", sa.JSON, nullable=False),
        sa.ForeignKeyConstraint(["site", "answer"], answer),
        sa.Index("ix_card_site_answer", "site", "answer"),
    )
    op.create_table(
        "feedback",
        sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("site", sa.String(100), nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("card", sa.String(256), nullable=False, index=True),
        sa.Column("answer", sa.BigInteger),
        sa.Column("topic", sa.String(40)),
        sa.Column("outcome", sa.String(10), nullable=False),
        sa.Column("outcome_at", sa.String(40), nullable=False),
        sa.Column("suggestions", sa.JSON, nullable=False),
        sa.Column("reason_system", sa.String(256)),
        sa.Column("reason_code", sa.String(256)),
        sa.Column("reason_hl7", sa.String(64)),
        sa.Column("comment", sa.LargeBinary),
        sa.ForeignKeyConstraint(["site", "answer"], answer),
        sa.Index("ix_feedback_site_answer", "site", "answer"),
    )


def downgrade() -> None:
    """Refused: acknowledged rows are never discarded."""
    raise NotImplementedError("the store goes forward only; restore a backup instead")
