"""`[alerts]` of a site's file: how often model and follow-up cards may come. Safety cards have no limit (rule R17)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """A model's cards pause when of the last `cards` fewer than this share were accepted. cards 0: never."""

    acceptance: float = 0.1
    cards: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLimits:
    """0 switches a limit off.

    model_days: days until a model's card comes again for a patient whose inputs are the same. assessed_days: days
    without one after a documented assessment. repeat_h: hours until the same card comes to the same user again.
    daily: model and follow-up cards a user a day. snooze_days: how long "not now" lasts; declined_days: a refusal.
    """

    model_days: int = 30
    assessed_days: int = 14
    repeat_h: int = 12
    daily: int = 20
    snooze_days: int = 7
    declined_days: int = 90
    stop: StopRule = StopRule()
