"""No sentence escapes the catalogues: all cards and pages in a made-up language, over all sample charts.

Its texts stand within marks. What is left beside them must be a value: of the chart, an instrument's name, a code, or
the name of a crisis service or a guideline.
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterator
from dataclasses import astuple, replace
from datetime import UTC, datetime
from functools import cache
from html import unescape
from pathlib import Path
from zoneinfo import ZoneInfo

import app_views
import pytest
from builders import LOW, given, patient, record_of
from flask import Flask
from made_up_language import LANGUAGE, compiled

from cds_service.cards.from_notices import cards_for
from cds_service.cards.wire import Card
from cds_service.commands.assess_files import content
from explanations.judgement.alert_limits import HeldBack, LimitReason
from explanations.judgement.assessment import assess
from explanations.judgement.discharge import assess_discharge
from explanations.judgement.timeline import lanes
from explanations.words.language import Language, language
from explanations.words.notices import notice as notices
from explanations.words.notices.discharge import discharge_notices
from explanations.words.notices.limited import marked_limits
from explanations.words.notices.notice import NoticeSettings
from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.facts import PatientRecord
from fhir_adapters.instruments import Instrument
from fhir_adapters.reading.extraction import patient_record
from fhir_adapters.settings import ReadSettings
from fhir_adapters.writing.questionnaires import FORMS, form
from models.inputs.outcomes import OUTCOMES
from models.rules.findings import Topic, Urgency
from smart_launch.pages.language import app_language

ROOT = Path(__file__).parents[2]
SITE = NoticeSettings(zone=ZoneInfo("UTC"), contact="Zimmer 4410", show_probability=True)
AS_OF = datetime(2026, 10, 15, 23, 59, 59, tzinfo=UTC)
TOLD = tuple(look.escalation for look in app_views.LOOKS.values() if look.escalation)
OURS = re.compile(r"‹[^›]*(?:›|…)")
CODE = re.compile(r"`[^`]*`")
WORD = re.compile(r"[^\W\d_]{2,}")
SUPPORT_CODE = re.compile(r"\b[2-9A-Z]{3}-[2-9A-Z]{3}\b")
ATTRIBUTE = re.compile(r'\s(?:alt|title|placeholder|aria-label)="[^"]+"')
# What the pages of app_views show beside their charts: clinics, a clinician, a patient and a day of their own.
SHOWN = {
    "Northside Clinic", "Harbour Hospital", "Dr Robin Lindqvist", "EST",
    "On-call psychiatry: ext. 4410", "30 Nov 2026", "Crisis team, night desk", *(text for text in astuple(app_views.WHO.banner) if text),
}  # fmt: skip


@pytest.fixture(scope="module")
def say(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Language]:
    """The made-up language, which every site speaks."""
    folder = compiled(tmp_path_factory.mktemp("locale"))
    spoken = app_language(LANGUAGE, folder)
    spoken.catalogue.add_fallback(language(LANGUAGE, folder).catalogue)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(notices, "language", lambda _locale: spoken)
        app_views.look.cache_clear()
        yield spoken
    app_views.look.cache_clear()


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
        SITE.contact,
        "Crisis team, night desk",
        "Dr Robin Lindqvist",
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
    for asked in map(form, FORMS):
        found += [asked.stem, asked.copyright, *(question.text for question in asked.questions)]
        found += [option.display for question in asked.questions for option in question.options]
    return frozenset(" ".join(text.split()) for text in found)


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


def cards(chart: PatientRecord) -> list[Card]:
    """The cards of both services, with a model that prompts wherever it can; of acute answers with all who are told."""
    opened, discharged = assess(chart, app_views.ENGINE, LOW), assess_discharge(chart)
    found = cards_for(opened, SITE, new_id=str)
    found += cards_for(discharged, SITE, new_id=str, notices=discharge_notices)
    if any(finding.urgency is Urgency.ACUTE for finding in opened.findings):
        for escalation in TOLD:
            found += cards_for(replace(opened, escalation=escalation), SITE, new_id=str)
    return found


def card_texts(card: Card) -> Iterator[str]:
    """Everything that a person reads of a card."""
    yield from (card.summary, card.detail, card.source.label)
    yield from (reason.display or "" for reason in card.override_reasons)
    yield from (one.label for one in card.suggestions or ())
    yield from (action.description for one in card.suggestions or () for action in one.actions)


def charts(shared: Path) -> Iterator[PatientRecord]:
    """All sample charts and those of the clinical tables."""
    for path in sorted((shared / "data" / "fhir-samples").glob("*/*.json.gz")):
        gathered = chart_bundle(content(str(path)), settings=ReadSettings(), as_of=AS_OF)
        yield patient_record(gathered, settings=ReadSettings(), as_of=AS_OF, left_out=True)
    for table in sorted((ROOT / "tests" / "clinical" / "tables").glob("*.toml")):
        for case in tomllib.loads(table.read_text(encoding="utf-8"))["case"]:
            resources = [resource for line in case["given"] for resource in given(line)]
            yield record_of(*resources, who=patient(age=case.get("age", 40)))


def test_no_sentence_of_a_card_escapes_and_a_longer_language_has_room(say: Language, shared: Path) -> None:
    shown = [(card, names() | values(chart)) for chart in charts(shared) for card in cards(chart)]

    assert len(shown) > 380
    assert all(len(card.summary) < 140 for card, _ in shown)
    assert sorted({piece for card, kept in shown for text in card_texts(card) for piece in left(text, kept)}) == []


def page_texts(page: str) -> Iterator[str]:
    """What a person reads of a page, an element a text; references to the chart left out."""
    page = re.sub(r"<(code|style|script)\b.*?</\1>|</?(?:strong|em|b)>", "", page, flags=re.DOTALL)
    page = SUPPORT_CODE.sub("", page)
    yield from (" ".join(unescape(text).split()) for text in re.findall(r">([^<]+)<", page))


@pytest.mark.parametrize("page", app_views.PAGES)
def test_no_sentence_of_a_page_escapes(app: Flask, page: str) -> None:
    answer = app.test_client().get(f"/smart/look/{page}")
    kind, _, name = page.partition("/")
    kept = names() | forms() | SHOWN
    if kind in ("summary", "print"):
        reading, _ = app_views.look(name)
        identity = (reading.identity.name, reading.identity.identifier)
        kept |= values(reading.assessment.chart) | {text for text in identity if text}

    assert [piece for text in page_texts(answer.text) for piece in left(text, kept)] == []
    assert ATTRIBUTE.findall(answer.text) == []


@pytest.mark.parametrize("reason", LimitReason)
@pytest.mark.parametrize("for_all", [True, False])
def test_no_sentence_on_a_card_that_is_held_back_escapes(say: Language, reason: LimitReason, *, for_all: bool) -> None:
    found = app_views.look("prompt")[0].notices
    (prompt,) = (notice for notice in found if notice.topic is Topic.SCREENING_PROMPT)
    why = HeldBack(reason=reason, since=AS_OF, until=AS_OF, code="not-now", for_all=for_all)

    (marked,) = marked_limits([prompt], {prompt.topic: why}, SITE)

    assert len(marked.chart) == len(prompt.chart) + 1
    assert left(marked.chart[-1].text, set(names())) == []
