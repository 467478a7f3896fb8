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

    def acknowledge(self, session: Session, identifier: str, by: str) -> bool:
        """Somebody knows: by name, "" where there is none. False: it is not one of the session's patient."""
        ...

    def record_done(self, session: Session, identifier: str, done: tuple[Done, ...], by: str) -> bool:
        """What was done about it, by somebody who knows by that. False as above."""
        ...


class NobodyTold:
    """The desk of a deployment where nobody is told of anything."""

    def of(self, _session: Session) -> Escalation | None:
        """None."""
        return None

    def note(self, _session: Session, _judgement: Judgement, _control: Control) -> Escalation | None:
        """None."""
        return None

    def acknowledge(self, _session: Session, _identifier: str, _by: str) -> bool:
        """There is none to acknowledge."""
        return False

    def record_done(self, _session: Session, _identifier: str, _done: tuple[Done, ...], _by: str) -> bool:
        """As above."""
        return False
