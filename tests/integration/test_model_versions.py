"""Two versions of the models beside each other: the newest for all, and an older one for a site that keeps it."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
from pathlib import Path

import psutil
import pytest
from builders import bundle, given
from ehr import free_port, hook_request, issuer_table, mhcds, served, settings
from model_versions import NEW, OLD, two_versions

from cds_service.errors import ConfigError
from cds_service.serving import engine as loading
from cds_service.serving.engine import load_engine, load_engine_apart
from cds_service.settings.config import load_config
from cds_service.settings.live import LiveConfig
from cds_service.smart_app import app_settings
from models.inputs.outcomes import OUTCOMES
from models.scoring.score import score

CHART = {"conditions": json.loads(bundle(*given("Condition I10, 300 days ago, problem list")))}
PROMPTED = {"consent": "not-used", "show_probability": True, "thresholds": dict.fromkeys(OUTCOMES, 0.0001)}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_versions(tmp_path_factory.mktemp("models"))


def deployment(folder: Path, root: Path, north: dict[str, str], south: dict[str, str], **service) -> Path:
    """Two sites with what each keeps, each with a client of its own."""
    sites = {
        name: PROMPTED | {"issuer": [issuer_table(iss=f"https://{name}.example")], "models": kept}
        for name, kept in (("north", north), ("south", south))
    }
    return settings(folder, service={"models": str(root)} | service, sites=sites)


def of(version: str) -> list[str]:
    return [f"{outcome} {version}" for outcome in OUTCOMES]


def test_over_http_a_site_keeps_the_old_version_while_the_other_has_the_newest(tmp_path: Path, root: Path) -> None:
    port = free_port()
    folder = deployment(tmp_path, root, OLD, {}, public_url=f"http://127.0.0.1:{port}")
    with served(folder, port=port) as found:
        cards = {}
        for site in ("north", "south"):
            signed = found.ehr(iss=f"https://{site}.example").headers()
            answer = found.call(hook_request(more=CHART), **signed)
            assert answer.status_code == 200, answer.text
            cards[site] = answer.json()["cards"]
        shown = found.get("/model-card.json").json()
        page = found.get("/model-card").text
        ready = found.get("/health/ready").json()["checks"]["models"]
        lines = [json.loads(line) for line in found.lines() if '"hook-answered"' in line]
        workers = psutil.Process(found.process.pid).children()
        held = {Path(mapped.path).name for worker in workers for mapped in worker.memory_maps()}

    scored = {line["site"]: line["models"] for line in lines}
    assert scored == {"north": [f"{o} {v}" for o, v in OLD.items()], "south": of(NEW)}
    printed = {site: re.findall(r"about (\d+) \(range", json.dumps(found)) for site, found in cards.items()}
    moved = [int(new) > int(old) for old, new in zip(printed["north"], printed["south"], strict=True)]
    assert moved, cards
    assert all(moved), "every score of the newer version is higher"
    assert ready == "ok"
    assert any("multiarray" in name for name in held)
    assert not [name for name in held if "xgboost" in name], "tables score, XGBoost only loads"
    deployed = [(card["outcome"], card["version"]) for card in shown["models"]]
    assert deployed == [(outcome, version) for outcome in OUTCOMES for version in (OLD[outcome], NEW)]
    ids = re.findall(r'id="([^"]+)"', page)
    assert len(set(ids)) == len(ids)
    assert {f"depression-{version}" for version in (OLD["depression"], NEW)} <= set(ids)


def test_commands_follow_what_each_site_keeps(tmp_path: Path, root: Path) -> None:
    folder = str(deployment(tmp_path / "config", root, OLD, {"depression": NEW}))
    (tmp_path / "chart.json").write_text(json.dumps(hook_request(more=CHART)))

    checked = mhcds("check-config", folder)

    assert checked.returncode == 0, checked.stderr
    kept = ", ".join(f"{outcome} {version}" for outcome, version in OLD.items())
    assert f"site north: models {kept}\n" in checked.stdout
    assert f"site south: models {', '.join(of(NEW))}\n" in checked.stdout
    assert checked.stdout.count(": verified") == 4
    for site, version in (("north", OLD["depression"]), ("south", NEW)):
        done = mhcds("assess", "--format", "json", "--config", folder, "--site", site, str(tmp_path / "chart.json"))
        assert {s["model_version"] for s in json.loads(done.stdout)["scores"]} == {version}, done.stderr


def test_the_app_keeps_the_version_of_its_site(tmp_path: Path, root: Path) -> None:
    config = load_config(deployment(tmp_path, root, OLD, {}))

    north, south = app_settings(config).sites

    assert (north.judgement.models, south.judgement.models) == (OLD, {})
    assert config.site("north").judgement.models == OLD


def test_a_version_that_does_not_exist_is_refused_with_those_that_do(tmp_path: Path, root: Path) -> None:
    folder = deployment(tmp_path, root, {"depression": "1.5.0"}, {})

    known = f'"{OLD["depression"]}" or "{NEW}"'
    with pytest.raises(ConfigError, match=rf"north\.toml: \[models\] depression: expected {known}; "):
        load_config(folder)
    assert 'found "1.5.0"' in mhcds("check-config", str(folder)).stderr


def test_only_versions_that_some_site_uses_are_loaded_and_once(root: Path) -> None:
    assert [m.version for m in load_engine(root, [OLD, OLD]).models] == list(OLD.values())
    assert [m.version for m in load_engine(root, [{}, {"depression": NEW}]).models] == [NEW, NEW]
    assert len(load_engine(root, [{}, OLD]).models) == 4


def test_models_that_another_process_loaded_score_as_those_loaded_here(tmp_path: Path) -> None:
    """2.0.0 has trees that XGBoost itself scores."""
    folder = settings(tmp_path, sites={"north": {}, "south": {"models": {"depression": "2.0.0"}}})
    config = load_config(folder)
    raw = {"age": 50, "female": True, "DPQ010": 2, "DPQ020": 1, "n_rx": 3}

    apart, here = load_engine_apart(config), load_engine(config.models, config.kept_models)

    assert [f"{m.outcome} {m.version}" for m in apart.models] == [f"{m.outcome} {m.version}" for m in here.models]
    assert len(here.models) == 3
    for one, other in zip(apart.models, here.models, strict=True):
        assert score(one, one.schema.vector(raw)) == score(other, other.schema.vector(raw))


def test_loading_that_brings_its_process_down_leaves_the_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "load_engine", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    config = load_config(settings(tmp_path, sites={"north": {}, "south": {"models": {"depression": "2.0.0"}}}))

    engine = load_engine_apart(config)

    assert engine.models == ()
    assert sorted(failure.name for failure in engine.failures) == sorted([*OUTCOMES, "depression 2.0.0"])
    assert {failure.reason for failure in engine.failures} == {
        "the process that loads models ended early (-9); restart the service, or restore them from the release"
    }


def test_loading_that_is_killed_for_want_of_memory_begins_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"

    def killed_once(*wanted) -> object:
        if not started.exists():
            started.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return load_engine(*wanted)

    monkeypatch.setattr(loading, "load_engine", killed_once)

    engine = load_engine_apart(load_config(deployment(tmp_path / "settings", root, {}, {})))

    assert [f"{m.outcome} {m.version}" for m in engine.models] == of(NEW)
    assert engine.failures == ()


def test_loading_that_hangs_is_ended_and_leaves_the_rules(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A manifest that nobody writes is opened for ever, as on a network file system that is gone."""
    monkeypatch.setattr(loading, "MOST_S", 1)
    hanging = Path(shutil.copytree(root, tmp_path / "models"))
    manifest = hanging / "depression" / NEW / "manifest.json"
    manifest.unlink()
    os.mkfifo(manifest)

    engine = load_engine_apart(load_config(deployment(tmp_path / "settings", hanging, {}, {})))

    assert engine.models == ()
    assert {failure.name for failure in engine.failures} == set(OUTCOMES)
    assert "ended early (-14, it took more than 1 s)" in engine.failures[0].reason


