"""A figure as people read it: with its interval, or why it is not there."""

from __future__ import annotations

from cds_service.monitoring.site_figures import CountLevel, GroupFigures, SiteEstimate, Unsaid

LEVELS = {
    "people": CountLevel.PEOPLE, "episodes": CountLevel.PEOPLE, "flagged": CountLevel.FLAGGED,
    "flag_rate": CountLevel.FLAGGED, "measured": CountLevel.KNOWN, "share_measured": CountLevel.KNOWN,
    "positive": CountLevel.OUTCOME, "expected": CountLevel.OUTCOME, "auroc": CountLevel.OUTCOME,
    "slope": CountLevel.OUTCOME, "o_e": CountLevel.OUTCOME, "everyone": CountLevel.OUTCOME,
    "ppv": CountLevel.DECISION, "sensitivity": CountLevel.DECISION, "model": CountLevel.DECISION,
}  # fmt: skip
"""What each figure rests on."""
PERCENT = ("flag_rate", "share_measured", "ppv", "sensitivity")
WHY = {Unsaid.SMALL: "under 11", Unsaid.SUBTRACTION: "withheld"}
NOT_TO_BE_HAD = "not to be had"


def shown(group: GroupFigures, name: str, *, weighted: bool = False, interval: bool = True) -> str:
    """Such as `0.79 (0.74 to 0.84)`, `15 %`, `1204`, `under 11` or `withheld`. name: of LEVELS."""
    level = LEVELS[name]
    for one in (level, CountLevel.OUTCOME) if level is CountLevel.DECISION else (level,):
        if one in group.unsaid:
            return WHY[group.unsaid[one]]
    of = group.weighted if weighted else group.observed
    value = getattr(group if hasattr(group, name) else of, name, None)
    if value is None:
        return NOT_TO_BE_HAD
    if isinstance(value, SiteEstimate):
        return estimate(value, percent=name in PERCENT, interval=interval)
    return f"{value:.3f}" if name in ("model", "everyone") else f"{value:g}"


def estimate(value: SiteEstimate, *, percent: bool, interval: bool = True) -> str:
    """With its interval, where that is wanted and known."""

    def number(one: float) -> str:
        return f"{100 * one:.0f}" if percent else f"{one:.2f}"

    end = " %" if percent else ""
    if not interval or value.low is None or value.high is None:
        return f"{number(value.value)}{end}"
    return f"{number(value.value)}{end} ({number(value.low)} to {number(value.high)})"
