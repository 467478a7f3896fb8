"""At discharge: a positive safety answer, and the three steps after it: on file, none found, or not to be read."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from builders import (
    AS_OF,
    FOLLOW_UP,
    ICD,
    MAPS,
    PATIENT,
    SNOMED,
    appointment,
    bundle,
    care_plan,
    codeable,
    gap_said,
    given,
    moment,
    open_app,
    patient,
    prefetch_of,
    resource,
)
from pyfhircheck import Validator
from real_server import TOKEN, answer, answering

from cds_service.commands.assess_files import assess_file
from cds_service.commands.assessed_view import print_assessed
from cds_service.serving.engine import load_engine
from cds_service.settings.config import ServiceConfig, default_config
from explanations.judgement.assessment import Engine
from explanations.judgement.regions import REGIONS
from fhir_adapters.access.templates import templates
from fhir_adapters.facts import ChartPart
from fhir_adapters.resources.gathered import DISCHARGE
from fhir_adapters.resources.validation import faults
from fhir_adapters.settings import ReadSettings

ADDRESS = "/cds-services/suicide-safety-discharge"
NOW = {"userId": "Practitioner/doc", "patientId": PATIENT, "encounterId": "now"}
ITEM_9 = "PHQ-9, 6 days ago: items 1-7 = 1, item 8 = 0, item 9 = 1"
INTENT = "C-SSRS, today: question 1 2 4 = yes, question 6 = no"
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "forbidden"}]}
ASSESSED, PLAN, BOOKED = (
    "Risk assessment",
    "Safety plan",
    "Follow-up booked (90 days)",
)
ORDER, TASK = "Draft order: suicide risk assessment, today", "Draft task: follow-up contact within 7 days"
NONE = "none found since in the records read"


def service(**card_settings):
    site = default_config().sites[0]
    reading = ReadSettings(budget_s=5.0, maps=MAPS)
    site = replace(site, reading=reading, cards=replace(site.cards, **card_settings))
    return open_app(ServiceConfig(sites=(site,)), engine=Engine(), now=lambda: AS_OF).test_client()


CLIENT = service()


def post(*lines, client=CLIENT, who: dict | None = None, context: dict = NOW, without=(), **keys):
    """A call with these lines of a table, or resources, as the chart; `keys` replace prefetch keys."""
    held = [r for line in lines for r in (given(line) if isinstance(line, str) else [line])]
    sent = prefetch_of([who or patient(), *held], DISCHARGE) | keys
    sent = {key: value for key, value in sent.items() if key not in without}
    body = {"hook": "encounter-discharge", "hookInstance": "h", "context": context, "prefetch": sent}
    return client.post(ADDRESS, json=body)


def cards(*lines, **more) -> list[dict]:
    got = post(*lines, **more)
    assert got.status_code == 200, got.get_json()
    return got.get_json()["cards"]


def topics(*lines, **more) -> list[str]:
    return [f"{c['source']['topic']['code']} {c['indicator']}" for c in cards(*lines, **more)]


def step(card: dict, label: str) -> str:
    """What a card says of a step, its sources in the place of their numbers."""
    lines, sources = card["detail"].splitlines(), dict(re.findall(r"\[(\d+)\] (`[^`]*`)", card["detail"]))
    (none,) = [line for line in lines if line.startswith("- None found since")] or [""]
    if label.lower() in none:
        return NONE
    (line,) = [line for line in lines if line.startswith(f"- {label}: ")]
    found = re.sub(r"( ?)\[(\d+)\]", lambda mark: (", " if mark[1] else "") + sources[mark[2]], line)
    return found.removeprefix(f"- {label}: ")


def buttons(card: dict) -> list[str]:
    return [s["label"] for s in card.get("suggestions", [])]


def at(when: str, **elements) -> dict:
    """A completed suicide risk assessment."""
    code = codeable(SNOMED, "225337009")
    return resource("Procedure", status="completed", code=code, performedDateTime=when, **elements)


def foreign(found: dict) -> dict:
    return json.loads(json.dumps(found).replace(f"Patient/{PATIENT}", "Patient/other"))


ALL_THREE = (at("2026-11-20"), care_plan("2 days ago"), appointment("in 5 days"))


# ---- the card ----


def test_a_positive_answer_with_nothing_after_it_gives_one_card_with_the_follow_up() -> None:
    (card,) = cards(ITEM_9)

    assert (card["source"]["topic"]["code"], card["indicator"]) == ("positive-safety-answer", "warning")
    assert card["summary"] == (
        "PHQ-9 item 9 answered “several days” 6 days ago (17 Nov 2026; total 8). "
        "Before discharge, check: risk assessment, safety plan, follow-up."
    )
    assert [step(card, label) for label in (ASSESSED, PLAN, BOOKED)] == [NONE, NONE, NONE]
    assert buttons(card) == [ORDER, TASK]


def test_what_to_consider_comes_first_then_crisis_lines_then_findings_and_steps_then_limits_and_sources() -> None:
    (card,) = cards(ITEM_9)
    detail = card["detail"]

    parts = ["**Before discharge**", "988", "911", "**In the chart**", "**PHQ-9 item 9: 1 of 3, several days.** 17 Nov 2026, 6 days ago [1]",
             "None found since", "Not a monitoring service.*", "*Sources: [1] `Observation/"]  # fmt: skip
    assert [detail.index(part) for part in parts] == sorted(detail.index(part) for part in parts)
    advice = detail.partition("**Before discharge**")[2].partition("**Crisis lines:**")[0]
    assert advice.count("\n- ") == 3
    assert "access to means" in advice
    assert "within 7 days" in advice
    assert len([line for line in detail.splitlines() if line.startswith("*") and not line.startswith("**")]) == 2
    assert "not a model" in detail


def test_nothing_to_discharge_with_is_nothing_to_say() -> None:
    assert cards() == []
    assert cards(*ALL_THREE) == []


def test_all_three_on_file_since_the_answer_give_no_card() -> None:
    assert cards(ITEM_9, *ALL_THREE) == []


@pytest.mark.parametrize("left", range(3))
def test_two_of_the_three_are_not_enough(left: int) -> None:
    there = [found for place, found in enumerate(ALL_THREE) if place != left]

    (card,) = cards(ITEM_9, *there)

    said = [step(card, label) for label in (ASSESSED, PLAN, BOOKED)]
    assert said.pop(left) == NONE
    assert all(f"`{found['resourceType']}/{found['id']}`" in words for found, words in zip(there, said, strict=True))
    assert buttons(card) == [label for place, label in ((0, ORDER), (2, TASK)) if place == left]
    assert card["summary"].endswith(f"check: {('risk assessment', 'safety plan', 'follow-up')[left]}.")


def test_what_is_on_file_is_given_with_date_and_reference() -> None:
    done, plan, _ = ALL_THREE

    (card,) = cards(ITEM_9, done, plan)

    assert step(card, ASSESSED) == f"20 Nov 2026, `Procedure/{done['id']}`"
    assert step(card, PLAN) == f"21 Nov 2026, `CarePlan/{plan['id']}`"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([INTENT], "acute-safety critical"),
        ([ITEM_9, INTENT], "acute-safety critical"),
        (["C-SSRS, 30 days ago: question 4 = yes"], "recent-safety warning"),
        (["C-SSRS, 30 days ago: question 4 = yes", "Risk assessment, 20 days ago"], "recent-safety info"),
        (["PHQ-9, 3 days ago: items 1-8 = 1, item 9 = declined"], "positive-safety-answer warning"),
        (["PHQ-9, 3 days ago: items 1-8 = 1, item 9 = unreadable"], "positive-safety-answer warning"),
        (["EPDS, 2 days ago: items 1-9 = 1, item 10 = 2"], "positive-safety-answer warning"),
        (["Condition T14.91XA, today"], "acute-safety critical"),
        (["Condition R45.851, 40 days ago"], "recent-safety warning"),
    ],
)
def test_the_card_has_topic_and_indicator_of_the_most_urgent_finding(lines: list[str], expected: str) -> None:
    assert topics(*lines, without=("care-plans",)) == [expected]


@pytest.mark.parametrize("line", ["C-SSRS, 91 days ago: question 4 = yes", "PHQ-9, 91 days ago: item 9 = 3", "Condition Z91.51, 5 days ago"])  # fmt: skip
def test_history_has_no_card_here_either(line: str) -> None:
    assert cards(line) == []


def test_every_finding_is_on_the_one_card() -> None:
    (card,) = cards(ITEM_9, INTENT, "Condition T14.91XA, 41 days ago")

    assert "C-SSRS question 4 (intent): yes" in card["detail"]
    assert "PHQ-9 item 9: 1 of 3" in card["detail"]
    assert "Suicide attempt" in card["detail"]


def test_an_acute_card_says_stay_and_that_nobody_was_notified_and_names_the_sites_contact() -> None:
    (card,) = cards(INTENT, client=service(contact="On-call psychiatry: ext. 4410"))
    advice = card["detail"].partition("**Before discharge**")[2].partition("**Crisis lines:**")[0]

    assert "Stay with the patient" in advice
    assert "On-call psychiatry: ext. 4410 (set by this site)" in advice
    assert "within 7 days" in advice
    assert advice.count("\n- ") == 3
    assert "Nobody has been notified" in card["detail"]


def advice(card: dict) -> list[str]:
    """What a card says to consider."""
    part = card["detail"].partition("**Before discharge**")[2].partition("**Crisis lines:**")[0]
    return [line.removeprefix("- ") for line in part.splitlines() if line]


UNREADABLE = "PHQ-9, 3 days ago: items 1-8 = 1, item 9 = unreadable"
ASQ = "ASQ, today: question 1 = yes, question 2 3 4 = no, acuity = no"
LOOK, BRIEF, STAY = (
    "Look at the source and ask directly",
    "Brief suicide safety assessment",
    "Stay with the patient; full safety evaluation",
)


@pytest.mark.parametrize(
    ("lines", "first"),
    [
        ([UNREADABLE], [LOOK]),
        ([ITEM_9, UNREADABLE], [LOOK]),
        (["C-SSRS, today: question 1 2 3 4 5 6 = unreadable"], [LOOK]),
        ([ASQ], [BRIEF]),
        (["ASQ, today: question 1 2 3 4 = declined, acuity = no"], [BRIEF]),
        ([ASQ, UNREADABLE], [LOOK, BRIEF]),
        ([ASQ.replace("today", "yesterday"), at("2026-11-23")], [f"{BRIEF}, if not done"]),
        ([INTENT, ASQ], [STAY]),
        ([INTENT, UNREADABLE], [STAY, LOOK]),
        (["ASQ, 40 days ago: question 1 = yes, acuity = no"], ["Clinical assessment; no single instrument decides"]),
    ],
)
def test_the_advice_is_that_of_the_instrument_three_lines_the_most_urgent_first(lines: list, first: list[str]) -> None:
    said = advice(cards(*lines)[0])

    assert len(said) == 3
    assert all(line.startswith(start) for line, start in zip(said, first, strict=False))
    assert "access to means" in " ".join(said)
    assert "within 7 days" in " ".join(said)


def test_the_sites_contact_pushes_no_advice_out() -> None:
    said = advice(cards(INTENT, UNREADABLE, client=service(contact="On-call: ext. 4410"))[0])

    assert said[:2] == [STAY, "On-call: ext. 4410 (set by this site)"]
    assert said[2].startswith(f"{LOOK}; make a safety plan; discuss access to means; agree on follow-up")
    assert len(said) == 3


def test_a_coded_method_and_a_low_level_are_not_shown() -> None:
    hanging = resource("Condition", code={"coding": [{"system": ICD, "code": "X83.8XXA", "display": "by Zebulon method"}]},
                       recordedDate=moment("5 days ago"))  # fmt: skip

    (card,) = cards(hanging)

    assert "Zebulon" not in json.dumps(card)


LONG = (
    "C-SSRS, today: question 1 2 = no, question 6 = yes, q6_recent = yes",
    "C-SSRS, today: question 1 2 3 4 5 6 = unreadable",
    "ASQ, today: question 1 2 3 4 = yes, acuity = yes",
    "PHQ-9, 9 days ago: total = 26",
)


@pytest.mark.parametrize("line", [ITEM_9, INTENT, *LONG])
def test_the_summary_is_short_and_keeps_finding_and_date(line: str) -> None:
    for extra in ([], ["Condition T14.91XA, 41 days ago"]):
        card = cards(line, *extra)[0]

        assert len(card["summary"]) < 140
        assert "2026" in card["summary"]
        assert "discharge" in card["summary"]


# ---- later ----


@pytest.mark.parametrize(
    ("finding", "done", "counts"),
    [
        ("2026-11-17", "2026-11-18", True),
        ("2026-11-17", "2026-11-16", False),
        ("2026-11-17", "2026-11-17", False),
        ("2026-11-23T09:40:00Z", "2026-11-23T11:00:00Z", True),
        ("2026-11-23T09:40:00Z", "2026-11-23T09:00:00Z", False),
        ("2026-11-23T09:40:00Z", "2026-11-23T09:40:00Z", False),
        ("2026-11-23T09:40:00Z", "2026-11-23", False),
        ("2026-11-23", "2026-11-23T11:00:00Z", False),
        ("2026-11-17", "2026-11", False),
        ("2026-10-17", "2026-11", True),
        ("2026-11", "2026-11-20", False),
        ("2026-10", "2026-11-20", True),
        ("2026-11-17", "2026-11-30", False),
        ("2026-11-17", None, False),
        (None, "2026-11-20", False),
        ("2027-01-01", "2026-11-23", False),
    ],
)
def test_a_step_counts_only_when_the_chart_shows_it_to_be_later(
    finding: str | None, done: str | None, counts: bool
) -> None:
    dated = {"effectiveDateTime": finding} if finding else {}
    (found,) = given("C-SSRS, undated: question 4 = yes")
    assessment, plan = at(done), care_plan(None, created=done)
    if done is None:
        del assessment["performedDateTime"], plan["created"]

    (card,) = cards(found | dated, assessment, plan)

    for label, entry in ((ASSESSED, assessment), (PLAN, plan)):
        words = step(card, label)
        plain = words.startswith(("20", "18 ", "23 ", "Nov", "dated"))
        assert plain is counts, words
        assert f"`{entry['resourceType']}/{entry['id']}`" in words, "what does not count is named"
    assert (ORDER in buttons(card)) is not counts


def test_what_is_dated_later_today_than_now_is_of_the_future_and_does_not_count() -> None:
    late, plan = at("2026-11-23T15:00:01Z"), care_plan(None, created="2026-11-23T22:00:00Z")

    (card,) = cards(ITEM_9, late, plan, appointment("in 5 days"))

    assert (
        step(card, ASSESSED)
        == f"not certain; one 23 Nov 2026 15:00 UTC, in the future, `Procedure/{late['id']}`; not counted"
    )
    assert (
        step(card, PLAN)
        == f"not certain; one 23 Nov 2026 22:00 UTC, in the future, `CarePlan/{plan['id']}`; not counted"
    )


UNKNOWN_ORDER = "not certain; one on file: "
BEFORE_ONSET = f"{NONE}; one before the recorded onset: "


@pytest.mark.parametrize(
    ("coded", "said"),
    [
        ({"recordedDate": "2026-11-23T14:00:00Z", "onsetDateTime": "2026-11-23T13:30:00Z"}, BEFORE_ONSET),
        ({"recordedDate": "2026-11-23T14:00:00Z", "onsetPeriod": {"start": "2026-11-23T13:30:00Z"}}, BEFORE_ONSET),
        ({"recordedDate": "2026-11-23T14:00:00Z"}, UNKNOWN_ORDER),
        ({"recordedDate": "2026-11-23T14:00:00Z", "onsetDateTime": "2026-11-23"}, UNKNOWN_ORDER),
        ({"recordedDate": "2026-11-23"}, UNKNOWN_ORDER),
        ({"onsetDateTime": "2026-11-23"}, "not certain; one on the same day: "),
        ({"recordedDate": "2026-11-23T08:30:00Z"}, ""),
        ({"recordedDate": "2026-11-23T08:30:00Z", "onsetDateTime": "2026-11-23"}, ""),
        ({"recordedDate": "2026-11-23T14:00:00Z", "onsetDateTime": "2026-11-23T07:00:00Z"}, ""),
        ({"recordedDate": "2026-11-23T14:00:00Z", "onsetDateTime": "2026-11-22"}, ""),
        ({}, ""),
    ],
)
def test_what_was_coded_later_in_a_visit_is_not_answered_by_a_step_after_its_start(coded: dict, said: str) -> None:
    visit = resource("Encounter", id="now", status="in-progress", period={"start": "2026-11-23T08:00:00Z"})
    visit["class"] = {"code": "EMER"}
    (attempt,) = given("Condition T14.91XA, undated")
    attempt |= {"encounter": {"reference": "Encounter/now"}} | coded

    (card,) = cards(visit, attempt, at("2026-11-23T09:00:00Z"), care_plan(None, created="2026-11-23T09:00:00Z"))

    for label in (ASSESSED, PLAN):
        assert step(card, label).startswith(f"{said}23 Nov 2026 09:00 UTC")


def test_two_codes_of_one_visit_are_one_finding_and_a_step_must_be_later_than_both() -> None:
    visit = resource("Encounter", id="now", status="in-progress", period={"start": "2026-11-23T08:00:00Z"})
    visit["class"] = {"code": "EMER"}
    first, second = (
        given("Condition T14.91XA, undated")[0] | {"encounter": {"reference": "Encounter/now"}} for _ in "ab"
    )
    first["recordedDate"], second["onsetDateTime"] = "2026-11-23T08:05:00Z", "2026-11-23T12:00:00Z"

    for coded in ((first, second), (second, first)):
        assert step(cards(visit, *coded, at("2026-11-23T09:00:00Z"))[0], ASSESSED).startswith(BEFORE_ONSET)
        assert step(cards(visit, *coded, at("2026-11-23T13:00:00Z"))[0], ASSESSED).startswith("23 Nov 2026 13:00")


def test_an_assessment_of_the_same_visit_an_hour_later_counts_and_does_not_lower_the_finding() -> None:
    place = {"encounter": {"reference": "Encounter/now"}}
    answer_today = given("C-SSRS, undated: question 4 = yes")[0] | {"effectiveDateTime": "2026-11-23T09:40:00Z"} | place

    (card,) = cards(answer_today, at("2026-11-23T10:40:00Z", **place))

    assert card["indicator"] == "critical"
    assert step(card, ASSESSED).startswith("23 Nov 2026 10:40 UTC, `Procedure/")


def test_a_step_must_be_later_than_every_finding() -> None:
    assert step(cards(ITEM_9, "C-SSRS, 30 days ago: question 4 = yes", at("2026-11-10"))[0], ASSESSED).startswith(NONE)


def test_an_earlier_plan_is_named_as_such() -> None:
    (card,) = cards(ITEM_9, care_plan("200 days ago"))

    assert step(card, PLAN).startswith(f"{NONE}; an earlier one: 7 May 2026, `CarePlan/")


def test_a_later_negative_screen_is_named_with_the_finding_and_is_no_assessment() -> None:
    (card,) = cards("C-SSRS, 30 days ago: question 4 = yes", "C-SSRS, 2 days ago: question 1 2 6 = no")

    assert card["indicator"] == "info"
    assert "Later: C-SSRS, every question asked answered no. 21 Nov 2026" in card["detail"]
    assert step(card, ASSESSED) == NONE


@pytest.mark.parametrize("status", ["in-progress", "not-done", "entered-in-error", "preparation", "unknown"])
def test_only_a_completed_assessment_counts(status: str) -> None:
    assert step(cards(ITEM_9, at("2026-11-20") | {"status": status})[0], ASSESSED) == NONE


# ---- safety plans ----


@pytest.mark.parametrize(
    "words",
    [
        "Safety plan", "Suicide safety plan (Stanley-Brown)", "SAFETY PLAN reviewed with patient", "Crisis plan", "Crisis response plan", "Safety planning intervention",
        "Plan de seguridad", "Plan de crisis", "Plan de prevención del suicidio", "Stanley Brown", "Stanley-Brown safety planning intervention", "My safety plan.",
        "Safety plan - completed", "Safety plan: reviewed and updated", "Safety Plan 2026-11-21", "Safety plan completed on 11/21/26", "Safety and crisis plan",
        "Personal safety plan", "Suicidal crisis response plan", "Psychiatric crisis plan", "Mental health crisis plan", "Suicide prevention plan",
        "Plan de seguridad personal", "Plan de seguridad realizado con la paciente", "PLAN DE SEGURIDAD DE SUICIDIO", "Plan de crisis (revisado)",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "place",
    [
        lambda w: {"title": w},
        lambda w: {"title": None, "description": w},
        lambda w: {"title": "Plan", "category": [{"text": w}]},
        lambda w: {"title": "Plan", "category": [{"coding": [{"system": "urn:x", "code": "1", "display": w}]}]},
        lambda w: {"title": "Plan", "activity": [{"detail": {"status": "completed", "code": {"text": w}}}]},
        lambda w: {"title": "Plan", "activity": [{"detail": {"status": "in-progress", "code": {"coding": [{"display": w}]}}}]},
    ],
)  # fmt: skip
def test_a_plan_is_known_by_its_words_wherever_they_stand(words: str, place) -> None:
    assert step(cards(ITEM_9, care_plan("2 days ago", **place(words)))[0], PLAN).startswith("21 Nov 2026, `CarePlan/")


@pytest.mark.parametrize(
    "words",
    [
        "Fall safety plan", "Home safety plan", "Fire safety plan", "Sickle cell crisis plan", "Adrenal crisis plan", "Medication safety plan", "Safety plan for falls",
        "Safety plan declined", "No safety plan", "Safety plan: declined by patient", "Safety plan not completed", "Safety plan needed", "Sin plan de seguridad",
        "Plan de seguridad infantil", "Safety plan was offered but patient declined", "Unable to complete the safety plan", "Patient unwilling to make a safety plan",
        "Patient couldn't complete safety plan", "Patient didn't want a safety plan", "Safety plan isn't done", "Patient does not wish to complete the safety plan",
        "No se realizó el plan de seguridad", "El paciente no quiso hacer el plan de seguridad", "Se niega a hacer plan de seguridad", "Plan de seguridad por hacer",
        "Safety plan to be completed", "Will complete safety plan tomorrow", "Safety plan TBD", "Safety plan deferred", "Safety plan n/a", "Safety plan offered",
        "Safety plan recommended", "Consider safety plan", "Safety plan outstanding", "Safety plan expired", "Safety plan template", "Safety plan?", "[ ] Safety plan",
        "Safety plan:", "Safety plan 2024-01-05", "Safety plan 2027-01-05", "Discuss safety plan at next visit", "Domestic violence safety plan", "IPV safety plan",
        "Intimate partner violence safety plan", "Plan de seguridad (violencia de género)", "Vaso-occlusive crisis plan", "Pain crisis plan", "Thyroid crisis plan",
        "Elopement safety plan", "Wandering safety plan", "Aggression safety plan", "Staff safety plan", "Patient safety plan", "Pool safety plan",
        "Choking safety plan", "Safety plan completed, no access to firearms", "Discussed home situation. Safety plan made.",
    ],
)  # fmt: skip
def test_a_plan_in_other_words_is_named_and_does_not_count(words: str) -> None:
    for plan in (
        care_plan("2 days ago", words),
        care_plan("2 days ago", description=words),
        care_plan("2 days ago", category=[{"coding": [{"system": "urn:x", "code": "1", "display": words}]}]),
    ):
        (card,) = cards(ITEM_9, at("2026-11-20"), plan, appointment("in 5 days"))

        said = f"{NONE}; one that was not understood: 21 Nov 2026, `CarePlan/{plan['id']}`; not counted"
        assert step(card, PLAN) == said
        assert words not in json.dumps(card["summary"] + step(card, PLAN))


@pytest.mark.parametrize("words", ["Care plan", "Depression care plan", "Safety", "Crisis", "Patient safety officer planned", "Suicide plan", "Plan de cuidados"])  # fmt: skip
def test_a_care_plan_that_names_no_safety_plan_is_none(words: str) -> None:
    assert step(cards(ITEM_9, care_plan("2 days ago", words))[0], PLAN) == NONE


@pytest.mark.parametrize(
    ("elements", "counts"),
    [
        ({"category": [codeable("http://hl7.org/fhir/us/core/CodeSystem/careplan-category", "assess-plan")]}, True),
        ({"category": [{"text": "Assessment and Plan of Treatment"}]}, True),
        ({"category": [{"text": "Mental health care plan"}]}, True),
        ({"description": "Safety plan reviewed with patient"}, True),
        ({"activity": [{"detail": {"status": "completed", "code": {"text": "Removed firearms"}}}]}, True),
        ({"category": [{"text": "Domestic violence"}]}, False),
        ({"category": [{"coding": [{"system": "urn:x", "code": "dv"}]}]}, False),
        ({"description": "Patient declined"}, False),
        ({"activity": [{"detail": {"status": "not-started", "code": {"text": "Complete safety plan"}}}]}, False),
        ({"activity": [{"detail": {"status": "completed", "code": {"text": "Offered safety plan"}}}]}, False),
    ],
)
def test_what_else_a_plan_says_must_not_speak_against_it(elements: dict, counts: bool) -> None:
    words = step(cards(ITEM_9, care_plan("2 days ago", **elements))[0], PLAN)

    assert words.startswith("21 Nov 2026" if counts else f"{NONE}; one that was not understood")


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"status": "active"}, "21 Nov"),
        ({"status": "completed"}, "21 Nov"),
        ({"intent": "order"}, "21 Nov"),
        ({"status": "on-hold"}, f"{NONE}; one on hold or ended: 21 Nov"),
        ({"period": {"start": "2026-11-21", "end": "2026-11-22"}}, f"{NONE}; one on hold or ended: 21 Nov"),
        ({"period": {"start": "2026-11-21", "end": "2026-11-23"}}, "21 Nov"),
        ({"period": {"start": "2026-11-21", "end": "2026-11-23T08:00:00Z"}}, f"{NONE}; one on hold or ended: 21 Nov"),
        ({"period": {"start": "2027-03-01"}}, f"{NONE}; one that has not begun, or has no start date: 21 Nov"),
        ({"period": {"start": "2026-11-23T15:00:01Z"}}, f"{NONE}; one that has not begun, or has no start date: 21 Nov"),
        ({"period": {"start": "2026-11"}}, f"{NONE}; one that has not begun, or has no start date: 21 Nov"),
        ({"period": {"start": "2026-11-23T15:00:00Z"}}, "21 Nov"),
        ({"status": "draft"}, NONE),
        ({"status": "revoked"}, NONE),
        ({"status": "entered-in-error"}, NONE),
        ({"status": "unknown"}, NONE),
        ({"intent": "proposal"}, NONE),
        ({"intent": "option"}, NONE),
        ({"title": "Plan", "activity": [{"detail": {"status": "not-started", "code": {"text": "Safety plan"}}}]}, NONE),
        ({"title": "Plan", "activity": [{"detail": {"status": "completed", "doNotPerform": True, "code": {"text": "Safety plan"}}}]}, NONE),
    ],
)  # fmt: skip
def test_which_plans_count(elements: dict, said: str) -> None:
    words = step(cards(ITEM_9, care_plan("2 days ago", **elements))[0], PLAN)

    assert words.startswith(said)
    assert said != NONE or words == NONE


def test_a_plan_without_a_date_of_making_is_dated_by_its_beginning() -> None:
    plan = care_plan(None, period={"start": "2026-11-19"})

    assert step(cards(ITEM_9, plan)[0], PLAN) == f"19 Nov 2026, `CarePlan/{plan['id']}`"
    assert step(cards(ITEM_9, plan | {"created": "2026-11-10"})[0], PLAN).startswith(f"{NONE}; an earlier one: 10 Nov")


# ---- appointments ----


def kind(**elements):
    return appointment("in 9 days", **elements)


@pytest.mark.parametrize(
    "found",
    [
        kind(**FOLLOW_UP),
        kind(appointmentType=codeable("http://hl7.org/fhir/v2/0276", "FOLLOWUP")),
        kind(serviceCategory=[{"text": "Mental Health"}]),
        kind(serviceType=[{"coding": [{"code": "1", "display": "Behavioral Health"}]}]),
        kind(serviceType=[{"text": "Behavioural health"}]),
        kind(specialty=[codeable(SNOMED, "394587001")]),
        kind(specialty=[{"text": "Psychiatry"}]),
        kind(specialty=[{"text": "Psiquiatría"}]),
        kind(reasonCode=[{"text": "Suicidal thoughts, review"}]),
        kind(description="Salud mental, primera visita"),
        kind(description="Crisis team"),
        kind(description="Counselling"),
        kind(description="Post-discharge follow-up"),
        kind(description="Seguimiento"),
        kind(description="Follow up with Dr. X", specialty=[{"text": "General practice"}]),
        kind(description="Psychotherapy after surgery"),
        *[
            kind(description=words)
            for words in ("MH intake", "psych f/u", "IOP", "Partial hospitalization", "CMHT", "CAMHS", "Post-discharge visit", "F/U",
                          "Crisis", "PCP hospital follow-up", "Control post-alta", "Visita de seguimiento", "Follow-up in 2 weeks", "BH intake")
        ],
        kind(**FOLLOW_UP, specialty=[codeable(SNOMED, "394814009")], description="Follow-up"),
        kind(**FOLLOW_UP, specialty=[codeable(SNOMED, "419772000")]),
        kind(**FOLLOW_UP, serviceType=[{"text": "Primary care"}]),
        kind(**FOLLOW_UP, reasonReference=[{"reference": "Condition/1", "display": "Suicidal ideation"}]),
        kind(specialty=[codeable(SNOMED, "394587001")], comment="Bring your insurance card"),
    ],
)  # fmt: skip
def test_a_follow_up_is_known_by_code_or_words(found: dict) -> None:
    assert step(cards(ITEM_9, found)[0], BOOKED) == f"2 Dec 2026 12:00 UTC, `Appointment/{found['id']}`"


@pytest.mark.parametrize(
    "found",
    [
        kind(description="Check-up"),
        kind(appointmentType=codeable("http://terminology.hl7.org/CodeSystem/v2-0276", "ROUTINE")),
        kind(appointmentType=codeable("urn:local", "FOLLOWUP")),
        kind(specialty=[{"text": "Orthopaedics"}], **FOLLOW_UP),
        kind(description="Follow-up fracture clinic"),
        kind(serviceType=[{"text": "Genetic counseling"}]),
        kind(reasonCode=[{"text": "Smoking cessation counselling"}]),
        kind(serviceCategory=[]),
        *[
            kind(description=words)
            for words in ("No follow-up needed", "Follow-up declined", "Cancel: psychiatry", "Not psychiatry", "Psychiatry: patient didn't want it",
                          "Psychology research study visit", "Suicide prevention training for staff", "Psychiatric medication - pharmacy refill by mail",
                          "Psiquiatría: cancelada", "Follow-up CT chest", "Follow-up colonoscopy", "Follow-up INR", "Follow-up ENT", "Vascular follow-up",
                          "Breast clinic follow-up", "Seguimiento de embarazo", "Marriage counselling", "Family counselling", "Adherence counselling",
                          "Hypertensive crisis", "Neuropsychological testing", "Psychiatry, pending referral", "IOP and visual field")
        ],
        kind(**FOLLOW_UP, comment="Knee MRI"),
        kind(**FOLLOW_UP, reasonCode=[codeable(ICD, "M17.11")]),
        kind(**FOLLOW_UP, reasonReference=[{"reference": "Condition/1"}]),
        kind(**FOLLOW_UP, reasonReference=[{"reference": "Condition/1", "display": "Heart problem"}]),
        kind(**FOLLOW_UP, specialty=[codeable(SNOMED, "394801008")]),
        kind(**FOLLOW_UP, serviceType=[codeable("http://terminology.hl7.org/CodeSystem/service-type", "221")]),
        kind(description="IOP", specialty=[{"text": "Ophthalmology"}]),
        kind(specialty=[{"text": "Psychiatry"}], comment="Cancelled by patient"),
    ],
)  # fmt: skip
def test_another_appointment_is_named_and_does_not_count(found: dict) -> None:
    (card,) = cards(ITEM_9, found)

    assert step(card, BOOKED) == (
        f"{NONE}; another appointment: 2 Dec 2026 12:00 UTC, `Appointment/{found['id']}`; not recorded as follow-up"
    )
    assert TASK in buttons(card)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (appointment("in 90 days"), "21 Feb 2027 12:00 UTC"),
        (appointment("in 91 days"), f"{NONE}; one booked later than that: 22 Feb 2027"),
        (appointment("in 1 days") | {"start": "2026-11-24T00:00:00Z"}, "24 Nov 2026 00:00"),
        (appointment("today") | {"start": "2026-11-23T15:00:01Z"}, f"{NONE}; one today, before discharge: 23 Nov 2026 15:00 UTC"),
        (appointment("today", description="Psychiatry consult, ward 4") | {"start": "2026-11-23T23:59:00Z"}, f"{NONE}; one today"),
        (appointment("in 5 days") | {"start": "2026-12"}, "not certain; one without a date"),
        (appointment("today") | {"start": "2026-11-23T15:00:00Z"}, NONE),
        (appointment("today") | {"start": "2026-11-23"}, NONE),
        (appointment("3 days ago"), NONE),
        (appointment("in 5 days") | {"status": "pending"}, f"{NONE}; one not yet confirmed: 28 Nov 2026"),
        (appointment("in 5 days", description="Eye") | {"status": "pending"}, NONE),
        *[
            (appointment("in 5 days") | {"status": status}, NONE)
            for status in ("proposed", "arrived", "fulfilled", "cancelled", "noshow", "entered-in-error", "checked-in", "waitlist", "x")
        ],
        (appointment(None), "not certain; one without a date: date not recorded"),
    ],
)  # fmt: skip
def test_which_appointments_count(found: dict, said: str) -> None:
    words = step(cards(ITEM_9, found)[0], BOOKED)

    assert words.startswith(said)
    assert said != NONE or words == NONE


def test_an_appointment_that_the_patient_declined_does_not_count_and_one_that_another_declined_does() -> None:
    found = appointment("in 5 days")
    mine, theirs = found["participant"]

    refused = cards(ITEM_9, found | {"participant": [mine | {"status": "declined"}, theirs]})[0]
    other = cards(ITEM_9, found | {"participant": [mine, theirs | {"status": "declined"}]})[0]

    assert step(refused, BOOKED).startswith(f"{NONE}; one declined by the patient: 28 Nov 2026")
    assert step(other, BOOKED).startswith("28 Nov 2026")


@pytest.mark.parametrize(
    ("actor", "counts"),
    [
        ({"reference": "Practitioner/9", "display": "Dr. Ada Lopez"}, True),
        ({"reference": "Location/9"}, True),
        ({"reference": "Location/9", "display": "Primary care clinic"}, True),
        ({"reference": "Practitioner/9", "display": "Dr. Ada Lopez, Psychiatry"}, True),
        ({"reference": "Practitioner/9", "display": "Dr. Ada Lopez, Cardiology"}, False),
        ({"reference": "PractitionerRole/9", "display": "Ada Lopez (Orthopaedics)"}, False),
        ({"reference": "HealthcareService/9", "display": "Fracture"}, False),
        ({"reference": "Location/9", "display": "Endoscopy 4"}, False),
        ({"display": "Orthopaedic fracture clinic"}, False),
    ],
)
def test_who_takes_part_can_name_another_service(actor: dict, counts: bool) -> None:
    found = kind(**FOLLOW_UP)
    found["participant"].append({"actor": actor, "status": "accepted"})

    assert step(cards(ITEM_9, found)[0], BOOKED).startswith("2 Dec 2026" if counts else f"{NONE}; another appointment")


@pytest.mark.parametrize(("days", "offered"), [(7, False), (8, True), (40, True)])
def test_the_contact_within_seven_days_is_offered_unless_an_appointment_lies_within_them(
    days: int, offered: bool
) -> None:
    (card,) = cards(ITEM_9, appointment(f"in {days} days"))

    assert (TASK in buttons(card)) is offered
    assert not step(card, BOOKED).startswith(NONE)
    assert "follow-up" not in card["summary"]


def test_the_next_follow_up_is_named_and_the_latest_plan() -> None:
    far, near = appointment("in 40 days"), appointment("in 4 days")
    old, new = care_plan("5 days ago"), care_plan("1 days ago")

    (card,) = cards(ITEM_9, far, near, new, old)

    assert near["id"] in step(card, BOOKED)
    assert new["id"] in step(card, PLAN)


def test_no_free_text_of_a_plan_or_an_appointment_is_shown() -> None:
    secret = "Zebulon"
    held = [
        care_plan("200 days ago", f"Safety plan {secret}", description=f"Safety plan {secret}"),
        kind(description=f"Eye clinic {secret}", comment=secret, serviceType=[{"text": secret}]),
    ]

    assert secret not in json.dumps(cards(ITEM_9, *held))


# ---- whose it is ----


@pytest.mark.parametrize("place", range(3))
def test_cdsh_085_a_step_of_another_patient_never_counts_and_it_is_said(place: int) -> None:
    held = list(ALL_THREE)
    held[place] = foreign(held[place])

    (card,) = cards(ITEM_9, *held)

    assert step(card, (ASSESSED, PLAN, BOOKED)[place]) == NONE
    assert held[place]["id"] not in json.dumps(card)
    assert "1 entry for another patient" in card["detail"]


@pytest.mark.parametrize(
    ("actors", "own"),
    [
        ([{"reference": f"Patient/{PATIENT}"}], True),
        ([{"reference": f"Patient/{PATIENT}/_history/3"}], True),
        ([{"reference": "Practitioner/1"}, {"reference": f"Patient/{PATIENT}"}], True),
        ([{"reference": "Patient/other"}, {"reference": f"Patient/{PATIENT}"}], True),
        ([{"identifier": {"system": "urn:mrn", "value": "4471"}}], True),
        ([{"reference": "#me"}], True),
        ([{"reference": "Patient/other"}], False),
        ([{"reference": f"Practitioner/{PATIENT}"}], False),
        ([{"reference": f"https://elsewhere.example/fhir/Patient/{PATIENT}"}], False),
        ([{"identifier": {"system": "urn:mrn", "value": "Patient 1"}}], False),
        ([{"display": "Marguerite"}], False),
        ([], False),
    ],
)
def test_an_appointment_is_a_patients_when_the_patient_takes_part(actors: list[dict], own: bool) -> None:
    who = patient(identifier=[{"system": "urn:mrn", "value": "4471"}])
    inside = {"resourceType": "Patient", "id": "me", "identifier": [{"system": "urn:mrn", "value": "4471"}]}
    found = appointment("in 5 days") | {"participant": [{"actor": a} for a in actors], "contained": [inside]}

    (card,) = cards(ITEM_9, found, who=who)

    assert (step(card, BOOKED) != NONE) is own
    assert ("left out" in card["detail"]) is not own
    assert ("names no patient" in card["detail"]) is ("Patient" not in json.dumps(actors) and not own)


def test_an_unreadable_appointment_of_another_patient_is_not_this_patients() -> None:
    broken = appointment("in 5 days") | {"description": 5}

    (card,) = cards(ITEM_9, foreign(broken))

    assert step(card, BOOKED) == NONE
    assert step(cards(ITEM_9, broken)[0], BOOKED) == f"could not be read (`Appointment/{broken['id']}`)"


def test_another_patients_resource_of_the_same_id_takes_no_ones_place() -> None:
    own = appointment("in 5 days") | {"meta": {"lastUpdated": "2026-11-01T00:00:00Z"}}
    theirs = foreign(own) | {"meta": {"lastUpdated": "2026-11-20T00:00:00Z"}, "status": "cancelled"}

    for order in ((own, theirs), (theirs, own)):
        assert step(cards(ITEM_9, *order)[0], BOOKED).startswith("28 Nov 2026")


def test_a_plan_with_a_label_of_substance_use_is_put_away_unread() -> None:
    labelled = care_plan("2 days ago") | {"meta": {"security": [{"code": "42CFRPart2"}]}}

    assert step(cards(ITEM_9, labelled)[0], PLAN) == NONE


# ---- RiskAssessments (decision 0028) ----


def assessed_risk(line: str) -> dict:
    return given(line)[0]


def test_a_clinicians_final_risk_assessment_is_the_step_whatever_its_result() -> None:
    for risk in ("low", "high"):
        done = assessed_risk(f"RiskAssessment, 2026-11-20: {risk}")
        (card,) = cards(ITEM_9, done, *ALL_THREE[1:2])

        assert step(card, ASSESSED) == f"20 Nov 2026, `RiskAssessment/{done['id']}`"


def test_a_risk_assessment_with_a_positive_result_alone_asks_for_the_other_steps() -> None:
    (card,) = cards(assessed_risk("RiskAssessment, 2026-11-20: high"))

    assert step(card, ASSESSED).startswith("20 Nov 2026")
    assert [step(card, label) for label in (PLAN, BOOKED)] == [NONE, NONE]


@pytest.mark.parametrize("extra", ["by software", "by nobody", "preliminary"])
def test_what_is_no_completed_assessment_is_no_step_and_is_named(extra: str) -> None:
    found = assessed_risk(f"RiskAssessment, 2026-11-20, {extra}: low")

    (card,) = cards(ITEM_9, found, *ALL_THREE[1:])

    entry = f"20 Nov 2026, `RiskAssessment/{found['id']}`"
    assert step(card, ASSESSED).endswith(f"; one not final, or not known to be a clinician’s: {entry}")


def test_where_risk_assessments_are_not_offered_the_step_says_nothing_of_them() -> None:
    (never_sent,) = cards(ITEM_9, without=("risk-assessments",))
    (failed,) = cards(ITEM_9, **{"risk-assessments": OUTCOME})
    broken, _ = cards(
        ITEM_9, resource("RiskAssessment", status="final", code=codeable(SNOMED, "225337009"), comment="x")
    )

    assert step(never_sent, ASSESSED) == NONE
    assert step(failed, ASSESSED) == "could not be read (the EHR returned an error report)"
    assert step(broken, ASSESSED).startswith("could not be read (`RiskAssessment/")


# ---- unknown is not none ----


@pytest.mark.parametrize(("key", "label"), [("procedures", ASSESSED), ("care-plans", PLAN), ("appointments", BOOKED)])
def test_a_step_that_could_not_be_looked_for_is_said_to_be_unread_and_the_card_comes(key: str, label: str) -> None:
    kinds = ("Procedure", "CarePlan", "Appointment")
    others = [found for found in ALL_THREE if found["resourceType"] != kinds[(ASSESSED, PLAN, BOOKED).index(label)]]

    (refused,) = cards(ITEM_9, *others, **{key: OUTCOME})
    (absent,) = cards(ITEM_9, *others, without=(key,))
    (empty,) = cards(ITEM_9, *others, **{key: None})

    assert step(refused, label) == "could not be read (the EHR returned an error report)"
    assert step(absent, label) == "could not be read (not sent, and no access to the EHR was given)"
    assert step(empty, label) == NONE


@pytest.mark.parametrize(
    ("found", "label"),
    [
        (at("2026-11-20") | {"code": 5}, ASSESSED),
        (care_plan("2 days ago") | {"title": 5}, PLAN),
        (care_plan("2 days ago") | {"modifierExtension": [{"url": "urn:x"}]}, PLAN),
        (care_plan("2 days ago") | {"custodian": {"reference": "Practitioner/1"}}, PLAN),
        (care_plan("2 days ago") | {"context": {"reference": "Encounter/1"}}, PLAN),
        (appointment("in 5 days") | {"participant": {}}, BOOKED),
        (appointment("in 5 days") | {"reason": []}, BOOKED),
        (appointment("in 5 days") | {"serviceCategory": {"text": "x"}}, BOOKED),
    ],
)
def test_a_step_that_cannot_be_read_is_said_with_its_reference_and_is_no_step(found: dict, label: str) -> None:
    (card,) = cards(ITEM_9, found)

    words = step(card, label)
    assert words.startswith("could not be read (`")
    assert found["id"] in words or "patient not readable" in words


def test_a_step_that_was_found_counts_although_another_entry_cannot_be_read() -> None:
    broken = care_plan("2 days ago") | {"title": 5}

    assert cards(ITEM_9, *ALL_THREE, broken) == []


def test_an_unreadable_step_is_nothing_to_say_without_a_finding() -> None:
    assert cards(care_plan("2 days ago") | {"title": 5}, appointment("in 5 days") | {"start": 5}) == []
    assert cards(without=("care-plans", "appointments", "procedures")) == []


def test_what_was_withheld_for_consent_is_said_as_not_read() -> None:
    denial = resource("Consent", status="active", provision={"type": "deny"}) | {
        "patient": {"reference": f"Patient/{PATIENT}"}
    }

    (card,) = cards(ITEM_9, denial, without=("care-plans",))

    assert step(card, PLAN).startswith("could not be read (not read: the patient has not consented")


@pytest.mark.parametrize("key", ["patient", "conditions", "screening", "questionnaires"])
def test_needed_data_that_was_not_obtained_is_said_without_a_finding_and_with_one(key: str) -> None:
    assert "Not read: " in gap_said(post(without=(key,)))
    finding = "Condition T14.91XA, 41 days ago" if key != "conditions" else INTENT

    found = topics(finding, without=(key,))

    assert found[-1] == "could-not-assess info"
    assert len(found) == 2


def test_a_depression_total_alone_does_not_stand_for_needed_data_that_is_missing() -> None:
    assert "Not read: conditions" in gap_said(
        post("PHQ-9, 6 days ago: total = 18", without=("conditions", "questionnaires"))
    )


def test_needed_data_that_is_missing_is_said_also_when_every_step_is_on_file() -> None:
    assert topics(ITEM_9, *ALL_THREE, without=("conditions",)) == ["could-not-assess info"]


@pytest.mark.parametrize(
    "found",
    [resource("Condition", onsetDateTime=5), resource("QuestionnaireResponse", item=7)],
)
def test_an_entry_that_may_hide_an_answer_is_said(found: dict) -> None:
    assert topics(found) == ["could-not-assess info"]


def test_a_blank_item_9_is_said_at_discharge() -> None:
    assert topics("PHQ-9, 5 days ago: items 1-8 = 1, item 9 = blank") == ["could-not-assess info"]


# ---- what does not speak here ----


@pytest.mark.parametrize("line", ["PHQ-9, 6 days ago: items 1-8 = 2, item 9 = 0", "PHQ-9, 6 days ago: total = 21", "PHQ-2, 6 days ago: total = 4"])  # fmt: skip
def test_a_depression_score_has_no_card_at_discharge(line: str) -> None:
    assert cards(line) == []


def test_no_model_is_asked_and_none_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    from explanations.judgement import assessment

    monkeypatch.setattr(assessment, "score", lambda *_: pytest.fail("a model was asked"))
    client = open_app(now=lambda: AS_OF).test_client()

    assert topics("Condition 193462001, 100 days ago, problem list", "Condition 13645005, 900 days ago, problem list", client=client) == []  # fmt: skip
    assert topics(ITEM_9, client=client) == ["positive-safety-answer warning"]


def test_consent_that_could_not_be_read_silences_nothing_here() -> None:
    assert cards(without=("consents",)) == []
    assert topics(ITEM_9, without=("consents",)) == ["positive-safety-answer warning"]


def test_contradictions_of_the_patients_own_data_are_a_line_and_no_card() -> None:
    odd = "PHQ-9, 6 days ago: items 1-8 = 1, item 9 = {}, total = 20"

    assert cards(odd.format(0)) == []
    (card,) = cards(odd.format(2))
    assert "PHQ-9: total 20, but the nine answers add up to 10." in card["detail"]


def test_answers_that_name_somebody_else_are_said_because_they_may_be_this_patients() -> None:
    assert topics(*[foreign(r) for r in given(INTENT)]) == ["data-anomaly info"]


@pytest.mark.parametrize("foreigners", [1, 12, 4000])
def test_answers_of_somebody_else_have_a_short_summary_that_is_not_cut(foreigners: int) -> None:
    (one,) = given("C-SSRS, today: question 4 = yes")
    held = [foreign(one | {"id": f"o{n}"}) for n in range(foreigners)]
    nameless = {key: value for key, value in one.items() if key != "subject"}

    (card,) = cards(*held, nameless, foreign(care_plan("today")))

    noun = "1 entry" if foreigners == 1 else f"{foreigners} entries"
    assert card["summary"].startswith(
        f"{noun} for another patient or from an unknown server, which may contain answers,"
    )
    assert card["summary"].endswith(" left out, and 1 more. Check whose they are.")
    assert len(card["summary"]) < 140
    assert "…" not in card["summary"]
    assert "1 entry that names no patient and may contain answers was left out." in card["detail"]
    assert "no estimate" not in json.dumps(card)


def test_somebody_elses_plan_or_appointment_is_no_card_of_its_own() -> None:
    nameless = appointment("in 5 days") | {"participant": [{"actor": {"reference": "Practitioner/1"}}]}

    assert cards(foreign(care_plan("today")), foreign(appointment("in 5 days")), nameless, foreign(at("today"))) == []
    assert cards(ITEM_9, *ALL_THREE, foreign(care_plan("today"))) == []
    assert "1 entry for another patient" in cards(ITEM_9, foreign(care_plan("today")))[0]["detail"]


def test_a_deceased_patient_gets_no_card_but_for_answers_dated_after_death() -> None:
    for died in ({"deceasedBoolean": True}, {"deceasedDateTime": "2026-11-23"}):
        assert cards(ITEM_9, INTENT, who=patient(**died)) == []

    (card,) = cards(INTENT, *ALL_THREE, who=patient(deceasedDateTime="2026-11-20"))

    assert (card["source"]["topic"]["code"], card["indicator"]) == ("data-anomaly", "warning")
    assert card["summary"].endswith("after the recorded date of death (20 Nov 2026, 3 days ago). Check the source.")
    assert not {"suggestions", "links"} & set(card)


@pytest.mark.parametrize("age", [9, 15, None])
def test_the_rules_speak_at_every_age(age: int | None) -> None:
    (card,) = cards(INTENT, who=patient(age=age))

    assert (card["source"]["topic"]["code"], card["indicator"]) == ("acute-safety", "critical")
    assert buttons(card) == [ORDER, TASK]
    assert ("NIMH" in card["links"][0]["label"]) is (age is not None)


def test_us_guidelines_stay_in_the_us() -> None:
    (there,), (elsewhere,) = cards(ITEM_9), cards(ITEM_9, client=service(region=REGIONS["generic"]))

    assert "links" in there
    assert "links" not in elsewhere


# ---- suggestions ----


@pytest.mark.parametrize("lines", [[ITEM_9], [INTENT], [ITEM_9, INTENT, "Condition T14.91XA, 41 days ago"]])
def test_cdsh_134_146_no_draft_is_offered_twice_and_every_draft_is_valid(lines: list[str]) -> None:
    found = [s for card in cards(*lines, without=("procedures",)) for s in card.get("suggestions", [])]
    drafts = [action["resource"] for suggestion in found for action in suggestion["actions"]]

    assert [s["label"] for s in found] == [ORDER, TASK]
    assert len({s["uuid"] for s in found}) == 2
    for draft in drafts:
        assert faults(draft) == []
        assert not [i for i in Validator().validate_resource(draft).issues if not i.code.startswith("reference")]
        assert draft["status"] == "draft"
        assert draft["encounter"] == {"reference": "Encounter/now"}
        assert f"Patient/{PATIENT}" in json.dumps(draft)
    assert drafts[1]["restriction"]["period"]["end"] == "2026-11-30"


# ---- the call ----


@pytest.mark.parametrize("encounter", [{}, {"encounterId": None}, {"encounterId": ""}, {"encounterId": "Encounter/1"}])
def test_cdsh_046_discharge_requires_a_bare_encounter_id(encounter: dict) -> None:
    refused = post(ITEM_9, context={"userId": "Practitioner/doc", "patientId": PATIENT} | encounter)

    assert refused.status_code == 400
    assert "context.encounterId" in refused.get_data(as_text=True)


def test_cdsh_046_an_answer_of_the_encounter_that_ends_is_current_for_seven_days() -> None:
    said = given("C-SSRS, 5 days ago: question 4 = yes")[0] | {"encounter": {"reference": "Encounter/now"}}

    assert topics(said) == ["acute-safety critical"]
    assert topics(said, context=NOW | {"encounterId": "another"}) == ["recent-safety warning"]


def test_cdsh_081_the_service_asks_for_what_it_needs_and_no_more() -> None:
    offered = next(s for s in CLIENT.get("/cds-services").get_json()["services"] if s["hook"] == "encounter-discharge")

    assert set(offered["prefetch"]) == {key for template in templates(DISCHARGE) for key in template.keys}
    assert not {"measurements", "medications"} & set(offered["prefetch"])
    assert offered["prefetch"]["care-plans"] == "CarePlan?patient={{context.patientId}}"
    assert offered["prefetch"]["appointments"] == "Appointment?patient={{context.patientId}}&status=booked,pending"


def test_other_services_look_at_no_plan_and_no_appointment() -> None:
    sent = prefetch_of([patient()]) | {"care-plans": OUTCOME, "appointments": json.loads(json.dumps(foreign(appointment("in 5 days"))))}  # fmt: skip
    body = {"hook": "patient-view", "hookInstance": "h", "context": NOW, "prefetch": sent}

    assert CLIENT.post("/cds-services/depression-suicide-risk", json=body).get_json() == {"cards": []}


# ---- read from a server ----


def fetched(server, *held: dict):
    who = server.load(patient(), *held)
    granted = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 60, "scope": "x", "subject": "y"}
    body = {"hook": "encounter-discharge", "hookInstance": "h", "context": NOW | {"patientId": who},
            "fhirServer": server.base, "fhirAuthorization": granted}  # fmt: skip
    got = CLIENT.post(ADDRESS, json=body)
    assert got.status_code == 200, got.get_json()
    return got.get_json()["cards"]


def test_cdsh_097_what_was_not_sent_is_read_and_nothing_else(server) -> None:
    assert fetched(server, *given(ITEM_9), *ALL_THREE) == []
    asked = {path.partition("?")[0].partition("/")[0] for path in server.asked()}
    assert asked == {"Patient", "Condition", "Observation", "QuestionnaireResponse", "Encounter", "Procedure", "Consent",
                     "RiskAssessment", "CarePlan", "Appointment"}  # fmt: skip
    (screening,) = templates((ChartPart.SCREENING,))
    counts = [len(server.asked(f"{kind}?")) for kind in ("Observation", "CarePlan", "Appointment")]
    assert counts == [len(screening.queries), 1, 1]


def test_a_refused_read_of_plans_is_said_and_hides_no_finding(server) -> None:
    server.fail("CarePlan?", act=answering(403, b"{}"))

    (card,) = fetched(server, *given(ITEM_9), *ALL_THREE)

    assert step(card, PLAN).startswith("could not be read (")


def test_a_server_that_searches_plans_by_category_alone_leaves_others_unseen_and_that_is_said(server) -> None:
    server.fail("CarePlan?", act=lambda handler: "category=" not in handler.path and answer(handler, 400, b"{}"))
    server.fail("CarePlan/_search", method="POST", act=lambda handler: answer(handler, 400, b"{}"))
    category = codeable("http://hl7.org/fhir/us/core/CodeSystem/careplan-category", "assess-plan")

    (card,) = fetched(server, *given(ITEM_9), at("2026-11-20"), appointment("in 5 days"))
    found = fetched(server, *given(ITEM_9), *ALL_THREE[::2], care_plan("2 days ago", category=[category]))

    assert "only for plans of category assess-plan" in step(card, PLAN)
    assert found == []


# ---- without a server ----


def assessed(tmp_path, whole: dict):
    path = tmp_path / "input.json"
    path.write_text(json.dumps(whole), encoding="utf-8")
    site = default_config().sites[0]
    return assess_file(str(path), as_of=AS_OF, site=site, engine=load_engine())


def test_assess_of_a_discharge_request_gives_the_discharge_cards_and_no_estimate(tmp_path) -> None:
    sent = prefetch_of([patient(), *given(ITEM_9), *ALL_THREE[:2]], DISCHARGE)
    body = {"hook": "encounter-discharge", "hookInstance": "h", "context": NOW, "prefetch": sent}

    found = assessed(tmp_path, body)
    refused = assessed(tmp_path, body | {"context": {k: v for k, v in NOW.items() if k != "encounterId"}})

    assert [card.source.topic.code for card in found.cards] == ["positive-safety-answer"]
    assert BOOKED.lower() in found.cards[0].detail
    assert {score["reason"] for score in found.report()["scores"]} == {"discharge"}
    assert "encounterId" in refused.error
    print_assessed(found)


def test_assess_of_a_bundle_is_as_before_whatever_plans_and_appointments_it_holds(tmp_path) -> None:
    broken = [care_plan("today") | {"title": 5}, foreign(care_plan("today")), foreign(appointment("in 5 days"))]
    chart = [patient(), *given(ITEM_9)]

    with_them, without = (
        assessed(tmp_path, json.loads(bundle(*chart, *more)) | {"type": "collection"}) for more in (broken, [])
    )

    said = [[(card.summary, card.detail) for card in found.cards] for found in (with_them, without)]
    assert said[0] == said[1] != []
    assert "Before discharge" not in said[0][0][0]
