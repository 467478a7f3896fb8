"""Who is told next, and until when: the contacts in turn, by their hours. Pure.

The hours are by the site's own clock; what has passed since is counted in UTC, so a clock change in the night neither
shortens nor lengthens the time that a contact has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from cds_service.settings.escalation import Contact

MOST_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Whose turn it is. contact: None where nobody is told now; due: when the next turn comes; None: there is none.

    round: from 1; beyond MOST_ROUNDS all have had their turns.
    """

    contact: Contact | None
    round: int
    due: datetime | None


def next_turn(contacts: Sequence[Contact], zone: tzinfo, last: str | None, rounds: int, now: datetime) -> Turn:
    """The turn after that of the contact `last` (None: of nobody) in this round. now: UTC.

    Where nobody is left in the round, the next one begins; where nobody is on duty at all, the turn is when somebody's
    hours begin.
    """
    names = [contact.name for contact in contacts]
    place = names.index(last) + 1 if last in names else 0
    local = now.astimezone(zone)
    rest = next((contact for contact in contacts[place:] if contact.on_duty(local)), None)
    if rest is not None:
        return _told(rest, rounds, now)
    if last is not None:
        rounds += 1
    if rounds > MOST_ROUNDS:
        return Turn(contact=None, round=rounds, due=None)
    first = next((contact for contact in contacts if contact.on_duty(local)), None)
    if first is not None:
        return _told(first, rounds, now)
    return Turn(contact=None, round=rounds, due=next_duty(contacts, zone, now))


def _told(contact: Contact, rounds: int, now: datetime) -> Turn:
    return Turn(contact=contact, round=rounds, due=now + timedelta(minutes=contact.within_min))


def next_duty(contacts: Iterable[Contact], zone: tzinfo, now: datetime) -> datetime:
    """When the hours of the first of them begin, in UTC, after `now`.

    Hours that a clock change leaves out do not begin on that day; without any the next look is in a day.
    """
    today = now.astimezone(zone).date()
    begins = (
        datetime.combine(day, hours.start, zone).astimezone(UTC)
        for contact in contacts
        for hours in contact.hours
        for day in (today + timedelta(days=ahead) for ahead in range(9))
        if day.weekday() in hours.days
        and contact.on_duty(datetime.combine(day, hours.start, zone).astimezone(UTC).astimezone(zone))
    )
    return min((moment for moment in begins if moment > now), default=now + timedelta(days=1))
