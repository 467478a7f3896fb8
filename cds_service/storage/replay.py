"""Answers that reached only the log, back into the store: `mhcds db replay`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import sqlalchemy as sa

from cds_service.errors import ConfigError
from cds_service.storage.audit_fields import check
from cds_service.storage.calls import AnswerRow, CardRow
from cds_service.storage.chain import AuditKind
from cds_service.storage.store import Store
from cds_service.storage.tables import audit_event

EVENT = "answer-not-stored"


class LoggedAnswer(msgspec.Struct, kw_only=True):
    """The log's line about an answer that could not be stored."""

    at: str
    site: str
    answer: dict[str, Any]
    cards: list[CardRow]


def logged_answers(lines: Iterable[str]) -> Iterator[AnswerRow]:
    """The answers in a log, whose lines may have something in front, as collectors of logs add it.

    Raises ConfigError, which names the line, when one of them is cut or changed.
    """
    for number, line in enumerate(lines, 1):
        if f'"{EVENT}"' not in line:
            continue
        try:
            found = msgspec.json.decode(line[line.index("{") :].strip().encode(), type=LoggedAnswer)
            check(AuditKind.ANSWER, found.answer)
        except (ValueError, msgspec.MsgspecError) as error:
            raise ConfigError(f"line {number}: expected the whole of an `{EVENT}` line as it was logged") from error
        yield AnswerRow(at=found.at, site=found.site, event=found.answer, cards=tuple(found.cards))


def replay(store: Store, rows: Iterable[AnswerRow]) -> tuple[int, int]:
    """Appends the answers that the store lacks; repeating it changes nothing.

    Returns how many were added, and how many were there. The same answer is one of the same moment and content.
    """
    wanted = {(row.at, _content(row.event)): row for row in rows}
    if not wanted:
        return 0, 0
    moments = [at for at, _ in wanted]
    c = audit_event.c
    same_time = sa.and_(c.kind == AuditKind.ANSWER, c.at.between(min(moments), max(moments)), c.event.is_not(None))
    with store.transaction(patient=True) as connection:
        found = connection.execute(sa.select(c.at, c.event).where(same_time))
        known = {(row.at, _content(json.loads(row.event))) for row in found if row.at in moments}
    for key, row in wanted.items():
        if key not in known:
            store.write_answer(row)
    return len(wanted.keys() - known), len(wanted.keys() & known)


def _content(event: object) -> str:
    return json.dumps(event, sort_keys=True)
