"""The items of a QuestionnaireResponse: all of them, and the known questions with their answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import msgspec

from fhir_adapters.codesets.questions import OWN_QUESTIONS, QuestionnaireMap, Target, targets
from fhir_adapters.codesets.terminology import LOINC, canonical
from fhir_adapters.instruments import Instrument
from fhir_adapters.resources import r4


def questionnaire_targets(
    response: r4.QuestionnaireResponse, maps: Iterable[QuestionnaireMap], form: r4.Questionnaire | None = None
) -> list[tuple[Target, r4.Value, str | None]]:
    """Each answered or blank question that is known, with its text. `form`: the response's Questionnaire, if sent."""
    return targets_among(known_items(response, maps, form))


def targets_among(
    items: Iterable[tuple[r4.QuestionnaireItem, Target | None]],
) -> list[tuple[Target, r4.Value, str | None]]:
    """`questionnaire_targets` of a response whose `known_items` these are."""
    read: list[tuple[Target, r4.Value, str | None]] = []
    for item, target in items:
        if target:
            # All answers are kept; assembling the form keeps the worst.
            read += [(target, answer, item.text) for answer in _distinct(item.answer) or (r4.Value(),)]
    if any(t.instrument is Instrument.PHQ9M for t, _, _ in read):
        read = [(of_teens(target), answer, text) for target, answer, text in read]
    return read


def of_teens(target: Target) -> Target:
    """The question in a form that holds questions of the PHQ-9M: those of the PHQ-9 are its own."""
    return replace(target, instrument=Instrument.PHQ9M) if target.instrument is Instrument.PHQ9 else target


def known_items(
    response: r4.QuestionnaireResponse, maps: Iterable[QuestionnaireMap], form: r4.Questionnaire | None = None
) -> Iterator[tuple[r4.QuestionnaireItem, Target | None]]:
    """Every item with what it stands for, or None: by the site's map, our or a LOINC linkId, or the form's codes.

    R4 items carry no code, so the LOINC code is the linkId itself or the last part of its path.
    """
    url = canonical(response.questionnaire or "")
    mapped: dict[str, Target] = {}
    for question in questions_of(form) if form else ():
        codes = [c.code for c in question.code if c.code in targets() and canonical(c.system or LOINC) == LOINC]
        if question.link_id and codes:
            mapped[question.link_id] = targets()[codes[0] or ""]
    site_items: dict[str, Target] = {}
    for site_map in maps:
        if canonical(site_map.source) == url:
            site_items |= {
                link: Target(instrument=site_map.instrument, item=item) for link, item in site_map.items.items()
            }
    for item in items_of(response):
        link = item.link_id or ""
        yield item, site_items.get(link) or OWN_QUESTIONS.get(link) or _loinc_target(item) or mapped.get(link)


def questions_of(form: r4.Questionnaire) -> Iterator[r4.QuestionOfForm]:
    """Every question of a form, at any depth."""
    left = list(reversed(form.item))
    while left:
        question = left.pop()
        yield question
        left += reversed(question.item)


def _distinct(answers: Sequence[r4.Answer]) -> Iterable[r4.Answer]:
    """The answers without duplicates."""
    return answers if len(answers) < 2 else {msgspec.json.encode(answer): answer for answer in answers}.values()


def items_of(response: r4.QuestionnaireResponse) -> Iterator[r4.QuestionnaireItem]:
    """Every item of a response, in order, at any depth; not recursive, since a sender would choose the depth."""
    left = list(reversed(response.item))
    while left:
        item = left.pop()
        yield item
        if item.item or item.answer:
            left += reversed([*item.item, *(inner for answer in item.answer for inner in answer.item)])


def headings(response: r4.QuestionnaireResponse) -> dict[int, str]:
    """The text of the item above each item, by the `id()` of the item. A question may stand there alone."""
    return {
        id(inner): item.text
        for item in items_of(response)
        if item.text
        for inner in (*item.item, *(inner for answer in item.answer for inner in answer.item))
    }


def _loinc_target(item: r4.QuestionnaireItem) -> Target | None:
    """By the LOINC code that ends the linkId or the definition; R4 items carry no code of their own."""
    for text in (item.link_id, item.definition):
        match = CODE_AT_END.search(text) if text else None
        if match and match[1] in targets():
            return targets()[match[1]]
    return None


CODE_AT_END = re.compile(r"(?:^|[^0-9A-Za-z])(\d{4,6}-\d)$")
