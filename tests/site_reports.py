"""Reports of a made-up site for tests and pictures: half a year of two models, of which one is too low for some; and nothing."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache

from episodes import episodes

from cds_service.burden.figures import CardFigures, Durations
from cds_service.monitoring.costs import costs
from cds_service.monitoring.counting import site_figures
from cds_service.monitoring.experience import MetEvent, experience
from cds_service.monitoring.report import SiteReport, reported_models
from cds_service.monitoring.site_figures import SiteEstimate
from cds_service.settings.monitoring import Prices

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
MONTHS = tuple(f"2026-{month:02}" for month in range(6, 11))
MODES = {("depression", "3.0.0"): "live", ("suicidal-ideation", "3.0.0"): "silent"}
SURVEY = {("depression", "3.0.0"): SiteEstimate(value=0.79, low=0.78, high=0.81)}


@cache
def half_a_year() -> SiteReport:
    """Estimates of depressive symptoms fit but for Spanish speakers; those of self-harm are too low for everybody."""
    depression = episodes(2400, seed=1, months=MONTHS, measured=0.7, by_score=1.2, bias={"es": 1.5})
    ideation = episodes(
        2400, seed=2, months=MONTHS, measured=0.3, level=0.5, outcome="suicidal-ideation", threshold=0.25, shown=False
    )
    rows = [row for those in (depression, ideation) for row in site_figures(those, threshold=0.2, now=NOW)]
    rows = [replace(row, not_scored={"answered": 1240, "too-young": None, "late": 14}) for row in rows]
    rows = [replace(row, to_act=Durations(n=60, median=42.0, p90=300.0)) if row.outcome == "depression" else row for row in rows]  # fmt: skip
    generator = random.Random(3)
    events = [_call(generator) for _ in range(5000)]
    events += [_opinion("useful")] * 48 + [_opinion("wrong", "known-already")] * 17
    events += [_opinion("near-miss", "inputs-old")] * 2
    for number, one in enumerate(each for each in depression if each.seen):
        launch = {"patient": one.patient, "launch": f"l{number}"}
        if generator.random() < 0.6:
            events.append(MetEvent(what="launched", at=one.seen + timedelta(minutes=5), **launch))
        if generator.random() < 0.3:
            written = one.seen + timedelta(minutes=generator.randrange(9, 40))
            events.append(MetEvent(what="written", at=written, **launch))
    cards = CardFigures(
        site="north", month="2026-10", service="depression-suicide-risk", topic="screening-prompt", shown=1204, accepted=311,
        overridden=243, ignored=650, waiting=0, repeated=20, reasons={"declines": 80, "under-way": 103, "none": 60},
        held_back={"daily": 90}, to_act=Durations(n=0),
    )  # fmt: skip
    return replace(
        nothing(),
        models=reported_models(rows, MODES, SURVEY),
        experience=experience(events),
        costs=costs(events, depression, Prices(currency="EUR", cpu_hour=0.05, clinician_hour=90.0)),
        cards=(cards,),
        groups_recorded=("language",),
    )


def nothing() -> SiteReport:
    """Of a site without a call."""
    return SiteReport(
        site="North clinic", at=NOW, first=date(2026, 6, 1), last=date(2026, 11, 30), outcome_days=14, models=(),
        experience=experience(()), costs=costs((), (), Prices()),
    )  # fmt: skip


def _call(generator: random.Random) -> MetEvent:
    status = 200 if generator.random() < 0.995 else generator.choice([412, 500, 400])
    topics = ("could-not-assess",) if generator.random() < 0.02 else ()
    ms, cpu_ms = generator.lognormvariate(4, 0.6), generator.lognormvariate(3, 0.4)
    return MetEvent(status=status, at=NOW, ms=ms, cpu_ms=cpu_ms, topics=topics)


def _opinion(choice: str, reason: str = "") -> MetEvent:
    return MetEvent(what="opinion", choice=choice, reason=reason, at=NOW)
