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
from fhir_adapters.errors import FetchFailed, NotFhir, WrongPatient
from fhir_adapters.facts import Unknown
from fhir_adapters.gathered import Gathered
from fhir_adapters.measurements import CODED
from fhir_adapters.screening import targets
from fhir_adapters.terminology import LOINC, SNOMED, table

Fetch = Callable[[str], list[r4.Resource]]
PATIENT_ID = "{{context.patientId}}"
VITALS = {"bmi", "weight_kg", "height_cm", "pulse", "sbp", "dbp", "alc_drinks_day", "sleep_hours"}
BLOOD_PRESSURE_PANELS = ("85354-9", "55284-4")


def _codes(codes: Mapping[str, object] | tuple[str, ...]) -> str:
    """A `code` parameter: one query for all of them (guaranteed by US Core servers)."""
    return ",".join(f"{LOINC if '-' in code else SNOMED}|{code}" for code in codes)


def _measured() -> tuple[str, ...]:
    listed = tuple(row["code"] for row in table("measurements") if row["feature"] in VITALS)
    return (*listed, *BLOOD_PRESSURE_PANELS, *CODED)


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
            key=part.SCREENING, query=f"Observation?{who}&code={_codes(targets())}", types=("Observation",), needed=True
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
            key=part.PROCEDURES, query=f"Procedure?{who}&code={SNOMED}|225337009", types=("Procedure",), needed=False
        ),
    )


def gather(
    patient_id: str, prefetch: Mapping[str, Raw], fetch: Fetch | None, *, fhir_base: str | None = None
) -> Gathered:
    """All parts of the chart that were sent or can be fetched, and what could not be had and why.

    `fetch` reads one query with the caller's token, or is None where no access was given. Raises
    WrongPatient when the Patient sent is not `patient_id`.
    """
    wanted = templates()
    sent = {t.key: _sent(t, prefetch[t.key]) for t in wanted if t.key in prefetch}
    absent = [t for t in wanted if t.key not in prefetch]
    fetched = _fetch_all(absent, fetch, patient_id)
    parts = sent | fetched
    resources: list[r4.Resource] = []
    known, unknown, patient = set(), [], None
    for template in wanted:
        got = parts[template.key]
        if isinstance(got, str):
            unknown.append(Unknown(what=template.key, reason=got, needed=template.needed))
            continue
        if got.incomplete:
            unknown.append(Unknown(what=template.key, reason=got.incomplete, needed=template.needed))
        else:
            known.add(template.key)
        resources += [r for r in got.resources if r.kind in template.types]
    patients = [r for r in resources if r.kind == "Patient"]
    for candidate in patients:
        if candidate.content is not None and candidate.content.id != patient_id:
            raise WrongPatient("the Patient sent is not the patient of the context; expected the same id in both")
        patient = candidate
    if patient is None and part.PATIENT in known:
        known.discard(part.PATIENT)
        unknown.append(Unknown(what=part.PATIENT, reason="the chart has no such patient", needed=True))
    if patient is not None and patient.content is None:
        unknown.append(Unknown(what=part.PATIENT, reason="the patient details cannot be read", needed=True))
        patient = None
    return Gathered(
        patient_id=patient_id,
        patient=patient,
        resources=tuple(_once(r for r in resources if r.kind != "Patient")),
        known=frozenset(known),
        unknown=tuple(unknown),
        fhir_base=fhir_base,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Resources of one key; `incomplete` says why there may be more."""

    resources: tuple[r4.Resource, ...]
    incomplete: str | None = None


def _sent(template: Template, raw: Raw) -> Part | str:
    """What a prefetch value holds: null is known-empty; a bare resource and a Bundle are both taken."""
    if bytes(raw).strip() == b"null":
        return Part(resources=())
    try:
        whole = r4.read(raw)
        if whole.kind == "OperationOutcome":
            return "the chart sent an error report instead"
        if whole.kind != "Bundle":
            if whole.kind not in template.types:
                return f"a {_plain(whole.kind)} was sent in its place"
            return Part(resources=(whole,))
        if whole.content is None:
            return "the Bundle sent cannot be read"
        resources = tuple(r4.read(entry, url) for entry, url in r4.entries(whole.content))
    except NotFhir:
        return "what was sent is not FHIR"
    paged = any(link.relation == "next" for link in whole.content.link)
    return Part(resources=resources, incomplete="only the first page was sent" if paged else _search_error(resources))


def _plain(kind: str) -> str:
    return kind if re.fullmatch(r"[A-Za-z]{1,40}", kind) else "different resource"


def _search_error(resources: Iterable[r4.Resource]) -> str | None:
    """The reason to take a search as incomplete: an OperationOutcome of error severity among its results."""
    outcomes = [r for r in resources if r.kind == "OperationOutcome"]
    broken = any(
        o.content is None or any(issue.severity in ("error", "fatal") for issue in o.content.issue) for o in outcomes
    )
    return "the chart reported an error while searching" if broken else None


def _fetch_all(absent: list[Template], fetch: Fetch | None, patient_id: str) -> dict[str, Part | str]:
    if fetch is None:
        return {t.key: "not sent, and no access to the chart was given" for t in absent}
    if not absent:
        return {}

    def one(template: Template) -> Part | str:
        query = template.query.replace(PATIENT_ID, quote(patient_id, safe=""))
        try:
            found = fetch(query)
        except (FetchFailed, NotFhir) as failure:
            return str(failure)
        return Part(resources=tuple(found), incomplete=_search_error(found))

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
