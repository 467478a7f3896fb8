"""Counters for operators, in Prometheus format. Labels come from fixed sets: no ids, no patient data.

With several workers, `mhcds serve` names a folder in which prometheus_client adds them up (multiprocess mode).
"""

from __future__ import annotations

import os
from functools import cache
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.registry import REGISTRY

Metric = TypeVar("Metric", Counter, Histogram)
FOLDER = "PROMETHEUS_MULTIPROC_DIR"

CALLS = Counter("mhcds_calls", "Hook calls answered", ["service", "status"])
SECONDS = Histogram(
    "mhcds_call_seconds",
    "Time of a hook call",
    ["service"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5),
)
STAGES = Histogram(
    "mhcds_stage_seconds",
    "Time of each step of a hook call",
    ["stage"],
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 4),
)
CARDS = Counter("mhcds_cards", "Cards sent", ["topic", "indicator"])
NO_CARD = Counter("mhcds_calls_without_cards", "Hook calls answered without a card", ["service"])
QUIETED = Counter("mhcds_gap_cards_not_repeated", "Cards about gaps that the user had been shown already", ["service"])
FEEDBACK = Counter("mhcds_feedback", "Items of feedback received", ["service", "outcome"])
REFUSED = Counter("mhcds_refused", "Calls refused before any work", ["why"])
STORE_FAILED = Counter("mhcds_store_failures", "Times that the store failed")
NOT_RECORDED = Counter("mhcds_escalations_not_recorded", "Acute answers of hook calls that could not be told", ["site"])
WEBHOOK_WAITING = Gauge(
    "mhcds_webhook_waiting_seconds",
    "Age of the oldest message to a site's own system that has not arrived",
    multiprocess_mode="mostrecent",
)
SUPPRESSED = Counter(
    "mhcds_suppressed_cards", "Model and follow-up cards that were not shown, by the limit", ["topic", "limit"]
)
ARRIVALS_WAITING = Gauge(
    "mhcds_arrivals_waiting_seconds",
    "Age of the oldest notification of a FHIR server whose chart has not been read in full",
    multiprocess_mode="mostrecent",
)
LATE = Counter("mhcds_calls_without_models", "Hook calls whose time was up before the models were asked")


@cache
def labelled(metric: Metric, *labels: str) -> Metric:
    """The part of a metric with these labels, looked up once."""
    return metric.labels(*labels)


def text() -> bytes:
    """All counters, over all workers."""
    if FOLDER not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # it has no types
    return generate_latest(registry)
