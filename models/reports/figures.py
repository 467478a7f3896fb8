"""The figures of trained models as one page of tables in Markdown: docs/model-figures.md, generated, never typed.

Everything comes from the artifacts' metrics.json and validation.json. Only formats; judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from models.evaluation.metrics import FLAG_RATES, NET_BENEFIT_THRESHOLDS
from models.inputs.patterns import ALL, HEADLINE, WORDS
from models.scoring.registry import Model, load_json

NO_BETTER = 0.005
"""AUROC by which XGBoost must exceed logistic regression to be called better."""

_PAGE = """# Figures of the models

For anyone who approves or questions the models. A reference, generated from the artifacts by `make golden`.

**Forward in time**: each survey cycle but the first is judged by a model trained on the cycles before it. **Out of
fold**: each cycle is judged by a model trained on all other cycles. 95 % intervals in brackets; they treat people as
independent, so the survey's clustering would make them somewhat wider. *Not in care*: no antidepressant and no
mental-health visit in the last year; a prompt is for them. Too few: fewer than 10 people with or without the outcome.

Patterns of what is known: {patterns}.
"""


def figures_page(models: Iterable[Model]) -> str:
    """The page, Markdown, ending in a newline."""
    named = "; ".join(f"`{name}`, {words}" for name, words in WORDS.items())
    return "\n".join([_PAGE.format(patterns=named), *(_outcome(model) for model in models)])


def _outcome(model: Model) -> str:
    metrics = load_json(model.folder / "metrics.json")["outcomes"][model.outcome]["patterns"]
    found = load_json(model.folder / "validation.json")
    forward = {p: r for p, r in found["forward"]["patterns"].items() if p != ALL}
    last = found["forward"]["cycles"][-1]
    apart = metrics[HEADLINE]["all"]["subgroups"]["care"]["not-in-care"]
    return f"""## {model.outcome} {model.version}

### Per pattern of known inputs, forward in time

Tested on {", ".join(found["forward"]["cycles"])}. *Refit*: the same recipe trained for this pattern alone, and how far
the shipped recipe is from it (paired bootstrap).

{_table(("known", "n", "events", "AUROC", "refit", "difference", "slope", "O/E", "logistic"), (_forward(p, r) for p, r in forward.items()))}

### {last}, trained on the cycles before it

{_table(("known", "AUROC, everybody", "logistic", "PHQ-2 total", "AUROC, not in care", "logistic", "PHQ-2 total"), (_last(p, r["cycles"][last]) for p, r in forward.items()))}

### Subgroups, out of fold, nothing of the PHQ known

{_table(_SUBGROUP_HEAD, _subgroups(metrics[HEADLINE]["all"]))}

Gaps between the groups of a variable (largest less smallest AUROC; largest over smallest O/E):

{_table(("variable", "no PHQ: AUROC", "O/E", "with PHQ-2: AUROC", "O/E"), _gaps(metrics))}

### Subgroups, out of fold, with PHQ-2

{_table(_SUBGROUP_HEAD, _subgroups(metrics["phq2"]["all"]))}

### Targets missed

{_breaches(found["breaches"])}

### What flagging a share of people gives, out of fold, nothing of the PHQ known

{_table(("flagged per 1,000", "not in care: sensitivity", "PPV", "everybody: sensitivity", "PPV"), _flags(apart, metrics[HEADLINE]["all"]))}

Net benefit per 1,000 people not in care (true positives, less false positives at the odds of the threshold):

{_table(("threshold", "model", "flag everybody", "flag nobody"), _benefit(apart))}

### Reliability, out of fold, nothing of the PHQ known

{_table(("tenth by estimate", "n", "mean estimate", "observed"), _reliability(found["reliability"][HEADLINE]))}

### Do the intervals hold?

Share of people for whom the calibration of their own cycle, which the model had not seen, lay within the interval;
meant to be 90 %.

{_table(("known", "leaving one cycle out", "forward in time"), _held(found["uncertainty"]))}

### What each block adds, and what is left out would add

Change of AUROC, everything but the PHQ known, refitted forward in time.

{_table(("block taken away", "everybody", "not in care"), _changes(found["blocks"]))}

