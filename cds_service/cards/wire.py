"""CDS Hooks JSON as types: requests and cards.

Unknown members are ignored at every level; optional members without a value are left out of the response (CDS Hooks
2.0, "Use of JSON"). The prefetch stays raw text until `gather` reads it.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType


class Wire(Struct, rename="camel", omit_defaults=True):
    """Base of all wire types."""


class FhirAuthorization(Struct):
    """The access token that came with the call (snake_case on the wire). Never logged, stored or shown."""

    access_token: str
    token_type: str | None = "Bearer"  # noqa: S105  # the scheme, not a secret
    expires_in: float | str | None = None
    scope: str | None = None
    subject: str | None = None
    patient: str | None = None

    def __repr__(self) -> str:
        return "FhirAuthorization(access_token=hidden)"


class Context(Wire):
    user_id: str | None = None
    patient_id: str | None = None
    encounter_id: str | None = None

    @property
    def user_kind(self) -> str:
        """The resource type of the user's reference, in lower case."""
        return (self.user_id or "").partition("/")[0].casefold()

    @property
    def encounter(self) -> str | None:
        """The encounter as a reference."""
        return f"Encounter/{self.encounter_id}" if self.encounter_id else None


class HookRequest(Wire):
    hook: str
    hook_instance: str
    context: Context
    fhir_server: str | None = None
    fhir_authorization: FhirAuthorization | None = None
    prefetch: dict[str, Raw] | None = None


class Coding(Wire, omit_defaults=False):
    code: str
    system: str
    display: str


class Source(Wire):
    label: str
    topic: Coding
    url: str | UnsetType = UNSET


class Action(Wire, omit_defaults=False):
    type: str
    description: str
    resource: dict[str, Any]


class Suggestion(Wire):
    label: str
    uuid: str
    actions: list[Action]


class Link(Wire):
    label: str
    url: str
    type: str
    app_context: str | UnsetType = UNSET


class Card(Wire):
    uuid: str
    summary: str
    detail: str
    indicator: str
    source: Source
    suggestions: list[Suggestion] | UnsetType = UNSET
    selection_behavior: str | UnsetType = UNSET
    override_reasons: tuple[Coding, ...] | UnsetType = UNSET
    links: list[Link] | UnsetType = UNSET


class CardsResponse(Struct):
    cards: list[Card]


HOOK_REQUEST = msgspec.json.Decoder(HookRequest)
