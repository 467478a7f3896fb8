"""What a call may use and show: which models speak, which card topics are held back, or nothing at all.

The caller decides (`cds_service.control`); without a decision every model speaks and nothing is off. The rules are not
asked: no model, mode or switch of a model reaches a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from models.rules.findings import Topic
from models.scoring.registry import Model
from models.scoring.risk import NotScoredReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Whether a model speaks. why_not: why it does not, or None; asked: then its score is kept for the record alone."""

    why_not: NotScoredReason | None = None
    asked: bool = True


SPEAKS = Permission()
MaySpeak = Callable[[Model], Permission]


def speaks(_model: Model) -> Permission:
    """Every model speaks."""
    return SPEAKS


class ModelUse(StrEnum):
    """What a site does with estimates, the more the later; a single call can be allowed less."""

    NONE = "none"
    TESTED = "tested"  # scored and recorded, shown to nobody who treats
    SPEAKS = "speaks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The decisions for one call.

    permission: of a model, and of the departments (references) of the call's encounter. off_since: the whole service is
    switched off, so the chart is not read. topics_off: topic -> since when its cards are held back. opted_out: the
    patient is on the site's list of opt-outs.
    """

    permission: Callable[[Model, tuple[str, ...]], Permission] = lambda model, _departments: speaks(model)
    off_since: datetime | None = None
    topics_off: Mapping[Topic, datetime] = field(default_factory=dict)
    opted_out: bool = False


UNCONTROLLED = Control()
