"""The answer when needed data is lacking and nothing else is to be said (rule R16, decision 0025).

A card, which does not come to the same user again at every click; or 412.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from cds_service.cards.wire import HookRequest
from cds_service.errors import DataUnavailable, StoreUnavailable
from cds_service.hooks.catalogue import Service
from cds_service.serving.runtime import Runtime
from cds_service.settings.sites import OnMissing, SiteConfig
from explanations.judgement.assessment import Assessment
from explanations.judgement.judge import Judgement
from explanations.words.findings.gaps import gap_words
from explanations.words.notices.could_not_assess import shown_once
from explanations.words.notices.notice import Notice, NoticeSettings
from fhir_adapters.facts import ChartPart
from models.rules.findings import Kind

Notices = Callable[[Assessment, NoticeSettings], tuple[Notice, ...]]


def refuse_gaps(judgement: Judgement, site: SiteConfig) -> None:
    """412 where gaps are all there is to say, and no needed part was read, or the site wants 412 for every gap.

    Needed parts: `Template.needed`. Unreadable consent does not count: the rules have run, and a card says that there
    is no estimate.
    """
    gaps = [u for u in judgement.assessment.chart.lacking if u.what != ChartPart.CONSENTS]
    if not gaps or not only_gaps(judgement.assessment):
        return
    if judgement.gathered.none_read or site.on_missing is OnMissing.REFUSE:
        missing = "; ".join(f"{u.what}: {gap_words(u.reason, site.cards.say)}" for u in gaps)
        raise DataUnavailable(f"needed data could not be had, so an answer may have been missed. {missing}")


def only_gaps(assessment: Assessment) -> bool:
    """Whether needed parts that could not be had are all there is to say: no finding, no entry unread, no prompt."""
    chart = assessment.chart
    said = any(finding.kind is not Kind.NOT_OBTAINED for finding in assessment.findings)
    entries = chart.unreadable or chart.unheard
    prompts = assessment.prompting() or assessment.measure_again()
    return bool(chart.lacking) and not (chart.deceased or said or entries or prompts)


def quiet_hours(assessment: Assessment, site: SiteConfig) -> int:
    """For how many hours the card of this answer does not come to the same user again; 0: it comes at every call."""
    return site.gap_card_every_h if only_gaps(assessment) else 0


def saying_so(notices: Notices, hours: int) -> Notices:
    """The notices of a service, where the one about a gap says that it does not come again for that long."""
    if not hours:
        return notices
    return lambda assessment, settings: tuple(
        shown_once(notice, hours, settings.safe.say) for notice in notices(assessment, settings)
    )


def was_shown(
    runtime: Runtime, client: str, site: SiteConfig, service: Service, hook: HookRequest, assessment: Assessment
) -> bool:
    """Whether this user was shown the same gap of this chart within the site's hours; if not, it now counts as shown.

    The same gap: the same parts for the same causes, by the same client and FHIR server, both when a chart is opened
    or both at discharge. While the store is down nothing counts as shown.
    """
    causes = sorted({f"{gap.what} {gap.reason.cause}" for gap in assessment.chart.lacking})
    context = hook.context
    gap = (client, hook.fhir_server, context.user_id, context.patient_id, service.occasion.name, causes)
    digest = runtime.key.pseudonym(site.id, json.dumps(gap))
    try:
        return not runtime.store.note_shown(digest, int(runtime.now().timestamp()), 3600 * site.gap_card_every_h)
    except StoreUnavailable:
        return False
