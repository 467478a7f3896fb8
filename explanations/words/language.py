"""The language of text for people: the messages of its catalogues, and its dates.

Messages are in English and their own keys, with named placeholders in braces. Code that makes sentences takes a
`Language` named `say`; a site chooses its locale. `make messages` collects the arguments of `say`, `many` and `later`.
"""

from __future__ import annotations

import gettext
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, tzinfo
from functools import cache
from itertools import islice
from pathlib import Path

from babel import Locale

from explanations.words.catalogues import FOLDER, Translation, locales, translation
from fhir_adapters.facts import When

ENGLISH = "en"


def later(message: str) -> str:
    """The message unchanged: marks a constant for the catalogue; `say` translates it when it is shown."""
    return message


def many(singular: str, plural: str) -> tuple[str, str]:
    """Both messages unchanged: marks a constant with a number for the catalogue; `say.many` takes them."""
    return singular, plural


# An id can be as long as a request, and every finding from a resource shows it.
MOST_SCANNED = 1000
MOST_SHOWN = 80
_PLAIN = re.compile(rf"[A-Za-z0-9./-]{{1,{MOST_SHOWN}}}")  # as nearly all references are; nothing to remove


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wording:
    """Messages, and what a region says in their place. Equal to itself alone, so that a language can be a key."""

    instead: Mapping[str, str] = field(default_factory=dict)


