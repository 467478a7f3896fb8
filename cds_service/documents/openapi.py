"""GET /openapi.json: the OpenAPI 3.1 description of this service.

Static, public, without patient data. Services, wire types and statuses come from their definitions; the rest is written
out. A test checks that it is complete and compares it with real responses.
"""

from __future__ import annotations

from importlib.metadata import version

import msgspec
from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST

from cds_service.documents.data_needs import DATA_NEEDS
from cds_service.documents.openapi_schemas import (
    ACKNOWLEDGED,
    CARDS,
    ESCALATION_ID,
    FEEDBACK,
    HOOK_CALL,
    NOTED,
    OPT_OUTS,
    OPTED_OUT,
    OUTCOME,
    SWITCH,
    SWITCHED,
    Schema,
    ref,
    schemas,
)
from cds_service.hooks.catalogue import SERVICES
from cds_service.serving.body import JSON_TYPES
from cds_service.serving.cacheable import cacheable
from fhir_adapters.writing.questionnaires import FORMS

JSON = "application/json"
# The reason for each error status. The body is always an OperationOutcome.
REFUSALS = {
    400: "A malformed or contradicting member, which the diagnostics name; no UTF-8; a Host header that is no host.",
    401: "No token or signature that is good for this address; the same answer whatever the fault.",
    403: "Plain http where https is required.",
    404: "There is no service, site or escalation of this id, or it is closed.",
    405: "Another method than those of this address.",
    412: "No needed data was sent or could be read; at a site with on_missing = 412 also where only some was lacking.",
    413: "The body is larger than the limit (2 MiB unless the operator set another), packed or unpacked.",
    415: "Not declared as JSON, or packed with something else than gzip.",
    429: "The client's calls for this minute are used up.",
    500: "The service failed; nothing was assessed.",
    503: "Too many calls at once, or the store failed; try again.",
}
HEADERS: dict[int, tuple[str, str]] = {
    401: ("WWW-Authenticate", "Bearer"),
    405: ("Allow", "The methods of this address."),
    429: ("Retry-After", "Seconds."),
    503: ("Retry-After", "Seconds."),
}
FORM = "application/x-www-form-urlencoded"
HTML, STYLE = "text/html; charset=utf-8", "text/css; charset=utf-8"
_PAGE: dict[str, object] = {HTML: {"schema": {"type": "string"}}}
# The SMART app: path, method, operation, summary.
PAGES = (
    ("/smart/launch", "get", "smartLaunch", "Begins a SMART launch (iss and launch), or offers a choice of EHRs"),
    ("/smart/callback", "get", "smartCallback", "Where the EHR's authorization server sends the browser back to"),
    ("/smart/app/{launch}/", "get", "appSummary", "One patient: findings, course, what was known, estimates"),
    ("/smart/app/{launch}/print", "get", "appPrint", "The same, to be printed"),
    ("/smart/app/{launch}/patient", "get", "appPatient", "The page for the patient, to be shown or printed"),
    ("/smart/app/{launch}/learn", "get", "appLearn", "Three minutes for clinicians: what this is and misses"),
    ("/smart/app/{launch}/learn", "post", "appLearned", "That the user has read it"),
    ("/smart/app/{launch}/ehr.css", "get", "appEhrStyle", "The EHR's own colour (smart_style_url)"),
    ("/smart/app/{launch}/forms/{form}", "get", "formEntry", f"A questionnaire ({', '.join(FORMS)}) to fill in"),
    ("/smart/app/{launch}/forms/{form}", "post", "formReview", "The answers, to be looked over before writing"),
    ("/smart/app/{launch}/forms/{form}/write", "post", "formWrite", "Writes the answers to the chart, once"),
    ("/smart/app/{launch}/written/{submission}", "get", "written", "What is in the chart of a submission"),
    ("/smart/app/{launch}/written/{submission}/undo", "post", "undo", "Marks it as entered in error"),
    ("/smart/app/{launch}/tasks/new", "get", "taskEntry", "A draft of an order (order) or a follow-up contact"),
    ("/smart/app/{launch}/tasks", "post", "taskReview", "The draft, to be looked over before writing"),
    ("/smart/app/{launch}/tasks/write", "post", "taskWrite", "Writes the draft to the chart, once"),
    ("/smart/app/{launch}/override", "post", "appOverride", "Why a clinician does not act on a finding"),
    ("/smart/app/{launch}/opinion", "post", "appOpinion", "What a clinician says about an estimate"),
    ("/smart/app/{launch}/escalation", "post", "appEscalation", "That a clinician has it, or what was done about it"),
    ("/smart/app/{launch}/thanks", "get", "appThanks", "That it was recorded"),
    ("/smart/app/{launch}/language", "post", "appLanguage", "Keeps the language that a user has chosen"),
    ("/smart/app/{launch}/extend", "post", "appExtend", "Keeps the session"),
    ("/smart/app/{launch}/close", "post", "appClose", "Ends the session"),
)
# The parameters of launch addresses; others are ignored.
ASKED = {
    "/smart/launch": {
        "iss": "The FHIR base of an EHR that is registered here; with launch.",
        "launch": "The EHR's handle of this launch.",
        "standalone": "An EHR of the choice that is offered without parameters.",
    },
    "/smart/callback": {
        "state": "Of the authorization request.",
        "code": "The authorization code.",
        "iss": "The authorization server (RFC 9207).",
        "error": "Why there is no code.",
        "error_description": "The same in words, which the page shows as the EHR's.",
    },
}
PAGE_STATUSES = {
    "200": "The page.",
    "400": "A launch or a form that cannot be used.",
    "401": "No session of this browser.",
    "403": "A form that is not of this app's pages, a user who is no clinician, or plain http.",
    "404": "There is no such page.",
    "413": "The form is larger than the limit.",
    "422": "The form has open questions, which it names.",
    "500": "The service failed; nothing was written.",
    "502": "The EHR did not do its part.",
    "503": "The store failed; try again.",
}
ALWAYS = (400, 405, 500)
ACTED = (401, 403, *ALWAYS, 413, 415, 503)
CALLED = (*ACTED, 404, 429)


