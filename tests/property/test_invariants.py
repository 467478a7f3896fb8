"""Invariants over generated charts and requests, with counts of what was generated."""

from __future__ import annotations

import json
import logging
import math
import random
from collections import Counter
from dataclasses import replace
from datetime import date

import pytest
from builders import AS_OF, PATIENT, bundle, cards_of, given, open_app, patient, record_of
from hypothesis import example, settings
from hypothesis import given as drawn
from hypothesis import strategies as st

from cds_service.serving.engine import load_engine
from cds_service.settings.config import ServiceConfig, default_config
from explanations.judgement.assessment import Engine, assess
from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.access.templates import templates
from fhir_adapters.codesets.units import UnitError, _spelled, convert, registry
from fhir_adapters.errors import FhirError
from fhir_adapters.reading.extraction import patient_record
from fhir_adapters.settings import ReadSettings
from models.rules.findings import SAFETY_TOPICS, Topic, Urgency
from models.rules.safety_rules import apply_safety_rules
from models.scoring.risk import NotScored, RiskScore

ENGINE = load_engine()
LINES = st.sampled_from(
    [
        "PHQ-9, 3 days ago: items 1-8 = 1, item 9 = 0",
        "PHQ-9, 40 days ago: items 1-8 = 2, item 9 = 1",
        "PHQ-9, 5 days ago: items 1-8 = 1, item 9 = blank",
        "PHQ-9, 9 days ago: total = 26",
        "PHQ-9, 8 days ago: items 1-9 = 1, total = 20",
        "PHQ-2, 6 days ago: total = 4",
        "EPDS, 2 days ago: items 1-9 = 1, item 10 = 2",
        "C-SSRS, today: question 4 = yes",
        "C-SSRS, 12 days ago: question 1 2 6 = no",
        "ASQ, 30 days ago: question 1 = yes, question 2 3 4 = no",
        "Condition T14.91XA, 41 days ago",
        "Condition R45.851, 4 days ago",
        "Condition Z91.51, 400 days ago, problem list",
        "Condition F32.9, 20 days ago, problem list",
        "Condition 193462001, 90 days ago, problem list",
        "Medicine sertraline, today",
        "Medicine oxycodone, today",
        "Visit for depression, 30 days ago",
        "Risk assessment, 3 days ago",
    ]
)
CHARTS = st.lists(LINES, max_size=6, unique=True)
FEW = settings(max_examples=150)


def resources(lines: list[str]) -> list[dict]:
    return [r for line in lines for r in given(line)]


@FEW
@drawn(lines=CHARTS, seed=st.integers(0, 1000))
def test_the_order_of_resources_does_not_matter(lines: list[str], seed: int) -> None:
    found = resources(lines)
    mixed = random.Random(seed).sample(found, len(found))

    one, other = cards_of(record_of(*found), ENGINE), cards_of(record_of(*mixed), ENGINE)

    assert [(c.summary, c.indicator) for c in one] == [(c.summary, c.indicator) for c in other]


@FEW
@drawn(lines=CHARTS, score=st.integers(1, 3), shape=st.sampled_from(("observations", "questionnaire")))
def test_a_recent_positive_item_9_is_a_safety_finding_whatever_else_is_on_the_chart(
    lines: list[str], score: int, shape: str
) -> None:
    nine = given(f"PHQ-9, 1 days ago: items 1-8 = 0, item 9 = {score}", shape)

    reading = apply_safety_rules(record_of(*resources(lines), *nine))

    about_it = [f for f in reading.findings if f.form and f.form.answer("9") and f.form.when.day == nine_day(nine)]
    assert any(f.topic in SAFETY_TOPICS for f in about_it)
    assert reading.findings[0].urgency >= Urgency.PROMPT


def nine_day(resources_: list[dict]):
    return date.fromisoformat(resources_[0].get("effectiveDateTime") or resources_[0]["authored"])


@FEW
@drawn(lines=CHARTS, more=LINES)
def test_nothing_but_a_later_negative_lowers_or_removes_an_acute_finding(lines: list[str], more: str) -> None:
    acute = given("C-SSRS, today: question 4 = yes")

    cards = cards_of(record_of(*acute, *resources([*lines, more])), ENGINE)

    assert cards[0].source.topic.code == Topic.ACUTE_SAFETY.value
    assert cards[0].indicator == "critical"


