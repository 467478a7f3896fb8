"""The governance pages: every page and every act by every role, what is refused, and what no page may show."""

from __future__ import annotations

import json
import re

import pytest
from builders import PATIENT, given, patient, resource
from ehr import ADDRESS, EHR, FEEDBACK, hook_request
from governance_desk import PLANTED, approval, desk, digest_of
from openid import OURS, PEOPLE, Browser, provider

from cds_service.control import acts
from cds_service.control.targets import Mode
from cds_service.governance.pages import ACTS, PAGES
from cds_service.governance.session import ESCALATION
from cds_service.incidents.incidents import incidents
from cds_service.serving.engine import load_engine
from cds_service.storage.chain import AuditKind, NewEvent, append
from cds_service.storage.tables import SCHEMA, audit_event

OFFICER, OTHER, OPERATOR, VIEWER, RESPONDER = "olu", "otto", "ines", "vera", "rhea"


@pytest.fixture(scope="module")
def between():
    with provider() as found:
        yield found


@pytest.fixture(scope="module")
def engine():
    return load_engine()


@pytest.fixture
def app(tmp_path, between, engine):
    return desk(tmp_path, between, engine=engine)


def at(app, who: str) -> Browser:
    browser = Browser(app=app)
    assert browser.sign_in(who).status_code == 200
    return browser


def send(browser: Browser, path: str, **fields: str):
    """A form of ours, as the browser sends it."""
    return browser.post(f"/governance{path}", {"csrf": browser.csrf(), **fields}, Origin=OURS)


def events(app, kind: AuditKind) -> list[dict]:
    rows = app.extensions["mhcds"].store.rows(audit_event)
    return [json.loads(row["event"]) for row in rows if row["kind"] == kind]


def modes(app) -> dict[str, acts.ModeRow]:
    return {row.outcome: row for row in acts.modes(app.extensions["mhcds"].store)}


def off(app) -> list[str]:
    runtime = app.extensions["mhcds"]
    return [f"{row.state} {row.target.words}" for row in acts.switches(runtime.store, runtime.now())]


# ---- who may see and do what -------------------------------------------------------------------------------------------

SEES = {OFFICER: 200, OPERATOR: 200, VIEWER: 200, RESPONDER: 200, "nobody": 403, None: 401}
OF_RESPONDERS = {"overview", "escalations"}
MAY = {
    "switch_off": {OFFICER, OPERATOR},
    "switch_on": {OFFICER, OPERATOR},
    "switch_confirm": {OFFICER},
    "set_mode": {OFFICER},
    "escalation_act": {OFFICER, OPERATOR, RESPONDER},
    "incident_act": {OFFICER, OPERATOR},
    "incident_export": {OFFICER, OPERATOR},
    "audit_search": {OFFICER, OPERATOR, VIEWER},
    "audit_verify": {OFFICER, OPERATOR, VIEWER},
}
PATHS = {name: path for name, path, *_ in ACTS}
PATHS |= {"incident_export": "/incidents/export", "audit_search": "/audit/search"}


def test_every_page_by_every_role(app) -> None:
    for who, status in SEES.items():
        browser = at(app, who) if who else Browser(app=app)
        for name, path, right, _ in PAGES:
            answer = browser.get(f"/governance{path}")
            hidden = (who == RESPONDER and name not in OF_RESPONDERS) or (who == VIEWER and right is ESCALATION)
            expected = 403 if hidden else status
            assert answer.status_code == expected, (who, path)
            assert ("<nav" in answer.text) == (status == 200)
            assert answer.headers["Cache-Control"] == "no-store"
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_every_act_by_every_role_and_without_the_token(app) -> None:
    """400: the empty form is refused by the act itself, after the role was found good; 404: there is no such one."""
    for who in SEES:
        browser = at(app, who) if who else Browser(app=app)
        for name, path in PATHS.items():
            allowed = who in MAY[name]
            answer = send(browser, path)
            expected = (200, 400, 404) if allowed else ((401,) if who is None else (403,))
            assert answer.status_code in expected, (who, path)
            if who is not None:
                assert browser.post(f"/governance{path}", {}, Origin=OURS).status_code == 403, (who, path)
            assert browser.get(f"/governance{path}").status_code in (200, 401, 403, 404)
    assert off(app) == ["off model suicidal-ideation at all sites", "pending topic recent-safety at site north"]
    assert all(row.by == "Olu Officer (olu)" for row in modes(app).values())
    assert {e["why"] for e in events(app, AuditKind.GOVERNANCE) if e["what"] == "refused"} == {"form", "not-yours"}


