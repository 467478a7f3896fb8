"""How often model and follow-up cards come to whom, through real calls, feedback and the app; on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import re
import sqlite3
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from builders import AS_OF, PATIENT, given, patient
from ehr import EHR, app_of, kept_in, recorded, settings
from form_desk import words
from hook_calls import ACUTE, POSITIVE, call_of, path_of, prompting, topics
from smart_run import Visitor, csrf_of, running

from cds_service.hooks.catalogue import SERVICES
from cds_service.serving.engine import load_engine
from cds_service.settings.alerts import AlertSettings
from cds_service.storage import store as stores
from cds_service.storage.opening import open_store
from cds_service.storage.tables import card, snooze
from explanations.judgement.alert_limits import AlertLimits

ENGINE = load_engine()
VIEW, START, DISCHARGE = SERVICES
RESULT = "PHQ-9, 20 days ago: items 1-7 = 2, item 8 = 0, item 9 = 0"
OTHER_RESULT = "PHQ-9, 20 days ago: items 1-7 = 2, item 8 = 1, item 9 = 0"
NEW_RESULT = "PHQ-9, 2 days ago: items 1-6 = 2, items 7-8 = 0, item 9 = 0"
UNASKED = "PHQ-9, 20 days ago: total = 14"
SEVERE = "PHQ-9, 20 days ago: total = 21"
PROMPT, FOLLOW_UP = ["screening-prompt"], ["depression-follow-up"]


@dataclass
class Desk:
    """A client of an app on one store, with a clock that can be set."""

    folder: Path
    url: str
    days: float = 0
    extra: list[dict] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.app = app_of(self.folder, engine=ENGINE, now=self.now)
        self.client = self.app.test_client()
        self.kept = open_store(self.url)

    def now(self):
        return AS_OF + timedelta(days=self.days)

    def post(self, path: str, body: dict):
        return self.client.post(path, json=body, headers=EHR(clock=self.now().timestamp()).headers(path))

    def call(
        self,
        *lines: str,
        chart: list[dict] | None = None,
        user: str = "doc",
        service=VIEW,
        who: str = PATIENT,
        encounter: str | None = None,
    ):
        body = call_of(service, *lines, chart=[*(chart or ()), *self.extra])
        body["context"] |= {"userId": f"Practitioner/{user}", "patientId": who}
        body["context"] |= {"encounterId": encounter} if encounter else {}
        if who != PATIENT:
            body["prefetch"] = json.loads(json.dumps(body["prefetch"]).replace(f"Patient/{PATIENT}", f"Patient/{who}"))
            body["prefetch"]["patient"] = patient() | {"id": who}
        return self.post(path_of(service), body)

    def __call__(self, *lines: str, **changes) -> list[str]:
        return topics(self.call(*lines, **changes))

    def model(self, **changes) -> list[str]:
        """The topics of the cards of a chart on which a model prompts."""
        return self(chart=prompting(), **changes)

    def say(self, answer, code: str, **changes) -> None:
        """Feedback on the one card of an answer: overridden, for this reason."""
        (sent,) = answer.get_json()["cards"]
        item = {"card": sent["uuid"], "outcome": "overridden", "outcomeTimestamp": self.now().isoformat()}
        item |= {"overrideReason": {"reason": {"code": code}}} | changes
        assert self.post(f"{path_of(VIEW)}/feedback", {"feedback": [item]}).status_code == 200

    def suppressed(self) -> list[list[str]]:
        return [row["event"]["suppressed"] for row in recorded(self.kept)]


@pytest.fixture
def desk_of(store, store_url: str, tmp_path: Path):
    """Makes desks that share a store: `desk_of(limits)`."""

    def made(**limits) -> Desk:
        folder = tmp_path / "settings"
        return Desk(settings(folder, service=kept_in(store_url, folder), site={"alerts": limits}), store_url)

    return made


@pytest.fixture
def desk(desk_of) -> Desk:
    return desk_of()


def test_a_models_card_comes_once_a_patient_and_the_record_says_why_it_did_not_come_again(desk: Desk) -> None:
    # So many visits that the model's band stays the same when old ones leave the last 12 months.
    desk.extra = [visit for _ in range(2) for visit in given("Visit for depression, 1 days ago")]
    desk.extra = [visit | {"reasonCode": []} for visit in desk.extra]
    assert [desk.model(), desk.model(), desk.model(user="nurse")] == [PROMPT, [], []]
    assert desk.model(who="p2") == PROMPT
    assert desk.suppressed() == [[], *[["screening-prompt shown-before"]] * 2, []]
    desk.days = 29
    assert desk.model() == []
    desk.days = 30
    assert desk.model() == PROMPT
    event = recorded(desk.kept)[-1]["event"]
    row = max(desk.kept.rows(card), key=lambda row: row["at"])
    assert (row["patient"], row["shown_to"], row["at"]) == (
        event["patient"],
        event["user"],
        int(desk.now().timestamp()),
    )
    assert row["prompted"] == ",".join(sorted(event["models"])) != ""
    assert len(row["basis"]) == 32


def test_it_comes_again_once_the_inputs_have_changed(desk: Desk) -> None:
    assert desk.model() == PROMPT
    desk.extra = given("Medicine sumatriptan, today")

    assert [desk.model(), desk.model()] == [PROMPT, []]


def test_a_result_comes_to_each_user_and_to_the_same_one_after_hours(desk: Desk) -> None:
    assert [desk(RESULT), desk(RESULT), desk(RESULT, user="nurse")] == [FOLLOW_UP, [], FOLLOW_UP]
    assert desk(OTHER_RESULT) == FOLLOW_UP
    desk.days = 2 / 24
    assert desk(RESULT) == FOLLOW_UP
    assert desk.suppressed()[1] == ["depression-follow-up repeated"]


def test_preparing_a_visit_uses_up_no_card(desk: Desk) -> None:
    assert [desk.model(), desk.model()] == [PROMPT, []]
    assert [desk.model(encounter="visit"), desk.model(encounter="visit")] == [PROMPT, []]
    assert [desk(RESULT), desk(RESULT, encounter="visit"), desk(RESULT, encounter="visit")] == [
        FOLLOW_UP,
        FOLLOW_UP,
        [],
    ]


def test_after_a_documented_assessment_the_model_is_silent_for_days(desk: Desk) -> None:
    desk.extra = given("Risk assessment, 3 days ago")
    assert desk.model() == []
    assert desk.suppressed() == [["screening-prompt assessed"]]
    desk.days = 11
    assert desk.model() == PROMPT


def test_a_user_gets_so_many_of_these_cards_a_day(desk_of) -> None:
    desk = desk_of(daily=2)
    assert [desk(RESULT, who=f"p{n}") for n in range(4)] == [FOLLOW_UP, FOLLOW_UP, [], []]
    assert desk(RESULT, who="p2", user="nurse") == FOLLOW_UP
    assert desk.suppressed()[2] == ["depression-follow-up daily-limit"]
    desk.days = 0.375  # midnight in UTC, the site's zone
    assert desk(RESULT, who="p3") == FOLLOW_UP


@pytest.mark.parametrize("chart", [[ACUTE], [POSITIVE], [SEVERE], [UNASKED], ["Condition T14.91XA, 41 days ago"]])
def test_cards_on_safety_and_of_a_severe_total_come_at_every_call(desk_of, chart: list[str]) -> None:
    desk = desk_of(daily=1)
    desk(RESULT, who="p2")

    first = desk(*chart)

    assert first
    assert [desk(*chart) for _ in range(3)] == [first] * 3
    assert desk(*chart, "PHQ-9, 40 days ago: total = 14")[: len(first)] == first


def test_a_site_without_the_table_has_no_limits_and_earlier_snoozes_are_void(desk_of, store_url: str) -> None:
    desk_of(repeat_h=0).say(desk_of(repeat_h=0).call(RESULT), "not-now")
    folder = desk_of().folder
    free = Desk(settings(folder, service=kept_in(store_url, folder)), store_url)

    assert [free(RESULT) for _ in range(3)] == [FOLLOW_UP] * 3
    assert [free.model() for _ in range(3)] == [PROMPT] * 3


def test_limits_of_0_hold_nothing_back(desk_of) -> None:
    desk = desk_of(model_days=0, assessed_days=0, repeat_h=0, daily=0)
    desk.extra = given("Risk assessment, 3 days ago")

    assert [desk.model() for _ in range(3)] == [PROMPT] * 3


def test_not_now_is_for_this_user_and_a_refusal_for_all(desk_of) -> None:
    desk = desk_of(model_days=0, repeat_h=0)
    desk.say(desk.call(chart=prompting()), "not-now")
    assert [desk.model(), desk.model(user="nurse")] == [[], PROMPT]
    assert desk.suppressed()[1:] == [["screening-prompt snoozed"], []]
    desk.days = 7
    answer = desk.call(chart=prompting())
    assert topics(answer) == PROMPT
    desk.say(answer, "declines")
    assert [desk.model(), desk.model(user="nurse")] == [[], []]
    events = [row["event"] for row in recorded(desk.kept, "snooze")]
    assert [(e["topic"], e["reason"], e["days"], e["through"]) for e in events] == [
        ("screening-prompt", "not-now", 7, "feedback"),
        ("screening-prompt", "declines", 90, "feedback"),
    ]
    assert [bool(event["user"]) for event in events] == [True, False]


def test_a_word_on_a_result_holds_back_that_result_alone(desk_of) -> None:
    desk = desk_of(repeat_h=0)
    desk.say(desk.call(RESULT), "reviewed")

    assert desk(RESULT, user="nurse") == []
    assert desk(NEW_RESULT) == FOLLOW_UP
    assert desk(SEVERE) == FOLLOW_UP


@pytest.mark.parametrize(
    "changes",
    [
        {"overrideReason": {"reason": {"code": "not-now", "system": "https://other.example"}}},
        {"overrideReason": {"userComment": "not now"}},
        {"overrideReason": {"reason": {"code": "under-way"}}},
        {"outcomeTimestamp": (AS_OF - timedelta(days=200)).isoformat()},
        {"outcome": "accepted", "acceptedSuggestions": [{"id": "s"}]},
    ],
)
def test_other_feedback_snoozes_nothing(desk_of, changes: dict) -> None:
    desk = desk_of(repeat_h=0)
    desk.say(desk.call(RESULT), "not-now", **changes)

    assert desk.kept.rows(snooze) == []
    assert desk(RESULT) == FOLLOW_UP


def test_a_reason_on_a_safety_card_snoozes_nothing(desk: Desk) -> None:
    desk.say(desk.call(POSITIVE), "not-now")
    desk.say(desk.call(SEVERE), "reviewed")

    assert desk.kept.rows(snooze) == []


def test_the_same_feedback_twice_is_one_snooze(desk_of) -> None:
    desk = desk_of(repeat_h=0)
    answer = desk.call(RESULT)
    when = desk.now().isoformat()
    desk.say(answer, "not-now", outcomeTimestamp=when)
    desk.days = 2
    desk.say(answer, "not-now", outcomeTimestamp=when)

    assert len(recorded(desk.kept, "snooze")) == 1
    desk.days = 7
    assert desk(RESULT) == FOLLOW_UP


def test_while_the_store_is_away_nothing_is_held_back(desk: Desk, store_url: str, postgres, monkeypatch) -> None:
    assert [desk(RESULT), desk(RESULT)] == [FOLLOW_UP, []]
    lock = None
    if store_url.startswith("sqlite"):
        lock = sqlite3.connect(sa.make_url(store_url).database or "", isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
    else:
        postgres.forbid(store_url)
    monkeypatch.setattr(stores, "REST_S", 3600)

    found = [desk(RESULT) for _ in range(3)]

    if lock:
        lock.rollback()
    else:
        postgres.allow(store_url)
    # The first may still be read (SQLite's file is locked for writing alone); after it the store is not asked.
    assert found[1:] == [FOLLOW_UP] * 2


# ---- the app ----


def cards(run, patient: str) -> list[str]:
    """What the demo's EHR is answered when somebody opens the chart."""
    clinic = run.ehr.clinic
    return [found["source"]["topic"]["code"] for found in clinic.client.open_chart(clinic.patient(patient)).cards]


