"""Subscriptions for a FHIR server, as its administrators create them: of what can hold an answer, sent to our endpoint.

R4's own form has criteria of its own, one Subscription each. The topic-based form (Subscriptions R5 Backport 1.1.0,
profile `backport-subscription`) names a topic of the server instead. Both are rest-hooks.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from fhir_adapters.access.changes import answer_queries
from fhir_adapters.settings import ReadSettings

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
FHIR_JSON = "application/fhir+json"
REASON = "Acute answers are escalated though nobody opens the chart"


class PayloadContent(StrEnum):
    """What a notification holds. The values are those of the backport."""

    EMPTY = "empty"
    ID_ONLY = "id-only"
    FULL = "full-resource"


def by_criteria(endpoint: str, header: str, content: PayloadContent, settings: ReadSettings) -> list[dict[str, Any]]:
    """R4's own form. It knows no ids alone: a payload is the resource."""
    channel = _channel(endpoint, header) | ({} if content is PayloadContent.EMPTY else {"payload": FHIR_JSON})
    return [_subscription(query if "?" in query else f"{query}?", channel) for query in answer_queries(settings)]


def by_topic(endpoint: str, header: str, content: PayloadContent, topic: str, heartbeat_s: int) -> dict[str, Any]:
    """The topic-based form. topic: its canonical address on the server."""
    held = {"extension": [{"url": f"{BACKPORT}/backport-payload-content", "valueCode": content.value}]}
    beat = [{"url": f"{BACKPORT}/backport-heartbeat-period", "valueUnsignedInt": heartbeat_s}]
    channel = {"extension": beat, **_channel(endpoint, header), "payload": FHIR_JSON, "_payload": held}
    return {**_subscription(topic, channel), "meta": {"profile": [f"{BACKPORT}/backport-subscription"]}}


def _channel(endpoint: str, header: str) -> dict[str, Any]:
    return {"type": "rest-hook", "endpoint": endpoint, "header": [header]}


def _subscription(criteria: str, channel: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": REASON,
        "criteria": criteria,
        "channel": channel,
    }
