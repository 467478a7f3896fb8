"""The latest PHQ answers and totals as facts."""

from __future__ import annotations

from datetime import date

from fhir_adapters.facts import Administration, Fact
from fhir_adapters.instruments import Instrument
from fhir_adapters.reading.questionnaires.totals import total_of


def form_facts(forms: tuple[Administration, ...]) -> list[Fact]:
    """The latest PHQ answers and totals as facts; contradictory forms give none."""
    facts: dict[str, Fact] = {}
    phq = [f for f in forms if f.instrument in (Instrument.PHQ9, Instrument.PHQ2) and not f.contradictory]
    for form in sorted(phq, key=lambda f: f.when.day if f.when else date.min):
        for answer in form.answers:
            if answer.score is not None and answer.item.isdigit():
                name = f"phq_item_{answer.item}"
                facts[name] = Fact(name=name, value=answer.score, when=form.when, references=(answer.reference,))
        total = total_of(form)
        if total is not None:
            name = "phq9" if form.instrument is Instrument.PHQ9 else "phq2"
            source = (form.total_reference,) if form.total_reference else form.references
            facts[name] = Fact(name=name, value=total, unit="{score}", when=form.when, references=source)
        first, second = form.score("1"), form.score("2")
        if first is not None and second is not None:
            both = tuple(dict.fromkeys(a.reference for a in form.answers if a.item in ("1", "2")))
            facts["phq2"] = Fact(name="phq2", value=first + second, unit="{score}", when=form.when, references=both)
    return list(facts.values())
