"""The labels of draft buttons: "Draft", the thing and the day."""

from __future__ import annotations

from explanations.judgement.proposals import DraftKind
from explanations.words.language import Language, later
from explanations.words.tables import complete
from models.rules.discharge import CONTACT_DAYS

LABELS = complete(
    {
        DraftKind.CSSRS: later("Draft order: C-SSRS screener, today"),
        DraftKind.PHQ9: later("Draft order: PHQ-9, today"),
        DraftKind.PHQ9_COMPLETE: later("Draft order: PHQ-9, complete today"),
        DraftKind.PHQ9M: later("Draft order: PHQ-9M, today"),
        DraftKind.PHQ9M_COMPLETE: later("Draft order: PHQ-9M, complete today"),
        DraftKind.ASSESSMENT: later("Draft order: suicide risk assessment, today"),
        DraftKind.PSYCHOSOCIAL: later("Draft order: psychosocial assessment, today"),
        DraftKind.CONTACT: later("Draft task: follow-up contact within {days} days"),
    },
    DraftKind,
)
# The button of a card that leads to the app.
DETAILS = later("Open detailed view")


def draft_label(kind: DraftKind, say: Language) -> str:
    """The button label of a draft."""
    return say(LABELS[kind], days=CONTACT_DAYS)