@FEW
@drawn(lines=CHARTS, age=st.integers(18, 95), gender=st.sampled_from(("female", "male", "other")))
@example(lines=[], age=40, gender="female")
def test_reasons_and_base_sum_to_the_score_and_the_score_maps_to_its_probability(
    lines: list[str], age: int, gender: str
) -> None:
    assessment = assess(record_of(*resources(lines), who=patient(age, gender)), ENGINE)

    for score in assessment.scores:
        if isinstance(score, RiskScore):
            explanation = next(e for e in assessment.explanations if e.outcome == score.outcome)
            total = explanation.base_log_odds + math.fsum(r.log_odds for r in explanation.reasons)
            assert total == pytest.approx(score.log_odds, abs=1e-5)
            assert score.probability == pytest.approx(1 / (1 + math.exp(-score.log_odds)))
            features = [f.name for r in explanation.reasons for f in r.facts] + [
                n for r in explanation.reasons for n in r.missing
            ]
            assert len(features) == len(set(features))
            assert "DPQ090" not in features


def test_the_generated_charts_are_scored_and_not_scored_often_enough_to_mean_something() -> None:
    seen = Counter()
    drawer = random.Random(3)
    for _ in range(200):
        lines = drawer.sample(LINES.elements, drawer.randint(0, 6))
        for score in assess(record_of(*resources(lines)), ENGINE).scores:
            seen[score.reason if isinstance(score, NotScored) else "scored"] += 1

    assert seen["scored"] > 50
    assert seen["answered"] > 20
    assert seen["data-anomaly"] > 5


@FEW
@drawn(lines=CHARTS)
def test_cdsh_114_146_every_card_keeps_to_the_form_of_a_card(lines: list[str]) -> None:
    cards = cards_of(record_of(*resources(lines)), ENGINE)

    topics = [c.source.topic.code for c in cards]
    assert len(topics) == len(set(topics)), "one card a topic"
    safety = [t for t in topics if t in {s.value for s in SAFETY_TOPICS}]
    assert len(cards) <= max(3, len(safety))
    for card in cards:
        assert 0 < len(card.summary) < 140
        words = f"{card.summary} {card.detail}".lower()
        assert "low risk" not in words  # language: quoted
        assert "predict" not in words


UNITS = st.sampled_from(
    [("weight_kg", "[lb_av]", "kg"), ("weight_kg", "[stone_av]", "kg"), ("height_cm", "[in_i]", "cm"), ("sbp", "kPa", "mm[Hg]"),
     ("wbc", "10*9/L", "10*3/uL"), ("hgb", "mmol/L", None), ("chol", "mmol/L", "mg/dL"), ("creat", "umol/L", "mg/dL"), ("crp_mgL", "mg/dL", "mg/L"),
     ("iron", "umol/L", "ug/dL"), ("na", "meq/L", "mmol/L"), ("alt", "nkat/L", "U/L"), ("sleep_hours", "min", "h")]
)  # fmt: skip


@FEW
@drawn(value=st.floats(0.01, 1e4), case=UNITS)
def test_unit_conversion_is_proportional_and_positive(value: float, case: tuple[str, str, str | None]) -> None:
    feature, unit, wanted = case
    if wanted is None:
        with pytest.raises(UnitError):
            convert(feature, value, unit, "g/dL")
        return

    once, twice = convert(feature, value, unit, wanted), convert(feature, 2 * value, unit, wanted)

    assert once > 0
    assert twice == pytest.approx(2 * once)


@FEW
@drawn(unit=st.text(max_size=12) | st.text("kgmLlbdo[]_avsntze{}./*10-^%", max_size=8))
def test_an_unknown_unit_never_passes_through(unit: str) -> None:
    try:
        found = convert("weight_kg", 70.0, unit, "kg")
    except UnitError:
        return
    # Whatever was taken is a kilogram in other letters, a word of ours or a unit of mass in UCUM.
    spelled = _spelled(unit)
    if spelled.lower() != "kg":
        registry()(spelled).to("kilogram")
    assert found > 0


# ---- fuzzing: real charts with parts replaced by nonsense ----

NONSENSE = st.sampled_from([None, "", 0, -1, 1e308, "x" * 300, [], {}, [[]], {"a": 1}, True, "2026-13-45", "<script>"])


