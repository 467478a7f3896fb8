"""Conditions to yes/no facts and to coded safety events (rule R8).

A confirmed condition counts for a feature whether active or resolved: the models learned from
"ever told by a doctor". Safety codes keep their course, their date and their encounter; the
display of the source is never carried over, because it can name a method.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, tzinfo
from functools import cache, lru_cache

from fhir_adapters.codesets.terminology import (
    ICD10,
    ICD10CM,
    LONGEST_CODE,
    LONGEST_SYSTEM,
    CodeRow,
    canonical,
    code_list,
    guessed_system,
    normal,
    table,
)
from fhir_adapters.facts import CodedEvent, Course, EventKind, Fact, Setting, When
from fhir_adapters.reading.listed import listed_fact
from fhir_adapters.resources import r4
from fhir_adapters.resources.dates import first_when, when

IGNORED = {"refuted", "entered-in-error"}
UNCONFIRMED = {"unconfirmed", "provisional", "differential"}
OVER = {"inactive", "remission", "resolved"}

DEPRESSION = ("depression.active", "depression.related", "depression.partial_remission")
BIPOLAR = ("bipolar", "cyclothymia", "mania_secondary")


@dataclass(frozen=True, slots=True, kw_only=True)
class EncounterDate:
    """What a coded event needs of its encounter: reference, start, and end or None while it goes on."""

    reference: str
    when: When | None
    until: When | None


def event_kind(group: str) -> EventKind | None:
    """The kind of event that a code group stands for, or None when the group is no safety group.

    Undetermined intent is off: chart review found fewer than a quarter to be self-harm (docs/clinical-sources.md S5).
    """
    if group == "self_harm.undetermined":
        return None
    return KINDS.get(group.partition(".")[0])


KINDS = {kind.value: kind for kind in EventKind}


def status_codes(concept: r4.CodeableConcept | None) -> set[str]:
    """The codes of a status or category."""
    return {c.code for c in concept.coding if c.code} if concept else set()


def counted(condition: r4.Condition) -> bool:
    """Whether the entry says anything about the patient at all."""
    return not status_codes(condition.verification_status) & IGNORED


def confirmed(condition: r4.Condition) -> bool:
    """Whether the entry is counted and neither provisional nor one of several considered."""
    return counted(condition) and not status_codes(condition.verification_status) & UNCONFIRMED


def onset(condition: r4.Condition, zone: tzinfo, today: date) -> When | None:
    """The onset, else the date of recording."""
    period = condition.onset_period
    return first_when(zone, today, condition.onset_date_time, period.start if period else None, condition.recorded_date)


def safety_rows(concept: r4.CodeableConcept | None) -> list[tuple[r4.Coding, CodeRow, EventKind]]:
    """The safety code groups that a concept's codings fall under, the worst first."""
    rows = [
        (coding, row, kind)
        for coding in (concept.coding if concept else ())
        for row in code_list("conditions").rows(coding.system, coding.code)[:2]
        if (kind := event_kind(row.group))
    ]
    return sorted(rows, key=lambda found: severity(found[1].group))


def severity(group: str) -> int:
    """0 for acute groups (rule R2), 1 for positive ones (R7), 2 for history."""
    return 0 if group.startswith(ACUTE_GROUPS) else 2 if group.startswith("history") else 1


