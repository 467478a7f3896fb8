"""Who may call: the issuer table of a site, from `[[issuer]]` in its file.

An entry defines the tokens accepted as the site's client: issuer, keys, addresses, tenants, lifetime. Sites may share
an issuer if their tenants or FHIR bases tell them apart (Oracle Health does).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from cds_service.keys.key_sets import (
    ALL_ALGORITHMS,
    DEFAULT_KEYS_H,
    SANDBOX_ISSUER,
    SANDBOX_KEY,
    KeyUnusable,
    VerificationKey,
    verification_key,
)
from cds_service.settings.deployment import url_parts
from cds_service.settings.shapes import lacking, one_of, shown
from fhir_adapters.access.addresses import is_loopback, same_base

DEFAULT_ALGORITHMS = ("ES384", "RS384")
MOST_LIFETIME_S = 24 * 3600
MOST_LEEWAY_S = 60
MOST_KEYS_H = 7 * 24


class IssuerUse(StrEnum):
    """What the tokens of an issuer are good for."""

    HOOKS = "hooks"
    SWITCH = "switch"
    OPT_OUT = "opt-out"


class IssuerTable(msgspec.Struct):
    """`[[issuer]]` of a site's file."""

    iss: str = ""
    jwks_url: str | None = None
    jwks_file: str | None = None
    keys: list[dict[str, Any]] = []
    jku: list[str] = []
    audiences: list[str] = []
    tenants: list[str] = []
    algorithms: tuple[str, ...] = DEFAULT_ALGORITHMS
    max_lifetime_s: int = 3600
    leeway_s: int = 60
    jwks_max_age_h: int = DEFAULT_KEYS_H
    uses: tuple[IssuerUse, ...] = (IssuerUse.HOOKS,)


class _KeySet(msgspec.Struct):
    """A JWK Set; its keys are checked one by one."""

    keys: list[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """One accepted issuer of one site. `audiences`: accepted besides the address called; `jku`: besides jwks_url.

    tenants: empty accepts any. max_lifetime_s: between iat and exp. jwks_max_age_h: hours that keys read from jwks_url
    are trusted. source: the file its keys were read from. uses: where its tokens are accepted.
    """

    site: str
    iss: str
    jwks_url: str | None
    keys: tuple[VerificationKey, ...]
    jku: tuple[str, ...]
    audiences: tuple[str, ...]
    tenants: tuple[str, ...]
    algorithms: tuple[str, ...]
    max_lifetime_s: int
    leeway_s: int
    jwks_max_age_h: int = DEFAULT_KEYS_H
    sandbox: bool = False
    source: Path | None = None
    uses: tuple[IssuerUse, ...] = (IssuerUse.HOOKS,)


def issuer(
    path: Path, where: str, site: str, raw: IssuerTable, problems: list[str], *, development: bool, sandbox: bool
) -> Issuer:
    """The entry; each problem is appended with file, key and remedy. where: file and table, to be named in them.

    sandbox: the public sandbox may call; its key is then accepted for its own issuer only.
    """
    sandbox = sandbox and raw.iss.rstrip("/") == SANDBOX_ISSUER
    if not raw.iss.strip():
        lacking(problems, f"{where} iss", "expected the iss of the client's tokens; found none")
    if raw.iss.rstrip("/") == SANDBOX_ISSUER and not sandbox:
        problems.append(
            f"{where} iss: the public sandbox's private key is published, so anybody can sign as it; remove the table, "
            "or in development set allow_public_sandbox = true in service.toml"
        )
    sources = [name for name in ("jwks_url", "jwks_file", "keys") if getattr(raw, name)]
    if len(sources) != 1:
        found = " and ".join(sources) or "none"
        problems.append(f"{where}: expected one of jwks_url, jwks_file and [[issuer.keys]]; found {found}")
    if raw.jwks_url is not None and not _is_key_address(raw.jwks_url, development=development):
        problems.append(
            f"{where} jwks_url: expected an https address (http on this machine in development only); "
            f"found {shown(raw.jwks_url)}"
        )
    wrong = sorted(set(raw.algorithms) - set(ALL_ALGORITHMS))
    if wrong or not raw.algorithms:
        found = ", ".join(map(shown, wrong)) or "none"
        problems.append(f"{where} algorithms: expected {one_of(ALL_ALGORITHMS)}; found {found}")
    if not raw.uses:
        problems.append(f"{where} uses: expected some of {one_of(IssuerUse)}; found none")
    if not 0 < raw.max_lifetime_s <= MOST_LIFETIME_S:
        problems.append(f"{where} max_lifetime_s: expected 1 to {MOST_LIFETIME_S}; found {raw.max_lifetime_s}")
    if not 0 <= raw.leeway_s <= MOST_LEEWAY_S:
        problems.append(f"{where} leeway_s: expected 0 to {MOST_LEEWAY_S}; found {raw.leeway_s}")
    if not 0 < raw.jwks_max_age_h <= MOST_KEYS_H:
        problems.append(f"{where} jwks_max_age_h: expected 1 to {MOST_KEYS_H}; found {raw.jwks_max_age_h}")
    return Issuer(
        site=site,
        iss=raw.iss,
        jwks_url=raw.jwks_url,
        keys=_keys(path, where, raw, problems, sandbox=sandbox),
        jku=(*raw.jku, *([raw.jwks_url] if raw.jwks_url else [])),
        audiences=tuple(raw.audiences),
        tenants=tuple(raw.tenants),
        algorithms=raw.algorithms,
        max_lifetime_s=raw.max_lifetime_s,
        leeway_s=raw.leeway_s,
        jwks_max_age_h=raw.jwks_max_age_h,
        sandbox=sandbox,
        source=None if raw.jwks_file is None else path.parent / raw.jwks_file,
        uses=raw.uses,
    )


def _is_key_address(url: str, *, development: bool) -> bool:
    parts = url_parts(url)
    if parts is None or parts.username or parts.password or parts.fragment or not parts.hostname:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and development and is_loopback(url))


