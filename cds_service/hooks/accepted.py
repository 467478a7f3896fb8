"""A call once its client and site are known: what is asked, and what it may use and show."""

from __future__ import annotations

from dataclasses import dataclass

from cds_service.cards.wire import HookRequest
from cds_service.control.permission import Asker
from cds_service.hooks.access import site_of
from cds_service.hooks.catalogue import Service
from cds_service.serving.runtime import Runtime
from cds_service.settings.config import ServiceConfig
from cds_service.settings.sites import SiteConfig
from cds_service.trials.assigning import TrialArm
from cds_service.trust.auth import VerifiedClient
from explanations.judgement.control import Control


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedCall:
    """One call of a verified client, for the length of the call. arm: in a trial, once a model has been asked for."""

    config: ServiceConfig
    client: VerifiedClient
    service: Service
    site: SiteConfig
    hook: HookRequest
    who: Asker
    control: Control
    arm: TrialArm

    @property
    def patient_id(self) -> str:
        """The id of the FHIR server; "" where the hook sent none."""
        return self.hook.context.patient_id or ""


def accept(
    runtime: Runtime,
    config: ServiceConfig,
    client: VerifiedClient,
    service: Service,
    hook: HookRequest,
    named: str | None,
) -> AcceptedCall:
    """The call with its site. Raises BadRequest where that is unclear."""
    site = site_of(config, client, hook, named)
    who = runtime.asker(site.id, service.id, hook.context.user_id, hook.context.patient_id or "")
    arm = runtime.trial_arm(config, who)
    control = runtime.control(config, who, arm)
    return AcceptedCall(
        config=config, client=client, service=service, site=site, hook=hook, who=who, control=control, arm=arm
    )
