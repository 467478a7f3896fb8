"""What is known of the name under which a value stands, and of coded answers: looked up once for all readers.

Most names and answers of a chart are the same few of a terminology, so what is known of those of one coding is kept;
not so for a coded answer with a text of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fhir_adapters.codesets.questions import QuestionnaireMap, Target, target_of
from fhir_adapters.flaws import Flaw
from fhir_adapters.kept import kept_without_texts
from fhir_adapters.reading.agreement import question_doubt
from fhir_adapters.reading.lists.conditions import safety_rows
from fhir_adapters.reading.net.unread import LONGEST_KEPT, is_understood, name_of, names_of, text_mention
from fhir_adapters.resources import r4


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is known of a name. `target`: the question of an instrument, and `doubt` what is wrong with its words.

    `is_finding`: a code of the safety code groups. `is_used`: either of them, or its answers are used elsewhere.
    `silent`: it has words or a code, and no reader knows or listens for any of them.
    """

    target: Target | None
    doubt: Flaw | None
    is_finding: bool
    is_used: bool
    silent: bool


def asked_by(concept: r4.CodeableConcept | None, maps: Sequence[QuestionnaireMap]) -> Asked:
    """What is known of a name. `maps`: a site's own codes, which are looked up anew."""
    if concept is None:
        return UNNAMED
    key = None if maps else _key(concept)
    return _asked(key) if key else _looked_up(concept, maps)


UNNAMED = Asked(target=None, doubt=None, is_finding=False, is_used=False, silent=False)


def says_nothing(answer: r4.CodeableConcept) -> bool:
    """Whether a coded answer surely holds nothing that is listened for."""
    key = _key(answer)
    if key is None:
        return False
    _, _, display, words = key
    return words in (None, display) and _says_nothing(key)


Key = tuple[str | None, str | None, str | None, str | None]


def _key(concept: r4.CodeableConcept) -> Key | None:
    """A concept of one coding as a value; None for one of several, or with a text too long to be kept."""
    if len(concept.coding) != 1:
        return None
    coding = concept.coding[0]
    key = (coding.system, coding.code, coding.display, concept.text)
    return key if max(map(len, filter(None, key)), default=0) <= LONGEST_KEPT else None


def _of_key(key: Key) -> r4.CodeableConcept:
    system, code, display, text = key
    return r4.CodeableConcept(coding=[r4.Coding(system=system, code=code, display=display)], text=text)


@kept_without_texts
def _asked(key: Key) -> Asked:
    return _looked_up(_of_key(key), ())


def _looked_up(concept: r4.CodeableConcept, maps: Sequence[QuestionnaireMap]) -> Asked:
    target = target_of(concept, maps)
    is_finding = bool(safety_rows(concept))
    names = names_of(concept)
    asserts = any(coding.code == "ASSERTION" for coding in concept.coding)
    return Asked(
        target=target,
        doubt=question_doubt(target, concept) if target else None,
        is_finding=is_finding,
        is_used=target is not None or is_finding or is_understood(concept),
        silent=bool(names)
        and not (target or is_finding or asserts or maps)
        and all(name_of(name).quiet for name in names),
    )


@kept_without_texts
def _says_nothing(key: Key) -> bool:
    answer = _of_key(key)
    return not safety_rows(answer) and text_mention(names_of(answer)) is None
