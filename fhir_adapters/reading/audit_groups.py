"""Race and ethnicity, language and payer, for a site's audit of fairness alone.

Read apart from the chart, so that no rule, model or page can see them. Codes of our own; "unrecorded" is a group too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import TypeVar

import msgspec
from msgspec import Raw

from fhir_adapters.codesets.terminology import canonical
from fhir_adapters.reading.lists.demographics import PAYER_TYPES, PAYERS
from fhir_adapters.resources.r4.datatypes import NOT_THERE, CodeableConcept, Coding, Element, Meta, Period, Reference

UNRECORDED, SEVERAL, OTHER = "unrecorded", "more-than-one", "other"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
# CDC race and ethnicity codes of the categories of the US Office of Management and Budget.
HISPANIC = "2135-2"
RACES = {
    "1002-5": "american-indian-or-alaska-native",
    "2028-9": "asian",
    "2054-5": "black-or-african-american",
    "2076-8": "native-hawaiian-or-other-pacific-islander",
    "2106-3": "white",
    "2118-8": "middle-eastern-or-north-african",
    "2131-1": OTHER,
}
E = TypeVar("E", bound=Element)
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?=$|[-_])")


class _Part(Element):
    url: str | None = None
    value_coding: Coding | None = None
    extension: tuple[_Part, ...] = ()


class _Spoken(Element):
    language: CodeableConcept | None = None
    preferred: bool = False


class _PersonRead(Element):
    extension: tuple[_Part, ...] = ()
    communication: tuple[_Spoken, ...] = ()


class _Paid(Element):
    status: str | None = None
    type: CodeableConcept | None = None
    beneficiary: Reference | None = None
    period: Period = msgspec.field(default_factory=Period)
    meta: Meta = msgspec.field(default_factory=Meta)


class _PaidEntry(Element):
    resource: Raw = NOT_THERE


class _PaidBundle(Element):
    entry: tuple[_PaidEntry, ...] = ()


def race_ethnicity(patient: bytes) -> str:
    """By the extensions of US Core, in one group: Hispanic or Latino of any race, else the race."""
    person = _read(patient, _PersonRead)
    if HISPANIC in _categories(person, "ethnicity"):
        return "hispanic-or-latino"
    return _one_of({RACES[code] for code in _categories(person, "race") if code in RACES})


def language(patient: bytes) -> str:
    """The preferred language, or the only one, without its region (`es`)."""
    spoken = _read(patient, _PersonRead).communication
    chosen = [each for each in spoken if each.preferred] or (spoken if len(spoken) == 1 else ())
    codes = [coding.code or "" for each in chosen if each.language for coding in each.language.coding]
    return _one_of({found[0].lower() for code in codes if (found := LANGUAGE.match(code))})


def payer(coverage: Raw | bytes, patient_id: str, today: date) -> str:
    """By the type of the patient's Coverages in force, as a Bundle or one resource; those with a label are left out."""
    texts: list[Raw | bytes] = [entry.resource for entry in _read(coverage, _PaidBundle).entry]
    held = [_read(text, _Paid) for text in texts or [coverage]]
    return _one_of({_kind_of(c) for each in held if _is_in_force(each, patient_id, today) for c in _types(each)})


def _read(text: Raw | bytes, kind: type[E]) -> E:
    """As far as it is of that kind; else without any content."""
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError:
        return kind()


def _categories(person: _PersonRead, name: str) -> list[str | None]:
    parts = (part for outer in person.extension if outer.url == US_CORE + name for part in outer.extension)
    return [part.value_coding.code for part in parts if part.url == "ombCategory" and part.value_coding]


def _is_in_force(paid: _Paid, patient_id: str, today: date) -> bool:
    ours = paid.beneficiary and f"/{paid.beneficiary.target}".endswith(f"/Patient/{patient_id}")
    end = (paid.period.end or "")[:10]
    is_over = bool(end) and end < today.isoformat()[: len(end)]
    return bool(ours) and paid.status == "active" and not is_over and not paid.meta.security


def _types(paid: _Paid) -> list[str]:
    return [c.code or "" for c in (paid.type.coding if paid.type else ()) if canonical(c.system or "") == PAYER_TYPES]


def _kind_of(code: str) -> str:
    return next((name.removeprefix("ins_") for name, starts in PAYERS if code.startswith(starts)), OTHER)


def _one_of(found: set[str]) -> str:
    return SEVERAL if len(found) > 1 else next(iter(found), UNRECORDED)


OF_PATIENT: Mapping[str, Callable[[bytes], str]] = {"race-ethnicity": race_ethnicity, "language": language}
