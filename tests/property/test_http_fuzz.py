"""Spoiled HTTP calls, the same ones every time: a short part of what `make fuzz-http` makes a hundred thousand of."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from described import Answer
from http_calls import MAKERS, Sent, valid
from http_fuzz import Fuzzed, jobs, run, run_described


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory):
    return Fuzzed(tmp_path_factory.mktemp("fuzzed"))


def of(counts: Counter, start: str) -> set[str]:
    return {name.removeprefix(start) for name in counts if name.startswith(start)}


def test_spoiled_calls_are_answered_as_described_and_nothing_private_is_logged(fuzzed) -> None:
    counts = run(fuzzed, "short", 800)

    print(dict(counts))
    assert of(counts, "valid: ") == {"200", "401"}
    assert of(counts, "changed: ") == {"200", "400", "401", "412"}
    assert of(counts, "damaged: ") >= {"200", "400", "401"}
    assert of(counts, "packed: ") >= {"400", "401", "413", "415"}
    assert of(counts, "with_token: ") == {"200", "401"}
    assert of(counts, "routed: ") >= {"200", "404", "405"}
    assert {maker.__name__ for maker in MAKERS} == {name.partition(":")[0] for name in counts if ":" in name}


def test_calls_drawn_from_the_description_are_answered_as_described(fuzzed) -> None:
    counts = run_described(fuzzed, 1, 400)

    print(dict(counts))
    assert of(counts, "described, positive: ") >= {"200", "400", "401"}
    assert of(counts, "described, negative: ") >= {"400", "404"}


def test_the_work_is_cut_into_pieces_that_add_up() -> None:
    for number in (100, 1000, 99_999, 100_000):
        assert sum(job[2] for job in jobs(number)) == number - number // 50


# ---- the judge judges ----


class Saying(Fuzzed):
    """A service that answers as it is told, and logs."""

    def __init__(self, fuzzed: Fuzzed, answer: Answer, line: str = "") -> None:
        self.described, self.heard, self.said, self.line = fuzzed.described, fuzzed.heard, answer, line

    def answer(self, _sent: Sent) -> Answer:
        self.heard.lines.append(self.line)
        return self.said


OUTCOME = b'{"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "x", "diagnostics": "%s"}]}'
JSON = {"content-type": "application/json"}
CARDS = Answer(status=200, headers=JSON, body=b'{"cards": []}')


def refusal(status: int, words: bytes = b"x", headers: dict | None = None) -> Answer:
    return Answer(status=status, headers=JSON | (headers or {}), body=OUTCOME % words)


@pytest.mark.parametrize(
    ("answer", "line", "good", "says"),
    [
        (refusal(500), "", None, "status 500"),
        (Answer(status=502, headers=JSON, body=b""), "", None, "not described"),
        (refusal(400, b"zebulon-7-p is odd"), "", True, "quotes what was sent"),
        (CARDS, "patient zebulon-7-p", True, "in the log"),
        (CARDS, "Bearer eyJhbGciOi", True, "in the log"),
        (CARDS, "Traceback (most recent call last)", True, "in the log"),
        (CARDS, "", False, "good token False"),
        (refusal(401, headers={"www-authenticate": "Bearer"}), "", True, "good token True"),
        (refusal(412), "", True, "expected (200,)"),
        (Answer(status=200, headers={"content-type": "text/html"}, body=b"<p>"), "", True, "expected one of"),
    ],
)
def test_a_broken_promise_is_noticed(fuzzed, answer: Answer, line: str, good: bool | None, says: str) -> None:
    sent = replace(valid(random.Random(1)), path="/cds-services/depression-suicide-risk", good=good)

    with pytest.raises(AssertionError, match=says.replace("(", r"\(").replace(")", r"\)")):
        Saying(fuzzed, answer, line).judged(sent)
