import gzip
import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import ArtifactError, ModelError
from models.inputs.feature_schema import FEATURES, SCHEMAS, FeatureSpec
from models.inputs.outcomes import OUTCOMES
from models.scoring import registry
from models.scoring.boosters import boosters_of, load_booster
from models.scoring.registry import (
    SHIPPED,
    dump,
    load_json,
    load_model,
    load_models,
    sha256,
    the_version,
    versions,
    write_manifest,
)
from models.scoring.score import score
from models.training.drop_folds import drop_folds
from models.training.drop_folds import main as drop_folds_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    newest = the_version(SHIPPED / "depression")
    return Path(shutil.copytree(newest, tmp_path / "depression" / newest.name))


def rewrite_manifest(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | changes))


def test_the_shipped_models_load_in_a_fixed_order_with_their_schemas():
    models = load_models()

    assert tuple(model.outcome for model in models) == OUTCOMES
    assert all(0 < model.default_threshold < 1 for model in models)


def test_a_model_outlives_new_inputs_and_other_directions_and_scores_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    raw = {"age": 50, "female": True, "DPQ010": 2, "DPQ020": 1, "rx_statin": True, "n_rx": 3}
    before = load_model(folder)
    turned = tuple(replace(s, direction=1) if s.name == "rx_statin" else s for s in FEATURES)
    extra = FeatureSpec(name="walking", block="core", group="function", kind="ordinal", cap=3, direction=1)
    monkeypatch.setattr(registry, "FEATURES", (extra, *turned))

    later = load_model(folder)

    assert (later.schema, later.schema.id) == (before.schema, before.manifest.schema_id)
    assert score(later, later.schema.vector({**raw, "walking": 2})) == score(before, before.schema.vector(raw))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("n_rx", {"cap": 10}),
        ("visits_yr", {"bands": ((0.0, 0.0), (1.0, 1.0))}),
        ("sleep_hours", {"unit": "min"}),
        ("smoke_status", {"group": "drugs"}),
        ("liver", {"name": "hepatic"}),
        ("DPQ020", {"block": "phq"}),
    ],
)
def test_a_model_whose_inputs_are_prepared_otherwise_now_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, change: dict
):
    changed = tuple(replace(spec, **change) if spec.name == name else spec for spec in FEATURES)
    monkeypatch.setattr(registry, "FEATURES", changed)

    with pytest.raises(ArtifactError, match=rf"prepares as the model's training did; found others in \S+: {name};"):
        load_model(folder)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda rows: rows[1:], "minimum_data and input_ranges among them; found age"),
        (lambda rows: [*rows, rows[-1]], "found one twice"),
        (lambda rows: [{**rows[0], "secret": 1}, *rows[1:]], "features of the model in schema"),
        (lambda rows: [*rows, {**rows[-1], "name": "DPQ090"}], "found others .*: DPQ090"),
        (
            lambda rows: [*rows, {**rows[-1], "name": "DPQ030", "block": "phq", "group": "phq"}],
            "found others .*: DPQ030",
        ),
    ],
)
def test_a_schema_that_cannot_be_right_is_refused_even_with_right_checksums(folder: Path, change, complaint: str):
    rows = change(json.loads((folder / "schema.json").read_text())["features"])
    digest = hashlib.sha256(json.dumps(rows, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]
    (folder / "schema.json").write_text(json.dumps({"id": digest, "features": rows}))
    files = json.loads((folder / "manifest.json").read_text())["files"]
    rewrite_manifest(folder, schema_id=digest, files=files | {"schema.json": sha256(folder / "schema.json")})

    with pytest.raises(ArtifactError, match=complaint):
        load_model(folder)


def test_a_folder_with_one_of_the_models_gives_that_one(folder: Path):
    assert [model.outcome for model in load_models(folder.parent.parent)] == ["depression"]


@pytest.mark.parametrize(
    "name",
    [
        "model-needs.ubj.gz",
        "schema.json",
        "calibration.json",
        "reference.json",
        "metrics.json",
        "validation.json",
        "folds/2005-2006-phq2.ubj.gz",
    ],
)
def test_one_altered_byte_in_any_file_is_refused(folder: Path, name: str):
    path = next(path for path in (folder / name, folder / f"{name}.gz") if path.is_file())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    with pytest.raises(ArtifactError, match=f"{name}.*altered after training"):
        load_model(folder)


@pytest.mark.parametrize("kept", [None, {}, {"n_rx": {"edges": list(range(12))}}, {"n_rx": "odd"}])
def test_an_input_without_bins_to_compare_with_is_marked_and_the_model_still_scores(folder: Path, kept: dict | None):
    raw = {"age": 50, "female": True, "DPQ010": 2, "DPQ020": 1, "n_rx": 3}
    before = score(model := load_model(folder), model.schema.vector(raw))
    (folder / "reference.json.gz").unlink()
    if kept is not None:
        dump(folder / "reference.json.gz", kept)
    write_manifest(folder, json.loads((folder / "manifest.json").read_text()))

    after = score(model := load_model(folder), model.schema.vector(raw))

    assert replace(after, bins=before.bins) == before
    known = {name for name, found in zip(model.schema.names, after.bins, strict=True) if found == "?"}
    assert known == set(raw) and set(after.bins) == {"?", "-"}


def test_figures_are_read_compressed_or_not_and_damage_in_either_is_named(tmp_path: Path):
    dump(tmp_path / "metrics.json", {"a": 1.5})
    dump(tmp_path / "validation.json.gz", {"a": 1.5})
    assert load_json(tmp_path / "metrics.json") == load_json(tmp_path / "validation.json") == {"a": 1.5}

    packed = (tmp_path / "validation.json.gz").read_bytes()
    for damaged in (packed[:-9], packed[:12] + b"\xff" + packed[13:], b"{}"):
        (tmp_path / "validation.json.gz").write_bytes(damaged)
        with pytest.raises(ArtifactError, match=r"validation\.json; found something unreadable"):
            load_json(tmp_path / "validation.json")


@pytest.mark.parametrize("name", ["model-core.ubj.gz", "calibration.json", "folds/2015-2016-core.ubj.gz"])
def test_a_missing_file_is_named(folder: Path, name: str):
    (folder / name).unlink()

    with pytest.raises(ArtifactError, match=f"missing: {name}"):
        load_model(folder)


def test_a_file_that_the_manifest_does_not_know_is_refused(folder: Path):
    (folder / "extra.ubj").write_bytes(b"x")

    with pytest.raises(ArtifactError, match=r"not in the manifest: extra\.ubj"):
        load_model(folder)


def test_a_model_of_another_schema_is_refused_even_with_right_checksums(folder: Path):
    schema = json.loads((folder / "schema.json").read_text()) | {"id": "0123456789abcdef"}
    (folder / "schema.json").write_text(json.dumps(schema))
    files = json.loads((folder / "manifest.json").read_text())["files"]
    rewrite_manifest(
        folder, schema_id="0123456789abcdef", files=files | {"schema.json": sha256(folder / "schema.json")}
    )

    with pytest.raises(ArtifactError, match=r"expected feature schema .* found 0123456789abcdef"):
        load_model(folder)


def test_a_booster_with_other_features_is_refused_even_with_right_checksums(folder: Path):
    shutil.copy(the_version(SHIPPED / "suicidal-ideation") / "model-phq2.ubj.gz", folder / "model-phq2.ubj.gz")
    files = json.loads((folder / "manifest.json").read_text())["files"]
    rewrite_manifest(folder, files=files | {"model-phq2.ubj.gz": sha256(folder / "model-phq2.ubj.gz")})

    with pytest.raises(ArtifactError, match="features of its schema"):
        load_model(folder)


def test_a_file_that_is_no_booster_is_refused_even_with_a_right_checksum(folder: Path):
    (folder / "model-phq2.ubj.gz").write_bytes(b"not a model")
    files = json.loads((folder / "manifest.json").read_text())["files"]
    rewrite_manifest(folder, files=files | {"model-phq2.ubj.gz": sha256(folder / "model-phq2.ubj.gz")})

    with pytest.raises(ArtifactError, match="cannot be read"):
        load_model(folder)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"outcome": "suicide"}, "one of the outcomes"),
        ({"outcome": "suicidal-ideation"}, "folder of that name"),
        ({"format": 99}, "format 2 or 3"),
        ({"operating_points": {}}, "default threshold"),
        ({"operating_points": {"0.05": 1.5}}, "default threshold"),
        ({"minimum_data": {}}, "complete manifest"),
        ({"files": []}, "complete manifest"),
        ({"default_flag_rate": ["0.05"]}, "complete manifest; found a problem with default_flag_rate"),
        ({"version": 3}, "complete manifest; found a problem with version"),
        ({"training": None}, "complete manifest; found a problem with training"),
        ({"recalibration": "yes"}, "complete manifest; found a problem with recalibration"),
    ],
)
def test_a_manifest_that_cannot_be_right_is_refused(folder: Path, changes: dict, complaint: str):
    rewrite_manifest(folder, **changes)

    with pytest.raises(ArtifactError, match=complaint):
        load_model(folder)


