"""The result of an evaluation as a table for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table

from models.evaluation.baselines import LOGISTIC
from models.inputs.patterns import ALL, HEADLINE
from models.reports.figures import LEGEND, PATTERN_WORDS, not_in_care


def report_table(metrics: Mapping[str, Any]) -> RenderableType:
    """A terminal table of an `evaluate` result, all cycles together. The headline is the group not in care."""
    tables = []
    for outcome, evaluated in metrics["outcomes"].items():
        cycles = ", ".join(evaluated["patterns"][HEADLINE]["cycles"])
        apart = not_in_care(evaluated["patterns"][HEADLINE]["all"])
        title = f"{outcome}: {apart['n']:,} people not in care, {apart['events']:,} with it ({cycles})"
        table = Table(title=title, caption=_CAPTION, title_justify="left", caption_justify="left", box=SIMPLE_HEAD,
                      pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)  # fmt: skip
        table.add_column("inputs known", min_width=26, overflow="fold")
        for heading in ("AUROC", "logit", "slope", "O/E", "sens.", "PPV"):
            table.add_column(heading, justify="right", no_wrap=True)
        for pattern, result in evaluated["patterns"].items():
            if pattern != ALL:
                table.add_row(PATTERN_WORDS[pattern], *_cells(not_in_care(result["all"])))
        tables.append(table)
    return Group(*tables)


_CAPTION = (
    "People not in care: no antidepressant, no mental-health visit in the last year. AUROC with its 95 % interval; "
    "more in --json and --report. logit: AUROC of logistic regression on the same inputs. sens., PPV: with 5 % "
    f"flagged. Cycles that trained the model: out-of-fold. {LEGEND}"
)


def _cells(group: Mapping[str, Any]) -> list[str]:
    at_5, area = group["flag_rates"]["0.05"], group["auroc"]
    if area["value"] is None:
        return ["too few", *[""] * 5]
    plain = group["baselines"][LOGISTIC]["auroc"]
    figures = (plain, group["slope"], group["o_e"], at_5["sensitivity"], at_5["ppv"])
    interval = f"{area['value']:.2f} ({area['low']:.2f}-{area['high']:.2f})"
    return [interval, *(_text(figure) for figure in figures)]


def _text(figure: Mapping[str, float | None]) -> str:
    return "too few" if figure["value"] is None else f"{figure['value']:.2f}"
