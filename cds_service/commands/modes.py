"""What `mhcds mode` does: how far each model goes at each site, and the answers to review."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
import sqlalchemy as sa

from cds_service.commands.options import opened, print_done, print_json
from cds_service.commands.terminal import print_table
from cds_service.control.acts import ModeRow, modes, moment_words, set_mode
from cds_service.control.approved import approval_of, unmet_words, verdict_of
from cds_service.control.targets import SPEAKING, Known, Mode, default_mode, expect, known_of
from cds_service.serving.runtime import now_utc
from cds_service.settings.approvals import ApprovedModel
from cds_service.settings.config import ServiceConfig
from cds_service.storage.chain import AuditKind
from cds_service.storage.store import Store
from cds_service.storage.tables import audit_event, opt_out
from models.inputs.outcomes import OUTCOMES
from models.scoring.registry import MANIFEST, SHIPPED, sha256


def change(folder: Path, wanted: ModeRow, share: float | None, *, as_json: bool) -> None:
    """Sets a mode. wanted: as asked for, without a version or an approval where none was named."""
    with opened(folder, ready=True) as (config, store):
        known = known_of(config)
        expect("site", wanted.site, known.sites)
        expect("approval", wanted.approval, ("", *(one.id for one in config.approvals)))
        row = replace(wanted, version=known.version(wanted.site, wanted.outcome, wanted.version))
        if share is not None:
            row = replace(row, review=share) if row.mode is Mode.REVIEW else replace(row, share=share)
        artifact, today = _artifact(config, row.outcome, row.version), config.site(row.site).day(row.at)
        valid, unmet = approval_of(config, row.site, row.service, artifact, row.mode, today)
        done = set_mode(store, replace(row, approval=row.approval or valid), known=known, unmet=unmet)
    print_done(done, as_json=as_json)


def _artifact(config: ServiceConfig, outcome: str, version: str) -> ApprovedModel:
    folder = (config.models or SHIPPED) / outcome / version
    return ApprovedModel(outcome=outcome, version=version, digest=sha256(folder / MANIFEST))


def show(folder: Path, *, as_json: bool) -> None:
    """Every recorded mode, and that of each model in use without one."""
    with opened(folder, ready=True) as (config, store):
        rows = list(_rows(config, known_of(config), modes(store)))
    if as_json:
        print_json(rows)
        return
    headings = ("site", "model", "mode", "who may see it", "since, by", "approval")
    print_table(headings, map(_line, rows), whole=("model",))


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    model = f"{row['model']},\n{row['service']}" if row["service"] else row["model"]
    since = f"{row['since']}, {row['by']}" if row["since"] else row["by"]
    return row["site"], model, row["mode"], row["extent"], since, row["approval"]


def _rows(config: ServiceConfig, known: Known, recorded: tuple[ModeRow, ...]) -> Iterator[dict[str, Any]]:
    for site in config.sites:
        used = {(outcome, known.version(site.id, outcome, "")) for outcome in OUTCOMES if known.models[outcome]}
        governed = config.governed(site.id)
        here = [row for row in recorded if row.site == site.id]
        for outcome, version in sorted(used - {(row.outcome, row.version) for row in here if not row.service}):
            mode = default_mode(governed=governed)
            known_row = {"site": site.id, "service": "", "model": f"{outcome} {version}", "mode": mode, "extent": ""}
            yield known_row | {"since": "", "by": "by default", "approval": "" if governed else "none needed"}
        for row in here:
            artifact = _artifact(config, row.outcome, row.version) if row.version in known.models[row.outcome] else None
            yield {
                "site": site.id,
                "service": row.service,
                "model": f"{row.outcome} {row.version}",
                "mode": row.mode,
                "extent": _extent(row),
                "since": moment_words(row.at),
                "by": row.by,
                "reason": row.reason,
                "approval": _approval(config, row, artifact, site.day(now_utc())),
            }


def _extent(row: ModeRow) -> str:
    if row.mode is Mode.REVIEW:
        return f"nobody ({row.review:.0%} for review)"
    share = [f"{row.share:.0%} of patients"] if row.share else []
    return ", ".join((*row.users, *row.departments, *share)) if row.mode is Mode.PILOT else ""


def _approval(config: ServiceConfig, row: ModeRow, artifact: ApprovedModel | None, today: date) -> str:
    if artifact is None:
        return "this version is no longer here"
    if row.mode not in SPEAKING or not config.governed(row.site):
        return row.approval
    verdict = verdict_of(config, row.site, artifact, row.mode, today, row.service)
    return unmet_words(verdict) or f"{verdict.approval.id if verdict.approval else ''}"


def review(folder: Path, site: str, since: datetime | None, *, as_json: bool) -> None:
    """The answers of a site in the sample for review: time, pseudonym, scores. Patients who opted out are left out."""
    with opened(folder, ready=True) as (config, store):
        found = list(_for_review(store, config.site(site).id, since))
    if as_json:
        for row in found:
            click.echo(msgspec.json.encode(row).decode())
        return
    if not found:
        click.echo("No answer is in the sample for review.")
        return
    scores = (", ".join(f"{score['model']}: {score['probability']:.0%}" for score in row["scores"]) for row in found)
    rows = ((row["at"], row["patient"], said) for row, said in zip(found, scores, strict=True))
    print_table(("time", "patient (pseudonym)", "estimates"), rows, whole=("patient (pseudonym)",))
    click.echo("Recorded, not shown. mhcds db pseudonym finds a patient’s.")


def _for_review(store: Store, site: str, since: datetime | None) -> Iterator[dict[str, Any]]:
    event = audit_event.c.event
    wanted = sa.select(audit_event.c.at, audit_event.c.patient, event).where(
        audit_event.c.site == site,
        audit_event.c.kind == AuditKind.ANSWER.value,
        audit_event.c.at >= (since.date().isoformat() if since else ""),
        event.like('%"review":["%'),
        ~sa.exists().where(opt_out.c.site == site, opt_out.c.patient == audit_event.c.patient),
    )
    with store.transaction(patient=True) as connection:
        for row in connection.execute(wanted.order_by(audit_event.c.seq)):
            said = msgspec.json.decode(row.event)
            scores = [score for score in said["scores"] if score["model"] in said["review"]]
            yield {"at": row.at, "patient": row.patient, "scores": scores}
