"""One card of each kind, and the most frequent of its variants: for their golden texts and for the gallery."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import count

from app_views import ENGINE
from builders import AS_OF, LOW, given, patient, record_of

from cds_service.cards.from_notices import cards_for
from cds_service.cards.wire import Card
from explanations.judgement.assessment import Assessment, Engine, assess
from explanations.judgement.discharge import assess_discharge
from explanations.judgement.escalation import Escalation, EscalationState
from explanations.words.notices.discharge import discharge_notices
from explanations.words.notices.notice import NoticeSettings
from explanations.words.notices.switched_off import has_opted_out, service_off
from fhir_adapters.facts import ChartPart, Unknown
from fhir_adapters.gaps import Cause, Gap

ATTEMPT, ITEM_9 = (
    "Condition T14.91XA, 41 days ago",
    "PHQ-9, 6 days ago: items 1-7 = 1, item 8 = 0, item 9 = 1, total = 8",
)
INTENT = "C-SSRS, today: question 1 2 4 = yes, question 6 = no"
PLAIN = ("Condition F51.01, 400 days ago", "Encounter, 12 days ago", "Medicine omeprazole")
UNREAD = (Unknown(what=ChartPart.QUESTIONNAIRES, reason=Gap(cause=Cause.REFUSED), needed=True),)
TOLD = Escalation(state=EscalationState.TOLD, contact="Crisis team", at=AS_OF - timedelta(minutes=9))


def found(*lines: str, age: int = 40, **changes: object) -> Assessment:
    """What is found in these lines, with a model that prompts wherever it may if a line is about no finding."""
    chart = replace(record_of(*(r for line in lines for r in given(line)), who=patient(age=age)), **changes)
    return assess(chart, ENGINE if lines == PLAIN else Engine(), LOW)


CASES = {
    "acute": lambda: found(INTENT),
    "acute-told": lambda: replace(found(INTENT), escalation=TOLD),
    "acute-code": lambda: found("Condition T14.91XA, today"),
    "positive-item-9": lambda: found(ITEM_9),
    "positive-asq": lambda: found("ASQ, today: question 1 = yes, question 2 3 4 = no, acuity = no", age=15),
    "positive-epds": lambda: found("EPDS, yesterday: items 1-9 = 1, item 10 = 1"),
    "positive-declined": lambda: found("PHQ-9, 3 days ago: items 1-8 = 1, item 9 = declined"),
    "positive-total": lambda: found("PHQ-9, 4 days ago: total = 26"),
    "recent": lambda: found(ATTEMPT),
    "recent-then-negative": lambda: found(
        "C-SSRS, 20 days ago: question 1 2 3 4 = yes", "C-SSRS, 5 days ago: question 1 2 6 = no"
    ),
    "history": lambda: found(ITEM_9, "Condition T14.91XA, 400 days ago"),
    "follow-up": lambda: found(
        "PHQ-9, 56 days ago: items 1-8 = 2, item 9 = 0", "PHQ-9, 200 days ago: items 1-8 = 1, item 9 = 0"
    ),
    "follow-up-phq-2": lambda: found("PHQ-2, 3 days ago: total = 5"),
    "anomaly": lambda: found("PHQ-9, 10 days ago: items 1-8 = 2, item 9 = 0, total = 14"),
    "item-9-blank": lambda: found("PHQ-9, 3 days ago: items 1-8 = 1, item 9 = blank"),
    "not-read": lambda: found(unknown=UNREAD),
    "prompt": lambda: found(*PLAIN),
}
DISCHARGE = {
    "discharge-acute": lambda: assess_discharge(found(INTENT).chart),
    "discharge-item-9": lambda: assess_discharge(found(ITEM_9).chart),
    "discharge-recent": lambda: assess_discharge(found(ATTEMPT).chart),
}
INSTEAD = {
    "service-off": lambda settings: service_off(AS_OF, settings),
    "opted-out": has_opted_out,
}
KINDS = (*CASES, *DISCHARGE, *INSTEAD)


def made(name: str, settings: NoticeSettings) -> list[Card]:
    """The cards of a kind."""
    ids = count(1)
    assessment = {**CASES, **DISCHARGE}[name]() if name not in INSTEAD else found()
    if name in INSTEAD:
        notices = lambda _assessment, _settings: (INSTEAD[name](settings),)  # noqa: E731 - as the service passes one
        return cards_for(assessment, settings, new_id=lambda: str(next(ids)), notices=notices)
    more = {"notices": discharge_notices} if name in DISCHARGE else {}
    return cards_for(assessment, settings, new_id=lambda: str(next(ids)), **more)
