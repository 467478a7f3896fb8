"""Shared fixtures, and the refusal to skip where CI asks for it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(Path(__file__).parent))  # `import builders` from any test folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with survey data and FHIR samples; without it the test skips (CI refuses to skip)."""
    folder = Path(os.environ.get("MHCDS_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no data folder at {folder}; set MHCDS_SHARED")
    return folder


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """With MHCDS_REFUSE_SKIPS set, a skipped test is a failed one."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("MHCDS_REFUSE_SKIPS"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and skips are refused here: {report.longrepr}"


@pytest.fixture(scope="session")
def fhir_server(tmp_path_factory: pytest.TempPathFactory):
    """A real FHIR server, started once for all tests; `server` is how a test gets it."""
    from real_server import running

    with running(tmp_path_factory.mktemp("fhir-server")) as found:
        yield found


@pytest.fixture
def server(fhir_server):
    """The real FHIR server without faults."""
    fhir_server.reset()
    yield fhir_server
    fhir_server.reset()