def document() -> Schema:
    """The description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mental-health-cds",
            "version": version("mental-health-cds"),
            "summary": "CDS Hooks 2.0: documented safety answers and screening prompts for depression and suicide.",
            "description": "Every GET answers HEAD as well, and every address OPTIONS. Errors are FHIR "
            "OperationOutcomes. It does not diagnose, and the absence of a card is not reassurance.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The public address of this deployment."}],
        "tags": [
            {"name": name}
            for name in ("CDS Hooks", "Control", "Subscriptions", "Operations", "Transparency", "SMART app")
        ],
        "paths": _paths(),
        "components": {
            "schemas": schemas(),
            "responses": {str(status): _refusal(status) for status in REFUSALS},
            "parameters": {
                "id": _ID,
                "site": _in_path("site", "A site that has addresses of its own."),
                "launch": _LAUNCH,
                "form": _in_path("form", f"{' or '.join(FORMS)}."),
                "submission": _in_path("submission", "One press of a button that writes."),
                "If-None-Match": _IF_NONE_MATCH,
                "Content-Encoding": _CONTENT_ENCODING,
            },
            "securitySchemes": {
                "cdsClient": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A JWT that the CDS client, or for acts a system of the site, signed for this call "
                    "(CDS Hooks 2.0, Trusting CDS Clients): iss as registered, aud the address called, exp, iat, a jti "
                    "never used before; header typ JWT, kid, alg ES384 or RS384 unless the site allows others.",
                },
                "webhookSignature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "webhook-signature",
                    "description": "With webhook-id and webhook-timestamp, as Standard Webhooks says: by the secret of "
                    "a contact who was told, at most 5 min old.",
                },
                "siteSecret": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The secret of the site's [subscription], from Subscription.channel.header.",
                },
            },
        },
    }


_ID: Schema = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "A service of discovery.",
    "schema": {"type": "string", "enum": [s.id for s in SERVICES]},
}


def _in_path(name: str, words: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "description": words, "schema": {"type": "string"}}


def _in_query(name: str, words: str) -> Schema:
    return {"name": name, "in": "query", "description": words, "schema": {"type": "string"}}


_LAUNCH = _in_path("launch", "A launch; its session is a cookie of the browser that it was opened in.")
_IF_NONE_MATCH: Schema = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The ETag of an earlier answer.",
    "schema": {"type": "string"},
}
_CONTENT_ENCODING: Schema = {
    "name": "Content-Encoding",
    "in": "header",
    "description": "gzip when the body is packed.",
    "schema": {"type": "string", "enum": ["identity", "gzip", "x-gzip"]},
}


def _hook_paths(name: str, words: str, statuses: tuple[int, ...]) -> Schema:
    """Discovery, data needs, calls and feedback; the operations of a site's own addresses end in `name`."""
    return {
        "/cds-services": {
            "get": _cached(
                "CDS Hooks", f"discovery{name}", f"The services on offer{words}", _json("Discovery"), statuses
            )
        },
        "/cds-services/{id}": {
            "post": _called(
                f"hookCall{name}",
                f"A hook call: cards for one patient{words}",
                ("HookRequest", HOOK_CALL),
                _answer("Cards.", _json("CardsResponse", CARDS)),
                (*CALLED, 412),
            )
        },
        DATA_NEEDS: {
            "get": _cached(
                "Transparency",
                f"dataNeeds{name}",
                f"Every query and code, and what for{words}",
                _json("DataNeeds"),
                statuses if name else ALWAYS,
            )
        },
        "/patients": {
            "get": _cached(
                "Transparency",
                f"patients{name}",
                f"A page for patients, the same for all{words}",
                _PAGE,
                statuses if name else ALWAYS,
            )
        },
        "/cds-services/{id}/feedback": {
            "post": _called(
                f"feedback{name}",
                f"What became of cards{words}",
                ("FeedbackRequest", FEEDBACK),
                _answer("Stored.", _json("FeedbackReceipt", {"received": 1, "stored": 1})),
                CALLED,
            )
        },
    }


