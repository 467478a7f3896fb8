"""The model card of one artifact: source attributes and an applied model card, generated, never typed.

`model_card` returns plain JSON values: the 31 source attributes for predictive decision support (ONC HTI-1, 45 CFR
170.315(b)(11)) in their order, and the fields of the CHAI applied model card. Figures, counts, cycles, inputs and
versions come from the artifact, what is known of other surveys from transport.json beside this file; the other sentences are fixed. What only a site can know is NOT_RECORDED or
NOT_VALIDATED until the site provides it. Pure; reads no files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from models.inputs.outcomes import OUTCOME_SPECS, OUTCOMES
from models.inputs.patterns import HEADLINE
from models.reports.figures import LEGEND, PATTERN_WORDS, figure, no_better, not_in_care
from models.scoring.registry import Model

TRANSPORT = Path(__file__).with_name("transport.json")
"""The committed figures of `mhcds transport`, and the versions that they are of."""
NOT_RECORDED = "Not recorded."
NOT_VALIDATED = "Not validated at this site before its release; a silent run has to come first."
AUROC_TARGETS = [
    f"AUROC of {spec.least_subgroup_auroc} or more for {spec.outcome.replace('-', ' ')}"
    for spec in OUTCOME_SPECS.values()
    if spec.least_subgroup_auroc is not None
]
DEVELOPER = "The mental-health-cds project (open source, Apache-2.0)."


class LocalSections(msgspec.Struct, frozen=True, kw_only=True):
    """A site's own statements about a model, read verbatim from its file; None where there is none.

    version: the one they are about; None: whichever is deployed.
    """

    version: str | None = None
    contact: str | None = None
    relevance: str | None = None
    validity: str | None = None
    fairness: str | None = None
    monitoring: str | None = None
    updates: str | None = None
    approved_by: str | None = None
    approved_on: str | None = None
    consent: str | None = None

    def of(self, version: str) -> LocalSections:
        """What they say about this version: nothing, if they are about another."""
        return self if self.version in (None, version) else LocalSections()


def model_card(
    model: Model,
    metrics: Mapping[str, Any],
    validation: Mapping[str, Any],
    transport: Mapping[str, Any],
    local: LocalSections | None = None,
) -> dict[str, Any]:
    """The card. metrics, validation: the parsed metrics.json and validation.json of the model's folder.

    transport: parsed TRANSPORT, whose figures are of certain versions only.
    """
    site = local or LocalSections()
    patterns = metrics["outcomes"][model.outcome]["patterns"]
    ranked = transport["models"].get(model.outcome) == model.version
    facts = _Facts(model=model, patterns=patterns, validation=validation, ranked_elsewhere=ranked)
    return {
        "outcome": model.outcome,
        "version": model.version,
        "summary": facts.summary(),
        "headline": facts.headline(),
        "limits": facts.limits(),
        "breaches": [{**b, "known": PATTERN_WORDS[b["pattern"]]} for b in validation["breaches"]],
        "source_attributes": [
            {"number": number, "name": name, "value": value}
            for number, (name, value) in enumerate(_attributes(facts, site), start=1)
        ],
        "applied_model_card": _applied(facts, site),
        "local": msgspec.structs.asdict(site),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    model: Model
    patterns: Mapping[str, Any]
    validation: Mapping[str, Any]
    ranked_elsewhere: bool
    """Whether people of other surveys were ranked by this version."""

    @property
    def training(self) -> Mapping[str, Any]:
        return self.model.manifest.training

    @property
    def apart(self) -> Mapping[str, Any]:
        return not_in_care(self.patterns[HEADLINE]["all"])

    def what(self) -> str:
        return OUTCOME_SPECS[self.model.outcome].estimates

    def summary(self) -> str:
        return (
            f"A machine-learning model that estimates {self.what()} in adults, from what the chart holds today, to "
            "prompt a clinician to ask. It is no diagnosis, it says nothing about later events, and a low estimate is "
            "no reassurance."
        )

    def headline(self) -> list[dict[str, Any]]:
        group = self.apart
        flag = group["flag_rates"][self.model.manifest.default_flag_rate]
        share = f"{float(self.model.manifest.default_flag_rate):.0%}"
        people = f"{group['n']:,} people not in care, {group['events']:,} with the outcome, no PHQ answer known"
        return [
            {"name": "Discrimination (AUROC)", "figure": group["auroc"], "people": people},
            {"name": "Observed over expected", "figure": group["o_e"], "people": people},
            {"name": f"Share found when {share} are flagged (sensitivity)", "figure": flag["sensitivity"], "people": people},
            {"name": f"Share of those flagged who have it (PPV), {share} flagged", "figure": flag["ppv"], "people": people},
        ]  # fmt: skip

    def cycles(self) -> str:
        return ", ".join(self.training["cycles"])

    def figures(self, pattern: str, group: Mapping[str, Any] | None = None) -> str:
        metrics = group or self.patterns[pattern]["all"]
        return (
            f"AUROC {figure(metrics['auroc'])}, slope {figure(metrics['slope'], 2)}, observed over expected "
            f"{figure(metrics['o_e'], 2)}; {metrics['n']:,} people, {metrics['events']:,} with the outcome"
        )

    def limits(self) -> list[str]:
        alike = no_better(self.patterns)
        missed = 1 - (self.apart["flag_rates"][self.model.manifest.default_flag_rate]["sensitivity"]["value"] or 0)
        limits = [
            "Learned from a cross-sectional survey: inputs and outcome are of the same day. It says nothing about attempts, deaths or anything later.",
            "Conditions were what people said a doctor had told them, medicines those of the past 30 days; a chart differs.",
            "Adults only: no estimate under 18 years or where the age is not known.",
            f"At the default threshold {missed:.0%} of people not in care who have it are not flagged.",
            "Treatment and visits are inputs: the estimate is partly circular for people already in care, and favours people with access to care. Rule R13 therefore gives people in depression care no screening prompt, and the headline figures are of people not in care.",
            NOT_VALIDATED,
        ]
        if alike:
            limits.append(
                f"No better than logistic regression on the same inputs: {'; '.join(PATTERN_WORDS[pattern] for pattern in alike)}. {LEGEND}"
            )
        if self.validation["breaches"]:
            count = len(self.validation["breaches"])
            limits.append(f"{count} fairness target{'s are' if count > 1 else ' is'} missed, listed below.")
        return limits

    def inputs(self) -> str:
        groups: dict[str, list[str]] = {}
        for spec in self.model.schema.features:
            groups.setdefault(spec.group, []).append(spec.name)
        return "; ".join(f"{group}: {', '.join(names)}" for group, names in groups.items())

    def fairness(self) -> str:
        breaches = self.validation["breaches"]
        lines = [
            f"{b['variable']} {b['group']}, {PATTERN_WORDS[b['pattern']]}: {b['what']} {figure(b['found'], 2)}, target {b['target']}"
            for b in breaches
        ]
        return "Targets missed: " + "; ".join(lines) + "." if lines else "Every subgroup meets the targets."

    def recalibrated(self) -> str:
        recalibration = self.model.manifest.recalibration
        if not recalibration:
            return NOT_VALIDATED
        before = recalibration["before"]
        return (
            f"Recalibrated on {recalibration['n']:,} local people, {recalibration['events']:,} with the outcome (from version "
            f"{recalibration['from_version']}). On those people before: slope {figure(before['slope'], 2)}, observed "
            f"over expected {figure(before['o_e'], 2)}. {self._checked(recalibration.get('later'))}"
            f"{self._selected(recalibration.get('measured'))}"
        )

    def _selected(self, measured: Mapping[str, float] | None) -> str:
        """How many of those scored had an outcome."""
        if not measured:
            return ""
        return f" Of those scored, {measured['earlier']:.0%} had an outcome; for the others the level may be another."

    def _checked(self, later: Mapping[str, Any] | None) -> str:
        """What was found on people that the line had not seen."""
        if not later:
            return "Not yet checked on further local people."
        found = later["after"]
        return (
            f"On {later['n']:,} others, scored later, {later['events']:,} with the outcome: slope "
            f"{figure(found['slope'], 2)}, observed over expected {figure(found['o_e'], 2)}."
        )


def _attributes(facts: _Facts, site: LocalSections) -> Sequence[tuple[str, Any]]:
    manifest, forward = facts.model.manifest, facts.validation["forward"]
    rules = manifest.minimum_data
    return (
        ("Developer name and contact", f"{DEVELOPER} Local contact: {site.contact or NOT_RECORDED}"),
        ("Funding", NOT_RECORDED),
        ("Value of the output", f"Probability, 0 to 1, of {facts.what()}, with an interval; or no estimate, with the reason"),
        ("Type of the output", "Estimate of a present state (classification with calibrated probability)"),
        ("Intended use", manifest.intended_use),
        ("Intended patient population", f"Adults, {rules.minimum_age_years} years or older, with age and sex on record"),
        ("Intended users", "Psychiatrists, primary-care clinicians and their teams; not patients"),
        ("Decision-making role", "Informs: prompts a question. It neither augments nor replaces a clinical decision"),
        ("Out-of-scope uses", "Diagnosis; foretelling attempts or death; ruling anything out; people under 18; triage; insurance or employment"),
        ("Known risks and limits", " ".join(facts.limits())),
        ("Inclusion and exclusion in training", f"{facts.training['source']}; label: {manifest.label}"),
        ("Demographic and social inputs used", f"Inputs: {facts.inputs()}. Never inputs: race and ethnicity, insurance, income, education, marital status"),
        ("Representativeness of the training data", f"{facts.training['n']:,} survey adults, {facts.training['events']:,} with the outcome; cycles {facts.cycles()}. Weights: {facts.training['weights']}"),
        ("Relevance to the deployed setting", site.relevance or f"{NOT_RECORDED} Survey adults of the United States; a clinic differs"),
        ("Approach to fairness", "Race and ethnicity serve audits only. Every metric is reported by sex, age, race and ethnicity, income, insurance and care, with counts and intervals"),
        ("Management of bias", f"{facts.fairness()} No tuning by group; a site's own data decide"),
        *_external(facts),
        ("Validity, same source", f"Out of fold: {facts.figures(HEADLINE)}. People not in care: {facts.figures(HEADLINE, facts.apart)}. Forward in time ({', '.join(forward['cycles'])}): {facts.figures(HEADLINE, forward['patterns'][HEADLINE]['all'])}"),
        ("Fairness, same source", facts.fairness()),
        ("Validity, external", "Not measured"),
        ("Fairness, external", "Not measured"),
        ("Outcome evaluations", "None: no study of what the estimate does for patients"),
        ("Monitoring of validity", site.monitoring or f"{NOT_RECORDED} `mhcds drift` compares the local mix of inputs with that of training, without labels"),
        ("Validity in local data", site.validity or facts.recalibrated()),
        ("Monitoring of fairness", site.monitoring or NOT_RECORDED),
        ("Fairness in local data", site.fairness or NOT_VALIDATED),
        ("Process and frequency of updates", site.updates or "With each release; a new version is a release note of its own. `mhcds recalibrate` makes a local version"),
        ("How often risks found are corrected", site.updates or NOT_RECORDED),
    )  # fmt: skip


def _external(facts: _Facts) -> Sequence[tuple[str, str]]:
    values = (
        "None for a whole estimate. The order of people on shared questions: NSDUH 2019-2020 and 2023 (SAMHSA), household surveys",
        "The developer; nobody else",
        "US adults; the extracts of 2019-2020 are of ages 18 to 25",
        "None yet; rank agreement alone is in docs/generated/model-transport.md",
    ) if facts.ranked_elsewhere else (
        "None: no data of another source has been used",
        "Nobody",
        "Does not apply: there is none",
        "None yet",
    )  # fmt: skip
    names = ("External data source and setting", "Who tested on external data", "Representativeness of external data", "Process of external validation")  # fmt: skip
    return list(zip(names, values, strict=True))


def _applied(facts: _Facts, site: LocalSections) -> dict[str, Any]:
    model, whole = facts.model, facts.patterns[HEADLINE]["all"]
    data = f"Out of fold, {facts.cycles()}, nothing of the PHQ known"

    def metric(goal: str, result: str, meaning: str, kind: str, why: str) -> dict[str, str]:
        return {
            "goal": goal,
            "result": result,
            "interpretation": meaning,
            "test_type": kind,
            "testing_data_description": data,
            "validation_process_and_justification": why,
        }

    flag = facts.apart["flag_rates"][model.manifest.default_flag_rate]
    held = facts.validation["uncertainty"]["leave-one-cycle-out"][HEADLINE]["held"]
    return {
        "name": f"mental-health-cds {model.outcome}",
        "developer": DEVELOPER,
        "contact": site.contact or NOT_RECORDED,
        "release_stage": "Research release; not for live use without a silent run and approval",
        "release_date": NOT_RECORDED,
        "version": model.version,
        "global_availability": "Open source; trained for the United States",
        "ehr_compatibility": "Any client of CDS Hooks 2.0 with FHIR R4",
        "regulatory_approval": "None",
        "summary": facts.summary(),
        "keywords": [*(outcome.replace("-", " ") for outcome in OUTCOMES), "PHQ-9", "CDS Hooks", "XGBoost"],
        "intended_use_and_workflow": model.manifest.intended_use,
        "primary_intended_users": "Clinicians who open a chart",
        "how_to_use": "Read the findings first; ask; use PHQ-2 or PHQ-9; the estimate never decides",
        "targeted_patient_population": "Adults",
        "cautioned_out_of_scope_settings": "Children; people whose chart is nearly empty (no estimate is given); crisis triage",
        "known_risks_and_limitations": facts.limits(),
        "known_biases_or_ethical_considerations": facts.fairness(),
        "clinical_risk_level": "Not assessed here; the site's clinical safety officer decides",
        "outcomes_and_outputs": f"{facts.what()}: probability with interval and exact reasons, or no estimate with the reason",
        "model_type": "Gradient-boosted trees (XGBoost), one booster per tier of what is known, linear calibration",
        "foundation_models": "None",
        "input_data_source": "The patient's chart over FHIR R4: what the client sends or allows to be read",
        "input_data_type": facts.inputs(),
        "development_data_characterization": f"{facts.training['source']}; {facts.cycles()}; n {facts.training['n']:,}, events {facts.training['events']:,}. {facts.training['terms']}",
        "bias_mitigation_approaches": "Proxies of race and poverty left out; blocks hidden in training; people not in care first; no tuning by group",
        "ongoing_maintenance": site.updates or "With each release",
        "security_and_compliance_environment_practices": "No rows, no pickles, checksums verified at load; see docs/operations.md",
        "transparency_intelligibility_and_accountability": "Contributions are exact: they add up to the log-odds within 0.00001 and every reason names its source",
        "funding_source": NOT_RECORDED,
        "third_party_information": ", ".join(f"{n} {v}" for n, v in facts.training["libraries"].items()),
        "stakeholders_consulted": NOT_RECORDED,
        "key_metrics": {
            "usefulness_usability_efficacy": metric(
                "Most people with the outcome among those flagged first",
                f"Sensitivity {figure(flag['sensitivity'], 2)}, PPV {figure(flag['ppv'], 2)} when "
                f"{float(model.manifest.default_flag_rate):.0%} of people not in care are flagged",
                "Most people with the outcome are not flagged; most of those flagged do not have it",
                "Internal, leaving one survey cycle out",
                "A prompt is for people not in care",
            ),
            "fairness_equity": metric(
                f"Every subgroup: {', '.join(AUROC_TARGETS)}, observed over expected of 0.8 to 1.25",
                facts.fairness(),
                "Where a target is missed, estimates for that group are less sure or off",
                "Internal, leaving one survey cycle out",
                "Groups with fewer than 10 events are not judged",
            ),
            "safety_reliability": metric(
                "Calibration slope and observed over expected near 1; intervals that hold",
                f"Slope {figure(whole['slope'], 2)}, observed over expected {figure(whole['o_e'], 2)}; "
                f"intervals meant for 90 % held {held:.0%}",
                "Estimates mean what they say in survey adults; other places may differ",
                "Internal, leaving one survey cycle out",
                "Calibrated on people whom the boosters had not seen",
            ),
        },
        "evaluation_references": "docs/generated/model-figures.md",
        "clinical_trial": "None",
        "peer_reviewed_publications": "None",
        "reimbursement_status": "None",
        "patient_consent_or_disclosure": site.consent or "Depends on the state: the card says that a machine-learning model spoke; opt-outs are honoured",
        "approved_by": site.approved_by or NOT_RECORDED,
        "approved_on": site.approved_on or NOT_RECORDED,
    }  # fmt: skip
