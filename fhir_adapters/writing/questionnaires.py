"""The forms that the app offers, and completed forms.

A form is a FHIR R4 Questionnaire in `forms/`, to which the canonical in a QuestionnaireResponse refers; other languages
are in it as translations, of official wordings only. Scores are the ordinalValues in the file, which are those of our
verified answer codes where there are such codes. Nothing is imputed: a total needs an answer to every item that counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from fhir_adapters.codesets.questions import OWN_QUESTIONS, targets, verified_code
from fhir_adapters.errors import NotFhir
from fhir_adapters.facts import Result
from fhir_adapters.instruments import ADMINISTERED, Instrument
from fhir_adapters.reading.questionnaires.values import ORDINAL

FORMS = {instrument.value: instrument for instrument in ADMINISTERED}
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
DECLINED = "asked-declined"
YES = "LA33-6"
TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"
ENGLISH = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One answer option. `score` is None where it does not count towards the total.

    display: of the code, always in English; words: the same in the form's language.
    """

    system: str
    code: str
    display: str
    words: str
    score: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question. `number` is as printed on the form; `item` its item of the instrument, None outside the total.

    code: a verified LOINC code, or None. required: the form is incomplete without an answer (or “declined”).
    asked_after: link ids and answer codes, one of which asks the question; empty: it is always asked. lead, more: what
    the form says before it, and to ask about further, where that has a wording in the language.
    """

    number: int
    item: str | None
    link_id: str
    code: str | None
    text: str
    required: bool
    options: tuple[Option, ...]
    asked_after: frozenset[tuple[str, str]] = frozenset()
    lead: str = ""
    more: str = ""

    @property
    def name(self) -> str:
        """Its name in an address or a field."""
        return self.link_id.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form as offered. `canonical` is its URL with version; `total_code` the verified LOINC code of its total.

    language: of its wording, which is always that of the instrument, never of a page translation; languages: all that
    it has. intro: what stands at its head. stem: what begins every question.
    """

    name: str
    instrument: Instrument
    title: str
    language: str
    languages: tuple[str, ...]
    canonical: str
    total_code: str | None
    intro: str
    stem: str
    questions: tuple[Question, ...]
    copyright: str

    @property
    def on_self_harm(self) -> tuple[str, ...]:
        """The items that ask about self-harm or suicide."""
        spec = self.instrument.spec
        return spec.items if spec.yes_no else (spec.safety.item,) if spec.safety else ()

    @property
    def asks_more(self) -> frozenset[tuple[str, str]]:
        """Link ids and answer codes after which another question is asked."""
        return frozenset().union(*(question.asked_after for question in self.questions))

    @property
    def one_scale(self) -> bool:
        """Whether all counted questions have the same graded answers, so that their words can head a table."""
        return not self.instrument.spec.yes_no and len({q.options for q in self.questions if q.item}) == 1

    def in_language(self, *wanted: str) -> Form:
        """The form in the first of these languages that it has, else in English. wanted: `es`, or `es-mx`."""
        known = (language.partition("-")[0] for language in wanted)
        return form(self.name, next((each for each in known if each in self.languages), ENGLISH))


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

    @property
    def is_open(self) -> bool:
        """Whether there is neither an answer nor “declined”."""
        return self.state is EntryState.OPEN

    @property
    def calls_for_help(self) -> bool:
        """Of a question on self-harm: whether the answer is above none, yes, or declined."""
        return not self.is_open and (self.option is None or bool(self.option.score) or self.option.code == YES)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormAnswers:
    """A completed form: one answer a question, in the order of the form."""

    form: Form
    given: tuple[FormAnswer, ...]

    @property
    def open(self) -> tuple[FormAnswer, ...]:
        """Required questions that are asked and have neither an answer nor “declined”."""
        return tuple(a for a in self.put if a.question.required and a.state is EntryState.OPEN)

    @property
    def put(self) -> tuple[FormAnswer, ...]:
        """The questions that are asked, with their answers; others have none, whatever was sent."""
        said = {(a.question.link_id, a.option.code if a.option else DECLINED) for a in self.given if not a.is_open}
        after = [(answer, answer.question.asked_after) for answer in self.given]
        # A yes on self-harm is never lost, whoever put the question.
        return tuple(
            answer
            for answer, asked in after
            if not asked
            or asked & said
            or (answer.option and answer.calls_for_help and answer.question.item in self.form.on_self_harm)
        )

    @property
    def screen_result(self) -> Result | None:
        """Of the ASQ, what its answers come to; None for a graded form, and while a question is open.

        As the rules read it (R2, R4, R5, R7): a yes or a refusal is positive. Acute is a yes to acuity, and a refusal
        of it after a yes or after nothing but refusals.
        """
        if not self.form.instrument.spec.yes_no or self.open:
            return None
        *screen, acuity = self.given
        calls = [answer for answer in screen if answer.calls_for_help]
        grave = any(answer.option for answer in calls) or len(calls) == len(screen)
        if acuity.calls_for_help and (acuity.option or grave):
            return Result.ACUTE
        return Result.NON_ACUTE if calls else Result.NEGATIVE

    @property
    def answered(self) -> tuple[FormAnswer, ...]:
        """Answered questions."""
        return tuple(a for a in self.put if a.option is not None)

    @property
    def declined(self) -> tuple[FormAnswer, ...]:
        """Declined questions."""
        return tuple(a for a in self.put if a.state is EntryState.DECLINED)

    @property
    def total(self) -> int | None:
        """The sum, or None unless every item that counts is answered; never pro-rated, and declined is not zero.

        What the form does not ask counts nothing (AUDIT-C after "Never").
        """
        scores = [a.option.score if a.option else None for a in self.put if a.question.item]
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
def form(name: str, language: str = ENGLISH) -> Form:
    """The form of that name in one of its languages. Raises KeyError for an unknown form."""
    content = questionnaire(name)
    instrument = FORMS[name]
    shown = {item["linkId"]: _said(item, "text", language) for item in content["item"] if item["type"] == "display"}
    return Form(
        name=name,
        instrument=instrument,
        title=content["title"],
        language=language,
        languages=_languages(content),
        canonical=f"{content['url']}|{content['version']}",
        total_code=verified_code(instrument, "total"),
        intro=shown.get("intro", ""),
        stem=shown.get("stem", ""),
        questions=tuple(_question(item, shown, language) for item in content["item"] if item["type"] == "choice"),
        copyright=content["copyright"],
    )


