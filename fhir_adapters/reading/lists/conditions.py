"""Conditions to yes/no facts and to coded safety events (rule R8).

A confirmed condition counts for a feature whether active or resolved: the models learned from "ever told by a doctor".
Safety codes keep their course, date and encounter, but never the source's display, which can name a method.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, tzinfo

from fhir_adapters.codesets.terminology import (
    ICD10,
    ICD10CM,
    SNOMED,
    CodeRow,
    canonical,
    code_group,
    code_list,
    guessed_system,
    normal,
    table,
)
from fhir_adapters.facts import CodedEvent, Course, EventKind, Setting, When
from fhir_adapters.resources import r4
from fhir_adapters.resources.dates import first_when, when

IGNORED = {"refuted", "entered-in-error"}
UNCONFIRMED = {"unconfirmed", "provisional", "differential"}
NOT_CONFIRMED = IGNORED | UNCONFIRMED
OVER = {"inactive", "remission", "resolved"}

DEPRESSION = ("depression.active", "depression.related", "depression.partial_remission")
BIPOLAR = ("bipolar", "cyclothymia", "mania_secondary")


@dataclass(frozen=True, slots=True, kw_only=True)
class EncounterDate:
    """The encounter of a coded event: reference, start, and end (None while it lasts)."""

    reference: str
    when: When | None
    until: When | None


def event_kind(group: str) -> EventKind | None:
    """The kind of event that a code group means, or None when it is not a safety group.

    Undetermined intent is out: chart review found fewer than a quarter to be self-harm (docs/clinical-sources.md S5).
    """
    if group == "self_harm.undetermined":
        return None
    return KINDS.get(group.partition(".")[0])


KINDS = {kind.value: kind for kind in EventKind}


def snomed_safety_codes() -> tuple[str, ...]:
    """The SNOMED CT codes of the safety code groups, in order."""
    rows = (row for row in table("conditions") if row["system"] == SNOMED and event_kind(code_group(row["group"])))
    return tuple(sorted(row["code"] for row in rows))


def status_codes(concept: r4.CodeableConcept | None) -> set[str]:
    """The codes of a status or category."""
    return {c.code for c in concept.coding if c.code} if concept and concept.coding else set()


def is_counted(condition: r4.Condition) -> bool:
    """Whether the entry is neither refuted nor entered in error."""
    return status_codes(condition.verification_status).isdisjoint(IGNORED)


def is_confirmed(condition: r4.Condition) -> bool:
    """Whether the entry is counted and neither provisional nor a differential."""
    return status_codes(condition.verification_status).isdisjoint(NOT_CONFIRMED)


def onset_of(condition: r4.Condition, zone: tzinfo, today: date) -> When | None:
    """The onset: a date, or the start of a period."""
    period = condition.onset_period
    return first_when(zone, today, condition.onset_date_time, period.start if period else None)


def is_listed(concept: r4.CodeableConcept) -> bool:
    """Whether a code of the concept is in the list of conditions."""
    rows = code_list("conditions").rows
    return any([rows(coding.system, coding.code) for coding in concept.coding])  # noqa: C419  # faster than a generator


def safety_rows(concept: r4.CodeableConcept | None) -> list[tuple[r4.Coding, CodeRow, EventKind]]:
    """The safety code groups of a concept's codings, the worst first."""
    rows = [
        (coding, row, kind)
        for coding in (concept.coding if concept else ())
        for row in code_list("conditions").rows(coding.system, coding.code)[:2]
        if (kind := event_kind(row.group))
    ]
    return sorted(rows, key=lambda row: severity(row[2])) if len(rows) > 1 else rows


def severity(kind: EventKind) -> int:
    """0 for acute kinds (rule R2), 1 for positive ones (R7), 2 for history."""
    return 0 if kind in ACUTE_KINDS else 2 if kind is EventKind.HISTORY else 1


