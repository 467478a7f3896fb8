"""SMART scopes, of version 1 and 2: what we ask for, and what was granted.

A server may grant less than was asked, or say it in the other version's syntax (SMART-038, 039, 042), so what was
granted is parsed and asked about by resource type and right: `granted(scopes, "Observation", "c")`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl

READ, SEARCH = "r", "s"
# What the pages show, and what the forms write; `u` marks as entered in error what was just written.
READ_TYPES = (
    "Patient", "Observation", "QuestionnaireResponse", "Condition", "MedicationRequest", "Medication", "Encounter",
    "Procedure",
)  # fmt: skip
CONSENT = "Consent"
WRITTEN = {"QuestionnaireResponse": "cu", "Observation": "cu", "Task": "c", "ServiceRequest": "c"}
VERSION_1 = {"read": "rs", "write": "cud", "*": "cruds"}
SCOPE = re.compile(
    r"(?P<who>patient|user|system)/(?P<kind>[A-Za-z]+|\*)\.(?P<rights>read|write|\*|c?r?u?d?s?)(?:\?(?P<narrowed>.+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """One scope on data. `narrowed`: it holds for part of the resources only."""

    kind: str
    rights: frozenset[str]
    narrowed: tuple[tuple[str, str], ...] = ()


def parsed(text: str) -> Scope | None:
    """A scope on data; None for others (openid, launch) and for what is none."""
    match = SCOPE.fullmatch(text)
    if match is None or not match["rights"]:
        return None
    rights = VERSION_1.get(match["rights"], match["rights"])
    narrowed = tuple(parse_qsl(match["narrowed"] or "", keep_blank_values=True))
    return Scope(kind=match["kind"], rights=frozenset(rights), narrowed=narrowed)


def split(text: str) -> tuple[str, ...]:
    """The scopes of a token answer, each once."""
    return tuple(dict.fromkeys(text.split()))


def granted(scopes: Iterable[str], kind: str, right: str) -> bool:
    """Whether some scope gives this right on this type, if only on part of its resources."""
    found = [scope for text in scopes if (scope := parsed(text))]
    return any(scope.kind in (kind, "*") and right in scope.rights for scope in found)


def narrowed(scopes: Iterable[str], kind: str) -> bool:
    """Whether a type can be read in part only: answers that are not seen must not pass for answers not given."""
    readable = [s for text in scopes if (s := parsed(text)) and s.kind in (kind, "*") and s.rights & {READ, SEARCH}]
    return bool(readable) and all(scope.narrowed for scope in readable)


def wanted(*, ehr_launch: bool, version_2: bool, consents: bool, write_back: bool, online: bool) -> tuple[str, ...]:
    """What we ask for: who the user is, what the pages need, and what they write; nothing by wildcard (SMART-046)."""
    context = ("launch",) if ehr_launch else ("launch/patient",)
    kinds = (*READ_TYPES, *((CONSENT,) if consents else ()))
    return (
        *context,
        "openid",
        "fhirUser",
        *(("online_access",) if online else ()),
        *(f"patient/{kind}.{_rights(kind, version_2=version_2, write_back=write_back)}" for kind in kinds),
        *(_writing(version_2=version_2) if write_back else ()),
    )


def of_launch(scopes: Iterable[str], *, ehr_launch: bool) -> tuple[str, ...]:
    """Scopes that a site has set, with the one that goes with this kind of launch and without the other (SMART-013)."""
    context = "launch" if ehr_launch else "launch/patient"
    return (context, *(scope for scope in scopes if scope not in ("launch", "launch/patient")))


def _rights(kind: str, *, version_2: bool, write_back: bool) -> str:
    if not version_2:
        return "read"
    written = WRITTEN.get(kind, "") if write_back else ""
    return "".join(letter for letter in "cruds" if letter in f"rs{written}")


def _writing(*, version_2: bool) -> tuple[str, ...]:
    """The scopes for types that are written and never read; in version 1, all that are written."""
    if version_2:
        return tuple(f"patient/{kind}.{rights}" for kind, rights in WRITTEN.items() if kind not in READ_TYPES)
    return tuple(f"patient/{kind}.write" for kind in WRITTEN)


def missing(asked: Iterable[str], given: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """(type, right) that was asked for and not granted, right r (read or search) or the letters of writing."""
    kept = tuple(given)
    lacking = []
    for text in asked:
        scope = parsed(text)
        if scope is None:
            continue
        for right in ("r", "c"):
            wants = bool(scope.rights & {READ, SEARCH}) if right == READ else right in scope.rights
            has = (
                granted(kept, scope.kind, READ) or granted(kept, scope.kind, SEARCH)
                if right == READ
                else granted(kept, scope.kind, right)
            )
            if wants and not has:
                lacking.append((scope.kind, right))
    return tuple(dict.fromkeys(lacking))
