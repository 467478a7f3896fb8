"""Entries of the chart to `Unheard`: what touches self-harm or an instrument and was used by no reader.

Each function takes one resource and what the readers left of it. Understood negatives, family history, education and
empty templates give nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import msgspec
from msgspec import Raw

from fhir_adapters.codesets.questions import targets
from fhir_adapters.codesets.terminology import LOINC, RISK_ASSESSMENT, SNOMED, canonical, code_list, table
from fhir_adapters.facts import EventKind, Unheard, When
from fhir_adapters.instruments import SAFETY_ITEMS, Instrument
from fhir_adapters.kept import kept_without_texts
from fhir_adapters.reading.lists.conditions import event_kind, safety_rows, snomed_safety_codes
from fhir_adapters.reading.measurements import measured_codes
from fhir_adapters.reading.net.answers import Said, said
from fhir_adapters.reading.net.statements import Asks, Says, asks, says
from fhir_adapters.reading.net.vocabulary import (
    InstrumentName,
    coded_target,
    finder,
    is_on_self_harm,
    named_instrument,
    names_in,
    safety_items,
    touches,
    without_names,
)
from fhir_adapters.reading.questionnaires.values import as_recorded, codings, folded, has_value
from fhir_adapters.resources import r4


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """What one part of an entry holds that was not understood."""

    instrument: InstrumentName | None = None
    self_harm: bool = False
    yes: bool = False
    stated: bool = False
    words: str | None = None


def unheard(resource: r4.Resource, when: When | None, mentions: Iterable[Mention | None]) -> list[Unheard]:
    """The mentions of one entry as one value; nothing where there are none."""
    held = [m for m in mentions if m]
    if not held:
        return []
    yes = [m for m in held if m.yes]
    named = next((m.instrument for m in (*yes, *held) if m.instrument), None)
    return [
        Unheard(
            kind=resource.kind,
            reference=resource.reference,
            when=when,
            instrument=named.title if named else None,
            self_harm=any(m.self_harm for m in held) or bool(named and named.suicide),
            says_yes=bool(yes),
            stated=bool(yes) and all(m.stated for m in yes),
            words=next((m.words for m in yes if m.words), None),
        )
    ]


def question_mention(
    names: Sequence[str], value: r4.Value, form: InstrumentName | None = None, *, self_harm: bool = False
) -> Mention | None:
    """A question by all its names and codes, with its value. `form`: the instrument that it is part of.

    `self_harm`: its place in that instrument is of the question on self-harm.
    """
    read = [name_of(name) for name in names]
    if form is None and not self_harm and all(name.quiet for name in read):
        return text_mention(as_recorded(value)) or _coded_value(value)
    about = max((name.asks for name in read), default=Asks.NOTHING)
    instrument = next((name.instrument for name in read if name.instrument), form)
    in_screen = instrument is not None and instrument.suicide and any(name.of_a_screen for name in read)
    in_place = form is not None and any(stands_at_self_harm(form, folded(name)) for name in names)
    if about is Asks.NOTHING and (self_harm or in_screen or in_place):
        about = Asks.SELF_HARM
    if about is not Asks.NOTHING:
        return _answered(about, said(value), instrument)
    if instrument is None:
        found = text_mention(as_recorded(value)) or _coded_value(value)
        return _of_kin(found, value) if found and any(name.of_kin for name in read) else found
    return _result(instrument, said(value), total=not any(n.of_an_item for n in read if n.instrument))


def _coded_value(value: r4.Value) -> Mention | None:
    """A finding on self-harm as the code of a value, whatever was asked. Codes of a history are unclear."""
    coded = codings(value)
    rows = safety_rows(r4.CodeableConcept(coding=coded)) if coded else []
    yes = any(kind is not EventKind.HISTORY for _, _, kind in rows)
    return Mention(self_harm=True, yes=yes, stated=yes) if rows else None


def _of_kin(found: Mention, value: r4.Value) -> Mention | None:
    """What is said under the name of a relative: a mere word ("Cause of death of father: suicide") is of that one."""
    longer = any(len(text.split()) > MERE_WORDS for text in as_recorded(value))
    return replace(found, yes=False, stated=False) if longer else None


MERE_WORDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """What the name or code of a question or entry touches.

    `of_a_screen`: a word such as "plan" or "attempt". `of_an_item`: more than an instrument's name and words of a
    total. `of_kin`: a relative, and nothing on self-harm. `quiet`: none of what bears on the value of a question.
    """

    asks: Asks
    says: Says
    instrument: InstrumentName | None
    of_a_screen: bool
    of_an_item: bool
    of_kin: bool
    quiet: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "quiet", not (self.asks or self.instrument or self.of_kin))


def name_of(text: str) -> Name:
    """A name read. Short ones repeat, since most entries of a chart have the same few names."""
    return _short_name(text) if len(text) <= LONGEST_KEPT else _read_name(text[:LONGEST_NAME])


LONGEST_KEPT, LONGEST_NAME = 120, 5000


@kept_without_texts
def _short_name(text: str) -> Name:
    return _read_name(text)


def _read_name(text: str) -> Name:
    # linkIds are often written as selfHarm.
    plain = folded(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text))
    about, instrument = asks(plain), named_instrument(plain)
    if about is Asks.NOTHING and (_coded_so(plain) or (instrument and stands_at_self_harm(instrument, plain))):
        about = Asks.SELF_HARM
    return Name(
        asks=about,
        says=says(plain),
        instrument=instrument,
        of_a_screen=bool(finder("screen").search(re.sub(r"[\W_]+", " ", plain))),
        of_kin=about is Asks.NOTHING and bool(finder("kin").search(plain)),
        of_an_item=bool(re.search(r"[^\W_]", finder("total").sub("", without_names(plain)))),
    )


def stands_at_self_harm(instrument: InstrumentName, text: str) -> bool:
    """Whether a name says no more than the place of the instrument's question on self-harm: "Question 9", "Q9"."""
    graded = next((i for i in SAFETY_ITEMS if i.spec.title == instrument.title), None)
    place = PLACE.fullmatch(without_names(text))
    return bool(graded and place and place[1] == safety_items(graded)[0])


