"""Queries for the parts of a chart: a prefetch template each, and how the service itself reads the same."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from urllib.parse import quote

from fhir_adapters.codesets.questions import QuestionnaireMap, screening_codes
from fhir_adapters.codesets.terminology import RISK_ASSESSMENT, table
from fhir_adapters.facts import ChartPart
from fhir_adapters.gaps import Cause, Gap
from fhir_adapters.reading.habits import CODED
from fhir_adapters.reading.lists.conditions import snomed_safety_codes
from fhir_adapters.resources.gathered import OPENED

ONE_CATEGORY = Gap(cause=Cause.ONE_CATEGORY, detail="assess-plan")
PATIENT_ID = "{{context.patientId}}"
MEASURED = {"alc_drinks_day", "sleep_hours"}
"""Numbers that models use; vital signs are not among them, so none is requested."""


def _screened() -> tuple[str, ...]:
    """Every code by which a screening answer or a safety finding can be an Observation."""
    return (*screening_codes(), *snomed_safety_codes())


def _measured() -> tuple[str, ...]:
    listed = tuple(row["code"] for row in table("measurements") if row["feature"] in MEASURED)
    return (*listed, *CODED)


def local_template(maps: Iterable[QuestionnaireMap]) -> Template | None:
    """The query for a site's own screening codes; in the discovery document of that site only."""
    codes = tuple((m.source, code) for m in maps if not m.form for code in m.items)
    return _local(codes) if codes else None


@lru_cache(maxsize=256)
def _local(codes: tuple[tuple[str, str], ...]) -> Template:
    listed = (f"{system}|{_escaped(code)}" for system, code in codes)
    return _by_code(ChartPart.LOCAL_SCREENING, "Observation", listed, needed=True)


