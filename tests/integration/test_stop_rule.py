"""The stop rule: a model whose cards few accept goes silent until a person sets it back; on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from types import SimpleNamespace

import pytest
from at_once import failures_of_two

from cds_service.burden import stop_rule
from cds_service.burden.stop_rule import apply_stop_rule
from cds_service.control import acts
from cds_service.control.acts import ModeRow
from cds_service.control.targets import Known, Mode
from cds_service.incidents.incidents import incidents
from cds_service.serving import watch
from cds_service.settings.alerts import AlertSettings, StopRule
from cds_service.settings.approvals import Approval, ApprovedModel, Use
from cds_service.settings.config import ServiceConfig
from cds_service.settings.sites import SiteConfig
from cds_service.storage.calls import AnswerRow
from cds_service.storage.chain import AuditKind
from cds_service.storage.store import FeedbackRow
from cds_service.storage.tables import audit_event, card, opt_out
from explanations.judgement.assessment import Engine
from explanations.words.notices.notice import NoticeSettings

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
MODEL = SimpleNamespace(outcome="depression", version="3.0.0", digest="d" * 64)
ENGINE = Engine(models=(MODEL,))
KNOWN = Known(
    sites=("north", "south"), services=("depression-suicide-risk",), models={"depression": ("2.0.0", "3.0.0")}
)
RULE = StopRule(acceptance=0.2, cards=10)


def config(*approvals: Approval, rule: StopRule = RULE) -> ServiceConfig:
    site = SiteConfig(id="north", cards=NoticeSettings(zone=UTC), alerts=AlertSettings(stop=rule))
    return ServiceConfig(
        sites=(site, replace(site, id="south")), mode="production" if approvals else "development", approvals=approvals
    )


def shown(
    store, count: int, at: datetime = NOW - timedelta(days=9), *, accepted: int = 0, overridden: int = 0, **row
) -> None:
    """Model cards, of which the first so many were accepted, then overridden."""
    with store.transaction() as connection:
        first = len(connection.execute(card.select()).all())
    site = row.get("site", "north")
    for number in range(first, first + count):
        event = {"service": "depression-suicide-risk", "site": site}
        answer = store.write_answer(AnswerRow(at=at.isoformat(), site=site, event=event))
        values = {"uuid": f"card-{number}", "site": site, "answer": answer, "topic": "screening-prompt"}
        values |= {"indicator": "info", "suggestions": [], "patient": f"p{number}", "at": int(at.timestamp())}
        with store.transaction() as connection:
            connection.execute(card.insert().values(values | {"prompted": "depression 3.0.0"} | row))
        if number - first < accepted + overridden:
            said(store, f"card-{number}", "accepted" if number - first < accepted else "overridden", at, site)


def said(store, uuid: str, outcome: str, at: datetime, site: str = "north") -> None:
    digest = sha256(f"{uuid}{outcome}".encode()).hexdigest()
    item = FeedbackRow(digest=digest, card=uuid, outcome=outcome, outcome_at=at.isoformat(), suggestions=())
    store.write_feedback(at, (site,), "depression-suicide-risk", [item])


def set_mode(store, mode: Mode, at: datetime, service: str = "", **changes) -> None:
    row = ModeRow(
        site="north", service=service, outcome="depression", version="3.0.0", mode=mode, at=at, by="Ann", reason="r"
    )
    acts.set_mode(store, replace(row, **changes), known=KNOWN)


def modes(store) -> dict[str, str]:
    return {f"{row.site} {row.service}".strip(): row.mode.value for row in acts.modes(store)}


def opened(store) -> list:
    with store.transaction() as connection:
        return incidents(connection)


def run(store, now: datetime = NOW, **how) -> dict[str, str]:
    apply_stop_rule(store, config(**how), ENGINE, now)
    return modes(store)


def test_a_model_that_few_accept_goes_silent_by_a_recorded_act_and_opens_an_incident(store) -> None:
    shown(store, 10, accepted=1, overridden=3)

    assert run(store) == {"north": "silent"}

    (row,) = acts.modes(store)
    assert (row.by, row.through, row.at) == ("service", "stop rule", NOW)
    assert row.reason == "1 of the last 10 cards were accepted, fewer than 20%"
    (found,) = opened(store)
    assert (found.kind, found.severity, found.site) == ("stop-rule", "medium", "north")
    assert found.facts == {"outcome": "depression", "version": "3.0.0", "cards": 10, "accepted": 1, "limit": 0.2}
    events = [json.loads(e["event"]) for e in store.rows(audit_event) if e["kind"] == AuditKind.MODE]
    assert [(e["act"], e["mode"], e["before"], e["by"]) for e in events] == [("mode", "silent", "live", "service")]


@pytest.mark.parametrize(
    ("count", "how"),
    [
        (9, {"overridden": 9}),
        (10, {"accepted": 2}),
        (10, {}),
        (10, {"overridden": 9, "at": NOW - timedelta(days=2)}),
        (10, {"overridden": 10, "prompted": ""}),
        (10, {"overridden": 10, "prompted": "depression 2.0.0"}),
        (10, {"overridden": 10, "prompted": "depression 3.0.01"}),
        (10, {"overridden": 10, "prompted": "suicidal-ideation 3.0.0"}),
    ],
    ids=[
        "too few cards", "enough accepted", "a site that sends no feedback", "one without feedback is two days old",
        "cards of rules alone", "another version", "a version that begins like it", "another model",
    ],
)  # fmt: skip
def test_what_does_not_stop_a_model(store, count: int, how: dict) -> None:
    shown(store, count, **how)

    assert run(store) == {}
    assert opened(store) == []


def test_zero_cards_in_the_settings_switch_the_rule_off(store) -> None:
    shown(store, 30, overridden=30)

    assert run(store, rule=StopRule(cards=0)) == {}


def test_a_card_of_two_models_counts_for_each(store) -> None:
    shown(store, 10, overridden=10, prompted="depression 3.0.0,suicidal-ideation 3.0.0")

    assert run(store) == {"north": "silent"}


def test_only_the_latest_cards_count(store) -> None:
    shown(store, 20, overridden=20)
    shown(store, 10, at=NOW - timedelta(days=8), accepted=5, overridden=5)

    assert run(store) == {}


def test_only_the_site_itself_goes_silent(store) -> None:
    shown(store, 10, overridden=10, site="south")

    assert run(store) == {"south": "silent"}


def test_patients_who_opted_out_count_for_nothing(store) -> None:
    shown(store, 10, overridden=10)
    with store.transaction() as connection:
        connection.execute(opt_out.insert().values(site="north", patient="p3", at=NOW.isoformat(), source="command"))

    assert run(store) == {}


def test_services_with_a_mode_of_their_own_stop_too_and_silent_ones_are_left_alone(store) -> None:
    before = NOW - timedelta(days=30)
    set_mode(store, Mode.OFF, before)
    set_mode(store, Mode.PILOT, before, "depression-suicide-risk", users=("Practitioner/1",))
    shown(store, 10, overridden=10)

    assert run(store) == {"north": "off", "north depression-suicide-risk": "silent"}


def test_a_model_that_does_not_speak_is_not_stopped_again(store) -> None:
    set_mode(store, Mode.REVIEW, NOW - timedelta(days=30))
    shown(store, 10, overridden=10)

    assert run(store) == {"north": "silent-with-review"}
    assert opened(store) == []


def test_the_same_cards_do_not_stop_it_again_after_a_person_set_it_back_and_new_ones_do(store) -> None:
    shown(store, 10, overridden=10)
    run(store)
    back = NOW + timedelta(days=1)
    set_mode(store, Mode.LIVE, back)

    assert run(store, back + timedelta(days=30)) == {"north": "live"}
    shown(store, 9, at=back + timedelta(days=1), overridden=9)
    assert run(store, back + timedelta(days=30)) == {"north": "live"}
    shown(store, 1, at=back + timedelta(days=2), overridden=1)
    assert run(store, back + timedelta(days=30)) == {"north": "silent"}


def test_only_a_person_sets_it_back(store) -> None:
    shown(store, 10, overridden=10)
    run(store)
    shown(store, 10, at=NOW + timedelta(days=1), accepted=10)

    assert run(store, NOW + timedelta(days=60)) == {"north": "silent"}
    assert len(opened(store)) == 1


def test_without_an_approval_a_governed_model_is_silent_and_needs_no_stop(store) -> None:
    approval = Approval(
        id="a", version="1", sites=("north",), services=(), owner="Ann", clinical_safety_officer="Ben",
        approved_on=date(2026, 1, 1), review_by=date(2026, 12, 31), uses=(Use.LIVE,),
        models=(ApprovedModel(outcome="depression", version="3.0.0", digest="d" * 64),), success=(), exits=(),
    )  # fmt: skip
    shown(store, 10, overridden=10)

    apply_stop_rule(store, config(approval), ENGINE, NOW)

    assert modes(store) == {}


def test_of_two_workers_at_once_one_stops_it(store, monkeypatch) -> None:
    """Both have counted before either holds the lock."""
    shown(store, 10, overridden=10)
    both, counted = threading.Barrier(2, timeout=60), stop_rule._stopped_by
    first = threading.local()

    def together(*args, **how):
        found = counted(*args, **how)
        if not hasattr(first, "seen"):
            first.seen = True
            both.wait()
        return found

    monkeypatch.setattr(stop_rule, "_stopped_by", together)
    settings = ServiceConfig(sites=config().sites[:1], mode="development")

    assert failures_of_two(lambda: apply_stop_rule(store, settings, ENGINE, NOW)) == []
    assert modes(store) == {"north": "silent"}
    assert len(opened(store)) == 1
    acted = [e for e in store.rows(audit_event) if e["kind"] == AuditKind.MODE]
    assert len(acted) == 1


def test_a_person_who_acts_between_the_count_and_the_stop_is_not_overruled(store, monkeypatch) -> None:
    shown(store, 10, overridden=10)
    counted, calls = stop_rule._stopped_by, []

    def then_a_person(*args, **how):
        found = counted(*args, **how)
        calls.append(found)
        if len(calls) == 1:
            set_mode(store, Mode.LIVE, NOW)
        return found

    monkeypatch.setattr(stop_rule, "_stopped_by", then_a_person)
    apply_stop_rule(store, ServiceConfig(sites=config().sites[:1], mode="development"), ENGINE, NOW)

    assert [found is not None for found in calls] == [True, False]
    assert modes(store) == {"north": "live"}
    assert opened(store) == []


def test_the_watch_looks_once_a_day(store, monkeypatch) -> None:
    looks = []
    monkeypatch.setattr(watch, "apply_stop_rule", lambda *_: looks.append(1))
    runtime = SimpleNamespace(
        store=store, config=config, now=lambda: NOW, engine=Engine(), problem=lambda: None, key=None, folder=None
    )
    monkeypatch.setattr(watch, "head_lines", lambda *_: [])
    monkeypatch.setattr(watch, "verify_audit", lambda *_: None)
    monkeypatch.setattr(watch, "look_at_models", lambda *_: None)

    watch.look(runtime)
    watch.look(runtime)

    assert looks == [1]
