"""A made-up language for tests: every text of the catalogue of the app within marks, and longer by two fifths."""

from __future__ import annotations

import re
from io import BytesIO
from math import ceil
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from smart_launch.pages.messages import DOMAIN, FOLDER

LANGUAGE = "eo"
TEMPLATE = FOLDER / f"{DOMAIN}.pot"
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
    """The folder, with the catalogue of the language in it."""
    source = read_po(BytesIO(TEMPLATE.read_bytes()))
    made = Catalog(locale=LANGUAGE, domain=DOMAIN)
    for message in source:
        if not message.id:
            continue
        many = isinstance(message.id, tuple)
        made.add(message.id, tuple(map(made_up, message.id)) if many else made_up(message.id), flags=message.flags)
    place = folder / LANGUAGE / "LC_MESSAGES"
    place.mkdir(parents=True)
    with (place / f"{DOMAIN}.mo").open("wb") as file:
        write_mo(file, made)
    return folder
