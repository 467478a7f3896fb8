"""FHIR dates on the site's calendar.

A date without a time is that local date; a month or a year alone is the latest day it can mean, but never after today
(rule R1). A time without a zone, which FHIR forbids but systems send, is read in the site's zone.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, date, datetime, tzinfo

from fhir_adapters.facts import When
from fhir_adapters.kept import kept_for_a_call

PARTIAL = re.compile(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?")
TIMED = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?")

# No date is longer, and a long text would be parsed again for every answer of a form.
LONGEST = 64


def when(text: str | None, zone: tzinfo, today: date) -> When | None:
    """`text` as a When, or None when it is missing or not a FHIR date."""
    return _when(text, zone, today) if text and len(text) <= LONGEST else None


# Each date is read by several readers.
@kept_for_a_call
def _when(text: str, zone: tzinfo, today: date) -> When | None:
    parts = PARTIAL.fullmatch(text)
    if parts:
        day = _latest_day(*parts.groups())
        if day is None:
            return None
        whole = parts.group(3) is not None
        if not whole and day > today and _earliest_day(*parts.groups()) <= today:
            day = today
        return When(text=text, day=day, future=day > today, partial=not whole)
    if not TIMED.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        day, instant = moment.astimezone(zone).date(), moment.astimezone(UTC)
    except (ValueError, OverflowError):  # the years 1 and 9999 have no neighbours in other zones
        return None
    return When(text=text, day=day, instant=instant, future=day > today)


def first_when(zone: tzinfo, today: date, *texts: str | None) -> When | None:
    """The first readable date."""
    for text in texts:
        if text and (date_time := when(text, zone, today)):
            return date_time
    return None


def age_on(birth_date: str | None, today: date) -> int | None:
    """Whole years of age today, or None. A partial birth date gives the youngest age it can mean."""
    parts = PARTIAL.fullmatch(birth_date or "")
    born = _latest_day(*parts.groups()) if parts else None
    if born is None or born > today:
        return None
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def death(deceased: bool | None, date_time: str | None, zone: tzinfo, today: date) -> tuple[When | None, bool]:
    """The recorded date of death, and whether the patient is deceased: a date in the future does not say so (R11)."""
    died = when(date_time, zone, today)
    return died, bool(deceased) or (died is not None and not died.future)


def _latest_day(year: str, month: str | None, day: str | None) -> date | None:
    try:
        y, m = int(year), int(month or 12)
        return date(y, m, int(day) if day else calendar.monthrange(y, m)[1])
    except (ValueError, calendar.IllegalMonthError):
        return None


def _earliest_day(year: str, month: str | None, day: str | None) -> date:
    return date(int(year), int(month or 1), int(day or 1))
