"""Every kind of card as a clinician reads it, in each language and for each client, and none longer than five seconds.

The files under `tests/golden/cards/` are read aloud before they are committed; `make golden` rewrites them. In a language
other than English they show what a site sees once somebody has reviewed its texts on safety.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from app_views import ENGINE
from builders import AS_OF, bundle, given, patient, record_of
from card_kinds import KINDS, made

from cds_service.cards.dialects import Dialect, in_dialect
from cds_service.cards.from_notices import cards_for
from cds_service.cards.wire import Card
from cds_service.demo_ehr.patients.people import demo_patients
from explanations.judgement.assessment import Assessment, assess
from explanations.judgement.discharge import assess_discharge
from explanations.words.language import Language, language
from explanations.words.notices.discharge import discharge_notices
from explanations.words.notices.notice import NoticeSettings
from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.facts import PatientRecord
from fhir_adapters.reading.extraction import patient_record
from fhir_adapters.settings import ReadSettings
from models.rules.findings import Topic

GOLDEN = Path(__file__).parents[2] / "golden" / "cards"
TABLES = Path(__file__).parents[2] / "clinical" / "tables"


def settings_in(say: Language) -> NoticeSettings:
    return NoticeSettings(zone=UTC, say=replace(say, reviewed=True))


def as_text(cards: list[Card]) -> str:
    """Cards as their reader meets them; ids of resources are left out."""
    whole = "\n\n".join(map(_one, cards)) + "\n"
    return re.sub(r"`([A-Za-z]+)/[^`]*`", r"`\1/…`", whole)


def _one(card: Card) -> str:
    drafts = [f"[{suggestion.label}]" for suggestion in card.suggestions or ()]
    reasons = " / ".join(reason.display for reason in card.override_reasons)
    links = [link.label for link in card.links or ()]
    head = f"{card.indicator} · {card.source.topic.code} · {card.source.label}"
    return "\n\n".join((head, f"# {card.summary}", card.detail, *drafts, reasons, *links))


@pytest.mark.parametrize("locale", sorted(path.name for path in GOLDEN.iterdir()))
@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_card_reads_as_it_was_approved(name: str, locale: str) -> None:
    text, path = as_text(made(name, settings_in(language(locale)))), GOLDEN / locale / f"{name}.md"
    if os.environ.get("MHCDS_REWRITE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    assert text == path.read_text(encoding="utf-8"), "run `make golden`, and read it aloud"


@pytest.mark.parametrize("name", KINDS)
def test_a_card_in_spanish_that_nobody_reviewed_is_the_english_one_with_a_line_on_it(name: str) -> None:
    """Which crisis lines are named is another matter: those in the reader's language come first."""
    english, spanish = (made(name, NoticeSettings(zone=UTC, say=language(locale))) for locale in ("en", "es"))

    assert [texts(card) for card in spanish] == [texts(card) for card in english]
    assert [card.detail.count("Esta parte está en inglés") for card in spanish] == [1] * len(spanish)


def texts(card: Card) -> list[str]:
    left_out = ("**Crisis lines", "*Esta parte", "**Emergency")
    detail = re.sub(r"`[^`]*`", "", card.detail)  # ids of resources
    lines = [line for line in detail.splitlines() if line and not line.startswith(left_out)]
    labels = [suggestion.label for suggestion in card.suggestions or ()]
    return [card.summary, *lines, *labels, *(reason.display for reason in card.override_reasons), card.source.label]


def test_every_topic_has_a_kind() -> None:
    cards = [card for name in KINDS for card in made(name, settings_in(language()))]

    assert {card.source.topic.code for card in cards} == {topic.value for topic in Topic}


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("name", KINDS)
def test_every_dialect_has_the_same_words(name: str, dialect: Dialect) -> None:
    """What differs is the code of a topic, and which links and drafts the client can show."""
    cards = made(name, settings_in(language()))

    spoken = in_dialect(cards, dialect, allowed_links=())

    assert [(c.summary, c.detail, c.indicator) for c in spoken] == [(c.summary, c.detail, c.indicator) for c in cards]
    assert all(not card.links for card in spoken)
    assert all(re.fullmatch(r"[A-Za-z0-9]+", c.source.topic.code) for c in spoken) is (dialect is Dialect.EPIC)


# ---- length ----

MOST, MOST_OF_A_MODEL = 600, 1000


def length(card: Card) -> int:
    """The characters of a detail as shown: without marks, empty lines and the ids of resources."""
    text = re.sub(r"\*Sources: .*\*$", "", card.detail)
    lines = (re.sub(r"^- |[*`]|^\|[:|-]+$", "", line) for line in text.splitlines())
    return len("\n".join(line for line in lines if line))


def samples(shared: Path) -> Iterator[PatientRecord]:
    at, settings = datetime(2026, 10, 15, 23, 59, 59, tzinfo=UTC), ReadSettings()
    for path in sorted((shared / "data" / "fhir-samples").glob("*/*.json.gz")):
        gathered = chart_bundle(gzip.decompress(path.read_bytes()), settings=settings, as_of=at)
        yield patient_record(gathered, settings=settings, as_of=at, left_out=True)
    for one in demo_patients(AS_OF):
        gathered = chart_bundle(bundle(*one.chart), settings=settings, as_of=AS_OF)
        yield patient_record(gathered, settings=settings, as_of=AS_OF)
    for table in sorted(TABLES.glob("*.toml")):
        for case in tomllib.loads(table.read_text(encoding="utf-8"))["case"]:
            if len(case["given"]) == 1:
                yield record_of(*given(case["given"][0]), who=patient(age=case.get("age", 40)))


def speaks_alone(assessment: Assessment) -> bool:
    """Whether one finding, or one estimate, is all that there is to say: no history, later entry, oddity or gap."""
    findings, chart = assessment.findings, assessment.chart
    more = assessment.history or chart.anomalies or any(f.later or f.partly_searched for f in findings)
    return not more and len(findings or assessment.prompting()) <= 1


def test_a_card_on_which_one_finding_speaks_is_read_in_five_seconds(shared: Path) -> None:
    """600 characters, discharge included; a model's card, which has reasons and says what is missing, 1,000."""
    settings, seen, long = settings_in(language()), 0, []
    for chart in samples(shared):
        for assessment, more in (
            (assess(chart, ENGINE), {}),
            (assess_discharge(chart), {"notices": discharge_notices}),
        ):
            if not speaks_alone(assessment):
                continue
            for card in cards_for(assessment, settings, new_id=str, **more):
                most = MOST_OF_A_MODEL if card.source.label.endswith("model") else MOST
                seen += 1
                long += [(length(card), json.dumps(card.summary))] if length(card) >= most else []

    assert seen > 200
    assert long == []
