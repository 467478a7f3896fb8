"""R15: nothing that an English clinician can see has a level, a band, an estimate or a guideline of another country.

Every card of every sample chart and every page of the app; the documents of a site.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import app_views
import pytest
from builders import AS_OF, LOW, bundle, given, record_of, resource
from hook_calls import ACUTE, Client, client_of, prompting
from shown_texts import SITE, card_texts, charts, page_texts
from shown_texts import cards as cards_of_both

from cds_service.cards.from_notices import cards_for
from cds_service.cards.wire import Card
from cds_service.commands.json_report import report
from cds_service.demo_ehr.config import DemoPlace, demo_config
from cds_service.demo_ehr.patients.people import demo_patients
from explanations.judgement.assessment import assess
from explanations.judgement.discharge import assess_discharge
from explanations.judgement.proposals import DraftKind
from explanations.judgement.regions import REGIONS
from explanations.words.language import language
from explanations.words.notices.discharge import discharge_notices
from explanations.words.notices.notice import NoticeSettings
from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.reading.extraction import patient_record
from models.rules.safety_rules import apply_safety_rules

ENGLAND = REGIONS["GB-ENG"]
# What may not be seen there. The name of a chart entry, "risk assessment", may.
BANNED = {
    "en": re.compile(
        r"\b(?:high|low|moderate(?:ly)?|severe|mild|minimal|level|band|tier|score|threshold|screen(?:er|s|ing|ed)?|"
        r"estimat\w*|probab\w*|machine|log-odds|predict\w*|stratif\w*|risk score|SAFE-T|CALM|USPSTF|NIMH|"
        r"Joint Commission|Lifeline|988|911|boxed)\b|\bmodels?\b|"
        # Nobody is told to fill one in, or how many points call for it.
        r"\b(?:view|start|(?<!later )complete(?! negative)|repeat|follow)\b.*\b(?:C-SSRS|ASQ)\b|\bcomplete these\b|\bof \d or more\b|"
        r"read (?:it|its result) at the source today|(?:Before discharge, check|None found(?: since)?)\b.*\brisk assessment",
        re.IGNORECASE,
    ),
    "es": re.compile(
        r"\b(?:alto|baj[oa]|moderad[oa]|moderadamente|grave|leve|mínim[oa]|nivel|puntuación|puntaje|umbral|tamizaje|"
        r"cribado|estimaci\w*|probab\w*|automático|predi\w*|SAFE-T|CALM|USPSTF|NIMH|Lifeline|988|911|modelos?)\b|"
        r"\bEE\. ?UU\.",
        re.IGNORECASE,
    ),
}
# A screen to look at; that there is no model; how a person feels; where a study was made.
ALLOWED = re.compile(
    r"shared screen|screen that you share|not a model|[Nn]o (?:statistical )?model|no (?:en )?un modelo|feels? very low|, no según un modelo"
)
# In care, and measured again because a model would have prompted (R13).
OF_A_MODEL = "eleni-marchetti"
IN_WORDS = ("title", "description", "usageRequirements", "purpose", "look_back", "without")
# Pages of app_views with the facts of sites elsewhere, and forms that are not offered there.
ELSEWHERE = {
    "patient/most",
    "patient/tested",
    "patient/least",
    "learn/tested",
    "learn/speaks",
    "entry/asq",
    "entry/asq-review",
}


class Watched:
    """An engine that may not even be looked at."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"a model was asked: {name}")


@cache
def cards(shared: Path, locale: str) -> tuple[Card, ...]:
    site = replace(SITE, region=ENGLAND, say=replace(language(locale), reviewed=True))
    found: list[Card] = []
    for chart in charts(shared):
        opened, discharged = assess(chart, Watched(), LOW, region=ENGLAND), assess_discharge(chart, ENGLAND)
        assert (opened.scores, opened.explanations, discharged.scores) == ((), (), ())
        found += cards_of_both(opened, discharged, site)
    return tuple(found)


