"""Data availability in words: one row per part of the chart.

Five states stay distinct: read, too old to use, not on file, could not be read, and withheld. A row has the state of
what was found; what could not be read besides is a gap of that row. Nothing is called complete.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from explanations.judgement.assessment import Assessment
from explanations.words.estimates.not_scored import MISSING, missing_lines
from explanations.words.findings.gaps import PARTS, gap_words
from explanations.words.language import Language, code, later
from explanations.words.tables import complete
from fhir_adapters.facts import ChartPart, Consent, PatientRecord, Unheard, Unknown, Unreadable
from fhir_adapters.gaps import Cause
from fhir_adapters.instruments import Instrument
from models.inputs.feature_schema import FEATURES
from models.inputs.features import MissingReason
from models.rules.unread import is_offered
from models.scoring.risk import RiskScore

HISTORY_DAYS = 90
MOST_ENTRIES = 3


class Availability(StrEnum):
    """The state of a part of the chart."""

    READ = "read"
    TOO_OLD = "too-old"
    NOT_ON_FILE = "not-on-file"
    NOT_READ = "not-read"
    WITHHELD = "withheld"


STATES = complete(
    {
        # Translators: what became of a part of the chart; also before a colon and a list of what is missing.
        Availability.READ: later("read"),
        Availability.TOO_OLD: later("too old to use"),
        Availability.NOT_ON_FILE: later("not on file"),
        Availability.NOT_READ: later("could not be read"),
        Availability.WITHHELD: later("withheld"),
    },
    Availability,
)


PARTLY_READ = later("none found in what was read")
NOTHING = complete(
    dict.fromkeys(Availability, PARTLY_READ)
    | dict.fromkeys((Availability.NOT_ON_FILE, Availability.TOO_OLD), later("none found")),
    Availability,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AvailableRow:
    """One part: its state, contents in words, missing inputs by name, and what could not be read, with reasons.

    `known` of `asked` model inputs of this part have a usable value; 0 of 0 if no model uses any. `words`: the state as
    printed, with the count of inputs, if any, where a model speaks.
    """

    part: str
    state: Availability
    holds: str
    known: int
    asked: int
    missing: tuple[str, ...]
    gaps: tuple[str, ...]
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The contents of a part, in words; "" if nothing was found.

    is_none: nothing relevant is on file. is_fresh: some of it is recent enough to be used.
    """

    words: str
    is_none: bool = False
    is_fresh: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """A part of the chart: its keys, source resource types, groups of inputs, and contents."""

    name: str
    keys: tuple[ChartPart, ...]
    kinds: tuple[str, ...]
    groups: tuple[str, ...]
    holds: Callable[[Assessment, Language], Held]


def availability(assessment: Assessment, say: Language) -> tuple[AvailableRow, ...]:
    """The rows, in page order; of what only models read, where they may be asked."""
    return tuple(_row(block, assessment, say) for block in BLOCKS if assessment.asked or block.groups != MEASURED)


def unread_inputs(chart: PatientRecord) -> dict[str, Availability]:
    """The model inputs in parts of the chart that were not read, and why: not read, or withheld."""
    states: dict[str, Availability] = {}
    for block in BLOCKS:
        lost = [unknown for unknown in chart.unknown if unknown.what in block.keys]
        broken = _not_read(block, chart)
        if lost or broken:
            state = _state(lost, held=False, fresh=True, broken=bool(broken), old=False)
            states |= {spec.name: state for spec in FEATURES if spec.group in block.groups}
    return states


def withheld_words(chart: PatientRecord, say: Language) -> str:
    """How much was set aside unread for its security labels, or "". Its part of the chart is not examined."""
    if not chart.withheld:
        return ""
    return say.many(
        "{count} entry was withheld unread because of its security labels; which part it belongs to was not checked.",
        "{count} entries were withheld unread because of their security labels; which part they belong to was not "
        "checked.",
        chart.withheld,
    )


