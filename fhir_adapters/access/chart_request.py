"""A request for a chart: whose, as of when, for whom, and which parts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fhir_adapters.facts import ChartPart
from fhir_adapters.resources.gathered import OPENED


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartRequest:
    """One reading of a chart, the same for a hook call, a file and the app.

    `as_of` is UTC. `parts`: the parts to read; of what was sent under another key only what can hold an answer is read
    (R18). `user` is a reference, `encounter` that of the hook. `opted_out`: the patient has opted out with us.
    `left_out`: also read facts that no rule, model or page uses.
    """

    patient_id: str
    as_of: datetime
    parts: tuple[ChartPart, ...] = OPENED
    user: str | None = None
    encounter: str | None = None
    opted_out: bool = False
    left_out: bool = False
