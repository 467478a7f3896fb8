"""The prefetched parts of a chart, completed from the FHIR server: `gather`.

Three kinds of nothing stay apart: null or an empty Bundle is known-empty; an absent key, an OperationOutcome or a
refused or failed read is unknown, with its reason; an entry that cannot be read is unreadable. Only keys that were not
sent, or not sent whole, are fetched, and only after the patient's consent was checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import msgspec
from msgspec import Raw

from fhir_adapters.access.chart_parts import (
    Part,
    patient_in,
    sent_parts,
    together,
    why_no_patient,
)
from fhir_adapters.access.chart_request import ChartRequest
from fhir_adapters.access.searches import Fetch, Reader
from fhir_adapters.access.templates import Template, local_template, templates
from fhir_adapters.facts import ChartPart, Consent, Unknown
from fhir_adapters.gaps import Cause, Gap
from fhir_adapters.resources import r4
from fhir_adapters.resources.belonging import own_resources, owner_of
from fhir_adapters.resources.consent import allowed
from fhir_adapters.resources.gathered import BESIDE, Gathered, once
from fhir_adapters.settings import ReadSettings

NO_ACCESS = Gap(cause=Cause.NO_ACCESS)
NOT_PERMITTED = Gap(cause=Cause.NOT_PERMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How missing parts are read: `fetch` runs one query on `server` with the caller's token; None: `why_not`."""

    fetch: Fetch | None = None
    server: str | None = None
    why_not: Gap = NO_ACCESS


def gather(request: ChartRequest, prefetch: Mapping[str, Raw], access: Access, *, settings: ReadSettings) -> Gathered:
    """All parts of the chart that were sent or can be fetched, and what is missing and why.

    Raises WrongPatient when the Patient sent is not the one of the request.
    """
    patient_id = request.patient_id
    local = local_template(settings.maps)
    requested = (*templates(request.parts), *((local,) if local else ()))
    chart = [t for t in requested if t.key != ChartPart.CONSENTS]
    bases = (access.server,) if access.server else settings.fhir_bases
    parts = sent_parts(requested, prefetch, patient_id)
    sent = patient_in(parts.get(ChartPart.PATIENT, Part()), patient_id, was_sent=True)
    if ChartPart.CONSENTS not in parts and settings.consent.use == "required" and not request.opted_out:
        parts |= _read([t for t in requested if t.key == ChartPart.CONSENTS], access, patient_id)
    consents = parts.pop(ChartPart.CONSENTS, Part())
    permission = allowed(
        [resource for resource in consents.resources if resource.kind == "Consent"],
        owner_of(patient_id, sent, bases),
        settings.consent,
        today=request.as_of.astimezone(settings.zone).date(),
        zone=settings.zone,
        user=request.user,
        opted_out=request.opted_out,
        failed=consents.unknown is not None,
    )
    if permission.consent in (Consent.OPTED_OUT, Consent.DENIED):
        access = Access(server=access.server, why_not=NOT_PERMITTED)
    parts = _completed(parts, chart, access, patient_id)
    patient = patient_in(parts[ChartPart.PATIENT], patient_id, was_sent=sent is not None)
    # What can hold an answer counts under whatever key it came (R18), that of the patient and of consents too.
    beside = BESIDE if ChartPart.PAST_MEDICATIONS in request.parts else ()
    held = [consents, *(part for key, part in parts.items() if key not in beside)]
    resources = once(r for part in held for r in part.resources if r.kind not in ("Patient", "Consent"))
    open_to_us = tuple(r for r in resources if not r.labels & permission.withheld)
    needed = [t.key for t in chart if t.needed and t.key != ChartPart.PATIENT]
    gaps = _gaps(parts, chart, None if patient else why_no_patient(parts[ChartPart.PATIENT], patient_id))
    if permission.consent is Consent.UNKNOWN:
        # The rules do not need it, but a card must say why there is no estimate.
        why = consents.unknown or Gap(cause=Cause.CONSENT_UNREADABLE)
        gaps.append(Unknown(what=ChartPart.CONSENTS, reason=why, needed=True))
    gathered = Gathered(
        patient_id=patient_id,
        patient=patient,
        resources=open_to_us,
        known=frozenset(t.key for t in chart) - {gap.what for gap in gaps},
        unknown=tuple(gaps),
        fhir_bases=bases,
        consent=permission.consent,
        withheld=len(resources) - len(open_to_us),
        none_read=patient is None and not any(_is_read(parts[key]) for key in needed),
    )
    shown = [r for key in beside for r in parts[key].resources if not r.labels & permission.withheld]
    return _with_shown(gathered, shown) if shown else gathered


