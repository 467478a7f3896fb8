"""The page on governance: its worked example is an approval, its template names what is missing, its commands work."""

from __future__ import annotations

import re
import shlex
import shutil
from datetime import date
from pathlib import Path

from click.testing import CliRunner
from sources import ROOT

from cds_service.__main__ import main
from cds_service.control.acts import modes, switches
from cds_service.control.targets import Mode
from cds_service.serving.runtime import now_utc
from cds_service.settings.approvals import REQUIRED, ApprovalState, Use, approval_verdict, load_approvals
from cds_service.settings.config import read_config
from cds_service.storage.opening import open_store
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


def test_every_command_of_the_page_on_governance_does_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    (tmp_path / "service.toml").write_text('mode = "development"\nstore = "sqlite:///answers.db"\n', encoding="utf-8")
    (tmp_path / "sites" / "north.toml").write_text('id = "north"\n', encoding="utf-8")
    example = (EXAMPLES / "approval.toml").read_text(encoding="utf-8")
    (tmp_path / "approvals").mkdir()
    (tmp_path / "approvals" / "depression.toml").write_text(
        example.replace("2026-11-30", "2020-01-01").replace("2027-05-31", "2999-12-31"), encoding="utf-8"
    )
    lines = [line for block in re.findall(r"```sh\n(.+?)```", GOVERNANCE, re.DOTALL) for line in block.splitlines()]

    # The page begins with a service that runs.
    assert CliRunner().invoke(main, ["db", "upgrade", "--config", str(tmp_path)]).exit_code == 0
    for line in lines:
        name, *words = shlex.split(line.replace("DIR", str(tmp_path)))
        done = CliRunner().invoke(main, words)
        assert (name, done.exit_code) == ("mhcds", 0), (line, done.output)

    config, _ = read_config(tmp_path)
    store = open_store(config.store)
    assert len(lines) == 16
    assert {row.service: row.mode for row in modes(store)} == {"": Mode.REVIEW, "depression-suicide-risk": Mode.PILOT}
    assert switches(store, now_utc()) == ()
