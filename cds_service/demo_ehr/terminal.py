"""The demo's patients on the terminal: a header each, then the cards, or that there is nothing to say."""

from __future__ import annotations

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from cds_service.commands.terminal import print_card
from cds_service.demo_ehr.clinic.hook_client import Exchange
from cds_service.demo_ehr.patients.people import DemoPatient

NOTHING = "No cards. This is not reassurance."


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
        print_card(out, card)
