"""What came of cards and escalations, and who read the module for clinicians, counted by site and month.

docs/figures.md defines each count.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from cds_service.burden.on_record import KNOWN_AFTER, OnRecord, Window, on_record
from cds_service.settings.sites import SiteConfig
from cds_service.storage.store import Store
from cds_service.storage.tables import escalation

LEAST_FOR_P90 = 10
COUNTS = ("shown", "accepted", "overridden", "ignored", "waiting", "repeated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """How long something took, in minutes, over n cases; None where there was none."""

    n: int
    median: float | None = None
    p90: float | None = None

    @property
    def words(self) -> str:
        """Such as `median 4 min, nine of ten within 30 min (n 12)`; of fewer than ten the median alone."""
        if not self.n:
            return "none"
        most = f", nine of ten within {self.p90:g} min" if self.n >= LEAST_FOR_P90 else ""
        return f"median {self.median:g} min{most} (n {self.n})"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFigures:
    """One cell; shown is the sum of accepted, overridden, ignored and waiting. month: `2026-11`.

    reasons: code -> overridden cards; held_back: limit -> answers that left the card out.
    """

    site: str
    month: str
    service: str
    topic: str
    shown: int
    accepted: int
    overridden: int
    ignored: int
    waiting: int
    repeated: int
    reasons: Mapping[str, int]
    held_back: Mapping[str, int]
    to_act: Durations


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationFigures:
    """The escalations that a site opened in a month. overdue: of which every contact had had their turn, at some time.

    through: way -> how many were acknowledged so.
    """

    site: str
    month: str
    opened: int
    overdue: int
    acknowledged: int
    unacknowledged: int
    through: Mapping[str, int]
    to_acknowledge: Durations


@dataclass(frozen=True, slots=True, kw_only=True)
class EducationFigures:
    """How often the module for clinicians was recorded as read in a month, and by how many users."""

    site: str
    month: str
    read: int
    users: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All cells, in order. partial: site -> the first day that could be read of it, where not all could."""

    cards: tuple[CardFigures, ...]
    escalations: tuple[EscalationFigures, ...]
    education: tuple[EducationFigures, ...]
    partial: Mapping[str, date]


def figures(
    store: Store, sites: Sequence[SiteConfig], window: Window, now: datetime, *, most: int | None = None
) -> Figures:
    """The figures of these sites. most: how many of a site's latest events to read; None for all.

    Raises StoreUnavailable.
    """
    cards, escalations, partial = list[CardFigures](), list[EscalationFigures](), dict[str, date]()
    education = list[EducationFigures]()
    for site in sites:
        found = on_record(store, site, window, most)
        if found.first is not None:
            partial[site.id] = found.first
        cards += _card_figures(site, found, now)
        escalations += _escalation_figures(store, site, window, found.left_out)
        education += _education_figures(site, found)
    return Figures(cards=tuple(cards), escalations=tuple(escalations), education=tuple(education), partial=partial)


def durations(minutes: Sequence[float]) -> Durations:
    """Median and 90th percentile, to a tenth of a minute."""
    if not minutes:
        return Durations(n=0)
    p90 = minutes[0] if len(minutes) == 1 else statistics.quantiles(minutes, n=10, method="inclusive")[-1]
    return Durations(n=len(minutes), median=round(statistics.median(minutes), 1), p90=round(p90, 1))


@dataclass(slots=True)
class _Cell:
    """A cell under way."""

    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    held_back: Counter[str] = field(default_factory=Counter)
    minutes: list[float] = field(default_factory=list)


def _card_figures(site: SiteConfig, found: OnRecord, now: datetime) -> Iterator[CardFigures]:
    cells: dict[tuple[str, str, str], _Cell] = defaultdict(_Cell)
    seen, acts = set[tuple[str | None, ...]](), set[tuple[str, str | None, datetime]]()
    for card in found.cards:
        answer, month = card.answer, f"{site.day(card.answer.at):%Y-%m}"
        cell = cells[month, answer.service or "", card.topic]
        cell.counts["shown"] += 1
        if card.accepted:
            cell.counts["accepted"] += 1
        elif card.reason is not None:
            cell.counts["overridden"] += 1
            cell.reasons[card.reason] += 1
        else:
            cell.counts["waiting" if now - answer.at < KNOWN_AFTER else "ignored"] += 1
        again = (month, card.topic, answer.user, answer.patient)
        cell.counts["repeated"] += again in seen
        seen.add(again)
        # Once, from the first card that it followed: opening the chart again makes nobody quicker.
        if card.acted is not None and (act := (card.topic, answer.patient, card.acted)) not in acts:
            acts.add(act)
            cell.minutes.append((card.acted - answer.at).total_seconds() / 60)
    for answer in found.held_back:
        for held in answer.suppressed:
            topic, _, limit = held.partition(" ")
            cells[f"{site.day(answer.at):%Y-%m}", answer.service or "", topic].held_back[limit] += 1
    for (month, service, topic), cell in sorted(cells.items()):
        counted = {name: cell.counts[name] for name in COUNTS}
        yield CardFigures(
            site=site.id, month=month, service=service, topic=topic, **counted,
            reasons=dict(cell.reasons), held_back=dict(cell.held_back), to_act=durations(cell.minutes),
        )  # fmt: skip


def _education_figures(site: SiteConfig, found: OnRecord) -> Iterator[EducationFigures]:
    months: dict[str, list[str | None]] = defaultdict(list)
    for event in found.learned:
        months[f"{site.day(event.at):%Y-%m}"].append(event.user)
    for month, users in sorted(months.items()):
        yield EducationFigures(site=site.id, month=month, read=len(users), users=len({*users} - {None}))


def _escalation_figures(
    store: Store, site: SiteConfig, window: Window, left_out: set[str]
) -> Iterator[EscalationFigures]:
    c = escalation.c
    wanted = sa.select(c.at, c.patient, c.round, c.acknowledged, c.through).where(c.site == site.id, c.drill.is_(False))
    with store.transaction() as connection:
        rows = connection.execute(wanted.order_by(c.at)).all()
    months: dict[str, list[tuple[timedelta | None, str, bool]]] = defaultdict(list)
    for row in rows:
        at = datetime.fromisoformat(row.at)
        if window.holds(site.day(at)) and row.patient not in left_out:
            took = None if row.acknowledged is None else datetime.fromisoformat(row.acknowledged) - at
            months[f"{site.day(at):%Y-%m}"].append((took, row.through or "", row.round > 1))
    for month, opened in months.items():
        answered = [(took, through) for took, through, _ in opened if took is not None]
        yield EscalationFigures(
            site=site.id, month=month, opened=len(opened), overdue=sum(late for *_, late in opened),
            acknowledged=len(answered), unacknowledged=len(opened) - len(answered),
            through=dict(Counter(through for _, through in answered)),
            to_acknowledge=durations([took.total_seconds() / 60 for took, _ in answered]),
        )  # fmt: skip
