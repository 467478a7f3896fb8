"""Escalations for tests: a site that tells people, assessments with acute answers, and what came of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from builders import PATIENT
from ehr import DATA_KEY

from cds_service.escalation.escalations import advance
from cds_service.escalation.links import PatientLink
from cds_service.escalation.opening import open_for
from cds_service.escalation.records import EscalationRow, listed
from cds_service.keys.data_key import DataKey
from cds_service.settings.config import ServiceConfig
from cds_service.settings.escalation import Channel, Contact, EscalationSettings, Hours
from cds_service.settings.sites import SiteConfig
from cds_service.settings.webhook import Webhook
from cds_service.storage import tables
from cds_service.storage.store import Store
from explanations.judgement.assessment import Assessment
from explanations.judgement.escalation import Escalation
from explanations.words.notices.notice import NoticeSettings
from fhir_adapters.facts import Administration, Consent, PatientRecord, When
from fhir_adapters.instruments import Instrument
from models.rules.findings import Kind, SafetyFinding, Topic, Urgency

NOW = datetime(2026, 11, 30, 17, 50, tzinfo=UTC)
KEY = DataKey(DATA_KEY)
EVERY_DAY = frozenset(range(7))


def contact(name: str, *hours: Hours, channel: Channel = Channel.WEBHOOK, within_min: int = 15) -> Contact:
    hook = (
        Webhook(url=f"https://{name}.example/hook", secret="whsec_" + "a" * 32) if channel is Channel.WEBHOOK else None
    )
    email = f"{name}@hospital.example" if channel is Channel.EMAIL else None
    return Contact(name=name, channel=channel, hours=hours, within_min=within_min, webhook=hook, email=email)


def hours(start: str, end: str, days: frozenset[int] = EVERY_DAY) -> Hours:
    return Hours(days=days, start=time.fromisoformat(start), end=time.fromisoformat(end))


def site_of(*contacts: Contact, zone: str = "UTC", **wanted) -> SiteConfig:
    return SiteConfig(
        id="north",
        cards=NoticeSettings(zone=ZoneInfo(zone)),
        escalation=EscalationSettings(contacts=contacts, **wanted),
    )


def acute(
    when: str | None = "2026-11-30T17:40:00Z",
    instrument: Instrument = Instrument.CSSRS,
    reference: str = "Observation/1",
):
    instant = datetime.fromisoformat(when).astimezone(UTC) if when and "T" in when else None
    at = When(text=when, day=NOW.date(), instant=instant) if when else None
    form = Administration(instrument=instrument, when=at, references=(reference,))
    return SafetyFinding(
        rule="cssrs-acute",
        kind=Kind.CSSRS,
        topic=Topic.ACUTE_SAFETY,
        urgency=Urgency.ACUTE,
        when=at,
        days=0,
        references=(reference,),
        form=form,
    )


def assessment(*findings: SafetyFinding, **chart) -> Assessment:
    record = PatientRecord(patient_id=PATIENT, as_of=NOW, today=NOW.date(), **chart)
    return Assessment(
        chart=record, findings=findings, history=(), scores=(), explanations=(), asked=(), missing=(), in_care=()
    )


@dataclass
class Desk:
    """One site with its store and its clock."""

    store: Store
    site: SiteConfig
    now: datetime = NOW
    config: ServiceConfig = field(init=False)

    def __post_init__(self) -> None:
        self.config = ServiceConfig(sites=(self.site,), address="https://cds.example")

    def read(
        self, *findings: SafetyFinding, patient: str = PATIENT, later_min: float = 0, off: Sequence[Topic] = (), **chart
    ) -> Escalation | None:
        """A reading of a patient's chart."""
        if later_min:
            self.pass_time(later_min)
        link = PatientLink(patient_id=patient)
        found = assessment(*findings, **chart)
        return open_for(
            self.store, KEY, self.site, link, found, self.now, service="mental-health-chart", topics_off=off
        )

    def pass_time(self, minutes: float) -> int:
        """Time goes by, and a worker looks."""
        self.now += timedelta(minutes=minutes)
        return advance(self.store, self.config, self.now)

    def do(self, act, *given, **named):
        with self.store.transaction() as connection:
            return act(connection, *given, **named)

    def rows(self) -> list[EscalationRow]:
        """All escalations, the oldest first."""
        with self.store.transaction() as connection:
            return listed(connection, open_only=False)[::-1]

    def told(self) -> list[tuple[str, str]]:
        """Who was sent what, in order."""
        rows = sorted(self.store.rows(tables.delivery), key=lambda row: (row["at"], row["id"]))
        found = [json.loads(row["body"]) for row in rows if row["escalation"]]
        return [(body["data"]["contact"], body["type"]) for body in found]

    def arrive(self) -> None:
        """Everything that waits arrives now."""
        waits = tables.delivery.c.delivered.is_(None)
        values = {"delivered": int(self.now.timestamp()), "attempts": 1}
        with self.store.transaction() as connection:
            connection.execute(tables.delivery.update().where(waits).values(values))

    def audited(self) -> list[dict]:
        return [json.loads(row["event"]) for row in self.store.rows(tables.audit_event) if row["kind"] == "escalation"]

    def incidents(self) -> list[str]:
        return [row["kind"] for row in self.store.rows(tables.incident)]


def opted_out() -> dict:
    return {"consent": Consent.OPTED_OUT}
