"""What is done about what has come: the chart is read anew with the service's own token, and judged by the rules alone.

Acute findings are escalated as those of a hook call are. A part of the chart that a server could not give for now is
read again later; what was read is judged at once.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from cds_service.backend.backend import BackendFailed
from cds_service.errors import StoreUnavailable
from cds_service.escalation.links import link_of
from cds_service.escalation.opening import open_for
from cds_service.serving import metrics
from cds_service.serving.runtime import Runtime
from cds_service.settings.config import ServiceConfig
from cds_service.settings.sites import SiteConfig
from cds_service.storage.chain import AuditKind, NewEvent, append
from cds_service.subscriptions.arrivals import (
    Arrival,
    Missed,
    ToRead,
    add,
    claim,
    finish,
    gaps,
    put_off,
    put_off_all,
    say_late,
    say_not_read,
    search_missed,
    silences,
    to_read,
    waiting_since,
)
from explanations.judgement.assessment import Engine, assess
from explanations.judgement.escalation import EscalationState
from explanations.judgement.judge import Occasion, judge
from explanations.judgement.measured import measured
from fhir_adapters.access.changes import changed_since
from fhir_adapters.access.chart_request import ChartRequest
from fhir_adapters.access.client import FhirClient
from fhir_adapters.access.notifications import patient_of
from fhir_adapters.access.prefetch import Access, gather
from fhir_adapters.errors import FetchFailed, FhirError, NotFound
from fhir_adapters.facts import ChartPart
from fhir_adapters.gaps import Cause, Gap
from fhir_adapters.resources.gathered import OPENED
from models.rules.findings import SafetyFinding, Urgency

log = logging.getLogger("mhcds")
SERVICE = "subscription"
READ_S = 30.0
# Threads of a worker: most of the time of a reading is the FHIR server's.
READERS = 3
# Clocks of servers are apart, and some index what is new only after a while.
MARGIN = timedelta(minutes=5)
LOOK_EVERY_S = 60
# Rules need neither measurements nor medicines.
ARRIVED = Occasion(
    name="answer-arrived",
    parts=tuple(part for part in OPENED if part not in (ChartPart.MEASUREMENTS, ChartPart.MEDICATIONS)),
    assess=assess,
)
# Failures that may pass. Others are the same at the next reading: somebody must look, and it is not tried again.
PASSING = frozenset((
    Cause.NO_ACCESS, Cause.REFUSED, Cause.BUSY, Cause.FAILED, Cause.UNREACHABLE, Cause.TOO_LATE, Cause.TOO_MUCH,
    Cause.ANSWER_NOT_FHIR, Cause.MEDIA_TYPE, Cause.REDIRECTED,
))  # fmt: skip
GONE = (Cause.NO_SUCH_PATIENT, Cause.NOT_FOUND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What came of a row. failure: why it is read again; event: for the record; more: what else is to be read.

    lasting: what could not be read and will not be the next time either.
    """

    failure: Gap | None = None
    lasting: str | None = None
    event: Mapping[str, object] | None = None
    patient: str | None = None
    more: tuple[ToRead, ...] = ()


def read_due(runtime: Runtime, missed: Missed) -> None:
    """Reads what is due, one after the other, and looks whether anything is silent or late. Raises StoreUnavailable."""
    config = runtime.config()
    sites = {site.id: site for site in config.sites if site.subscription is not None and site.backend is not None}
    while sites:
        search_missed(runtime.store, runtime.key, missed, runtime.now())
        _look_at_times(runtime, sites)
        claimed = claim(runtime.store, tuple(sites), runtime.now())
        if claimed is None:
            return
        try:
            _read(runtime, config, sites[claimed.site], claimed)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001  # one chart that cannot be judged must not keep the others waiting
            _put_off(runtime, claimed, type(error).__name__)


def _look_at_times(runtime: Runtime, sites: Mapping[str, SiteConfig]) -> None:
    """Once a minute, whoever of the workers comes first."""
    now = runtime.now()
    if not runtime.store.note_shown("watch:arrivals", int(now.timestamp()), LOOK_EVERY_S):
        return
    since = waiting_since(runtime.store, tuple(sites))
    metrics.ARRIVALS_WAITING.set(0 if since is None else max(0.0, (now - since).total_seconds()))
    expected = ((site.id, site.subscription.expect_every_h) for site in sites.values() if site.subscription)
    silences(runtime.store, [(site, hours) for site, hours in expected if hours], now)
    say_late(runtime.store, sites, now)


def _looked(runtime: Runtime, config: ServiceConfig, site: SiteConfig, wanted: ToRead | None) -> Seen:
    if wanted is None:
        return Seen(lasting="sealed with another key", event={"what": "not read"})
    try:
        client = runtime.backend.reader(site, time.monotonic() + READ_S)
    except BackendFailed:
        return Seen(failure=Gap(cause=Cause.NO_ACCESS))
    if wanted.patient:
        return _chart(runtime, config, site, client, wanted.patient)
    if wanted.resource:
        return _resource(site, client, wanted.resource)
    return _server(site, client, datetime.fromtimestamp(wanted.since, UTC))


