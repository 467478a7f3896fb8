"""The figures of a site, all of its models, versions and months, as the daily job and `mhcds monitor` compute them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import groupby
from pathlib import Path

from cds_service.burden.figures import Durations, durations
from cds_service.burden.on_record import EventOnRecord, Window, first_of_month, on_record, opted_out, recorded
from cds_service.monitoring.counting import Weigh, site_figures
from cds_service.monitoring.episodes import Episode
from cds_service.monitoring.month_counts import Reference, by_month
from cds_service.monitoring.site_figures import ALL_MONTHS, SiteFigures
from cds_service.settings.sites import SiteConfig
from cds_service.storage.chain import AuditKind
from cds_service.storage.store import Store
from fhir_adapters.facts import Consent
from models.errors import ArtifactError
from models.rules.findings import Topic
from models.scoring.registry import MANIFEST, SHIPPED, load_json, the_version

MONTHS = 12
ByOutcome = dict[str, dict[str, dict[str, int | None]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionFacts:
    """What figures need of a version: the threshold in force, None and nothing where its files are not to be had."""

    threshold: float | None = None
    reference: Reference = ()


class UnscoredAnswer(EventOnRecord, kw_only=True):
    """What is read of an answer here: outcome and reason of each model that gave no estimate."""

    not_scored: tuple[str, ...] = ()


def closed_months(site: SiteConfig, now: datetime) -> Window:
    """The latest twelve whole months whose outcome windows have all passed, as far back as the site keeps events.

    So figures change once a month, and not from day to day by one person.
    """
    until = (site.day(now) - timedelta(days=site.monitoring.outcome_days)).replace(day=1)
    since = first_of_month(until, months_back=MONTHS)
    if site.audit_days is not None:
        kept = site.day(now) - timedelta(days=site.audit_days)
        since = max(since, (kept.replace(day=1) + timedelta(days=31)).replace(day=1))
    return Window(since=min(since, until), until=until)


def as_of_closing(site: SiteConfig, episodes: Sequence[Episode], window: Window) -> tuple[Episode, ...]:
    """The episodes of these months, with the outcomes that were known when the last of them closed."""
    closed = window.until + timedelta(days=site.monitoring.outcome_days)
    return tuple(
        one if one.known is None or site.day(one.known) < closed else replace(one, positive=None, measured=None)
        for one in episodes
        if window.holds(date.fromisoformat(f"{one.month}-01"))
    )


def version_facts(root: Path | None, site: SiteConfig, outcome: str, version: str) -> VersionFacts:
    """From the artifact's own files; nothing is scored with it, so its boosters are not loaded."""
    try:
        folder = the_version((root or SHIPPED) / outcome, version)
        manifest, trained_on = load_json(folder / MANIFEST), load_json(folder / "reference.json")
        names = [spec["name"] for spec in load_json(folder / "schema.json")["features"]]
        default = float(manifest["operating_points"][manifest["default_flag_rate"]])
        reference = tuple((name, trained_on[name]) for name in names)
    except (ArtifactError, KeyError, TypeError, ValueError):
        return VersionFacts()
    return VersionFacts(threshold=site.thresholds.by_outcome.get(outcome, default), reference=reference)


def figures_of_site(
    store: Store,
    site: SiteConfig,
    window: Window,
    episodes: Sequence[Episode],
    now: datetime,
    *,
    facts: Callable[[str, str], VersionFacts],
    weigh: Weigh | None,
) -> tuple[SiteFigures, ...]:
    """By outcome and version, all months together first.

    window: whole months, of which those that are closed count. facts: of outcome and version. Raises StoreUnavailable.
    """
    key, closed = _outcome_and_version, closed_months(site, now)
    window = Window(since=window.since, until=min(window.until, closed.until))
    ordered = sorted(as_of_closing(site, episodes, window), key=key)
    if not ordered:
        return ()
    not_scored, to_act = _not_scored(store, site, window), _to_act(store, site, window)
    found = []
    for (outcome, version), own in groupby(ordered, key):
        known = facts(outcome, version)
        rows = site_figures(tuple(own), threshold=known.threshold, now=now, reference=known.reference, weigh=weigh)
        unscored = not_scored.get(outcome, {})
        found += [replace(row, not_scored=unscored.get(row.month, {}), to_act=to_act.get(row.month)) for row in rows]
    return tuple(found)


def _outcome_and_version(episode: Episode) -> tuple[str, str]:
    return episode.outcome, episode.version


def _not_scored(store: Store, site: SiteConfig, window: Window) -> ByOutcome:
    """Outcome -> month -> reason -> answers. Nobody who opted out is included."""
    out = opted_out(store, site.id)
    events = [event for _, event in recorded(store, site.id, window.since, (AuditKind.ANSWER.value,), UnscoredAnswer)]
    out |= {event.patient for event in events if event.consent == Consent.OPTED_OUT and event.patient}
    counts: dict[str, dict[str, dict[str, list[str]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for event in events:
        if event.patient and event.patient not in out and window.holds(site.day(event.at)):
            for outcome, _, reason in (one.partition(" ") for one in event.not_scored):
                counts[outcome][f"{site.day(event.at):%Y-%m}"][reason].append(event.patient)
    return {outcome: by_month(own) for outcome, own in counts.items()}


def _to_act(store: Store, site: SiteConfig, window: Window) -> Mapping[str, Durations]:
    """Month -> from a prompt to what was done about it, of those that are not withheld; an act counts once."""
    minutes: dict[str, list[float]] = defaultdict(list)
    people: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    seen = set[tuple[str | None, datetime]]()
    for card in on_record(store, site, window).cards:
        act = (card.answer.patient, card.acted) if card.acted else None
        if card.topic == Topic.SCREENING_PROMPT and card.acted and act and act not in seen:
            seen.add(act)
            for month in (ALL_MONTHS, f"{site.day(card.answer.at):%Y-%m}"):
                minutes[month].append((card.acted - card.answer.at).total_seconds() / 60)
            people[f"{site.day(card.answer.at):%Y-%m}"]["acted"].append(card.answer.patient or "")
    counted = by_month(people)
    return {month: durations(taken) for month, taken in minutes.items() if counted[month].get("acted") is not None}
