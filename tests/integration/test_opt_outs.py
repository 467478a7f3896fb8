"""The list of opt-outs on SQLite and PostgreSQL: by command and by call, and what it does to the next answer."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from builders import AS_OF, PATIENT, bundle, prefetch_of
from builders import given as lines
from builders import patient as a_patient
from ehr import ADDRESS, DATA_KEY, EHR, app_of, hook_request, kept_in, mhcds, recorded, served, settings
from hypothesis import given
from hypothesis import strategies as st
from smart_run import Visitor, running

from cds_service.control.acts import Actor
from cds_service.control.opt_outs import OptOutAct, change_opt_outs, opt_outs
from cds_service.control.refused import ActRefused
from cds_service.control.version import number
from cds_service.keys.data_key import DataKey
from cds_service.serving.engine import load_engine
from cds_service.storage.opening import prepare
from cds_service.storage.tables import audit_event

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ACTOR = Actor("A. Smith", "command")
WHY = ("--by", "A. Smith", "--reason", "form 12")
KEY = DataKey(DATA_KEY)


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

    assert added == (0, "Put on the list of site north, from the next call on: 2\nOn the list before: line 3\n")
    assert (
        removed[1]
        == "Taken off the list of site north, from the next call on: 1\nNot on the list, so nothing changed: line 1\n"
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


# ---- the next answer ----

ME = EHR(clock=AS_OF.timestamp())
PROMPTING = ("Condition F41.9, 60 days ago", "Condition G47.00, 90 days ago")
INTENT = "C-SSRS, today: question 4 = yes"
PSEUDONYM = KEY.pseudonym("north", PATIENT)


@pytest.fixture(scope="module")
def engine():
    return load_engine(None)


@pytest.fixture
def workers(store, store_url: str, tmp_path: Path, engine):
    """Two apps on one store, as two workers are."""

    def made(**site):
        place = tmp_path / "workers"
        site = {"thresholds": {"depression": 0.001}} | site
        folder = settings(place, service=kept_in(store_url, place), site=site)
        return [app_of(folder, engine=engine, now=lambda: AS_OF) for _ in range(2)]

    return made


def cards(app, *more: str, **changes) -> list[dict]:
    chart = prefetch_of([a_patient(), *(entry for line in (*PROMPTING, *more) for entry in lines(line))])
    sent = hook_request(prefetch=chart, **changes)
    return app.test_client().post(ADDRESS, json=sent, headers=ME.headers()).get_json()["cards"]


def topics(app, *more: str, **changes) -> list[str]:
    return [card["source"]["topic"]["code"] for card in cards(app, *more, **changes)]


def test_the_next_call_of_every_worker_heeds_the_list_and_nothing_is_scored(workers, store) -> None:
    apps = workers()
    before = [topics(app) for app in apps]
    change(store, "add", "north", PSEUDONYM)
    opted_out = [topics(app) for app in apps]
    safety = [topics(app, INTENT) for app in apps]
    change(store, "remove", "north", PSEUDONYM)
    after = [topics(app) for app in apps]

    assert before == after == [["screening-prompt"]] * 2
    assert opted_out == [[], []]
    assert safety == [["acute-safety"]] * 2
    scored = [(row["event"]["consent"], bool(row["event"]["scores"])) for row in recorded(store)]
    assert scored == [("allowed", True)] * 2 + [("opted-out", False)] * 4 + [("allowed", True)] * 2


def test_another_patient_and_another_site_are_not_touched(workers, store) -> None:
    app, _ = workers()
    change(store, "add", "north", KEY.pseudonym("north", "somebody-else"))
    change(store, "add", "south", PSEUDONYM)

    assert topics(app) == ["screening-prompt"]


def test_while_the_store_is_down_no_model_speaks_and_the_rules_do(workers, store) -> None:
    reader, other = workers()
    change(store, "add", "north", PSEUDONYM)
    assert topics(reader) == []
    with store.transaction() as connection:
        connection.exec_driver_sql("ALTER TABLE control_version RENAME TO gone")

    assert topics(reader) == []
    assert topics(other) == []
    assert topics(other, INTENT) == ["acute-safety"]


POLICY = {"opt_out": {"rules": "off", "policy": "Policy 12.4, section 3"}}


def test_where_the_policy_switches_rules_off_too_one_card_says_so_without_content(workers, store) -> None:
    app, _ = workers(**POLICY)
    assert topics(app, INTENT) == ["acute-safety", "screening-prompt"]
    change(store, "add", "north", PSEUDONYM)

    (card,) = cards(app, INTENT)

    assert card["source"]["topic"]["code"] == "could-not-assess"
    assert card["indicator"] == "info"
    assert card["summary"] == "The patient has opted out: the chart was not read. Look in the chart; ask directly."
    assert "This says nothing about the patient’s safety" in card["detail"]
    assert not any(word in json.dumps(card) for word in ("C-SSRS", "intent", "question 4"))
    event = recorded(store)[-1]["event"]
    assert (event["consent"], event["switched_off"], event["rules"], event["scores"]) == (
        "opted-out",
        "opted-out",
        [],
        [],
    )
    assert event["topics"] == ["could-not-assess"]


@pytest.mark.parametrize("site", [{}, POLICY], ids=["rules kept", "rules off"])
@pytest.mark.parametrize("user", ["Patient/p", "RelatedPerson/r"])
def test_a_patients_or_relatives_own_screen_has_no_card_as_before(workers, store, site: dict, user: str) -> None:
    app, _ = workers(**site)
    who = {"userId": user, "patientId": PATIENT}
    before = topics(app, INTENT, context=who)
    change(store, "add", "north", PSEUDONYM)

    assert before == topics(app, INTENT, context=who) == []


def test_a_page_of_the_app_reads_nothing_from_the_next_view_on() -> None:
    with running() as run:
        browser = Visitor(run)
        page = browser.open()
        before = browser.get(page).text
        runtime = run.service.extensions["mhcds"]
        site = runtime.config().sites[0].id
        change(runtime.store, "add", site, runtime.key.pseudonym(site, "tomas-wojcik"))

        after = browser.get(page).text

    assert "The patient has opted out of this service." not in before
    assert "The patient has opted out of this service." in after
    assert "The chart was not read." in after
    assert "PHQ-9" in before
    assert "PHQ-9" not in after


def test_a_command_acts_on_the_next_call_of_a_running_service(tmp_path: Path) -> None:
    place = settings(tmp_path, site=POLICY, service={"public_url": ...})
    with served(place, "--workers", "2") as service:
        more = {"screening": json.loads(bundle(*lines(INTENT)))}

        def answered() -> set[str]:
            got = [service.call(hook_request(more=more)).json()["cards"] for _ in range(6)]
            return {card["source"]["topic"]["code"] for cards in got for card in cards}

        before = answered()
        code, said = opt_out(tmp_path, "add", "--site", "north", *WHY, ids=f"{PATIENT}\n")
        during = answered()
        opt_out(tmp_path, "remove", "--site", "north", *WHY, ids=f"{PATIENT}\n")

        assert (code, during) == (0, {"could-not-assess"}), said
        assert before != during
        assert answered() == before
        # The signatures of heads are random letters.
        assert not [
            line for line in service.log.read_text().splitlines() if PATIENT in line and "audit-head" not in line
        ]
