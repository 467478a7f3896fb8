"""Deviations of the demo EHR's authorization server, for tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cds_service.demo_ehr.authorization.id_tokens import ServerKey
from cds_service.demo_ehr.authorization.scopes import Syntax
from cds_service.demo_ehr.codes import Json


def _all_scopes(_scope: str) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFailure:
    """What the token endpoint answers instead of a token, to requests of these grant types."""

    status: int
    body: Json | str
    grant_types: tuple[str, ...] = ("authorization_code", "refresh_token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """The defaults are an honest server's.

    token_life_s, code_life_s, launch_life_s: seconds. granted: which of the scopes asked for are granted.
    syntax: how granted scopes are written. id_token_claims: changes the claims. id_token_key: signs instead of the
    published key. id_token: makes the whole token from its claims. jwks_uri: whether discovery names it.
    need_patient_banner: the value sent. refuse: an error code that every authorization request gets. token_failure:
    see there. patient: whether the token answer names the patient. refreshed_patient: the one named when refreshing.
    fhir_context: that member. metadata, extra: members put over those of discovery and of the token answer; one that
    is None is left out.
    """

    token_life_s: int = 300
    code_life_s: int = 60
    launch_life_s: int = 300
    granted: Callable[[str], bool] = _all_scopes
    syntax: Syntax = Syntax.AS_ASKED
    id_token_claims: Callable[[Json], Json] | None = None
    id_token_key: ServerKey | None = None
    id_token: Callable[[Json], str] | None = None
    jwks_uri: bool = True
    need_patient_banner: bool | str = True
    refuse: str | None = None
    token_failure: TokenFailure | None = None
    patient: bool = True
    refreshed_patient: str | None = None
    fhir_context: tuple[Json, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


def with_members(body: Json, over: Mapping[str, Any]) -> Json:
    """A JSON object with members replaced; those that are None are removed."""
    return {name: value for name, value in (body | dict(over)).items() if value is not None}
