"""What is said beside a text on safety that is in English because nobody has reviewed its translation."""

from __future__ import annotations

from explanations.words.language import Language


def interpreter_words(say: Language) -> str:
    """One line in this language; empty where its texts on safety are shown."""
    if say.reviewed:
        return ""
    return say("This part is in English: no clinician has reviewed its translation yet. Use an interpreter if needed.")
