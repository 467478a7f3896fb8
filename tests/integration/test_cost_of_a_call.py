"""A body of many entries costs in step with its size, whatever its shape: steps are counted, not seconds.

`tests/cost.py` has the shapes, and measures what they cost in seconds at the largest body.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
from dataclasses import replace
from datetime import UTC, datetime

import cost
import pytest
from builders import (
    AS_OF,
    CSSRS,
    ICD,
    LOINC,
    PHQ,
    SNOMED,
    bundle,
    cards_of,
    codeable,
    observation,
    patient,
    record_of,
    resource,
)

from explanations.words.language import code
from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.codesets import terminology, units
from fhir_adapters.facts import Administration, CodedEvent, Course, EventKind, ItemAnswer, Setting, When
from fhir_adapters.instruments import Instrument
from fhir_adapters.reading.questionnaires import form_merging
from fhir_adapters.resources import r4
from fhir_adapters.resources.dates import when
from fhir_adapters.settings import ReadSettings
from models.rules import merging, supersession
from models.rules.merging import one_per_event
from models.rules.objections import is_positive
from models.rules.safety_rules import apply_safety_rules
from models.rules.supersession import MOST_LATER, LaterEvidence

TODAY = AS_OF.date().isoformat()
FEW, MANY = 60, 240
# Costly shapes whose number of entries is not what grows.
NOT_COUNTED = {"units of every measure"}


def steps(body: bytes) -> int:
    """How many calls of functions, ours and Python's own, it takes to answer one hook call."""
    counted = itertools.count()

    def count(_frame, event, _what) -> None:
        if event in ("call", "c_call"):
            next(counted)

    sys.setprofile(count)
    try:
        cost.answered(body)
    finally:
        sys.setprofile(None)
    return next(counted)


@pytest.mark.parametrize("shape", sorted(set(cost.SHAPES) - NOT_COUNTED))
def test_four_times_the_entries_take_at_most_six_times_the_steps(shape: str) -> None:
    few, many = (cost.SHAPES[shape](n) for n in (FEW, MANY))
    cost.answered(many)  # fills what is kept of codes and units

    assert steps(many) <= 6 * steps(few)


def instructions(body: bytes) -> int:
    """How many instructions of Python it takes: slow to count, and it shows what loops without calls do."""
    counted = itertools.count()

    def count(frame, event, _what):
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            next(counted)
        return count

    sys.settrace(count)
    try:
        cost.answered(body)
    finally:
        sys.settrace(None)
    return next(counted)


@pytest.mark.parametrize("shape", ["empty Observations", "a condition of many codes", "a medicine of many codings"])
def test_loops_without_calls_take_no_more_either(shape: str) -> None:
    few, many = (cost.SHAPES[shape](n) for n in (FEW, MANY))
    cost.answered(many)

    assert instructions(many) <= 6 * instructions(few)


def test_a_quadratic_step_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def twin_among_all(kept, event: CodedEvent) -> int | None:
        return next((n for n, k in enumerate(kept.events) if merging._same_event(k, event)), None)

    monkeypatch.setattr(merging._EventIndex, "twin_of", twin_among_all)
    few, many = (cost.SHAPES["attempts in SNOMED CT on many days"](n) for n in (FEW, MANY))
    cost.answered(many)

    assert steps(many) > 6 * steps(few)


# ---- nothing is lost ---------------------------------------------------------------------------------------------


def nested(depth: int, *resources: dict) -> dict:
    whole = json.loads(bundle(*resources))
    for _ in range(depth):
        whole = json.loads(bundle(whole))
    return whole


def test_bundles_nested_deeper_than_is_read_are_said_to_be_missing() -> None:
    answer = observation(LOINC, PHQ[8], TODAY, {"valueInteger": 3})
    for depth, seen in ((r4.MOST_NESTED, True), (r4.MOST_NESTED + 1, False)):
        chart = {"resourceType": "Bundle", "entry": [{"resource": patient()}, {"resource": nested(depth - 1, answer)}]}
        gathered = chart_bundle(json.dumps(chart).encode(), settings=ReadSettings(), as_of=AS_OF)

        assert any(r.kind == "Observation" for r in gathered.resources) is seen
        assert [u.what for u in gathered.unknown] == ([] if seen else ["rest"])


def test_a_card_of_many_findings_is_short_and_counts_those_that_it_does_not_list() -> None:
    acute = [resource("QuestionnaireResponse", status="completed", authored=TODAY, item=[{"linkId": CSSRS["q5"], "answer": [{"valueBoolean": True}]}], encounter={"reference": f"Encounter/{n}"}) for n in range(300)]  # fmt: skip
    record = record_of(*acute, resource("Condition", code=codeable(SNOMED, "82313006"), recordedDate=TODAY))

    card = cards_of(record)[0]

    assert card.indicator == "critical"
    lines = card.detail.splitlines()
    assert len(lines) < 50
    counted = next(line for line in lines if "not listed here" in line)
    assert "C-SSRS question 5 (plan and intent) answered yes" in counted
    assert "suicide attempt recorded" in counted
    listed = sum(line.startswith("- **C-SSRS question 5") for line in lines)
    assert f"answered yes ({300 - listed})" in counted


