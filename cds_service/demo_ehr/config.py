"""The demo clinic's settings: one site with the clinic's own forms, and the addresses of one run."""

from __future__ import annotations

import secrets
from base64 import b64encode
from dataclasses import dataclass, field, replace
from importlib.resources import as_file, files
from pathlib import Path

from cds_service.errors import ConfigError
from cds_service.settings.config import ServiceConfig
from cds_service.settings.languages import site_languages
from cds_service.settings.sites import SiteConfig, load_site
from explanations.judgement.regions import DEFAULT_REGION, REGIONS
from smart_launch.oauth.own_keys import ALGORITHMS, new_pem, own_keys
from smart_launch.settings import Registration

CLIENT_ID = "mental-health-cds-demo"
"""Our OAuth client id at the demo EHR."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where things are in one run of the demo.

    service: address of the service, without a slash at its end. fhir_base: the EHR's FHIR base, which is `iss`, one
    and the same text everywhere. page_origin: origin of the EHR's page, another site than the service for a browser.
    staff_secret: ours at the hospital's sign-in for staff, new in each run. pager_secret: shared with the crisis team's
    pager, new too.
    """

    service: str
    fhir_base: str
    page_origin: str
    staff_secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    pager_secret: str = field(
        default_factory=lambda: f"whsec_{b64encode(secrets.token_bytes(32)).decode()}", repr=False
    )

    @property
    def launch_url(self) -> str:
        """The launch URL of the SMART app."""
        return f"{self.service}/smart/launch"

    @property
    def redirect_uri(self) -> str:
        """The redirect URI of the SMART app."""
        return f"{self.service}/smart/callback"

    @property
    def keys_url(self) -> str:
        """The URL of the service's public keys."""
        return f"{self.service}/smart/jwks.json"

    @property
    def governance_url(self) -> str:
        """Where the governance pages begin."""
        return f"{self.service}/governance/"

    @property
    def pager_url(self) -> str:
        """Where the crisis team's pager takes messages, beside the FHIR base."""
        return f"{self.fhir_base.removesuffix('/fhir')}/pager"

    @property
    def staff_issuer(self) -> str:
        """The OpenID issuer for staff, beside the FHIR base."""
        return f"{self.fhir_base.removesuffix('/fhir')}/staff"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlace:
    """Where the demo clinic is. languages: of its users, its own first; none: as the shipped file says.

    reviewed: as if a person, who is made up, had reviewed every text on safety.
    """

    languages: tuple[str, ...] = ()
    region: str = DEFAULT_REGION.id
    reviewed: bool = False


def demo_config(addresses: Addresses | None = None, place: DemoPlace | None = None) -> ServiceConfig:
    """The demo's one site; with addresses, its app is registered with the demo EHR, under keys of this run.

    Raises ConfigError when the shipped file is damaged, or a language is not complete.
    """
    problems: list[str] = []
    with as_file(files("cds_service.demo_ehr") / "site.toml") as path:
        site = load_site(path, problems)
    if site is not None and place is not None:
        site = _placed(site, place, problems)
    if site is None or problems:
        raise ConfigError("\n".join(problems))
    if addresses is None:
        return ServiceConfig(sites=(site,), mode="demo")
    return ServiceConfig(
        sites=(replace(site, smart=(_registration(site.id, addresses),)),),
        mode="demo",
        address=addresses.service,
        smart_keys=own_keys(new_pem(name) for name in ALGORITHMS),
    )


def _placed(site: SiteConfig, place: DemoPlace, problems: list[str]) -> SiteConfig:
    first, *others = place.languages or tuple(each.locale for each in site.languages)
    spoken = site_languages(Path("demo"), first, others, None, problems)
    if place.reviewed:
        spoken = tuple(replace(each, reviewed=True) for each in spoken)
    cards = replace(site.cards, say=spoken[0], region=REGIONS[place.region])
    return replace(site, cards=cards, languages=spoken)


def _registration(site: str, addresses: Addresses) -> Registration:
    """Ours with the demo EHR, of which `ehr.registered` is the other half."""
    return Registration(
        site=site,
        iss=addresses.fhir_base,
        client_id=CLIENT_ID,
        label="Demo EHR",
        frame_ancestors=(addresses.page_origin,),
    )
