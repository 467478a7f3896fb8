"""What the forms of the governance pages do: modes, switches, incidents. Each act is one transaction with its event.

What comes back is said on the page. Raises ActRefused, with words for the person, for what cannot be done.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from flask import request

from cds_service.audit.search import MOST, by_card, by_patient
from cds_service.audit.verify import verify
from cds_service.control import acts
from cds_service.control.acts import ModeRow
from cds_service.control.approved import approval_of
from cds_service.control.refused import ActRefused
from cds_service.control.targets import TWO_PEOPLE, Known, Mode, SwitchTarget, expect, known_of
from cds_service.governance.session import SEARCH_PATIENT, SWITCH_SAFETY, Desk, Visitor, require
from cds_service.governance.views import heads
from cds_service.incidents import incidents
from cds_service.incidents.incidents import Handling

MOST_TEXT, MOST_VERIFIED = 2000, 100_000
PSEUDONYM, NUMBER = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9]{1,18}")
CARD = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def field(name: str) -> str:
    """A field of the form, without blanks around it; "" without one."""
    return request.form.get(name, "").strip()


def known(desk: Desk) -> Known:
    """What there is to switch and to set."""
    return known_of(desk.runtime.config())


def switch_off(desk: Desk, visitor: Visitor) -> str:
    """Switches off; a topic about safety needs a safety officer, and then another one."""
    kind, _, name = field("what").partition(":")
    if kind not in ("all", "model", "topic"):
        raise ActRefused("what: expected a choice: a model, a topic or everything; found none")
    target = SwitchTarget(
        site=field("site"),
        service=field("service"),
        outcome=name if kind == "model" else "",
        topic=name if kind == "topic" else "",
    )
    if target.topic in TWO_PEOPLE:
        require(desk, visitor, SWITCH_SAFETY)
    done = acts.switch_off(
        desk.rows.store,
        target,
        actor=visitor.actor,
        reason=field("reason"),
        now=desk.runtime.now(),
        known=known(desk),
    )
    if done.pending:
        return (
            f"Not yet switched off: {target.words}. Another safety officer has to confirm it on this page within a day."
        )
    return done.said


def switch_on(desk: Desk, visitor: Visitor) -> str:
    """Switches on, or withdraws what waits for a second person."""
    target = SwitchTarget(**{name: field(name) for name in ("site", "service", "outcome", "topic")})
    return acts.switch_on(
        desk.rows.store,
        target,
        actor=visitor.actor,
        reason=field("reason"),
        now=desk.runtime.now(),
        known=known(desk),
    ).said


def confirm(desk: Desk, visitor: Visitor) -> str:
    """Switches off what another person asked for: another subject, whatever name the provider gives now."""
    return acts.confirm(desk.rows.store, field("id"), actor=visitor.actor, now=desk.runtime.now()).said


def set_mode(desk: Desk, visitor: Visitor) -> str:
    """Sets a mode; one that lets a model speak in a governed site names the approval that allows it."""
    config, now, there = desk.runtime.config(), desk.runtime.now(), known(desk)
    site, outcome, version = (*field("model").split("|"), "", "")[:3]
    service, mode = field("service"), _mode(field("mode"))
    at = next((one for one in config.sites if one.id == site), None)
    model = next((m for m in desk.runtime.engine.models if (m.outcome, m.version) == (outcome, version)), None)
    approval = unmet = ""
    if at is not None and model is not None:
        approval, unmet = approval_of(config, site, service, model, mode, at.day(now))
    wanted = ModeRow(
        site=site,
        service=service,
        outcome=outcome,
        version=version,
        mode=mode,
        at=now,
        by=visitor.named,
        reason=field("reason"),
        through=visitor.actor.through,
        approval=approval,
        users=_listed("users"),
        departments=_listed("departments"),
        share=_share("share", 0.0) if mode is Mode.PILOT else 0.0,
        review=_share("review", acts.DEFAULT_REVIEW),
    )
    return acts.set_mode(desk.rows.store, wanted, known=there, unmet=unmet).said


def search(desk: Desk, visitor: Visitor) -> dict[str, Any]:
    """Events by a patient's pseudonym, by a patient's id, which becomes one, or by a card; the search is an event too.

    For the template: what was looked for, never the id that was typed, what was found, and from where to go on.
    Raises ActRefused unless exactly one of them is given.
    """
    site, identifier, pseudonym, card = (field(name) for name in ("site", "patient", "pseudonym", "card"))
    expect("site", site, known(desk).sites)
    if sum(map(bool, (identifier, pseudonym, card))) != 1:
        raise ActRefused("expected one of patient id, pseudonym and card id; found none or several")
    if identifier:
        require(desk, visitor, SEARCH_PATIENT)
        pseudonym = desk.runtime.key.pseudonym(site, identifier)
    if card:
        if not CARD.fullmatch(card):
            raise ActRefused("card: expected its uuid, as the card has it")
        found = by_card(desk.rows.store, site, card)
    else:
        if not PSEUDONYM.fullmatch(pseudonym):
            raise ActRefused("pseudonym: expected 32 digits and letters from a to f")
        before = field("before")
        found = by_patient(desk.rows.store, site, pseudonym, int(before) if NUMBER.fullmatch(before) else None)
    desk.record("searched", visitor.named, site, pseudonym or None, card=card or None, found=len(found))
    more = found[-1].seq if len(found) == MOST else None
    return {"site": site, "pseudonym": pseudonym, "card": card, "found": found, "before": more}


def verify_chains(desk: Desk, visitor: Visitor) -> str:
    """Whether every chain is whole, against itself. Raises ActRefused with what is wrong, and for chains too long."""
    with desk.rows.store.transaction() as connection:
        if sum(head["seq"] for head in heads(connection)) > MOST_VERIFIED:
            raise ActRefused(f"more than {MOST_VERIFIED} events are too many for a page; run mhcds audit verify")
    chains = verify(desk.rows.store)
    faults = [f"{_chain(chain.site)}: {fault.words}" for chain in chains for fault in chain.faults]
    desk.record("verified", visitor.named, found=len(faults))
    if faults:
        raise ActRefused("\n".join(faults))
    return "; ".join(f"{_chain(chain.site)} is whole: {chain.events} events" for chain in chains)


def _chain(site: str) -> str:
    return f"Site {site}" if site else "The whole deployment"


def _mode(text: str) -> Mode:
    try:
        return Mode(text)
    except ValueError as error:
        raise ActRefused(f"mode: expected one of {', '.join(Mode)}") from error


def _listed(name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in field(name).split(",") if part.strip())


def _share(name: str, default: float) -> float:
    """Per cent as a share."""
    text = field(name).removesuffix("%").strip()
    try:
        return float(text) / 100 if text else default
    except ValueError as error:
        raise ActRefused(f"{name}: expected per cent, such as 10; found something else") from error


def incident_act(desk: Desk, visitor: Visitor) -> str:
    """Notes, takes on or closes an incident. Raises NoSuchIncident."""
    identifier, what, text = field("id"), field("act"), field("text")
    if (not text and what != "own") or len(text) > MOST_TEXT:
        raise ActRefused(f"note: expected 1 to {MOST_TEXT} characters; found {len(text)}")
    sealed = desk.runtime.key.seal(text) if text else None
    act = Handling(by=visitor.named, at=desk.runtime.now(), sealed=sealed)
    with desk.rows.store.transaction() as connection:
        if what == "close":
            incidents.close(connection, identifier, act)
        elif what == "own":
            incidents.assign(connection, identifier, visitor.named, act)
        else:
            incidents.note(connection, identifier, act)
    said = {"close": "Closed.", "own": "It is yours now."}
    return said.get(what, "The note is added.")


def exported_incidents(desk: Desk, visitor: Visitor) -> bytes:
    """All incidents with their timelines, as JSON; the export is an event of its own."""
    runtime = desk.runtime
    with desk.rows.store.transaction() as connection:
        found = incidents.export(connection, None, runtime.key, runtime.now(), by=visitor.named)
    return msgspec.json.encode(found)
