"""Questionnaire responses: which form they are, and the answers in them that no reader knows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import msgspec

from fhir_adapters.codesets.terminology import canonical
from fhir_adapters.facts import Unheard, When
from fhir_adapters.instruments import SAFETY_ITEMS
from fhir_adapters.reading.lists.chart_resources import ChartResources
from fhir_adapters.reading.net.answers import said
from fhir_adapters.reading.net.statements import Says
from fhir_adapters.reading.net.unread import Mention, question_mention, strings_in, unheard
from fhir_adapters.reading.net.vocabulary import InstrumentName, named_instrument, safety_items, titled
from fhir_adapters.reading.questionnaires.answers import scores_by_code
from fhir_adapters.reading.questionnaires.response_items import headings, items_of, questions_of
from fhir_adapters.reading.questionnaires.values import codings, folded, is_empty, number_in
from fhir_adapters.resources import r4

CONTAINED: msgspec.json.Decoder[list[msgspec.Raw]] = msgspec.json.Decoder(list[msgspec.Raw])


def forms_sent(resources: ChartResources) -> dict[str, r4.Questionnaire]:
    """The Questionnaires that were sent, by canonical and by reference."""
    sent = resources.of("Questionnaire")
    by_url = {canonical(r.content.url): r.content for r in sent if r.content.url}
    return by_url | {name: r.content for r in sent for name in r.names}


def form_of(resource: r4.Resource, sent: Mapping[str, r4.Questionnaire]) -> r4.Questionnaire | None:
    """The Questionnaire of a response: contained in it, or among those sent."""
    response: r4.QuestionnaireResponse = resource.content
    named = response.questionnaire or ""
    for raw in contained(response.contained):
        inner = r4.read(raw)
        form = inner.content
        if isinstance(form, r4.Questionnaire) and named in (f"#{form.id}", form.url, ""):
            return form
    return sent.get(canonical(named)) or sent.get(named)


def contained(raw: msgspec.Raw) -> list[msgspec.Raw]:
    """The contained resources, as far as they are objects with a type."""
    if raw is r4.NOT_THERE:
        return []
    try:
        return [inner for inner in CONTAINED.decode(raw) if b'"resourceType"' in bytes(inner)]
    except msgspec.DecodeError:
        return []


def hear_response(
    resource: r4.Resource,
    form: r4.Questionnaire | None,
    unread: Iterable[r4.QuestionnaireItem],
    when: When | None,
    *,
    read: bool,
) -> list[Unheard]:
    """The answers that no reader knows. `read`: other answers of the same response were read."""
    answered = [(item, answer) for item in unread for answer in item.answer if not is_empty(answer)]
    if not answered:
        return []
    named = _named(resource.content, form)
    if read and not (named and named.suicide):
        named = None
    texts = {q.link_id: [q.text or "", *_coded(q)] for q in questions_of(form)} if form else {}
    asked = _places_of_self_harm(named, [item.link_id or "" for item, _ in answered])
    mentions: list[Mention | None] = []
    above = headings(resource.content)
    for item, answer in answered:
        text = item.text or above.get(id(item), "")
        names = [text, item.link_id or "", item.definition or "", *texts.get(item.link_id, ())]
        mention = question_mention(names, answer, named, self_harm=item.link_id in asked)
        # Of a form that was read in part, what is left is often a remark.
        if mention and (not read or mention.self_harm or said(answer).says is Says.YES):
            mentions.append(mention)
    if not read:
        mentions.append(Mention(instrument=named) if mentions and named and named.heard else _whole(named, answered))
    return unheard(resource, when, mentions)


def _coded(question: r4.QuestionOfForm) -> list[str]:
    return [text for coding in question.code for text in (coding.display, coding.code) if text]


def _named(response: r4.QuestionnaireResponse, form: r4.Questionnaire | None) -> InstrumentName | None:
    """The instrument that a form names: by canonical, title, profile, identifier, codes, or ids of its questions."""
    headers = [response.questionnaire or "", *strings_in(response.questionnaire_extension)]
    headers += strings_in(response.identifier)
    headers += strings_in(response.meta.profile) if response.meta else []
    if form:
        codes = [text for coding in form.code for text in (coding.display, coding.code)]
        headers += [text for text in (form.url, form.name, form.title, *codes) if text]
    items = list(items_of(response))
    headers += [item.text or "" for item in items if item.item]
    headers += [text for item in items for text in (item.link_id, item.definition) if text]
    return next((name for text in headers if (name := named_instrument(folded(text)[:1000]))), None)


def _places_of_self_harm(named: InstrumentName | None, links: Sequence[str]) -> set[str]:
    """The ids of the questions that stand where the instrument asks about self-harm: its ninth or tenth."""
    instrument = next((i for i in SAFETY_ITEMS if named and i.spec.title == named.title), None)
    if instrument is None:
        return set()
    place = int(safety_items(instrument)[0])
    numbered = {link for link in links if re.search(rf"(?<!\d)0?{place}$", link)}
    letter = "abcdefghij"[place - 1]
    lettered = {link for link in links if link.endswith(letter) and all(link[:-1] + c in links for c in "abcdefgh")}
    return numbered | lettered


def _whole(named: InstrumentName | None, answered: Sequence[tuple[r4.QuestionnaireItem, r4.Answer]]) -> Mention | None:
    """A form without a word on self-harm: heard when it is an instrument's and not every answer is a no or 0."""
    if all(said(answer).says is Says.NO for _, answer in answered):
        return None
    if named:
        return Mention(instrument=named) if named.heard else None
    coded = any(coding.code in _answer_codes() for _, answer in answered for coding in codings(answer))
    return Mention(instrument=titled("PHQ-9")) if coded or _looks_like_a_phq9(answered) else None


def _looks_like_a_phq9(answered: Sequence[tuple[r4.QuestionnaireItem, r4.Answer]]) -> bool:
    """Nine (or ten) questions without words, numbered from 1, answered 0 to 3, the ninth above 0."""
    scores = {item.link_id: number_in(answer) for item, answer in answered if not item.text}
    expected = {str(number) for number in range(1, 10)}
    in_range = all(score is not None and 0 <= score <= 3 for score in scores.values())
    return len(scores) == len(answered) and set(scores) - {"10"} == expected and in_range and bool(scores["9"])


@cache
def _answer_codes() -> frozenset[str]:
    """The answer codes of every instrument with a question on self-harm."""
    return frozenset(code for instrument in SAFETY_ITEMS for code in scores_by_code(instrument))