def banned(texts: Iterable[str], locale: str = "en") -> list[str]:
    """The texts with something that may not be seen, references to the chart left out."""
    plain = (re.sub(r"`[^`]*`", "", text) for text in texts)
    return sorted({text for text in plain if BANNED[locale].search(ALLOWED.sub("", text))})


@pytest.mark.parametrize("locale", sorted(BANNED))
def test_no_card_of_any_chart_has_a_level_a_band_or_an_estimate(shared: Path, locale: str) -> None:
    found = cards(shared, locale)

    assert len(found) > 300
    assert banned((text for card in found for text in card_texts(card)), locale) == []


def test_cards_link_to_english_guidelines_alone_and_follow_up_is_never_a_warning(shared: Path) -> None:
    found = cards(shared, "en")

    assert {link.url for card in found for link in card.links or ()} == {
        "https://www.nice.org.uk/guidance/ng225",
        "https://www.england.nhs.uk/long-read/staying-safe-from-suicide/",
    }
    assert {card.indicator for card in found if card.source.topic.code == "depression-follow-up"} == {"info"}
    assert not [card for card in found if card.source.topic.code == "screening-prompt"]


def test_no_draft_orders_a_screener_or_a_suicide_risk_assessment(shared: Path) -> None:
    actions = [a for card in cards(shared, "en") for one in card.suggestions or () for a in one.actions]
    orders = {str(action.resource["code"]) for action in actions if "code" in action.resource}

    assert {"text": "Psychosocial assessment"} in [a.resource.get("code") for a in actions]
    assert not [order for order in orders if "risk" in order or "C-SSRS" in order]


@pytest.mark.parametrize("page", sorted({*app_views.PAGES} - ELSEWHERE))
def test_no_page_of_the_app_has_any_of_it(page: str) -> None:
    answer = app().test_client().get(f"/smart/look/{page}")

    assert answer.status_code in (200, 400, 422, 502)
    assert banned(page_texts(answer.text)) == []


def test_the_report_of_a_file_has_neither_scores_nor_levels(shared: Path) -> None:
    reports = [report("x", assess(chart, Watched(), region=ENGLAND), ENGLAND) for chart in charts(shared)]

    assert not any(one["scores"] or one["reasons"] for one in reports)
    texts = [entry["text"] for one in reports for name in ("findings", "history", "anomalies") for entry in one[name]]
    assert len(texts) > 300 and banned(texts) == []


