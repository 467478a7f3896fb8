"""Answers and cards: section F of the checklist and the dialects of real clients (requirements.toml); rule R14."""

from __future__ import annotations

import json
import re
import uuid
from itertools import combinations

import msgspec
import pytest
from builders import LOINC, PATIENT, PHQ, gap_said, given, observation, patient, resource
from ehr import BASE
from hook_calls import (
    ACUTE,
    CHARTS,
    POSITIVE,
    answers_of,
    call_of,
    client_of,
    diagnostics,
    empty_members,
    path_of,
    prompting,
    topics,
)

from cds_service.cards.dialects import Dialect, in_dialect
from cds_service.cards.drafts import hl7_reason
from cds_service.cards.wire import Action, Card, Coding, Source, Suggestion
from cds_service.hooks.catalogue import SERVICES
from cds_service.serving.engine import load_engine
from explanations.words.findings.gaps import PARTS
from fhir_adapters.resources.validation import faults
from models.rules.findings import SAFETY_TOPICS, Topic

SAFETY = {t.value for t in SAFETY_TOPICS}
ORDER = ["critical", "warning", "info"]
DIALECTS = ("generic", "epic", "oracle-health", "sandbox")
HOOKS = [pytest.param(s, id=s.hook) for s in SERVICES]


@pytest.fixture(scope="module")
def engine():
    return load_engine()


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory, engine):
    return {name: client_of(tmp_path_factory.mktemp(name), engine=engine, site={"dialect": name}) for name in DIALECTS}


@pytest.fixture(scope="module")
def client(clients):
    return clients["generic"]


@pytest.fixture(scope="module")
def spoken(clients) -> dict[str, list[dict]]:
    """The answers of every service to every chart, by dialect."""
    return {name: [answer for _, answer in answers_of(client)] for name, client in clients.items()}


@pytest.fixture(scope="module")
def answers(spoken) -> list[dict]:
    return [answer for found in spoken.values() for answer in found]


@pytest.fixture(scope="module")
def cards(answers) -> list[dict]:
    return [card for answer in answers for card in answer["cards"]]


@pytest.fixture(scope="module")
def suggestions(cards) -> list[dict]:
    return [s for card in cards for s in card.get("suggestions", [])]


@pytest.fixture(scope="module")
def links(cards) -> list[dict]:
    return [link for card in cards for link in card.get("links", [])]


def test_the_charts_of_these_tests_give_a_card_of_every_topic(spoken) -> None:
    seen = {card["source"]["topic"]["code"] for answer in spoken["generic"] for card in answer["cards"]}

    assert seen == {topic.value for topic in Topic}


# ---- the answer ----


def test_cdsh_107_112_143_144_163_an_answer_is_an_object_of_cards_and_nothing_else(answers) -> None:
    assert all(answer.keys() == {"cards"} and isinstance(answer["cards"], list) for answer in answers)


@pytest.mark.parametrize("service", HOOKS)
def test_cdsh_107_108_148_a_quiet_chart_gets_an_empty_list_of_cards_and_200(client, service) -> None:
    answer = client.call(service=service)

    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert answer.data.decode("utf-8") == '{"cards":[]}'


NEEDED = ("patient", "conditions", "screening", "questionnaires")


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory):
    return client_of(tmp_path_factory.mktemp("refusing"), site={"on_missing": "412"})


