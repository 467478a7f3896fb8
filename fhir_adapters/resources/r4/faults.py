"""What makes a single resource unreadable, never the request.

An element of the wrong type or of another FHIR version; a modifier extension or implicit rules, which FHIR forbids to
ignore; null in a list that may hold an answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import Raw

from fhir_adapters.gaps import Cause, Gap
from fhir_adapters.resources.r4.datatypes import NOT_THERE, Element

UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
MUST_UNDERSTAND = Gap(cause=Cause.MUST_UNDERSTAND)
STU3, R5 = "STU3", "R5"
# Elements of other FHIR versions, by the attribute that holds them. MedicationStatement.context is R4 as well.
FOREIGN: dict[str, dict[str, str]] = {
    "Observation": {"context": STU3, "related": STU3, "triggered_by": R5},
    "QuestionnaireResponse": {"context": STU3, "parent": STU3},
    "Condition": {"context": STU3, "asserted_date": STU3, "participant": R5},
    "MedicationRequest": {"context": STU3, "medication": R5},
    "MedicationStatement": {"taken": STU3, "medication": R5},
    "Encounter": {"reason": "STU3 or R5", "actual_period": R5, "subject_status": R5},
    "Procedure": {"context": STU3, "not_done": STU3, "occurrence_date_time": R5, "occurrence_period": R5},
    "RiskAssessment": {"context": STU3, "comment": STU3, "reason": R5},
    "Consent": {"except_": STU3, "decision": R5},
    "CarePlan": {"context": STU3, "definition": STU3, "custodian": R5},
    "Appointment": {"reason": "STU3 or R5", "incoming_referral": STU3, "virtual_service": R5},
}
# Elements with another type than in R4: (element, foreign JSON type) -> version.
RETYPED: dict[str, dict[tuple[str, type], str]] = {
    "QuestionnaireResponse": {("questionnaire", dict): STU3},
    "Condition": {("clinicalStatus", str): STU3, ("verificationStatus", str): STU3},
    "Encounter": {("class", list): R5},
    "Consent": {("policyRule", str): STU3, ("provision", list): R5},
    "Appointment": {("serviceCategory", dict): STU3},
}


def foreign_elements(kind: str, content: Element) -> Gap | None:
    """The fault of a resource with elements of another FHIR version."""
    elements_of, none = FOREIGN_ELEMENTS.get(kind, NEVER)
    elements = elements_of(content)
    if elements == none:
        return None
    versions = zip(elements, FOREIGN[kind].values(), strict=True)
    found = next(version for element, version in versions if element is not NOT_THERE)
    return Gap(cause=Cause.FOREIGN_VERSION, detail=found)


# For each type its foreign elements, and what they are in a resource without any. `attrgetter` gives a tuple from two
# names on.
FOREIGN_ELEMENTS: dict[str, tuple[Callable[[Element], tuple[Raw, ...]], tuple[Raw, ...]]] = {
    kind: (attrgetter(*names), (NOT_THERE,) * len(names)) for kind, names in FOREIGN.items()
}
NEVER: tuple[Callable[[Element], tuple[Raw, ...]], tuple[Raw, ...]] = (lambda _: (), ())


def foreign_types(kind: str, plain: dict[str, Any]) -> Gap | None:
    """The fault of a resource with element types of another FHIR version."""
    for (name, shape), version in RETYPED.get(kind, {}).items():
        if isinstance(plain.get(name), shape):
            return Gap(cause=Cause.FOREIGN_VERSION, detail=version)
    return None


def may_change_meaning(text: bytes) -> bool:
    """Whether a resource holds, at any depth, what FHIR forbids to ignore. The text check spares most the walk."""
    # Names can also be written with escapes. A search for one character is far faster than for two.
    escaped = b"\\" in text and b"\\u" in text
    if b'"modifierExtension"' not in text and b'"implicitRules"' not in text and not escaped:
        return False
    try:
        return changes_meaning(WHOLE.decode(text))
    except UNREADABLE:
        return True


# Decimals stay text: they are not used, and one out of range (1e999) must not hide an answer.
WHOLE: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=str)


def changes_meaning(plain: Any) -> bool:  # noqa: ANN401  # plain JSON
    """Whether plain JSON holds, at any depth, what FHIR forbids to ignore."""
    left = [plain]  # not recursive, since a sender would choose the depth
    while left:
        here = left.pop()
        if isinstance(here, dict):
            if here.get("modifierExtension") or here.get("implicitRules"):
                return True
            left += here.values()
        elif isinstance(here, list):
            left += here
    return False


# Lists in which each element may be an answer, the code of one, the person it is about, an issue of a search or an
# exception from a consent.
TELLING = (
    "item", "answer", "component", "coding", "interpretation", "reasonCode", "issue", "provision", "actor", "action",
    "focus", "purpose", "securityLabel", "prediction",
)  # fmt: skip
NULL_LISTED = Gap(cause=Cause.NULL_LISTED)


def lists_null(plain: Any) -> bool:  # noqa: ANN401  # plain JSON
    """Whether a list of TELLING holds null."""
    left = [plain]  # as in `changes_meaning`
    while left:
        here = left.pop()
        if isinstance(here, dict):
            listed = (here.get(name) for name in TELLING)
            if any(isinstance(elements, list) and None in elements for elements in listed):
                return True
            left += here.values()
        elif isinstance(here, list):
            left += here
    return False


def member_twice(names: Collection[str]) -> Gap:
    """The fault of a resource in which members stand twice. A name that is no FHIR name is not repeated."""
    known = sorted(name for name in names if NAME.fullmatch(name))
    return Gap(cause=Cause.MEMBER_TWICE, detail=known[0] if known else "?")


NAME = re.compile(r"[A-Za-z]{1,40}")


def wrong_type(error: Exception) -> Gap:
    """The path of a type error, without the value (it may be patient data)."""
    text = str(error) if isinstance(error, msgspec.ValidationError) else ""
    place = text.rpartition(" - at ")[2] if " - at " in text else ""
    return Gap(cause=Cause.WRONG_TYPE_AT, detail=place) if place else Gap(cause=Cause.WRONG_TYPE)