{_table(("left out; added", "everybody", "not in care"), _changes(found["left_out"]))}
"""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figure(found: Mapping[str, float | None], digits: int = 3) -> str:
    """`0.837 (0.828 to 0.844)`, or `too few`."""
    if found["value"] is None:
        return "too few"
    return f"{found['value']:.{digits}f} ({found['low']:.{digits}f} to {found['high']:.{digits}f})"


def no_better(found: Mapping[str, Any]) -> list[str]:
    """Patterns in which XGBoost exceeds logistic regression on the same inputs by less than NO_BETTER in AUROC.

    found: pattern -> its metrics, as in metrics.json. Patterns without enough people are not judged.
    """

    def gain(result: Mapping[str, Any]) -> float | None:
        ours, plain = result["all"]["auroc"]["value"], result["all"]["baselines"]["logistic"]["auroc"]["value"]
        return None if ours is None or plain is None else ours - plain

    return [p for p, r in found.items() if p != ALL and (by := gain(r)) is not None and by < NO_BETTER]


def _signed(found: Mapping[str, float | None]) -> str:
    return f"{found['value']:+.3f} ({found['low']:+.3f} to {found['high']:+.3f})"


def _forward(pattern: str, result: Mapping[str, Any]) -> tuple[str, ...]:
    whole = result["all"]
    return (
        f"`{pattern}`",
        f"{whole['n']:,}",
        f"{whole['events']:,}",
        figure(whole["auroc"]),
        f"{result['refit']['auroc']['value']:.3f}",
        _signed(result["refit"]["difference"]),
        figure(whole["slope"], 2),
        figure(whole["o_e"], 2),
        figure(whole["baselines"]["logistic"]["auroc"]),
    )


def _last(pattern: str, cycle: Mapping[str, Any]) -> tuple[str, ...]:
    cells = [f"`{pattern}`"]
    for group in (cycle, cycle["subgroups"]["care"]["not-in-care"]):
        cells += [figure(group["auroc"]), *(figure(group["baselines"][n]["auroc"]) for n in ("logistic", "phq2"))]
    return tuple(cells)


_SUBGROUP_HEAD = ("group", "n", "events", "AUROC", "O/E", "slope", "sensitivity at 5 % flagged", "PPV")


def _subgroups(whole: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    groups = {"everybody": whole}
    for variable, values in whole["subgroups"].items():
        groups |= {f"{variable}: {value}": found for value, found in values.items()}
    for name, found in groups.items():
        flag = found["flag_rates"]["0.05"]
        counts = (f"{found['n']:,}", f"{found['events']:,}")
        shown = (found["auroc"], found["o_e"], found["slope"], flag["sensitivity"], flag["ppv"])
        yield (name, *counts, *(figure(f, 2 if i else 3) for i, f in enumerate(shown)))


def _gaps(metrics: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for variable in metrics[HEADLINE]["all"]["subgroups"]:
        cells = []
        for pattern in (HEADLINE, "phq2"):
            groups = metrics[pattern]["all"]["subgroups"][variable].values()
            areas, ratios = ([g[n]["value"] for g in groups if g[n]["value"] is not None] for n in ("auroc", "o_e"))
            cells += (
                [f"{max(areas) - min(areas):.3f}", f"{max(ratios) / min(ratios):.2f}"] if areas else ["too few"] * 2
            )
        yield (variable, *cells)


def _breaches(found: Iterable[Mapping[str, Any]]) -> str:
    rows = [
        (f"`{b['pattern']}`", f"{b['variable']}: {b['group']}", b["what"], figure(b["found"]), b["target"])
        for b in found
    ]
    return _table(("known", "group", "figure", "found", "target"), rows) if rows else "None."


def _flags(apart: Mapping[str, Any], whole: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for rate in FLAG_RATES:
        groups = (apart["flag_rates"][rate], whole["flag_rates"][rate])
        yield (f"{1000 * float(rate):.0f}", *(figure(g[k], 2) for g in groups for k in ("sensitivity", "ppv")))


def _benefit(apart: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for threshold in NET_BENEFIT_THRESHOLDS:
        found = apart["net_benefit"][threshold]
        yield (f"{float(threshold):.0%}", *(f"{1000 * found[k]:.1f}" for k in ("model", "everyone")), "0.0")


def _reliability(rows: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, ...]]:
    for number, row in enumerate(rows, start=1):
        yield (str(number), f"{row['n']:,}", f"{row['mean_estimate']:.3f}", f"{row['observed']:.3f}")


def _held(found: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for pattern, apart in found["leave-one-cycle-out"].items():
        yield (f"`{pattern}`", f"{apart['held']:.0%}", f"{found['forward'][pattern]['held']:.0%}")


def _changes(found: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for name, groups in found.items():
        yield (name, _signed(groups["everybody"]), _signed(groups["not-in-care"]))
