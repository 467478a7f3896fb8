"""One line about the chart on a card or page: its text, role and sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from explanations.words.language import code


class LineRole(StrEnum):
    """The role of a line. Cards and pages arrange lines by this; nothing reads their text."""

    LEAD = "lead"  # the first line of a finding, in bold
    FACT = "fact"
    RESULT = "result"  # an answer that a table of results holds as well
    NONE_LATER = "none-later"  # that no later screen was found in what was read
    ROW = "row"  # of a table, its head included
    ESTIMATE = "estimate"  # names the outcome that a model estimated
    REASON = "reason"  # what moved an estimate
    HISTORY = "history"
    OTHERS = "others"  # entries of other people, left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of markdown. `sources`: the FHIR references in the text, in order, formatted by `code`."""

    text: str
    role: LineRole = LineRole.FACT
    sources: tuple[str, ...] = ()


def sourced(text: str, references: Sequence[str], role: LineRole = LineRole.FACT) -> Line:
    """A line whose text names its sources as `Language.references` does: the first, and how many more."""
    return Line(text=text, role=role, sources=tuple(code(reference) for reference in references[:1]))


def cited(lines: Iterable[Line]) -> tuple[list[Line], list[str]]:
    """The lines with a number for each source (`[1]`), and the sources in the order of their numbers."""
    listed: list[str] = []
    numbered = []
    for line in lines:
        text = line.text
        for source in line.sources:
            if source not in listed:
                listed.append(source)
            mark = f" [{listed.index(source) + 1}]"
            text = text.replace(f", {source}", mark).replace(source, mark.strip())
        numbered.append(replace(line, text=text))
    return numbered, listed


def block(lines: Iterable[Line]) -> str:
    """Lines as one block of markdown: table rows first, then list items."""
    listed = list(lines)
    rows = [line.text for line in listed if line.role is LineRole.ROW]
    items = [f"- {line.text}" for line in listed if line.role is not LineRole.ROW]
    return "\n\n".join(part for part in ("\n".join(rows), "\n".join(items)) if part)