PLAIN = Wording()


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One locale's messages; `say("Later {screen}", screen=...)` is a sentence in it.

    reviewed: whether a person has reviewed every text on safety; `safe` is the language that those are shown in.
    """

    locale: str
    catalogue: gettext.NullTranslations = field(repr=False)
    months: tuple[str, ...] = field(repr=False)
    months_in_full: tuple[str, ...] = field(repr=False)
    reviewed: bool = True
    wording: Wording = field(default=PLAIN, repr=False)

    @property
    def safe(self) -> Language:
        """For texts on safety: this language where they are all reviewed, else English."""
        return self if self.reviewed else replace(language(), wording=self.wording)

    @property
    def tag(self) -> str:
        """As HTML and HTTP write it (BCP 47), such as `pt-BR`."""
        return self.locale.replace("_", "-")

    @property
    def name(self) -> str:
        """What its speakers call it: `Español`."""
        return capitalised(Locale.parse(self.locale).display_name or self.locale)

    @property
    def direction(self) -> str:
        """`ltr` or `rtl`."""
        return str(Locale.parse(self.locale).text_direction)

    def __call__(self, message: str, /, **values: object) -> str:
        """A message in this language, its placeholders filled."""
        text = self.catalogue.gettext(self.wording.instead.get(message, message)) if message else ""
        return text.format(**values) if values else text

    def many(self, singular: str, plural: str, count: int, /, **values: object) -> str:
        """A message with a number, `{count}`."""
        return self.catalogue.ngettext(singular, plural, count).format(count=count, **values)

    def day(self, when: date) -> str:
        """`17 Nov 2026`."""
        say = self
        # Translators: a date in a list; {month} as in "Nov".
        return say("{day} {month} {year}", day=when.day, month=self.months[when.month - 1], year=when.year)

    def month(self, year: int, month: int) -> str:
        """`Nov 2026`."""
        say = self
        return say("{month} {year}", month=self.months[month - 1], year=year)

    def long_day(self, when: date) -> str:
        """`17 November 2026`, for prose."""
        say = self
        # Translators: a date in prose; {full_month} as in "November".
        return say(
            "{day} {full_month} {year}", day=when.day, full_month=self.months_in_full[when.month - 1], year=when.year
        )

    def dated(self, when: When | None, zone: tzinfo | None = None) -> str:
        """A When: the day, with the time if one was recorded and `zone` is given.

        A date known only to the month or year, or in the future, is shown as recorded, without its time.
        """
        say = self
        if when is None:
            return say("date not recorded")
        if when.future:
            return say("dated {date}, in the future", date=when.text[: len("2026-11-23")])
        if len(when.text) == len("2026"):
            return when.text
        if len(when.text) == len("2026-11"):
            return self.month(int(when.text[:4]), int(when.text[5:7]))
        return self.day_time(when, zone)

    def day_time(self, when: When, zone: tzinfo | None) -> str:
        """`17 Nov 2026 09:30 EST`; only the day without a recorded time or a zone."""
        time = f" {clock(when.instant.astimezone(zone))}" if zone and when.instant else ""
        return self.day(when.day) + time

    def ago(self, days: int | None) -> str:
        """`today`, `yesterday`, `41 days ago`, `7 months ago` (months from day 91), empty when undated."""
        say = self
        if days is None:
            return ""
        if days == 0:
            return say("today")
        if days == 1:
            return say("yesterday")
        if days <= 90:
            return say.many("{count} day ago", "{count} days ago", days)
        months = round(days / 30.44)
        if months < 24:
            return say.many("{count} month ago", "{count} months ago", months)
        return say.many("{count} year ago", "{count} years ago", days // 365)

    def dated_ago(self, when: When | None, days: int | None, zone: tzinfo | None = None) -> str:
        """`17 Nov 2026, 41 days ago`; only the date if `days` is None."""
        say, date = self, self.dated(when, zone)
        if when is None or not when.exact:
            return date
        # Translators: {date} as in "17 Nov 2026", {age} as in "41 days ago".
        return say("{date}, {age}", date=date, age=self.ago(days))

    def references(self, sources: Iterable[str]) -> str:
        """`Encounter/e-77` in code marks, with `and 8 more` for the rest."""
        say, listed = self, list(sources)
        if not listed:
            return ""
        others = say(" and {count} more", count=len(listed) - 1) if len(listed) > 1 else ""
        return code(listed[0]) + others


@cache
def language(locale: str = ENGLISH, folders: tuple[Path, ...] = (FOLDER,)) -> Language:
    """The language of a locale as it ships; English if it has no catalogue. Raises CatalogueUnreadable."""
    if locale in locales(folders):
        return spoken(translation(locale, folders))
    return spoken(Translation(locale=ENGLISH, texts=gettext.NullTranslations()))


def spoken(translation: Translation) -> Language:
    """The language of these messages, with the names of its months."""
    names = Locale.parse(translation.locale).months["format"]
    return Language(
        locale=translation.locale,
        catalogue=translation.texts,
        months=tuple(names["abbreviated"].values()),
        months_in_full=tuple(names["wide"].values()),
        reviewed=not translation.unreviewed,
    )


def languages(folders: tuple[Path, ...] = (FOLDER,)) -> tuple[str, ...]:
    """The locales a site can choose: English, and those with a catalogue."""
    return tuple(sorted({ENGLISH, *locales(folders)}))


def shared_days(moments: Iterable[When | None]) -> frozenset[date]:
    """The days that several of these moments share: they are told apart by their times."""
    counts = Counter(when.day for when in moments if when)
    return frozenset(day for day, count in counts.items() if count > 1)


def clock(moment: datetime) -> str:
    """`09:30 EST`: a local time with the abbreviation of its zone."""
    return f"{moment:%H:%M} {moment.tzname() or ''}".rstrip()


def number(value: float | int | bool | str) -> str:
    """A number without needless decimals."""
    return f"{value:.1f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def capitalised(text: str) -> str:
    """The text with its first letter capitalised; the rest unchanged, as other languages require."""
    return text[:1].upper() + text[1:]


def code(text: str) -> str:
    """Text as markdown code. It may come from the chart, so backticks and line breaks are removed."""
    if _PLAIN.fullmatch(text):
        return f"`{text}`"
    shown = (c for c in text[:MOST_SCANNED] if c.isprintable() and c not in "`<>|")
    return "`" + "".join(islice(shown, MOST_SHOWN)) + "`"
