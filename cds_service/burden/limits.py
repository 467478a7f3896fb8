"""Which notices of an answer are not shown, by the site's limits (`explanations.judgement.alert_limits`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cds_service.burden.history import history
from cds_service.errors import StoreUnavailable
from cds_service.keys.data_key import DataKey
from cds_service.settings.sites import SiteConfig
from cds_service.storage.store import Store
from explanations.judgement.alert_limits import (
    QUIETABLE,
    Candidate,
    HeldBack,
    Limiter,
    assessed_on,
    basis,
    prompted,
)
from explanations.judgement.assessment import Assessment
from explanations.words.lines import LineRole
from explanations.words.notices.notice import Notice
from models.rules.findings import Topic, Urgency


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """What a model or follow-up card comes from. prompted: the models, by commas; basis: a keyed digest."""

    prompted: str
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limited:
    """What is held back, and what stands behind each notice that can be."""

    held: Mapping[Topic, HeldBack] = field(default_factory=dict)
    behind: Mapping[Topic, Behind] = field(default_factory=dict)


NOTHING_TO_LIMIT = Limited()


def limited(
    store: Store,
    key: DataKey,
    site: SiteConfig,
    assessment: Assessment,
    notices: Sequence[Notice],
    *,
    patient: str,
    user: str,
    now: datetime,
) -> Limited:
    """What is held back of these notices. patient, user: pseudonyms. While the store fails, nothing is."""
    if not any(_may_be_limited(notice) for notice in notices):
        return NOTHING_TO_LIMIT
    behind = {
        notice.topic: Behind(
            prompted=",".join(sorted(score.model for score in prompted(assessment, notice.topic))),
            basis=key.pseudonym(site.id, basis(assessment, notice.topic)),
        )
        for notice in notices
        if _may_be_limited(notice)
    }
    limits, zone = site.alerts.limits, site.cards.zone
    candidates = [_candidate(notice, assessment, behind) for notice in notices]
    try:
        past = history(store, site.id, patient, user, limits=limits, zone=zone, now=now)
    except StoreUnavailable:
        return Limited(behind=behind)
    limiter = Limiter(
        limits=limits, history=past, zone=zone, now=now, user=user, assessed=assessed_on(assessment.chart)
    )
    return Limited(held=limiter.held_back(candidates), behind=behind)


def _may_be_limited(notice: Notice) -> bool:
    return notice.topic in QUIETABLE and notice.urgency is Urgency.NOTE


def _candidate(notice: Notice, assessment: Assessment, behind: Mapping[Topic, Behind]) -> Candidate:
    return Candidate(
        topic=notice.topic,
        urgency=notice.urgency,
        outcomes=tuple(score.outcome for score in prompted(assessment, notice.topic)),
        basis=behind[notice.topic].basis if notice.topic in behind else "",
        carries_others=any(line.role is LineRole.OTHERS for line in notice.chart),
    )
