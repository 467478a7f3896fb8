"""What opens an incident without anybody's doing: rates, approvals, settings; on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from ehr import ADDRESS, EHR, app_of, hook_request, kept_in, mhcds, settings

from cds_service.control import acts
from cds_service.control.targets import Mode
from cds_service.incidents import watching
from cds_service.incidents.incidents import Handling, close, incidents
from cds_service.incidents.kinds import IncidentKind
from cds_service.keys.data_key import new_key
from cds_service.serving import watch
from cds_service.settings.approvals import Approval, ApprovedModel, Use
from cds_service.settings.config import ServiceConfig
from cds_service.settings.sites import SiteConfig
from cds_service.storage.calls import AnswerRow
from cds_service.storage.tables import audit_event
from explanations.judgement.assessment import Engine
from explanations.words.notices.notice import NoticeSettings

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
SITE = SiteConfig(id="north", cards=NoticeSettings(zone=ZoneInfo("America/Chicago")))
MODEL = SimpleNamespace(outcome="depression", version="3.0.0", digest="d" * 64)
ENGINE = Engine(models=(MODEL,))
APPROVAL = Approval(
    id="depression-2026",
    version="1",
    sites=("north",),
    services=(),
    owner="Ann",
    clinical_safety_officer="Ben",
    approved_on=date(2026, 1, 1),
    review_by=date(2026, 11, 24),
    uses=(Use.PILOT, Use.LIVE),
    models=(ApprovedModel(outcome="depression", version="3.0.0", digest="d" * 64),),
    success=(),
    exits=(),
)


def config(*approvals: Approval, **changes) -> ServiceConfig:
    return ServiceConfig(sites=(replace(SITE, **changes),), mode="production", approvals=approvals)


def answered(store, count: int, at: datetime = NOW, site: str = "north", **fields) -> None:
    event = {"service": "s", "site": site, "anomalies": 0, "unreadable": 0, "topics": []} | fields
    for _ in range(count):
        store.write_answer(AnswerRow(at=at.isoformat(), site=site, event=event))


def rates(store, now: datetime = NOW, **changes) -> list[dict]:
    """Looks, and returns the facts of what is open at the site."""
    watching.open_all(store, watching.anomaly_rates(store, config(**changes), now), now)
    return [dict(each.facts) for each in listed(store)]


def approvals(store, *found: Approval, now: datetime = NOW) -> list:
    watching.open_all(store, watching.approvals(store, config(*found), ENGINE, now), now)
    return listed(store)


def listed(store, **how) -> list:
    with store.transaction() as connection:
        return incidents(connection, **how)


def close_all(store, at: datetime = NOW) -> None:
    for each in listed(store):
        with store.transaction() as connection:
            close(connection, each.id, Handling(by="Ann", at=at))


# ---- rates ----


@pytest.mark.parametrize(
    "fields",
    [{"anomalies": 2}, {"unreadable": 1}, {"topics": ["could-not-assess"]}, {"quieted": True}],
    ids=["contradicts itself", "cannot be read", "could not be assessed", "the same gap again"],
)
def test_more_than_the_limit_of_a_sites_answers_opens_an_incident(store, fields: dict) -> None:
    answered(store, 40)
    answered(store, 13, **fields)
    assert rates(store) == []
    answered(store, 1, **fields)
    assert rates(store) == [{"day": "2026-11-25", "answers": 54, "affected": 14, "limit": 0.25}]
    assert len(listed(store)) == 1


@pytest.mark.parametrize(
    ("count", "at", "fields"),
    [
        (49, NOW, {"anomalies": 1}),
        (80, NOW - timedelta(hours=25), {"anomalies": 1}),
        (80, NOW, {"topics": ["could-not-assess"], "switched_off": "model depression"}),
        (80, NOW, {"topics": ["could-not-assess"], "held_back": ["acute-safety"]}),
        (80, NOW, {"site": "south", "anomalies": 1}),
        (80, NOW, {"consent": "opted-out", "anomalies": 1}),
    ],
    ids=["too few", "of yesterday", "a service switched off", "a topic that is", "of another site", "opted out"],
)
def test_what_says_nothing_of_a_sites_data_opens_none(store, count: int, at: datetime, fields: dict) -> None:
    answered(store, count, at, **fields)
    assert rates(store) == []


def test_a_limit_of_one_is_never_exceeded(store) -> None:
    answered(store, 60, anomalies=1)
    assert rates(store, anomaly_limit=1.0) == []


def test_a_rate_that_lasts_is_one_incident_until_it_is_closed_and_then_one_a_day(store) -> None:
    answered(store, 60, anomalies=1)
    for hours in range(0, 23, 5):
        assert len(rates(store, NOW + timedelta(hours=hours))) == 1
    close_all(store)
    assert len(rates(store, NOW + timedelta(hours=2))) == 0, "the same day again"
    answered(store, 60, NOW + timedelta(days=1), anomalies=1)
    assert len(rates(store, NOW + timedelta(days=1))) == 1
    close_all(store)
    assert rates(store, NOW) == [], "a clock that goes back opens none a second time"


# ---- approvals ----


def test_an_approval_that_has_ended_at_the_site_opens_one_incident(store) -> None:
    assert approvals(store, APPROVAL, now=datetime(2026, 11, 25, 5, 59, tzinfo=UTC)) == [], "still the 24th in Chicago"
    (found,) = approvals(store, APPROVAL)
    assert (found.site, found.kind, found.facts) == (
        "north",
        IncidentKind.APPROVAL_EXPIRED,
        {"approval": "depression-2026", "ended": "2026-11-24"},
    )
    assert len(approvals(store, APPROVAL)) == 1
    close_all(store)
    for days in (0, 1, -1):
        assert approvals(store, APPROVAL, now=NOW + timedelta(days=days)) == [], "closed, and the same end"
    again = replace(APPROVAL, review_by=date(2027, 1, 31))
    assert approvals(store, again) == []
    assert len(approvals(store, again, now=datetime(2027, 2, 2, tzinfo=UTC))) == 1


def test_an_approval_that_another_has_taken_the_place_of_opens_none(store) -> None:
    assert approvals(store, APPROVAL, replace(APPROVAL, id="next", review_by=date(2027, 1, 1))) == []


def test_an_approval_of_a_model_that_the_site_does_not_use_opens_none(store) -> None:
    old = (ApprovedModel(outcome="depression", version="2.0.0", digest="c" * 64),)
    assert approvals(store, replace(APPROVAL, models=old)) == []


def live(store, version: str = "3.0.0", mode: Mode = Mode.LIVE) -> None:
    row = acts.ModeRow(
        site="north", service="", outcome="depression", version=version, mode=mode, at=NOW, by="Ann", reason="r"
    )
    known = SimpleNamespace(sites=["north"], services=[], version=lambda *_: None)
    acts.set_mode(store, row, known=known)


def test_a_mode_that_lets_a_model_speak_without_an_approval_opens_an_incident(store) -> None:
    live(store, mode=Mode.SILENT)
    assert approvals(store) == []
    live(store)
    (found,) = approvals(store)
    assert (found.kind, found.facts["mode"], found.facts["version"]) == ("approval-missing", "live", "3.0.0")
    close_all(store)
    assert len(approvals(store)) == 1, "still so"
    close_all(store)
    assert approvals(store, replace(APPROVAL, review_by=date(2027, 1, 1))) == []


def test_an_end_that_is_near_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="mhcds")
    for days in (15, 14, 0, -1):
        watching.warn_of_ends(config(replace(APPROVAL, review_by=NOW.date() + timedelta(days=days))), NOW)
    assert [json.loads(record.message)["days_left"] for record in caplog.records] == [14, 0]


# ---- the audit chain ----


def verified(store) -> list[dict]:
    """Verifies as the service does once a day, and returns the facts of what is open."""
    watch.verify_audit(SimpleNamespace(store=store, now=lambda: NOW))
    return [{"site": each.site, **each.facts} for each in listed(store) if each.kind is IncidentKind.AUDIT_FAULT]


def change(store, seq: int) -> None:
    c = audit_event.c
    with store.transaction() as connection:
        connection.execute(audit_event.update().where(c.site == "north", c.seq == seq).values(at="2020-01-01"))


def test_a_chain_that_somebody_changed_opens_one_incident_and_further_changes_another(
    store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watch, "PAGE_REST_S", 0)
    caplog.set_level(logging.INFO, logger="mhcds")
    answered(store, 5)
    assert verified(store) == []
    change(store, 4)
    (first,) = verified(store)
    assert (first["site"], first["seq"], first["faults"]) == ("north", 4, 1)
    assert verified(store) == [first]
    assert json.loads(caplog.records[-1].message) == {"event": "audit-verified", "events": 6, "faults": {"north": 1}}
    close_all(store)
    assert verified(store) == [], "closed, and the same fault"
    change(store, 2)
    (second,) = verified(store)
    assert (second["seq"], second["faults"]) == (2, 2)


def test_verifying_by_hand_opens_the_incident_too(store, store_url: str, tmp_path: Path) -> None:
    folder = settings(tmp_path / "settings", service=kept_in(store_url, tmp_path / "settings"))
    answered(store, 3)
    change(store, 2)
    assert mhcds("audit", "verify", "--config", str(folder)).returncode == 1
    (found,) = listed(store)
    assert (found.kind, found.severity, found.facts["seq"]) == ("audit-fault", "high", 2)


# ---- the looks themselves ----


def test_of_several_workers_one_looks_and_what_is_found_is_open(store) -> None:
    answered(store, 60, anomalies=1)
    runtime = SimpleNamespace(
        store=store,
        config=lambda: config(APPROVAL),
        now=lambda: NOW,
        problem=lambda: "service.toml: mode",
        folder=None,
        engine=ENGINE,
        key=new_key(),
    )
    for _ in range(3):
        watch.look(runtime)
    kinds = [each.kind.value for each in listed(store)]
    assert sorted(kinds) == ["anomaly-rate", "approval-expired", "settings-not-reloaded"]
    close_all(store)
    watch.look(runtime)
    assert listed(store) == [], "not this worker's turn"
    watch.look(SimpleNamespace(**{**vars(runtime), "now": lambda: NOW + timedelta(minutes=11)}))
    assert [each.kind.value for each in listed(store)] == ["settings-not-reloaded"]


def test_answers_as_calls_record_them_can_be_counted(tmp_path: Path) -> None:
    app = app_of(settings(tmp_path))
    answer = app.test_client().post(ADDRESS, json=hook_request(), headers=EHR().headers())
    assert answer.status_code == 200
    runtime = app.extensions["mhcds"]
    assert list(watching.anomaly_rates(runtime.store, runtime.config(), runtime.now())) == []


# ---- settings ----


def test_settings_that_are_not_in_force_open_one_incident_of_the_whole_deployment(store) -> None:
    for problem in (None, "service.toml: mode", "service.toml: mode"):
        watching.open_all(store, watching.settings_not_in_force(problem), NOW)
    (found,) = listed(store)
    assert (found.site, found.kind, found.facts) == ("", "settings-not-reloaded", {})
