"""What the demo page shows of a chart: the latest values with their dates and references.

Reads the synthetic resources as their EHR would, for people to look at; it judges nothing and is not
what the service reads. Screening forms are one row each, with the answers behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from cds_service.demo_ehr import codes
from cds_service.demo_ehr.codes import Json

VISITS_SHOWN = 3
FORM_NAMES = {
    "phq-9": "PHQ-9",
    "phq9": "PHQ-9",
    "44249-1": "PHQ-9",
    "c-ssrs-screener": "C-SSRS screener",
    "epds": "EPDS",
    "asq": "ASQ",
}
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


def written_row(resource: Json, as_of: datetime) -> Row:
    """What an app wrote, as one line; `when` is the time of writing."""
    kind = resource["resourceType"]
    if kind == "QuestionnaireResponse":
        row = _response_row(resource, as_of)
        what, value = row.what, row.value
    elif kind == "Observation":
        what, value = _name(resource.get("code")), _value(resource) or str(resource.get("status", ""))
    else:
        what = str(resource.get("description") or _name(resource.get("code")))
        value = f"{'task' if kind == 'Task' else 'order'}, status {resource.get('status', '')}"
    when = spoken(resource["meta"]["lastUpdated"], as_of)
    return Row(what=what, value=value, when=f"Written {when}", reference=_reference(resource))


def spoken(text: str, as_of: datetime) -> str:
    """A FHIR date or dateTime as "17 Nov 2026 (6 days ago)"; months from 90 days on; the clock for today.

    A year or a month alone stays as it is.
    """
    if len(text) < len("2026-11-23"):
        return text
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
        key = (_moment(observation), _instrument(observation))
        groups.setdefault(key, []).append(observation)
    dated = [(moment, _form_row(name, moment, group, as_of)) for (moment, name), group in groups.items()]
    dated += [(_moment(form), _response_row(form, as_of)) for form in forms]
    return [row for _, row in sorted(dated, key=lambda pair: pair[0], reverse=True)]


def _instrument(observation: Json) -> str:
    text = _name(observation.get("code"))
    names = {"Patient Health Questionnaire 9": "PHQ-9", "PHQ-9": "PHQ-9", "C-SSRS": "C-SSRS screener", "EPDS": "EPDS"}
    return next((name for start, name in names.items() if text.startswith(start)), text)


def _form_row(name: str, moment: str, group: Sequence[Json], as_of: datetime) -> Row:
    held = [part for observation in group for part in (observation, *observation.get("component", ()))]
    parts = [(_name(part.get("code")), _value(part)) for part in held if _value(part)]
    totals = [value for text, value in parts if "total score" in text]
    answers = [(text, value) for text, value in parts if "total score" not in text]
    value = "total " + totals[0] if totals else f"{len(answers)} answers"
    if any(observation.get("status") == "entered-in-error" for observation in group):
        value = f"entered in error; {value}"
    lead = next((o for o in group if "total" in o["id"]), group[-1])
    return Row(what=name, value=value, when=spoken(moment, as_of), reference=_reference(lead), parts=tuple(answers))


def _response_row(form: Json, as_of: datetime) -> Row:
    items = list(_questions(form.get("item", ())))
    parts = tuple((_question(str(item.get("linkId", ""))), _answer(item)) for item in items)
    answered = sum(1 for item in items if item.get("answer"))
    canonical = str(form.get("questionnaire", "")).partition("|")[0]
    name = FORM_NAMES.get(canonical.rpartition("/")[2], "Form")
    value = f"{answered} of {len(parts)} questions answered"
    if form.get("status") == "entered-in-error":
        value = f"entered in error; {value}"
    return Row(what=name, value=value, when=spoken(_moment(form), as_of), reference=_reference(form), parts=parts)


def _questions(items: Iterable[Json]) -> Iterator[Json]:
    """The questions of a form, out of their groups."""
    for item in items:
        if item.get("item") and not item.get("answer"):
            yield from _questions(item["item"])
        else:
            yield item


def _question(link: str) -> str:
    plain = link.lstrip("/")
    instrument, _, number = plain.partition("-")
    known = {"epds": "EPDS question", "asq": "ASQ question"}.get(instrument)
    return ITEM_NAMES.get(plain) or (f"{known} {number}" if known else plain)


def _answer(item: Json) -> str:
    answers = item.get("answer", ())
    declined = any(e.get("url") == codes.ABSENT for e in item.get("extension", ()))
    return ", ".join(_value(answer) for answer in answers) or ("declined" if declined else "not answered")


def _measurement(observation: Json, as_of: datetime) -> Row:
    parts = [part["valueQuantity"] for part in observation.get("component", ())]
    # Blood pressure is the one vital sign with parts: systolic, then diastolic.
    value = "/".join(f"{q['value']:g}" for q in parts) + f" {parts[0]['unit']}" if parts else _value(observation)
    name = _name(observation.get("code")).partition(" panel")[0]
    when = spoken(_moment(observation), as_of)
    return Row(what=name, value=value, when=when, reference=_reference(observation))


def _value(part: Json) -> str:
    """Any `value[x]` of the demo's charts as text; empty where there is none."""
    if "valueQuantity" in part:
        quantity = part["valueQuantity"]
        unit = "" if quantity.get("code") == "{score}" else f" {quantity.get('unit', '')}".rstrip()
        return f"{quantity.get('value', 0):g}{unit}"
    if "valueCodeableConcept" in part:
        return _name(part["valueCodeableConcept"])
    if "valueCoding" in part:
        coding = part["valueCoding"]
        ordinal = [e["valueDecimal"] for e in coding.get("extension", ()) if e.get("url") == codes.ORDINAL_VALUE]
        return str(coding.get("display") or (f"{ordinal[0]:g}" if ordinal else coding.get("code", "")))
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
    """The first category; a result of an app without one is shown as a form's."""
    codings = [c for part in observation.get("category", ()) for c in part.get("coding", ())]
    return str(codings[0].get("code", "")) if codings else "survey"


def _moment(resource: Json) -> str:
    """When it was answered or measured, else when it came into the chart."""
    dated = resource.get("effectiveDateTime") or resource.get("authored") or resource.get("issued")
    return str(dated or resource["meta"]["lastUpdated"])


def _name(concept: object) -> str:
    """What a CodeableConcept is called."""
    if not isinstance(concept, dict):
        return "Not named"
    codings = concept.get("coding", ())
    known = [ITEM_NAMES.get(str(c.get("code"))) or c.get("display") or c.get("code") for c in codings]
    return str(concept.get("text") or next((name for name in known if name), "Not named"))


def _reference(resource: Json) -> str:
    return f"{resource['resourceType']}/{resource['id']}"
