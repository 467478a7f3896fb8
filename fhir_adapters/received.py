"""Values that somebody sent, made fit for a log line or a page: printable, short, no secret in an address.

A refused caller can send anything as often as it likes, so a log line holds only a few different values a minute.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable

MOST_CHARACTERS = 200
PER_MINUTE = 20
# Anybody may send these texts, so each pattern takes time in proportion to their length.
RUN = re.compile(r"[\w.~+=-]{32,}", re.ASCII)
TAG = re.compile(r"<[^<>]*>")
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]{0,30}://\S*", re.IGNORECASE)


def cleaned(text: str, most: int = MOST_CHARACTERS) -> str:
    """An identifier or address: printable, at most that long, without user information, query and opaque runs."""
    bare = re.sub(r"([?#]).+", r"\1…", text[:10_000], count=1, flags=re.DOTALL)
    scheme, mark, rest = bare.rpartition("//")
    user, at, host = rest.rpartition("@")
    return _printable(_opened(f"{scheme}{mark}{'…' if user else ''}{at}{host}"), most)


def cleaned_words(text: str, most: int = MOST_CHARACTERS, hidden: Iterable[str] = ()) -> str:
    """A sentence of another system: printable, at most that long, without markup, opaque runs and what is `hidden`."""
    for secret in sorted((text for text in hidden if len(text) > 3), key=len, reverse=True):
        text = text.replace(secret, "…")
    bare = TAG.sub(" ", ADDRESS.sub(lambda found: cleaned(found[0]), text[:10_000]))
    return _printable(" ".join(_opened(bare).split()), most)


def _opened(text: str) -> str:
    """The text without runs that are no words: tokens, codes, keys."""
    return RUN.sub(lambda run: "…" if any(c.isdigit() for c in run[0]) else run[0], text)


def _printable(text: str, most: int) -> str:
    kept = "".join(c if c.isprintable() else "\ufffd" for c in text)
    return kept if len(kept) <= most else f"{kept[:most]}…"


class Noted:
    """Lets each value through once a minute, and few different ones of a kind, so that no flood hides another kind."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()
        self._until = 0.0
        self._lock = threading.Lock()

    def __call__(self, kind: str, value: object) -> dict[str, str]:
        """`found`, for a log line: the value cleaned; nothing when it was noted already, or too many were."""
        several = value[:3] if isinstance(value, list) else [value]
        text = ", ".join(cleaned(one) if isinstance(one, str) else f"({type(one).__name__})" for one in several)
        with self._lock:
            if time.monotonic() >= self._until:
                self._seen.clear()
                self._until = time.monotonic() + 60
            if (kind, text) in self._seen or sum(seen == kind for seen, _ in self._seen) >= PER_MINUTE:
                return {}
            self._seen.add((kind, text))
        return {"found": text}


noted = Noted()
