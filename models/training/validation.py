"""Validation forward in time: trained on earlier cycles, evaluated on the next; and the effect of each choice.

`validation` returns the JSON of validation.json. Every cycle but the first is evaluated by scorers trained on the
cycles before it. With it: the version before, on cycles new to both; refits, boosters of the same recipe for a single
pattern, which show the price of one artifact for all patterns; other ways to set the level; the coverage of the
intervals, and whether to stay silent where they contain the threshold; what each block of inputs adds, and what each
omitted input would have added. Missed targets are listed. Aggregates only. The choices are in decisions 0111 and 0114.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models.evaluation.evaluate import (
    Contender,
    Mask,
    Matrix,
    Progress,
    Scored,
    Scorer,
    counted,
    evaluate_outcome,
    hidden_but,
    margins,
    scored,
)
from models.evaluation.metrics import (
    MINIMUM_EVENTS,
    NET_BENEFIT_THRESHOLDS,
    auroc,
    auroc_difference,
    group_metrics,
    net_benefit,
)
from models.inputs.feature_schema import FeatureSpec
from models.inputs.outcomes import OUTCOME_SPECS
from models.inputs.patterns import ALL, HEADLINE, patterns
from models.scoring.calibration import Floats, fit_line, probabilities
from models.survey.nhanes import LEFT_OUT, feature_matrix
from models.training.fitting import MINIMUM_DATA, SEED, Fitter, ForwardErrors, Sample, boosted, recency
from models.training.levels import levels

REPEATS = 400
"""Bootstrap draws of each difference."""
LEAST_FORWARD_CYCLES = 3
"""Intervals are judged where they come from so many cycles or more; from one or two they are very wide."""
BLOCKS = ("lifestyle", "conditions", "utilisation", "drugs", "needs", "difficulties", "pro")
SUBGROUP_O_E = (0.8, 1.25)
"""The fairness target of every outcome; some also have one for the AUROC (`OutcomeSpec`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardScorers:
    """Scorers forward in time, and their errors.

    contender: its fold for each cycle but the first was trained on the cycles before it. errors: by cycle.
    """

    contender: Contender
    errors: Mapping[str, ForwardErrors]


def forward_scorers(fitter: Fitter, progress: Progress) -> ForwardScorers:
    """Scorers forward in time. Raises ValueError when the first cycle alone does not suffice for a calibration."""
    sample = fitter.sample
    folds: dict[str, Scorer] = {}
    errors: dict[str, ForwardErrors] = {}
    for cycle in counted(sample.folds[1:], f"Validating {sample.outcome} forward in time", progress):
        folds[cycle] = fitter.scorer(sample.cycles < cycle, tuple(errors.values()))
        errors[cycle] = _forward_errors(sample, folds[cycle], cycle)
    contender = Contender(
        outcome=sample.outcome,
        schema=sample.schema,
        minimum_data=MINIMUM_DATA,
        final=folds[sample.folds[-1]],
        folds=folds,
    )
    return ForwardScorers(contender=contender, errors=errors)


def _forward_errors(sample: Sample, scorer: Scorer, cycle: str) -> ForwardErrors:
    """The line of a cycle in each pattern, on the log-odds of a scorer that had not seen it."""
    own = sample.cycles == cycle
    alone = Contender(outcome=sample.outcome, schema=sample.schema, minimum_data=MINIMUM_DATA, final=scorer, folds={})
    lines = {}
    for pattern, visible in _patterns(sample).items():
        ours = scored(alone, pattern, visible, sample.matrix[own], sample.people[own])
        lines[pattern] = fit_line(ours.log_odds[ours.has_score], ours.y[ours.has_score])
    return {pattern: line for pattern, line in lines.items() if line is not None}


def _patterns(sample: Sample) -> dict[str, tuple[str, ...]]:
    return {p: visible for p, visible in patterns(sample.outcome, sample.schema).items() if p != ALL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """The version before this one, and the cycles that trained it. Its folds are not used."""

    version: str
    contender: Contender
    cycles: frozenset[str]


def validation(
    fitter: Fitter, forward: ForwardScorers, folds: Contender, previous: Previous | None, progress: Progress
) -> dict[str, Any]:
    """validation.json. folds: the contender that leaves each cycle out, for the coverage of its intervals."""
    sample, contender = fitter.sample, forward.contender
    later = sample.cycles > sample.folds[0]
    settled = np.isin(sample.cycles.astype(str), sample.folds[1 + LEAST_FORWARD_CYCLES :])
    people = sample.people[later]
    figures = evaluate_outcome(people, contender, progress=progress, subgroups=("care",), cycle_subgroups=("care",))
    refits = _refits(sample, contender, progress)
    for pattern, result in figures["patterns"].items():
        if pattern != ALL:
            result["refit"] = refits[pattern]
    return {
        "forward": {"cycles": sample.folds[1:], **figures},
        "previous": None if previous is None else _beside(sample, contender, previous),
        "levels": levels(fitter),
        "uncertainty": {
            "cycles": sample.folds[1 + LEAST_FORWARD_CYCLES :],
            "forward": _coverage(contender, sample, settled),
            "leave-one-cycle-out": _coverage(folds, sample, np.full(len(sample.y), fill_value=True)),
        },
        "abstention": _abstention(contender, sample, settled),
        "blocks": _blocks(sample, progress),
        "left_out": _left_out(sample, progress),
    }


def _beside(sample: Sample, contender: Contender, previous: Previous) -> dict[str, Any]:
    """Both versions on the cycles on which neither was trained, this one from the cycles before each of them."""
    unseen = [cycle for cycle in sample.folds[1:] if cycle not in previous.cycles]
    rows = np.isin(sample.cycles.astype(str), unseen)
    people, cycles = sample.people[rows], sample.cycles[rows]
    before = replace(previous.contender, folds={})
    own = feature_matrix(people, before.schema)
    by_pattern = {}
    for pattern, visible in before.patterns.items():
        if pattern == ALL or not unseen:
            continue
        new = scored(contender, pattern, contender.patterns[pattern], sample.matrix[rows], people)
        old = scored(before, pattern, visible, own, people)
        both = new.has_score & old.has_score
        by_pattern[pattern] = {
            "new": _brief(new, both),
            "old": _brief(old, both),
            "difference": auroc_difference(
                new.log_odds[both], old.log_odds[both], new.y[both], cycles[both], repeats=REPEATS, seed=SEED
            ),
        }
    return {"version": previous.version, "cycles": unseen, "patterns": by_pattern}


def _brief(ours: Scored, rows: Mask) -> dict[str, Any]:
    whole = group_metrics(ours.log_odds[rows], ours.half_width[rows], ours.y[rows], int(rows.sum()), {})
    return {name: whole[name] for name in ("n", "events", "auroc", "slope", "o_e", "interval_coverage")}


def _abstention(contender: Contender, sample: Sample, rows: Mask) -> dict[str, Any]:
    """Pattern -> threshold -> net benefit of flagging all at or above it, or only those whose whole interval is.

    Of people not in care, forward in time. None where fewer than MINIMUM_EVENTS are flagged.
    """
    apart = rows & (sample.people["in_care"] == 0).to_numpy()
    by_pattern = {}
    for pattern, visible in _patterns(sample).items():
        ours = scored(contender, pattern, visible, sample.matrix[apart], sample.people[apart])
        used = ours.has_score
        high, low = ours.log_odds[used], (ours.log_odds - ours.half_width)[used]
        by_pattern[pattern] = {
            threshold: _with_and_without(probabilities(high), probabilities(low), ours.y[used], float(threshold))
            for threshold in NET_BENEFIT_THRESHOLDS
        }
    return by_pattern


def _with_and_without(estimates: Floats, lows: Floats, y: Floats, threshold: float) -> dict[str, Any]:
    def figures(flagged: Mask) -> dict[str, Any]:
        n = int(flagged.sum())
        if 0 < n < MINIMUM_EVENTS:
            return {"flagged": None, "net_benefit": None}
        return {"flagged": n, "net_benefit": round(net_benefit(flagged, y, threshold), 5)}

    return {"all": figures(estimates >= threshold), "sure": figures(lows >= threshold)}


def _refits(sample: Sample, contender: Contender, progress: Progress) -> dict[str, Any]:
    """Pattern -> AUROC of refits, and the difference of the shipped recipe, paired on the same people."""
    by_name = _patterns(sample)
    later = sample.cycles > sample.folds[0]
    by_pattern = {}
    for pattern, visible in counted([*by_name.items()], f"Refitting {sample.outcome} per pattern", progress):
        shown = hidden_but(sample.matrix, sample.schema, visible)
        refit = _refitted_forward(sample, shown, sample.schema.features)
        ours = scored(contender, pattern, visible, sample.matrix[later], sample.people[later])
        used = ours.has_score
        a, b, y, cycles = ours.log_odds[used], refit[later][used], ours.y[used], sample.cycles[later][used]
        by_pattern[pattern] = {
            "auroc": auroc(b, y),
            "difference": auroc_difference(a, b, y, cycles, repeats=REPEATS, seed=SEED),
        }
    return by_pattern


def _refitted_forward(sample: Sample, matrix: Matrix, features: Sequence[FeatureSpec]) -> Floats:
    """Margins for each cycle but the first, by a booster trained on the cycles before it."""
    log_odds = np.full(len(sample.y), np.nan)
    for cycle in sample.folds[1:]:
        earlier, own = sample.cycles < cycle, sample.cycles == cycle
        weights = recency(sample.cycles[earlier])
        booster = boosted(features, [matrix[earlier]], sample.y[earlier], weights, sample.spec.max_depth)
        log_odds[own] = margins(booster, matrix[own])
    return log_odds


def _coverage(contender: Contender, sample: Sample, rows: Mask) -> dict[str, Any]:
    """Pattern -> share of people for whom their cycle's own calibration lies within their interval.

    That calibration is a line fitted on the cycle itself, which the scorer had not seen; because of its sampling error
    the true share is somewhat higher. Leaving one cycle out, the interval of a cycle rests on errors of later cycles
    that scorers trained on this one made, among others.
    """
    people, matrix, cycles = sample.people[rows], sample.matrix[rows], sample.cycles[rows]
    by_pattern = {}
    for pattern, visible in _patterns(sample).items():
        ours = scored(contender, pattern, visible, matrix, people)
        held = n = 0
        for cycle in sorted(set(cycles)):
            own = (cycles == cycle) & ours.has_score
            line = fit_line(ours.log_odds[own], ours.y[own])
            if line is not None:
                right = line.intercept + line.slope * ours.log_odds[own]
                held += int((np.abs(right - ours.log_odds[own]) <= ours.half_width[own]).sum())
                n += int(own.sum())
        by_pattern[pattern] = {"n": n, "held": round(held / n, 4) if n else None}
    return by_pattern


def _blocks(sample: Sample, progress: Progress) -> dict[str, Any]:
    """Block -> change of AUROC without it, everything but the PHQ known, refitted forward in time."""
    names = patterns(sample.outcome, sample.schema)[HEADLINE]
    specs = [s for s in sample.schema.features if s.name in names]
    variants = [(block, [s for s in specs if s.group != block]) for block in BLOCKS]
    return _compared(sample, specs, variants, {}, "What each block of inputs adds", progress)


def _left_out(sample: Sample, progress: Progress) -> dict[str, Any]:
    """Omitted inputs -> change of AUROC with them. Empty where the frame was read without them."""
    names = patterns(sample.outcome, sample.schema)[HEADLINE]
    specs = [s for s in sample.schema.features if s.name in names]
    known = {n: c for n, c in LEFT_OUT.items() if set(c) <= set(sample.people)}
    extra = {
        name: sample.people[name].to_numpy(dtype=np.float32)
        for columns in known.values()
        for name in columns
        if sample.people[name].notna().any()
    }
    variants = [
        (label, [*specs, *(_outsider(name) for name in columns if name in extra)]) for label, columns in known.items()
    ]
    return _compared(sample, specs, variants, extra, "What inputs left out would add", progress)


def _outsider(name: str) -> FeatureSpec:
    return FeatureSpec(name=name, block="left-out", group="left-out", kind="number")


def _compared(
    sample: Sample,
    specs: Sequence[FeatureSpec],
    variants: Sequence[tuple[str, list[FeatureSpec]]],
    extra: Mapping[str, Matrix],
    label: str,
    progress: Progress,
) -> dict[str, Any]:
    def walked(chosen: Sequence[FeatureSpec]) -> Floats:
        return _refitted_forward(sample, np.column_stack([columns[s.name] for s in chosen]), chosen)[later]

    columns: dict[str, Matrix] = {s.name: sample.matrix[:, sample.schema.names.index(s.name)] for s in specs}
    columns.update(extra)
    later = sample.cycles > sample.folds[0]
    y, cycles = sample.y[later], sample.cycles[later]
    apart = (sample.people["in_care"] == 0).to_numpy()[later]
    plain = walked(specs)
    by_name = {}
    for name, chosen in counted(variants, f"{label}, {sample.outcome}", progress):
        other = walked(chosen)
        by_name[name] = {
            "everybody": auroc_difference(other, plain, y, cycles, repeats=REPEATS, seed=SEED),
            "not-in-care": auroc_difference(
                other[apart], plain[apart], y[apart], cycles[apart], repeats=REPEATS, seed=SEED
            ),
        }
    return by_name


def breaches(outcome: str, metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Subgroups that miss a fairness target, with everything but the PHQ known and with PHQ-2.

    metrics: {"patterns": ...} of one outcome. A figure misses a target when its value does, whatever its interval.
    """
    missed = []
    least = OUTCOME_SPECS[outcome].least_subgroup_auroc
    for pattern in (HEADLINE, "phq2"):
        for variable, groups in metrics["patterns"][pattern]["all"]["subgroups"].items():
            for group, figures in groups.items():
                if min(figures["events"], figures["n"] - figures["events"]) < MINIMUM_EVENTS:
                    continue
                where = {"pattern": pattern, "variable": variable, "group": group, "events": figures["events"]}
                area, ratio = figures["auroc"], figures["o_e"]
                if least is not None and area["value"] < least:
                    missed.append({**where, "what": "auroc", "found": area, "target": f">= {least}"})
                if not SUBGROUP_O_E[0] <= ratio["value"] <= SUBGROUP_O_E[1]:
                    target = f"{SUBGROUP_O_E[0]} to {SUBGROUP_O_E[1]}"
                    missed.append({**where, "what": "o_e", "found": ratio, "target": target})
    return missed
