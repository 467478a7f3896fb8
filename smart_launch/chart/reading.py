"""The chart of a session, read again for every page: who the patient is, what is known, what follows from it.

The same gathering, rules, models and words as a hook call, with the token of this launch. Nothing of a card is
believed here. A right that was not granted, or granted for part of a type only, is named: what is not seen must not
pass for what is not there (SMART-042, 043).
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from explanations.judgement.assessment import Assessment
from explanations.judgement.judge import judge
from explanations.words.notice_list import notices
from explanations.words.notices import Notice
from fhir_adapters.access.chart_request import ChartRequest
from fhir_adapters.access.client import FhirClient
from fhir_adapters.access.prefetch import Access, gather
from fhir_adapters.access.templates import templates
from fhir_adapters.errors import FhirError, NotAuthorized, Refused
from fhir_adapters.facts import ChartPart, Consent, Unknown
from fhir_adapters.gaps import Cause, Gap
from fhir_adapters.resources.gathered import OPENED, Gathered
from fhir_adapters.resources.identity import Identity, identity
from fhir_adapters.resources.r4 import Resource
from fhir_adapters.settings import ReadSettings
from smart_launch.errors import EhrFailed
from smart_launch.launch.guard import OpenLaunch
from smart_launch.launch.refresh import refresh_session
from smart_launch.oauth import scopes
from smart_launch.runtime import AppRuntime
from smart_launch.session.sessions import Session

LEAST_BUDGET_S = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading of a chart. `at` is UTC; `notices` are those of the cards, in the same order."""

    identity: Identity
    assessment: Assessment
    notices: tuple[Notice, ...]
    at: datetime


@dataclass(slots=True)
class _Reader:
    """Reads with the token of a session, what its scopes allow. `expired`: the server took the token for no good."""

    client: FhirClient
    granted: tuple[str, ...]
    expired: threading.Event = field(default_factory=threading.Event)

    def __call__(self, query: str) -> list[Resource]:
        kind = query.partition("?")[0].partition("/")[0]
        if not any(scopes.grants(self.granted, kind, right) for right in (scopes.READ, scopes.SEARCH)):
            raise Refused(Gap(cause=Cause.NOT_GRANTED))
        try:
            return self.client.get(query)
        except NotAuthorized:
            self.expired.set()
            raise


def read_chart(app: AppRuntime, launch: OpenLaunch) -> Reading:
    """What is known of the patient of this session now. Raises EhrFailed when even the Patient cannot be had."""
    session = launch.session
    asked = ChartRequest(
        patient_id=session.context.patient,
        as_of=app.now(),
        user=session.fhir_user,
        encounter=session.context.encounter_reference,
        opted_out=app.opted_out(session.site, session.context.patient),
    )
    try:
        judgement = judge(asked, partial(_chart, app, launch), launch.site.judgement, app.engine)
    except FhirError as error:
        raise EhrFailed("chart: the patient could not be read", "no-chart") from error
    return Reading(
        identity=identity(judgement.gathered.patient),
        assessment=judgement.assessment,
        notices=notices(judgement.assessment, launch.site.notices),
        at=asked.as_of,
    )


def _chart(app: AppRuntime, launch: OpenLaunch, asked: ChartRequest, settings: ReadSettings) -> Gathered:
    """All parts of the chart. Raises EhrFailed when even the Patient cannot be had."""
    gathered = _gathered(launch.session, asked, settings)
    if gathered is None:
        # The token was good by the clock and not for the server: once more with a new one (SMART-082).
        gathered = _gathered(refresh_session(app, launch.registration, launch.session), asked, settings, last=True)
    if gathered is None or (gathered.patient is None and not _kept_from_us(gathered)):
        why = next((u.reason for u in gathered.unknown if u.what == ChartPart.PATIENT), "") if gathered else "refused"
        raise EhrFailed(f"chart: the patient could not be read ({why})", "no-chart")
    return gathered


def _kept_from_us(found: Gathered) -> bool:
    """Whether nothing was read because the patient does not want it."""
    return found.consent in (Consent.OPTED_OUT, Consent.DENIED)


def _gathered(session: Session, asked: ChartRequest, settings: ReadSettings, *, last: bool = False) -> Gathered | None:
    """What this token can read of the chart; None when it has expired and another can be had."""
    budget_s = max(LEAST_BUDGET_S, settings.budget_s)
    reader = _Reader(
        client=FhirClient(base=session.iss, token=session.token, deadline=time.monotonic() + budget_s),
        granted=session.scopes,
    )
    found = gather(asked, {}, Access(fetch=reader, server=session.iss), settings=settings)
    if reader.expired.is_set() and session.refresh_token is not None and not last:
        return None
    return _with_partial_rights(found, session.scopes)


def _with_partial_rights(found: Gathered, granted: tuple[str, ...]) -> Gathered:
    """Parts whose type can be read in part only are not known, however many resources came."""
    partial = [
        Unknown(what=template.key, reason=Gap(cause=Cause.PARTLY_GRANTED), needed=template.needed)
        for template in templates(OPENED)
        if template.key in found.known and any(scopes.reads_part_only(granted, kind) for kind in template.types[:1])
    ]
    names = {gap.what for gap in partial}
    return replace(found, known=found.known - names, unknown=(*found.unknown, *partial)) if partial else found