def test_the_table_of_acts_is_whole() -> None:
    assert set(PATHS) == set(MAY)
    assert set(PEOPLE) >= {OFFICER, OTHER, OPERATOR, VIEWER, RESPONDER}


# ---- switches ----------------------------------------------------------------------------------------------------------


def test_an_operator_switches_a_model_off_and_on_and_each_act_is_recorded(app) -> None:
    browser = at(app, OPERATOR)

    said = send(browser, "/switches/off", what="model:depression", site="north", reason="Odd flags since noon")
    assert "Switched off from the next call on: model depression at site north" in said.text
    overview = browser.get("/governance/").text
    assert "No card comes from it: it is switched off" in overview
    again = send(browser, "/switches/off", what="model:depression", site="north", reason="Odd flags since noon")
    assert "Nothing changed" in again.text
    send(browser, "/switches/on", outcome="depression", site="north", reason="Mended")

    assert off(app) == ["off model suicidal-ideation at all sites", "pending topic recent-safety at site north"]
    recorded = [e for e in events(app, AuditKind.SWITCH) if e["outcome"] == "depression"]
    assert [(e["act"], e["by"], e["through"], e["reason"]) for e in recorded] == [
        ("off", "Ines Operator (ines)", "page", "Odd flags since noon"),
        ("on", "Ines Operator (ines)", "page", "Mended"),
    ]


def test_a_topic_about_safety_takes_two_safety_officers(app) -> None:
    operator, officer, other = at(app, OPERATOR), at(app, OFFICER), at(app, OTHER)

    assert send(operator, "/switches/off", what="topic:acute-safety", reason="x").status_code == 403
    asked = send(officer, "/switches/off", what="topic:acute-safety", reason="Wrong help line printed")
    assert "Another safety officer has to confirm it" in asked.text
    (pending,) = [
        r
        for r in acts.switches(app.extensions["mhcds"].store, app.extensions["mhcds"].now())
        if r.target.topic == "acute-safety"
    ]
    own = send(officer, "/switches/confirm", id=pending.id)
    assert own.status_code == 400
    assert "Expected a person other than Olu Officer (olu)" in own.text
    assert send(operator, "/switches/confirm", id=pending.id).status_code == 403
    assert "pending topic acute-safety at all sites" in off(app)

    assert "Switched off from the next call on" in send(other, "/switches/confirm", id=pending.id).text
    assert "off topic acute-safety at all sites" in off(app)
    assert send(operator, "/switches/on", topic="acute-safety", reason="Mended").status_code == 200


def test_a_new_name_at_the_provider_makes_no_second_person(app, between) -> None:
    between.forge(publish=True)
    try:
        send(at(app, OFFICER), "/switches/off", what="topic:acute-safety", reason="x")
        runtime = app.extensions["mhcds"]
        (pending,) = [r for r in acts.switches(runtime.store, runtime.now()) if r.target.topic == "acute-safety"]
        between.forge(publish=True, name="Somebody Else")
        renamed = at(app, OFFICER)
    finally:
        between.honest()

    assert "Somebody Else, safety officer" in renamed.get("/governance/").text
    answer = send(renamed, "/switches/confirm", id=pending.id)
    assert answer.status_code == 400
    assert "Expected a person other than Olu Officer (olu)" in answer.text
    assert "pending topic acute-safety at all sites" in off(app)


