"""Facts about the person: age, sex, marital status, a usual place of care, and who pays."""

from __future__ import annotations

from fhir_adapters.codesets.terminology import canonical
from fhir_adapters.facts import ChartPart, Fact, Visit
from fhir_adapters.reading.lists.chart_resources import ChartResources
from fhir_adapters.resources import r4
from fhir_adapters.resources.dates import age_on, when
from fhir_adapters.resources.gathered import Gathered

MARITAL = {"M": 1, "T": 1, "D": 2, "L": 2, "W": 2, "S": 3}
PAYERS = (("ins_private", ("5", "6")), ("ins_medicare", ("1",)), ("ins_medicaid", ("2",)))
PAYER_TYPES = canonical("https://nahdo.org/sopt")
BIRTH_SEX = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex"


def _sex(patient: r4.Patient) -> str | None:
    """Birth sex where recorded, else administrative gender."""
    birth = next((e.value_code for e in patient.extension if e.url == BIRTH_SEX), None)
    return {"F": "female", "M": "male"}.get(birth or "") or patient.gender


def patient_facts(gathered: Gathered, visits: list[Visit], resources: ChartResources) -> list[Fact]:
    """Facts of the Patient resource; none where it was not sent. Visits show a usual place once all were read."""
    patient = gathered.patient
    if patient is None:
        return []
    content, source = patient.content, (patient.reference,)
    facts = []
    age = age_on(content.birth_date, resources.today)
    if age is not None:
        facts.append(Fact(name="age", value=age, unit="a", references=source))
    sex = _sex(content)
    if sex in ("female", "male"):
        facts.append(Fact(name="female", value=sex == "female", references=source))
    elif sex not in (None, "unknown"):
        facts.append(Fact(name="other_gender", value=True, references=source))
    marital = next(
        (
            MARITAL[c.code]
            for c in (content.marital_status.coding if content.marital_status else ())
            if c.code in MARITAL
        ),
        None,
    )
    if resources.left_out and marital is not None:
        facts.append(Fact(name="marital3", value=marital, references=source))
    if content.general_practitioner:
        facts.append(Fact(name="usual_place", value=True, references=source))
    elif ChartPart.ENCOUNTERS in gathered.known:
        place = tuple(v.reference for v in visits if v.kind == "ambulatory")
        facts.append(Fact(name="usual_place", value=bool(place), references=place))
    return facts


def coverage_facts(resources: ChartResources) -> list[Fact]:
    """Payer facts; none when the chart has no coverage of a known kind."""
    held: dict[str, list[str]] = {}
    for resource in resources.of("Coverage"):
        ended = when(resource.content.period.end if resource.content.period else None, resources.zone, resources.today)
        if resource.content.status != "active" or (ended and ended.day < resources.today):
            continue
        for coding in resource.content.type.coding if resource.content.type else ():
            for name, starts in PAYERS:
                if canonical(coding.system or "") == PAYER_TYPES and (coding.code or "").startswith(starts):
                    held.setdefault(name, []).append(resource.reference)
    if not held:
        return []
    return [Fact(name=name, value=name in held, references=tuple(held.get(name, ()))) for name, _ in PAYERS]
