"""The buttons of a page: the drafts of its notices, each on its page in the app. None orders, calls or notifies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from explanations.judgement.proposals import ORDERS, DraftKind
from explanations.words.language import later
from explanations.words.notices.drafts import draft_label
from fhir_adapters.facts import PatientRecord
from fhir_adapters.instruments import ADMINISTERED, Instrument
from smart_launch.launch.guard import OpenLaunch

FORM_KINDS = (DraftKind.PHQ9, DraftKind.PHQ9_COMPLETE)
WHOLE_FORM, ANY_FORM = later("Start PHQ-9 with the patient"), later("Start {title}")
FOLLOW_UP = later("Draft follow-up task")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionLink:
    """A button: its label, and the path of its page below the launch's address, which tells it from others."""

    label: str = field(compare=False)
    path: str


def action_links(kinds: Iterable[DraftKind], chart: PatientRecord, launch: OpenLaunch) -> tuple[ActionLink, ...]:
    """The buttons of these drafts that this launch may use, in order."""
    links = (_link(kind, chart, launch) for kind in kinds)
    return () if chart.deceased else tuple(dict.fromkeys(link for link in links if link))


def short_form(chart: PatientRecord, launch: OpenLaunch) -> ActionLink | None:
    """The PHQ-2: for a model's prompt alone, beside the PHQ-9, since it does not ask about self-harm."""
    return _form_link(Instrument.PHQ2, launch) if _may_enter(Instrument.PHQ2, chart, launch) else None


def form_links(chart: PatientRecord, launch: OpenLaunch) -> tuple[ActionLink, ...]:
    """Every questionnaire that can be entered here, whatever was found; the PHQ-2 only where a notice offers it."""
    offered = (form for form in ADMINISTERED if form is not Instrument.PHQ2 and _may_enter(form, chart, launch))
    return tuple(_form_link(form, launch) for form in offered)


def _form_link(form: Instrument, launch: OpenLaunch) -> ActionLink:
    return ActionLink(label=launch.say(ANY_FORM, title=form.spec.title), path=f"forms/{form}")


def _link(kind: DraftKind, chart: PatientRecord, launch: OpenLaunch) -> ActionLink | None:
    """A PHQ-9 is the form, where it may be entered here, else its order."""
    if kind in FORM_KINDS and _may_enter(Instrument.PHQ9, chart, launch):
        return ActionLink(label=launch.say(WHOLE_FORM), path="forms/phq-9")
    if kind is DraftKind.CONTACT:
        allowed = launch.can_write("Task", "c")
        return ActionLink(label=launch.say(FOLLOW_UP), path="tasks/new") if allowed else None
    if not launch.can_write("ServiceRequest", "c"):
        return None
    return ActionLink(label=draft_label(kind, launch.say), path=f"tasks/new?order={order_name(kind)}")


def order_name(kind: DraftKind) -> str:
    """The draft's name in an address: of a PHQ-9 to complete, that of a PHQ-9."""
    return next(name.value for name, what in ORDERS.items() if what == ORDERS[kind])


def _may_enter(form: Instrument, chart: PatientRecord, launch: OpenLaunch) -> bool:
    """Whether a form can be entered: from its age on and at unknown ages, where region and chart let us.

    A screen for suicide risk is not, where overall results are not named (rule R15).
    """
    young = chart.age_years is not None and chart.age_years < (form.spec.asked_from or 0)
    here = launch.site.notices.region.levels or not form.spec.yes_no
    return here and not young and not chart.deceased and launch.can_write("QuestionnaireResponse", "c")
