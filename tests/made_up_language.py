"""A made-up language for tests: every text of a catalogue within marks, and longer by two fifths."""

from __future__ import annotations

import re
from io import BytesIO
from math import ceil
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from message_templates import APP, EXPLANATIONS

LANGUAGE = "eo"
PLACE = re.compile(r"%\([a-z_]+\)s|\{[a-z_]+\}|<[^>]+>")


def made_up(text: str) -> str:
    """The text within the marks and longer; what stands in for a value stays outside of them, as it is not ours."""
    words = PLACE.sub("", text)
    length = ceil(0.4 * len(words))
    pieces = PLACE.split(text)
    places = [*PLACE.findall(text), ""]
    pieces[-1] += " ".join(["~" * 8] * (length // 9) + ["~" * (length % 9)])
    return "".join(f"‹{piece}›{place}" if piece else place for piece, place in zip(pieces, places, strict=True))


def compiled(folder: Path) -> Path:
    """The folder, with the catalogues of the language in it: that of the app and that of explanations."""
    place = folder / LANGUAGE / "LC_MESSAGES"
    place.mkdir(parents=True)
    for template in (APP, EXPLANATIONS):
        made = Catalog(locale=LANGUAGE, domain=template.stem)
        for message in read_po(BytesIO(template.read_bytes())):
            if message.id:
                many = isinstance(message.id, tuple)
                texts = tuple(map(made_up, message.id)) if many else made_up(message.id)
                made.add(message.id, texts, flags=message.flags)
        with (place / f"{template.stem}.mo").open("wb") as file:
            write_mo(file, made)
    return folder
