"""The latest tokens of a process, in bounded memory."""

from __future__ import annotations

from hashlib import sha256

import pytest

from cds_service.storage import recent_tokens
from cds_service.storage.recent_tokens import RecentTokens
from cds_service.storage.store import Admission


def digest(number: int) -> str:
    return sha256(str(number).encode()).hexdigest()


def test_a_token_is_admitted_once() -> None:
    tokens = RecentTokens()

    assert [tokens.admit(digest(n)) for n in (1, 2, 1)] == [
        Admission.ADMITTED, Admission.ADMITTED, Admission.REPLAYED,
    ]  # fmt: skip


def test_a_token_that_was_given_back_is_admitted_again() -> None:
    tokens = RecentTokens()
    tokens.admit(digest(1))

    tokens.forget(digest(1))

    assert tokens.admit(digest(1)) is Admission.ADMITTED
    assert tokens.admit(digest(1)) is Admission.REPLAYED


def test_the_oldest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_tokens, "MOST", 3)
    tokens = RecentTokens()

    for number in range(10):
        tokens.admit(digest(number))

    assert len(tokens._used) == len(tokens._in_order) == 3
    assert [tokens.admit(digest(n)) for n in (9, 8, 7)] == [Admission.REPLAYED] * 3
    assert tokens.admit(digest(0)) is Admission.ADMITTED
