"""Made-up languages for tests: every text of a catalogue within marks, and longer by two fifths.

One is written from the left (`LANGUAGE`), one from the right in letters of its own (`FROM_THE_RIGHT`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import ceil
from pathlib import Path

from babel.messages.catalog import Catalog
from message_templates import TEMPLATES

from explanations.words.catalogues import NOBODY, listed, read_catalogue, with_review, write_catalogue

LANGUAGE, FROM_THE_RIGHT = "eo", "ur"
# Arabic letters, as many as there are Latin ones.
LETTERS = {ord(latin): chr(0x0628 + place % 26 % 19) for place, latin in enumerate("abcdefghijklmnopqrstuvwxyz")}
REVIEWED = "Reviewed: Nobody Real, made up for tests, 2026-11-01"
PLACE = re.compile(r"%\([a-z_]+\)s|\{[a-z_]+\}|<[^>]+>")


def made_up(text: str) -> str:
    """The text within the marks and longer; what stands in for a value stays outside of them, as it is not ours."""
    words = PLACE.sub("", text)
    length = ceil(0.4 * len(words))
    pieces = PLACE.split(text)
    places = [*PLACE.findall(text), ""]
    pieces[-1] += " ".join(["~" * 8] * (length // 9) + ["~" * (length % 9)])
    return "".join(f"‹{piece}›{place}" if piece else place for piece, place in zip(pieces, places, strict=True))


def from_the_right(text: str) -> str:
    """The same, its words in letters that are written from the right."""
    words = [piece.lower().translate(LETTERS) for piece in PLACE.split(text)]
    return made_up("".join(word + place for word, place in zip(words, [*PLACE.findall(text), ""], strict=True)))


def catalogue(templates: Iterable[Path] = TEMPLATES, locale: str = LANGUAGE, review: str = REVIEWED) -> Catalog:
    """The messages of these templates in the language, with this review."""
    make = from_the_right if locale == FROM_THE_RIGHT else made_up
    made = Catalog(locale=locale)
    for message in (message for template in templates for message in listed(read_catalogue(template))):
        texts = make(message.id) if isinstance(message.id, str) else tuple(map(make, message.id))
        with_review(made.add(message.id, texts, flags=message.flags), None if review == NOBODY else review)
    return made


def compiled(folder: Path, locale: str = LANGUAGE) -> tuple[Path, ...]:
    """The folder, with the catalogues of the language in it, all reviewed; as `language` takes it."""
    for template in TEMPLATES:
        made = catalogue([template], locale)
        write_catalogue(folder / locale / "LC_MESSAGES" / f"{template.stem}.po", made)
    return (folder,)


def of_a_site(folder: Path, review: str = REVIEWED) -> Path:
    """A folder of settings that has the whole language as its own, with this review."""
    write_catalogue(folder / "translations" / f"{LANGUAGE}.po", catalogue(review=review))
    return folder
