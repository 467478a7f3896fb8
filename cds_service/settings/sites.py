"""One site, from its file in `sites/`: who calls, how its charts are read, what its cards say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from cds_service.cards.dialects import Dialect
from cds_service.settings import smart as smart_settings
from cds_service.settings.alerts import AlertSettings, AlertTable, alerts
from cds_service.settings.backend import BackendSettings, backend
from cds_service.settings.crisis_lines import CrisisLineTable, crisis_line
from cds_service.settings.deployment import ServiceFile, WebhookTable
from cds_service.settings.escalation import EscalationSettings
from cds_service.settings.escalation_file import EscalationTable, escalation
from cds_service.settings.files import read_toml
from cds_service.settings.issuers import Issuer, IssuerTable, issuer
from cds_service.settings.languages import site_languages
from cds_service.settings.monitoring import MonitoringSettings, MonitoringTable, monitoring
from cds_service.settings.shapes import numbered, one_of, shown
from cds_service.settings.smart import SmartTable
from cds_service.settings.subscription import SubscriptionSettings, SubscriptionTable, subscription
from cds_service.settings.webhook import Webhook, webhook
from explanations.judgement.assessment import Engine
from explanations.judgement.judge import JudgementSettings
from explanations.judgement.regions import DEFAULT_REGION, REGIONS
from explanations.words.language import ENGLISH, Language, language, languages
from explanations.words.notices.notice import NoticeSettings
from explanations.words.regional import regional
from fhir_adapters.access.addresses import is_base, is_loopback
from fhir_adapters.access.templates import local_template
from fhir_adapters.codesets.questions import QuestionnaireMap, item_names
from fhir_adapters.instruments import Instrument
from fhir_adapters.received import cleaned
from fhir_adapters.resources.consent import ConsentSettings
from fhir_adapters.settings import ReadSettings
from models.inputs.outcomes import Outcome
from models.scoring.registry import SHIPPED, Model, versions
from models.scoring.risk import BandThresholds
from smart_launch.settings import Registration

T = TypeVar("T")
DEFAULT_BUDGET_S = 2.0
MOST_BUDGET_S = 60
MOST_ID = 100
MOST_POLICY, MOST_ASK = 300, 300
LEAST_AUDIT_DAYS, MOST_AUDIT_DAYS = 30, 36500
IN_ADDRESS = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*")
DEFAULT_GAP_CARD_H = 8
MOST_GAP_CARD_H = 24
DEFAULT_ANOMALY_LIMIT = 0.25
MAPPED = {i.value: i for i in Instrument if i.spec.site_map}


class OnMissing(StrEnum):
    """The answer when some needed data is lacking and nothing else is to be said (R16)."""

    CARD = "card"
    REFUSE = "412"


class QuestionnaireTable(msgspec.Struct):
    instrument: str = ""
    items: dict[str, str] = {}
    canonical: str | None = None
    system: str | None = None


class OptOutTable(msgspec.Struct):
    """`[opt_out]`."""

    rules: Literal["kept", "off"] = "kept"
    policy: str | None = None
    ask: dict[str, str] = {}


class RetentionTable(msgspec.Struct):
    """`[retention]`."""

    audit_days: int | None = None


class SiteFile(msgspec.Struct):
    id: str | None = None
    time_zone: str = "UTC"
    region: str = DEFAULT_REGION.id
    country: str | None = None
    language: str = ENGLISH
    languages: list[str] = []
    fhir_bases: list[str] = []
    issuer: list[IssuerTable] = []
    dialect: Literal["generic", "epic", "oracle-health", "sandbox"] = "generic"
    allowed_links: list[str] | None = None
    client_id: str | None = None
    prefetch_count: bool = True
    fetch_budget_s: float = DEFAULT_BUDGET_S
    consent: Literal["required", "not-used"] = "required"
    substance_use: Literal["withheld", "consented"] = "withheld"
    escalation_contact: str | None = None
    safety_plan_url: str | None = None
    show_probability: bool = False
    on_missing: Literal["card", "412", 412] = "card"
    gap_card_every_h: int = DEFAULT_GAP_CARD_H
    anomaly_limit: float = DEFAULT_ANOMALY_LIMIT
    webhook: WebhookTable | None = None
    subscription: SubscriptionTable | None = None
    thresholds: dict[Outcome, float] = {}
    models: dict[Outcome, str] = {}
    questionnaire: list[QuestionnaireTable] = []
    crisis_line: list[CrisisLineTable] = []
    smart: list[SmartTable] = []
    backend: BackendSettings | None = None
    opt_out: OptOutTable = msgspec.field(default_factory=OptOutTable)
    retention: RetentionTable = msgspec.field(default_factory=RetentionTable)
    escalation: EscalationTable | None = None
    alerts: AlertTable | None = None
    monitoring: MonitoringTable = msgspec.field(default_factory=MonitoringTable)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteConfig:
    """One customer: who calls, how its charts are read, what its cards say, its thresholds and models.

    issuers: none refuses every call. allowed_links: prefixes of the links kept on cards; None allows all.
    client_id: our OAuth client id at the site, compared with fhirAuthorization.subject; None skips the check.
    on_missing: the answer to a gap alone. gap_card_every_h: hours until the card of the same gap comes to the same user
    again; 0: at every call. prefetch_count: its own discovery document has templates with a page size.
    anomaly_limit: the share of a day's answers with contradictory or unreadable data above which an incident is opened.
    webhook: where incidents of the site are sent; None: where those of the deployment are.
    smart: our registrations for the SMART app. models: outcome -> the version of the model that the site keeps.
    rules_off_policy: the site's written policy that for patients who have opted out the rules are off too; None: they
    judge what was sent. opt_out_ask: locale -> whom patients ask, in the site's own words. audit_days: how long
    the content of audit events is kept; None: for ever.
    escalation: who is told of acute answers; None: nobody. backend: the service's own access to the EHR; None: none.
    alerts: how often model and follow-up cards may come; by default at every opening.
    languages: those that its users may have, its own first.
    subscription: its FHIR server may say that something came. monitoring: how its models are watched.
    """

    id: str
    cards: NoticeSettings
    thresholds: BandThresholds = BandThresholds()
    reading: ReadSettings = field(default_factory=ReadSettings)
    issuers: tuple[Issuer, ...] = ()
    dialect: Dialect = Dialect.GENERIC
    allowed_links: tuple[str, ...] | None = None
    client_id: str | None = None
    on_missing: OnMissing = OnMissing.CARD
    prefetch_count: bool = True
    gap_card_every_h: int = DEFAULT_GAP_CARD_H
    smart: tuple[Registration, ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)
    anomaly_limit: float = DEFAULT_ANOMALY_LIMIT
    webhook: Webhook | None = None
    rules_off_policy: str | None = None
    opt_out_ask: Mapping[str, str] = field(default_factory=dict)
    audit_days: int | None = None
    escalation: EscalationSettings | None = None
    backend: BackendSettings | None = None
    subscription: SubscriptionSettings | None = None
    alerts: AlertSettings = field(default_factory=AlertSettings)
    monitoring: MonitoringSettings = field(default_factory=MonitoringSettings)
    languages: tuple[Language, ...] = field(default_factory=lambda: (language(),))

    @property
    def path(self) -> str | None:
        """The path below which the site has addresses of its own; None when its id cannot stand in one."""
        return f"/sites/{self.id}" if IN_ADDRESS.fullmatch(self.id) else None

    def models_of(self, engine: Engine) -> tuple[Model, ...]:
        """The models that may be asked here: none where the region has none (rule R15)."""
        return engine.of(self.models).models if self.cards.region.models else ()

    def day(self, now: datetime) -> date:
        """The calendar day of a moment at the site."""
        return now.astimezone(self.cards.zone).date()

    def in_language(self, say: Language) -> SiteConfig:
        """The same, with its cards in one of its languages."""
        return self if say is self.cards.say else replace(self, cards=replace(self.cards, say=say))

    @property
    def clients(self) -> tuple[Registration, ...]:
        """All that we are registered as with the site's EHRs: for the SMART app, and for ourselves."""
        return (*self.smart, *([self.backend.registration(self.id)] if self.backend else []))

    @property
    def local_prefetch(self) -> tuple[tuple[str, str], ...]:
        """Prefetch keys and templates for the site's own codes."""
        local = local_template(self.reading.maps)
        return local.prefetch(page_size=self.prefetch_count) if local else ()

    @property
    def judgement(self) -> JudgementSettings:
        """How the site's charts are judged."""
        return JudgementSettings(
            reading=self.reading, thresholds=self.thresholds, models=self.models, region=self.cards.region
        )


