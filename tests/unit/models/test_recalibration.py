"""Local labels move the calibration and nothing else. Local people are simulated from known lines."""

from pathlib import Path

import numpy as np
import pytest

from models.errors import ArtifactError, LabelsError
from models.evaluation.metrics import auroc
from models.scoring.calibration import fit_line, probabilities
from models.scoring.registry import SHIPPED, load_model, load_models
from models.scoring.risk import RiskScore
from models.scoring.score import score
from models.training.recalibration import LEAST_EVENTS, Labels, one_model, read_labels, recalibrate

DEPRESSION = load_models()[0]


def local(n: int, *, shift: float, slope: float, seed: int) -> Labels:
    """People of a site where the truth is logit(p) = shift + slope * log-odds of the score."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(-2.2, 1.1, n)
    y = (rng.random(n) < probabilities(shift + slope * log_odds)).astype(float)
    return Labels(scores=probabilities(log_odds), y=y, sha256=f"{seed:08x}".ljust(64, "0"))


def write(path: Path, labels: Labels, header: str = "score,outcome") -> Path:
    pairs = (f"{score:.6f},{int(y)}" for score, y in zip(labels.scores, labels.y, strict=True))
    path.write_text("\n".join([header, *pairs]) + "\n")
    return path


def test_calibration_comes_back_on_further_local_people_on_average_over_sites_and_the_interval_says_how_far_off(
    tmp_path,
):
    slopes, ratios, covered, trials = [], [], 0, 24
    for seed in range(trials):
        done = recalibrate(DEPRESSION, local(600, shift=0.9, slope=0.8, seed=seed), tmp_path / str(seed))
        further = local(20_000, shift=0.9, slope=0.8, seed=1000 + seed)
        x = done.shift["value"] + done.slope["value"] * np.log(further.scores / (1 - further.scores))
        line = fit_line(x, further.y)
        slopes.append(line.slope)
        ratios.append(further.y.mean() / probabilities(x).mean())
        covered += done.slope["low"] <= 0.8 <= done.slope["high"]

    print(f"slope {np.mean(slopes):.3f} (sd {np.std(slopes):.3f}), O/E {np.mean(ratios):.3f} (sd {np.std(ratios):.3f})")
    assert 0.9 <= np.mean(slopes) <= 1.1
    assert 0.9 <= np.mean(ratios) <= 1.1
    assert covered >= 0.8 * trials


def test_nobodys_rank_changes_and_whoever_was_flagged_still_is(tmp_path: Path):
    labels = local(800, shift=-0.7, slope=1.3, seed=1)

    new = load_model(recalibrate(DEPRESSION, labels, tmp_path).folder)

    rng = np.random.default_rng(5)
    charts = [
        {"age": float(rng.integers(18, 80)), "female": bool(rng.integers(2)), "n_rx": float(rng.integers(9)),
         "smoke_status": float(rng.integers(4)), "asthma": bool(rng.integers(2)), "visits_yr": float(rng.integers(15)),
         "gen_health": float(rng.integers(1, 6)), "sleep_trouble_told_dr": bool(rng.integers(2))}
        for _ in range(300)
    ]  # fmt: skip
    old_scores, new_scores = (
        [score(model, model.schema.vector(chart)) for chart in charts] for model in (DEPRESSION, new)
    )
    assert all(isinstance(found, RiskScore) for found in (*old_scores, *new_scores))
    old, moved = (np.array([found.log_odds for found in scores]) for scores in (old_scores, new_scores))
    y = (rng.random(300) < 0.3).astype(float)
    assert auroc(old, y) == auroc(moved, y)
    assert not np.allclose(old, moved)
    assert [found.band for found in old_scores] == [found.band for found in new_scores]
    for found in new_scores:
        assert abs(found.base_log_odds + sum(found.contributions) - found.log_odds) < 1e-5


def test_the_new_version_names_its_origin_and_holds_no_rows_and_the_old_one_is_untouched(tmp_path: Path):
    before = {p: p.read_bytes() for p in DEPRESSION.folder.rglob("*") if p.is_file()}

    done = recalibrate(DEPRESSION, local(500, shift=0.5, slope=1.0, seed=2), tmp_path)

    model = load_model(done.folder)
    assert model.version == f"{DEPRESSION.version}+local.00000002"
    said = model.manifest.recalibration
    assert said["from_version"] == DEPRESSION.version
    assert (said["n"], said["events"]) == (500, done.events)
    assert max(len(v) for v in said.values() if isinstance(v, dict | list | tuple)) < 10
    boosters = [path.name for path in DEPRESSION.folder.glob("model-*")]
    assert len(boosters) == len(model.parts)
    for name in boosters:
        assert (model.folder / name).read_bytes() == (DEPRESSION.folder / name).read_bytes()
    assert {p: p.read_bytes() for p in DEPRESSION.folder.rglob("*") if p.is_file()} == before
    assert not list(tmp_path.rglob(".*"))


def test_the_same_labels_cannot_silently_replace_a_version_that_is_there(tmp_path: Path):
    labels = local(500, shift=0.5, slope=1.0, seed=2)
    recalibrate(DEPRESSION, labels, tmp_path)

    with pytest.raises(ArtifactError, match="found one"):
        recalibrate(DEPRESSION, labels, tmp_path)


def test_a_model_recalibrated_twice_is_one_line_again(tmp_path: Path):
    first = load_model(recalibrate(DEPRESSION, local(500, shift=0.5, slope=1.0, seed=2), tmp_path).folder)

    second = load_model(recalibrate(first, local(500, shift=-0.5, slope=1.0, seed=3), tmp_path).folder)

    assert second.version.count("+local.") == 1
    assert second.manifest.recalibration["from_version"] == first.version


def test_too_few_people_with_the_outcome_are_refused(tmp_path: Path):
    labels = local(500, shift=0.0, slope=1.0, seed=4)
    few = Labels(
        scores=labels.scores, y=np.where(np.cumsum(labels.y) < LEAST_EVENTS, labels.y, 0.0), sha256=labels.sha256
    )

    with pytest.raises(LabelsError, match=f"at least {LEAST_EVENTS} people with the outcome"):
        recalibrate(DEPRESSION, few, tmp_path)
    assert not list(tmp_path.iterdir())


def test_scores_that_rank_people_the_wrong_way_round_are_refused(tmp_path: Path):
    labels = local(3000, shift=-4.0, slope=-1.5, seed=6)

    with pytest.raises(LabelsError, match="the opposite"):
        recalibrate(DEPRESSION, labels, tmp_path)


@pytest.mark.parametrize("header", ["score,outcome", "\ufeffScore,Outcome", "probability,label"])
def test_pairs_are_read_under_either_of_their_names(tmp_path: Path, header: str):
    labels = local(50, shift=0.0, slope=1.0, seed=7)

    found = read_labels(write(tmp_path / "l.csv", labels, header))

    assert np.allclose(found.scores, labels.scores, atol=1e-6)
    assert np.array_equal(found.y, labels.y)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "no rows"),
        ("score,outcome\n", "no rows"),
        ("a,b\n1,2\n", "one column named score or probability"),
        ("score,probability,outcome\n0.1,0.1,0\n", "one column named score"),
        ("score,outcome\n0.2,0\n0,1\n", "line 3"),
        ("score,outcome\n1.0,1\n", "line 2"),
        ("score,outcome\n0.2,2\n", "line 2"),
        ("score,outcome\n0.2,\n", "line 2"),
        ("score,outcome\n0.2\n", "line 2"),
        ("score,outcome\nnan,1\n", "line 2"),
        ("score,outcome\nhigh,yes\n", "line 2"),
    ],
)
def test_a_file_of_labels_that_cannot_be_right_is_refused_without_its_values(tmp_path, content, complaint):
    (tmp_path / "l.csv").write_text(content)

    with pytest.raises(LabelsError, match=complaint) as refused:
        read_labels(tmp_path / "l.csv")
    assert "high" not in str(refused.value)


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path):
    (tmp_path / "l.csv").write_bytes(b"\xff\xfe\x00")

    for name in ("none.csv", "l.csv"):
        with pytest.raises(LabelsError, match=name):
            read_labels(tmp_path / name)


def test_which_model_is_meant_must_be_clear():
    assert one_model(SHIPPED, "suicidal-ideation").outcome == "suicidal-ideation"
    assert one_model(SHIPPED / "depression", None).outcome == "depression"
    assert one_model(DEPRESSION.folder, None).version == DEPRESSION.version
    with pytest.raises(ArtifactError, match="choose with --outcome"):
        one_model(SHIPPED, None)
    with pytest.raises(ArtifactError, match="'suicide'"):
        one_model(SHIPPED, "suicide")


def test_a_changed_artifact_is_refused_and_nothing_half_written_is_left(tmp_path: Path):
    broken = one_model(SHIPPED / "depression", None)
    copy = tmp_path / "depression" / broken.version
    __import__("shutil").copytree(broken.folder, copy)
    model = load_model(copy)
    (copy / "model-core.ubj.gz").write_bytes(b"not a model")

    with pytest.raises(ArtifactError):
        recalibrate(model, local(500, shift=0.5, slope=1.0, seed=2), tmp_path / "out")
    assert not [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
