"""Trials in calls: who is shown estimates, and why not; rules and the silent arm are as without a trial."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from builders import AS_OF
from ehr import recorded
from smart_run import Visitor, running
from trial_desk import DRAWN, INTENT, KEY, PROMPTING, WEDGE, Clinics

from cds_service.control.acts import ActRefused, ModeRow, set_mode
from cds_service.control.targets import Mode, known_of
from cds_service.serving.engine import load_engine
from cds_service.storage.tables import allocation, trial_protocol
from cds_service.trials.arms import LIVE, SILENT, arm_of
from cds_service.trials.assigning import PURPOSE, TrialUnit, assign

OWN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<=obse-)\d+")  # ids, which differ from call to call
STEP = datetime(2026, 11, 30, 15, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def engine():
    return load_engine()


@pytest.fixture
def clinics(tmp_path: Path, engine, monkeypatch: pytest.MonkeyPatch) -> Clinics:
    monkeypatch.setattr("cds_service.settings.live.LOOK_S", 0)
    return Clinics(tmp_path, engine)


def exposure(arm: str, unit: str = "river", stratum: str = "2026-11-30") -> dict:
    return {"id": "wedge", "outcome": "depression", "version": "1", "unit": unit, "stratum": stratum, "arm": arm}


def test_a_clinic_is_silent_until_its_day_and_live_from_then_on(clinics: Clinics) -> None:
    assert clinics.topics("Location/3") == []
    assert clinics.last() == ("silent", exposure(SILENT))

    clinics.now = STEP
    assert clinics.topics("Location/3") == ["screening-prompt"]
    assert clinics.last() == (None, exposure(LIVE))
    assert clinics.topics("https://ehr.example/fhir/Location/4") == []
    assert clinics.last() == ("silent", exposure(SILENT, "hill", "2026-12-07"))

    events = [(event["event"]["act"], event["event"].get("unit"), event["event"].get("arm"))
              for event in recorded(clinics.runtime.store, "trial")]  # fmt: skip
    assert events == [
        ("begun", None, None),
        ("assigned", "river", "by-day"),
        ("assigned", "hill", "by-day"),
    ]
    assert clinics.check() == ()


def test_a_clock_that_goes_wrong_does_so_for_as_long_as_it_does_and_is_on_record(clinics: Clinics) -> None:
    clinics.now = STEP  # ahead
    assert clinics.topics("Location/3") == ["screening-prompt"]
    clinics.now = AS_OF  # set right, or set back
    assert clinics.topics("Location/3") == []
    assert clinics.last() == ("silent", exposure(SILENT))
    clinics.now = datetime(2026, 10, 1, tzinfo=UTC)  # before the trial began
    assert clinics.topics("Location/3") == []
    assert clinics.last() == ("trial-not-running", None)
    clinics.now = STEP
    assert clinics.topics("Location/3") == ["screening-prompt"]

    given = [event["event"]["trial"] and event["event"]["trial"]["arm"] for event in recorded(clinics.runtime.store)]
    assert given == [LIVE, SILENT, None, LIVE]
    assert len(clinics.runtime.store.rows(allocation)) == 1
    assert clinics.check() == ()


@pytest.mark.parametrize(
    ("now", "places", "why"),
    [
        (datetime(2026, 11, 1, 12, tzinfo=UTC), ["Location/3"], "trial-not-running"),
        (datetime(2027, 1, 2, tzinfo=UTC), ["Location/3"], "trial-not-running"),
        (STEP, ["Location/5"], "not-in-trial"),
        (STEP, [], "not-in-trial"),
        (STEP, ["Location/3", "Location/4"], "not-in-trial"),
    ],
    ids=["before its first day", "after its last", "another clinic", "nobody knows where", "at two clinics"],
)
def test_outside_a_trial_the_model_is_silent_for_a_reason_that_is_counted(clinics, now, places, why) -> None:
    clinics.now = now

    assert clinics.topics(*places) == []
    assert clinics.last() == (why, None)
    assert clinics.runtime.store.rows(allocation) == []


def test_a_renamed_clinic_comes_back_with_its_new_reference_and_a_higher_version(clinics: Clinics, caplog) -> None:
    clinics.now = STEP
    clinics.topics("Location/3")
    assert clinics.topics("Location/33") == []  # what the EHR calls it now
    assert clinics.last() == ("not-in-trial", None)
    also = WEDGE.replace('["Location/3"]', '["Location/3"]\nalso = ["Location/33"]')

    clinics.file.write_text(also)
    assert clinics.topics("Location/33") == clinics.topics("Location/3") == []
    assert clinics.last() == ("trial-not-running", None)
    assert "version: the file changed since 2026-11-30, when its version 1 was first used" in caplog.text
    assert clinics.runtime.problem() is None, "the other settings do not wait for it"

    clinics.file.write_text(also.replace("version = 1", "version = 2"))
    assert clinics.topics("Location/33") == ["screening-prompt"]
    assert clinics.runtime.problem() is None
    assert clinics.last() == (None, exposure(LIVE) | {"version": "2"})
    (row,) = clinics.runtime.store.rows(allocation)
    assert (row["unit"], row["stratum"]) == ("river", "2026-11-30")
    assert [row["version"] for row in clinics.runtime.store.rows(trial_protocol)] == [1, 2]
    assert clinics.check() == ()


CHANGES = {
    "another last day": ("ends = 2026-12-31", "ends = 2027-01-31", "restore the file, or raise version"),
    "a clinic taken out": ("river", "stream", "[[clinic]]: expected river, which takes part; keep its name"),
    "another day for a clinic that was met": ("2026-11-30", "2026-12-14", "[[clinic]] river live_from: expected 2026-11-30"),
    "another first day": ("2026-11-02", "2026-11-03", "or begin another trial with an id of its own"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_after_a_change_of_the_protocol_the_trial_does_not_go_on_and_the_service_does(
    clinics, caplog, name: str
) -> None:
    before, after, words = CHANGES[name]
    clinics.topics("Location/3")
    version = "version = 1" if name == "another last day" else "version = 2"

    clinics.file.write_text(WEDGE.replace(before, after).replace("version = 1", version))
    clinics.start()

    assert words in caplog.text and "trial-not-as-recorded" in caplog.text
    assert clinics.topics("Location/3", "Location/4", lines=(*PROMPTING, INTENT)) == ["acute-safety"]
    clinics.now = STEP
    assert clinics.topics("Location/4") == []
    assert clinics.last() == ("trial-not-running", None)
    assert words in " ".join(clinics.check())


def test_an_older_version_does_not_go_on_either_and_a_change_before_the_first_assignment_is_free(
    clinics: Clinics, caplog
) -> None:
    clinics.file.write_text(WEDGE.replace("2026-12-31", "2027-01-31").replace("version = 1", "version = 3"))
    clinics.start()
    clinics.topics("Location/3")
    assert clinics.last() == ("silent", exposure(SILENT) | {"version": "3"})

    clinics.file.write_text(WEDGE)
    clinics.start()

    assert "expected 3, which is on record, or more; found 1" in caplog.text
    clinics.topics("Location/3")
    assert clinics.last() == ("trial-not-running", None)


def test_the_silent_arm_gets_what_a_silent_model_gives(clinics: Clinics) -> None:
    lines = (*PROMPTING, INTENT)
    in_arm, event = clinics.cards("Location/3", lines=lines), recorded(clinics.runtime.store)[-1]["event"]

    clinics.mode(Mode.SILENT)
    silent, other = clinics.cards("Location/3", lines=lines), recorded(clinics.runtime.store)[-1]["event"]

    def told(cards: list) -> str:
        return OWN.sub("", json.dumps([{**card, "links": []} for card in cards]))

    assert told(in_arm) == told(silent) and in_arm
    assert event["not_scored"] == other["not_scored"] and event["scores"] == other["scores"]


def test_the_page_of_the_app_says_the_same_of_the_silent_arm_and_of_a_silent_model(engine) -> None:
    model = next(model for model in engine.models if model.outcome == "depression")
    found = {}
    for mode in (Mode.TRIAL, Mode.SILENT, Mode.LIVE):

        def with_trial(config):
            (site,) = config.sites
            return replace(
                config, trials=(replace(DRAWN, site=site.id, begins=date(2020, 1, 1), ends=date(2999, 12, 31)),)
            )

        with running(engine=engine, config=with_trial) as run:
            runtime = run.service.extensions["mhcds"]
            (site,) = runtime.config().sites
            row = ModeRow(
                site=site.id, service="", outcome="depression", version=model.version, mode=mode, at=AS_OF,
                by="A. Smith", reason="as the protocol says", through="command",
            )  # fmt: skip
            set_mode(runtime.store, row, known=known_of(runtime.config()))
            if mode is Mode.TRIAL:
                # Of two patients the one whom the draw made silent: whose turn it is decides the arm.
                arms = [arm_of(runtime.key.derived(PURPOSE), runtime.config().trials[0], "", n) for n in range(20)]
                for n in range(arms.index(SILENT)):
                    assign(runtime.store, runtime.key, runtime.config().trials[0],
                           TrialUnit(name=f"before {n}", stratum=""), AS_OF.date(), AS_OF)  # fmt: skip
            browser = Visitor(run)
            page = browser.get(browser.open("stellan-brannigan")).text
            found[mode] = page.count("runs silently at this site"), page.count("trial")
    assert found[Mode.TRIAL] == found[Mode.SILENT] == (1, 0)
    assert found[Mode.LIVE] == (0, 0)


def test_where_the_arm_cannot_be_had_the_model_is_silent_and_the_rules_go_on(clinics, caplog) -> None:
    with clinics.runtime.store.transaction() as connection:
        connection.exec_driver_sql("DROP TABLE allocation")

    assert clinics.topics("Location/3", lines=(*PROMPTING, INTENT)) == ["acute-safety"]

    said = [json.loads(record.message) for record in caplog.records if record.message.startswith("{")]
    (failed,) = [line for line in said if line["event"] == "trial-not-assigned"]
    assert (failed["trial"], failed["reason"]) == ("wedge", "trial-not-read")
    lost = [line["answer"] for line in said if line["event"] == "answer-not-stored"]
    assert "depression trial-not-read" in str(lost or recorded(clinics.runtime.store)[-1]["event"]["not_scored"])


def test_a_trial_needs_its_protocol(tmp_path: Path, engine) -> None:
    with pytest.raises(ActRefused, match=r"expected a protocol in trials/ that names depression at site north"):
        Clinics(tmp_path, engine, protocol=WEDGE.replace("depression", "suicidal-ideation"))


@pytest.mark.parametrize("design", ["by-clinician", "by-patient"])
def test_a_unit_keeps_its_arm_whoever_asks_and_after_a_restart(tmp_path: Path, engine, design: str) -> None:
    protocol = WEDGE.partition("[[clinic]]")[0].replace("stepped-wedge", design) + 'seed = "0123456789"\n'
    place = Clinics(tmp_path, engine, protocol)
    units = [f"{design[3:]}-{number}" for number in range(6)]

    def arms() -> list[str]:
        found = []
        for unit in units:
            shown = place.topics("Location/9", **({"who": unit} if design == "by-patient" else {"user": unit}))
            said = place.last()[1]
            assert shown == (["screening-prompt"] if said["arm"] == LIVE else [])
            found.append(said["arm"])
        return found

    first = arms()
    place.start()
    units.reverse()
    assert arms()[::-1] == first
    assert set(first) == {LIVE, SILENT}
    assert first == [arm_of(KEY.derived(PURPOSE), place.runtime.config().trials[0], "", n) for n in range(6)]
    stored = place.runtime.store.rows(allocation)
    assert not {row["unit"] for row in stored} & {*units, *(f"Practitioner/{unit}" for unit in units)}
    assert place.check() == ()
