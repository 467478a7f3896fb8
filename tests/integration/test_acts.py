"""Modes and switches as recorded acts, on both databases."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
import sqlalchemy as sa

from cds_service.control.acts import Actor, ModeRow, confirm, modes, set_mode, switch_off, switch_on, switches
from cds_service.control.refused import ActRefused
from cds_service.control.targets import Known, Mode, SwitchTarget
from cds_service.control.version import number
from cds_service.storage.opening import open_store
from cds_service.storage.tables import audit_event

NOW = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)
ANN, BEN = Actor("Ann Smith", "command"), Actor("Ben Jones", "page")
SERVICE = "depression-suicide-risk"
KNOWN = Known(
    sites=("north", "south"), services=(SERVICE, "smart-app"), models={"depression": ("2.0.0", "3.0.0")}, kept={}
)
LIVE = ModeRow(
    site="north", service="", outcome="depression", version="3.0.0", mode=Mode.LIVE, at=NOW, by="Ann Smith",
    reason="Board of 30 November", through="command", approval="A-1",
)  # fmt: skip


def off(store, target: SwitchTarget, actor: Actor = ANN, now: datetime = NOW):
    return switch_off(store, target, actor=actor, reason="Wrong cards", now=now, known=KNOWN)


def on(store, target: SwitchTarget, actor: Actor = ANN):
    return switch_on(store, target, actor=actor, reason="Mended", now=NOW, known=KNOWN)


def events(store) -> list[dict]:
    return [json.loads(row["event"]) | {"site": row["site"], "kind": row["kind"]} for row in store.rows(audit_event)]


def stamp(store) -> int:
    with store.transaction() as connection:
        return number(connection)


def test_a_switch_is_recorded_and_tells_the_workers(store) -> None:
    before = stamp(store)
    act = off(store, SwitchTarget(site="north"))
    assert act.done and not act.pending
    assert stamp(store) != before
    (row,) = switches(store, NOW)
    assert (row.target, row.state, row.by, row.reason) == (
        SwitchTarget(site="north"),
        "off",
        "Ann Smith",
        "Wrong cards",
    )
    again = off(store, SwitchTarget(site="north"), BEN)
    assert not again.done and "is switched off since 2026-11-30 10:00 UTC by Ann Smith" in again.said
    assert on(store, SwitchTarget(site="north"), BEN).done
    assert not on(store, SwitchTarget(site="north"), BEN).done
    assert switches(store, NOW) == ()
    assert [(e["act"], e["by"], e["reason"], e["through"]) for e in events(store)] == [
        ("off", "Ann Smith", "Wrong cards", "command"),
        ("on", "Ben Jones", "Mended", "page"),
    ]


def test_two_people_at_once_switch_off_once(store) -> None:
    """Whoever comes second is told by whom and when."""
    start = Barrier(8)

    def one(place: int):
        start.wait()
        return off(store, SwitchTarget(site="north", outcome="depression"), Actor(f"Person {place}", "page"))

    with ThreadPoolExecutor(8) as pool:
        acts = list(pool.map(one, range(8)))
    assert [act.done for act in acts].count(True) == 1
    assert len(switches(store, NOW)) == len(events(store)) == 1
    assert all(switches(store, NOW)[0].by in act.said for act in acts if not act.done)


@pytest.mark.parametrize("topic", ["acute-safety", "positive-safety-answer", "recent-safety", "could-not-assess"])
def test_a_topic_about_safety_needs_a_second_person(store, topic: str) -> None:
    before = stamp(store)
    act = off(store, SwitchTarget(topic=topic))
    assert act.pending and stamp(store) == before
    for same in (ANN, Actor("  ann  SMITH", "page")):
        with pytest.raises(ActRefused, match="expected a person other than Ann Smith"):
            confirm(store, act.id, actor=same, now=NOW)
    assert [row.state for row in switches(store, NOW)] == ["pending"]
    assert not off(store, SwitchTarget(topic=topic), BEN).done, "asking again is not confirming"
    assert confirm(store, act.id, actor=BEN, now=NOW).done
    (row,) = switches(store, NOW)
    assert (row.state, row.by, row.confirmed_by) == ("off", "Ann Smith", "Ben Jones")
    assert stamp(store) != before
    assert not confirm(store, act.id, actor=BEN, now=NOW).done
    assert [(e["act"], e["by"], e.get("asked_by")) for e in events(store)] == [
        ("asked-off", "Ann Smith", None),
        ("off", "Ben Jones", "Ann Smith"),
    ]


def test_what_waits_for_a_second_person_lapses_after_a_day(store) -> None:
    act = off(store, SwitchTarget(topic="acute-safety"))
    late = NOW + timedelta(days=1)
    assert switches(store, late) == ()
    with pytest.raises(ActRefused, match="lapsed after a day"):
        confirm(store, act.id, actor=BEN, now=late)
    anew = off(store, SwitchTarget(topic="acute-safety"), BEN, late)
    assert anew.pending and anew.id != act.id
    assert confirm(store, anew.id, actor=ANN, now=late).done


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (SwitchTarget(site="nroth"), 'site: expected "north"; found nroth'),
        (SwitchTarget(service="depresion-suicide-risk"), 'service: expected "depression-suicide-risk"'),
        (SwitchTarget(outcome="anxiety"), 'model: expected "depression" or'),
        (SwitchTarget(topic="safety"), "topic: expected"),
        (SwitchTarget(outcome="depression", topic="screening-prompt"), "expected a model or a topic; found both"),
    ],
)
def test_what_does_not_exist_cannot_be_switched(store, target: SwitchTarget, words: str) -> None:
    for act in (off, on):
        with pytest.raises(ActRefused, match=words):
            act(store, target)
    assert events(store) == []


def test_nobody_acts_namelessly_or_without_a_reason(store) -> None:
    for actor, reason in ((Actor("", "page"), "why"), (ANN, " "), (ANN, "a\nb"), (Actor("x" * 201, "page"), "why")):
        with pytest.raises(ActRefused, match="expected one line of 1 to"):
            switch_off(store, SwitchTarget(site="north"), actor=actor, reason=reason, now=NOW, known=KNOWN)
    with pytest.raises(ActRefused, match="expected the id of a switch"):
        confirm(store, "nonesuch", actor=ANN, now=NOW)


def test_a_mode_is_a_recorded_act(store) -> None:
    before = stamp(store)
    assert set_mode(store, LIVE, known=KNOWN).done
    assert modes(store) == (LIVE,) and stamp(store) != before
    later = replace(LIVE, by="Ben Jones", at=NOW + timedelta(hours=1))
    again = set_mode(store, later, known=KNOWN)
    assert not again.done and "is live since 2026-11-30 10:00 UTC, set by Ann Smith" in again.said
    silent = set_mode(store, replace(later, mode=Mode.SILENT), known=KNOWN)
    assert silent.done and "It was live, set by Ann Smith on 2026-11-30 10:00 UTC" in silent.said
    assert [(e["before"], e["mode"], e["by"], e["approval"], e["site"]) for e in events(store)] == [
        (None, "live", "Ann Smith", "A-1", "north"),
        ("live", "silent", "Ben Jones", "A-1", "north"),
    ]


@pytest.mark.parametrize(
    ("wanted", "unmet", "words"),
    [
        (replace(LIVE, site="west"), "", "site: expected"),
        (replace(LIVE, outcome="anxiety"), "", "model: expected"),
        (replace(LIVE, version="9.0.0"), "", "version of depression: expected"),
        (replace(LIVE, outcome="suicidal-ideation"), "", "there is no version of it here"),
        (replace(LIVE, service="none"), "", "service: expected"),
        (replace(LIVE, mode=Mode.PILOT), "", "so nobody would see it"),
        (replace(LIVE, mode=Mode.PILOT, share=1.5), "", "share: expected a number from 0 to 1"),
        (replace(LIVE, mode=Mode.PILOT, users=(" ",)), "", "users and departments: expected"),
        (replace(LIVE, reason=""), "", "the reason: expected"),
        (LIVE, "its approval A-1 ended on 2026-11-29", "may not speak: its approval A-1 ended on 2026-11-29"),
    ],
)
def test_a_mode_that_cannot_be_is_refused(store, wanted: ModeRow, unmet: str, words: str) -> None:
    with pytest.raises(ActRefused, match=words):
        set_mode(store, wanted, known=KNOWN, unmet=unmet)
    assert modes(store) == () and events(store) == []


def test_without_an_approval_a_model_may_still_run_silently(store) -> None:
    assert set_mode(store, replace(LIVE, mode=Mode.REVIEW), known=KNOWN, unmet="no approval names it").done


def test_an_act_that_fails_leaves_nothing(store, store_url: str) -> None:
    """The row and its event are one transaction."""
    with store.transaction() as connection:
        connection.execute(sa.text("DROP TABLE chain_head"))
    with pytest.raises(Exception, match="the store failed"):
        off(store, SwitchTarget(site="north"))
    other = open_store(store_url)  # the first has just seen a failure, and rests
    assert switches(other, NOW) == () and events(other) == []
    other.close()
