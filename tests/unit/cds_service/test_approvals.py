"""Approvals: read from files, each mistake named; and which artifact may speak where, for what use, on which day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cds_service.commands.check_config import check_config
from cds_service.control.targets import APP
from cds_service.hooks.catalogue import SERVICES
from cds_service.settings.approvals import Approval, ApprovalState, ApprovedModel, Measure, Use, approval_verdict
from cds_service.settings.config import ServiceConfig, load_config, read_config
from cds_service.settings.live import LiveConfig
from cds_service.settings.private_files import open_to_everybody
from cds_service.settings.service_ids import ASK_MODELS, ServiceId
from models.scoring.registry import MANIFEST, SHIPPED, sha256

EXAMPLES = Path(__file__).parents[2] / "config" / "approvals"
GOOD = (EXAMPLES / "approval.good.toml").read_text()
FOUND = '"71ac136d6016"'
# What the message must say, per file.
MISTAKES = {
    "signed-after-its-end": "review_by: expected a day from approved_on on, 2026-11-02; found 2026-10-31, so this was signed after its end",
    "no-such-site": 'sites: expected "north"; found "nort"',
    "no-such-service": 'services: expected "depression-suicide-risk"; found "depression-risk"',
    "no-such-outcome": '[[model]] outcome: expected "depression"; found "depresion"',
    "no-officer": "clinical_safety_officer: expected who judged that it is safe to use; found none",
    "digest-cut-short": f"[[model]] digest: expected 64 digits in hex, as mhcds check-config prints them; found {FOUND}",
    "a-date-as-text": 'approved_on: expected a date without quotation marks, such as 2026-11-30; found "2 November 2026"',
    "no-such-use": 'uses no. 2: expected "pilot"; found "pilots"',
    "criterion-both-ways": "[[success]]: expected at_least or at_most; found both",
    "criterion-without-cases": "[[success]] least_n: expected the number of cases it needs, 1 or more; found 0",
    "no-way-out": "exit: expected at least one table, with measure, at_least or at_most, least_n, window_days and text: when to stop the model; found none",
}  # fmt: skip


def folder(place: Path, *approvals: str, service: str = 'mode = "development"\n', site: str = "") -> Path:
    for name in ("sites", "approvals"):
        (place / name).mkdir(parents=True)
    (place / "service.toml").write_text(service)
    (place / "sites" / "north.toml").write_text(site)
    for number, text in enumerate(approvals):
        (place / "approvals" / f"{number}.toml").write_text(text)
    return place


def loaded(place: Path) -> Approval:
    (approval,) = load_config(folder(place, GOOD)).approvals
    return approval


def test_a_good_file_is_read_in_full(tmp_path: Path) -> None:
    approval = loaded(tmp_path)

    assert (approval.id, approval.version, approval.sites) == ("depression-2026", "2", ("north",))
    assert approval.services == (ServiceId.CHART_OPENED,)
    assert approval.owner == "Head of mental health services"
    assert approval.clinical_safety_officer == "Dr. R. Example"
    assert (approval.approved_on, approval.review_by) == (date(2026, 11, 2), date(2027, 5, 31))
    assert approval.uses == (Use.SILENT, Use.PILOT)
    (model,) = approval.models
    assert model.digest == sha256(SHIPPED / "depression" / "3.0.0" / MANIFEST)
    (success,), (end,) = approval.success, approval.exits
    assert (success.measure, success.comparison, success.value) == (Measure.OVERRIDE_SHARE, "at-most", 0.4)
    assert (success.least_n, success.window_days) == (50, 90)
    assert (end.measure, end.comparison, end.value) == (Measure.NEAR_MISSES, "at-least", 1)
    assert end.text == "One report of harm or near harm ends the pilot."


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_file_and_key_and_nothing_else_is(tmp_path: Path, name: str) -> None:
    place = folder(tmp_path, (EXAMPLES / f"{name}.bad.toml").read_text())

    assert read_config(place)[1] == [f"{place}/approvals/0.toml: {MISTAKES[name]}"]


def test_every_example_file_is_tested() -> None:
    assert {p.name.removesuffix(".bad.toml") for p in EXAMPLES.glob("*.bad.toml")} == set(MISTAKES)


def test_others_may_not_change_an_approval(tmp_path: Path) -> None:
    place = folder(tmp_path, GOOD)
    (place / "approvals" / "0.toml").chmod(0o666)

    found = list(open_to_everybody(*load_config(place).files(place)))

    assert [line.partition(":")[0] for line in found] == [f"{place}/approvals/0.toml"]


def test_two_files_of_one_id_are_refused(tmp_path: Path) -> None:
    place = folder(tmp_path, GOOD, GOOD)
    words = 'have "depression-2026"; give each approval its own, or raise version in the one file'

    assert read_config(place)[1] == [f"{place}/approvals: id: 0.toml and 1.toml {words}"]


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("2026-11-02", "2020-01-01").replace("2027-05-31", "2020-02-01"),
        GOOD.replace("71ac", "00ac"),
        GOOD.replace('"3.0.0"', '"1.0.0"'),
        GOOD.replace("2026-11-02", "2099-01-01").replace("2027-05-31", "2099-02-01"),
    ],
    ids=["ended", "of another artifact", "of a version that is not there", "of a later day"],
)
def test_an_approval_that_time_or_a_new_artifact_has_ended_does_not_stop_a_start(tmp_path: Path, text: str) -> None:
    config = load_config(folder(tmp_path, text), serving=True)

    assert len(config.approvals) == 1
    assert config.governed("north")


def test_governed_is_production_and_wherever_a_site_has_an_approval(tmp_path: Path) -> None:
    approval = loaded(tmp_path)

    def config(mode: str, *approvals: Approval) -> ServiceConfig:
        return ServiceConfig(sites=(), mode=mode, approvals=approvals)

    assert config("production").governed("anywhere")
    assert not config("development").governed("north")
    assert not config("demo").governed("north")
    assert config("development", approval).governed("north")
    assert not config("development", approval).governed("south")


# ---- the verdict ----

DIGEST = "71ac136d6016fed32ad5f7d79c8eb4e4c649a0278f360c1941644829b6f74ff3"
ASKED = {
    "site": "north",
    "service": ServiceId.CHART_OPENED.value,
    "outcome": "depression",
    "version": "3.0.0",
    "digest": DIGEST,
    "use": Use.PILOT,
    "today": date(2026, 12, 1),
}
VERDICTS = {
    "as approved": ({}, ApprovalState.VALID),
    "on its first day": ({"today": date(2026, 11, 2)}, ApprovalState.VALID),
    "the day before": ({"today": date(2026, 11, 1)}, ApprovalState.NOT_YET),
    "on its last day": ({"today": date(2027, 5, 31)}, ApprovalState.VALID),
    "the day after": ({"today": date(2027, 6, 1)}, ApprovalState.EXPIRED),
    "for another use": ({"use": Use.LIVE}, ApprovalState.OTHER_USE),
    "an altered artifact": ({"digest": "0" * 64}, ApprovalState.OTHER_ARTIFACT),
    "another version": ({"version": "2.0.0"}, ApprovalState.OTHER_ARTIFACT),
    "another outcome": ({"outcome": "suicidal-ideation"}, ApprovalState.MISSING),
    "another site": ({"site": "south"}, ApprovalState.MISSING),
    "another service": ({"service": ServiceId.ENCOUNTER_STARTED.value}, ApprovalState.MISSING),
    "all services at once": ({"service": ""}, ApprovalState.MISSING),
    "another artifact is not outdone by its date": ({"digest": "0" * 64, "today": date(2027, 6, 1)}, ApprovalState.OTHER_ARTIFACT),
}  # fmt: skip


@pytest.mark.parametrize("name", VERDICTS)
def test_the_verdict(tmp_path: Path, name: str) -> None:
    changes, state = VERDICTS[name]

    verdict = approval_verdict([loaded(tmp_path)], **ASKED | changes)

    assert verdict.state is state
    assert verdict.is_valid == (state is ApprovalState.VALID)
    assert (verdict.approval is None) == (state is ApprovalState.MISSING)


def test_approvals_name_the_services_of_discovery_and_the_app() -> None:
    assert [service.id for service in SERVICES] == [*ServiceId][:-1]
    assert ServiceId.APP.value == APP


def test_an_approval_without_services_is_for_all_of_them(tmp_path: Path) -> None:
    everywhere = replace(loaded(tmp_path), services=())

    for service in ("", *ServiceId):
        assert approval_verdict([everywhere], **ASKED | {"service": service}).is_valid


@given(
    parts=st.lists(
        st.tuples(st.booleans(), st.booleans(), st.booleans(), st.integers(-3, 3), st.integers(0, 3)), max_size=4
    )
)
def test_a_model_speaks_exactly_if_one_approval_alone_lets_it(parts: list[tuple]) -> None:
    base = Approval(
        id="a", version="1", sites=("north",), services=(), owner="o", clinical_safety_officer="c",
        approved_on=ASKED["today"], review_by=ASKED["today"], uses=(Use.PILOT,), models=(), success=(), exits=(),
    )  # fmt: skip
    approvals = []
    for here, this, use, start, days in parts:
        model = {"outcome": "depression", "version": "3.0.0", "digest": DIGEST if this else "0" * 64}
        begins = ASKED["today"] + timedelta(days=start)
        approvals.append(
            replace(
                base,
                sites=("north",) if here else ("south",),
                models=(ApprovedModel(**model),),
                uses=(Use.PILOT,) if use else (Use.SILENT, Use.LIVE),
                approved_on=begins,
                review_by=begins + timedelta(days=days),
            )
        )
    lets = [here and this and use and start <= 0 <= start + days for here, this, use, start, days in parts]

    verdict = approval_verdict(approvals, **ASKED)

    assert verdict.is_valid == any(lets)
    assert approval_verdict(reversed(approvals), **ASKED).state is verdict.state
    if verdict.is_valid:
        assert lets[approvals.index(verdict.approval)]


def test_the_day_is_that_of_the_site(tmp_path: Path) -> None:
    site = load_config(folder(tmp_path, site='time_zone = "Pacific/Auckland"\n')).site()

    assert site.cards.zone == ZoneInfo("Pacific/Auckland")
    assert site.day(datetime(2027, 5, 31, 12, 0, tzinfo=UTC)) == date(2027, 6, 1)


# ---- live, and on the command line ----


def test_an_approval_that_is_taken_away_is_gone_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cds_service.settings.live.LOOK_S", 0)
    place = folder(tmp_path, GOOD)
    live = LiveConfig.of(place, "http://127.0.0.1:1")
    assert approval_verdict(live().approvals, **ASKED).is_valid

    (place / "approvals" / "0.toml").write_text(GOOD.replace("2027-05-31", "2026-11-30"))
    assert approval_verdict(live().approvals, **ASKED).state is ApprovalState.EXPIRED
    (place / "approvals" / "0.toml").unlink()
    assert live().approvals == ()
    (place / "approvals" / "0.toml").write_text("id = ")

    assert live().approvals == ()
    assert "approvals/0.toml" in (live.problem or "")


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory):
    def run(text: str, service: str = 'mode = "development"\n') -> list[str]:
        place = folder(tmp_path_factory.mktemp("check"), *([text] if text else []), service=service)
        done = CliRunner().invoke(check_config, [str(place)])
        assert done.exit_code == 0, done.output
        return [
            line.removeprefix("warning: ")
            for line in done.stdout.splitlines()
            if "site north: " in line or "=" in line or "approval" in line
        ]

    return run


FOREVER = GOOD.replace("2027-05-31", "2999-05-31").replace("services", "# services").replace("2026-11-02", "2020-01-01")


def test_check_config_says_which_model_may_speak_and_what_is_missing(said) -> None:
    lines = said(FOREVER)

    assert "site north: depression 3.0.0 is approved: pilot by depression-2026 (version 2) until 2999-05-31" in lines
    assert "site north: suicidal-ideation 3.0.0 may not speak, the rules do: no approval names it there" in lines
    other = sha256(SHIPPED / "suicidal-ideation" / "3.0.0" / MANIFEST)
    assert lines[-3:] == ['outcome = "suicidal-ideation"', 'version = "3.0.0"', f'digest = "{other}"']
    copied = FOREVER + "\n[[model]]\n" + "\n".join(lines[-3:])
    assert not [line for line in said(copied) if "may not speak" in line]


SAYS = {
    "ended": (FOREVER.replace("2999", "2021"), "ended on 2021-05-31; review it, then move review_by on"),
    "begins": (FOREVER.replace("2020-01-01", "2998-01-01"), "begins on 2998-01-01"),
    "silent alone": (FOREVER.replace('"silent", "pilot"', '"silent"'), "allows silent; add pilot, trial or live once approved"),
    "another artifact": (FOREVER.replace(DIGEST, "0" * 64), "is for another artifact; once this one is approved, put its table there"),
}  # fmt: skip


@pytest.mark.parametrize("name", SAYS)
def test_check_config_names_what_keeps_a_model_silent(said, name: str) -> None:
    text, words = SAYS[name]

    assert f"site north: depression 3.0.0 may not speak, the rules do: depression-2026 (version 2) {words}" in said(
        text
    )


def test_check_config_warns_before_an_approval_ends_and_of_one_for_a_model_that_is_not_here(said) -> None:
    soon = datetime.now(UTC).date() + timedelta(days=3)

    ending = said(FOREVER.replace("2999-05-31", soon.isoformat()))
    elsewhere = said(FOREVER.replace(DIGEST, "0" * 64))

    assert any(line.endswith(f"until {soon}; review it and move review_by on") for line in ending)
    assert any("no site uses a depression 3.0.0 of digest 000000000000…" in line for line in elsewhere)


def test_a_service_that_an_approval_leaves_out_is_named(said) -> None:
    lines = said(FOREVER.replace("# services", "services"))

    others = " and ".join(ASK_MODELS[1:])
    assert f"site north: depression 3.0.0 at {others} may not speak, the rules do: no approval names it there" in lines


def test_without_governance_check_config_says_that_models_speak(said) -> None:
    assert "site north: development mode and no approval, so its models speak" in said("")
    assert any("may not speak" in line for line in said("", service='public_url = "https://cds.example"\n'))