def places(value, path=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield (*path, index)
            yield from places(inner, (*path, index))


def spoiled(value, path, nonsense):
    copy = json.loads(json.dumps(value))
    inner = copy
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = nonsense
    return copy


WHOLE = [
    "PHQ-9, 3 days ago: items 1-8 = 1, item 9 = 1, total = 9",
    "C-SSRS, today: question 4 = yes",
    "Condition T14.91XA, 41 days ago, encounter e1",
    "Medicine sertraline, today",
    "Risk assessment, 50 days ago",
]


def whole_request() -> dict:
    found = resources(WHOLE) + given("PHQ-9, 9 days ago: items 1-9 = 1", "questionnaire")
    keys = {"Condition": "conditions", "Observation": "screening", "QuestionnaireResponse": "questionnaires",
            "MedicationRequest": "medications", "Encounter": "encounters", "Procedure": "procedures", "RiskAssessment": "risk-assessments"}  # fmt: skip
    prefetch: dict = {"patient": patient(), "measurements": None}
    for r in found:
        box = prefetch.setdefault(keys[r["resourceType"]], {"resourceType": "Bundle", "type": "searchset", "entry": []})
        box["entry"].append({"resource": r})
    context = {"userId": "Practitioner/doc", "patientId": PATIENT}
    return {"hook": "patient-view", "hookInstance": "h", "context": context, "prefetch": prefetch}


def test_cdsh_032_038_a_request_with_any_one_part_replaced_by_nonsense_is_never_a_500() -> None:
    client = open_app(engine=ENGINE, now=lambda: AS_OF).test_client()
    base = whole_request()
    drawer = random.Random(11)
    statuses: Counter = Counter()
    for path in list(places(base)):
        for nonsense in drawer.sample(NONSENSE.elements, 3):
            answer = client.post("/cds-services/depression-suicide-risk", json=spoiled(base, path, nonsense))
            statuses[answer.status_code] += 1
            assert answer.status_code in (200, 400, 412), (path, nonsense, answer.get_json())

    print(dict(statuses))
    assert statuses[200] > 900
    assert statuses[400] > 10


# Where nonsense makes an acute answer unrecognisable, so that nobody could tell that one was there: the entry is
# gone, is of another type, asks another question, or holds no answer.
UNRECOGNISABLE = {"entry", "resource", "resourceType", "system", "code", "linkId", "item", "answer", "valueCodeableConcept",
                  "valueCoding"}  # fmt: skip


@pytest.mark.parametrize("shape", ["observations", "questionnaire"])
def test_an_acute_answer_with_any_part_spoiled_is_never_lost_in_silence(shape: str) -> None:
    loud = replace(default_config().site(), gap_card_every_h=0)
    client = open_app(ServiceConfig(sites=(loud,)), engine=Engine(), now=lambda: AS_OF).test_client()
    key = "screening" if shape == "observations" else "questionnaires"
    found = [{"resource": r} for r in given("C-SSRS, today: question 4 = yes", shape)]
    base = whole_request()
    base["prefetch"] = {t.key: None for t in templates()} | {"patient": patient()}
    base["prefetch"][key] = {"resourceType": "Bundle", "type": "searchset", "entry": found}
    tried = silent = 0
    for path in places(base):
        for nonsense in NONSENSE.elements:
            answer = client.post("/cds-services/depression-suicide-risk", json=spoiled(base, path, nonsense))
            tried += 1
            assert answer.status_code in (200, 400, 412), (path, nonsense)
            if answer.status_code == 200 and not answer.get_json()["cards"]:
                silent += 1
                last = next(step for step in reversed(path) if isinstance(step, str))
                assert last in UNRECOGNISABLE or path[-1] == key, (path, nonsense)

    print(f"{tried} spoiled requests, {silent} of them unrecognisable")
    assert tried > 400


def test_a_bundle_with_any_one_part_replaced_by_nonsense_is_read_or_refused() -> None:
    chart = json.loads(bundle(patient(), *resources(WHOLE), *given("EPDS, 2 days ago: item 10 = 1", "questionnaire")))
    drawer = random.Random(5)
    read = refused = 0
    for path in list(places(chart)):
        raw = json.dumps(spoiled(chart, path, drawer.choice(NONSENSE.elements))).encode()
        try:
            gathered = chart_bundle(raw, settings=ReadSettings(), as_of=AS_OF)
            cards_of(patient_record(gathered, settings=ReadSettings(), as_of=AS_OF, left_out=True), ENGINE)
            read += 1
        except FhirError:
            refused += 1

    assert read > 200
    assert refused > 3


def test_cdsh_094_no_value_name_or_token_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    client = open_app(engine=ENGINE, now=lambda: AS_OF).test_client()
    base = whole_request()
    base["prefetch"]["patient"] |= {"name": [{"family": "Quillfeather"}], "id": PATIENT}
    secrets = {"fhirServer": "http://127.0.0.1:9/fhir", "fhirAuthorization": {"access_token": "tok-7731"}}

    with caplog.at_level(logging.DEBUG):
        client.post("/cds-services/depression-suicide-risk", json=base | secrets)

    assert "hook-answered" in caplog.text
    for word in ("Quillfeather", "tok-7731", "T14", "several days", PATIENT + '"', "Practitioner/doc"):
        assert word not in caplog.text
