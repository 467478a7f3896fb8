"""Whether answers of a chart may be unread: while they may, nobody says that there are none (R18)."""

from __future__ import annotations

from fhir_adapters.facts import ANSWER_PARTS, ChartPart, PatientRecord, Unheard, Unknown
from fhir_adapters.gaps import Cause
from fhir_adapters.instruments import SUICIDE_SCREENS, Instrument

# Parts of the chart that hold later answers, assessments and visits.
LATER_PARTS = (*ANSWER_PARTS, ChartPart.PROCEDURES, ChartPart.RISK_ASSESSMENTS, ChartPart.ENCOUNTERS)
# Titles of the instruments without a question on self-harm.
WITHOUT_SELF_HARM = tuple(i.spec.title for i in Instrument if not i.spec.safety and i not in SUICIDE_SCREENS)


def may_answer(entry: Unheard) -> bool:
    """Whether an entry that no reader used may hold an answer about self-harm."""
    return entry.self_harm or entry.says_yes or entry.instrument not in (None, *WITHOUT_SELF_HARM)


def answers_unread(chart: PatientRecord) -> bool:
    """Whether answers about self-harm may be unread: entries not understood, or parts not obtained."""
    return (
        any(unknown.what in ANSWER_PARTS for unknown in chart.unknown)
        or any(entry.may_hide_answer for entry in chart.unreadable)
        or any(may_answer(entry) for entry in chart.unheard)
    )


def is_offered(unknown: Unknown) -> bool:
    """Whether a part that was not obtained is one that this client or server has, or may have for us.

    RiskAssessments are asked for as an extra: many servers hold none, many clients cannot send them. Where they are
    not offered, nothing is said of them, instead of "not all could be read" on every card (decision 0028).
    """
    return unknown.what != ChartPart.RISK_ASSESSMENTS or unknown.reason.cause not in NOT_OFFERED


NOT_OFFERED = (
    Cause.NO_ACCESS, Cause.SERVER_NOT_ALLOWED, Cause.NOT_GRANTED, Cause.REFUSED, Cause.NOT_FOUND, Cause.NOT_SUPPORTED,
)  # fmt: skip


def later_unread(chart: PatientRecord) -> bool:
    """Whether later screens, risk assessments or visits may be unread."""
    return (
        answers_unread(chart)
        or any(unknown.what in LATER_PARTS and is_offered(unknown) for unknown in chart.unknown)
        or any(entry.kind == "Procedure" for entry in chart.unreadable)
    )
