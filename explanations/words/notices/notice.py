"""What a notice contains, its basis, and how its lines are composed.

`notice_list` makes and orders the notices of an assessment; a card or page shows them. Texts are markdown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, tzinfo
from enum import StrEnum

from explanations.judgement.proposals import DraftKind
from explanations.judgement.regions import DEFAULT_REGION, Region
from explanations.words.findings.gaps import gap_words
from explanations.words.findings.statements import Statement
from explanations.words.help_lines import CrisisLine, crisis_text
from explanations.words.language import Language, code, language, later
from explanations.words.lines import Line, sourced
from explanations.words.regional import regional
from explanations.words.tables import complete
from fhir_adapters.facts import Unreadable
from models.rules.findings import SafetyFinding, Topic, Urgency

# The most urgent findings come first, so these lines hold the gravest.
MOST_LINES = 30
MOST_COUNTED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSettings:
    """A site's settings for its notices. `show_probability` is off by default. safety_plan: its own form's address.

    crisis_lines: those that the site itself has checked; they come before those of its region. say: the language of the
    reader.
    """

    zone: tzinfo
    region: Region = DEFAULT_REGION
    crisis_lines: tuple[CrisisLine, ...] = ()
    contact: str | None = None
    safety_plan: str | None = None
    show_probability: bool = False
    say: Language = field(default_factory=language)

    def __post_init__(self) -> None:
        """The language is always that of the region."""
        object.__setattr__(self, "say", regional(self.say, self.region))

    @property
    def safe(self) -> NoticeSettings:
        """The same, in the language that every notice is in: never one whose texts on safety nobody reviewed."""
        return self if self.say.reviewed else replace(self, say=self.say.safe)

    def crisis_text(self, today: date, say: Language, *, spoken: tuple[str, ...] = (), perinatal: bool = False) -> str:
        """The crisis lines of this site, as markdown; see `help_lines.crisis_text`.

        say: the language of the reader, also where nobody has reviewed it. spoken: of the patient; none: not known.
        """
        return crisis_text(
            self.region,
            today,
            say.safe,
            own=self.crisis_lines,
            perinatal=perinatal,
            spoken=spoken or (say.locale,),
        )


class BasisKind(StrEnum):
    """The kinds of basis of a notice."""

    ANSWERS = "answers"
    ACUTE_ANSWERS = "acute-answers"
    CHART = "chart"
    ANOMALY = "anomaly"
    NOT_READ = "not-read"
    PATTERN = "pattern"
    MODEL = "model"
    SWITCHED_OFF = "switched-off"
    OPTED_OUT = "opted-out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What a notice rests on: its rules, and the models that prompted it (`depression 2.0.0`) with their inputs.

    model_below: a model prompted something that was merged into it. told: who has been told of it, in a sentence; "":
    nobody.
    """

    kind: BasisKind
    rules: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    known: int = 0
    inputs: int = 0
    model_below: bool = False
    told: str = ""

    @property
    def by_model(self) -> bool:
        """Whether a model prompted the notice."""
        return self.kind in (BasisKind.PATTERN, BasisKind.MODEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """The notice of one topic, before a card or page adds links and buttons.

    `drafts`: what it calls for, the one to begin with first (`judgement.next_steps`); the same on card and page.
    """

    topic: Topic
    urgency: Urgency
    summary: str
    chart: tuple[Line, ...]
    consider: tuple[str, ...]
    basis: Basis
    heading: str
    consider_heading: str
    crisis: bool = False
    drafts: tuple[DraftKind, ...] = ()


IN_THE_CHART, LAST_RESULTS = later("In the chart"), later("Last results")
CONSIDER_TODAY, CONSIDER_NOW = later("Consider today"), later("Consider now")
# Translators: follows "From chart data (rule R7)", before a full stop.
NO_MODEL = later(", not a model")
# Translators: as above.
MODEL_BELOW = later("; a model prompted only what follows “Also”")
BASES = complete(
    {
        # Translators: {rules} is such as "rule R7" or "rules R2, R7".
        BasisKind.ANSWERS: later("From chart data ({rules}){model}. Not a monitoring service."),
        BasisKind.ACUTE_ANSWERS: later("From chart data ({rules}){model}."),
        BasisKind.CHART: later("From chart data ({rules}){model}."),
        BasisKind.ANOMALY: later("From chart data ({rules}){model}."),
        BasisKind.NOT_READ: later("From chart data ({rules}){model}. What could not be read is not counted as absent."),
        BasisKind.PATTERN: later(
            "Prompted by a model estimate ({rules}): machine learning, not a diagnosis; associations, not causes; "
            "treatment shows care, not cause."
        ),
        BasisKind.MODEL: later(
            "Model {models}, trained on US survey adults, not validated at this site; {known} of {inputs} inputs "
            "known. Associations, not causes; treatment shows care, not cause."
        ),
        BasisKind.SWITCHED_OFF: later(
            "Switched off by this site. The absence of other cards does not mean that there is nothing in the chart."
        ),
        BasisKind.OPTED_OUT: later(
            "By this site’s policy. The absence of other cards does not mean that there is nothing in the chart."
        ),
    },
    BasisKind,
)
NOBODY_TOLD = later("Nobody has been notified: this is not a monitoring service.")


def rule_words(rules: Sequence[str], say: Language) -> str:
    """`rule R7`, `rules R2, R7`."""
    return say.many("rule {rules}", "rules {rules}", len(rules), rules=", ".join(rules))


def of_answers(basis: Basis) -> Basis:
    """The basis without who has been told, for where that is said elsewhere or not at all."""
    return replace(basis, kind=BasisKind.ANSWERS, told="") if basis.kind is BasisKind.ACUTE_ANSWERS else basis


def basis_words(basis: Basis, say: Language) -> str:
    """The basis of a notice in a few sentences."""
    first = say(
        BASES[basis.kind],
        rules=rule_words(basis.rules, say),
        model=say(MODEL_BELOW if basis.model_below else NO_MODEL),
        models=", ".join(basis.models),
        known=basis.known,
        inputs=basis.inputs,
    )
    told = basis.told or (say(NOBODY_TOLD) if basis.kind is BasisKind.ACUTE_ANSWERS else "")
    return f"{first} {told}" if told else first


def source_label(basis: Basis, say: Language) -> str:
    """The source label of a card."""
    return (
        say("mental-health-cds: machine-learning model")
        if basis.by_model
        else say("mental-health-cds: documented answers")
    )


def sources_words(sources: Sequence[str], say: Language) -> str:
    """The sources by the numbers that the lines cite: `Sources: [1] Observation/a, [2] Condition/b`."""
    return say("Sources: {sources}", sources=", ".join(f"[{n}] {source}" for n, source in enumerate(sources, start=1)))


def contact_words(contact: str, say: Language) -> str:
    """The site's own contact."""
    return say("{contact} (set by this site)", contact=contact)


def lines_of(statements: list[Statement], say: Language) -> tuple[Line, ...]:
    """The lines of all findings without duplicates; those that would make the notice too long are only counted.

    Lines refer to their finding ("Same form"), so only whole findings that read the same are merged. Later entries
    that several findings in a row have come once, after the last of them.
    """
    different = list(dict.fromkeys(statements))
    lines: list[Line] = []
    since: tuple[Line, ...] = ()
    for place, statement in enumerate(different):
        before = since if since != statement.later else ()
        if place and len(lines) + len(before) + len(statement.lines) > MOST_LINES:
            return (*lines, *since, _counted(different[place:], say))
        lines += (*before, *statement.lines)
        since = statement.later
    return (*lines, *since)


def _counted(rest: list[Statement], say: Language) -> Line:
    counts = Counter(statement.what for statement in rest).most_common()
    named = [
        say("{what} ({count})", what=what, count=count) if count > 1 else what for what, count in counts[:MOST_COUNTED]
    ]
    others = sum(count for _, count in counts[MOST_COUNTED:])
    listed = "; ".join([*named, *([say("others ({count})", count=others)] if others else [])])
    return Line(
        text=say.many(
            "and {count} more finding, not listed here: {listed}",
            "and {count} more findings, not listed here: {listed}",
            len(rest),
            listed=listed,
        )
    )


def broken_line(entry: Unreadable, say: Language) -> Line:
    """One entry of the chart that could not be read, and why."""
    text = say(
        "{reference} could not be read: {reason}", reference=code(entry.reference), reason=gap_words(entry.reason, say)
    )
    return sourced(text, [entry.reference])


def rules_of(findings: Iterable[SafetyFinding]) -> tuple[str, ...]:
    """The rules of findings, without duplicates."""
    return tuple(dict.fromkeys(f.rule for f in findings))
