"""POST /cds-services/<id>/feedback: the outcomes of our cards, each stored with its card.

All items of a body are stored or none: a malformed one is named by its position and answered with 400. An exact repeat
changes nothing; a later, different report on the same card is stored as well. Ids and codes that are not ours may name
a patient, so only their pseudonyms are kept. Feedback is recorded and counted; it
never lowers a safety card (rules R3, R17). On a card of acute answers it can say that somebody has it, so that nobody
else is told. CDS Hooks 2.0, "Feedback".
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from cds_service.burden.snoozes import note_snoozes, snooze_row
from cds_service.cards.drafts import OVERRIDE_SYSTEM, hl7_reason, is_our_reason
from cds_service.errors import BadRequest, json_response
from cds_service.hooks.access import check_named, named_site
from cds_service.hooks.catalogue import Service, known_service
from cds_service.hooks.escalating import acknowledge_by_feedback
from cds_service.keys.data_key import DataKey
from cds_service.serving import metrics
from cds_service.serving.body import json_body
from cds_service.serving.runtime import Runtime
from cds_service.settings.config import ServiceConfig
from cds_service.storage.sent_cards import SentCard, sent_cards
from cds_service.storage.store import FeedbackRow
from cds_service.trust.admission import CallSlots, authenticate, refusals_counted, use_up
from explanations.judgement.alert_limits import Behind
from explanations.judgement.escalation import BY_FEEDBACK
from explanations.judgement.judge import PATIENT_DISCHARGED
from fhir_adapters.duplicates import named_twice, repeated
from models.rules.findings import Topic

log = logging.getLogger("mhcds")
OUTCOMES = ("accepted", "overridden")
MOST_ITEMS = 500
MOST_CODE = 256
MOST_COMMENT = 10_000


class FeedbackReason(msgspec.Struct):
    """A coded reason; clients often omit display, which we know."""

    code: str | None = None
    system: str | None = None


class FeedbackOverride(msgspec.Struct, rename="camel"):
    """Why a card was overridden. In the older shape, `code` and `system` of the reason are directly here."""

    reason: FeedbackReason | None = None
    user_comment: str | None = None
    code: str | None = None
    system: str | None = None

    @property
    def coded(self) -> FeedbackReason | None:
        """The coded reason in either shape; None without a code."""
        reason = self.reason or FeedbackReason(code=self.code, system=self.system)
        return reason if reason.code else None


class AcceptedSuggestion(msgspec.Struct):
    """An accepted suggestion of the card."""

    id: str


class FeedbackItem(msgspec.Struct, rename="camel"):
    """The outcome of one card."""

    card: str
    outcome: str
    outcome_timestamp: str
    accepted_suggestions: list[AcceptedSuggestion] | None = None
    override_reason: FeedbackOverride | None = None


class Body(msgspec.Struct):
    """The batch. Items are decoded one by one, so that a bad one can be named."""

    feedback: list[msgspec.Raw]


class OneItem(msgspec.Struct):
    """The older shape: a single item."""

    card: str


ITEM_MEMBERS = frozenset(field.encode_name for field in msgspec.structs.fields(FeedbackItem))
ITEM = msgspec.json.Decoder(FeedbackItem)


def create_blueprint(runtime: Runtime, slots: CallSlots) -> Blueprint:
    """The feedback route."""
    blueprint = Blueprint("feedback", __name__)

    @blueprint.post("/cds-services/<identifier>/feedback", strict_slashes=False)
    @blueprint.post("/sites/<site>/cds-services/<identifier>/feedback", strict_slashes=False)
    @refusals_counted()
    def report(identifier: str, site: str | None = None) -> Response:
        service = known_service(identifier)
        config = runtime.config()
        if site is not None:
            named_site(config, site)
        with slots.hold(config.limits.concurrent_calls):
            client = authenticate(runtime, config, request, runtime.now())
            use_up(runtime, client)
            check_named(site, client.sites)
            items = feedback_items(json_body(request, config.body_bytes))
            sent = sent_cards(runtime.store, client.sites, {item.card.lower() for item in items})
            rows = [row(item, client.sites, service.id, runtime.key, sent) for item in items]
            new, known = runtime.store.write_feedback(runtime.now(), client.sites, service.id, rows)
            handled = {item.card.lower() for item in items if says_handled(item, service, sent.get(item.card.lower()))}
            # After it: where this fails the client reports again, and an exact repeat is stored once.
            taken_on = acknowledge_by_feedback(runtime, client.sites, handled)
            note_snoozes(runtime.store, snoozes(items, sent, config, now := runtime.now()), "feedback", now)
        counts = {"items": len(items), "new": new, "known_cards": known, "acknowledged": taken_on}
        log.info(json.dumps({"event": "feedback", "service": service.id, "sites": client.sites, **counts}))
        for item in items:
            metrics.FEEDBACK.labels(service.id, item.outcome).inc()
        return json_response({"received": len(items), "stored": new})

    return blueprint


def snoozes(
    items: Iterable[FeedbackItem], sent: Mapping[str, SentCard], config: ServiceConfig, now: datetime
) -> Iterator[dict[str, Any] | None]:
    """The rows of our own reasons on model and follow-up cards of ours. They are the user's who was shown the card."""
    for item in items:
        card, why = sent.get(item.card.lower()), item.override_reason and item.override_reason.coded
        at = _moment(item.outcome_timestamp)
        if not (card and card.basis and card.patient and why and why.code and at and item.outcome == "overridden"):
            continue
        if is_our_reason(why.code, why.system):
            yield snooze_row(
                config.site(card.site),
                Topic(card.topic),
                why.code,
                patient=card.patient,
                user=card.shown_to or "",
                grounds=Behind(prompted=card.prompted, grounds=card.basis).snoozed_as,
                at=at,
                now=now,
            )


