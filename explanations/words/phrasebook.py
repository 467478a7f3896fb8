"""Words for inputs, reasons, dates and amounts; one TOML file per locale in `phrases/`.

`load` checks that every model input and outcome has its words, so that a gap shows at start-up and
not on a card. Dates are "17 Nov 2026"; times are the site's, 24 hours.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, tzinfo
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Any

from explanations.errors import PhrasesIncomplete
from explanations.judgement.rationale import Reason, size
from fhir_adapters.facts import Fact, When
from models.inputs.feature_schema import FEATURES, OUTCOMES

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
LONG_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
TREATED = "(shows care, not cause)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrasebook:
    """The words of one locale."""

    locale: str
    feature: dict[str, dict[str, Any]]
    outcome: dict[str, str]
    sizes: dict[str, str]

    def input_name(self, name: str) -> str:
        """What a missing input is called."""
        return str(self.feature[name]["name"])

    def value(self, fact: Fact) -> str | None:
        """A fact in words with its value, or None for what is simply not listed (a condition that is not there)."""
        words = self.feature[fact.name]
        if "values" in words:
            return str(words["values"].get(str(int(float(fact.value)))))
        if "yes" in words:
            found = words["yes"] if fact.value else words.get("no")
            return str(found) if found else None
        if fact.value == 1 and "one" in words:
            return str(words["one"])
        return str(words["text"]).format(value=number(fact.value))

    def reason(self, reason: Reason) -> str:
        """`Raised it slightly: daily smoker, 3 Aug 2026, Observation/s-3`."""
        change = self.sizes["raised" if reason.log_odds >= 0 else "lowered"]
        shown = [self._evidence(fact) for fact in reason.facts if fact.references and self.value(fact)]
        return f"{change.capitalize()} {size(reason.log_odds)}: {'; '.join(shown)}"

    def change(self, log_odds: float) -> str:
        """`raised it slightly`."""
        return f"{self.sizes['raised' if log_odds >= 0 else 'lowered']} {size(log_odds)}"

    def _evidence(self, fact: Fact) -> str:
        parts = [self.value(fact) or ""]
        if fact.when:
            parts.append(" ".join(word for word in (self.feature[fact.name].get("dated"), day(fact.when.day)) if word))
        parts.append(references(fact.references))
        return ", ".join(parts)


@cache
def load(locale: str = "en") -> Phrasebook:
    """The phrasebook of a locale. Raises PhrasesIncomplete, naming what has no words."""
    raw = tomllib.loads((files("explanations") / "phrases" / f"{locale}.toml").read_text(encoding="utf-8"))
    lacking = [spec.name for spec in FEATURES if spec.name not in raw["feature"]]
    lacking += [outcome for outcome in OUTCOMES if outcome not in raw["outcome"]]
    if lacking:
        raise PhrasesIncomplete(f"phrases/{locale}.toml: expected words for every input; none for {', '.join(lacking)}")
    return Phrasebook(locale=locale, feature=raw["feature"], outcome=raw["outcome"], sizes=raw["sizes"])


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