@pytest.mark.parametrize("content", ["", "[]", "{not json"])
def test_a_manifest_that_is_no_json_object_is_refused(folder: Path, content: str):
    (folder / "manifest.json").write_text(content)

    with pytest.raises(ArtifactError, match=r"manifest.json"):
        load_model(folder)


def test_a_folder_without_models_says_what_was_expected_and_what_to_do(tmp_path: Path):
    with pytest.raises(ModelError, match=r"expected a folder with depression .*; found none in .*; train again"):
        load_models(tmp_path)


@pytest.fixture
def several(folder: Path) -> Path:
    """Four versions of one outcome, the shipped one among them."""
    for name in ("9.9.0", "10.1.0", "9.9.0+local.1b2c3d4e"):
        copy = Path(shutil.copytree(folder, folder.parent / name))
        write_manifest(copy, {**load_json(copy / "manifest.json"), "version": name})
    (folder.parent / ".11.0.0-unfinished").mkdir()
    shutil.copy(folder / "manifest.json", folder.parent / ".11.0.0-unfinished")
    return folder.parent


def test_the_newest_of_several_versions_is_the_default_by_number(several: Path):
    assert [path.name for path in versions(several)][1:] == ["9.9.0", "9.9.0+local.1b2c3d4e", "10.1.0"]
    for place in (several.parent, several, several / "10.1.0"):
        assert [model.version for model in load_models(place)] == ["10.1.0"]
    assert [model.version for model in load_models(several / "9.9.0")] == ["9.9.0"]
    kept = [{}, {"depression": "9.9.0+local.1b2c3d4e"}, {"depression": "9.9.0"}]
    assert [m.version for m in load_models(several.parent, kept)] == ["9.9.0", "9.9.0+local.1b2c3d4e", "10.1.0"]


