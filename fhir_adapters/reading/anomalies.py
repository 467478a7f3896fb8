"""What contradicts itself, is off its scale or lies in the future, in forms and coded events, said in plain words."""

from __future__ import annotations

from collections.abc import Iterable

from fhir_adapters.facts import Administration, Anomaly, CodedEvent, When
from fhir_adapters.reading.screening import total_fits

DIED_LATER = "One or more answers are dated after the recorded date of death."


def form_anomalies(forms: tuple[Administration, ...]) -> list[Anomaly]:
    """R11: forms dated in the future, and forms that contradict themselves or hold values off their scale."""
    found = []
    for form in forms:
        title = form.instrument.spec.title
        if form.when and form.when.future:
            text = f"{title} is dated {form.when.text}, in the future."
            found.append(Anomaly(kind="future-date", text=text, references=form.references, when=form.when))
        if form.contradictory:
            kind, text = _contradiction(form, title)
            found.append(Anomaly(kind=kind, text=text, references=form.references, when=form.when))
    return found


def _contradiction(form: Administration, title: str) -> tuple[str, str]:
    scores = form.item_scores
    top = form.instrument.spec.top_total
    if form.total is not None and form.total < 0:
        return "out-of-range", f"{title} total could not be read as a whole number of 0 to {top}."
    if form.total is not None and form.total > top:
        return "out-of-range", f"{title} total is recorded as {form.total}; it can only be 0 to {top}."
    if not total_fits(form):
        answers = "the one answer is" if len(scores) == 1 else f"the {_number_word(len(scores))} answers add up to"
        return "contradiction", f"{title}: total {form.total}, but {answers} {sum(scores)}."
    if any(a.out_of_range for a in form.answers):
        return "out-of-range", f"{title}: an answer is off its scale of 0 to {form.instrument.spec.top_item}."
    return "contradiction", f"{title}: different answers or totals are recorded for one occasion."


def event_anomalies(events: Iterable[CodedEvent], *, deceased: bool) -> list[Anomaly]:
    """R11: coded events dated in the future. A code for death on a patient not marked deceased (code list)."""
    found = [
        Anomaly(
            kind="future-date",
            text=f"{e.display[0].upper()}{e.display[1:]} is dated {e.when.text}, in the future.",
            references=(e.reference,),
            when=e.when,
        )
        for e in events
        if e.when and e.when.future
    ]
    if not deceased:
        found += [
            Anomaly(
                kind="contradiction",
                text="A code for death by suicide is recorded; the patient is not marked deceased.",
                references=(e.reference,),
                when=e.when,
            )
            for e in events
            if e.group == "suicide_death_event"
        ]
    return found


def _number_word(count: int) -> str:
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    return words[count] if count < len(words) else str(count)


def death_anomalies(died: When | None, forms: tuple[Administration, ...]) -> list[Anomaly]:
    """R10: answers dated after death. R11: a date of death in the future."""
    if died is None:
        return []
    if died.future:
        return [Anomaly(kind="future-date", text=f"The date of death is {died.text}, in the future.", when=died)]
    after = [ref for form in forms if form.when and form.when.day > died.day for ref in form.references]
    return [Anomaly(kind="after-death", text=DIED_LATER, references=tuple(after), when=died)] if after else []
