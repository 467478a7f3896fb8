"""What is looked up by texts of a chart: kept with the texts until the end of a call, and beyond it without them.

Most charts have the same few names of questions, medicines and units, and searching them for words is expensive. But a
text is a patient's. So between calls a result is kept under a digest of its text, keyed with a secret drawn anew at
each start; the result itself must hold nothing of a chart. Shared by the threads of a process.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from typing import Any, TypeVar
from urllib.parse import urlsplit

Result = TypeVar("Result")
LookUp = Callable[..., Result]
SECRET = secrets.token_bytes(32)
MOST = 8192
UNKNOWN: Any = object()
# Python itself keeps the addresses that were parsed last (another Python may not); those of reads hold a patient's id.
FORGETS: list[Callable[[], None]] = [getattr(urlsplit, "cache_clear", lambda: None)]


def kept_for_a_call(look_up: LookUp[Result]) -> LookUp[Result]:
    """The look-up, with results that are kept until `forget`."""
    kept = lru_cache(maxsize=MOST)(look_up)
    FORGETS.append(kept.cache_clear)
    return kept


def kept_without_texts(look_up: LookUp[Result]) -> LookUp[Result]:
    """The look-up, with results that are kept, after `forget` under digests alone. The `repr` of arguments counts."""
    results: dict[bytes, Any] = {}

    def by_digest(*texts: object) -> Any:  # noqa: ANN401  # a Result
        text = repr(texts).encode(errors="surrogatepass")
        digest = blake2b(text, key=SECRET, digest_size=16).digest()
        found = results.get(digest, UNKNOWN)
        if found is UNKNOWN:
            if len(results) >= MOST:
                results.clear()
            found = results[digest] = look_up(*texts)
        return found

    return kept_for_a_call(by_digest)


def forget() -> None:
    """Forgets every text, at the end of a call. Calls under way merely look things up again."""
    for clear in FORGETS:
        clear()
