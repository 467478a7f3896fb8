"""A FHIR server's notification that something came: of which subscription, how far that is, and whose charts changed.

R4's own rest-hook (nothing, an id, or the resource itself) and topic-based notifications of the R5 backport: a Bundle
whose first entry is a `Parameters` (R4) or `SubscriptionStatus` (R4B). Of either, ids alone are taken: no content of a
payload is used or kept. Sources: FHIR R4, Subscription, "Channels"; Subscriptions R5 Backport 1.1.0, "Notifications".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Raw, Struct

from fhir_adapters.access.addresses import is_bare, is_plain, same_base
from fhir_adapters.errors import NotFhir
from fhir_adapters.resources import r4
from fhir_adapters.resources.gathered import ANSWER_TYPES

EXPECTED = (
    "expected nothing, a resource about one patient, or a Bundle of type history whose first entry is Parameters or "
    "SubscriptionStatus"
)
BUNDLES = ("history", "subscription-notification")
PATIENT = "Patient/"
MOST_NAME = 200


class NotificationKind(StrEnum):
    """The types of the backport; R4's own notifications are events."""

    HANDSHAKE = "handshake"
    HEARTBEAT = "heartbeat"
    EVENT = "event-notification"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One notification.

    subscription: its reference; "" in R4's own form. total: events since the subscription began, this one included;
    events: the numbers of those told of. fault: the subscription's status where that is error or off. patients: ids.
    resources: `Type/id` of those whose patient is not named. unnamed: something came, and there is no id to read.
    """

    kind: NotificationKind = NotificationKind.EVENT
    subscription: str = ""
    total: int | None = None
    events: frozenset[int] = frozenset()
    fault: str | None = None
    patients: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    unnamed: bool = False


class _Link(Struct):
    reference: str | None = None


Number = int | str | None


class _Event(Struct, rename="camel"):
    event_number: Number = None
    focus: _Link | None = None
    additional_context: list[_Link] = []


class _Status(Struct, rename="camel"):
    resource_type: str = ""
    subscription: _Link | None = None
    status: str | None = None
    type: str | None = None
    events_since_subscription_start: Number = None
    notification_event: list[_Event] = []
    parameter: list[dict[str, Any]] = []


NONE = Raw(b"{}")


class _Sent(Struct):
    resource: Raw = NONE


class _Bundle(Struct):
    type: str = ""
    entry: list[_Sent] = []


BUNDLE, STATUS = msgspec.json.Decoder(_Bundle), msgspec.json.Decoder(_Status)
LISTED = ("notificationEvent", "additionalContext")


def notification(body: bytes, path: str, bases: Iterable[str]) -> Notification:
    """The notification of a request. path: what follows the address of the endpoint; bases: the site's FHIR servers.

    Raises NotFhir for anything else, without quoting it.
    """
    own = tuple(bases)
    named = _place(path, own)
    if path and named is None:
        raise NotFhir("address: expected nothing after the site, or the type and id of a resource")
    if not body.strip():
        return _event([named], set())
    resource = r4.read(body)
    if resource.kind == "Bundle":
        return _of_topic(body, own)
    whose = patient_of(resource, own)
    if whose is None and resource.kind not in ANSWER_TYPES:
        raise NotFhir(EXPECTED)
    return _event([], {whose}) if whose else _event([named or _place(resource.reference, own)], set())


def patient_of(resource: r4.Resource, bases: Iterable[str]) -> str | None:
    """The id of the one patient whom a resource is about; None where it names none of these servers."""
    if resource.kind == "Patient":
        places = [_place(resource.reference, bases)]
    else:
        owners = r4.subjects_of(resource.content) if resource.content is not None else (resource.owner,)
        places = [_place(owner.reference or "", bases) for owner in owners if owner]
    ids = {place.removeprefix(PATIENT) for place in places if place and place.startswith(PATIENT)}
    return ids.pop() if len(ids) == 1 else None


def _of_topic(body: bytes, bases: tuple[str, ...]) -> Notification:
    try:
        bundle = BUNDLE.decode(body)
        status = _status(bundle.entry[0].resource if bundle.entry else NONE)
        if bundle.type not in BUNDLES:
            raise NotFhir(EXPECTED)
        found = Notification(
            kind=NotificationKind(status.type or ""),
            subscription=_target(status.subscription)[:MOST_NAME],
            total=_number(status.events_since_subscription_start),
            events=frozenset(n for e in status.notification_event if (n := _number(e.event_number)) is not None),
            fault=status.status if status.status in ("error", "off") else None,
        )
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise NotFhir(EXPECTED) from error
    if found.kind is not NotificationKind.EVENT:
        return found
    sent = [r4.read(entry.resource) for entry in bundle.entry[1:] if entry.resource is not NONE]
    owners = {resource.reference: whose for resource in sent if (whose := patient_of(resource, bases))}
    places, patients = list[str | None](), set(owners.values())
    for event in status.notification_event:
        focus = _place(_target(event.focus), bases)
        context = {_place(_target(link), bases) for link in event.additional_context}
        named = {place.removeprefix(PATIENT) for place in context if place and place.startswith(PATIENT)}
        patients |= named
        if not named and focus not in owners:
            places.append(focus)
    if not status.notification_event and not patients:
        places.append(None)
    read = _event(places, patients)
    return replace(found, patients=read.patients, resources=read.resources, unnamed=read.unnamed)


def _target(link: _Link | None) -> str:
    found = (link and link.reference) or ""
    return found if found.isprintable() else ""


def _status(raw: Raw) -> _Status:
    """The status in either form. Raises msgspec.DecodeError."""
    status = STATUS.decode(raw)
    if status.resource_type == "Parameters":
        return msgspec.convert(_members(status.parameter), _Status)
    return status if status.resource_type == "SubscriptionStatus" else _Status()


def _members(parameters: Iterable[Any]) -> dict[str, Any]:
    """Parameters as the members that SubscriptionStatus has; a draft of the guide wrote their names like these."""
    found: dict[str, Any] = {}
    for each in parameters:
        if isinstance(each, dict):
            name = re.sub(r"-(\w)", lambda letter: letter[1].upper(), str(each.get("name")))
            inner = each.get("part")
            value = next((value for key, value in each.items() if key.startswith("value")), None)
            value = _members(inner) if isinstance(inner, list) else value
            found[name] = [*found.get(name, ()), value] if name in LISTED else value
    return found


def _number(number: Number) -> int | None:
    """An event's number. Raises ValueError."""
    if number is None:
        return None
    found = int(number)
    if not 0 <= found < 2**53:
        raise ValueError("expected the number of an event")
    return found


def _event(places: Iterable[str | None], patients: set[str]) -> Notification:
    """An event of these patients and in these places; None among them: something came, and it is not said where."""
    seen = set(places)
    patients |= {place.removeprefix(PATIENT) for place in seen if place and place.startswith(PATIENT)}
    read = {place for place in seen if place and place.partition("/")[0] in ANSWER_TYPES}
    return Notification(patients=tuple(sorted(patients)), resources=tuple(sorted(read)), unnamed=None in seen)


def _place(reference: str, bases: Iterable[str]) -> str | None:
    """`Type/id` of a reference, relative or below one of these servers; None of any other."""
    parts = reference.partition("/_history/")[0].split("/")
    if len(parts) < 2:
        return None
    *before, kind, identifier = parts
    base = "/".join(before)
    known = not base or any(same_base(base, one) for one in bases)
    fits = kind.isalpha() and is_bare(identifier) and is_plain(identifier)
    return f"{kind}/{identifier}" if known and fits else None
