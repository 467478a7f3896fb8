"""The two visits of a hook call to the store: a look before any work, and one commit before the answer leaves.

A commit holds the token's one use, the count of the call, the answer as the next event of its site's chain, and its
cards. Calls of one worker that end at the same time share a commit. Both visits stand below SQLAlchemy, which cost five
times as much (decision 0029).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

import msgspec

from cds_service.errors import StoreUnavailable
from cds_service.storage.chain import AuditKind, Content, Head, first_link, linked, next_link

MOST_AT_ONCE = 64
WAIT_S = 4  # for the commits of others; each is bounded by itself
CONTROL = "control"  # the one row of control_version
LOOK = (
    "SELECT EXISTS(SELECT 1 FROM used_token WHERE digest = {0}), "
    "COALESCE((SELECT calls FROM tally WHERE client = {0} AND minute = {0}), 0), "
    "COALESCE((SELECT number FROM control_version WHERE name = 'control'), 0)"
)
LOOK_IN_SQLITE, LOOK_IN_POSTGRESQL = LOOK.format("?"), LOOK.format("%s")
USE = "INSERT INTO used_token (digest, expires) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING digest"
COUNT = (
    "INSERT INTO tally (client, minute, calls) VALUES (?, ?, 1) "
    "ON CONFLICT (client, minute) DO UPDATE SET calls = tally.calls + 1"
)
HEAD = "SELECT seq, link FROM chain_head WHERE site = ?"
MOVE = (
    "INSERT INTO chain_head (site, seq, link) VALUES (?, ?, ?) "
    "ON CONFLICT (site) DO UPDATE SET seq = excluded.seq, link = excluded.link"
)
EVENT = (
    "INSERT INTO audit_event (site, seq, at, kind, patient, event, salt, digest, link) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
CARD = (
    "INSERT INTO card (uuid, site, answer, topic, indicator, suggestions, patient, shown_to, at, encounter, "
    "prompted, basis) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
APPEND = (EVENT, CARD, COUNT, MOVE)
APPEND_IN_POSTGRESQL = tuple(statement.replace("?", "%s") for statement in APPEND)
# All of one call in one statement of PostgreSQL. Without a token (token null) the answer goes in as it is. A statement
# that waits for the head of the chain goes on with the newest. Locks are taken in the order token, head, tally.
WRITE = """
    WITH used AS (
        INSERT INTO used_token (digest, expires)
        SELECT %(token)s::text, %(expires)s::bigint WHERE %(token)s::text IS NOT NULL
        ON CONFLICT DO NOTHING RETURNING 1
    ), head AS (
        INSERT INTO chain_head (site, seq, link) SELECT %(site)s::text, 1, %(link)s::text
        WHERE %(token)s::text IS NULL OR EXISTS (SELECT 1 FROM used)
        ON CONFLICT (site) DO UPDATE SET seq = chain_head.seq + 1, link = encode(sha256((
            chain_head.link || ' ' || chain_head.seq + 1 || ' ' || %(at)s::text || ' answer ' || %(digest)s::text
        )::bytea), 'hex')
        RETURNING seq, link
    ), answered AS (
        INSERT INTO audit_event (site, seq, at, kind, patient, event, salt, digest, link)
        SELECT %(site)s::text, seq, %(at)s::text, 'answer', %(patient)s::text, %(event)s::text, %(salt)s::text,
            %(digest)s::text, link FROM head
        RETURNING seq
    ), counted AS (
        INSERT INTO tally (client, minute, calls) SELECT %(client)s::text, %(minute)s::bigint, 1 FROM used
        ON CONFLICT (client, minute) DO UPDATE SET calls = tally.calls + 1
    ), sent AS (
        INSERT INTO card
            (uuid, site, answer, topic, indicator, suggestions, patient, shown_to, at, encounter, prompted, basis)
        SELECT one ->> 0, %(site)s::text, answered.seq, one ->> 1, one ->> 2, one -> 3, one ->> 4, one ->> 5,
            (one ->> 6)::bigint, one ->> 7, one ->> 8, one ->> 9
        FROM answered, json_array_elements(%(cards)s::json) AS one
    )
    SELECT seq FROM answered
"""
# A batch, in PostgreSQL: tokens first, then heads, then tallies, each in one order, so that no two batches can wait for
# each other.
USE_ALL = """
    INSERT INTO used_token (digest, expires) SELECT * FROM unnest(%s::text[], %s::bigint[]) AS one (d, e) ORDER BY d
    ON CONFLICT DO NOTHING RETURNING digest