@pytest.mark.parametrize(
    "fields",
    [
        {"what": "model:depression"},
        {"what": "model:depression", "reason": "x" * 501},
        {"what": "model:depression", "reason": "two\nlines"},
        {"what": "model:gout", "reason": "x"},
        {"what": "topic:<script>", "reason": "x"},
        {"what": "topic:recent-safety", "site": "nowhere", "reason": "x"},
        {"service": "no-such-service", "what": "all", "reason": "x"},
        {"what": "", "reason": "nothing was chosen"},
        {"reason": "nothing was chosen"},
    ],
)
def test_a_switch_that_cannot_be_used_says_why_and_changes_nothing(app, fields: dict) -> None:
    before = off(app)

    answer = send(at(app, OFFICER), "/switches/off", **fields)

    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert "<script>" not in answer.text
    assert off(app) == before


# ---- modes -------------------------------------------------------------------------------------------------------------


def test_a_mode_is_set_under_the_approval_that_allows_it(app) -> None:
    version, _ = digest_of("depression")
    browser = at(app, OFFICER)

    answer = send(browser, "/modes/set", model=f"north|depression|{version}", mode="live", reason="The pilot went well")

    assert answer.status_code == 200
    found = modes(app)["depression"]
    assert (found.mode, found.by, found.approval, found.reason) == (
        Mode.LIVE, "Olu Officer (olu)", "pilot-2027", "The pilot went well",
    )  # fmt: skip
    assert "Its cards are shown" in browser.get("/governance/modes").text


def test_a_pilot_has_its_users_departments_and_share(app) -> None:
    version, _ = digest_of("depression")
    fields = {"model": f"north|depression|{version}", "mode": "pilot", "reason": "Wider"}

    send(at(app, OFFICER), "/modes/set", **fields, share="12.5", users="Practitioner/1, Practitioner/2", departments="")

    found = modes(app)["depression"]
    assert (found.share, found.users, found.departments) == (0.125, ("Practitioner/1", "Practitioner/2"), ())


def test_a_model_that_is_not_approved_does_not_get_to_speak(app) -> None:
    version, _ = digest_of("suicidal-ideation")

    answer = send(at(app, OFFICER), "/modes/set", model=f"north|suicidal-ideation|{version}", mode="live", reason="x")

    assert answer.status_code == 400
    assert "pilot-2027 names another version or digest" in answer.text
    assert "suicidal-ideation" not in modes(app)


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "", "mode": "silent", "reason": "x"},
        {"model": "north|depression", "mode": "silent"},
        {"model": "north|depression|9.9.9", "mode": "silent", "reason": "x"},
        {"model": "nowhere|depression|", "mode": "silent", "reason": "x"},
        {"model": "north|depression|", "mode": "loud", "reason": "x"},
        {"model": "north|depression|", "mode": "pilot", "reason": "x"},
        {"model": "north|depression|", "mode": "pilot", "reason": "x", "share": "many"},
        {"model": "north|depression|", "mode": "pilot", "reason": "x", "share": "nan"},
        {"model": "north|depression|", "mode": "pilot", "reason": "x", "share": "101"},
    ],
)
def test_a_mode_that_cannot_be_used_says_why_and_changes_nothing(app, fields: dict) -> None:
    before = modes(app)

    answer = send(at(app, OFFICER), "/modes/set", **fields)

    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert modes(app) == before


def test_an_approval_that_has_ended_silences_its_model_and_the_pages_say_so(tmp_path, between, engine) -> None:
    app = desk(tmp_path, between, engine=engine)
    (tmp_path / "approvals" / "pilot.toml").write_text(approval(ended=True))
    live = app.extensions["mhcds"].config
    live._next_look = 0.0
    browser = at(app, VIEWER)

    assert "May not speak" in browser.get("/governance/").text
    page = browser.get("/governance/approvals").text
    assert "Ended" in page
    assert "approval pilot-2027 ended on" in page


