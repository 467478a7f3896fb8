"""`[[smart]]` of a site's file and `smart_keys` of service.toml: our registrations with EHRs for the SMART app.

Every problem is reported with file, key and remedy. Secrets and keys are referenced, never inline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec
from sqlalchemy import make_url

from cds_service.errors import ConfigError
from cds_service.keys.data_key import text_beside
from cds_service.settings.backend import unusable_hosts
from cds_service.settings.deployment import SecretReference, ServiceFile, is_origin, is_plain, secret
from cds_service.settings.shapes import lacking, numbered, shown
from fhir_adapters.access.addresses import is_base, is_loopback
from smart_launch.oauth.own_keys import ALGORITHMS, OwnKeys, new_pem, own_keys
from smart_launch.oauth.scopes import parse_scope
from smart_launch.settings import DEFAULT_ABSOLUTE_S, DEFAULT_IDLE_S, ClientAuthentication, Registration

LEAST_IDLE_S, MOST_IDLE_S, MOST_ABSOLUTE_S = 60, 60 * 60, 24 * 60 * 60
MOST_TEXT = 1000
OTHER_SCOPES = ("launch", "launch/patient", "launch/encounter", "openid", "fhirUser", "profile", "online_access")


class SmartTable(msgspec.Struct):
    """`[[smart]]`."""

    iss: str = ""
    client_id: str = ""
    label: str | None = None
    authentication: Literal["private_key_jwt", "client_secret_basic", "client_secret_post"] = "private_key_jwt"
    client_secret: SecretReference | None = None
    algorithm: Literal["ES384", "RS384"] | None = None
    scopes: list[str] | None = None
    write_back: bool = True
    standalone: bool = True
    frame_ancestors: list[str] = []
    hosts: list[str] = []
    id_token_issuer: str | None = None
    id_token_jwks: str | None = None
    idle_s: int = DEFAULT_IDLE_S
    absolute_s: int = DEFAULT_ABSOLUTE_S


def registration(
    path: Path, where: str, site: str, raw: SmartTable, problems: list[str], *, development: bool
) -> Registration:
    """One registration; problems are appended. where: file and table, to be named in them."""
    _check_addresses(where, raw, problems, development=development)
    problems += [
        f'{where} frame_ancestors: expected origins such as "https://ehr.example": small letters, no path, no * '
        f"(http on this machine in development only); found {shown(origin)}"
        for origin in raw.frame_ancestors
        if not may_frame(origin) or not (origin.startswith("https:") or (development and is_loopback(origin)))
    ]
    problems += unusable_hosts(where, raw.hosts)
    problems += [
        f"{where} scopes: expected scopes such as patient/Observation.rs, without *; found {shown(text)}"
        for text in raw.scopes or ()
        if text not in OTHER_SCOPES
        and ((scope := parse_scope(text)) is None or scope.kind == "*" or text.startswith("system/"))
    ]
    if not LEAST_IDLE_S <= raw.idle_s <= MOST_IDLE_S or not raw.idle_s <= raw.absolute_s <= MOST_ABSOLUTE_S:
        problems.append(
            f"{where} idle_s, absolute_s: expected {LEAST_IDLE_S} to {MOST_IDLE_S}, and from idle_s to "
            f"{MOST_ABSOLUTE_S}; found {raw.idle_s} and {raw.absolute_s}"
        )
    return Registration(
        site=site,
        iss=raw.iss.removesuffix("/"),
        client_id=raw.client_id,
        label=raw.label or site,
        authentication=ClientAuthentication(raw.authentication),
        secret=_secret(path, where, raw, problems),
        algorithm=raw.algorithm,
        scopes=None if raw.scopes is None else tuple(raw.scopes),
        write_back=raw.write_back,
        standalone=raw.standalone,
        frame_ancestors=tuple(raw.frame_ancestors),
        hosts=tuple(raw.hosts),
        id_token_issuer=raw.id_token_issuer,
        id_token_jwks=raw.id_token_jwks,
        idle_s=raw.idle_s,
        absolute_s=raw.absolute_s,
    )


def _check_addresses(where: str, raw: SmartTable, problems: list[str], *, development: bool) -> None:
    for key, url in (("iss", raw.iss), ("id_token_jwks", raw.id_token_jwks)):
        local = development and url is not None and is_loopback(url)
        if url is not None and not (is_plain(url) and is_base(url) and (url.startswith("https:") or local)):
            found = f"(http on this machine in development only); found {shown(url)}"
            lacking(problems, f"{where} {key}", f"expected an https address {found}")
    for key, what, text in (
        ("client_id", "the client id that the EHR gave us", raw.client_id),
        ("label", "text", raw.label),
        ("id_token_issuer", "text", raw.id_token_issuer),
    ):
        if text is not None and not (text.strip() and len(text) <= MOST_TEXT and text.isprintable()):
            found = f"1 to {MOST_TEXT} printable characters; found {shown(text.strip())}"
            lacking(problems, f"{where} {key}", f"expected {what}, {found}")


def may_frame(text: str) -> bool:
    """Whether a string is an origin that is safe in a frame-ancestors directive."""
    return is_origin(text) and text.isascii() and not any(c in text for c in ";, '*")


def _secret(path: Path, where: str, raw: SmartTable, problems: list[str]) -> str | None:
    """The client secret, required by two of the three authentication methods."""
    place = f"{where} client_secret"
    if raw.authentication != ClientAuthentication.PRIVATE_KEY_JWT.value:
        if raw.client_secret is not None:
            return secret(path, place, raw.client_secret, problems)
        lacking(problems, place, f"expected {SecretReference.written} with {raw.authentication}; found none")
    elif raw.client_secret is not None:
        problems.append(
            f'{place}: expected none with authentication = "{raw.authentication}", the default; remove it, or write '
            f"the authentication that uses it"
        )
    return None


def doubled(entries: Iterable[Registration]) -> list[str]:
    """Messages for FHIR bases with several registrations, which a launch could not tell apart."""
    counted = Counter(entry.iss for entry in entries)
    return [
        f"[[smart]] iss: {times} tables have {shown(iss)}; a launch names nothing else, so only one may"
        for iss, times in counted.items()
        if times > 1
    ]


# ---- keys ---------------------------------------------------------------------------------------------------------


def keys(path: Path, raw: ServiceFile, store: str, used: Sequence[Registration], problems: list[str]) -> OwnKeys | None:
    """The keys referenced by `smart_keys`; None if they are created beside a SQLite database."""
    if not raw.smart_keys:
        needed = any(entry.authentication is ClientAuthentication.PRIVATE_KEY_JWT for entry in used)
        if needed and not store.startswith("sqlite"):
            lacking(
                problems,
                f"{path}: smart_keys",
                'required with PostgreSQL; smart_keys = [{ file = "..." }] with keys as '
                "`mhcds smart new-key` prints them",
            )
        return None
    texts = [
        secret(path, numbered("smart_keys", place, len(raw.smart_keys)), key, problems)
        for place, key in enumerate(raw.smart_keys)
    ]
    try:
        return own_keys(text for text in texts if text is not None)
    except ValueError as error:
        problems.append(f"{path}: smart_keys: {error}")
        return None


def keys_beside(database: str) -> OwnKeys:
    """One key per algorithm in files beside a SQLite database, created at first use, readable by their owner only.

    Raises ConfigError when they cannot be read, written or used.
    """
    place = Path(make_url(database).database or "")
    texts = [text_beside(place, f"smart-{name}.pem", partial(new_pem, name)) for name in ALGORITHMS]
    try:
        return own_keys(texts)
    except ValueError as error:
        raise ConfigError(f"{place}.smart-*.pem: {error}") from error