ACUTE_KINDS = {
    EventKind.SELF_HARM,
    EventKind.SELF_INJURY,
    EventKind.SUICIDE_ATTEMPT,
    EventKind.SUICIDAL_BEHAVIOUR,
    EventKind.SUICIDAL_PLAN,
    EventKind.SUICIDAL_INTENT,
    EventKind.DEATH_BY_SUICIDE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeContext:
    """Where and when a concept was recorded; `over`: resolved or inactive."""

    reference: str
    when: When | None
    setting: Setting
    encounter: EncounterDate | None = None
    over: bool = False
    provisional: bool = False
    onset: When | None = None
    recorded: When | None = None


def coded_event(concept: r4.CodeableConcept | None, context: CodeContext) -> CodedEvent | None:
    """The coded safety event of a concept, or None.

    The worst coding decides. A 7th character S or D of any ICD-10-CM coding holds for the whole concept: SNOMED CT
    cannot express that an event is old.
    """
    rows = safety_rows(concept)
    if not rows:
        return None
    coding, row, kind = rows[0]
    sevenths = {_seventh(c.system, c.code or "") for c, _, _ in rows}
    history = context.over or "S" in sevenths or kind is EventKind.HISTORY
    encounter = context.encounter
    return CodedEvent(
        kind=kind,
        code=coding.code or "",
        system=canonical(coding.system) if coding.system else row.system,
        when=context.when,
        until=(encounter.until if encounter else None) or context.when,
        course=Course.HISTORY if history else Course.ACTIVE,
        setting=context.setting,
        reference=context.reference,
        encounter=encounter.reference if encounter else None,
        subsequent="D" in sevenths and "A" not in sevenths,
        provisional=context.provisional,
        verified=row.verified == "yes",
        onset=context.onset,
        recorded=context.recorded,
    )


def condition_event(
    condition: r4.Condition, reference: str, encounter: EncounterDate | None, zone: tzinfo, today: date
) -> CodedEvent | None:
    """The safety event that a Condition records. An encounter diagnosis takes its encounter's date (R8).

    In a stay of several days, an event recorded after the day of admission keeps its recorded date: the date of
    admission would make an attempt on the ward look old.
    """
    if not is_counted(condition):
        return None
    categories = {code for category in condition.category for code in status_codes(category)}
    listed = "problem-list-item" in categories and "encounter-diagnosis" not in categories
    of_encounter = not listed and ("encounter-diagnosis" in categories or encounter is not None)
    onset, recorded = onset_of(condition, zone, today), when(condition.recorded_date, zone, today)
    moment = onset or recorded
    if of_encounter:
        start = encounter.when if encounter else None
        on_the_ward = start is not None and recorded is not None and recorded.day > start.day
        ended = encounter.until.day if encounter and encounter.until else today
        within = recorded is not None and recorded.day <= ended
        moment = recorded if on_the_ward and within else start or recorded or moment
    return coded_event(
        condition.code,
        CodeContext(
            reference=reference,
            when=moment,
            setting=Setting.ENCOUNTER_DIAGNOSIS if of_encounter else Setting.PROBLEM_LIST,
            encounter=encounter,
            over=bool(status_codes(condition.clinical_status) & OVER),
            provisional=bool(status_codes(condition.verification_status) & UNCONFIRMED),
            onset=onset,
            recorded=recorded,
        ),
    )


def _seventh(system: str | None, code: str) -> str | None:
    known = canonical(system) if system else guessed_system(code)
    plain = normal(known, code)
    return plain[6] if known in (ICD10CM, ICD10) and len(plain) == 7 else None


def disorder_groups(concept: r4.CodeableConcept | None) -> set[str]:
    """All code groups of a concept, for the depressive and bipolar disorders of R13."""
    return {
        row.group for c in (concept.coding if concept else ()) for row in code_list("conditions").rows(c.system, c.code)
    }


def is_depressive(groups: set[str]) -> bool:
    """Whether one of the groups is a depressive disorder, partial remission included."""
    return any(group.startswith(DEPRESSION) for group in groups)


def is_bipolar(groups: set[str]) -> bool:
    """Whether one of the groups is bipolar disorder, cyclothymia or mania."""
    return any(group.startswith(BIPOLAR) for group in groups)
