"""SMART scopes: read in both syntaxes, written in either, and the rights each one gives.

v2 is `patient/Observation.rs?category=survey` with the letters c, r, u, d, s in that order; v1 is
`patient/Observation.read`, `.write` or `.*`. Other scopes (`openid`, `launch` ...) are plain words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl

from cds_service.demo_ehr.codes import Json
from cds_service.demo_ehr.search import ELEMENTS, SearchError, meets, owner

PLAIN = ("openid", "fhirUser", "profile", "launch", "launch/patient", "launch/encounter")
REFRESHING = ("online_access", "offline_access")
WRITABLE = ("QuestionnaireResponse", "Observation", "Task", "ServiceRequest")
ABOUT_USERS = ("Practitioner",)

_V1 = {"read": "rs", "write": "cud", "*": "cruds"}
_SHAPE = re.compile(r"(patient|user|system)/([A-Z][A-Za-z]*|\*)\.(read|write|\*|c?r?u?d?s?)(?:\?(.+))?")


class Syntax(StrEnum):
    """The syntax of granted scopes."""

    AS_ASKED = "as asked"
    V1 = "v1"
    V2 = "v2"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceScope:
    """What one scope allows: `rights` of c, r, u, d, s; `narrowed`: search parameters that a resource must meet."""

    level: str
    resource_type: str
    rights: str
    narrowed: tuple[tuple[str, str], ...] = ()

    def covers(self, right: str, resource_type: str) -> bool:
        """Whether it gives a right on some resource of the type."""
        return right in self.rights and self.resource_type in (resource_type, "*")

    def written(self, syntax: Syntax) -> str:
        """The scope in v1 or v2. v1 has no single rights and no narrowing, so it may allow more."""
        place = f"{self.level}/{self.resource_type}"
        if syntax is Syntax.V2:
            return f"{place}.{self.rights}"
        reads, writes = set("rs") & set(self.rights), set("cud") & set(self.rights)
        return f"{place}.{'*' if reads and writes else 'read' if reads else 'write'}"


def scope_of(text: str) -> ResourceScope | None:
    """A parsed resource scope, or None for a plain word or an undefined form."""
    shape = _SHAPE.fullmatch(text)
    if shape is None or not shape[3]:
        return None
    level, resource_type, rights, query = shape.groups()
    narrowed = tuple(parse_qsl(query or ""))
    return ResourceScope(level=level, resource_type=resource_type, rights=_V1.get(rights, rights), narrowed=narrowed)


def supported(text: str) -> bool:
    """Whether this EHR can grant a scope. It omits scopes it cannot grant, as the specification requires."""
    if text in PLAIN or text in REFRESHING:
        return True
    scope = scope_of(text)
    if scope is None or scope.level == "system" or (scope.level == "user" and scope.resource_type not in ABOUT_USERS):
        return False
    known = ELEMENTS.get(scope.resource_type)
    if scope.resource_type == "*":
        return not scope.narrowed
    return known is not None and all(name in known for name, _ in scope.narrowed)


def supported_of_systems(text: str) -> bool:
    """Whether it can grant a scope to a client itself."""
    return text.startswith("system/") and supported(text.replace("system/", "patient/", 1))


def written(text: str, syntax: Syntax) -> str:
    """A scope in a syntax; plain words and scopes already in it are unchanged."""
    scope = scope_of(text)
    if scope is None or syntax is Syntax.AS_ASKED or (syntax is Syntax.V2 and scope.narrowed):
        return text
    return scope.written(syntax)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedAccess:
    """What the bearer of an access token may do: rights of `scopes`, in one patient's chart, of a system in all."""

    patient: str | None
    user: str
    scopes: tuple[str, ...]

    def of_type(self, right: str, resource_type: str) -> bool:
        """Whether some resource of the type may be read (r), searched (s), created (c) or changed (u)."""
        if right == "r" and resource_type in ABOUT_USERS and "fhirUser" in self.scopes:
            return True
        return any(scope.covers(right, resource_type) for scope in self._resource_scopes())

    def of(self, right: str, resource: Json) -> bool:
        """Whether a right covers this resource: the patient's own, within the narrowing of a scope."""
        resource_type = resource["resourceType"]
        if resource_type in ABOUT_USERS:
            return self.of_type(right, resource_type) and right in "rs"
        own = self.patient is not None and owner(resource) == f"Patient/{self.patient}"
        return any(
            (own or scope.level == "system") and scope.covers(right, resource_type) and _within(resource, scope)
            for scope in self._resource_scopes()
        )

    def _resource_scopes(self) -> list[ResourceScope]:
        return [scope for text in self.scopes if (scope := scope_of(text))]


def _within(resource: Json, scope: ResourceScope) -> bool:
    try:
        return all(meets(resource, name, value) for name, value in scope.narrowed)
    except SearchError:
        return False
