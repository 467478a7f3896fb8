"""Reports, flags, procedures and reasons for a visit: what they say of self-harm in words."""

from __future__ import annotations

from collections.abc import Callable

from fhir_adapters.codesets.terminology import RISK_ASSESSMENT
from fhir_adapters.reading.lists.chart_resources import ChartResources
from fhir_adapters.reading.lists.conditions import OVER, is_counted, onset_of, safety_rows, status_codes
from fhir_adapters.reading.net.statements import Says, says
from fhir_adapters.reading.net.unread import (
    Mention,
    concept_mention,
    is_understood,
    names_of,
    question_mention,
    strings_in,
    text_mention,
    unheard,
)
from fhir_adapters.reading.net.vocabulary import named_instrument
from fhir_adapters.reading.questionnaires.levels import overall_level
from fhir_adapters.reading.questionnaires.values import folded
from fhir_adapters.resources import r4
from fhir_adapters.resources.dates import first_when, when


def hear_lists(resources: ChartResources) -> None:
    """Adds what conditions, reports, flags, procedures and encounters hold to `resources.unheard`."""
    for kind, hear in HEARD.items():
        for resource in resources.of(kind):
            if getattr(resource.content, "status", None) not in VOID:
                hear(resource, resources)


VOID = ("entered-in-error", "cancelled", "not-done")


def _hear_report(resource: r4.Resource, resources: ChartResources) -> None:
    report: r4.DiagnosticReport = resource.content
    period = report.effective_period or r4.Period()
    dates = (report.effective_date_time, period.end, period.start, report.issued)
    moment = first_when(resources.zone, resources.today, *dates)
    resources.unheard.extend(unheard(resource, moment, _of_report(report, resources)))


def _hear_flag(resource: r4.Resource, resources: ChartResources) -> None:
    flag: r4.Flag = resource.content
    if flag.status != "inactive":
        begun = when(flag.period.start if flag.period else None, resources.zone, resources.today)
        mentions = [_coded_mention(flag.code) or concept_mention([flag.code]), concept_mention(flag.category)]
        resources.unheard.extend(unheard(resource, begun, mentions))


def _hear_procedure(resource: r4.Resource, resources: ChartResources) -> None:
    procedure: r4.Procedure = resource.content
    concepts = [procedure.code, *procedure.reason_code]
    words = concept_mention(c for c in concepts if c and not is_understood(c))
    mentions = [words, text_mention(strings_in(procedure.note))]
    codes = {coding.code for coding in (procedure.code.coding if procedure.code else ())}
    outcome = r4.Value(value_codeable_concept=procedure.outcome)
    # The level of a suicide risk assessment is read as its result.
    if procedure.outcome and not (RISK_ASSESSMENT in codes and overall_level(outcome)):
        known = ["suicide risk assessment"] if RISK_ASSESSMENT in codes else []
        stated = question_mention([*names_of(procedure.code), *known], outcome)
        # How it went ("completed") is no answer.
        mentions.append(stated if stated and stated.yes else text_mention(names_of(procedure.outcome)))
    if any(mentions):
        period = procedure.performed_period or r4.Period()
        moment = first_when(resources.zone, resources.today, procedure.performed_date_time, period.end, period.start)
        resources.unheard.extend(unheard(resource, moment, mentions))


def _hear_encounter(resource: r4.Resource, resources: ChartResources) -> None:
    encounter: r4.Encounter = resource.content
    mention = concept_mention(c for c in encounter.reason_code if not safety_rows(c))
    if mention:
        begun = when(encounter.period.start if encounter.period else None, resources.zone, resources.today)
        resources.unheard.extend(unheard(resource, begun, [mention]))


def _hear_condition(resource: r4.Resource, resources: ChartResources) -> None:
    """A Condition that no code list knows. One that is resolved or inactive is history, and no card (R8)."""
    condition: r4.Condition = resource.content
    if not is_counted(condition) or status_codes(condition.clinical_status) & OVER:
        return
    words = concept_mention([condition.code])
    if words and safety_rows(condition.code):
        words = None  # read by its code
    noted = text_mention(strings_in(condition.note)) if condition.note is not r4.NOT_THERE else None
    if words or noted:
        moment = onset_of(condition, resources.zone, resources.today)
        recorded = when(condition.recorded_date, resources.zone, resources.today)
        resources.unheard.extend(unheard(resource, moment or recorded, [words, noted]))


def _coded_mention(concept: r4.CodeableConcept | None) -> Mention | None:
    """A code of the safety code groups, where no reader of such codes looks."""
    return Mention(self_harm=True) if safety_rows(concept) else None


def _of_report(report: r4.DiagnosticReport, resources: ChartResources) -> list[Mention | None]:
    """The conclusion, and results of an instrument that are not among what was sent."""
    texts = [t for t in (report.conclusion or "", *(n for c in report.conclusion_code for n in names_of(c))) if t]
    mentions = [text_mention(texts), *(_coded_mention(concept) for concept in report.conclusion_code)]
    names = [*names_of(report.code), *texts]
    instrument = next((found for name in names if (found := named_instrument(folded(name)[:1000]))), None)
    if instrument is None or not instrument.heard or is_understood(report.code):
        return mentions
    sent = {name for resource in resources.of("Observation") for name in resource.names}
    absent = any(ref.target and not ref.target.startswith("#") and ref.target not in sent for ref in report.result)
    unread = [text for text in texts if says(folded(text)) is not Says.NO]
    return [*mentions, Mention(instrument=instrument) if absent or unread else None]


HEARD: dict[str, Callable[[r4.Resource, ChartResources], None]] = {
    "Condition": _hear_condition,
    "DiagnosticReport": _hear_report,
    "Flag": _hear_flag,
    "Procedure": _hear_procedure,
    "Encounter": _hear_encounter,
}
