"""A breached exit criterion sets its model to silent until a person sets it back; on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from at_once import failures_of_two
from ehr import mhcds, settings
from episodes import episodes

from cds_service.control import acts
from cds_service.control.acts import ModeRow
from cds_service.control.targets import Known, Mode
from cds_service.incidents.incidents import NewIncident, incidents, open_incident
from cds_service.incidents.kinds import IncidentKind
from cds_service.monitoring import acting
from cds_service.monitoring.acting import apply_criteria
from cds_service.monitoring.criteria import ModelCriteria
from cds_service.settings.approvals import Approval, ApprovedModel, Criterion, Measure, Use
from cds_service.settings.config import ServiceConfig, load_config
from cds_service.settings.sites import SiteConfig
from cds_service.storage.calls import AnswerRow
from cds_service.storage.chain import AuditKind
from cds_service.storage.opening import prepare
from cds_service.storage.store import FeedbackRow
from cds_service.storage.tables import audit_event, card, opt_out
from explanations.judgement.assessment import Engine
from explanations.words.notices.notice import NoticeSettings

EXAMPLE = Path(__file__).parents[1] / "config" / "approvals" / "approval.good.toml"
BEGINS = datetime(2026, 6, 1, tzinfo=UTC)
NOW = BEGINS + timedelta(days=80)
MODEL = SimpleNamespace(outcome="depression", version="3.0.0", digest="d" * 64)
ENGINE = Engine(models=(MODEL,))
SERVICE = "depression-suicide-risk"
KNOWN = Known(sites=("north", "south"), services=(SERVICE,), models={"depression": ("3.0.0",)})


def exit_at(measure: Measure, value: float, **more) -> Criterion:
    given = {"comparison": "at-least", "least_n": 20, "window_days": 90, "text": "Six of ten prompts\nare dismissed."}
    return Criterion(measure=measure, value=value, **given | more)


# What is counted does not depend on the database.
on_sqlite = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
OVERRIDDEN = exit_at(Measure.OVERRIDE_SHARE, 0.6)


def config(*exits: Criterion, **changes) -> ServiceConfig:
    approval = Approval(
        id="a-1", version="1", sites=("north",), services=(), owner="Ann", clinical_safety_officer="Ben",
        approved_on=date(2026, 6, 1), review_by=date(2027, 6, 1), uses=(Use.LIVE,),
        models=(ApprovedModel(outcome="depression", version="3.0.0", digest="d" * 64),),
        success=(exit_at(Measure.SCORED_SHARE, 0.5),), exits=exits,
    )  # fmt: skip
    site = SiteConfig(id="north", cards=NoticeSettings(zone=UTC))
    return ServiceConfig(
        sites=(site, replace(site, id="south")), mode="production", approvals=(replace(approval, **changes),)
    )


def told(store, accepted: Sequence[bool], first: datetime = BEGINS, **row) -> None:
    """Cards of the model with feedback, one an hour, each of another patient."""
    with store.transaction() as connection:
        there = len(connection.execute(card.select()).all())
    site = row.get("site", "north")
    for number, taken in enumerate(accepted, start=there):
        at = first + timedelta(hours=number - there + 1)
        event = {"service": SERVICE, "site": site}
        answer = store.write_answer(AnswerRow(at=at.isoformat(), site=site, event=event))
        values = {"uuid": f"card-{number}", "site": site, "answer": answer, "topic": "screening-prompt"}
        values |= {"indicator": "info", "suggestions": [], "patient": f"p{number}", "at": int(at.timestamp())}
        with store.transaction() as connection:
            connection.execute(card.insert().values(values | {"prompted": "depression 3.0.0"} | row))
        outcome = "accepted" if taken else "overridden"
        digest = sha256(f"{number}".encode()).hexdigest()
        item = FeedbackRow(
            digest=digest, card=f"card-{number}", outcome=outcome, outcome_at=at.isoformat(), suggestions=()
        )
        store.write_feedback(at, (site,), SERVICE, [item])


def set_mode(store, mode: Mode, at: datetime = BEGINS, service: str = "", **changes) -> None:
    row = ModeRow(
        site="north", service=service, outcome="depression", version="3.0.0", mode=mode, at=at, by="Ann", reason="r"
    )
    acts.set_mode(store, replace(row, **changes), known=KNOWN)


def modes(store) -> dict[str, str]:
    return {row.service: row.mode.value for row in acts.modes(store)}


def opened(store) -> list:
    with store.transaction() as connection:
        return incidents(connection)


def run(store, *exits: Criterion, now: datetime = NOW, found: Sequence = (), **changes) -> tuple[ModelCriteria, ...]:
    return apply_criteria(store, config(*(exits or (OVERRIDDEN,)), **changes), ENGINE, lambda _: found, now)


def look(store, now: datetime = NOW) -> ModelCriteria:
    """What is found, without acting on it, and with all figures."""
    settings = config(OVERRIDDEN)
    return acting.evaluated_at(store, settings.sites[0], MODEL, settings.approvals[0], lambda _: (), now)[0]


def test_a_breach_demotes_by_a_recorded_act_opens_an_incident_and_tells_the_operator(store, caplog) -> None:
    set_mode(store, Mode.LIVE)
    told(store, [False] * 22)
    caplog.set_level(logging.ERROR, "mhcds")

    (found,) = run(store)

    assert found.breached
    (row,) = acts.modes(store)
    assert (row.mode, row.by, row.through, row.at) == ("silent", "service", "exit criterion", NOW)
    assert row.reason == "exit criterion of approval a-1: override-share at-least 0.6"
    (incident,) = opened(store)
    assert (incident.kind, incident.severity, incident.site) == ("exit-criterion", "medium", "north")
    assert incident.facts == {
        "outcome": "depression", "version": "3.0.0", "approval": "a-1", "measure": "override-share",
        "comparison": "at-least", "limit": 0.6, "value": 1.0, "n": 20, "since": BEGINS.isoformat(),
    }  # fmt: skip
    events = [json.loads(e["event"]) for e in store.rows(audit_event) if e["kind"] == AuditKind.MODE]
    assert [(e["mode"], e["before"], e["by"]) for e in events] == [("live", None, "Ann"), ("silent", "live", "service")]
    (line,) = [json.loads(record.message) for record in caplog.records]
    assert line == {
        "event": "exit-criterion-breached", "site": "north", "model": "depression 3.0.0", "approval": "a-1",
        "measures": ["override-share"],
    }  # fmt: skip


def test_it_acts_once_and_only_a_person_sets_it_back_and_then_windows_begin_anew(store) -> None:
    set_mode(store, Mode.LIVE)
    told(store, [False] * 22)
    run(store)

    (found,) = run(store, now=NOW + timedelta(days=1))
    assert (modes(store), len(opened(store)), found.breached) == ({"": "silent"}, 1, ())

    back = NOW + timedelta(days=2)
    set_mode(store, Mode.LIVE, back)
    run(store, now=back + timedelta(days=1))
    found = look(store, back + timedelta(days=1))
    assert (modes(store), found.begins, found.states[1].n) == ({"": "live"}, back, 0)

    told(store, [False] * 22, back)
    run(store, now=back + timedelta(days=7))
    assert modes(store) == {"": "live"}, "what came of a card is known after a week"
    run(store, now=back + timedelta(days=9))
    assert modes(store) == {"": "silent"}


@on_sqlite
@pytest.mark.parametrize("mode", [Mode.SILENT, Mode.REVIEW, Mode.OFF])
def test_a_model_that_speaks_to_nobody_is_evaluated_and_left_as_it_is(store, mode: Mode) -> None:
    set_mode(store, mode)
    told(store, [False] * 22)

    (found,) = run(store)

    assert found.breached
    assert modes(store) == {"": mode.value}
    assert opened(store) == []


@on_sqlite
def test_every_service_that_speaks_goes_silent_a_pilot_too(store) -> None:
    set_mode(store, Mode.OFF)
    set_mode(store, Mode.PILOT, service=SERVICE, users=("Practitioner/1",))
    told(store, [False] * 22)

    run(store)

    assert modes(store) == {"": "off", SERVICE: "silent"}


@on_sqlite
@pytest.mark.parametrize(
    "changes",
    [
        {"approved_on": date(2026, 9, 1)},
        {"review_by": date(2026, 8, 1)},
        {"models": (ApprovedModel(outcome="depression", version="3.0.0", digest="e" * 64),)},
        {"sites": ("south",)},
    ],
    ids=["begins later", "has ended", "names another artifact", "of another site"],
)
def test_only_a_valid_approval_of_this_artifact_has_criteria(store, changes: dict) -> None:
    set_mode(store, Mode.LIVE)
    told(store, [False] * 22)

    run(store, **changes)

    assert modes(store) == {"": "live"}


@on_sqlite
@pytest.mark.parametrize(
    "row",
    [{"site": "south"}, {"prompted": ""}, {"prompted": "depression 3.0.01"}],
    ids=["another site", "cards of rules alone", "a version that begins like it"],
)
def test_cards_of_another_count_for_nothing(store, row: dict) -> None:
    told(store, [False] * 22, **row)

    found = look(store)

    assert found.states[1].n == 0


@on_sqlite
def test_patients_who_opted_out_count_for_nothing(store) -> None:
    told(store, [False] * 15)
    with store.transaction() as connection:
        connection.execute(opt_out.insert().values(site="north", patient="p3", at=NOW.isoformat(), source="command"))

    found = look(store)

    assert found.states[1].n == 14


def call(store, number: int, *, scored: bool, **more) -> None:
    event = {"service": SERVICE, "site": "north", "status": 200, "patient": f"p{number}", "scores": []}
    event |= {"scores": [{"model": "depression 3.0.0", "probability": 0.1, "shown": False}]} if scored else {}
    at = BEGINS + timedelta(hours=number)
    store.write_answer(AnswerRow(at=at.isoformat(), site="north", event=event | more))


def test_the_scored_share_is_of_calls_that_asked_the_model(store) -> None:
    for number in range(20):
        call(store, number, scored=number % 4 != 0)
    for number, other in enumerate(
        (
            {"status": 412}, {"service": "suicide-safety-discharge"}, {"switched_off": "site"},
            {"not_scored": ["depression switched-off"]}, {"not_scored": ["depression off"]}, {"patient": None},
            {"consent": "opted-out"}, {"not_scored": ["depression answered"]}, {"not_scored": ["depression under-age"]},
        ),
        start=20,
    ):  # fmt: skip
        call(store, number, scored=False, **other)

    found = look(store)

    assert (found.states[0].n, found.states[0].figure) == (20, 0.75)


def test_two_near_misses_of_the_model_end_it_and_those_of_another_do_not(store) -> None:
    set_mode(store, Mode.LIVE)

    def report(number: int, about: str, site: str = "north") -> None:
        new = NewIncident(
            site=site, kind=IncidentKind.NEAR_MISS, occasion=f"near-miss:{number}", facts={"about": about}
        )
        with store.transaction() as connection:
            open_incident(connection, new, BEGINS + timedelta(days=number))

    two = exit_at(Measure.NEAR_MISSES, 2, least_n=1)
    report(1, "depression")
    report(2, "suicidal-ideation")
    report(3, "depression", "south")
    run(store, two)
    assert modes(store) == {"": "live"}

    report(4, "depression")
    run(store, two)
    assert modes(store) == {"": "silent"}


def test_a_clinic_with_twice_the_expected_outcomes_is_found_from_its_episodes_and_others_are_not_mixed_in(
    store,
) -> None:
    set_mode(store, Mode.LIVE)
    limit = exit_at(Measure.OBSERVED_TO_EXPECTED, 1.25)
    biased = episodes(1500, seed=2, level=1.0)
    others = [replace(one, version="2.0.0") for one in biased]

    assert not run(store, limit, found=others)[0].breached
    assert run(store, limit, found=biased)[0].breached
    assert modes(store) == {"": "silent"}


@on_sqlite
def test_what_is_not_decided_is_told_without_its_figures(store) -> None:
    """The figures of two days would tell of the one person in between."""
    told(store, [True] * 12 + [False] * 12)

    (found,) = run(store)

    state = found.states[1]
    assert (state.verdict, state.n, state.figure, state.e_value) == ("holds-so-far", None, None, None)
    assert look(store).states[1].n == 24


@on_sqlite
def test_what_is_found_can_be_kept_as_json(store) -> None:
    told(store, [True] * 30)

    found = run(store)

    assert msgspec.json.decode(msgspec.json.encode(found), type=tuple[ModelCriteria, ...]) == found


@on_sqlite
def test_a_site_whose_record_cannot_be_read_is_said_and_the_others_act(store, caplog) -> None:
    set_mode(store, Mode.LIVE)
    told(store, [False] * 22)
    settings = config(OVERRIDDEN, sites=("north", "south"))

    def found(site: SiteConfig) -> tuple:
        if site.id == "south":
            raise ValueError(site.id)
        return ()

    turned = replace(settings, sites=settings.sites[::-1])
    (told_of,) = apply_criteria(store, turned, ENGINE, found, NOW)

    assert told_of.site == "north"
    assert modes(store) == {"": "silent"}
    lines = [json.loads(record.message) for record in caplog.records]
    assert [(line["event"], line["site"], line.get("why")) for line in lines] == [
        ("criteria-not-evaluated", "south", "ValueError"), ("exit-criterion-breached", "north", None),
    ]  # fmt: skip


@on_sqlite
def test_a_service_that_goes_silent_begins_nothing_anew_for_the_others(store) -> None:
    set_mode(store, Mode.LIVE)
    set_mode(store, Mode.SILENT, BEGINS + timedelta(days=20), SERVICE)

    assert look(store).begins == BEGINS
    set_mode(store, Mode.PILOT, BEGINS + timedelta(days=30), SERVICE, share=0.1)
    assert look(store).begins == BEGINS + timedelta(days=30)


def test_of_two_processes_at_once_one_demotes(store, monkeypatch) -> None:
    """Both have evaluated before either holds the lock."""
    set_mode(store, Mode.LIVE)
    told(store, [False] * 22)
    both, act = threading.Barrier(2, timeout=60), acting._demoted
    done = []

    def together(*args) -> bool:
        both.wait()
        done.append(act(*args))
        return done[-1]

    monkeypatch.setattr(acting, "_demoted", together)

    assert failures_of_two(lambda: run(store)) == []
    assert sorted(done) == [False, True]
    assert len(opened(store)) == 1
    acted = [e for e in store.rows(audit_event) if e["kind"] == AuditKind.MODE]
    assert len(acted) == 2


def test_a_person_who_acts_between_the_look_and_the_demotion_is_not_overruled(store, monkeypatch) -> None:
    set_mode(store, Mode.PILOT, share=0.1)
    told(store, [False] * 22)
    act = acting._demoted

    def after_a_person(*args) -> bool:
        set_mode(store, Mode.LIVE, NOW)
        return act(*args)

    monkeypatch.setattr(acting, "_demoted", after_a_person)
    run(store)

    assert modes(store) == {"": "live"}
    assert opened(store) == []


def test_the_daily_look_of_the_command_demotes_under_an_approval_on_disk(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    folder = settings(tmp_path, site={})
    text = re.sub(r"approved_on = .*", f"approved_on = {(now - timedelta(days=10)).date()}", EXAMPLE.read_text())
    (folder / "approvals").mkdir()
    (folder / "approvals" / "depression.toml").write_text(
        re.sub(r"review_by = .*", f"review_by = {(now + timedelta(days=10)).date()}", text)
    )
    store = prepare(load_config(folder).store)
    set_mode(store, Mode.PILOT, now - timedelta(days=1), share=0.1)
    report = NewIncident(
        site="north", kind=IncidentKind.NEAR_MISS, occasion="near-miss:1", facts={"about": "depression"}
    )
    with store.transaction() as connection:
        open_incident(connection, report, now - timedelta(hours=1))

    done = mhcds("monitor", "--daily", "--config", str(folder))

    assert done.returncode == 0, done.stderr
    assert "exit-criterion-breached" in done.stderr + done.stdout
    assert modes(store) == {"": "silent"}
    assert {one.kind for one in opened(store)} == {IncidentKind.NEAR_MISS, IncidentKind.EXIT_CRITERION}
    store.close()
