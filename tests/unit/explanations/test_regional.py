"""The wording of regions: what stands for what, in any language."""

from __future__ import annotations

from dataclasses import replace

import pytest
from babel.messages.pofile import read_po
from message_templates import TEMPLATES

from explanations.judgement.regions import DEFAULT_REGION, REGIONS
from explanations.words.findings.answers import RESULTS
from explanations.words.findings.statements import ASSESSED
from explanations.words.language import language
from explanations.words.regional import WORDINGS, regional


def messages() -> set[str]:
    """Every text of the catalogues' templates."""
    found: set[str] = set()
    for path in TEMPLATES:
        with path.open("rb") as file:
            found |= {message.id for message in read_po(file) if isinstance(message.id, str)}
    return found


@pytest.mark.parametrize("name", WORDINGS)
def test_what_a_region_words_otherwise_is_still_said_elsewhere_and_both_are_translated(name: str) -> None:
    known = messages()

    assert sorted(set(WORDINGS[name].instead) - known) == []
    assert sorted(set(WORDINGS[name].instead.values()) - known) == []


def test_no_coded_level_has_its_name_where_levels_are_not_shown() -> None:
    assert set(RESULTS.values()) | set(ASSESSED.values()) - {
        text for text in ASSESSED.values() if "could not be read" in text and "score" not in text
    } <= set(WORDINGS[REGIONS["GB-ENG"].wording].instead)


def test_a_region_is_worded_in_every_language_and_the_default_is_plain() -> None:
    say = language("es")
    there = regional(say, REGIONS["GB-ENG"])

    assert regional(say, DEFAULT_REGION) == say
    assert there("Suicide risk screen") == say("Suicide questionnaire")
    assert replace(there, reviewed=False).safe("Suicide risk screen") == "Suicide questionnaire"
    assert there.many("{count} day ago", "{count} days ago", 2) == say.many("{count} day ago", "{count} days ago", 2)
