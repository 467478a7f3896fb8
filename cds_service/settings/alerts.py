"""`[alerts]` of a site's file: how often model and follow-up cards may come. Safety cards have no limit (rule R17).

A site without the table has no limits, since R17 leaves them to the site's policy; one with it has the defaults.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cds_service.settings.shapes import shown
from explanations.judgement.alert_limits import NO_LIMITS, AlertLimits

LONGEST = {
    "model_days": 365,
    "assessed_days": 90,
    "repeat_h": 168,
    "daily": 1000,
    "snooze_days": 90,
    "declined_days": 365,
}
LEAST_CARDS, MOST_CARDS = 30, 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """`[alerts.stop]`: a model's cards pause when of the last `cards` fewer than this share were accepted.

    cards 0: never.
    """

    acceptance: float = 0.1
    cards: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings:
    """What limits the cards of a site, and what stops a model's; by default nothing."""

    limits: AlertLimits = NO_LIMITS
    stop: StopRule = StopRule(cards=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertTable(AlertLimits):
    """`[alerts]`."""

    stop: StopRule = StopRule()


def alerts(path: Path, raw: AlertTable | None, problems: list[str]) -> AlertSettings:
    """The settings, their problems appended."""
    if raw is None:
        return AlertSettings()
    values = {name: getattr(raw, name) for name in LONGEST}
    problems += [
        f"{path}: [alerts] {name}: expected 0 (no limit) to {LONGEST[name]}; found {shown(value)}"
        for name, value in values.items()
        if not 0 <= value <= LONGEST[name]
    ]
    stop = raw.stop
    if not 0 <= stop.acceptance <= 1:
        problems.append(
            f"{path}: [alerts.stop] acceptance: expected a share from 0 to 1; found {shown(stop.acceptance)}"
        )
    if stop.cards and not LEAST_CARDS <= stop.cards <= MOST_CARDS:
        problems.append(
            f"{path}: [alerts.stop] cards: expected 0 (never stop) or {LEAST_CARDS} to {MOST_CARDS}, since fewer cards "
            f"say little; found {shown(stop.cards)}"
        )
    return AlertSettings(limits=AlertLimits(**values), stop=stop)
