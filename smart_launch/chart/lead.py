"""The text shown when there are no findings, or none may be shown. Nothing here reassures."""

from __future__ import annotations

from dataclasses import dataclass

from explanations.words.language import Language, later
from explanations.words.notices.topics import PageAction
from fhir_adapters.facts import Consent
from smart_launch.chart.actions import ActionLink, action_links
from smart_launch.chart.reading import Reading
from smart_launch.launch.guard import OpenLaunch

WITHHELD = {
    Consent.OPTED_OUT: later("The patient has chosen not to have this used."),
    Consent.DENIED: later("A consent on file does not allow this use."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """A headline, sentences and actions."""

    headline: str
    lines: tuple[str, ...] = ()
    actions: tuple[ActionLink, ...] = ()


def withheld_lead(consent: Consent, say: Language) -> Lead | None:
    """The lead when the patient has opted out or denied consent; else None."""
    if consent not in WITHHELD:
        return None
    elsewhere = say(
        "This says nothing about the patient’s safety. Look at the answers in the chart itself; ask if you are "
        "concerned."
    )
    return Lead(headline=say(WITHHELD[consent]), lines=(say("Nothing of the chart was read."), elsewhere))


def lead_of(reading: Reading, launch: OpenLaunch, *, only_history: bool) -> Lead | None:
    """The lead for a deceased patient, or when there are no findings; else None."""
    chart, say = reading.assessment.chart, launch.say
    if chart.deceased:
        return Lead(headline=say("The patient is recorded as deceased."), lines=(say("No estimate is made."),))
    if reading.notices:
        return None
    return Lead(
        headline=say("Only history to show from what was read.")
        if only_history
        else say("Nothing to show from what was read."),
        lines=(
            say("This does not say that the patient is well; people often do not disclose. Ask if you are concerned."),
        ),
        actions=action_links((PageAction.WHOLE_FORM,), chart, launch),
    )
