"""Criteria that act: a model that breaches an exit criterion goes silent at its site, until a person sets it back.

Of several workers one demotes, by a recorded act with an incident, as the stop rule does. A model that speaks to nobody
is evaluated too, and there is nothing to demote. Rules are no model's: no criterion concerns them.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sa

from cds_service.burden.on_record import KNOWN_AFTER, EventOnRecord, opted_out, recorded
from cds_service.burden.stop_rule import ACCEPTED
from cds_service.control.acts import MOST_REASON, NEVER, ModeRow, modes_in, put_modes
from cds_service.control.targets import Mode, default_mode
from cds_service.control.version import lock
from cds_service.incidents.incidents import SERVICE, Fact, NewIncident, open_incident
from cds_service.incidents.kinds import IncidentKind
from cds_service.monitoring.criteria import CriterionState, ModelCriteria, Watched, WatchedCall, WatchedCard, evaluated
from cds_service.monitoring.episodes import Episode
from cds_service.settings.approvals import Approval, ApprovedModel, Measure
from cds_service.settings.config import ServiceConfig
from cds_service.settings.service_ids import ASK_MODELS
from cds_service.settings.sites import SiteConfig
from cds_service.storage.chain import AuditKind
from cds_service.storage.store import Store
from cds_service.storage.tables import card, feedback, incident
from explanations.judgement.assessment import Engine
from fhir_adapters.facts import Consent
from models.scoring.registry import Model
from models.scoring.risk import NotScoredReason

log = logging.getLogger("mhcds")
THROUGH, OK = "exit criterion", 200
UNHEARD = (Mode.OFF, Mode.SILENT, Mode.REVIEW)
# Calls that say nothing of the model: it was not asked, or nobody may or need estimate anything of this person.
NOT_COUNTED = (
    NotScoredReason.OFF,
    NotScoredReason.SWITCHED_OFF,
    NotScoredReason.CONTROL_UNKNOWN,
    NotScoredReason.DECEASED,
    NotScoredReason.UNDER_AGE,
    NotScoredReason.OPTED_OUT,
    NotScoredReason.CONSENT_DENIED,
    NotScoredReason.ANSWERED,
)
OF_CARDS = {Measure.ACCEPTED_SHARE, Measure.OVERRIDE_SHARE}
Modes = dict[str, ModeRow]
EpisodesOf = Callable[[SiteConfig], Sequence[Episode]]


def apply_criteria(
    store: Store, config: ServiceConfig, engine: Engine, episodes_of: EpisodesOf, now: datetime
) -> tuple[ModelCriteria, ...]:
    """Evaluates the criteria of every model that a valid approval names, and demotes where an exit is breached.

    One that cannot be evaluated is a line in the log, and keeps none of the others from acting. What is returned is as
    it was before, without figures that are not to be published.
    """
    found = []
    for site in config.sites:
        for model in site.models_of(engine):
            for approval in config.approvals:
                if not _is_named(approval, site, model, site.day(now)):
                    continue
                said = {"site": site.id, "model": f"{model.outcome} {model.version}", "approval": approval.id}
                try:
                    one, rows = evaluated_at(store, site, model, approval, episodes_of, now)
                    if one.breached and _demoted(store, one, rows, now):
                        measures = [state.criterion.measure for state in one.breached]
                        log.error(json.dumps({"event": "exit-criterion-breached", **said, "measures": measures}))
                except Exception as error:  # noqa: BLE001  # whatever is wrong with one, the others must act
                    log.error(json.dumps({"event": "criteria-not-evaluated", **said, "why": type(error).__name__}))
                else:
                    found.append(one.published)
    return tuple(found)


def evaluated_at(  # all that a look rests on
    store: Store, site: SiteConfig, model: Model, approval: Approval, episodes_of: EpisodesOf, now: datetime
) -> tuple[ModelCriteria, Modes]:
    """A model's criteria by one approval, and the modes by which they were evaluated. Raises StoreUnavailable."""
    with store.transaction() as connection:
        rows = _modes_of(connection, site.id, model.outcome, model.version)
    begins = _begins(rows, site, approval)
    episodes = [one for one in episodes_of(site) if (one.outcome, one.version) == (model.outcome, model.version)]
    watched = replace(_watched(store, site, model, approval, begins), episodes=episodes)
    found = ModelCriteria(
        site=site.id, outcome=model.outcome, version=model.version, approval=approval.id,
        mode=rows[""].mode, begins=begins, states=evaluated(approval, watched, begins, now),
    )  # fmt: skip
    return found, rows


# ---- acting -------------------------------------------------------------------------------------------------------


def _demoted(store: Store, found: ModelCriteria, seen: Modes, now: datetime) -> bool:
    """Whether this process set it to silent. seen: the modes by which it was evaluated."""
    with store.transaction() as connection:
        # Under the lock, and the modes again: another process may have demoted it, or a person set its mode, meanwhile.
        lock(connection)
        criteria = [state.criterion for state in found.breached]
        heard = [row for row in seen.values() if row.mode not in UNHEARD]
        if not heard or _modes_of(connection, found.site, found.outcome, found.version) != seen:
            return False
        passed = ", ".join(f"{one.measure} {one.comparison} {one.value:g}" for one in criteria)
        reason = f"exit criterion of approval {found.approval}: {passed}"[:MOST_REASON]
        silent = partial(replace, mode=Mode.SILENT, at=now, by=SERVICE, through=THROUGH, reason=reason, approval="")
        put_modes(connection, [(silent(row), row) for row in heard])
        for state in found.breached:
            open_incident(connection, _incident(found, state), now)
    return True


