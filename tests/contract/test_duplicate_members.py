"""A member that stands twice in a request, a token or feedback: never may the last one hide the first."""

from __future__ import annotations

import json

import pytest
from ehr import ADDRESS, FEEDBACK, b64, jws, private_key
from hook_calls import ACUTE, call_of, client_of, diagnostics

from cds_service.hooks.catalogue import SERVICES

EMPTY = '{"resourceType":"Bundle","type":"searchset","total":0}'


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory):
    return client_of(tmp_path_factory.mktemp("twice"))


def written(**changes) -> str:
    return json.dumps(call_of(SERVICES[0], ACUTE, **changes))


def after(text: str, member: str, added: str) -> str:
    """The text with another member right behind the opening brace of an object, so that the later one wins."""
    return (
        text.replace(f'"{member}": {{', f'"{member}": {{{added},', 1) if member else text.replace("{", f"{{{added},", 1)
    )


def at_end(text: str, added: str) -> str:
    return f"{text[:-1]},{added}}}"


ANSWERED = json.dumps(call_of(SERVICES[0], ACUTE)["prefetch"]["screening"])
GRANT = {"fhirServer": "https://ehr.example/fhir", "fhirAuthorization": {"access_token": "a", "patient": "p1"}}
TWICE = {
    "prefetch.screening": lambda: after(written(prefetch={"screening": json.loads(EMPTY)}), "prefetch", f'"screening":{ANSWERED}'),
    "prefetch.questionnaires": lambda: after(written(), "prefetch", f'"questionnaires" : {EMPTY}'),
    "prefetch.patient": lambda: after(written(), "prefetch", '"patient":null'),
    "prefetch": lambda: at_end(written(), '"prefetch":{}'),
    "a key of prefetch": lambda: after(written(), "prefetch", f'"Ida Quillfeather":{ANSWERED},"Ida Quillfeather":null'),
    "hook": lambda: at_end(written(), '"hook":"patient-view"'),
    "context": lambda: after(written(), "", '"context":{"patientId":"p2","userId":"Practitioner/x"}'),
    "context.patientId": lambda: after(written(), "context", '"patientId":"p2"'),
    "context.userId": lambda: after(written(), "context", '"\\u0075serId":"Practitioner/x"'),
    "fhirServer": lambda: at_end(written(**GRANT), '"fhirServer":"https://ehr.example/other"'),
    "fhirAuthorization.patient": lambda: after(written(**GRANT), "fhirAuthorization", '"patient":"p2"'),
    "fhirAuthorization.access_token": lambda: after(written(**GRANT), "fhirAuthorization", '"access_token":"secret"'),
}  # fmt: skip


@pytest.mark.parametrize("path", TWICE)
@pytest.mark.parametrize("indent", [None, 2])
def test_a_request_with_a_member_twice_is_refused_and_the_member_named(client, path: str, indent: int | None) -> None:
    text = TWICE[path]()
    if indent:
        # Whitespace alone, since a reader would drop the duplicate.
        text = text.replace('", "', '" ,\n  "').replace("{", "{\r\n\t ")
    answer = client.post(ADDRESS, data=text, content_type="application/json")

    assert answer.status_code == 400
    assert diagnostics(answer) == f"{path}: expected once; found twice"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: at_end(text, '"extension":{"a":1,"a":2},"x":1,"x":{"hook":1,"hook":2}'),
        lambda text: after(text, "context", '"selections":[],"selections":["a"]'),
    ],
)
def test_members_that_nobody_reads_may_stand_twice(client, change) -> None:
    answer = client.post(ADDRESS, data=change(written()), content_type="application/json")

    assert [card["source"]["topic"]["code"] for card in answer.get_json()["cards"]] == ["acute-safety"]


HEADER = {"alg": "ES384", "typ": "JWT", "kid": "ES384"}


@pytest.mark.parametrize("name", ["aud", "iss", "exp", "jti", "tenant", "\\u0061ud"])
def test_a_token_with_a_claim_twice_is_refused(client, name: str) -> None:
    claims = json.dumps(client.ehr.claims() | {"tenant": "t"})
    twice = after(claims, "", f'"{name}":"x"').encode()

    for raw, status in ((claims.encode(), 200), (twice, 401)):
        token = jws(HEADER, raw, private_key("ES384"), "ES384")
        answer = client.flask.post(ADDRESS, json=call_of(SERVICES[0]), headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == status


def test_a_token_with_a_header_member_twice_is_refused(client) -> None:
    raw = json.dumps(HEADER)
    for header, status in ((raw, 200), (after(raw, "", '"alg":"none"'), 401)):
        signed = f"{b64(header.encode())}.{b64(json.dumps(client.ehr.claims()).encode())}"
        token = f"{signed}.{jws_signature(signed)}"
        answer = client.flask.post(ADDRESS, json=call_of(SERVICES[0]), headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == status


def jws_signature(signed: str) -> str:
    from jwt.algorithms import get_default_algorithms

    return b64(get_default_algorithms()["ES384"].sign(signed.encode(), private_key("ES384")))


def test_feedback_with_a_member_twice_is_refused_and_named(client) -> None:
    item = {
        "card": "00000000-0000-4000-8000-000000000001",
        "outcome": "overridden",
        "outcomeTimestamp": "2026-11-23T15:04:05Z",
    }
    once = json.dumps({"feedback": [item]})
    sent = {
        once: None,
        once.replace('{"card"', '{"outcome":"accepted","card"'): "feedback[0].outcome: found twice",
        at_end(once, '"feedback":[]').replace("[]", json.dumps([item])): "feedback: expected once; found twice",
    }
    for text, said in sent.items():
        answer = client.post(FEEDBACK, data=text, content_type="application/json")
        assert (answer.status_code == 200) if said is None else said in diagnostics(answer)
