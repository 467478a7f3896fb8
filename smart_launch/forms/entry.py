"""Checks before entry: the patient as read now, who signs, and why entry may be refused."""

from __future__ import annotations

from dataclasses import replace

from flask import Response

from fhir_adapters.errors import NotAuthorized
from fhir_adapters.instruments import InstrumentSpec
from fhir_adapters.writing.completed import author_of
from smart_launch.chart.patient import PatientDetails, read_patient
from smart_launch.errors import EhrFailed
from smart_launch.launch.guard import OpenLaunch, render
from smart_launch.launch.refresh import refresh_session
from smart_launch.runtime import AppRuntime


def current_patient(app: AppRuntime, launch: OpenLaunch) -> tuple[OpenLaunch, PatientDetails]:
    """The patient, read now, and the launch, with a new token if the old one was refused (SMART-082).

    Raises EhrFailed.
    """
    try:
        return launch, read_patient(launch, app.now())
    except NotAuthorized as error:
        if launch.session.refresh_token is None:
            raise EhrFailed("chart: the token is no longer accepted", "no-chart") from error
    refreshed = replace(launch, session=refresh_session(app, launch.registration, launch.session))
    try:
        return refreshed, read_patient(refreshed, app.now())
    except NotAuthorized as error:
        raise EhrFailed("chart: a new token is not accepted either", "no-chart") from error


def refusal(
    launch: OpenLaunch, kind: str, patient: PatientDetails, *, form: InstrumentSpec | None = None
) -> Response | None:
    """The page that says why this type, or this form, cannot be entered here; None when it can."""
    reason = refusal_reason(launch, kind, patient, form)
    return render(launch, "no_form.html", reason=reason, patient=patient, spec=form) if reason else None


def refusal_reason(launch: OpenLaunch, kind: str, patient: PatientDetails, form: InstrumentSpec | None) -> str | None:
    """Why this type, or this form, cannot be entered here; None when it can."""
    if patient.deceased:
        return "deceased"
    if form and form.yes_no and not launch.site.notices.region.levels:
        return "region"
    if form and patient.age_years is not None and patient.age_years < (form.asked_from or 0):
        return "too-young"
    if not launch.can_write(kind, "c"):
        return "not-granted"
    # With an unsigned entry, nobody could be asked about it.
    return None if author_of(launch.session.fhir_user) else "no-author"
