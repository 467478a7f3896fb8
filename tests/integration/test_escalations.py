"""Escalations on SQLite and on a real PostgreSQL: one an event, told in turn by a clock, until somebody has it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import sqlalchemy as sa
from builders import PATIENT
from escalation_desk import KEY, NOW, Desk, acute, assessment, contact, hours, opted_out, site_of

from cds_service.audit.erasure import Erasure, erase_old, erase_people
from cds_service.escalation.escalations import (
    CloseReason,
    acknowledge,
    advance,
    close,
    close_of,
    hand_back,
    move_on,
    open_stranded,
    record_done,
)
from cds_service.escalation.links import PatientLink
from cds_service.escalation.messages import as_sent
from cds_service.escalation.opening import open_drill, open_for
from cds_service.escalation.records import EscalationStatus, NoSuchEscalation, current, one, patient_of
from cds_service.settings.escalation import Channel, MessageContent
from cds_service.storage import tables
from cds_service.storage.backup import restore_backup, write_backup
from cds_service.storage.housekeeping import tidy
from cds_service.storage.opening import open_store
from cds_service.storage.versions import upgrade
from explanations.judgement.escalation import Done, EscalationState
from fhir_adapters.facts import Consent
from fhir_adapters.instruments import Instrument
from models.rules.findings import Topic, Urgency

OPENED, ENDED, CLOSED = "escalation.opened", "escalation.acknowledged", "escalation.closed"
PSEUDONYM = KEY.pseudonym("north", PATIENT)


@pytest.fixture
def desk(store) -> Desk:
    return Desk(store, site_of(contact("first"), contact("second", within_min=5)))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# ---- one escalation an event ---------------------------------------------------------------------------------------


def test_twenty_readings_by_workers_at_once_open_one_escalation_and_tell_one_contact(desk) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: desk.read(acute()), range(20)))
    assert {value.state for value in found} == {EscalationState.WAITING}
    assert len({value.id for value in found}) == 1
    assert len(desk.rows()) == 1
    assert desk.told() == [("first", OPENED)]
    assert [event["what"] for event in desk.audited()] == ["opened"]


def test_different_events_of_one_patient_at_once_share_one_escalation(desk) -> None:
    texts = [f"2026-11-30T17:{minute}:00Z" for minute in range(10, 20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: desk.read(acute(text)), texts))
    (row,) = desk.rows()
    assert row.events == 10
    assert desk.told() == [("first", OPENED)]
    assert sorted(event["what"] for event in desk.audited()) == ["joined"] * 9 + ["opened"]


def test_the_same_answer_is_the_same_event_in_any_entry_but_an_undated_one_is_known_by_its_entry(desk) -> None:
    desk.read(acute(reference="Observation/1"))
    desk.read(acute(reference="QuestionnaireResponse/7"))
    assert desk.rows()[0].events == 1
    desk.read(acute(None, reference="Observation/2"), acute(None, reference="Observation/3"))
    assert desk.rows()[0].events == 3


def test_a_second_form_of_the_day_without_a_time_is_another_event(desk) -> None:
    first = desk.read(acute("2026-11-30", reference="Observation/1"))
    desk.do(acknowledge, first.id, by="Ann", through="app", now=desk.now)
    assert desk.read(acute("2026-11-30", reference="Observation/1")).state is EscalationState.ACKNOWLEDGED
    assert desk.read(acute("2026-11-30", reference="Observation/2")).state is EscalationState.WAITING


def test_a_further_event_joins_the_open_escalation_without_a_new_message(desk) -> None:
    desk.read(acute())
    again = desk.read(acute(instrument=Instrument.ASQ), later_min=1)
    assert again.id == desk.rows()[0].id
    assert desk.told() == [("first", OPENED)]
    assert [act["what"] for act in desk.do(one, again.id).acts] == ["opened", "joined"]


def test_after_an_acknowledgement_a_new_event_opens_another_and_a_known_one_does_not(desk) -> None:
    first = desk.read(acute())
    desk.do(acknowledge, first.id, by="Ann Safe", through="app", now=desk.now)
    known = desk.read(acute(), later_min=1)
    assert (known.state, known.by, known.id) == (EscalationState.ACKNOWLEDGED, "Ann Safe", first.id)
    new = desk.read(acute("2026-11-30T18:10:00Z"), later_min=20)
    assert (new.state, new.id == first.id) == (EscalationState.WAITING, False)
    assert desk.told() == [("first", OPENED), ("first", OPENED)]


def test_two_patients_have_two_escalations(desk) -> None:
    found = {desk.read(acute(), patient=patient).id for patient in ("a", "b")}
    assert len(found) == len(desk.rows()) == 2


def test_only_acute_answers_are_told_and_an_older_safety_card_shows_what_is_open(desk) -> None:
    older = replace(acute(), urgency=Urgency.PROMPT, topic=Topic.RECENT_SAFETY)
    assert desk.read(older) is None
    assert desk.rows() == []
    opened = desk.read(acute())
    assert desk.read(older, later_min=60 * 8).id == opened.id


def test_nobody_is_told_where_the_patient_opted_out_or_denied_or_the_cards_are_switched_off(desk) -> None:
    assert desk.read(acute(), **opted_out()) is None
    off = desk.read(acute(), off=[Topic.ACUTE_SAFETY])
    assert off.state is EscalationState.SWITCHED_OFF
    assert desk.rows() == []
    assert desk.told() == []


def test_what_is_open_goes_on_where_the_patient_opts_out_or_cards_are_switched_off_meanwhile(desk) -> None:
    opened = desk.read(acute())
    for how in ({"off": [Topic.ACUTE_SAFETY]}, opted_out()):
        found = desk.read(acute("2026-11-30T17:55:00Z"), later_min=1, **how)
        assert found.id == opened.id
    desk.pass_time(15)
    assert desk.told() == [("first", OPENED), ("second", OPENED)]
    assert desk.rows()[0].events == 1


def test_a_patient_who_has_died_meanwhile_ends_it_and_whoever_was_told_hears_of_that(desk) -> None:
    opened = desk.read(acute())
    desk.arrive()
    assert desk.read(later_min=3, deceased=True) is None
    row = desk.rows()[0]
    assert (row.status, row.why_closed, row.acknowledged) == (EscalationStatus.CLOSED, "deceased", None)
    assert desk.told() == [("first", OPENED), ("first", CLOSED)]
    assert desk.pass_time(60) == 0
    assert current(desk.store, "north", PSEUDONYM, desk.now) is None
    with pytest.raises(NoSuchEscalation):
        desk.do(acknowledge, opened.id, by="Ann", through="app", now=desk.now)


def test_a_patient_who_was_marked_dead_by_mistake_is_told_of_again_and_somebody_hears_that_nobody_had_answered(
    desk,
) -> None:
    first = desk.read(acute())
    desk.read(later_min=1, deceased=True)
    assert desk.incidents() == ["escalation-unanswered"]
    again = desk.read(acute(), later_min=1)
    assert (again.state, again.id == first.id) == (EscalationState.WAITING, False)
    assert desk.told() == [("first", OPENED), ("first", OPENED)]
    assert len(desk.rows()) == 2


@pytest.mark.parametrize("how", [{"off": [Topic.ACUTE_SAFETY]}, {"consent": Consent.DENIED}, opted_out()])
def test_an_older_acknowledgement_says_nothing_of_an_answer_that_nobody_was_told_of(desk, how) -> None:
    first = desk.read(acute())
    desk.do(acknowledge, first.id, by="Ann", through="app", now=desk.now)
    found = desk.read(acute("2026-11-30T20:00:00Z"), later_min=130, **how)
    assert found is None or found.state is EscalationState.SWITCHED_OFF
    assert (found is None) is ("consent" in how)


def test_nothing_readable_in_the_store_names_the_patient(desk) -> None:
    site = site_of(contact("first"), content=MessageContent.INITIALS_AND_PLACE)
    link = PatientLink(
        patient_id="one-of-its-own", server="https://ehr.example/fhir", initials="MO", place="Ward 3 West"
    )
    found = open_for(desk.store, KEY, site, link, assessment(acute()), NOW, service="mental-health-chart")
    everything = repr([desk.store.rows(table) for table in tables.SCHEMA.sorted_tables])
    for text in (link.patient_id, f"Patient/{PATIENT}", "Ward 3", "ehr.example", "c-ssrs", "C-SSRS"):
        assert text not in everything.replace("MHCDS", "")
    assert desk.do(patient_of, KEY, found.id) == link


# ---- what is sent --------------------------------------------------------------------------------------------------


def sent(desk: Desk, content: MessageContent = MessageContent.LINK, channel: Channel = Channel.WEBHOOK) -> dict:
    there = Desk(desk.store, site_of(contact("first", channel=channel), content=content))
    link = PatientLink(patient_id=PATIENT, initials="MO", place="Ward 3 West")
    open_for(desk.store, KEY, there.site, link, assessment(acute()), NOW, service="mental-health-chart")
    row = desk.store.rows(tables.delivery)[-1]
    with desk.store.transaction() as connection:
        return msgspec.json.decode(as_sent(connection, there.config, KEY, row["escalation"], row["body"]))


def test_a_message_holds_a_link_and_by_the_sites_choice_initials_and_place_and_no_more(desk) -> None:
    message = sent(desk)
    identifier = desk.rows()[0].id
    assert message == {
        "type": OPENED,
        "timestamp": NOW.isoformat(),
        "data": {
            "id": identifier,
            "site": "north",
            "contact": "first",
            "channel": "webhook",
            "at": NOW.isoformat(),
            "step": 1,
            "acknowledge_within_min": 15,
            "link": f"https://cds.example/governance/escalations/{identifier}",
        },
    }


def test_initials_and_place_go_out_where_the_site_wants_them(desk) -> None:
    data = sent(desk, MessageContent.INITIALS_AND_PLACE)["data"]
    assert (data["initials"], data["place"]) == ("MO", "Ward 3 West")


def test_an_email_never_holds_more_than_the_link(desk) -> None:
    data = sent(desk, MessageContent.INITIALS_AND_PLACE, Channel.EMAIL)["data"]
    assert not {"initials", "place"} & set(data)
    assert data["link"]


# ---- the clock -----------------------------------------------------------------------------------------------------


def test_the_next_contact_is_told_when_the_time_of_the_one_before_has_passed(desk) -> None:
    desk.read(acute())
    assert desk.pass_time(14.9) == 0
    assert desk.pass_time(0.1) == 1
    assert desk.told() == [("first", OPENED), ("second", OPENED)]
    assert desk.pass_time(4.9) == 0


def test_after_three_rounds_nobody_is_told_again_and_it_stays_overdue_with_one_incident(desk) -> None:
    desk.read(acute())
    for _ in range(100):
        desk.pass_time(1)
    assert [name for name, _ in desk.told()] == ["first", "second"] * 3
    row = desk.rows()[0]
    assert (row.is_open, row.overdue, row.due) == (True, True, None)
    assert desk.incidents() == ["escalation-unanswered"]
    assert desk.read(acute()).overdue


def test_it_is_overdue_from_the_moment_that_the_first_round_has_passed(desk) -> None:
    desk.read(acute())
    desk.pass_time(15)
    assert (desk.rows()[0].overdue, desk.incidents()) == (False, [])
    desk.pass_time(5)
    assert (desk.rows()[0].overdue, desk.incidents()) == (True, ["escalation-unanswered"])


def test_a_new_event_begins_the_turns_again_where_they_have_all_passed_unanswered(desk) -> None:
    desk.read(acute())
    for _ in range(100):
        desk.pass_time(1)
    found = desk.read(acute("2026-11-30T19:29:00Z"))
    assert (desk.told()[-1], len(desk.told()), found.overdue) == (("first", OPENED), 7, True)
    desk.pass_time(15)
    assert desk.told()[-1] == ("second", OPENED)


def test_of_several_workers_one_takes_a_turn(desk) -> None:
    desk.read(acute())
    desk.now += timedelta(minutes=15)
    with ThreadPoolExecutor(8) as pool:
        taken = sum(pool.map(lambda _: advance(desk.store, desk.config, desk.now), range(16)))
    assert taken == 1
    assert desk.told() == [("first", OPENED), ("second", OPENED)]


def test_a_contact_who_is_not_on_duty_is_passed_over(store) -> None:
    desk = Desk(store, site_of(contact("day", hours("08:00", "17:00")), contact("evening", hours("17:00", "08:00"))))
    desk.read(acute())
    assert desk.told() == [("evening", OPENED)]


def test_where_nobody_is_on_duty_the_first_is_told_when_hours_begin_and_somebody_at_the_site_knows_at_once(
    store,
) -> None:
    desk = Desk(store, site_of(contact("day", hours("08:00", "17:00")), contact("late", hours("09:00", "16:00"))))
    found = desk.read(acute())
    assert (found.state, found.contact) == (EscalationState.NOBODY_ON_DUTY, None)
    assert (desk.told(), desk.incidents()) == ([], ["nobody-on-duty"])
    desk.now = at("2026-12-01T07:59:59")
    assert desk.pass_time(0) == 0
    desk.now = at("2026-12-01T08:00:00")
    assert desk.pass_time(0) == 1
    assert desk.told() == [("day", OPENED)]
    assert not desk.rows()[0].overdue
    assert [act["what"] for act in desk.do(one, found.id).acts] == ["opened", "begun"]


def test_hours_over_midnight_hold_until_their_end_on_the_next_day(store) -> None:
    site = site_of(contact("night", hours("22:00", "06:00", frozenset({0}))))  # of Monday
    for when, told in (("2026-12-01T05:59:59", 1), ("2026-12-01T06:00:00", 0), ("2026-11-30T21:59:59", 0)):
        desk = Desk(store, site, now=at(when))
        before = len(desk.told())
        desk.read(acute(when), patient=when)
        assert len(desk.told()) - before == told


# 1 November 2026, 01:45 the first time; at 02:00 the clock goes back to 01:00. And 14 March 2027, 01:45.
@pytest.mark.parametrize("opened", ["2026-11-01T06:45:00", "2027-03-14T07:45:00"])
def test_a_clock_change_in_the_night_neither_shortens_nor_lengthens_the_time_to_acknowledge(store, opened) -> None:
    site = site_of(contact("first", within_min=30), contact("second"), zone="America/Chicago")
    desk = Desk(store, site, now=at(opened))
    desk.read(acute(opened))
    assert desk.pass_time(29.9) == 0
    assert desk.pass_time(0.1) == 1
    assert desk.told() == [("first", OPENED), ("second", OPENED)]


def test_hours_that_a_clock_change_leaves_out_begin_on_the_next_day(store) -> None:
    desk = Desk(
        store, site_of(contact("early", hours("02:15", "02:45")), zone="America/Chicago"), at("2027-03-14T07:30:00")
    )
    desk.read(acute())
    assert desk.rows()[0].due == at("2027-03-15T07:15:00").timestamp()


def test_a_contact_with_an_hour_a_day_has_three_turns(store) -> None:
    desk = Desk(store, site_of(contact("late", hours("17:00", "18:00"), within_min=60)))
    desk.read(acute())
    for _ in range(24 * 6):
        desk.pass_time(60)
    assert desk.told() == [("late", OPENED)] * 3


def test_the_clock_of_the_site_decides_who_is_on_duty(store) -> None:
    day, night = contact("day", hours("08:00", "18:00")), contact("night", hours("18:00", "08:00"))
    desk = Desk(store, site_of(day, night, zone="America/Chicago"))  # 11:50 there
    desk.read(acute())
    assert desk.told() == [("day", OPENED)]


def test_a_refusal_ends_the_turn_of_the_contact_who_was_told_last_and_of_no_other(desk) -> None:
    found = desk.read(acute())
    desk.do(move_on, found.id, "second", desk.now)
    assert desk.pass_time(1) == 0
    desk.do(move_on, found.id, "first", desk.now)
    assert desk.pass_time(0) == 1
    assert desk.told()[-1] == ("second", OPENED)


def test_a_contact_who_is_no_longer_in_the_file_does_not_stop_the_clock(store) -> None:
    desk = Desk(store, site_of(contact("gone"), contact("second")))
    desk.read(acute())
    later = Desk(store, site_of(contact("first"), contact("second")), desk.now)
    later.pass_time(15)
    assert later.told()[-1] == ("first", OPENED)


def test_a_clock_that_was_a_year_ahead_for_a_moment_keeps_nobody_from_being_told(desk) -> None:
    for ahead in (timedelta(days=365), timedelta(hours=5)):
        patient = str(ahead)
        desk.now = NOW + ahead
        desk.read(acute(), patient=patient)
        desk.now = NOW
        assert desk.pass_time(1) == 1


def test_a_turn_that_is_a_day_past_is_not_taken_but_it_stays_overdue_and_a_new_event_begins_again(desk) -> None:
    desk.read(acute())
    desk.pass_time(60 * 24 * 3)
    row = desk.rows()[0]
    assert (desk.told(), row.is_open, row.overdue) == ([("first", OPENED)], True, True)
    assert desk.incidents() == ["escalation-unanswered"]
    assert [row["failure"] for row in desk.store.rows(tables.delivery) if row["escalation"]] == ["withdrawn"]
    desk.read(acute("2026-12-03T17:00:00Z"))
    assert len(desk.told()) == 2


# ---- somebody has it -----------------------------------------------------------------------------------------------


def test_told_means_that_the_contacts_own_system_has_it(desk) -> None:
    assert desk.read(acute()).state is EscalationState.WAITING
    desk.now += timedelta(minutes=1)
    desk.arrive()
    found = desk.read(acute())
    assert (found.state, found.contact, found.at) == (EscalationState.TOLD, "first", desk.now)
    desk.pass_time(14)
    assert desk.read(acute()).contact == "first"  # the second one's system has nothing yet


def test_what_waits_says_since_when_and_for_whom(desk) -> None:
    desk.read(acute())
    desk.pass_time(15)
    found = desk.read(acute())
    assert (found.state, found.contact, found.at) == (EscalationState.WAITING, "second", desk.now)


def test_an_acknowledgement_counts_once_and_the_second_learns_who_was_first(desk) -> None:
    found = desk.read(acute())
    first = desk.do(acknowledge, found.id, by="Ann Safe", through="app", now=desk.now)
    second = desk.do(acknowledge, found.id, by="Ben Ward", through="governance", now=desk.now + timedelta(minutes=1))
    assert (first.first, second.first, second.by, second.at) == (True, False, "Ann Safe", NOW.isoformat())
    assert [event["what"] for event in desk.audited()] == ["opened", "acknowledged"]
    assert desk.pass_time(60) == 0


def test_of_many_who_acknowledge_at_once_one_is_first(desk) -> None:
    found = desk.read(acute())
    with ThreadPoolExecutor(8) as pool:
        names = [f"person {n}" for n in range(8)]
        given = list(pool.map(lambda by: desk.do(acknowledge, found.id, by=by, through="app", now=desk.now), names))
    assert len([each for each in given if each.first]) == 1
    assert len({each.by for each in given}) == 1


def test_after_an_acknowledgement_what_waits_is_withdrawn_and_whoever_was_told_hears_of_it(desk) -> None:
    found = desk.read(acute())
    desk.arrive()
    desk.pass_time(15)
    desk.do(acknowledge, found.id, by="Ann Safe", through="app", now=desk.now)
    assert desk.told() == [("first", OPENED), ("second", OPENED), ("first", ENDED)]
    assert [row["failure"] for row in desk.store.rows(tables.delivery)] == [None, "withdrawn", None]


def test_a_contact_told_by_email_gets_no_second_one(store) -> None:
    desk = Desk(store, site_of(contact("mail", channel=Channel.EMAIL)))
    found = desk.read(acute())
    desk.arrive()
    desk.do(acknowledge, found.id, by="Ann", through="app", now=desk.now)
    assert desk.told() == [("mail", OPENED)]


@pytest.mark.parametrize("wrong", [{"patient": KEY.pseudonym("north", "another")}, {"site": "south"}])
def test_nobody_acknowledges_for_another_patient_or_site(desk, wrong) -> None:
    found = desk.read(acute())
    with pytest.raises(NoSuchEscalation):
        desk.do(acknowledge, found.id, by="Ann", through="app", now=desk.now, **wrong)
    with pytest.raises(NoSuchEscalation):
        desk.do(record_done, found.id, [Done.ASSESSMENT], by="Ann", through="app", now=desk.now, **wrong)
    assert desk.rows()[0].is_open
    with pytest.raises(NoSuchEscalation):
        desk.do(acknowledge, "0123456789ab", by="Ann", through="app", now=desk.now)


def test_what_was_done_is_kept_with_who_and_when_and_is_an_acknowledgement(desk) -> None:
    found = desk.read(acute())
    desk.do(record_done, found.id, [Done.ASSESSMENT, Done.SAFETY_PLAN], by="Ann", through="app", now=desk.now)
    with ThreadPoolExecutor(2) as pool:
        for what in pool.map(
            lambda done: desk.do(record_done, found.id, [done], by="Ben", through="app", now=desk.now),
            [Done.FOLLOW_UP, Done.TRANSFERRED],
        ):
            assert not what.first
    row = desk.do(one, found.id)
    assert [(entry.what, entry.by) for entry in row.done[:2]] == [(Done.ASSESSMENT, "Ann"), (Done.SAFETY_PLAN, "Ann")]
    assert {entry.what for entry in row.done} == set(Done)
    assert (row.status, row.acknowledged_by) == (EscalationStatus.ACKNOWLEDGED, "Ann")
    assert set(current(desk.store, "north", PSEUDONYM, desk.now).done) == set(Done)


def test_a_person_who_closes_an_open_one_has_acknowledged_it_and_it_is_closed_once(desk) -> None:
    found = desk.read(acute())
    desk.do(close, found.id, reason=CloseReason.HANDLED, by="Ann", through="command", now=desk.now)
    row = desk.rows()[0]
    assert (row.status, row.acknowledged_by, row.through) == (EscalationStatus.CLOSED, "Ann", "command")
    with pytest.raises(NoSuchEscalation):
        desk.do(close, found.id, reason=CloseReason.HANDLED, by="Ben", through="command", now=desk.now)
    assert desk.read(acute()).state is EscalationState.ACKNOWLEDGED


def test_a_page_shows_an_acknowledgement_for_a_day(desk) -> None:
    found = desk.read(acute())
    desk.do(acknowledge, found.id, by="Ann", through="app", now=desk.now)
    assert current(desk.store, "north", PSEUDONYM, desk.now + timedelta(hours=23)).by == "Ann"
    assert current(desk.store, "north", PSEUDONYM, desk.now + timedelta(hours=25)) is None


def test_whoever_cannot_go_hands_it_back_and_the_next_contact_is_told(desk) -> None:
    found = desk.read(acute())
    desk.do(acknowledge, found.id, by="Ann", through="app", now=desk.now)
    with desk.store.transaction() as connection:
        connection.execute(tables.delivery.update().values(reference="Task/1"))
    desk.do(hand_back, found.id, by="Ann", through="command", now=desk.now)
    assert desk.read(acute()).state is EscalationState.WAITING
    assert desk.pass_time(0) == 1
    assert desk.told() == [("first", OPENED), ("second", OPENED)]
    assert {row["reference"] for row in desk.store.rows(tables.delivery)} == {None}
    acts = [act["what"] for act in desk.do(one, found.id).acts]
    assert acts == ["opened", "acknowledged", "handed-back", "moved-on"]
    with pytest.raises(NoSuchEscalation):
        desk.do(hand_back, found.id, by="Ann", through="command", now=desk.now)
    desk.do(acknowledge, found.id, by="Ben", through="app", now=desk.now)
    desk.read(acute("2026-11-30T19:00:00Z"))
    with pytest.raises(NoSuchEscalation):
        desk.do(hand_back, found.id, by="Ben", through="command", now=desk.now)


def test_an_open_one_of_a_site_that_tells_nobody_any_more_is_an_incident(desk) -> None:
    desk.read(acute())
    open_stranded(desk.store, desk.config, desk.now)
    assert desk.incidents() == []
    gone = replace(desk.config, sites=(replace(desk.site, id="renamed"),))
    for _ in range(2):
        open_stranded(desk.store, gone, desk.now)
    assert desk.incidents() == ["escalation-unanswered"]


# ---- drills --------------------------------------------------------------------------------------------------------


def test_a_drill_tells_its_contact_whatever_the_hours_and_nobody_else_and_opens_no_incident(store) -> None:
    off, other = contact("day", hours("08:00", "09:00")), contact("other")
    desk = Desk(store, site_of(other, off))
    link = PatientLink(patient_id="drill-1")
    drills = [open_drill(store, KEY, desk.site, link, each, desk.now, service="drill") for each in (off, other)]
    assert sorted(desk.told()) == [("day", "escalation.drill"), ("other", "escalation.drill")]
    desk.pass_time(15)
    desk.pass_time(600)
    assert len(desk.told()) == 2
    assert desk.incidents() == []
    rows = desk.rows()
    assert {row.id for row in rows} == set(drills)
    assert all(row.drill and row.overdue and row.patient is None for row in rows)
    assert desk.do(acknowledge, drills[0], by="", through="webhook", now=desk.now).first
    assert current(store, "north", KEY.pseudonym("north", "drill-1"), desk.now) is None
    with pytest.raises(NoSuchEscalation):
        desk.do(hand_back, drills[0], by="Ann", through="command", now=desk.now)
    assert [(event["what"], event["drill"]) for event in desk.audited()][:1] == [("opened", True)]
    assert [act["what"] for act in desk.do(one, drills[0]).acts] == ["opened", "moved-on", "acknowledged"]


# ---- what is kept --------------------------------------------------------------------------------------------------


def erased(desk: Desk) -> None:
    why = Erasure(act="person", by="Ann", reason="asked", at=desk.now)
    close_of(desk.store, "north", [PSEUDONYM], CloseReason.ERASED, "Ann", desk.now)
    erase_people(desk.store, "north", [PSEUDONYM], why)


def test_erasure_of_a_person_closes_what_is_open_and_leaves_nothing_that_leads_to_them(desk) -> None:
    found = desk.read(acute())
    desk.arrive()
    with desk.store.transaction() as connection:
        snoozed = {
            "site": "north",
            "patient": PSEUDONYM,
            "shown_to": "",
            "topic": "screening-prompt",
            "reason": "later",
            "basis": "",
        }
        connection.execute(tables.snooze.insert().values(snoozed | {"at": 1, "until": 2**40}))
        waiting = {"site": "north", "patient": PSEUDONYM, "sealed": b"x", "at": "2026", "attempts": 0, "due": 1}
        connection.execute(tables.arrival.insert().values(waiting))
    desk.read(acute(), patient="another")
    desk.now += timedelta(minutes=1)
    erased(desk)
    assert desk.told()[-1] == ("first", CLOSED)
    assert desk.store.rows(tables.snooze) == desk.store.rows(tables.arrival) == []
    everything = [desk.store.rows(table) for table in tables.SCHEMA.sorted_tables]
    assert PSEUDONYM not in repr(everything)
    mine, other = desk.do(one, found.id), next(row for row in desk.rows() if row.id != found.id)
    assert (mine.status, mine.patient, mine.events, mine.acts) == (EscalationStatus.CLOSED, None, 0, ())
    assert desk.do(patient_of, KEY, found.id) is None
    assert (other.is_open, other.events) == (True, 1)


def test_what_a_site_keeps_no_longer_leads_to_nobody_but_what_is_open_stays(desk) -> None:
    for patient in ("a", "b"):
        found = desk.read(acute(), patient=patient)
    desk.do(acknowledge, found.id, by="Ann", through="app", now=desk.now)
    erase_old(desk.store, "north", 30, desk.now + timedelta(days=40))
    kept, gone = sorted(desk.rows(), key=lambda row: row.status, reverse=True)
    assert (kept.is_open, kept.events, gone.patient, gone.events) == (True, 1, None, 0)


def test_the_link_to_the_patient_goes_thirty_days_after_somebody_has_it(desk) -> None:
    found = desk.read(acute())
    later = int((desk.now + timedelta(days=31)).timestamp())
    tidy(desk.store, later)
    assert desk.do(patient_of, KEY, found.id) is not None
    desk.do(acknowledge, found.id, by="Ann", through="app", now=desk.now)
    tidy(desk.store, int((desk.now + timedelta(days=29)).timestamp()))
    assert desk.do(patient_of, KEY, found.id) is not None
    tidy(desk.store, later)
    assert desk.do(patient_of, KEY, found.id) is None


def test_a_restored_backup_tells_nobody_of_what_is_long_past(desk, tmp_path, postgres) -> None:
    desk.now = datetime.now(UTC) - timedelta(days=5)
    desk.read(acute())
    write_backup(desk.store, tmp_path / "backup.gz")
    (tmp_path / "new.db").touch()
    url = f"sqlite:///{tmp_path / 'new.db'}" if desk.store.file else postgres.new_database()
    store = open_store(url)
    upgrade(store)
    restore_backup(store, tmp_path / "backup.gz")
    restored = Desk(store, desk.site, datetime.now(UTC))
    restored.pass_time(0)
    waits = sa.select(sa.func.count()).where(
        tables.delivery.c.delivered.is_(None), tables.delivery.c.escalation.is_not(None)
    )
    with store.transaction() as connection:
        assert connection.execute(waits).scalar_one() == 0
    row = restored.rows()[0]
    assert (row.is_open, row.overdue, len(row.messages)) == (True, True, 1)
    store.close()


def test_a_store_that_fails_costs_no_card_and_says_that_nobody_was_told(desk) -> None:
    with desk.store.transaction() as connection:
        connection.execute(sa.text("DROP TABLE escalation_event"))
    assert desk.read(acute()).state is EscalationState.NOT_RECORDED
    assert desk.read() is None


def test_a_site_that_configured_nothing_tells_nobody(desk) -> None:
    desk.site = replace(desk.site, escalation=None)
    assert desk.read(acute()) is None
    assert desk.rows() == []