@pytest.fixture
def run():
    def limited(config):
        return replace(
            config, sites=tuple(replace(site, alerts=AlertSettings(limits=AlertLimits())) for site in config.sites)
        )

    with running(engine=ENGINE, config=limited) as found:
        yield found


def test_the_page_shows_what_is_held_back_and_says_why(run) -> None:
    first = Visitor(run)
    before = words(first.get(first.open("stellan-brannigan")))
    shown_on = run.clock()
    assert cards(run, "stellan-brannigan") == PROMPT
    run.clock.ahead += 24 * 3600
    assert cards(run, "stellan-brannigan") == []

    visitor = Visitor(run)
    page = words(visitor.get(visitor.open("stellan-brannigan")))

    assert "No card about this" not in before
    again = shown_on + timedelta(30)
    assert f"No card about this before {again:%-d %b %Y} unless its data change" in page
    assert f"one was shown on {shown_on:%-d %b %Y}. Shown on this page only" in page


def test_a_reason_given_on_the_page_holds_the_card_back_and_the_page_repeats_it(run) -> None:
    visitor = Visitor(run)
    where = visitor.open("hyacinth-oyelaran")
    page = visitor.get(where)
    form = {"csrf": csrf_of(page.text), "topic": "depression-follow-up", "reason": "not-now"}
    form["grounds"] = re.search(r'name="grounds" value="([^"]*)"', page.text)[1]
    answer = visitor.post(f"{where}override", form, Sec_Fetch_Site="same-origin")
    assert answer.status_code == 303

    again = words(visitor.get(where))

    assert cards(run, "hyacinth-oyelaran") == []
    assert "you recorded “Not at this visit; ask again later” on" in again
    (event,) = [row["event"] for row in recorded(run.store, "snooze")]
    assert (event["reason"], event["days"], event["through"]) == ("not-now", 7, "app")


def test_a_reason_on_a_safety_finding_or_with_other_grounds_snoozes_nothing(run) -> None:
    visitor = Visitor(run)
    where = visitor.open("bronwen-achterberg")
    page = visitor.get(where)
    assert 'name="grounds"' not in page.text
    form = {"csrf": csrf_of(page.text), "topic": "recent-safety", "reason": "not-now"}
    for grounds, status in ((None, 303), ("", 303), ("Robert'); --", 400)):
        sent = form | ({} if grounds is None else {"grounds": grounds})
        assert visitor.post(f"{where}override", sent, Sec_Fetch_Site="same-origin").status_code == status

    assert run.store.rows(snooze) == []
    assert cards(run, "bronwen-achterberg") == ["recent-safety"]
