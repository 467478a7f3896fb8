"""Words on suicide and self-harm, and names of instruments, as patterns over plain text.

The rows are in `codesets/self_harm_words.csv` and `codesets/instrument_names.csv`: words in lower case without accents,
`*` for any ending, `~` for up to three words between, `(a|b)` for alternatives. A language is added by adding rows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from fhir_adapters.codesets.questions import Target, targets
from fhir_adapters.codesets.terminology import table
from fhir_adapters.instruments import Instrument

# Between the words of a pattern: spaces and hyphens, never a comma or a full stop.
APART = r"[\s_/’'-]+"


@cache
def words(use: str) -> str:
    """All words of one use, as an unanchored group of alternatives. An answer of 0 on a known scale denies too."""
    rows = [_pattern(row["words"]) for row in table("self_harm_words") if row["use"] == use]
    if use == "after":
        rows += [re.escape(row["words"]) for row in table("answer_words") if row["score"] == "0"]
    return rf"(?:{'|'.join(rows)})"


def _pattern(text: str) -> str:
    """A row as a regular expression."""
    return "".join(MEANING.get(token, token) for token in re.findall(r" ~ | |\*|\(|.", text))


MEANING = {" ~ ": rf"{APART}(?:[^\W_]+{APART}){{0,3}}", " ": APART, "*": r"[^\W_]*", "(": "(?:"}


@cache
def finder(use: str) -> re.Pattern[str]:
    """Finds a word of one use anywhere."""
    return re.compile(rf"(?<![^\W_]){words(use)}(?![^\W_])")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentName:
    """An instrument as named in a text. `suicide`: all its questions are on suicide. `heard`: named when unread."""

    title: str
    suicide: bool
    heard: bool


@cache
def _names() -> tuple[tuple[re.Pattern[str], InstrumentName], ...]:
    return tuple(
        (
            re.compile(row["names"]),
            InstrumentName(title=row["title"], suicide=row["suicide"] == "yes", heard=row["heard"] == "yes"),
        )
        for row in table("instrument_names")
    )


# A LOINC code as it stands in canonicals, linkIds and identifiers: 44260-8, /44260-8, 44260_8.
CODE = re.compile(r"(?<!\d)(\d{4,6})[-_.](\d)(?!\d)")


def names_in(text: str) -> list[tuple[InstrumentName, int]]:
    """Every instrument that a text names, with where its name ends."""
    return [(name, match.end()) for pattern, name in _names() for match in pattern.finditer(text)]


def without_names(text: str) -> str:
    """A text without the names and codes of instruments."""
    for pattern, _ in _names():
        text = pattern.sub(" ", text)
    return CODE.sub(" ", text)


def coded_target(text: str) -> Target | None:
    """The question whose LOINC code stands in a text, in any spelling and whatever is said to be its system."""
    return next((t for m in CODE.finditer(text) if (t := targets().get(f"{m[1]}-{m[2]}"))), None)


def named_instrument(text: str) -> InstrumentName | None:
    """The first instrument that a text (lower case, without accents) names by its name or by one of its codes."""
    for pattern, name in _names():
        if pattern.search(text):
            return name
    target = coded_target(text)
    return titled(target.instrument.spec.title) if target else None


def titled(title: str) -> InstrumentName | None:
    """The instrument of that title."""
    return next((name for _, name in _names() if name.title == title), None)


def safety_items(instrument: Instrument) -> tuple[str, ...]:
    """The items of a graded instrument that ask about self-harm."""
    safety = instrument.spec.safety
    return (safety.item, *safety.further) if safety else ()


def is_on_self_harm(target: Target) -> bool:
    """Whether a question asks about suicide or self-harm."""
    return target.instrument.spec.yes_no or target.item in safety_items(target.instrument)


def names_self_harm(text: str) -> bool:
    """Whether a text (lower case, without accents) holds words on suicide or self-harm."""
    return bool(finder("states").search(text) or finder("asks").search(text))


@cache
def _anything() -> re.Pattern[str]:
    names = "|".join(row["names"] for row in table("instrument_names"))
    return re.compile(rf"(?<![^\W_])(?:{words('states')}|{words('asks')})|{names}")


def touches(text: str) -> bool:
    """Whether a text (lower case, without accents) holds anything of the vocabulary or an instrument's name."""
    return bool(_anything().search(text))
