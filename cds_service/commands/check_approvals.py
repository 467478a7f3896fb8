"""What `mhcds check-config` says of approvals: which model may speak where, until when, and exactly what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from cds_service.control.approved import verdict_at
from cds_service.control.targets import Mode
from cds_service.settings.approvals import Approval, ApprovalState, ApprovalVerdict
from cds_service.settings.service_ids import ASK_MODELS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cds_service.settings.config import ServiceConfig
    from cds_service.settings.sites import SiteConfig
    from models.scoring.registry import Model

SOON = timedelta(days=30)
SPEAKING = (Mode.LIVE, Mode.PILOT, Mode.TRIAL)
BY_STATE = list(ApprovalState)


@dataclass(frozen=True, slots=True)
class ApprovalLine:
    """A line for people. warning: something is to be done; lacking: the model whose table an approval needs."""

    text: str
    warning: bool = False
    lacking: Model | None = None


def approval_lines(
    config: ServiceConfig, site: SiteConfig, used: Iterable[Model], today: date
) -> Iterator[ApprovalLine]:
    """Of one site. used: its models; today: by its calendar."""
    if not site.cards.region.models:
        return
    if not config.governed(site.id):
        yield ApprovalLine(f"{config.mode} mode and no approval, so its models speak")
        return
    yield ApprovalLine(
        "governed: a model speaks with an approval of its digest, in the modes pilot, trial and live (mhcds mode)"
    )
    for model in used:
        by_service = {service: _of_model(config, site, service, model, today) for service in ASK_MODELS}
        for line in {line.text: line for line in by_service.values()}.values():
            services = [service for service, said in by_service.items() if said == line]
            where = "" if len(services) == len(ASK_MODELS) else f" at {' and '.join(services)}"
            yield ApprovalLine(f"{model.outcome} {model.version}{where} {line.text}", line.warning, line.lacking)


def _of_model(config: ServiceConfig, site: SiteConfig, service: str, model: Model, today: date) -> ApprovalLine:
    verdicts = {mode: verdict_at(config, site.id, service, model, mode, today) for mode in SPEAKING}
    valid = {mode: verdict.approval for mode, verdict in verdicts.items() if verdict.is_valid and verdict.approval}
    if not valid:
        best = min(verdicts.values(), key=lambda verdict: BY_STATE.index(verdict.state))
        lacks = best.state in (ApprovalState.MISSING, ApprovalState.OTHER_ARTIFACT)
        return ApprovalLine(
            f"may not speak, the rules do: {_why(best)}", warning=True, lacking=model if lacks else None
        )
    last = max(approval.review_by for approval in valid.values())
    given = ", ".join(f"{mode} by {_name(approval)} until {approval.review_by}" for mode, approval in valid.items())
    soon = last - today < SOON
    return ApprovalLine(f"is approved: {given}" + ("; review it and move review_by on" if soon else ""), warning=soon)


def _why(verdict: ApprovalVerdict) -> str:
    """What is missing, and what to do."""
    approval = verdict.approval
    if approval is None:
        return "no approval names it there"
    return f"{_name(approval)} " + {
        ApprovalState.OTHER_ARTIFACT: "is for another artifact; once this one is approved, put its table there",
        ApprovalState.OTHER_USE: f"allows {', '.join(approval.uses)}; add pilot, trial or live once approved",
        ApprovalState.EXPIRED: f"ended on {approval.review_by}; review it, then move review_by on",
        ApprovalState.NOT_YET: f"begins on {approval.approved_on}",
    }.get(verdict.state, "")


def _name(approval: Approval) -> str:
    return f"{approval.id} (version {approval.version})"


def table(model: Model) -> str:
    """The model as an approval names it, to be copied."""
    rows = (("outcome", model.outcome), ("version", model.version), ("digest", model.digest))
    return "\n".join(["[[model]]", *(f'{key} = "{value}"' for key, value in rows)])


def unknown_models(config: ServiceConfig, models: Iterable[Model]) -> Iterator[str]:
    """Models in approvals that are not among those loaded: replaced since, altered, or written down wrongly."""
    there = {(model.outcome, model.version, model.digest) for model in models}
    for approval in config.approvals:
        for model in approval.models:
            if (model.outcome, model.version, model.digest) not in there:
                yield (
                    f"approval {_name(approval)}: no site uses a {model.outcome} {model.version} of digest "
                    f"{model.digest[:12]}…; remove the table once no site goes back to it"
                )