def _question(item: dict[str, Any], shown: dict[str, str], language: str) -> Question:
    link_id, code = item["linkId"], item["code"][0]["code"] if "code" in item else None
    target = targets().get(code or "") or OWN_QUESTIONS.get(link_id)
    offered = [option["valueCoding"] for option in item["answerOption"]]
    return Question(
        number=int(item["prefix"]),
        item=target.item if target else None,
        link_id=link_id,
        code=code,
        text=_said(item, "text", language),
        required=item["required"],
        options=tuple(_option(coding, language) for coding in offered if coding["system"] != ABSENT),
        asked_after=frozenset((when["question"], when["answerCoding"]["code"]) for when in item.get("enableWhen", ())),
        lead=shown.get(f"{link_id}-lead", ""),
        more=" ".join(
            text
            for more in item.get("item", ())
            if (text := ({ENGLISH: more["text"]} | _translations(more, "text")).get(language))
        ),
    )


def _option(coding: dict[str, Any], language: str) -> Option:
    ordinals = [extension["valueDecimal"] for extension in coding.get("extension", ()) if extension["url"] == ORDINAL]
    return Option(
        system=coding["system"],
        code=coding["code"],
        display=coding["display"],
        words=_said(coding, "display", language),
        score=int(ordinals[0]) if ordinals else None,
    )


def _said(element: dict[str, Any], name: str, language: str) -> str:
    """A text in a language: the translation where there is one, else as it stands."""
    return _translations(element, name).get(language, str(element[name]))


def _translations(element: dict[str, Any], name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for extension in element.get(f"_{name}", {}).get("extension", ()):
        if extension["url"] == TRANSLATION:
            parts = {part["url"]: part.get("valueCode") or part.get("valueString") for part in extension["extension"]}
            found[parts["lang"]] = parts["content"]
    return found


def _languages(content: dict[str, Any]) -> tuple[str, ...]:
    """English, and each language that every question has."""
    asked = [set(_translations(item, "text")) for item in content["item"] if item["type"] == "choice"]
    return ENGLISH, *sorted(set.intersection(*asked))
