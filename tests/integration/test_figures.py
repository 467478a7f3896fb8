"""What came of cards and escalations, counted; on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from zoneinfo import ZoneInfo

import pytest
from ehr import kept_in, mhcds, settings
from hook_calls import POSITIVE, client_of, topics

from cds_service.burden.figures import Durations, durations, figures
from cds_service.burden.on_record import Window
from cds_service.settings.sites import SiteConfig
from cds_service.storage.app_store import AppRows
from cds_service.storage.calls import AnswerRow, CardRow
from cds_service.storage.chain import AuditKind, NewEvent, append
from cds_service.storage.opening import open_store
from cds_service.storage.store import FeedbackRow
from cds_service.storage.tables import escalation, opt_out
from cds_service.storage.versions import upgrade
from explanations.words.notices.notice import NoticeSettings

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
NORTH = SiteConfig(id="north", cards=NoticeSettings(zone=ZoneInfo("America/Chicago")))
ALL = Window(since=date(2026, 10, 1), until=date(2026, 12, 1))
PROMPT, SAFETY = "screening-prompt", "acute-safety"
MINUTE = timedelta(minutes=1)


def sent(
    store, uuid: str, at: datetime, topic: str = PROMPT, *, patient="p1", user="u1", site="north", **fields
) -> None:
    """An answer with one card."""
    event = {"service": "depression-suicide-risk", "site": site, "patient": patient, "user": user, "topics": [topic]}
    row = CardRow(uuid=uuid, topic=topic, indicator="info", suggestions=(f"{uuid}-s",))
    store.write_answer(AnswerRow(at=at.isoformat(), site=site, event=event | fields, cards=(row,)))


def left_out(store, at: datetime, *suppressed: str, patient: str = "p1") -> None:
    event = {"service": "depression-suicide-risk", "site": "north", "patient": patient, "suppressed": suppressed}
    store.write_answer(AnswerRow(at=at.isoformat(), site="north", event=event))


def said(
    store, card: str, outcome: str, at: datetime, reason: str | None = None, *, ours: bool = True, when=""
) -> None:
    item = FeedbackRow(
        digest=sha256(f"{card}{outcome}{at}{reason}".encode()).hexdigest(),
        card=card,
        outcome=outcome,
        outcome_at=when or at.isoformat(),
        suggestions=(),
        reason_code=reason,
        reason_hl7="other" if reason and ours else None,
    )
    store.write_feedback(at, ("north",), "depression-suicide-risk", [item])


def happened(store, kind: AuditKind, what: str, at: datetime, patient: str = "p1", **fields) -> None:
    event = NewEvent(site="north", kind=kind, at=at.isoformat(), event={"what": what, **fields}, patient=patient)
    with store.transaction() as connection:
        append(connection, event)


def escalated(store, identifier: str, at: datetime, minutes: float | None = None, **fields) -> None:
    end = None if minutes is None else (at + minutes * MINUTE).isoformat()
    values = {"id": identifier, "site": "north", "patient": identifier, "status": "acknowledged" if end else "open"}
    values |= {"at": at.isoformat(), "step": 1, "round": 1, "sealed": b"", "done": [], "acknowledged": end}
    values |= {"through": "page" if end else None} | fields
    with store.transaction() as connection:
        connection.execute(escalation.insert().values(values))


def cells(store, window: Window = ALL, site: SiteConfig = NORTH, **how) -> dict:
    """Cell by month and topic."""
    found = figures(store, [site], window, NOW, **how)
    return {(one.month, one.topic): one for one in found.cards}


def test_every_card_is_counted_once_by_what_came_of_it(store) -> None:
    old, new = NOW - timedelta(days=20), NOW - timedelta(days=2)
    for number, at in enumerate([old, old, old, old, new, new], start=1):
        sent(store, f"c{number}", at, patient=f"p{number}")
    said(store, "c1", "accepted", old + MINUTE)
    said(store, "c2", "overridden", old + MINUTE, "patient-declined")
    said(store, "c3", "overridden", old + MINUTE, "f" * 32, ours=False)
    said(store, "c5", "overridden", new + MINUTE)

    cell = cells(store)["2026-11", PROMPT]

    assert (cell.site, cell.service) == ("north", "depression-suicide-risk")
    assert (cell.shown, cell.accepted, cell.overridden, cell.ignored, cell.waiting) == (6, 1, 3, 1, 1)
    assert cell.reasons == {"patient-declined": 1, "other": 1, "none": 1}
    assert cell.repeated == 0


def test_a_card_that_was_accepted_and_then_dismissed_was_accepted(store) -> None:
    sent(store, "c1", NOW - timedelta(days=1))
    said(store, "c1", "accepted", NOW - timedelta(hours=20))
    said(store, "c1", "overridden", NOW - timedelta(hours=19), "patient-declined")

    cell = cells(store)["2026-11", PROMPT]

    assert (cell.accepted, cell.overridden, cell.reasons) == (1, 0, {})


def test_a_card_is_repeated_where_the_same_user_sees_its_topic_for_the_patient_again_in_the_month(store) -> None:
    begin = datetime(2026, 11, 2, 15, tzinfo=UTC)
    sent(store, "c1", begin)
    sent(store, "c2", begin + timedelta(days=1))
    sent(store, "c3", begin + timedelta(days=2))
    sent(store, "c4", begin, user="u2")
    sent(store, "c5", begin, patient="p2")
    sent(store, "c6", begin, SAFETY)
    sent(store, "c7", begin - timedelta(days=5))

    found = cells(store)

    assert found["2026-11", PROMPT].repeated == 2
    assert found["2026-10", PROMPT].repeated == 0
    assert found["2026-11", SAFETY].repeated == 0


def test_months_and_days_are_those_of_the_sites_own_calendar(store) -> None:
    sent(store, "c1", datetime(2026, 11, 1, 4, 59, tzinfo=UTC))  # 31 October, 23:59, in Chicago
    sent(store, "c2", datetime(2026, 11, 1, 5, 1, tzinfo=UTC))

    assert set(cells(store)) == {("2026-10", PROMPT), ("2026-11", PROMPT)}
    october = Window(since=date(2026, 10, 31), until=date(2026, 11, 1))
    assert set(cells(store, october)) == {("2026-10", PROMPT)}
    utc = replace(NORTH, cards=NoticeSettings(zone=ZoneInfo("UTC")))
    assert cells(store, site=utc)["2026-11", PROMPT].shown == 2


def test_time_to_act_runs_to_the_first_of_what_was_done_within_seven_days(store) -> None:
    at = NOW - timedelta(days=20)
    for number in range(1, 6):
        sent(store, f"c{number}", at, patient=f"p{number}")
    said(store, "c1", "accepted", at + 9 * MINUTE, when=(at + 4 * MINUTE).isoformat())
    happened(store, AuditKind.APP, "written", at - MINUTE, "p1", site="north")
    happened(store, AuditKind.APP, "written", at + 2 * MINUTE, "p2", site="north")
    happened(store, AuditKind.APP, "shown", at + MINUTE, "p3", site="north")
    happened(store, AuditKind.ESCALATION, "done", at + 12 * MINUTE, "p3", escalation="e")
    happened(store, AuditKind.APP, "written", at + timedelta(days=8), "p4", site="north")
    happened(store, AuditKind.ESCALATION, "done", at + MINUTE, "p5", escalation="e", drill=True)

    assert cells(store)["2026-11", PROMPT].to_act == Durations(n=3, median=4.0, p90=10.4)


@pytest.mark.parametrize("when", ["yesterday", "2026-11-20T10:00:00", "2099-01-01T00:00:00Z"])
def test_a_clients_own_time_that_cannot_be_right_gives_way_to_when_it_told_us(store, when: str) -> None:
    sent(store, "c1", NOW - timedelta(days=1))
    said(store, "c1", "accepted", NOW - timedelta(days=1) + 30 * MINUTE, when=when)

    assert cells(store)["2026-11", PROMPT].to_act == Durations(n=1, median=30.0, p90=30.0)


def test_what_a_limit_held_back_is_counted_beside_what_was_shown(store) -> None:
    sent(store, "c1", NOW - timedelta(days=1))
    left_out(store, NOW, "screening-prompt daily-limit", "depression-follow-up repeated")
    left_out(store, NOW, "screening-prompt daily-limit", patient="p2")

    found = cells(store)

    assert found["2026-11", PROMPT].held_back == {"daily-limit": 2}
    assert (found["2026-11", "depression-follow-up"].shown, found["2026-11", "depression-follow-up"].held_back) == (
        0,
        {"repeated": 1},
    )


def test_nobody_who_opted_out_is_in_any_figure_on_the_list_or_in_the_chart(store) -> None:
    at = NOW - timedelta(days=3)
    sent(store, "c1", at, SAFETY, patient="listed")
    sent(store, "c2", at, SAFETY, patient="in-chart")
    sent(store, "c3", at + MINUTE, "could-not-assess", patient="in-chart", consent="opted-out")
    left_out(store, at, "screening-prompt daily-limit", patient="listed")
    escalated(store, "listed", at, 5)
    escalated(store, "in-chart", at, 5)
    with store.transaction() as connection:
        connection.execute(opt_out.insert().values(site="north", patient="listed", at=at.isoformat(), source="command"))

    found = figures(store, [NORTH], ALL, NOW)

    assert (found.cards, found.escalations) == ((), ())


def test_another_sites_cards_and_erased_events_are_not_counted(store) -> None:
    sent(store, "c1", NOW, site="south")
    happened(store, AuditKind.GOVERNANCE, "verified", NOW)

    assert cells(store) == {}


def test_time_to_acknowledge_is_of_real_escalations_alone(store) -> None:
    begin = datetime(2026, 11, 3, 18, tzinfo=UTC)
    for number, minutes in enumerate([2, 4, 6, 8, None]):
        escalated(store, f"e{number}", begin, minutes)
    escalated(store, "late", begin, 30, through="webhook", round=2)
    escalated(store, "drill", begin, 1, drill=True)
    escalated(store, "before", begin - timedelta(days=60), 1)

    (november,) = figures(store, [NORTH], ALL, NOW).escalations

    assert (november.month, november.opened, november.acknowledged, november.unacknowledged) == ("2026-11", 6, 5, 1)
    assert november.overdue == 1
    assert november.through == {"page": 4, "webhook": 1}
    assert november.to_acknowledge == Durations(n=5, median=6.0, p90=21.2)


def test_of_a_chart_that_is_opened_again_an_act_counts_once_from_the_first_card(store) -> None:
    at = NOW - timedelta(days=20)
    for number in range(4):
        sent(store, f"c{number}", at + number * MINUTE)
    happened(store, AuditKind.APP, "written", at + 5 * MINUTE, site="north")

    assert cells(store)["2026-11", PROMPT].to_act == Durations(n=1, median=5.0, p90=5.0)


def test_nothing_is_said_of_nine_of_ten_where_there_are_fewer() -> None:
    assert durations([3.0] * 9).words == "median 3 min (n 9)"
    assert durations([*range(1, 11)]).words == "median 5.5 min, nine of ten within 9.1 min (n 10)"
    assert durations([]).words == "none"


def test_the_spread_of_none_and_of_one() -> None:
    assert durations([]) == Durations(n=0)
    assert durations([7.25]) == Durations(n=1, median=7.2, p90=7.2)


def test_a_reader_with_a_limit_says_from_which_day_on_it_counted(store) -> None:
    for day in range(1, 6):
        sent(store, f"c{day}", datetime(2026, 11, day, 18, tzinfo=UTC))

    found = figures(store, [NORTH], ALL, NOW, most=2)

    assert [one.shown for one in found.cards] == [2]
    assert found.partial == {"north": date(2026, 11, 3)}


def test_an_answer_as_a_call_records_it_is_counted(tmp_path) -> None:
    client = client_of(tmp_path)
    assert topics(client.call(POSITIVE)) == ["positive-safety-answer"]
    runtime = client.flask.application.extensions["mhcds"]
    today = runtime.now().date()

    (cell,) = figures(
        runtime.store, runtime.config().sites, Window(since=today, until=today + timedelta(days=1)), runtime.now()
    ).cards

    assert (cell.topic, cell.shown, cell.waiting) == ("positive-safety-answer", 1, 1)


def learned(store, at: datetime, user: str | None) -> None:
    event = {"what": "learned", "site": "north", "edition": "1", "user": user}
    AppRows(store).record(at.isoformat(), event)


def test_whoever_read_the_module_is_counted_by_month_and_user(store) -> None:
    begin = datetime(2026, 11, 2, 15, tzinfo=UTC)
    for days, user in ((0, "u1"), (1, "u1"), (2, "u2"), (3, None), (-5, "u1"), (-60, "u3")):
        learned(store, begin + timedelta(days=days), user)
    sent(store, "c1", begin)

    found = figures(store, [NORTH], ALL, NOW)

    assert [(one.month, one.read, one.users) for one in found.education] == [("2026-10", 1, 1), ("2026-11", 4, 2)]
    assert sum(cell.shown for cell in found.cards) == 1


def test_the_command_prints_the_cells_as_a_table_and_as_json(tmp_path) -> None:
    url = f"sqlite:///{tmp_path}/mhcds.db"
    folder = settings(tmp_path, service=kept_in(url, tmp_path))
    store = open_store(url)
    upgrade(store)
    now = datetime.now(UTC)
    sent(store, "c1", now - timedelta(minutes=30))
    said(store, "c1", "overridden", now - timedelta(minutes=29), "patient-declined")
    learned(store, now, "u1")
    store.close()

    table = mhcds("figures", "--config", str(folder))
    plain = mhcds("figures", "--config", str(folder), "--json", "--site", "north")
    none = mhcds("figures", "--config", str(folder), "--since", "2020-01-01", "--until", "2020-02-01")
    wrong = mhcds("figures", "--config", str(folder), "--since", "2026-02-01", "--until", "2026-01-01")

    assert table.stdout.splitlines()[1:] == [
        "  1 shown: 0 accepted, 1 overridden (patient-declined 1), 0 ignored, 0 waiting; 0 of them repeated",
        "  0 held back; to act: none",
        f"north, {now:%Y-%m}, the module for clinicians",
        "  read 1 times, by 1 users",
    ]
    (cell,) = json.loads(plain.stdout)["cards"]
    assert (cell["shown"], cell["overridden"], cell["reasons"]) == (1, 1, {"patient-declined": 1})
    assert "Nothing is on record" in none.stdout
    assert wrong.returncode == 1
    assert "--until: expected a day after --since" in wrong.stderr
