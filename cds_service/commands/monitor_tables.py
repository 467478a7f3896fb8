"""The figures of `mhcds monitor` as tables for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from cds_service.commands.terminal import console, print_table
from cds_service.monitoring.shown import NOT_TO_BE_HAD, shown
from cds_service.monitoring.site_figures import SCORE_EDGES, InputFigures, SiteFigures

OF_OUTCOMES = (
    ("auroc", "AUROC"),
    ("slope", "Calibration slope"),
    ("o_e", "Observed over expected"),
    ("ppv", "PPV at the threshold"),
    ("sensitivity", "Sensitivity at the threshold"),
    ("model", "Net benefit of the flags"),
    ("everyone", "Net benefit of flagging all"),
)
MOST_INPUTS = 8
LEGEND = (
    "under 11: fewer than 11 people. withheld: it would give away such a group by subtraction. "
    "95 % intervals in brackets; docs/monitoring.md says what each figure is and is not."
)


def print_figures(rows: Sequence[SiteFigures]) -> None:
    """A part for each site, model and version."""
    out = console()
    for (site, outcome, version), own in groupby(rows, lambda row: (row.site, row.outcome, row.version)):
        whole, *months = own
        out.rule(f"{site}, {outcome} {version}: {whole.since:%B %Y} to {whole.last:%B %Y}", align="left")
        threshold = "unknown" if whole.threshold is None else f"{whole.threshold:.3f}"
        out.print(f"As of {whole.at:%d %B %Y}, of episodes whose outcome window is over; threshold {threshold}.\n")
        _months([whole, *months])
        share = shown(whole.everyone, "share_measured")
        out.print(
            f"\nOf those with an outcome, {share} of all. Whoever is asked differs from whoever is not: the second "
            "column corrects for what is recorded about that, and cannot correct the rest.\n"
        )
        print_table(("", "as measured", "weighted"), [
            (words, shown(whole.everyone, name), _weighted(whole, name)) for name, words in OF_OUTCOMES
        ])  # fmt: skip
        _groups(whole)
        _inputs(whole, months)
        _others(whole)
    if rows:
        out.print(LEGEND)


def _weighted(whole: SiteFigures, name: str) -> str:
    return NOT_TO_BE_HAD if whole.everyone.weighted is None else shown(whole.everyone, name, weighted=True)


def _months(rows: Sequence[SiteFigures]) -> None:
    table = [
        (
            row.month or "together", shown(row.everyone, "episodes"), shown(row.everyone, "flag_rate", interval=False),
            shown(row.everyone, "share_measured", interval=False), shown(row.everyone, "positive"),
            shown(row.everyone, "o_e"), shown(row.everyone, "auroc", interval=False),
        )
        for row in rows
    ]  # fmt: skip
    print_table(("Month", "Episodes", "Flagged", "Measured", "Had it", "Observed/expected", "AUROC"), table)


def _groups(whole: SiteFigures) -> None:
    console().print()
    table = [
        (
            f"{group.by} {group.group}", shown(group, "episodes"), shown(group, "flag_rate", interval=False),
            shown(group, "share_measured", interval=False), shown(group, "o_e"), shown(group, "auroc", interval=False),
        )
        for group in whole.groups
    ]  # fmt: skip
    print_table(("Group", "Episodes", "Flagged", "Measured", "Observed/expected", "AUROC"), table)


def _inputs(whole: SiteFigures, months: Sequence[SiteFigures]) -> None:
    latest: tuple[str, tuple[InputFigures, ...]] = next(
        ((row.month, row.inputs) for row in reversed(months) if any(one.psi is not None for one in row.inputs)),
        ("all months", whole.inputs),
    )
    month, inputs = latest
    unlike = sorted((one for one in inputs if one.unlike), key=lambda one: -(one.psi or 0))
    out = console()
    out.print(f"\nInputs of {month}: {len(unlike)} of {len(inputs)} unlike the training mix.")
    if unlike:
        print_table(("Input", "Known here", "In training", "PSI"), [
            (
                one.name, "under 11" if one.known is None else f"{one.known:.0%}", f"{one.known_in_training:.0%}",
                "too few" if one.psi is None else f"{one.psi:.2f}",
            )
            for one in unlike[:MOST_INPUTS]
        ])  # fmt: skip


def _others(whole: SiteFigures) -> None:
    out = console()
    ends = [f"to {edge:g}" for edge in SCORE_EDGES]
    bins = zip([*ends, "more"], whole.score_bins, strict=True)
    out.print("\nEpisodes by estimate: " + ", ".join(f"{name} {_count(n)}" for name, n in bins) + ".")
    if whole.not_scored:
        parts = ", ".join(f"{reason} {_count(n)}" for reason, n in sorted(whole.not_scored.items()))
        out.print(f"Answers without an estimate, by reason: {parts}.")
    out.print(f"From a prompt to something done: {whole.to_act.words if whole.to_act else 'under 11, or nothing'}.")
    for one in whole.criteria:
        for state in one.states:
            figure = "" if state.figure is None or state.n is None else f", {state.figure:.2f} of {state.n} people"
            out.print(f"{one.approval}, {state.role}: {state.criterion.measure.value} {state.verdict.value}{figure}.")
        if one.may_be_promoted:
            out.print(f"{one.approval}: its criteria are met, so the model may be promoted, by a person.")
    out.print()


def _count(n: int | None) -> str:
    return "withheld" if n is None else str(n)
