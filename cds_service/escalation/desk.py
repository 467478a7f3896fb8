"""The desk of the SMART app: a session's own patient, and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cds_service.escalation.escalations import record_done
from cds_service.escalation.links import link_of
from cds_service.escalation.opening import open_for
from cds_service.escalation.records import NoSuchEscalation, current
from cds_service.keys.data_key import DataKey
from cds_service.settings.config import ServiceConfig
from cds_service.settings.service_ids import ServiceId
from cds_service.storage.store import Store
from explanations.judgement.control import Control
from explanations.judgement.escalation import Done, Escalation
from explanations.judgement.judge import Judgement
from smart_launch.session.sessions import Session

THROUGH = "app"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppDesk:
    """Escalations of this deployment. config: as it is now; now: the clock."""

    store: Store
    key: DataKey
    config: Callable[[], ServiceConfig]
    now: Callable[[], datetime]

    def of(self, session: Session) -> Escalation | None:
        """That of the session's patient. Raises StoreUnavailable."""
        return current(self.store, session.site, self._patient(session), self.now())

    def escalate(self, session: Session, judgement: Judgement, control: Control) -> Escalation | None:
        """How far somebody is told, after this reading; also of what is no longer in the chart. Raises as above."""
        site = next((site for site in self.config().sites if site.id == session.site), None)
        if site is None or site.escalation is None:
            return None
        link = link_of(judgement.gathered, session.context.encounter_reference, session.iss, site)
        found, now, off = judgement.assessment, self.now(), control.topics_off
        stands = open_for(self.store, self.key, site, link, found, now, service=ServiceId.APP, topics_off=off)
        return stands or self.of(session)

    def acknowledge(self, session: Session, identifier: str, by: str, done: tuple[Done, ...]) -> bool:
        """Whether it is of the session's patient; then somebody has it, and did this. Raises StoreUnavailable."""
        theirs = {"site": session.site, "patient": self._patient(session)}
        try:
            with self.store.transaction() as connection:
                record_done(connection, identifier, done, by=by, through=THROUGH, now=self.now(), **theirs)
        except NoSuchEscalation:
            return False
        return True

    def _patient(self, session: Session) -> str:
        return self.key.pseudonym(session.site, session.context.patient)
