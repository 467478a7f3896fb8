"""Psychosocial assessments on file, recognised by words, since no verified code for one was found.

As in `after_care`, the pattern is an allow-list over whole texts. What is planned, refused or entered in error is not
one. No rule takes one for an assessment of the risk of suicide: it is a step on file, and lowers nothing (rule R3).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fhir_adapters.facts import PsychosocialAssessment
from fhir_adapters.reading.lists.after_care import NO_VISIT, words_of
from fhir_adapters.reading.lists.chart_resources import ChartResources
from fhir_adapters.reading.net.unread import names_of, strings_in
from fhir_adapters.reading.questionnaires.values import has_value
from fhir_adapters.resources import r4
from fhir_adapters.resources.dates import first_when

KIND = r"(?:full|comprehensive|initial|specialist|mental health|nice|ng225)"
PSYCHOSOCIAL = r"(?:bio ?)?psycho ?social(?:\sneeds)?"
NAME = re.compile(
    rf"(?:{KIND}\s)*{PSYCHOSOCIAL}\s(?:assessment|evaluation)(?:\s(?:completed|done))?"
    r"|(?:evaluacion|valoracion)\s(?:bio ?)?psicosocial"
)
MENTIONED = re.compile(
    r"psycho ?social(?: \w+){0,3} (?:assessment|evaluation)|(?:evaluacion|valoracion) \w*psicosocial"
)
CLINICIANS = ("Practitioner", "PractitionerRole")
# By type: the statuses of what was done, and of what is under way.
STATUSES = {
    "Procedure": (("completed",), ("in-progress",)),
    "Observation": (("final", "amended", "corrected"), ("registered", "preliminary")),
    "RiskAssessment": (("final", "amended", "corrected"), ("registered", "preliminary")),
}


def psychosocial_assessments(resources: ChartResources) -> Iterator[PsychosocialAssessment]:
    """Those done or under way. One whose other words may deny it, or with a result, is not understood."""
    for resource in resources.of(*STATUSES):
        content: r4.Procedure | r4.Observation | r4.RiskAssessment = resource.content
        done, begun = STATUSES[resource.kind]
        names = [words_of(name) for name in names_of(content.code)]
        if content.status not in (*done, *begun) or not any(MENTIONED.search(name) for name in names):
            continue
        told = [words_of(text) for text in strings_in(content.note)]
        sure = True
        if isinstance(content, r4.Procedure):
            period = content.performed_period or r4.Period()
            dates = (content.performed_date_time, period.end, period.start)
            told += [words_of(text) for text in names_of(content.outcome)]
        elif isinstance(content, r4.Observation):
            period = content.effective_period or r4.Period()
            dates = (content.effective_date_time or content.effective_instant, period.end, period.start)
            sure = not has_value(content)
        else:
            period = content.occurrence_period or r4.Period()
            dates = (content.occurrence_date_time, period.end, period.start)
            made_by = (content.performer.kind or content.performer.type) if content.performer else None
            sure = made_by in CLINICIANS
        yield PsychosocialAssessment(
            reference=resource.reference,
            when=first_when(resources.zone, resources.today, *dates),
            complete=content.status in done,
            understood=sure and all(map(NAME.fullmatch, names)) and not any(map(NO_VISIT.search, told)),
        )
