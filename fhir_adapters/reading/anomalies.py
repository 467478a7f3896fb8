"""Forms and coded events that contradict themselves, are off their scale or lie in the future."""

from __future__ import annotations

from collections.abc import Iterable

from fhir_adapters.facts import (
    Administration,
    Anomaly,
    CodedEvent,
    EventAnomaly,
    EventKind,
    FormAnomaly,
    RiskAssessment,
    When,
)
from fhir_adapters.flaws import Flaw
from fhir_adapters.reading.questionnaires.totals import total_fits


def form_anomalies(forms: tuple[Administration, ...]) -> list[Anomaly]:
    """R11: forms dated in the future, and forms that contradict themselves or hold values off their scale."""
    return [_of_form(form, flaw) for form in forms for flaw in _flaws(form)]


def _of_form(form: Administration, flaw: Flaw) -> FormAnomaly:
    return FormAnomaly(
        flaw=flaw,
        references=_total_first(form),
        when=form.when,
        instrument=form.instrument,
        total=form.total,
        scores=form.item_scores,
    )


def _total_first(form: Administration) -> tuple[str, ...]:
    """The form's entries, with that of its total first: it is what a reader checks against the answers."""
    return tuple(dict.fromkeys((*((form.total_reference,) if form.total_reference else ()), *form.references)))


def _flaws(form: Administration) -> list[Flaw]:
    flaws = [Flaw.FORM_IN_FUTURE] if form.when and form.when.future else []
    flaws += dict.fromkeys(a.flaw for a in form.answers if a.flaw and a.flaw is not Flaw.ANSWER_OFF_SCALE)
    return [*flaws, _contradiction(form)] if form.contradictory else flaws


def _contradiction(form: Administration) -> Flaw:
    if form.total is not None and form.total < 0:
        return Flaw.TOTAL_UNREADABLE
    if form.total is not None and form.total > form.instrument.spec.top_total:
        return Flaw.TOTAL_OFF_SCALE
    if not total_fits(form):
        return Flaw.TOTAL_UNLIKE_ANSWERS
    return Flaw.ANSWER_OFF_SCALE if any(a.flaw is Flaw.ANSWER_OFF_SCALE for a in form.answers) else Flaw.FORMS_DISAGREE


def event_anomalies(events: Iterable[CodedEvent], *, deceased: bool) -> list[Anomaly]:
    """R11: coded events dated in the future. A code for death on a patient not marked deceased (code list)."""
    events = list(events)
    later = [event for event in events if event.when and event.when.future]
    deaths = [] if deceased else [event for event in events if event.kind is EventKind.DEATH_BY_SUICIDE]
    return [_of_event(event, Flaw.EVENT_IN_FUTURE) for event in later] + [
        _of_event(event, Flaw.DEATH_NOT_MARKED) for event in deaths
    ]


def _of_event(event: CodedEvent, flaw: Flaw) -> Anomaly:
    return EventAnomaly(flaw=flaw, references=(event.reference,), when=event.when, event=event.kind)


def assessment_anomalies(assessments: Iterable[RiskAssessment]) -> list[Anomaly]:
    """R11: risk assessments with a result, dated in the future."""
    return [
        Anomaly(flaw=Flaw.ASSESSMENT_IN_FUTURE, references=(a.reference,), when=a.when)
        for a in assessments
        if a.result and a.when and a.when.future
    ]


def death_anomalies(died: When | None, forms: tuple[Administration, ...]) -> list[Anomaly]:
    """R10: answers dated after death. R11: a date of death in the future."""
    if died is None:
        return []
    if died.future:
        return [Anomaly(flaw=Flaw.DEATH_IN_FUTURE, when=died)]
    after = [ref for form in forms if form.when and form.when.day > died.day for ref in form.references]
    return [Anomaly(flaw=Flaw.ANSWER_AFTER_DEATH, references=tuple(after), when=died)] if after else []
