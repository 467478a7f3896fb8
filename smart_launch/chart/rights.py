"""Requested rights that the chart did not grant, in words."""

from __future__ import annotations

from explanations.words.language import later
from smart_launch.launch.guard import OpenLaunch
from smart_launch.oauth.scopes import READ, STEPS, not_granted

READ_WORDS = {
    "Patient": later("patient details"),
    "Observation": later("measurements and screening answers"),
    "QuestionnaireResponse": later("questionnaires"),
    "Condition": later("conditions"),
    "MedicationRequest": later("medicines"),
    "Medication": later("names of medicines"),
    "Encounter": later("visits"),
    "Procedure": later("procedures"),
    "RiskAssessment": later("risk assessments"),
    "Consent": later("consents"),
}
WRITE_WORDS = {
    "QuestionnaireResponse": later("questionnaires"),
    "Observation": later("totals and answers"),
    "Task": later("draft tasks"),
    "ServiceRequest": later("draft orders"),
}


def missing_rights(launch: OpenLaunch) -> tuple[str, ...]:
    """One sentence each for read and write rights that were not granted, but for those the strip speaks of."""
    say, session = launch.say, launch.session
    lacking = [
        (kind, right) for kind, right in not_granted(session.requested_scopes, session.scopes) if kind not in STEPS
    ]
    read = ", ".join(say(READ_WORDS.get(kind, kind)) for kind, right in lacking if right == READ)
    write = ", ".join(say(WRITE_WORDS.get(kind, kind)) for kind, right in lacking if right != READ)
    return (
        *([say("The EHR did not allow this app to read: {parts}.", parts=read)] if read else []),
        *([say("The EHR did not allow this app to write: {parts}.", parts=write)] if write else []),
    )
