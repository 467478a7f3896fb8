"""What others sent, made fit for a log line or a page."""

from __future__ import annotations

import pytest

from fhir_adapters import received
from fhir_adapters.received import MOST_CHARACTERS, PER_MINUTE, Noted, cleaned, cleaned_words

TOKEN = "eyJhbGciOiJFUzM4NCJ9.eyJpc3MiOiJhIn0.c2lnbmF0dXJl1"
ADDRESSES = {
    "https://ehr.example/fhir": "https://ehr.example/fhir",
    "https://u:p@ss@ehr.example/fhir?token=x#y": "https://…@ehr.example/fhir?…",
    "https://a.example/x#access_token=y": "https://a.example/x#…",
    "u:pass@ehr.example": "…@ehr.example",
    "https://a.example\r\n{}\x1b[31m\u202e": "https://a.example\ufffd\ufffd{}\ufffd[31m\ufffd",
    f"https://a.example/{TOKEN}": "https://a.example/…",
    "a" * 1000: "a" * MOST_CHARACTERS + "…",
    "": "",
}
WORDS = {
    "Unknown client <b onclick=x>us</b>\n\tand": "Unknown client us and",
    "redirect https://cds.example/smart/callback?state=s3 differs": "redirect https://cds.example/smart/callback?… differs",
    f"token {TOKEN} expired": "token … expired",
    "the secret hunter2": "the secret …",
    "  ": "",
}


@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_loses_what_may_be_secret_and_what_moves_a_terminal(text: str) -> None:
    assert cleaned(text) == ADDRESSES[text]


@pytest.mark.parametrize("text", WORDS)
def test_a_sentence_loses_markup_and_what_is_no_word(text: str) -> None:
    assert cleaned_words(text, hidden=["hunter2", ""]) == WORDS[text]


@pytest.mark.parametrize("unit", ["a", "a.", "<", "a:", "://", "a://b@", "1-"])
def test_what_anybody_may_send_costs_no_more_than_its_length(unit: str) -> None:
    """Not timed: with a pattern that looks ahead from every place, or a text that is not cut, this takes hours."""
    text = unit * 300_000

    for pattern in (received.RUN, received.TAG, received.ADDRESS):
        pattern.sub("", text)
    assert len(cleaned(text)) <= MOST_CHARACTERS + 1
    assert len(cleaned_words(text)) <= MOST_CHARACTERS + 1


def test_a_value_is_noted_once_a_minute_and_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(received.time, "monotonic", lambda: now[0])
    noted = Noted()

    assert noted("jku", "a") == {"found": "a"}
    assert (noted("jku", "a"), noted("aud", "a")) == ({}, {"found": "a"})
    assert noted("aud", ["a", 7, None, "d"]) == {"found": "a, (int), (NoneType)"}
    assert sum(bool(noted("aud", str(n))) for n in range(100)) == PER_MINUTE - 2
    assert noted("jku", "b") == {"found": "b"}
    now[0] += 61
    assert noted("jku", "a") == {"found": "a"}
