"""Results on file that say whether a model's outcome was there: to compare scores with, never an input of anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fhir_adapters.facts import Administration, Consent, PatientRecord
from fhir_adapters.instruments import NINE_ITEM_PHQ
from fhir_adapters.reading.questionnaires.totals import total_of
from models.inputs.outcomes import ROWS

MEASURED_DAYS = 60
"""Older results are no outcome of any score, whatever window a site sets."""
MOST_FORMS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredResult:
    """One result. form: a reference, the same whenever the form is read.

    positive: whether the outcome was there; None: the form was taken back. on: its day, or its moment in UTC.
    """

    outcome: str
    form: str
    positive: bool | None = None
    on: str = ""

    def recorded(self, pseudonym: Callable[[str], str]) -> dict[str, object]:
        """As it stands in an event: which form it was is a pseudonym."""
        known = {} if self.positive is None else {"on": self.on}
        marked = pseudonym(f"{self.outcome}\0{self.form}")
        return {"outcome": self.outcome, "positive": self.positive, **known, "id": marked}


def measured(chart: PatientRecord) -> tuple[MeasuredResult, ...]:
    """The results of the last 60 days, the latest forms first; none where models may not use the chart."""
    if chart.deceased or chart.consent is not Consent.ALLOWED:
        return ()
    recent = [form for form in chart.of(*NINE_ITEM_PHQ) if _is_recent(chart, form)]
    return tuple(result for form in recent[:MOST_FORMS] for result in results_of(form))


def results_of(form: Administration) -> Iterator[MeasuredResult]:
    """What a dated PHQ-9 says: a complete form or a valid total, and item 9 where it was answered; others nothing."""
    if form.instrument not in NINE_ITEM_PHQ or form.when is None or form.provisional or form.contradictory:
        return
    on = form.when.instant.isoformat() if form.when.instant else form.when.day.isoformat()
    # Servers derive Observations from a response later; the response is there from the beginning.
    reference = min(form.references, key=lambda each: (not each.startswith("QuestionnaireResponse/"), each))
    for spec in ROWS:
        item = spec.silenced_by[0].item
        value = total_of(form) if item is None else form.score(item)
        if value is not None:
            yield MeasuredResult(outcome=spec.outcome, form=reference, positive=value >= spec.label_from, on=on)


def taken_back(form: str) -> tuple[MeasuredResult, ...]:
    """The results of a form that was marked as entered in error."""
    return tuple(MeasuredResult(outcome=spec.outcome, form=form) for spec in ROWS)


def _is_recent(chart: PatientRecord, form: Administration) -> bool:
    when = form.when
    return when is not None and when.exact and (chart.today - when.day).days <= MEASURED_DAYS