def _keys(
    path: Path, where: str, raw: IssuerTable, problems: list[str], *, sandbox: bool
) -> tuple[VerificationKey, ...]:
    jwks: list[Any] = list(raw.keys)
    if raw.jwks_file is not None:
        file = path.parent / raw.jwks_file
        try:
            jwks = msgspec.json.decode(file.read_bytes(), type=_KeySet).keys
        except (OSError, msgspec.DecodeError, RecursionError):
            problems.append(f"{where} jwks_file: expected a JWK Set (an object with an array keys) in {file}")
        else:
            if not jwks:
                problems.append(f"{where} jwks_file: expected at least one key in {file}")
    found = []
    for jwk in jwks:
        try:
            key = verification_key(jwk if isinstance(jwk, dict) else {})
        except KeyUnusable as error:
            problems.append(f"{where}: {error}")
            continue
        if key.thumbprint == SANDBOX_KEY and not sandbox:
            problems.append(f"{where}: key {key.kid} is the public sandbox's; anybody can sign with it, remove it")
        if not set(key.algorithms) & set(raw.algorithms):
            problems.append(f"{where}: key {key.kid} is for {', '.join(key.algorithms)}; add one to algorithms")
        found.append(key)
    return tuple(found)


def clashes(entries: list[Issuer], bases: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Messages for two sites' entries that one token could match, with nothing to tell them apart.

    bases: site id -> its FHIR bases.
    """
    return [
        f"[[issuer]] iss {shown(entry.iss)}: sites {entry.site} and {other.site} both accept it; give each its tenants "
        "or fhir_bases"
        for number, entry in enumerate(entries)
        for other in entries[number + 1 :]
        if entry.iss == other.iss
        and entry.site != other.site
        and (not entry.tenants or not other.tenants or set(entry.tenants) & set(other.tenants))
        and not _apart(bases[entry.site], bases[other.site])
    ]


def _apart(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    """Whether both lists name FHIR servers and share none."""
    return bool(first and second) and not any(same_base(a, b) for a in first for b in second)
