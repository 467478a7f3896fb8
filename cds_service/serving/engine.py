"""The models of this process, loaded once; a model that cannot be loaded is left out, with the reason."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from explanations.judgement.assessment import Engine
from models.errors import ModelError
from models.inputs.outcomes import OUTCOMES
from models.scoring.registry import SHIPPED, Model, in_order, load_model, the_version

log = logging.getLogger("mhcds")


def load_engine(root: Path | None = None, kept: Iterable[Mapping[str, str]] = ({},)) -> Engine:
    """The verified models below `root` (default: those shipped) that some site uses. The rules work without any.

    kept: for each site, outcome -> the version that it keeps; the newest otherwise.
    """
    models: dict[Path, Model] = {}
    failures: list[tuple[str, str]] = []
    wanted = {(outcome, versions.get(outcome)) for versions in kept for outcome in OUTCOMES}
    for outcome, version in sorted(wanted, key=lambda choice: (OUTCOMES.index(choice[0]), choice[1] or "")):
        try:
            folder = the_version((root or SHIPPED) / outcome, version)
            models[folder] = models.get(folder) or load_model(folder)
        except ModelError as error:
            name = f"{outcome} {version}" if version else outcome
            failures.append((name, str(error)))
            log.error("model-not-loaded %s: %s", name, error)
    return Engine(models=in_order(models.values()), failures=tuple(failures))
