"""What a site does with estimates, for pages that describe it: as much as any of its calls may."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from cds_service.control.permission import Asker, permission
from cds_service.control.snapshot import ControlState
from cds_service.settings.config import ServiceConfig
from cds_service.settings.service_ids import ASK_MODELS
from explanations.judgement.control import ModelUse
from models.scoring.registry import Model
from models.scoring.risk import NotScoredReason

# Said of a patient or moment; other patients are spoken about. While nobody knows, the page says more and not less.
ELSEWHERE = (None, NotScoredReason.NOT_IN_PILOT, NotScoredReason.CONTROL_UNKNOWN)
ORDER = list(ModelUse)


def model_use(state: ControlState, config: ServiceConfig, site: str, models: Iterable[Model], today: date) -> ModelUse:
    """The most that any of these models may do at the site, whoever asks about whom. today: by its calendar."""
    return max(_uses(state, config, site, tuple(models), today), key=ORDER.index, default=ModelUse.NONE)


def _uses(
    state: ControlState, config: ServiceConfig, site: str, models: tuple[Model, ...], today: date
) -> Iterator[ModelUse]:
    for service in ASK_MODELS:
        if state.service_off(site, service.value):
            continue
        anybody = Asker(site=site, service=service.value, user=None, patient="", draw=lambda _purpose: 1.0)
        for model in models:
            may = permission(state, config, anybody, today, model, (), arm=lambda *_: None)
            if may.why_not in ELSEWHERE:
                yield ModelUse.SPEAKS
            elif may.asked:
                yield ModelUse.TESTED
