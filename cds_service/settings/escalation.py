"""`[escalation]` of a site's file: who is told of acute answers, in which order, when, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, time
from enum import StrEnum

from cds_service.settings.webhook import Webhook

DEFAULT_WITHIN_MIN = 15


class Channel(StrEnum):
    """How a contact is told."""

    WEBHOOK = "webhook"
    EMAIL = "email"
    TASK = "task"


class MessageContent(StrEnum):
    """What a message says of the patient. E-mail never says more than the link."""

    LINK = "link"
    INITIALS_AND_PLACE = "initials-and-place"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Times of duty by the site's own clock. days: 0 is Monday. end at or before start: until then on the next day."""

    days: frozenset[int]
    start: time
    end: time

    def hold(self, local: datetime) -> bool:
        """Whether a local time is within them."""
        now, before = local.time(), (local.weekday() - 1) % 7
        if self.start < self.end:
            return local.weekday() in self.days and self.start <= now < self.end
        return (local.weekday() in self.days and now >= self.start) or (before in self.days and now < self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One contact; they are told in the order of the file. hours: none for always.

    within_min: minutes to acknowledge, after which the next contact is told. webhook, email: its address, by channel;
    owner: for a task, the reference of its owner in the EHR, where the site names one.
    """

    name: str
    channel: Channel
    within_min: int = DEFAULT_WITHIN_MIN
    hours: tuple[Hours, ...] = ()
    webhook: Webhook | None = None
    email: str | None = field(default=None, repr=False)
    owner: str | None = None

    def on_duty(self, local: datetime) -> bool:
        """Whether the contact is on duty at a time of the site's own clock."""
        return not self.hours or any(hours.hold(local) for hours in self.hours)


@dataclass(frozen=True, slots=True, kw_only=True)
class Smtp:
    """The site's mail server. security: how the connection is encrypted."""

    host: str
    port: int
    security: str
    sender: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationSettings:
    """Who is told. chart_url: the EHR's own address of a chart, with {patient} for its id; None: none is shown."""

    contacts: tuple[Contact, ...]
    content: MessageContent = MessageContent.LINK
    smtp: Smtp | None = None
    chart_url: str | None = None

    def contact(self, name: str) -> Contact | None:
        """The contact of that name."""
        return next((contact for contact in self.contacts if contact.name == name), None)
