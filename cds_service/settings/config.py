"""All settings of a deployment as one value, from a folder of TOML files.

`service.toml` applies to every site; each `sites/*.toml` is one customer. Without a folder there is one site with the
defaults below.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import make_url

from cds_service.errors import ConfigError
from cds_service.keys.data_key import DataKey, key_beside
from cds_service.settings import deployment as settings
from cds_service.settings import smart as smart_settings
from cds_service.settings.approvals import Approval, load_approvals
from cds_service.settings.deployment import (
    DEFAULT_BODY_BYTES,
    LEAST_BODY_BYTES,
    MOST_BODY_BYTES,
    Limits,
    ServiceFile,
    Tls,
)
from cds_service.settings.escalation_file import without_pages
from cds_service.settings.files import files_digest, read_toml
from cds_service.settings.governance import GovernanceSettings, governance
from cds_service.settings.issuers import Issuer, clashes
from cds_service.settings.private_files import open_to_everybody, private_files, trusted_files
from cds_service.settings.shapes import shown
from cds_service.settings.sites import SiteConfig, SiteFile, load_site
from cds_service.settings.trials import Trial, load_trials
from cds_service.settings.webhook import Webhook, webhook
from explanations.words.notices.notice import NoticeSettings
from fhir_adapters.access.addresses import is_loopback_host, same_base
from models.inputs.outcomes import Outcome
from models.reports.card import LocalSections
from smart_launch.oauth.own_keys import OwnKeys
from smart_launch.settings import Registration

DEFAULT_SITE = "default"
MODEL_CARD = "model-card.toml"


CardFile = msgspec.defstruct(
    "CardFile",
    [(o.name.lower(), LocalSections, msgspec.field(default_factory=LocalSections, name=o.value)) for o in Outcome],
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServiceConfig:
    """All settings of a deployment. Each load of the files is a distinct value, equal to no other.

    mode: "demo" lets everyone on this machine call, and no file can set it.
    address: what clients' tokens name as aud, before the path; None if nothing is served.
    store: URL of the database; None for a temporary one. data_key: None for one beside a SQLite file.
    smart_keys: our keys as a SMART client; None for ones beside a SQLite file.
    models: folder of the models; None: those shipped.
    model_cards: outcome -> the deployment's own sections on that model's card.
    webhook: where incidents are sent, unless their site has a webhook of its own; None: nowhere.
    server_timing: whether answers to hook calls say how long each step took.
    approvals: of models, at all sites. trials: protocols, at all sites.
    governance: None where there are no governance pages. digest: SHA-256 of the files; "" without any.
    """

    sites: tuple[SiteConfig, ...]
    mode: Literal["production", "development", "demo"] = "development"
    address: str | None = None
    body_bytes: int = DEFAULT_BODY_BYTES
    limits: Limits = Limits()
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    tls: Tls | None = None
    store: str | None = None
    data_key: DataKey | None = None
    smart_keys: OwnKeys | None = None
    models: Path | None = None
    model_cards: Mapping[str, LocalSections] = field(default_factory=dict)
    server_timing: bool = False
    webhook: Webhook | None = None
    approvals: tuple[Approval, ...] = ()
    trials: tuple[Trial, ...] = ()
    governance: GovernanceSettings | None = None
    digest: str = ""

    @property
    def registrations(self) -> tuple[Registration, ...]:
        """Our registrations for the SMART app at all sites."""
        return tuple(entry for site in self.sites for entry in site.smart)

    @property
    def issuers(self) -> tuple[Issuer, ...]:
        """The issuer tables of all sites."""
        return tuple(entry for site in self.sites for entry in site.issuers)

    @property
    def kept_models(self) -> tuple[Mapping[str, str], ...]:
        """What each site keeps: outcome -> version of its model."""
        return tuple(site.models for site in self.sites)

    @property
    def about(self) -> str | None:
        """The address of the page on what the cards are, their source; None if nothing is served."""
        return None if self.address is None else f"{self.address}/about"

    def files(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """The files that hold secrets or records, and those that decide who may call and what is said."""
        private = private_files(folder, self.tls.key if self.tls else None, self.store or "")
        named = [*(entry.source for entry in self.issuers), self.tls.certificate if self.tls else None]
        return private, trusted_files(folder, named, self.models)

    def governed(self, site: str) -> bool:
        """Whether a model speaks at this site only with an approval: in production, or where the site has any."""
        return self.mode == "production" or any(site in approval.sites for approval in self.approvals)

    def webhook_of(self, site: str) -> Webhook | None:
        """Where incidents of a site are sent, "" for those of the whole deployment; None: nowhere."""
        own = next((each.webhook for each in self.sites if each.id == site), None)
        return own or self.webhook

    def own_keys(self) -> OwnKeys:
        """Our keys as a SMART client: those configured, or those beside a SQLite file; none where nothing uses them."""
        if self.smart_keys is not None:
            return self.smart_keys
        if self.store is None or not any(site.clients for site in self.sites):
            return OwnKeys()
        return smart_settings.keys_beside(self.store)

    def kept_key(self) -> DataKey:
        """The data key, or the one beside the SQLite file, which is made at first use. Raises ConfigError."""
        return self.data_key or key_beside(Path(make_url(self.store or "").database or ""))

    def check_host(self, host: str) -> None:
        """Raises ConfigError unless this address may be listened on: only with https unless loopback."""
        if is_loopback_host(host):
            return
        if self.mode != "production":
            raise ConfigError(f"--host: expected a loopback address in {self.mode} mode; found {host}")
        if self.tls is None and not self.trusted_proxies:
            raise ConfigError(
                f"--host {host}: expected [tls] or trusted_proxies in service.toml, since only https is answered"
            )

    def site_of(self, sites: tuple[str, ...], fhir_base: str | None) -> SiteConfig | None:
        """The site of a call among these: the only one, or the only one that lists its FHIR server."""
        candidates = [site for site in self.sites if site.id in sites]
        if len(candidates) > 1 and fhir_base is not None:
            candidates = [s for s in candidates if any(same_base(fhir_base, base) for base in s.reading.fhir_bases)]
        return candidates[0] if len(candidates) == 1 else None

    def at(self, identifier: str) -> SiteConfig | None:
        """The site that has this id in its addresses, or None."""
        return next((site for site in self.sites if site.id == identifier and site.path), None)

    def site(self, identifier: str | None = None) -> SiteConfig:
        """The site with this id, by default the first. Raises ConfigError for an unknown id."""
        if identifier is None:
            return self.sites[0]
        site = next((s for s in self.sites if s.id == identifier), None)
        if site is None:
            known = ", ".join(s.id for s in self.sites)
            raise ConfigError(f"there is no site {identifier}; expected one of: {known}")
        return site


def served_at(host: str, port: int) -> str:
    """The address of a listening socket."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def default_config() -> ServiceConfig:
    """One site: UTC, United States, the models' own thresholds; no issuer, so every call is refused."""
    return ServiceConfig(sites=(SiteConfig(id=DEFAULT_SITE, cards=NoticeSettings(zone=ZoneInfo("UTC"))),))


