"""`mhcds compare-published`: what it prints, and how much of the published model the sample charts fill."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from builders import bundle, given, patient, prefetch_of, resource
from click.testing import CliRunner, Result

from cds_service.__main__ import main
from fhir_adapters.facts import PatientRecord
from models.published import from_chart
from models.published.from_chart import published_score
from models.published.mhrn import PublishedScore, Refusal, VisitSetting, factors, rows_of

VISIT = resource("Encounter", status="finished", type=[{"text": "Psychiatry visit"}], period={"start": "2026-11-23"})
CHART = [patient(), VISIT | {"class": {"code": "AMB"}}, *given("PHQ-9, 2026-11-23: items 1-8 = 2, item 9 = 1")]
COMPUTED = {
    "scored", "setting", "complete", "probability", "log_odds", "share_of_terms", "share_of_weight", "known",
    "assumed_absent", "unknown",
}  # fmt: skip


def compare(*words: str, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(main, ["compare-published", *words], input=stdin)


def lines(done: Result) -> list[dict]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_both_scores_stand_side_by_side_each_with_its_outcome_and_the_use() -> None:
    done = compare("--as-of", "2026-11-23", "-", stdin=bundle(*CHART))

    (found,) = lines(done)
    assert done.exit_code == 0
    assert found.keys() == {"input", "patient", "as_of", "use", "ours", "published"}
    assert found["use"].startswith("silent evaluation only")
    assert [ours["outcome"] for ours in found["ours"]] == ["depression", "suicidal-ideation"]
    published = found["published"]
    assert published.keys() == {"model", "outcome", "setting_from"} | COMPUTED
    assert published["outcome"].startswith("suicide attempt within 90 days of an outpatient mental-health visit")
    assert (published["setting"], published["setting_from"]) == ("mental-health-specialty", "chart")
    assert not published["complete"]
    assert sum(len(published[part]) for part in ("known", "assumed_absent", "unknown")) == 94


def test_a_hook_request_is_compared_from_its_prefetch() -> None:
    hook = {"hook": "patient-view", "hookInstance": "h", "context": {"userId": "Practitioner/d", "patientId": "p1"},
            "prefetch": prefetch_of(CHART)}  # fmt: skip

    (found,) = lines(compare("--as-of", "2026-11-23", "-", stdin=json.dumps(hook).encode()))

    assert found["published"]["scored"]
    assert "antidep_rx_pre3m" in found["published"]["unknown"]  # only active medicines were asked for


def test_a_refusal_is_a_reason_and_no_failure() -> None:
    done = compare("--as-of", "2026-11-24", "-", stdin=bundle(*CHART))

    (found,) = lines(done)
    assert done.exit_code == 0
    assert (found["published"]["scored"], found["published"]["reason"]) == (False, "no-outpatient-visit-that-day")


def test_an_input_that_cannot_be_read_is_named_and_the_others_are_still_compared(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_bytes(bundle(*CHART))
    bad.write_text("{}")

    done = compare("--as-of", "2026-11-23", str(bad), str(good), str(tmp_path / "absent.json"))

    assert done.exit_code == 1
    assert ["error" in line for line in lines(done)] == [True, False, True]


def test_an_unexpected_error_in_one_input_is_named_without_its_content_and_the_others_are_still_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails_for_p2(chart: PatientRecord, *words: object) -> PublishedScore | Refusal:
        if chart.patient_id == "p2":
            raise KeyError("Jane Doe")
        return published_score(chart, *words)

    monkeypatch.setattr(from_chart, "published_score", fails_for_p2)
    for name in ("p1", "p2", "p3"):
        (tmp_path / f"{name}.json").write_bytes(bundle(patient(id=name)))

    done = compare("--as-of", "2026-11-23", *(str(tmp_path / f"{name}.json") for name in ("p1", "p2", "p3")))

    assert done.exit_code == 1
    assert ["error" in line for line in lines(done)] == [False, True, False]
    assert lines(done)[1]["error"].startswith("failed unexpectedly (KeyError)")
    assert "Jane" not in done.output


@pytest.mark.parametrize(("words", "says"), [(("--as-of", "soon"), "--as-of"), (("--site", "nowhere"), "nowhere"),
                                             (("--setting", "ward"), "--setting")])  # fmt: skip
def test_bad_words_are_named(words: tuple[str, ...], says: str) -> None:
    done = compare(*words, "-", stdin=bundle(*CHART))

    assert done.exit_code != 0
    assert says in done.output


@pytest.mark.parametrize("setting", VisitSetting)
def test_the_sample_charts_fill_what_they_can_and_name_the_rest(shared: Path, setting: VisitSetting) -> None:
    paths = sorted(map(str, (shared / "data" / "fhir-samples").glob("*/*.json.gz")))

    done = compare("--as-of", "2026-10-15", "--setting", setting.value, *paths)

    published = [line["published"] for line in lines(done)]
    scored = [p for p in published if p["scored"]]
    families = {row["predictor"]: row for row in rows_of("predictors")}
    given = {row["family"]: row["given"] for row in rows_of("families")}
    assert (done.exit_code, len(published)) == (0, 130)
    assert Counter(p["reason"] for p in published if not p["scored"]) == {"deceased": 13, "under-13": 3}
    never = {
        name for name, row in families.items()
        if len(factors()[name]) == 1 and given[row["family"]] == "no"
    }  # fmt: skip
    for p in scored:
        assert never & set(p["known"] + p["assumed_absent"]) == set()
        assert {"age", "ac1"} <= set(p["known"])
        assert 0 < p["probability"] < 1
    assert min(p["share_of_terms"] for p in scored) > 0.4
    assert max(p["share_of_terms"] for p in scored) < 0.91


def test_no_card_and_no_assessment_speaks_of_the_published_model() -> None:
    done = CliRunner().invoke(main, ["assess", "--format", "json", "--as-of", "2026-11-23", "-"], input=bundle(*CHART))

    assert done.exit_code == 0
    assert "published" not in done.stdout
    assert "MHRN" not in done.stdout
