"""The chart of a session, read and assessed anew for every page.

Uses the same gathering, rules, models and wording as a hook call, with the token of this launch. Nothing is taken over
from a card. A right that was not granted, or only for part of a type, is named: what cannot be read must not look
absent (SMART-042, 043).
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from explanations.judgement.alert_limits import Limited
from explanations.judgement.assessment import Assessment
from explanations.judgement.judge import CHART_SHOWN, judge
from explanations.judgement.measured import measured
from explanations.words.notices.limited import marked_limits
from explanations.words.notices.notice import Notice
from explanations.words.notices.notice_list import notices
from explanations.words.notices.switched_off import marked
from fhir_adapters.access.chart_request import ChartRequest
from fhir_adapters.access.client import FhirClient
from fhir_adapters.access.prefetch import Access, gather
from fhir_adapters.access.templates import templates
from fhir_adapters.errors import FhirError, NotAuthorized, Refused
from fhir_adapters.facts import ChartPart, Consent, Unknown
from fhir_adapters.gaps import Cause, Gap
from fhir_adapters.resources.gathered import Gathered
from fhir_adapters.resources.identity import Identity, identity
from fhir_adapters.resources.r4 import Resource
from fhir_adapters.settings import ReadSettings
from smart_launch.errors import EhrFailed, SwitchedOff
from smart_launch.launch.guard import OpenLaunch
from smart_launch.launch.refresh import refresh_session
from smart_launch.oauth import scopes
from smart_launch.records import record_event
from smart_launch.runtime import AppRuntime
from smart_launch.session.sessions import Session

LEAST_BUDGET_S = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading of a chart. `at` is UTC; `notices` are those of the cards, in card order.

    `limits`: which of their cards are held back.
    """

    identity: Identity
    assessment: Assessment
    notices: tuple[Notice, ...]
    at: datetime
    limits: Limited = Limited()  # noqa: RUF009  # a frozen value


@dataclass(slots=True)
class _ScopedFetch:
    """Reads what the session's scopes allow, with its token. `expired`: the server refused the token."""

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
    """Reads and assesses the chart. Raises EhrFailed when even the Patient cannot be read, SwitchedOff."""
    session = launch.session
    control = app.control(session.site, session.context.patient, session.fhir_user)
    if control.off_since is not None:
        raise SwitchedOff("chart: the app is switched off at this site")
    request = ChartRequest(
        patient_id=session.context.patient,
        as_of=app.now(),
        user=session.fhir_user,
        encounter=session.context.encounter_reference,
        opted_out=control.opted_out,
    )
    try:
        source = partial(_gather_chart, app, launch)
        judgement = judge(request, source, launch.site.judgement, app.engine, occasion=CHART_SHOWN, control=control)
    except FhirError as error:
        raise EhrFailed("chart: the patient could not be read", "no-chart") from error
    told = app.escalate(session, judgement, control)
    assessment = replace(judgement.assessment, escalation=told)
    made = notices(assessment, launch.site.notices)
    limits = app.limits(session, assessment, tuple(n for n in made if n.topic not in control.topics_off))
    off = marked(made, control.topics_off, launch.site.notices)
    return Reading(
        identity=identity(judgement.gathered.patient),
        assessment=assessment,
        notices=marked_limits(off, limits.held, launch.site.notices),
        at=request.as_of,
        limits=limits,
    )


def record_shown(app: AppRuntime, launch: OpenLaunch, reading: Reading, page: str) -> None:
    """Records what a page shows of a reading."""
    record_event(
        app,
        launch.session,
        "shown",
        measured(reading.assessment.chart),
        page=page,
        topics=[notice.topic.value for notice in reading.notices],
        unknown=[gap.what for gap in reading.assessment.chart.unknown],
        consent=reading.assessment.chart.consent.value,
    )


def _gather_chart(app: AppRuntime, launch: OpenLaunch, request: ChartRequest, settings: ReadSettings) -> Gathered:
    """Gathers all parts of the chart. Raises EhrFailed when even the Patient cannot be read."""
    gathered = _gather(launch.session, request, settings)
    if gathered is None:
        # Not expired by our clock, yet refused by the server: retry once with a new token (SMART-082).
        gathered = _gather(refresh_session(app, launch.registration, launch.session), request, settings, last=True)
    if gathered is None or (gathered.patient is None and not _withheld(gathered)):
        gaps = gathered.unknown if gathered else ()
        why = next((gap.reason.cause.value for gap in gaps if gap.what == ChartPart.PATIENT), "refused")
        raise EhrFailed(f"chart: the patient could not be read ({why})", "no-chart")
    return gathered


def _withheld(gathered: Gathered) -> bool:
    """Whether nothing was read because the patient objects."""
    return gathered.consent in (Consent.OPTED_OUT, Consent.DENIED)


def _gather(session: Session, request: ChartRequest, settings: ReadSettings, *, last: bool = False) -> Gathered | None:
    """What this token can read of the chart; None when it has expired and can be refreshed."""
    budget_s = max(LEAST_BUDGET_S, settings.budget_s)
    fetch = _ScopedFetch(
        client=FhirClient(base=session.iss, token=session.token, deadline=time.monotonic() + budget_s),
        granted=session.scopes,
    )
    gathered = gather(request, {}, Access(fetch=fetch, server=session.iss), settings=settings)
    if fetch.expired.is_set() and session.refresh_token is not None and not last:
        return None
    return _with_partial_rights(gathered, session.scopes)


def _with_partial_rights(gathered: Gathered, granted: tuple[str, ...]) -> Gathered:
    """Marks parts of partly readable types as unknown, however many resources came."""
    unseen = [
        Unknown(what=template.key, reason=Gap(cause=Cause.PARTLY_GRANTED), needed=template.needed)
        for template in templates(CHART_SHOWN.parts)
        if template.key in gathered.known and any(scopes.reads_part_only(granted, kind) for kind in template.types[:1])
    ]
    names = {gap.what for gap in unseen}
    return replace(gathered, known=gathered.known - names, unknown=(*gathered.unknown, *unseen)) if unseen else gathered
