"""The CDS client's half of CDS Hooks: discovery, prefetch, the hook call and its response.

Does what an EHR does when a chart is opened: resolves the service's prefetch templates against its own records, omits
this patient's `left_out`, and posts `patient-view`. Uses HTTP without proxies, since both ends are on this machine.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from dataclasses import dataclass
from urllib.parse import parse_qsl

import requests

from cds_service.demo_ehr.codes import Json
from cds_service.demo_ehr.fhir_api.charts import Charts
from cds_service.demo_ehr.patients.people import USER, DemoPatient
from cds_service.demo_ehr.search import SearchError

HOOK = "patient-view"
SERVICE_ID = "depression-suicide-risk"
TIMEOUT_S = 30.0
TOKEN_LIFE_S = 300
READ_TYPES = (
    "Patient",
    "Observation",
    "Condition",
    "QuestionnaireResponse",
    "MedicationRequest",
    "Encounter",
    "Procedure",
    "RiskAssessment",
)


class ServiceUnreachableError(Exception):
    """The service could not be reached, or does not offer what the demo needs. The message is one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One hook call: request and response.

    `cards` is None when the answer holds none to show: then `problem` says why in one sentence.
    An empty tuple means that the service looked and has nothing to say. `seconds` is the time of the call.
    """

    request: Json
    status: int
    answer: object
    cards: tuple[Json, ...] | None
    problem: str | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HookClient:
    """A CDS client registered with one service. `fhir_base` is where the service may read, with `token`."""

    service_base: str
    fhir_base: str
    token: str
    charts: Charts
    session: requests.Session
    templates: dict[str, str]

    def open_chart(self, patient: DemoPatient) -> Exchange:
        """Fires `patient-view` for a patient. Raises ServiceUnreachableError when nothing answers."""
        body = self._request(patient)
        url = f"{self.service_base}/cds-services/{SERVICE_ID}"
        started = time.perf_counter()
        try:
            answer = self.session.post(url, json=body, timeout=TIMEOUT_S)
        except requests.RequestException as error:
            raise ServiceUnreachableError(
                f"The service at {self.service_base} did not answer the hook call."
            ) from error
        return _exchange(body, answer, time.perf_counter() - started)

    def _request(self, patient: DemoPatient) -> Json:
        context = {"userId": USER, "patientId": patient.id}
        return {
            "hook": HOOK,
            "hookInstance": str(uuid.uuid4()),
            "fhirServer": self.fhir_base,
            "fhirAuthorization": {
                "access_token": self.token,
                "token_type": "Bearer",
                "expires_in": TOKEN_LIFE_S,
                "scope": " ".join(f"patient/{name}.read" for name in READ_TYPES),
                "subject": "mental-health-cds-demo",
                "patient": patient.id,
            },
            "context": context,
            "prefetch": {
                key: self._resolved(template, context)
                for key, template in self.templates.items()
                if key not in patient.left_out
            },
        }

    def _resolved(self, template: str, context: dict[str, str]) -> Json | None:
        """What this EHR's own FHIR API gives for a template; None where there is nothing."""
        query = re.sub(r"\{\{context\.(\w+)\}\}", lambda match: context[match[1]], template)
        path, _, parameters = query.partition("?")
        resource_type, _, resource_id = path.partition("/")
        if resource_id:
            return self.charts.read(resource_type, resource_id)
        return self.charts.page(self.fhir_base, resource_type, parse_qsl(parameters))


def connect(service_base: str, fhir_base: str, token: str, charts: Charts) -> HookClient:
    """Reads discovery and gives a client for the demo's service. Raises ServiceUnreachableError."""
    session = requests.Session()
    session.trust_env = False
    url = f"{service_base}/cds-services"
    try:
        answer = session.get(url, timeout=TIMEOUT_S)
        answer.raise_for_status()
        services = answer.json()["services"]
        service = next(s for s in services if s["id"] == SERVICE_ID and s["hook"] == HOOK)
    except StopIteration as error:
        raise ServiceUnreachableError(f"Discovery at {url} does not list {SERVICE_ID} for {HOOK}.") from error
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        raise ServiceUnreachableError(f"Discovery at {url} could not be read.") from error
    client = HookClient(
        service_base=service_base,
        fhir_base=fhir_base,
        token=token,
        charts=charts,
        session=session,
        templates=service.get("prefetch", {}),
    )
    _check_templates(client)
    return client


def _check_templates(client: HookClient) -> None:
    """Checks that this EHR can resolve every template, as an EHR would on registering a service."""
    for key, template in client.templates.items():
        resource_type = re.split(r"[/?]", template, maxsplit=1)[0]
        try:
            client._resolved(template, {"userId": USER, "patientId": "nobody"})  # noqa: SLF001 - a helper of this class
        except (KeyError, SearchError) as error:
            raise ServiceUnreachableError(
                f"The demo EHR cannot resolve the prefetch template {key!r} ({resource_type}): {error}."
            ) from error


def _exchange(body: Json, answer: requests.Response, seconds: float) -> Exchange:
    try:
        content: object = answer.json()
    except ValueError:
        content = answer.text
    cards: tuple[Json, ...] | None = None
    problem = None
    items = content.get("cards") if isinstance(content, dict) else None
    if answer.status_code == requests.codes.ok and isinstance(items, list):
        cards = tuple(items)
    else:
        problem = f"The service could not answer: status {answer.status_code}. {_diagnostics(content)}".rstrip()
    return Exchange(
        request=body, status=answer.status_code, answer=content, cards=cards, problem=problem, seconds=seconds
    )


def _diagnostics(content: object) -> str:
    """The first explanation of an OperationOutcome, if the answer is one."""
    issues = content.get("issue") if isinstance(content, dict) else None
    if isinstance(issues, list) and issues and isinstance(issues[0], dict):
        return str(issues[0].get("diagnostics") or "")
    return ""


def topic(card: Json) -> str:
    """The topic code of a card, or an empty text where it has none."""
    return str((card.get("source", {}).get("topic") or {}).get("code", ""))


def sent_without_token(exchange: Exchange) -> str:
    """The request as indented JSON for people to read, with the token left out."""
    redacted = exchange.request | {
        "fhirAuthorization": exchange.request["fhirAuthorization"] | {"access_token": "(not shown)"}
    }
    return json.dumps(redacted, indent=2, ensure_ascii=False)
