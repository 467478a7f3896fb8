"""What people read of cards and pages, over all sample charts and those of the clinical tables."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from html import unescape
from pathlib import Path
from zoneinfo import ZoneInfo

import app_views
from builders import LOW, given, patient, record_of
from sources import ROOT

from cds_service.cards.from_notices import cards_for
from cds_service.cards.wire import Card
from cds_service.commands.assess_files import content
from explanations.judgement.assessment import Assessment, assess
from explanations.judgement.discharge import assess_discharge
from explanations.words.notices.discharge import discharge_notices
from explanations.words.notices.notice import NoticeSettings
from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.facts import PatientRecord
from fhir_adapters.reading.extraction import patient_record
from fhir_adapters.settings import ReadSettings
from models.rules.findings import Urgency

SITE = NoticeSettings(zone=ZoneInfo("UTC"), contact="Zimmer 4410", show_probability=True)
AS_OF = datetime(2026, 10, 15, 23, 59, 59, tzinfo=UTC)
TOLD = tuple(look.escalation for look in app_views.LOOKS.values() if look.escalation)
SUPPORT_CODE = re.compile(r"\b[2-9A-Z]{3}-[2-9A-Z]{3}\b")


@cache
def assessed(shared: Path) -> tuple[tuple[Assessment, Assessment], ...]:
    """Each chart as the two services judge it, with a model that prompts wherever it can."""
    return tuple((assess(chart, app_views.ENGINE, LOW), assess_discharge(chart)) for chart in charts(shared))


def charts(shared: Path) -> Iterator[PatientRecord]:
    """All sample charts and those of the clinical tables."""
    for path in sorted((shared / "data" / "fhir-samples").glob("*/*.json.gz")):
        gathered = chart_bundle(content(str(path)), settings=ReadSettings(), as_of=AS_OF)
        yield patient_record(gathered, settings=ReadSettings(), as_of=AS_OF, left_out=True)
    for table in sorted((ROOT / "tests" / "clinical" / "tables").glob("*.toml")):
        for case in tomllib.loads(table.read_text(encoding="utf-8"))["case"]:
            resources = [resource for line in case["given"] for resource in given(line)]
            yield record_of(*resources, who=patient(age=case.get("age", 40)))


def cards(opened: Assessment, discharged: Assessment, site: NoticeSettings = SITE) -> list[Card]:
    """The cards of both services; of acute answers with all who are told."""
    found = cards_for(opened, site, new_id=str)
    found += cards_for(discharged, site, new_id=str, notices=discharge_notices)
    if any(finding.urgency is Urgency.ACUTE for finding in opened.findings):
        for escalation in TOLD:
            found += cards_for(replace(opened, escalation=escalation), site, new_id=str)
    return found


def card_texts(card: Card) -> Iterator[str]:
    """Everything that a person reads of a card."""
    yield from (card.summary, card.detail, card.source.label)
    yield from (reason.display or "" for reason in card.override_reasons)
    yield from (one.label for one in card.suggestions or ())
    yield from (action.description for one in card.suggestions or () for action in one.actions)


def page_texts(page: str) -> Iterator[str]:
    """What a person reads of a page, an element a text; references to the chart left out."""
    page = re.sub(r"<(code|style|script)\b.*?</\1>|</?(?:strong|em|b)>", "", page, flags=re.DOTALL)
    page = SUPPORT_CODE.sub("", page)
    yield from (" ".join(unescape(text).split()) for text in re.findall(r">([^<]+)<", page))
