"""A reading of the chart as what the page shows, in the order of the page. Pure; no HTML."""

from __future__ import annotations

from dataclasses import dataclass

from explanations.phrasebook import Phrasebook
from smart_launch.chart import Reading
from smart_launch.guard import Opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Everything on the page."""

    reading: Reading


def summary_of(reading: Reading, _there: Opened, _phrases: Phrasebook) -> Summary:
    """The page of a reading."""
    return Summary(reading=reading)
