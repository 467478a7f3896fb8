"""Crisis lines and guideline links: factual tables with a flag and a date per row.

Only rows flagged `yes` are shown. A crisis line last checked more than 180 days ago is omitted; the emergency number
and the card stay (rule R14).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from importlib.resources import files

from explanations.words.language import Language

STALE_AFTER_DAYS = 180


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
def countries() -> tuple[str, ...]:
    """Countries with a verified emergency number on file."""
    return tuple(sorted({row["country"] for row in _rows("crisis_lines") if row["audience"] == "emergency"}))


@lru_cache(maxsize=64)
def crisis_text(country: str, today: date, say: Language, *, perinatal: bool = False) -> str:
    """The crisis lines of a country in one line of markdown, always ending with the emergency number."""
    audiences = ["general", *(["perinatal"] if perinatal else [])]
    fresh = [row for row in _rows("crisis_lines") if row["country"] == country and row["call"] and _fresh(row, today)]
    lines = [row for audience in audiences for row in fresh if row["audience"] == audience]
    named = "; ".join(_how_to_reach(row, say) for row in lines)
    emergency = next(
        (r["call"] for r in _rows("crisis_lines") if r["country"] == country and r["audience"] == "emergency"), None
    )
    if emergency:
        danger = say("Immediate danger: {number}.", number=emergency)
    else:
        danger = say("Immediate danger: the local emergency number.")
    return say("**Crisis lines:** {lines}. {danger}", lines=named, danger=danger) if named else f"**{danger}**"


def _fresh(row: dict[str, str], today: date) -> bool:
    if not row["checked"]:
        return False
    return (today - date.fromisoformat(row["checked"])).days <= STALE_AFTER_DAYS


def _how_to_reach(row: dict[str, str], say: Language) -> str:
    """`988 Suicide & Crisis Lifeline, call or text 988`; the name of the service is its own."""
    first = row["text_or_chat"].split(";")[0].strip()
    named = {"service": row["service"], "number": row["call"]}
    if not first.startswith("text "):
        return say("{service}, call {number}", **named)
    if first == f"text {row['call']}":
        return say("{service}, call or text {number}", **named)
    return say("{service}, call {number} or text {text}", text=first.removeprefix("text "), **named)


@cache
def guideline(identifier: str) -> GuidelineLink | None:
    """The link with this id, or None if not verified."""
    row = next((row for row in _rows("guideline_links") if row["id"] == identifier), None)
    return GuidelineLink(label=row["title"], url=row["url"]) if row else None


# Help for a safety plan, by country: ids of guideline links.
PLAN_LINKS = {"US": ("calm", "988"), "GB": ("nice-ng225",), "GB-ENG": ("nhse-staying-safe", "nice-ng225")}


def plan_links(country: str) -> tuple[GuidelineLink, ...]:
    """The verified links that help with a safety plan in this country."""
    return tuple(found for name in PLAN_LINKS.get(country, ()) if (found := guideline(name)))


YOUNG = {"safe-t": "nimh-asq", "uspstf-adult-2023": "uspstf-child-2022"}


def guidelines(ids: Iterable[str], age_years: int | None, country: str) -> tuple[GuidelineLink, ...]:
    """The verified ones of these links; those for young people up to 18. US guidelines stay in the US."""
    if country != "US":
        return ()
    young = age_years is not None and age_years <= 18
    names = [YOUNG.get(name, name) if young else name for name in ids]
    return tuple(found for name in names if (found := guideline(name)))
