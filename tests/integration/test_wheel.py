"""The built wheel is the whole product: installed into an empty environment in another folder, its commands work.

No network: the wheel is built by the locked backend of the running environment, and the serving dependencies are lent
to the new environment by links, one for each file or folder that a release in `requirements/serve.txt` installed.
Nothing else is lent, so the project's own packages can only come from the wheel, and a library of the training extra or
of development that a serving command needed would be missing.
"""

import json
import os
import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from sources import PACKAGES, ROOT

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a newcomer's shell would: no variable of this environment but the ones that a login gives."""
    clean = {"HOME": str(cwd), "PATH": os.defpath, "LANG": "C.UTF-8"}
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=cwd, env=clean, capture_output=True, text=True, check=False)


def lend_serving_dependencies(site_packages: Path) -> None:
    """Link what the serving lock names for this machine, from the running environment."""
    lock = (ROOT / "requirements" / "serve.txt").read_text()
    for line in re.findall(r"^[a-z0-9][^\\\n]*", lock, flags=re.MULTILINE):
        requirement = Requirement(line.strip())
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        distribution = metadata.distribution(requirement.name)
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            link = site_packages / top
            if not link.exists():
                link.symlink_to(Path(str(distribution.locate_file(top))))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = run(
        *PIP, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", folder, ROOT, cwd=folder
    )
    assert build.returncode == 0, build.stdout + build.stderr
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def mhcds(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command, installed from the wheel into an environment that holds nothing but the serving dependencies."""
    folder = tmp_path_factory.mktemp("elsewhere")
    made = run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    assert made.returncode == 0, made.stderr
    python = folder / "venv" / "bin" / "python"
    asked = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    lend_serving_dependencies(Path(asked.stdout.strip()))
    installed = run(*PIP, "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    return python.with_name("mhcds")


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *PACKAGES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    sources = {name for name in listed if (ROOT / name).is_file()}

    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    assert inside == sources


def test_the_wheel_carries_the_licence_and_the_notices(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    for notice in ("LICENSE", "NOTICE"):
        assert any(name.endswith(f".dist-info/licenses/{notice}") for name in names)


def test_the_serving_lock_installs_all_that_the_wheel_requires(mhcds: Path) -> None:
    result = run(*PIP, "--python", mhcds.with_name("python"), "check", cwd=mhcds.parent)

    assert result.returncode == 0, result.stdout


def test_the_installed_packages_come_from_the_wheel_alone(mhcds: Path) -> None:
    question = f"import importlib; print([importlib.import_module(name).__file__ for name in {PACKAGES}])"

    result = run(mhcds.with_name("python"), "-c", question, cwd=mhcds.parent)

    assert result.returncode == 0, result.stderr
    assert str(ROOT) not in result.stdout


@pytest.mark.parametrize("library", ["pandas", "pyarrow", "shap", "sklearn", "pytest"])
def test_the_environment_lacks_the_libraries_of_training_and_development(mhcds: Path, library: str) -> None:
    result = run(mhcds.with_name("python"), "-c", f"import {library}", cwd=mhcds.parent)

    assert "ModuleNotFoundError" in result.stderr


def test_the_installed_command_assesses_a_chart(mhcds: Path, tmp_path: Path) -> None:
    patient = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1971-02-03"}
    item_9_several_days = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "44260-8"}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-11-01T09:30:00Z",
        "valueInteger": 1,
    }
    entries = [{"resource": patient}, {"resource": item_9_several_days}]
    chart = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    (tmp_path / "chart.json").write_text(json.dumps(chart))

    result = run(mhcds, "assess", "--format", "json", "--as-of", "2026-11-20", "chart.json", cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    assessment = json.loads(result.stdout)
    assert assessment["facts"]["DPQ090"]["value"] == 1
    assert assessment["findings"]
    assert len(assessment["scores"]) == 2


def test_the_installed_command_shows_the_demo(mhcds: Path, tmp_path: Path) -> None:
    result = run(mhcds, "demo", "--once", cwd=tmp_path)

    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout
