"""The approvals of the documentation: the worked example is one, the template names whatever is to be filled in."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

from sources import ROOT

from cds_service.settings.approvals import REQUIRED, ApprovalState, Use, approval_verdict, load_approvals
from models.scoring.registry import SHIPPED, load_model, the_version

EXAMPLES = ROOT / "docs" / "examples"
GOVERNANCE = (ROOT / "docs" / "governance.md").read_text(encoding="utf-8")


def loaded(name: str, folder: Path):
    (folder / "approvals").mkdir()
    shutil.copy(EXAMPLES / name, folder / "approvals")
    problems: list[str] = []
    return load_approvals(folder, ["north"], problems), problems


def test_the_worked_example_approves_the_shipped_model_for_what_it_says(tmp_path: Path) -> None:
    approvals, problems = loaded("approval.toml", tmp_path)
    model = load_model(the_version(SHIPPED / "depression", None))
    asked = {"site": "north", "outcome": model.outcome, "version": model.version, "digest": model.digest}

    def state(service: str, use: Use, today: date) -> ApprovalState:
        return approval_verdict(approvals, **asked, service=service, use=use, today=today).state

    assert problems == []
    assert state("depression-suicide-risk", Use.PILOT, date(2026, 12, 1)) is ApprovalState.VALID
    assert state("depression-suicide-risk", Use.LIVE, date(2026, 12, 1)) is ApprovalState.OTHER_USE
    assert state("depression-suicide-risk-encounter", Use.PILOT, date(2026, 12, 1)) is ApprovalState.MISSING
    assert state("depression-suicide-risk", Use.PILOT, date(2027, 6, 1)) is ApprovalState.EXPIRED


def test_the_template_names_each_member_that_is_to_be_filled_in(tmp_path: Path) -> None:
    approvals, problems = loaded("approval-template.toml", tmp_path)

    assert approvals == ()
    assert len(problems) == len(REQUIRED)
    assert all(any(f": {key}: expected" in problem for problem in problems) for key in REQUIRED)


def test_the_page_on_governance_shows_the_example_as_it_is() -> None:
    assert (EXAMPLES / "approval.toml").read_text(encoding="utf-8") in GOVERNANCE
    assert "examples/approval-template.toml" in GOVERNANCE
