"""Synthetic episodes of one site, seeded, with a truth that is known: calibrated, drifting, biased, selected.

Estimates are logit-normal about a rare outcome, as a model's are. What is true of a person follows from the estimate:

    level       added to the true log-odds: the clinic's own level (0: calibrated); drift: added more each month
    slope       of the true log-odds on the estimate's; below 1 the estimates are too extreme
    bias        group -> added to the true log-odds of that sex, language ...: estimates are too low for them

Which outcomes are measured: `measured` of all, at random; with by_score, more of those with a higher estimate (times
this to the power of their log-odds above the mean); with by_outcome, more of those who have it, which no weighting mends.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from cds_service.monitoring.episodes import Episode
from cds_service.storage.chain import AuditKind, NewEvent, append
from cds_service.storage.store import Store

SEXES = (("female", 0.55), ("male", 0.43), ("unknown", 0.02))
AGE_BANDS = (("18-29", 0.3), ("30-44", 0.27), ("45-64", 0.27), ("65+", 0.16))
LANGUAGES = (("en", 0.8), ("es", 0.12), ("unrecorded", 0.08))
MEAN, SPREAD = -2.6, 1.2
"""Of the log-odds of estimates: about 11 % have the outcome."""


def episodes(  # noqa: PLR0913  # each is a way in which a site may differ
    n: int,
    *,
    seed: int = 0,
    months: Sequence[str] = ("2026-06", "2026-07", "2026-08"),
    level: float = 0.0,
    drift: float = 0.0,
    slope: float = 1.0,
    bias: Mapping[str, float] | None = None,
    measured: float = 0.4,
    by_score: float = 1.0,
    by_outcome: float = 1.0,
    threshold: float = 0.2,
    shown: bool = True,
    inputs: Sequence[Sequence[float]] = (),
    site: str = "north",
    outcome: str = "depression",
    version: str = "3.0.0",
) -> tuple[Episode, ...]:
    """n episodes of n people, in the order of time. inputs: an input's shares by bin; what they leave is not known."""
    generator = random.Random(seed)
    made = []
    for number in range(n):
        month = number * len(months) // n
        day = datetime.fromisoformat(f"{months[month]}-01").replace(tzinfo=UTC)
        at = day + timedelta(minutes=generator.randrange(27 * 24 * 60))
        log_odds = generator.gauss(MEAN, SPREAD)
        sex, age_band, language = (_drawn(generator, shares) for shares in (SEXES, AGE_BANDS, LANGUAGES))
        added = sum((bias or {}).get(group, 0.0) for group in (sex, age_band, language))
        true = MEAN + slope * (log_odds - MEAN) + level + drift * month + added
        positive = generator.random() < _probability(true)
        known = measured * by_score ** (log_odds - MEAN) * (by_outcome if positive else 1.0)
        is_known = generator.random() < min(known, 0.98)
        probability = _probability(log_odds)
        made.append(
            Episode(
                site=site, outcome=outcome, version=version, patient=f"p{seed}-{number}", at=at, month=months[month],
                probability=probability, flagged=probability >= threshold, shown=shown and probability >= threshold,
                seen=at if shown and probability >= threshold else None,
                inputs="".join(_bin(generator, shares) for shares in inputs),
                sex=sex, age_band=age_band, groups={"language": language}, department=f"clinic-{number % 4}",
                positive=positive if is_known else None,
                measured=at + timedelta(days=generator.randrange(1, 14)) if is_known else None,
            )
        )  # fmt: skip
    return tuple(sorted(made, key=lambda one: one.at))


def _drawn(generator: random.Random, shares: Sequence[tuple[str, float]]) -> str:
    return generator.choices([name for name, _ in shares], [share for _, share in shares])[0]


def _bin(generator: random.Random, shares: Sequence[float]) -> str:
    drawn = generator.random()
    for number, share in enumerate(shares):
        if (drawn := drawn - share) < 0:
            return str(number)
    return "-"


def _probability(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def months_before(today: date, n: int) -> tuple[str, ...]:
    """The n months that ended 31 days ago or more, the oldest first: all windows of their episodes are over."""
    last = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    found = []
    for _ in range(n):
        last = (last - timedelta(days=1)).replace(day=1)
        found.append(f"{last:%Y-%m}")
    return tuple(reversed(found))


def put_on_record(store: Store, made: Sequence[Episode]) -> None:
    """What calls and later readings of the same people leave in the audit chain."""
    events = []
    for episode in made:
        score = {"model": f"{episode.outcome} {episode.version}", "probability": episode.probability}
        score |= {"shown": episode.shown, "flagged": episode.flagged, "inputs": episode.inputs}
        known = {"sex": episode.sex, "age_band": episode.age_band, "groups": dict(episode.groups)}
        answer = {"service": "depression-suicide-risk", "status": 200, "scores": [score], **known}
        events.append((episode.at, AuditKind.ANSWER, episode, answer | {"department": episode.department}))
        if episode.measured is not None:
            result = {"outcome": episode.outcome, "positive": episode.positive, "on": episode.measured.isoformat()}
            seen = {"what": "read", "measured": [result | {"id": f"r-{episode.patient}"}]}
            events.append((episode.measured, AuditKind.READING, episode, seen))
    with store.transaction() as connection:
        for at, kind, episode, event in sorted(events, key=lambda one: one[0]):
            append(
                connection,
                NewEvent(site=episode.site, kind=kind, at=at.isoformat(), event=event, patient=episode.patient),
            )
