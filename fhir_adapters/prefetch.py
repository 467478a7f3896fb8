"""What we ask for, what came, and what has to be fetched: prefetch templates and `gather`.

Three kinds of nothing stay apart: null or an empty Bundle is known-empty; an absent key, an
OperationOutcome, a refused or failed read is unknown, with its reason; an entry that is there and cannot
be read is unreadable. Only keys that were not sent are fetched. Search results are filtered by type here
and by patient in `belonging`; order and `_sort` are never trusted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote

from msgspec import Raw

from fhir_adapters import gathered as part
from fhir_adapters import r4
from fhir_adapters.conditions import safety_label
from fhir_adapters.errors import FetchFailed, NotFhir, WrongPatient
from fhir_adapters.facts import Unknown
from fhir_adapters.gathered import Gathered
from fhir_adapters.instruments import QuestionnaireMap, targets
from fhir_adapters.measurements import CODED
from fhir_adapters.terminology import LOINC, RISK_ASSESSMENT, SNOMED, code_group, table

Fetch = Callable[[str], list[r4.Resource]]
NO_ACCESS = "not sent, and no access to the chart was given"
PATIENT_ID = "{{context.patientId}}"
MEASURED = {"alc_drinks_day", "sleep_hours"}
"""Numbers that models use; no vital sign is among them, so none is asked for."""


def _codes(codes: Iterable[str]) -> str:
    """A `code` parameter: one query for all of them (guaranteed by US Core servers)."""
    return ",".join(f"{LOINC if '-' in code else SNOMED}|{code}" for code in codes)


def _screened() -> tuple[str, ...]:
    """Every code by which a screening answer or a safety finding can be an Observation."""
    findings = sorted(
        row["code"] for row in table("conditions") if row["system"] == SNOMED and safety_label(code_group(row["group"]))
    )
    return (*targets(), *findings)


def _measured() -> tuple[str, ...]:
    listed = tuple(row["code"] for row in table("measurements") if row["feature"] in MEASURED)
    return (*listed, *CODED)


def local_template(maps: Iterable[QuestionnaireMap]) -> Template | None:
    """The query for a site's own screening codes. It cannot be a prefetch key: those are the same for all sites."""
    codes = [f"{m.source}|{code}" for m in maps if not m.form for code in m.items]
    if not codes:
        return None
    query = f"Observation?patient={PATIENT_ID}&code={','.join(codes)}"
    return Template(key=part.LOCAL_SCREENING, query=query, types=("Observation",), needed=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One prefetch key: its query, the resource types that it may yield, and whether the service can do without."""

    key: str
    query: str
    types: tuple[str, ...]
    needed: bool


@cache
def templates() -> tuple[Template, ...]:
    """The prefetch keys, in a stable order. Sites store them: a change here is a breaking change."""
    who = f"patient={PATIENT_ID}"
    return (
        Template(key=part.PATIENT, query=f"Patient/{PATIENT_ID}", types=("Patient",), needed=True),
        Template(key=part.CONDITIONS, query=f"Condition?{who}", types=("Condition",), needed=True),
        Template(
            key=part.SCREENING,
            query=f"Observation?{who}&code={_codes(_screened())}",
            types=("Observation",),
            needed=True,
        ),
        Template(
            key=part.QUESTIONNAIRES, query=f"QuestionnaireResponse?{who}", types=("QuestionnaireResponse",), needed=True
        ),
        Template(
            key=part.MEASUREMENTS,
            query=f"Observation?{who}&code={_codes(_measured())}",
            types=("Observation",),
            needed=False,
        ),
        Template(
            key=part.MEDICATIONS,
            query=f"MedicationRequest?{who}&intent=order,plan&status=active",
            types=("MedicationRequest", "Medication"),
            needed=False,
        ),
        Template(key=part.ENCOUNTERS, query=f"Encounter?{who}", types=("Encounter",), needed=False),
        Template(
            key=part.PROCEDURES,
            query=f"Procedure?{who}&code={SNOMED}|{RISK_ASSESSMENT}",
            types=("Procedure",),
            needed=False,
        ),
    )


def gather(
    patient_id: str,
    prefetch: Mapping[str, Raw],
    fetch: Fetch | None,
    *,
    fhir_base: str | None = None,
    maps: Iterable[QuestionnaireMap] = (),
    no_access: str = NO_ACCESS,
) -> Gathered:
    """All parts of the chart that were sent or can be fetched, and what could not be had and why.

    `fetch` reads one query with the caller's token, or is None where no access was given (`no_access` says why).
    Raises WrongPatient when the Patient sent is not `patient_id`.
    """
    local = local_template(maps)
    wanted = (*templates(), *((local,) if local else ()))
    sent = {t.key: _sent(t, prefetch[t.key]) for t in wanted if t.key in prefetch}
    absent = [t for t in wanted if t.key not in sent]
    cut_short = [t for t in wanted if t.key in sent and sent[t.key].unknown == r4.FIRST_PAGE and fetch]
    fetched = _fetch_all([*absent, *cut_short], fetch, patient_id, no_access)
    kept = {t.key: sent[t.key] for t in cut_short if fetched[t.key].unknown}
    parts = sent | fetched | kept
    resources: list[r4.Resource] = []
    known, unknown = set(), []
    for template in wanted:
        got = parts[template.key]
        if got.unknown:
            unknown.append(Unknown(what=template.key, reason=got.unknown, needed=template.needed))
        else:
            known.add(template.key)
        resources += [r for r in got.resources if r.kind in template.types]
    patient, fault = _the_patient(resources, patient_id, was_sent=part.PATIENT in sent)
    if fault and part.PATIENT in known:
        known.discard(part.PATIENT)
        unknown.append(Unknown(what=part.PATIENT, reason=fault, needed=True))
    return Gathered(
        patient_id=patient_id,
        patient=patient,
        resources=tuple(_once(r for r in resources if r.kind != "Patient")),
        known=frozenset(known),
        unknown=tuple(unknown),
        fhir_base=fhir_base,
    )


def _the_patient(
    resources: list[r4.Resource], patient_id: str, *, was_sent: bool
) -> tuple[r4.Resource | None, str | None]:
    """The Patient asked about, or why there is none."""
    found = None
    for candidate in (r for r in resources if r.kind == "Patient"):
        if candidate.content is None:
            return None, "the patient details cannot be read"
        if candidate.content.id != patient_id:
            if was_sent:
                raise WrongPatient("the Patient sent is not the patient of the context; expected the same id in both")
            return None, "the chart answered with another patient"
        found = candidate
    return found, None if found else "the chart has no such patient"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Resources of one key. `unknown` says why they are not, or may not be, all of them."""

    resources: tuple[r4.Resource, ...] = ()
    unknown: str | None = None


def _sent(template: Template, raw: Raw) -> Part:
    """What a prefetch value holds: null is known-empty; a bare resource and a Bundle are both taken."""
    if bytes(raw).strip() == b"null":
        return Part()
    try:
        return _part(template, [r4.read(raw)])
    except NotFhir:
        return Part(unknown="what was sent is not FHIR")


def _part(template: Template, documents: Iterable[r4.Resource], *, all_pages: bool = False) -> Part:
    """The resources of a read or of a search. A failed search must never pass for an empty one.

    `all_pages`: the documents are all pages of a search, so that a link to the next one says nothing.
    """
    resources: list[r4.Resource] = []
    faults: list[str] = []
    for whole in documents:
        if whole.kind in template.types:
            resources.append(whole)
        elif whole.kind == "OperationOutcome":
            faults.append("the chart answered with an error report")
        elif whole.kind != "Bundle":
            faults.append(f"the chart answered with a {_plain(whole.kind)}")
        elif whole.content is None:
            faults.append("the chart answered with a Bundle that cannot be read")
        else:
            found = r4.contents(whole.content, all_pages=all_pages)
            ours = [r for r in (*found.resources, *found.included) if r.kind in template.types]
            others = [r for r in found.resources if r.kind not in (*template.types, "OperationOutcome")]
            resources += ours
            empty_handed = not ours and (others or (whole.content.total or 0) > 0)
            fault = found.fault or ("the search holds nothing of what was asked for" if empty_handed else None)
            faults += [fault] if fault else []
    return Part(resources=tuple(resources), unknown=faults[0] if faults else None)


def _plain(kind: str) -> str:
    return kind if re.fullmatch(r"[A-Za-z]{1,40}", kind) else "different resource"


def _fetch_all(absent: list[Template], fetch: Fetch | None, patient_id: str, no_access: str) -> dict[str, Part]:
    if fetch is None:
        return {t.key: Part(unknown=no_access) for t in absent}
    if not absent:
        return {}

    def one(template: Template) -> Part:
        query = template.query.replace(PATIENT_ID, quote(patient_id, safe=""))
        try:
            return _part(template, fetch(query), all_pages=True)
        except (FetchFailed, NotFhir) as failure:
            return Part(unknown=str(failure))

    with ThreadPoolExecutor(max_workers=len(absent)) as pool:
        return dict(zip((t.key for t in absent), pool.map(one, absent), strict=True))


def _once(resources: Iterable[r4.Resource]) -> list[r4.Resource]:
    """Each resource once: `screening` and `measurements` can overlap."""
    seen: set[str] = set()
    kept = []
    for resource in resources:
        key = resource.reference
        if resource.names and key in seen:
            continue
        seen.add(key)
        kept.append(resource)
    return kept
