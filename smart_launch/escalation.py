"""What the app asks of those who keep escalations: who has been told of a session's patient, and that somebody knows.

Implemented by `cds_service`; a session reaches its own patient's escalation and no other.
"""

from __future__ import annotations

from typing import Protocol

from explanations.judgement.control import Control
from explanations.judgement.escalation import Done, Escalation
from explanations.judgement.judge import Judgement
from smart_launch.session.sessions import Session


class EscalationDesk(Protocol):
    """The escalations of this deployment, as the app sees them."""

    def of(self, session: Session) -> Escalation | None:
        """That of the session's patient: open, or acknowledged within the last day; None: there is none."""
        ...

    def note(self, session: Session, judgement: Judgement, control: Control) -> Escalation | None:
        """How far somebody is told of what this reading found; its acute findings open one where the site does so."""
        ...

    def acknowledge(self, session: Session, identifier: str, by: str, done: tuple[Done, ...] = ()) -> bool:
        """Somebody knows, and did this: by name, "" where there is none. False: it is not of the session's patient."""
        ...
