"""Gathered resources to one `PatientRecord`.

Pure: the moment (`as_of`) and the site's settings are arguments. Every resource is first checked to be
this patient's. What cannot be read is kept as `Unreadable` with its reference; data that contradicts
itself becomes an `Anomaly`. Nothing is judged here.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

from fhir_adapters.codesets.questions import target_of
from fhir_adapters.codesets.terminology import RISK_ASSESSMENT, SNOMED, canonical
from fhir_adapters.errors import NoPatient
from fhir_adapters.facts import (
    Administration,
    Anomaly,
    CodedEvent,
    Fact,
    PatientRecord,
    RiskAssessment,
    Setting,
    Visit,
    When,
)
from fhir_adapters.flaws import Flaw
from fhir_adapters.gaps import Cause
from fhir_adapters.instruments import Instrument
from fhir_adapters.reading.after_care import bookings, safety_plans
from fhir_adapters.reading.anomalies import death_anomalies, event_anomalies, form_anomalies
from fhir_adapters.reading.chart import READ_TYPES, STEP_TYPES, Chart, has_no_code, unreadable
from fhir_adapters.reading.conditions import (
    OVER,
    EncounterDate,
    Placed,
    chronic_features,
    chronic_names,
    coded_event,
    condition_event,
    condition_fact,
    confirmed,
    counted,
    disorder_groups,
    is_bipolar,
    is_depressive,
    onset,
    status_codes,
    words_name_self_harm,
)
from fhir_adapters.reading.encounters import TOOK_PLACE, visit, visit_facts
from fhir_adapters.reading.forms import screening_forms
from fhir_adapters.reading.measurements import measured_facts, readings, response_readings
from fhir_adapters.reading.medications import class_names
from fhir_adapters.reading.medicine_list import Taken, taken_medicines
from fhir_adapters.reading.screening import total_of
from fhir_adapters.resources import r4
from fhir_adapters.resources.belonging import own_resources, owner_of
from fhir_adapters.resources.dates import age_on, first_when, when
from fhir_adapters.resources.gathered import CONDITIONS, COVERAGE, ENCOUNTERS, MEDICATIONS, Gathered
from fhir_adapters.settings import ReadSettings

# Facts that no rule, model or page uses: read by `mhcds assess` only (docs/operations.md).
LEFT_OUT = ("pregnant", "urine_leak", "alc_heavy_ever", "rx_contraceptive")
MARITAL = {"M": 1, "T": 1, "D": 2, "L": 2, "W": 2, "S": 3}
PAYERS = (("ins_private", ("5", "6")), ("ins_medicare", ("1",)), ("ins_medicaid", ("2",)))
PAYER_TYPES = "https://nahdo.org/sopt"


def patient_record(
    gathered: Gathered,
    *,
    settings: ReadSettings,
    as_of: datetime,
    encounter: str | None = None,
    left_out: bool = False,
) -> PatientRecord:
    """The record of `gathered.patient` as of `as_of` (UTC-aware).

    `left_out`: also read the facts that the service has no use for. `encounter`: the hook's encounter
    as a reference. Raises NoPatient when the Patient resource itself cannot be read.
    """
    if gathered.patient is not None and gathered.patient.content is None:
        raise NoPatient("the Patient resource cannot be read", gathered.patient.fault)
    zone = settings.zone
    today = as_of.astimezone(zone).date()
    resources, anomalies = own_resources(gathered)
    chart = Chart(
        by_kind={}, zone=zone, today=today, maps=settings.maps, left_out=left_out, unreadable=[], odd=[], encounters={}
    )
    for resource in resources:
        if resource.content is not None:
            chart.by_kind.setdefault(resource.kind, []).append(resource)
        # An Observation that is at least known to be a screening answer is read as an unreadable one instead.
        known = isinstance(resource.content, r4.Husk) and target_of(resource.content.code, chart.maps)
        if resource.fault and resource.kind in READ_TYPES and not known:
            chart.unreadable.append(unreadable(resource, resource.fault))

    visits = _visits(chart)
    condition_facts, condition_events, depressive, bipolar = _conditions(chart)
    forms, observation_events = screening_forms(chart)
    events = [*condition_events, *_reason_events(chart), *observation_events]
    measured, odd_values = measured_facts(
        (
            *(r for o in chart.of("Observation") for r in readings(o.content, o.reference, zone, today)),
            *(
                r
                for q in chart.of("QuestionnaireResponse")
                for r in response_readings(q.content, q.reference, chart.maps, zone, today)
            ),
        )
    )
    facts = [*_patient_facts(gathered, visits, chart), *measured, *_screening_facts(forms)]
    if CONDITIONS in gathered.known:
        history = [(e.when, e.reference) for e in events if not e.provisional]
        facts += [*condition_facts, condition_fact("suicide_history", history)]
    taken = taken_medicines(chart)
    if MEDICATIONS in gathered.known:
        for resource in taken.nameless:
            chart.cannot_read(resource, Cause.NO_MEDICINE)
    facts += _listed_facts(gathered.known, visits, taken, chart)
    patient = gathered.patient.content if gathered.patient else r4.Patient()
    died = when(patient.deceased_date_time, zone, today)
    deceased = bool(patient.deceased_boolean) or (died is not None and not died.future)
    anomalies += [*odd_values, *chart.odd, *form_anomalies(forms), *event_anomalies(events, deceased=deceased)]
    anomalies += death_anomalies(died, forms)
    return PatientRecord(
        patient_id=gathered.patient_id,
        as_of=as_of,
        today=today,
        age_years=age_on(patient.birth_date, today),
        deceased=deceased,
        died=died,
        encounter=encounter,
        facts=tuple(facts),
        administrations=forms,
        events=tuple(events),
        visits=_for_depression(visits, chart),
        risk_assessments=_risk_assessments(chart),
        medicines=tuple(found.use() for found in taken.medicines),
        safety_plans=safety_plans(chart),
        bookings=bookings(chart, owner_of(gathered.patient_id, gathered.patient, gathered.fhir_bases)),
        depressive_disorder=depressive,
        bipolar_disorder=bipolar,
        anomalies=tuple(anomalies),
        unreadable=tuple(chart.unreadable),
        unreadable_steps=tuple(unreadable(r, r.fault) for r in resources if r.fault and r.kind in STEP_TYPES),
        unknown=gathered.unknown,
        consent=gathered.consent,
        withheld=gathered.withheld,
    )


def _listed_facts(known: frozenset[str], visits: list[Visit], taken: Taken, chart: Chart) -> list[Fact]:
    """Facts that are only true of a list that was seen in full: counts, and classes that are not on it."""
    facts: list[Fact] = []
    if ENCOUNTERS in known:
        facts += visit_facts(visits, chart.today)
    if MEDICATIONS in known:
        facts += taken.facts([name for name in class_names() if chart.left_out or name not in LEFT_OUT])
    if chart.left_out and COVERAGE in known:
        facts += _coverage(chart)
    return facts


BIRTH_SEX = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex"


def _sex(patient: r4.Patient) -> str | None:
    """Sex as the survey asked for it: recorded birth sex where it is there, else administrative gender."""
    birth = next((e.value_code for e in patient.extension if e.url == BIRTH_SEX), None)
    return {"F": "female", "M": "male"}.get(birth or "") or patient.gender


def _patient_facts(gathered: Gathered, visits: list[Visit], chart: Chart) -> list[Fact]:
    patient = gathered.patient
    if patient is None:
        return []
    content, source = patient.content, (patient.reference,)
    facts = []
    age = age_on(content.birth_date, chart.today)
    if age is not None:
        facts.append(Fact(name="age", value=age, unit="a", references=source))
    sex = _sex(content)
    if sex in ("female", "male"):
        facts.append(Fact(name="female", value=sex == "female", references=source))
    marital = next(
        (
            MARITAL[c.code]
            for c in (content.marital_status.coding if content.marital_status else ())
            if c.code in MARITAL
        ),
        None,
    )
    if chart.left_out and marital is not None:
        facts.append(Fact(name="marital3", value=marital, references=source))
    place = source if content.general_practitioner else tuple(v.reference for v in visits if v.kind == "ambulatory")
    if place or ENCOUNTERS in gathered.known:
        facts.append(Fact(name="usual_place", value=bool(place), references=place))
    return facts


def _visits(chart: Chart) -> list[Visit]:
    """Visits that took place; fills the chart's encounters under every name that points to them."""
    visits = []
    for resource in chart.of("Encounter"):
        period = resource.content.period or r4.Period()
        dates = EncounterDate(
            reference=resource.reference,
            when=when(period.start, chart.zone, chart.today),
            until=when(period.end, chart.zone, chart.today),
        )
        chart.encounters.update(dict.fromkeys(resource.names, dates))
        found = visit(resource.content, dates)
        if found:
            visits.append(found)
            if found.kind == "unknown":
                chart.odd.append(
                    Anomaly(flaw=Flaw.VISIT_CLASS_UNKNOWN, references=(resource.reference,), when=found.when)
                )
    return visits