def feedback_items(body: bytes) -> list[FeedbackItem]:
    """The checked items of a body. Raises BadRequest, naming every faulty item."""
    raws = _raw_items(body)
    if not 0 < len(raws) <= MOST_ITEMS:
        raise BadRequest(f"feedback: expected 1 to {MOST_ITEMS} items; found {len(raws)}")
    items, faults = [], []
    for number, raw in enumerate(raws):
        try:
            item = ITEM.decode(raw)
        except msgspec.ValidationError as error:
            faults.append(f"feedback[{number}]: {error}")
            continue
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            faults.append(f"feedback[{number}]: expected a JSON object")
            continue
        item_faults = [*_faults(item), *(f"{name}: found twice" for name in named_twice(bytes(raw)) & ITEM_MEMBERS)]
        faults += [f"feedback[{number}].{fault}" for fault in item_faults]
        if not item_faults:
            items.append(item)
    if faults:
        raise BadRequest("; ".join(faults[:20]) + ". Nothing of this body was stored")
    return items


def says_handled(item: FeedbackItem, service: Service, card: SentCard | None) -> bool:
    """Whether somebody says that they act on a card, or that somebody does: then nobody else has to be told.

    Of the suggestions the first alone says so, the assessment of today; at discharge it may be a later one.
    """
    reason = item.override_reason.coded if item.override_reason else None
    known = reason is not None and is_our_reason(reason.code, reason.system) and reason.code in BY_FEEDBACK
    first = card.suggestions[:1] if card is not None and service.occasion is not PATIENT_DISCHARGED else ()
    taken = {suggestion.id.lower() for suggestion in item.accepted_suggestions or ()}
    return known or (item.outcome == "accepted" and bool(taken & set(first)))