def _read(runtime: Runtime, config: ServiceConfig, site: SiteConfig, claimed: Arrival) -> None:
    wanted = to_read(runtime.key, claimed.sealed)
    seen = _looked(runtime, config, site, wanted)
    now = runtime.now()
    if seen.failure is not None and seen.failure.cause is Cause.REFUSED:
        runtime.backend.forget(site)
    add(runtime.store, runtime.key, site.id, seen.more, now)
    with runtime.store.transaction() as connection:
        if seen.failure is None:
            again_at = None if wanted is None or wanted.name else gaps(connection, site.id, now)
            finish(connection, claimed, now, again_at=again_at)
        if seen.lasting is not None:
            say_not_read(connection, site.id, claimed.at, seen.lasting, now)
        if seen.event is not None:
            event = {"service": SERVICE, **seen.event}
            new = NewEvent(site=site.id, kind=AuditKind.READING, at=now.isoformat(), event=event, patient=seen.patient)
            append(connection, new)
    if seen.failure is not None:
        _put_off(runtime, claimed, str(seen.failure))
    if seen.failure is not None and seen.failure.cause is Cause.NO_ACCESS:
        put_off_all(runtime.store, site.id, now)


def _put_off(runtime: Runtime, claimed: Arrival, why: str) -> None:
    lasts = put_off(runtime.store, claimed, why, runtime.now())
    said = {"event": "chart-not-read", "site": claimed.site, "why": why, "attempts": claimed.attempts, "lasts": lasts}
    log.log(logging.ERROR if lasts else logging.WARNING, json.dumps(said))


def _chart(runtime: Runtime, config: ServiceConfig, site: SiteConfig, client: FhirClient, patient: str) -> Seen:
    """A chart, judged; nothing is read of a patient who has opted out with us."""
    pseudonym = runtime.key.pseudonym(site.id, patient)
    runtime.controls.look()  # no call has just done so
    control = runtime.control(config, runtime.asker(site.id, SERVICE, None, patient))
    if control.opted_out or control.off_since is not None:
        why = "opted out" if control.opted_out else "switched off"
        return Seen(event={"what": why}, patient=pseudonym)
    access = Access(fetch=client.get, server=client.base)
    now = runtime.now()
    try:
        judgement = judge(
            ChartRequest(patient_id=patient, as_of=now),
            lambda request, settings: gather(request, {}, access, settings=settings),
            site.judgement,
            Engine(),
            occasion=ARRIVED,
            control=control,
        )
    except FhirError:  # an id that no server can be asked for
        return Seen(event={"what": "not read"}, patient=pseudonym)
    assessment = judgement.assessment
    told = open_for(
        runtime.store,
        runtime.key,
        site,
        link_of(judgement.gathered, _encounter(assessment.findings), client.base, site),
        assessment,
        now,
        service=SERVICE,
        topics_off=control.topics_off,
    )
    event = {
        "what": "read",
        "rules": sorted({finding.rule for finding in assessment.findings}),
        "unknown": [gap.what.value for gap in assessment.chart.unknown],
        "consent": assessment.chart.consent.value,
        "deceased": assessment.chart.deceased,
        "measured": [each.recorded(partial(runtime.key.pseudonym, site.id)) for each in measured(assessment.chart)],
        **({"escalation": told.state.value} if told else {}),
    }
    not_told = told and told.state is EscalationState.NOT_RECORDED
    unknown = [gap for gap in assessment.chart.unknown if gap.needed and gap.reason.cause is not Cause.NOT_PERMITTED]
    if any(gap.what is ChartPart.PATIENT and gap.reason.cause in GONE for gap in unknown):
        return Seen(event={"what": "gone"}, patient=pseudonym)
    lacking = [gap.reason for gap in unknown]
    lacking += [Gap(cause=Cause.FAILED, detail="store")] if not_told else []
    passing = next((gap for gap in lacking if gap.cause in PASSING), None)
    lasting = next((str(gap) for gap in lacking), None) if passing is None else None
    return Seen(failure=passing, lasting=lasting, event=event, patient=pseudonym)


def _encounter(findings: Iterable[SafetyFinding]) -> str | None:
    """Where the acute answer was given, as far as it says so: that is where somebody goes."""
    acute = (finding for finding in findings if finding.urgency is Urgency.ACUTE)
    about = (finding.form or finding.event for finding in acute)
    return next((each.encounter for each in about if each and each.encounter), None)


def _resource(site: SiteConfig, client: FhirClient, reference: str) -> Seen:
    """Whose a resource is. One that is gone is done with, and one that names no patient cannot be an answer of any."""
    try:
        pages = client.get(reference)
    except NotFound:
        return Seen(event={"what": "gone"})
    except FetchFailed as failed:
        return Seen(failure=failed.gap)
    whose = patient_of(pages[0], site.reading.fhir_bases) if pages else None
    return Seen(more=(ToRead(patient=whose),)) if whose else Seen(event={"what": "names no patient"})


def _server(site: SiteConfig, client: FhirClient, since: datetime) -> Seen:
    """The patients with new answers on the whole server."""
    found = changed_since(since - MARGIN, client.get, site.reading)
    more = tuple(ToRead(patient=patient) for patient in found.patients)
    return Seen(failure=found.gap, event={"what": "searched", "count": len(more)}, more=more)
