"""The models of this process, loaded once; a model that cannot be loaded is left out, with the reason."""

from __future__ import annotations

import logging
from pathlib import Path

from explanations.judgement.assessment import Engine
from models.errors import ModelError
from models.inputs.outcomes import OUTCOMES
from models.scoring.registry import SHIPPED, Model, load_model, the_version

log = logging.getLogger("mhcds")


def load_engine(root: Path | None = None) -> Engine:
    """Every verified model below `root` (default: those shipped). The rules work without any."""
    models: list[Model] = []
    failures: list[tuple[str, str]] = []
    for outcome in OUTCOMES:
        try:
            models.append(load_model(the_version((root or SHIPPED) / outcome)))
        except ModelError as error:
            failures.append((outcome, str(error)))
            log.error("model-not-loaded %s: %s", outcome, error)
    return Engine(models=tuple(models), failures=tuple(failures))