def load_site(
    path: Path,
    problems: list[str],
    *,
    folder: Path | None = None,
    models: Path | None = None,
    development: bool = True,
    sandbox: bool = False,
) -> SiteConfig | None:
    """One site's file, its problems appended; None when it cannot be read.

    folder: of all settings, for its translations. models: folder of the models; None: those shipped. development: allow
    http on this machine. sandbox: allow the public sandbox's key.
    """
    raw = read_toml(path, SiteFile, problems, {"service.toml": ServiceFile})
    if raw is None:
        return None
    _check(path, raw, problems, development=development)
    region = REGIONS.get(raw.region, DEFAULT_REGION)
    named = site_languages(path, raw.language, raw.languages, folder, problems)
    spoken = tuple(regional(each, region) for each in named)
    try:
        zone = ZoneInfo(raw.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        problems.append(
            f"{path}: time_zone: expected an IANA name such as America/Chicago; found {shown(raw.time_zone)}"
        )
        zone = ZoneInfo("UTC")
    usable = {outcome.value: value for outcome, value in raw.thresholds.items() if 0 < value < 1}
    problems += [
        f"{path}: [thresholds] {outcome}: expected a number between 0 and 1; found {value}"
        for outcome, value in raw.thresholds.items()
        if outcome.value not in usable
    ]
    thresholds = BandThresholds(by_outcome=usable)
    kept = {}
    for outcome, version in raw.models.items():
        there = [folder.name for folder in versions((models or SHIPPED) / outcome)]
        if version in there:
            kept[outcome.value] = version
        else:
            known = one_of(there) or "none, since there is no model of it"
            problems.append(f"{path}: [models] {outcome}: expected {known}; found {shown(version)}")
    name = raw.id or path.stem
    if len(name) > MOST_ID or not name.isprintable():
        problems.append(f"{path}: id: expected at most {MOST_ID} printable characters")

    def each(name: str, tables: Sequence[T]) -> Iterator[tuple[str, T]]:
        return ((f"{path}: {numbered(f'[[{name}]]', n, len(tables))}", table) for n, table in enumerate(tables))

    entries = [
        issuer(path, where, name, table, problems, development=development, sandbox=sandbox)
        for where, table in each("issuer", raw.issuer)
    ]
    own = [crisis_line(where, table, problems) for where, table in each("crisis_line", raw.crisis_line)]
    maps = [_map(where, table, problems) for where, table in each("questionnaire", raw.questionnaire)]
    smart = [
        smart_settings.registration(path, where, name, table, problems, development=development)
        for where, table in each("smart", raw.smart)
    ]
    return SiteConfig(
        id=name,
        issuers=tuple(entries),
        dialect=Dialect(raw.dialect),
        allowed_links=None if raw.allowed_links is None else tuple(raw.allowed_links),
        client_id=raw.client_id,
        on_missing=OnMissing(str(raw.on_missing)),
        prefetch_count=raw.prefetch_count,
        gap_card_every_h=raw.gap_card_every_h,
        smart=tuple(smart),
        cards=NoticeSettings(
            zone=zone,
            region=region,
            crisis_lines=tuple(filter(None, own)),
            contact=raw.escalation_contact,
            safety_plan=raw.safety_plan_url,
            show_probability=raw.show_probability,
            say=spoken[0],
        ),
        thresholds=thresholds,
        models=kept,
        anomaly_limit=raw.anomaly_limit,
        webhook=webhook(path, raw.webhook, problems, development=development),
        escalation=escalation(
            path,
            raw.escalation,
            problems,
            bases=len({base.rstrip("/") for base in raw.fhir_bases}),
            has_backend=raw.backend is not None,
            development=development,
        ),
        backend=backend(f"{path}: [backend]", raw.backend, raw.fhir_bases, problems),
        subscription=subscription(
            path,
            raw.subscription,
            problems,
            has_backend=raw.backend is not None,
            has_path=IN_ADDRESS.fullmatch(name) is not None,
        ),
        audit_days=raw.retention.audit_days,
        languages=spoken,
        alerts=alerts(path, raw.alerts, problems),
        monitoring=monitoring(path, raw.monitoring, problems),
        rules_off_policy=raw.opt_out.policy if raw.opt_out.rules == "off" else None,
        opt_out_ask=raw.opt_out.ask,
        reading=ReadSettings(
            zone=zone,
            maps=tuple(entry for entry in maps if entry is not None),
            fhir_bases=tuple(base.rstrip("/") for base in raw.fhir_bases),
            consent=ConsentSettings(use=raw.consent, substance_use=raw.substance_use),
            budget_s=raw.fetch_budget_s,
            psychosocial=region.psychosocial,
        ),
    )


def _check(path: Path, raw: SiteFile, problems: list[str], *, development: bool) -> None:
    """Appends the problems of single values."""
    if raw.region not in REGIONS:
        problems.append(f"{path}: region: expected {one_of(REGIONS, raw.region)}; found {shown(raw.region)}")
    if raw.country is not None:
        problems.append(f"{path}: country: replaced by region; write region = {one_of(REGIONS, raw.country)} instead")
    problems += [
        f"{path}: fhir_bases: expected addresses such as https://ehr.example/fhir (http on this machine in "
        f"development only); found {shown(base)}"
        for base in raw.fhir_bases
        if not (is_base(base) and (base.startswith("https:") or (development and is_loopback(base))))
    ]
    problems += [
        f'{path}: allowed_links: expected addresses such as "https://sprc.org/"; found {shown(link)}'
        for link in raw.allowed_links or ()
        if not is_base(link)
    ]
    if raw.safety_plan_url is not None and not _is_page(raw.safety_plan_url):
        problems.append(
            f'{path}: safety_plan_url: expected an https address such as "https://forms.example/safety-plan"; '
            f"found {shown(raw.safety_plan_url)}"
        )
    days = raw.retention.audit_days
    if days is not None and not LEAST_AUDIT_DAYS <= days <= MOST_AUDIT_DAYS:
        problems.append(
            f"{path}: [retention] audit_days: expected {LEAST_AUDIT_DAYS} to {MOST_AUDIT_DAYS}; found {shown(days)}"
        )
    problems += _opt_out_problems(path, raw.opt_out)
    if not 0 < raw.fetch_budget_s <= MOST_BUDGET_S:
        problems.append(
            f"{path}: fetch_budget_s: expected above 0 and at most {MOST_BUDGET_S}; found {raw.fetch_budget_s}"
        )
    if not 0 <= raw.gap_card_every_h <= MOST_GAP_CARD_H:
        problems.append(
            f"{path}: gap_card_every_h: expected 0 (at every call) to {MOST_GAP_CARD_H}; found {raw.gap_card_every_h}"
        )
    if not 0 <= raw.anomaly_limit <= 1:
        problems.append(f"{path}: anomaly_limit: expected 0 to 1 (1: never); found {raw.anomaly_limit}")


def _opt_out_problems(path: Path, raw: OptOutTable) -> Iterator[str]:
    policy = raw.policy or ""
    is_named = bool(policy.strip()) and len(policy) <= MOST_POLICY and policy.isprintable()
    if raw.rules == "off" and not is_named:
        yield (
            f'{path}: [opt_out] policy: required with rules = "off": which written policy of yours says so, in 1 to '
            f"{MOST_POLICY} printable characters"
        )
    for locale, words in raw.ask.items():
        if locale not in languages():
            yield f"{path}: [opt_out.ask]: expected {one_of(languages(), locale)}; found {shown(locale)}"
        if not words.strip() or len(words) > MOST_ASK or not words.isprintable():
            yield (
                f"{path}: [opt_out.ask] {shown(locale)}: expected whom a patient asks, in 1 to {MOST_ASK} "
                "printable characters"
            )


def _is_page(url: str) -> bool:
    """Whether an address can stand in a link: https, and nothing that leads elsewhere or out of an attribute."""
    base, _, query = url.partition("?")
    return base.startswith("https://") and is_base(base) and query.isascii() and not re.search(r"[\s\"'<>\\]", query)


def _map(where: str, raw: QuestionnaireTable, problems: list[str]) -> QuestionnaireMap | None:
    before = len(problems)
    instrument = MAPPED.get(raw.instrument)
    if instrument is None:
        problems.append(f"{where} instrument: expected {one_of(MAPPED, raw.instrument)}; found {shown(raw.instrument)}")
    sources = [source for source in (raw.canonical, raw.system) if source]
    if len(sources) != 1:
        problems.append(
            f"{where}: expected canonical (a form) or system (codes); found {'both' if sources else 'neither'}"
        )
    known = sorted(item_names(instrument)) if instrument else []
    problems += [
        f"{where} items {cleaned(link)}: expected {one_of(known, item)}; found {shown(item)}"
        for link, item in raw.items.items()
        if instrument and item not in known
    ]
    if not raw.items:
        problems.append(f'{where} items: expected which linkId or code is which item, such as {{ q1 = "item1" }}')
    if instrument is None or len(problems) > before:
        return None
    return QuestionnaireMap(
        instrument=instrument,
        source=sources[0],
        form=raw.canonical is not None,
        items={link: name.removeprefix("item") for link, name in raw.items.items()},
    )
