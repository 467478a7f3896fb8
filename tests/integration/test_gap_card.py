"""The card of a gap comes once to a user in the site's hours (R16, decision 0025), on SQLite and PostgreSQL."""

from __future__ import annotations

import gzip
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from builders import AS_OF, PATIENT, bundle, gap_said, given, moment, observation, patient, resource
from ehr import EHR, app_of, issuer_table, kept_in, recorded, settings
from hook_calls import CHARTS, call_of, path_of, topics

from cds_service.hooks.catalogue import SERVICES, Service
from cds_service.storage import housekeeping
from cds_service.storage import store as stores
from cds_service.storage.backup import write_backup
from cds_service.storage.opening import open_store
from cds_service.storage.tables import shown_gap
from cds_service.storage.versions import upgrade

VIEW, START, DISCHARGE = SERVICES
FIRST_PAGE = {"resourceType": "Bundle", "type": "searchset", "link": [{"relation": "next", "url": "https://x.example"}]}
GAP = {"questionnaires": ...}


@dataclass
class Desk:
    """A client of an app on one store, with a clock that can be set. `later` moves it."""

    folder: Path
    url: str
    hours: float = 0
    ehr: EHR = field(default_factory=EHR)

    def __post_init__(self) -> None:
        self.app = app_of(self.folder, now=self.now)
        self.client = self.app.test_client()
        self.kept = open_store(self.url)

    def now(self):
        return AS_OF + timedelta(hours=self.hours)

    def __call__(
        self,
        *lines: str,
        service: Service = VIEW,
        ehr: EHR | None = None,
        user: str = "doc",
        who: str = PATIENT,
        **changes,
    ):
        ehr = ehr or self.ehr
        ehr = EHR(iss=ehr.iss, clock=self.now().timestamp())
        body = call_of(service, *lines, **{"prefetch": GAP} | changes)
        body["context"] |= {"userId": f"Practitioner/{user}", "patientId": who}
        body["prefetch"]["patient"] = patient() | {"id": who}
        return self.client.post(path_of(service), json=body, headers=ehr.headers(path_of(service)))

    def events(self) -> list[dict]:
        return [row["event"] for row in recorded(self.kept)]


@pytest.fixture
def desk_of(store, store_url: str, tmp_path: Path):
    """Makes desks that share a store: `desk_of(site settings)`."""

    def made(**site) -> Desk:
        folder = tmp_path / "settings"
        issuers = [issuer_table(), issuer_table(iss="https://other.example")]
        return Desk(settings(folder, service=kept_in(store_url, folder), site=site, issuers=issuers), store_url)

    return made


@pytest.fixture
def desk(desk_of) -> Desk:
    return desk_of()


def test_the_card_comes_once_in_the_hours_says_so_and_every_repeat_is_on_record(desk: Desk) -> None:
    first = desk()
    repeats = [desk() for _ in range(3)]
    desk.hours = 7.9
    repeats.append(desk())
    desk.hours = 8.1
    again = desk()

    assert (
        "Shown to you once in 8 hours: until then, the absence of a card does not mean that everything was read"
        in gap_said(first)
    )
    assert [topics(answer) for answer in repeats] == [[]] * 4
    assert "Not read: questionnaires" in gap_said(again)
    assert [(e["quieted"], e["topics"], e["unknown"]) for e in desk.events()] == [
        (False, ["could-not-assess"], ["questionnaires"]),
        *[(True, [], ["questionnaires"])] * 4,
        (False, ["could-not-assess"], ["questionnaires"]),
    ]
    assert "mhcds_gap_cards_not_repeated_total" in desk.client.get("/metrics").text


OTHERS = {
    "another user": {"user": "nurse"},
    "another patient": {"who": "p2"},
    "another client": {"ehr": EHR(iss="https://other.example")},
    "another FHIR server": {"fhirServer": "http://127.0.0.1:9/fhir"},
    "discharge": {"service": DISCHARGE},
    "another part": {"prefetch": {"conditions": ...}},
    "another part beside it": {"prefetch": GAP | {"conditions": ...}},
    "another cause": {"prefetch": {"questionnaires": FIRST_PAGE}},
}


@pytest.mark.parametrize("what", OTHERS)
def test_it_comes_to_everybody_for_every_patient_and_cause_and_again_at_discharge(desk: Desk, what: str) -> None:
    gap_said(desk())

    gap_said(desk(**OTHERS[what]))
    assert topics(desk(**OTHERS[what])) == topics(desk()) == []


def test_the_start_of_an_encounter_does_not_repeat_what_was_said_when_the_chart_was_opened(desk: Desk) -> None:
    gap_said(desk())

    assert topics(desk(service=START)) == []


def test_workers_share_what_was_shown(desk: Desk, desk_of) -> None:
    gap_said(desk())

    assert topics(desk_of()()) == []


