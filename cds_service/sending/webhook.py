"""A message to a system of the site's own, signed as Standard Webhooks says."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import requests
from standardwebhooks import Webhook as Signer

from cds_service.sending import attempt
from cds_service.sending.attempt import Claimed, SendResult
from cds_service.settings.webhook import Webhook
from fhir_adapters.access.deadline import watched_session


def post(webhook: Webhook, message: Claimed, now: datetime) -> SendResult:
    """Sends a message once."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "mental-health-cds",
        "webhook-id": message.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Signer(webhook.secret).sign(message.id, now.astimezone(UTC), message.body),
    }
    deadline = time.monotonic() + attempt.ATTEMPT_S
    body = message.body.encode()
    try:
        with (
            watched_session(deadline) as session,
            session.post(
                webhook.url, body, headers=headers, timeout=attempt.ATTEMPT_S, allow_redirects=False, stream=True
            ) as answer,
        ):
            status = answer.status_code
    # AttributeError: a TLS connection that is cut at the deadline.
    except (requests.RequestException, OSError, AttributeError, ValueError) as error:
        return SendResult(failure=type(error).__name__)
    if time.monotonic() >= deadline:
        return SendResult(failure="too late")
    return SendResult(failure=None if 200 <= status < 300 else f"status {status}")
