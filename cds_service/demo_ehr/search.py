"""FHIR R4 type-level search over charts held in memory: just what CDS prefetch templates use.

Token, reference and date parameters on the elements listed in `ELEMENTS`; `_id` everywhere. A
parameter that is not known is ignored, as the specification lets a server do. No chaining, no
modifiers, no `_include`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from cds_service.demo_ehr.codes import Json

PAGE_SIZE = 50

# Search parameter -> the element that it looks at, for the resource types that this EHR has.
ELEMENTS: dict[str, dict[str, str]] = {
    "Patient": {"identifier": "identifier"},
    "Practitioner": {"identifier": "identifier"},
    "Observation": {
        "identifier": "identifier",
        "code": "code",
        "category": "category",
        "status": "status",
        "date": "effectiveDateTime",
    },
    "Condition": {
        "code": "code",
        "category": "category",
        "clinical-status": "clinicalStatus",
        "verification-status": "verificationStatus",
        "onset-date": "onsetDateTime",
        "recorded-date": "recordedDate",
    },
    "QuestionnaireResponse": {
        "identifier": "identifier",
        "questionnaire": "questionnaire",
        "status": "status",
        "authored": "authored",
    },
    "MedicationRequest": {
        "code": "medicationCodeableConcept",
        "status": "status",
        "intent": "intent",
        "authoredon": "authoredOn",
    },
    "Medication": {"code": "code", "status": "status"},
    "Encounter": {"class": "class", "type": "type", "status": "status", "date": "period"},
    "Procedure": {"code": "code", "category": "category", "status": "status", "date": "performedDateTime"},
    "RiskAssessment": {"method": "method", "date": "occurrenceDateTime"},
    "Coverage": {"status": "status", "type": "type"},
    "Consent": {"status": "status"},
    "CarePlan": {"category": "category", "status": "status", "date": "period"},
    "Appointment": {"status": "status", "date": "start"},
    "Task": {"identifier": "identifier", "code": "code", "status": "status", "authored-on": "authoredOn"},
    "ServiceRequest": {
        "identifier": "identifier",
        "code": "code",
        "intent": "intent",
        "status": "status",
        "authored": "authoredOn",
    },
}
DATES = ("date", "authored", "authored-on", "authoredon", "onset-date", "recorded-date")


@dataclass(frozen=True, slots=True)
class Interval:
    """The time that a FHIR date or dateTime can mean: from `start` up to, not including, `end`."""

    start: datetime
    end: datetime


class SearchError(ValueError):
    """An unreadable search parameter; the message says which, and what was expected."""


def search(resources: Iterable[Json], resource_type: str, parameters: Iterable[tuple[str, str]]) -> list[Json]:
    """The resources of a type that meet every parameter, in chart order. Raises SearchError for an unreadable date."""
    matching = [resource for resource in resources if resource["resourceType"] == resource_type]
    for name, value in parameters:
        matching = [resource for resource in matching if meets(resource, name, value)]
    for name, value in parameters:
        if name == "_sort" and value.removeprefix("-") in ELEMENTS[resource_type]:
            element = ELEMENTS[resource_type][value.removeprefix("-")]
            matching.sort(key=lambda resource: _date_text(resource.get(element)) or "", reverse=value.startswith("-"))
    return matching


def bundle(matches: Sequence[Json], base: str, resource_type: str, parameters: Sequence[tuple[str, str]]) -> Json:
    """One page of a searchset, with a `next` link where there is more. `base` is the FHIR base URL."""
    size = min(_whole(parameters, "_count", PAGE_SIZE), PAGE_SIZE)
    offset = _whole(parameters, "_offset", 0)
    others = [(name, value) for name, value in parameters if name != "_offset"]
    links = [{"relation": "self", "url": _url(base, resource_type, parameters)}]
    if size and offset + size < len(matches):
        following = [*others, ("_offset", str(offset + size))]
        links.append({"relation": "next", "url": _url(base, resource_type, following)})
    page: Json = {"resourceType": "Bundle", "type": "searchset", "total": len(matches), "link": links}
    entries = [
        {
            "fullUrl": f"{base}/{resource['resourceType']}/{resource['id']}",
            "resource": resource,
            "search": {"mode": "match"},
        }
        for resource in matches[offset : offset + size]
    ]
    # An empty array is not legal FHIR: no match means no `entry`.
    return page | ({"entry": entries} if entries else {})


def owner(resource: Json) -> str | None:
    """The reference of the patient whose resource it is, such as Patient/1; None for what is no patient's."""
    if resource["resourceType"] == "Patient":
        return f"Patient/{resource['id']}"
    part = next((resource[name] for name in ("subject", "beneficiary", "patient", "for") if name in resource), None)
    reference = part.get("reference") if isinstance(part, dict) else None
    return reference if isinstance(reference, str) else None


