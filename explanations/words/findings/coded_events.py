"""Coded safety events in our own words: the source's display can name a method (docs/clinical-sources.md S6)."""

from __future__ import annotations

from explanations.words.language import Language, later
from explanations.words.tables import complete
from fhir_adapters.facts import EventKind, Setting

# Each kind at the start of a line, and inside one.
EVENTS = complete(
    {
        EventKind.SELF_HARM: (later("Self-harm"), later("self-harm")),
        EventKind.SELF_INJURY: (later("Self-harm"), later("self-harm")),
        EventKind.SUICIDE_ATTEMPT: (later("Suicide attempt"), later("suicide attempt")),
        EventKind.SUICIDAL_BEHAVIOUR: (later("Suicidal behaviour"), later("suicidal behaviour")),
        EventKind.SUICIDAL_PLAN: (later("Suicide plan"), later("suicide plan")),
        EventKind.SUICIDAL_INTENT: (later("Suicidal intent"), later("suicidal intent")),
        EventKind.DEATH_BY_SUICIDE: (
            later("Code for death by suicide (patient not marked deceased: check the chart)"),
            later("code for death by suicide (patient not marked deceased: check the chart)"),
        ),
        EventKind.SUICIDAL_IDEATION: (later("Suicidal ideation"), later("suicidal ideation")),
        EventKind.NONSUICIDAL_SELF_HARM: (later("Non-suicidal self-harm"), later("non-suicidal self-harm")),
        EventKind.HISTORY: (
            later("History of suicidal behaviour or self-harm"),
            later("history of suicidal behaviour or self-harm"),
        ),
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


def event_words(kind: EventKind, say: Language) -> tuple[str, str]:
    """The name of a coded event, at the start of a line and inside one."""
    label, name = EVENTS[kind]
    return say(label), say(name)
