"""One attempt to send one message: what a channel is given, and how it went."""

from __future__ import annotations

from dataclasses import dataclass, field

# Less than a message is put off for when a worker claims it.
ATTEMPT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A message that this worker alone may send now. at: when it was written, ISO 8601; attempts: with this one.

    incident: what it is about, else escalation, whose contact it goes to.
    """

    id: str
    site: str
    incident: str | None
    escalation: str | None
    contact: str | None
    at: str
    attempts: int
    body: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """failure: a code of what happened; None: the receiver has the message. final: another attempt cannot help.

    reference: of what was made.
    """

    failure: str | None = None
    final: bool = False
    reference: str | None = None
