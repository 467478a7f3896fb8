"""The tables of the store. A change here needs a new file in `migrations/versions`."""

from __future__ import annotations

import time

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

SCHEMA = sa.MetaData()
NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")

used_token = sa.Table(
    "used_token",
    SCHEMA,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("expires", sa.BigInteger, nullable=False, index=True),
)
tally = sa.Table(
    "tally",
    SCHEMA,
    sa.Column("client", sa.String(64), primary_key=True),
    sa.Column("minute", sa.BigInteger, primary_key=True),
    sa.Column("calls", sa.Integer, nullable=False),
)
# Cards about gaps: a keyed digest of who was shown which gap of whose chart, and when, in seconds since 1970.
shown_gap = sa.Table(
    "shown_gap",
    SCHEMA,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False, index=True),
)
# ---- the audit chain ----------------------------------------------------------------------------------------------

audit_event = sa.Table(
    "audit_event",
    SCHEMA,
    # "" for what concerns the whole deployment, and for calls that no site's settings cover.
    sa.Column("site", sa.String(100), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("kind", sa.String(40), nullable=False),
    # The patient's pseudonym, as in the event.
    sa.Column("patient", sa.String(32)),
    # JSON, letter by letter as it was hashed; null, as patient and salt are, once it was erased.
    sa.Column("event", sa.Text),
    sa.Column("salt", sa.String(32)),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("link", sa.String(64), nullable=False),
    sa.Index("ix_audit_event_site_patient", "site", "patient"),
)
chain_head = sa.Table(
    "chain_head",
    SCHEMA,
    sa.Column("site", sa.String(100), primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("link", sa.String(64), nullable=False),
)

# ---- cards --------------------------------------------------------------------------------------------------------

card = sa.Table(
    "card",
    SCHEMA,
    sa.Column("uuid", sa.String(36), primary_key=True),
    sa.Column("site", sa.String(100), nullable=False),
    # The number of the answer that it came with.
    sa.Column("answer", sa.BigInteger, nullable=False),
    sa.Column("topic", sa.String(40), nullable=False),
    sa.Column("indicator", sa.String(10), nullable=False),
    sa.Column("suggestions", sa.JSON, nullable=False),
    # Of whom it was, who was shown it (pseudonyms, as in the answer) and when, in seconds since 1970; null for cards
    # sent before version 0007.
    sa.Column("patient", sa.String(32)),
    sa.Column("shown_to", sa.String(32)),
    sa.Column("at", sa.BigInteger),
    # In which encounter the chart was opened, as a pseudonym; null where that is not known.
    sa.Column("encounter", sa.String(32)),
    # The models that prompted it (`depression 2.0.0`, by commas), and a digest of what it rests on.
    sa.Column("prompted", sa.String(200), nullable=False, server_default=""),
    sa.Column("basis", sa.String(32), nullable=False, server_default=""),
    sa.ForeignKeyConstraint(["site", "answer"], ["audit_event.site", "audit_event.seq"]),
    sa.Index("ix_card_site_answer", "site", "answer"),
    sa.Index("ix_card_site_patient_at", "site", "patient", "at"),
    sa.Index("ix_card_site_shown_to_at", "site", "shown_to", "at"),
)
# What a clinician asked not to be shown again for a while. shown_to: "" for everybody. basis: of the card that it was
# said on, after `model:` where a model prompted it. at, until: seconds since 1970.
snooze = sa.Table(
    "snooze",
    SCHEMA,
    sa.Column("site", sa.String(100), primary_key=True),
    sa.Column("patient", sa.String(32), primary_key=True),
    sa.Column("shown_to", sa.String(32), primary_key=True),
    sa.Column("topic", sa.String(40), primary_key=True),
    sa.Column("reason", sa.String(64), primary_key=True),
    sa.Column("basis", sa.String(40), primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False, index=True),
)
feedback = sa.Table(
    "feedback",
    SCHEMA,
    sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("site", sa.String(100), nullable=False),
    sa.Column("service", sa.String(64), nullable=False),
    sa.Column("card", sa.String(256), nullable=False, index=True),
    # The number of the answer that the card came with; null for a card unknown at this site.
    sa.Column("answer", sa.BigInteger),
    sa.Column("topic", sa.String(40)),
    sa.Column("outcome", sa.String(10), nullable=False),
    sa.Column("outcome_at", sa.String(40), nullable=False),
    sa.Column("suggestions", sa.JSON, nullable=False),
    sa.Column("reason_system", sa.String(256)),
    sa.Column("reason_code", sa.String(256)),
    sa.Column("reason_hl7", sa.String(64)),
    sa.Column("comment", sa.LargeBinary),
    sa.ForeignKeyConstraint(["site", "answer"], ["audit_event.site", "audit_event.seq"]),
    sa.Index("ix_feedback_site_answer", "site", "answer"),
)

# ---- the SMART app ------------------------------------------------------------------------------------------------

launch_state = sa.Table(
    "launch_state",
    SCHEMA,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("expires", sa.BigInteger, nullable=False, index=True),
    # Who began it: a browser known by a session, else a pseudonym of a network address.
    sa.Column("source", sa.String(64), nullable=False, server_default=""),
    sa.Column("known", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("ix_launch_state_known_expires", "known", "expires"),
)
app_session = sa.Table(
    "app_session",
    SCHEMA,
    sa.Column("launch", sa.String(32), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("browser", sa.String(64), nullable=False, index=True),
    sa.Column("iss", sa.String(2048), nullable=False),
    # Tokens and patient, encrypted; empty once the session has ended.
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("started", sa.BigInteger, nullable=False),
    sa.Column("used", sa.BigInteger, nullable=False, index=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("ended", sa.String(20)),
    sa.Index("ix_app_session_ended_used", "ended", "used"),
)
submission = sa.Table(
    "submission",
    SCHEMA,
    sa.Column("id", sa.String(128), primary_key=True),
    sa.Column("launch", sa.String(32), nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False, index=True),
)
written = sa.Table(
    "written",
    SCHEMA,
    sa.Column("submission", sa.String(128), primary_key=True),
    sa.Column("slot", sa.String(40), primary_key=True),
    sa.Column("reference", sa.String(256), nullable=False),
    # When it was noted, in seconds since 1970; notes older than two days are dropped.
    sa.Column("at", sa.BigInteger, nullable=False, index=True, default=lambda: int(time.time())),
)

# ---- control ------------------------------------------------------------------------------------------------------

# Goes up with every change of modes, switches and opt-outs, so that workers know when to read them again.
control_version = sa.Table(
    "control_version",
    SCHEMA,
    sa.Column("name", sa.String(20), primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
)
# "" in service: every service. `setting`: the mode, who set it, why, under which approval, and who is in a pilot.
mode = sa.Table(
    "mode",
    SCHEMA,
    sa.Column("site", sa.String(100), primary_key=True),
    sa.Column("service", sa.String(64), primary_key=True),
    sa.Column("outcome", sa.String(40), primary_key=True),
    sa.Column("version", sa.String(40), primary_key=True),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("setting", sa.JSON, nullable=False),
)
# What is switched off (state "off"), or waits for a second person ("pending"). "" in a column: all of them.
switch = sa.Table(
    "switch",
    SCHEMA,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("site", sa.String(100), nullable=False),
    sa.Column("service", sa.String(64), nullable=False),
    sa.Column("outcome", sa.String(40), nullable=False),
    sa.Column("topic", sa.String(40), nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("setting", sa.JSON, nullable=False),
)
opt_out = sa.Table(
    "opt_out",
    SCHEMA,
    sa.Column("site", sa.String(100), primary_key=True),
    sa.Column("patient", sa.String(32), primary_key=True),
    sa.Column("at", sa.String(40), nullable=False),
    # Through what it came: a command, the site's system.
    sa.Column("source", sa.String(100), nullable=False),
)

# ---- incidents ----------------------------------------------------------------------------------------------------

incident = sa.Table(
    "incident",
    SCHEMA,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("site", sa.String(100), nullable=False),
    sa.Column("kind", sa.String(40), nullable=False),
    # The same occasion opens one incident; null once that is closed, where the kind may come again.
    sa.Column("occasion", sa.String(200), unique=True),
    sa.Column("severity", sa.String(10), nullable=False),
    sa.Column("status", sa.String(10), nullable=False, index=True),
    sa.Column("owner", sa.String(200)),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("closed", sa.String(40)),
    # Codes, counts and times.
    sa.Column("facts", sa.JSON, nullable=False),
)
# The timeline. `text`: what somebody wrote, sealed.
incident_note = sa.Table(
    "incident_note",
    SCHEMA,
    sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("incident", sa.String(36), sa.ForeignKey("incident.id"), nullable=False, index=True),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("who", sa.String(200), nullable=False),
    sa.Column("what", sa.String(40), nullable=False),
    sa.Column("text", sa.LargeBinary),
)

# ---- escalations --------------------------------------------------------------------------------------------------

# One a patient while it is open; drills have no patient. status: open, acknowledged, closed. due: when the next contact
# is told, in seconds since 1970; null: there is none. step: how many were told; contact: whose turn it is; round: how
# often all have their turn, from 1. sealed: what is needed to find the patient; empty once it is no longer needed.
# only: the one contact that a drill is about.
escalation = sa.Table(
    "escalation",
    SCHEMA,
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
    # What was done, as codes with who and when.
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
# What an escalation is about: a keyed digest of each acute event, which opens one once.
escalation_event = sa.Table(
    "escalation_event",
    SCHEMA,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("escalation", sa.String(36), sa.ForeignKey("escalation.id"), nullable=False, index=True),
    sa.Column("at", sa.String(40), nullable=False),
)

# ---- what is sent -------------------------------------------------------------------------------------------------

# Messages to the sites' own systems and to contacts. id: the message's own, the same at each attempt; lane: messages of
# one lane go out in order; contact: of an escalation; due, delivered: seconds since 1970; reference: of what was made.
delivery = sa.Table(
    "delivery",
    SCHEMA,
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
    # Most have arrived, and are never looked for.
    sa.Index(
        "ix_delivery_waiting",
        "due",
        sqlite_where=sa.text("delivered IS NULL"),
        postgresql_where=sa.text("delivered IS NULL"),
    ),
)

# ---- subscriptions ------------------------------------------------------------------------------------------------

# Charts to look at since a FHIR server said that something came; one a patient. patient: a pseudonym, "" for a whole
# server. sealed: which chart. due: seconds since 1970.
arrival = sa.Table(
    "arrival",
    SCHEMA,
    sa.Column("site", sa.String(100), primary_key=True),
    sa.Column("patient", sa.String(32), primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("due", sa.BigInteger, nullable=False, index=True),
    sa.Column("failure", sa.String(100)),
)
# How far a subscription has been heard. number: of its last event; heard: seconds since 1970; missing: numbers that
# were skipped, each with when that was noticed.
subscription = sa.Table(
    "subscription",
    SCHEMA,
    sa.Column("site", sa.String(100), primary_key=True),
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("heard", sa.BigInteger, nullable=False),
    sa.Column("missing", sa.JSON, nullable=False),
)

# ---- watching models, and trials ----------------------------------------------------------------------------------

# What the last look at a site's own outcomes found, a row a version and month (`2026-11`; "" for all of its months).
# at: when it was computed. figures: JSON, counts and estimates with small cells left out.
site_figure = sa.Table(
    "site_figure",
    SCHEMA,
    sa.Column("site", sa.String(100), primary_key=True),
    sa.Column("outcome", sa.String(40), primary_key=True),
    sa.Column("version", sa.String(40), primary_key=True),
    sa.Column("month", sa.String(7), primary_key=True),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("figures", sa.JSON, nullable=False),
)
# The protocols under which a trial has assigned units. digest: of all that matters in the file; fixed: of what no later
# version may change; at: when it was first used.
trial_protocol = sa.Table(
    "trial_protocol",
    SCHEMA,
    sa.Column("trial", sa.String(100), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("fixed", sa.String(64), nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
)
# Who is in which arm of a trial, written when a unit is first met. unit: a pseudonym, or a clinic's name in the trial's
# file, after an erasure neither; number: of the unit in its stratum, from 0, which with the trial's seed gives the arm.
# stratum: in a stepped wedge the day from which the clinic is live, which with today gives the arm ("by-day").
allocation = sa.Table(
    "allocation",
    SCHEMA,
    sa.Column("trial", sa.String(100), primary_key=True),
    sa.Column("site", sa.String(100), primary_key=True),
    sa.Column("unit", sa.String(100), primary_key=True),
    sa.Column("stratum", sa.String(200), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("arm", sa.String(20), nullable=False),
    sa.Column("at", sa.String(40), nullable=False),
    sa.UniqueConstraint("trial", "site", "stratum", "number", name="uq_allocation_number"),
)

# ---- the governance pages -----------------------------------------------------------------------------------------

sign_in = sa.Table(
    "sign_in",
    SCHEMA,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("expires", sa.BigInteger, nullable=False, index=True),
)
governance_session = sa.Table(
    "governance_session",
    SCHEMA,
    sa.Column("digest", sa.String(64), primary_key=True),
    # Subject, name and roles, encrypted; empty once the session has ended.
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("started", sa.BigInteger, nullable=False),
    sa.Column("used", sa.BigInteger, nullable=False, index=True),
    sa.Column("ended", sa.String(20)),
)

# Of no use after their launch or within a day, so not in backups.
PASSING = (shown_gap, launch_state, app_session, submission, written, sign_in, governance_session)
# Rows numbered by the database.
NUMBERED = (feedback, incident_note)


def insert_into(connection: sa.Connection, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """An insert that can say what to do on a conflict, in the words of this database."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def batch(table: sa.Table, which: sa.ColumnElement[bool], most: int) -> sa.ColumnElement[bool]:
    """At most so many of these rows, none that another worker's batch holds (PostgreSQL; SQLite has one writer)."""
    key = table.primary_key.columns
    return sa.tuple_(*key).in_(sa.select(*key).where(which).limit(most).with_for_update(skip_locked=True))
