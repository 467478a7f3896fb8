"""What the approvals say of a mode in which a model speaks, and in words why that is not enough."""

from __future__ import annotations

from datetime import date
from typing import Protocol

from cds_service.control.targets import SPEAKING, Mode
from cds_service.settings.approvals import ApprovalState, ApprovalVerdict, Use, approval_verdict
from cds_service.settings.config import ServiceConfig
from cds_service.settings.service_ids import ASK_MODELS

USES = {Mode.PILOT: Use.PILOT, Mode.TRIAL: Use.TRIAL, Mode.LIVE: Use.LIVE}
BEST_FIRST = list(ApprovalState)


class _Artifact(Protocol):
    """A model by its artifact: `Model`, `ApprovedModel`."""

    @property
    def outcome(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def digest(self) -> str: ...


def verdict_at(
    config: ServiceConfig, site: str, service: str, model: _Artifact, mode: Mode, today: date
) -> ApprovalVerdict:
    """What the approvals say of a mode that speaks, for one service."""
    return approval_verdict(
        config.approvals,
        site=site,
        service=service,
        outcome=model.outcome,
        version=model.version,
        digest=model.digest,
        use=USES[mode],
        today=today,
    )


def verdict_of(
    config: ServiceConfig, site: str, model: _Artifact, mode: Mode, today: date, service: str = ""
) -> ApprovalVerdict:
    """The same, or without a service the best of all that ask models."""
    verdicts = [verdict_at(config, site, one, model, mode, today) for one in ([service] if service else ASK_MODELS)]
    return min(verdicts, key=lambda verdict: BEST_FIRST.index(verdict.state))


def unmet_words(verdict: ApprovalVerdict) -> str:
    """Why there is no valid approval; "" where there is one."""
    approval = verdict.approval
    if approval is None:
        return "no approval names it"
    return {
        ApprovalState.NOT_YET: f"approval {approval.id} begins on {approval.approved_on}",
        ApprovalState.EXPIRED: f"approval {approval.id} ended on {approval.review_by}",
        ApprovalState.OTHER_USE: f"approval {approval.id} is not for this use",
        ApprovalState.OTHER_ARTIFACT: f"approval {approval.id} names another version or digest",
    }.get(verdict.state, "")


def approval_of(
    config: ServiceConfig, site: str, service: str, model: _Artifact, mode: Mode, today: date
) -> tuple[str, str]:
    """The approval under which a model may be in this mode, and why it may not; both "" where none is needed."""
    if mode not in SPEAKING or not config.governed(site):
        return "", ""
    verdict = verdict_of(config, site, model, mode, today, service)
    return (verdict.approval.id, "") if verdict.is_valid and verdict.approval else ("", unmet_words(verdict))
