"""Writes to a FHIR server that a person has confirmed: one resource at a time, each at most once.

A resource is created only if none with its identifier exists (If-None-Exist). When the answer is lost, the chart is
searched for the identifier, and nothing is sent a second time on a guess. As in `client`, the token goes only below the
base, and no redirect is followed. Errors name the kind of failure; of an OperationOutcome only codes and element names
are kept, never its text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import msgspec

from fhir_adapters.access.addresses import is_base, plain_id, same_base
from fhir_adapters.access.client import ACCEPT, FhirClient
from fhir_adapters.access.exchange import Reply, exchange
from fhir_adapters.errors import (
    FetchFailed,
    NotReached,
    NotValid,
    WriteConflict,
    WriteElsewhere,
    WriteFailed,
    WriteInvalid,
    WriteRefused,
    WriteUnknown,
)
from fhir_adapters.writing.completed import ID

WRITTEN_TYPES = ("QuestionnaireResponse", "Observation", "Task", "ServiceRequest")
REFERENCE = re.compile(rf"({'|'.join(WRITTEN_TYPES)})/{ID}")
ELEMENT = re.compile(r"[A-Za-z]{1,40}(?:(?:\.[A-Za-z]{1,40}|\[\d{1,3}\])){0,8}")
ISSUE = re.compile(r"[a-z-]{1,30}")
MOST_ISSUES = 5
IN_ERROR = "entered-in-error"
# Status of servers that do not support the condition; 412 can also mean that several match.
NO_CONDITION = (400, 404, 405, 501)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteResult:
    """A resource in the chart. `existing`: it was there before this attempt."""

    reference: str
    existing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirWriter:
    """Writes below `base` with `token` until `deadline` (time.monotonic seconds), into the chart of one patient.

    `patient` is an id; None for what belongs to no chart.
    """

    base: str
    token: str
    patient: str | None
    deadline: float

    def create(self, resource: dict[str, Any]) -> WriteResult:
        """Creates a resource with an identifier unless the chart has it. Raises WriteFailed."""
        kind, system, value = resource["resourceType"], *_identifier(resource)
        try:
            reply = self._post(kind, resource, {"If-None-Exist": f"identifier={system}|{value}"})
            if reply.status in NO_CONDITION:
                # Nothing was written: search for it, then create it without a condition.
                reference = self._search(kind, system, value)
                if reference:
                    return WriteResult(reference=reference, existing=True)
                reply = self._post(kind, resource, {})
            return self._result(kind, reply, system, value)
        except WriteUnknown:
            reference = self._search(kind, system, value)
            if reference is None:
                raise
            return WriteResult(reference=reference, existing=True)

    def find(self, kind: str, system: str, value: str) -> str | None:
        """The reference of this patient's resource with that identifier, or None. Raises FetchFailed.

        Filtered here as well: servers that do not know the parameter return everything.
        """
        client = FhirClient(base=self.base, token=self.token, deadline=self.deadline)
        sought = quote(f"{system}|{value}", safe="")
        whose = f"&patient={quote(plain_id(self.patient), safe='')}" if self.patient is not None else ""
        pages = client.get(f"{kind}?identifier={sought}{whose}")
        for resource in (entry for page in pages for entry in _entries(page.text)):
            reference = f"{kind}/{resource.get('id')}"
            if self._ours(resource, kind, system, value) and REFERENCE.fullmatch(reference):
                return reference
        return None

    def mark_entered_in_error(self, reference: str, system: str, value: str) -> None:
        """Marks a resource written here as entered in error. Raises FetchFailed (not read) or WriteFailed (not marked).

        Only a resource of this patient with that identifier, and only in the version read.
        """
        kind = reference.partition("/")[0]
        if not REFERENCE.fullmatch(reference):
            raise WriteConflict("expected the reference of something that was written here")
        reply = self._send("GET", reference, None, {})
        resource = _object(reply.body) if reply.status == 200 else {}
        if not resource:
            raise _failure(reply, "expected to read what was written")
        if not self._ours(resource, kind, system, value):
            raise WriteConflict("expected what was written here for this patient; found another resource")
        if resource.get("status") == IN_ERROR:
            return
        version = _version(reply, resource)
        headers = {"If-Match": version} if version else {}
        reply = self._send("PUT", reference, resource | {"status": IN_ERROR}, headers)
        if reply.status not in (200, 201):
            raise _failure(reply, "the chart did not mark it as entered in error")

    def _search(self, kind: str, system: str, value: str) -> str | None:
        try:
            return self.find(kind, system, value)
        except FetchFailed as error:
            raise WriteUnknown("the chart could not be searched for what was written") from error

    def _ours(self, resource: dict[str, Any], kind: str, system: str, value: str) -> bool:
        owner = resource.get("for" if kind == "Task" else "subject")
        named = owner.get("reference") if isinstance(owner, dict) else None
        held = resource.get("identifier")
        identifiers = held if isinstance(held, list) else [held]
        known = any(isinstance(i, dict) and (i.get("system"), i.get("value")) == (system, value) for i in identifiers)
        return resource.get("resourceType") == kind and known and self._is_patient(named)

    def _is_patient(self, reference: object) -> bool:
        if not isinstance(reference, str) or self.patient is None:
            return reference is None and self.patient is None
        start, _, name = reference.partition("/_history/")[0].rpartition("Patient/")
        return name == self.patient and (not start or same_base(start, self.base))

    def _post(self, kind: str, resource: dict[str, Any], headers: dict[str, str]) -> Reply:
        return self._send("POST", kind, resource, headers)

    def _send(self, method: str, path: str, resource: dict[str, Any] | None, headers: dict[str, str]) -> Reply:
        """One request. Raises WriteFailed when nothing was sent, WriteUnknown when no answer came."""
        sent = {"Authorization": f"Bearer {self.token}", "Accept": ACCEPT} | headers
        body = None
        if resource is not None:
            sent |= {"Content-Type": ACCEPT, "Prefer": "return=minimal"}
            body = msgspec.json.encode(resource)
        try:
            return exchange(method, f"{self.base.rstrip('/')}/{path}", sent, body, self.deadline)
        except NotReached as error:
            raise WriteFailed("the chart could not be reached; nothing was sent") from error
        except FetchFailed as error:
            raise WriteUnknown(f"no answer to what was sent: {error}") from error

    def _result(self, kind: str, reply: Reply, system: str, value: str) -> WriteResult:
        if reply.status not in (200, 201):
            raise _failure(reply, "the chart did not take it")
        reference = self._reference(kind, reply)
        matched = reply.status == 200 and not self._ours(_object(reply.body), kind, system, value)
        if reference is None or matched:
            # 200 means an existing match: a server that does not know the parameter matches anything.
            reference = self._search(kind, system, value)
        if reference is None:
            raise WriteUnknown("the chart took it and did not say under which name")
        return WriteResult(reference=reference, existing=reply.status == 200)

    def _reference(self, kind: str, reply: Reply) -> str | None:
        """The reference of the new resource: from the body, else from a Location below the base."""
        body = _object(reply.body)
        named = f"{kind}/{body.get('id')}" if body.get("resourceType") == kind else ""
        if REFERENCE.fullmatch(named):
            return named
        base = self.base.rstrip("/") + "/"
        try:
            place = urljoin(base, reply.headers.get("Location", "")).partition("/_history/")[0]
            start, _, name = place.rpartition(f"/{kind}/")
            inside = is_base(place) and not urlsplit(place).query and same_base(start, base)
        except ValueError:
            return None
        return f"{kind}/{name}" if inside and REFERENCE.fullmatch(f"{kind}/{name}") else None


def _identifier(resource: dict[str, Any]) -> tuple[str, str]:
    """System and value of its one identifier. Raises NotValid."""
    held = resource.get("identifier")
    only = held[0] if isinstance(held, list) and len(held) == 1 else held
    if not isinstance(only, dict) or not only.get("system") or not only.get("value"):
        raise NotValid("expected one identifier on what is to be written")
    return only["system"], only["value"]


def _failure(reply: Reply, what: str) -> WriteFailed:
    """The error of an unsuccessful status."""
    status = reply.status
    issues = ", ".join(_issues(reply.body))
    words = f"{what} ({status}{f': {issues}' if issues else ''})"
    if status in (401, 403):
        return WriteRefused(words)
    if status in (409, 412):
        return WriteConflict(words)
    if 300 <= status < 400:
        return WriteElsewhere(words)
    if status == 429:
        return WriteFailed(words)
    return WriteInvalid(words) if 400 <= status < 500 else WriteUnknown(words)


def _issues(body: bytes) -> Iterator[str]:
    """Code and elements of each issue of an OperationOutcome; its text could quote the chart."""
    outcome = _object(body)
    issues = outcome.get("issue") if outcome.get("resourceType") == "OperationOutcome" else None
    for issue in issues[:MOST_ISSUES] if isinstance(issues, list) else ():
        if not isinstance(issue, dict):
            continue
        code = issue.get("code")
        if isinstance(code, str) and ISSUE.fullmatch(code):
            places = issue.get("expression")
            known = (
                [p for p in places if isinstance(p, str) and ELEMENT.fullmatch(p)] if isinstance(places, list) else []
            )
            yield " ".join((code, *known[:MOST_ISSUES]))


def _version(reply: Reply, resource: dict[str, Any]) -> str | None:
    """The version read, for If-Match; None when the server has no versions."""
    tag = reply.headers.get("ETag")
    if tag and re.fullmatch(r'(?:W/)?"[A-Za-z0-9.\-]{1,128}"', tag):
        return tag
    meta = resource.get("meta")
    version = meta.get("versionId") if isinstance(meta, dict) else None
    return f'W/"{version}"' if isinstance(version, str) and re.fullmatch(r"[A-Za-z0-9.\-]{1,64}", version) else None


def _entries(text: bytes) -> Iterator[dict[str, Any]]:
    entries = _object(text).get("entry")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("resource"), dict):
            yield entry["resource"]


def _object(text: bytes) -> dict[str, Any]:
    """A JSON object; an empty one for anything else."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
