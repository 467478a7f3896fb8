"""Reports, flags, procedures and reasons for a visit: what they say of self-harm in words."""

from __future__ import annotations

from fhir_adapters.facts import When
from fhir_adapters.reading.lists.chart_resources import ChartResources
from fhir_adapters.reading.lists.conditions import OVER, is_counted, onset_of, safety_rows, status_codes
from fhir_adapters.reading.net.statements import Says, says
from fhir_adapters.reading.net.unread import Mention, is_understood, names_of, strings_in, text_mention, unheard
from fhir_adapters.reading.net.vocabulary import named_instrument
from fhir_adapters.reading.questionnaires.values import folded
from fhir_adapters.resources import r4
from fhir_adapters.resources.dates import first_when, when


def hear_lists(resources: ChartResources) -> None:
    """Adds what reports, flags, procedures and encounters hold to `resources.unheard`."""
    known = {name for kind in resources.by_kind.values() for resource in kind for name in resource.names}
    for resource in resources.of("Condition"):
        _hear_condition(resource, resources)
    for resource in resources.of("DiagnosticReport"):
        report: r4.DiagnosticReport = resource.content
        if report.status not in ("entered-in-error", "cancelled"):
            resources.unheard.extend(unheard(resource, _reported(report, resources), _of_report(report, known)))
    for resource in resources.of("Flag"):
        flag: r4.Flag = resource.content
        if flag.status not in ("inactive", "entered-in-error"):
            begun = when(flag.period.start if flag.period else None, resources.zone, resources.today)
            mention = _coded_mention(flag.code) or text_mention(names_of(flag.code))
            resources.unheard.extend(unheard(resource, begun, [mention]))
    for resource in resources.of("Procedure"):
        procedure: r4.Procedure = resource.content
        if procedure.status not in ("entered-in-error", "not-done"):
            concepts = [
                c for c in (procedure.code, procedure.outcome, *procedure.reason_code) if c and not is_understood(c)
            ]
            texts = [text for concept in concepts for text in names_of(concept)]
            mention = text_mention([*texts, *strings_in(procedure.note)])
            resources.unheard.extend(unheard(resource, _performed(procedure, resources), [mention]))
    for resource in resources.of("Encounter"):
        encounter: r4.Encounter = resource.content
        unknown = [concept for concept in encounter.reason_code if not safety_rows(concept)]
        if encounter.status not in ("entered-in-error", "cancelled") and unknown:
            begun = when(encounter.period.start if encounter.period else None, resources.zone, resources.today)
            texts = [text for concept in unknown for text in names_of(concept)]
            resources.unheard.extend(unheard(resource, begun, [text_mention(texts)]))


def _hear_condition(resource: r4.Resource, resources: ChartResources) -> None:
    """A Condition that no code list knows. One that is resolved or inactive is history, and no card (R8)."""
    condition: r4.Condition = resource.content
    if not is_counted(condition) or status_codes(condition.clinical_status) & OVER:
        return
    words = [] if safety_rows(condition.code) else names_of(condition.code)
    mention = text_mention([*words, *strings_in(condition.note)])
    if mention:
        moment = onset_of(condition, resources.zone, resources.today)
        recorded = when(condition.recorded_date, resources.zone, resources.today)
        resources.unheard.extend(unheard(resource, moment or recorded, [mention]))


def _reported(report: r4.DiagnosticReport, resources: ChartResources) -> When | None:
    period = report.effective_period
    end = (period.end or period.start) if period else None
    return first_when(resources.zone, resources.today, report.effective_date_time, end, report.issued)


def _performed(procedure: r4.Procedure, resources: ChartResources) -> When | None:
    period = procedure.performed_period
    end = (period.end or period.start) if period else None
    return first_when(resources.zone, resources.today, procedure.performed_date_time, end)


def _coded_mention(concept: r4.CodeableConcept | None) -> Mention | None:
    """A code of the safety code groups, where no reader of such codes looks."""
    return Mention(self_harm=True) if safety_rows(concept) else None


def _of_report(report: r4.DiagnosticReport, known: set[str]) -> list[Mention | None]:
    """The conclusion, and results of an instrument that are not among what was sent."""
    texts = [t for t in (report.conclusion or "", *(n for c in report.conclusion_code for n in names_of(c))) if t]
    mentions = [text_mention(texts), *(_coded_mention(concept) for concept in report.conclusion_code)]
    names = [*names_of(report.code), *texts]
    instrument = next((found for name in names if (found := named_instrument(folded(name)[:1000]))), None)
    if instrument is None or not instrument.heard or is_understood(report.code):
        return mentions
    absent = any(ref.target and not ref.target.startswith("#") and ref.target not in known for ref in report.result)
    unread = [text for text in texts if says(folded(text)) is not Says.NO]
    return [*mentions, Mention(instrument=instrument) if absent or unread else None]
