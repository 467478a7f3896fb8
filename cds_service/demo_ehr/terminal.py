"""The cards of the demo as text for a terminal: panels that say their indicator by word.

Colour only repeats the word: red for critical, amber for warning, blue for info. Where the output
is no terminal there are no control codes. Link addresses are written out.
"""

from __future__ import annotations

from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.markdown import Markdown
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.text import Text
from rich.theme import Theme

from cds_service.demo_ehr.codes import Json
from cds_service.demo_ehr.hook_client import Exchange, topic
from cds_service.demo_ehr.patients import DemoPatient

WIDEST = 100
"""Columns beyond which lines of a card no longer read well."""

COLOURS = {"critical": "#d03b3b", "warning": "#b87400", "info": "#2f7fd1"}
PLAIN = {
    "markdown.code": "bold",
    "markdown.item.bullet": "none",
    "markdown.item.number": "none",
    "markdown.link": "none",
    "markdown.link_url": "underline",
    "markdown.table.border": "dim",
    "markdown.table.header": "bold",
}
NOTHING = "Looked, nothing to say."


def console(stream: TextIO) -> Console:
    """A console on a stream; control codes only if that is a terminal."""
    is_terminal = stream.isatty()
    plain = Console(
        file=stream,
        force_terminal=is_terminal,
        theme=Theme(PLAIN),
        highlight=False,
        emoji=False,
        markup=False,
        color_system="auto" if is_terminal else None,
    )
    plain.width = min(plain.width, WIDEST)
    return plain


def print_patient(out: Console, place: int, patient: DemoPatient, exchange: Exchange) -> None:
    """One patient: a header, then each card; or that there is none; or what went wrong."""
    out.print()
    out.print(Rule(Text(f"{place}. {patient.name}, {patient.age}", style="bold"), align="left", style="dim"))
    out.print(Text(f"{patient.occupation}; {patient.reason}"))
    out.print(Text(patient.story, style="dim"))
    out.print()
    if exchange.cards is None:
        out.print(Padding(Text(exchange.problem or "No answer.", style="bold"), (0, 2)))
    elif not exchange.cards:
        out.print(Padding(Text(NOTHING), (0, 2)))
    for card in exchange.cards or ():
        out.print(_panel(card))
        # Outside the panel and never folded, so that an address can be clicked or copied whole.
        for link in card.get("links", ()):
            out.print(Text(f"  {link['label']}:"))
            out.print(Text(f"  {link['url']}"), soft_wrap=True)


def _panel(card: Json) -> Panel:
    indicator = str(card.get("indicator", ""))
    colour = COLOURS.get(indicator, "none")
    title = Text(indicator.upper(), style=f"bold {colour}")
    title.append(f" · {topic(card)}", style="none")
    parts: list[RenderableType] = [Text(str(card.get("summary", "")), style="bold")]
    if card.get("detail"):
        parts += [Text(), Markdown(str(card["detail"]), hyperlinks=False)]
    if suggestions := [Text(f"[ {suggestion['label']} ]") for suggestion in card.get("suggestions", ())]:
        parts += [Text(), *suggestions]
    if reasons := [str(reason.get("display", "")) for reason in card.get("overrideReasons", ())]:
        parts += [Text(), Text("Override: " + " / ".join(reasons), style="dim")]
    return Panel(Group(*parts), title=title, title_align="left", border_style=colour, padding=(0, 1))
