"""How escalations stand, for `/metrics` and `/health/ready`: by site, from the record, so that restarts lose no count.

Drills are not in it, nor are sites that tell nobody. Public: labels are ids of sites and fixed words.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from cds_service.errors import StoreUnavailable
from cds_service.escalation.records import EscalationStatus
from cds_service.serving.runtime import Runtime
from cds_service.storage.tables import delivery, escalation

FRESH_S = 1.0  # anybody may ask
UNDELIVERED_S = 10 * 60
THROUGH = ("app", "feedback", "webhook", "task", "page", "command")
BUCKETS = (60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 86400)
GAUGES = {
    "open": ("mhcds_escalations_open", "Escalations that nobody has acknowledged"),
    "overdue": ("mhcds_escalations_overdue", "Those of them of which every contact has had their turn"),
    "nobody": ("mhcds_escalations_nobody_on_duty", "Those of them for which no contact was on duty yet"),
    "oldest": ("mhcds_escalation_oldest_seconds", "Age of the oldest escalation that nobody has acknowledged"),
    "undelivered": (
        "mhcds_escalation_undelivered_seconds", "Age of the oldest message to a contact that has not arrived",
    ),
    "on_duty": ("mhcds_escalation_contacts_on_duty", "Contacts who are on duty now, by the site's hours"),
}  # fmt: skip


@dataclass(slots=True)
class SiteStanding:
    """The escalations of a site at a moment. gauges: as in GAUGES; through: by way; took: seconds to acknowledge."""

    gauges: dict[str, float] = field(default_factory=lambda: dict.fromkeys(GAUGES, 0.0))
    opened: int = 0
    through: Counter[str] = field(default_factory=Counter)
    took: list[float] = field(default_factory=list)


class EscalationMetrics(Collector):
    """One process's view, a second old at most."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime, self._lock, self._next = runtime, threading.Lock(), 0.0
        self._known: dict[str, SiteStanding] = {}
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        """In Prometheus' format; empty while the store fails, which another metric counts."""
        try:
            return generate_latest(self._registry)
        except StoreUnavailable:
            return b""

    def standing(self) -> dict[str, SiteStanding]:
        """By site. Raises StoreUnavailable."""
        with self._lock:
            if time.monotonic() >= self._next:
                self._known = self._read()
                self._next = time.monotonic() + FRESH_S
            return self._known

    def trouble(self) -> str | None:
        """What somebody has to look at now, in words without an id; None for nothing. Raises StoreUnavailable."""
        found = [site.gauges for site in self.standing().values()]
        overdue = int(sum(gauges["overdue"] for gauges in found))
        late = max((gauges["undelivered"] for gauges in found), default=0.0)
        said = [f"{overdue} overdue"] if overdue else []
        said += [f"messages to contacts have not arrived for {late // 60:.0f} minutes"] if late > UNDELIVERED_S else []
        return "; ".join(said) or None

    def collect(self) -> Iterator[Metric]:
        """All families."""
        sites = self.standing()
        for key, (name, words) in GAUGES.items():
            gauge = GaugeMetricFamily(name, words, labels=["site"])
            for site, standing in sites.items():
                gauge.add_metric([site], standing.gauges[key])
            yield gauge
        yield GaugeMetricFamily(
            "mhcds_degraded", "1 while /health/ready says degraded", value=self.trouble() is not None
        )
        opened = CounterMetricFamily("mhcds_escalations_opened", "Escalations opened", labels=["site"])
        ways = CounterMetricFamily(
            "mhcds_escalations_acknowledged", "Escalations acknowledged, by the way", labels=["site", "through"]
        )
        took = HistogramMetricFamily(
            "mhcds_escalation_acknowledge_seconds", "Time from opening to acknowledgement", labels=["site"]
        )
        for site, standing in sites.items():
            opened.add_metric([site], standing.opened)
            for way in (*THROUGH, "other"):
                ways.add_metric([site, way], standing.through[way])
            took.add_metric([site], _buckets(standing.took), sum(standing.took))
        yield from (opened, ways, took)

    def _read(self) -> dict[str, SiteStanding]:
        config, now, c = self._runtime.config(), self._runtime.now(), escalation.c
        found: dict[str, SiteStanding] = defaultdict(SiteStanding)
        for site in config.sites:
            if site.escalation is not None:
                local = now.astimezone(site.cards.zone)
                found[site.id].gauges["on_duty"] = sum(contact.on_duty(local) for contact in site.escalation.contacts)
        if not found:
            return {}
        columns = (c.site, c.status, c.at, c.round, c.contact, c.acknowledged, c.through)
        theirs = sa.and_(c.site.in_([*found]), c.drill.is_(False))
        waits = sa.select(delivery.c.site, sa.func.min(delivery.c.at).label("at")).join(escalation)
        waits = waits.where(theirs, delivery.c.delivered.is_(None)).group_by(delivery.c.site)
        with self._runtime.store.transaction() as connection:
            rows = connection.execute(sa.select(*columns).where(theirs)).all()
            waiting = connection.execute(waits).all()
        for row in rows:
            _count(found[row.site], row, now)
        for late in waiting:
            found[late.site].gauges["undelivered"] = _seconds(late.at, now)
        return dict(found)


def _count(site: SiteStanding, row: Any, now: datetime) -> None:  # noqa: ANN401  # a row of seven columns
    site.opened += 1
    if row.acknowledged is not None:
        site.through[row.through if row.through in THROUGH else "other"] += 1
        site.took.append(_seconds(row.at, datetime.fromisoformat(row.acknowledged)))
    elif row.status == EscalationStatus.OPEN:
        gauges = site.gauges
        gauges["open"] += 1
        gauges["overdue"] += row.round > 1
        gauges["nobody"] += row.contact is None
        gauges["oldest"] = max(gauges["oldest"], _seconds(row.at, now))


def _seconds(begin: str, end: datetime) -> float:
    return max(0.0, (end - datetime.fromisoformat(begin)).total_seconds())


def _buckets(took: list[float]) -> list[tuple[str, float]]:
    """How many took at most so long."""
    counts = Counter(bisect_left(BUCKETS, seconds) for seconds in took)
    total, found = 0, []
    for place, most in enumerate((*map(float, BUCKETS), float("inf"))):
        total += counts[place]
        found.append(("+Inf" if most == float("inf") else str(most), float(total)))
    return found
