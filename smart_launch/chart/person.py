"""The Patient of a session, read by itself: before a form is put, and again before anything is written (SMART-072)."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from fhir_adapters.access.client import FhirClient
from fhir_adapters.errors import FetchFailed, NotAuthorized
from fhir_adapters.resources.dates import age_on, when
from fhir_adapters.resources.identity import Identity, identity
from smart_launch.chart.summary import Who, who_of
from smart_launch.errors import EhrFailed
from smart_launch.launch.guard import OpenLaunch

READ_S = 5.0
ADULT = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who the patient is. `mark` changes when what a banner shows of them does, and is of one launch alone."""

    identity: Identity
    age_years: int | None
    deceased: bool
    mark: str

    @property
    def who(self) -> Who:
        """As the banner says it."""
        return who_of(self.identity, self.age_years, deceased=self.deceased)

    @property
    def minor(self) -> bool:
        """Known to be under 18; an unknown age is not."""
        return self.age_years is not None and self.age_years < ADULT


def person(launch: OpenLaunch, now: datetime) -> Person:
    """The session's patient as the chart has them now. Raises EhrFailed, or NotAuthorized when the token is over."""
    session = launch.session
    client = FhirClient(base=session.iss, token=session.token, deadline=time.monotonic() + READ_S)
    try:
        found = client.get(f"Patient/{quote(session.context.patient, safe='')}")
    except NotAuthorized:
        raise
    except FetchFailed as error:
        raise EhrFailed("chart: the patient could not be read", "no-chart") from error
    resource = found[0] if found else None
    if resource is None or resource.kind != "Patient" or resource.content is None:
        raise EhrFailed("chart: expected the patient; found something that cannot be read", "no-chart")
    if resource.content.id != session.context.patient:
        raise EhrFailed("chart: expected the patient of the launch; found another", "no-chart")
    zone = launch.site.reading.zone
    today = now.astimezone(zone).date()
    died = when(resource.content.deceased_date_time, zone, today)
    known = identity(resource)
    shown = (
        session.launch_id,
        session.context.patient,
        known.name,
        str(known.birth_date),
        known.gender,
        known.identifier,
    )
    return Person(
        identity=known,
        age_years=age_on(resource.content.birth_date, today),
        deceased=bool(resource.content.deceased_boolean) or (died is not None and not died.future),
        mark=hashlib.sha256("\0".join(part or "" for part in shown).encode()).hexdigest()[:32],
    )
