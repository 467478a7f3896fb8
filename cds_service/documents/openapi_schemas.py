"""The schemas and examples of `/openapi.json`: msgspec schemas of the wire types, narrowed to what we accept and send.

Rules that a schema cannot express (ids that must agree, a member that requires another) are in the descriptions.
Examples are made up.
"""

from __future__ import annotations

from typing import Any

import msgspec

from cds_service.cards.drafts import OVERRIDE_SYSTEM, TOPIC_SYSTEM, topic_coding
from cds_service.cards.wire import CardsResponse, HookRequest
from cds_service.control.acts import MOST_REASON, MOST_WHO
from cds_service.control.opt_outs import MOST_AT_ONCE, OptOutAct
from cds_service.hooks.catalogue import HOOK_VERSION, SERVICES, SPECIFICATION
from cds_service.hooks.control_routes import OptOutBody, SwitchBody
from cds_service.hooks.escalation_routes import MOST_WHO as MOST_BY
from cds_service.hooks.escalation_routes import AcknowledgementBody
from cds_service.hooks.feedback import MOST_CODE, MOST_COMMENT, MOST_ITEMS, OUTCOMES, FeedbackItem
from cds_service.settings.service_ids import ServiceId
from explanations.words.language import language
from fhir_adapters.writing.drafts import PHQ9
from models.inputs.outcomes import OUTCOMES as MODELLED
from models.rules.findings import Topic

HOME = "#/components/schemas/"
# Non-ASCII letters are also accepted in ids and codes.
PRINTABLE = "^[ -~]*$"
# Printable, except characters that could change the target of a URL.
BARE = r"[A-Za-z0-9._~:+=@$!*,;^{|}-]{1,256}"
# Without the signs that a search reads as more than one id.
PLAIN = r"[A-Za-z0-9._~:+=@!^{}-]{1,256}"
TIME = "([01][0-9]|2[0-3]):[0-5][0-9]"
MOMENT = f"^[0-9]{{4}}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt ]{TIME}:[0-5][0-9](\\.[0-9]+)?([Zz]|[+-]{TIME})$"
UUID = "7d5c0c1e-6f0b-4f5e-9a51-0c1f5b1f2a10"

Schema = dict[str, Any]


def schemas() -> Schema:
    """All schemas, by name."""
    _, components = msgspec.json.schema_components(
        [HookRequest, CardsResponse, FeedbackItem, SwitchBody, OptOutBody, AcknowledgementBody],
        ref_template=HOME + "{name}",
    )
    for name, members in NARROWED.items():
        for member, words in members.items():
            components[name]["properties"][member] |= words
    components["Context"]["required"] = ["userId", "patientId"]
    components["Context"]["properties"] |= CONTEXT
    for name, description in DESCRIPTIONS.items():
        components[name]["description"] = description
    for name, rule in RULES.items():
        components[name] |= rule
    return components | WRITTEN


NOT_DOTS: Schema = {"not": {"enum": [".", ".."]}}


def text(words: str, **more: object) -> Schema:
    """A required, non-empty string."""
    return {"type": "string", "minLength": 1, "description": words, **more}


def _list(items: Schema, **more: object) -> Schema:
    return {"type": "array", "items": items, **more}


def _nullable(**schema: object) -> Schema:
    return {"anyOf": [{"type": "string", **schema}, {"type": "null"}]}


def _object(required: dict[str, Schema], optional: dict[str, Schema] | None = None, words: str = "") -> Schema:
    schema = {"type": "object", "properties": required | (optional or {}), "required": [*required]}
    return schema | ({"description": words} if words else {})


