"""What is an outcome of a score, as a clinician would say it: every row of linking_cases.toml."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from cds_service.monitoring.episodes import Episode
from cds_service.monitoring.linking import LinkedEvent, RecordedResult, RecordedScore, linked
from cds_service.settings.config import default_config
from cds_service.settings.monitoring import MonitoringSettings

CASES = tomllib.loads(Path(__file__).with_name("linking_cases.toml").read_text(encoding="utf-8"))["case"]
FORM = re.compile(r"form (\w+) (?:(\d{4}-\d\d-\d\d)(?: (\d\d:\d\d))? ([+-])|taken back)")
CONSENTS = {"opted out": "opted-out", "consent denied": "consent-denied"}
SAME = {"probability": 0.2, "flagged": True, "shown": False}


def at_site(words: str, zone: ZoneInfo) -> datetime:
    return datetime.fromisoformat(words).replace(tzinfo=zone).astimezone(UTC)


def result(words: str, zone: ZoneInfo) -> RecordedResult:
    name, day, hour, sign = FORM.fullmatch(words).groups()
    if sign is None:
        return RecordedResult(outcome="depression", id=name)
    on = at_site(f"{day} {hour}", zone).isoformat() if hour else day
    return RecordedResult(outcome="depression", id=name, positive=sign == "+", on=on)


def event(seq: int, line: str, zone: ZoneInfo) -> LinkedEvent:
    moment, parts = line[:16], line[17:].split(" and ")
    scores = [p.removeprefix("score").removeprefix(" of ") for p in parts if p.startswith("score")]
    return LinkedEvent(
        seq=seq,
        at=at_site(moment, zone),
        patient="p",
        consent=next((code for words, code in CONSENTS.items() if words in parts), "allowed"),
        scores=tuple(RecordedScore(model=f"depression {version or '3.0.0'}", **SAME) for version in scores),
        measured=tuple(result(part, zone) for part in parts if part.startswith("form")),
    )


def site_of(case: dict):
    zone = ZoneInfo(case.get("zone", "America/Chicago"))
    site = default_config().site()
    days = MonitoringSettings(outcome_days=case.get("days", 14))
    return replace(site, cards=replace(site.cards, zone=zone), monitoring=days)


def said(episode: Episode, zone: ZoneInfo) -> str:
    begun = f"{episode.at.astimezone(zone):%Y-%m-%d}"
    if episode.measured is None:
        assert (episode.positive, episode.known) == (None, None)
        return f"{begun} ?"
    local = episode.measured.astimezone(zone)
    return f"{begun} {'+' if episode.positive else '-'} {local:%Y-%m-%d %H:%M}".removesuffix(" 00:00")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["says"])
def test_a_score_has_the_outcome_that_a_clinician_would_give_it(case: dict) -> None:
    site = site_of(case)
    zone = site.cards.zone
    events = [event(seq, line, zone) for seq, line in enumerate(case["events"], start=1)]
    now = datetime.combine(case.get("now", date(2026, 12, 31)), time(12), zone)

    found = linked(reversed(events), site, now)

    assert [said(episode, zone) for episode in found] == case["episodes"]
    assert linked(events, site, now, left_out={"p"}) == ()