def _incident(found: ModelCriteria, state: CriterionState) -> NewIncident:
    criterion = state.criterion
    facts: dict[str, Fact] = {"outcome": found.outcome, "version": found.version, "approval": found.approval}
    facts |= {"measure": criterion.measure.value, "comparison": criterion.comparison, "limit": criterion.value}
    facts |= {"value": round(state.figure or 0.0, 4), "n": state.n or 0, "since": state.begins.isoformat()}
    occasion = f"exit-criterion:{found.site}:{found.outcome}:{found.version}:{criterion.measure}"
    return NewIncident(site=found.site, kind=IncidentKind.EXIT_CRITERION, occasion=occasion, facts=facts)


def _modes_of(connection: sa.Connection, site: str, outcome: str, version: str) -> Modes:
    """Service -> the mode of a version, "" for all of them: the default where none was set, as the site is governed."""
    mode = default_mode(governed=True)
    default = ModeRow(site=site, service="", outcome=outcome, version=version, mode=mode, at=NEVER)
    rows = [row for row in modes_in(connection) if replace(row, service="").key == default.key]
    return {"": default} | {row.service: row for row in rows}


def _begins(rows: Modes, site: SiteConfig, approval: Approval) -> datetime:
    """When the first window begins. A service that was set to silent begins nothing for the others."""
    approved = datetime.combine(approval.approved_on, time(), site.cards.zone).astimezone(UTC)
    return max(approved, *(row.at for service, row in rows.items() if not service or row.mode not in UNHEARD))


def _is_named(approval: Approval, site: SiteConfig, model: Model, today: date) -> bool:
    """Whether a valid approval names this artifact, for whatever use."""
    named = ApprovedModel(outcome=model.outcome, version=model.version, digest=model.digest)
    return (
        site.id in approval.sites and named in approval.models and approval.approved_on <= today <= approval.review_by
    )


# ---- reading ------------------------------------------------------------------------------------------------------


class _ModelScore(msgspec.Struct):
    model: str = ""


class _CallOnRecord(EventOnRecord, kw_only=True):
    """What is read of an answer here."""

    service: str = ""
    status: int = 0
    switched_off: str | None = None
    scores: tuple[_ModelScore, ...] = ()
    not_scored: tuple[str, ...] = ()


def _watched(store: Store, site: SiteConfig, model: Model, approval: Approval, begins: datetime) -> Watched:
    """What is on record for the approval's measures since then, without episodes; of nobody who has opted out."""
    measures = {criterion.measure for criterion in (*approval.success, *approval.exits)}
    out, version = opted_out(store, site.id), f"{model.outcome} {model.version}"
    return Watched(
        closing=timedelta(days=site.monitoring.outcome_days + 1),
        calls=_calls(store, site, model.outcome, version, begins, out) if Measure.SCORED_SHARE in measures else (),
        cards=_cards(store, site.id, version, begins, out) if measures & OF_CARDS else (),
        near_misses=_near_misses(store, site.id, model.outcome) if Measure.NEAR_MISSES in measures else (),
    )


def _calls(
    store: Store, site: SiteConfig, outcome: str, version: str, begins: datetime, out: Collection[str]
) -> list[WatchedCall]:
    not_counted = {f"{outcome} {reason}" for reason in NOT_COUNTED}
    events = list(recorded(store, site.id, site.day(begins), (AuditKind.ANSWER.value,), _CallOnRecord))
    gone = {event.patient for _, event in events if event.consent == Consent.OPTED_OUT} | set(out)
    return [
        WatchedCall(at=event.at, patient=event.patient, scored=any(score.model == version for score in event.scores))
        for _, event in events
        if event.patient and event.patient not in gone and event.status == OK and not event.switched_off
        if event.service in ASK_MODELS and not_counted.isdisjoint(event.not_scored)
    ]


def _cards(store: Store, site: str, version: str, begins: datetime, out: Collection[str]) -> list[WatchedCard]:
    c, f = card.c, feedback.c
    wanted = sa.select(c.uuid, c.patient, c.at.label("sent"), f.at, f.outcome).where(
        c.site == site,
        f.card == c.uuid,
        ("," + c.prompted + ",").contains(f",{version},", autoescape=True),
        c.at >= int(begins.timestamp()),
    )
    with store.transaction(patient=True) as connection:
        rows = connection.execute(wanted.order_by(f.id)).all()
    said: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        if row.patient and row.patient not in out:
            said[row.uuid].append(row)
    return [
        WatchedCard(
            at=max(datetime.fromisoformat(own[0].at), datetime.fromtimestamp(own[0].sent, UTC) + KNOWN_AFTER),
            patient=own[0].patient,
            accepted=any(row.outcome == ACCEPTED for row in own),
        )
        for own in said.values()
    ]


def _near_misses(store: Store, site: str, outcome: str) -> list[datetime]:
    wanted = sa.select(incident.c.at, incident.c.facts).where(
        incident.c.site == site, incident.c.kind == IncidentKind.NEAR_MISS.value
    )
    with store.transaction() as connection:
        rows = connection.execute(wanted.order_by(incident.c.at)).all()
    return [datetime.fromisoformat(row.at) for row in rows if row.facts.get("about") == outcome]
