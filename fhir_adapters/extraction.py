"""Gathered resources to one `PatientRecord`.

Pure: the moment (`as_of`) and the site's zone are arguments. Every resource is first checked to be
this patient's. What cannot be read is kept as `Unreadable` with its reference; data that contradicts
itself becomes an `Anomaly`. Nothing is judged here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, tzinfo

from fhir_adapters import r4, screening
from fhir_adapters.belonging import own_resources
from fhir_adapters.conditions import (
    EncounterDate,
    chronic_features,
    chronic_names,
    coded_event,
    condition_event,
    condition_fact,
    confirmed,
    disorder_groups,
    is_bipolar,
    is_depressive,
    onset,
    status_codes,
)
from fhir_adapters.dates import age_on, first, when
from fhir_adapters.encounters import visit, visit_facts
from fhir_adapters.errors import NoPatient
from fhir_adapters.facts import (
    Administration,
    Anomaly,
    CodedEvent,
    Fact,
    Instrument,
    PatientRecord,
    RiskAssessment,
    Unreadable,
    Visit,
    When,
)
from fhir_adapters.gathered import CONDITIONS, COVERAGE, ENCOUNTERS, MEDICATIONS, Gathered
from fhir_adapters.measurements import measured_facts, observed, readings
from fhir_adapters.medications import active, class_names, concept_of, medication_facts, medicine
from fhir_adapters.screening import Piece, QuestionnaireMap
from fhir_adapters.terminology import SNOMED, canonical

RISK_ASSESSMENT = "225337009"
OVER_STATUSES = {"entered-in-error", "stopped", "cancelled"}
# Types whose loss could hide a documented safety answer or a model input.
MATTERS = ("Observation", "QuestionnaireResponse", "Condition", "MedicationRequest", "MedicationStatement", "Encounter",
           "Procedure")  # fmt: skip
# Facts that no rule, model or page uses: read by `mhcds assess` only (product.md section 4).
LEFT_OUT = ("pregnant", "urine_leak", "alc_heavy_ever", "rx_contraceptive")
MARITAL = {"M": 1, "T": 1, "D": 2, "L": 2, "W": 2, "S": 3}
PAYERS = (("ins_private", ("5", "6")), ("ins_medicare", ("1",)), ("ins_medicaid", ("2",)))
PAYER_TYPES = "https://nahdo.org/sopt"
DIED_LATER = "One or more answers are dated after the recorded date of death."


def patient_record(
    gathered: Gathered,
    *,
    as_of: datetime,
    zone: tzinfo,
    maps: Iterable[QuestionnaireMap] = (),
    encounter: str | None = None,
    left_out: bool = False,
) -> PatientRecord:
    """The record of `gathered.patient` as of `as_of` (UTC-aware).

    `left_out`: also read the facts that the service has no use for. `encounter`: the hook's encounter
    as a reference. Raises NoPatient when the Patient resource itself cannot be read.
    """
    if gathered.patient is not None and gathered.patient.content is None:
        raise NoPatient(f"the Patient resource cannot be read: {gathered.patient.fault}")
    today = as_of.astimezone(zone).date()
    maps = tuple(maps)
    resources, anomalies = own_resources(gathered)
    by_kind: dict[str, list[r4.Resource]] = {}
    unreadable = []
    for resource in resources:
        if resource.content is not None:
            by_kind.setdefault(resource.kind, []).append(resource)
        if resource.fault and resource.kind in MATTERS:
            unreadable.append(Unreadable(reference=resource.reference, reason=resource.fault))

    visits, dates = _visits(by_kind.get("Encounter", []), zone, today)
    condition_facts, events, depressive, bipolar = _conditions(by_kind, dates, zone, today, left_out, unreadable)
    forms, observation_events = _observations(by_kind, maps, zone, today, unreadable)
    measured, odd_values = measured_facts(
        reading
        for resource in by_kind.get("Observation", [])
        for reading in readings(resource.content, resource.reference, zone, today)
    )
    facts = [*_patient_facts(gathered.patient, visits, today, left_out), *measured, *_screening_facts(forms)]
    if CONDITIONS in gathered.known:
        history = [(e.when, e.reference) for e in events if not e.provisional]
        facts += [*condition_facts, condition_fact("suicide_history", history)]
    if ENCOUNTERS in gathered.known:
        facts += visit_facts(visits, today)
    if MEDICATIONS in gathered.known:
        facts += _medications(by_kind, zone, today, left_out, unreadable)
    if left_out and COVERAGE in gathered.known:
        facts += _coverage(by_kind.get("Coverage", []))
    patient = gathered.patient.content if gathered.patient else r4.Patient()
    died = when(patient.deceased_date_time, zone, today)
    anomalies += [*odd_values, *_form_anomalies(forms)]
    if died and any(form.when and form.when.day > died.day for form in forms):
        anomalies.append(Anomaly(kind="after-death", text=DIED_LATER, when=died))
    return PatientRecord(
        patient_id=gathered.patient_id,
        as_of=as_of,
        today=today,
        age_years=age_on(patient.birth_date, today),
        deceased=bool(patient.deceased_boolean) or (died is not None and not died.future),
        died=died,
        encounter=encounter,
        facts=tuple(facts),
        administrations=forms,
        events=tuple(events + observation_events),
        visits=_for_depression(visits, by_kind.get("Condition", [])),
        risk_assessments=_risk_assessments(by_kind.get("Procedure", []), zone, today),
        depressive_disorder=depressive,
        bipolar_disorder=bipolar,
        anomalies=tuple(anomalies),
        unreadable=tuple(unreadable),
        unknown=gathered.unknown,
    )


def _patient_facts(patient: r4.Resource | None, visits: list[Visit], today: date, left_out: bool) -> list[Fact]:
    if patient is None:
        return []
    content, source = patient.content, (patient.reference,)
    facts = []
    age = age_on(content.birth_date, today)
    if age is not None:
        facts.append(Fact(name="age", value=age, unit="a", references=source))
    if content.gender in ("female", "male"):
        facts.append(Fact(name="female", value=content.gender == "female", references=source))
    marital = next(
        (
            MARITAL[c.code]
            for c in (content.marital_status.coding if content.marital_status else ())
            if c.code in MARITAL
        ),
        None,
    )
    if left_out and marital is not None:
        facts.append(Fact(name="marital3", value=marital, references=source))
    place = source if content.general_practitioner else tuple(v.reference for v in visits if v.kind == "ambulatory")
    facts.append(Fact(name="usual_place", value=bool(place), references=place))
    return facts


def _visits(encounters: list[r4.Resource], zone: tzinfo, today: date) -> tuple[list[Visit], dict[str, EncounterDate]]:
    visits, dates = [], {}
    for resource in encounters:
        found = visit(resource.content, resource.reference, zone, today)
        if found:
            visits.append(found)
        start = resource.content.period.start if resource.content.period else None
        for name in resource.names:
            dates[name] = EncounterDate(reference=resource.reference, when=when(start, zone, today))
    return visits, dates


def _conditions(
    by_kind: dict[str, list[r4.Resource]],
    dates: dict[str, EncounterDate],
    zone: tzinfo,
    today: date,
    left_out: bool,
    unreadable: list[Unreadable],
) -> tuple[list[Fact], list[CodedEvent], Fact | None, Fact | None]:
    sources: dict[str, list[tuple[When | None, str]]] = {}
    events: list[CodedEvent] = []
    depressive: list[tuple[When | None, str]] = []
    bipolar: list[tuple[When | None, str]] = []
    for resource in by_kind.get("Condition", []):
        condition: r4.Condition = resource.content
        if _has_no_code(condition.code):
            unreadable.append(Unreadable(reference=resource.reference, reason="it has no code"))
            continue
        event = condition_event(condition, resource.reference, dates, zone, today)
        if event:
            events.append(event)
        if not confirmed(condition):
            continue
        moment = onset(condition, zone, today)
        for feature in chronic_features(condition.code):
            sources.setdefault(feature, []).append((moment, resource.reference))
        groups = disorder_groups(condition.code)
        if is_depressive(groups) and not status_codes(condition.clinical_status) & {
            "inactive",
            "remission",
            "resolved",
        }:
            depressive.append((moment, resource.reference))
        if is_bipolar(groups):
            bipolar.append((moment, resource.reference))
    for resource in by_kind.get("Encounter", []):
        for concept in resource.content.reason_code:
            event = coded_event(
                concept,
                reference=resource.reference,
                moment=dates[resource.reference].when if resource.reference in dates else None,
                encounter=resource.reference,
                encounter_diagnosis=True,
                over=resource.content.status not in {"finished", "in-progress", "onleave", "triaged", "arrived"},
                provisional=False,
            )
            if event:
                events.append(event)
    names = [name for name in chronic_names() if left_out or name not in LEFT_OUT]
    facts = [condition_fact(name, sources.get(name, [])) for name in names]
    return (
        facts,
        events,
        condition_fact("depressive_disorder", depressive) if depressive else None,
        condition_fact("bipolar_disorder", bipolar) if bipolar else None,
    )


def _has_no_code(concept: r4.CodeableConcept | None) -> bool:
    return concept is None or not (concept.text or any(c.code or c.display for c in concept.coding))


def _observations(
    by_kind: dict[str, list[r4.Resource]],
    maps: tuple[QuestionnaireMap, ...],
    zone: tzinfo,
    today: date,
    unreadable: list[Unreadable],
) -> tuple[tuple[Administration, ...], list[CodedEvent]]:
    """Forms from Observations and QuestionnaireResponses, and safety findings coded as Observation.code."""
    pieces: list[Piece] = []
    events: list[CodedEvent] = []
    observations = by_kind.get("Observation", [])
    panels = {
        member.reference: resource.reference
        for resource in observations
        for member in resource.content.has_member
        if member.reference and screening.target_of(resource.content.code, maps)
    }
    responses = {name: r.reference for r in by_kind.get("QuestionnaireResponse", []) for name in r.names}
    for resource in observations:
        observation: r4.Observation = resource.content
        if observation.status in ("entered-in-error", "cancelled"):
            continue
        if _has_no_code(observation.code):
            unreadable.append(Unreadable(reference=resource.reference, reason="it has no code"))
            continue
        form = next((panels[name] for name in resource.names if name in panels), None) or next(
            (responses[d.reference] for d in observation.derived_from if d.reference in responses), None
        )
        moment = observed(observation, zone, today)
        values: list[tuple[r4.CodeableConcept | None, r4.Value]] = [(observation.code, observation)]
        values += [(component.code, component) for component in observation.component]
        for concept, value in values:
            target = screening.target_of(concept, maps)
            if target is None:
                continue
            is_panel = target.item == "panel"
            pieces += screening.pieces_of(
                target,
                value if not observation.modifier_extension else UNINTERPRETABLE,
                when=moment,
                encounter=observation.encounter.reference if observation.encounter else None,
                provisional=observation.status in ("preliminary", "registered"),
                reference=resource.reference,
                form=form or (resource.reference if is_panel or observation.component else None),
            )
        event = _finding_observation(observation, resource.reference, moment)
        if event:
            events.append(event)
    for resource in by_kind.get("QuestionnaireResponse", []):
        response: r4.QuestionnaireResponse = resource.content
        if response.status in OVER_STATUSES:
            continue
        for target, value in screening.questionnaire_targets(response, maps):
            pieces += screening.pieces_of(
                target,
                value,
                when=when(response.authored, zone, today),
                encounter=response.encounter.reference if response.encounter else None,
                provisional=response.status == "in-progress",
                reference=resource.reference,
                form=resource.reference,
            )
    return screening.administrations(pieces), events


# Stands for a value that a modifier extension may have turned around.
UNINTERPRETABLE = r4.Value(data_absent_reason=r4.CodeableConcept(coding=[r4.Coding(code="unsupported")]))


def _finding_observation(observation: r4.Observation, reference: str, moment: When | None) -> CodedEvent | None:
    """A safety finding coded as Observation.code; a value of no or false is not positive (R8)."""
    event = coded_event(
        observation.code,
        reference=reference,
        moment=moment,
        encounter=observation.encounter.reference if observation.encounter else None,
        encounter_diagnosis=True,
        over=False,
        provisional=observation.status in ("preliminary", "registered"),
    )
    if event is None or observation.data_absent_reason is not None:
        return None
    answer = screening.yes_or_no("finding", observation, reference)
    return None if answer.yes is False else event


def _screening_facts(forms: tuple[Administration, ...]) -> list[Fact]:
    """The latest PHQ answers and totals as facts; contradictory forms give none."""
    facts: dict[str, Fact] = {}
    phq = [f for f in forms if f.instrument in (Instrument.PHQ9, Instrument.PHQ2) and not f.contradictory]
    for form in sorted(phq, key=lambda f: f.when.day if f.when else date.min):
        for answer in form.answers:
            if answer.score is not None and answer.item.isdigit():
                name = f"DPQ0{answer.item}0"
                facts[name] = Fact(name=name, value=answer.score, when=form.when, references=(answer.reference,))
        total = screening.total_of(form)
        if total is not None:
            name = "phq9" if form.instrument is Instrument.PHQ9 else "phq2"
            source = (form.total_reference,) if form.total_reference else form.references
            facts[name] = Fact(name=name, value=total, unit="{score}", when=form.when, references=source)
        one, two = form.score("1"), form.score("2")
        if one is not None and two is not None:
            both = tuple(dict.fromkeys(a.reference for a in form.answers if a.item in ("1", "2")))
            facts["phq2"] = Fact(name="phq2", value=one + two, unit="{score}", when=form.when, references=both)
    return list(facts.values())


TITLES = {Instrument.PHQ9: "PHQ-9", Instrument.PHQ9M: "PHQ-9M", Instrument.PHQ2: "PHQ-2", Instrument.EPDS: "EPDS"}


def _form_anomalies(forms: tuple[Administration, ...]) -> list[Anomaly]:
    found = []
    for form in forms:
        title = TITLES.get(form.instrument)
        if title and form.when and form.when.future:
            found.append(
                Anomaly(
                    kind="future-date",
                    text=f"{title} dated {form.when.text} lies in the future.",
                    references=form.references,
                    when=form.when,
                )
            )
        if not title or not form.contradictory:
            continue
        scores = [a.score for a in form.answers if a.score is not None and a.item.isdigit()]
        top = screening.TOP_TOTAL[form.instrument]
        if form.total is not None and not 0 <= form.total <= top:
            shown = "a value that is no number" if form.total < 0 else str(form.total)
            kind, text = "out-of-range", f"{title} total is recorded as {shown}; it can only be 0 to {top}."
        elif form.total is not None and scores and not _fits(form, scores):
            kind, text = (
                "contradiction",
                (f"{title}: total {form.total}, but the {_number_word(len(scores))} answers add up to {sum(scores)}."),
            )
        else:
            kind, text = (
                "out-of-range",
                f"{title}: an answer could not be read as 0 to {screening.TOP_ITEM[form.instrument]}.",
            )
        found.append(Anomaly(kind=kind, text=text, references=form.references, when=form.when))
    return found


def _fits(form: Administration, scores: list[int]) -> bool:
    open_items = screening.ITEM_COUNT[form.instrument] - len(scores)
    total = form.total or 0
    return sum(scores) <= total <= sum(scores) + open_items * screening.TOP_ITEM[form.instrument]


def _number_word(count: int) -> str:
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    return words[count] if count < len(words) else str(count)


def _medications(
    by_kind: dict[str, list[r4.Resource]], zone: tzinfo, today: date, left_out: bool, unreadable: list[Unreadable]
) -> list[Fact]:
    listed = {name: r.content for r in by_kind.get("Medication", []) for name in r.names}
    taken = []
    for kind in ("MedicationRequest", "MedicationStatement"):
        for resource in by_kind.get(kind, []):
            use: r4.MedicationUse = resource.content
            if not active(use, kind):
                continue
            period = use.effective_period
            text = first(use.authored_on, use.effective_date_time, period.start if period else None)
            found = medicine(concept_of(use, listed), when(text, zone, today), resource.reference)
            if found:
                taken.append(found)
            else:
                unreadable.append(Unreadable(reference=resource.reference, reason="it names no medicine"))
    return medication_facts(taken, [name for name in class_names() if left_out or name not in LEFT_OUT])


def _coverage(coverages: list[r4.Resource]) -> list[Fact]:
    """Payer facts; none at all when the chart holds no coverage of a known kind."""
    held: dict[str, list[str]] = {}
    for resource in coverages:
        if resource.content.status != "active":
            continue
        for coding in resource.content.type.coding if resource.content.type else ():
            for name, starts in PAYERS:
                if coding.system == PAYER_TYPES and (coding.code or "").startswith(starts):
                    held.setdefault(name, []).append(resource.reference)
    if not held:
        return []
    return [Fact(name=name, value=name in held, references=tuple(held.get(name, ()))) for name, _ in PAYERS]


def _risk_assessments(procedures: list[r4.Resource], zone: tzinfo, today: date) -> tuple[RiskAssessment, ...]:
    found = []
    for resource in procedures:
        procedure: r4.Procedure = resource.content
        coded = procedure.code.coding if procedure.code else ()
        if procedure.status == "completed" and any(
            canonical(c.system or "") == SNOMED and c.code == RISK_ASSESSMENT for c in coded
        ):
            period = procedure.performed_period
            text = first(
                procedure.performed_date_time, period.end if period else None, period.start if period else None
            )
            found.append(
                RiskAssessment(
                    reference=resource.reference,
                    when=when(text, zone, today),
                    encounter=procedure.encounter.reference if procedure.encounter else None,
                )
            )
    return tuple(found)


def _for_depression(visits: list[Visit], conditions: list[r4.Resource]) -> tuple[Visit, ...]:
    """Visits, marked when a depressive disorder was an encounter diagnosis of theirs."""
    coded = {
        r.content.encounter.reference
        for r in conditions
        if r.content.encounter and confirmed(r.content) and is_depressive(disorder_groups(r.content.code))
    }
    return tuple(
        Visit(
            reference=v.reference,
            when=v.when,
            kind=v.kind,
            mental_health=v.mental_health,
            for_depression=v.for_depression or v.reference in coded,
        )
        for v in visits
    )
