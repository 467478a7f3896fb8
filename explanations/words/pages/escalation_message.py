"""What a contact reads in an e-mail or a Task: that somebody is needed, by when, and where; nothing of the patient."""

from __future__ import annotations

from dataclasses import dataclass

from explanations.words.language import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactWords:
    """subject: fit for a list of mails that others can see. summary: one line. text: paragraphs, with the link."""

    subject: str
    summary: str
    text: str


def contact_words(say: Language, *, link: str, within_min: int, drill: bool) -> ContactWords:
    """The words of a message. link: of the page that shows more, after signing in. within_min: to acknowledge."""
    if drill:
        summary = say("Drill: no patient is behind this message.")
        subject = say("Drill: please acknowledge within {minutes} min", minutes=within_min)
    else:
        summary = say("A patient’s answers need someone to look now.")
        subject = say("Please look now and acknowledge within {minutes} min", minutes=within_min)
    asked = say("Open this page, sign in and acknowledge within {minutes} min:", minutes=within_min)
    after = [] if drill else [say("If nobody acknowledges, the next contact is told.")]
    about = say("This message contains nothing about the patient. Please do not reply to it.")
    paragraphs = (summary, f"{asked}\n{link}", *after, about)
    return ContactWords(subject=subject, summary=summary, text="\n\n".join(paragraphs))


def nobody_named(say: Language, contact: str) -> str:
    """Who has it, where a contact's system names no person."""
    return say("{contact} (no person named)", contact=contact)
