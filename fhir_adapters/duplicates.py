"""Members that stand twice in one JSON object: parsers keep the last, and what the first said would be lost."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from json.decoder import scanstring  # type: ignore[attr-defined]  # not in the stubs
from typing import Any

import msgspec
from msgspec import Raw

ANY: msgspec.json.Decoder[Any] = msgspec.json.Decoder()
ENCODER = msgspec.json.Encoder()
SPACE = re.compile(r"[ \t\r\n]*")


def named_twice(text: bytes) -> frozenset[str]:
    """The members of a JSON object that stand in it twice, or hold an object in which one does, at any depth."""
    try:
        return lost(text, ANY.decode(text))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return _pair_by_pair(text)


def lost(text: bytes, plain: object) -> frozenset[str]:
    """`named_twice` for a text of which a parser kept `plain`.

    Most texts are only compared with what was kept, which is fast; the others are read pair by pair.
    """
    return frozenset() if is_kept(text, plain) else _pair_by_pair(text)


def is_kept(text: bytes, plain: object) -> bool:
    """Whether `plain` holds every member of a text, as far as a comparison can tell."""
    kept = ENCODER.encode(plain)
    return kept == text or (not _has_escapes(text) and kept.count(b'"') == text.count(b'"'))


def repeated(text: bytes, known: Mapping[str, object]) -> list[str]:
    """The paths of members that stand twice in a JSON object itself, or in an object that `known` has a mapping for.

    `known`: the text of large members as the parser kept it (`Raw`), so that they are passed over and not read. The
    text is known to be JSON, and names are ASCII.
    """
    letters = text.decode("latin-1")  # one character a byte
    try:
        return _walk(text, letters, _next(letters, 0), known, "")[1]
    except (ValueError, IndexError, RecursionError):
        return sorted(_pair_by_pair(text))


def _walk(text: bytes, letters: str, at: int, known: Mapping[str, object], path: str) -> tuple[int, list[str]]:
    """The end of the object at `at`, and its repeated members. Raises ValueError or IndexError when it is not JSON."""
    seen: set[str] = set()
    found: list[str] = []
    at = _next(letters, at + 1)
    while letters[at] != "}":
        name, at = scanstring(letters, at + 1, False)  # noqa: FBT003  # C function
        at = _next(letters, _next(letters, at) + 1)
        value = known.get(name)
        if isinstance(value, Mapping) and letters[at] == "{":
            at, inner = _walk(text, letters, at, value, f"{path}{name}.")
            found += inner
        elif isinstance(value, Raw) and text.startswith(view := memoryview(value), at):
            at += len(view)
        else:
            at = SCANNER.raw_decode(letters, at)[1]
        if name in seen:
            found.append(f"{path}{name}")
        seen.add(name)
        at = _next(letters, at)
        if letters[at] == ",":
            at = _next(letters, at + 1)
        elif letters[at] != "}":
            raise ValueError("a number that begins like the one kept")
    return at + 1, found


def _next(letters: str, at: int) -> int:
    return SPACE.match(letters, at).end()  # type: ignore[union-attr]  # it matches the empty string


def _has_escapes(text: bytes) -> bool:
    # Two steps, since the search for one character is far faster.
    return b"\\" in text and b"\\u" in text


class _Twice:
    def __init__(self, names: frozenset[str]) -> None:
        self.names = names


def _checked(pairs: list[tuple[str, Any]]) -> _Twice | None:
    seen: set[str] = set()
    twice: set[str] = set()
    for name, value in pairs:
        if name in seen or _is_twice(value):
            twice.add(name)
        seen.add(name)
    return _Twice(frozenset(twice)) if twice else None


def _is_twice(value: object) -> bool:
    return isinstance(value, _Twice) or (isinstance(value, list) and any(map(_is_twice, value)))


# Numbers stay text: one out of range is no duplicate.
SCANNER = json.JSONDecoder(object_pairs_hook=_checked, parse_int=str, parse_float=str, strict=False)


def _pair_by_pair(text: bytes) -> frozenset[str]:
    try:
        found = SCANNER.decode(text.decode(errors="replace"))
    except (ValueError, RecursionError):
        return frozenset({TOO_DEEP})
    return found.names if isinstance(found, _Twice) else frozenset()


# In the place of a name, for a text that is nested too deeply to be sure.
TOO_DEEP = "?"