def ref(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": HOME + name}


# Narrower than what is taken: other hosts, such as an address in brackets, can be a base too.
SERVER = r"https?://[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:[0-9]{1,4})?(/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?"
# More is required than in the type, whose members have defaults so that missing ones can be named.
CONTEXT: Schema = {
    "userId": text(
        "For example Practitioner/123.",
        pattern=f"^(Practitioner|PractitionerRole|Patient|RelatedPerson)/{BARE}$",
        **{"not": {"pattern": r"/\.\.?$"}},
    ),
    "patientId": text("A bare FHIR id.", pattern=f"^{PLAIN}$", **NOT_DOTS),
    "encounterId": _nullable(pattern=f"^({BARE})?$", **NOT_DOTS)
    | {"description": f"A bare FHIR id. Required by {' and '.join(s.hook for s in SERVICES if s.needs_encounter)}."},
}
NARROWED: dict[str, dict[str, Schema]] = {
    "HookRequest": {
        "hook": {"enum": [s.hook for s in SERVICES], "description": "The hook of the service that is called."},
        "hookInstance": {"minLength": 1, "description": "One id for this call; a UUID."},
        "fhirServer": _nullable(pattern=f"^({SERVER})?$")
        | {"description": "Base of the client's FHIR server. Required with fhirAuthorization."},
        "fhirAuthorization": {"description": "Access to what is not in prefetch, at fhirServer only."},
        "prefetch": {
            "description": "By the keys of discovery: a resource, a Bundle or an OperationOutcome. null says that "
            "there is nothing; a key that is left out was not looked for."
        },
    },
    "FhirAuthorization": {
        "access_token": {"minLength": 1, "pattern": "^[ -~]+$"},
        "token_type": _nullable(pattern="^([Bb][Ee][Aa][Rr][Ee][Rr])?$"),
        "patient": {"description": "When sent, the patient of the context."},
        "subject": {"description": "When sent, this service's client id at the site."},
    },
    "Card": {
        "uuid": {"format": "uuid"},
        "summary": {"minLength": 1, "maxLength": 139},
        "detail": {"description": "Markdown without HTML."},
        "indicator": {"enum": ["info", "warning", "critical"]},
        "suggestions": {"minItems": 1},
        "selectionBehavior": {"enum": ["any"]},
        "overrideReasons": {"minItems": 1, "description": f"Codes of {OVERRIDE_SYSTEM}."},
        "links": {"minItems": 1},
    },
    "Source": {"topic": {"description": f"A code of {TOPIC_SYSTEM}: {', '.join(t.value for t in Topic)}."}},
    "Suggestion": {"uuid": {"format": "uuid"}, "actions": {"minItems": 1}},
    "Action": {
        "type": {"enum": ["create"]},
        "resource": {"description": "A FHIR R4 ServiceRequest or Task with status draft."},
    },
    "Link": {"url": {"format": "uri"}, "type": {"enum": ["absolute"]}},
    "FeedbackItem": {
        "card": text("The uuid of the card.", maxLength=MOST_CODE, pattern=PRINTABLE),
        "outcome": {"enum": [*OUTCOMES]},
        "outcomeTimestamp": {"pattern": MOMENT, "description": "RFC 3339, with its zone."},
        "acceptedSuggestions": {"description": "Required with outcome accepted."},
    },
    "AcceptedSuggestion": {"id": text("The uuid of the suggestion.", maxLength=MOST_CODE, pattern=PRINTABLE)},
    "FeedbackOverride": {
        "reason": {"description": "Required when there is no userComment."},
        "userComment": _nullable(maxLength=MOST_COMMENT) | {"description": "Kept encrypted."},
        "code": _nullable(maxLength=MOST_CODE, pattern=PRINTABLE) | {"description": "An older shape of reason.code."},
        "system": _nullable(maxLength=MOST_CODE, pattern=PRINTABLE) | {"description": "As code."},
    },
    "FeedbackReason": {name: _nullable(maxLength=MOST_CODE, pattern=PRINTABLE) for name in ("code", "system")},
    "AcknowledgementBody": {
        "id": {"maxLength": MOST_BY, "description": "As data.id of the message has it."},
        "by": {"maxLength": MOST_BY, "description": "Who has it, for the record; without it the contact."},
    },
    **{
        kind: {
            "site": text("The id of the site; one that the issuer is registered for."),
            "by": text("Who does this. It is recorded.", maxLength=MOST_WHO),
            "reason": text("Why. It is recorded; no patient's name or id.", maxLength=MOST_REASON),
            **members,
        }
        for kind, members in {
            "SwitchBody": {
                "service": {"enum": ["", *ServiceId], "description": "One service, or the SMART app."},
                "model": {"enum": ["", *MODELLED], "description": "One model, wherever it speaks. Not with topic."},
                "topic": {"enum": ["", *Topic], "description": "Cards of one topic; safety needs a second person."},
            },
            "OptOutBody": {
                "patients": _list(text("As the EHR sends it in context.patientId."), minItems=1, maxItems=MOST_AT_ONCE)
            },
        }.items()
    },
}
DESCRIPTIONS = {
    "SwitchBody": "What to switch: everything at the site, unless a service, model or topic is named.",
    "OptOutBody": "Patients to put on the list of opt-outs, or to take off it. Only their pseudonyms are kept.",
    "AcknowledgementBody": "That somebody has it. Repeating it changes nothing, and says who was first.",
    "HookRequest": "A call of a hook. Members that are not known here are ignored at every level.",
    "Context": "Other members of the hook's context are ignored.",
    "FhirAuthorization": "The access token goes to fhirServer only and is neither logged nor kept.",
    "CardsResponse": "An empty list: looked, nothing to say, or nothing new since this user was shown the same gap.",
    "Coding": "Code, system and display, always all three.",
    "FeedbackItem": "What became of one card. Other members are ignored.",
    "FeedbackOverride": "Why the card was overridden: a coded reason, a comment, or both.",
    "FeedbackReason": "One of the card's overrideReasons, or a code of the client's own.",
}
# Members that require each other.
RULES: dict[str, Schema] = {
    "HookRequest": {
        "if": {"required": ["fhirAuthorization"], "properties": {"fhirAuthorization": {"type": "object"}}},
        "then": {"required": ["fhirServer"], "properties": {"fhirServer": {"type": "string", "minLength": 1}}},
    },
    "FeedbackItem": {
        "if": {"properties": {"outcome": {"const": "accepted"}}},
        "then": {
            "required": ["acceptedSuggestions"],
            "properties": {"acceptedSuggestions": {"type": "array", "minItems": 1}},
        },
    },
    "FeedbackOverride": {
        "anyOf": [
            {"required": ["userComment"], "properties": {"userComment": {"type": "string", "minLength": 1}}},
            {"required": ["reason"], "properties": {"reason": _object({"code": {"type": "string", "minLength": 1}})}},
            {
                "required": ["code"],
                "properties": {"code": {"type": "string", "minLength": 1}, "reason": {"type": "null"}},
            },
        ]
    },
}

WRITTEN: Schema = {
    "OperationOutcome": _object(
        {
            "resourceType": {"const": "OperationOutcome"},
            "issue": {
                "type": "array",
                "minItems": 1,
                "items": _object(
                    {
                        "severity": {"enum": ["error", "information"]},
                        "code": text("A FHIR issue type."),
                        "diagnostics": text("What was expected, what was found. Quotes nothing of the chart."),
                    }
                ),
            },
        },
        words="A FHIR R4 OperationOutcome: why there is no other answer, or that a notification was noted.",
    ),
    "Discovery": _object(
        {
            "services": {
                "type": "array",
                "items": _object(
                    {
                        "id": {"enum": [s.id for s in SERVICES]},
                        "hook": {"enum": [s.hook for s in SERVICES]},
                        "title": text("For lists."),
                        "description": text("What it does."),
                        "usageRequirements": text("What it needs."),
                        "version": {"const": SPECIFICATION},
                        "hookVersion": {"const": HOOK_VERSION},
                        "prefetch": {
                            "type": "object",
                            "additionalProperties": text("A FHIR query with tokens of the context in it."),
                        },
                    }
                ),
            },
            "extension": {"type": "object", "description": "The address of the data needs, by reverse domain."},
        },
        words="The services on offer (CDS Hooks 2.0, Discovery).",
    ),
    "DataNeeds": _object(
        {
            "needs": _list(
                {"type": "object", "description": "Queries, elements, codes, look-back and purpose of a prefetch key."}
            ),
            "never": _list({"type": "string"}),
        },
        words="What is read from a chart and why.",
    ),
    "FeedbackRequest": {
        "description": "A batch, or one item that stands alone. All of it is stored or none.",
        "anyOf": [
            _object({"feedback": _list(ref("FeedbackItem"), minItems=1, maxItems=MOST_ITEMS)}),
            ref("FeedbackItem"),
        ],
    },
    "FeedbackReceipt": _object(
        {
            "received": {"type": "integer", "minimum": 1, "description": "Items in the body."},
            "stored": {"type": "integer", "minimum": 0, "description": "Those that were new."},
        }
    ),
    "SwitchReceipt": _object(
        {
            "done": {"type": "boolean", "description": "False where nothing had to change."},
            "pending": {"type": "boolean", "description": "Whether a second person has to confirm it first."},
            "id": {"type": "string", "description": "Of the switch, to confirm it by."},
            "said": text("The same in words."),
        }
    ),
    "OptOutReceipt": _object(
        {
            "site": text("As sent."),
            "act": {"enum": [*OptOutAct]},
            "changed": {"type": "integer", "minimum": 0, "description": "How many were put on the list, or off it."},
            "unchanged": _list({"type": "integer", "minimum": 1}, description="Places, from 1, where nothing changed."),
        }
    ),
    "AcknowledgementReceipt": _object(
        {
            "id": text("As sent."),
            "first": {"type": "boolean", "description": "Whether it was this acknowledgement, or an earlier one."},
            "by": text("Who has it."),
            "at": text("Since when, in UTC."),
        }
    ),
    "Liveness": _object({"status": {"const": "live"}}),
    "Readiness": _object(
        {
            "status": {"enum": ["ready", "degraded", "not-ready"]},
            "checks": _object(
                {
                    name: text("ok, or what is wrong.")
                    for name in ("store", "models", "configuration", "switches", "escalations")
                }
            ),
        }
    ),
    "PageForm": {
        "type": "object",
        "description": "A form of a page of the app, with the token of its session. Its other fields are the page's.",
        "properties": {"csrf": {"type": "string", "minLength": 1}},
        "required": ["csrf"],
    },
    "JwkSet": _object(
        {"keys": {"type": "array", "items": {"type": "object", "required": ["kty", "kid"], "not": {"required": ["d"]}}}}
    ),
    "ModelCards": _object(
        {
            "models": {
                "type": "array",
                "items": _object(
                    {
                        "outcome": {"enum": [*MODELLED]},
                        "version": text("Of the artifact."),
                        "summary": {"type": "string"},
                        "headline": _list({"type": "object"}),
                        "limits": _list({}),
                        "breaches": _list({"type": "object"}),
                        "source_attributes": _list(
                            _object({"number": {"type": "integer"}, "name": text("As HTI-1 has it."), "value": {}})
                        ),
                        "applied_model_card": {"type": "object"},
                        "local": {"type": "object", "description": "What the site says of the model."},
                        "here": _object(
                            {
                                "known": {"type": "boolean", "description": "False while the store cannot be read."},
                                "published": _list({"type": "object"}),
                                "measured": {"type": "integer", "description": "Sites that publish no figures."},
                                "not_measured": {"type": "integer"},
                            },
                            words="What the sites' own outcomes say.",
                        ),
                    }
                ),
            },
            "not_loaded": _list(
                _object({"outcome": {"enum": [*MODELLED]}}, optional={"version": text("If a site keeps it.")})
            ),
        },
        words="Source attributes and applied model card of each deployed model.",
    ),
    "Description": _object(
        {"openapi": text("Of which version it is."), "info": {"type": "object"}, "paths": {"type": "object"}}
    ),
}

# ---- examples: nobody's data ----

HOOK_CALL = {
    "hook": "patient-view",
    "hookInstance": UUID,
    "context": {"userId": "Practitioner/example", "patientId": "example"},
    "prefetch": {
        "patient": {"resourceType": "Patient", "id": "example", "birthDate": "1980-01-01"},
        "screening": {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [
                {
                    "resource": {
                        "resourceType": "Observation",
                        "id": "example-item-9",
                        "status": "final",
                        "subject": {"reference": "Patient/example"},
                        "code": {"coding": [{"system": "http://loinc.org", "code": "44260-8"}]},
                        "effectiveDateTime": "2026-11-20",
                        "valueCodeableConcept": {"coding": [{"system": "http://loinc.org", "code": "LA6569-3"}]},
                    }
                }
            ],
        },
        "conditions": None,
        "questionnaires": None,
    },
}
CARDS = {
    "cards": [
        {
            "uuid": UUID,
            "summary": "PHQ-9 item 9 “several days”, 3 days ago. Ask about thoughts of suicide today.",
            "detail": "**In the chart**\n\n- PHQ-9 item 9: several days, 20 Nov 2026, `Observation/example-item-9`",
            "indicator": "warning",
            "source": {
                "label": "mental-health-cds: documented answers",
                "topic": msgspec.to_builtins(topic_coding(Topic.POSITIVE_SAFETY_ANSWER, language())),
            },
            "suggestions": [
                {
                    "label": "Draft order: PHQ-9, today",
                    "uuid": "0e0c6a5e-2a5c-4a0e-8c4e-6f6f0f6b1d11",
                    "actions": [
                        {
                            "type": "create",
                            "description": "Draft order: PHQ-9, today",
                            "resource": {
                                "resourceType": "ServiceRequest",
                                "status": "draft",
                                "intent": "proposal",
                                "code": {"coding": [msgspec.to_builtins(PHQ9)]},
                                "subject": {"reference": "Patient/example"},
                            },
                        }
                    ],
                }
            ],
            "selectionBehavior": "any",
            "overrideReasons": [
                {"code": "will-assess", "system": OVERRIDE_SYSTEM, "display": "Will ask during this visit"}
            ],
            "links": [{"label": "A guideline", "url": "https://guideline.example/page", "type": "absolute"}],
        }
    ]
}
FEEDBACK = {
    "feedback": [
        {
            "card": UUID,
            "outcome": "overridden",
            "outcomeTimestamp": "2026-11-23T15:04:05Z",
            "overrideReason": {"reason": {"code": "will-assess", "system": OVERRIDE_SYSTEM}},
        }
    ]
}
SWITCH = {
    "site": "north",
    "state": "off",
    "model": "depression",
    "by": "A. Smith",
    "reason": "Reports of wrong prompts",
}
SWITCHED = {
    "done": True,
    "pending": False,
    "id": "5f0c2a91",
    "said": "Switched off from the next call on: model depression at site north (5f0c2a91).",
}
ESCALATION_ID = "5f0c2a91d3e4"
ACKNOWLEDGED = {
    "id": ESCALATION_ID,
    "first": True,
    "by": "R. Example, on call",
    "at": "2026-11-30T18:02:11+00:00",
}
OPT_OUTS = {"site": "north", "act": "add", "patients": ["example"], "by": "Registration", "reason": "Form 12"}
OPTED_OUT = {"site": "north", "act": "add", "changed": 1, "unchanged": []}
OUTCOME = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "invalid", "diagnostics": "hook: expected patient-view at this address"}],
}
NOTED = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "information", "code": "informational", "diagnostics": "noted"}],
}
