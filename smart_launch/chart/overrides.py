"""What a clinician says of a finding instead of acting on it: one of its topic's reasons, as on its card.

It is recorded and counted, and the card of a model or of follow-up may then not come for a while; it never changes
what a page shows, or any other card (rule R17).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from explanations.judgement.alert_limits import MODEL
from explanations.words.language import Language
from explanations.words.notices.topics import TOPICS
from models.rules.findings import Topic
from smart_launch.errors import Forbidden

IS_DIGEST = re.compile(rf"(?:{MODEL})?[0-9a-f]{{32}}")
REASONS = {(spec.topic.value, reason.code): reason.display for spec in TOPICS for reason in spec.overrides}


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A topic and the code of one of its reasons.

    grounds: what the notice rests on, for its cards not to come for a while (`Behind.snoozed_as`); None: no limit
    applies to it.
    """

    topic: Topic
    code: str
    grounds: str | None = None


def overridden(form: Mapping[str, str]) -> Override:
    """The choice of a form. Raises Forbidden for one that the page does not offer."""
    topic, code = form.get("topic", ""), form.get("reason", "")
    if (topic, code) not in REASONS:
        raise Forbidden("override: expected one of the choices of the page", "form-refused", 400)
    grounds = form.get("grounds")
    if grounds and not IS_DIGEST.fullmatch(grounds):
        raise Forbidden("override: expected the form as the page has it", "form-refused", 400)
    return Override(topic=Topic(topic), code=code, grounds=grounds)


def recorded_words(text: str | None, say: Language) -> str:
    """The reason that was just recorded, as `topic.code` in the page's address; "" without one."""
    topic, _, code = (text or "").partition(".")
    return say(REASONS[topic, code]) if (topic, code) in REASONS else ""
