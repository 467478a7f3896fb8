"""`[governance]` of service.toml: the hospital's OpenID provider, and which of its groups have which role here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from cds_service.settings.deployment import SecretReference, ServiceFile, is_plain, secret
from cds_service.settings.shapes import lacking, shown
from fhir_adapters.access.addresses import is_base, is_loopback

LEAST_IDLE_S, MOST_IDLE_S, MOST_ABSOLUTE_S = 60, 60 * 60, 12 * 60 * 60


class Role(StrEnum):
    """What a person may do on the governance pages. Each role reads all of them, but a responder escalations alone."""

    VIEWER = "viewer"
    SAFETY_OFFICER = "safety-officer"
    OPERATOR = "operator"
    RESPONDER = "responder"


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernanceSettings:
    """The provider as its client sees it. roles: role -> values of the claim that give it."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...]
    roles_claim: str
    roles: Mapping[Role, frozenset[str]]
    idle_s: int
    absolute_s: int

    def roles_of(self, groups: frozenset[str]) -> frozenset[Role]:
        """The roles of a person in these groups."""
        return frozenset(role for role, values in self.roles.items() if values & groups)


def governance(path: Path, raw: ServiceFile, problems: list[str]) -> GovernanceSettings | None:
    """The checked table; None without one. Problems are appended."""
    table, where = raw.governance, f"{path}: [governance]"
    if table is None:
        return None
    url, local = table.issuer, raw.mode == "development" and is_loopback(table.issuer)
    if not (is_plain(url) and is_base(url) and (url.startswith("https:") or local)):
        found = f"(http on this machine in development only); found {shown(url)}"
        lacking(problems, f"{where} issuer", f"expected the https address of the OpenID provider {found}")
    if not (table.client_id.strip() and table.client_id.isprintable()):
        lacking(
            problems, f"{where} client_id", f"expected our client id at the provider; found {shown(table.client_id)}"
        )
    key = None
    if table.client_secret is not None:
        key = secret(path, f"{where} client_secret", table.client_secret, problems)
    else:
        lacking(problems, f"{where} client_secret", f"expected {SecretReference.written}; found none")
    if "openid" not in table.scopes or not all(
        scope.isascii() and scope.isprintable() and " " not in scope for scope in table.scopes
    ):
        problems.append(f'{where} scopes: expected "openid" and further scopes, each without blanks')
    if not table.roles_claim.strip("."):
        problems.append(
            f'{where} roles_claim: expected the name of a claim of the ID token, such as "groups"; found none'
        )
    if not any(table.roles.values()):
        lacking(
            problems, f"{where} roles", 'expected at least one role, such as viewer = ["cds-board"]; nobody could enter'
        )
    if not LEAST_IDLE_S <= table.idle_s <= MOST_IDLE_S or not table.idle_s <= table.absolute_s <= MOST_ABSOLUTE_S:
        problems.append(
            f"{where} idle_s, absolute_s: expected {LEAST_IDLE_S} to {MOST_IDLE_S}, and from idle_s to "
            f"{MOST_ABSOLUTE_S}; found {table.idle_s} and {table.absolute_s}"
        )
    return GovernanceSettings(
        issuer=url,
        client_id=table.client_id,
        client_secret=key or "",
        scopes=tuple(table.scopes),
        roles_claim=table.roles_claim,
        roles={Role(name): frozenset(values) for name, values in table.roles.items()},
        idle_s=table.idle_s,
        absolute_s=table.absolute_s,
    )
