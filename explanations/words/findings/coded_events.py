"""Coded safety events in our own words: the source's display can name a method (docs/clinical-sources.md S6)."""

from __future__ import annotations

from explanations.words.language import Language, later
from explanations.words.tables import complete
from fhir_adapters.facts import EventKind, Setting

EVENTS = complete(
    {
        # Translators: a coded event: "Follow-up care after suicide attempt"; also at the start of a sentence.
        EventKind.SELF_HARM: later("self-harm"),
        EventKind.SELF_INJURY: later("self-harm"),
        EventKind.SUICIDE_ATTEMPT: later("suicide attempt"),
        EventKind.SUICIDAL_BEHAVIOUR: later("suicidal behavior"),
        EventKind.SUICIDAL_PLAN: later("suicide plan"),
        EventKind.SUICIDAL_INTENT: later("suicidal intent"),
        EventKind.DEATH_BY_SUICIDE: later("code for death by suicide (patient not marked deceased)"),
        EventKind.SUICIDAL_IDEATION: later("suicidal ideation"),
        EventKind.NONSUICIDAL_SELF_HARM: later("non-suicidal self-harm"),
        EventKind.HISTORY: later("past suicidal behavior or self-harm"),
    },
    EventKind,
)
SETTINGS = complete(
    {
        # Translators: where a diagnosis code stands in the chart.
        Setting.ENCOUNTER_DIAGNOSIS: later("encounter diagnosis"),
        Setting.PROBLEM_LIST: later("problem list"),
        Setting.FINDING: later("finding"),
        Setting.VISIT_REASON: later("reason for visit"),
    },
    Setting,
)


def event_words(kind: EventKind, say: Language) -> str:
    """The name of a coded event, as inside a sentence."""
    return say(EVENTS[kind])
