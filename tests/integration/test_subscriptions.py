"""A real FHIR server says that something came: the chart is read anew by a token of our own, and acute answers escalate."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
import requests
from builders import resource
from click.testing import CliRunner
from ehr import app_of, free_port, private, served, settings
from pyfhircheck import Validator
from real_server import answering
from subscribed import (
    ACUTE,
    QUIET,
    SECRET,
    Front,
    Subscribed,
    answered,
    fronted,
    new_patient,
    service_table,
    site_table,
    subscribed,
)
from webhook_receiver import Receiver, receiving

from cds_service.__main__ import main
from cds_service.errors import Overloaded, StoreUnavailable
from cds_service.escalation.records import patient_of
from cds_service.keys.data_key import new_key
from cds_service.settings.config import load_config
from cds_service.storage import tables
from cds_service.storage.opening import open_store
from cds_service.subscriptions import routes
from fhir_adapters.resources.validation import faults

MOST_S = 60
NUMBERS = count(1)
SECOND = Validator()
# What pyfhircheck 0.2.0 does not know: extensions of a primitive element, and the profile of the backport.
NO_FAULT = ("Subscription.channel._payload", "Subscription.meta.profile")


@pytest.fixture
def pager():
    with receiving() as found:
        yield found


@pytest.fixture
def service(server, pager, tmp_path):
    with subscribed(server, pager, tmp_path) as found:
        yield found


def wait_for(found, what: str) -> object:
    until = time.monotonic() + MOST_S
    while time.monotonic() < until:
        if got := found():
            return got
        time.sleep(0.05)
    raise AssertionError(f"not seen within {MOST_S} s: {what}")


# ---- in this process ----


def test_an_acute_answer_that_nobody_looks_at_is_told_by_the_server_and_escalated_once(service) -> None:
    somebody = new_patient(service.real, *answered(ACUTE))
    for _ in range(3):
        assert service.send(observation_of(somebody)).status_code == 200
        service.read()

    (row,) = service.escalations()
    assert (row.patient, row.contact, row.is_open) == (service.pseudonym(somebody), "crisis desk", True)
    assert service.runtime.store.rows(tables.arrival) == []
    assert [(r["what"], r["escalation"]) for r in service.readings()] == [("read", "waiting")] * 3
    assert service.charts_read() == {somebody}
    assert service.incidents() == []


def test_a_result_that_came_is_on_record_for_the_models_and_not_in_the_log(service, caplog) -> None:
    somebody = new_patient(service.real, *answered("PHQ-9, today: items 1-8 = 1, item 9 = 0"))
    with caplog.at_level("INFO"):
        service.send(observation_of(somebody))
        service.read()

    (reading,) = service.readings()
    found = [(r["outcome"], r["positive"]) for r in reading["measured"]]
    assert found == [("depression", False), ("suicidal-ideation", False)]
    assert "measured" not in caplog.text


def observation_of(somebody: str) -> dict:
    return {"resourceType": "Observation", "id": "x", "subject": {"reference": f"Patient/{somebody}"}}


def test_what_the_payload_claims_is_never_believed(service) -> None:
    """A form with an acute answer arrives for somebody whose chart holds none."""
    quiet = new_patient(service.real, *answered(QUIET))
    (claimed,) = answered(ACUTE)
    place = f"/QuestionnaireResponse/{claimed['id']}"
    service.send(claimed | {"subject": {"reference": f"Patient/{quiet}"}}, method="PUT", path=place)
    service.read()

    assert service.charts_read() == {quiet}
    assert service.escalations() == []


@pytest.mark.parametrize("shape", ["form", "observations"])
def test_a_resource_whose_patient_is_not_named_is_read_to_learn_it(service, shape: str) -> None:
    (answer,) = answered(ACUTE, shape)
    somebody = new_patient(service.real, answer)
    assert service.send(path=f"/{answer['resourceType']}/{answer['id']}", method="PUT").status_code == 200
    service.read()

    assert [row.patient for row in service.escalations()] == [service.pseudonym(somebody)]


def test_an_empty_notification_finds_whoever_has_new_answers_and_reads_no_other_chart(service) -> None:
    service.send()
    service.read()  # whatever other tests have left
    service.real.reset()
    with service.runtime.store.transaction() as connection:
        connection.execute(tables.subscription.update().values(heard=int(time.time()) + 400))
    by_item = new_patient(service.real, *answered(ACUTE, "observations"))
    service.send()
    service.read()

    assert by_item in service.charts_read()
    assert service.pseudonym(by_item) in [row.patient for row in service.escalations()]
    assert any("_lastUpdated=ge" in path for path in service.real.asked("QuestionnaireResponse"))
    assert [r["what"] for r in service.readings() if r["what"] != "read"] == ["searched", "searched"]


def test_a_form_that_came_is_found_by_a_search_too(service) -> None:
    service.send()
    somebody = new_patient(service.real, *answered(ACUTE))
    service.read()
    assert service.pseudonym(somebody) in [row.patient for row in service.escalations()]


# ---- bad input ----


FORGED = {
    "no secret": {"secret": None},
    "another secret": {"secret": "f" * 64},
    "a part of it": {"secret": SECRET[:-1]},
    "more than it": {"secret": f"{SECRET}x"},
    "not in ASCII": {"secret": "é" * 64},
    "by another scheme": {"Authorization": f"Basic {SECRET}"},
}


@pytest.mark.parametrize("how", FORGED)
def test_a_forged_notification_is_answered_401_and_changes_nothing(service, how: str) -> None:
    answer = service.send(observation_of("p1"), **FORGED[how])
    assert (answer.status_code, answer.json["resourceType"]) == (401, "OperationOutcome")
    assert SECRET not in answer.text
    assert service.runtime.store.rows(tables.arrival) == service.runtime.store.rows(tables.subscription) == []


def test_a_site_that_takes_none_and_one_that_is_not_are_not_told_apart(server, pager, tmp_path) -> None:
    with subscribed(server, pager, tmp_path, subscription=...) as service:
        answers = [service.send(site=name) for name in ("north", "south")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json == answers[1].json


def test_the_secret_of_one_site_opens_no_other(server, pager, tmp_path) -> None:
    with fronted(server) as front:
        north = site_table(tmp_path, front, pager, escalation=..., issuer=[])
        private(tmp_path / "other", "f" * 64)
        south = north | {"subscription": {"secret": {"file": "../other"}}}
        made = settings(tmp_path, service=service_table(tmp_path), sites={"north": north, "south": south})
        app = app_of(made)
        service = Subscribed(app=app, front=front, real=server)
        answers = [service.send(observation_of("p1"), site=site).status_code for site in ("south", "north")]
        rows = service.runtime.store.rows(tables.arrival)
    assert answers == [401, 200]
    assert [row["site"] for row in rows] == ["north"]


UNUSABLE = {
    "not JSON": (b"hello", {}, 400),
    "not UTF-8": (b'{"resourceType": "Observation", "id": "\xff"}', {}, 400),
    "not FHIR": ({"hook": "patient-view"}, {}, 400),
    "a search result": ({"resourceType": "Bundle", "type": "searchset", "entry": []}, {}, 400),
    "XML": (b"<Observation/>", {"Content-Type": "application/fhir+xml"}, 415),
    "larger than the limit": (b" " * 300_000, {}, 413),
    "gzip that is none": (b"{}", {"Content-Encoding": "gzip"}, 400),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_what_is_no_notification_is_refused_and_nothing_is_written(server, pager, tmp_path, what: str) -> None:
    body, headers, status = UNUSABLE[what]
    with subscribed(server, pager, tmp_path, service={"body_bytes": 200_000}) as service:
        answer = service.send(body, **headers)
        assert (answer.status_code, answer.json["resourceType"]) == (status, "OperationOutcome")
        assert "hello" not in answer.text
        assert service.runtime.store.rows(tables.arrival) == []


def test_an_address_below_the_site_that_names_no_resource_is_refused(service) -> None:
    assert service.send(path="/nowhere").status_code == 400
    assert service.send(path="/Observation/a,b").status_code == 400


@pytest.mark.parametrize("error", [StoreUnavailable("the store failed"), Overloaded("too many")])
def test_what_had_to_be_refused_is_searched_for_since_it_may_never_come_again(service, monkeypatch, error) -> None:
    def fails(*_args: object, **_named: object) -> None:
        raise error

    (answer,) = answered(ACUTE)
    somebody = new_patient(service.real, answer)
    with monkeypatch.context() as patched:
        patched.setattr(routes, "note", fails)
        refused = service.send(observation_of(somebody))
    assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
    assert service.runtime.store.rows(tables.arrival) == []
    service.read()
    assert service.pseudonym(somebody) in [row.patient for row in service.escalations()]


def test_a_burst_of_notifications_is_noted_in_full(server, pager, tmp_path) -> None:
    """Two workers and thirty connections, as a FHIR server that sends what has piled up."""
    with fronted(server) as front:
        table = site_table(
            tmp_path,
            front,
            pager,
            escalation=...,
            backend={"base": front.base, "client_id": "stranger", "scopes": ["system/*.rs"]},
        )
        made = settings(tmp_path, service=service_table(tmp_path), site=table)
        with served(made, "--workers", "2") as running, ThreadPoolExecutor(30) as pool:
            address, secret = f"{running.base}/subscriptions/north", {"Authorization": f"Bearer {SECRET}"}

            def send(number: int) -> int:
                return requests.post(address, json=observation_of(f"p{number}"), headers=secret, timeout=60).status_code

            answers = list(pool.map(send, range(300)))
        store = open_store(load_config(made).store)
        rows = store.rows(tables.arrival)
        store.close()
    assert answers.count(200) + answers.count(503) == 300
    assert answers.count(200) >= 297
    assert len(rows) >= answers.count(200)


def test_in_production_a_secret_over_plain_http_is_refused(server, pager, tmp_path) -> None:
    front = "https://ehr.example/fhir"
    changes = {"fhir_bases": [front], "backend": {"base": front, "client_id": "ours", "scopes": ["system/*.rs"]}}
    production = {"mode": "production", "public_url": "https://cds.example", "trusted_proxies": ["127.0.0.1"]}
    with subscribed(server, pager, tmp_path, service=production, escalation=..., **changes) as service:
        assert service.send(observation_of("p1")).status_code == 403
        assert service.runtime.store.rows(tables.arrival) == []


# ---- patients ----


def test_of_a_patient_who_has_died_nobody_is_told(service) -> None:
    somebody = new_patient(service.real, *answered(ACUTE), deceasedBoolean=True)
    service.send(observation_of(somebody))
    service.read()
    assert service.escalations() == []
    assert [(r["what"], r["deceased"]) for r in service.readings()] == [("read", True)]


def test_of_a_patient_who_has_opted_out_nothing_is_read(service) -> None:
    from cds_service.control.acts import Actor
    from cds_service.control.opt_outs import OptOutAct, change_opt_outs

    somebody = new_patient(service.real, *answered(ACUTE))
    runtime = service.runtime
    change_opt_outs(
        runtime.store,
        OptOutAct.ADD,
        "north",
        (service.pseudonym(somebody),),
        actor=Actor("Ann", "command"),
        reason="wish",
        now=runtime.now(),
    )
    service.send(observation_of(somebody))
    service.read()
    assert service.charts_read() == set()
    assert service.escalations() == []
    assert [r["what"] for r in service.readings()] == ["opted out"]


def test_a_patient_or_a_resource_that_was_deleted_is_done_with(service) -> None:
    service.real.fail("Observation/gone", answering(410))
    service.send(path="/Observation/gone")
    service.send(observation_of("never-was"))
    service.read()
    assert service.runtime.store.rows(tables.arrival) == []
    assert [r["what"] for r in service.readings()] == ["gone", "gone"]
    assert service.escalations() == []


# ---- a server that fails ----


def test_a_chart_that_cannot_be_judged_keeps_no_other_waiting(service, monkeypatch) -> None:
    from cds_service.subscriptions import reading

    broken, somebody = new_patient(service.real, *answered(ACUTE)), new_patient(service.real, *answered(ACUTE))
    real = reading.judge

    def judge(request, *given, **named):
        if request.patient_id == broken:
            raise RecursionError
        return real(request, *given, **named)

    monkeypatch.setattr(reading, "judge", judge)
    for each in (broken, somebody):
        service.send(observation_of(each))
    service.read()
    assert [row.patient for row in service.escalations()] == [service.pseudonym(somebody)]
    assert [row["failure"] for row in service.runtime.store.rows(tables.arrival)] == ["RecursionError"]


def test_a_row_that_another_data_key_sealed_is_said(service) -> None:
    service.send(observation_of("p1"))
    with service.runtime.store.transaction() as connection:
        connection.execute(tables.arrival.update().values(sealed=new_key().seal("{}")))
    service.read()
    assert service.runtime.store.rows(tables.arrival) == []
    assert [each.facts["failure"] for each in service.incidents()] == ["sealed with another key"]


def test_the_message_names_the_place_where_the_answer_was_given(server, pager, tmp_path) -> None:
    visit = resource("Encounter", status="in-progress", location=[{"location": {"display": "Ward 4"}}])
    visit["class"] = {"code": "IMP"}
    (answer,) = answered(ACUTE)
    answer["encounter"] = {"reference": f"Encounter/{visit['id']}"}
    somebody = new_patient(server, answer, visit)
    with subscribed(server, pager, tmp_path) as service:
        service.send(observation_of(somebody))
        service.read()
        (row,) = service.escalations()
        with service.runtime.store.transaction() as connection:
            assert patient_of(connection, service.runtime.key, row.id).place == "Ward 4"


def test_a_server_that_is_away_is_asked_again_and_the_answer_is_told_when_it_is_back(service) -> None:
    somebody = new_patient(service.real, *answered(ACUTE))
    service.real.fail("", answering(503))
    service.send(observation_of(somebody))
    service.read()
    (row,) = service.runtime.store.rows(tables.arrival)
    assert (row["attempts"], row["failure"]) == (1, "failed (503)")
    service.real.reset()
    with service.runtime.store.transaction() as connection:
        connection.execute(tables.arrival.update().values(due=0))
    service.read()
    assert service.runtime.store.rows(tables.arrival) == []
    assert [row.patient for row in service.escalations()] == [service.pseudonym(somebody)]


def test_what_could_be_read_is_escalated_at_once_though_the_rest_is_asked_for_again(service) -> None:
    somebody = new_patient(service.real, *answered(ACUTE))
    service.real.fail("Condition", answering(503))
    service.send(observation_of(somebody))
    service.read()
    assert len(service.escalations()) == 1
    assert [row["failure"] for row in service.runtime.store.rows(tables.arrival)] == ["failed (503)"]


def test_a_part_that_the_server_will_never_give_is_said_once_and_not_asked_for_again(service) -> None:
    service.real.fail("Condition", answering(404))
    for _ in range(2):
        service.send(observation_of(new_patient(service.real, *answered(QUIET))))
        service.read()
    assert service.runtime.store.rows(tables.arrival) == []
    assert [(each.kind.value, each.facts["failure"]) for each in service.incidents()] == [
        ("chart-not-read", "not-found")
    ]


def test_what_was_answered_200_is_read_although_the_service_is_killed_at_once(server, pager, tmp_path) -> None:
    somebody = new_patient(server, *answered(ACUTE))
    server.fail("", answering(503))
    with fronted(server) as front:
        made = settings(tmp_path, service=service_table(tmp_path), site=site_table(tmp_path, front, pager))
        secret = {"Authorization": f"Bearer {SECRET}"}
        with served(made, "--workers", "1") as first:
            answer = requests.post(
                f"{first.base}/subscriptions/north", json=observation_of(somebody), headers=secret, timeout=30
            )
            first.kill()
        assert answer.status_code == 200
        server.reset()
        with served(made, "--workers", "2"):
            theirs = wait_for(lambda: told_of(made, somebody), "somebody is told after the restart")
            wait_for(lambda: theirs in rung(pager), "the pager rings")


def test_a_token_that_was_withdrawn_is_fetched_anew(service) -> None:
    somebody = new_patient(service.real, *answered(ACUTE))
    service.runtime.backend.token(service.runtime.config().sites[0])
    service.front.server.grants._access.clear()
    service.send(observation_of(somebody))
    service.read()
    assert service.escalations() == []
    with service.runtime.store.transaction() as connection:
        connection.execute(tables.arrival.update().values(due=0))
    service.read()
    assert len(service.escalations()) == 1


def test_without_a_token_it_waits(service) -> None:
    service.front.server.clients._registered.clear()
    service.send(observation_of("p1"))
    service.read()
    assert [row["failure"] for row in service.runtime.store.rows(tables.arrival)] == ["no-access"]


# ---- two real processes ----


TOPIC = "http://sekmet.example/topics/answers"


def topic() -> dict:
    """A topic as the real server has them (R4: a Basic with the elements of R5's SubscriptionTopic)."""
    of = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic"
    triggers = [
        {"url": f"{of}.resourceTrigger", "extension": [
            {"url": "resource", "valueUri": f"http://hl7.org/fhir/StructureDefinition/{kind}"},
            {"url": "supportedInteraction", "valueCode": "create"},
            {"url": "supportedInteraction", "valueCode": "update"},
            {"url": "fhirPathCriteria", "valueString": "true"},
        ]}
        for kind in ("QuestionnaireResponse", "Observation")
    ]  # fmt: skip
    code = {"coding": [{"system": "http://hl7.org/fhir/fhir-types", "code": "SubscriptionTopic"}]}
    status = [{"url": f"{of}.status", "valueCode": "active"}]
    extension = [{"url": f"{of}.url", "valueUri": TOPIC}, *triggers]
    return {
        "resourceType": "Basic",
        "id": "topic-answers",
        "code": code,
        "extension": extension,
        "modifierExtension": status,
    }


FORMS = {
    "r4, empty": ("--payload", "empty"),
    "r4, the resource": ("--payload", "full-resource"),
    "topic, empty": ("--topic", TOPIC, "--payload", "empty"),
    "topic, ids alone": ("--topic", TOPIC, "--payload", "id-only"),
    "topic, the resources": ("--topic", TOPIC, "--payload", "full-resource"),
}


def shown(folder: Path, *words: str) -> list[dict]:
    """What the command prints, with the secret put into it as the site's IT does."""
    done = CliRunner().invoke(main, ["subscription", "show", "--config", str(folder), "--site", "north", *words])
    assert done.exit_code == 0, done.output
    assert SECRET not in done.output
    return json.loads(done.output.replace("THE-SECRET-OF-[subscription]", SECRET))


def test_a_real_server_notifies_the_running_service_which_reads_the_chart_and_pages_somebody(
    server, pager, tmp_path
) -> None:
    """Whole processes, in each form in turn: answers are written to the FHIR server, and the pager rings."""
    port = free_port()
    server.transaction([topic()])
    people = {form: new_patient(server) for form in FORMS}
    with fronted(server) as front:
        made = settings(
            tmp_path,
            service={"public_url": f"http://127.0.0.1:{port}"} | service_table(tmp_path),
            site=site_table(tmp_path, front, pager),
        )
        with served(made, "--workers", "2", port=port) as running:
            for form, somebody in people.items():
                wanted = [r | {"id": f"sub-{port}-{next(NUMBERS)}"} for r in shown(made, *FORMS[form])]
                server.transaction(wanted)
                places = [f"Subscription/{resource['id']}" for resource in wanted]
                wait_for(lambda places=places: all(server.get(p)["status"] == "active" for p in places), "active")
                (answer,) = answered(ACUTE)
                server.transaction([answer | {"subject": {"reference": f"Patient/{somebody}"}}])
                theirs = wait_for(lambda somebody=somebody: told_of(made, somebody), f"somebody is told: {form}")
                wait_for(lambda theirs=theirs: theirs in rung(pager), f"the pager rings: {form}")
                server.transaction([server.get(place) | {"status": "off"} for place in places])
            log = "\n".join(running.lines())
    assert len(rung(pager)) == len(set(rung(pager)))
    assert pager.refused == []
    for said in (log, json.dumps(pager.got)):
        assert not any(somebody in said for somebody in people.values())
        assert SECRET not in said


def rung(pager: Receiver) -> list[str]:
    """The escalations that the pager was told of."""
    return [body["data"]["id"] for _, body in pager.got if body["type"] == "escalation.opened"]


def told_of(folder: Path, somebody: str) -> str | None:
    """The escalation of a patient in the store of a running service."""
    config = load_config(folder)
    store = open_store(config.store)
    rows = [
        row for row in store.rows(tables.escalation) if row["patient"] == config.kept_key().pseudonym("north", somebody)
    ]
    store.close()
    assert len(rows) <= 1
    return rows[0]["id"] if rows else None


@pytest.mark.parametrize("form", FORMS)
def test_what_the_command_prints_is_valid_r4(tmp_path: Path, pager, form: str) -> None:
    base = "https://ehr.example/fhir"
    front = Front(base=base, server=None)
    made = settings(tmp_path, service=service_table(tmp_path), site=site_table(tmp_path, front, pager))
    for each in shown(made, *FORMS[form]):
        assert faults(each) == []
        others = [issue for issue in SECOND.validate_resource(each).issues if issue.path not in NO_FAULT]
        assert others == []
        assert each["channel"]["endpoint"] == "http://127.0.0.1:8080/subscriptions/north"
        assert len(each["criteria"]) < 1000


MISTAKES = {
    "ids alone without a topic": (("--payload", "id-only"), "R4's own form has no ids alone"),
    "another site": (("--site", "south"), "there is no site south"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_cannot_be_printed_is_said(mistake: str, tmp_path: Path, pager) -> None:
    words, expected = MISTAKES[mistake]
    made = settings(
        tmp_path,
        service=service_table(tmp_path),
        site=site_table(tmp_path, Front(base="https://ehr.example/fhir", server=None), pager),
    )
    done = CliRunner().invoke(main, ["subscription", "show", "--config", str(made), "--site", "north", *words])
    assert done.exit_code != 0
    assert expected in done.output
    off = settings(tmp_path / "off")
    done = CliRunner().invoke(main, ["subscription", "show", "--config", str(off), "--site", "north"])
    assert "site north: expected [subscription] in its file; found none" in done.output
