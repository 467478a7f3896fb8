"""Queries for the parts of a chart: a prefetch template each, and how the service itself reads the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from fhir_adapters.codesets.questions import QuestionnaireMap, screening_codes
from fhir_adapters.codesets.terminology import LOINC, RISK_ASSESSMENT, SNOMED, code_group, table
from fhir_adapters.facts import ChartPart
from fhir_adapters.gaps import Cause, Gap
from fhir_adapters.reading.habits import CODED
from fhir_adapters.reading.lists.conditions import event_kind
from fhir_adapters.resources.gathered import OPENED

ONE_CATEGORY = Gap(cause=Cause.ONE_CATEGORY, detail="assess-plan")
PATIENT_ID = "{{context.patientId}}"
MEASURED = {"alc_drinks_day", "sleep_hours"}
"""Numbers that models use; vital signs are not among them, so none is requested."""


def _codes(codes: Iterable[str]) -> str:
    """A `code` parameter for all codes at once (guaranteed by US Core servers)."""
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
    """One prefetch key: its query, the resource types it may yield, and whether the service needs it.

    `reads` are the queries that the service itself sends, each when the server does not support the one before; the
    last keeps to what US Core guarantees. They may use what prefetch templates may not. `narrower`: why the last is
    incomplete, where it asks for less.
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
    """A search by patient. `guaranteed`: the criteria that US Core servers must support, where these differ."""
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