PLACE = re.compile(
    r"[\W_]*(?:(?:q|question|items?|frage|pregunta|pergunta|questao|vraag|domanda|nr|no)[\W_]*)?0?(\d{1,2})[\W_]*"
)


def _coded_so(text: str) -> bool:
    """Whether a name is a code, whatever its system, of a question on self-harm or of a safety code group."""
    target = coded_target(text)
    if target and is_on_self_harm(target):
        return True
    return any(event_kind(row.group) for row in code_list("conditions").rows(None, text.upper()))


def _answered(about: Asks, answer: Said, instrument: InstrumentName | None) -> Mention | None:
    """A question about self-harm with its answer; None where it is understood and not positive."""
    yes = answer.says is Says.YES and (answer.graver or about is Asks.SELF_HARM)
    understood = {
        Asks.OTHERS: not answer.graver,
        Asks.ACTIVITY: answer.says in (Says.YES, Says.NO),
        Asks.DENIAL: answer.says is Says.YES,
        Asks.SELF_HARM: answer.says is Says.NO,
    }[about]
    if answer.says is Says.NOTHING or (understood and not yes):
        return None
    stated = answer.spoken is Says.YES
    return Mention(instrument=instrument, self_harm=True, yes=yes, stated=stated, words=answer.plain if yes else None)


def _result(instrument: InstrumentName, answer: Said, *, total: bool) -> Mention | None:
    """A result of an instrument that is not mapped: heard unless it is a no or a total under the cut score."""
    low = total and _is_low(instrument, answer.number)
    if not instrument.heard or answer.says in (Says.NOTHING, Says.NO) or low:
        return spoken_mention(answer.spoken)
    yes = answer.spoken is Says.YES or (instrument.suicide and answer.says is Says.YES and answer.graver)
    return Mention(instrument=instrument, self_harm=yes, yes=yes, words=answer.plain if yes else None)


def _is_low(instrument: InstrumentName, number: float | None) -> bool:
    spec = next((i.spec for i in Instrument if i.spec.title == instrument.title), None)
    return number is not None and spec is not None and 0 <= number < (spec.depression_cut or 0)


def spoken_mention(spoken: Says) -> Mention | None:
    """Words that speak of self-harm, whatever was asked."""
    return Mention(self_harm=True, yes=spoken is Says.YES, stated=True) if spoken >= Says.UNCLEAR else None


def text_mention(texts: Iterable[str]) -> Mention | None:
    """Free text: a note, a conclusion, the words of a condition. A result of an instrument in it is not taken apart."""
    found: Mention | None = None
    for text in dict.fromkeys(texts):
        plain = folded(text)
        if touches(plain):
            found = max(found, spoken_mention(says(plain)) or _high_result(plain), key=_gravity)
    return found


