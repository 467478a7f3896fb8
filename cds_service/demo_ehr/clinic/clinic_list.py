"""The clinic list of the demo page: the day that it is for, and its rows, found and sorted as asked."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta

from cds_service.demo_ehr.clinic.hook_client import topic
from cds_service.demo_ehr.clinic.state import Clinic
from cds_service.demo_ehr.patients.people import DemoPatient
from explanations.words.notices.topics import SPEC_OF

SORTS = {"time": "Time", "name": "Name", "urgency": "Urgency"}
WORDS = {spec.topic.value: spec.word for spec in SPEC_OF.values()}
"""Topic code -> the word for its urgency that cards' pages have too, most urgent first."""
NOTHING, NO_ANSWER = "No card", "No answer"
INDICATORS = ("critical", "warning", "info", "")
SATURDAY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRow:
    """One patient of the list. word, indicator: of the first card; the indicator is "" without one."""

    patient: DemoPatient
    word: str
    indicator: str


def clinic_days(as_of: datetime) -> tuple[str, str | None]:
    """The clinic's day, and the real one where that is a weekend: there is a clinic on weekdays only."""
    weekend = as_of.weekday() - SATURDAY
    day = as_of + timedelta(days=2 - weekend) if weekend >= 0 else as_of
    return f"{day:%A} clinic, {day.day} {day:%B}", f"{as_of:%A}, {as_of.day} {as_of:%B}" if weekend >= 0 else None


def clinic_list(clinic: Clinic, find: str, sort: str) -> list[ListRow]:
    """The rows whose name or reason holds every word of `find`, by time unless `sort` says otherwise."""
    words = _plain(find).split()
    rows = [_row(clinic, patient) for patient in sorted(clinic.patients, key=lambda patient: patient.time)]
    found = [row for row in rows if all(word in _plain(f"{row.patient.name} {row.patient.reason}") for word in words)]
    if sort == "name":
        found.sort(key=lambda row: _plain(row.patient.name))
    elif sort == "urgency":
        found.sort(key=_urgency)
    return found


def word(topic_code: str) -> str:
    """The word for the urgency of a card; topics of other services have none of their own."""
    return WORDS.get(topic_code, "Card")


def _row(clinic: Clinic, patient: DemoPatient) -> ListRow:
    exchange = clinic.exchanges.get(patient.id)
    if exchange is None or exchange.cards is None:
        return ListRow(patient=patient, word=NO_ANSWER, indicator="")
    first = next(iter(exchange.cards), None)
    if first is None:
        return ListRow(patient=patient, word=NOTHING, indicator="")
    return ListRow(patient=patient, word=word(topic(first)), indicator=str(first.get("indicator", "")))


def _urgency(row: ListRow) -> tuple[int, int]:
    order = [*WORDS.values(), "Card", NO_ANSWER, NOTHING]
    known = row.indicator if row.indicator in INDICATORS else "info"
    return INDICATORS.index(known), order.index(row.word)


def _plain(text: str) -> str:
    """Lower case, without accents."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
