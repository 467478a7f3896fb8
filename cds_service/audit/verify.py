"""Whether the audit chains are whole: every edit, deletion, insertion, other order, cut, and erasure without a record.

Reads page by page, so that it holds no lock and takes no more memory for ten million events than for ten. Events that
come meanwhile are read too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec
import sqlalchemy as sa

from cds_service.audit.heads import SignedHead
from cds_service.audit.runs import extend, merged, without
from cds_service.storage.chain import AuditKind, event_digest, first_link, next_link
from cds_service.storage.store import Store
from cds_service.storage.tables import audit_event, chain_head

PAGE = 2000
MOST_FAULTS = 20
"""Of one site: what follows the first tells little more."""


class FaultKind(StrEnum):
    """What is wrong with a chain. The values are stable."""

    EDITED = "edited"
    UNLINKED = "unlinked"
    MISSING = "missing"
    ERASED = "erased"
    CUT = "cut"
    HEAD = "head"
    OLDER = "older"
    REWRITTEN = "rewritten"


RESTORE = "Compare with a backup, and find out who could write to the database since then."
WORDS: dict[FaultKind, tuple[str, str]] = {
    FaultKind.EDITED: ("event {seq} was changed: its content is not what was recorded", RESTORE),
    FaultKind.UNLINKED: (
        "event {seq} does not follow the one before it: one of the two was changed, put in, or stands in another place",
        RESTORE,
    ),
    FaultKind.MISSING: ("events {seq} to {last} are missing", RESTORE),
    FaultKind.ERASED: ("events {seq} to {last} were erased, and no erasure is on record for them", RESTORE),
    FaultKind.CUT: ("the chain ends at {last}, its head says {seq}: events at the end are missing", RESTORE),
    FaultKind.HEAD: ("the chain's head is not its last event ({last})", RESTORE),
    FaultKind.OLDER: (
        "the chain ends at {last}, the head signed on {at} says {seq}: events are missing, or this is an old database",
        "If a backup was restored, write down what is lost, and keep the heads. Else compare with a backup.",
    ),
    FaultKind.REWRITTEN: (
        "event {seq} is another than the one whose head was signed on {at}: the chain was written anew",
        RESTORE,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainFault:
    """Something wrong, at an event's number. last: the end of a run, or of the chain; at: of a signed head."""

    site: str
    seq: int
    kind: FaultKind
    last: int | None = None
    at: str = ""

    @property
    def words(self) -> str:
        """In plain words, with what to do."""
        said, remedy = WORDS[self.kind]
        return f"{said.format(seq=self.seq, last=self.last, at=self.at)}. {remedy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was found of a site's chain: its length, how many of its events are erased, faults in order."""

    site: str
    events: int
    erased: int
    faults: tuple[ChainFault, ...]


class Marks(msgspec.Struct):
    """What verification reads of an event."""

    patient: str | None = None
    numbers: list[tuple[int, int]] = []


MARKS = msgspec.json.Decoder(Marks)


def verify(
    store: Store,
    sites: Collection[str] | None = None,
    heads: Sequence[SignedHead] = (),
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[Verified, ...]:
    """Each chain, of all sites or of some, against itself and signed heads. progress: told site, done, total.

    Raises StoreUnavailable.
    """
    with store.transaction() as connection:
        known = {row.site: row.seq for row in connection.execute(sa.select(chain_head))}
        present = set(connection.scalars(sa.select(audit_event.c.site).distinct()))
    wanted = {*known, *present, *(head.site for head in heads)} if sites is None else set(sites)
    found = []
    for site in sorted(wanted):
        chain = _Chain(site, [head for head in heads if head.site == site])
        for done in chain.read(store):
            if progress is not None:
                progress(site or "the deployment", min(done, known.get(site, 0)), known.get(site, 0))
        found.append(chain.verified())
    return tuple(found)


@dataclass(slots=True)
class _Chain:
    """One chain as it is read."""

    site: str
    signed: list[SignedHead]
    seq: int = 0
    link: str = ""
    events: int = 0
    erased: list[list[int]] = field(default_factory=list)
    by_right: list[tuple[int, int]] = field(default_factory=list)
    faults: list[ChainFault] = field(default_factory=list)
    at_head: dict[int, list[SignedHead]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.link = first_link(self.site)
        for head in self.signed:
            self.at_head.setdefault(head.seq, []).append(head)

    def read(self, store: Store) -> Iterator[int]:
        """Reads to the end, and then the head in one view with whatever came meanwhile."""
        while rows := self._page(store):
            for row in rows:
                self._take(row)
            yield self.seq
        with store.transaction(snapshot=True, patient=True) as connection:
            while rows := connection.execute(self._next()).all():
                for row in rows:
                    self._take(row)
            head = connection.execute(sa.select(chain_head).where(chain_head.c.site == self.site)).first()
        self._close((head.seq, head.link) if head else None)

    def _page(self, store: Store) -> Sequence[sa.Row[tuple[object, ...]]]:
        with store.transaction() as connection:
            return connection.execute(self._next()).all()

    def _next(self) -> sa.Select[tuple[object, ...]]:
        c = audit_event.c
        return sa.select(audit_event).where(c.site == self.site, c.seq > self.seq).order_by(c.seq).limit(PAGE)

    def _take(self, row: sa.Row[tuple[object, ...]]) -> None:
        seq, at, kind, digest = int(row.seq), str(row.at), str(row.kind), str(row.digest)
        if seq != self.seq + 1:
            self._fault(self.seq + 1, FaultKind.MISSING, last=seq - 1)
        elif next_link(self.link, seq, at, kind, digest) != row.link:
            self._fault(seq, FaultKind.UNLINKED)
        if row.event is None and row.salt is None and row.patient is None:
            extend(self.erased, seq)
        else:
            self._take_event(seq, kind, row)
        for head in self.at_head.get(seq, ()):
            if head.link != row.link:
                self._fault(seq, FaultKind.REWRITTEN, at=head.at)
        self.seq, self.link, self.events = seq, str(row.link), self.events + 1

    def _take_event(self, seq: int, kind: str, row: sa.Row[tuple[object, ...]]) -> None:
        try:
            marks = MARKS.decode(str(row.event))
        except msgspec.MsgspecError:
            marks = Marks()
        if event_digest(str(row.salt), str(row.event)) != row.digest or marks.patient != row.patient:
            self._fault(seq, FaultKind.EDITED)
        elif kind == AuditKind.ERASURE:
            self.by_right += marks.numbers

    def _close(self, head: tuple[int, str] | None) -> None:
        seq, link = head or (0, first_link(self.site))
        if seq > self.seq:
            self._fault(seq, FaultKind.CUT, last=self.seq)
        elif (seq, link) != (self.seq, self.link):
            self._fault(seq, FaultKind.HEAD, last=self.seq)
        for signed in self.signed:
            if signed.seq > self.seq:
                self._fault(signed.seq, FaultKind.OLDER, last=self.seq, at=signed.at)
        allowed = merged(self.by_right)
        for first, last in self.erased:
            for start, end in without(first, last, allowed):
                self._fault(start, FaultKind.ERASED, last=end)

    def _fault(self, seq: int, kind: FaultKind, *, last: int | None = None, at: str = "") -> None:
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(ChainFault(site=self.site, seq=seq, kind=kind, last=last, at=at))

    def verified(self) -> Verified:
        """What was found."""
        erased = sum(last - first + 1 for first, last in self.erased)
        faults = tuple(sorted(self.faults, key=lambda fault: fault.seq))
        return Verified(site=self.site, events=self.events, erased=erased, faults=faults)
