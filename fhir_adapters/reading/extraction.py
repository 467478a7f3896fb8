"""Gathered resources to one `PatientRecord`.

Pure: the moment (`as_of`) and the site's settings are arguments. Every resource is first checked to be this patient's.
What cannot be read becomes an `Unreadable` with its reference, contradictory data an `Anomaly`. Nothing is judged.
"""

from __future__ import annotations

from datetime import datetime

from fhir_adapters.codesets.questions import target_of
from fhir_adapters.errors import NoPatient
from fhir_adapters.facts import Anomaly, ChartPart, Fact, PatientRecord, Visit
from fhir_adapters.gaps import Cause
from fhir_adapters.reading.anomalies import assessment_anomalies, death_anomalies, event_anomalies, form_anomalies
from fhir_adapters.reading.form_facts import form_facts
from fhir_adapters.reading.forms import screening_forms
from fhir_adapters.reading.lists.after_care import bookings, safety_plans
from fhir_adapters.reading.lists.chart_resources import READ_TYPES, STEP_TYPES, ChartResources, unreadable
from fhir_adapters.reading.lists.condition_list import condition_list
from fhir_adapters.reading.lists.demographics import coverage_facts, patient_facts
from fhir_adapters.reading.lists.encounters import marked_for_depression, reason_events, visit_facts, visits_of
from fhir_adapters.reading.lists.list_facts import yes_no_fact
from fhir_adapters.reading.lists.medications import class_names
from fhir_adapters.reading.lists.medicine_list import MedicineList, medicine_list
from fhir_adapters.reading.measurements import measured_facts, measurements_in, response_measurements
from fhir_adapters.reading.net.contained import with_contained
from fhir_adapters.reading.net.lists import hear_lists
from fhir_adapters.reading.net.unread import touches_raw
from fhir_adapters.reading.psychosocial import psychosocial_assessments
from fhir_adapters.reading.risk_assessments import risk_assessments
from fhir_adapters.resources import r4
from fhir_adapters.resources.belonging import own_resources, owner_of
from fhir_adapters.resources.dates import age_on, death
from fhir_adapters.resources.gathered import HEARD_TYPES, Gathered
from fhir_adapters.resources.identity import spoken_languages
from fhir_adapters.settings import ReadSettings


def patient_record(
    gathered: Gathered,
    *,
    settings: ReadSettings,
    as_of: datetime,
    encounter: str | None = None,
    left_out: bool = False,
) -> PatientRecord:
    """The record of `gathered.patient` as of `as_of` (UTC-aware).

    `left_out`: also read facts that the service does not use. `encounter`: the reference of the hook's encounter.
    Raises NoPatient when the Patient resource itself cannot be read.
    """
    resources, own, anomalies = own_chart(gathered, settings=settings, as_of=as_of, left_out=left_out)
    zone, today = resources.zone, resources.today
    visits = visits_of(resources)
    conditions = condition_list(resources)
    measurements, others = measurements_in(resources.of("Observation"), resources.maps, zone, today)
    forms, observation_events = screening_forms(resources, others)
    hear_lists(resources)
    events = [*conditions.events, *reason_events(resources), *observation_events]
    for resource in resources.of("QuestionnaireResponse"):
        measurements += response_measurements(resource.content, resource.reference, resources.maps, zone, today)
    measured, odd_values = measured_facts(measurements)
    facts = [*patient_facts(gathered, visits, resources), *measured, *form_facts(forms)]
    if ChartPart.CONDITIONS in gathered.known:
        history = [(e.when, e.reference) for e in events if not e.provisional]
        facts += [*conditions.facts, yes_no_fact("suicide_history", history)]
    medicines = medicine_list(resources)
    if ChartPart.MEDICATIONS in gathered.known:
        for resource in medicines.nameless:
            resources.cannot_read(resource, Cause.NO_MEDICINE)
    facts += _listed_facts(gathered.known, visits, medicines, resources)
    patient = gathered.patient.content if gathered.patient else r4.Patient()
    died, deceased = death(patient.deceased_boolean, patient.deceased_date_time, zone, today)
    anomalies += [*odd_values, *resources.odd, *form_anomalies(forms), *event_anomalies(events, deceased=deceased)]
    assessments = risk_assessments(resources)
    anomalies += [*assessment_anomalies(assessments), *death_anomalies(died, forms)]
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
        visits=marked_for_depression(visits, resources),
        risk_assessments=assessments,
        psychosocial=tuple(psychosocial_assessments(resources)) if settings.psychosocial else (),
        medicines=tuple(medicine.use() for medicine in medicines.medicines),
        past_medicines=medicines.past,
        safety_plans=safety_plans(resources),
        bookings=bookings(resources),
        depressive_disorder=conditions.depressive,
        bipolar_disorder=conditions.bipolar,
        anomalies=tuple(anomalies),
        unreadable=tuple(resources.unreadable),
        unreadable_steps=tuple(unreadable(r, r.fault) for r in own if r.fault and r.kind in STEP_TYPES),
        unheard=tuple(resources.unheard),
        unknown=gathered.unknown,
        consent=gathered.consent,
        spoken=spoken_languages(gathered.patient) if gathered.patient else (),
        withheld=gathered.withheld,
    )


def own_chart(
    gathered: Gathered, *, settings: ReadSettings, as_of: datetime, left_out: bool = False
) -> tuple[ChartResources, list[r4.Resource], list[Anomaly]]:
    """The patient's own resources: by type with what is contained in them, as they came, and what was set aside.

    Raises NoPatient when the Patient resource itself cannot be read.
    """
    if gathered.patient is not None and gathered.patient.content is None:
        raise NoPatient("the Patient resource cannot be read", gathered.patient.fault)
    zone = settings.zone
    today = as_of.astimezone(zone).date()
    own, anomalies = own_resources(gathered)
    resources = ChartResources(
        by_kind={},
        owner=owner_of(gathered.patient_id, gathered.patient, gathered.fhir_bases),
        zone=zone,
        today=today,
        maps=settings.maps,
        left_out=left_out,
        unreadable=[],
        odd=[],
        encounters={},
        unheard=[],
    )
    for resource in with_contained(own, resources.owner):
        if resource.content is not None:
            resources.by_kind.setdefault(resource.kind, []).append(resource)
        if resource.fault and _may_matter(resource, resources):
            resources.unreadable.append(unreadable(resource, resource.fault))
    return resources, own, anomalies


def _may_matter(resource: r4.Resource, resources: ChartResources) -> bool:
    """Whether an unreadable resource is named. A screening answer is not: it becomes an unreadable answer instead."""
    if isinstance(resource.content, r4.Husk) and target_of(resource.content.code, resources.maps):
        return False
    if resource.kind in HEARD_TYPES:
        return touches_raw(resource.text)
    return resource.kind in READ_TYPES


def _listed_facts(
    known: frozenset[str], visits: list[Visit], medicines: MedicineList, resources: ChartResources
) -> list[Fact]:
    """Facts that need the whole list: counts, and classes that are absent from it."""
    facts: list[Fact] = []
    if ChartPart.ENCOUNTERS in known:
        facts += visit_facts(visits, resources.today)
    if ChartPart.MEDICATIONS in known:
        facts += medicines.facts([name for name in class_names() if resources.reads(name)])
    if resources.left_out and ChartPart.COVERAGE in known:
        facts += coverage_facts(resources)
    return facts
