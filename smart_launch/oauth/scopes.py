"""SMART scopes, versions 1 and 2: what we request, and what was granted.

A server may grant less than requested, or answer in the other version's syntax (SMART-038, 039, 042), so granted scopes
are parsed and looked up by resource type and right: `grants(scopes, "Observation", "c")`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl

READ, SEARCH, CREATE = "r", "s", "c"
# What the pages show and the forms write; `u` serves to mark a new entry as entered in error.
READ_TYPES = (
    "Patient", "Observation", "QuestionnaireResponse", "Condition", "MedicationRequest", "Medication", "Encounter",
    "Procedure", "RiskAssessment", "CarePlan", "Appointment",
)  # fmt: skip
STEPS = ("CarePlan", "Appointment")
"""What only the steps after a finding need: without them nothing else is missing."""
CONSENT = "Consent"
WRITTEN = {"QuestionnaireResponse": "cu", "Observation": "cu", "Task": "c", "ServiceRequest": "c"}
VERSION_1 = {"read": "rs", "write": "cud", "*": "cruds"}
SCOPE = re.compile(
    r"(?P<who>patient|user|system)/(?P<kind>[A-Za-z]+|\*)\.(?P<rights>read|write|\*|c?r?u?d?s?)(?:\?(?P<filters>.+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataScope:
    """One data scope. `filters`: restrict it to matching resources of the type."""

    kind: str
    rights: frozenset[str]
    filters: tuple[tuple[str, str], ...] = ()


def parse_scope(text: str) -> DataScope | None:
    """A data scope; None for other scopes (openid, launch) and other text."""
    match = SCOPE.fullmatch(text)
    if match is None or not match["rights"]:
        return None
    rights = VERSION_1.get(match["rights"], match["rights"])
    filters = tuple(parse_qsl(match["filters"] or "", keep_blank_values=True))
    return DataScope(kind=match["kind"], rights=frozenset(rights), filters=filters)


def split_scopes(text: str) -> tuple[str, ...]:
    """The scopes of a token response, without duplicates."""
    return tuple(dict.fromkeys(text.split()))


def grants(scopes: Iterable[str], kind: str, right: str) -> bool:
    """Whether any scope grants this right on this type, even if only for some resources."""
    return any(right in scope.rights for scope in _on_type(scopes, kind))


def reads_part_only(scopes: Iterable[str], kind: str) -> bool:
    """Whether only part of a type can be read: hidden answers must not look absent."""
    readable = [scope for scope in _on_type(scopes, kind) if scope.rights & {READ, SEARCH}]
    return bool(readable) and all(scope.filters for scope in readable)


def _on_type(scopes: Iterable[str], kind: str) -> list[DataScope]:
    return [scope for text in scopes if (scope := parse_scope(text)) and scope.kind in (kind, "*")]


def default_scopes(
    *,
    ehr_launch: bool,
    version_2: bool,
    consents: bool,
    write_back: bool,
    online: bool,
    supported: Iterable[str] = (),
) -> tuple[str, ...]:
    """Scopes for the user's identity and for what the pages read and write; no wildcards (SMART-046).

    supported: what the EHR lists. One that lists data but not what only the steps need may refuse a launch for it.
    """
    context = ("launch",) if ehr_launch else ("launch/patient",)
    listed = {scope.kind for text in supported if (scope := parse_scope(text))}
    kinds = [kind for kind in READ_TYPES if kind not in STEPS or not listed or listed & {kind, "*"}]
    kinds += [CONSENT] if consents else []
    return (
        *context,
        "openid",
        "fhirUser",
        *(("online_access",) if online else ()),
        *(f"patient/{kind}.{_rights(kind, version_2=version_2, write_back=write_back)}" for kind in kinds),
        *(_writing(version_2=version_2) if write_back else ()),
    )


def configured_scopes(scopes: Iterable[str], *, ehr_launch: bool) -> tuple[str, ...]:
    """The site's own scopes, with the right launch scope for this kind of launch (SMART-013)."""
    context = "launch" if ehr_launch else "launch/patient"
    return (context, *(scope for scope in scopes if scope not in ("launch", "launch/patient")))


def _rights(kind: str, *, version_2: bool, write_back: bool) -> str:
    if not version_2:
        return "read"
    written = WRITTEN.get(kind, "") if write_back else ""
    return "".join(letter for letter in "cruds" if letter in f"rs{written}")


def _writing(*, version_2: bool) -> tuple[str, ...]:
    """Write scopes: in version 2 only for types that are not also read; in version 1 for all."""
    if version_2:
        return tuple(f"patient/{kind}.{rights}" for kind, rights in WRITTEN.items() if kind not in READ_TYPES)
    return tuple(f"patient/{kind}.write" for kind in WRITTEN)


def not_granted(requested: Iterable[str], granted: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """(type, right) requested but not granted; right is r (read or search) or c (create)."""
    granted = tuple(granted)
    lacking = [
        (scope.kind, right)
        for text in requested
        if (scope := parse_scope(text))
        for right, letters in ((READ, {READ, SEARCH}), (CREATE, {CREATE}))
        if scope.rights & letters and not any(grants(granted, scope.kind, letter) for letter in letters)
    ]
    return tuple(dict.fromkeys(lacking))
