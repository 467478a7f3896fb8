"""What a site may share of its figures: one JSON file without people, which many sites' figures are pooled from.

Counts under eleven, and those that would give such a count away, are withheld (`suppression`). Every other count is
rounded to the nearest 20, so no difference of two files, months or groups is a number of people. A figure leaves only
with 20 people or more with and without the outcome; its standard error is rounded up in steps of 1.4 times, since an
exact one would tell the count behind it. Months are the finest dates. Files may not be cut so that months overlap:
a later one covers other months, or begins in the same month.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import sqlalchemy as sa

from cds_service.monitoring.episodes import LEAST_PEOPLE
from cds_service.monitoring.site_figures import GroupFigures, OutcomeFigures, SiteEstimate, SiteFigures
from cds_service.storage.chain import AuditKind, NewEvent, append
from cds_service.storage.store import Store
from cds_service.storage.tables import audit_event
from models.evaluation.metrics import SCALES, Z_95, Figure

FORMAT: Literal[1] = 1
ROUNDED_TO = 20
LEAST_WITH_FIGURES = 20
STEP = 1.4
MOST_BYTES = 1_000_000
SHARED = "figures"
POSSIBLE = {"auroc": (0.0, 1.0), "slope": (-20.0, 20.0), "o_e": (0.001, 1000.0)}
"""Within which a figure and its interval lie; what is beyond is no figure of a model that somebody uses."""
MOST_EPSILON = 10.0
"""Of all files about the same months together: with more, noise keeps nothing secret."""

Word = Annotated[str, msgspec.Meta(pattern=r"\A[\w][\w .,:'()+/&<>-]{0,59}\Z")]
NoWord = Annotated[str, msgspec.Meta(pattern=r"\A([\w][\w .,:'()+/&<>-]{0,59})?\Z")]
Month = Annotated[str, msgspec.Meta(pattern=r"\A20[0-9]{2}-(0[1-9]|1[0-2])\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, le=100_000_000)]


class SharedFigure(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.value, self.low, self.high))) or not self.low <= self.value <= self.high:
            raise ValueError("expected finite numbers with low <= value <= high")


class SharedOutcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Figures of those with an outcome; None: too few, or not to be had."""

    auroc: SharedFigure | None = None
    slope: SharedFigure | None = None
    o_e: SharedFigure | None = None

    def __post_init__(self) -> None:
        for name, (least, most) in POSSIBLE.items():
            found = getattr(self, name)
            if found is not None and not (least <= found.low and found.high <= most):
                raise ValueError(f"expected {name} from {least:g} to {most:g}")


class SharedGroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A group of people (`by` empty: all); counts are rounded, None: withheld."""

    by: NoWord = ""
    group: NoWord = ""
    people: Count | None = None
    measured: Count | None = None
    positive: Count | None = None
    observed: SharedOutcome = SharedOutcome()


class SharedModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A version of a model. weighted: for who has an outcome and who has none; None: not computed."""

    outcome: Word
    version: Word
    everyone: SharedGroup
    weighted: SharedOutcome | None = None
    groups: Annotated[tuple[SharedGroup, ...], msgspec.Meta(max_length=200)] = ()


