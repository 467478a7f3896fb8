"""Gathered resources to one `PatientRecord`.

Pure: the moment (`as_of`) and the site's zone are arguments. Every resource is first checked to be
this patient's. What cannot be read is kept as `Unreadable` with its reference; data that contradicts
itself becomes an `Anomaly`. Nothing is judged here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, tzinfo

from fhir_adapters import r4, screening
from fhir_adapters.belonging import own_resources
from fhir_adapters.conditions import (
    OVER,
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
from fhir_adapters.encounters import TOOK_PLACE, visit, visit_facts
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
# Types in which a documented safety answer can stand, and all types that facts are read from.
SAFETY_TYPES = ("Observation", "QuestionnaireResponse", "Condition")
READ_TYPES = (*SAFETY_TYPES, "MedicationRequest", "MedicationStatement", "Encounter", "Procedure")
# Facts that no rule, model or page uses: read by `mhcds assess` only (product.md section 4).
LEFT_OUT = ("pregnant", "urine_leak", "alc_heavy_ever", "rx_contraceptive")
MARITAL = {"M": 1, "T": 1, "D": 2, "L": 2, "W": 2, "S": 3}
PAYERS = (("ins_private", ("5", "6")), ("ins_medicare", ("1",)), ("ins_medicaid", ("2",)))
PAYER_TYPES = "https://nahdo.org/sopt"
DIED_LATER = "One or more answers are dated after the recorded date of death."


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One patient's own resources by type, and how to read them. `unreadable` is filled while reading."""

    by_kind: dict[str, list[r4.Resource]]
    zone: tzinfo
    today: date
    maps: tuple[QuestionnaireMap, ...]
    left_out: bool
    unreadable: list[Unreadable]

    def of(self, *kinds: str) -> list[r4.Resource]:
        """The resources of these types."""
        return [resource for kind in kinds for resource in self.by_kind.get(kind, ())]

    def cannot_read(self, resource: r4.Resource, reason: str) -> None:
        """Keeps that `resource` could not be read."""
        may_hide = resource.kind in SAFETY_TYPES
        self.unreadable.append(Unreadable(reference=resource.reference, reason=reason, may_hide_answer=may_hide))


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
    resources, anomalies = own_resources(gathered)
    chart = Chart(by_kind={}, zone=zone, today=today, maps=tuple(maps), left_out=left_out, unreadable=[])
    for resource in resources:
        if resource.content is not None:
            chart.by_kind.setdefault(resource.kind, []).append(resource)
        if resource.fault and resource.kind in READ_TYPES:
            chart.cannot_read(resource, resource.fault)

    visits, dates = _visits(chart)
    condition_facts, condition_events, depressive, bipolar = _conditions(chart, dates)
    forms, observation_events = _observations(chart)
    events = [*condition_events, *_reason_events(chart, dates), *observation_events]
    measured, odd_values = measured_facts(
        reading
        for resource in chart.of("Observation")
        for reading in readings(resource.content, resource.reference, zone, today)
    )
    facts = [*_patient_facts(gathered.patient, visits, chart), *measured, *_screening_facts(forms)]
    if CONDITIONS in gathered.known:
        history = [(e.when, e.reference) for e in events if not e.provisional]
        facts += [*condition_facts, condition_fact("suicide_history", history)]
    if ENCOUNTERS in gathered.known:
        facts += visit_facts(visits, today)
    if MEDICATIONS in gathered.known:
        facts += _medications(chart)
    if left_out and COVERAGE in gathered.known:
        facts += _coverage(chart)
    patient = gathered.patient.content if gathered.patient else r4.Patient()
    died = when(patient.deceased_date_time, zone, today)
    anomalies += [*odd_values, *_form_anomalies(forms)]
    after = [ref for form in forms if died and form.when and form.when.day > died.day for ref in form.references]
    if after:
        anomalies.append(Anomaly(kind="after-death", text=DIED_LATER, references=tuple(after), when=died))
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
        events=tuple(events),
        visits=_for_depression(visits, chart),
        risk_assessments=_risk_assessments(chart),
        depressive_disorder=depressive,
        bipolar_disorder=bipolar,
        anomalies=tuple(anomalies),
        unreadable=tuple(chart.unreadable),
        unknown=gathered.unknown,
    )


def _patient_facts(patient: r4.Resource | None, visits: list[Visit], chart: Chart) -> list[Fact]:
    if patient is None:
        return []
    content, source = patient.content, (patient.reference,)
    facts = []
    age = age_on(content.birth_date, chart.today)
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
    if chart.left_out and marital is not None:
        facts.append(Fact(name="marital3", value=marital, references=source))
    place = source if content.general_practitioner else tuple(v.reference for v in visits if v.kind == "ambulatory")
    facts.append(Fact(name="usual_place", value=bool(place), references=place))
    return facts


def _visits(chart: Chart) -> tuple[list[Visit], dict[str, EncounterDate]]:
    visits, dates = [], {}
    for resource in chart.of("Encounter"):
        found = visit(resource.content, resource.reference, chart.zone, chart.today)
        if found:
            visits.append(found)
        start = resource.content.period.start if resource.content.period else None
        for name in resource.names:
            dates[name] = EncounterDate(reference=resource.reference, when=when(start, chart.zone, chart.today))
    return visits, dates


def _conditions(
    chart: Chart, dates: dict[str, EncounterDate]
) -> tuple[list[Fact], list[CodedEvent], Fact | None, Fact | None]:
    """Yes/no facts, coded safety events, and the depressive and bipolar disorders of R13."""
    sources: dict[str, list[tuple[When | None, str]]] = {}
    events: list[CodedEvent] = []
    for resource in chart.of("Condition"):
        condition: r4.Condition = resource.content
        if _has_no_code(condition.code):
            chart.cannot_read(resource, "it has no code")
            continue
        event = condition_event(condition, resource.reference, dates, chart.zone, chart.today)
        if event:
            events.append(event)
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


