"""What we ask for, what came, and what has to be fetched: prefetch templates and `gather`.

Three kinds of nothing stay apart: null or an empty Bundle is known-empty; an absent key, an
OperationOutcome, a refused or failed read is unknown, with its reason; an entry that is there and cannot
be read is unreadable. Only keys that were not sent, or not sent whole, are fetched, and only after the patient's
consent was looked at. Search results are filtered by type here and by patient in `belonging`; order and `_sort` are
never trusted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from urllib.parse import parse_qsl, quote

import msgspec
from msgspec import Raw

from fhir_adapters.access.chart_request import ChartRequest
from fhir_adapters.codesets.questions import QuestionnaireMap, screening_codes
from fhir_adapters.codesets.terminology import LOINC, RISK_ASSESSMENT, SNOMED, code_group, table
from fhir_adapters.errors import FetchFailed, NotFhir, NotSupported, WrongPatient
from fhir_adapters.facts import ChartPart, Consent, Unknown
from fhir_adapters.gaps import Cause, Gap
from fhir_adapters.reading.conditions import event_kind
from fhir_adapters.reading.habits import CODED
from fhir_adapters.resources import r4
from fhir_adapters.resources.belonging import owner_of
from fhir_adapters.resources.consent import allowed
from fhir_adapters.resources.gathered import OPENED, Gathered, once
from fhir_adapters.settings import ReadSettings

Fetch = Callable[[str], list[r4.Resource]]
OTHER_CODES = Gap(cause=Cause.OTHER_CODES)
NO_ACCESS = Gap(cause=Cause.NO_ACCESS)
NOT_PERMITTED = Gap(cause=Cause.NOT_PERMITTED)
ONE_CATEGORY = Gap(cause=Cause.ONE_CATEGORY, detail="assess-plan")
NOT_SPLIT = Gap(cause=Cause.NOT_SPLIT)
PATIENT_ID = "{{context.patientId}}"
MEASURED = {"alc_drinks_day", "sleep_hours"}
"""Numbers that models use; no vital sign is among them, so none is asked for."""


def _codes(codes: Iterable[str]) -> str:
    """A `code` parameter: one query for all of them (guaranteed by US Core servers)."""
    return ",".join(f"{LOINC if '-' in code else SNOMED}|{code}" for code in codes)


def _screened() -> tuple[str, ...]:
    """Every code by which a screening answer or a safety finding can be an Observation."""
    findings = sorted(
        row["code"] for row in table("conditions") if row["system"] == SNOMED and event_kind(code_group(row["group"]))
    )
    return (*screening_codes(), *findings)


def _measured() -> tuple[str, ...]:
    listed = tuple(row["code"] for row in table("measurements") if row["feature"] in MEASURED)
    return (*listed, *CODED)


def local_template(maps: Iterable[QuestionnaireMap]) -> Template | None:
    """The query for a site's own screening codes. It cannot be a prefetch key: those are the same for all sites."""
    codes = [f"{m.source}|{code}" for m in maps if not m.form for code in m.items]
    if not codes:
        return None
    return _search(ChartPart.LOCAL_SCREENING, "Observation", f"&code={','.join(codes)}", needed=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One prefetch key: its query, the resource types that it may yield, and whether the service can do without.

    `reads` are the queries that the service itself asks, each when the server does not support the one before; the
    last keeps to what US Core guarantees. They may use what prefetch templates may not. `narrower`: why an answer to
    the last is not all that was wanted, where it asks for less.
    """

    key: ChartPart
    query: str
    types: tuple[str, ...]
    needed: bool
    reads: tuple[str, ...] = ()
    narrower: Gap | None = None


PAGE = "&_count=200"


def _search(
    key: ChartPart, kind: str, criteria: str = "", *, needed: bool, include: str = "", types: tuple[str, ...] = (),
    guaranteed: str | None = None, narrower: Gap | None = None,
) -> Template:  # fmt: skip
    """A search by patient. `guaranteed`: the criteria that US Core servers must support, where those are others."""
    who = f"{kind}?patient={PATIENT_ID}"
    query = who + criteria
    plainest = query if guaranteed is None else who + guaranteed
    reads = tuple(dict.fromkeys((query + include + PAGE, query + PAGE, query, plainest)))
    return Template(key=key, query=query, types=types or (kind,), needed=needed, reads=reads, narrower=narrower)


def templates(keys: tuple[ChartPart, ...] = OPENED) -> tuple[Template, ...]:
    """The templates of these prefetch keys, in a stable order."""
    return tuple(template for template in _all_templates() if template.key in keys)


@cache
def _all_templates() -> tuple[Template, ...]:
    """Every prefetch key. Sites store them: a change here is a breaking change."""
    patient = f"Patient/{PATIENT_ID}"
    return (
        Template(key=ChartPart.PATIENT, query=patient, types=("Patient",), needed=True, reads=(patient,)),
        _search(ChartPart.CONDITIONS, "Condition", needed=True),
        _search(ChartPart.SCREENING, "Observation", f"&code={_codes(_screened())}", needed=True),
        _search(ChartPart.QUESTIONNAIRES, "QuestionnaireResponse", needed=True),
        _search(ChartPart.MEASUREMENTS, "Observation", f"&code={_codes(_measured())}", needed=False),
        _search(
            ChartPart.MEDICATIONS,
            "MedicationRequest",
            "&intent=order,plan&status=active",
            needed=False,
            include="&_include=MedicationRequest:medication",
            types=("MedicationRequest", "Medication"),
        ),
        _search(ChartPart.ENCOUNTERS, "Encounter", needed=False),
        _search(ChartPart.PROCEDURES, "Procedure", f"&code={SNOMED}|{RISK_ASSESSMENT}", needed=False, guaranteed=""),
        _search(ChartPart.CONSENTS, "Consent", "&status=active", needed=False, guaranteed=""),
        _search(
            ChartPart.CARE_PLANS, "CarePlan", needed=False, guaranteed="&category=assess-plan", narrower=ONE_CATEGORY
        ),
        _search(ChartPart.APPOINTMENTS, "Appointment", "&status=booked,pending", needed=False, guaranteed=""),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How what was not sent is read: `fetch` reads one query of `server` with the caller's token; None: `why_not`."""

    fetch: Fetch | None = None
    server: str | None = None
    why_not: Gap = NO_ACCESS


def gather(request: ChartRequest, prefetch: Mapping[str, Raw], access: Access, *, settings: ReadSettings) -> Gathered:
    """All parts of the chart that were sent or can be fetched, and what could not be had and why.

    Raises WrongPatient when the Patient sent is not the one of the request.
    """
    patient_id = request.patient_id
    local = local_template(settings.maps)
    wanted = (*templates(request.parts), *((local,) if local else ()))
    chart = [t for t in wanted if t.key != ChartPart.CONSENTS]
    bases = (access.server,) if access.server else settings.fhir_bases
    parts = _sent_parts(wanted, prefetch)
    sent = _the_patient(parts.get(ChartPart.PATIENT, Part()), patient_id, was_sent=True)
    if ChartPart.CONSENTS not in parts and settings.consent.use == "required" and not request.opted_out:
        parts |= _read([t for t in wanted if t.key == ChartPart.CONSENTS], access, patient_id)
    consents = parts.pop(ChartPart.CONSENTS, Part())
    permission = allowed(
        consents.resources,
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
    patient = _the_patient(parts[ChartPart.PATIENT], patient_id, was_sent=sent is not None)
    resources = once(r for t in chart if t.key != ChartPart.PATIENT for r in parts[t.key].resources)
    open_to_us = tuple(r for r in resources if not r.labels & permission.withheld)
    gaps = _gaps(parts, chart, None if patient else _no_patient(parts[ChartPart.PATIENT], patient_id))
    if permission.consent is Consent.UNKNOWN:
        # The rules can do without it, but a card must say that there is no estimate and why.
        why = consents.unknown or Gap(cause=Cause.CONSENT_UNREADABLE)
        gaps.append(Unknown(what=ChartPart.CONSENTS, reason=why, needed=True))
    return Gathered(
        patient_id=patient_id,
        patient=patient,
        resources=open_to_us,
        known=frozenset(t.key for t in chart) - {gap.what for gap in gaps},
        unknown=tuple(gaps),
        fhir_bases=bases,
        consent=permission.consent,
        withheld=len(resources) - len(open_to_us),
    )


def _gaps(parts: Mapping[ChartPart, Part], chart: Iterable[Template], no_patient: Gap | None) -> list[Unknown]:
    """What could not be had, and why; a Patient that is not there among it."""
    gaps = [Unknown(what=t.key, reason=why, needed=t.needed) for t in chart if (why := parts[t.key].unknown)]
    if no_patient and not parts[ChartPart.PATIENT].unknown:
        gaps.append(Unknown(what=ChartPart.PATIENT, reason=no_patient, needed=True))
    rest = parts.get(ChartPart.REST)
    return gaps + ([Unknown(what=ChartPart.REST, reason=rest.unknown, needed=True)] if rest and rest.unknown else [])


def _read(absent: list[Template], access: Access, patient_id: str) -> dict[ChartPart, Part]:
    """The parts of these templates, read side by side, each by the best query that the server supports."""
    if access.fetch is None or not absent:
        return {t.key: Part(unknown=access.why_not) for t in absent}
    fetch = access.fetch

    def one(template: Template) -> Part:
        refusal: Gap | None = None
        for query in template.reads:
            try:
                pages = fetch(_sendable(query, patient_id))
                found = _part(template, pages, all_pages=True)
                if pages and _says_other_codes(pages[0], query):
                    found = replace(found, unknown=OTHER_CODES)
                lacks = template.narrower if query == template.reads[-1] else None
                return replace(found, unknown=found.unknown or lacks)
            except FetchFailed as failure:
                # Once a page came, the form was not refused.
                if not isinstance(failure, NotSupported) or failure.pages:
                    read = _part(template, failure.pages, all_pages=True)
                    return replace(read, unknown=failure.gap)
                refusal = failure.gap
            except NotFhir:
                return Part(unknown=Gap(cause=Cause.ANSWER_NOT_FHIR))
        return Part(unknown=refusal)

    with ThreadPoolExecutor(max_workers=len(absent)) as pool:
        return dict(zip((t.key for t in absent), pool.map(one, absent), strict=True))


def _sendable(query: str, patient_id: str) -> str:
    """A query as it is sent: `://` in a value encoded, since gateways were seen that make one slash of two."""
    path, mark, rest = query.replace(PATIENT_ID, quote(patient_id, safe="")).partition("?")
    return f"{path}{mark}{rest.replace('://', '%3A%2F%2F')}"


def _completed(
    parts: dict[ChartPart, Part], wanted: Iterable[Template], access: Access, patient_id: str
) -> dict[ChartPart, Part]:
    """The parts with what was not sent, or not sent whole, read from the chart. What was sent is kept in any case."""
    lacking = [t for t in wanted if t.key not in parts or (parts[t.key].unknown in (r4.FIRST_PAGE, NOT_SPLIT))]
    absent = [t for t in lacking if t.key not in parts or access.fetch]
    done = dict(parts)
    for key, got in _read(absent, access, patient_id).items():
        sent = parts.get(key)
        if sent is None:
            done[key] = got
        elif got.resources or not got.unknown:
            done[key] = Part(resources=_together(got.resources, sent.resources), unknown=got.unknown)
    return done


def _together(got: tuple[r4.Resource, ...], sent: Iterable[r4.Resource]) -> tuple[r4.Resource, ...]:
    """What was read, and what of that sent says anything else: an entry without an id must not count twice."""
    names: dict[tuple[str, bytes], set[str]] = {}
    for one in got:
        names.setdefault(_said(one), set()).update(one.names)
    return (*got, *(one for one in sent if _said(one) not in names or not names[_said(one)].issuperset(one.names)))


def _said(resource: r4.Resource) -> tuple[str, bytes]:
    """All of a resource that is read, however it was written."""
    whole = resource.content is not None and resource.fault is None
    return resource.kind, msgspec.json.encode(resource.content) if whole else resource.text


def _sent_parts(wanted: Iterable[Template], prefetch: Mapping[str, Raw]) -> dict[ChartPart, Part]:
    """What was sent, by key; also when one Bundle came in the place of the keys."""
    if "resourceType" not in prefetch:
        return {t.key: _sent(t, prefetch[t.key]) for t in wanted if t.key in prefetch}
    try:
        whole = r4.read(msgspec.json.encode(prefetch))
    except NotFhir:
        return {}
    held = r4.contents(whole.content, all_pages=True) if whole.kind == "Bundle" and whole.content else None
    found = [*held.resources, *held.included] if held else [whole]
    parts: dict[ChartPart, Part] = {}
    for template in wanted:
        ours = tuple(r for r in found if r.kind in template.types)
        if ours:
            parts[template.key] = Part(resources=ours, unknown=None if template.key == ChartPart.PATIENT else NOT_SPLIT)
    if whole.kind == "Bundle" and (held is None or held.fault):
        parts[ChartPart.REST] = Part(unknown=Gap(cause=Cause.SENT_BUNDLE_BROKEN))
    return parts


def _the_patient(found: Part, patient_id: str, *, was_sent: bool) -> r4.Resource | None:
    """The Patient asked about, or None. Raises WrongPatient when another was sent."""
    whole = [r for r in found.resources if r.kind == "Patient" and r.content is not None]
    if was_sent and any(r.content.id != patient_id for r in whole):
        raise WrongPatient("the Patient sent is not the patient of the context; expected the same id in both")
    return next((r for r in whole if r.content.id == patient_id), None)


def _no_patient(found: Part, patient_id: str) -> Gap:
    """Why there is no Patient of that id among what was found."""
    if any(r.content is None for r in found.resources):
        return Gap(cause=Cause.PATIENT_UNREADABLE)
    others = any(r.content.id != patient_id for r in found.resources)
    return Gap(cause=Cause.OTHER_PATIENT if others else Cause.NO_SUCH_PATIENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Resources of one key. `unknown` says why they are not, or may not be, all of them."""

    resources: tuple[r4.Resource, ...] = ()
    unknown: Gap | None = None


def _sent(template: Template, raw: Raw) -> Part:
    """What a prefetch value holds: null is known-empty; a bare resource and a Bundle are both taken."""
    if bytes(raw).strip() == b"null":
        return Part()
    try:
        return _part(template, [r4.read(raw)])
    except NotFhir:
        return Part(unknown=Gap(cause=Cause.SENT_NOT_FHIR))


def _part(template: Template, documents: Iterable[r4.Resource], *, all_pages: bool = False) -> Part:
    """The resources of a read or of a search. A failed search must never pass for an empty one.

    `all_pages`: the documents are all pages of a search, so that a link to the next one says nothing.
    """
    resources: list[r4.Resource] = []
    faults: list[Gap] = []
    pages = list(documents)
    unfiltered = all_pages and bool(pages) and _says_unfiltered(pages[0])
    matches, total = 0, 0
    for whole in pages:
        if whole.kind in template.types:
            resources.append(whole)
        elif whole.kind == "OperationOutcome":
            faults.append(Gap(cause=Cause.ERROR_REPORT))
        elif whole.kind != "Bundle":
            faults.append(_other_type(whole.kind))
        elif whole.content is None:
            faults.append(Gap(cause=Cause.BUNDLE_UNREADABLE))
        else:
            found = r4.contents(whole.content, all_pages=all_pages)
            ours = [r for r in (*found.resources, *found.included) if r.kind in template.types]
            others = [r for r in found.resources if r.kind not in (*template.types, "OperationOutcome")]
            resources += [replace(r, unfiltered=True) for r in ours] if unfiltered else ours
            matches += sum(r.kind != "OperationOutcome" for r in found.resources)
            total = max(total, whole.content.total or 0)
            empty_handed = not ours and (others or (whole.content.total or 0) > 0)
            fault = found.fault or (Gap(cause=Cause.NONE_ASKED_FOR) if empty_handed else None)
            faults += [fault] if fault else []
    if 0 < matches < total:
        faults.append(r4.FIRST_PAGE)
    return Part(resources=tuple(resources), unknown=faults[0] if faults else None)


def _says_unfiltered(first_page: r4.Resource) -> bool:
    """Whether a server says, by the parameters in its link to itself, that it did not search by patient."""
    if first_page.kind != "Bundle" or first_page.content is None:
        return False
    own = next((k.url for k in first_page.content.link if k and k.relation == "self" and k.url), None)
    if own is None:
        return False
    names = {pair.partition("=")[0].partition(":")[0] for pair in own.partition("?")[2].split("&")}
    return not names & {"patient", "subject"}


def _says_other_codes(first_page: r4.Resource, query: str) -> bool:
    """Whether a server says, by its link to itself, that it looked for none of the codes that were asked for.

    A gateway that alters a query would otherwise make answers that are there look like answers that are not.
    """
    if first_page.kind != "Bundle" or first_page.content is None:
        return False
    own = next((k.url for k in first_page.content.link if k and k.relation == "self" and k.url), "")
    said, asked = _codes_in(own), _codes_in(query)
    return bool(said and asked) and not said & asked


def _codes_in(url: str) -> set[str]:
    """The codes that a search names, each with its system where it has one."""
    values = [value for name, value in parse_qsl(url.partition("?")[2]) if name == "code"]
    return {code for value in values for code in value.split(",")}


def _other_type(kind: str) -> Gap:
    named = re.fullmatch(r"[A-Za-z]{1,40}", kind)
    return Gap(cause=Cause.OTHER_TYPE, detail=kind) if named else Gap(cause=Cause.UNKNOWN_TYPE)
