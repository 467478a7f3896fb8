"""English dates and amounts. Dates are "17 Nov 2026"; times are the site's, 24 hours."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, tzinfo
from itertools import islice

from fhir_adapters.facts import When

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LONG_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


def day(when: date) -> str:
    """`17 Nov 2026`."""
    return f"{when.day} {MONTHS[when.month - 1]} {when.year}"


def long_day(when: date) -> str:
    """`17 November 2026`, for prose."""
    return f"{when.day} {LONG_MONTHS[when.month - 1]} {when.year}"


def dated(when: When | None, zone: tzinfo | None = None) -> str:
    """A When for a card: the day, with the time where one was recorded and `zone` is given.

    A date known to the month or year only is shown as recorded; a date in the future also.
    """
    if when is None:
        return "date not recorded"
    if when.future:
        return f"dated {when.text} (in the future)"
    if len(when.text) == 4:
        return when.text
    if len(when.text) == 7:
        return f"{MONTHS[int(when.text[5:7]) - 1]} {when.text[:4]}"
    clock = f" {when.instant.astimezone(zone):%H:%M}" if zone and when.instant else ""
    return day(when.day) + clock


def ago(days: int | None) -> str:
    """`today`, `yesterday`, `41 days ago`, `7 months ago` (months from day 91), empty when undated."""
    if days is None:
        return ""
    if days == 0:
        return "today"
    if days == 1:
        return "yesterday"
    if days <= 90:
        return f"{days} days ago"
    months = round(days / 30.44)
    return f"{months} months ago" if months < 24 else f"{days // 365} years ago"


def number(value: float | int | bool | str) -> str:
    """A number without needless decimals."""
    return f"{value:.1f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def references(sources: Iterable[str]) -> str:
    """`Encounter/e-77` in code marks, with `and 8 more` for the rest."""
    listed = list(sources)
    if not listed:
        return ""
    more = f" and {len(listed) - 1} more" if len(listed) > 1 else ""
    return code(listed[0]) + more


def code(text: str) -> str:
    """Text as markdown code. Chart data decides on it, so backticks and line breaks are taken out."""
    shown = (c for c in text[:LONGEST_LOOKED_AT] if c.isprintable() and c not in "`<>|")
    return "`" + "".join(islice(shown, 80)) + "`"


# An id can be as long as a request, and every finding of a resource shows it.
LONGEST_LOOKED_AT = 1000
