"""An approval decides whether a model speaks in the next call, whatever became of its file, its days or its artifact."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from builders import AS_OF, PATIENT, given, patient, prefetch_of
from ehr import ADDRESS, EHR, app_of, hook_request, recorded, settings
from smart_run import Visitor, running

from cds_service.control.acts import ModeRow, set_mode
from cds_service.control.targets import Mode, known_of
from cds_service.serving.engine import load_engine
from cds_service.settings.approvals import Approval, ApprovedModel, Use
from cds_service.settings.service_ids import ServiceId
from explanations.judgement.control import SPEAKS
from explanations.words.estimates.not_scored import REASONS
from models.scoring.risk import NotScoredReason

PROMPTING = ("Condition F41.9, 60 days ago", "Condition G47.00, 90 days ago")
INTENT = "C-SSRS, today: question 4 = yes"
EXAMPLE = Path(__file__).parents[1] / "config" / "approvals" / "approval.good.toml"
GOOD = EXAMPLE.read_text().replace('"pilot"', '"live"').replace("2026-11-02", "2026-01-01")
ZONE = "America/Chicago"


@pytest.fixture(scope="module")
def engine():
    return load_engine(None)


class Governed:
    """A site with one approval, whose depression model is live; `now` may be moved."""

    def __init__(self, folder: Path, engine, approval: str = GOOD) -> None:
        site = {"thresholds": {"depression": 0.001}, "time_zone": ZONE}
        self.approval = settings(folder, site=site) / "approvals" / "depression.toml"
        self.approval.parent.mkdir()
        self.approval.write_text(approval)
        self.now = AS_OF
        self.app = app_of(folder, engine=engine, now=lambda: self.now)
        self.runtime = self.app.extensions["mhcds"]

    def live(self) -> None:
        row = ModeRow(
            site="north", service="", outcome="depression", version="3.0.0", mode=Mode.LIVE, at=AS_OF,
            by="A. Smith", reason="as approved", through="command",
        )  # fmt: skip
        set_mode(self.runtime.store, row, known=known_of(self.runtime.config()))

    def topics(self, *more: str) -> list[str]:
        chart = prefetch_of([patient(), *(entry for line in (*PROMPTING, *more) for entry in given(line))])
        signed = EHR(clock=self.now.timestamp()).headers()
        answer = self.app.test_client().post(ADDRESS, json=hook_request(prefetch=chart), headers=signed)
        return [card["source"]["topic"]["code"] for card in answer.get_json()["cards"]]

    def speaks(self) -> bool:
        """Whether the model may speak now."""
        who = self.runtime.asker("north", ServiceId.CHART_OPENED, None, PATIENT)
        model = next(model for model in self.runtime.engine.models if model.outcome == "depression")
        return self.runtime.control(self.runtime.config(), who).permission(model, ()) == SPEAKS

    def last(self) -> tuple[list[str], list[bool]]:
        """Why models did not speak in the last call, and of each score whether it was shown."""
        event = recorded(self.runtime.store)[-1]["event"]
        about = [why for why in event["not_scored"] if why.startswith("depression ")]
        return about, [score["shown"] for score in event["scores"] if score["model"].startswith("depression ")]


@pytest.fixture
def site(tmp_path: Path, engine, monkeypatch: pytest.MonkeyPatch) -> Governed:
    monkeypatch.setattr("cds_service.settings.live.LOOK_S", 0)
    return Governed(tmp_path, engine)


def test_a_new_version_is_silent_until_its_mode_is_set_and_then_speaks_as_approved(site: Governed) -> None:
    assert site.topics() == []
    assert site.last() == (["depression silent"], [False])

    site.live()

    assert site.topics() == ["screening-prompt"]
    assert site.last() == ([], [True])


CHANGES = {
    "it is withdrawn": (lambda file: file.unlink(), None),  # the last approval of a site in development
    "it has ended": (lambda file: file.write_text(GOOD.replace("2027-05-31", "2026-11-01")), "approval-expired"),
    "it is for another artifact": (lambda file: file.write_text(GOOD.replace("71ac", "00ac")), "approved-other"),
    "it is for another use": (lambda file: file.write_text(GOOD.replace('"live"', '"pilot"')), "approved-other"),
    "it begins later": (lambda file: file.write_text(GOOD.replace("2026-01-01", "2027-01-01")), "not-approved"),
    "it is for another service": (lambda file: file.write_text(GOOD.replace('risk"]', 'risk-encounter"]')), "not-approved"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_approval_acts_on_the_next_call_and_the_rules_go_on(site: Governed, name: str) -> None:
    change, why = CHANGES[name]
    site.live()
    assert site.topics() == ["screening-prompt"]

    change(site.approval)

    if why is None:
        # Nothing governs the site now. In production it would still be.
        assert not site.runtime.config().governed("north")
        return
    assert site.topics() == []
    assert site.last() == ([f"depression {why}"], [False])
    assert site.topics(INTENT) == ["acute-safety"]


def test_a_file_that_cannot_be_read_keeps_the_approval_in_force_and_readiness_says_so(site: Governed) -> None:
    site.live()
    site.approval.write_text("id = ")

    assert site.topics() == ["screening-prompt"]
    ready = site.app.test_client().get("/health/ready")
    assert (ready.status_code, "approvals" in site.runtime.problem()) == (503, True)


def test_the_last_day_ends_at_midnight_at_the_site(site: Governed) -> None:
    site.live()
    assert site.topics()
    end = datetime(2027, 6, 1, 5, 0, tzinfo=UTC)  # midnight in Chicago, five hours after that of UTC
    asked = GOOD.replace("2026-01-01", "2027-05-01")
    site.approval.write_text(asked)

    site.now = end - timedelta(minutes=1)
    before = site.runtime.config().site().day(site.now), site.speaks()
    site.now = end + timedelta(minutes=1)
    after = site.runtime.config().site().day(site.now), site.speaks()

    assert before == (date(2027, 5, 31), True)
    assert after == (date(2027, 6, 1), False)


def test_production_without_an_approval_is_silent(tmp_path: Path, engine) -> None:
    service = {"mode": "production", "public_url": "https://cds.example"}
    folder = settings(tmp_path, service=service, site={"thresholds": {"depression": 0.001}})
    app = app_of(folder, engine=engine, now=lambda: AS_OF)
    chart = prefetch_of([patient(), *(entry for line in (*PROMPTING, INTENT) for entry in given(line))])
    signed = EHR(base="https://cds.example", clock=AS_OF.timestamp()).headers()

    answer = app.test_client().post(
        ADDRESS, json=hook_request(prefetch=chart), headers=signed, base_url="https://cds.example"
    )

    assert [card["source"]["topic"]["code"] for card in answer.get_json()["cards"]] == ["acute-safety"]


def test_a_page_of_the_app_says_why_a_model_is_silent(engine) -> None:
    model = next(model for model in engine.models if model.outcome == "depression")
    ended = Approval(
        id="depression-2020", version="1", sites=("demo",), services=(), owner="o", clinical_safety_officer="c",
        approved_on=date(2020, 1, 1), review_by=date(2020, 12, 31), uses=(Use.LIVE,), success=(), exits=(),
        models=(ApprovedModel(outcome=model.outcome, version=model.version, digest=model.digest),),
    )  # fmt: skip

    def governed(config):
        return replace(config, approvals=(replace(ended, sites=(config.sites[0].id,)),))

    with running(engine=engine, config=governed) as run:
        runtime = run.service.extensions["mhcds"]
        row = ModeRow(
            site=runtime.config().sites[0].id, service="", outcome="depression", version=model.version,
            mode=Mode.LIVE, at=AS_OF, by="A. Smith", reason="as approved", through="command",
        )  # fmt: skip
        set_mode(runtime.store, row, known=known_of(runtime.config()))
        browser = Visitor(run)
        page = browser.get(browser.open("stellan-brannigan")).text

    assert str(REASONS[NotScoredReason.APPROVAL_EXPIRED]) in page