def test_a_process_that_cannot_be_started_leaves_the_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker would fail to start, and gunicorn would stop the whole service for it."""

    def no_fork() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", no_fork)

    engine = load_engine_apart(load_config(settings(tmp_path)))

    assert {failure.name for failure in engine.failures} == set(OUTCOMES)
    assert "could not be started (Resource temporarily unavailable)" in engine.failures[0].reason


@pytest.mark.parametrize(
    ("name", "content"),
    [("model-core.ubj.gz", "x"), ("manifest.json", None), ("manifest.json", '{"format": 3, "minimum_data": 1}')],
)
def test_a_newest_version_that_fails_is_not_replaced_by_an_older_one_in_silence(
    root: Path, tmp_path: Path, name: str, content: str | None
) -> None:
    broken = Path(shutil.copytree(root, tmp_path / "models"))
    broken_file = broken / "depression" / NEW / name
    broken_file.unlink() if content is None else broken_file.write_text(content)
    engine = load_engine(broken, [{}, OLD])

    assert [failure.name for failure in engine.failures] == ["depression"]
    assert [m.outcome for m in engine.of({}).models] == ["suicidal-ideation"]
    assert [(m.outcome, m.version) for m in engine.of(OLD).models] == list(OLD.items())
    pinned = load_engine(broken, [dict.fromkeys(OUTCOMES, NEW)])
    assert [(failure.outcome, failure.version) for failure in pinned.failures] == [("depression", NEW)]


def test_a_running_service_changes_between_loaded_versions(tmp_path: Path, root: Path) -> None:
    folder = deployment(tmp_path, root, OLD, {})
    live = LiveConfig.of(folder, "http://127.0.0.1:1")
    original = (folder / "sites" / "south.toml").read_text()

    def rewritten(kept: str) -> LiveConfig:
        text = re.sub(r"models = \{.*?\}\n", f"models = {{ {kept} }}\n", original)
        (folder / "sites" / "south.toml").write_text(text)
        live._next_look = 0
        live()
        return live

    assert rewritten(f'depression = "{OLD["depression"]}"').problem is None
    assert live().site("south").models == {"depression": OLD["depression"]}
    assert rewritten(f'depression = "{NEW}"').problem is None, "the newest, which it used before"
    assert live().site("south").models == {"depression": NEW}
    assert rewritten("").problem is None


def test_a_version_that_no_site_used_at_the_start_needs_a_restart(tmp_path: Path, root: Path) -> None:
    folder = deployment(tmp_path, root, OLD, OLD)
    live = LiveConfig.of(folder, "http://127.0.0.1:1")
    path = folder / "sites" / "south.toml"

    for kept in (f'depression = "{NEW}"', ""):
        path.write_text(re.sub(r"models = \{.*?\}\n", f"models = {{ {kept} }}\n", path.read_text()))
        live._next_look = 0
        assert live().site("south").models == OLD
        assert "restart the service" in (live.problem or "")
