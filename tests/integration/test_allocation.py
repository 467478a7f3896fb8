"""Allocations: one arm a unit whatever races and dies, in balanced blocks, and nothing changed unnoticed."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from builders import AS_OF
from trial_desk import DRAWN, KEY, Clinics

from cds_service.audit.erasure import Erasure, erase_people
from cds_service.control.permission import asker
from cds_service.serving.engine import load_engine
from cds_service.settings.trials import Design, Trial
from cds_service.storage.tables import allocation, audit_event, trial_protocol
from cds_service.trials.arms import LIVE, arm_of
from cds_service.trials.assigning import TrialUnit, assign, unit_of
from cds_service.trials.verification import verified

ROOT = Path(__file__).parents[2]


def test_blocks_are_balanced_and_nobody_without_the_key_or_seed_gets_the_same_arms() -> None:
    def arms(key: bytes, trial: Trial, stratum: str = "") -> str:
        return "".join(arm_of(key, trial, stratum, number)[0] for number in range(200))

    drawn = arms(b"key", DRAWN)
    runs = [drawn[:n].count("l") - drawn[:n].count("s") for n in range(200)]
    others = [
        arms(b"other", DRAWN),
        arms(b"key", replace(DRAWN, seed="another seed")),
        arms(b"key", replace(DRAWN, id="other")),
        arms(b"key", DRAWN, "river"),
    ]

    assert max(map(abs, runs)) <= 3  # half of the largest block
    assert len({drawn, *others}) == 5
    fixed = arms(b"key", replace(DRAWN, blocks=(4,)))
    assert all(sorted(fixed[n : n + 4]) == list("llss") for n in range(0, 200, 4))
    assert len({fixed[n : n + 4] for n in range(0, 200, 4)}) == 6, "each order of a block comes"


RACE = """
import random, sys
sys.modules["sklearn"] = None  # as `mhcds serve` does: half of the time of a start
from datetime import UTC, datetime
import msgspec
from cds_service.keys.data_key import DataKey
from cds_service.settings.trials import Design, Trial
from cds_service.storage.opening import open_store
from cds_service.trials.assigning import TrialUnit, assign, unit_of
store, order = open_store(sys.argv[1]), random.Random(int(sys.argv[2]))
key, trial = DataKey(sys.argv[3]), msgspec.json.decode(sys.argv[4], type=Trial)
units = [f"unit-{number}" for number in range(24)]
order.shuffle(units)
now = datetime(2026, 11, 23, 15, tzinfo=UTC)
print("ready", flush=True)
sys.stdin.readline()
for unit in units:
    _, arm = assign(store, key, trial, TrialUnit(name=unit, stratum=""), now.date(), now)
    print(unit, arm, flush=True)
"""


def test_processes_that_race_and_one_that_is_killed_give_each_unit_one_arm(store, store_url: str) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, store_url, str(number), KEY.text, msgspec.json.encode(DRAWN).decode()],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )
        for number in range(3)
    ]  # fmt: skip
    told = defaultdict(set)
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for line in (racers[0].stdout.readline() for _ in range(5)):
        told[line.split()[0]].add(line.split()[1])
    racers[0].kill()
    for racer in racers:
        for line in racer.stdout:
            if len(line.split()) == 2:
                told[line.split()[0]].add(line.split()[1])
        racer.wait(timeout=60)
        racer.stdin.close()
        racer.stdout.close()
    assert [racer.returncode for racer in racers[1:]] == [0, 0]

    rows = store.rows(allocation)
    assert sorted(row["number"] for row in rows) == list(range(24))
    assert told == {row["unit"]: {row["arm"]} for row in rows}
    assert abs(sum(row["arm"] == LIVE for row in rows) - 12) <= 3
    found = verified(store, KEY, DRAWN, datetime.date)
    assert (found.units, found.faults) == (24, ())


def assigned(store, *units: str, stratum: str = "") -> None:
    for unit in units:
        assign(store, KEY, DRAWN, TrialUnit(name=unit, stratum=stratum, patient=unit), AS_OF.date(), AS_OF)


TAMPERED = {
    "an arm": (lambda c: c.execute(allocation.update().where(allocation.c.unit == "u1").values(arm="other")),
               "u1: expected arm"),
    "an allocation taken out": (lambda c: c.execute(allocation.delete().where(allocation.c.unit == "u1")),
                                "u1: the chain assigns it, and no allocation is on file"),
    "one put in": (lambda c: c.execute(allocation.insert().values(
        trial="drawn", site="north", unit="u9", stratum="", number=4, arm="live", at="")),
        "u9: expected an event of the chain that assigns it"),
    "one moved": (lambda c: c.execute(allocation.update().where(allocation.c.unit == "u3").values(number=8)),
                  "u3: expected number 3 of its stratum; found 8"),
    "the protocol on record": (lambda c: c.execute(trial_protocol.update().values(digest="0" * 64)),
                               "the file changed since"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
def test_verification_notices(store, name: str) -> None:
    change, words = TAMPERED[name]
    assigned(store, "u0", "u1", "u2", "u3")
    assert verified(store, KEY, DRAWN, datetime.date).faults == ()

    with store.transaction() as connection:
        change(connection)

    assert words in " ".join(verified(store, KEY, DRAWN, datetime.date).faults)


def test_an_answer_in_another_arm_than_assigned_is_noticed(tmp_path: Path) -> None:
    clinics = Clinics(tmp_path, load_engine())
    clinics.topics("Location/3")
    with clinics.runtime.store.transaction() as connection:
        (row,) = connection.execute(sa.select(audit_event).where(audit_event.c.kind == "answer")).all()
        text = row.event.replace('"arm":"silent"', '"arm":"live"')
        connection.execute(audit_event.update().where(audit_event.c.seq == row.seq).values(event=text))

    assert clinics.check() == (f"answer {row.seq}: expected arm silent, as assigned; found live",)


def test_who_is_erased_is_in_no_allocation_and_the_sequence_can_still_be_verified(store) -> None:
    assigned(store, "u0", "u1", "u2")

    erase_people(store, "north", ["u1"], Erasure(act="person", by="Ann", reason="asked", at=AS_OF + timedelta(days=1)))

    assert [row["number"] for row in store.rows(allocation) if row["unit"].startswith("erased-")] == [1]
    assert not any("u1" in (row["event"] or "") for row in store.rows(audit_event))
    found = verified(store, KEY, DRAWN, datetime.date)
    assert (found.units, found.erased, found.faults) == (3, 1, ())
    assigned(store, "u3")
    assert verified(store, KEY, DRAWN, datetime.date).faults == ()


def test_a_clinician_whom_the_ehr_names_by_an_address_is_the_same_one() -> None:
    trial = replace(DRAWN, design=Design.BY_CLINICIAN)
    names = ("Practitioner/7", "https://ehr.example/fhir/Practitioner/7", "Practitioner/8", None)

    units = [unit_of(trial, KEY, asker(b"s", "north", "smart-app", name, "p"), ()) for name in names]

    assert units[0] == units[1] != units[2]
    assert units[3] is None