class SharedSite(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One file. site: the name that the site chose. epsilon: of all noise in it together; None: without noise."""

    format: Literal[1]
    site: Word
    release: Word
    made: Month
    since: Month
    last: Month
    epsilon: Annotated[float, msgspec.Meta(gt=0)] | None = None
    models: Annotated[tuple[SharedModel, ...], msgspec.Meta(max_length=50)]

    def __post_init__(self) -> None:
        if self.last < self.since:
            raise ValueError("expected `last` not before `since`")


def shared_model(row: SiteFigures) -> SharedModel:
    """What is shared of a version in all its months together."""
    weighted, counts = row.everyone.weighted, row.everyone
    return SharedModel(
        outcome=row.outcome,
        version=row.version,
        everyone=shared_group(counts),
        weighted=None if weighted is None else _outcome(weighted, counts.measured, counts.positive),
        # That a group is there would tell that one of few was: the name of a language, say.
        groups=tuple(shared_group(group) for group in row.groups if group.people is not None),
    )


def shared_group(group: GroupFigures) -> SharedGroup:
    """A group with coarse counts and figures."""
    return SharedGroup(
        by=group.by,
        group=group.group,
        people=coarse(group.people),
        measured=coarse(group.measured),
        positive=coarse(group.positive),
        observed=_outcome(group.observed, group.measured, group.positive),
    )


def shared_noisy(measured: int, positive: int, figures: Mapping[str, Figure | None]) -> SharedGroup:
    """All people from counts with noise, and the figures computed from them; as coarse as the others."""
    observed = {
        name: _figure(name, SiteEstimate(value=figure["value"], low=figure["low"], high=figure["high"]))
        for name, figure in figures.items()
        if figure is not None and figure["value"] is not None
    }
    shown = [None if count < LEAST_PEOPLE else coarse(count) for count in (measured, positive)]
    return SharedGroup(measured=shown[0], positive=shown[1], observed=SharedOutcome(**observed))


def coarse(count: int | None) -> int | None:
    """A count to the nearest 20; None stays."""
    return None if count is None else (count + ROUNDED_TO // 2) // ROUNDED_TO * ROUNDED_TO


def _outcome(found: OutcomeFigures, measured: int | None, positive: int | None) -> SharedOutcome:
    if measured is None or positive is None or min(positive, measured - positive) < LEAST_WITH_FIGURES:
        return SharedOutcome()
    return SharedOutcome(**{name: _figure(name, getattr(found, name)) for name in SCALES})


def _figure(name: str, found: SiteEstimate | None) -> SharedFigure | None:
    """The figure to three places, with an interval that does not tell how many people are behind it."""
    if found is None or found.low is None or found.high is None:
        return None
    there, back = SCALES[name]
    try:
        error = (there(found.high) - there(found.low)) / (2 * Z_95)
        # From the error that 20 with the outcome have on: so the first step too holds many numbers of people.
        largest = LEAST_WITH_FIGURES**-0.5
        half = Z_95 * largest * STEP ** math.ceil(math.log(error / largest, STEP))
        low, high = (back(there(found.value) + side * half) for side in (-1, 1))
        if not (POSSIBLE[name][0] <= low and high <= POSSIBLE[name][1]):
            return None
        return SharedFigure(value=round(found.value, 3), low=round(low, 3), high=round(high, 3))
    except (ValueError, ZeroDivisionError, OverflowError):  # at an end of its scale it has no error
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedBefore:
    """A file that is on record: its first and last month, and its epsilon, None without noise."""

    since: str
    until: str
    epsilon: float | None = None


def shared_before(store: Store, site: str, since: str, last: str) -> list[SharedBefore]:
    """The files about any of these months that are on record. Raises StoreUnavailable."""
    c = audit_event.c
    wanted = sa.select(c.event).where(c.site == site, c.kind == AuditKind.EXPORT.value, c.event.is_not(None))
    with store.transaction() as connection:
        events = [msgspec.json.decode(row) for row in connection.scalars(wanted.order_by(c.seq))]
    files = (msgspec.convert(event, SharedBefore) for event in events if event["what"] == SHARED)
    return [file for file in files if file.since <= last and since <= file.until]


def refused(since: str, last: str, epsilon: float | None, before: Sequence[SharedBefore]) -> str | None:
    """Why a file may not be written beside those before it, about any of the same months. None if it may."""
    odd = next((file for file in before if file.since != since), None)
    if odd is not None:
        return (
            f"{since} to {last} overlaps {odd.since} to {odd.until}, which was shared before: few people might be told "
            f"by subtraction. Take other months, or begin with {odd.since} again."
        )
    if epsilon is None or not before:
        return None
    if any(file.epsilon is None for file in before):
        return f"{since} to {last}: these months were shared without noise before, so noise keeps nothing secret"
    spent = sum(file.epsilon or 0 for file in before)
    if spent + epsilon > MOST_EPSILON:
        return f"--epsilon: expected at most {MOST_EPSILON:g} for all files of these months; {spent:g} went before"
    return None


def record_shared(store: Store, site: str, file: SharedSite, by: str, now: datetime) -> None:
    """Puts on record that figures leave, before they do. Raises StoreUnavailable."""
    event: dict[str, object] = {
        "what": SHARED,
        "format": str(FORMAT),
        "by": by,
        "site": site,
        "since": file.since,
        "until": file.last,
    }
    event["count"] = len(file.models)
    if file.epsilon is not None:
        event["epsilon"] = file.epsilon
    with store.transaction() as connection:
        append(connection, NewEvent(site=site, kind=AuditKind.EXPORT, at=now.isoformat(), event=event))


def read_shared(path: Path) -> SharedSite:
    """A file of a site, which is not trusted. Raises ValueError with a message."""
    expected = f"{path.name}: expected a file of `mhcds evaluate-site` of format {FORMAT}"
    try:
        with path.open("rb") as file:
            body = file.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            raise ValueError(f"{expected} of at most {MOST_BYTES:,} bytes; found more")
        return msgspec.json.decode(body, type=SharedSite)
    except OSError as error:
        raise ValueError(f"{expected}; it cannot be read ({error.strerror})") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        found = "".join(letter for letter in str(error)[:200] if letter.isprintable())
        raise ValueError(f"{expected}; found otherwise: {found}") from error


def ambiguous(files: Sequence[SharedSite]) -> str | None:
    """Why these cannot be pooled together: people would count twice. None if they can."""
    for at, one in enumerate(files):
        for other in files[:at]:
            if one.site == other.site and one.since <= other.last and other.since <= one.last:
                return (
                    f"expected each month of a site once; found two files of {one.site}, "
                    f"{other.since} to {other.last} and {one.since} to {one.last}: give one of them"
                )
    return None
