"""The evaluation report: one self-contained HTML page with the usual figures, plots and tables.

Made on the machine with the survey rows; the page holds aggregates, and in the beeswarm one dot a person and input,
without identity. Every plot has a table and a description. Writes aside and renames.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
import xgboost
from markupsafe import Markup
from numpy.typing import NDArray

from models.evaluation.evaluate import Contender, Mask, Progress, Scored, Scorer, counted, hidden_but, scored
from models.evaluation.metrics import FLAG_RATES, net_benefit
from models.inputs.patterns import ALL, HEADLINE, NEEDS, line_key, patterns
from models.reports import plots
from models.reports.figures import LEGEND, NO_BETTER, PATTERN_WORDS, figure, no_better, not_in_care, with_subgroups
from models.reports.transport_page import RANK_HEAD, rank_rows, transport_figures
from models.scoring.calibration import Calibration, Floats, probabilities, reliability_table
from models.survey.nhanes import feature_matrix

MOST_PEOPLE = 1500
"""In the beeswarm; more dots would overlap."""
_SEED = 20261124
_THRESHOLDS = np.round(np.arange(0.005, 0.3001, 0.005), 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading, a description of the plot, the plot or plots, and a table of the same figures."""

    title: str
    shows: str
    plot: Markup | str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def write_report(
    frame: pd.DataFrame,
    contenders: Sequence[Contender],
    metrics: Mapping[str, Any],
    folder: Path,
    *,
    progress: Progress,
) -> Path:
    """Writes folder/report.html and returns its path.

    frame: survey_frame. metrics: the result of `Evaluation.metrics` for the same frame and contenders.
    """
    outcomes = [
        _outcome(frame, contender, metrics["outcomes"][contender.outcome]["patterns"])
        for contender in counted(contenders, "Drawing the report", progress)
    ]
    templates = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(loader=templates, autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.get_template("report.html").render(
        outcomes=outcomes, figure=figure, words=PATTERN_WORDS, legend=LEGEND
    )
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / ".report-unfinished.html"
    aside.write_text(page, encoding="utf-8")
    return aside.replace(folder / "report.html")


def _outcome(frame: pd.DataFrame, contender: Contender, metrics: Mapping[str, Any]) -> dict[str, Any]:
    people = frame[frame[contender.outcome].notna()]
    values = feature_matrix(people, contender.schema)
    by_pattern = patterns(contender.outcome, contender.schema)
    apart = (people["in_care"] == 0).to_numpy()
    judged = {p: scored(contender, p, by_pattern[p], values, people) for p in (HEADLINE, "phq2")}
    sections = [
        _roc(contender.outcome, judged, apart, metrics),
        _precision(contender.outcome, judged, apart, metrics),
        _flags(metrics),
        _reliability(contender.outcome, judged, apart),
        _benefit(contender.outcome, judged, apart),
        _subgroups(contender.outcome, metrics),
        _missing(contender.outcome, metrics),
        _beside(metrics),
        *_transport(contender.outcome),
        *_contributions(contender, people, values),
    ]
    whole = metrics[HEADLINE]["all"]
    return {
        "outcome": contender.outcome,
        "cycles": list(metrics[HEADLINE]["cycles"]),
        "group": not_in_care(whole),
        "whole": whole,
        "no_better": [PATTERN_WORDS[p] for p in no_better(metrics)],
        "sections": sections,
    }


def _used(scores: Scored, members: Mask) -> Mask:
    result: Mask = members & scores.has_score
    return result


def _views(judged: Mapping[str, Scored], apart: Mask) -> list[tuple[str, Floats, Floats]]:
    """(name, ranking, outcome) of the lines that ROC and precision-recall plots have."""
    plain, phq2 = judged[HEADLINE], judged["phq2"]
    plain_rows, phq2_rows = _used(plain, apart), _used(phq2, apart)
    everybody = _used(plain, np.ones_like(apart))
    return [
        ("no PHQ, not in care", plain.log_odds[plain_rows], plain.y[plain_rows]),
        ("no PHQ, everybody", plain.log_odds[everybody], plain.y[everybody]),
        ("logistic regression, no PHQ, not in care", plain.baselines["logistic"][plain_rows], plain.y[plain_rows]),
        ("with PHQ-2, not in care", phq2.log_odds[phq2_rows], phq2.y[phq2_rows]),
    ]


def roc_points(ranking: Floats, y: Floats) -> tuple[Floats, Floats]:
    """False-positive rate and sensitivity at every distinct cut, from (0, 0) to (1, 1); ties flagged together."""
    hits, flagged = _cumulated(ranking, y)
    false = flagged - hits
    return false / max(false[-1], 1), hits / max(hits[-1], 1)


def precision_points(ranking: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Sensitivity and PPV at every distinct cut, highest scores first."""
    hits, flagged = _cumulated(ranking, y)
    return hits[1:] / max(hits[-1], 1), hits[1:] / flagged[1:]


def _cumulated(ranking: Floats, y: Floats) -> tuple[Floats, Floats]:
    order = np.argsort(-ranking, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(ranking[order]) != 0, True))
    hits = np.concatenate([[0.0], np.cumsum(y[order])[ends]])
    return hits, np.concatenate([[0.0], ends + 1.0])


def _thinned(x: Floats, y: Floats, most: int = 300) -> tuple[Floats, Floats]:
    keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), most)).astype(int))
    return x[keep], y[keep]


def _roc(outcome: str, judged: Mapping[str, Scored], apart: Mask, metrics: Mapping[str, Any]) -> Section:
    shows, title = _areas(metrics, "auroc", "AUROC"), f"ROC curves, {outcome}"
    curves = _curves(judged, apart, roc_points)
    drawing = plots.lines(
        title, shows, curves, x="false-positive share (1 - specificity)", y="sensitivity", diagonal=True
    )
    return Section(title=title, shows=shows, plot=drawing, head=_AREA_HEAD, rows=_area_rows(metrics, "auroc"))


def _precision(outcome: str, judged: Mapping[str, Scored], apart: Mask, metrics: Mapping[str, Any]) -> Section:
    shows, title = _areas(metrics, "auprc", "Average precision"), f"Precision-recall curves, {outcome}"
    curves = _curves(judged, apart, precision_points)
    drawing = plots.lines(title, shows, curves, x="sensitivity (recall)", y="PPV (precision)")
    return Section(title=title, shows=shows, plot=drawing, head=_AREA_HEAD, rows=_area_rows(metrics, "auprc"))


def _curves(
    judged: Mapping[str, Scored], apart: Mask, points: Callable[[Floats, Floats], tuple[Floats, Floats]]
) -> list[plots.Curve]:
    points_of = ((name, _thinned(*points(ranking, y))) for name, ranking, y in _views(judged, apart))
    return [plots.Curve(name=name, x=x, y=height) for name, (x, height) in points_of]


_AREA_HEAD = ("known", "not in care", "everybody", "people not in care", "with the outcome")


def _area_rows(metrics: Mapping[str, Any], name: str) -> tuple[tuple[str, ...], ...]:
    rows = []
    for pattern, result in metrics.items():
        if pattern != ALL:
            group = not_in_care(result["all"])
            counts = (f"{group['n']:,}", f"{group['events']:,}")
            rows.append((PATTERN_WORDS[pattern], figure(group[name]), figure(result["all"][name]), *counts))
    return tuple(rows)


def _areas(metrics: Mapping[str, Any], name: str, label: str) -> str:
    plain, phq2 = not_in_care(metrics[HEADLINE]["all"]), not_in_care(metrics["phq2"]["all"])
    return (
        f"{label} of people not in care: {figure(plain[name], 2)} when nothing of the PHQ is known, "
        f"{figure(phq2[name], 2)} with PHQ-2."
    )


def _flags(metrics: Mapping[str, Any]) -> Section:
    rows = []
    for pattern in (HEADLINE, "phq2"):
        for rate in FLAG_RATES:
            whole = metrics[pattern]["all"]
            cells = [f for g in (not_in_care(whole), whole) for f in g["flag_rates"][rate].values()]
            rows.append((PATTERN_WORDS[pattern], f"{1000 * float(rate):.0f}", *(figure(cell, 2) for cell in cells)))
    at = not_in_care(metrics[HEADLINE]["all"])["flag_rates"]["0.05"]
    shows = (
        f"Flagging 50 of 1,000 people not in care, nothing of the PHQ known, finds {figure(at['sensitivity'], 2)} of "
        f"those who have it, and {figure(at['ppv'], 2)} of those flagged have it."
    )
    cells = [f"{name}, {group}" for group in ("not in care", "everybody") for name in ("sensitivity", "PPV")]
    head = ("known", "flagged per 1,000", *cells)
    return Section(title="What a threshold buys", shows=shows, plot="", head=head, rows=tuple(rows))


def _reliability(outcome: str, judged: Mapping[str, Scored], apart: Mask) -> Section:
    curves, rows, worst = [], [], 0.0
    for label, pattern, members in (
        ("no PHQ, not in care", HEADLINE, apart),
        ("no PHQ, everybody", HEADLINE, np.ones_like(apart)),
        ("with PHQ-2, not in care", "phq2", apart),
    ):
        ours = judged[pattern]
        used = _used(ours, members)
        table = reliability_table(probabilities(ours.log_odds[used]), ours.y[used])
        curves.append(plots.Curve(name=label, x=[r.mean_estimate for r in table], y=[r.observed for r in table]))
        worst = max(worst, *(abs(r.mean_estimate - r.observed) for r in table))
        for number, row in enumerate(table, start=1):
            counts = (str(number), f"{row.n:,}", f"{row.events:,}")
            rows.append((label, *counts, f"{row.mean_estimate:.3f}", f"{row.observed:.3f}"))
    shows = f"In tenths of people by estimate, the share observed lies at most {worst:.3f} from the mean estimate."
    top = max(0.05, *(max(*curve.x, *curve.y) for curve in curves)) * 1.05
    title = f"Reliability, {outcome}"
    drawing = plots.lines(
        title, shows, curves, x="mean estimate of the tenth", y="share observed", diagonal=True,
        limits=(0.0, top, 0.0, top), markers=True,
    )  # fmt: skip
    head = ("group", "tenth", "n", "events", "mean estimate", "observed")
    return Section(title=title, shows=shows, plot=drawing, head=head, rows=tuple(rows))


def _benefit(outcome: str, judged: Mapping[str, Scored], apart: Mask) -> Section:
    ours = judged[HEADLINE]
    used = _used(ours, apart)
    y = ours.y[used]
    rankings = {"XGBoost": ours.log_odds[used], "logistic regression": ours.baselines["logistic"][used]}
    benefits = {
        name: [1000 * net_benefit(probabilities(log_odds) >= t, y, t) for t in _THRESHOLDS]
        for name, log_odds in rankings.items()
    }
    benefits["flag everybody"] = [1000 * net_benefit(np.ones(y.size, dtype=bool), y, t) for t in _THRESHOLDS]
    benefits["flag nobody"] = [0.0] * len(_THRESHOLDS)
    curves = [plots.Curve(name=name, x=_THRESHOLDS, y=height) for name, height in benefits.items()]
    better = [
        t for t, m, e in zip(_THRESHOLDS, benefits["XGBoost"], benefits["flag everybody"], strict=True) if m > max(e, 0)
    ]
    shows = (
        f"Between thresholds of {better[0]:.1%} and {better[-1]:.1%} flagging by the model is worth more than flagging "
        "everybody or nobody."
        if better
        else "At no threshold is flagging by the model worth more than flagging everybody or nobody."
    )
    top = max(1.0, *benefits["XGBoost"]) * 1.1
    title = f"Net benefit (decision curves), {outcome}, people not in care"
    drawing = plots.lines(
        title, shows, curves, x="threshold (estimated probability)", y="net benefit per 1,000 people",
        limits=(0.0, 0.3, -0.25 * top, top),
    )  # fmt: skip
    chosen = [i for i, t in enumerate(_THRESHOLDS) if round(1000 * t) % 20 == 0 or t in (0.01, 0.05)]
    rows = tuple((f"{_THRESHOLDS[i]:.1%}", *(f"{benefits[name][i]:.1f}" for name in benefits)) for i in chosen)
    return Section(title=title, shows=shows, plot=drawing, head=("threshold", *benefits), rows=rows)


def _subgroups(outcome: str, metrics: Mapping[str, Any]) -> Section:
    whole = metrics[HEADLINE]["all"]
    groups = with_subgroups(whole)

    def estimates(name: str) -> list[plots.IntervalEstimate]:
        return [plots.IntervalEstimate(name=g, events=v["events"], **v[name]) for g, v in groups.items()]

    known = {g: v["auroc"]["value"] for g, v in groups.items() if v["auroc"]["value"] is not None}
    ratios = [v["o_e"]["value"] for v in groups.values() if v["o_e"]["value"] is not None]
    lowest = min(known, key=lambda name: known[name], default="everybody")
    shows = (
        f"AUROC is lowest for {lowest} ({figure(groups[lowest]['auroc'], 2)}) and differs by "
        f"{max(known.values()) - min(known.values()):.2f} between groups; observed over expected lies between "
        f"{min(ratios):.2f} and {max(ratios):.2f}."
        if known
        else "Every group has too few people with or without the outcome."
    )
    title = f"Subgroups, {outcome}, nothing of the PHQ known"
    value = whole["auroc"]["value"] or 0.5
    drawing = plots.forest(
        title, shows, {"AUROC": (estimates("auroc"), value), "observed over expected": (estimates("o_e"), 1.0)}
    )
    rows = tuple(
        (name, f"{g['n']:,}", f"{g['events']:,}", *(figure(g[k], 2) for k in ("auroc", "o_e", "slope", "brier")),
         *(figure(f, 2) for f in g["flag_rates"]["0.05"].values()))
        for name, g in groups.items()
    )  # fmt: skip
    head = ("group", "n", "events", "AUROC", "O/E", "slope", "Brier score", "sensitivity at 5 %", "PPV at 5 %")
    return Section(title=title, shows=shows, plot=drawing, head=head, rows=rows)


def _missing(outcome: str, metrics: Mapping[str, Any]) -> Section:
    rows = [pattern for pattern in metrics if pattern != ALL]
    names = ("auroc", "slope", "o_e")
    values = np.array([[_number(metrics[p]["all"][n]["value"]) for n in names] for p in rows])
    known = values[~np.isnan(values).any(axis=1)]
    best = known[:, 0].max(initial=0.5)
    off = np.column_stack([(best - values[:, 0]) / 0.4, np.abs(values[:, 1:] - 1) / 0.4])
    shows = (
        f"Slopes lie between {known[:, 1].min():.2f} and {known[:, 1].max():.2f}, observed over expected between "
        f"{known[:, 2].min():.2f} and {known[:, 2].max():.2f}, whichever blocks are missing."
        if known.size
        else "Too few people with or without the outcome."
    )
    title = f"Blocks missing, {outcome}"
    drawing = plots.heat_map(
        title,
        shows,
        [PATTERN_WORDS[p] for p in rows],
        ("AUROC", "slope", "observed / expected"),
        values,
        np.clip(np.nan_to_num(off), 0, 1),
    )
    table = tuple((PATTERN_WORDS[p], *(figure(metrics[p]["all"][n]) for n in names)) for p in rows)
    return Section(title=title, shows=shows, plot=drawing, head=("known", "AUROC", "slope", "O/E"), rows=table)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _beside(metrics: Mapping[str, Any]) -> Section:
    alike = no_better(metrics)
    shows = (
        f"XGBoost is no better than logistic regression on the same inputs (by {NO_BETTER} or more): "
        f"{'; '.join(PATTERN_WORDS[p] for p in alike)}."
        if alike
        else f"XGBoost exceeds logistic regression on the same inputs by {NO_BETTER} or more in every pattern."
    )
    plainer = ("logistic", "phq2", "age-sex")
    rows = tuple(
        (PATTERN_WORDS[p], figure(r["all"]["auroc"]), *(figure(r["all"]["baselines"][n]["auroc"]) for n in plainer))
        for p, r in metrics.items()
        if p != ALL
    )
    head = ("known", "XGBoost", "logistic regression, same inputs", "PHQ-2 total", "age and sex")
    return Section(title="Beside plainer models (AUROC, everybody)", shows=shows, plot="", head=head, rows=rows)


def _transport(outcome: str) -> list[Section]:
    """None of an outcome that no other survey asks about."""
    figures = transport_figures()
    rows = tuple(rank_rows(figures, outcome))
    if not rows:
        return []
    shows = (
        f"Rank agreement of {outcome} {figures['models'][outcome]} restricted to the inputs that another survey asks "
        "about: AUROC, beside logistic regression refitted there, and both in people of the same ages here. No score."
    )
    return [Section(title="Other surveys", shows=shows, plot="", head=RANK_HEAD, rows=rows)]


def _headline_line(scorer: Scorer) -> Calibration:
    return scorer.calibrations.get(line_key(NEEDS, HEADLINE), scorer.calibrations[NEEDS])


def _contributions(contender: Contender, people: pd.DataFrame, values: NDArray[np.float32]) -> list[Section]:
    """Beeswarm and dependence plots for people of the last cycle, by a booster that had not seen them."""
    cycles = people["CYCLE"].to_numpy()
    last = max(cycles)
    visible = patterns(contender.outcome, contender.schema)[HEADLINE]
    rows = np.flatnonzero(cycles == last)
    drawn = np.sort(np.random.default_rng(_SEED).permutation(rows)[:MOST_PEOPLE])
    shown = hidden_but(values[drawn], contender.schema, visible)
    scorer = contender.scorer(last)
    matrix = xgboost.DMatrix(shown, nthread=1)
    parts = scorer.boosters[NEEDS].predict(matrix, pred_contribs=True, validate_features=False)[:, :-1]
    # What nobody in this cycle has cannot be drawn by its value.
    visible = tuple(n for n in visible if not np.isnan(shown[:, contender.schema.names.index(n)]).all())
    at = [contender.schema.names.index(name) for name in visible]
    contributions = parts[:, at].astype(np.float64) * _headline_line(scorer).slope
    inputs = shown[:, at].astype(np.float64)
    size = np.abs(contributions).mean(axis=0)
    order = np.argsort(-size)
    leading = [int(i) for i in order[:4]]
    title = f"What moves the estimate, {contender.outcome}"
    shows = (
        f"{len(drawn):,} people of {last}, nothing of the PHQ known. Largest on average: "
        f"{', '.join(f'{visible[i]} ({size[i]:.2f})' for i in leading)} in log-odds."
    )
    swarm = Section(
        title=title,
        shows=shows,
        plot=plots.beeswarm(title, shows, visible, contributions, inputs, most=15),
        head=("input", "mean size of its contribution (log-odds)", "known in"),
        rows=tuple(
            (visible[i], f"{size[i]:.3f}", f"{np.mean(~np.isnan(inputs[:, i])):.0%}") for i in order[:15]
        ),
    )  # fmt: skip
    panels = []
    for i in leading:
        known = ~np.isnan(inputs[:, i])
        panels.append((visible[i], inputs[known, i], contributions[known, i]))
    rows_of = [
        (name, f"{value:g}", f"{int((inputs_ == value).sum()):,}", f"{parts_[inputs_ == value].mean():+.3f}")
        for name, inputs_, parts_ in panels
        for value in np.unique(inputs_)
        if len(np.unique(inputs_)) <= 12
    ]
    title = f"Contribution by value of an input, {contender.outcome}"
    shows = "Each dot is a person: the input's value and what it added to the estimate. The inputs may change together."
    spread = Section(
        title=title, shows=shows, plot=plots.dependence(title, shows, panels),
        head=("input", "value", "people", "mean contribution (log-odds)"), rows=tuple(rows_of),
    )  # fmt: skip
    return [swarm, spread]