def test_forms_that_disagree_beyond_the_number_compared_stand_by_themselves() -> None:
    answers = [{c: n >> 2 * i & 3 for i, c in enumerate(PHQ)} for n in range(1, 100)]
    forms = [resource("QuestionnaireResponse", status="completed", authored=TODAY, item=[{"linkId": c, "answer": [{"valueInteger": v}]} for c, v in form.items()]) for form in answers]  # fmt: skip
    worst = resource("QuestionnaireResponse", status="completed", authored=TODAY, item=[{"linkId": PHQ[8], "answer": [{"valueInteger": 3}]}, {"linkId": PHQ[0], "answer": [{"valueInteger": 3}]}])  # fmt: skip

    record = record_of(*forms, worst)

    assert sum(len(f.references) for f in record.administrations) == 100
    assert any(f.kind.value == "self-harm-item" for f in apply_safety_rules(record).findings)


def test_of_the_same_answer_sent_a_thousand_times_one_is_read() -> None:
    once = resource("QuestionnaireResponse", status="completed", authored=TODAY, item=[{"linkId": PHQ[8], "answer": [{"valueInteger": 1}, {}]}])  # fmt: skip
    often = once | {"item": [{"linkId": PHQ[8], "answer": [{"valueInteger": 1}, {}] * 500}]}

    assert record_of(once) == record_of(often)


def test_a_date_longer_than_any_date_is_none_and_its_answer_counts_as_undated() -> None:
    long = f"{TODAY}T10:00:00.{'0' * 100}Z"
    record = record_of(observation(LOINC, PHQ[8], long, {"valueInteger": 1}))

    assert when(long, UTC, AS_OF.date()) is None
    assert [c.source.topic.code for c in cards_of(record)] == ["positive-safety-answer"]


def test_a_number_that_no_decoder_takes_in_an_element_that_is_not_read_is_no_failure() -> None:
    found = r4.read(
        b'{"resourceType": "Observation", "id": "1", "modifierExtension": [' + b"9" * 5000 + b'], "status": "final"}'
    )
    subject = b'{"resourceType": "Observation", "subject": {"reference": "#p"}, "x": ' + b"9" * 5000 + b"}"

    assert found.fault == r4.MUST_UNDERSTAND
    assert r4.read(subject).content.subject.target == "#p"


def test_texts_as_long_as_a_body_are_not_kept_between_calls() -> None:
    long = "x" * 100_000
    for cached in (units._spelled, terminology._rows):
        cached.cache_clear()
    with pytest.raises(units.UnitError):
        units.convert("weight_kg", 1, f"kg{long}", "kg")
    assert terminology.code_list("conditions").rows(long, "82313006") == ()
    assert terminology.code_list("conditions").rows(f"{SNOMED}|{long}", "82313006")

    assert units._spelled.cache_info().currsize == 1
    assert units._spelled.cache_info().misses == 1
    assert terminology._rows.cache_info().currsize == 1


def test_a_unit_of_many_parts_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "registry", lambda: pytest.fail("parsed"))

    with pytest.raises(units.UnitError):
        units.convert("weight_kg", 1, "mg/mg/mg/mg/mg/mg", "kg")


def test_a_long_id_is_looked_through_in_its_beginning_only() -> None:
    assert code("a" * 1_000_000) == f"`{'a' * 80}`"
    assert code("\n" * 999 + "ab") == "`a`"


# ---- looking up gives what comparing with all gives ----------------------------------------------------------------


def plain_one_per_event(events: list[CodedEvent]) -> list[CodedEvent]:
    """R8 as it reads: each record is compared with every event before it."""
    kept: list[CodedEvent] = []
    for event in sorted(events, key=merging._by_date):
        twin = next((n for n, k in enumerate(kept) if merging._same_event(k, event)), None)
        if twin is None:
            kept.append(event)
            continue
        before = kept[twin]
        graver = event if merging._rank(event) > merging._rank(before) else before
        kept[twin] = replace(
            graver,
            when=before.when,
            subsequent=before.subsequent and event.subsequent,
            provisional=before.provisional and event.provisional,
            until=event.until or before.until,
        )
    return kept


def some_when(chance: random.Random) -> When | None:
    if chance.random() < 0.1:
        return None
    moment = datetime(2026, 11, chance.randint(1, 22), chance.choice((8, 9, 20)), tzinfo=UTC)
    timed = chance.random() < 0.6
    return When(text=moment.isoformat(), day=moment.date(), instant=moment if timed else None)


