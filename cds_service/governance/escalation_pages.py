"""The pages of escalations, where the link of a message leads: who was told, whose chart to open, what was done."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa
from flask import Response, request
from werkzeug.datastructures import MultiDict

from cds_service.control.refused import ActRefused
from cds_service.escalation import escalations
from cds_service.escalation.links import PatientLink
from cds_service.escalation.records import EscalationRow, EscalationStatus, NoSuchEscalation, listed, one, patient_of
from cds_service.governance.escalation_lines import (
    CLOSE_WORDS,
    DONE_WORDS,
    by_words,
    chart_url,
    local,
    state_word,
    time_line,
)
from cds_service.governance.rendering import page
from cds_service.governance.session import THROUGH, Desk, Visitor
from explanations.judgement.escalation import Done

# Nothing is closed that was not chosen.
CHOOSE = ("", "Choose…")
SHOWN_FOR = timedelta(days=7)


def escalation_list(desk: Desk, visitor: Visitor) -> Response:
    """Those open, overdue ones first; those with nothing recorded as done; others of the last days; drills apart."""
    config = desk.runtime.config()
    since = desk.runtime.now() - SHOWN_FOR
    with desk.rows.store.transaction() as connection:
        found = listed(connection, open_only=False, since=since)
    real = [row for row in found if not row.drill]
    return page(
        "escalations.html",
        visitor,
        open=sorted((row for row in real if row.is_open), key=lambda row: (not row.overdue, row.at)),
        unfinished=sorted((row for row in real if is_unfinished(row)), key=lambda row: row.at),
        earlier=[row for row in real if not row.is_open and not is_unfinished(row)],
        drills=[row for row in found if row.drill and row.at >= since.isoformat()],
        configured=[site.id for site in config.sites if site.escalation is not None],
        days=SHOWN_FOR.days,
        **_words(desk),
    )


def is_unfinished(row: EscalationRow) -> bool:
    """Whether somebody has acknowledged it, and nothing is recorded as done."""
    return row.status is EscalationStatus.ACKNOWLEDGED and not row.done


def escalation_page(desk: Desk, visitor: Visitor, identifier: str, **values: Any) -> Response:  # noqa: ANN401  # for the template
    """One of them, with the patient's id; that somebody looked at it is on record first. Raises NoSuchEscalation."""
    config = desk.runtime.config()
    with desk.rows.store.transaction() as connection:
        row = one(connection, identifier)
        patient = patient_of(connection, desk.runtime.key, identifier)
    if patient is not None and not row.drill:
        desk.record("looked-at", visitor.named, row.site, row.patient, escalation=identifier)
    shown: dict[str, Any] = {
        "row": row,
        "patient": patient,
        "chart": _chart(desk, row, patient),
        "lines": time_line(row, config),
    }
    shown |= {
        "done_words": DONE_WORDS,
        "close_choices": [CHOOSE, *((one.value, words) for one, words in CLOSE_WORDS.items())],
    }
    return page("escalation.html", visitor, **shown | _words(desk) | values)


def _chart(desk: Desk, row: EscalationRow, patient: PatientLink | None) -> str | None:
    site = next((site for site in desk.runtime.config().sites if site.id == row.site), None)
    return None if patient is None or row.drill else chart_url(site, patient.patient_id)


def _words(desk: Desk) -> dict[str, Any]:
    """What the templates say things with."""
    return {"state_word": state_word, "by_words": by_words, "local": partial(local, desk.runtime.config())}


def escalation_act(desk: Desk, visitor: Visitor, identifier: str) -> str:
    """Acknowledges, records what was done, hands back or closes. Raises ActRefused."""
    who = {"by": visitor.named, "through": THROUGH, "now": desk.runtime.now()}
    try:
        with desk.rows.store.transaction() as connection:
            return _acted(connection, identifier, request.form, who)
    except NoSuchEscalation as error:
        raise ActRefused(
            "it is closed already, or not as the page showed it; look at it again. Nothing was changed"
        ) from error


def _acted(connection: sa.Connection, identifier: str, form: MultiDict[str, str], who: dict[str, Any]) -> str:
    """What was done, in words, by the button of the form."""
    match form.get("act"):
        case "acknowledge":
            known = escalations.acknowledge(connection, identifier, **who)
            if not known.first:
                return (
                    f"It had already been acknowledged, by {known.by or 'feedback on the card'}. Nothing was changed."
                )
            then = "See the patient now, then come back here to record what was done."
            return f"You have acknowledged it. Nobody else will be told. {then}"
        case "done":
            done = [one for one in Done if one.value in form.getlist("done")]
            if not done:
                raise ActRefused("what was done: expected at least one choice; found none")
            escalations.record_done(connection, identifier, done, **who)
            return f"Recorded: {', '.join(DONE_WORDS[one].lower() for one in done)}."
        case "hand-back":
            escalations.hand_back(connection, identifier, **who)
            return "Handed back. The next contact is told; stay with the patient if you can."
        case "close":
            reason = next((one for one in CLOSE_WORDS if one.value == form.get("reason")), None)
            if reason is None:
                raise ActRefused("reason: expected a choice; found none")
            escalations.close(connection, identifier, reason=reason, **who)
            return "Closed."
    raise ActRefused("expected one of the buttons of this page; found something else")
