"""Approvals: which model a site lets speak, who answers for it, until when, and what would end it; `approvals/*.toml`.

A model is named by the digest of its artifact, so that no other one speaks under its approval. What is wrong in a file
is a problem like any other of the settings. What time or a new artifact brings about (expired, another digest) is not:
the service starts, the rules speak, and the model keeps silent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from cds_service.settings.files import read_toml
from cds_service.settings.service_ids import ServiceId
from cds_service.settings.shapes import lacking, numbered, one_of, shown
from models.inputs.outcomes import Outcome

T = TypeVar("T")
DIGEST = re.compile(r"[0-9a-f]{64}")
MOST_NAME = 200
MOST_WINDOW_DAYS = 3650


class Use(StrEnum):
    """What a model may be used for."""

    SILENT = "silent"
    PILOT = "pilot"
    TRIAL = "trial"
    LIVE = "live"


class Measure(StrEnum):
    """What a criterion is about, over its window, for the model's outcome at the site."""

    SCORED_SHARE = "scored-share"  # calls with an estimate, of all calls
    FLAG_RATE = "flag-rate"  # estimates at or above the threshold, of all estimates
    OVERRIDE_SHARE = "override-share"  # the model's cards overridden, of those with feedback
    ACCEPTED_SHARE = "accepted-share"  # the model's cards with an accepted suggestion, of those with feedback
    NEAR_MISSES = "near-misses"  # reports from the app, a number
    POSITIVE_PREDICTIVE_VALUE = "positive-predictive-value"  # these three need outcomes from the site
    SENSITIVITY = "sensitivity"
    OBSERVED_TO_EXPECTED = "observed-to-expected"


class ModelTable(msgspec.Struct):
    """`[[model]]`."""

    outcome: Outcome | None = None
    version: str = ""
    digest: str = ""


class CriterionTable(msgspec.Struct):
    """`[[success]]` and `[[exit]]`."""

    measure: Measure | None = None
    at_least: float | None = None
    at_most: float | None = None
    least_n: int = 0
    window_days: int = 0
    text: str = ""


class ApprovalFile(msgspec.Struct):
    """`approvals/<name>.toml`."""

    id: str = ""
    version: str = ""
    sites: list[str] = []
    services: list[ServiceId] = []
    owner: str = ""
    clinical_safety_officer: str = ""
    approved_on: date | None = None
    review_by: date | None = None
    uses: list[Use] = []
    model: list[ModelTable] = []
    success: list[CriterionTable] = []
    exit: list[CriterionTable] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedModel:
    """A model by its artifact; digest: SHA-256 of its manifest.json (`Model.digest`)."""

    outcome: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """A measure to compare once `least_n` cases fell into the last `window_days` days; text: the same for people."""

    measure: Measure
    comparison: Literal["at-least", "at-most"]
    value: float
    least_n: int
    window_days: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One approval. version: of the file. services: none for every one. review_by: its last day at the site.

    uses: exactly these; being approved for live use says nothing of a pilot.
    """

    id: str
    version: str
    sites: tuple[str, ...]
    services: tuple[str, ...]
    owner: str
    clinical_safety_officer: str
    approved_on: date
    review_by: date
    uses: tuple[Use, ...]
    models: tuple[ApprovedModel, ...]
    success: tuple[Criterion, ...]
    exits: tuple[Criterion, ...]


class ApprovalState(StrEnum):
    """Whether a model may speak by its approvals, or what comes nearest: the first one is the best."""

    VALID = "valid"
    NOT_YET = "not-yet"
    EXPIRED = "expired"
    OTHER_USE = "other-use"
    OTHER_ARTIFACT = "other-artifact"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalVerdict:
    """The state, and the approval that it is of; None where none is for the outcome at this site and service."""

    state: ApprovalState
    approval: Approval | None = None

    @property
    def is_valid(self) -> bool:
        """Whether the model may speak."""
        return self.state is ApprovalState.VALID


def approval_verdict(
    approvals: Iterable[Approval],
    *,
    site: str,
    service: str,
    outcome: str,
    version: str,
    digest: str,
    use: Use,
    today: date,
) -> ApprovalVerdict:
    """The best that any approval says of this artifact. service: "" for all at once; today: by the site's calendar."""
    found = [
        ApprovalVerdict(state=state, approval=approval)
        for approval in approvals
        if site in approval.sites and (not approval.services or service in approval.services)
        if (state := _state(approval, outcome, version, digest, use, today)) is not ApprovalState.MISSING
    ]
    order = list(ApprovalState)
    missing = ApprovalVerdict(state=ApprovalState.MISSING)
    return min(found, key=lambda verdict: order.index(verdict.state), default=missing)


def _state(approval: Approval, outcome: str, version: str, digest: str, use: Use, today: date) -> ApprovalState:
    if not any(model.outcome == outcome for model in approval.models):
        return ApprovalState.MISSING
    if ApprovedModel(outcome=outcome, version=version, digest=digest) not in approval.models:
        return ApprovalState.OTHER_ARTIFACT
    if use not in approval.uses:
        return ApprovalState.OTHER_USE
    if today > approval.review_by:
        return ApprovalState.EXPIRED
    return ApprovalState.NOT_YET if today < approval.approved_on else ApprovalState.VALID


