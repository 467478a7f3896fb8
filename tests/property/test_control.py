"""Who may speak, over charts, modes, approvals and states of the store: no decision about a model reaches a rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from builders import LOW, cards_of, given, patient, record_of
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from cds_service.cards.from_notices import cards_for
from cds_service.control.acts import ModeRow, SwitchRow
from cds_service.control.permission import asker, control_for, for_review, permission
from cds_service.control.snapshot import ControlState
from cds_service.control.targets import Mode, SwitchTarget
from cds_service.serving.engine import load_engine
from cds_service.settings.approvals import Approval, ApprovedModel, Use
from cds_service.settings.config import ServiceConfig, default_config
from explanations.judgement.assessment import Engine, assess
from explanations.judgement.control import Permission
from explanations.words.notices.notice import NoticeSettings
from models.rules.findings import SAFETY_TOPICS
from models.scoring.risk import NotScored, NotScoredReason, RiskScore

ENGINE = load_engine()
SITE, SERVICE = "default", "depression-suicide-risk"
NOW = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)
LINES = st.sampled_from(
    [
        "PHQ-9, 40 days ago: items 1-8 = 2, item 9 = 1",
        "PHQ-9, 5 days ago: items 1-8 = 1, item 9 = blank",
        "PHQ-9, 9 days ago: total = 26",
        "PHQ-9, 8 days ago: items 1-9 = 1, total = 20",
        "C-SSRS, today: question 4 = yes",
        "Condition T14.91XA, 41 days ago",
        "Condition F32.9, 20 days ago, problem list",
        "Condition 193462001, 90 days ago, problem list",
        "Medicine sertraline, today",
        "Medicine ibuprofen, today",
        "Visit for depression, 30 days ago",
    ]
)
CHARTS = st.lists(LINES, max_size=6, unique=True)
SAFETY = (
    "C-SSRS, today: question 4 = yes",
    "PHQ-9, 3 days ago: items 1-8 = 1, item 9 = 2",
    "ASQ, 30 days ago: question 1 = yes, question 2 3 4 = no",
    "Condition T14.91XA, 41 days ago",
    "EPDS, 2 days ago: items 1-9 = 1, item 10 = 2",
)


def chart(lines):
    return record_of(*(r for line in lines for r in given(line)), who=patient(40, "female"))


def cards(assessment):
    return cards_for(assessment, NoticeSettings(zone=UTC), new_id=lambda: "id")


def config(*uses: Use, digests: bool = True, ended: bool = False, governed: bool = True) -> ServiceConfig:
    """With an approval for these uses of both models; production where governed."""
    models = tuple(
        ApprovedModel(outcome=m.outcome, version=m.version, digest=m.digest if digests else "0" * 64)
        for m in ENGINE.models
    )
    approval = Approval(
        id="A-1", version="1", sites=(SITE,), services=(), owner="Board", clinical_safety_officer="Officer",
        approved_on=NOW.date() - timedelta(days=30), review_by=NOW.date() + timedelta(days=-1 if ended else 30),
        uses=uses, models=models, success=(), exits=(),
    )  # fmt: skip
    return replace(
        default_config(),
        mode="production" if governed else "development",
        approvals=(approval,) if uses else (),
    )


def modes(mode: Mode | None, **extent) -> dict:
    rows = [
        ModeRow(site=SITE, service="", outcome=m.outcome, version=m.version, mode=mode, at=NOW, **extent)
        for m in ENGINE.models
        if mode
    ]
    return {row.key: row for row in rows}


def switched(**target: str) -> SwitchRow:
    return SwitchRow(id="1", target=SwitchTarget(**target), at=NOW, state="off", by="Ann", reason="why")


STATES = {
    "never read": ControlState(),
    "read": ControlState(number=1),
    "switch.toml broken": ControlState(number=1, problems=("broken",)),
    "models switched off": ControlState(
        number=1, off=(switched(outcome="depression"), switched(outcome="suicidal-ideation"))
    ),
}
APPROVALS = {
    "not governed": config(governed=False),
    "none": config(),
    "valid": config(Use.PILOT, Use.TRIAL, Use.LIVE),
    "ended": config(Use.PILOT, Use.LIVE, ended=True),
    "another artifact": config(Use.PILOT, Use.LIVE, digests=False),
    "another use": config(Use.SILENT),
}
WHO = asker(b"secret", SITE, SERVICE, "Practitioner/1", "patient")


@pytest.mark.parametrize("lines", [*((line,) for line in SAFETY), SAFETY, SAFETY[:3]])
def test_no_mode_approval_switch_of_a_model_or_state_of_the_store_touches_a_rule(lines) -> None:
    """The finding and the card of a documented answer are the same in all of them."""
    record = chart((*lines, "Medicine ibuprofen, today"))
    alone = assess(record, Engine(), LOW)
    assert any(f.topic in SAFETY_TOPICS for f in alone.findings)
    said = [card for card in cards(alone) if card.source.topic.code in SAFETY_TOPICS]
    tried = 0
    for mode, settings_, state in product((None, *Mode), APPROVALS.values(), STATES.values()):
        found = replace(state, modes=modes(mode, share=0.5))
        may = control_for(found, settings_, WHO, NOW)
        assert may.off_since is None and not may.topics_off
        assessment = assess(record, ENGINE, LOW, may_speak=lambda model, may=may: may.permission(model, ()))
        assert assessment.findings == alone.findings and assessment.history == alone.history
        assert [c for c in cards(assessment) if c.source.topic.code in SAFETY_TOPICS] == said
        tried += 1
    assert tried == 7 * len(APPROVALS) * len(STATES)


@settings(max_examples=150)
@drawn(
    lines=CHARTS,
    reason=st.sampled_from([r for r in NotScoredReason if r.value.startswith(("s", "not-", "trial-", "app"))]),
)
def test_the_cards_of_a_silent_model_are_those_without_any_model(lines, reason) -> None:
    record = chart(lines)
    silent = assess(record, ENGINE, LOW, may_speak=lambda _: Permission(why_not=reason))
    assert cards(silent) == cards(assess(record, Engine(), LOW))
    assert not silent.explanations and not any(isinstance(s, RiskScore) for s in silent.scores)
    assert silent.above() == silent.prompting() == () and not silent.measure_again()
    spoken = [s for s in assess(record, ENGINE, LOW).scores if isinstance(s, RiskScore)]
    assert list(silent.unspoken) == spoken, "what is recorded is what would have been said"


def test_the_charts_above_would_have_had_cards_of_models() -> None:
    prompted = cards_of(
        chart(["Medicine ibuprofen, today", "Condition 193462001, 90 days ago, problem list"]), ENGINE, LOW
    )
    again = cards_of(chart(["Medicine sertraline, today"]), ENGINE, LOW)
    assert [c.source.topic.code for c in (*prompted, *again)] == [
        "screening-prompt", "depression-follow-up", "screening-prompt",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("approvals", "mode", "state", "why_not", "asked"),
    [
        ("not governed", None, "read", None, True),
        ("not governed", Mode.SILENT, "read", "silent", True),
        ("not governed", Mode.OFF, "read", "off", False),
        ("not governed", None, "never read", "control-unknown", False),
        ("not governed", Mode.LIVE, "switch.toml broken", "control-unknown", False),
        ("not governed", Mode.LIVE, "models switched off", "switched-off", False),
        ("none", None, "read", "silent", True),  # how a new version begins
        ("none", Mode.LIVE, "read", "not-approved", True),
        ("valid", None, "read", "silent", True),
        ("valid", Mode.REVIEW, "read", "silent", True),
        ("valid", Mode.LIVE, "read", None, True),
        ("valid", Mode.PILOT, "read", "not-in-pilot", True),
        ("valid", Mode.TRIAL, "read", "trial-not-running", True),  # nobody says the arm
        ("another use", Mode.TRIAL, "read", "approved-other", True),
        ("valid", Mode.LIVE, "models switched off", "switched-off", False),
        ("ended", Mode.LIVE, "read", "approval-expired", True),
        ("another artifact", Mode.LIVE, "read", "approved-other", True),
        ("another use", Mode.LIVE, "read", "approved-other", True),
        ("another use", Mode.SILENT, "read", "silent", True),
    ],
)
def test_why_a_model_does_not_speak(approvals, mode, state, why_not, asked) -> None:
    found = replace(STATES[state], modes=modes(mode))
    for model in ENGINE.models:
        got = permission(found, APPROVALS[approvals], WHO, NOW.date(), model, ())
        assert (got.why_not, got.asked) == (why_not, asked)


@pytest.mark.parametrize(
    ("extent", "departments", "speaks"),
    [
        ({"users": ("Practitioner/1",)}, (), True),
        ({"users": ("Practitioner/11",)}, (), False),
        ({"departments": ("Location/3",)}, ("Location/3",), True),
        ({"departments": ("Location/3",)}, ("https://ehr.example/fhir/Location/3",), True),
        ({"departments": ("Organization/3",)}, ("Location/3",), False),
        ({"departments": ("Location/3",)}, (), False),
        ({"share": 1.0}, (), True),
        ({"users": ("Practitioner/2",), "share": 0.0}, ("Location/3",), False),
    ],
)
def test_who_is_in_a_pilot(extent, departments, speaks) -> None:
    state = replace(STATES["read"], modes=modes(Mode.PILOT, **extent))
    got = permission(state, APPROVALS["valid"], WHO, NOW.date(), ENGINE.models[0], departments)
    assert got.why_not == (None if speaks else "not-in-pilot")


def test_a_share_of_patients_is_stable_and_about_that_large() -> None:
    people = [asker(b"secret", SITE, SERVICE, f"Practitioner/{n}", f"patient-{n}") for n in range(4000)]
    in_a_tenth = {who.patient for who in people if who.draw("pilot depression") < 0.1}
    in_a_third = {who.patient for who in people if who.draw("pilot depression") < 0.33}
    assert 320 < len(in_a_tenth) < 480
    assert in_a_tenth < in_a_third, "a larger share keeps those who were in"
    again = {w.patient for w in people if replace(w, user="x", service="smart-app").draw("pilot depression") < 0.1}
    assert again == in_a_tenth, "whoever asks, and through whatever"
    others = {
        w.patient
        for w in (asker(b"other", SITE, SERVICE, None, w.patient) for w in people)
        if w.draw("pilot depression") < 0.1
    }
    assert others != in_a_tenth and in_a_tenth != {w.patient for w in people if w.draw("review depression") < 0.1}


def test_a_sample_is_marked_for_review_in_that_mode_alone() -> None:
    assessment = assess(
        chart(["Medicine ibuprofen, today"]),
        ENGINE,
        LOW,
        may_speak=lambda _: Permission(why_not=NotScoredReason.SILENT),
    )
    for mode, share, marked in ((Mode.REVIEW, 1.0, 2), (Mode.REVIEW, 0.0, 0), (Mode.SILENT, 1.0, 0)):
        state = replace(STATES["read"], modes=modes(mode, review=share))
        assert len(for_review(state, WHO, assessment.unspoken)) == marked
    assert all(isinstance(s, NotScored) for s in assessment.scores)
