"""No sentence escapes the catalogues: all cards and pages in a made-up language, over all sample charts.

Its texts stand within marks. What is left beside them must be a value: of the chart, an instrument's name, a code, or
the name of a crisis service or a guideline.
"""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import app_views
import pytest
from babel import Locale
from flask import Flask
from made_up_language import LANGUAGE, compiled
from shown_texts import AS_OF, SITE, assessed, card_texts, cards, page_texts

from explanations.judgement.alert_limits import HeldBack, LimitReason
from explanations.judgement.timeline import lanes
from explanations.words.language import Language, language
from explanations.words.notices.limited import marked_limits
from fhir_adapters.facts import PatientRecord
from fhir_adapters.instruments import Instrument
from fhir_adapters.writing.questionnaires import FORMS, form
from models.inputs.outcomes import OUTCOMES
from models.rules.findings import Topic

ROOT = Path(__file__).parents[2]
OURS = re.compile(r"‹[^›]*(?:›|…)")
# References, in code marks or as the text for a note has them.
CODE = re.compile(r"`[^`]*`|\b[A-Z][A-Za-z]+/[a-z]+-?[0-9]*\b")
WORD = re.compile(r"[^\W\d_]{2,}")
ATTRIBUTE = re.compile(r'\s(?:alt|title|placeholder|aria-label)="[^"]+"')
# What the pages of app_views show beside their charts: clinics, a clinician, a patient and a day of their own.
SHOWN = {
    "Northside Clinic", "Harbour Hospital", "Dr Robin Lindqvist", "EST",
    "On-call psychiatry: ext. 4410", "30 Nov 2026", "Crisis team, night desk", str(app_views.MARGUERITE.name), str(app_views.MARGUERITE.identifier),
    str(app_views.MOST_SAID.address), "English", *app_views.MOST_SAID.opt_out.values(),
}  # fmt: skip


@pytest.fixture(scope="module")
def say(tmp_path_factory: pytest.TempPathFactory) -> Language:
    """The made-up language."""
    return language(LANGUAGE, compiled(tmp_path_factory.mktemp("locale")))


@pytest.fixture(scope="module")
def app(say: Language) -> Flask:
    """The pages in that language: templates are compiled once."""
    return app_views.flask_app(say)


@cache
def names() -> frozenset[str]:
    """What keeps its name in every language: instruments, crisis services, guidelines, codes."""
    found = {
        "mental-health-cds",
        "UTC",
        "AYUDA",  # what is texted to a crisis line
        SITE.contact,
        "Crisis team, night desk",
        "Dr Robin Lindqvist",
        *(
            month
            for width in ("abbreviated", "wide")
            for month in Locale.parse(LANGUAGE).months["format"][width].values()
        ),
        *(instrument.spec.title for instrument in Instrument),
        *OUTCOMES,
    }
    for table, column in (("crisis_lines", "service"), ("guideline_links", "title")):
        rows = csv.DictReader((ROOT / "explanations" / "reference" / f"{table}.csv").read_text().splitlines())
        found |= {row[column] for row in rows}
    return frozenset(found)


@cache
def forms() -> frozenset[str]:
    """The published wording of the forms that the app puts."""
    found: list[str] = []
    for asked in (form(name, each) for name in FORMS for each in form(name).languages):
        found += [asked.intro, asked.stem, asked.copyright, Locale.parse(asked.language).get_display_name() or ""]
        found += [text for question in asked.questions for text in (question.text, question.lead, question.more)]
        found += [option.words for question in asked.questions for option in question.options]
    return frozenset(text for each in found if each for text in page_texts(f">{each}<"))


def values(chart: PatientRecord) -> set[str]:
    """Texts of the chart, and units."""
    medicines = (*chart.medicines, *chart.past_medicines)
    texts = [text for use in medicines for text in (use.name, use.dose_text)]
    texts += [lane.label for lane in lanes(medicines)] + [getattr(anomaly, "unit", None) for anomaly in chart.anomalies]
    texts += [text for entry in chart.unheard for text in (entry.reference, entry.instrument, entry.words)]
    return {text for text in texts if text}


def left(text: str, kept: set[str]) -> list[str]:
    """The pieces of a text that are in no catalogue and are no value."""
    names = re.compile("|".join(map(re.escape, sorted(kept, key=len, reverse=True))))
    pieces = [piece for line in text.splitlines() for piece in OURS.split(CODE.sub("", line))]
    found = [piece.strip() for piece in pieces if WORD.search(names.sub("", piece))]
    return [piece for piece in found if not any(text.startswith(piece.removesuffix("…")) for text in kept)]


def test_no_sentence_of_a_card_escapes_and_a_longer_language_has_room(say: Language, shared: Path) -> None:
    shown = [
        (card, names() | values(opened.chart))
        for opened, discharged in assessed(shared)
        for card in cards(opened, discharged, replace(SITE, say=say))
    ]

    assert len(shown) > 380
    assert all(len(card.summary) < 140 for card, _ in shown)
    assert sorted({piece for card, kept in shown for text in card_texts(card) for piece in left(text, kept)}) == []


@pytest.mark.parametrize("page", app_views.PAGES)
def test_no_sentence_of_a_page_escapes(app: Flask, say: Language, page: str) -> None:
    answer = app.test_client().get(f"/smart/look/{page}")
    kind, _, name = page.partition("/")
    kept = names() | forms() | SHOWN
    if kind in ("summary", "print"):
        reading, _ = app_views.look(name, say)
        identity = (reading.identity.name, reading.identity.identifier)
        kept |= values(reading.assessment.chart) | {text for text in identity if text}

    assert [piece for text in page_texts(answer.text) for piece in left(text, kept)] == []
    assert ATTRIBUTE.findall(answer.text) == []


@pytest.mark.parametrize("reason", LimitReason)
@pytest.mark.parametrize("for_all", [True, False])
def test_no_sentence_on_a_card_that_is_held_back_escapes(say: Language, reason: LimitReason, *, for_all: bool) -> None:
    found = app_views.look("prompt", say)[0].notices
    (prompt,) = (notice for notice in found if notice.topic is Topic.SCREENING_PROMPT)
    why = HeldBack(reason=reason, since=AS_OF, until=AS_OF, code="not-now", for_all=for_all)

    (marked,) = marked_limits([prompt], {prompt.topic: why}, replace(SITE, say=say))

    assert len(marked.chart) == len(prompt.chart) + 1
    assert left(marked.chart[-1].text, set(names())) == []
