"""How escalations stand, for `/metrics` and `/health/ready`: by site, from the record, so that restarts lose no count.

Drills are not in it, nor are sites that tell nobody. Public: labels are ids of sites and fixed words.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from cds_service.errors import StoreUnavailable
from cds_service.escalation.records import EscalationStatus
from cds_service.serving import metrics
from cds_service.serving.runtime import Runtime
from cds_service.settings.sites import SiteConfig
from cds_service.storage.tables import delivery, escalation

FRESH_S, COUNTED_EVERY_S = 1.0, 30.0  # anybody may ask
UNDELIVERED_S, TURN_LATE_S = 10 * 60, 2 * 60
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
    "turn_late": (
        "mhcds_escalation_turn_late_seconds", "For how long a contact's turn has been due and was not taken",
    ),
    "on_duty": ("mhcds_escalation_contacts_on_duty", "Contacts who are on duty now, by the site's hours"),
}  # fmt: skip


class EscalationMetrics(Collector):
    """One process's view: gauges are a second old at most, counters half a minute."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime, self._lock = runtime, threading.Lock()
        self._next, self._next_count = 0.0, 0.0
        self._known: dict[str, dict[str, float]] = {}
        self._untold = 0
        self._counted: tuple[Metric, ...] = ()
        self._registry = CollectorRegistry()
        self._registry.register(self)
        for site in self._telling():
            metrics.NOT_RECORDED.labels(site.id)  # at 0, so that the first failure is an increase

    def text(self) -> bytes:
        """In Prometheus' format; empty while the store fails, which another metric counts."""
        try:
            return generate_latest(self._registry)
        except StoreUnavailable:
            return b""

    def gauges(self) -> dict[str, dict[str, float]]:
        """By site, as in GAUGES. Raises StoreUnavailable."""
        with self._lock:
            if time.monotonic() >= self._next:
                self._known = self._standing()
                self._next = time.monotonic() + FRESH_S
            return self._known

    def counters(self) -> tuple[Metric, ...]:
        """How many were opened, and what came of them. Raises StoreUnavailable."""
        with self._lock:
            if time.monotonic() >= self._next_count:
                self._counted = self._count()
                self._next_count = time.monotonic() + COUNTED_EVERY_S
            return self._counted

    def trouble(self) -> str | None:
        """What somebody has to look at now, in words without an id; None for nothing. Raises StoreUnavailable."""
        found = self.gauges().values()
        overdue, nobody = (int(sum(gauges[key] for gauges in found)) for key in ("overdue", "nobody"))
        undelivered, late = (
            max((gauges[key] for gauges in found), default=0.0) for key in ("undelivered", "turn_late")
        )
        said = [f"{overdue} overdue"] if overdue else []
        said += [f"{nobody} with no contact on duty"] if nobody else []
        said += [f"{self._untold} open at sites that tell nobody"] if self._untold else []
        if undelivered > UNDELIVERED_S:
            said.append(f"messages to contacts have not arrived for {undelivered // 60:.0f} minutes")
        if late > TURN_LATE_S:
            said.append(f"the next contact should have been told {late // 60:.0f} minutes ago")
        return "; ".join(said) or None

    def collect(self) -> Iterator[Metric]:
        """All families."""
        sites, counted = self.gauges(), self.counters()
        for key, (name, words) in GAUGES.items():
            gauge = GaugeMetricFamily(name, words, labels=["site"])
            for site, gauges in sites.items():
                gauge.add_metric([site], gauges[key])
            yield gauge
        yield GaugeMetricFamily(
            "mhcds_escalations_untold",
            "Open escalations of sites whose settings name no contact now",
            value=self._untold,
        )
        yield GaugeMetricFamily(
            "mhcds_degraded", "1 while /health/ready says degraded", value=self.trouble() is not None
        )
        yield from counted

    def _telling(self) -> list[SiteConfig]:
        return [site for site in self._runtime.config().sites if site.escalation is not None]

    def _standing(self) -> dict[str, dict[str, float]]:
        sites, now, c = self._telling(), self._runtime.now(), escalation.c
        found = {site.id: dict.fromkeys(GAUGES, 0.0) for site in sites}
        for site in sites:
            contacts = site.escalation.contacts if site.escalation else ()
            found[site.id]["on_duty"] = sum(contact.on_duty(now.astimezone(site.cards.zone)) for contact in contacts)
        is_open = sa.select(c.site, c.at, c.round, c.contact, c.due)
        is_open = is_open.where(c.status == EscalationStatus.OPEN, c.drill.is_(False))
        waits = sa.select(delivery.c.site, sa.func.min(delivery.c.at).label("at")).join(escalation)
        waits = waits.where(c.site.in_([*found]), c.drill.is_(False), delivery.c.delivered.is_(None))
        with self._runtime.store.transaction() as connection:
            rows = connection.execute(is_open).all()
            waiting = connection.execute(waits.group_by(delivery.c.site)).all()
        self._untold = sum(row.site not in found for row in rows)
        for row in rows:
            if (gauges := found.get(row.site)) is None:
                continue
            gauges["open"] += 1
            gauges["turn_late"] = max(gauges["turn_late"], 0.0 if row.due is None else now.timestamp() - row.due)
            gauges["overdue"] += row.round > 1
            gauges["nobody"] += row.contact is None
            gauges["oldest"] = max(gauges["oldest"], _seconds(row.at, now))
        for late in waiting:
            found[late.site]["undelivered"] = _seconds(late.at, now)
        return found

    def _count(self) -> tuple[Metric, ...]:
        opened = CounterMetricFamily("mhcds_escalations_opened", "Escalations opened", labels=["site"])
        ways = CounterMetricFamily(
            "mhcds_escalations_acknowledged", "Escalations acknowledged, by the way", labels=["site", "through"]
        )
        took = HistogramMetricFamily(
            "mhcds_escalation_acknowledge_seconds", "Time from opening to acknowledgement", labels=["site"]
        )
        c, rows = escalation.c, {site.id: list[sa.Row[Any, Any, Any, Any]]() for site in self._telling()}
        wanted = sa.select(c.site, c.at, c.acknowledged, c.through).where(c.site.in_([*rows]), c.drill.is_(False))
        if rows:
            with self._runtime.store.transaction() as connection:
                for row in connection.execute(wanted):
                    rows[row.site].append(row)
        for site, theirs in rows.items():
            opened.add_metric([site], len(theirs))
            answered = [row for row in theirs if row.acknowledged is not None]
            through = Counter(row.through if row.through in THROUGH else "other" for row in answered)
            for way in (*THROUGH, "other"):
                ways.add_metric([site, way], through[way])
            times = sorted(_seconds(row.at, datetime.fromisoformat(row.acknowledged)) for row in answered)
            buckets = [(str(float(most)), float(bisect_right(times, most))) for most in BUCKETS]
            took.add_metric([site], [*buckets, ("+Inf", float(len(times)))], sum(times))
        return opened, ways, took


def _seconds(begin: str, end: datetime) -> float:
    return max(0.0, (end - datetime.fromisoformat(begin)).total_seconds())