def _with_shown(gathered: Gathered, shown: Iterable[r4.Resource]) -> Gathered:
    """The chart with what is shown beside its findings, but entries of others and unreadable medicines change none."""
    own, _set_aside = own_resources(replace(gathered, resources=tuple(shown)))
    usable = [r for r in own if not (r.fault and r.kind.startswith("Medication"))]
    return replace(gathered, resources=tuple(once((*gathered.resources, *usable))))


def _is_read(part: Part) -> bool:
    """Whether a part was read, be it only a page of it; one that is known to be empty was."""
    return bool(part.resources) or part.unknown is None


def _gaps(parts: Mapping[ChartPart, Part], chart: Iterable[Template], no_patient: Gap | None) -> list[Unknown]:
    """What could not be obtained, and why, including a missing Patient."""
    gaps = [Unknown(what=t.key, reason=why, needed=t.needed) for t in chart if (why := parts[t.key].unknown)]
    if no_patient and not parts[ChartPart.PATIENT].unknown:
        gaps.append(Unknown(what=ChartPart.PATIENT, reason=no_patient, needed=True))
    rest = parts.get(ChartPart.REST)
    return gaps + ([Unknown(what=ChartPart.REST, reason=rest.unknown, needed=True)] if rest and rest.unknown else [])


def _read(absent: list[Template], access: Access, patient_id: str) -> dict[ChartPart, Part]:
    """The parts of these templates; their queries are read in parallel."""
    if access.fetch is None or not absent:
        return {t.key: Part(unknown=access.why_not) for t in absent}
    reader = Reader(fetch=access.fetch, patient_id=patient_id)
    asked = [(template, query) for template in absent for query in template.queries]
    with ThreadPoolExecutor(max_workers=len(asked)) as pool:
        found = list(zip(asked, pool.map(lambda each: reader.read(*each), asked), strict=True))
    return {t.key: together(part for (of, _), part in found if of is t) for t in absent}


def _completed(
    parts: dict[ChartPart, Part], chart: Iterable[Template], access: Access, patient_id: str
) -> dict[ChartPart, Part]:
    """The parts, with those not sent, or not sent whole, read from the server. What was sent is always kept."""
    lacking = [t for t in chart if t.key not in parts or parts[t.key].unknown]
    absent = [t for t in lacking if t.key not in parts or access.fetch]
    done = dict(parts)
    for key, fetched in _read(absent, access, patient_id).items():
        sent = parts.get(key)
        if sent is None:
            done[key] = fetched
        elif fetched.resources or not fetched.unknown:
            done[key] = Part(resources=_together(fetched.resources, sent.resources), unknown=fetched.unknown)
    return done


def _together(fetched: tuple[r4.Resource, ...], sent: Iterable[r4.Resource]) -> tuple[r4.Resource, ...]:
    """Fetched resources, and those sent that differ from them: an entry without an id must not count twice."""
    names: dict[tuple[str, bytes], set[str]] = {}
    for resource in fetched:
        names.setdefault(_content_key(resource), set()).update(resource.names)
    return (*fetched, *(resource for resource in sent if not _is_among(resource, names)))


def _is_among(resource: r4.Resource, names: Mapping[tuple[str, bytes], set[str]]) -> bool:
    held = names.get(_content_key(resource))
    return held is not None and held.issuperset(resource.names)


def _content_key(resource: r4.Resource) -> tuple[str, bytes]:
    """The part of a resource that is read, independent of how its JSON is written."""
    whole = resource.content is not None and resource.fault is None
    return resource.kind, msgspec.json.encode(resource.content) if whole else resource.text
