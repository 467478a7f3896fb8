"""FHIR resources as text for the demo page: names, values, dates and references.

Reads resources from charts and apps alike, so it tolerates anything missing and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from cds_service.demo_ehr import codes
from cds_service.demo_ehr.codes import Json

ITEM_NAMES = (
    {code: f"PHQ-9 item {number}" for number, code in enumerate(codes.PHQ9_ITEMS, start=1)}
    | {code: f"C-SSRS question {item.removeprefix('q').replace('_recent', ', past 3 months')}"
       for item, code in codes.CSSRS_ITEMS.items()}
    | {codes.PHQ9_DIFFICULTY: "PHQ-9 difficulty", "asq-5": "ASQ acuity question"}
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRow:
    """One line of the facts view: what, its value, when, and where it stands. `parts` are the answers of a form."""

    what: str
    value: str
    when: str
    reference: str
    parts: tuple[tuple[str, str], ...] = ()


def dated_text(text: str, as_of: datetime) -> str:
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


def value_of(part: Json) -> str:
    """Any `value[x]` of the demo's charts as text; empty where there is none."""
    if "valueQuantity" in part:
        quantity = part["valueQuantity"]
        unit = "" if quantity.get("code") == "{score}" else f" {quantity.get('unit', '')}".rstrip()
        return f"{quantity.get('value', 0):g}{unit}"
    if "valueCodeableConcept" in part:
        return name_of(part["valueCodeableConcept"])
    if "valueCoding" in part:
        coding = part["valueCoding"]
        ordinal = [e["valueDecimal"] for e in coding.get("extension", ()) if e.get("url") == codes.ORDINAL_VALUE]
        return str(coding.get("display") or (f"{ordinal[0]:g}" if ordinal else coding.get("code", "")))
    if "valueBoolean" in part:
        return "Yes" if part["valueBoolean"] else "No"
    return str(part.get("valueInteger", ""))


def name_of(concept: object) -> str:
    """What a CodeableConcept is called: questions by their number, the rest by its text."""
    if not isinstance(concept, dict):
        return "Not named"
    codings = concept.get("coding", ())
    question = next((ITEM_NAMES[c["code"]] for c in codings if c.get("code") in ITEM_NAMES), None)
    coding_name = next((c.get("display") or c.get("code") for c in codings), None)
    return str(question or concept.get("text") or coding_name or "Not named")


def moment_of(resource: Json) -> str:
    """When it was answered or measured, else when it was recorded."""
    dated = resource.get("effectiveDateTime") or resource.get("authored") or resource.get("issued")
    return str(dated or resource["meta"]["lastUpdated"])