def meets(resource: Json, name: str, value: str) -> bool:
    """Whether a resource meets one search parameter. Raises SearchError for a date that cannot be read."""
    if name in ("patient", "subject"):
        # A Patient has no such parameter, and one that is not known is ignored.
        owners = {f"Patient/{part.removeprefix('Patient/')}" for part in value.split(",")}
        return resource["resourceType"] == "Patient" or owner(resource) in owners
    if name == "_id":
        return resource["id"] in value.split(",")
    element = ELEMENTS[resource["resourceType"]].get(name)
    if element is None:
        return True
    if name in DATES:
        return any(_in_time(resource.get(element), part) for part in value.split(","))
    if name == "questionnaire":
        canonical = str(resource.get(element, ""))
        return any(part in (canonical, canonical.partition("|")[0]) for part in value.split(","))
    tokens = _tokens(resource.get(element))
    return any(_token_meets(tokens, part) for part in value.split(","))


def _tokens(element: object) -> set[tuple[str, str]]:
    """The (system, code) pairs in a code, Coding, CodeableConcept, Identifier, or a list of them."""
    if isinstance(element, str):
        return {("", element)}
    if isinstance(element, list):
        return {token for part in element for token in _tokens(part)}
    if not isinstance(element, dict):
        return set()
    if "coding" in element:
        return _tokens(element["coding"])
    return {(element.get("system", ""), element.get("code") or element.get("value") or "")}


def _token_meets(tokens: set[tuple[str, str]], value: str) -> bool:
    system, bar, code = value.rpartition("|")
    if not bar:
        return any(code == held for _, held in tokens)
    return any(system == held_system and code in ("", held) for held_system, held in tokens)


def _date_text(element: object) -> str | None:
    if isinstance(element, dict):
        return element.get("start")
    return element if isinstance(element, str) else None


def _in_time(element: object, value: str) -> bool:
    text = _date_text(element)
    if text is None:
        return False
    prefix, plain = (value[:2], value[2:]) if value[:2].isalpha() else ("eq", value)
    recorded, searched = interval(text), interval(plain)
    tests = {
        "eq": searched.start <= recorded.start and recorded.end <= searched.end,
        "ge": recorded.end > searched.start,
        "gt": recorded.end > searched.end,
        "le": recorded.start < searched.end,
        "lt": recorded.start < searched.start,
    }
    if prefix not in tests:
        raise SearchError(f"expected a date with eq, ge, gt, le or lt; found the prefix {prefix}")
    return tests[prefix]


def interval(text: str) -> Interval:
    """The time a FHIR date (year, month or day) or dateTime covers; a day without zone is a day in UTC."""
    try:
        if "T" in text:
            moment = datetime.fromisoformat(text)
            start = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return Interval(start, start + timedelta(seconds=1))
        parts = [int(part) for part in text.split("-")]
        first = date(*[*parts, 1, 1][:3])
        if len(parts) == 1:
            after = date(first.year + 1, 1, 1)
        elif len(parts) == 2:
            after = (first + timedelta(days=31)).replace(day=1)
        else:
            after = first + timedelta(days=1)
    except (ValueError, TypeError) as error:
        raise SearchError(f"expected a FHIR date or dateTime; found {text[:40]!r}") from error
    return Interval(datetime.combine(first, time(), UTC), datetime.combine(after, time(), UTC))


def _whole(parameters: Iterable[tuple[str, str]], name: str, default: int) -> int:
    text = next((value for key, value in parameters if key == name), None)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise SearchError(f"expected a whole number of zero or more for {name}; found {text[:40]!r}")
    return int(text)


def _url(base: str, resource_type: str, parameters: Sequence[tuple[str, str]]) -> str:
    return f"{base}/{resource_type}?{urlencode(parameters)}"
