"""From entering to the chart, for forms and drafts alike: what a page carries to the next one, and how it is written.

Nothing is kept between the pages but what the form itself carries, and all of it is checked again: the submission
(an id of ours), when it was entered, and a mark of the patient whom the page showed.
"""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from flask import Response

from fhir_adapters.errors import NotAuthorized
from fhir_adapters.writing.completed import FormContext, Slot, author_of
from fhir_adapters.writing.confirmed import FhirWriter
from smart_launch.chart.patient import PatientDetails, read_patient
from smart_launch.chart.reading import may
from smart_launch.errors import EhrFailed, NotAllowed
from smart_launch.forms.answers import help_of
from smart_launch.forms.writing import UNDO_S, SubmissionResult, Ways, key_of, write
from smart_launch.launch.guard import OpenLaunch, render
from smart_launch.launch.refresh import refresh_session
from smart_launch.records import record_event
from smart_launch.runtime import AppRuntime

WRITE_S = 25.0
SUBMISSION = re.compile(r"[A-Za-z0-9_-]{20,64}")
MARK = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a review page carries beside the answers. `at`: seconds since 1970, when they were entered."""

    submission: str
    at: int
    who: str

    def fields(self) -> dict[str, str]:
        """As hidden fields of a form."""
        return {"submission": self.submission, "at": str(self.at), "who": self.who}


def new_entry(app: AppRuntime, shown: PatientDetails) -> Entry:
    """A new submission, entered now."""
    return Entry(submission=app.new_secret(), at=app.seconds(), who=shown.mark)


def entry_in(app: AppRuntime, launch: OpenLaunch, fields: Mapping[str, Sequence[str]]) -> Entry:
    """What a page carried. Raises NotAllowed when it cannot be ours."""
    submission, at, who = (_one(fields, name) for name in ("submission", "at", "who"))
    seconds = int(at) if re.fullmatch(r"[0-9]{1,12}", at) else -1
    in_session = launch.session.started <= seconds <= app.seconds()
    if not SUBMISSION.fullmatch(submission) or not MARK.fullmatch(who) or not in_session:
        raise NotAllowed("form: expected what its review page carries", "form-refused", 400)
    return Entry(submission=submission, at=seconds, who=who)


def _one(fields: Mapping[str, Sequence[str]], name: str) -> str:
    values = fields.get(name, ())
    return values[0] if len(values) == 1 else ""


def form_context(launch: OpenLaunch, entry: Entry) -> FormContext:
    """When, of whom and by whom; the submission as the chart knows it, which is of this launch alone."""
    session = launch.session
    return FormContext(
        patient=f"Patient/{session.context.patient}",
        at=datetime.fromtimestamp(entry.at, UTC),
        submission=key_of(session.launch_id, entry.submission),
        encounter=session.context.encounter_reference,
        user=session.fhir_user,
    )


def author(launch: OpenLaunch) -> str | None:
    """Who signs: the practitioner of this launch."""
    return author_of(launch.session.fhir_user)


def why_not(launch: OpenLaunch, kind: str, shown: PatientDetails, *, adults: bool) -> str | None:
    """Why nothing of this type can be entered here; None when it can."""
    if shown.deceased:
        return "deceased"
    if adults and shown.minor:
        return "minor"
    if not (launch.registration.write_back and may(launch.session)(kind, "c")):
        return "not-granted"
    # What nobody signs cannot be asked about later.
    return None if author(launch) else "no-author"


def refuse(launch: OpenLaunch, reason: str, shown: PatientDetails) -> Response:
    """The page that says why nothing can be entered."""
    return render(launch, "no_form.html", reason=reason, person=shown)


def ways_of(app: AppRuntime, launch: OpenLaunch, shown: PatientDetails, who: str) -> Ways:
    """With what this session writes. `shown` was read for this request, `who` is of the patient on the page before it.

    They must be the same (SMART-072).
    """
    session = launch.session
    allowed = may(session)
    return Ways(
        launch_id=session.launch_id,
        writer=FhirWriter(
            base=session.iss,
            token=session.token,
            patient=session.context.patient,
            deadline=time.monotonic() + WRITE_S,
        ),
        store=app.store,
        may=lambda kind, right: launch.registration.write_back and allowed(kind, right),
        same_patient=lambda: hmac.compare_digest(shown.mark.encode(), who.encode()),
        now=app.seconds,
    )


def write_it(
    app: AppRuntime, launch: OpenLaunch, shown: PatientDetails, what: str, slots: Sequence[Slot], entry: Entry
) -> SubmissionResult:
    """Writes a submission; what became of it is on record before the page leaves."""
    key = key_of(launch.session.launch_id, entry.submission)
    done = write(what, slots, key, ways_of(app, launch, shown, entry.who))
    record(app, launch, "written", done)
    return done


def record(app: AppRuntime, launch: OpenLaunch, event: str, done: SubmissionResult) -> None:
    """What was written or undone, on record: which slots, and why not all."""
    record_event(
        app,
        launch.session,
        event,
        form=done.what,
        slots=list(done.left),
        missing=list(done.missing),
        fault=done.fault.value if done.fault else None,
    )


def show_outcome(
    app: AppRuntime,
    launch: OpenLaunch,
    shown: PatientDetails,
    submission: str,
    done: SubmissionResult,
    **more: Any,  # noqa: ANN401  # what the template takes
) -> Response:
    """The page of what is in the chart and what is not."""
    allowed = may(launch.session)
    changeable = all(allowed(done.written[slot].partition("/")[0], "u") for slot in done.left)
    sent = datetime.fromtimestamp(done.at, launch.site.reading.zone)
    in_time = app.seconds() - done.at <= UNDO_S
    return render(
        launch,
        "written.html",
        200 if done.fault is None else 502,
        outcome=done,
        submission=submission,
        person=shown,
        sent_at=f"{sent:%H:%M}",
        sent_on=launch.say.day(sent.date()),
        can_undo=bool(done.left) and changeable and in_time,
        assess=allowed("Task", "c"),
        help=help_of(launch.site.notices, app.now().astimezone(launch.site.reading.zone).date()),
        **more,
    )


def with_person(app: AppRuntime, launch: OpenLaunch) -> tuple[OpenLaunch, PatientDetails]:
    """The patient as the chart has them now; with a new token when the server no longer takes the old one (SMART-082).

    Raises EhrFailed.
    """
    try:
        return launch, read_patient(launch, app.now())
    except NotAuthorized as error:
        if launch.session.refresh_token is None:
            raise EhrFailed("chart: the token is no longer taken", "no-chart") from error
    again = replace(launch, session=refresh_session(app, launch.registration, launch.session))
    try:
        return again, read_patient(again, app.now())
    except NotAuthorized as error:
        raise EhrFailed("chart: a new token is not taken either", "no-chart") from error
