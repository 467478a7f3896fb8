"""What an incident can be about: how pressing, what it means, what to do, and which facts it holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class IncidentKind(StrEnum):
    """The values are stable: they stand in records, exports and webhooks."""

    NEAR_MISS = "near-miss"
    ANOMALY_RATE = "anomaly-rate"
    AUDIT_FAULT = "audit-fault"
    APPROVAL_EXPIRED = "approval-expired"
    APPROVAL_MISSING = "approval-missing"
    WEBHOOK_STUCK = "webhook-stuck"
    SETTINGS_NOT_RELOADED = "settings-not-reloaded"
    ESCALATION_UNANSWERED = "escalation-unanswered"
    NOBODY_ON_DUTY = "nobody-on-duty"
    CONTACT_UNREACHABLE = "contact-unreachable"
    STOP_RULE = "stop-rule"
    EXIT_CRITERION = "exit-criterion"
    SUBSCRIPTION_SILENT = "subscription-silent"
    CHART_NOT_READ = "chart-not-read"


class Severity(StrEnum):
    """high: look now; medium: look today; low: look this week."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True, kw_only=True)
class KindRow:
    """A kind. facts: the names of what it may hold: codes, counts and times alone, since they are sent.

    again: whether its occasion opens another once it is closed; else a clock that goes back would.
    """

    severity: Severity
    means: str
    to_do: str
    facts: tuple[str, ...] = ()
    again: bool = False


KINDS = {
    IncidentKind.NEAR_MISS: KindRow(
        severity=Severity.HIGH,
        means="A clinician reported a near miss in the app.",
        to_do="Read the note, talk to the clinician, switch off what misled them if others could be misled too.",
        facts=("about", "reason", "launch"),
        again=True,
    ),
    IncidentKind.ANOMALY_RATE: KindRow(
        severity=Severity.MEDIUM,
        means="Much of what a site sends is contradictory or unreadable.",
        to_do="Find out what changed in the EHR's data or mappings; compare with the fields unreadable and anomalies.",
        facts=("day", "answers", "affected", "limit"),
    ),
    IncidentKind.AUDIT_FAULT: KindRow(
        severity=Severity.HIGH,
        means="The audit chain of a site does not verify: something was changed, removed or inserted.",
        to_do="Keep the store as it is, run mhcds audit verify, compare with the signed heads kept elsewhere.",
        facts=("fault", "seq", "faults"),
    ),
    IncidentKind.APPROVAL_EXPIRED: KindRow(
        severity=Severity.MEDIUM,
        means="An approval has ended, so its models no longer speak.",
        to_do="Review it and write a new end date, or set the mode to off.",
        facts=("approval", "ended"),
    ),
    IncidentKind.APPROVAL_MISSING: KindRow(
        severity=Severity.MEDIUM,
        means="A model's mode lets it speak, but no approval names its artifact.",
        to_do="Approve this artifact, or set the mode to silent.",
        facts=("outcome", "version", "service", "mode"),
        again=True,
    ),
    IncidentKind.WEBHOOK_STUCK: KindRow(
        severity=Severity.MEDIUM,
        means="Messages to the site's own system have failed for an hour.",
        to_do="Look at that system and at [webhook]; nothing is lost, and what waits is sent when it answers again.",
        facts=("site", "since", "failure"),
        again=True,
    ),
    IncidentKind.SETTINGS_NOT_RELOADED: KindRow(
        severity=Severity.LOW,
        means="The settings files changed but are not in force, because they contain a mistake.",
        to_do="Run mhcds check-config.",
        again=True,
    ),
    IncidentKind.ESCALATION_UNANSWERED: KindRow(
        severity=Severity.HIGH,
        means="Every contact on duty was told of an acute answer, and none acknowledged it in time.",
        to_do="Open the escalation and make sure that somebody goes to the patient; then find out why nobody answered.",
        facts=("escalation", "contacts", "since"),
        again=True,
    ),
    IncidentKind.NOBODY_ON_DUTY: KindRow(
        severity=Severity.HIGH,
        means="An acute answer came at an hour when no contact is on duty, so nobody has been told yet.",
        to_do="Open the escalation and tell somebody yourself; then close the gap in the contacts' hours.",
        facts=("escalation", "since", "until"),
        again=True,
    ),
    IncidentKind.CONTACT_UNREACHABLE: KindRow(
        severity=Severity.HIGH,
        means="A contact of [escalation] cannot be told: messages to it fail, or its mail server refused one.",
        to_do="Look at that system and at the contact's entry; the next one is told in time, and what waits is sent "
        "later.",
        facts=("contact", "channel", "since", "failure"),
        again=True,
    ),
    IncidentKind.STOP_RULE: KindRow(
        severity=Severity.MEDIUM,
        means="Clinicians accepted few of a model's cards, so the stop rule has set its mode to silent.",
        to_do="Look at the figures and the reasons given; a person restores the mode, or leaves it silent.",
        facts=("outcome", "version", "cards", "accepted", "limit", "since"),
        again=True,
    ),
    IncidentKind.EXIT_CRITERION: KindRow(
        severity=Severity.MEDIUM,
        means="A model has met an exit criterion of its approval at a site, so its mode was set to silent.",
        to_do="Look at the site's figures with the model's owner; a person restores the mode, or leaves it silent.",
        facts=("outcome", "version", "approval", "measure", "comparison", "limit", "value", "n", "since"),
        again=True,
    ),
    IncidentKind.SUBSCRIPTION_SILENT: KindRow(
        severity=Severity.HIGH,
        means="A FHIR server's subscription reported an error, skipped events or has fallen silent.",
        to_do="Switch the subscription on again at that server; check by hand the answers that came since it was last "
        "heard, because those older than a day are not escalated.",
        facts=("subscription", "fault", "since", "missed"),
        again=True,
    ),
    IncidentKind.CHART_NOT_READ: KindRow(
        severity=Severity.HIGH,
        means="A FHIR server said that an answer came, and the chart could not be read for a while.",
        to_do="Look at that server and at [backend]; nothing is lost, and what waits is read when it answers again.",
        facts=("since", "failure", "waiting"),
        again=True,
    ),
}
if missing := set(IncidentKind) - set(KINDS):
    raise AssertionError(f"kinds of incidents without a row: {missing}")
