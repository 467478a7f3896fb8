"""What a review page passes on: the submission, when it was entered, and for which patient.

Nothing is stored between the pages; everything is checked again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from fhir_adapters.writing.completed import FormContext
from smart_launch.chart.patient import PatientDetails
from smart_launch.errors import Forbidden
from smart_launch.launch.guard import OpenLaunch
from smart_launch.runtime import AppRuntime

SUBMISSION_ID = re.compile(r"[A-Za-z0-9_-]{20,64}")
MARK = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """entered_at: seconds since 1970. patient_mark: of the patient shown on the page."""

    id: str
    entered_at: int
    patient_mark: str

    def fields(self) -> dict[str, str]:
        """The hidden form fields."""
        return {"submission": self.id, "at": str(self.entered_at), "who": self.patient_mark}


def new_submission(app: AppRuntime, patient: PatientDetails) -> Submission:
    """A new submission, entered now."""
    return Submission(id=app.new_secret(), entered_at=app.seconds(), patient_mark=patient.mark)


def read_submission(app: AppRuntime, launch: OpenLaunch, fields: Mapping[str, Sequence[str]]) -> Submission:
    """The submission in the fields. Raises Forbidden when it cannot be ours."""
    submission_id, at, mark = (_only_value(fields, name) for name in ("submission", "at", "who"))
    seconds = int(at) if re.fullmatch(r"[0-9]{1,12}", at) else -1
    in_session = launch.session.started <= seconds <= app.seconds()
    if not SUBMISSION_ID.fullmatch(submission_id) or not MARK.fullmatch(mark) or not in_session:
        raise Forbidden("form: expected the hidden fields of its review page", "form-refused", 400)
    return Submission(id=submission_id, entered_at=seconds, patient_mark=mark)


def _only_value(fields: Mapping[str, Sequence[str]], name: str) -> str:
    values = fields.get(name, ())
    return values[0] if len(values) == 1 else ""


def submission_key(launch_id: str, submission_id: str) -> str:
    """The key of a submission in store and chart: specific to this launch, whatever a form sends."""
    return hashlib.sha256(f"{launch_id}\0{submission_id}".encode()).hexdigest()[:40]


def form_context(launch: OpenLaunch, submission: Submission) -> FormContext:
    """When it was entered, about whom and by whom."""
    session = launch.session
    return FormContext(
        patient=f"Patient/{session.context.patient}",
        at=datetime.fromtimestamp(submission.entered_at, UTC),
        submission=submission_key(session.launch_id, submission.id),
        encounter=session.context.encounter_reference,
        user=session.fhir_user,
        user_name=session.user.name if session.user else None,
    )
