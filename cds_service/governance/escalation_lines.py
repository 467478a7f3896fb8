"""An escalation as its page says it: where it stands, and the timeline of who was told what, and who did what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any
from urllib.parse import quote

from cds_service.escalation.escalations import CloseReason
from cds_service.escalation.messages import WITHDRAWN, MessageKind
from cds_service.escalation.records import ContactMessage, EscalationRow
from cds_service.escalation.turns import EscalationAct
from cds_service.settings.config import ServiceConfig
from cds_service.settings.sites import SiteConfig
from explanations.judgement.escalation import Done

DONE_WORDS = {
    Done.ASSESSMENT: "Risk assessed",
    Done.SAFETY_PLAN: "Safety plan made",
    Done.FOLLOW_UP: "Follow-up booked",
    Done.TRANSFERRED: "Transferred",
}
# Those that a person may give.
CLOSE_WORDS = {
    CloseReason.HANDLED: "Handled: someone has seen the patient",
    CloseReason.IN_ERROR: "In error: the answer was not the patient’s, or was entered by mistake",
    CloseReason.DECEASED: "The patient has died",
}
THROUGH_WORDS = {
    "app": "in the app",
    "feedback": "by feedback on the card",
    "webhook": "by the contact’s own system",
    "task": "by the task in the EHR",
    "page": "on this page",
    "command": "by command",
}
SENT_WORDS = {
    MessageKind.OPENED: "look at the patient",
    MessageKind.ACKNOWLEDGED: "acknowledged by somebody",
    MessageKind.CLOSED: "closed",
    MessageKind.DRILL: "drill",
}


def state_word(row: EscalationRow) -> str:
    """Where it stands, in a word or two."""
    if not row.is_open:
        word = row.status.value.capitalize()
    elif row.overdue:
        word = "Overdue"
    elif row.told is not None:
        word = "Told, not acknowledged"
    else:
        word = "No message delivered yet" if row.contact else "Nobody on duty"
    return f"Drill: {word.lower()}" if row.drill else word


def by_words(by: str | None, through: str | None) -> str:
    """Who did it, and how; the way alone where nobody is named."""
    way = THROUGH_WORDS.get(through or "", through or "")
    return f"{by}, {way}" if by and way else by or way


def local(config: ServiceConfig, site: str, moment: str | int) -> str:
    """A moment by the site's own clock, such as `30 Nov 2026, 18:02 CET`. moment: ISO 8601, or seconds since 1970."""
    zone: tzinfo = next((one.cards.zone for one in config.sites if one.id == site), UTC)
    known = datetime.fromtimestamp(moment, UTC) if isinstance(moment, int) else datetime.fromisoformat(moment)
    there = known.astimezone(zone)
    return f"{there.day} {there:%b %Y, %H:%M %Z}"


def chart_url(site: SiteConfig | None, patient: str) -> str | None:
    """The EHR's own address of a patient's chart; None where the site has set none."""
    settings = site.escalation if site is not None else None
    if settings is None or settings.chart_url is None:
        return None
    return settings.chart_url.replace("{patient}", quote(patient, safe=""))


def time_line(row: EscalationRow, config: ServiceConfig) -> list[tuple[str, str]]:
    """When and what, in order: events of the record, and how far each message has come."""
    lines = [*((act["at"], _act_words(act)) for act in row.acts)]
    lines += [line for message in row.messages for line in _sent(message, row, config)]
    return [(local(config, row.site, at), words) for at, words in sorted(lines, key=lambda line: line[0])]


def _act_words(act: Mapping[str, Any]) -> str:
    what, by = EscalationAct(act["what"]), by_words(act.get("by"), act.get("through"))
    turns = {
        EscalationAct.OPENED: (f"Opened when {act.get('service')} read the chart.", " No contact was on duty."),
        EscalationAct.BEGUN: ("A contact came on duty.", ""),
        EscalationAct.MOVED_ON: ("Not acknowledged in time.", " Nobody else is told."),
        EscalationAct.JOINED: ("Another acute answer was added.", ""),
    }
    if what in turns:
        words, otherwise = turns[what]
        return words + (f" {act['contact']} is to be told." if act.get("contact") else otherwise)
    if what is EscalationAct.DONE:
        return f"Done: {', '.join(DONE_WORDS[Done(one)].lower() for one in act.get('done', ()))} ({by})."
    if what is EscalationAct.CLOSED:
        return f"Closed: {str(act.get('reason')).replace('-', ' ')} ({by})."
    if what is EscalationAct.HANDED_BACK:
        return f"Handed back: it is open again ({by})."
    if what is EscalationAct.REFUSED:
        return f"An acknowledgement was refused: {act.get('reason')}."
    return f"{what.capitalize()} ({by})."


def _sent(message: ContactMessage, row: EscalationRow, config: ServiceConfig) -> Iterator[tuple[str, str]]:
    """When a message was written, and when it arrived or why it has not."""
    what = f"{message.contact} ({SENT_WORDS[MessageKind(message.kind)]})"
    tries = f"{message.attempts} attempt{'' if message.attempts == 1 else 's'}"
    if message.failure == WITHDRAWN:
        yield _iso(message.delivered or 0), f"Message to {what}: withdrawn before it was delivered, {tries}."
    elif message.arrived:
        yield _iso(message.delivered or 0), f"Message to {what}: delivered, {tries}."
    elif message.delivered is not None:
        yield _iso(message.delivered), f"Message to {what}: refused ({message.failure}), {tries}."
    else:
        again = f"; the next is due at {local(config, row.site, message.due)}"
        failed = f" ({message.failure}){again}" if message.failure else ""
        yield message.at, f"Message to {what}: not delivered yet, {tries}{failed}."


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
