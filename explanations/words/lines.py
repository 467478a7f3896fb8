"""One line of what a card or page says of the chart: its text, what it is, and the sources that it names."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LineRole(StrEnum):
    """What a line is. Cards and pages arrange lines by this; nothing reads their text."""

    LEAD = "lead"  # the first line of a finding, in bold
    FACT = "fact"
    ROW = "row"  # of a table, its head included
    ESTIMATE = "estimate"  # names the outcome that a model estimated
    REASON = "reason"  # what moved an estimate
    HISTORY = "history"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line in Markdown. `sources` are the FHIR references that the text shows, in its order, as `code` shows them."""

    text: str
    role: LineRole = LineRole.FACT
    sources: tuple[str, ...] = ()
