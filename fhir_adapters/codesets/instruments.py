"""Parts of the rows of `fhir_adapters.instruments` by instrument."""

from __future__ import annotations

from fhir_adapters.instruments import NINE_ITEM_PHQ as NINE_ITEM_PHQ  # noqa: PLC0414  # exported
from fhir_adapters.instruments import SAFETY_ITEMS, Instrument

TITLES = {i: i.spec.title for i in Instrument}
TOP_TOTAL = {i: i.spec.top_total for i in Instrument}
ITEM_COUNT = {i: len(i.spec.items) for i in Instrument}
YES_NO = tuple(i for i in Instrument if i.spec.yes_no)
TEEN_QUESTIONS = Instrument.PHQ9M.spec.safety.further if Instrument.PHQ9M.spec.safety else ()
SAFETY_ITEM = {i: safety.item for i, safety in SAFETY_ITEMS.items()}