# ---- incidents ---------------------------------------------------------------------------------------------------------


def of(app, *, closed: bool = True):
    with app.extensions["mhcds"].store.transaction() as connection:
        return incidents(connection, closed=closed)


def test_an_incident_is_noted_taken_on_and_closed(app) -> None:
    browser, one = at(app, OPERATOR), of(app)[0]

    send(browser, "/incidents/act", id=one.id, act="note", text="Looked at it")
    send(browser, "/incidents/act", id=one.id, act="own", text="")
    assert "It is yours now" not in browser.get("/governance/incidents").text
    said = send(browser, "/incidents/act", id=one.id, act="close", text="An old approval; a new one is in force")

    assert "Closed." in said.text
    found = next(i for i in of(app) if i.id == one.id)
    assert (found.status, found.owner) == ("closed", "Ines Operator (ines)")
    assert [note.what for note in found.notes][-3:] == ["noted", "assigned", "closed"]
    assert one.id not in browser.get("/governance/incidents").text
    assert one.id in browser.get("/governance/incidents?all=1").text
    assert send(browser, "/incidents/act", id=one.id, act="close", text="again").status_code == 400


@pytest.mark.parametrize(
    "fields", [{"text": "x"}, {"id": "none", "text": "x"}, {"act": "note", "text": ""}, {"text": "x" * 2001}]
)
def test_a_note_that_cannot_be_used(app, fields: dict) -> None:
    assert send(at(app, OPERATOR), "/incidents/act", **fields).status_code == 400


def test_what_people_wrote_is_for_those_who_act_on_it(app) -> None:
    written = "Called the practice"

    assert written in at(app, OFFICER).get("/governance/incidents").text
    page = at(app, VIEWER).get("/governance/incidents").text
    assert written not in page
    assert "safety officer or operator" in page


def test_incidents_are_exported_and_the_export_is_an_event(app) -> None:
    answer = send(at(app, OFFICER), "/incidents/export")

    assert answer.headers["Content-Disposition"] == 'attachment; filename="incidents.json"'
    assert {row["kind"] for row in answer.json} == {"near-miss", "approval-expired"}
    assert "Called the practice" in answer.text
    assert events(app, AuditKind.EXPORT)[-1]["by"] == "Olu Officer (olu)"


# ---- what no page shows ------------------------------------------------------------------------------------------------


def test_no_secret_of_the_settings_reaches_a_page(tmp_path, between, engine, monkeypatch) -> None:
    monkeypatch.setenv("MHCDS_TEST_STORE", f"sqlite:///{tmp_path}/s3cret-name.db")
    app = desk(tmp_path, between, engine=engine, store={"env": "MHCDS_TEST_STORE"})
    runtime = app.extensions["mhcds"]
    config = runtime.config()
    browser = at(app, OFFICER)

    text = "".join(browser.get(f"/governance{path}").text for _, path, *_ in PAGES)

    assert config.governance.client_secret not in text
    assert runtime.key.text not in text
    assert "s3cret-name" not in text
    assert str(tmp_path) not in text
    assert "BEGIN" not in text


def test_a_store_that_is_down_says_what_can_be_done_without_it(app) -> None:
    browser = at(app, OFFICER)
    app.extensions["mhcds"].store.outage.begin()

    answer = browser.get("/governance/")

    assert answer.status_code == 503
    assert "switch.toml" in answer.text


def test_settings_that_are_not_in_force_are_on_the_overview(app, tmp_path) -> None:
    live = app.extensions["mhcds"].config
    browser = at(app, VIEWER)
    (tmp_path / "sites" / "north.toml").write_text('time_zone = "Mars"\n')
    live._next_look = 0.0
    browser.get("/governance/")

    assert "expected an IANA name" in browser.get("/governance/").text
    assert "not in force" in browser.get("/governance/configuration").text


