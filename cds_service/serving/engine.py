"""The models of this process, loaded once; a model that cannot be loaded is left out, with the reason."""

from __future__ import annotations

import logging
import multiprocessing
import signal
from collections.abc import Iterable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path

from cds_service.settings.config import ServiceConfig
from explanations.judgement.assessment import Engine, ModelFailure
from models.errors import ModelError
from models.scoring.registry import SHIPPED, Model, in_order, load_model, the_version, wanted

log = logging.getLogger("mhcds")
# Less than gunicorn waits for a worker to be ready. It usually takes one or two seconds.
MOST_S = 40


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


def load_engine_apart(config: ServiceConfig, tries: int = 2) -> Engine:
    """The models of these settings, from a separate process that loads them, hands them over and ends.

    So this one holds nothing that only loading needs (XGBoost, scipy: 30 MB), and goes on with the rules if loading
    crashes. Tries again after a SIGKILL, since workers that start at once may lack memory for a moment. Forks: no other
    thread may run yet.
    """
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_hand_over, args=(here, there, config))
    try:
        process.start()
        there.close()
        engine: Engine = here.recv()
    except (EOFError, OSError) as error:
        if process.pid is None:
            why = f"could not be started ({error.strerror if isinstance(error, OSError) else error})"
        else:
            process.join()
            if process.exitcode == -signal.SIGKILL and tries > 1:
                return load_engine_apart(config, tries - 1)
            late = f", it took more than {MOST_S} s" if process.exitcode == -signal.SIGALRM else ""
            why = f"ended early ({process.exitcode}{late})"
        reason = f"the process that loads models {why}; restart the service, or restore them from the release"
        failed = [
            ModelFailure(outcome=outcome, version=version, reason=reason)
            for outcome, version in wanted(config.kept_models)
        ]
        log.error("model-not-loaded %s: %s", ", ".join(sorted(failure.name for failure in failed)), reason)
        return Engine(failures=tuple(failed))
    process.join()
    return engine


def _hand_over(here: Connection, there: Connection, config: ServiceConfig) -> None:
    # The kernel then ends this process, whatever it hangs in: it holds the service's port, and its worker waits for it.
    signal.alarm(MOST_S)
    here.close()  # else a parent that has died would leave this process waiting for it
    there.send(load_engine(config.models, config.kept_models))