def _reason_events(chart: Chart, dates: dict[str, EncounterDate]) -> list[CodedEvent]:
    """Safety codes given as the reason of an encounter that took place."""
    return [
        event
        for resource in chart.of("Encounter")
        if resource.content.status in TOOK_PLACE
        for concept in resource.content.reason_code
        if (
            event := coded_event(
                concept,
                reference=resource.reference,
                moment=dates[resource.reference].when if resource.reference in dates else None,
                encounter=resource.reference,
                encounter_diagnosis=True,
                over=False,
                provisional=False,
            )
        )
    ]


def _has_no_code(concept: r4.CodeableConcept | None) -> bool:
    return concept is None or not (concept.text or any(c.code or c.display for c in concept.coding))


def _observations(chart: Chart) -> tuple[tuple[Administration, ...], list[CodedEvent]]:
    """Forms from Observations and QuestionnaireResponses, and safety findings coded as Observation.code."""
    pieces: list[Piece] = []
    events: list[CodedEvent] = []
    form_of = _forms_of(chart)
    for resource in chart.of("Observation"):
        observation: r4.Observation = resource.content
        if observation.status in ("entered-in-error", "cancelled"):
            continue
        if _has_no_code(observation.code):
            chart.cannot_read(resource, "it has no code")
            continue
        moment = observed(observation, chart.zone, chart.today)
        pieces += _observation_pieces(chart, resource, moment, form_of(resource))
        event = _finding_observation(observation, resource.reference, moment)
        if event:
            events.append(event)
    for resource in chart.of("QuestionnaireResponse"):
        response: r4.QuestionnaireResponse = resource.content
        if response.status in OVER_STATUSES:
            continue
        for target, value in screening.questionnaire_targets(response, chart.maps):
            pieces += screening.pieces_of(
                target,
                value,
                when=when(response.authored, chart.zone, chart.today),
                encounter=response.encounter.reference if response.encounter else None,
                provisional=response.status == "in-progress",
                reference=resource.reference,
                form=resource.reference,
            )
    return screening.administrations(pieces), events


def _forms_of(chart: Chart) -> Callable[[r4.Resource], str | None]:
    """Which form an Observation is part of: the panel that lists it, or the response that it was derived from."""
    panels = {
        member.reference: resource.reference
        for resource in chart.of("Observation")
        for member in resource.content.has_member
        if member.reference and screening.target_of(resource.content.code, chart.maps)
    }
    responses = {name: resource.reference for resource in chart.of("QuestionnaireResponse") for name in resource.names}

    def form_of(resource: r4.Resource) -> str | None:
        sources = (d.reference for d in resource.content.derived_from)
        return next((panels[name] for name in resource.names if name in panels), None) or next(
            (responses[source] for source in sources if source in responses), None
        )

    return form_of


def _observation_pieces(chart: Chart, resource: r4.Resource, moment: When | None, form: str | None) -> list[Piece]:
    """The coded values of one Observation and its components that belong to a screening instrument."""
    observation: r4.Observation = resource.content
    values: list[tuple[r4.CodeableConcept | None, r4.Value]] = [(observation.code, observation)]
    values += [(component.code, component) for component in observation.component]
    pieces: list[Piece] = []
    for concept, value in values:
        target = screening.target_of(concept, chart.maps)
        if target is None:
            continue
        own_form = target.item == "panel" or observation.component
        pieces += screening.pieces_of(
            target,
            UNINTERPRETABLE if observation.modifier_extension else value,
            when=moment,
            encounter=observation.encounter.reference if observation.encounter else None,
            provisional=observation.status in ("preliminary", "registered"),
            reference=resource.reference,
            form=form or (resource.reference if own_form else None),
        )
    return pieces


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


def _medications(chart: Chart) -> list[Fact]:
    listed = {name: resource.content for resource in chart.of("Medication") for name in resource.names}
    taken = []
    for resource in chart.of("MedicationRequest", "MedicationStatement"):
        use: r4.MedicationUse = resource.content
        if not active(use, resource.kind):
            continue
        period = use.effective_period
        text = first(use.authored_on, use.effective_date_time, period.start if period else None)
        found = medicine(concept_of(use, listed), when(text, chart.zone, chart.today), resource.reference)
        if found:
            taken.append(found)
        else:
            chart.cannot_read(resource, "it names no medicine")
    return medication_facts(taken, [name for name in class_names() if chart.left_out or name not in LEFT_OUT])


def _coverage(chart: Chart) -> list[Fact]:
    """Payer facts; none at all when the chart holds no coverage of a known kind."""
    held: dict[str, list[str]] = {}
    for resource in chart.of("Coverage"):
        if resource.content.status != "active":
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
            period = procedure.performed_period
            text = first(
                procedure.performed_date_time, period.end if period else None, period.start if period else None
            )
            found.append(
                RiskAssessment(
                    reference=resource.reference,
                    when=when(text, chart.zone, chart.today),
                    encounter=procedure.encounter.reference if procedure.encounter else None,
                )
            )
    return tuple(found)


def _for_depression(visits: list[Visit], chart: Chart) -> tuple[Visit, ...]:
    """Visits, marked when a depressive disorder was an encounter diagnosis of theirs."""
    coded = {
        resource.content.encounter.reference
        for resource in chart.of("Condition")
        if resource.content.encounter
        and confirmed(resource.content)
        and is_depressive(disorder_groups(resource.content.code))
    }
    return tuple(replace(v, for_depression=v.for_depression or v.reference in coded) for v in visits)
