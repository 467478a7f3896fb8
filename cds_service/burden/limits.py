"""Which notices of an answer are not shown, by the site's limits (`explanations.judgement.alert_limits`).

What limits look at is read in one cheap look: cards shown of a patient, snoozes, and how many cards a user was shown
today. Below SQLAlchemy, as the visits of a hook call are (`storage.calls`). Two calls at the same moment may both show
a card.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from cds_service.errors import StoreUnavailable
from cds_service.keys.data_key import DataKey
from cds_service.settings.sites import SiteConfig
from cds_service.storage.store import Store
from explanations.judgement.alert_limits import (
    NO_LIMITS,
    QUIETABLE,
    AlertHistory,
    AlertLimits,
    Behind,
    Candidate,
    Limited,
    Limiter,
    ShownCard,
    Snooze,
    assessed_on,
    grounds,
    is_never_quiet,
    midnight,
    prompted,
)
from explanations.judgement.assessment import Assessment
from explanations.words.lines import LineRole
from explanations.words.notices.notice import Notice
from models.rules.findings import Topic
from models.scoring.risk import RiskScore

TOPICS = ", ".join(f"'{topic}'" for topic in QUIETABLE)
QUIETED_CARDS = f"indicator = 'info' AND topic IN ({TOPICS})"
LOOK = f"""
    SELECT 'shown', topic, shown_to, at, prompted, basis, 0, encounter FROM card
    WHERE site = ? AND patient = ? AND at >= ? AND {QUIETED_CARDS}
    UNION ALL SELECT 'snooze', topic, shown_to, at, reason, basis, until, '' FROM snooze
    WHERE site = ? AND patient = ? AND until > ?
    UNION ALL SELECT 'today', '', '', COUNT(*), '', '', 0, '' FROM card
    WHERE site = ? AND shown_to = ? AND at BETWEEN ? AND ? AND {QUIETED_CARDS}
"""  # noqa: S608  # our own names
LOOK_IN_POSTGRESQL = LOOK.replace("?", "%s")


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


def history(
    store: Store, site: str, patient: str, user: str, *, limits: AlertLimits, zone: tzinfo, now: datetime
) -> AlertHistory:
    """The history of a patient (pseudonym) for a user (pseudonym, or ""), as far as the limits look back.

    Raises StoreUnavailable.
    """
    seconds = int(now.timestamp())
    today = now.astimezone(zone).date()
    first = midnight(today - timedelta(limits.model_days), zone)
    since = int(min(first, now - timedelta(hours=limits.repeat_h)).timestamp())
    begun = int(midnight(today, zone).timestamp())
    statement = LOOK if store.file else LOOK_IN_POSTGRESQL
    values = (site, patient, since, site, patient, seconds, site, user, begun, seconds)
    with store.raw() as connection:
        rows = connection.execute(statement, values).fetchall()
    shown, snoozes, count = list[ShownCard](), list[Snooze](), 0
    for kind, topic, who, at, said, basis, until, encounter in rows:
        if kind == "today":
            count = int(at)
            continue
        what, when, where = Topic(topic), _moment(at), encounter or ""
        if kind == "shown":
            outcomes = tuple(model.rpartition(" ")[0] for model in said.split(",") if model)
            card = ShownCard(topic=what, user=who or "", at=when, outcomes=outcomes, grounds=basis, encounter=where)
            shown.append(card)
        else:
            snoozes.append(Snooze(topic=what, user=who, code=said, at=when, until=_moment(until), grounds=basis))
    return AlertHistory(shown=tuple(shown), snoozes=tuple(snoozes), today=count)


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
