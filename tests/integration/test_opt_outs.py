"""The list of opt-outs on SQLite and PostgreSQL: by command and by call, and what it does to the next answer."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ehr import DATA_KEY, kept_in, mhcds, settings
from hypothesis import given
from hypothesis import strategies as st

from cds_service.control.acts import Actor
from cds_service.control.opt_outs import OptOutAct, change_opt_outs, opt_outs
from cds_service.control.refused import ActRefused
from cds_service.control.version import number
from cds_service.keys.data_key import DataKey
from cds_service.storage.opening import open_store, prepare
from cds_service.storage.tables import audit_event
from cds_service.storage.versions import upgrade

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ACTOR = Actor("A. Smith", "command")
WHY = ("--by", "A. Smith", "--reason", "form 12")
KEY = DataKey(DATA_KEY)


@pytest.fixture
def store(store_url: str):
    found = open_store(store_url)
    upgrade(found)
    yield found
    found.close()


@pytest.fixture
def folder(store, store_url: str, tmp_path: Path) -> Path:
    place = tmp_path / "settings"
    site = {"consent": "not-used"}
    return settings(place, service=kept_in(store_url, place), sites={"north": site, "south": site})


def change(store, act: str, site: str, *patients: str) -> tuple[bool, ...]:
    return change_opt_outs(store, OptOutAct(act), site, patients, actor=ACTOR, reason="form 12", now=NOW)


def listed(store, site: str = "north") -> set[str]:
    return {row.patient for row in opt_outs(store, site)}


def version(store) -> int:
    with store.transaction() as connection:
        return number(connection)


def opt_out(folder: Path, *words: str, ids: str = "") -> tuple[int, str]:
    done = mhcds("opt-out", words[0], "--config", str(folder), *words[1:], input=ids)
    return done.returncode, done.stdout + done.stderr


# ---- the list ----


def test_every_change_is_on_record_and_counts_up_and_what_changes_nothing_does_neither(store) -> None:
    assert change(store, "add", "north", "a", "b") == (True, True)
    first = version(store)
    assert change(store, "add", "north", "b", "c", "c") == (False, True, False)
    second = version(store)
    assert change(store, "remove", "north", "z") == (False,)
    assert version(store) == second != first
    assert change(store, "remove", "north", "b", "z") == (True, False)

    assert listed(store) == {"a", "c"}
    assert version(store) != second
    rows = store.rows(audit_event)
    assert [(row["kind"], row["site"], row["patient"], json.loads(row["event"])["act"]) for row in rows] == [
        ("opt-out", "north", "a", "add"),
        ("opt-out", "north", "b", "add"),
        ("opt-out", "north", "c", "add"),
        ("opt-out", "north", "b", "remove"),
    ]
    assert {json.loads(row["event"])["by"] for row in rows} == {"A. Smith"}


def test_an_act_without_a_person_or_a_reason_is_refused_and_changes_nothing(store) -> None:
    for actor, reason in ((Actor("", "command"), "why"), (ACTOR, " "), (ACTOR, "a\nb")):
        with pytest.raises(ActRefused):
            change_opt_outs(store, OptOutAct.ADD, "north", ["a"], actor=actor, reason=reason, now=NOW)

    assert listed(store) == set()
    assert store.rows(audit_event) == []


def test_two_who_act_at_once_leave_one_row_and_one_event(store) -> None:
    with ThreadPoolExecutor(max_workers=4) as pool:
        done = list(pool.map(lambda _: change(store, "add", "north", "a"), range(8)))

    assert sum(new for (new,) in done) == 1
    assert len(store.rows(audit_event)) == 1


STEP = st.tuples(st.sampled_from(("add", "remove")), st.sampled_from(("north", "south")),
                 st.lists(st.sampled_from("abcd"), min_size=1, max_size=3))  # fmt: skip


@given(history=st.lists(STEP, max_size=12))
def test_after_any_history_the_list_is_what_a_set_would_hold(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple]
) -> None:
    store = prepare(f"sqlite:///{tmp_path_factory.mktemp('history') / 'mhcds.db'}")
    model: dict[str, set[str]] = {"north": set(), "south": set()}
    events = 0
    for act, site, patients in history:
        expected = []
        for patient in patients:
            expected.append((patient not in model[site]) == (act == "add"))
            (model[site].add if act == "add" else model[site].discard)(patient)
        events += sum(expected)

        assert change(store, act, site, *patients) == tuple(expected)

    assert {site: listed(store, site) for site in model} == model
    assert len(store.rows(audit_event)) == events
    store.close()


# ---- the command ----


def test_the_command_keeps_the_list_of_one_site(folder: Path, store) -> None:
    added = opt_out(folder, "add", "--site", "north", *WHY, ids="p-1\r\np-2\np-1\n\n")
    removed = opt_out(folder, "remove", "--site", "north", *WHY, ids="p-3\np-2\n")
    shown = opt_out(folder, "list", "--site", "north")

    assert added == (0, "add: 2 at site north, from the next call on.\non the list before: line 3\n")
    assert (
        removed[1] == "remove: 1 at site north, from the next call on.\nnot on the list, so nothing changed: line 1\n"
    )
    assert listed(store) == {KEY.pseudonym("north", "p-1")}
    assert listed(store, "south") == set()
    assert KEY.pseudonym("north", "p-1") in shown[1]
    assert shown[1].endswith("1 opted out at site north.\n")


def test_it_prints_json(folder: Path) -> None:
    added = opt_out(folder, "add", "--site", "south", "--json", *WHY, ids="p-1\np-1")
    shown = opt_out(folder, "list", "--site", "south", "--json")

    assert json.loads(added[1]) == {"site": "south", "act": "add", "changed": 1, "unchanged": [2]}
    (row,) = json.loads(shown[1])["opt_outs"]
    assert row | {"at": ""} == {"patient": KEY.pseudonym("south", "p-1"), "at": "", "source": "command"}


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ("p-1\nPatient/p-2\n", "found something else in place 2. Nothing was changed"),
        ("p-1\n\np-2\n", "in place 2"),
        ("a b\n", "in place 1"),
        ("\n", "expected ids of patients on standard input, one a line; found none"),
    ],
)
def test_what_is_no_id_is_named_by_its_line_and_nothing_is_done(folder: Path, store, ids: str, words: str) -> None:
    code, said = opt_out(folder, "add", "--site", "north", *WHY, ids=ids)

    assert code == 1
    assert words in said
    assert "p-2" not in said
    assert listed(store) == set()


def test_an_unknown_site_and_an_act_without_a_reason_are_refused(folder: Path) -> None:
    assert "there is no site west" in opt_out(folder, "add", "--site", "west", *WHY, ids="p-1")[1]
    assert "--reason" in opt_out(folder, "add", "--site", "north", "--by", "A", ids="p-1")[1]
