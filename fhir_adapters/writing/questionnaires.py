"""The forms that the app offers, and completed forms.

A form is a FHIR R4 Questionnaire in `forms/`, to which the canonical in a QuestionnaireResponse refers. Scores are
those of our verified answer codes, checked against the ordinalValue in the file. Nothing is imputed: a total needs an
answer to every item that counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from fhir_adapters.codesets.questions import coding_of, targets
from fhir_adapters.codesets.terminology import LOINC
from fhir_adapters.errors import NotFhir
from fhir_adapters.instruments import ADMINISTERED, Instrument
from fhir_adapters.reading.questionnaires.values import ORDINAL

FORMS = {instrument.value: instrument for instrument in ADMINISTERED}
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
DECLINED = "asked-declined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One answer option. `score` is None where it does not count towards the total."""

    code: str
    display: str
    score: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question. `number` is as printed on the form; `item` its item of the instrument, None outside the total.

    code: LOINC. required: the form is incomplete without an answer (or “declined”).
    """

    number: int
    item: str | None
    link_id: str
    code: str
    text: str
    required: bool
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form as offered. `canonical` is its URL with version; `total_code` is the LOINC code of its total.

    language: of its wording, which is always that of the instrument, never of a page translation.
    """

    name: str
    instrument: Instrument
    title: str
    language: str
    canonical: str
    total_code: str
    stem: str
    questions: tuple[Question, ...]
    copyright: str


class EntryState(StrEnum):
    """The state of an answer; all three differ, and none of them is zero."""

    ANSWERED = "answered"
    DECLINED = "declined"
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormAnswer:
    """The answer to one question; `option` when it was answered."""

    question: Question
    state: EntryState
    option: Option | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FormAnswers:
    """A completed form: one answer a question, in the order of the form."""

    form: Form
    given: tuple[FormAnswer, ...]

    @property
    def open(self) -> tuple[FormAnswer, ...]:
        """Required questions that have neither an answer nor “declined”."""
        return tuple(a for a in self.given if a.question.required and a.state is EntryState.OPEN)

    @property
    def answered(self) -> tuple[FormAnswer, ...]:
        """Answered questions."""
        return tuple(a for a in self.given if a.option is not None)

    @property
    def declined(self) -> tuple[FormAnswer, ...]:
        """Declined questions."""
        return tuple(a for a in self.given if a.state is EntryState.DECLINED)

    @property
    def total(self) -> int | None:
        """The sum, or None unless every item that counts is answered; never pro-rated, and declined is not zero."""
        scores = [a.option.score if a.option else None for a in self.given if a.question.item]
        known = [score for score in scores if score is not None]
        return sum(known) if len(known) == len(scores) else None

    @property
    def safety(self) -> FormAnswer | None:
        """The answer to the self-harm item, where the form has one."""
        safety = self.form.instrument.spec.safety
        return next((a for a in self.given if safety and a.question.item == safety.item), None)


@cache
def questionnaire(name: str) -> dict[str, Any]:
    """The Questionnaire of a form, as in its file. Raises KeyError for an unknown form."""
    if name not in FORMS:
        raise KeyError(name)
    content = msgspec.json.decode((files("fhir_adapters.writing") / "forms" / f"{name}.json").read_bytes())
    if not isinstance(content, dict):
        raise NotFhir(f"forms/{name}.json: expected a Questionnaire")
    return content


@cache
def form(name: str) -> Form:
    """The form of that name. Raises KeyError for an unknown one."""
    content = questionnaire(name)
    instrument = FORMS[name]
    stem = next(item["text"] for item in content["item"] if item["type"] == "display")
    return Form(
        name=name,
        instrument=instrument,
        title=content["title"],
        language=content["language"],
        canonical=f"{content['url']}|{content['version']}",
        total_code=coding_of(instrument, "total")[0],
        stem=stem,
        questions=tuple(_question(item) for item in content["item"] if item["type"] == "choice"),
        copyright=content["copyright"],
    )


def _question(item: dict[str, Any]) -> Question:
    code = item["code"][0]["code"]
    target = targets().get(code)
    offered = [option["valueCoding"] for option in item["answerOption"]]
    return Question(
        number=int(item["prefix"]),
        item=target.item if target else None,
        link_id=item["linkId"],
        code=code,
        text=item["text"],
        required=item["required"],
        options=tuple(_option(coding) for coding in offered if coding["system"] == LOINC),
    )


def _option(coding: dict[str, Any]) -> Option:
    ordinals = [extension["valueDecimal"] for extension in coding.get("extension", ()) if extension["url"] == ORDINAL]
    return Option(code=coding["code"], display=coding["display"], score=int(ordinals[0]) if ordinals else None)
