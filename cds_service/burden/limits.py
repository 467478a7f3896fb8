"""Which notices of an answer are not shown, by the site's limits (`explanations.judgement.alert_limits`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from cds_service.burden.history import history
from cds_service.errors import StoreUnavailable
from cds_service.keys.data_key import DataKey
from cds_service.settings.sites import SiteConfig
from cds_service.storage.store import Store
from explanations.judgement.alert_limits import (
    NO_LIMITS,
    QUIETABLE,
    Behind,
    Candidate,
    Limited,
    Limiter,
    assessed_on,
    grounds,
    is_never_quiet,
    prompted,
)
from explanations.judgement.assessment import Assessment
from explanations.words.lines import LineRole
from explanations.words.notices.notice import Notice
from models.scoring.risk import RiskScore


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartOpening:
    """Whose chart is opened by whom, in which encounter ("" where that is not known); all pseudonyms."""

    patient: str
    user: str
    encounter: str = ""


def limited(
    store: Store,
    key: DataKey,
    site: SiteConfig,
    assessment: Assessment,
    notices: Iterable[Notice],
    opening: ChartOpening,
    now: datetime,
) -> Limited:
    """What is held back of these notices. While the store fails, nothing is."""
    candidates = quietable(assessment, notices, lambda text: key.pseudonym(site.id, text))
    if not candidates:
        return Limited()
    behind = {
        one.topic: Behind(prompted=",".join(sorted(score.model for score in scores)), grounds=one.grounds)
        for one, scores in candidates.items()
    }
    limits, zone = site.alerts.limits, site.cards.zone
    if limits == NO_LIMITS:
        return Limited(behind=behind)
    try:
        past = history(store, site.id, opening.patient, opening.user, limits=limits, zone=zone, now=now)
    except StoreUnavailable:
        return Limited(behind=behind)
    who = {"user": opening.user, "encounter": opening.encounter}
    limiter = Limiter(limits=limits, history=past, zone=zone, now=now, assessed=assessed_on(assessment.chart), **who)
    return Limited(held=limiter.held_back(candidates), behind=behind)


def quietable(
    assessment: Assessment, notices: Iterable[Notice], digest: Callable[[str], str]
) -> dict[Candidate, tuple[RiskScore, ...]]:
    """The notices that limits apply to, in their order, with the scores that prompted them."""
    found = {}
    for notice in notices:
        scores = prompted(assessment, notice.topic)
        candidate = Candidate(
            topic=notice.topic,
            urgency=notice.urgency,
            outcomes=tuple(score.outcome for score in scores),
            grounds=digest(grounds(assessment, notice.topic)) if notice.topic in QUIETABLE else "",
            is_exempt=any(line.role is LineRole.OTHERS for line in notice.chart)
            or is_never_quiet(assessment, notice.topic),
        )
        if candidate.is_quietable:
            found[candidate] = scores
    return found
