"""A form that was confirmed goes into a real chart once: whatever is pressed twice, lost, refused or cut off."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from builders import AS_OF, patient, record_of
from real_server import TOKEN, answering, dropping, losing_the_answer, passing_over_conditions

from cds_service.storage.app_store import AppRows
from cds_service.storage.opening import open_store
from cds_service.storage.versions import upgrade
from fhir_adapters.writing.completed import FORM, SUBMISSION_SYSTEM, TOTAL, FormContext, Slot, slots_of
from fhir_adapters.writing.confirmed import FhirWriter
from fhir_adapters.writing.questionnaires import EntryState, FormAnswer, FormAnswers, form
from smart_launch.errors import Forbidden, NotWritten
from smart_launch.forms.outcome import Fault, stored_outcome
from smart_launch.forms.submission import submission_key
from smart_launch.forms.writing import LONGEST_TURN_S, UNDO_S, WriteContext, undo, write

LAUNCH = "launch-1"
ITEMS = [f"item-{n}" for n in range(1, 11)]
EVERYTHING = (FORM, TOTAL, *ITEMS)
numbers = count(1)


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = int(AS_OF.timestamp())

    def __call__(self) -> int:
        return self.seconds


@pytest.fixture
def store(store_url: str):
    found = open_store(store_url)
    upgrade(found)
    yield AppRows(found)
    found.close()


@pytest.fixture
def who(server) -> str:
    return server.load(patient())


@pytest.fixture
def key() -> str:
    return submission_key(LAUNCH, f"s{next(numbers)}")


def write_context(server, store, who: str, **changes) -> WriteContext:
    usual = WriteContext(
        launch_id=LAUNCH,
        writer=FhirWriter(base=server.base, token=TOKEN, patient=who, deadline=time.monotonic() + 20),
        store=store,
        can_write=lambda kind, right: True,
        same_patient=True,
        now=Clock(),
        pause=lambda seconds: time.sleep(seconds / 5),
    )
    return replace(usual, **changes)


def slots(who: str, key: str, *, nine: int = 1) -> tuple[Slot, ...]:
    scores = [1] * 8 + [nine, 2]
    given = tuple(
        FormAnswer(question=q, state=EntryState.ANSWERED, option=q.options[s])
        for q, s in zip(form("phq-9").questions, scores, strict=True)
    )
    occasion = FormContext(patient=f"Patient/{who}", at=AS_OF - timedelta(minutes=1), submission=key)
    return slots_of(FormAnswers(form=form("phq-9"), given=given), occasion)


def stored(server, who: str) -> list[dict]:
    return [
        resource
        for kind in ("QuestionnaireResponse", "Observation")
        for resource in server.all_of(kind)
        if resource["subject"]["reference"].endswith(f"Patient/{who}")
    ]


def is_whole(server, who: str, key: str) -> bool:
    """Each slot once in the chart, the Observations derived from the response."""
    found = stored(server, who)
    kept = [
        r["identifier"]["value"] if isinstance(r["identifier"], dict) else r["identifier"][0]["value"] for r in found
    ]
    response = next(r for r in found if r["resourceType"] == "QuestionnaireResponse")
    for one in found:
        if one["resourceType"] == "Observation":
            (source,) = one["derivedFrom"]
            assert source["reference"].endswith(f"QuestionnaireResponse/{response['id']}")
    return sorted(kept) == sorted(f"{key}.{slot}" for slot in EVERYTHING)


def test_a_form_is_written_in_order_and_read_back_as_one(server, store, who: str, key: str) -> None:
    done = write("phq-9", slots(who, key), key, write_context(server, store, who))

    assert (done.fault, done.whole, done.missing) == (None, True, ())
    assert tuple(done.planned) == EVERYTHING
    assert is_whole(server, who, key)
    posted = [path for method, path in server.writes() if method == "POST"]
    assert posted[0] == "QuestionnaireResponse" and set(posted[2:]) == {"Observation"}
    assert store.written(key)[TOTAL] == done.written[TOTAL]
    record = record_of(*stored(server, who), who=patient() | {"id": who})
    (read,) = record.administrations
    assert (read.total, read.score("9"), read.contradictory) == (9, 1, False)


def test_a_second_press_writes_nothing_new_and_shows_the_same(server, store, who: str, key: str) -> None:
    first = write("phq-9", slots(who, key), key, write_context(server, store, who))
    sent = len(server.writes())

    again = write("phq-9", slots(who, key), key, write_context(server, store, who))

    assert again == first
    assert len(server.writes()) == sent


def test_two_presses_at_once_write_once_and_both_show_it(server, store, who: str, key: str) -> None:
    made = slots(who, key)
    gate = threading.Barrier(4)

    def press(_number: int):
        gate.wait()
        return write("phq-9", made, key, write_context(server, store, who))

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(press, range(4)))

    assert all(r == results[0] and r.whole and r.fault is None for r in results)
    assert is_whole(server, who, key)
    assert len([w for w in server.writes() if w[1] == "Observation"]) == 11


@pytest.mark.parametrize("refused", ["QuestionnaireResponse", "Observation"])
def test_a_refusal_says_what_is_in_the_chart_and_the_next_press_writes_the_rest(
    server, store, who: str, key: str, refused: str
) -> None:
    def after_two(handler) -> bool:
        after_two.seen += 1
        return after_two.seen > 2 and answering(403)(handler)

    after_two.seen = 0
    response = refused == "QuestionnaireResponse"
    server.fail(refused, answering(403) if response else after_two, method="POST")

    first = write("phq-9", slots(who, key), key, write_context(server, store, who))

    assert first.fault is Fault.REFUSED
    assert set(first.written) == (set() if response else {FORM, TOTAL, "item-1"})
    assert first.missing == (EVERYTHING if response else tuple(ITEMS[1:]))
    assert len(stored(server, who)) == len(first.written)

    server.reset()
    second = write("phq-9", slots(who, key), key, write_context(server, store, who))

    assert second.fault is None and second.whole
    assert {slot: second.written[slot] for slot in first.written} == dict(first.written)
    assert is_whole(server, who, key)


@pytest.mark.parametrize("slot", [FORM, TOTAL])
def test_a_lost_answer_that_can_be_looked_up_is_no_fault(server, store, who: str, key: str, slot: str) -> None:
    kind = "QuestionnaireResponse" if slot == FORM else "Observation"
    if slot == FORM:  # the first is refused for its condition, which this server does not know for this type
        server.fail(kind, answering(400), method="POST", times=1)
    server.fail(kind, losing_the_answer, method="POST", times=1)

    done = write("phq-9", slots(who, key), key, write_context(server, store, who))

    assert done.fault is None and done.whole
    assert is_whole(server, who, key)


def test_what_is_in_doubt_is_said_and_looked_for_before_the_next_press_writes(
    server, store, who: str, key: str
) -> None:
    server.fail("Observation", losing_the_answer, method="POST")
    server.fail("Observation", answering(500))  # and no search either

    first = write("phq-9", slots(who, key), key, write_context(server, store, who))

    assert (first.fault, first.unsure, set(first.written)) == (Fault.UNKNOWN, TOTAL, {FORM})
    server.reset()
    server.fail("", passing_over_conditions, method="POST")  # only the search is of help then
    second = write("phq-9", slots(who, key), key, write_context(server, store, who))

    assert second.whole and is_whole(server, who, key)
    assert server.asked("Observation?identifier=")
    assert len([w for w in server.writes() if w[1] == "Observation"]) == 10


@pytest.mark.parametrize("heeds_conditions", [True, False])
def test_a_turn_that_was_cut_off_is_taken_up_after_its_time_with_a_look_first(
    server, store, who: str, key: str, heeds_conditions: bool
) -> None:
    if not heeds_conditions:
        server.fail("", passing_over_conditions, method="POST")
    clock = Clock()
    made = slots(who, key)

    class CutOff(Exception):
        pass

    class Breaking:
        """The process dies after the response got to the chart, before anything of it was noted."""

        def __init__(self, inner) -> None:
            self.inner = inner

        def create(self, resource: dict):
            self.inner.create(resource)
            raise CutOff

    context = write_context(server, store, who, now=clock)
    with pytest.raises(CutOff):
        write("phq-9", made, key, replace(context, writer=Breaking(context.writer)))

    busy = write("phq-9", made, key, replace(context, pause=lambda seconds: None))
    assert (busy.fault, dict(busy.written)) == (Fault.BUSY, {})

    clock.seconds += LONGEST_TURN_S + 1
    done = write("phq-9", made, key, context)

    assert done.fault is None and done.whole
    assert is_whole(server, who, key)


def test_a_chart_that_cannot_be_reached_gets_nothing_and_says_so(server, store, who: str, key: str) -> None:
    away = FhirWriter(base="http://127.0.0.1:9/fhir", token=TOKEN, patient=who, deadline=time.monotonic() + 5)

    done = write("phq-9", slots(who, key), key, write_context(server, store, who, writer=away))

    assert (done.fault, dict(done.written), done.unsure) == (Fault.FAILED, {}, None)


def test_a_dropped_connection_stays_in_doubt_until_looked_for(server, store, who: str, key: str) -> None:
    server.fail("QuestionnaireResponse", dropping, method="POST", times=1)

    first = write("phq-9", slots(who, key), key, write_context(server, store, who))
    assert (first.fault, first.unsure) == (Fault.UNKNOWN, FORM)

    assert write("phq-9", slots(who, key), key, write_context(server, store, who)).whole
    assert is_whole(server, who, key)


# ---- what may be written ----


def test_without_the_right_to_write_the_form_nothing_is_sent(server, store, who: str, key: str) -> None:
    done = write(
        "phq-9",
        slots(who, key),
        key,
        write_context(server, store, who, can_write=lambda kind, right: kind == "Observation"),
    )

    assert (done.fault, dict(done.written)) == (Fault.NOT_GRANTED, {})
    assert server.writes() == []


def test_without_the_right_to_write_observations_the_form_is_written_and_the_rest_named(
    server, store, who: str, key: str
) -> None:
    done = write(
        "phq-9",
        slots(who, key),
        key,
        write_context(server, store, who, can_write=lambda kind, right: kind == "QuestionnaireResponse"),
    )

    assert (done.fault, set(done.written)) == (Fault.NOT_GRANTED, {FORM})
    assert done.missing == EVERYTHING[1:]
    (response,) = stored(server, who)
    assert len(response["item"]) == 10


def test_smart_072_another_patient_than_the_page_showed_stops_everything(server, store, who: str, key: str) -> None:
    done = write("phq-9", slots(who, key), key, write_context(server, store, who, same_patient=False))

    assert (done.fault, dict(done.written)) == (Fault.OTHER_PATIENT, {})
    assert server.writes() == []


def test_an_invalid_resource_stops_everything(server, store, who: str, key: str) -> None:
    made = list(slots(who, key))
    made[-1] = replace(made[-1], resource=made[-1].resource | {"effectiveDateTime": "yesterday"})

    with pytest.raises(NotWritten):
        write("phq-9", made, key, write_context(server, store, who))

    assert server.writes() == [] and stored_outcome(key, store) is None


def test_other_answers_under_the_same_submission_are_refused(server, store, who: str, key: str) -> None:
    server.fail("Observation", answering(403), method="POST")
    write("phq-9", slots(who, key, nine=3), key, write_context(server, store, who))
    server.reset()

    with pytest.raises(Forbidden):
        write("phq-9", slots(who, key, nine=0), key, write_context(server, store, who))

    assert server.writes() == []


def test_smart_094_a_submission_of_another_launch_is_another_one() -> None:
    assert submission_key("launch-1", "s") != submission_key("launch-2", "s")
    assert submission_key("launch-1", "s") == submission_key("launch-1", "s")


def test_of_a_submission_that_was_never_sent_nothing_is_told(store) -> None:
    assert stored_outcome(submission_key(LAUNCH, "never"), store) is None


# ---- undo ----


def test_what_was_written_is_undone_and_stays_undone(server, store, who: str, key: str) -> None:
    context = write_context(server, store, who)
    write("phq-9", slots(who, key), key, context)

    undone = undo(key, context)

    assert (undone.fault, undone.in_chart, undone.undone) == (None, (), frozenset(EVERYTHING))
    assert {r["status"] for r in stored(server, who)} == {"entered-in-error"}
    assert record_of(*stored(server, who), who=patient() | {"id": who}).administrations == ()
    sent = len(server.writes())
    assert write("phq-9", slots(who, key), key, context).fault is Fault.TOO_LATE
    assert undo(key, context).in_chart == ()
    assert len(server.writes()) == sent


def test_after_ten_minutes_or_for_another_patient_nothing_is_undone(server, store, who: str, key: str) -> None:
    clock = Clock()
    context = write_context(server, store, who, now=clock)
    write("phq-9", slots(who, key), key, context)

    assert undo(key, replace(context, same_patient=False)).fault is Fault.OTHER_PATIENT
    clock.seconds += UNDO_S + 1
    late = undo(key, context)

    assert (late.fault, late.in_chart) == (Fault.TOO_LATE, EVERYTHING)
    assert {r["status"] for r in stored(server, who)} == {"completed", "final"}


def test_an_undo_that_is_refused_half_way_says_what_is_left(server, store, who: str, key: str) -> None:
    context = write_context(server, store, who)
    done = write("phq-9", slots(who, key), key, context)
    server.fail(done.written["item-9"], answering(403), method="PUT")

    half = undo(key, context)

    assert (half.fault, half.undone) == (Fault.REFUSED, frozenset({"item-10"}))
    server.reset()
    assert undo(key, context).in_chart == ()


def test_without_the_right_to_change_only_what_may_be_is_undone(server, store, who: str, key: str) -> None:
    context = write_context(server, store, who)
    write("phq-9", slots(who, key), key, context)

    half = undo(key, replace(context, can_write=lambda kind, right: kind == "QuestionnaireResponse"))

    assert (half.fault, half.undone) == (Fault.NOT_GRANTED, frozenset({FORM}))


def test_an_unknown_submission_cannot_be_undone(server, store, who: str) -> None:
    assert undo(submission_key(LAUNCH, "never"), write_context(server, store, who)) is None
    assert SUBMISSION_SYSTEM == "urn:mental-health-cds:submission"