def _row(block: _Block, assessment: Assessment, say: Language) -> AvailableRow:
    chart = assessment.chart
    names = [spec.name for spec in FEATURES if spec.group in block.groups and spec.name in assessment.asked]
    absent = {gap.name: gap.reason for gap in assessment.missing if gap.name in names}
    lost = [unknown for unknown in chart.unknown if unknown.what in block.keys]
    broken = _not_read(block, chart)
    held = block.holds(assessment, say)
    # An unreadable entry may be a relevant one: "none" would claim more than is known.
    holds = "" if broken and held.is_none else held.words
    rest = [gap for gap in chart.unknown if gap.what == ChartPart.REST and ChartPart.CONSENTS not in block.keys]
    old = MissingReason.TOO_OLD in absent.values()
    # What is not offered is named, and leaves what was read standing.
    unread = [unknown for unknown in lost if is_offered(unknown) or not holds]
    state = _state(unread, held=bool(holds), fresh=held.is_fresh, broken=bool(broken or rest), old=old)
    asked = len(names)
    known = asked - len(absent)
    words = say(STATES[state])
    return AvailableRow(
        part=say(block.name),
        state=state,
        holds=holds or say(NOTHING[state]),
        known=known,
        asked=asked,
        missing=_named(absent, state, say, unread=bool(broken)),
        words=say("{state}; {known} of {asked} model inputs known", state=words, known=known, asked=asked)
        if asked and any(isinstance(score, RiskScore) for score in assessment.scores)
        else words,
        gaps=(*(_lost(unknown, say) for unknown in (*lost, *rest)), *_broken(broken, say)),
    )


def _named(absent: dict[str, MissingReason], state: Availability, say: Language, *, unread: bool) -> tuple[str, ...]:
    """The inputs without a usable value, by reason. If any of a part was not read, none is called "not on file"."""
    lost = STATES[Availability.NOT_READ] if unread else MISSING[MissingReason.NOT_ON_FILE]
    not_there = STATES[state] if state in (Availability.NOT_READ, Availability.WITHHELD) else lost
    missing = [
        (name, say(not_there if reason is MissingReason.NOT_ON_FILE else MISSING[reason]))
        for name, reason in absent.items()
    ]
    return tuple(missing_lines(missing, say))


def _state(lost: list[Unknown], *, held: bool, fresh: bool, broken: bool, old: bool) -> Availability:
    if any(unknown.reason.cause is Cause.NOT_PERMITTED for unknown in lost):
        return Availability.WITHHELD
    if lost or (broken and not held):
        return Availability.NOT_READ
    if held:
        return Availability.READ if fresh else Availability.TOO_OLD
    return Availability.TOO_OLD if old else Availability.NOT_ON_FILE


def _lost(unknown: Unknown, say: Language) -> str:
    # Translators: a part of the chart, and why it was not read: "medicines: the EHR refused access".
    return say("{part}: {reason}", part=say(PARTS[unknown.what]), reason=gap_words(unknown.reason, say))


def _not_read(block: _Block, chart: PatientRecord) -> list[Unreadable | Unheard]:
    """The entries of this part that could not be read or were not understood."""
    entries: tuple[Unreadable | Unheard, ...] = (*chart.unreadable, *chart.unheard)
    return [entry for entry in entries if entry.kind in block.kinds]


def _broken(entries: Sequence[Unreadable | Unheard], say: Language) -> list[str]:
    lines = [
        say("{reference} was not understood", reference=code(entry.reference))
        if isinstance(entry, Unheard)
        else say(
            "{reference} could not be read: {reason}",
            reference=code(entry.reference),
            reason=gap_words(entry.reason, say),
        )
        for entry in entries[:MOST_ENTRIES]
    ]
    more = len(entries) - MOST_ENTRIES
    return [*lines, say("and {count} more could not be read", count=more)] if more > 0 else lines


def _details(assessment: Assessment, say: Language) -> Held:
    names = {"age": later("age"), "female": later("sex"), "other_gender": later("gender other than female or male")}
    return Held(words=", ".join(say(words) for name, words in names.items() if assessment.chart.fact(name)))


def _screens(assessment: Assessment, _say: Language) -> Held:
    """The instruments on file, each with its count. Fresh: at most 90 days old, or undated (rule R2)."""
    chart = assessment.chart
    counts = {kind: len(chart.of(kind)) for kind in Instrument}
    named = [f"{kind.spec.title} ({count})" for kind, count in counts.items() if count]
    days = [chart.days_since(form.when) for form in chart.administrations]
    return Held(words=", ".join(named), is_fresh=any(day is None or day <= HISTORY_DAYS for day in days))