def _escaped(code: str) -> str:
    """A code as the value of a search, where commas and bars of its own must not read as "or" (FHIR R4, search)."""
    return quote(re.sub(r"([\\,|$])", r"\\\1", code), safe="~")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One part of a chart: its queries, the resource types they may yield, and whether the service needs it.

    `queries`: one, or several where a list of codes is too long for one. `include` is added, and `guaranteed` is what
    US Core servers must support instead, in the service's own reads. `narrower`: why that one is incomplete, where it
    asks for less.
    `needed` (R16): a gap in it is said on a card. The needed parts are the patient, conditions, screening answers (a
    site's own codes too) and questionnaires; each of them counts alike, so that a call with the Patient alone gets a
    card, and 412 is left for a call of which no needed part could be had at all.
    """

    key: ChartPart
    queries: tuple[str, ...]
    types: tuple[str, ...]
    needed: bool
    include: str = ""
    guaranteed: str | None = None
    narrower: Gap | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """A prefetch key for each query. The bare key always stands for the whole part, as sites stored it."""
        several = len(self.queries) > 1
        return tuple(f"{self.key}-{n}" for n in range(1, len(self.queries) + 1)) if several else (self.key,)

    def prefetch(self, *, page_size: bool = True) -> tuple[tuple[str, str], ...]:
        """Keys and prefetch templates. A needed search asks for a page size: its first page alone is a gap."""
        page = PAGE if page_size and self.needed and "?" in self.queries[0] else ""
        return tuple((key, query + page) for key, query in zip(self.keys, self.queries, strict=True))

    def reads(self, query: str) -> tuple[str, ...]:
        """The forms in which the service itself sends a query, each when the server does not support the one before.

        The last keeps to what US Core guarantees. They may use what prefetch templates may not.
        """
        if "?" not in query:
            return (query,)
        forms = (query + self.include + PAGE, query + PAGE, query, self.guaranteed or query)
        return tuple(dict.fromkeys(forms))


PAGE = "&_count=200"


def _search(
    key: ChartPart, kind: str, criteria: str = "", *, needed: bool, include: str = "", types: tuple[str, ...] = (),
    guaranteed: str | None = None, narrower: Gap | None = None,
) -> Template:  # fmt: skip
    """A search by patient. `guaranteed`: the criteria that US Core servers must support, where these differ."""
    who = f"{kind}?patient={PATIENT_ID}"
    plainest = None if guaranteed is None else who + guaranteed
    return Template(
        key=key, queries=(who + criteria,), types=types or (kind,), needed=needed, include=include,
        guaranteed=plainest, narrower=narrower,
    )  # fmt: skip


def _medicines(key: ChartPart, statuses: str) -> Template:
    """The orders of medicines with one of these statuses, and what they name."""
    return _search(
        key,
        "MedicationRequest",
        f"&intent=order,plan&status={statuses}",
        needed=False,
        include="&_include=MedicationRequest:medication",
        types=("MedicationRequest", "Medication"),
    )


def _by_code(key: ChartPart, kind: str, codes: Iterable[str], *, needed: bool) -> Template:
    """A search by patient and code, guaranteed by US Core; split where it would be too long for a server or a gateway.

    Codes of standard systems stand without their system: shorter, and found however the chart spells the system.
    """
    start = f"{kind}?patient={PATIENT_ID}&code="
    held: list[list[str]] = []
    room = 0
    for code in codes:
        length = len(encoded(f",{code}"))
        if length > room:
            held.append([])
            room = LONGEST - length_sent(start + PAGE)
        held[-1].append(code)
        room -= length
    return Template(key=key, queries=tuple(start + ",".join(some) for some in held), types=(kind,), needed=needed)


# Characters of a query with everything but letters and digits encoded, a UUID for the patient and room for the base
# of a server. Gateways and web servers cut at 2,048 and more (decision 0026).
LONGEST = 1000
BASE_ROOM = 150
UUID_LENGTH = 36


def length_sent(query: str) -> int:
    """The longest that a query can become as a client sends it, the server's base included."""
    return BASE_ROOM + len(encoded(query.replace(PATIENT_ID, "x" * UUID_LENGTH)))


def encoded(query: str) -> str:
    """A query with everything but letters, digits and the signs of a query encoded."""
    return quote(query, safe="?&=/")


def templates(keys: tuple[ChartPart, ...] = OPENED) -> tuple[Template, ...]:
    """The templates of these prefetch keys, in a stable order."""
    return tuple(template for template in _all_templates() if template.key in keys)


@cache
def _all_templates() -> tuple[Template, ...]:
    """Every prefetch key, and what the app alone reads.

    Sites store them: a key keeps its meaning, and what it once asked for is read as before.
    """
    patient = f"Patient/{PATIENT_ID}"
    return (
        Template(key=ChartPart.PATIENT, queries=(patient,), types=("Patient",), needed=True),
        _search(ChartPart.CONDITIONS, "Condition", needed=True),
        _by_code(ChartPart.SCREENING, "Observation", _screened(), needed=True),
        _search(ChartPart.QUESTIONNAIRES, "QuestionnaireResponse", needed=True),
        _by_code(ChartPart.MEASUREMENTS, "Observation", _measured(), needed=False),
        _medicines(ChartPart.MEDICATIONS, "active"),
        _medicines(ChartPart.PAST_MEDICATIONS, "stopped,completed"),
        _search(ChartPart.ENCOUNTERS, "Encounter", needed=False),
        _search(ChartPart.PROCEDURES, "Procedure", f"&code={RISK_ASSESSMENT}", needed=False, guaranteed=""),
        _search(ChartPart.RISK_ASSESSMENTS, "RiskAssessment", needed=False),
        _search(ChartPart.CONSENTS, "Consent", "&status=active", needed=False, guaranteed=""),
        _search(
            ChartPart.CARE_PLANS, "CarePlan", needed=False, guaranteed="&category=assess-plan", narrower=ONE_CATEGORY
        ),
        _search(ChartPart.APPOINTMENTS, "Appointment", "&status=booked,pending", needed=False, guaranteed=""),
    )
