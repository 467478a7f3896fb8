"""What a site's own outcomes say: `mhcds monitor`, the daily look of a running service, gauges and pages."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from ehr import Served, app_of, free_port, kept_in, mhcds, served, settings, table
from episodes import episodes, months_before, put_on_record

from cds_service.monitoring.counting import site_figures
from cds_service.monitoring.site_figures import read_figures, write_figures
from cds_service.serving import daily_look
from cds_service.serving.engine import load_engine
from cds_service.storage.opening import open_store
from cds_service.storage.tables import audit_event, site_figure
from cds_service.storage.versions import upgrade
from models.scoring.registry import SHIPPED, load_json, the_version

VERSION = the_version(SHIPPED / "depression").name
MONTHS = months_before(datetime.now(UTC).date(), 2)
REFERENCE = load_json(SHIPPED / "depression" / VERSION / "reference.json")
INPUTS = [
    [share * REFERENCE[spec["name"]]["known"] for share in REFERENCE[spec["name"]]["shares"]]
    for spec in load_json(SHIPPED / "depression" / VERSION / "schema.json")["features"]
]
PEOPLE = 700


def until(done: Callable[[], object]) -> None:
    for _ in range(900):
        if done():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within 90 seconds")


def children(found: Served) -> Iterator[psutil.Process]:
    """The processes of a running service that still run."""
    for process in psutil.Process(found.process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE and process.cmdline():
                yield process


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings with a store in which two months of a site are on record, whose level is well above the survey's."""
    place = tmp_path_factory.mktemp("monitored")
    (place / "store").mkdir()
    url = f"sqlite:///{place / 'store' / 'mhcds.db'}"
    store = open_store(url)
    upgrade(store)
    put_on_record(store, episodes(PEOPLE, months=MONTHS, version=VERSION, level=1.0, inputs=INPUTS, seed=4))
    store.close()
    port = free_port()
    service = {"public_url": f"http://127.0.0.1:{port}"} | kept_in(url, place / "settings")
    return settings(place / "settings", service=service, site={"monitoring": {"groups": ["language"]}})


@pytest.fixture
def store(folder: Path):
    found = open_store(f"sqlite:///{folder.parent / 'store' / 'mhcds.db'}")
    yield found
    found.close()


def test_the_command_says_what_outcomes_say_and_names_nobody(folder: Path, store) -> None:
    done = mhcds("monitor", "--config", str(folder))

    assert done.returncode == 0, done.stderr
    assert f"north, depression {VERSION}" in done.stdout
    assert f"together  {PEOPLE}" in done.stdout
    assert MONTHS[0] in done.stdout
    assert "Whoever is asked differs from whoever is not" in " ".join(done.stdout.split())
    assert "sex unknown" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert not {row["patient"] for row in store.rows(audit_event)} & set(done.stdout.split())


def test_as_json_of_one_month_it_is_the_values_alone(folder: Path, store) -> None:
    done = mhcds("monitor", "--config", str(folder), "--since", MONTHS[1], "--until", MONTHS[1], "--json")

    rows = json.loads(done.stdout)
    assert [row["month"] for row in rows] == ["", MONTHS[1]]
    everyone = rows[0]["everyone"]
    assert everyone["episodes"] == PEOPLE // 2
    assert everyone["observed"]["o_e"]["low"] > 1
    assert everyone["weighted"]["auroc"]["low"] < everyone["weighted"]["auroc"]["value"]
    assert len(rows[0]["inputs"]) == len(INPUTS)
    assert not any(one["unlike"] for one in rows[0]["inputs"])
    assert not store.rows(site_figure)  # only the daily look keeps them


def test_months_the_wrong_way_round_are_refused_with_what_to_do(folder: Path) -> None:
    done = mhcds("monitor", "--config", str(folder), "--since", MONTHS[1], "--until", MONTHS[0])

    assert done.returncode == 1
    assert f"--until: expected a month not before --since, {MONTHS[1]}; found {MONTHS[0]}" in done.stderr


def test_a_running_service_looks_once_a_day_and_shows_it_on_metrics_and_the_card(folder: Path, store) -> None:
    port = int((folder / "service.toml").read_text().partition("127.0.0.1:")[2].partition('"')[0])
    with served(folder, "--workers", "2", port=port) as found:
        until(lambda: store.rows(site_figure))

        gauges = found.get("/metrics").text
        card = found.get("/model-card.json").json()["models"][0]["here"]
        until(lambda: not any("--daily" in each.cmdline() for each in children(found)))
        assert not any("watch-failed" in line for line in found.lines())

    labels = f'{{model="depression",site="north",version="{VERSION}"}}'
    assert f"mhcds_model_auroc{labels} 0." in gauges
    assert f"mhcds_model_observed_over_expected{labels} " in gauges
    assert f"mhcds_model_largest_psi{labels} " in gauges
    assert card == {"known": True, "published": [], "measured": 1, "not_measured": 0}
    assert sum('"monitored"' in line for line in found.lines()) == 1  # by one worker of all
    assert [row.month for row in read_figures(store)] == ["", *MONTHS]


def test_a_site_that_publishes_has_its_figures_on_the_public_card_with_their_dates(store, tmp_path: Path) -> None:
    made = episodes(PEOPLE, months=MONTHS, version=VERSION, level=1.0, seed=4)
    write_figures(store, "north", site_figures(made, threshold=0.2, now=datetime.now(UTC)))
    service, site = kept_in(str(store.engine.url), tmp_path), {"monitoring": {"publish": True}}

    client = app_of(settings(tmp_path, service=service, site=site), engine=load_engine()).test_client()
    page = client.get("/model-card").get_data(as_text=True)

    section = page.partition("At the sites of this service</h3>")[2].partition("<h3>Limits")[0]
    assert "Site north, " in section
    assert f"{PEOPLE} episodes" in section
    assert f"computed on {datetime.now(UTC).day} " in section
    assert "Not measured here." in page.partition("Suicidal ideation, version")[2]


def test_the_daily_look_ends_with_its_service(folder: Path) -> None:
    words = [sys.executable, "-m", "cds_service", "monitor", "--daily", "--attached", "--config", str(folder)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)

    process.stdin.close()

    assert process.wait(timeout=60) == 1
    assert not psutil.pid_exists(process.pid)


def test_a_look_that_fails_leaves_its_kind_in_the_log_and_nothing_of_a_chart(
    folder: Path, store, tmp_path, capfd, caplog
) -> None:
    broken = tmp_path / "settings"
    broken.mkdir()
    (broken / "service.toml").write_text(table({"mode": "development", "store": "sqlite:///gone/mhcds.db"}))

    daily_look.look_at_models(broken, store)

    assert '"event": "watch-failed", "job": "monitor", "why": "exit 1"' in caplog.text
    assert '"event": "monitor-failed"' in capfd.readouterr().err


def test_nothing_is_started_before_the_first_answer(folder: Path, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    empty = open_store(f"sqlite:///{tmp_path / 'empty.db'}")
    upgrade(empty)

    daily_look.look_at_models(folder, empty)
    daily_look.look_at_models(None, empty)

    empty.close()