def _conditions(assessment: Assessment, say: Language) -> Held:
    chart = assessment.chart
    listed = [fact for spec in FEATURES if spec.group == "conditions" and (fact := chart.fact(spec.name))]
    count = sum(bool(fact.value) for fact in listed) + len(chart.events)
    count += sum(disorder is not None for disorder in (chart.depressive_disorder, chart.bipolar_disorder))
    if count:
        return Held(words=say.many("{count} relevant condition", "{count} relevant conditions", count))
    # A list read in full is informative even if nothing on it is relevant: each condition is then known to be absent.
    return Held(words=say("no relevant condition") if listed else "", is_none=True)


def _visits(assessment: Assessment, say: Language) -> Held:
    chart = assessment.chart
    if chart.visits:
        return Held(words=say.many("{count} visit", "{count} visits", len(chart.visits)))
    return Held(words=say("no visit on file") if chart.fact("visits_yr") else "", is_none=True)


def _medicines(assessment: Assessment, say: Language) -> Held:
    chart = assessment.chart
    if chart.medicines:
        return Held(words=say.many("{count} active medicine", "{count} active medicines", len(chart.medicines)))
    return Held(words=say("no active medicine on file") if chart.fact("n_rx") else "", is_none=True)


def _measurements(assessment: Assessment, say: Language) -> Held:
    names = [spec.name for spec in FEATURES if spec.group in MEASURED]
    count = sum(assessment.chart.fact(name) is not None for name in names)
    # Translators: values that were measured or asked for, such as hours of sleep.
    return Held(words=say.many("{count} value", "{count} values", count) if count else "")


def _assessments(assessment: Assessment, say: Language) -> Held:
    chart, count = assessment.chart, len(assessment.chart.risk_assessments)
    days = [chart.days_since(done.when) for done in chart.risk_assessments]
    words = say.many("{count} suicide risk assessment", "{count} suicide risk assessments", count) if count else ""
    return Held(words=words, is_fresh=any(day is None or day <= HISTORY_DAYS for day in days))


CONSENT_WORDS = complete(
    {
        Consent.ALLOWED: later("no objection on file"),
        Consent.OPTED_OUT: later("the patient has opted out"),
        Consent.DENIED: later("a consent on file denies this use"),
        Consent.UNKNOWN: "",
    },
    Consent,
)


def _consents(assessment: Assessment, say: Language) -> Held:
    return Held(words=say(CONSENT_WORDS[assessment.chart.consent]))


MEASURED = ("lifestyle", "needs", "difficulties", "pro")
BLOCKS = (
    _Block(
        name=later("Patient details"),
        keys=(ChartPart.PATIENT,),
        kinds=("Patient",),
        groups=("demographics",),
        holds=_details,
    ),
    _Block(
        name=later("Questionnaires and screening answers"),
        keys=(ChartPart.SCREENING, ChartPart.QUESTIONNAIRES, ChartPart.LOCAL_SCREENING),
        kinds=("QuestionnaireResponse", "Observation"),
        groups=("phq2", "phq"),
        holds=_screens,
    ),
    _Block(
        name=later("Conditions"),
        keys=(ChartPart.CONDITIONS,),
        kinds=("Condition",),
        groups=("conditions",),
        holds=_conditions,
    ),
    _Block(
        name=later("Visits"), keys=(ChartPart.ENCOUNTERS,), kinds=("Encounter",), groups=("utilisation",), holds=_visits
    ),
    _Block(
        name=later("Medicines"),
        keys=(ChartPart.MEDICATIONS,),
        kinds=("MedicationRequest", "MedicationStatement", "Medication"),
        groups=("drugs",),
        holds=_medicines,
    ),
    _Block(
        name=later("Measurements and lifestyle"),
        keys=(ChartPart.MEASUREMENTS,),
        kinds=(),
        groups=MEASURED,
        holds=_measurements,
    ),
    _Block(
        name=later("Procedures and risk assessments"),
        keys=(ChartPart.PROCEDURES, ChartPart.RISK_ASSESSMENTS),
        kinds=("Procedure", "RiskAssessment"),
        groups=(),
        holds=_assessments,
    ),
    _Block(name=later("Consents"), keys=(ChartPart.CONSENTS,), kinds=("Consent",), groups=(), holds=_consents),
)
