"""Every FHIR resource that we emit, judged by two validators of different make.

fhir.resources checks types and cardinality; pyfhircheck also required value sets, references, empty arrays and time zones.
"""

from __future__ import annotations

import re

import pytest
from builders import AS_OF, PATIENT, given, open_app, patient, prefetch_of
from pyfhircheck import Validator

from cds_service.demo_ehr.patients.people import demo_patients
from fhir_adapters.resources.validation import faults
from fhir_adapters.writing import completed
from fhir_adapters.writing.completed import FormContext
from fhir_adapters.writing.drafts import escalation_task
from fhir_adapters.writing.questionnaires import FORMS, EntryState, FormAnswer, FormAnswers, form, questionnaire
from smart_launch.forms import tasks

SECOND = Validator()
LINES = (
    "C-SSRS, today: question 4 = yes", "ASQ, today: question 1 = yes", "PHQ-9, 3 days ago: items 1-8 = 2, item 9 = 2", "PHQ-9, 20 days ago: total = 21",
    "PHQ-2, 6 days ago: total = 4", "PHQ-9, 5 days ago: items 1-8 = 1, item 9 = blank", "Condition T14.91XA, 41 days ago", "Condition R45.851, 4 days ago",
    "PHQ-9, 8 days ago: items 1-9 = 1, total = 20", "EPDS, 2 days ago: items 1-9 = 1, item 10 = 2",
)  # fmt: skip


def judged(resource: dict) -> list[str]:
    """What either validator has against a resource."""
    others = [f"{i.code} {i.message}" for i in SECOND.validate_resource(resource).issues]
    return faults(resource) + [i for i in others if not (i.startswith(NO_FAULT) or NO_TEXT.fullmatch(i))]


# What leads out of the resource is no fault; and pyfhircheck 0.2.0 does not know `text` inside elements, which R4 has.
NO_FAULT = (
    "reference.unresolved",
    "questionnaire.unresolved",
    "element.unknown Unknown element MedicationRequest.dosageInstruction[0].text",
)
NO_TEXT = re.compile(r"element\.unknown Unknown element Questionnaire(?:Response)?\.item\[\d+\]\._?text")


@pytest.fixture(scope="module")
def client():
    return open_app(now=lambda: AS_OF).test_client()


def post(client, prefetch):
    body = {"hook": "patient-view", "hookInstance": "h", "context": {"userId": "Practitioner/d", "patientId": PATIENT}}
    return client.post("/cds-services/depression-suicide-risk", json=body | {"prefetch": prefetch})


def emitted(answer) -> list[dict]:
    return [
        action["resource"]
        for card in answer.get_json()["cards"]
        for suggestion in card.get("suggestions", ())
        for action in suggestion["actions"]
    ]


def test_cdsh_132_134_200_every_draft_is_valid_for_both(client) -> None:
    kinds = []
    for line in LINES:
        for draft in emitted(post(client, prefetch_of([patient(), *given(line)]))):
            assert judged(draft) == [], draft
            kinds.append(draft["resourceType"])

    assert len(kinds) > 8
    assert set(kinds) == {"ServiceRequest", "Task"}


@pytest.mark.parametrize(
    ("address", "body", "status"),
    [("/cds-services/depression-suicide-risk", {}, 400), ("/cds-services/none", {}, 404), ("/cds-services/depression-suicide-risk", "[", 400),
     ("/cds-services/depression-suicide-risk", {"hook": "patient-view", "hookInstance": "h", "context": {"userId": "Practitioner/d", "patientId": "p1"}}, 412)],
)  # fmt: skip
def test_cdsh_110_every_error_body_is_an_operation_outcome_valid_for_both(
    client, address: str, body, status: int
) -> None:
    sent = {"data": body, "content_type": "application/json"} if isinstance(body, str) else {"json": body}

    answer = client.post(address, **sent)

    assert answer.status_code == status
    assert judged(answer.get_json()) == []


def test_the_resources_of_every_demo_patient_are_valid_for_both() -> None:
    seen = 0
    for person in demo_patients(AS_OF):
        for resource in person.chart:
            assert judged(resource) == [], resource
            seen += 1
    assert seen > 100


def test_every_form_and_draft_that_the_app_writes_is_valid_for_both() -> None:
    occasion = FormContext(
        patient=f"Patient/{PATIENT}", at=AS_OF, submission="s", encounter="Encounter/e", user="Practitioner/d"
    )
    asked = {name: form(name) for name in FORMS}
    said = [
        FormAnswers(form=one, given=tuple(FormAnswer(question=q, state=EntryState.DECLINED) for q in one.questions))
        for one in asked.values()
    ] + [
        FormAnswers(
            form=one,
            given=tuple(
                FormAnswer(question=q, state=EntryState.ANSWERED, option=q.options[n % len(q.options)])
                for q in one.questions
            ),
        )
        for one in asked.values()
        for n in range(4)
    ]
    written = [slot for answers in said for slot in completed.slots_of(answers, occasion)]
    written += [
        slot
        for order in tasks.ORDERED.values()
        for slot in tasks.draft_slots(tasks.DraftRequest(order=order, days=7), occasion, AS_OF.tzinfo)
    ]

    assert {s.resource["resourceType"] for s in written} == {
        "QuestionnaireResponse",
        "Observation",
        "Task",
        "ServiceRequest",
    }
    for slot in (*written, *(completed.derived_from(s, "QuestionnaireResponse/q") for s in written)):
        assert judged(slot.resource) == [], slot
    for name in FORMS:
        assert judged(questionnaire(name)) == []


@pytest.mark.parametrize("patient_id", [PATIENT, None])
@pytest.mark.parametrize("owner", ["PractitionerRole/17", None])
def test_every_task_for_a_contact_is_valid_for_both(patient_id: str | None, owner: str | None) -> None:
    task = escalation_task(
        "0123456789ab-001",
        description="Somebody is asked to look. https://cds.example/governance/escalations/0123456789ab",
        patient_id=patient_id,
        owner=owner,
        at=AS_OF,
        end=AS_OF,
    )
    assert judged(task) == []


def test_the_second_validator_sees_what_the_first_does_not() -> None:
    wrong = {"resourceType": "Task", "id": "a", "status": "nope", "intent": "proposal"}

    assert faults(wrong) == []
    assert judged(wrong)