def test_a_newest_version_without_its_manifest_fails_and_no_older_one_takes_its_place(several: Path):
    (several / "10.1.0" / "manifest.json").unlink()

    for place in (several.parent, several):
        with pytest.raises(ArtifactError, match=r"a file manifest\.json; found none in \S+10\.1\.0; "):
            load_models(place)
    assert [m.version for m in load_models(several.parent, [{"depression": "9.9.0"}])] == ["9.9.0"]


def test_a_version_that_is_not_there_is_refused_with_those_that_are(several: Path):
    with pytest.raises(ArtifactError, match=r"expected depression 3\.1\.0; found .*, 9\.9\.0, 9\.9\.0\+local"):
        load_models(several.parent, [{"depression": "3.1.0"}])


def test_of_two_versions_of_the_newest_number_none_is_chosen_in_silence(several: Path):
    shutil.rmtree(several / "10.1.0")

    with pytest.raises(
        ArtifactError, match=r"one newest version .* found 9\.9\.0, 9\.9\.0\+local\.1b2c3d4e; name one .* in \[models\]"
    ):
        load_models(several.parent)
    assert [m.version for m in load_models(several.parent, [{"depression": "9.9.0"}])] == ["9.9.0"]


def test_a_folder_named_for_another_version_is_refused(folder: Path):
    with pytest.raises(ArtifactError, match=r"version 0\.0\.1 in the folder of that name; found version"):
        load_model(folder.rename(folder.parent / "0.0.1"))


def test_a_fold_that_is_cut_off_is_refused(folder: Path):
    fold = folder / "folds/2005-2006-phq2.ubj.gz"
    fold.write_bytes(fold.read_bytes()[:200])

    with pytest.raises(ArtifactError, match="cannot be read"):
        load_booster(fold, SCHEMAS["depression"])


