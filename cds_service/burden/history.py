"""What limits look at, in one cheap look: cards shown of a patient, snoozes, and how many cards a user was shown today.

Below SQLAlchemy, as the visits of a hook call are (`storage.calls`). Two calls at the same moment may both show a card.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

from cds_service.storage.store import Store
from explanations.judgement.alert_limits import (
    QUIETABLE,
    AlertHistory,
    AlertLimits,
    ShownCard,
    Snooze,
    midnight,
)
from models.rules.findings import Topic

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