def some_event(chance: random.Random, number: int) -> CodedEvent:
    group, codes = chance.choice((("suicide_attempt", ("T14.91XA", "T14.91XD", "T1491XA", "T14.91", "T14.91XS")), ("suicidal_ideation", ("R45.851", "T14.91", "T14.91XB")), ("self_harm", ("X78.8XXA", "X78.9XXA", "82313006"))))  # fmt: skip
    day = some_when(chance)
    return CodedEvent(
        code=chance.choice(codes), system=chance.choice((ICD, ICD, SNOMED)), when=day, until=chance.choice((day, day, some_when(chance))),
        course=chance.choice((Course.ACTIVE, Course.ACTIVE, Course.HISTORY)), reference=f"Condition/{number}", kind=EventKind(group),
        setting=chance.choice((Setting.ENCOUNTER_DIAGNOSIS, Setting.ENCOUNTER_DIAGNOSIS, Setting.PROBLEM_LIST)),
        encounter=chance.choice((None, "Encounter/1", "Encounter/2", "Encounter/3")), subsequent=chance.random() < 0.3,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(400))
def test_events_are_put_together_as_if_each_were_compared_with_all(seed: int) -> None:
    chance = random.Random(seed)
    events = [some_event(chance, n) for n in range(chance.choice((3, 8, 30)))]

    assert one_per_event(events) == plain_one_per_event(events)


def some_screen(chance: random.Random, number: int) -> Administration:
    said = chance.choice((False, False, True))
    items = chance.choice((("q1", "q2", "q6"), ("q1", "q2"), ("q1", "q2", "q3", "q4")))
    return Administration(
        instrument=chance.choice(supersession.SUICIDE_SCREENS), when=some_when(chance), references=(f"Observation/{number}",),
        answers=tuple(ItemAnswer(item=item, state="answered", yes=said, reference=f"Observation/{number}") for item in items),
        encounter=chance.choice((None, "Encounter/1", "Encounter/2", "Encounter/3")),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(300))
def test_what_lowers_a_finding_is_found_as_if_all_were_looked_at(seed: int) -> None:
    chance = random.Random(seed)
    forms = tuple(some_screen(chance, n) for n in range(chance.choice((2, 6, 50))))
    record = replace(record_of(), administrations=forms)
    evidence = LaterEvidence(record)
    for form in (f for f in forms if f.when):
        others = [
            f
            for f in record.of(*supersession.SUICIDE_SCREENS)
            if f is not form and f.when and f.when.day >= form.when.day
        ]
        lowering = [f for f in others if lowers(form, f, forms)]

        since = evidence.since(form, acute=False)

        assert len(since.later) + since.more == len(others)
        assert any(late.downgrades for late in since.later) == bool(lowering)
        if len(others) <= MOST_LATER:
            assert [late.reference for late in since.later] == [f.references[0] for f in sorted(others, key=lambda f: f.when.day, reverse=True)]  # fmt: skip
            assert {late.reference for late in since.later if late.downgrades} == {f.references[0] for f in lowering}


def lowers(finding: Administration, negative: Administration, forms: tuple[Administration, ...]) -> bool:
    """R3 as it reads, for a finding and a screen that may lower it."""

    def later(first: Administration, second: Administration) -> bool:
        return supersession.is_later(first.when, first.encounter, second.when, second.encounter)

    standing = [f for f in forms if is_positive(f)]
    return (
        supersession.is_complete_negative(negative)
        and later(finding, negative)
        and all(positive.when and later(positive, negative) for positive in standing)
    )


def test_a_finding_names_some_of_what_came_later_and_counts_the_rest() -> None:
    act = resource("Condition", code=codeable(SNOMED, "82313006"), recordedDate="2026-10-01")
    zeros = [observation(LOINC, PHQ[8], f"2026-10-{n:02d}", {"valueInteger": 0}) for n in range(2, 32)]
    negative = resource("QuestionnaireResponse", status="completed", authored="2026-10-02", item=[{"linkId": CSSRS[q], "answer": [{"valueBoolean": False}]} for q in ("q1", "q2", "q6")])  # fmt: skip

    finding = apply_safety_rules(record_of(act, *zeros, negative)).findings[0]

    assert (len(finding.later), finding.more_later) == (MOST_LATER + 1, 30 - MOST_LATER)
    assert [late.what for late in finding.later if late.downgrades] == ["c-ssrs-negative"]
    assert "and 28 more since" in cards_of(record_of(act, *zeros, negative))[0].detail


def some_phq9(chance: random.Random, number: int) -> Administration:
    items = chance.sample(("1", "2", "9"), chance.randint(0, 3))
    reference = f"{chance.choice(('Observation', 'QuestionnaireResponse'))}/{number}"
    return Administration(
        instrument=chance.choice((Instrument.PHQ9, Instrument.PHQ2)), when=some_when(chance), references=(reference,),
        answers=tuple(ItemAnswer(item=item, state="answered", score=chance.choice((0, 0, 1)), reference=reference) for item in items),
        total=chance.choice((None, None, 3, 4)), encounter=chance.choice((None, None, "Encounter/1", "Encounter/2")),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(300))
def test_forms_are_joined_as_if_each_were_compared_with_all(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    forms = [some_phq9(chance, n) for n in range(chance.choice((3, 10, 30)))]
    looked_up = form_merging.merged(forms)

    monkeypatch.setattr(form_merging, "_days_apart", lambda _forms: False)
    monkeypatch.setattr(form_merging._FormIndex, "near", lambda index, _form: range(len(index.joined)))

    assert looked_up == form_merging.merged(forms)
