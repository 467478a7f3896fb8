"""The import contracts of pyproject.toml hold, and each of them can break.

A contract that nothing can break proves nothing, so each is shown an import that it must refuse, planted in a copy of
the sources.
"""

import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sources import PACKAGES, ROOT

# contract, module that gets the import, the planted line
PLANTS = [
    ("one direction", "fhir_adapters.reading.planted", "import models"),
    ("one direction", "models.rules.planted", "from explanations import __doc__"),
    ("one direction", "explanations.words.planted", "def late() -> None:\n    import smart_launch"),
    ("one direction", "smart_launch.pages.planted", "import cds_service"),
    ("no circles within a package", "models.rules.planted", "import models.rules.planted_too"),
    ("rooms of cds_service", "cds_service.cards.planted", "import cds_service.hooks"),
    ("rooms of the demo EHR", "cds_service.demo_ehr.patients.planted", "import cds_service.demo_ehr.clinic"),
    ("rooms of smart_launch", "smart_launch.oauth.planted", "import smart_launch.pages"),
    ("rooms of explanations", "explanations.judgement.planted", "import explanations.words"),
    ("rooms of words", "explanations.words.findings.planted", "import explanations.words.notices"),
    ("rooms of models", "models.scoring.planted", "import models.evaluation"),
    ("rooms of fhir_adapters", "fhir_adapters.reading.planted", "import fhir_adapters.access"),
    ("safety rules stand on facts alone", "models.rules.safety_rules", "import numpy"),
    ("safety rules stand on facts alone", "models.rules.safety_rules", "import models.scoring.score"),
    (
        "a published comparator is for one command alone",
        "explanations.judgement.planted",
        "import models.published.mhrn",
    ),
    ("a published comparator is for one command alone", "smart_launch.pages.planted", "import models.published.mhrn"),
    ("a published comparator is for one command alone", "cds_service.hooks.planted", "import models.published.mhrn"),
    ("a published comparator is for one command alone", "models.rules.planted", "import models.published.mhrn"),
    (
        "a published comparator is for one command alone",
        "explanations.judgement.planted",
        "import fhir_adapters.reading.care_history",
    ),
    ("web, tokens and command line stay in the two shells", "explanations.words.planted", "import flask"),
    ("xgboost is used in models only, directly", "explanations.words.planted", "import xgboost"),
    ("fhir.resources is used in fhir_adapters only, directly", "cds_service.cards.planted", "import fhir.resources"),
    ("requests is used where the network is, directly", "fhir_adapters.reading.planted", "import requests"),
    (
        "authlib signs people in to the governance pages, and is loaded with them alone",
        "cds_service.hooks.planted",
        "import authlib.oidc.core",
    ),
    ("training tools are used in training and evaluation only, directly", "models.inputs.planted", "import shap"),
    (
        "a serving worker cannot reach the training tools, not even through others",
        "models.scoring.score",
        "import pandas",
    ),
]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def copied_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for package in PACKAGES:
        only_python = shutil.ignore_patterns("__pycache__", "artifacts", "*.csv", "static", "templates")
        shutil.copytree(ROOT / package, folder / package, ignore=only_python)
    return folder


@pytest.fixture
def plant(copied_sources: Path) -> Iterator[Callable[[str, str], None]]:
    """Adds a line to a module of the copy; taken back after the test."""
    before: dict[Path, str | None] = {}

    def planted(module: str, line: str) -> None:
        target = copied_sources / Path(*module.split(".")).with_suffix(".py")
        before[target] = target.read_text() if target.exists() else None
        target.write_text(f"{before[target] or ''}\n{line}\n")

    yield planted
    for target, text in before.items():
        target.unlink() if text is None else target.write_text(text)


def test_every_import_contract_holds() -> None:
    result = lint_imports(ROOT)

    assert result.returncode == 0, result.stdout


def test_every_import_contract_is_shown_an_import_that_it_must_refuse() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]

    assert {contract["name"] for contract in config["contracts"]} == {contract for contract, _, _ in PLANTS}


@pytest.mark.parametrize(("contract", "module", "line"), PLANTS)
def test_a_planted_import_breaks_its_contract(
    copied_sources: Path, plant: Callable[[str, str], None], contract: str, module: str, line: str
) -> None:
    plant(module, line)
    if "planted_too" in line:
        plant("models.rules.planted_too", "import models.rules.planted")
    if "scoring" in module:
        # Without a way from a shell to the planted module, nothing would be reached.
        plant("explanations.words.planted", f"import {module}")

    result = lint_imports(copied_sources)

    assert result.returncode == 1
    assert f"{contract} BROKEN" in result.stdout


def test_importing_the_service_loads_no_library_that_a_worker_does_not_need() -> None:
    """Shap brings numba and a compiler, XGBoost scipy, Alembic Mako: seconds at start and memory in every worker."""
    unneeded = "{'shap', 'numba', 'llvmlite', 'xgboost', 'scipy', 'pandas', 'alembic', 'mako'}"
    question = f"import cds_service.app, sys; print(sorted({unneeded} & set(sys.modules)))"

    result = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"
