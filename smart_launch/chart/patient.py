"""The Patient of a session, read on its own: for a form, and again before any write (SMART-072)."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from fhir_adapters.access.addresses import plain_id
from fhir_adapters.access.client import FhirClient
from fhir_adapters.errors import FetchFailed, NotAuthorized
from fhir_adapters.resources.dates import age_on, death
from fhir_adapters.resources.identity import identity, spoken_languages
from smart_launch.chart.banner import PatientBanner, patient_banner
from smart_launch.errors import EhrFailed
from smart_launch.launch.guard import OpenLaunch
from smart_launch.runtime import AppRuntime

READ_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientDetails:
    """Who the patient is. `mark` is specific to the launch and changes when the patient banner does.

    spoken: languages as BCP 47 in lower case, the preferred ones first.
    """

    banner: PatientBanner
    age_years: int | None
    deceased: bool
    mark: str
    spoken: tuple[str, ...] = ()


def read_patient(launch: OpenLaunch, now: datetime) -> PatientDetails:
    """The launch's patient, read now. Raises EhrFailed, or NotAuthorized when the token is refused."""
    session = launch.session
    client = FhirClient(base=session.iss, token=session.token, deadline=time.monotonic() + READ_S)
    try:
        resources = client.get(f"Patient/{quote(plain_id(session.context.patient), safe='')}")
    except NotAuthorized:
        raise
    except FetchFailed as error:
        raise EhrFailed("chart: the patient could not be read", "no-chart") from error
    resource = resources[0] if resources else None
    if resource is None or resource.kind != "Patient" or resource.content is None:
        raise EhrFailed("chart: expected a readable Patient resource", "no-chart")
    if resource.content.id != session.context.patient:
        raise EhrFailed("chart: expected the patient of the launch; found another", "no-chart")
    zone = launch.site.reading.zone
    today = now.astimezone(zone).date()
    _, deceased = death(resource.content.deceased_boolean, resource.content.deceased_date_time, zone, today)
    age = age_on(resource.content.birth_date, today)
    who = identity(resource)
    marked = (session.launch_id, session.context.patient, who.name, str(who.birth_date), who.gender, who.identifier)
    return PatientDetails(
        banner=patient_banner(who, age, launch.say, deceased=deceased),
        age_years=age,
        deceased=deceased,
        mark=hashlib.sha256("\0".join(part or "" for part in marked).encode()).hexdigest()[:32],
        spoken=spoken_languages(resource),
    )


def languages_of(app: AppRuntime, launch: OpenLaunch) -> tuple[str, ...]:
    """The languages that the patient speaks; none where that cannot be read, or the patient has opted out."""
    session = launch.session
    if app.control(session.site, session.context.patient, session.fhir_user).opted_out:
        return ()
    try:
        return read_patient(launch, app.now()).spoken
    except (EhrFailed, NotAuthorized):
        return ()
