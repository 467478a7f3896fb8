"""Crisis lines and guideline links: factual tables with a flag and a date per row.

Only rows flagged `yes` are shown, and those that a site has checked itself. A crisis line last checked more than 180
days ago is omitted; the emergency number and the card stay (rule R14).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache, lru_cache
from importlib.resources import files

from explanations.judgement.regions import Region
from explanations.words.language import Language, later

STALE_AFTER_DAYS = 180


# Names that say something beside a name; the others are the same in every language.
SERVICES = (later("988 Lifeline in Spanish"),)
EMERGENCY, PERINATAL = "emergency", "perinatal"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrisisLine:
    """One line: its own name, and how to reach it. audience: whom it is for; EMERGENCY: of the emergency number.

    press: a key to press then. sms: a number for text messages; sms_word: the word to send. languages: spoken there, by
    code; none: not known. checked: when its number was last checked; None: never.
    """

    service: str
    call: str
    press: str = ""
    sms: str = ""
    sms_word: str = ""
    audience: str = "general"
    languages: tuple[str, ...] = ()
    checked: date | None = None

    @property
    def until(self) -> date | None:
        """The last day on which it is shown; an emergency number is always shown."""
        return self.checked + timedelta(days=STALE_AFTER_DAYS) if self.checked else None

    @property
    def number(self) -> tuple[str, str]:
        """What is dialled, however it is written: the digits, and the key to press then."""
        return self.call.replace("-", "").replace(" ", ""), self.press


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidelineLink:
    """A verified link: its label and absolute address."""

    label: str
    url: str


@cache
def _rows(name: str) -> tuple[dict[str, str], ...]:
    text = (files("explanations") / "reference" / f"{name}.csv").read_text(encoding="utf-8")
    return tuple(row for row in csv.DictReader(text.splitlines()) if row["verified"] == "yes")


@cache
def crisis_lines(country: str) -> tuple[CrisisLine, ...]:
    """The verified lines of a country that can be called."""
    return tuple(
        CrisisLine(
            service=row["service"],
            **{name: row[name] for name in ("call", "press", "sms", "sms_word")},
            audience=row["audience"],
            languages=tuple(row["languages"].partition("(")[0].split()),
            checked=date.fromisoformat(row["checked"]) if row["checked"] else None,
        )
        for row in _rows("crisis_lines")
        if row["country"] == country and row["call"]
    )


@lru_cache(maxsize=64)
def crisis_text(
    region: Region,
    today: date,
    say: Language,
    *,
    spoken: tuple[str, ...],
    own: tuple[CrisisLine, ...] = (),
    perinatal: bool = False,
) -> str:
    """The crisis lines of a place in one line of markdown, always ending with the emergency number.

    own: what the site itself has checked. spoken: the languages to speak there, by code, the preferred ones first.
    """
    lines = lines_to_name(region, own, today, spoken, perinatal=perinatal)
    named, number = "; ".join(how_to_reach(line, say) for line in lines), emergency_number(region, own, today)
    danger = say("Emergency: {number}.", number=number) if number else say("Emergency: the local emergency number.")
    return say("**Crisis lines:** {lines}. {danger}", lines=named, danger=danger) if named else f"**{danger}**"


def emergency_number(region: Region, own: tuple[CrisisLine, ...], today: date) -> str | None:
    """The emergency number, however old its check, but a fresh one before an old one; None where none is on file."""
    lines = [line for line in (*own, *crisis_lines(region.country)) if line.audience == EMERGENCY]
    return next((line.call for line in (*(each for each in lines if is_fresh(each, today)), *lines)), None)


def is_fresh(line: CrisisLine, today: date) -> bool:
    """Whether its check is recent enough to name it."""
    return line.until is not None and today <= line.until


def lines_to_name(
    region: Region, own: tuple[CrisisLine, ...], today: date, spoken: tuple[str, ...], *, perinatal: bool = False
) -> list[CrisisLine]:
    """The lines to name, in order: none whose check is too old; of an audience those that speak the language first.

    Those in the language of the country's first line always stand there too, and all where it has none: a reader's
    language says nothing of the patient's. The site's own stand before the country's, some of which they replace
    (`replaced`).
    """
    fresh = tuple(_as_the_countrys(region, line) for line in own if is_fresh(line, today))
    gone = replaced(region, fresh)
    country = [line for line in crisis_lines(region.country) if is_fresh(line, today)]
    lines = (*fresh, *(line for line in country if line not in gone))
    wanted: list[CrisisLine] = []
    for audience in (*region.help, *([PERINATAL] if perinatal else [])):
        first = next((line.languages[:1] for line in country if line.audience == audience), ())
        of_it = [line for line in lines if line.audience == audience]
        usual = [line for line in of_it if not (first and line.languages) or first[0] in line.languages]
        spoken_there = [line for tag in spoken for line in of_it if tag.lower().partition("-")[0] in line.languages]
        wanted += list(dict.fromkeys((*spoken_there, *usual)))
    return wanted


def replaced(region: Region, own: Iterable[CrisisLine]) -> tuple[CrisisLine, ...]:
    """The lines of the country that a site's own stand in for.

    The one with the same number, which was checked again; else those of the same audience, in every language spoken
    there.
    """
    country, own = crisis_lines(region.country), tuple(own)
    checked_again = {line.number for line in own}
    known = {line.number for line in country}
    ours = {(line.audience, tag) for line in own if line.number not in known for tag in line.languages}
    return tuple(
        line
        for line in country
        if line.number in checked_again
        or (line.languages and ours.issuperset((line.audience, tag) for tag in line.languages))
    )


def _as_the_countrys(region: Region, line: CrisisLine) -> CrisisLine:
    """A site's own line, for whom the country's with that number is where the site does not say."""
    known = {each.number: each.audience for each in crisis_lines(region.country)}
    return replace(line, audience=known.get(line.number, line.audience)) if line.audience == "general" else line


def how_to_reach(line: CrisisLine, say: Language) -> str:
    """`988 Suicide & Crisis Lifeline, call or text 988`; the name of the service is its own."""
    service, call = say(line.service), line.call
    if line.press:
        call = say("{number}, then press {key}", number=call, key=line.press)
    if not line.sms:
        return say("{service}, call {number}", service=service, number=call)
    if line.sms_word:
        return say(
            "{service}, call {number}, or text {word} to {to}",
            service=service,
            number=call,
            word=line.sms_word,
            to=line.sms,
        )
    if line.sms == line.call:
        return say("{service}, call or text {number}", service=service, number=call)
    return say("{service}, call {number} or text {text}", service=service, number=call, text=line.sms)


@cache
def guideline(identifier: str) -> GuidelineLink | None:
    """The link with this id, or None if not verified."""
    row = next((row for row in _rows("guideline_links") if row["id"] == identifier), None)
    return GuidelineLink(label=row["title"], url=row["url"]) if row else None


def links(ids: Iterable[str]) -> tuple[GuidelineLink, ...]:
    """The verified ones of these links."""
    return tuple(found for name in ids if (found := guideline(name)))
