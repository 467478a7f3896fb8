"""What a site's own outcomes say: `mhcds monitor`, the daily look of a running service, gauges and pages."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ehr import kept_in, settings
from episodes import episodes, months_before, put_on_record

from cds_service.storage.opening import open_store
from cds_service.storage.versions import upgrade
from models.scoring.registry import SHIPPED, load_json, the_version

VERSION = the_version(SHIPPED / "depression").name
MONTHS = months_before(datetime.now(UTC).date(), 2)
REFERENCE = load_json(SHIPPED / "depression" / VERSION / "reference.json")
INPUTS = [
    [share * REFERENCE[spec["name"]]["known"] for share in REFERENCE[spec["name"]]["shares"]]
    for spec in load_json(SHIPPED / "depression" / VERSION / "schema.json")["features"]
]


def until(done: Callable[[], object]) -> None:
    for _ in range(900):
        if done():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within 90 seconds")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings with a store in which two months of a site are on record."""
    place = tmp_path_factory.mktemp("monitored")
    url = f"sqlite:///{place / 'store' / 'mhcds.db'}"
    (place / "store").mkdir()
    store = open_store(url)
    upgrade(store)
    put_on_record(store, episodes(600, months=MONTHS, version=VERSION, level=0.8, inputs=INPUTS, seed=4))
    store.close()
    return settings(place / "settings", service=kept_in(url, place / "settings"))
