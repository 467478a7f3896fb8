"""The two visits of a hook call to the store: a look before any work, and one commit before the answer leaves.

A commit holds the token's one use, the count of the call, the answer and its cards. Calls of one worker that end at the
same time share a commit. Both visits stand below SQLAlchemy, which cost five times as much (decision 0029).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from cds_service.errors import StoreUnavailable

MOST_AT_ONCE = 64
WAIT_S = 4  # for the commits of others; each is bounded by itself
CONTROL = "control"  # of the number of modes, switches and opt-outs, which goes with the look
LOOK = (
    "SELECT EXISTS(SELECT 1 FROM used_token WHERE digest = {0}), "
    "COALESCE((SELECT calls FROM tally WHERE client = {0} AND minute = {0}), 0)"
)
LOOK_IN_SQLITE, LOOK_IN_POSTGRESQL = LOOK.format("?"), LOOK.format("%s")
USE = "INSERT INTO used_token (digest, expires) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING digest"
COUNT = (
    "INSERT INTO tally (client, minute, calls) VALUES (?, ?, 1) "
    "ON CONFLICT (client, minute) DO UPDATE SET calls = tally.calls + 1"
)
ANSWER = "INSERT INTO answer (at, event) VALUES (?, ?)"
CARD = "INSERT INTO card (uuid, answer, site, topic, indicator, suggestions) VALUES (?, ?, ?, ?, ?, ?)"
# The four in one statement of PostgreSQL. Without a token (digest null) the answer goes in as it is.
WRITE = """
    WITH used AS (
        INSERT INTO used_token (digest, expires)
        SELECT %(digest)s::text, %(expires)s::bigint WHERE %(digest)s::text IS NOT NULL
        ON CONFLICT DO NOTHING RETURNING 1
    ), counted AS (
        INSERT INTO tally (client, minute, calls) SELECT %(client)s::text, %(minute)s::bigint, 1 FROM used
        ON CONFLICT (client, minute) DO UPDATE SET calls = tally.calls + 1
    ), answered AS (
        INSERT INTO answer (at, event) SELECT %(at)s::text, %(event)s::json
        WHERE %(digest)s::text IS NULL OR EXISTS (SELECT 1 FROM used)
        RETURNING id
    ), sent AS (
        INSERT INTO card (uuid, answer, site, topic, indicator, suggestions)
        SELECT one ->> 0, answered.id, %(site)s::text, one ->> 1, one ->> 2, one -> 3
        FROM answered, json_array_elements(%(cards)s::json) AS one
    )
    SELECT id FROM answered
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUse:
    """The one use of a token. digest: of issuer and jti; client: its unique name; expires, at: seconds since 1970."""

    digest: str
    expires: int
    client: str
    at: int

    @property
    def minute(self) -> int:
        """The minute in which the call counts."""
        return self.at // 60


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRow:
    """A sent card, for feedback to link to, without its text."""

    uuid: str
    topic: str
    indicator: str
    suggestions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRow:
    """An answer to write. at: ISO 8601; token: None where the call needed none, or it is used already."""

    at: str
    site: str
    event: Mapping[str, Any]
    cards: tuple[CardRow, ...] = ()
    token: TokenUse | None = None


@dataclass(slots=True)
class Ticket:
    """A row that waits for its commit, and what came of it: its number, None for a token used before, or a failure."""

    row: AnswerRow
    done: bool = False
    number: int | None = None
    failure: StoreUnavailable | None = None


Commit = Callable[[Sequence[AnswerRow]], list[int | None]]


@dataclass(slots=True)
class SharedCommit:
    """Rows of concurrent calls, written by whichever call comes first; no thread of its own."""

    commit: Commit
    _waiting: list[Ticket] = field(default_factory=list)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def write(self, row: AnswerRow) -> int | None:
        """The row's number once it is on disk; None, and nothing written, if its token was used before.

        Raises StoreUnavailable.
        """
        ticket = Ticket(row)
        self._waiting.append(ticket)
        if not self._turn.acquire(timeout=WAIT_S):
            raise StoreUnavailable("the commits of other calls took too long")
        try:
            if not ticket.done:
                self._commit_waiting()
        finally:
            self._turn.release()
        if not ticket.done:
            raise StoreUnavailable("the commit that another call began ended unexpectedly")
        if ticket.failure is not None:
            raise ticket.failure
        return ticket.number

    def _commit_waiting(self) -> None:
        """Commits until none waits that was there when this turn began."""
        tickets = self._waiting[:]
        del self._waiting[: len(tickets)]
        for start in range(0, len(tickets), MOST_AT_ONCE):
            batch = tickets[start : start + MOST_AT_ONCE]
            try:
                numbers = self.commit([ticket.row for ticket in batch])
            except StoreUnavailable as error:
                for ticket in batch:
                    ticket.failure, ticket.done = error, True
                continue
            for ticket, number in zip(batch, numbers, strict=True):
                ticket.number, ticket.done = number, True


def text(value: object) -> str:
    """As JSON."""
    return msgspec.json.encode(value).decode()


def look(connection: Any, statement: str, token: TokenUse) -> tuple[bool, int]:  # noqa: ANN401  # either driver's
    """Whether a token was used, and the calls of its client in this minute."""
    used, calls = connection.execute(statement, (token.digest, token.client, token.minute)).fetchone()
    return bool(used), int(calls)


def commit_in_sqlite(connection: Any, rows: Sequence[AnswerRow]) -> list[int | None]:  # noqa: ANN401  # sqlite3 has no types here
    """Writes each row unless its token was used before (None): one transaction, on disk when this returns."""
    connection.execute("BEGIN IMMEDIATE")  # not when the first row is written: a later turn could not be waited for
    try:
        numbers = [_write_in_sqlite(connection, row) for row in rows]
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
    return numbers


def _write_in_sqlite(connection: Any, row: AnswerRow) -> int | None:  # noqa: ANN401  # as above
    token = row.token
    if token is not None:
        if connection.execute(USE, (token.digest, token.expires)).fetchone() is None:
            return None
        connection.execute(COUNT, (token.client, token.minute))
    number = int(connection.execute(ANSWER, (row.at, text(row.event))).lastrowid)
    connection.executemany(
        CARD, [(c.uuid, number, row.site, c.topic, c.indicator, text(c.suggestions)) for c in row.cards]
    )
    return number


def commit_in_postgresql(connection: Any, rows: Sequence[AnswerRow]) -> list[int | None]:  # noqa: ANN401  # psycopg's, in autocommit
    """The same; a row is one statement and so one round trip, and alone a transaction of its own."""
    if len(rows) == 1:
        return [_write_in_postgresql(connection, rows[0])]
    with connection.transaction():
        return [_write_in_postgresql(connection, row) for row in rows]


def _write_in_postgresql(connection: Any, row: AnswerRow) -> int | None:  # noqa: ANN401  # as above
    token = row.token
    written = connection.execute(
        WRITE,
        {
            "digest": token and token.digest,
            "expires": token and token.expires,
            "client": token and token.client,
            "minute": token and token.minute,
            "at": row.at,
            "event": text(row.event),
            "site": row.site,
            "cards": text([[c.uuid, c.topic, c.indicator, c.suggestions] for c in row.cards]),
        },
    ).fetchone()
    return None if written is None else int(written[0])
