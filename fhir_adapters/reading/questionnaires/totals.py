"""The total of a form: whether it fits the answers, and which one counts."""

from __future__ import annotations

from fhir_adapters.facts import Administration, AnswerState
from fhir_adapters.instruments import ENDED_BY


def total_fits(form: Administration) -> bool:
    """Whether the recorded total can be reached from the answers on file."""
    scores = form.item_scores
    if form.total is None or not scores:
        return True
    open_items = max(0, len(form.instrument.spec.items) - len(scores))
    return sum(scores) <= form.total <= sum(scores) + open_items * form.instrument.spec.top_item


def is_complete(form: Administration) -> bool:
    """Whether every item of a graded instrument has a score, or the rest is blank after an answer that ends it."""
    spec, ending = form.instrument.spec, ENDED_BY.get(form.instrument)
    rest = [answer.state for answer in form.answers if answer.item != ending]
    if ending and form.score(ending) == 0 and set(rest) <= {AnswerState.BLANK}:
        return True
    return not spec.yes_no and all(form.score(item) is not None for item in spec.items)


def total_of(form: Administration) -> int | None:
    """The total: as recorded, else the sum of complete items; None for a contradictory or incomplete form."""
    if form.contradictory:
        return None
    if form.total is not None:
        return form.total
    if is_complete(form):
        return sum(form.score(item) or 0 for item in form.instrument.spec.items)
    return None