@pytest.mark.parametrize("service", HOOKS)
@pytest.mark.parametrize("missing", [c for n in range(5) for c in combinations(NEEDED, n)], ids=" ".join)
def test_cdsh_076_109_a_gap_is_a_card_and_412_where_no_needed_part_was_had(client, refusing, service, missing) -> None:
    # A user for each, since a gap that was shown to one is not shown again at once.
    whose = {"userId": f"Practitioner/{service.hook}", "patientId": PATIENT, "encounterId": "now"}
    changes = {"service": service, "prefetch": dict.fromkeys(missing, ...), "context": whose}
    status = 412 if missing == NEEDED else 200

    by_card, by_status, acute = client.call(**changes), refusing.call(**changes), client.call(ACUTE, **changes)

    assert (by_card.status_code, by_status.status_code) == (status, 412 if missing else 200)
    if status == 200 and missing:
        said = gap_said(by_card)
        assert all(f"Not read: {PARTS[key]}" in said for key in missing)
    elif not missing:
        assert topics(by_card) == topics(by_status) == []
    if by_status.status_code == 412:
        assert all(key in diagnostics(by_status) for key in missing)
    # A documented answer is not withheld because other data is lacking.
    if "screening" not in missing:
        assert topics(acute) == ["acute-safety", *(["could-not-assess"] if missing else [])]


def test_cdsh_076_what_is_not_needed_stands_for_no_needed_part_and_a_part_of_a_part_does(client) -> None:
    nothing = dict.fromkeys(NEEDED, ...)
    page = {"resourceType": "Bundle", "type": "searchset", "link": [{"relation": "next", "url": "https://x.example"}]}
    negative = page | {"entry": [{"resource": r} for r in given("PHQ-9, 5 days ago: items 1-9 = 0")]}

    assert client.call(prefetch=nothing | {"measurements": None, "medications": None}).status_code == 412
    assert client.call(prefetch=nothing | {"screening": page}).status_code == 412
    assert "only the first page was sent" in gap_said(client.call(prefetch=nothing | {"screening": negative}))


def test_cdsh_076_an_entry_that_cannot_be_read_is_named_also_where_a_gap_is_refused(refusing) -> None:
    broken = {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [{"resource": resource("Condition", onsetDateTime=5)}],
    }

    said = gap_said(refusing.call(prefetch={"conditions": broken, "questionnaires": ...}))

    assert "Not read: questionnaires" in said
    assert "could not be read: an element has the wrong type" in said


def test_cdsh_112_no_member_of_an_answer_is_null_or_empty(cards) -> None:
    assert list(empty_members({"cards": cards})) == []


# ---- the card ----


def test_cdsh_113_126_cards_and_suggestions_have_uuids_of_their_own_in_every_answer(cards, suggestions) -> None:
    ids = [found["uuid"] for found in (*cards, *suggestions)]

    assert len(ids) > 100
    assert all(str(uuid.UUID(found)) == found for found in ids)
    assert len(set(ids)) == len(ids)


def test_cdsh_114_a_summary_is_one_line_of_fewer_than_140_characters(cards) -> None:
    for card in cards:
        assert 0 < len(card["summary"]) < 140
        assert "\n" not in card["summary"]


def test_cdsh_115_details_are_markdown_without_html_or_images(cards) -> None:
    for card in cards:
        assert card["detail"].strip()
        assert not re.search(r"<|!\[|&\w+;|javascript:", card["detail"])


EVIL = "<img src=x onerror=alert(1)> [a](javascript:alert(1)) `b` **c** | ![d](http://evil)"


def hostile_charts() -> list[list[dict]]:
    """Charts that say something, with text of an attacker wherever a chart may hold text."""
    ideation = given("Condition R45.851, 4 days ago")
    attempt = given("Condition T14.91XA, 41 days ago")
    form = given("PHQ-9, 6 days ago: items 1-9 = 2", "questionnaire")
    found = [ideation, attempt, form, given(POSITIVE), given(ACUTE), prompting()]
    found.append([observation(LOINC, PHQ[8], "2026-11-20", {"valueString": EVIL})])
    found.append([resource("Observation", status="final", valueInteger=1)])
    found.append([resource("MedicationRequest", status="active", intent="order", medicationCodeableConcept={"text": EVIL})])  # fmt: skip
    found.append([resource("QuestionnaireResponse", status="completed", authored="2026-11-20", questionnaire=EVIL, item=[{"linkId": EVIL, "text": f"Thoughts of suicide? {EVIL}", "answer": [{"valueString": EVIL}]}])])  # fmt: skip
    for chart in found:
        for item in chart:
            item["id"] = f"{item['id']}{EVIL}"
            for concept in ("code", "medicationCodeableConcept"):
                if concept in item:
                    item[concept]["text"] = EVIL
                    for coding in item[concept].get("coding", ()):
                        coding["display"] = EVIL
    return found