"""
LOCK_ALL = """
    INSERT INTO chain_head (site, seq, link) SELECT s, 0, l FROM unnest(%s::text[], %s::text[]) AS one (s, l) ORDER BY s
    ON CONFLICT (site) DO UPDATE SET seq = chain_head.seq RETURNING site, seq, link
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
    """A sent card without its text: for feedback to link to, and for what is shown later.

    patient, shown_to, encounter: pseudonyms. at: seconds since 1970. prompted: the models that prompted it, by commas.
    basis: a digest of what a model or follow-up card rests on.
    """

    uuid: str
    topic: str
    indicator: str
    suggestions: tuple[str, ...]
    patient: str | None = None
    shown_to: str | None = None
    at: int | None = None
    encounter: str | None = None
    prompted: str = ""
    basis: str = ""

    @property
    def shown(self) -> tuple[str | int | None, ...]:
        """Of whom, to whom, when and in which encounter, and on what basis."""
        return self.patient, self.shown_to, self.at, self.encounter, self.prompted, self.basis


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
        """The answer's number in its site's chain once it is on disk; None if its token was used before.

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


def look(connection: Any, statement: str, token: TokenUse) -> tuple[bool, int, int]:  # noqa: ANN401  # either driver's
    """Whether a token was used, the calls of its client in this minute, and the number of modes and switches."""
    used, calls, stamp = connection.execute(statement, (token.digest, token.client, token.minute)).fetchone()
    return bool(used), int(calls), int(stamp)


def commit_in_sqlite(connection: Any, rows: Sequence[AnswerRow]) -> list[int | None]:  # noqa: ANN401  # sqlite3 has no types here
    """Writes each row unless its token was used before (None): one transaction, on disk when this returns."""
    connection.execute("BEGIN IMMEDIATE")  # not when the first row is written: a later turn could not be waited for
    try:
        new = [
            row.token is None or connection.execute(USE, (row.token.digest, row.token.expires)).fetchone() is not None
            for row in rows
        ]
        sites = {row.site for row in compress(rows, new)}
        heads = {site: connection.execute(HEAD, (site,)).fetchone() or (0, first_link(site)) for site in sites}
        numbers = _append(connection, APPEND, rows, new, heads)
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
    return numbers


def commit_in_postgresql(connection: Any, rows: Sequence[AnswerRow]) -> list[int | None]:  # noqa: ANN401  # psycopg's, in autocommit
    """The same. A row alone is one statement, so one round trip and a transaction of its own."""
    if len(rows) == 1:
        return [_write_in_postgresql(connection, rows[0])]
    with connection.transaction(), connection.cursor() as cursor:
        tokens = {row.token.digest: row.token.expires for row in rows if row.token is not None}
        unused = {digest for (digest,) in cursor.execute(USE_ALL, ([*tokens], [*tokens.values()]))}
        new = []
        for row in rows:
            new.append(row.token is None or row.token.digest in unused)
            unused -= {row.token and row.token.digest}  # of two calls with one token the first has used it
        sites = list({row.site for row in compress(rows, new)})
        locked = cursor.execute(LOCK_ALL, (sites, [first_link(site) for site in sites]))
        heads = {site: (seq, link) for site, seq, link in locked}
        return _append(cursor, APPEND_IN_POSTGRESQL, rows, new, heads)


def _append(
    cursor: Any,  # noqa: ANN401  # either driver's
    statements: Sequence[str],
    rows: Sequence[AnswerRow],
    new: Sequence[bool],
    heads: dict[str, Head],
) -> list[int | None]:
    """Appends the new rows to the chains whose heads are locked; their numbers."""
    events, cards, numbers = [], [], list[int | None]()
    for row, is_new in zip(rows, new, strict=True):
        if not is_new:
            numbers.append(None)
            continue
        content = Content.of(AuditKind.ANSWER, row.at, row.event)
        (event,) = linked(row.site, heads[row.site], (content,))
        heads[row.site] = number, _ = event[1], event[-1]
        events.append(event)
        numbers.append(number)
        cards += [(c.uuid, row.site, number, c.topic, c.indicator, text(c.suggestions), *c.shown) for c in row.cards]
    calls = sorted((row.token.client, row.token.minute) for row in compress(rows, new) if row.token is not None)
    moved = [(site, *head) for site, head in heads.items()]
    for statement, values in zip(statements, (events, cards, calls, moved), strict=True):
        if values:
            cursor.executemany(statement, values)
    return numbers


def _write_in_postgresql(connection: Any, row: AnswerRow) -> int | None:  # noqa: ANN401  # as above
    token, content = row.token, Content.of(AuditKind.ANSWER, row.at, row.event)
    written = connection.execute(
        WRITE,
        {
            "token": token and token.digest,
            "expires": token and token.expires,
            "client": token and token.client,
            "minute": token and token.minute,
            "site": row.site,
            "at": row.at,
            "patient": content.patient,
            "event": content.event,
            "salt": content.salt,
            "digest": content.digest,
            "link": next_link(first_link(row.site), 1, content.at, content.kind, content.digest),  # of a site's first
            "cards": text([[c.uuid, c.topic, c.indicator, c.suggestions, *c.shown] for c in row.cards]),
        },
    ).fetchone()
    return None if written is None else int(written[0])
