"""After a call nothing in the memory of the process holds a text of the chart, though what was looked up is kept."""

from __future__ import annotations

import gc
import json
import re
import secrets
from functools import lru_cache
from itertools import count
from urllib.parse import urlsplit

import msgspec
import pytest
from benchmark import bodies
from builders import AS_OF, LOINC, codeable, given, patient, prefetch_of, resource
from ehr import ADDRESS
from hook_calls import Client, call_of, client_of, path_of, topics

from cds_service.hooks.catalogue import SERVICES
from cds_service.serving.engine import load_engine
from fhir_adapters.kept import forget
from fhir_adapters.reading import asked
from fhir_adapters.reading.asked import asked_by
from fhir_adapters.resources import r4
from fhir_adapters.resources.gathered import ALL_KEYS

FREE = {
    "text", "display", "valueString", "unit", "conclusion", "description", "comment", "title", "rationale", "family",
    "linkId", "name", "div", "patientInstruction", "definition",
}  # fmt: skip
SUICIDAL = "Thoughts of suicide, as her brother said"
NOTE = {"note": [{"text": SUICIDAL}]}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    return client_of(tmp_path_factory.mktemp("forgotten"), engine=load_engine())


def chart() -> list[dict]:
    """Every type of resource that is read, and every form of a value, with words where there can be any."""
    said, when = {"text": SUICIDAL}, {"effectiveDateTime": "2026-10-01"}
    number = {"valueQuantity": {"value": 7, "unit": "spoons", "code": "spoons a day"}}
    yes = {"valueCodeableConcept": {"text": "yes, often"}}
    return [
        patient(name=[{"family": "Ankersmit", "text": "Benedicta Ankersmit"}]),
        *given("PHQ-9, 6 days ago: items 1-7 = 1, item 8 = 0, item 9 = 1"),
        *given("C-SSRS, today: question 4 = yes", "questionnaire"),
        resource("Observation", code={"text": "Safety talk"}, valueString=SUICIDAL, **when, **NOTE, method=said),
        resource("Observation", code=codeable(LOINC, "29463-7") | {"text": "Weight"}, **when, **number),
        resource("Observation", code=codeable(LOINC, "44250-9") | {"text": "Low"}, **when, **yes, interpretation=[said]),
        resource("Observation", code=said, effectiveDateTime="the day Quill", component=[{"code": said, **yes}]),
        resource("Observation", code=said, **when, dataAbsentReason=said),
        resource("Observation", code=said, status=7, **when),
        resource(
            "QuestionnaireResponse",
            questionnaire="http://example.org/forms/mood",
            contained=[{"resourceType": "Questionnaire", "id": "q", "title": "Mood", "item": [{"linkId": "1"}]}],
            item=[
                {"linkId": "a", "text": "Any thoughts of suicide?", "answer": [{"valueString": "yes, at night"}]},
                {"linkId": "b", "text": "Sleep", "answer": [{"valueCoding": {"code": "x", "display": "poor"}}]},
            ],
        ),
        resource("Condition", code=said, onsetDateTime="since the fall", **NOTE),
        resource("Condition", code=codeable("http://hl7.org/fhir/sid/icd-10-cm", "F32.1") | {"text": "Low mood"}),
        resource(
            "MedicationRequest",
            status="active", intent="order", authoredOn="2026-09-01", dosageInstruction=[{"text": "one at night"}],
            medicationCodeableConcept={"text": "Sertraline 50 mg, blue", "coding": [{"display": "Sertraline, blue"}]},
        ),
        resource("MedicationRequest", medicationReference={"reference": "Medication/x", "display": "Zolpidem"}),
        resource("Procedure", status="completed", code=said, outcome=said, **NOTE),
        resource("Encounter", status="finished", type=[said], reasonCode=[said]),
        resource("RiskAssessment", method=said, prediction=[{"outcome": said, "rationale": SUICIDAL}], **NOTE),
        resource("DiagnosticReport", code=said, conclusion=SUICIDAL),
        resource("Flag", code=said, status="active"),
        resource("CarePlan", title="Safety plan", description=SUICIDAL, status="active", intent="plan"),
    ]  # fmt: skip


def marked(value, mark: str, numbers: count):
    """The same with the mark and a number of its own in each free text, and where a date is only words."""
    if isinstance(value, list):
        return [marked(inner, mark, numbers) for inner in value]
    if not isinstance(value, dict):
        return value
    words = {name for name, inner in value.items() if isinstance(inner, str)}
    loose = {name for name in words if name in FREE or (name.endswith("DateTime") and " " in value[name])}
    return {
        name: f"{inner} {mark}{next(numbers)}" if name in loose else marked(inner, mark, numbers)
        for name, inner in value.items()
    }


def held(mark: str) -> set[str]:
    """The texts anywhere in this process that hold the mark with a number."""
    gc.collect()
    look, found = re.compile(rf"{mark}\d", re.IGNORECASE), set()
    left: list[object] = gc.get_objects()
    while left:
        here = left.pop()
        if isinstance(here, msgspec.Struct):
            inside = [getattr(here, name) for name in here.__struct_fields__]
        else:
            inside = gc.get_referents(here)
        for one in inside:
            text = one.decode("latin-1") if isinstance(one, bytes | bytearray) else one
            if isinstance(text, str):
                found |= {text} if look.search(text) else set()
            elif isinstance(one, tuple | list | dict | set | frozenset | msgspec.Struct) and not gc.is_tracked(one):
                left.append(one)
    return found


def new_mark() -> str:
    return "quill" + "".join(secrets.choice("bcdfgjkmnpqrstvwxz") for _ in range(8))


def test_the_search_finds_what_is_kept() -> None:
    mark, keeps = new_mark(), lru_cache(lambda _text, _other: None)
    keeps(f"{mark}1".upper(), b"")
    content = msgspec.json.decode(f'[{{"status":"{mark}2"}}]', type=list[r4.Flag])
    assert held(mark) == {f"{mark}1".upper(), f"{mark}2"}
    del content


def test_after_a_call_no_text_of_the_chart_is_in_memory(client: Client) -> None:
    mark, numbers = new_mark(), count()

    def calls() -> None:
        for service in SERVICES:
            sent = prefetch_of(marked(chart(), mark, numbers), ALL_KEYS)
            body = call_of(service, prefetch={key: value for key, value in sent.items() if key in service.keys})
            assert topics(client.post(path_of(service), body))
        whole = json.loads(bodies.speaking(AS_OF).content)
        whole["prefetch"] = marked(whole["prefetch"], mark, numbers)
        assert client.post(ADDRESS, whole).status_code == 200

    calls()
    assert next(numbers) > 500
    assert held(mark) == set()


def test_addresses_of_reads_are_forgotten() -> None:
    mark = new_mark()
    urlsplit(f"https://ehr.example/fhir/Observation?patient={mark}1")
    forget()

    assert held(mark) == set()


def test_what_was_looked_up_is_known_afterwards_without_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    mark = new_mark()
    name = r4.CodeableConcept(text=f"Suicidal {mark}1", coding=[r4.Coding(code="x", display=f"Suicidal {mark}2")])
    first = asked_by(name, ())
    forget()
    monkeypatch.setattr(asked, "_looked_up", None)

    assert asked_by(name, ()) == first
