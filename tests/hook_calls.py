"""Hook calls of a verified client, for the contract tests: every service, and a chart for every card topic.

The clock stands still at `AS_OF`, for the service and for the tokens. Nothing here checks that an answer is right.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from builders import AS_OF, LOINC, PATIENT, codeable, given, observation, patient, prefetch_of, resource
from ehr import ADDRESS, EHR, app_of, settings
from flask.testing import FlaskClient

from cds_service.hooks.catalogue import SERVICES, Service
from explanations.judgement.assessment import Engine
from fhir_adapters.resources.validation import faults

CLOCK = AS_OF.timestamp()
NEED_ENCOUNTER = [s for s in SERVICES if s.needs_encounter]
POSITIVE = "PHQ-9, 6 days ago: items 1-7 = 1, item 8 = 0, item 9 = 1"
ACUTE = "C-SSRS, today: question 4 = yes"


def path_of(service: Service) -> str:
    return f"/cds-services/{service.id}"


@dataclass(frozen=True, kw_only=True)
class Client:
    """A client that signs, and the app on its folder of settings."""

    flask: FlaskClient
    ehr: EHR
    folder: Path

    def post(self, path: str = ADDRESS, body: object = None, *, headers: dict | None = None, **wanted):
        """A signed POST; `wanted` may give `data` and `content_type` in the place of a body."""
        sent = wanted if "data" in wanted or "input_stream" in wanted else {"json": body} | wanted
        return self.flask.post(path, headers=self.ehr.headers(path) | (headers or {}), **sent)

    def call(self, *lines: str, service: Service = SERVICES[0], **changes):
        """A call of a service about a chart with these lines."""
        return self.post(path_of(service), call_of(service, *lines, **changes))

    def database(self) -> bytes:
        """Every byte of the store."""
        return b"".join(path.read_bytes() for path in sorted((self.folder / "data").glob("mhcds.db*")))

    def log_in_as(self, **changes) -> Client:
        """The same app, another client."""
        return replace(self, ehr=replace(self.ehr, **changes))


def client_of(folder: Path, *, engine: Engine | None = None, **wanted) -> Client:
    """A client of an app with these settings (`service`, `site`, `sites`, `issuers` as `ehr.settings` takes them)."""
    app = app_of(settings(folder, **wanted), engine=engine, now=lambda: AS_OF)
    return Client(flask=app.test_client(), ehr=EHR(clock=CLOCK), folder=folder)


def call_of(service: Service, *lines: str, prefetch: dict | None = None, chart: list[dict] | None = None, **changes):
    """The body of a call; `prefetch` replaces keys, `...` leaves a member of the body out."""
    found = [patient(), *(r for line in lines for r in given(line)), *(chart or ())]
    known = dict.fromkeys(service.keys) | prefetch_of(found)
    context = {"userId": "Practitioner/doc", "patientId": PATIENT}
    whole = {
        "hook": service.hook,
        "hookInstance": str(uuid.uuid4()),
        "context": context | ({"encounterId": "now"} if service.needs_encounter else {}),
        "prefetch": {key: value for key, value in (known | (prefetch or {})).items() if value is not ...},
    }
    return {name: value for name, value in (whole | changes).items() if value is not ...}


def topics(answer) -> list[str]:
    assert answer.status_code == 200, answer.get_json()
    return [c["source"]["topic"]["code"] for c in answer.get_json()["cards"]]


def diagnostics(answer) -> str:
    """What an OperationOutcome says, once it is seen to be a valid one."""
    body = answer.get_json()
    assert answer.content_type == "application/json"
    assert body["resourceType"] == "OperationOutcome"
    assert faults(body) == []
    return body["issue"][0]["diagnostics"]


def empty_members(value, path=""):
    """The paths of members that are null, or an empty text, list or object."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from empty_members(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from empty_members(inner, path)
    if value in (None, "", [], {}):
        yield path


def prompting() -> list[dict]:
    """A chart on which the depression model prompts: unwell, in no depression care, no PHQ on file."""
    lines = ["Condition 193462001, 100 days ago, problem list", "Condition 13645005, 900 days ago, problem list",
             "Condition 3723001, 900 days ago, problem list", "Condition 230690007, 900 days ago, problem list",
             "Medicine gabapentin, today", "Medicine alprazolam, today", "Medicine oxycodone, today"]  # fmt: skip
    found = [r for line in lines for r in given(line)]
    for days in (5, 20, 60, 90, 120, 150, 180, 210, 240, 270, 300, 330, 340, 350):
        period = {"start": (AS_OF.date().fromordinal(AS_OF.date().toordinal() - days)).isoformat()}
        found.append(resource("Encounter", status="finished", period=period) | {"class": {"code": "AMB"}})
    smoker = {"valueCodeableConcept": codeable("http://snomed.info/sct", "449868002")}
    found += [
        observation(LOINC, "72166-2", "2026-08-03", smoker),
        observation(LOINC, "93832-4", "2026-08-03", {"valueQuantity": {"value": 4, "code": "h"}}),
        observation(LOINC, "61577-3", "2026-08-03", {"valueCodeableConcept": {"text": "Poor"}}),
        observation(LOINC, "67875-5", "2026-08-03", {"valueCodeableConcept": {"text": "Unemployed"}}),
    ]
    return found


# Charts that together give a card of every topic, more than three cards, and two cards that would order the same.
CHARTS: dict[str, list[str]] = {
    "acute": [ACUTE],
    "positive": [POSITIVE],
    "recent": ["Condition T14.91XA, 41 days ago"],
    "anomaly": ["PHQ-9, 8 days ago: items 1-9 = 1, total = 20"],
    "follow-up": ["PHQ-9, 20 days ago: total = 21"],
    "blank item": ["PHQ-9, 5 days ago: items 1-8 = 1, item 9 = blank"],
    "follow-up and blank item": ["PHQ-9, 5 days ago: items 1-8 = 2, item 9 = blank"],
    "much": [ACUTE, "PHQ-9, 3 days ago: items 1-6 = 2, items 7-8 = 0, item 9 = 1", "Condition T14.91XA, 41 days ago",
             "PHQ-2, 6 days ago: total = 4", "Condition Z91.51, 400 days ago, problem list"],
    "teen form": ["PHQ-9M, 4 days ago: items 1-6 = 2, items 7-9 = 0"],
}  # fmt: skip


def answers_of(client: Client) -> list[tuple[Service, dict]]:
    """The answer of every service to every chart."""
    bodies = [(s, call_of(s, *lines)) for s in SERVICES for lines in CHARTS.values()]
    bodies += [(s, call_of(s, chart=prompting())) for s in SERVICES]
    found = [(service, client.post(path_of(service), body)) for service, body in bodies]
    assert {answer.status_code for _, answer in found} == {200}
    return [(service, json.loads(answer.data)) for service, answer in found]