def _conditions(chart: Chart) -> tuple[list[Fact], list[CodedEvent], Fact | None, Fact | None]:
    """Yes/no facts, coded safety events, and the depressive and bipolar disorders of R13."""
    sources: dict[str, list[tuple[When | None, str]]] = {}
    events: list[CodedEvent] = []
    for resource in chart.of("Condition"):
        condition: r4.Condition = resource.content
        if has_no_code(condition.code):
            chart.cannot_read(resource, Cause.NO_CODE)
            continue
        encounter = chart.encounter(condition.encounter)
        event = condition_event(condition, resource.reference, encounter, chart.zone, chart.today)
        if event:
            events.append(event)
        elif counted(condition) and words_name_self_harm(condition.code):
            chart.cannot_read(resource, Cause.SELF_HARM_IN_WORDS)
        if confirmed(condition):
            moment = onset(condition, chart.zone, chart.today)
            for name in (*chronic_features(condition.code), *_disorders(condition)):
                sources.setdefault(name, []).append((moment, resource.reference))
    names = [name for name in chronic_names() if chart.left_out or name not in LEFT_OUT]
    facts = [condition_fact(name, sources.get(name, [])) for name in names]
    disorders = [condition_fact(name, sources[name]) if name in sources else None for name in (DEPRESSIVE, BIPOLAR)]
    return facts, events, disorders[0], disorders[1]