def load_approvals(folder: Path, sites: Iterable[str], problems: list[str]) -> tuple[Approval, ...]:
    """Those in the folder's `approvals/*.toml` that can be used; each problem is appended. sites: the ids there are."""
    known = tuple(sites)
    paths = sorted((folder / "approvals").glob("*.toml"))
    read = {path: approval for path in paths if (approval := _load(path, known, problems)) is not None}
    for name in sorted({approval.id for approval in read.values()}):
        files = [path.name for path, approval in read.items() if approval.id == name]
        if len(files) > 1:
            problems.append(
                f"{folder / 'approvals'}: id: {' and '.join(files)} have {shown(name)}; give each approval its own, "
                "or raise version in the one file"
            )
    return tuple(read.values())


CRITERION = "expected at least one table, with measure, at_least or at_most, least_n, window_days and text"
REQUIRED = {
    "id": "expected a name that stays, such as depression-2027",
    "version": 'expected the version of this file, such as "1"',
    "sites": "expected the ids of the sites it is for",
    "owner": "expected who owns the model at the site",
    "clinical_safety_officer": "expected who judged that it is safe to use",
    "approved_on": "expected a date such as 2026-11-30",
    "review_by": "expected the last day on which it holds, such as 2027-05-31",
    "uses": f"expected some of {', '.join(Use)}",
    "model": "expected a table [[model]] with outcome, version and digest, as mhcds check-config prints it",
    "success": f"{CRITERION}: when it was worth it",
    "exit": f"{CRITERION}: when to stop the model",
}


def _load(path: Path, sites: tuple[str, ...], problems: list[str]) -> Approval | None:
    before = len(problems)
    raw = read_toml(path, ApprovalFile, problems)
    if raw is None:
        return None
    for key, expected in REQUIRED.items():
        value = getattr(raw, key)
        if not value:
            lacking(problems, f"{path}: {key}", f"{expected}; found none")
        elif isinstance(value, str) and not _is_name(value):
            problems.append(f"{path}: {key}: expected 1 to {MOST_NAME} printable characters")
    problems += [
        f"{path}: sites: expected {one_of(sites, site)}; found {shown(site)}" for site in raw.sites if site not in sites
    ]
    if raw.approved_on and raw.review_by and raw.review_by < raw.approved_on:
        problems.append(
            f"{path}: review_by: expected a day from approved_on on, {raw.approved_on}; found {raw.review_by}, so this "
            "was signed after its end"
        )
    found = [_model(where, table, problems) for where, table in _each(path, "model", raw.model)]
    success = [_criterion(where, table, problems) for where, table in _each(path, "success", raw.success)]
    exits = [_criterion(where, table, problems) for where, table in _each(path, "exit", raw.exit)]
    if len(problems) > before or raw.approved_on is None or raw.review_by is None:
        return None
    return Approval(
        id=raw.id,
        version=raw.version,
        sites=tuple(raw.sites),
        services=tuple(raw.services),
        owner=raw.owner,
        clinical_safety_officer=raw.clinical_safety_officer,
        approved_on=raw.approved_on,
        review_by=raw.review_by,
        uses=tuple(raw.uses),
        models=tuple(found),
        success=tuple(success),
        exits=tuple(exits),
    )


def _is_name(text: str) -> bool:
    return bool(text.strip()) and len(text) <= MOST_NAME and text.isprintable()


def _each(path: Path, name: str, tables: list[T]) -> Iterator[tuple[str, T]]:
    return ((f"{path}: {numbered(f'[[{name}]]', n, len(tables))}", table) for n, table in enumerate(tables))


def _model(where: str, raw: ModelTable, problems: list[str]) -> ApprovedModel:
    if raw.outcome is None:
        lacking(problems, f"{where} outcome", f"expected {one_of(Outcome)}; found none")
    if not _is_name(raw.version):
        lacking(problems, f"{where} version", f'expected a version such as "3.0.0"; found {shown(raw.version)}')
    if not DIGEST.fullmatch(raw.digest):
        expected = "expected 64 digits in hex, as mhcds check-config prints them"
        lacking(problems, f"{where} digest", f"{expected}; found {shown(raw.digest)}")
    return ApprovedModel(outcome=str(raw.outcome), version=raw.version, digest=raw.digest)


def _criterion(where: str, raw: CriterionTable, problems: list[str]) -> Criterion:
    if raw.measure is None:
        lacking(problems, f"{where} measure", f"expected {one_of(Measure)}; found none")
    if (raw.at_least is None) == (raw.at_most is None):
        found = "neither" if raw.at_least is None else "both"
        problems.append(f"{where}: expected at_least or at_most; found {found}")
    for name, value in (("at_least", raw.at_least), ("at_most", raw.at_most)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            problems.append(f"{where} {name}: expected 0 or more (a share is 0 to 1); found {value}")
    if raw.least_n < 1:
        lacking(problems, f"{where} least_n", f"expected the number of cases it needs, 1 or more; found {raw.least_n}")
    if not 0 < raw.window_days <= MOST_WINDOW_DAYS:
        expected = f"expected the number of days it is counted over, 1 to {MOST_WINDOW_DAYS}"
        lacking(problems, f"{where} window_days", f"{expected}; found {raw.window_days}")
    if not raw.text.strip():
        lacking(problems, f"{where} text", "expected the same in a sentence for people; found none")
    return Criterion(
        measure=raw.measure or Measure.SCORED_SHARE,
        comparison="at-most" if raw.at_least is None else "at-least",
        value=(raw.at_most if raw.at_least is None else raw.at_least) or 0.0,
        least_n=raw.least_n,
        window_days=raw.window_days,
        text=raw.text,
    )
