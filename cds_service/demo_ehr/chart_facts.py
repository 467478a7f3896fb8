"""What the demo page shows of a chart: the latest values with their dates and references.

Reads the synthetic resources as their EHR would, for people to look at; it judges nothing and is not
what the service reads. Screening forms are one row each, with the answers behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from cds_service.demo_ehr import codes
from cds_service.demo_ehr.codes import Json

VISITS_SHOWN = 3
FORM_NAMES = {"phq-9": "PHQ-9", "c-ssrs-screener": "C-SSRS screener", "epds": "EPDS", "asq": "ASQ"}
ITEM_NAMES = (
    {code: f"PHQ-9 item {number}" for number, code in enumerate(codes.PHQ9_ITEMS, start=1)}
    | {code: f"C-SSRS question {item.removeprefix('q').replace('_recent', ', past 3 months')}"
       for item, code in codes.CSSRS_ITEMS.items()}
    | {"asq-5": "ASQ acuity question"}
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the facts view: what, its value, when, and where it stands. `parts` are the answers of a form."""

    what: str
    value: str
    when: str
    reference: str
    parts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A headed group of rows, never empty."""

    heading: str
    rows: tuple[Row, ...]


def chart_sections(chart: Iterable[Json], as_of: datetime) -> tuple[Section, ...]:
    """The facts view of one chart: screening, measurements, problems, medicines, visits; empty ones left out."""
    by_type: dict[str, list[Json]] = {}
    for resource in chart:
        by_type.setdefault(resource["resourceType"], []).append(resource)
    observations = by_type.get("Observation", [])
    survey = [o for o in observations if _category(o) == "survey"]
    values = [o for o in observations if _category(o) != "survey"]
    sections = (
        ("Screening", _screening(survey, by_type.get("QuestionnaireResponse", []), as_of)),
        ("Measurements and habits", [_measurement(o, as_of) for o in values]),
        ("Problems", [_problem(c, as_of) for c in by_type.get("Condition", [])]),
        ("Medicines", [_medicine(m, as_of) for m in by_type.get("MedicationRequest", [])]),
        ("Visits", _visits(by_type.get("Encounter", []), as_of)),
    )
    return tuple(Section(heading=heading, rows=tuple(rows)) for heading, rows in sections if rows)


def spoken(text: str, as_of: datetime) -> str:
    """A FHIR date or dateTime as "17 Nov 2026 (6 days ago)"; months from 90 days on; the clock for today."""
    day = date.fromisoformat(text[:10])
    ago = (as_of.date() - day).days
    plain = f"{day.day} {day:%b %Y}"
    if ago == 0:
        return f"today, {text[11:16]}" if "T" in text else "today"
    if ago == 1:
        return f"{plain} (yesterday)"
    if ago <= 90:
        return f"{plain} ({ago} days ago)"
    months = round(ago / 30.44)
    return f"{plain} ({months} months ago)" if months < 24 else f"{plain} ({ago // 365} years ago)"


def _screening(survey: Sequence[Json], forms: Sequence[Json], as_of: datetime) -> list[Row]:
    """One row a form, newest first: Observations of one moment and instrument together, then each response."""
    groups: dict[tuple[str, str], list[Json]] = {}
    for observation in survey:
        key = (observation["effectiveDateTime"], _instrument(observation))
        groups.setdefault(key, []).append(observation)
    dated = [(moment, _form_row(name, moment, group, as_of)) for (moment, name), group in groups.items()]
    dated += [(form["authored"], _response_row(form, as_of)) for form in forms]
    return [row for _, row in sorted(dated, key=lambda pair: pair[0], reverse=True)]


def _instrument(observation: Json) -> str:
    text = observation["code"]["text"]
    names = {"Patient Health Questionnaire 9": "PHQ-9", "PHQ-9": "PHQ-9", "C-SSRS": "C-SSRS screener", "EPDS": "EPDS"}
    return next((name for start, name in names.items() if text.startswith(start)), text)


def _form_row(name: str, moment: str, group: Sequence[Json], as_of: datetime) -> Row:
    held = [part for observation in group for part in (observation, *observation.get("component", ()))]
    parts = [(part["code"]["text"], _value(part)) for part in held if _value(part)]
    totals = [value for text, value in parts if "total score" in text]
    answers = [(text, value) for text, value in parts if "total score" not in text]
    value = "total " + totals[0] if totals else f"{len(answers)} answers"
    lead = next((o for o in group if "total" in o["id"]), group[-1])
    return Row(what=name, value=value, when=spoken(moment, as_of), reference=_reference(lead), parts=tuple(answers))


def _response_row(form: Json, as_of: datetime) -> Row:
    parts = tuple((_question(item["linkId"]), _answer(item)) for item in form["item"])
    answered = sum(1 for item in form["item"] if item.get("answer"))
    name = FORM_NAMES.get(form["questionnaire"].rpartition("/")[2], "Form")
    value = f"{answered} of {len(parts)} questions answered"
    return Row(what=name, value=value, when=spoken(form["authored"], as_of), reference=_reference(form), parts=parts)


def _question(link: str) -> str:
    plain = link.lstrip("/")
    instrument, _, number = plain.partition("-")
    known = {"epds": "EPDS question", "asq": "ASQ question"}.get(instrument)
    return ITEM_NAMES.get(plain) or (f"{known} {number}" if known else plain)


def _answer(item: Json) -> str:
    answers = item.get("answer", ())
    return ", ".join(_value(answer) for answer in answers) or "not answered"


def _measurement(observation: Json, as_of: datetime) -> Row:
    parts = [part["valueQuantity"] for part in observation.get("component", ())]
    # Blood pressure is the one vital sign with parts: systolic, then diastolic.
    value = "/".join(f"{q['value']:g}" for q in parts) + f" {parts[0]['unit']}" if parts else _value(observation)
    name = observation["code"]["text"].partition(" panel")[0]
    when = spoken(observation["effectiveDateTime"], as_of)
    return Row(what=name, value=value, when=when, reference=_reference(observation))


def _value(part: Json) -> str:
    """Any `value[x]` of the demo's charts as text; empty where there is none."""
    if "valueQuantity" in part:
        quantity = part["valueQuantity"]
        unit = "" if quantity["code"] == "{score}" else f" {quantity['unit']}"
        return f"{quantity['value']:g}{unit}"
    if "valueCodeableConcept" in part:
        concept = part["valueCodeableConcept"]
        return str(concept.get("text") or concept["coding"][0]["display"])
    if "valueCoding" in part:
        coding = part["valueCoding"]
        ordinal = [e["valueDecimal"] for e in coding.get("extension", ()) if e["url"] == codes.ORDINAL_VALUE]
        return str(coding.get("display") or f"{ordinal[0]:g}")
    if "valueBoolean" in part:
        return "Yes" if part["valueBoolean"] else "No"
    return str(part.get("valueInteger", ""))


