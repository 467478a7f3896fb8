"""How to ask about suicide, for clinicians: it is said to patients, so it waits for review as their page does."""

from __future__ import annotations

from explanations.words.language import Language, later

# Dazzi and others 2014, doi 10.1017/S0033291714001299: its abstract was read on 30 Nov 2026.
NO_HARM = later(
    "Asking does not put the idea in someone’s mind: a review of the published studies found none in which asking "
    "significantly raised thoughts of suicide (Dazzi and others, Psychological Medicine 2014;44:3361)."
)
HOW = (
    later("See the person alone where you can. If an interpreter is needed, ask a professional, not a relative."),
    later(
        "Begin with what they told you: “You marked on the form that you have thought of being better off dead. Can "
        "you tell me more about that?”"
    ),
    later("Then ask in plain words: “Are you thinking about suicide?”"),
    later("Not “You’re not thinking of suicide, are you?”: a question that hopes for a no gets one."),
    later("Listen, do not argue, and do not promise to keep it secret. Thank them for telling you."),
    later(
        "If yes: ask about intent, plan and access to means. With intent or a plan, stay with the person. Do the "
        "safety assessment as your site does it, make a safety plan together, and agree on the next contact."
    ),
    later("If no: say that they can tell you at any time. A no today does not rule it out."),
)


def how_to_ask(say: Language) -> tuple[str, ...]:
    """One sentence or two for each step, the evidence first."""
    return tuple(say(step) for step in (NO_HARM, *HOW))