def test_cdsh_116_text_of_the_chart_cannot_become_markup_on_a_card(client) -> None:
    plan = resource("CarePlan", status="active", intent="plan", created="2026-11-20", title=f"Safety plan {EVIL}")
    plan |= {"id": f"plan-{EVIL}", "description": EVIL}
    shown = 0
    for service, chart in ((s, chart) for s in SERVICES for chart in hostile_charts()):
        body = call_of(service, chart=[*chart, plan])
        body["prefetch"]["patient"] = patient(name=[{"text": EVIL}])
        for card in client.post(path_of(service), body).get_json()["cards"]:
            # Between code marks markdown is plain text; what stands outside of them is ours.
            outside = re.sub(r"`[^`\n]*`", "", card["detail"])
            assert not re.search(r"<|onerror|javascript|evil", card["summary"] + outside)
            assert "<" not in card["detail"]
            shown += 1

    assert shown >= 6 * len(SERVICES)


def test_cdsh_117_146_indicators_are_those_of_the_specification_the_most_urgent_first(answers) -> None:
    for answer in answers:
        ranks = [ORDER.index(card["indicator"]) for card in answer["cards"]]
        assert ranks == sorted(ranks)


def test_cdsh_118_119_120_every_card_names_its_source_and_points_to_no_page_about_the_patient(cards) -> None:
    for card in cards:
        assert card["source"]["label"].startswith("mental-health-cds: ")
        assert card["source"].keys() == {"label", "topic", "url"}
        assert card["source"]["url"] == f"{BASE}/about"


def test_cdsh_121_201_every_card_has_a_static_topic_code_with_its_system(spoken) -> None:
    codings = [card["source"]["topic"] for card in (c for answer in spoken["generic"] for c in answer["cards"])]

    assert {coding["system"] for coding in codings} == {"urn:mental-health-cds:card-topic"}
    assert {coding["code"] for coding in codings} == {topic.value for topic in Topic}


def test_cdsh_122_cards_with_suggestions_say_how_many_may_be_taken_and_others_do_not(cards) -> None:
    for card in cards:
        assert card.get("selectionBehavior") == ("any" if "suggestions" in card else None)


def test_cdsh_123_201_override_reasons_are_codings_with_display_that_stay_the_same(spoken) -> None:
    for found in spoken.values():
        by_topic: dict[str, set] = {}
        for card in (c for answer in found for c in answer["cards"]):
            for reason in card["overrideReasons"]:
                assert reason.keys() == {"code", "system", "display"}
                assert reason["system"] == "urn:mental-health-cds:override-reason"
            stated = tuple(tuple(sorted(reason.items())) for reason in card["overrideReasons"])
            by_topic.setdefault(card["source"]["topic"]["code"], set()).add(stated)
        assert {len(variants) for variants in by_topic.values()} == {1}


def test_cdsh_124_every_override_reason_that_declines_stands_for_one_of_the_hl7_reasons(cards) -> None:
    """Who will ask, or is at it, declines nothing; that an oddity is known is about data."""
    codes = {reason["code"] for card in cards for reason in card["overrideReasons"]}

    assert len(codes) > 12
    assert {code for code in codes if hl7_reason(code) is None} == {"will-assess", "under-way", "known"}


