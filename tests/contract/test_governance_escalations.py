"""The pages of escalations: who sees them, what they show, what is done on them, and what is on record of it."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from governance_desk import desk, fill_escalations
from openid import OURS, Browser, provider

from cds_service.escalation import escalations
from cds_service.escalation.escalations import CloseReason
from cds_service.escalation.records import one
from cds_service.governance import escalation_lines
from cds_service.governance.escalation_lines import CLOSE_WORDS, DONE_WORDS, THROUGH_WORDS, chart_url
from cds_service.storage.calls import AnswerRow, CardRow
from cds_service.storage.chain import AuditKind
from cds_service.storage.tables import audit_event, delivery, escalation
from explanations.judgement.escalation import Done

OFFICER, OPERATOR, VIEWER, RESPONDER = "olu", "ines", "vera", "rhea"


@pytest.fixture(scope="module")
def between():
    with provider() as found:
        yield found


@pytest.fixture
def app(tmp_path, between):
    return desk(tmp_path, between)


@pytest.fixture
def ids(app) -> dict[str, str]:
    return fill_escalations(app)


def at(app, who: str) -> Browser:
    browser = Browser(app=app)
    assert browser.sign_in(who).status_code == 200
    return browser


def send(browser: Browser, identifier: str, **fields):
    return browser.post(f"/governance/escalations/{identifier}", {"csrf": browser.csrf(), **fields}, Origin=OURS)


def row(app, identifier: str):
    with app.extensions["mhcds"].store.transaction() as connection:
        return one(connection, identifier)


def looks(app) -> list[dict]:
    rows = app.extensions["mhcds"].store.rows(audit_event)
    found = [json.loads(each["event"]) for each in rows if each["kind"] == AuditKind.GOVERNANCE]
    return [event for event in found if event["what"] == "looked-at"]


@pytest.mark.parametrize(
    ("who", "status"), [(OFFICER, 200), (OPERATOR, 200), (RESPONDER, 200), (VIEWER, 403), ("nobody", 403)]
)
def test_a_patients_id_is_for_those_who_answer(app, ids, who: str, status: int) -> None:
    browser = at(app, who)

    assert browser.get("/governance/escalations").status_code == status
    answer = browser.get(f"/governance/escalations/{ids['told-1']}")
    assert answer.status_code == status
    assert ("told-1" in answer.text) == (status == 200)
    acted = send(browser, ids["told-1"], act="acknowledge")
    assert acted.status_code == status
    assert row(app, ids["told-1"]).is_open == (status == 403)


def test_the_list_has_those_that_press_first_and_drills_apart_and_names_no_patient(app, ids) -> None:
    text = at(app, RESPONDER).get("/governance/escalations").text

    order = [text.index(ids[patient]) for patient in ("overdue 1", "told-1", "acknowledged/1", "drill-1")]
    assert order == sorted(order)
    assert text.index("Of the last 7 days") < order[2] < text.index('id="drills"') < order[3]
    assert "Overdue" in text
    assert "Drill: no message delivered yet" in text
    for patient in ids:
        assert patient not in text
    assert looks(app) == []


def test_the_page_that_a_message_leads_to_shows_the_patient_the_chart_and_the_time_line(app, ids) -> None:
    text = at(app, RESPONDER).get(f"/governance/escalations/{ids['overdue 1']}").text

    assert "<code>overdue 1</code>" in text
    assert 'href="https://ehr.example/chart?id=overdue%201" rel="noreferrer"' in text
    assert "Every contact on duty has been tried" in text
    assert "A message to Crisis pager has not been delivered: call someone yourself." in text
    lines = re.findall(r"</span> (.*?)</li>", text)
    assert lines[0] == "Opened when mental-health-chart read the chart. Crisis pager is to be told."
    assert "Not acknowledged in time. House officer is to be told." in lines
    assert "Message to Crisis pager (look at the patient): not delivered yet, 0 attempts." in lines
    assert "PHQ" not in text


def test_the_time_line_says_when_a_message_arrived_and_after_how_many_attempts(app, ids) -> None:
    browser = at(app, RESPONDER)

    text = browser.get(f"/governance/escalations/{ids['told-1']}").text

    assert "Message to Crisis pager (look at the patient): delivered, 2 attempts." in text
    assert "Crisis pager was sent a message; nobody has acknowledged it." in text
    assert "Told, not acknowledged" in browser.get("/governance/escalations").text
    with app.extensions["mhcds"].store.transaction() as connection:
        failed = {"delivered": None, "attempts": 3, "failure": "status 503"}
        connection.execute(delivery.update().values(failed))
    text = browser.get(f"/governance/escalations/{ids['told-1']}").text
    assert "not delivered yet, 3 attempts (status 503); the next is due at" in text


def test_that_somebody_looked_at_the_patients_id_is_on_record_and_the_id_is_not(app, ids) -> None:
    at(app, RESPONDER).get(f"/governance/escalations/{ids['told-1']}")

    (look,) = looks(app)
    pseudonym = app.extensions["mhcds"].key.pseudonym("north", "told-1")
    assert look == {
        "what": "looked-at",
        "by": "Rhea Responder (rhea)",
        "escalation": ids["told-1"],
        "patient": pseudonym,
    }


def test_a_patient_id_with_every_sign_stays_one_part_of_the_charts_address(app) -> None:
    site = app.extensions["mhcds"].config().site("north")

    assert chart_url(site, "a/b?c=&d #é") == "https://ehr.example/chart?id=a%2Fb%3Fc%3D%26d%20%23%C3%A9"
    assert chart_url(None, "a") is None


def test_a_responder_acknowledges_says_what_was_done_and_closes_it(app, ids) -> None:
    browser, identifier = at(app, RESPONDER), ids["told-1"]

    assert "You have acknowledged it" in send(browser, identifier, act="acknowledge").text
    second = send(at(app, OPERATOR), identifier, act="acknowledge")
    assert "It had already been acknowledged, by Rhea Responder (rhea)" in second.text
    assert (
        "Recorded: risk assessed, transferred."
        in send(browser, identifier, act="done", done=["assessment", "transferred"]).text
    )
    closed = send(browser, identifier, act="close", reason="handled")
    assert "Closed." in closed.text
    assert "Acknowledge</button>" not in closed.text

    found = row(app, identifier)
    assert (found.acknowledged_by, found.through, found.why_closed) == ("Rhea Responder (rhea)", "page", "handled")
    assert [entry.what for entry in found.done] == [Done.ASSESSMENT, Done.TRANSFERRED]
    assert [act["what"] for act in found.acts] == ["opened", "acknowledged", "done", "closed"]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"act": "done"}, "What was done: expected at least one choice"),
        ({"act": "done", "done": "praised"}, "What was done: expected at least one choice"),
        ({"act": "close"}, "Reason: expected a choice"),
        ({"act": "close", "reason": "erased"}, "Reason: expected a choice"),
        ({"act": "delete"}, "Expected one of the buttons"),
        ({}, "Expected one of the buttons"),
    ],
)
def test_a_form_that_cannot_be_used_says_why_and_changes_nothing(app, ids, fields: dict, says: str) -> None:
    answer = send(at(app, RESPONDER), ids["told-1"], **fields)

    assert answer.status_code == 400
    assert says in answer.text
    assert row(app, ids["told-1"]).is_open
    assert row(app, ids["told-1"]).done == ()


def test_one_that_was_acknowledged_on_a_card_says_so(app, ids) -> None:
    text = at(app, RESPONDER).get(f"/governance/escalations/{ids['acknowledged/1']}").text

    assert "by feedback on the card" in text
    assert "Risk assessed" in text
    assert "said by Rhea Responder (rhea)" in text


def test_a_drill_is_about_no_patient_and_can_be_acknowledged(app, ids) -> None:
    browser = at(app, RESPONDER)
    text = browser.get(f"/governance/escalations/{ids['drill-1']}").text

    assert "This is a rehearsal. No patient is involved." in text
    assert "drill-1" not in text
    assert "You have acknowledged it" in send(browser, ids["drill-1"], act="acknowledge").text
    assert looks(app) == []


def test_an_escalation_that_is_not_here_is_no_page(app) -> None:
    browser = at(app, RESPONDER)

    for identifier in ("0" * 12, "x", "..%2f..", "a" * 400):
        answer = browser.get(f"/governance/escalations/{identifier}")
        assert answer.status_code == 404
        assert "There is no page at this address" in answer.text
    assert send(browser, "0" * 12, act="acknowledge").status_code == 404


def test_once_the_patients_id_is_emptied_the_page_says_so(app, ids) -> None:
    store = app.extensions["mhcds"].store
    with store.transaction() as connection:
        connection.execute(escalation.update().values(sealed=b""))

    text = at(app, RESPONDER).get(f"/governance/escalations/{ids['told-1']}").text

    assert "The id is no longer kept here" in text
    assert looks(app) == []


def test_a_link_leads_through_the_sign_in_to_its_page(app, ids) -> None:
    browser = Browser(app=app)
    path = f"/escalations/{ids['told-1']}"
    asked = browser.get(f"/governance{path}")

    assert asked.status_code == 401
    assert f'href="/governance/sign-in?back={path}"' in asked.text
    landed = browser.get(browser.back(RESPONDER, back=path))
    assert f'content="0; url=/governance{path}"' in landed.text


def test_a_form_of_another_site_or_without_the_token_acknowledges_nothing(app, ids) -> None:
    browser = at(app, RESPONDER)
    path = f"/governance/escalations/{ids['told-1']}"

    assert browser.post(path, {"act": "acknowledge"}, Origin=OURS).status_code == 403
    elsewhere = browser.post(path, {"act": "acknowledge", "csrf": browser.csrf()}, Origin="https://elsewhere.example")
    assert elsewhere.status_code == 403
    assert row(app, ids["told-1"]).is_open


def test_every_choice_has_its_words() -> None:
    assert set(DONE_WORDS) == set(Done)
    assert set(CLOSE_WORDS) | {CloseReason.ERASED, CloseReason.DRILL} == set(CloseReason)
    assert set(escalation_lines.SENT_WORDS) == set(escalation_lines.MessageKind)
    assert "page" in THROUGH_WORDS


def test_one_that_was_acknowledged_and_of_which_nothing_is_recorded_as_done_stays_in_sight(app, ids) -> None:
    browser = at(app, RESPONDER)
    send(browser, ids["told-1"], act="acknowledge")

    text = browser.get("/governance/escalations").text
    order = [
        text.index('id="open"'),
        text.index('id="unfinished"'),
        text.index(ids["told-1"]),
        text.index('id="earlier"'),
    ]
    assert order == sorted(order)
    assert "with nothing recorded as done: 1." in browser.get("/governance/").text

    send(browser, ids["told-1"], act="done", done=["assessment"])
    assert 'id="unfinished"' not in browser.get("/governance/escalations").text
    assert "nothing recorded as done" not in browser.get("/governance/").text


def test_who_cannot_go_hands_it_back_and_the_next_contact_is_told(app, ids) -> None:
    browser, identifier = at(app, RESPONDER), ids["told-1"]
    send(browser, identifier, act="acknowledge")

    text = send(browser, identifier, act="hand-back").text

    assert "Handed back. The next contact is told; stay with the patient if you can." in text
    assert "Handed back: it is open again (Rhea Responder (rhea), on this page)." in text
    found = row(app, identifier)
    assert (found.is_open, found.acknowledged) == (True, None)
    runtime = app.extensions["mhcds"]
    escalations.advance(runtime.store, runtime.config(), runtime.now() + timedelta(seconds=1))
    assert row(app, identifier).contact == "House officer"
    again = send(browser, identifier, act="hand-back")
    assert again.status_code == 400
    assert "It is closed already, or not as the page showed it" in again.text


def test_one_that_is_closed_already_is_not_closed_again(app, ids) -> None:
    browser = at(app, RESPONDER)
    send(browser, ids["told-1"], act="close", reason="handled")

    assert send(browser, ids["told-1"], act="close", reason="in-error").status_code == 400
    assert row(app, ids["told-1"]).why_closed == "handled"


def test_the_overview_says_how_many_are_open(app, ids) -> None:
    text = at(app, VIEWER).get("/governance/").text

    assert "2 open, 1 of them overdue" in text
    assert "/governance/escalations" not in text
    assert "/governance/escalations" in at(app, RESPONDER).get("/governance/").text


def test_one_of_a_site_that_left_the_settings_still_has_its_page(app, ids) -> None:
    store = app.extensions["mhcds"].store
    with store.transaction() as connection:
        connection.execute(escalation.update().values(site="gone"))

    text = at(app, RESPONDER).get(f"/governance/escalations/{ids['told-1']}").text

    assert "Acute answer at site gone" in text
    assert "Look the patient up in the EHR by this id." in text
    with store.transaction() as connection:
        assert escalations.acknowledge(
            connection, ids["told-1"], by="x", through="page", now=app.extensions["mhcds"].now()
        ).first


def test_the_page_of_figures_counts_cards_and_escalations_by_month(app, ids) -> None:
    runtime = app.extensions["mhcds"]
    event = {"service": "depression-suicide-risk", "site": "north", "patient": "p", "user": "u"}
    event["suppressed"] = ("screening-prompt daily-limit",)
    shown = CardRow(uuid="c", topic="depression-follow-up", indicator="info", suggestions=())
    runtime.store.write_answer(AnswerRow(at=runtime.now().isoformat(), site="north", event=event, cards=(shown,)))

    text = at(app, VIEWER).get("/governance/figures").text

    assert "<dt>Acknowledged</dt><dd>1 (by feedback 1)</dd>" in text
    assert "<dt>Not acknowledged</dt><dd>2</dd>" in text
    assert "<dt>Overdue at some time</dt><dd>1</dd>" in text
    assert "median 4 min (n 1)" in text
    assert "Depression follow-up" in text
    assert "no limits are set at this site" in text
    assert "<dt>Ignored</dt><dd>0, 1 waiting</dd>" in text
    assert "<dt>Held back</dt><dd>1 (daily-limit 1)</dd>" in text
    assert at(app, RESPONDER).get("/governance/figures").status_code == 403
