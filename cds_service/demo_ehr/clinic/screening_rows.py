"""Screening forms for the demo page, one row each, however a chart stores them.

Observations of one moment and instrument are one form; those derived from a QuestionnaireResponse belong to its row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from cds_service.demo_ehr import codes
from cds_service.demo_ehr.clinic.chart_words import (
    ITEM_NAMES,
    FactRow,
    dated_text,
    moment_of,
    name_of,
    value_of,
)
from cds_service.demo_ehr.codes import Json
from cds_service.demo_ehr.fhir_api.charts import reference_of

# By the last part of the form's canonical address.
FORM_NAMES = {
    "phq-9": "PHQ-9",
    "44249-1": "PHQ-9",
    "phq-2": "PHQ-2",
    "c-ssrs-screener": "C-SSRS screener",
    "epds": "EPDS",
    "asq": "ASQ",
}
DECLINED, NOT_ANSWERED = "declined", "not answered"
STARTS = {
    "Patient Health Questionnaire 9": "PHQ-9",
    "Patient Health Questionnaire 2": "PHQ-2",
    "PHQ-9": "PHQ-9",
    "PHQ-2": "PHQ-2",
    "C-SSRS": "C-SSRS screener",
    "EPDS": "EPDS",
}


def screening(survey: Sequence[Json], forms: Sequence[Json], as_of: datetime) -> list[FactRow]:
    """The rows, newest first."""
    derived = derived_from(survey, forms)
    folded = {reference_of(observation) for held in derived.values() for observation in held}
    groups: dict[tuple[str, str], list[Json]] = {}
    for observation in survey:
        members = {member.get("reference") for member in observation.get("hasMember", ())}
        if reference_of(observation) not in folded and not (members and members <= folded):
            groups.setdefault((moment_of(observation), _instrument(observation)), []).append(observation)
    dated = [(moment, _group_row(name, moment, group, as_of)) for (moment, name), group in groups.items()]
    dated += [(moment_of(form), form_row(form, derived[reference_of(form)], as_of)) for form in forms]
    return [row for _, row in sorted(dated, key=lambda pair: pair[0], reverse=True)]


def derived_from(observations: Iterable[Json], forms: Iterable[Json]) -> dict[str, list[Json]]:
    """Reference of each form -> the Observations derived from it."""
    derived: dict[str, list[Json]] = {reference_of(form): [] for form in forms}
    for observation in observations:
        sources = {source.get("reference") for source in observation.get("derivedFrom", ())}
        for reference in sources & derived.keys():
            derived[reference].append(observation)
    return derived


def form_row(form: Json, derived: Sequence[Json], as_of: datetime) -> FactRow:
    """A QuestionnaireResponse, with the total derived from it, if any."""
    items = list(_questions(form.get("item", ())))
    parts = tuple((_question(str(item.get("linkId", ""))), _answer(item)) for item in items)
    answered = sum(1 for _, answer in parts if answer not in (DECLINED, NOT_ANSWERED))
    canonical = str(form.get("questionnaire", "")).partition("|")[0]
    name = FORM_NAMES.get(re.split("[/:]", canonical)[-1], "Form")
    totals = [f"total {value_of(o)}, " for o in derived if _is_total(name_of(o.get("code"))) and value_of(o)]
    value = f"{''.join(totals[:1])}{answered} of {len(parts)} questions answered"
    if form.get("status") == "entered-in-error":
        value = f"entered in error; {value}"
    return FactRow(
        what=name, value=value, when=dated_text(moment_of(form), as_of), reference=reference_of(form), parts=parts
    )


def _group_row(name: str, moment: str, group: Sequence[Json], as_of: datetime) -> FactRow:
    held = [part for observation in group for part in (observation, *observation.get("component", ()))]
    parts = [(name_of(part.get("code")), value_of(part)) for part in held if value_of(part)]
    totals = [value for text, value in parts if _is_total(text)]
    answers = [(text, value) for text, value in parts if not _is_total(text)]
    value = "total " + totals[0] if totals else f"{len(answers)} answers"
    if any(observation.get("status") == "entered-in-error" for observation in group):
        value = f"entered in error; {value}"
    lead = next((o for o in group if "total" in o["id"]), group[-1])
    return FactRow(
        what=name, value=value, when=dated_text(moment, as_of), reference=reference_of(lead), parts=tuple(answers)
    )


def _instrument(observation: Json) -> str:
    text = name_of(observation.get("code"))
    return next((name for start, name in STARTS.items() if text.startswith(start)), text)


def _is_total(text: str) -> bool:
    return "total score" in text


def _questions(items: Iterable[Json]) -> Iterator[Json]:
    """The questions of a form, out of their groups."""
    for item in items:
        if item.get("item") and not item.get("answer"):
            yield from _questions(item["item"])
        else:
            yield item


def _question(link: str) -> str:
    plain = link.rpartition("/")[2]
    instrument, _, number = plain.partition("-")
    known = {"epds": "EPDS question", "asq": "ASQ question"}.get(instrument)
    return ITEM_NAMES.get(plain) or (f"{known} {number}" if known else plain)


def _answer(item: Json) -> str:
    answers = item.get("answer", ())
    if any(answer.get("valueCoding", {}).get("system") == codes.ABSENT_REASON for answer in answers):
        return DECLINED
    return ", ".join(value_of(answer) for answer in answers) or NOT_ANSWERED
