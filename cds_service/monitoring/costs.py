"""What the service cost: computing time, looks at the app, and time until an assessment was written down.

Money only at the site's own prices. Talking with a patient is in none of it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cds_service.burden.figures import Durations, durations
from cds_service.burden.on_record import KNOWN_AFTER
from cds_service.monitoring.episodes import Episode
from cds_service.monitoring.experience import MetEvent
from cds_service.settings.monitoring import Prices

REVIEWED_WITHIN = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """cpu_s: computing seconds per 1,000 hook calls, of those on record with it; None without any.

    prompted: episodes that were flagged and said; reviews: openings of the app for their patients within a day of that.
    to_document: minutes from when it was said to an assessment on file or written in the app, within seven days.
    at_screen: minutes from opening the app to writing there. currency: of the prices; money is None without one.
    """

    calls: int
    cpu_s: float | None
    prompted: int
    reviews: int
    to_document: Durations
    at_screen: Durations
    currency: str = ""
    cpu_money: float | None = None
    screen_money: float | None = None

    @property
    def reviews_each(self) -> float | None:
        """Per flagged episode."""
        return self.reviews / self.prompted if self.prompted else None


def costs(events: Sequence[MetEvent], episodes: Sequence[Episode], prices: Prices) -> Costs:
    """The costs of these events and episodes, of one site and the same days.

    cpu_money: of 1,000 hook calls; screen_money: of one assessment written in the app, at its median time.
    """
    timed = [event.cpu_ms for event in events if event.status and event.cpu_ms]
    cpu_s = sum(timed) / len(timed) if timed else None  # milliseconds a call are seconds a thousand calls
    opened, written = _acts(events, "launched"), _acts(events, "written")
    prompted = [(one, one.seen) for one in episodes if one.flagged and one.seen is not None]
    at_screen = _at_screen(events)
    hour, cpu_hour = prices.clinician_hour, prices.cpu_hour
    return Costs(
        calls=len(timed),
        cpu_s=cpu_s,
        prompted=len(prompted),
        reviews=sum(len(_within(opened[one.patient], seen, REVIEWED_WITHIN)) for one, seen in prompted),
        to_document=durations(
            [minutes for one, seen in prompted if (minutes := _until_written(one, seen, written)) is not None]
        ),
        at_screen=at_screen,
        currency=prices.currency,
        cpu_money=None if cpu_s is None or cpu_hour is None else cpu_s / 3600 * cpu_hour,
        screen_money=None if at_screen.median is None or hour is None else at_screen.median / 60 * hour,
    )


def _acts(events: Sequence[MetEvent], what: str) -> defaultdict[str, list[datetime]]:
    """Patient -> when it was done, in order."""
    found = defaultdict[str, list[datetime]](list)
    for event in events:
        if event.what == what and event.patient:
            found[event.patient].append(event.at)
    return defaultdict(list, {patient: sorted(moments) for patient, moments in found.items()})


def _within(moments: Sequence[datetime], since: datetime, span: timedelta) -> Sequence[datetime]:
    return moments[bisect_left(moments, since) : bisect_left(moments, since + span)]


def _until_written(one: Episode, seen: datetime, written: defaultdict[str, list[datetime]]) -> float | None:
    # A result known by its day alone is of that day's beginning, so one of the card's own day tells no minutes.
    measured = [one.measured] if one.measured is not None and one.measured > seen else []
    found = _within(sorted([*written[one.patient], *measured]), seen, KNOWN_AFTER)
    return (found[0] - seen).total_seconds() / 60 if found else None


def _at_screen(events: Sequence[MetEvent]) -> Durations:
    begun, ended = dict[str, datetime](), dict[str, datetime]()
    for event in events:
        if event.what == "launched":
            begun.setdefault(event.launch, event.at)
        elif event.what == "written":
            ended[event.launch] = event.at
    return durations([(end - begun[key]).total_seconds() / 60 for key, end in ended.items() if key in begun])
