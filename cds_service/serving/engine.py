"""The models of this process, loaded once; a model that cannot be loaded is left out, with the reason."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from explanations.judgement.assessment import Engine, ModelFailure
from models.errors import ModelError
from models.scoring.registry import SHIPPED, Model, in_order, load_model, the_version, wanted

log = logging.getLogger("mhcds")


def load_engine(root: Path | None = None, kept: Iterable[Mapping[str, str]] = ({},)) -> Engine:
    """The verified models below `root` (default: those shipped) that some site uses. The rules work without any.

    kept: for each site, outcome -> the version that it keeps; the newest otherwise.
    """
    models: dict[Path, Model] = {}
    failures: list[ModelFailure] = []
    for outcome, version in sorted(wanted(kept), key=lambda choice: (choice[0], choice[1] or "")):
        try:
            folder = the_version((root or SHIPPED) / outcome, version)
            models[folder] = models.get(folder) or load_model(folder)
        except ModelError as error:
            failures.append(ModelFailure(outcome=outcome, version=version, reason=str(error)))
        except Exception as error:  # noqa: BLE001  # whatever is wrong with a model, the rules must start
            reason = f"failed unexpectedly ({type(error).__name__}: {error}); restore it from the release"
            failures.append(ModelFailure(outcome=outcome, version=version, reason=reason))
    for failure in failures:
        log.error("model-not-loaded %s: %s", failure.name, failure.reason)
    return Engine(models=in_order(models.values()), failures=tuple(failures))