@pytest.mark.parametrize("number", [float("inf"), -0.5, None, "0.9"])
def test_a_calibration_that_is_no_rising_line_is_refused_even_with_a_right_checksum(folder: Path, number: object):
    content = json.loads((folder / "calibration.json").read_text())
    content["final"]["needs"]["line"]["slope"] = number
    (folder / "calibration.json").write_text(json.dumps(content))
    files = json.loads((folder / "manifest.json").read_text())["files"]
    rewrite_manifest(folder, files=files | {"calibration.json": sha256(folder / "calibration.json")})

    with pytest.raises(ArtifactError, match=r"calibration\.json"):
        load_model(folder)


@pytest.mark.parametrize("key", ["core/typo", "core/phq2", "cor", "no-phq"])
def test_a_line_that_no_known_inputs_would_reach_is_refused_even_with_a_right_checksum(folder: Path, key: str):
    content = json.loads((folder / "calibration.json").read_text())
    content["final"][key] = content["final"]["core"]
    (folder / "calibration.json").write_text(json.dumps(content))
    files = json.loads((folder / "manifest.json").read_text())["files"]
    rewrite_manifest(folder, files=files | {"calibration.json": sha256(folder / "calibration.json")})

    with pytest.raises(ArtifactError, match=rf"lines of tiers and of their patterns .*; found {key} in "):
        load_model(folder)


def test_boosters_run_on_one_thread(folder: Path):
    model = load_model(folder)
    for booster in boosters_of(folder, model.outcome, model.schema).values():
        assert json.loads(booster.save_config())["learner"]["generic_param"]["nthread"] == "1"


@pytest.fixture
def without_folds(folder: Path) -> Path:
    drop_folds(folder)
    return folder


def test_a_version_kept_without_folds_scores_the_same_and_keeps_every_other_byte(without_folds: Path):
    shipped = the_version(SHIPPED / "depression")
    released, kept = load_model(shipped), load_model(without_folds)
    raw = {"age": 50, "female": True, "DPQ010": 2, "DPQ020": 1, "n_rx": 3}

    assert score(kept, kept.schema.vector(raw)) == score(released, released.schema.vector(raw))
    assert (released.manifest.has_folds, kept.manifest.has_folds) == (True, False)
    assert not [name for name in kept.manifest.files if name.startswith("folds")]
    manifest = load_json(without_folds / "manifest.json")
    assert manifest["folds"] == "left out"
    assert set(manifest["released_files"]) == {n for n in released.manifest.files if not n.startswith("folds/")}
    for name, digest in manifest["released_files"].items():
        path = without_folds / name
        content = path.read_bytes() if path.is_file() else gzip.decompress((without_folds / f"{name}.gz").read_bytes())
        assert hashlib.sha256(content).hexdigest() == digest == released.manifest.files[name]
    sizes = [sum(p.stat().st_size for p in place.rglob("*") if p.is_file()) for place in (without_folds, shipped)]
    assert sizes[0] < sizes[1] - 0.95 * sum(p.stat().st_size for p in (shipped / "folds").iterdir())
    drop_folds(without_folds)
    assert load_json(without_folds / "manifest.json") == manifest, "once is enough"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "expected one version, as in: make drop-folds VERSION="),
        (["2.0.0", "3.0.0"], "expected one version, as in"),
        (["1.5.0"], r"expected depression 1\.5\.0; found \d+\.\d+\.\d+"),
        (["9.9.0"], r"expected suicidal-ideation 9\.9\.0; found none"),
    ],
)
def test_folds_are_dropped_of_no_version_that_is_not_named_or_not_there(
    several: Path, words: list[str], complaint: str
):
    with pytest.raises(SystemExit, match=complaint):
        drop_folds_of(words, several.parent)
    assert (several / "9.9.0" / "folds").is_dir()


def test_a_damaged_version_is_not_made_smaller(folder: Path):
    (folder / "folds" / "2005-2006-core.ubj.gz").write_bytes(b"x")

    with pytest.raises(ArtifactError, match="altered after training"):
        drop_folds(folder)
    assert (folder / "folds").is_dir()