def _problem(condition: Json, as_of: datetime) -> Row:
    state = condition["clinicalStatus"]["coding"][0]["code"]
    when = spoken(condition["onsetDateTime"], as_of)
    return Row(what=condition["code"]["text"], value=state, when=when, reference=_reference(condition))


def _medicine(order: Json, as_of: datetime) -> Row:
    return Row(
        what=order["medicationCodeableConcept"]["text"],
        value=order["dosageInstruction"][0]["text"],
        when=spoken(order["authoredOn"], as_of),
        reference=_reference(order),
    )


def _visits(encounters: Sequence[Json], as_of: datetime) -> list[Row]:
    """The latest visits, and the others behind one row."""
    rows = [_visit(encounter, as_of) for encounter in _newest_first(encounters)]
    latest, earlier = rows[:VISITS_SHOWN], rows[VISITS_SHOWN:]
    if len(earlier) < 2:
        return rows
    parts = tuple((row.what, row.when) for row in earlier)
    return [*latest, Row(what="Earlier", value=f"{len(earlier)} visits", when="", reference="", parts=parts)]


def _visit(encounter: Json, as_of: datetime) -> Row:
    return Row(
        what=encounter["reasonCode"][0]["text"],
        value=encounter["class"]["display"],
        when=spoken(encounter["period"]["start"], as_of),
        reference=_reference(encounter),
    )


def _newest_first(encounters: Sequence[Json]) -> list[Json]:
    return sorted(encounters, key=lambda encounter: str(encounter["period"]["start"]), reverse=True)


def _category(observation: Json) -> str:
    return str(observation["category"][0]["coding"][0]["code"])


def _reference(resource: Json) -> str:
    return f"{resource['resourceType']}/{resource['id']}"