def concept_mention(concepts: Iterable[r4.CodeableConcept | None]) -> Mention | None:
    """What concepts state by their words, or by a code of ours that stands under an unknown system."""
    found: Mention | None = None
    for concept in concepts:
        for text in names_of(concept):
            name = name_of(text)
            if name.says or name.instrument or name.asks is Asks.SELF_HARM:
                coded = Mention(self_harm=True) if name.asks is Asks.SELF_HARM and not name.says else None
                found = max(found, spoken_mention(name.says) or coded or _high_result(folded(text)), key=_gravity)
    return found


def _gravity(mention: Mention | None) -> int:
    return 0 if mention is None else 2 if mention.yes else 1


# A number after the name of an instrument: "PHQ-9 total score: 27", "SBQ-R 14".
RESULT = re.compile(r"[^\d.;\n]{0,40}?(\d{1,2})(?!\d|\s*(?:of|/)\s*9\b)")


def _high_result(text: str) -> Mention | None:
    """An instrument whose result stands in a text, unless it is 0 or under the cut score."""
    for name, end in names_in(text):
        result = RESULT.match(text, end)
        if name.heard and result and int(result[1]) and not _is_low(name, int(result[1])):
            return Mention(instrument=name)
    return None


def names_of(concept: r4.CodeableConcept | None) -> list[str]:
    """The text, displays and codes of a concept."""
    if concept is None:
        return []
    coding = concept.coding
    return [t for t in (concept.text, *[c.display for c in coding], *[c.code for c in coding]) if t]


STRINGS: msgspec.json.Decoder[object] = msgspec.json.Decoder(float_hook=str)


def strings_in(raw: Raw, *, but: tuple[str, ...] = ("url", "system", "reference", "data", "time")) -> list[str]:
    """Every text in raw JSON, at any depth, but those of members that hold addresses or data."""
    if raw is r4.NOT_THERE:
        return []
    found: list[str] = []
    try:
        left = [STRINGS.decode(raw)]
    except msgspec.ValidationError:  # a number of thousands of digits
        left = [json.loads(bytes(raw), parse_int=float, parse_float=str)]
    while left:
        here = left.pop()
        if isinstance(here, str):
            found.append(here)
        elif isinstance(here, dict):
            left += [value for name, value in here.items() if name not in but]
        elif isinstance(here, list):
            left += here
    return found


def hear_observation(
    resource: r4.Resource,
    unread: Iterable[tuple[r4.CodeableConcept | None, r4.Value]],
    panel: InstrumentName | None = None,
) -> list[Mention | None]:
    """An Observation: the values that no reader used, and the notes. `panel`: the instrument that it is part of."""
    observation: r4.Observation = resource.content
    unread = list(unread)
    mentions: list[Mention | None] = [text_mention(strings_in(observation.note))]
    if not unread:
        return mentions
    panel = next((n for text in names_of(observation.code) if (n := name_of(text).instrument)), panel)
    whole = bool(observation.component or observation.has_member)
    for concept, value in unread:
        mentions.append(question_mention(names_of(concept), value, panel))
        if value is observation and not whole:
            mentions.append(_unvalued(concept, value))
    return mentions


def _unvalued(concept: r4.CodeableConcept | None, value: r4.Value) -> Mention | None:
    """An Observation without any value whose words state something: a finding put down as a code."""
    if has_value(value) or value.data_absent_reason is not None or value.interpretation:
        return None
    return concept_mention([concept])


def is_understood(concept: r4.CodeableConcept | None) -> bool:
    """Whether a concept has a listed code whose answers are used elsewhere, or are known to need no card."""
    known = _understood_codes()
    return any(
        coding.code in known and canonical(coding.system or "") in (LOINC, SNOMED)
        for coding in (concept.coding if concept else ())
    )


# Groups of `codesets/instruments.csv` that hold no answer about self-harm.
QUIET_GROUPS = (
    "phq9.functional", "phq9.procedure", "gad7", "auditc", "alcohol", "dast10", "depression_screen", "note.",
    "suicide_prevention", "suicide_precautions", "substance_assessment", "anxiety_assessment",
    "cssrs.full.ideation_section",
)  # fmt: skip


@cache
def _understood_codes() -> frozenset[str | None]:
    quiet = (row["code"] for row in table("instruments") if row["group"].startswith(QUIET_GROUPS))
    return measured_codes().union(quiet)


def touches_raw(text: bytes) -> bool:
    """Whether the JSON of an entry holds a word or a code on self-harm or of an instrument."""
    plain = folded(text.decode(errors="replace"))
    return touches(plain) or any(code in plain for code in _listed_codes())


@cache
def _listed_codes() -> frozenset[str]:
    return frozenset((*targets(), RISK_ASSESSMENT, *snomed_safety_codes()))
