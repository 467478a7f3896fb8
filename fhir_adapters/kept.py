"""What is looked up by texts of a chart: with the texts until the end of a call, beyond it without them.

Most charts have the same few names of questions, medicines and units, and looking for words in them is dear. But a text
is a patient's. Between calls a result is therefore kept under a digest of its text, keyed with a secret that each start
draws anew; the result itself must hold nothing of a chart. Shared by the threads of a process.
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
# Python itself keeps the last addresses that were taken apart, and those of reads hold the id of a patient.
FORGETS: list[Callable[[], None]] = [urlsplit.cache_clear]  # type: ignore[attr-defined]  # not in the stubs


def kept_for_a_call(look_up: LookUp[Result]) -> LookUp[Result]:
    """The look-up, with results that are kept until `forget`."""
    near = lru_cache(maxsize=MOST)(look_up)
    FORGETS.append(near.cache_clear)
    return near


def kept_without_texts(look_up: LookUp[Result]) -> LookUp[Result]:
    """The look-up, with results that are kept, after `forget` under digests alone. Its arguments are told by `repr`."""
    results: dict[bytes, Any] = {}

    def by_digest(*texts: object) -> Any:  # noqa: ANN401  # a Result
        told = repr(texts).encode(errors="surrogatepass")
        digest = blake2b(told, key=SECRET, digest_size=16).digest()
        found = results.get(digest, UNKNOWN)
        if found is UNKNOWN:
            if len(results) >= MOST:
                results.clear()
            found = results[digest] = look_up(*texts)
        return found

    return kept_for_a_call(by_digest)


def forget() -> None:
    """Forgets every text; called at the end of a call. What others read meanwhile is only looked up again."""
    for one in FORGETS:
        one()
