"""The stop rule: a model whose cards few clinicians accept goes silent at its site, until a person sets it back.

It counts the latest cards that a model prompted and of which it is known what came of them: they have feedback, or are
7 days old. Cards of before a person last set the model's mode do not count, so the same cards never stop it twice. A
site that has never sent feedback has no acceptance to go by. Rules and their cards are no model's: it stops none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

import sqlalchemy as sa

from cds_service.burden.on_record import KNOWN_AFTER
from cds_service.control.acts import ModeRow, modes_in, put_modes
from cds_service.control.targets import SPEAKING, Mode, default_mode
from cds_service.control.version import lock
from cds_service.incidents.incidents import SERVICE, Fact, NewIncident, open_incident
from cds_service.incidents.kinds import IncidentKind
from cds_service.settings.alerts import StopRule
from cds_service.settings.config import ServiceConfig
from cds_service.settings.sites import SiteConfig
from cds_service.storage.store import Store
from cds_service.storage.tables import card, feedback, opt_out
from explanations.judgement.assessment import Engine
from models.scoring.registry import Model

THROUGH = "stop rule"
ACCEPTED = "accepted"


def apply_stop_rule(store: Store, config: ServiceConfig, engine: Engine, now: datetime) -> None:
    """Sets to silent whatever has to stop; of several workers one does. Raises StoreUnavailable."""
    for site in config.sites:
        for model in site.models_of(engine) if site.alerts.stop.cards else ():
            _apply(store, site, model, governed=config.governed(site.id), now=now)


def _apply(store: Store, site: SiteConfig, model: Model, *, governed: bool, now: datetime) -> None:
    rule = site.alerts.stop
    with store.transaction() as connection:
        if _stopped_by(connection, site, model, rule, governed=governed, now=now) is None:
            return
    # Only now the lock, and the count again: another worker may have stopped it, or a person set its mode, meanwhile.
    with store.transaction() as connection:
        lock(connection)
        found = _stopped_by(connection, site, model, rule, governed=governed, now=now)
        if found is None:
            return
        speaking, since, accepted = found
        reason = f"{accepted} of the last {rule.cards} cards were accepted, fewer than {rule.acceptance:.0%}"
        silent = partial(replace, mode=Mode.SILENT, at=now, by=SERVICE, through=THROUGH, reason=reason, approval="")
        put_modes(connection, [(silent(row), row) for row in speaking])
        facts: dict[str, Fact] = {"outcome": model.outcome, "version": model.version, "cards": rule.cards}
        facts |= {"accepted": accepted, "limit": rule.acceptance} | ({"since": since.isoformat()} if since else {})
        occasion = f"stop-rule:{site.id}:{model.outcome}:{model.version}"
        open_incident(
            connection,
            NewIncident(site=site.id, kind=IncidentKind.STOP_RULE, occasion=occasion, facts=facts),
            now,
        )


def _stopped_by(
    connection: sa.Connection, site: SiteConfig, model: Model, rule: StopRule, *, governed: bool, now: datetime
) -> tuple[Sequence[ModeRow], datetime | None, int] | None:
    """The modes that have to go silent, since when cards count, and how many were accepted; None where none has to."""
    of_all = ModeRow(
        site=site.id, service="", outcome=model.outcome, version=model.version,
        mode=default_mode(governed=governed), at=now,
    )  # fmt: skip
    rows = [row for row in modes_in(connection) if replace(row, service="").key == of_all.key]
    since = max((row.at for row in rows), default=None)
    recorded = {row.service: row for row in rows}
    speaking = [row for row in ({"": of_all} | recorded).values() if row.mode in SPEAKING]
    if not speaking:
        return None
    taken = _taken(connection, site.id, f"{model.outcome} {model.version}", rule.cards, since, now)
    if len(taken) < rule.cards or sum(taken) >= rule.acceptance * rule.cards:
        return None
    return speaking, since, sum(taken)


def _taken(
    connection: sa.Connection, site: str, model: str, most: int, since: datetime | None, now: datetime
) -> Sequence[bool]:
    """Of each of the latest cards of a model that count, whether it was accepted; none where no feedback ever came."""
    c = card.c
    if connection.execute(sa.select(feedback.c.id).where(feedback.c.site == site).limit(1)).first() is None:
        return ()
    said = sa.select(feedback.c.id).where(feedback.c.card == c.uuid)
    out = c.patient.in_(sa.select(opt_out.c.patient).where(opt_out.c.site == site))
    counted = sa.select(sa.exists(said.where(feedback.c.outcome == ACCEPTED))).where(
        c.site == site,
        ("," + c.prompted + ",").contains(f",{model},", autoescape=True),
        sa.or_(sa.exists(said), c.at <= int((now - KNOWN_AFTER).timestamp())),
        c.at > (int(since.timestamp()) if since else 0),
        ~out,
    )
    return connection.scalars(counted.order_by(c.answer.desc()).limit(most)).all()