def test_of_many_at_once_one_is_told_to_show_it(store_url: str) -> None:
    several = [open_store(store_url) for _ in range(4)]
    upgrade(several[0])
    for digest in "abcdef":
        with ThreadPoolExecutor(16) as pool:
            told = list(pool.map(lambda n, d=digest: several[n % 4].note_shown(d, 1000, 60), range(32)))
        assert told.count(True) == 1, digest
    for one in several:
        one.close()


UNKNOWN_FORM = observation("https://x.example", "sr1", moment("today"), {"valueString": "see note"})
UNKNOWN_FORM["code"]["text"] = "Suicide risk screen, result"
LOUD = {
    "a positive answer": (CHARTS["positive"], {}),
    "an acute answer": (CHARTS["acute"], {}),
    "a total to follow up": (CHARTS["follow-up"], {}),
    "a blank item 9": (CHARTS["blank item"], {}),
    "an unreadable safety answer": ([], {"screening": json.loads(bundle(*given("PHQ-9, today: item 9 = unreadable")))}),
    "an entry that may hide an answer": ([], {"conditions": json.loads(bundle(resource("Condition", onsetDateTime=5)))}),
    "an entry that hides none": ([], {"medications": json.loads(bundle(resource("MedicationRequest", status=5)))}),
    "an entry that no rule knows": ([], {"screening": json.loads(bundle(UNKNOWN_FORM))}),
    "a contradiction": (CHARTS["anomaly"], {}),
}  # fmt: skip


@pytest.mark.parametrize("what", LOUD)
def test_beside_anything_else_it_comes_at_every_call(desk: Desk, what: str) -> None:
    lines, prefetch = LOUD[what]

    found = [desk(*lines, prefetch=GAP | prefetch) for _ in range(3)]

    assert all("could-not-assess" in topics(answer) for answer in found)
    assert all("Shown to you once" not in answer.get_data(as_text=True) for answer in found)
    assert desk.kept.rows(shown_gap) == []


def test_consent_that_could_not_be_read_is_a_gap_like_others(desk_of) -> None:
    desk = desk_of(consent="required")

    assert "No estimate was made" in gap_said(desk(prefetch={"consents": ...}))
    assert topics(desk(prefetch={"consents": ...})) == []


def test_where_no_needed_part_was_had_every_call_is_412(desk: Desk) -> None:
    nothing = dict.fromkeys(("conditions", "screening", "questionnaires", "measurements"), ...)
    for _ in range(2):
        body = call_of(VIEW, prefetch=nothing)
        del body["prefetch"]["patient"]
        ehr = EHR(clock=desk.now().timestamp())
        answer = desk.client.post(path_of(VIEW), json=body, headers=ehr.headers(path_of(VIEW)))
        assert answer.status_code == 412
    assert desk.kept.rows(shown_gap) == []


def test_a_site_can_have_it_at_every_call(desk_of) -> None:
    desk = desk_of(gap_card_every_h=0)

    for _ in range(3):
        assert "Shown to you once" not in gap_said(desk())
    assert desk.kept.rows(shown_gap) == []


def test_fewer_hours_count_for_what_was_shown_before(desk_of) -> None:
    gap_said(desk_of(gap_card_every_h=24)())
    desk = desk_of(gap_card_every_h=1)
    desk.hours = 1.5

    gap_said(desk())


def test_a_clock_that_was_set_back_silences_nothing(desk: Desk) -> None:
    desk.hours = 48
    gap_said(desk())
    desk.hours = 0

    gap_said(desk())
    assert topics(desk()) == []


def test_while_the_store_is_away_it_comes_at_every_call(desk: Desk, store_url: str, postgres, monkeypatch) -> None:
    gap_said(desk())
    assert topics(desk()) == []
    lock = None
    if store_url.startswith("sqlite"):
        lock = sqlite3.connect(sa.make_url(store_url).database or "", isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
    else:
        postgres.forbid(store_url)
    monkeypatch.setattr(stores, "REST_S", 3600)

    said = [gap_said(desk()) for _ in range(3)]

    if lock:
        lock.rollback()
    else:
        postgres.allow(store_url)
    assert len(said) == 3


def test_the_row_names_nobody_goes_within_a_day_and_is_in_no_backup(desk: Desk, tmp_path: Path) -> None:
    gap_said(desk())

    (row,) = desk.kept.rows(shown_gap)
    assert set(row) == {"digest", "at"}
    assert len(row["digest"]) == 32
    named = {event[name] for event in desk.events() for name in ("patient", "user")}
    assert row["digest"] not in named, "the row cannot be put beside the patient's other rows"
    write_backup(desk.kept, tmp_path / "backup.gz")
    assert row["digest"] not in gzip.decompress((tmp_path / "backup.gz").read_bytes()).decode()
    housekeeping.tidy(desk.kept, row["at"] + 24 * 3600 - 1)
    assert desk.kept.rows(shown_gap) == [row]
    housekeeping.tidy(desk.kept, row["at"] + 24 * 3600)
    assert desk.kept.rows(shown_gap) == []