def test_the_file_switch_is_on_the_pages(app, tmp_path) -> None:
    browser = at(app, OPERATOR)
    (tmp_path / "switch.toml").write_text('[[off]]\nmodel = "depression"\nby = "Night shift"\nreason = "Store down"\n')

    page = browser.get("/governance/switches").text
    assert "Switched off by the file switch.toml" in page
    assert "Night shift" in page
    (tmp_path / "switch.toml").write_text("off = everything\n")

    overview = browser.get("/governance/").text
    assert "The file switch.toml cannot be used" in overview
    assert "or the file switch.toml, cannot be read" in overview


def test_an_error_of_ours_shows_nothing_of_it(app, monkeypatch) -> None:
    browser = at(app, OFFICER)
    monkeypatch.setattr("cds_service.governance.views.shown_settings", lambda _config: 1 / 0)

    answer = browser.get("/governance/configuration")

    assert answer.status_code == 500
    assert "division" not in answer.text
    assert "The error was logged" in answer.text


# ---- the audit chain ---------------------------------------------------------------------------------------------------


WHO = "MRN-0044-471"
POSITIVE = given("PHQ-9, today: item 9 = 2, total = 12")


def call(app, who: str, *resources: dict) -> dict:
    """A hook call of the site's EHR about somebody whose chart holds these."""
    screening = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one} for one in resources]}
    body = hook_request(more={"screening": screening, "patient": patient(name=[{"family": PLANTED}])})
    text = re.sub(rf"\b{PATIENT}\b", who, json.dumps(body))
    headers = EHR(base=OURS).headers() | {"Content-Type": "application/json"}
    answer = app.test_client().post(ADDRESS, base_url=OURS, data=text, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json


@pytest.fixture
def called(app) -> dict:
    """A call about somebody whose chart has planted words, its first card, and feedback with a planted comment."""
    odd = resource("Observation", status="final", code={"text": PLANTED}, valueString=PLANTED)
    card = call(app, WHO, *POSITIVE, odd)["cards"][0]
    said = {"card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": "2026-11-30T10:00:00Z"}
    said["overrideReason"] = {"userComment": PLANTED}
    headers = EHR(base=OURS).headers(FEEDBACK)
    sent = app.test_client().post(FEEDBACK, base_url=OURS, json={"feedback": [said]}, headers=headers)
    assert sent.status_code == 200
    return card


def test_events_are_found_by_patient_id_by_pseudonym_and_by_card(app, called) -> None:
    browser, pseudonym = at(app, OFFICER), app.extensions["mhcds"].key.pseudonym("north", WHO)

    by_id = send(browser, "/audit/search", site="north", patient=f" {WHO} ")
    by_pseudonym = send(browser, "/audit/search", site="north", pseudonym=pseudonym)
    by_card = send(browser, "/audit/search", site="north", card=called["uuid"])

    assert "2 events" in by_id.text
    assert "positive-safety-answer" in by_id.text
    assert "3 events" in by_pseudonym.text, "the search itself is one"
    assert "1 event<" in by_card.text
    assert "positive-safety-answer" in by_card.text
    assert pseudonym in by_id.text
    assert WHO not in by_id.text


def test_an_id_that_is_typed_is_nowhere_afterwards(app, called, caplog) -> None:
    browser = at(app, OFFICER)
    with caplog.at_level("DEBUG"):
        page = send(browser, "/audit/search", site="north", patient="MRN-9173-typed").text

    assert "No events" in page
    kept = str([app.extensions["mhcds"].store.rows(table) for table in SCHEMA.sorted_tables])
    assert "9173-typed" not in page + kept + caplog.text


def test_the_search_by_a_patients_id_is_not_for_viewers(app, called) -> None:
    viewer, pseudonym = at(app, VIEWER), app.extensions["mhcds"].key.pseudonym("north", WHO)

    assert 'name="patient"' not in viewer.get("/governance/audit").text
    assert send(viewer, "/audit/search", site="north", patient=WHO).status_code == 403
    assert "2 events" in send(viewer, "/audit/search", site="north", pseudonym=pseudonym).text


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"site": "north"},
        {"site": "nowhere", "pseudonym": "0" * 32},
        {"site": "north", "pseudonym": "0" * 31},
        {"site": "north", "pseudonym": "0" * 32, "card": "x"},
        {"site": "north", "card": "' or 1=1 --"},
        {"site": "north", "patient": "a", "pseudonym": "0" * 32},
    ],
)
def test_a_search_that_cannot_be_used(app, fields: dict) -> None:
    answer = send(at(app, OFFICER), "/audit/search", **fields)

    assert answer.status_code == 400
    assert 'role="alert"' in answer.text


