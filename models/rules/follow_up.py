"""Whether a high depression total was followed up: rule R6."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from fhir_adapters.facts import Administration, PatientRecord
from fhir_adapters.instruments import NINE_ITEM_PHQ, SAFETY_ITEMS, Instrument
from fhir_adapters.reading.questionnaires.totals import total_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Care:
    """The last day of a total of each instrument, and of a visit for depression other than this one."""

    totals: Mapping[Instrument, date]
    visit: date | None

    def total(self, *instruments: Instrument) -> date | None:
        """The last day of a total of one of these instruments."""
        return max((day for instrument, day in self.totals.items() if instrument in instruments), default=None)


def latest_care(chart: PatientRecord) -> Care:
    """The latest care in the chart; future dates and forms without a suicide item do not count."""
    totals: dict[Instrument, date] = {}
    for form in chart.of(*SAFETY_ITEMS):
        if form.when and not form.when.future and total_of(form) is not None:
            totals[form.instrument] = max(form.when.day, totals.get(form.instrument, date.min))
    visits = (
        v.when.day
        for v in chart.visits
        if v.for_depression and v.when and not v.when.future and v.reference != chart.encounter
    )
    return Care(totals=totals, visit=max(visits, default=None))


def of_one_day(chart: PatientRecord, form: Administration) -> tuple[Administration, Administration]:
    """The latest and the worst result of a form's day and scale; the worst for both where a time is not recorded."""
    family, day = form.instrument.spec.family, form.when.day if form.when else None
    forms = [
        f
        for f in chart.of(*(i for i in Instrument if i.spec.family == family))
        if f.when and f.when.day == day and total_of(f) is not None
    ]
    worst = max(forms, key=lambda f: total_of(f) or 0, default=form)
    timed = all(f.when and f.when.instant for f in forms)
    return (forms[0] if forms and timed else worst), worst


def is_superseded(care: Care, form: Administration) -> bool:
    """Whether a PHQ-2 is replaced by a PHQ-9 total of the same day or later; other forms never are."""
    if form.instrument is not Instrument.PHQ2 or form.when is None:
        return False
    last = care.total(*NINE_ITEM_PHQ)
    return last is not None and last >= form.when.day


def is_followed_up(care: Care, form: Administration) -> bool:
    """A later total of PHQ-9 or PHQ-9M (for an EPDS also EPDS), or a later visit for depression, not this one."""
    if form.when is None:
        return False
    day = form.when.day
    later = (care.visit, care.total(*NINE_ITEM_PHQ, form.instrument))
    return any(last is not None and last > day for last in later)
