"""The demo EHR's state: responses of the service, drafts, override reasons. In memory only."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cds_service.demo_ehr.clinic.hook_client import Exchange, HookClient, topic
from cds_service.demo_ehr.codes import Json
from cds_service.demo_ehr.fhir_api.charts import Charts
from cds_service.demo_ehr.patients.people import DemoPatient

WORDS = {
    "acute-safety": "acute",
    "positive-safety-answer": "ask",
    "recent-safety": "ask",
    "depression-follow-up": "follow up",
    "screening-prompt": "prompt",
    "data-anomaly": "check data",
    "could-not-assess": "check data",
}
NOTHING = "nothing"
NO_ANSWER = "no answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A proposed resource that the clinician accepted from a card. Nothing has been sent anywhere."""

    suggestion: str
    description: str
    resource: Json


class Clinic:
    """The clinic of the day. `client` asks the service; without it, only stored answers can be shown.

    `charts` are those that are written to; without them, the patients' own.
    """

    def __init__(self, *, patients: Sequence[DemoPatient], as_of: datetime, charts: Charts | None = None) -> None:
        self.patients = tuple(patients)
        self.as_of = as_of
        self.charts = charts or Charts(patient.chart for patient in patients)
        self.client: HookClient | None = None
        self.exchanges: dict[str, Exchange] = {}
        self._drafts: dict[str, list[Draft]] = {}
        self._overridden: dict[str, str] = {}
        self._lock = threading.Lock()

    def patient(self, patient_id: str) -> DemoPatient | None:
        """The patient with this id, or None."""
        return next((patient for patient in self.patients if patient.id == patient_id), None)

    def exchange(self, patient: DemoPatient) -> Exchange | None:
        """The last answer for a patient, asked for now if there is none yet. Raises ServiceUnreachableError."""
        if patient.id not in self.exchanges:
            self.ask(patient)
        return self.exchanges.get(patient.id)

    def ask(self, patient: DemoPatient) -> None:
        """Asks the service anew. Raises ServiceUnreachableError."""
        if self.client:
            self.exchanges[patient.id] = self.client.open_chart(patient)

    def word(self, patient: DemoPatient) -> tuple[str, str]:
        """The word of the clinic list for a patient's first card, and that card's indicator ("" without one)."""
        exchange = self.exchanges.get(patient.id)
        if exchange is None or exchange.cards is None:
            return NO_ANSWER, ""
        if not exchange.cards:
            return NOTHING, ""
        first = exchange.cards[0]
        return WORDS.get(topic(first), "card"), str(first.get("indicator", ""))

    def cards(self, patient: DemoPatient) -> tuple[Json, ...]:
        """The cards of the last answer."""
        exchange = self.exchanges.get(patient.id)
        return (exchange.cards or ()) if exchange else ()

    def drafts(self, patient: DemoPatient) -> tuple[Draft, ...]:
        """The drafts of a patient, oldest first."""
        return tuple(self._drafts.get(patient.id, ()))

    def take(self, patient: DemoPatient, suggestion_id: str) -> bool:
        """Makes drafts of a suggestion on the patient's cards. False if unknown or accepted before."""
        suggestions = [s for card in self.cards(patient) for s in card.get("suggestions", ())]
        suggestion = next((s for s in suggestions if s.get("uuid") == suggestion_id), None)
        with self._lock:
            taken = self._drafts.setdefault(patient.id, [])
            if suggestion is None or any(draft.suggestion == suggestion_id for draft in taken):
                return False
            taken += [
                Draft(
                    suggestion=suggestion_id,
                    description=str(action.get("description", suggestion["label"])),
                    resource=action.get("resource", {}),
                )
                for action in suggestion.get("actions", ())
            ]
        return True

    def discard(self, patient: DemoPatient, suggestion_id: str) -> None:
        """Removes the drafts that came from a suggestion."""
        with self._lock:
            drafts = [draft for draft in self._drafts.get(patient.id, ()) if draft.suggestion != suggestion_id]
            self._drafts[patient.id] = drafts

    def override(self, patient: DemoPatient, card_id: str, reason_code: str) -> bool:
        """Stores a clinician's override reason for a card. False if card or reason is unknown."""
        card = next((card for card in self.cards(patient) if card.get("uuid") == card_id), {})
        reasons = {str(reason.get("code")): str(reason.get("display")) for reason in card.get("overrideReasons", ())}
        if reason_code not in reasons:
            return False
        self._overridden[card_id] = reasons[reason_code]
        return True

    def recorded(self, card: Json) -> str | None:
        """The override reason of a card, or None."""
        return self._overridden.get(str(card.get("uuid")))