def test_cdsh_147_a_summary_names_no_person_and_no_identifier(client, engine) -> None:
    who = patient(name=[{"family": "Quillfeather", "given": ["Zebulon"]}], identifier=[{"value": "MRN-4471"}])
    for lines in CHARTS.values():
        chart = [r for line in lines for r in given(line)]
        body = call_of(SERVICES[0], chart=chart)
        body["prefetch"]["patient"] = who
        for card in client.post(path_of(SERVICES[0]), body).get_json()["cards"]:
            for private in ("Quillfeather", "Zebulon", "MRN-4471", f"{PATIENT}/", *(r["id"] for r in chart)):
                assert private not in card["summary"]


# ---- suggestions and actions ----


def test_cdsh_125_127_128_suggestions_have_a_label_actions_and_no_recommendation(suggestions) -> None:
    for suggestion in suggestions:
        assert suggestion["label"].startswith("Draft ")
        assert suggestion["actions"]
        # Nothing is selected in advance: a person decides on every draft.
        assert "isRecommended" not in suggestion


def test_cdsh_129_what_a_client_is_not_known_to_support_is_not_sent(cards) -> None:
    assert "actionSelectionBehavior" not in json.dumps(cards)


def test_cdsh_130_131_132_133_every_action_creates_a_new_resource_and_says_so(suggestions) -> None:
    for action in (a for s in suggestions for a in s["actions"]):
        assert action.keys() == {"type", "description", "resource"}
        assert action["type"] == "create"
        assert action["description"].startswith("Draft ")
        assert "id" not in action["resource"]


def test_cdsh_134_drafts_are_valid_r4_for_this_patient_and_for_nobody_else(suggestions) -> None:
    for draft in (a["resource"] for s in suggestions for a in s["actions"]):
        assert faults(draft) == []
        assert (draft["status"], draft["intent"]) == ("draft", "proposal")
        assert (draft.get("subject") or draft["for"]) == {"reference": f"Patient/{PATIENT}"}
        assert set(re.findall(r'"Patient/([^"]+)"', json.dumps(draft))) == {PATIENT}


# ---- links ----


def test_cdsh_136_137_138_links_are_labelled_absolute_and_https(links) -> None:
    for link in links:
        assert link["label"].strip()
        assert re.fullmatch(r"https://[a-z0-9.-]+/\S+", link["url"])
        assert link["type"] == "absolute"
    assert links


def test_cdsh_139_140_141_206_no_link_launches_an_app_or_carries_anything_about_the_patient(cards, links) -> None:
    for link in links:
        assert link.keys() == {"label", "url", "type"}
        assert PATIENT not in link["url"].split("/")
        assert not re.search(r"[?&](iss|launch)=", link["url"])
    # Constant, so that sites can put them on their lists.
    by_topic: dict[str, set] = {}
    for card in (c for c in cards if "links" in c):
        urls = tuple(link["url"] for link in card["links"])
        by_topic.setdefault(card["source"]["topic"]["code"], set()).add(urls)
    assert {len(variants) for variants in by_topic.values()} == {1}


# ---- how many ----


def test_cdsh_146_one_card_a_topic_at_most_three_and_no_safety_card_is_dropped(answers) -> None:
    for answer in answers:
        found = [card["source"]["topic"]["code"] for card in answer["cards"]]
        assert len(found) == len(set(found))
        assert len(found) <= max(3, sum(topic in SAFETY for topic in found))


def test_cdsh_146_what_finds_no_room_is_said_on_the_last_card(client) -> None:
    cards = client.call(*CHARTS["much"]).get_json()["cards"]

    assert [c["source"]["topic"]["code"] for c in cards] == ["acute-safety", "positive-safety-answer", "recent-safety"]
    assert "Also: PHQ-9 was 13" in cards[-1]["detail"]


