"""The commands, as a person runs them."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import forked
import numpy as np
import pytest
import requests
from builders import bundle, given, patient
from ehr import MHCDS

from cds_service.__main__ import main
from models.scoring.registry import SHIPPED, the_version

PATIENT_ONLY = bundle(patient())
ACUTE = bundle(patient(), *given("C-SSRS, 2026-11-23: question 4 = yes"))


WIDE = os.environ | {"COLUMNS": "200"}  # room for the long paths of temporary folders


def started(*words: str, stdin: bytes = b"") -> subprocess.CompletedProcess:
    """The command from the start of Python on."""
    return subprocess.run([*MHCDS, *words], input=stdin, capture_output=True, timeout=120, check=False, env=WIDE)


def mhcds(*words: str, stdin: bytes = b"") -> subprocess.CompletedProcess:
    return forked.run(*words, input=stdin, env=WIDE)


def lines(done: subprocess.CompletedProcess) -> list[dict]:
    assert b"Traceback" not in done.stderr, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_assess_prints_one_object_a_line_for_files_gzip_and_standard_input(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.json", tmp_path / "b.json.gz"
    plain.write_bytes(ACUTE)
    packed.write_bytes(gzip.compress(PATIENT_ONLY))

    done = started("assess", "--format", "json", "--as-of", "2026-11-23", str(plain), str(packed), "-", stdin=ACUTE)

    first, second, third = lines(done)
    assert done.returncode == 0
    assert {"facts", "findings", "scores", "reasons", "missing", "anomalies"} <= first.keys()
    assert [f["topic"] for f in first["findings"]] == ["acute-safety"]
    assert second["findings"] == []
    assert third["findings"] == first["findings"]


def test_the_readme_s_sample_chart_gives_a_card_when_its_line_is_copied() -> None:
    root = Path(__file__).parents[2]
    line = next(
        line for line in (root / "README.md").read_text(encoding="utf-8").splitlines() if "mhcds assess" in line
    )
    words = line.partition("#")[0].split()

    done = mhcds(*[str(root / word) if "/" in word else word for word in words[1:]])

    assert done.returncode == 0, done.stderr
    assert "positive-safety-answer" in done.stdout.decode()


def test_a_failed_input_is_an_object_of_its_own_and_the_exit_status_is_1(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_bytes(ACUTE)
    bad.write_bytes(b'{"resourceType": "Bundle", "type": "collection", "entry": []}')

    done = mhcds("assess", "--format", "json", str(bad), str(good), str(tmp_path / "absent.json"))

    first, second, third = lines(done)
    assert done.returncode == 1
    assert first.keys() == third.keys() == {"input", "error"}
    assert "one Patient" in first["error"]
    assert "facts" in second


def test_facts_of_the_whole_chart_count_zero_and_say_false() -> None:
    (found,) = lines(mhcds("assess", "--format", "json", "--as-of", "2026-11-23", "-", stdin=PATIENT_ONLY))

    facts = found["facts"]
    assert facts["age"] == {"value": 40, "unit": "a", "effective": None, "reference": ["Patient/p1"]}
    assert facts["asthma"]["value"] is False
    assert facts["visits_yr"]["value"] == 0
    assert facts["n_rx"]["value"] == 0
    assert "ins_private" not in facts
    assert "race_eth" not in facts
    assert "bmi" not in facts


def test_the_reasons_of_a_score_sum_to_it() -> None:
    chart = bundle(
        patient(), *given("Condition 193462001, 2026-01-01, problem list"), *given("Medicine tramadol, today")
    )

    (found,) = lines(mhcds("assess", "--format", "json", "--as-of", "2026-11-23", "-", stdin=chart))

    scored = [s for s in found["scores"] if s["scored"]]
    assert scored
    for score in scored:
        parts = [r["log_odds"] for r in found["reasons"] if r["outcome"] == score["outcome"]]
        assert sum(parts) + score["base_log_odds"] == pytest.approx(score["log_odds"], abs=1e-5)


def test_a_hook_request_is_assessed_from_its_prefetch_alone() -> None:
    hook = {"hook": "patient-view", "hookInstance": "h", "context": {"userId": "Practitioner/d", "patientId": "p1"},
            "prefetch": {"patient": patient(), "screening": given("C-SSRS, 2026-11-23: question 4 = yes")[0]}}  # fmt: skip

    (found,) = lines(
        mhcds("assess", "--format", "cards", "--as-of", "2026-11-23", "-", stdin=json.dumps(hook).encode())
    )

    assert [c["source"]["topic"]["code"] for c in found["cards"]] == ["acute-safety", "could-not-assess"]


NONSENSE = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"\x1f\x8bbroken",
    b"\x00" * 50,
    b'{"resourceType":"Patient","id":"1"}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("form", ["text", "json", "cards"])
def test_nonsense_is_a_plain_message_and_exit_status_1(form: str, tmp_path: Path) -> None:
    files = []
    for number, nonsense in enumerate(NONSENSE):
        files.append(tmp_path / f"{number}.json")
        files[-1].write_bytes(nonsense)

    done = mhcds("assess", "--format", form, *map(str, files))

    said = (done.stderr if form == "text" else done.stdout).splitlines()
    assert done.returncode == 1
    assert b"Traceback" not in done.stdout + done.stderr
    assert len(said) == len(NONSENSE)
    assert all(b"expected" in line for line in said)


@pytest.mark.parametrize("form", ["text", "json", "cards"])
def test_a_file_name_that_is_no_utf_8_is_read_and_printed(form: str, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"b\xffd.json")
    path.write_bytes(ACUTE)

    done = mhcds("assess", "--format", form, str(path))

    assert b"Traceback" not in done.stderr
    assert done.returncode == 0
    assert b"b?d.json" in done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("assess",), b"FILES"),
        (("assess", "--as-of", "soon", "-"), b"--as-of"),
        (("assess", "--site", "nowhere", "-"), b"nowhere"),
        (("assess", "--config", "no/such/folder", "-"), b"no/such/folder"),
        (("check-config", "no/such/folder"), b"no/such/folder"),
        (("serve", "--host", "0.0.0.0"), b"loopback"),
        (("serve", "--port", "0"), b"--port"),
        (("evaluate", "--nhanes", "no/such/folder"), b"no/such/folder"),
        (("train", "--nhanes", "no/such/folder", "--out", "x"), b"no/such/folder"),
        (("recalibrate", "--model", "no/such/folder", "--labels", "x.csv"), b"no/such/folder"),
        (("recalibrate", "--model", str(SHIPPED), "--labels", "x.csv"), b"--outcome"),
        (("recalibrate", "--model", str(SHIPPED / "depression"), "--labels", "x.csv"), b"x.csv"),
        (("drift", "no-such-chart.json"), b"no-such-chart.json"),
        (("drift", "--as-of", "soon", "-"), b"--as-of"),
        (("no-such-command",), b"no-such-command"),
    ],
)
def test_bad_words_on_the_command_line_are_named_and_the_status_is_not_0(words: tuple[str, ...], says: bytes) -> None:
    done = mhcds(*words)

    assert done.returncode != 0
    assert says in done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_has_help(command: str) -> None:
    done = started(command, "--help")

    assert done.returncode == 0
    assert b"Usage" in done.stdout


def test_strict_refuses_what_is_not_valid_r4_and_shows_no_value() -> None:
    wrong = bundle(
        patient(),
        {
            "resourceType": "Observation",
            "id": "o1",
            "subject": {"reference": "Patient/p1"},
            "status": "final",
            "valueQuantity": "Zanzibar",
            "code": {},
        },
    )

    done = mhcds("assess", "--strict", "--format", "json", "-", stdin=wrong)

    (found,) = lines(done)
    assert done.returncode == 1
    assert "Observation/o1" in found["error"]
    assert "Zanzibar" not in found["error"]


def test_the_check_of_the_shipped_settings_names_what_has_no_code_yet() -> None:
    done = mhcds("check-config")

    assert done.returncode == 0
    assert b"EPDS item 10" in done.stdout
    assert b"verified" in done.stdout


def test_the_served_service_answers_and_ends_when_told() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "cds_service", "serve", "--port", str(port), "--workers", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        answer = None
        for _ in range(200):
            try:
                answer = requests.get(f"http://127.0.0.1:{port}/cds-services", timeout=5)
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        assert answer is not None
        assert answer.json()["services"]
    finally:
        server.terminate()
        _, errors = server.communicate(timeout=30)
    assert server.returncode == 0
    assert b"Traceback" not in errors


def test_a_site_recalibrates_a_model_sets_it_and_gets_the_new_estimates(tmp_path: Path, shared: Path) -> None:
    samples = [str(p) for p in sorted((shared / "data/fhir-samples").rglob("*.json*")) if "expected" not in p.name][:40]
    before = [s for line in lines(mhcds("assess", "--format", "json", *samples)) for s in line.get("scores", ())]
    rng = np.random.default_rng(1)
    text = "".join(f"{score:.4f},{int(rng.random() < score * 0.6)}\n" for score in rng.uniform(0.01, 0.9, 500))
    (tmp_path / "labels.csv").write_text("score,outcome\n" + text)

    done = mhcds("recalibrate", "--model", str(SHIPPED), "--outcome", "depression",
                 "--labels", str(tmp_path / "labels.csv"), "--out", str(tmp_path / "new"))  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert b"Scores as they were: slope" in done.stdout
    new = the_version(tmp_path / "new" / "depression")
    assert "+local." in new.name
    shutil.copytree(SHIPPED / "suicidal-ideation", tmp_path / "new" / "suicidal-ideation")
    (tmp_path / "config" / "sites").mkdir(parents=True)
    (tmp_path / "config" / "sites" / "here.toml").write_text("")
    (tmp_path / "config" / "service.toml").write_text('models = "../new"\n')
    after = [
        s
        for line in lines(mhcds("assess", "--format", "json", "--config", str(tmp_path / "config"), *samples))
        for s in line.get("scores", ())
    ]
    scored = [(a, b) for a, b in zip(before, after, strict=True) if a["scored"]]
    assert scored
    for old, moved in scored:
        assert (old["probability"] == moved["probability"]) is (old["outcome"] == "suicidal-ideation")
        assert old["band"] == moved["band"]
        assert moved["interval"][0] <= moved["probability"] <= moved["interval"][1]


def test_drift_warns_that_sample_charts_are_unlike_the_survey_and_too_few_charts_are_refused(shared: Path) -> None:
    samples = [str(p) for p in sorted((shared / "data/fhir-samples").rglob("*.json*")) if "expected" not in p.name]

    many, few = mhcds("drift", "--as-of", "2026-11-23", *samples), mhcds("drift", "--as-of", "2026-11-23", *samples[:5])

    assert many.returncode == 3, many.stderr
    assert b"inputs are unlike the training mix" in many.stdout
    assert few.returncode == 1
    assert b"at least 100 people; found 5" in few.stderr