def _with_parameter(parameter: Schema, operations: Schema) -> Schema:
    return {method: op | {"parameters": [parameter, *op["parameters"]]} for method, op in operations.items()}


def _paths() -> Schema:
    site = {"$ref": "#/components/parameters/site"}
    of_site = _hook_paths("OfSite", ", at the addresses of one site", (*ALWAYS, 403, 404))
    return {
        **_hook_paths("", "", (*ALWAYS, 403)),
        **{f"/sites/{{site}}{path}": _with_parameter(site, operations) for path, operations in of_site.items()},
        "/control/switch": {
            "post": _acted(
                "switch",
                "Switches off or on: a site, or a service, model or card topic at it, from the next call on",
                ("SwitchBody", SWITCH),
                _answer("What came of it.", _json("SwitchReceipt", SWITCHED)),
            )
        },
        "/control/opt-outs": {
            "post": _acted(
                "optOuts",
                "Puts patients on the site's list of opt-outs, or takes them off it, from the next call on",
                ("OptOutBody", OPT_OUTS),
                _answer("What came of it.", _json("OptOutReceipt", OPTED_OUT)),
            )
        },
        "/escalations/acknowledge": {
            "post": _acted(
                "acknowledge",
                "The system of a contact who was told of an escalation says who has it",
                ("AcknowledgementBody", {"id": ESCALATION_ID, "by": "R. Example, on call"}),
                _answer("Who has it, and since when.", _json("AcknowledgementReceipt", ACKNOWLEDGED)),
                (*ACTED, 404),
            )
            | {"security": [{"webhookSignature": []}]}
        },
        "/subscriptions/{site}": {"parameters": [site], **_notified("")},
        "/subscriptions/{site}/{place}": {
            "parameters": [site, _in_path("place", "The type and id of a resource.")],
            **_notified("OfResource"),
        },
        "/health/live": {
            "get": _open("Operations", "live", "Whether it runs", {"200": _answer("It does.", _json("Liveness"))})
        },
        "/health/ready": {
            "get": _open(
                "Operations",
                "ready",
                "Whether store, models and settings are in order",
                {
                    "200": _answer("All are.", _json("Readiness")),
                    "503": _answer("One is not; rules still answer.", _json("Readiness")),
                },
            )
        },
        "/metrics": {
            "get": _open(
                "Operations",
                "metrics",
                "Counters in Prometheus form",
                {"200": _answer("Without patient data.", {CONTENT_TYPE_LATEST: {"schema": {"type": "string"}}})},
            )
        },
        "/about": {
            "get": _cached("Transparency", "about", "What the cards are, and the rules in words", _PAGE)
        },
        "/model-card": {
            "get": _cached("Transparency", "modelCardPage", "The model cards as a page", _PAGE)
        },
        "/model-card.json": {
            "get": _cached("Transparency", "modelCards", "Each model, its figures and limits", _json("ModelCards"))
        },
        "/openapi.json": {"get": _cached("Operations", "openapi", "This description", _json("Description"))},
        "/smart/jwks.json": {
            "get": _open(
                "SMART app",
                "ownKeys",
                "Our public keys, for EHRs",
                {"200": _answer("A JWK Set; public halves only.", _json("JwkSet"))},
            )
        },
    } | {path: _pages(path) for path, _method, _name, _words in PAGES}  # fmt: skip