DEPRESSIVE, BIPOLAR = "depressive_disorder", "bipolar_disorder"


def _disorders(condition: r4.Condition) -> list[str]:
    """An active depressive disorder; a bipolar disorder whether active or not."""
    groups = disorder_groups(condition.code)
    active_now = not status_codes(condition.clinical_status) & OVER
    return [DEPRESSIVE] * (is_depressive(groups) and active_now) + [BIPOLAR] * is_bipolar(groups)


def _reason_events(chart: Chart) -> list[CodedEvent]:
    """Safety codes given as the reason of an encounter that took place."""
    return [
        event
        for resource in chart.of("Encounter")
        if resource.content.status in TOOK_PLACE
        for encounter in [chart.encounter(r4.Reference(reference=resource.reference))]
        for concept in resource.content.reason_code
        if (
            event := coded_event(
                concept,
                Placed(
                    reference=resource.reference,
                    when=encounter.when if encounter else None,
                    setting=Setting.VISIT_REASON,
                    encounter=encounter,
                ),
            )
        )
    ]


def _screening_facts(forms: tuple[Administration, ...]) -> list[Fact]:
    """The latest PHQ answers and totals as facts; contradictory forms give none."""
    facts: dict[str, Fact] = {}
    phq = [f for f in forms if f.instrument in (Instrument.PHQ9, Instrument.PHQ2) and not f.contradictory]
    for form in sorted(phq, key=lambda f: f.when.day if f.when else date.min):
        for answer in form.answers:
            if answer.score is not None and answer.item.isdigit():
                name = f"DPQ0{answer.item}0"
                facts[name] = Fact(name=name, value=answer.score, when=form.when, references=(answer.reference,))
        total = total_of(form)
        if total is not None:
            name = "phq9" if form.instrument is Instrument.PHQ9 else "phq2"
            source = (form.total_reference,) if form.total_reference else form.references
            facts[name] = Fact(name=name, value=total, unit="{score}", when=form.when, references=source)
        one, two = form.score("1"), form.score("2")
        if one is not None and two is not None:
            both = tuple(dict.fromkeys(a.reference for a in form.answers if a.item in ("1", "2")))
            facts["phq2"] = Fact(name="phq2", value=one + two, unit="{score}", when=form.when, references=both)
    return list(facts.values())


def _coverage(chart: Chart) -> list[Fact]:
    """Payer facts; none at all when the chart holds no coverage of a known kind."""
    held: dict[str, list[str]] = {}
    for resource in chart.of("Coverage"):
        ended = when(resource.content.period.end if resource.content.period else None, chart.zone, chart.today)
        if resource.content.status != "active" or (ended and ended.day < chart.today):
            continue
        for coding in resource.content.type.coding if resource.content.type else ():
            for name, starts in PAYERS:
                if coding.system == PAYER_TYPES and (coding.code or "").startswith(starts):
                    held.setdefault(name, []).append(resource.reference)
    if not held:
        return []
    return [Fact(name=name, value=name in held, references=tuple(held.get(name, ()))) for name, _ in PAYERS]


def _risk_assessments(chart: Chart) -> tuple[RiskAssessment, ...]:
    found = []
    for resource in chart.of("Procedure"):
        procedure: r4.Procedure = resource.content
        coded = procedure.code.coding if procedure.code else ()
        if procedure.status == "completed" and any(
            canonical(c.system or "") == SNOMED and c.code == RISK_ASSESSMENT for c in coded
        ):
            period = procedure.performed_period or r4.Period()
            encounter = chart.encounter(procedure.encounter)
            found.append(
                RiskAssessment(
                    reference=resource.reference,
                    when=first_when(chart.zone, chart.today, procedure.performed_date_time, period.end, period.start),
                    encounter=encounter.reference if encounter else None,
                )
            )
    return tuple(found)


def _for_depression(visits: list[Visit], chart: Chart) -> tuple[Visit, ...]:
    """Visits, marked when a depressive disorder was an encounter diagnosis of theirs."""
    coded = {
        encounter.reference
        for resource in chart.of("Condition")
        if confirmed(resource.content)
        and is_depressive(disorder_groups(resource.content.code))
        and (encounter := chart.encounter(resource.content.encounter))
    }
    return tuple(replace(v, for_depression=v.for_depression or v.reference in coded) for v in visits)
