"""What a deployment and its sites decide about the SMART app. Values only; `cds_service` reads them from files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from explanations.judgement.judge import JudgementSettings
from explanations.words.language import Language, language
from explanations.words.notices.notice import NoticeSettings
from fhir_adapters.settings import ReadSettings
from models.scoring.risk import BandThresholds

DEFAULT_IDLE_S = 15 * 60
DEFAULT_ABSOLUTE_S = 8 * 60 * 60


class ClientAuthentication(StrEnum):
    """How we authenticate to a token endpoint; names from RFC 8414."""

    PRIVATE_KEY_JWT = "private_key_jwt"
    SECRET_BASIC = "client_secret_basic"  # noqa: S105  # a method's name
    SECRET_POST = "client_secret_post"  # noqa: S105  # a method's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """Our registration with one EHR: `[[smart]]` of a site's file.

    site: its id. iss: the FHIR base without trailing slash. scopes: requested instead of our defaults. write_back:
    whether writing is offered. frame_ancestors: origins that may frame the app. hosts: further hosts of its OAuth
    endpoints, besides that of `iss`. algorithm: RS384 or ES384, whatever discovery says. id_token_issuer,
    id_token_jwks: override discovery. idle_s, absolute_s: session limits when idle and in total.
    """

    site: str
    iss: str
    client_id: str
    label: str
    authentication: ClientAuthentication = ClientAuthentication.PRIVATE_KEY_JWT
    secret: str | None = field(default=None, repr=False)
    algorithm: str | None = None
    scopes: tuple[str, ...] | None = None
    write_back: bool = True
    standalone: bool = True
    frame_ancestors: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    id_token_issuer: str | None = None
    id_token_jwks: str | None = None
    idle_s: int = DEFAULT_IDLE_S
    absolute_s: int = DEFAULT_ABSOLUTE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSite:
    """One site: how its charts are read and judged, its notices, its EHRs. models: outcome -> the version it keeps.

    languages: those that its users may have, its own first.
    """

    id: str
    reading: ReadSettings
    notices: NoticeSettings
    thresholds: BandThresholds = BandThresholds()
    models: Mapping[str, str] = field(default_factory=dict)
    registrations: tuple[Registration, ...] = ()
    languages: tuple[Language, ...] = field(default_factory=lambda: (language(),))

    @property
    def judgement(self) -> JudgementSettings:
        """How the site's charts are judged."""
        return JudgementSettings(
            reading=self.reading, thresholds=self.thresholds, models=self.models, region=self.notices.region
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSettings:
    """All sites, and our public URL without trailing slash.

    local: FHIR servers and OAuth endpoints on this machine may be plain http (development and demo).
    """

    sites: tuple[AppSite, ...]
    address: str
    local: bool = False

    @property
    def redirect_uri(self) -> str:
        """Where authorization servers redirect to; never built from the Host header."""
        return f"{self.address}/smart/callback"

    def registrations(self) -> tuple[Registration, ...]:
        """The registrations of all sites."""
        return tuple(entry for site in self.sites for entry in site.registrations)

    def registered(self, iss: str) -> Registration | None:
        """The registration for a FHIR base; one trailing slash is ignored, nothing else is (SMART-004)."""
        return next((r for r in self.registrations() if r.iss == iss.removesuffix("/")), None)

    @property
    def languages(self) -> tuple[Language, ...]:
        """What a page may be in before its site is known: all that any site has; English without a site."""
        return tuple(dict.fromkeys(each for site in self.sites for each in site.languages)) or (language(),)

    def site(self, identifier: str) -> AppSite | None:
        """The site with this id."""
        return next((site for site in self.sites if site.id == identifier), None)
