"""What was known and what was not: one row a part of the chart, in words.

Five things stay apart: read, too old to use, not on file, could not be read, and withheld. Each row has one state, that
of what was found; what could not be read beside it is a gap of that row. Nothing is said to be complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from explanations.judgement.assessment import Assessment
from explanations.words.inputs import input_name
from explanations.words.language import Language
from explanations.words.notices import PARTS
from fhir_adapters.access.prefetch import NOT_PERMITTED
from fhir_adapters.codesets.instruments import TITLES
from fhir_adapters.facts import Consent, Instrument, PatientRecord, Unknown
from fhir_adapters.resources import gathered as part
from models.inputs.feature_schema import FEATURES
from models.inputs.features import NOT_ON_FILE, TOO_OLD

HISTORY_DAYS = 90
MOST_ENTRIES = 3
NO_CONDITION = "none of the conditions that are looked for"
NO_VISIT, NO_MEDICINE = "no visit on file", "no active medicine on file"
NONE_WORDS = (NO_CONDITION, NO_VISIT, NO_MEDICINE)


class Availability(StrEnum):
    """What became of a part of the chart."""

    READ = "read"
    TOO_OLD = "too old to use"
    NOT_ON_FILE = "not on file"
    NOT_READ = "could not be read"
    WITHHELD = "withheld"


@dataclass(frozen=True, slots=True, kw_only=True)
class AvailableRow:
    """One part: its state, what it holds in words, what is missing by name, and what could not be read, with reasons.

    `known` of `asked` model inputs of this part have a usable value; 0 of 0 where no model asks for any.
    """

    part: str
    state: Availability
    holds: str
    known: int
    asked: int
    missing: tuple[str, ...]
    gaps: tuple[str, ...]

    @property
    def words(self) -> str:
        """The state as it is printed, with the count of inputs where there are any."""
        count = f"; {self.known} of {self.asked} model inputs known" if self.asked else ""
        return f"{self.state.value}{count}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """A part of the chart: its keys, the resource types it is read from, the groups of inputs, and what it holds."""

    name: str
    keys: tuple[str, ...]
    kinds: tuple[str, ...]
    groups: tuple[str, ...]
    holds: Callable[[Assessment], tuple[str, bool]]


def availability(assessment: Assessment, say: Language) -> tuple[AvailableRow, ...]:
    """The rows, in the order of the page."""
    return tuple(_row(block, assessment, say) for block in BLOCKS)


def unread_inputs(chart: PatientRecord) -> dict[str, str]:
    """The model inputs that stand in parts of the chart which were not read, and why: not read, or withheld."""
    found: dict[str, str] = {}
    for block in BLOCKS:
        lost = [unknown for unknown in chart.unknown if unknown.what in block.keys]
        if lost:
            state = _state(lost, found=False, fresh=True, broken=False, old=False)
            found |= {spec.name: state.value for spec in FEATURES if spec.group in block.groups}
    return found


def withheld_words(chart: PatientRecord) -> str:
    """How much was put away unread for its security labels, or "". Which part it belongs to is not looked at."""
    count = chart.withheld
    if not count:
        return ""
    entries = "1 entry was" if count == 1 else f"{count} entries were"
    return f"{entries} withheld, unread, for security labels; to which part they belong was not looked at."


def _row(block: _Block, assessment: Assessment, say: Language) -> AvailableRow:
    chart = assessment.chart
    names = [spec.name for spec in FEATURES if spec.group in block.groups]
    absent = {gap.name: gap.reason for gap in assessment.missing if gap.name in names}
    lost = [unknown for unknown in chart.unknown if unknown.what in block.keys]
    broken = [entry for entry in chart.unreadable if entry.kind in block.kinds]
    holds, fresh = block.holds(assessment)
    # An entry that could not be read may be what is looked for: "none" would be more than is known.
    holds = "" if broken and holds in NONE_WORDS else holds
    rest = [unknown for unknown in chart.unknown if unknown.what == part.REST and part.CONSENTS not in block.keys]
    state = _state(lost, found=bool(holds), fresh=fresh, broken=bool(broken or rest), old=TOO_OLD in absent.values())
    asked = len(names) if assessment.missing or assessment.explanations else 0
    return AvailableRow(
        part=block.name,
        state=state,
        holds=holds or "nothing found in what was read",
        known=asked - len(absent) if asked else 0,
        asked=asked,
        missing=_named(absent, state, say),
        gaps=(*(_lost(unknown) for unknown in (*lost, *rest)), *_broken([(b.reference, b.reason) for b in broken])),
    )


def _named(absent: dict[str, str], state: Availability, say: Language) -> tuple[str, ...]:
    """The inputs without a usable value, by reason. Of a part that was not read, none can be said not to be on file."""
    unread = state in (Availability.NOT_READ, Availability.WITHHELD)
    by_reason: dict[str, list[str]] = {}
    for name, reason in absent.items():
        said = state.value if unread and reason == NOT_ON_FILE else reason
        by_reason.setdefault(said, []).append(input_name(name, say))
    return tuple(f"{reason}: {', '.join(dict.fromkeys(names))}" for reason, names in by_reason.items())


def _state(lost: list[Unknown], *, found: bool, fresh: bool, broken: bool, old: bool) -> Availability:
    if any(unknown.reason == NOT_PERMITTED for unknown in lost):
        return Availability.WITHHELD
    if lost or (broken and not found):
        return Availability.NOT_READ
    if found:
        return Availability.READ if fresh else Availability.TOO_OLD
    return Availability.TOO_OLD if old else Availability.NOT_ON_FILE


def _lost(unknown: Unknown) -> str:
    return f"{PARTS.get(unknown.what, unknown.what)}: {unknown.reason}"


def _broken(entries: Iterable[tuple[str, str]]) -> list[str]:
    listed = [f"{reference} could not be read: {reason}" for reference, reason in entries]
    more = len(listed) - MOST_ENTRIES
    return [*listed[:MOST_ENTRIES], *([f"and {more} more could not be read"] if more > 0 else [])]


def _count(number: int, one: str, many: str) -> str:
    return "" if not number else f"1 {one}" if number == 1 else f"{number} {many}"


def _details(assessment: Assessment) -> tuple[str, bool]:
    age, sex = assessment.chart.fact("age"), assessment.chart.fact("female")
    named = [word for word, fact in (("age", age), ("sex", sex)) if fact]
    return " and ".join(named), True


def _screens(assessment: Assessment) -> tuple[str, bool]:
    """The instruments on file, each with its number. Used: those of at most 90 days, or undated (rule R2)."""
    chart = assessment.chart
    counts = {kind: len(chart.of(kind)) for kind in Instrument}
    named = [f"{TITLES[kind]} ({count})" for kind, count in counts.items() if count]
    days = [chart.days_since(form.when) for form in chart.administrations]
    return ", ".join(named), any(day is None or day <= HISTORY_DAYS for day in days)


def _conditions(assessment: Assessment) -> tuple[str, bool]:
    chart = assessment.chart
    listed = [fact for spec in FEATURES if spec.group == "conditions" and (fact := chart.fact(spec.name))]
    held = sum(bool(fact.value) for fact in listed) + len(chart.events)
    held += sum(found is not None for found in (chart.depressive_disorder, chart.bipolar_disorder))
    # A list that was seen in full is used also when nothing on it is of interest: each condition is then known as no.
    none = NO_CONDITION if listed else ""
    return _count(held, "entry that is looked for", "entries that are looked for") or none, True


def _visits(assessment: Assessment) -> tuple[str, bool]:
    chart = assessment.chart
    known = NO_VISIT if chart.fact("visits_yr") else ""
    return _count(len(chart.visits), "visit", "visits") or known, True


def _medicines(assessment: Assessment) -> tuple[str, bool]:
    chart = assessment.chart
    known = NO_MEDICINE if chart.fact("n_rx") else ""
    return _count(len(chart.medicines), "active medicine", "active medicines") or known, True


def _measurements(assessment: Assessment) -> tuple[str, bool]:
    names = [spec.name for spec in FEATURES if spec.group in MEASURED]
    chart = assessment.chart
    return _count(sum(chart.fact(name) is not None for name in names), "value", "values"), True


def _assessments(assessment: Assessment) -> tuple[str, bool]:
    chart = assessment.chart
    count = _count(len(chart.risk_assessments), "suicide risk assessment", "suicide risk assessments")
    days = [chart.days_since(found.when) for found in chart.risk_assessments]
    return count, any(day is None or day <= HISTORY_DAYS for day in days)


CONSENT_WORDS = {
    Consent.ALLOWED: "no consent on file that denies this use",
    Consent.OPTED_OUT: "the patient has opted out",
    Consent.DENIED: "a consent on file denies this use",
    Consent.UNKNOWN: "",
}


def _consents(assessment: Assessment) -> tuple[str, bool]:
    return CONSENT_WORDS[assessment.chart.consent], True


MEASURED = ("lifestyle", "needs", "pro")
BLOCKS = (
    _Block(name="Patient details", keys=(part.PATIENT,), kinds=("Patient",), groups=("demographics",), holds=_details),
    _Block(
        name="Questionnaires and screening answers",
        keys=(part.SCREENING, part.QUESTIONNAIRES, part.LOCAL_SCREENING),
        kinds=("QuestionnaireResponse", "Observation"),
        groups=("phq2", "phq"),
        holds=_screens,
    ),
    _Block(name="Conditions", keys=(part.CONDITIONS,), kinds=("Condition",), groups=("conditions",), holds=_conditions),
    _Block(name="Visits", keys=(part.ENCOUNTERS,), kinds=("Encounter",), groups=("utilisation",), holds=_visits),
    _Block(
        name="Medicines",
        keys=(part.MEDICATIONS,),
        kinds=("MedicationRequest", "MedicationStatement", "Medication"),
        groups=("drugs",),
        holds=_medicines,
    ),
    _Block(
        name="Measurements and lifestyle",
        keys=(part.MEASUREMENTS,),
        kinds=(),
        groups=MEASURED,
        holds=_measurements,
    ),
    _Block(
        name="Procedures and risk assessments",
        keys=(part.PROCEDURES,),
        kinds=("Procedure",),
        groups=(),
        holds=_assessments,
    ),
    _Block(name="Consents", keys=(part.CONSENTS,), kinds=("Consent",), groups=(), holds=_consents),
)