def _raw_items(body: bytes) -> Sequence[msgspec.Raw]:
    try:
        body.decode()
        raws = msgspec.json.decode(body, type=Body).feedback
    except UnicodeDecodeError as error:
        raise BadRequest("expected JSON in UTF-8; found another encoding") from error
    except msgspec.ValidationError as error:
        try:
            msgspec.json.decode(body, type=OneItem)
        except (msgspec.DecodeError, RecursionError):
            raise BadRequest(f"feedback: expected an array of items ({error})") from error
        return [msgspec.Raw(body)]
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest("expected one JSON object; found something that is not JSON") from error
    if "feedback" in repeated(body, {}):
        raise BadRequest("feedback: expected once; found twice")
    return raws


def _faults(item: FeedbackItem) -> list[str]:
    faults = []
    if not _storable(item.card.lower()):
        faults.append("card: expected the uuid of a card")
    if item.outcome not in OUTCOMES:
        faults.append(f"outcome: expected one of {', '.join(OUTCOMES)}")
    if _moment(item.outcome_timestamp) is None:
        faults.append("outcomeTimestamp: expected a date and time with its zone, for example 2026-11-23T15:04:05Z")
    if item.outcome == "accepted" and not item.accepted_suggestions:
        faults.append("acceptedSuggestions: required with outcome accepted; found none")
    if any(not _storable(s.id) for s in item.accepted_suggestions or ()):
        faults.append("acceptedSuggestions: expected the uuid of a suggestion in id")
    why = item.override_reason
    if why is not None:
        reason = why.coded
        if reason is None and not why.user_comment:
            faults.append("overrideReason: expected reason with a code, or userComment; found neither")
        coded = (reason.code, reason.system) if reason else ()
        if any(text and not _storable(text) for text in coded):
            faults.append(f"overrideReason.reason: expected at most {MOST_CODE} printable characters")
        if len(why.user_comment or "") > MOST_COMMENT:
            faults.append(f"overrideReason.userComment: expected at most {MOST_COMMENT} characters")
    return faults


def _storable(text: str) -> bool:
    """Whether any store accepts a code or id: PostgreSQL limits characters and refuses NUL."""
    return 0 < len(text) <= MOST_CODE and text.isprintable()


def _moment(text: str) -> datetime | None:
    """An RFC 3339 date and time with its zone, fractions of any length."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", text, re.ASCII):
        return None
    try:
        # datetime does not know leap seconds.
        known = re.sub(r":60(?=[.Z+-])", ":59", text.upper())
        return datetime.fromisoformat(re.sub(r"(\.\d{1,6})\d*", r"\1", known))
    except ValueError:
        return None


def row(
    item: FeedbackItem, sites: tuple[str, ...], service: str, key: DataKey, sent: Mapping[str, SentCard]
) -> FeedbackRow:
    """An item as stored: its comment sealed, our own reasons with their HL7 code, of what is not ours a pseudonym.

    sent: our cards among those that the body names, by uuid.
    """
    why = item.override_reason
    reason = why.coded if why else None
    suggestions = tuple(s.id for s in item.accepted_suggestions or ())
    comment = why.user_comment if why else None
    code, system = (reason.code, reason.system) if reason else (None, None)
    card = item.card.lower()
    ours = sent.get(card)
    site, offered = (ours.site, ours.suggestions) if ours else (sites[0], ())
    known = code is None or is_our_reason(code, system)
    content = [sites, service, card, item.outcome, item.outcome_timestamp, sorted(suggestions), code, system, comment]
    return FeedbackRow(
        digest=key.pseudonym("feedback", json.dumps(content)),
        card=card if ours else key.pseudonym(site, item.card),
        outcome=item.outcome,
        outcome_at=re.sub(r"(\.\d{9})\d+", r"\1", item.outcome_timestamp),
        suggestions=tuple(s.lower() if s.lower() in offered else key.pseudonym(site, s) for s in suggestions),
        reason_system=system if system in (OVERRIDE_SYSTEM, None) else key.pseudonym(site, system),
        reason_code=code if known else key.pseudonym(site, code or ""),
        reason_hl7=hl7_reason(code) if code and known else None,
        comment=key.seal(comment) if comment else None,
    )