@cache
def app():
    return app_views.flask_app(language(), ENGLAND)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """An English site whose models fail when they are asked, and which still has the settings of one elsewhere."""
    wanted = {"id": "leeds", "region": "GB-ENG", "show_probability": True, "thresholds": {"depression": 0.01}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("explanations.judgement.assessment.score", Watched())
        yield client_of(tmp_path_factory.mktemp("england"), engine=app_views.ENGINE, site=wanted)


def test_a_call_asks_no_model_and_answers_with_english_help(served: Client) -> None:
    silent, acute = served.call(chart=prompting()), served.call(ACUTE)

    assert silent.get_json()["cards"] == []
    (card,) = acute.get_json()["cards"]
    assert "116 123" in card["detail"] and "call 111" in card["detail"] and "999" in card["detail"]
    assert card["links"][0]["label"].startswith("NICE NG225")


@pytest.mark.parametrize("path", ["/cds-services", "/data-needs.json"])
@pytest.mark.parametrize("site", ["", "/sites/leeds"])
def test_what_a_site_tells_of_itself_has_no_model_and_asks_for_nothing_that_only_models_take(
    served: Client, site: str, path: str
) -> None:
    said = served.flask.get(site + path).get_json()
    entries = said.get("services") or said["needs"]

    assert "measurements" not in str(said) and "model_inputs" not in str(said)
    assert banned(text for entry in entries for name, text in entry.items() if name in IN_WORDS) == []


def test_the_page_about_the_cards_of_english_sites_alone_has_none_of_it(served: Client) -> None:
    page = served.flask.get("/about").get_data(as_text=True)

    assert banned(text for text in page_texts(page) if "At a site in England" not in text) == []


def test_the_demo_clinic_in_england_has_the_same_safety_cards_and_no_prompt() -> None:
    site = demo_config(place=DemoPlace(region="GB-ENG")).site()
    came, expected = {}, {}
    for patient in demo_patients(AS_OF):
        gathered = chart_bundle(bundle(*patient.chart), settings=site.reading, as_of=AS_OF)
        chart = patient_record(gathered, settings=site.reading, as_of=AS_OF)
        found = cards_for(assess(chart, Watched(), region=site.cards.region), site.cards, new_id=str)
        came[patient.id] = [(card.source.topic.code, card.indicator) for card in found]
        expected[patient.id] = [
            (card.topic, "info" if card.topic == "depression-follow-up" else card.indicator)
            for card in patient.expected
            if card.topic != "screening-prompt" and patient.id != OF_A_MODEL
        ]

    assert came == expected


ATTEMPT = ("Condition T14.91XA, 3 days ago",)
NAMED = "Psychosocial assessment"


def assessed(kind: str, name: str = NAMED, status: str = "completed", **elements: object) -> dict:
    return resource(kind, status=status, code={"text": name}, **elements)


TODAY = {"performedDateTime": "2026-11-23T12:00:00Z"}
CLINICIAN = {"performer": {"reference": "Practitioner/doc"}, "occurrenceDateTime": TODAY["performedDateTime"]}
# What is on file; what is said of the step, None where it is not named; whether the order is drafted.
ON_FILE = [
    (assessed("Procedure", **TODAY), "23 Nov 2026 12:00 UTC", False),
    (assessed("Procedure", "Biopsychosocial assessment completed", **TODAY), "23 Nov 2026 12:00 UTC", False),
    (assessed("Observation", NAMED, "final", effectiveDateTime=TODAY["performedDateTime"]), "23 Nov 2026", False),
    (assessed("RiskAssessment", NAMED, "final", **CLINICIAN), "23 Nov 2026", False),
    (assessed("Procedure", NAMED, "in-progress", **TODAY), "one not final", True),
    (assessed("Procedure", "Psychosocial assessment declined", **TODAY), "one that was not understood", True),
    (assessed("Procedure", **TODAY, note=[{"text": "Not done: patient left"}]), "one that was not understood", True),
    (assessed("Procedure", NAMED, "not-done", **TODAY), "may be unread", True),
    (assessed("Procedure", NAMED, "entered-in-error", **TODAY), "may be unread", True),
    (assessed("Procedure", NAMED, "preparation"), "may be unread", True),
    (assessed("Procedure", performedDateTime="2026-11-01"), "an earlier one", True),
    (assessed("Procedure", "Safeguarding"), "may be unread", True),
]


@pytest.mark.parametrize(("entry", "said", "ordered"), ON_FILE)
def test_the_assessment_that_england_asks_for_is_found_by_its_name(entry: dict, said: str, ordered: bool) -> None:
    chart = record_of(*given(*ATTEMPT), entry)
    site = NoticeSettings(zone=ZoneInfo("UTC"), region=ENGLAND)
    (notice,) = discharge_notices(assess_discharge(chart, ENGLAND), site)
    (line,) = [line.text for line in notice.chart if line.text.startswith(NAMED)]

    assert said in line
    assert (DraftKind.PSYCHOSOCIAL in notice.drafts) is ordered
    assert ("psychosocial assessment" in notice.summary) is ordered
    assert "risk assessment" not in " ".join((notice.summary, *(line.text for line in notice.chart)))


@pytest.mark.parametrize("entry", [row[0] for row in ON_FILE])
def test_it_lowers_no_finding_and_changes_nothing_elsewhere(entry: dict) -> None:
    chart = given(*ATTEMPT)
    without, found = record_of(*chart), record_of(*chart, entry)

    assert apply_safety_rules(found).findings == apply_safety_rules(without).findings
    assert assess_discharge(found).steps == assess_discharge(without).steps
