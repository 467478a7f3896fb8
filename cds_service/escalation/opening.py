"""From an assessment to its escalation: opened once an event, joined while one is open, ended where the patient died.

An event is known by a keyed digest of site, patient, instrument or kind, and its recorded moment; so the same answer
read a hundred times opens one. Whatever fails here costs no card: the answer then says that nobody was told.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from cds_service.errors import StoreUnavailable
from cds_service.escalation.duty import next_turn
from cds_service.escalation.escalations import CloseReason, close
from cds_service.escalation.links import PatientLink, sealed
from cds_service.escalation.records import EscalationStatus, about, latest, standing
from cds_service.escalation.turns import EscalationAct, open_about, record, take
from cds_service.incidents.kinds import IncidentKind
from cds_service.keys.data_key import DataKey
from cds_service.settings.escalation import Contact
from cds_service.settings.sites import SiteConfig
from cds_service.storage.store import Store
from cds_service.storage.tables import escalation, escalation_event, insert_into
from explanations.judgement.assessment import Assessment
from explanations.judgement.escalation import Escalation, EscalationState
from fhir_adapters.facts import Consent
from models.rules.findings import SAFETY_TOPICS, SafetyFinding, Topic, Urgency

log = logging.getLogger("mhcds")
SILENT_FOR = (Consent.OPTED_OUT, Consent.DENIED)
ATTEMPTS = 3
SERVICE = "service"
AGAIN = 2  # the round from which contacts are told again: nobody has answered in time


def open_for(
    store: Store, key: DataKey, site: SiteConfig, patient: PatientLink, assessment: Assessment, now: datetime, *,
    service: str, topics_off: Collection[Topic] = (),
) -> Escalation | None:  # fmt: skip
    """The escalation of a patient as it stands after this reading; None where there is none to speak of.

    service: which of ours read the chart. topics_off: whose cards are switched off. Raises nothing.
    """
    settings = site.escalation
    safety = [finding for finding in assessment.findings if finding.topic in SAFETY_TOPICS]
    if settings is None or not (safety or assessment.chart.deceased):
        return None
    acute = [finding for finding in safety if finding.urgency is Urgency.ACUTE]
    try:
        opening = _Opening(store, key, site, settings.contacts, patient, now, service)
        return opening.after(assessment, acute, is_off=Topic.ACUTE_SAFETY in topics_off)
    except Exception as error:  # noqa: BLE001  # whatever is wrong with a row or the store, the card must come
        reason = str(error) if isinstance(error, StoreUnavailable) else type(error).__name__
        log.error(json.dumps({"event": "escalation-not-recorded", "site": site.id, "reason": reason}))
        return Escalation(state=EscalationState.NOT_RECORDED) if acute else None


def open_drill(
    store: Store, key: DataKey, site: SiteConfig, patient: PatientLink, contact: Contact, now: datetime, *, service: str
) -> str:
    """A rehearsal with one contact, who is told whatever the hours; returns its id. Its patient is on no record.

    It does not move on, and opens no incident. Raises StoreUnavailable.
    """
    opening = _Opening(store, key, site, (replace(contact, hours=()),), patient, now, service)
    with store.transaction() as connection:
        row = opening.insert(connection, {"drill": True, "only": contact.name})
        if row is None:  # by an id that came twice
            raise StoreUnavailable("the rehearsal could not be written; try again")
        opening.begin(connection, row)
    return str(row["id"])


def _digest(key: DataKey, site: str, patient_id: str, finding: SafetyFinding) -> str:
    """Of the acute event behind a finding."""
    when = finding.when
    if finding.form is not None:
        what = finding.form.instrument.value
    else:
        what = finding.event.kind.value if finding.event is not None else finding.kind.value
    moment = when.text if when is not None else ""
    # Without a time, two events of one day are told apart by their entries: the second must be heard too.
    if when is None or when.instant is None:
        moment = " ".join((moment, *sorted(finding.references)))
    return key.pseudonym(site, f"escalation\0{patient_id}\0{what}\0{moment}")


# Events of those that were closed before anybody acknowledged them: where the patient lives after all, as new ones.
UNANSWERED = escalation_event.c.escalation.in_(
    sa.select(escalation.c.id).where(
        escalation.c.status == EscalationStatus.CLOSED, escalation.c.acknowledged.is_(None)
    )
)


class _Opening:
    """One reading of one patient's chart."""

    def __init__(
        self, store: Store, key: DataKey, site: SiteConfig, contacts: Sequence[Contact], link: PatientLink,
        now: datetime, service: str,
    ) -> None:  # fmt: skip
        self.store, self.key, self.site, self.contacts = store, key, site, contacts
        self.link, self.now, self.service = link, now, service
        self.patient = key.pseudonym(site.id, link.patient_id)

    def after(self, assessment: Assessment, acute: list[SafetyFinding], *, is_off: bool) -> Escalation | None:
        every = (_digest(self.key, self.site.id, self.link.patient_id, finding) for finding in acute)
        digests = tuple(dict.fromkeys(every))
        with self.store.transaction() as connection:
            # What is known before its escalation is looked for: so one that another worker opens now is not missed.
            new = set(digests) - _known(connection, digests)
            row = latest(connection, self.site.id, self.patient, self.now)
            row = row or (about(connection, digests) if digests else None)
        if assessment.chart.deceased:
            if row is not None and row.is_open:
                with self.store.transaction() as connection:
                    died, who = CloseReason.DECEASED, {"by": SERVICE, "through": self.service}
                    close(connection, row.id, reason=died, now=self.now, **who)
            return None
        quiet = assessment.chart.consent in SILENT_FOR
        if new and not quiet and not is_off:
            return self._open(digests)
        if new and not (row is not None and row.is_open):  # an older acknowledgement says nothing of it
            return None if quiet else Escalation(state=EscalationState.SWITCHED_OFF)
        return None if row is None else standing(row)

    def _open(self, digests: tuple[str, ...]) -> Escalation | None:
        for _ in range(ATTEMPTS):  # another worker may acknowledge the open one at this moment
            with self.store.transaction() as connection:
                row = self.insert(connection, {"patient": self.patient})
                joined = None if row is not None else _locked(connection, self.site.id, self.patient)
                whose = row or joined
                if whose is None:
                    continue
                connection.execute(escalation_event.delete().where(escalation_event.c.digest.in_(digests), UNANSWERED))
                new = [digest for digest in digests if self._add(connection, whose["id"], digest)]
                if row is not None and not new:  # another worker opened one for it meanwhile, and it is acknowledged
                    connection.execute(escalation.delete().where(escalation.c.id == row["id"]))
                elif row is not None:
                    self.begin(connection, row)
                elif new:
                    self._join(connection, whose)
            with self.store.transaction() as connection:
                found = about(connection, digests)
            return None if found is None else standing(found)
        raise StoreUnavailable("an escalation was opened and acknowledged again and again")

    def insert(self, connection: sa.Connection, given: dict[str, Any]) -> RowMapping | None:
        """A new escalation; None where the patient has an open one."""
        values = {
            "id": secrets.token_hex(6),
            "site": self.site.id,
            "status": EscalationStatus.OPEN.value,
            "at": self.now.isoformat(),
            "step": 0,
            "round": 1,
            "sealed": sealed(self.key, self.link),
            "done": [],
            "drill": False,
            **given,
        }
        add = insert_into(connection, escalation).values(values).on_conflict_do_nothing()
        return connection.execute(add.returning(escalation)).mappings().first()

    def begin(
        self, connection: sa.Connection, row: RowMapping, what: EscalationAct = EscalationAct.OPENED, rounds: int = 1
    ) -> None:
        """Tells the first contact on duty; where there is none, somebody who looks after the service."""
        turn = next_turn(self.contacts, self.site.cards.zone, None, rounds, self.now)
        taken = take(connection, row, turn, self.now)
        if taken is not None:
            row, said = taken
            if turn.contact is None and turn.due is not None:
                until = turn.due.isoformat()
                open_about(connection, row, IncidentKind.NOBODY_ON_DUTY, self.now, until=until)
            record(connection, row, what, self.now, service=self.service, **said)

    def _join(self, connection: sa.Connection, row: RowMapping) -> None:
        """Another event of an open one. Where its contacts have had all their turns, they have them again."""
        if row["due"] is None:
            self.begin(connection, row, EscalationAct.JOINED, AGAIN)
        else:
            record(connection, row, EscalationAct.JOINED, self.now, service=self.service)

    def _add(self, connection: sa.Connection, identifier: str, digest: str) -> bool:
        values = {"digest": digest, "escalation": identifier, "at": self.now.isoformat()}
        return self.store.new(connection, escalation_event, values)


def _known(connection: sa.Connection, digests: Collection[str]) -> set[str]:
    found = sa.select(escalation_event.c.digest).where(escalation_event.c.digest.in_(digests), ~UNANSWERED)
    return set(connection.scalars(found)) if digests else set()


def _locked(connection: sa.Connection, site: str, patient: str) -> RowMapping | None:
    """The open escalation of a patient, held until the transaction ends; None where it was acknowledged meanwhile."""
    c = escalation.c
    which = sa.and_(c.site == site, c.patient == patient, c.status == EscalationStatus.OPEN)
    # An update that changes nothing locks the row.
    hold = escalation.update().where(which).values(step=c.step).returning(escalation)
    return connection.execute(hold).mappings().first()
