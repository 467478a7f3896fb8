"""What the patient allows: opt-outs, Consent resources and sensitivity labels. Pure; `gather` asks it first.

After a denial or an opt-out nothing more is read and no model runs; the rules still judge what the client sent. Without
a Consent resource use is allowed. An unreadable Consent, or a failed search for them, leaves consent unknown: no model
runs. Denials are read widely and permissions narrowly: under a limit that is not evaluated here (classes, codes,
single resources, dates) a denial holds and a permission does not. Only security labels are applied to single
resources.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, tzinfo
from typing import Literal

from fhir_adapters.facts import Consent
from fhir_adapters.resources import r4
from fhir_adapters.resources.belonging import Owner
from fhir_adapters.resources.dates import when

# v3-ActCode labels of substance use records, and the law behind them, 42 CFR Part 2 (docs/clinical-sources.md S8).
SUBSTANCE_USE = frozenset(("ETH", "SUD", "ETHUD", "OPIOIDUD", "42CFRPart2"))
# Consent scopes that do not concern use of the chart for care: research, advance directives.
OTHER_SCOPES = {"research", "adr"}
# Purposes of use (v3-ActReason) that certainly are the patient's own care, and that certainly are not.
CARE_PURPOSES = {"TREAT", "ETREAT", "CAREMGT", "COC"}
OTHER_PURPOSES = {"HRESCH", "CLINTRCH", "BIORCH", "DSRCH", "PREVRCH", "HMARKT", "HPAYMT", "PUBHLTH", "FRAUD", "LEGAL"}
# Actions (consent-action) other than reading or using data.
OTHER_ACTIONS = {"disclose", "correct"}
PERSONS = ("Practitioner/", "PractitionerRole/", "RelatedPerson/")
# Policy rules (v3-ActCode) whose base is a denial.
DENYING_POLICIES = {"OPTOUT", "OPTOUTE", "NOCONSENT", "EMRGONLY"}
STATUSES = {"draft", "proposed", "active", "rejected", "inactive", "entered-in-error"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentSettings:
    """What a site says about consent.

    use: "required" queries Consent resources; "not-used": the site has none, so none are queried.
    substance_use: "withheld" leaves resources labelled as substance use unread; "consented": the site has the
    patients' consent on record (42 CFR Part 2).
    """

    use: Literal["required", "not-used"] = "required"
    substance_use: Literal["withheld", "consented"] = "withheld"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """The result of a patient's consents; resources with a label in `withheld` are left unread."""

    consent: Consent
    withheld: frozenset[str] = field(default_factory=frozenset)


def allowed(
    consents: Iterable[r4.Resource],
    owner: Owner,
    settings: ConsentSettings,
    *,
    today: date,
    zone: tzinfo,
    user: str | None = None,
    opted_out: bool = False,
    failed: bool = False,
) -> Allowed:
    """What the consents on file, the opt-outs and the site's settings allow together.

    `user`: reference of the person using the service. `failed`: the consents could not be obtained, or not all of
    them. One denial outweighs every permission.
    """
    labels = set(SUBSTANCE_USE if settings.substance_use == "withheld" else ())
    state, unknown = Consent.ALLOWED, failed
    for resource in consents:
        mine = _is_of(resource, owner)
        if mine is False:
            continue
        if mine is None or resource.content is None or _malformed(resource.content):
            unknown = True
            continue
        unknown = unknown or resource.fault is not None
        denied, limited = _denied(resource.content, user, today, zone)
        state = Consent.DENIED if denied else state
        labels |= limited
    if opted_out:
        state = Consent.OPTED_OUT
    elif state is Consent.ALLOWED and unknown:
        state = Consent.UNKNOWN
    return Allowed(consent=state, withheld=frozenset(labels))


def _is_of(resource: r4.Resource, owner: Owner) -> bool | None:
    """Whether a consent is this patient's; None when its reference is not recognised.

    One without a patient came from a search for this patient and counts. It is certainly another's only when it names
    another Patient of this server.
    """
    named = resource.owner if resource.content is None else r4.subject_of(resource.content)
    if named is None or owner.is_named_by(named):
        return True
    return False if named.target.startswith("Patient/") or named.target.startswith(owner.bases) else None


def _malformed(consent: r4.Consent) -> bool:
    """Whether the status of a consent, or the type of a rule, is not a known code."""
    rules = [] if consent.provision is None else [consent.provision, *_below(consent.provision)]
    return consent.status not in STATUSES or any(rule.type not in ("deny", "permit", None) for rule in rules)


def _denied(consent: r4.Consent, user: str | None, today: date, zone: tzinfo) -> tuple[bool, frozenset[str]]:
    """Whether a consent denies this use of the chart, and the labels to which a denial is limited."""
    scopes = _codes(consent.scope.coding) if consent.scope else set()
    if consent.status != "active" or (scopes and scopes <= OTHER_SCOPES):
        return False, frozenset()
    policy = _codes(consent.policy_rule.coding) if consent.policy_rule else set()
    rule = consent.provision
    rules = [] if rule is None else [rule, *_below(rule)]
    live = [r for r in rules if r.type and _in_force(r, today, zone)]
    denials = [r for r in live if r.type == "deny" and _may_mean_us(r, user)]
    labelled = [r for r in denials if r.security_label]
    outright = [r for r in denials if not r.security_label]
    labels = frozenset(_codes(label for r in labelled for label in r.security_label))
    permitted = any(_means_us(r, user) for r in live if r.type == "permit")
    exceptions = [r for r in outright if r is not rule]
    base_denies = bool(policy & DENYING_POLICIES) or len(exceptions) < len(outright)
    # Only a permission that certainly covers this use lifts a base denial.
    return bool(exceptions) or (base_denies and not permitted), labels


def _below(rule: r4.Provision) -> list[r4.Provision]:
    """Every rule nested in a rule, at any depth."""
    below: list[r4.Provision] = []
    left = [rule]
    while left:
        nested = left.pop().provision
        below += nested
        left += nested
    return below


def _in_force(rule: r4.Provision, today: date, zone: tzinfo) -> bool:
    if rule.period is None:
        return True
    start, end = when(rule.period.start, zone, today), when(rule.period.end, zone, today)
    return not (start and start.day > today) and not (end and end.day < today)


def _codes(codings: Iterable[r4.Coding]) -> set[str]:
    return {c.code for c in codings if c.code}


def _may_mean_us(rule: r4.Provision, user: str | None) -> bool:
    """Whether a denial may cover this use: unless its purpose, action or person is certainly another."""
    purposes = _codes(rule.purpose)
    actions = _codes(coding for concept in rule.action for coding in concept.coding)
    if (purposes and purposes <= OTHER_PURPOSES) or (actions and actions <= OTHER_ACTIONS):
        return False
    persons = [a.reference.target for a in rule.actor if a.reference and a.reference.target.startswith(PERSONS)]
    only_persons = bool(persons) and len(persons) == len(rule.actor)
    return not only_persons or user is None or user in persons


def _means_us(rule: r4.Provision, user: str | None) -> bool:
    """Whether a permission certainly covers this use: for care, to anybody or this user, without other limits."""
    purposes = _codes(rule.purpose)
    actions = _codes(coding for concept in rule.action for coding in concept.coding)
    actors = [a.reference.target for a in rule.actor if a.reference]
    limited = rule.security_label or any(bytes(r) for r in (rule.class_, rule.code, rule.data_period, rule.data))
    return (
        not limited
        and (not purposes or bool(purposes & CARE_PURPOSES))
        and (not actions or bool(actions & {"access", "use"}))
        and (not rule.actor or (user is not None and user in actors))
    )
