"""Whether a model may speak in a call: by its switch, its mode, its approval and, in a pilot or trial, who is in it.

Pure: in a trial the caller hands in what says the arm, which is asked only where all else lets the model speak.

Without a recorded mode a model is silent where the site is governed, which is also how a new version begins; elsewhere
(development, the demo, no approval yet) it is live.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

from cds_service.control.acts import ModeRow
from cds_service.control.approved import verdict_at
from cds_service.control.snapshot import ControlState
from cds_service.control.targets import SPEAKING, Mode, default_mode
from cds_service.settings.approvals import ApprovalState
from cds_service.settings.config import ServiceConfig
from explanations.judgement.control import SPEAKS, Control, Permission
from models.scoring.registry import Model
from models.scoring.risk import NotScoredReason, RiskScore

NO_APPROVAL = {
    ApprovalState.MISSING: NotScoredReason.NOT_APPROVED,
    ApprovalState.NOT_YET: NotScoredReason.NOT_APPROVED,
    ApprovalState.EXPIRED: NotScoredReason.APPROVAL_EXPIRED,
    ApprovalState.OTHER_USE: NotScoredReason.APPROVED_OTHER,
    ApprovalState.OTHER_ARTIFACT: NotScoredReason.APPROVED_OTHER,
}
NEVER_ASKED = partial(Permission, asked=False)
# Outcome, departments and today to why the model keeps silent in a trial; None in the live arm.
ArmOf = Callable[[str, tuple[str, ...], date], NotScoredReason | None]


def no_trial(_outcome: str, _departments: tuple[str, ...], _today: date) -> NotScoredReason | None:
    """Where nobody can say the arm."""
    return NotScoredReason.TRIAL_NOT_RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks about whom. service: the SMART app is one. user: a reference; patient: a pseudonym.

    draw: a keyed hash of patient and purpose as a number in [0, 1), always the same.
    """

    site: str
    service: str
    user: str | None
    patient: str
    draw: Callable[[str], float]


def asker(secret: bytes, site: str, service: str, user: str | None, patient: str) -> Asker:
    """With draws by this secret."""

    def draw(purpose: str) -> float:
        digest = hmac.digest(secret, f"{purpose}\0{site}\0{patient}".encode(), "sha256")
        return int.from_bytes(digest[:7]) / 2**56

    return Asker(site=site, service=service, user=user, patient=patient, draw=draw)


def control_for(
    state: ControlState, config: ServiceConfig, who: Asker, now: datetime, arm: ArmOf = no_trial
) -> Control:
    """The decisions for one call."""
    off = state.service_off(who.site, who.service)
    return Control(
        permission=partial(permission, state, config, who, config.site(who.site).day(now), arm=arm),
        off_since=off.at if off else None,
        topics_off=state.topics_off(who.site, who.service),
        opted_out=who.patient in state.opted_out.get(who.site, ()),
    )


def permission(
    state: ControlState,
    config: ServiceConfig,
    who: Asker,
    today: date,
    model: Model,
    departments: tuple[str, ...],
    *,
    arm: ArmOf = no_trial,
) -> Permission:
    """Whether a model may speak. today: by the site's calendar; departments: references, of the call's encounter."""
    if not state.is_known:
        return NEVER_ASKED(why_not=NotScoredReason.CONTROL_UNKNOWN)
    if state.model_off(who.site, who.service, model.outcome):
        return NEVER_ASKED(why_not=NotScoredReason.SWITCHED_OFF)
    row = state.mode_of(who.site, who.service, model.outcome, model.version)
    governed = config.governed(who.site)
    mode = row.mode if row else default_mode(governed=governed)
    if mode is Mode.OFF:
        return NEVER_ASKED(why_not=NotScoredReason.OFF)
    if mode not in SPEAKING:
        return Permission(why_not=NotScoredReason.SILENT)
    if governed:
        verdict = verdict_at(config, who.site, who.service, model, mode, today)
        if not verdict.is_valid:
            return Permission(why_not=NO_APPROVAL[verdict.state])
    if mode is Mode.PILOT and not (row and in_pilot(row, who, departments)):
        return Permission(why_not=NotScoredReason.NOT_IN_PILOT)
    if mode is Mode.TRIAL:
        return Permission(why_not=arm(model.outcome, departments, today))
    return SPEAKS


def in_pilot(row: ModeRow, who: Asker, departments: tuple[str, ...]) -> bool:
    """Whether the pilot is for this user, a department of this encounter, or this patient's draw."""
    wanted = {relative(reference) for reference in row.departments}
    return (
        who.user in row.users
        or any(relative(reference) in wanted for reference in departments)
        or who.draw(f"pilot {row.outcome}") < row.share
    )


def relative(reference: str) -> str:
    """`Location/3` of `https://ehr.example/fhir/Location/3`."""
    return "/".join(reference.split("/")[-2:])


def for_review(state: ControlState, who: Asker, unspoken: tuple[RiskScore, ...]) -> tuple[str, ...]:
    """The models whose unspoken score of this call is in the sample for review."""
    rows = [(score, state.mode_of(who.site, who.service, score.outcome, score.model_version)) for score in unspoken]
    return tuple(
        score.model
        for score, row in rows
        if row and row.mode is Mode.REVIEW and who.draw(f"review {row.outcome}") < row.review
    )