def _pages(path: str) -> Schema:
    """The operations of a page. Errors are pages too, unless no route handled the request."""
    page = {kind: {"schema": {"type": "string"}} for kind in (HTML, *((STYLE,) if path.endswith(".css") else ()))}
    either = page | _json("OperationOutcome")
    answers = {status: _answer(words, either) for status, words in PAGE_STATUSES.items()}
    answers["303"] = {"description": "To the next page."}
    operations = {
        m: _open("SMART app", name, words, answers, (405,)) for place, m, name, words in PAGES if place == path
    }
    for method, operation in operations.items():
        if method == "post":
            operation["requestBody"] = {"required": True, "content": {FORM: {"schema": ref("PageForm")}}}
    if path in ASKED:
        operations["get"]["parameters"] = [_in_query(name, words) for name, words in ASKED[path].items()]
    parameters = [
        {"$ref": f"#/components/parameters/{p}"} for p in ("launch", "form", "submission") if f"{{{p}}}" in path
    ]
    return operations | ({"parameters": parameters} if parameters else {})


def _json(name: str, example: object = None) -> Schema:
    return {JSON: {"schema": ref(name)} | ({} if example is None else {"example": example})}


def _answer(words: str, content: Schema, **headers: Schema) -> Schema:
    return {"description": words, "content": content} | ({"headers": headers} if headers else {})


def _refusal(status: int) -> Schema:
    answer = _answer(REFUSALS[status], _json("OperationOutcome", OUTCOME))
    if status in HEADERS:
        name, words = HEADERS[status]
        answer["headers"] = {name: {"description": words, "schema": {"type": "string"}}}
    return answer


def _refusals(statuses: tuple[int, ...]) -> Schema:
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)}


def _open(tag: str, name: str, summary: str, answers: Schema, statuses: tuple[int, ...] = ALWAYS) -> Schema:
    return {
        "operationId": name,
        "summary": summary,
        "tags": [tag],
        "security": [],
        "responses": answers | _refusals(statuses),
    }


def _cached(tag: str, name: str, summary: str, content: Schema, statuses: tuple[int, ...] = ALWAYS) -> Schema:
    tagged = {"description": "For If-None-Match.", "schema": {"type": "string"}}
    answers = {
        "200": _answer("Cacheable, without patient data.", content, ETag=tagged),
        "304": {"description": "As it was.", "headers": {"ETag": tagged}},
    }
    operation = _open(tag, name, summary, answers, statuses)
    return operation | {"parameters": [{"$ref": "#/components/parameters/If-None-Match"}]}


def _called(name: str, summary: str, body: tuple[str, object], success: Schema, statuses: tuple[int, ...]) -> Schema:
    schema, example = body
    return {
        "operationId": name,
        "summary": summary,
        "tags": ["CDS Hooks"],
        "security": [{"cdsClient": []}],
        "parameters": [{"$ref": f"#/components/parameters/{p}"} for p in ("id", "Content-Encoding")],
        "requestBody": {
            "required": True,
            "content": {kind: {"schema": ref(schema), "example": example} for kind in JSON_TYPES},
        },
        "responses": {"200": success} | _refusals(statuses),
    }


def _acted(
    name: str, summary: str, body: tuple[str, object], success: Schema, statuses: tuple[int, ...] = ACTED
) -> Schema:
    operation = _called(name, summary, body, success, statuses)
    return operation | {"tags": ["Control"], "parameters": [{"$ref": "#/components/parameters/Content-Encoding"}]}


def _notified(name: str) -> Schema:
    """What a FHIR server sends, by either method."""
    return {
        method: {
            "operationId": f"{method}Notification{name}",
            "summary": "A FHIR server says that something came; nothing is read of the body but ids",
            "tags": ["Subscriptions"],
            "security": [{"siteSecret": []}],
            "parameters": [{"$ref": "#/components/parameters/Content-Encoding"}],
            "requestBody": {"content": {kind: {"schema": {"type": "object"}} for kind in JSON_TYPES}},
            "responses": {"200": _answer("Noted.", _json("OperationOutcome", NOTED)), **_refusals((*ACTED, 404))},
        }
        for method in ("post", "put")
    }


def create_blueprint() -> Blueprint:
    """The route."""
    blueprint = Blueprint("openapi", __name__)
    body = msgspec.json.encode(document())

    @blueprint.get("/openapi.json")
    def description() -> Response:
        return cacheable(body, JSON)

    return blueprint
