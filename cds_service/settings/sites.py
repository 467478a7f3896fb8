"""Settings of a deployment and of its sites, from a folder of TOML files.

`service.toml` holds what is the same for all; `sites/*.toml` is one customer each. Unknown keys are
refused. Every problem is reported with file, key and remedy. Without a folder there is one site with
the defaults written here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from cds_service.cards.dialects import Dialect
from cds_service.errors import ConfigError
from cds_service.keys.data_key import DataKey
from cds_service.settings import deployment as settings
from cds_service.settings import smart as smart_settings
from cds_service.settings.deployment import (
    DEFAULT_BODY_BYTES,
    LEAST_BODY_BYTES,
    MOST_BODY_BYTES,
    Limits,
    ServiceFile,
    Tls,
)
from cds_service.settings.issuers import Issuer, IssuerTable, clashes, issuer
from cds_service.settings.smart import SmartTable
from explanations.judgement.judge import JudgementSettings
from explanations.words.help_lines import countries
from explanations.words.language import ENGLISH, languages
from explanations.words.notices import NoticeSettings
from fhir_adapters.access.addresses import is_base, is_loopback, is_loopback_host, same_base
from fhir_adapters.codesets.questions import QuestionnaireMap, item_names
from fhir_adapters.instruments import Instrument
from fhir_adapters.resources.consent import ConsentSettings
from fhir_adapters.settings import ReadSettings
from models.inputs.outcomes import Outcome
from models.reports.card import LocalSections
from models.scoring.risk import BandThresholds
from smart_launch.oauth.own_keys import OwnKeys
from smart_launch.settings import Registration

DEFAULT_SITE = "default"
MODEL_CARD = "model-card.toml"
DEFAULT_BUDGET_S = 2.0
MOST_BUDGET_S = 60
MOST_ID = 100
MAPPED = {i.value: i for i in Instrument if i.spec.site_map}


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    """Base of file shapes: an unknown key is an error."""


T = TypeVar("T", bound=msgspec.Struct)


class QuestionnaireTable(Strict):
    instrument: str
    items: dict[str, str]
    canonical: str | None = None
    system: str | None = None


class SiteFile(Strict):
    id: str | None = None
    time_zone: str = "UTC"
    country: str = "US"
    language: str = ENGLISH
    fhir_bases: list[str] = []
    issuer: list[IssuerTable] = []
    dialect: Literal["generic", "epic", "oracle-health", "sandbox"] = "generic"
    allowed_links: list[str] | None = None
    client_id: str | None = None
    fetch_budget_s: float = DEFAULT_BUDGET_S
    consent: Literal["required", "not-used"] = "required"
    substance_use: Literal["withheld", "consented"] = "withheld"
    escalation_contact: str | None = None
    show_probability: bool = False
    thresholds: dict[Outcome, float] = {}
    questionnaire: list[QuestionnaireTable] = []
    smart: list[SmartTable] = []


CardFile = msgspec.defstruct(
    "CardFile",
    [(o.name.lower(), LocalSections, msgspec.field(default_factory=LocalSections, name=o.value)) for o in Outcome],
    bases=(Strict,),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteConfig:
    """One customer: who calls, how its charts are read, what its cards say, from which estimate on a prompt is shown.

    issuers: none refuses every call. allowed_links: links that do not begin so are left off cards; None allows all.
    client_id: our OAuth client id at the site, compared with fhirAuthorization.subject; None compares nothing.
    smart: our registrations for the SMART app.
    """

    id: str
    cards: NoticeSettings
    thresholds: BandThresholds = BandThresholds()
    reading: ReadSettings = field(default_factory=ReadSettings)
    issuers: tuple[Issuer, ...] = ()
    dialect: Dialect = Dialect.GENERIC
    allowed_links: tuple[str, ...] | None = None
    client_id: str | None = None
    smart: tuple[Registration, ...] = ()

    @property
    def judgement(self) -> JudgementSettings:
        """How its charts are judged."""
        return JudgementSettings(reading=self.reading, thresholds=self.thresholds)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServiceConfig:
    """Everything that a deployment sets. One loading of the files is one value, equal to no other.

    mode: "demo" lets everyone on this machine call, and no file can set it.
    address: what clients' tokens name as aud, before the path; None where nothing is served.
    store: URL of the database; None for a temporary one. data_key: None for one beside a SQLite file.
    smart_keys: our keys as a SMART client; None for ones beside a SQLite file.
    models: folder of the models; None: those shipped.
    model_cards: outcome -> what the deployment says on that model's card.
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

    @property
    def registrations(self) -> tuple[Registration, ...]:
        """Our registrations for the SMART app at all sites."""
        return tuple(entry for site in self.sites for entry in site.smart)

    @property
    def issuers(self) -> tuple[Issuer, ...]:
        """The issuer tables of all sites."""
        return tuple(entry for site in self.sites for entry in site.issuers)

    def check_host(self, host: str) -> None:
        """Raises ConfigError unless that address may be listened on: beyond this machine only with a way to https."""
        if is_loopback_host(host):
            return
        if self.mode != "production":
            raise ConfigError(f"--host: expected a loopback address in {self.mode} mode; found {host}")
        if self.tls is None and not self.trusted_proxies:
            raise ConfigError(
                f"--host {host}: expected [tls] or trusted_proxies in service.toml, since only https is answered"
            )

    def site_of(self, sites: tuple[str, ...], fhir_base: str | None) -> SiteConfig | None:
        """The one of these sites that a call is for: the only one, or the only one that lists its FHIR server."""
        candidates = [site for site in self.sites if site.id in sites]
        if len(candidates) > 1 and fhir_base is not None:
            candidates = [s for s in candidates if any(same_base(fhir_base, base) for base in s.reading.fhir_bases)]
        return candidates[0] if len(candidates) == 1 else None

    def site(self, identifier: str | None = None) -> SiteConfig:
        """The site of that id, without one the first. Raises ConfigError for an unknown id."""
        if identifier is None:
            return self.sites[0]
        found = next((s for s in self.sites if s.id == identifier), None)
        if found is None:
            known = ", ".join(s.id for s in self.sites)
            raise ConfigError(f"there is no site {identifier}; expected one of: {known}")
        return found