def test_many_events_are_paged_and_none_is_shown_twice(app) -> None:
    browser, key = at(app, OFFICER), app.extensions["mhcds"].key
    with app.extensions["mhcds"].store.transaction() as connection:
        new = [
            NewEvent(
                site="north",
                kind=AuditKind.APP,
                at="2026-11-30T10:00:00+00:00",
                event={"what": f"n{n}"},
                patient=key.pseudonym("north", "p"),
            )
            for n in range(120)
        ]
        append(connection, *new)
    seen: list[str] = []
    fields = {"site": "north", "patient": "p"}
    for _ in range(4):
        page = send(browser, "/audit/search", **fields).text
        seen += re.findall(r"<dd>(n\d+)</dd>", page)
        if 'name="before"' not in page:
            break
        fields = dict(re.findall(r'name="(site|pseudonym|before)" value="([^"]+)"', page.partition('id="found"')[2]))

    assert len(seen) == len(set(seen)) == 120


def test_the_chains_are_verified_from_the_page(app, called) -> None:
    browser = at(app, VIEWER)
    assert "Site north is whole: 7 events" in send(browser, "/audit/verify").text

    with app.extensions["mhcds"].store.transaction() as connection:
        changed = audit_event.update().where(audit_event.c.site == "north", audit_event.c.seq == 2)
        connection.execute(changed.values(event='{"act":"nothing"}'))

    answer = send(browser, "/audit/verify")
    assert "event 2 was changed" in answer.text
    assert 'role="alert"' in answer.text


def test_chains_too_long_for_a_page_are_left_to_the_command(app, monkeypatch) -> None:
    monkeypatch.setattr("cds_service.governance.forms.MOST_VERIFIED", 3)

    answer = send(at(app, VIEWER), "/audit/verify")

    assert answer.status_code == 400
    assert "mhcds audit verify" in answer.text


def test_no_planted_word_of_a_chart_reaches_a_page(app, called) -> None:
    for who in (OFFICER, OPERATOR, VIEWER):
        browser = at(app, who)
        text = "".join(browser.get(f"/governance{path}").text for _, path, *_ in PAGES)
        text += send(
            browser, "/audit/search", site="north", pseudonym=app.extensions["mhcds"].key.pseudonym("north", WHO)
        ).text
        text += send(browser, "/audit/search", site="north", card=called["uuid"]).text
        assert PLANTED not in text
        assert WHO not in text
        assert "Practitioner/doc" not in text


def test_a_switch_on_a_page_acts_on_the_next_call(app, called) -> None:
    browser = at(app, OPERATOR)
    assert "switched off" not in str(call(app, "p1", *POSITIVE))

    send(browser, "/switches/off", site="north", service="depression-suicide-risk", what="all", reason="Test")
    cards = call(app, "p2", *POSITIVE)["cards"]
    assert len(cards) == 1
    assert "switched off" in cards[0]["summary"] + cards[0]["detail"]

    send(browser, "/switches/on", site="north", service="depression-suicide-risk", reason="Over")
    assert "switched off" not in str(call(app, "p3", *POSITIVE))
