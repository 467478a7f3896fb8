"""Half characters in JSON: an EHR that cuts a text after a number of UTF-16 units can leave one half of an emoji."""

from __future__ import annotations

import re

# A pair, a half (captured), or any other escape, so that an escaped backslash is never taken for the start of one.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|[\s\S])"
)
_REPLACEMENT = rb"\ufffd"


def without_halves(text: bytes) -> bytes:
    """JSON in which each half character, which no text in UTF-8 can hold, is U+FFFD; all else as it was."""
    if rb"\ud" not in text and rb"\uD" not in text:
        return text
    return _ESCAPE.sub(lambda found: _REPLACEMENT if found[1] else found[0], text)