ACUTE_GROUPS = ("self_harm", "self_injury", "suicide_attempt", "suicidal_behavior", "suicidal_plan", "suicidal_intent",
                "suicide_death_event")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where and when a concept was recorded; `over`: resolved or inactive."""

    reference: str
    when: When | None
    setting: Setting
    encounter: EncounterDate | None = None
    over: bool = False
    provisional: bool = False
    onset: When | None = None
    recorded: When | None = None


def coded_event(concept: r4.CodeableConcept | None, placed: Placed) -> CodedEvent | None:
    """The coded safety event of a concept, or None.

    The worst of its codings names it. A 7th character S or D of any ICD-10-CM coding speaks for the whole
    concept: SNOMED CT beside it cannot say that the event is an old one.
    """
    rows = safety_rows(concept)
    if not rows:
        return None
    coding, row, kind = rows[0]
    sevenths = {_seventh(c.system, c.code or "") for c, _, _ in rows}
    history = placed.over or "S" in sevenths or severity(row.group) == 2
    encounter = placed.encounter
    return CodedEvent(
        group=row.group,
        kind=kind,
        code=coding.code or "",
        system=canonical(coding.system) if coding.system else row.system,
        when=placed.when,
        until=(encounter.until if encounter else None) or placed.when,
        course=Course.HISTORY if history else Course.ACTIVE,
        setting=placed.setting,
        reference=placed.reference,
        encounter=encounter.reference if encounter else None,
        subsequent="D" in sevenths and "A" not in sevenths,
        provisional=placed.provisional,
        verified=row.verified == "yes",
        onset=placed.onset,
        recorded=placed.recorded,
    )


def condition_event(
    condition: r4.Condition, reference: str, encounter: EncounterDate | None, zone: tzinfo, today: date
) -> CodedEvent | None:
    """The safety event that a Condition records. An encounter diagnosis takes its encounter's date (R8).

    In a stay of several days, an event recorded after the day of admission takes the date of its record: the
    date of admission would make an attempt on the ward an old one.
    """
    if not counted(condition):
        return None
    categories = {code for category in condition.category for code in status_codes(category)}
    listed = "problem-list-item" in categories and "encounter-diagnosis" not in categories
    of_encounter = not listed and ("encounter-diagnosis" in categories or encounter is not None)
    moment, recorded = onset(condition, zone, today), when(condition.recorded_date, zone, today)
    period = condition.onset_period
    if of_encounter:
        start = encounter.when if encounter else None
        on_the_ward = start is not None and recorded is not None and recorded.day > start.day
        ended = encounter.until.day if encounter and encounter.until else today
        within = recorded is not None and recorded.day <= ended
        moment = recorded if on_the_ward and within else start or recorded or moment
    return coded_event(
        condition.code,
        Placed(
            reference=reference,
            when=moment,
            setting=Setting.ENCOUNTER_DIAGNOSIS if of_encounter else Setting.PROBLEM_LIST,
            encounter=encounter,
            over=bool(status_codes(condition.clinical_status) & OVER),
            provisional=bool(status_codes(condition.verification_status) & UNCONFIRMED),
            onset=first_when(zone, today, condition.onset_date_time, period.start if period else None),
            recorded=recorded,
        ),
    )


NAMES_SELF_HARM = re.compile(r"suicid|self[- ]?(?:harm|injur|inflict)", re.IGNORECASE)
NAMES_NONE = re.compile(r"family history|\bno\b|denie|without|prevention|risk assessment|survivor", re.IGNORECASE)


def words_name_self_harm(concept: r4.CodeableConcept | None) -> bool:
    """Whether a concept that has none of our codes names suicide or self-harm in words."""
    texts = [concept.text, *(c.display for c in concept.coding)] if concept else []
    return any(t and NAMES_SELF_HARM.search(t) and not NAMES_NONE.search(t) for t in texts)


def _seventh(system: str | None, code: str) -> str | None:
    known = canonical(system) if system else guessed_system(code)
    plain = normal(known, code)
    return plain[6] if known in (ICD10CM, ICD10) and len(plain) == 7 else None


@cache
def _chronic() -> tuple[dict[tuple[str, str], tuple[str, ...]], tuple[tuple[re.Pattern[str], str], ...]]:
    exact: dict[tuple[str, str], tuple[str, ...]] = {}
    icd: list[tuple[re.Pattern[str], str]] = []
    for row in table("chronic_conditions"):
        if row["system"] == ICD10CM:
            icd.append((re.compile(_icd_pattern(row["code"])), row["feature"]))
        else:
            key = (row["system"], row["code"])
            exact[key] = (*exact.get(key, ()), row["feature"])
    return exact, tuple(icd)


def _icd_pattern(code: str) -> str:
    """`J45` a category and all below it; `C00-C96` a range; `I21-I25 except I25.2` a range with a hole."""
    span, _, hole = code.partition(" except ")
    low, _, high = span.partition("-")
    if high:
        numbers = "|".join(f"{n:02d}" for n in range(int(low[1:]), int(high[1:]) + 1))
        body = f"{low[0]}(?:{numbers})"
    else:
        body = re.escape(low.replace(".", ""))
    return f"(?!{hole.replace('.', '')}){body}" if hole else body


def chronic_features(concept: r4.CodeableConcept | None) -> set[str]:
    """The yes/no features of the feature map that a condition's codes stand for."""
    codings = concept.coding if concept else ()
    known = [(canonical(c.system), c.code) for c in codings if c.system and c.code and len(c.code) <= LONGEST_CODE]
    return {
        feature for system, code in known if len(system) <= LONGEST_SYSTEM for feature in _features_of(system, code)
    }


@lru_cache(maxsize=8192)
def _features_of(known: str, code: str) -> tuple[str, ...]:
    exact, icd = _chronic()
    found = list(exact.get((known, code), ()))
    if known in (ICD10CM, ICD10):
        found += [feature for pattern, feature in icd if pattern.match(normal(known, code))]
    return tuple(found)


@cache
def chronic_names() -> tuple[str, ...]:
    """Every yes/no condition feature, in the order of the list."""
    return tuple(dict.fromkeys(row["feature"] for row in table("chronic_conditions")))


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


def condition_fact(name: str, sources: list[tuple[When | None, str]]) -> Fact:
    """True with its sources; False with none when nothing of the kind is listed."""
    return listed_fact(name, bool(sources), sources)
