"""The page of the models here: what the site's own outcomes say of each, beside the survey's figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response

from cds_service.governance import views
from cds_service.governance.rendering import page
from cds_service.governance.session import Desk, Visitor
from cds_service.monitoring.shown import PERCENT, estimate, shown
from cds_service.monitoring.site_figures import SiteEstimate, SiteFigures, read_figures
from models.errors import ArtifactError
from models.inputs.patterns import HEADLINE
from models.scoring.registry import Model, load_json

MEASURES = {
    "auroc": "AUROC",
    "slope": "Calibration slope",
    "o_e": "Observed over expected",
    "ppv": "PPV at the threshold",
    "sensitivity": "Sensitivity at the threshold",
    "model": "Net benefit of the flags",
    "everyone": "Net benefit of flagging all",
}
VERDICTS = {
    "too-few": "too few to say",
    "undecided": "not decided yet",
    "holds-so-far": "holds so far",
    "breached": "breached",
    "met": "met",
}


def models_page(desk: Desk, visitor: Visitor) -> Response:
    """Every model that a site uses, and every earlier version of which there are figures."""
    runtime = desk.runtime
    found: dict[tuple[str, str, str], list[SiteFigures]] = {
        (state.site, state.outcome, state.version): [] for state in views.model_states(runtime, runtime.config())
    }
    for row in read_figures(desk.rows.store):
        found.setdefault((row.site, row.outcome, row.version), []).append(row)
    loaded = {(model.outcome, model.version): model for model in runtime.engine.models}
    return page(
        "models.html",
        visitor,
        models=[(key, rows, _survey(loaded.get(key[1:]))) for key, rows in found.items()],
        measures=MEASURES,
        verdicts=VERDICTS,
        shown=shown,
    )


def _survey(model: Model | None) -> Mapping[str, Any]:
    """The survey's figures as words, and whom they are of; empty where the version is not loaded."""
    if model is None:
        return {}
    try:
        metrics = load_json(model.folder / "metrics.json")["outcomes"][model.outcome]["patterns"]
        # Everybody, as here: R13 keeps a prompt from people in care, not an estimate.
        group = metrics[HEADLINE]["all"]
        cycles = list(model.manifest.training["cycles"])
    except (ArtifactError, KeyError):
        return {}
    rate = group["flag_rates"][model.manifest.default_flag_rate]
    of = {"auroc": group["auroc"], "slope": group["slope"], "o_e": group["o_e"]}
    of |= {"ppv": rate["ppv"], "sensitivity": rate["sensitivity"]}
    return {
        "when": f"{cycles[0]} to {cycles[-1]}",
        "n": group["n"],
        "flagged": f"{float(model.manifest.default_flag_rate):.0%}",
        **{name: estimate(SiteEstimate(**value), percent=name in PERCENT) for name, value in of.items()},
    }
