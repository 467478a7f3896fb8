"""Entries that no reader used (R18), in words: what they concern, and the answer where it is safe to show."""

from __future__ import annotations

from explanations.words.language import Language, capitalised
from explanations.words.lines import Line, LineRole, sourced
from fhir_adapters.facts import Unheard


def unheard_words(entry: Unheard, moment: str, say: Language) -> tuple[str, list[Line]]:
    """The headline, and the line with date and source. Free text is never repeated: it can name a method."""
    what, sources = _what(entry, say), [entry.reference]
    why = say("Read only in part: look at the source") if entry.says_yes else say("Not read: look at the source")
    # Translators: {what} is a finding, {moment} a date, {source} a reference to the chart, {why} a sentence.
    text = say(
        "**{what}.** {moment}, {source}. {why}",
        what=capitalised(what),
        moment=capitalised(moment),
        source=say.references(sources),
        why=why,
    )
    return what, [sourced(text, sources, LineRole.LEAD)]


def _what(entry: Unheard, say: Language) -> str:
    title, answer = entry.instrument, entry.words or say("yes")
    if entry.says_yes and entry.stated:
        return say("suicide or self-harm mentioned in a chart entry")
    if entry.says_yes and title:
        return say("{title}: question on self-harm answered “{answer}”", title=title, answer=answer)
    if entry.says_yes:
        return say("question on self-harm answered “{answer}”", answer=answer)
    if title:
        return say("{title}: result could not be read", title=title)
    return say("entry on suicide or self-harm could not be read")
