"""Bytes to `HookRequest`; a malformed or contradictory member raises BadRequest, which names it."""

from __future__ import annotations

import re

import msgspec

from cds_service.cards.wire import HOOK_REQUEST, Context, FhirAuthorization, HookRequest
from cds_service.errors import BadRequest
from cds_service.hooks.catalogue import Service
from fhir_adapters.access.addresses import is_bare, is_base, is_plain
from fhir_adapters.duplicates import TOO_DEEP, repeated
from fhir_adapters.facts import ChartPart
from fhir_adapters.surrogates import without_halves

CLINICIANS = ("practitioner", "practitionerrole")
USERS = (*CLINICIANS, "patient", "relatedperson")


def parse(service: Service, body: bytes) -> HookRequest:
    """The checked request of a service. Raises BadRequest."""
    hook = decode(body)
    if hook.hook != service.hook:
        raise BadRequest(f"hook: expected {service.hook} at this address")
    check_context(service, hook)
    return hook


def decode(body: bytes) -> HookRequest:
    """A hook request from its JSON, checked member by member. Raises BadRequest."""
    body = without_halves(body)
    try:
        body.decode()
        hook = HOOK_REQUEST.decode(body)
    except msgspec.ValidationError as error:
        raise BadRequest(str(error)) from error
    except UnicodeDecodeError as error:
        raise BadRequest("expected JSON in UTF-8; found another encoding") from error
    except RecursionError as error:
        raise BadRequest("the body is nested too deeply") from error
    except msgspec.DecodeError as error:
        raise BadRequest("expected one JSON object; found something that is not JSON") from error
    check_once(body, hook)
    if not hook.hook or not hook.hook_instance:
        raise BadRequest("hook and hookInstance: expected a non-empty string")
    check_ids(hook)
    check_grant(hook)
    return hook


def check_once(body: bytes, hook: HookRequest) -> None:
    """No member that is read may stand twice: only the last was kept. Raises BadRequest."""
    known = {"prefetch": hook.prefetch or {}, "context": {}, "fhirAuthorization": {}}
    for path in repeated(body, known):
        if path in READ_MEMBERS or path.startswith("prefetch."):
            # A key that is not one of ours may be anything, so it is not repeated.
            named = path if path in READ_MEMBERS or KEY.fullmatch(path) else "a key of prefetch"
            raise BadRequest(f"{named}: expected once; found twice")
        if path == TOO_DEEP:
            raise BadRequest("the body is nested too deeply")


# A key of a template, or of the one Bundle that may replace them.
PARTS = "|".join(ChartPart)
KEY = re.compile(rf"prefetch\.((?:{PARTS})(?:-[a-z0-9]{{1,20}})?|resourceType|type|total|entry|link)")
READ_MEMBERS = frozenset(
    f"{path}{field.encode_name}"
    for path, kind in (("", HookRequest), ("context.", Context), ("fhirAuthorization.", FhirAuthorization))
    for field in msgspec.structs.fields(kind)
)


def check_context(service: Service, hook: HookRequest) -> None:
    """Checks what the hook definition requires beyond user and patient. Raises BadRequest."""
    if service.needs_encounter and not hook.context.encounter_id:
        raise BadRequest(f"context.encounterId: required by {service.hook}; found none")


def check_grant(hook: HookRequest) -> None:
    """A server must be named by its base; access, if granted, be for it and for this patient. Raises BadRequest."""
    if hook.fhir_server and not is_base(hook.fhir_server):
        raise BadRequest(
            "fhirServer: expected the base of a FHIR server, such as https://ehr.example/fhir, without user "
            "information, ?, #, backslash or blanks"
        )
    granted = hook.fhir_authorization
    if granted is None:
        return
    if not hook.fhir_server:
        raise BadRequest("fhirServer: required when fhirAuthorization is sent")
    if granted.patient is not None and granted.patient != hook.context.patient_id:
        raise BadRequest("fhirAuthorization.patient: expected the patient of the context")
    if not granted.access_token or not granted.access_token.isascii() or not granted.access_token.isprintable():
        raise BadRequest("fhirAuthorization.access_token: expected printable ASCII")
    if (granted.token_type or "bearer").lower() != "bearer":
        raise BadRequest("fhirAuthorization.token_type: expected Bearer")


def check_ids(hook: HookRequest) -> None:
    """Ids end up in URLs and drafts, so they must be bare. Raises BadRequest."""
    context = hook.context
    if not context.patient_id:
        raise BadRequest("context.patientId: expected the id of the patient; found none")
    if not is_bare(context.patient_id):
        raise BadRequest("context.patientId: expected a bare Patient id, without Patient/ before it")
    if not is_plain(context.patient_id):
        raise BadRequest("context.patientId: expected an id without signs that a FHIR search reads as more than one")
    if context.encounter_id and not is_bare(context.encounter_id):
        raise BadRequest("context.encounterId: expected a bare Encounter id")
    if context.user_kind not in USERS or not is_bare((context.user_id or "").partition("/")[2]):
        raise BadRequest(
            "context.userId: expected Practitioner, PractitionerRole, Patient or RelatedPerson, / and an id"
        )
