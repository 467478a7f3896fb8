"""TOML text to values although some lines are no TOML: each is named in our own words, and mended or left out.

Of a line nothing but its key is quoted, since it may hold a secret.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

MOST_FAULTS = 50
PLACE = re.compile(r"line (\d+), column (\d+)")
KEY, END, QUOTE = r"(?P<key>\s*[\w.-]+\s*=\s*)", r"\s*(?:#.*)?", "[“”„‘’\"']"
UNQUOTED = r"[^\s\"'\[{#][^\"'#]*?"
# What is wrong with a line, as a pattern of the whole line, the words for it, and what to read in its place.
FAULTS = (
    (rf"{KEY}{END}", "expected a value after =", ""),
    (rf"{KEY}(?:True|[Yy]es|[Oo]n){END}", "expected true, in small letters", r"\g<key>true"),
    (rf"{KEY}(?:False|[Nn]o|[Oo]ff){END}", "expected false, in small letters", r"\g<key>false"),
    (rf"{KEY}{QUOTE}(?P<text>.*?){QUOTE}{END}", 'expected straight quotation marks: "', r'\g<key>"\g<text>"'),
    (rf"{KEY}\"(?P<text>[^\"]*)", "expected a quotation mark at the end too", r'\g<key>"\g<text>"'),
    (
        rf"{KEY}(?P<text>{UNQUOTED})\"?{END}",
        "expected text in quotation marks, a number, true or false",
        r'\g<key>"\g<text>"',
    ),
    (rf"\s*\[\[(?P<name>[\w.-]+)\]?{END}", "expected two brackets on either side", r"[[\g<name>]]"),
    (rf"\s*\[(?P<name>[\w.-]+)(?:\]\])?{END}", "expected one bracket on either side", r"[\g<name>]"),
    (r"\s*(?P<key>[\w.-]+)\s*:(?P<rest>.*)", "expected = between key and value", r"\g<key> = \g<rest>"),
    (r"\s*[\w.-]+\s*", "expected key = value", ""),
)
NAME = re.compile(r"\s*(\[+)?\s*([\w.-]+)")


def toml_values(text: str) -> tuple[dict[str, Any] | None, list[str]]:
    """The values, None when the text cannot be read on, and what is wrong with which line."""
    lines, faults = text.split("\n"), dict[int, str]()
    for _ in range(MOST_FAULTS):
        try:
            return tomllib.loads("\n".join(lines)), [*faults.values()]
        except tomllib.TOMLDecodeError as error:
            place = PLACE.search(str(error))
        except (ValueError, RecursionError):
            return None, [*faults.values(), "not TOML; expected numbers of few digits and few brackets in brackets"]
        last = max((n for n, line in enumerate(lines, 1) if line.strip()), default=1)
        number, column = (int(place[1]), int(place[2])) if place else (last, len(lines[last - 1]) + 1)
        words, instead = _mended(lines[number - 1], lines[: number - 1])
        faults.setdefault(number, f"line {number}, column {column}: {words}")
        if instead is None:
            break
        lines[number - 1] = instead
    return None, [*faults.values()]


def _mended(line: str, above: list[str]) -> tuple[str, str | None]:
    """What is wrong with a line, and another in its place; None when the fault is further up."""
    try:
        tomllib.loads(line)
    except (ValueError, RecursionError):
        for pattern, words, instead in FAULTS:
            if found := re.fullmatch(pattern, line.rstrip("\r")):
                return words, found.expand(instead)
        return "not TOML; expected key = value, or a comma before the next value of a list", ""
    name = NAME.match(line)
    table = next((n for n in range(len(above) - 1, -1, -1) if above[n].lstrip().startswith("[")), 0)
    here = above if name and name[1] else above[table:]
    if name and any((found := NAME.match(other)) and found[2] == name[2] for other in here):
        return f"{name[2]} stands here for a second time; keep one of them", ""
    return "not TOML; expected a closing bracket or quotation mark further up", None