def test_cdsh_146_one_screening_and_one_follow_up_are_offered_over_all_cards_of_an_answer(answers) -> None:
    screeners, most = {"44249-1", "89206-7", "93373-9"}, 0
    for answer in answers:
        drafts = [a["resource"] for c in answer["cards"] for s in c.get("suggestions", []) for a in s["actions"]]
        codes = [d["code"]["coding"][0]["code"] for d in drafts if d["resourceType"] == "ServiceRequest"]
        assert sum(code in screeners for code in codes) <= 1
        assert len(codes) == len(set(codes))
        assert sum(d["resourceType"] == "Task" for d in drafts) <= 1
        most = max(most, len(drafts))
    assert most >= 3, "an assessment, a screening and a follow-up"


# ---- dialects ----


def plain(topic: str) -> str:
    return topic.replace("-", "")


def test_cdsh_121_204_epic_gets_topics_of_letters_and_digits_one_action_a_suggestion_and_any(spoken) -> None:
    generic = [card for answer in spoken["generic"] for card in answer["cards"]]
    epic = [card for answer in spoken["epic"] for card in answer["cards"]]

    assert [c["source"]["topic"]["code"] for c in epic] == [plain(c["source"]["topic"]["code"]) for c in generic]
    for card in epic:
        assert re.fullmatch(r"[A-Za-z0-9]{1,100}", card["source"]["topic"]["code"])
        assert card.get("selectionBehavior", "any") == "any"
        assert all(len(s["actions"]) == 1 for s in card.get("suggestions", []))


def test_cdsh_204_a_suggestion_of_two_actions_is_left_off_for_epic_and_an_empty_list_with_it() -> None:
    def suggestion(count: int) -> Suggestion:
        action = Action(type="create", description="Draft", resource={"resourceType": "Task"})
        return Suggestion(label="Draft", uuid="u", actions=[action] * count)

    topic = Coding(system="urn:x", code="a-b", display="A b")
    card = Card(uuid="c", summary="s", detail="d", indicator="info", source=Source(label="l", topic=topic), selection_behavior="any")  # fmt: skip

    mixed, none = (
        in_dialect([msgspec.structs.replace(card, suggestions=[suggestion(n) for n in counts])], Dialect.EPIC, None)[0]
        for counts in ((1, 2), (2,))
    )

    assert [len(s.actions) for s in mixed.suggestions] == [1]
    assert json.loads(msgspec.json.encode(none)).keys() == {"uuid", "summary", "detail", "indicator", "source"}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_dialect_changes_what_a_card_says(spoken, dialect: str) -> None:
    def said(answers: list[dict]) -> list[tuple]:
        cards = [card for answer in answers for card in answer["cards"]]
        # The ids of resources are made anew for every chart.
        return [(c["indicator"], re.sub(r"`[^`]*`", "", c["summary"] + c["detail"])) for c in cards]

    assert said(spoken[dialect]) == said(spoken["generic"])


def test_cdsh_208_links_that_the_site_did_not_register_are_left_off(tmp_path) -> None:
    allowed = "https://sprc.org/resources/"
    some = client_of(tmp_path / "some", site={"dialect": "oracle-health", "allowed_links": [allowed]})
    none = client_of(tmp_path / "none", site={"dialect": "oracle-health", "allowed_links": []})

    (card,) = some.call(POSITIVE).get_json()["cards"]
    (bare,) = none.call(POSITIVE).get_json()["cards"]

    assert [link["url"].startswith(allowed) for link in card["links"]] == [True]
    assert "links" not in bare
    assert "url" not in card["source"]
    assert list(empty_members(bare)) == []


def test_cdsh_198_cards_carry_no_extension_that_a_client_might_miss(cards) -> None:
    assert not [name for card in cards for name in card if name == "extension" or "." in name]


def test_cdsh_201_codes_of_drafts_have_a_display_and_a_system(suggestions) -> None:
    for draft in (a["resource"] for s in suggestions for a in s["actions"]):
        for coding in draft.get("code", {"coding": []})["coding"]:
            assert coding["system"].startswith("http")
            assert coding["display"]
