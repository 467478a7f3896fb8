"""The buttons of a page: drafts, forms, reading again. None of them orders, calls or notifies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from explanations.judgement.assessment import ADULT_YEARS
from explanations.words.language import later
from explanations.words.notices.topics import PageAction
from fhir_adapters.facts import PatientRecord
from smart_launch.launch.guard import OpenLaunch

LABELS = {
    PageAction.WHOLE_FORM: later("Start PHQ-9 with the patient"),
    PageAction.SHORT_FORM: later("Start PHQ-2"),
    PageAction.FOLLOW_UP: later("Draft follow-up task"),
    PageAction.ASSESSMENT: later("Draft assessment order and follow-up"),
    PageAction.READ_AGAIN: later("Try again"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionLink:
    """A button: its label, and the path of its page below the launch's address."""

    label: str
    path: str


def action_links(actions: Iterable[PageAction], chart: PatientRecord, launch: OpenLaunch) -> tuple[ActionLink, ...]:
    """The buttons that this launch may use: adult forms for adults only, and only what the chart lets us write."""
    usable = [action for action in actions if _usable(action, chart, launch)]
    return tuple(ActionLink(label=launch.say(LABELS[action]), path=action.value) for action in usable)


def _usable(action: PageAction, chart: PatientRecord, launch: OpenLaunch) -> bool:
    if action is PageAction.READ_AGAIN:
        return bool(chart.lacking)
    if chart.deceased:
        return False
    if action in (PageAction.FOLLOW_UP, PageAction.ASSESSMENT):
        return launch.can_write("Task", "c")
    young = chart.age_years is not None and chart.age_years < ADULT_YEARS
    return not young and launch.can_write("QuestionnaireResponse", "c")
