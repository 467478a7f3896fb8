"""What is true of a site at this moment, for pages that say it: the page for patients, the module for clinicians."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cds_service.control.in_use import ORDER, model_use
from cds_service.monitoring.site_figures import read_figures
from cds_service.serving.runtime import Runtime
from cds_service.settings.service_ids import ServiceId
from cds_service.settings.sites import SiteConfig
from explanations.judgement.regions import REGIONS
from explanations.words.notices.notice import NoticeSettings
from explanations.words.pages.learning import MeasuredHere
from explanations.words.patient.page import PatientFacts

PAGE = "/patients"


def patient_facts(runtime: Runtime, sites: Sequence[SiteConfig]) -> PatientFacts:
    """What is true of a site; of several, what may be so at some of them, with nothing that names one."""
    config = runtime.config()
    runtime.controls.look()
    state = runtime.controls()
    uses = [
        model_use(state, config, site.id, site.models_of(runtime.engine), site.day(runtime.now()))
        for site in sites
        if site.cards.region.models
    ]
    only = sites[0] if len(sites) == 1 else None
    return PatientFacts(
        notices=_common(sites),
        models=max(uses, key=ORDER.index, default=ORDER[0]),
        is_off=all(state.service_off(site.id, service.value) for site in sites for service in ServiceId),
        new_entries=any(site.subscription for site in sites),
        alerts=any(site.escalation for site in sites),
        rules_stay=any(site.rules_off_policy is None for site in sites),
        opt_out=only.opt_out_ask if only else {},
        address=f"{config.address}{(only.path if only else None) or ''}{PAGE}" if config.address else "",
    )


def measured_here(runtime: Runtime, site: SiteConfig) -> tuple[MeasuredHere, ...]:
    """What the site's own outcomes say of the models that it uses. Raises StoreUnavailable."""
    found = {(row.outcome, row.version): row for row in read_figures(runtime.store, site.id, months=False)}
    measured = []
    for model in site.models_of(runtime.engine):
        row = found.get((model.outcome, model.version))
        ppv = row.everyone.observed.ppv if row else None
        measured.append(
            MeasuredHere(
                outcome=model.outcome,
                ppv=(ppv.value, ppv.low, ppv.high) if ppv and ppv.low is not None and ppv.high is not None else None,
                since=row.since if row else None,
                last=row.last if row else None,
            )
        )
    return tuple(measured)


def _common(sites: Sequence[SiteConfig]) -> NoticeSettings:
    """Where the sites are, if that is one place; else no place, whose crisis lines are nobody's."""
    first, *others = (site.cards for site in sites)
    if all((site.region, site.crisis_lines) == (first.region, first.crisis_lines) for site in others):
        return first
    return replace(first, region=REGIONS["generic"], crisis_lines=())
