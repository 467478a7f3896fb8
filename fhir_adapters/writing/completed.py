"""A form filled in here, as the FHIR resources for the chart.

One QuestionnaireResponse with every answer; and the total and each answered item that have a verified code as
Observations, all of one moment.
Each resource has an identifier of ours, made of the submission and its slot, so that a repetition is recognised.
Declined is an answer of its own (asked-declined, which the form offers), never a missing one; a total needs all items.
Pure: nothing is sent from here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fhir_adapters.codesets.questions import displays
from fhir_adapters.codesets.terminology import LOINC
from fhir_adapters.errors import NotValid
from fhir_adapters.reading.questionnaires.values import ORDINAL
from fhir_adapters.resources.validation import faults
from fhir_adapters.writing.questionnaires import ABSENT, DECLINED, ENGLISH, Form, FormAnswer, FormAnswers, Option

SUBMISSION_SYSTEM = "urn:mental-health-cds:submission"
SURVEY = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "survey", "display": "Survey"}
FORM, TOTAL = "form", "total"
# Identifiers that need no encoding in a header or a query.
PLAIN = re.compile(r"[A-Za-z0-9.-]{1,80}")
# Ids as servers use them: some are longer than FHIR allows, with more kinds of characters.
ID = r"(?!\.{1,2}$)[A-Za-z0-9\-._~:]{1,128}"
REFERENCE = re.compile(rf"(Patient|Encounter)/{ID}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FormContext:
    """When, for whom and by whom a form was filled in.

    `patient`, `encounter` and `user` are relative references; `user` becomes the author when it is a practitioner's,
    `user_name` the display of that. `submission` is unique to this form of this session.
    """

    patient: str
    at: datetime
    submission: str
    encounter: str | None = None
    user: str | None = None
    user_name: str | None = None

    @property
    def moment(self) -> str:
        """`at` as a FHIR instant in UTC, to the second."""
        return self.at.astimezone(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One resource to be written. `name` tells it from the others of its submission: form, total, item-9, task."""

    name: str
    resource: dict[str, Any]


def slots_of(answers: FormAnswers, context: FormContext) -> tuple[Slot, ...]:
    """The resources of a form in the order of writing. Raises NotValid, so that nothing is sent.

    The Observations lack `derivedFrom` until the response is in the chart (`derived_from`).
    """
    if answers.open:
        raise NotValid("expected an answer or “declined” to every required question; found open ones")
    slots = [Slot(name=FORM, resource=_response(answers, context))]
    if answers.total is not None and answers.form.total_code:
        slots.append(Slot(name=TOTAL, resource=_total(answers.form, answers.form.total_code, answers.total, context)))
    slots += [
        Slot(name=slot_of(answer), resource=_item(answer, answer.question.code, answer.option, context))
        for answer in answers.answered
        if answer.option and answer.question.code
    ]
    require_valid(slots)
    return tuple(slots)


def slot_of(answer: FormAnswer) -> str:
    """The slot of an item."""
    return f"item-{answer.question.number}"


def require_valid(slots: Iterable[Slot]) -> None:
    """Raises NotValid, naming element and fault, unless every resource is valid R4."""
    problems = [f"{slot.name} {fault}" for slot in slots for fault in faults(slot.resource)]
    if problems:
        raise NotValid(f"expected valid R4 to write; found {'; '.join(problems)}")


def derived_from(slot: Slot, response: str) -> Slot:
    """The slot; an Observation with `derivedFrom` the response."""
    if slot.resource["resourceType"] != "Observation":
        return slot
    return Slot(name=slot.name, resource=slot.resource | {"derivedFrom": [{"reference": response}]})


def identifier(submission: str, slot: str) -> dict[str, str]:
    """The identifier of a resource of this submission and slot. Raises NotValid for unexpected characters."""
    value = f"{submission}.{slot}"
    if not PLAIN.fullmatch(value):
        raise NotValid("expected a submission of letters, digits, dots and dashes; found another")
    return {"system": SUBMISSION_SYSTEM, "value": value}


def author_of(user: str | None) -> str | None:
    """The user's relative reference if a practitioner's, else None: nobody else signs a form."""
    match = re.search(rf"(?:^|/)(Practitioner(?:Role)?/{ID})$", user or "")
    return match[1] if match else None


def signed(user: str | None, name: str | None) -> dict[str, str] | None:
    """The reference of a practitioner, with the name if known; None for anybody else."""
    author = author_of(user)
    return {"reference": author, **({"display": name} if name else {})} if author else None


def _response(answers: FormAnswers, context: FormContext) -> dict[str, Any]:
    author = signed(context.user, context.user_name)
    return {
        "resourceType": "QuestionnaireResponse",
        **({} if answers.form.language == ENGLISH else {"language": answers.form.language}),
        "identifier": identifier(context.submission, FORM),
        "questionnaire": answers.form.canonical,
        "status": "completed",
        **_where(context),
        "authored": context.moment,
        **({"author": author} if author else {}),
        "source": {"reference": _reference(context.patient)},
        "item": [_answered(answer) for answer in answers.put if not answer.is_open],
    }


def _answered(answer: FormAnswer) -> dict[str, Any]:
    coding = (
        _coding(answer.option)
        if answer.option
        else {"system": ABSENT, "code": DECLINED, "display": "Asked But Declined"}
    )
    question = answer.question
    return {"linkId": question.link_id, "text": question.text, "answer": [{"valueCoding": coding}]}


def _coding(option: Option) -> dict[str, Any]:
    """A standard code says its score; a code of ours has it beside it."""
    coding = {"system": option.system, "code": option.code, "display": option.display}
    if option.system == LOINC or option.score is None:
        return coding
    return {"extension": [{"url": ORDINAL, "valueDecimal": option.score}], **coding}


def _total(form: Form, code: str, total: int, context: FormContext) -> dict[str, Any]:
    score = {"value": total, "unit": "{score}", "system": "http://unitsofmeasure.org", "code": "{score}"}
    words = f"{form.title} total score"
    return _observation(TOTAL, code, words, context) | {"valueQuantity": score}


def _item(answer: FormAnswer, code: str, option: Option, context: FormContext) -> dict[str, Any]:
    observation = _observation(slot_of(answer), code, answer.question.text, context)
    return observation | {"valueCodeableConcept": {"coding": [_coding(option)], "text": option.display}}


def _observation(slot: str, code: str, words: str, context: FormContext) -> dict[str, Any]:
    author = signed(context.user, context.user_name)
    return {
        "resourceType": "Observation",
        "identifier": [identifier(context.submission, slot)],
        "status": "final",
        "category": [{"coding": [SURVEY]}],
        "code": {"coding": [{"system": LOINC, "code": code, "display": displays()[code]}], "text": words},
        **_where(context),
        "effectiveDateTime": context.moment,
        **({"performer": [author]} if author else {}),
    }


def _where(context: FormContext) -> dict[str, Any]:
    encounter = {"encounter": {"reference": _reference(context.encounter)}} if context.encounter else {}
    return {"subject": {"reference": _reference(context.patient)}, **encounter}


def _reference(text: str) -> str:
    if not REFERENCE.fullmatch(text):
        raise NotValid("expected a relative reference to patient or encounter; found another")
    return text
