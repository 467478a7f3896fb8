"""No sentence escapes the catalogues: all cards and pages in a made-up language, over all sample charts.

Its texts stand within marks. What is left beside them must be a value: of the chart, an instrument's name, a code, or
the name of a crisis service or a guideline.
"""

from __future__ import annotations

import ast
import csv
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from html import unescape
from pathlib import Path
from zoneinfo import ZoneInfo

import app_views
import pytest
from builders import given, patient, record_of
from made_up_language import LANGUAGE, compiled

from cds_service.cards.from_notices import cards_for
from cds_service.commands.assess_files import content
from explanations.judgement.assessment import assess
from explanations.judgement.discharge import assess_discharge
from explanations.words import language, notices
from explanations.words.discharge_notices import discharge_notices
from explanations.words.notices import NoticeSettings
from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.facts import PatientRecord
from fhir_adapters.instruments import Instrument
from fhir_adapters.reading.extraction import patient_record
from fhir_adapters.settings import ReadSettings

ROOT = Path(__file__).parents[2]
SITE = NoticeSettings(zone=ZoneInfo("UTC"), contact="Zimmer 4410", show_probability=True)
AS_OF = datetime(2026, 10, 15, 23, 59, 59, tzinfo=UTC)
OURS = re.compile(r"‹[^›]*(?:›|…)")
CODE = re.compile(r"`[^`]*`")
WORD = re.compile(r"[^\W\d_]{2,}")


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory):
    """Every site speaks the made-up language."""
    folder = compiled(tmp_path_factory.mktemp("locale"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(notices, "language", lambda _locale="": language.language(LANGUAGE, folder))
        app_views.look.cache_clear()
        yield folder
    app_views.look.cache_clear()


def names() -> set[str]:
    """What keeps its name in every language."""
    found = {*(i.spec.title for i in Instrument), SITE.contact, "On-call psychiatry: ext. 4410", "mental-health-cds"}
    for table, column in (("crisis_lines", "service"), ("guideline_links", "title")):
        rows = csv.DictReader((ROOT / "explanations" / "reference" / f"{table}.csv").read_text().splitlines())
        found |= {row[column] for row in rows}
    return found


def values(record: PatientRecord) -> set[str]:
    """Texts of the chart."""
    return {text for use in record.medicines for text in (use.name, use.dose_text) if text}


def left(text: str, kept: set[str]) -> list[str]:
    """The pieces of a text that are in no catalogue and are no value."""
    names = re.compile("|".join(map(re.escape, sorted(kept, key=len, reverse=True))))
    pieces = [piece for line in text.splitlines() for piece in OURS.split(CODE.sub("", line))]
    return [piece.strip() for piece in pieces if WORD.search(names.sub("", piece))]


# Modules all of whose sentences are in the catalogue. (Once all are: nothing at all may be left.)
DONE = (
    "answers", "availability", "discharge_notices", "estimates", "gaps", "help_lines", "inputs", "language",
    "medicines", "not_scored", "notice_list", "notices", "other_results", "outcomes", "statements", "steps", "topics",
    "trends",
)  # fmt: skip


@cache
def sentences() -> tuple[str, ...]:
    """What stands between the places of the messages of those modules, where it is seven words or more."""
    found = set()
    for name in DONE:
        module = ast.parse((ROOT / "explanations" / "words" / f"{name}.py").read_text())
        calls = [node for node in ast.walk(module) if isinstance(node, ast.Call)]
        texts = [a.value for call in calls for a in call.args if isinstance(a, ast.Constant) and type(a.value) is str]
        found |= {part for text in texts for part in re.split(r"{[^}]*}", text) if len(WORD.findall(part)) > 6}
    return tuple(found)


def escaped(pieces: Iterable[str]) -> list[str]:
    return [piece for piece in pieces if any(part in piece for part in sentences())]


def card_texts(record: PatientRecord) -> Iterator[str]:
    """Everything that a person reads of the cards of a chart, in both services."""
    opened = cards_for(assess(record, app_views.ENGINE, app_views.LOW), SITE, new_id=str)
    leaving = cards_for(assess_discharge(record), SITE, new_id=str, notices=discharge_notices)
    for card in (*opened, *leaving):
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


def test_no_sentence_of_a_card_escapes(made_up: Path, shared: Path) -> None:
    found: Counter[str] = Counter()
    seen = 0
    for record in charts(shared):
        kept = names() | values(record)
        for text in card_texts(record):
            seen += 1
            found.update(left(text, kept))

    assert seen > 3000
    assert escaped(found) == []


def page_texts(page: str) -> Iterator[str]:
    for text in re.findall(r">([^<]+)<", re.sub(r"<(code|style|script)\b.*?</\1>", "", page, flags=re.DOTALL)):
        yield " ".join(unescape(text).split())


@pytest.mark.parametrize("page", app_views.PAGES)
def test_no_sentence_of_a_page_escapes(made_up: Path, page: str) -> None:
    text = app_views.flask_app(LANGUAGE, made_up).test_client().get(f"/smart/look/{page}").get_data(as_text=True)
    kind, _, name = page.partition("/")
    kept = names()
    if kind in ("summary", "print"):
        reading, _ = app_views.look(name)
        kept |= values(reading.assessment.chart)

    found = Counter(piece for line in page_texts(text) for piece in left(line, kept))

    assert escaped(found) == []
