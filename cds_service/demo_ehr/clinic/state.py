"""The demo EHR's state: responses of the service, drafts, override reasons. In memory only.

The service is asked anew whenever a chart is opened or was written to, and the cards that come have other ids than
those before. So what a clinician did with a card is kept by its topic, of which an answer has one card each.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from cds_service.demo_ehr.clinic.hook_client import Exchange, HookClient, ServiceUnreachableError, topic
from cds_service.demo_ehr.clinic.pager import Pager
from cds_service.demo_ehr.codes import Json
from cds_service.demo_ehr.fhir_api.charts import Charts
from cds_service.demo_ehr.patients.people import DemoPatient


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A proposed resource that the clinician accepted from a card. Nothing has been sent anywhere.

    topic: of the card. proposal: what was accepted of it (`proposal_of`).
    """

    topic: str
    proposal: str
    description: str
    resource: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedReason:
    """A recorded reason for not acting on a card. changes: those of the chart that the card spoke of."""

    reason: str
    changes: int


class Clinic:
    """The clinic of the day. `client` asks the service; without it, only stored answers can be shown.

    `charts` are those that are written to; without them, the patients' own. `pager`: of the crisis team, if there is
    one.
    """

    def __init__(
        self,
        *,
        patients: Sequence[DemoPatient],
        as_of: datetime,
        charts: Charts | None = None,
        pager: Pager | None = None,
    ) -> None:
        self.patients = tuple(patients)
        self.as_of = as_of
        self.pager = pager
        self.charts = charts or Charts(patient.chart for patient in patients)
        self.client: HookClient | None = None
        self.exchanges: dict[str, Exchange] = {}
        self._changes_asked: dict[str, int] = {}
        self._drafts: dict[str, list[Draft]] = {}
        self._overrides: dict[tuple[str, str], RecordedReason] = {}
        self._lock = threading.Lock()

    def patient(self, patient_id: str) -> DemoPatient | None:
        """The patient with this id, or None."""
        return next((patient for patient in self.patients if patient.id == patient_id), None)

    def open(self, patient: DemoPatient) -> None:
        """Asks the service about a patient, and about the others whose charts were written to since they were opened.

        Raises ServiceUnreachableError.
        """
        self.ask(patient)
        for other in self.patients:
            if self.charts.changes(other.id) != self._changes_asked.get(other.id, 0):
                with suppress(ServiceUnreachableError):
                    self.ask(other)

    def changes(self, patient: DemoPatient) -> str:
        """Another text whenever an app wrote to the patient's chart, or, after a full stop, the pager has news."""
        chart = str(self.charts.changes(patient.id))
        return f"{chart}.{self.pager.changes}" if self.pager else chart

    def ask(self, patient: DemoPatient) -> None:
        """Asks the service anew. Raises ServiceUnreachableError; then there is no answer, also none from before."""
        if not self.client:
            return
        changes = self.charts.changes(patient.id)
        try:
            self.exchanges[patient.id] = self.client.open_chart(patient)
        except ServiceUnreachableError:
            self.exchanges.pop(patient.id, None)
            raise
        self._changes_asked[patient.id] = changes

    def cards(self, patient: DemoPatient) -> tuple[Json, ...]:
        """The cards of the last answer."""
        exchange = self.exchanges.get(patient.id)
        return (exchange.cards or ()) if exchange else ()

    def card(self, patient: DemoPatient, of_topic: str) -> Json | None:
        """The card of that topic in the last answer."""
        return next((card for card in self.cards(patient) if topic(card) == of_topic), None)

    def drafts(self, patient: DemoPatient) -> tuple[Draft, ...]:
        """The drafts of a patient, oldest first."""
        return tuple(self._drafts.get(patient.id, ()))

    def take(self, patient: DemoPatient, of_topic: str, proposal: str) -> bool:
        """Makes drafts of a suggestion on the patient's cards. False if unknown or accepted before."""
        suggestions = (self.card(patient, of_topic) or {}).get("suggestions", ())
        suggestion = next((s for s in suggestions if proposal_of(s) == proposal), None)
        with self._lock:
            taken = self._drafts.setdefault(patient.id, [])
            if suggestion is None or any((draft.topic, draft.proposal) == (of_topic, proposal) for draft in taken):
                return False
            taken += [
                Draft(
                    topic=of_topic,
                    proposal=proposal,
                    description=str(action.get("description", suggestion["label"])),
                    resource=action.get("resource", {}),
                )
                for action in suggestion.get("actions", ())
            ]
        return True

    def discard(self, patient: DemoPatient, of_topic: str, proposal: str) -> None:
        """Removes the drafts that came from a suggestion."""
        with self._lock:
            kept = [d for d in self._drafts.get(patient.id, ()) if (d.topic, d.proposal) != (of_topic, proposal)]
            self._drafts[patient.id] = kept

    def override(self, patient: DemoPatient, of_topic: str, reason_code: str) -> bool:
        """Stores a clinician's override reason for a card. False if card or reason is unknown."""
        card = self.card(patient, of_topic) or {}
        reasons = {str(reason.get("code")): str(reason.get("display")) for reason in card.get("overrideReasons", ())}
        if reason_code not in reasons:
            return False
        changes = self._changes_asked.get(patient.id, 0)
        self._overrides[patient.id, of_topic] = RecordedReason(reason=reasons[reason_code], changes=changes)
        return True

    def recorded(self, patient: DemoPatient, of_topic: str) -> RecordedReason | None:
        """The override of the patient's card of a topic; it may have been recorded on an earlier one."""
        return self._overrides.get((patient.id, of_topic))


def proposal_of(suggestion: Json) -> str:
    """What a suggestion proposes, by type and code of its first resource: the same in every answer, unlike its id."""
    resource: Json = next((action.get("resource", {}) for action in suggestion.get("actions", ())), {})
    code = next((coding.get("code") for coding in resource.get("code", {}).get("coding", ())), "")
    return f"{resource.get('resourceType', '')}/{code}"
