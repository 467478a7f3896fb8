"""`[backend]` of a site's file: the service as a SMART backend client of the site's EHR, off unless it is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cds_service.settings.shapes import lacking, one_of, shown
from fhir_adapters.access.addresses import same_base
from smart_launch.oauth.scopes import parse_scope
from smart_launch.settings import Registration

MOST_ID = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSettings:
    """`[backend]`. base: the FHIR server, among the site's fhir_bases. client_id: ours there.

    scopes: asked of its token endpoint. algorithm: of our signature; None: by discovery. hosts: further ones of its
    token endpoint.
    """

    base: str = ""
    client_id: str = ""
    scopes: tuple[str, ...] = ()
    algorithm: Literal["ES384", "RS384"] | None = None
    hosts: tuple[str, ...] = ()

    def registration(self, site: str) -> Registration:
        """The same as a registration, for discovery and the token endpoint. site: its id."""
        return Registration(
            site=site,
            iss=self.base,
            client_id=self.client_id,
            label=site,
            algorithm=self.algorithm,
            scopes=self.scopes,
            hosts=self.hosts,
        )


def backend(
    where: str, raw: BackendSettings | None, fhir_bases: Sequence[str], problems: list[str]
) -> BackendSettings | None:
    """The table; None without one, or with one that cannot be used, which is then among the problems.

    where: file and table, to be named in them.
    """
    if raw is None:
        return None
    before = len(problems)
    if not any(same_base(raw.base, base) for base in fhir_bases):
        known = one_of(fhir_bases, raw.base) if fhir_bases else "an address that fhir_bases lists too"
        lacking(problems, f"{where} base", f"expected {known}; found {shown(raw.base)}")
    if not (raw.client_id.strip() and len(raw.client_id) <= MOST_ID and raw.client_id.isprintable()):
        expected = f"expected the client id that the EHR gave us, 1 to {MOST_ID} printable characters"
        lacking(problems, f"{where} client_id", f"{expected}; found {shown(raw.client_id.strip())}")
    if not raw.scopes:
        lacking(problems, f"{where} scopes", 'expected scopes such as "system/Observation.rs"; found none')
    problems += [
        f"{where} scopes: expected scopes such as system/Observation.rs; found {shown(text)}"
        for text in raw.scopes
        if parse_scope(text) is None or not text.startswith("system/")
    ]
    problems += unusable_hosts(where, raw.hosts)
    return None if len(problems) > before else replace(raw, base=raw.base.rstrip("/"))


def unusable_hosts(where: str, hosts: Sequence[str]) -> list[str]:
    """The problems of `hosts`."""
    return [
        f"{where} hosts: expected host names such as login.ehr.example, without port; found {shown(host)}"
        for host in hosts
        if not host or not host.isascii() or any(c in host for c in "/:*@ \\")
    ]
