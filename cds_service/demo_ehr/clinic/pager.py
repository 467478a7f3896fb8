"""The crisis team's pager at the demo hospital: a system of its own, which the service tells of acute answers.

It takes messages signed as Standard Webhooks says, and answers, signed the same way, when somebody acknowledges.
In memory.
"""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import requests
from flask import Blueprint, request
from standardwebhooks import Webhook as Signer
from werkzeug.datastructures import Headers

from cds_service.demo_ehr.authorization.staff import ON_CALL
from cds_service.demo_ehr.config import Addresses

TIMEOUT_S, TOLERANCE_S = 10.0, 300
OPENED, ENDED = ("escalation.opened", "escalation.drill"), ("escalation.acknowledged", "escalation.closed")


@dataclass(frozen=True, slots=True, kw_only=True)
class PagerMessage:
    """One escalation as the pager knows it. id: the escalation's; at: UTC, when it was first heard of.

    whom: initials and place, as far as they were sent. ended: that somebody has it, and who. problem: why our own
    answer was not taken.
    """

    id: str
    at: datetime
    whom: str = ""
    within_min: int | None = None
    link: str | None = None
    drill: bool = False
    ended: str = ""
    problem: str = ""


class Pager:
    """What it holds, the latest first. now: seconds since 1970."""

    def __init__(self, addresses: Addresses, now: Callable[[], float]) -> None:
        self._signer = Signer(addresses.pager_secret)
        self._answers = f"{addresses.service}/escalations/acknowledge"
        self._now = now
        self._known: dict[str, PagerMessage] = {}
        self._lock = threading.Lock()
        self.changes = 0

    @property
    def messages(self) -> tuple[PagerMessage, ...]:
        """All of them, the latest first."""
        return tuple(reversed(self._known.values()))

    def receive(self, headers: Headers, body: str) -> bool:
        """Whether the service sent it just now; then it is shown. One that comes twice changes nothing."""
        identifier, seconds = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not (seconds.isascii() and seconds.isdigit()) or abs(int(seconds) - self._now()) > TOLERANCE_S:
            return False
        expected = self._signer.sign(identifier, datetime.fromtimestamp(int(seconds), UTC), body)
        if not hmac.compare_digest(expected, headers.get("webhook-signature", "")):
            return False
        self._take(json.loads(body))
        return True

    def _take(self, message: Mapping[str, object]) -> None:
        kind, data = message["type"], message["data"]
        if not isinstance(data, dict):
            return
        with self._lock:
            known = self._known.get(data["id"]) or PagerMessage(
                id=data["id"],
                at=datetime.fromtimestamp(self._now(), UTC),
                whom=", ".join(data[name] for name in ("initials", "place") if data.get(name)),
                within_min=data.get("acknowledge_within_min"),
                link=data.get("link"),
                drill=kind == OPENED[1],
            )
            if kind in ENDED:
                known = replace(known, ended=f"Acknowledged by {data['by']}" if data.get("by") else "Ended")
            self._known[known.id] = known
            self.changes += 1

    def acknowledge(self, identifier: str) -> None:
        """Tells the service that somebody has it; what it says of that is shown."""
        if identifier not in self._known:
            return
        body = json.dumps({"id": identifier, "by": ON_CALL.name})
        at = datetime.fromtimestamp(int(self._now()), UTC)
        name = f"answer-{identifier}"
        headers = {
            "Content-Type": "application/json",
            "webhook-id": name,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": self._signer.sign(name, at, body),
        }
        try:
            with requests.Session() as session:
                session.trust_env = False
                answer = session.post(self._answers, body, headers=headers, timeout=TIMEOUT_S)
            by = answer.json()["by"] if answer.ok else ""
        except (requests.RequestException, ValueError, KeyError):
            by = ""
        ended, problem = (f"Acknowledged by {by}", "") if by else ("", "The service did not take the answer.")
        with self._lock:
            self._known[identifier] = replace(self._known[identifier], ended=ended, problem=problem)
            self.changes += 1


def create_blueprint(pager: Pager) -> Blueprint:
    """Where the service sends its messages."""
    blueprint = Blueprint("pager", __name__)

    @blueprint.post("/pager")
    def take() -> tuple[str, int]:
        return "", 204 if pager.receive(request.headers, request.get_data(as_text=True)) else 401

    return blueprint
