"""The fields that an event of the audit chain may hold, by kind, each with its reason; nothing else is ever written.

`name.inner` is a field within a field; `name.*` any, for codes and counts whose names differ. No field holds text
of the chart, a name or id of a patient, or a token; of its values, only what models are watched by: whether an outcome
was there, and into which of about ten bins each input fell. docs/generated/audit-fields.md shows this table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

PATIENT = "whose data it was, as a pseudonym: to find and to erase all that is kept of a person"
SITE = "where"
SERVICE = "through which service"
BY = "who did it: the name of a member of staff, or the system"
THROUGH = "by command, endpoint or page"
REASON = "why, in the words of who did it"
MEASURED = "results on file that say whether a model's outcome was there"
LONGEST = 700
"""The most characters of one value."""

FIELDS: Mapping[str, Mapping[str, str]] = {
    "answer": {
        "service": SERVICE,
        "status": "whether it was answered, and how",
        "site": SITE,
        "issuer": "which CDS client called",
        "hook_instance": "the call as the EHR's log names it, as a pseudonym",
        "patient": PATIENT,
        "user": "who was shown the cards, as a pseudonym",
        "topics": "which cards were sent",
        "rules": "which documented answers led to them",
        "models": "which versions scored",
        "not_scored": "which models gave no estimate, and why",
        "scores": "each estimate, said or only recorded, to review and to watch the models",
        "scores.model": "whose estimate it is",
        "scores.probability": "the estimate",
        "scores.shown": "whether it was said",
        "scores.flagged": "whether it was at or above the threshold then in force",
        "scores.inputs": "per input the bin of its training distribution, or a dash where it was not known: drift",
        "measured": MEASURED,
        "measured.outcome": "of which model's outcome",
        "measured.positive": "whether it was there; empty: the form was taken back",
        "measured.on": "when it was answered",
        "measured.id": "which result, as a pseudonym: so that it counts once",
        "sex": "the recorded sex, for the audit of fairness",
        "age_band": "the age in bands of years, for the same",
        "groups": "what the site has switched on for that audit alone; never an input of a model",
        "groups.*": "race-ethnicity, language, payer",
        "department": "where the patient was seen, as a pseudonym: clusters of a trial",
        "trial": "in which trial the answer was given",
        "trial.id": "which",
        "trial.outcome": "of which model",
        "trial.version": "by which version of its protocol",
        "trial.unit": "who or what was assigned, as a pseudonym or a clinic's name in the protocol",
        "trial.stratum": "among which others",
        "trial.arm": "to which arm",
        "cpu_ms": "how much computing time it took: the cost page",
        "review": "models whose estimate is in the sample for review",
        "held_back": "which cards were not sent because they are switched off",
        "switched_off": "what was switched off, if nothing was read for that reason",
        "unknown": "which parts of the chart could not be had",
        "unreadable": "how many resources could not be read",
        "anomalies": "how many contradictions were found",
        "consent": "whether the patient's data may be used",
        "withheld": "how many resources a label kept back",
        "deceased": "why no card was sent",
        "not_for": "why no card was sent: the kind of user",
        "late": "that time was up, so no model ran",
        "quieted": "that a card about a gap was not shown again",
        "suppressed": "which model or follow-up cards were not shown, and by which limit",
        "escalation": "whether somebody is told of an acute answer, and how far that is",
        "ms": "how long it took",
    },
    "app": {
        "what": "what was opened, shown, written, undone or said",
        "site": SITE,
        "launch": "in which session",
        "user": "who, as a pseudonym",
        "patient": PATIENT,
        "ehr_launch": "how the session began",
        "scopes": "what the EHR permitted",
        "tenant": "which of the EHR's organizations it was",
        "page": "which page was shown",
        "topics": "which findings and estimates stood on it",
        "unknown": "which parts of the chart could not be had",
        "consent": "whether the patient's data may be used",
        "form": "which form was written or undone",
        "slots": "which of its resources are in the chart",
        "missing": "which are not",
        "fault": "why not",
        "topic": "which finding was not acted on",
        "reason": "why, or what was wrong, as a code",
        "outcome": "what an opinion is about",
        "choice": "the opinion: useful, wrong or a near miss",
        "comment": "its sentence, sealed with the data key",
        "edition": "which edition of the module for clinicians was read",
        "measured": MEASURED,
        "measured.*": "as in answers",
    },
    "feedback": {
        "service": SERVICE,
        "card": "which card, as an id of ours or a pseudonym",
        "patient": PATIENT,
        "topic": "what the card was about",
        "outcome": "accepted or overridden",
        "outcome_at": "when",
        "suggestions": "which suggestions were taken, as ids of ours or pseudonyms",
        "reason_system": "whose code the reason is",
        "reason_code": "why it was overridden, as a code of ours or a pseudonym",
        "reason_hl7": "the same in HL7's codes",
    },
    "mode": {
        "act": "what was done",
        "site": SITE,
        "service": SERVICE,
        "outcome": "which model",
        "version": "which version of it",
        "mode": "what it may do now",
        "before": "what it could do before",
        "by": BY,
        "through": THROUGH,
        "reason": REASON,
        "approval": "under which approval",
        "users": "who sees a pilot",
        "departments": "where a pilot is seen",
        "share": "for which share of patients a pilot is seen",
        "review": "which share of answers is reviewed",
    },
    "switch": {
        "act": "what was done",
        "id": "which switch",
        "site": SITE,
        "service": SERVICE,
        "outcome": "which model",
        "topic": "which cards",
        "by": BY,
        "through": THROUGH,
        "reason": REASON,
        "asked_by": "whose request a second person confirmed",
        "off_since": "since when it was off",
    },
    "opt-out": {
        "act": "what was done: added or removed",
        "patient": PATIENT,
        "by": BY,
        "through": THROUGH,
        "reason": REASON,
        "source": "through what it came",
    },
    "configuration": {
        "digest": "which settings are in force",
        "release": "which release read them",
        "sites": "for which sites",
        "models": "which models were loaded, by version and digest",
        "approvals": "which approvals were found",
    },
    "export": {
        "what": "what left: events, incidents, a review, figures",
        "format": "in which form",
        "by": BY,
        "reason": REASON,
        "site": SITE,
        "since": "from when on",
        "until": "up to when",
        "count": "how many",
        "everyone": "whether patients who opted out were in it",
        "epsilon": "with how much noise figures left: the smaller, the more",
    },
    "erasure": {
        "act": "whether a person's events were erased, or those older than the site keeps them",
        "by": BY,
        "reason": REASON,
        "count": "how many",
        "numbers": "which, as runs from number to number: to tell them from events that somebody else erased",
    },
    "incident": {
        "what": "opened, noted, assigned or closed",
        "incident": "which",
        "kind": "of which kind",
        "severity": "how severe",
        "by": BY,
        "owner": "who looks after it",
        "facts": "what was found, as codes, counts and times",
        "facts.*": "each of them",
    },
    "escalation": {
        "what": "opened, joined, begun, moved-on, acknowledged, handed-back, done, closed, refused",
        "escalation": "which",
        "patient": PATIENT,
        "contact": "who was told",
        "channel": "by webhook, e-mail or task",
        "step": "as which in turn",
        "by": BY,
        "through": "from a page, by feedback, by the contact's own system, or a task",
        "reason": "why it was closed, or an acknowledgement refused, as a code",
        "done": "what was done, as codes",
        "drill": "that it was a rehearsal",
        "service": SERVICE,
    },
    "snooze": {
        "patient": PATIENT,
        "user": "for whom, as a pseudonym; nobody in particular: for all",
        "topic": "which cards",
        "reason": "why, as a code",
        "days": "for how long",
        "through": "by feedback or in the app",
    },
    "reading": {
        "what": "read, not read, gone, opted out, switched off, or a search for what is new",
        "service": SERVICE,
        "patient": PATIENT,
        "rules": "which documented answers were found",
        "unknown": "which parts of the chart could not be had",
        "consent": "whether the patient's data may be used",
        "deceased": "why nobody was told",
        "escalation": "whether somebody is told of an acute answer, and how far that is",
        "count": "how many patients a search found",
        "measured": MEASURED,
        "measured.*": "as in answers",
    },
    "trial": {
        "act": "begun, amended, assigned",
        "trial": "which",
        "version": "by which version of its protocol",
        "site": SITE,
        "unit": "who or what was assigned, as a pseudonym or a clinic's name in the protocol",
        "stratum": "among which others",
        "number": "as which in turn",
        "arm": "to which arm",
        "digest": "of its file, to show later that it is the same",
        "patient": PATIENT,
        "by": BY,
        "through": THROUGH,
        "reason": REASON,
    },
    "governance": {
        "what": "signed in or out, was refused, searched, exported, looked at a patient's id",
        "by": BY,
        "roles": "as what",
        "why": "the reason of a refusal, as a code",
        "page": "which page",
        "site": "of which site",
        "card": "which card was looked for",
        "escalation": "of which escalation the patient's id was looked at",
        "patient": PATIENT,
        "found": "how many",
    },
}


def check(kind: str, event: Mapping[str, Any]) -> None:
    """Raises ValueError for a field that is not listed, or a value that is too long; it quotes no value."""
    listed = FIELDS[kind]
    for name, value in _fields(event):
        if name not in listed and f"{name.partition('.')[0]}.*" not in listed:
            raise ValueError(f"an event of kind {kind}: expected the fields listed in audit_fields.py; found {name}")
        if isinstance(value, str) and len(value) > LONGEST and name != "comment":
            raise ValueError(f"an event of kind {kind}: expected at most {LONGEST} characters in {name}")


def _fields(event: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in event.items():
        for one in value if isinstance(value, list | tuple) else (value,):
            yield within + name, one
            if isinstance(one, Mapping):
                yield from _fields(one, f"{within}{name}.")