def load_config(folder: Path, address: str | None = None, *, serving: bool = False) -> ServiceConfig:
    """The settings in `folder`. Raises ConfigError with every problem, one a line.

    address: the listening socket's, used in development without a `public_url`. serving: require what only a service
    needs; also required once a site names an issuer.
    """
    config, problems = read_config(folder, address, serving=serving)
    if serving and config.mode == "production":
        problems += open_to_everybody(*config.files(folder))
    if problems:
        raise ConfigError("\n".join(problems))
    return replace(config, digest=files_digest(folder))


def read_config(folder: Path, address: str | None = None, *, serving: bool = False) -> tuple[ServiceConfig, list[str]]:
    """The same as far as it can be read, and every problem."""
    problems: list[str] = []
    if not folder.is_dir():
        raise ConfigError(f"{folder}: expected a folder with service.toml and sites/*.toml; found none")
    main = folder / "service.toml"
    service = ServiceFile()
    if main.exists():
        service = read_toml(main, ServiceFile, problems, {"sites/*.toml": SiteFile}) or service
    # Where the mode cannot be read, what only production asks for is not asked.
    unread = any(problem.startswith((f"{main}: line ", f"{main}: mode: ")) for problem in problems)
    mode = service.mode or ("development" if unread else "production")
    service = msgspec.structs.replace(service, mode=mode)
    development = mode == "development"
    sandbox = service.allow_public_sandbox
    if sandbox and not development:
        problems.append(f'{main}: allow_public_sandbox: only with mode = "development"; remove it')
    if not LEAST_BODY_BYTES <= service.body_bytes <= MOST_BODY_BYTES:
        problems.append(
            f"{main}: body_bytes: expected {LEAST_BODY_BYTES} to {MOST_BODY_BYTES}; found {service.body_bytes}"
        )
    paths = sorted((folder / "sites").glob("*.toml"))
    if not paths:
        problems.append(f"{folder / 'sites'}: expected one .toml file per site; found none")
    models = None if service.models is None else folder / service.models
    read = (
        load_site(p, problems, folder=folder, models=models, development=development, sandbox=sandbox) for p in paths
    )
    by_path = {path: site for path, site in zip(paths, read, strict=True) if site is not None}
    sites = list(by_path.values())
    problems += [f"{folder / 'sites'}: {conflict}" for conflict in _conflicts(by_path)]
    if service.governance is None:
        pages = partial(without_pages, production=mode == "production")
        problems += [line for path, site in by_path.items() for line in pages(path, site.escalation)]
    registered = [entry for site in sites for entry in site.clients]
    url = settings.store_url(main, service, problems)
    config = ServiceConfig(
        sites=tuple(sites),
        mode=mode,
        address=settings.public_url(
            main,
            service,
            address,
            problems,
            required=serving or bool(registered) or service.governance is not None or any(s.issuers for s in sites),
        ),
        body_bytes=service.body_bytes,
        limits=settings.limits(main, service.limits, problems),
        cors_origins=settings.origins(main, service, problems),
        trusted_proxies=settings.proxies(main, service, problems),
        tls=settings.tls(main, service, problems),
        store=url,
        data_key=settings.data_key(main, service, url, problems),
        smart_keys=smart_settings.keys(main, service, url, registered, problems),
        models=models,
        model_cards=_model_cards(folder / MODEL_CARD, problems),
        server_timing=service.server_timing,
        webhook=webhook(main, service.webhook, problems, development=development),
        approvals=load_approvals(folder, [site.id for site in sites], problems),
        trials=load_trials(folder, [site.id for site in sites], problems),
        governance=governance(main, service, problems),
    )
    return config, problems


def _conflicts(by_path: Mapping[Path, SiteConfig]) -> Iterator[str]:
    """Conflicts between sites: clashing ids, issuers or registrations."""
    sites = by_path.values()
    for name in sorted({site.id for site in sites}):
        files = [path.name for path, site in by_path.items() if site.id == name]
        if len(files) > 1:
            yield f"id: {' and '.join(files)} have {shown(name)}; give each site its own"
    yield from clashes([e for s in sites for e in s.issuers if e.iss], {s.id: s.reading.fhir_bases for s in sites})
    yield from smart_settings.doubled([entry for site in sites for entry in site.smart if entry.iss])


def _model_cards(path: Path, problems: list[str]) -> dict[str, LocalSections]:
    file = read_toml(path, CardFile, problems) if path.exists() else None
    if file is None:
        return {}
    return {outcome: getattr(file, outcome.name.lower()) for outcome in Outcome}
