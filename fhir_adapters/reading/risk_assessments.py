"""Suicide risk assessments: Procedures that were completed, and RiskAssessments with their result.

A RiskAssessment counts as a completed assessment only where a practitioner made it: what a device, an algorithm or a
score makes of a chart is no assessment of a person. Its notes, its basis and its mitigation are
not read, but that of one about something else is heard (R18).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fhir_adapters.codesets.terminology import LOINC, RISK_ASSESSMENT, SNOMED, canonical
from fhir_adapters.facts import ACUTE_RESULTS, POSITIVE_RESULTS, Result, RiskAssessment, RiskResult, Unheard, When
from fhir_adapters.reading.lists.chart_resources import ChartResources
from fhir_adapters.reading.net.unread import strings_in, text_mention, unheard
from fhir_adapters.reading.net.vocabulary import named_instrument, names_self_harm
from fhir_adapters.reading.questionnaires.levels import overall_level
from fhir_adapters.reading.questionnaires.values import folded
from fhir_adapters.resources import r4
from fhir_adapters.resources.dates import first_when

DONE = ("final", "amended", "corrected")
IGNORED = ("entered-in-error", "cancelled")
CLINICIANS = ("Practitioner", "PractitionerRole")
# The C-SSRS panel and the suicide risk level.
RISK_CODES = {(SNOMED, RISK_ASSESSMENT), (LOINC, "93373-9"), (LOINC, "93374-7")}
# Names of methods that no person carries out, folded.
SOFTWARE = re.compile(r"algorit|software|artificial|\bmodel|automat|comput|\b(?:machine|scor|puntua|index\b)")
RESULTS = {
    **dict.fromkeys(ACUTE_RESULTS, RiskResult.HIGH),
    **dict.fromkeys(POSITIVE_RESULTS, RiskResult.MODERATE),
    **dict.fromkeys((Result.LOW, Result.NEGATIVE), RiskResult.LOW),
}
# RiskAssessment's own code system, its address before R4, and the codes of it that are no words of a level.
PROBABILITY = tuple(
    canonical(f"http://{place}/risk-probability") for place in ("terminology.hl7.org/CodeSystem", "hl7.org/fhir")
)
EXTREMES = {"certain": RiskResult.HIGH, "negligible": RiskResult.LOW}
WORST_FIRST = (RiskResult.HIGH, RiskResult.MODERATE, RiskResult.UNREADABLE, RiskResult.LOW)


def risk_assessments(resources: ChartResources) -> tuple[RiskAssessment, ...]:
    """In the order of the chart. Numbers and unreadable results of software are added to `resources.unheard`."""
    return (*_procedures(resources), *_risk_assessments(resources))


def _procedures(resources: ChartResources) -> Iterator[RiskAssessment]:
    for resource in resources.of("Procedure"):
        procedure: r4.Procedure = resource.content
        coded = procedure.code.coding if procedure.code else ()
        if procedure.status == "completed" and any(
            canonical(c.system or "") == SNOMED and c.code == RISK_ASSESSMENT for c in coded
        ):
            period = procedure.performed_period or r4.Period()
            encounter = resources.encounter(procedure.encounter)
            yield RiskAssessment(
                reference=resource.reference,
                when=first_when(
                    resources.zone, resources.today, procedure.performed_date_time, period.end, period.start
                ),
                encounter=encounter.reference if encounter else None,
                result=_outcome(procedure),
            )


def _outcome(procedure: r4.Procedure) -> RiskResult | None:
    """The result that a Procedure's outcome states; only a high or moderate one, since most say how it went."""
    level = overall_level(r4.Value(value_codeable_concept=procedure.outcome)) if procedure.outcome else None
    return RESULTS[level] if level in (*ACUTE_RESULTS, *POSITIVE_RESULTS) else None


def _risk_assessments(resources: ChartResources) -> Iterator[RiskAssessment]:
    for resource in resources.of("RiskAssessment"):
        assessed: r4.RiskAssessment = resource.content
        predictions = _of_suicide(assessed)
        if assessed.status in IGNORED:
            continue
        if predictions is None:
            words = [*strings_in(assessed.note), *(p.rationale for p in assessed.prediction if p.rationale)]
            resources.unheard.extend(unheard(resource, _made(assessed, resources), [text_mention(words)]))
            continue
        result = min((_result(p) for p in predictions), key=_gravity, default=None)
        when, performer = _made(assessed, resources), assessed.performer
        encounter = resources.encounter(assessed.encounter)
        made_by = (performer.kind or performer.type) if performer else None
        by_software = made_by == "Device" or any(SOFTWARE.search(text) for text in _texts(assessed.method))
        if by_software and result is RiskResult.UNREADABLE:
            reference = resource.reference
            resources.unheard.append(Unheard(kind=resource.kind, reference=reference, when=when, self_harm=True))
            continue
        done = assessed.status in DONE
        by_clinician = made_by in CLINICIANS and not by_software
        yield RiskAssessment(
            reference=resource.reference,
            when=when,
            encounter=encounter.reference if encounter else None,
            result=result,
            complete=done and by_clinician and result not in (None, RiskResult.UNREADABLE),
            by_software=by_software,
            provisional=not done,
        )


def _made(assessed: r4.RiskAssessment, resources: ChartResources) -> When | None:
    period = assessed.occurrence_period or r4.Period()
    return first_when(resources.zone, resources.today, assessed.occurrence_date_time, period.end, period.start)


def _of_suicide(assessed: r4.RiskAssessment) -> list[r4.Prediction] | None:
    """The predictions about suicide or self-harm; None where the assessment is about something else.

    In one that is coded as about suicide, those whose outcome says nothing of it count too.
    """
    named = [p for p in assessed.prediction if _touches(p.outcome)]
    if named:
        return named
    return assessed.prediction if _touches(assessed.code) or _touches(assessed.method) else None


def _touches(concept: r4.CodeableConcept | None) -> bool:
    """Whether a concept is about suicide or self-harm, by code or words."""
    if any((canonical(c.system or ""), c.code) in RISK_CODES for c in (concept.coding if concept else ())):
        return True
    return any(
        names_self_harm(text) or ((instrument := named_instrument(text)) and instrument.suicide)
        for text in _texts(concept)
    )


# Longer texts are no names, nor results.
LONGEST = 500


def _texts(concept: r4.CodeableConcept | None) -> list[str]:
    """The words of a concept, folded."""
    return [folded(t[:LONGEST]) for t in (concept.text, *(c.display for c in concept.coding)) if t] if concept else []


def _gravity(result: RiskResult | None) -> int:
    return WORST_FIRST.index(result) if result else len(WORST_FIRST)


def _result(prediction: r4.Prediction) -> RiskResult | None:
    """The qualitative risk; unreadable where its code and words disagree, or where only a number is given."""
    risk = prediction.qualitative_risk
    if risk is None or not (risk.text or risk.coding):
        numbers = (prediction.probability_decimal, prediction.probability_range, prediction.relative_risk)
        return RiskResult.UNREADABLE if any(bytes(number) for number in numbers) else None
    level = overall_level(r4.Value(value_codeable_concept=risk))
    said = {
        EXTREMES[c.code or ""] for c in risk.coding if canonical(c.system or "") in PROBABILITY and c.code in EXTREMES
    }
    said |= {RESULTS[level]} if level else set()
    return said.pop() if len(said) == 1 else RiskResult.UNREADABLE
