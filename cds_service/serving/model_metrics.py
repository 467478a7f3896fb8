"""What the last daily look found of the models, for `/metrics`: from `site_figure`, so that every worker says the same.

Public: labels are ids of sites, models and versions. Nothing is of fewer than eleven people.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cds_service.errors import StoreUnavailable
from cds_service.monitoring.site_figures import GroupFigures, SiteEstimate, SiteFigures, read_figures
from cds_service.storage.store import Store

FRESH_S = 60.0  # anybody may ask, and they change once a day
Months = Sequence[SiteFigures]
"""All months together, then each month."""


def _value(estimate: SiteEstimate | None) -> float | None:
    return None if estimate is None else estimate.value


def _of_all(estimate: Callable[[GroupFigures], SiteEstimate | None]) -> Callable[[Months], float | None]:
    return lambda rows: _value(estimate(rows[0].everyone))


def _of_newest(value: Callable[[SiteFigures], float | None]) -> Callable[[Months], float | None]:
    """Of the newest month that has it: what changed lately is lost in a year."""
    return lambda rows: next((found for row in reversed(rows[1:]) if (found := value(row)) is not None), None)


GAUGES: Mapping[str, tuple[str, Callable[[Months], float | None]]] = {
    "mhcds_model_auroc": ("AUROC of those with an outcome, all months", _of_all(lambda all_of: all_of.observed.auroc)),
    "mhcds_model_observed_over_expected": (
        "Outcomes observed over expected, all months", _of_all(lambda all_of: all_of.observed.o_e),
    ),
    "mhcds_model_measured_share": (
        "Share of episodes with an outcome, all months", _of_all(lambda all_of: all_of.share_measured),
    ),
    "mhcds_model_flag_rate": (
        "Share of episodes at or above the threshold, newest month",
        _of_newest(lambda row: _value(row.everyone.flag_rate)),
    ),
    "mhcds_model_largest_psi": (
        "Largest PSI of an input against training, newest month", _of_newest(lambda row: row.largest_psi),
    ),
    "mhcds_model_figures_timestamp_seconds": ("When they were computed", lambda rows: rows[0].at.timestamp()),
}  # fmt: skip


class ModelMetrics(Collector):
    """One process's view, a minute old at most."""

    def __init__(self, store: Store) -> None:
        self._store, self._lock, self._next = store, threading.Lock(), 0.0
        self._known: tuple[SiteFigures, ...] = ()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        """In Prometheus' format; empty while the store fails, which another metric counts."""
        try:
            return generate_latest(self._registry)
        except StoreUnavailable:
            return b""

    def collect(self) -> Iterator[Metric]:
        """All families; a gauge is left out where its figure is."""
        with self._lock:
            if time.monotonic() >= self._next:
                self._known = read_figures(self._store)
                self._next = time.monotonic() + FRESH_S
            known = self._known
        models = [(key, tuple(rows)) for key, rows in groupby(known, lambda row: (row.site, row.outcome, row.version))]
        for name, (words, value_of) in GAUGES.items():
            gauge = GaugeMetricFamily(name, words, labels=["site", "model", "version"])
            for key, rows in models:
                if (value := value_of(rows)) is not None:
                    gauge.add_metric(key, value)
            yield gauge
