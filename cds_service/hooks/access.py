"""The site of a call, and what may be read from its FHIR server."""

from __future__ import annotations

from cds_service.cards.wire import HookRequest
from cds_service.errors import BadRequest, UnknownService
from cds_service.settings.config import ServiceConfig
from cds_service.settings.sites import SiteConfig
from cds_service.trust.auth import VerifiedClient
from fhir_adapters.access.addresses import is_loopback, same_base
from fhir_adapters.access.client import FhirClient
from fhir_adapters.access.prefetch import Access
from fhir_adapters.gaps import Cause, Gap
from fhir_adapters.settings import ReadSettings


def named_site(config: ServiceConfig, identifier: str) -> SiteConfig:
    """The site that an address names. Raises UnknownService."""
    site = config.at(identifier)
    if site is None:
        raise UnknownService("there is no site of this name with an address of its own")
    return site


def check_named(named: str | None, sites: tuple[str, ...]) -> None:
    """Raises BadRequest unless the address names one of these sites, or none."""
    if named is not None and named not in sites:
        raise BadRequest("address: expected one of the site that this client calls for")


def site_of(config: ServiceConfig, client: VerifiedClient, hook: HookRequest, named: str | None = None) -> SiteConfig:
    """The site of the call, among those that the client's token covers; `named` by the address. Raises BadRequest.

    The address alone does not decide: a client of several sites is told apart by its FHIR server in any case.
    """
    check_named(named, client.sites)
    site = config.site_of(client.sites, hook.fhir_server)
    if site is None:
        raise BadRequest("fhirServer: expected a FHIR server of one of the sites that this client calls for")
    check_named(named, (site.id,))
    granted = hook.fhir_authorization
    if granted is not None and site.client_id is not None and granted.subject not in (None, site.client_id):
        raise BadRequest("fhirAuthorization.subject: expected this service's own client id at the site")
    return site


def chart_access(
    hook: HookRequest, settings: ReadSettings, deadline: float, *, local: bool, reads: bool = True
) -> Access:
    """How to read what was not sent; no access without server and token, or to a server that is not allowed.

    `reads`: False where nothing may be read because too many calls came at once.
    """
    granted, server = hook.fhir_authorization, hook.fhir_server
    if not reads:
        return Access(server=server, why_not=Gap(cause=Cause.TOO_MANY_CALLS))
    if granted is None or server is None:
        return Access(server=server)
    base = readable_base(server, settings, local=local)
    if base is None:
        return Access(server=server, why_not=Gap(cause=Cause.SERVER_NOT_ALLOWED))
    client = FhirClient(base=base, token=granted.access_token, deadline=deadline)
    return Access(fetch=client.get, server=server)


def readable_base(server: str, settings: ReadSettings, *, local: bool) -> str | None:
    """The base to read below: the site's own spelling of this server, never the one that was sent; None: not allowed.

    Where the site lists none and `local` is set, a server on this machine is read as it was sent.
    """
    if not settings.fhir_bases:
        return server if local and is_loopback(server) else None
    return next((base for base in settings.fhir_bases if same_base(server, base)), None)
