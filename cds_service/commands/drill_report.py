"""The report of a drill: JSON for systems, and a page that a safety officer can file and sign."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, tzinfo
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
import msgspec

from cds_service.commands.drill_run import ContactDrill, Drill, DrillResult
from cds_service.settings.escalation import Channel

RESULTS = {
    DrillResult.IN_TIME: "Acknowledged in time",
    DrillResult.LATE: "Acknowledged too late",
    DrillResult.NOT_ACKNOWLEDGED: "Delivered, not acknowledged",
    DrillResult.NOT_DELIVERED: "Not delivered",
    DrillResult.STOPPED: "Delivered, not yet acknowledged",
    DrillResult.REFUSED: "Refused",
}
# What a message became at the other end, where nobody has answered it.
SEEN_AT = {
    Channel.WEBHOOK: "Find out who was shown the message in the contact’s system, and whether that system can answer.",
    Channel.EMAIL: "Find out who reads that mailbox, when, and whether they can sign in to the page it leads to.",
    Channel.TASK: "Find out in the EHR whose work list the Task is on, and who looks at it.",
}
THROUGH = {
    "webhook": "their own system",
    "task": "a Task in the EHR",
    "page": "the page",
    "command": "the command line",
}
WAYS = {Channel.WEBHOOK: "webhook", Channel.EMAIL: "e-mail", Channel.TASK: "task in the EHR"}


def to_do(seen: ContactDrill) -> str:
    """What to do about it, in a sentence; "" where there is nothing to do."""
    match seen.result:
        case DrillResult.IN_TIME:
            return ""
        case DrillResult.LATE:
            return f"Ask what took longer than {seen.within_min} min, and repeat the drill."
        case DrillResult.STOPPED:
            return f"The drill ended before the {seen.within_min} min were over: repeat it with a longer --wait."
        case DrillResult.NOT_ACKNOWLEDGED:
            return SEEN_AT[seen.channel]
        case DrillResult.NOT_DELIVERED:
            last = f"last attempt: {seen.failure or 'none yet'}"
            return f"Ask IT to look at the contact’s system and its entry in the site’s file ({last})."
        case DrillResult.REFUSED:
            return f"Correct the contact’s address or our rights there: the message was refused ({seen.failure})."


def as_json(found: Drill, by: str, digest: str) -> bytes:
    """The report for systems. by: who started it; digest: of the settings."""
    contacts = [{**asdict(each), "to_do": to_do(each)} for each in found.contacts]
    head = {"drill": found.patient, "site": found.site, "passed": found.passed, "by": by}
    head |= {"release": version("mental-health-cds"), "settings": digest}
    body: dict[str, Any] = {**head, **{k: v for k, v in asdict(found).items() if k not in ("site", "patient")}}
    return msgspec.json.format(msgspec.json.encode(body | {"contacts": contacts})) + b"\n"


def as_page(found: Drill, by: str, digest: str, zone: tzinfo) -> str:
    """The report for people, one file without anything from elsewhere. zone: whose clock its times are of."""
    templates = jinja2.FileSystemLoader(Path(__file__).parents[1] / "templates")
    environment = jinja2.Environment(loader=templates, autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.get_template("drill.html")
    rows = [(each, RESULTS[each.result], to_do(each), WAYS[each.channel]) for each in found.contacts]
    return page.render(
        drill=found,
        rows=rows,
        through=THROUGH,
        failed=sum(each.result is not DrillResult.IN_TIME for each in found.contacts),
        by=by,
        release=version("mental-health-cds"),
        digest=digest[:12],
        clock=partial(_clock, zone),
        zone=getattr(zone, "key", str(zone)),
    )


def _clock(zone: tzinfo, at: datetime | None, *, day: bool = False) -> str:
    if at is None:
        return "–"
    return f"{at.astimezone(zone):{'%d %b %Y %H:%M:%S' if day else '%H:%M:%S'}}"