def served_at(host: str, port: int) -> str:
    """The address of a listening socket."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def default_config() -> ServiceConfig:
    """One site, UTC, United States, thresholds of the models; no issuer, so every call is refused."""
    return ServiceConfig(sites=(SiteConfig(id=DEFAULT_SITE, cards=NoticeSettings(zone=ZoneInfo("UTC"))),))


def load_config(folder: Path, address: str | None = None, *, serving: bool = False) -> ServiceConfig:
    """The settings in `folder`. Raises ConfigError with every problem, one a line.

    address: that of the listening socket, which stands in for `public_url` in development. serving: what only a
    service needs is required too; it is also where a site names an issuer.
    """
    problems: list[str] = []
    if not folder.is_dir():
        raise ConfigError(f"{folder}: expected a folder with service.toml and sites/*.toml; found none")
    main = folder / "service.toml"
    service = (_read(main, ServiceFile, problems) if main.exists() else None) or ServiceFile()
    development = service.mode == "development"
    sandbox = service.allow_public_sandbox
    if sandbox and not development:
        problems.append(f'{main}: allow_public_sandbox: only with mode = "development"; remove it')
    if not LEAST_BODY_BYTES <= service.body_bytes <= MOST_BODY_BYTES:
        problems.append(
            f"{main}: body_bytes: expected {LEAST_BODY_BYTES} to {MOST_BODY_BYTES}; found {service.body_bytes}"
        )
    paths = sorted((folder / "sites").glob("*.toml"))
    if not paths:
        problems.append(f"{folder / 'sites'}: expected one .toml file a site; found none")
    sites = [s for path in paths if (s := load_site(path, problems, development=development, sandbox=sandbox))]
    names = [site.id for site in sites]
    doubled = sorted({n for n in names if names.count(n) > 1})
    problems += [f"{folder / 'sites'}: two files have the id {n}; give each site its own" for n in doubled]
    bases = {s.id: s.reading.fhir_bases for s in sites}
    problems += [f"{folder / 'sites'}: {words}" for words in clashes([e for s in sites for e in s.issuers], bases)]
    registered = [entry for site in sites for entry in site.smart]
    problems += [f"{folder / 'sites'}: {words}" for words in smart_settings.doubled(registered)]
    url = settings.store_url(main, service, problems)
    config = ServiceConfig(
        sites=tuple(sites),
        mode=service.mode,
        address=settings.public_url(
            main, service, address, problems, required=serving or bool(registered) or any(s.issuers for s in sites)
        ),
        body_bytes=service.body_bytes,
        limits=settings.limits(main, service.limits, problems),
        cors_origins=settings.origins(main, service, problems),
        trusted_proxies=settings.proxies(main, service, problems),
        tls=settings.tls(main, service, problems),
        store=url,
        data_key=settings.data_key(main, service, url, problems),
        smart_keys=smart_settings.keys(main, service, url, registered, problems),
        models=None if service.models is None else folder / service.models,
        model_cards=_model_cards(folder / MODEL_CARD, problems),
    )
    if problems:
        raise ConfigError("\n".join(problems))
    return config


def load_site(path: Path, problems: list[str], *, development: bool = True, sandbox: bool = False) -> SiteConfig | None:
    """One site's file; problems are appended to the list, and then the site is None.

    development: http on this machine is allowed. sandbox: the public sandbox's key is.
    """
    raw = _read(path, SiteFile, problems)
    if raw is None:
        return None
    before = len(problems)
    if raw.language not in languages():
        known = ", ".join(languages())
        problems.append(f"{path}: language: expected one with a catalogue ({known}); found {raw.language!r}")
    if raw.country not in countries():
        known = ", ".join(countries())
        problems.append(f"{path}: country: expected one with crisis lines on file ({known}); found {raw.country!r}")
    problems += [
        f"{path}: fhir_bases: expected addresses such as https://ehr.example/fhir (http on this machine in "
        f"development only); found {base!r}"
        for base in raw.fhir_bases
        if not (is_base(base) and (base.startswith("https:") or (development and is_loopback(base))))
    ]
    problems += [
        f'{path}: allowed_links: expected addresses such as "https://sprc.org/"; found {link!r}'
        for link in raw.allowed_links or ()
        if not is_base(link)
    ]
    if not 0 < raw.fetch_budget_s <= MOST_BUDGET_S:
        problems.append(
            f"{path}: fetch_budget_s: expected above 0 and at most {MOST_BUDGET_S}; found {raw.fetch_budget_s}"
        )
    try:
        zone = ZoneInfo(raw.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        problems.append(f"{path}: time_zone: expected an IANA name such as America/Chicago; found {raw.time_zone!r}")
        zone = ZoneInfo("UTC")
    try:
        thresholds = BandThresholds(by_outcome={outcome.value: value for outcome, value in raw.thresholds.items()})
    except ValueError as error:
        problems.append(f"{path}: thresholds: {error}")
        thresholds = BandThresholds()
    name = raw.id or path.stem
    if len(name) > MOST_ID or not name.isprintable():
        problems.append(f"{path}: id: expected at most {MOST_ID} printable characters")
    entries = [issuer(path, name, table, problems, development=development, sandbox=sandbox) for table in raw.issuer]
    maps = [found for table in raw.questionnaire if (found := _map(path, table, problems))]
    smart = [smart_settings.registration(path, name, table, problems, development=development) for table in raw.smart]
    if len(problems) > before:
        return None
    return SiteConfig(
        id=name,
        issuers=tuple(entries),
        dialect=Dialect(raw.dialect),
        allowed_links=None if raw.allowed_links is None else tuple(raw.allowed_links),
        client_id=raw.client_id,
        smart=tuple(entry for entry in smart if entry is not None),
        cards=NoticeSettings(
            zone=zone,
            country=raw.country,
            contact=raw.escalation_contact,
            show_probability=raw.show_probability,
            locale=raw.language,
        ),
        thresholds=thresholds,
        reading=ReadSettings(
            zone=zone,
            maps=tuple(maps),
            fhir_bases=tuple(base.rstrip("/") for base in raw.fhir_bases),
            consent=ConsentSettings(use=raw.consent, substance_use=raw.substance_use),
            budget_s=raw.fetch_budget_s,
        ),
    )


def _model_cards(path: Path, problems: list[str]) -> dict[str, LocalSections]:
    raw = _read(path, CardFile, problems) if path.exists() else None
    if raw is None:
        return {}
    return {outcome: getattr(raw, outcome.name.lower()) for outcome in Outcome}


def _map(path: Path, table: QuestionnaireTable, problems: list[str]) -> QuestionnaireMap | None:
    instrument = MAPPED.get(table.instrument)
    source = table.canonical or table.system
    if instrument is None:
        problems.append(
            f"{path}: questionnaire.instrument: expected one of {', '.join(MAPPED)}; found {table.instrument!r}"
        )
        return None
    if source is None or (table.canonical and table.system):
        problems.append(
            f"{path}: questionnaire {table.instrument}: expected either canonical or system, one of the two"
        )
        return None
    known = item_names(instrument)
    unknown = sorted(set(table.items.values()) - known)
    if unknown:
        problems.append(
            f"{path}: questionnaire {table.instrument}: items map to {', '.join(unknown)}; "
            f"expected {', '.join(sorted(known))}"
        )
        return None
    return QuestionnaireMap(
        instrument=instrument,
        source=source,
        form=table.canonical is not None,
        items={link: name.removeprefix("item") for link, name in table.items.items()},
    )


def _read(path: Path, shape: type[T], problems: list[str]) -> T | None:
    try:
        return msgspec.toml.decode(path.read_bytes(), type=shape)
    except OSError as error:
        problems.append(f"{path}: cannot be read ({error.strerror})")
    except UnicodeDecodeError:
        problems.append(f"{path}: expected UTF-8 text; save the file as UTF-8")
    except msgspec.ValidationError as error:
        keys = ", ".join(field.encode_name for field in msgspec.structs.fields(shape))
        problems.append(f"{path}: {error}; known keys: {keys}")
    except msgspec.DecodeError as error:
        problems.append(f"{path}: is not valid TOML: {error}")
    return None
