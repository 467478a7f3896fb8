"""Shared fixtures, and the refusal to skip where CI asks for it."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import threading
from pathlib import Path

import hypothesis
import pytest
import sqlalchemy as sa

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(Path(__file__).parent))  # `import builders` from any test folder

# Before numpy is loaded: threads that wait for each other on a core that they share cost twice the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Looking for garbage as often as Python does takes a sixth of the time of the suite.
gc.set_threshold(50_000, 20, 100)

import empty_stores  # noqa: E402  # found by the path above

empty_stores.install()

# No test may depend on how fast the machine is.
hypothesis.settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any-machine")


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


@pytest.fixture(autouse=True)
def in_one_part(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of the app are waited for, but by a browser, which takes them as they are served.

    One that a busy machine sends in two parts says 200 before it knows, and is on record only once it is read to its end.
    """
    streaming = sys.modules.get("smart_launch.pages.streaming")
    if streaming and "browser" not in request.fixturenames:
        monkeypatch.setitem(streaming.stream_if_slow.__kwdefaults__, "at_once_s", 60.0)


@pytest.fixture
def in_parts(in_one_part: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that takes longer than a second is sent in two parts, as it is served."""
    from smart_launch.pages import streaming

    monkeypatch.setitem(streaming.stream_if_slow.__kwdefaults__, "at_once_s", streaming.AT_ONCE_S)


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


@pytest.fixture(scope="session")
def postgres():
    """Makes empty databases in a real PostgreSQL, which is started once for all tests: `postgres()` is a URL."""
    from ehr import Postgres

    # Not in pytest's folder: another run of pytest closes that to everybody but root, and PostgreSQL runs as another user.
    with tempfile.TemporaryDirectory(prefix="mhcds-pg-") as folder, Postgres(Path(folder) / "pg") as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty store of each kind, in turn; in PostgreSQL with its tables already, for a test that asks for `store` too."""
    if request.param == "sqlite":
        (tmp_path / "store").mkdir()
        return f"sqlite:///{tmp_path / 'store' / 'mhcds.db'}"
    postgres = request.getfixturevalue("postgres")
    return postgres.new_database(postgres.upgraded) if "store" in request.fixturenames else postgres.new_database()


@pytest.fixture
def store(store_url: str):
    """A store of each kind, in turn, with its tables and no row."""
    from cds_service.storage.opening import open_store
    from cds_service.storage.versions import upgrade

    found = open_store(store_url)
    upgrade(found)
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _no_connection_left_open():
    """Connections that a test opened to a store are closed at its end; a pool opens new ones when asked again."""
    used: set[sa.Pool] = set()

    def note(_connection: object, _record: object, proxy: sa.pool.PoolProxiedConnection) -> None:
        used.add(proxy._pool)

    sa.event.listen(sa.Pool, "checkout", note)
    yield
    for thread in threading.enumerate():
        if thread.name in ("verify", "tasks"):  # beside a look of the watch
            thread.join()
    sa.event.remove(sa.Pool, "checkout", note)
    for pool in used:
        pool.dispose()
