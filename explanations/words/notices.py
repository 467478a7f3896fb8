"""What each topic has to say: summary, lines of the chart, what to consider, and on what it rests.

One function a topic, from findings or scores to a `Notice`; `notice_list` makes and orders all of them, a card or a
page shows them. Summaries stay under 140 characters, the most a card may have: what was found comes first, then when,
then what to do. Texts are Markdown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import tzinfo
from enum import StrEnum
from functools import reduce

from explanations.judgement.assessment import Assessment
from explanations.judgement.rationale import Explanation
from explanations.words.answers import answer_words
from explanations.words.gaps import PARTS, gap_words
from explanations.words.inputs import change_words, reason_line, value_words
from explanations.words.language import ENGLISH, Language, capitalised, code, language, later
from explanations.words.lines import Line, LineRole
from explanations.words.not_scored import MISSING, missing_lines
from explanations.words.outcomes import OUTCOME_WORDS
from explanations.words.statements import Statement, statement
from explanations.words.tables import complete
from explanations.words.topics import SPEC_OF
from fhir_adapters.facts import Administration, AnswerState, ChartPart, Unknown, Unreadable, When
from fhir_adapters.instruments import NINE_ITEM_PHQ, SAFETY_ITEMS, Instrument
from fhir_adapters.reading.totals import total_of
from models.inputs.outcomes import OUTCOME_SPECS
from models.rules.discharge import Step
from models.rules.findings import Kind, SafetyFinding, Topic, Urgency
from models.rules.supersession import LaterKind
from models.scoring.risk import RiskScore

MOST_SUMMARY = 139
MOST_REASONS = 4
MOST_UNREADABLE = 5
# Findings come the most urgent first, so that these lines hold the gravest.
MOST_LINES = 30
MOST_COUNTED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSettings:
    """What a site decides about its notices. `show_probability` is off unless a site turned it on."""

    zone: tzinfo
    country: str = "US"
    contact: str | None = None
    show_probability: bool = False
    locale: str = ENGLISH

    @property
    def say(self) -> Language:
        """The language of this site's clinicians."""
        return language(self.locale)


class BasisKind(StrEnum):
    """On what a notice rests."""

    ANSWERS = "answers"
    ACUTE_ANSWERS = "acute-answers"
    DISCHARGE = "discharge"
    ACUTE_DISCHARGE = "acute-discharge"
    CHART = "chart"
    ANOMALY = "anomaly"
    NOT_READ = "not-read"
    PATTERN = "pattern"
    MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """On what a notice rests: its rules, and the models that spoke (`depression 2.0.0`) with their inputs.

    by_model: a model prompted it. model_below: a model prompted something that was merged into it.
    """

    kind: BasisKind
    rules: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    known: int = 0
    inputs: int = 0
    model_below: bool = False

    @property
    def by_model(self) -> bool:
        """Whether a model prompted the notice."""
        return self.kind in (BasisKind.PATTERN, BasisKind.MODEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What one topic says, before a card or a page gives it links and buttons.

    `steps`: at discharge, the steps that decide on its buttons. `offers`: whether it has any; no draft fits an EPDS.
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
    steps: tuple[Step, ...] = ()
    offers: bool = True


IN_THE_CHART, LAST_RESULTS = later("In the chart"), later("Last results")
CONSIDER_TODAY, CONSIDER_NOW = later("Consider today"), later("Consider now")
NO_MODEL = later("no model was used")
MODEL_BELOW = later("a model prompted only what follows “Also”")
BASES = complete(
    {
        # Translators: {model} is one of "no model was used" and "a model prompted only what follows “Also”".
        BasisKind.ANSWERS: later("Restates answers in the chart (rule {rules}); {model}. Not a monitoring service."),
        BasisKind.ACUTE_ANSWERS: later(
            "Restates answers in the chart (rule {rules}); {model}. Nobody has been notified: this is not a monitoring "
            "service."
        ),
        BasisKind.DISCHARGE: later(
            "Restates answers in the chart (rule {rules}) and what is on file since; {model}. Care given elsewhere, "
            "notes and documents are not read. Not a monitoring service."
        ),
        BasisKind.ACUTE_DISCHARGE: later(
            "Restates answers in the chart (rule {rules}) and what is on file since; {model}. Care given elsewhere, "
            "notes and documents are not read. Nobody has been notified: this is not a monitoring service."
        ),
        BasisKind.CHART: later("Restates the chart (rule {rules}); {model}."),
        BasisKind.ANOMALY: later("Rule {rules}; {model}."),
        BasisKind.NOT_READ: later("Rule {rules}; {model}. What could not be read is not counted as absent."),
        BasisKind.PATTERN: later(
            "A pattern in the record prompted this (rule {rules}; machine learning, not a diagnosis)."
        ),
        BasisKind.MODEL: later(
            "Model {models}, learned from US survey adults: associations, not causes; {known} of {inputs} inputs "
            "known. Not validated at this site."
        ),
    },
    BasisKind,
)


def basis_words(basis: Basis, say: Language) -> str:
    """One sentence or two on what a notice rests on."""
    return say(
        BASES[basis.kind],
        rules=", ".join(basis.rules),
        model=say(MODEL_BELOW if basis.model_below else NO_MODEL),
        models=", ".join(basis.models),
        known=basis.known,
        inputs=basis.inputs,
    )


def source_label(basis: Basis, say: Language) -> str:
    """What a card names as its source."""
    return (
        say("mental-health-cds: machine-learning model")
        if basis.by_model
        else say("mental-health-cds: documented answers")
    )


def from_findings(
    assessment: Assessment, topic: Topic, findings: list[SafetyFinding], settings: NoticeSettings
) -> Notice:
    """The notice of one topic from its findings, the most urgent first."""
    statements = [statement(finding, settings.zone, settings.say) for finding in findings]
    return MAKERS[topic](assessment, findings, statements, settings)


def _safety(
    _assessment: Assessment, findings: list[SafetyFinding], statements: list[Statement], settings: NoticeSettings
) -> Notice:
    say, topic = settings.say, findings[0].topic
    acute = topic is Topic.ACUTE_SAFETY
    consider = [say(text) for text in SPEC_OF[topic].consider]
    if topic is Topic.POSITIVE_SAFETY_ANSWER and any(f.kind is Kind.ASQ for f in findings):
        consider[0] = say("Brief suicide safety assessment during this visit, before the patient leaves")
    if acute and settings.contact:
        consider.append(contact_words(settings.contact, say))
    return Notice(
        topic=topic,
        urgency=max(f.urgency for f in findings),
        summary=SUMMARIES[topic](findings[0], statements[0], len(findings), say),
        heading=say(IN_THE_CHART),
        chart=lines_of(statements, say),
        consider=tuple(consider),
        consider_heading=say(CONSIDER_NOW if acute else CONSIDER_TODAY),
        basis=Basis(kind=BasisKind.ACUTE_ANSWERS if acute else BasisKind.ANSWERS, rules=rules_of(findings)),
        crisis=True,
    )


def contact_words(contact: str, say: Language) -> str:
    """Whom this site wants called."""
    return say("{contact} (set by this site)", contact=contact)


def lines_of(statements: list[Statement], say: Language) -> tuple[Line, ...]:
    """The lines of all findings, none said twice. What would make the notice too long to read is counted.

    Lines belong to their finding ("Same form"), so only whole findings that read the same are said once; what came
    later is said once at the end where it is the same for all.
    """
    different = list(dict.fromkeys(statements))
    shared = different[0].later if len({s.later for s in different}) == 1 else ()
    lines: list[Line] = []
    for place, one in enumerate(different):
        new = (*one.lines, *(() if shared else one.later))
        if place and len(lines) + len(new) > MOST_LINES:
            return (*lines, _counted(different[place:], say), *shared)
        lines += new
    return (*lines, *shared)


def _counted(rest: list[Statement], say: Language) -> Line:
    counts = Counter(one.what for one in rest).most_common()
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


def _acute_summary(_finding: SafetyFinding, said: Statement, count: int, say: Language) -> str:
    return fit(say("Safety evaluation before the patient leaves."), _fact(said, count, say))


def _positive_summary(finding: SafetyFinding, said: Statement, count: int, say: Language) -> str:
    total = total_of(finding.form) if finding.kind is Kind.SELF_HARM_ITEM and finding.form else None
    if finding.kind is Kind.UNREADABLE_ANSWER:
        action = say("Look at the source and ask today.")
    elif finding.kind is Kind.ASQ:  # asked and answered: the assessment follows (docs/clinical-sources.md S3)
        action = say("Brief suicide safety assessment before the patient leaves.")
    else:
        action = say("Ask about thoughts of suicide today.")
    if total is None:
        return fit(action, _fact(said, count, say))
    more = more_words(count, say)
    return fit(
        action, say("{what}, {when} (total {total}){more}.", what=said.what, when=said.when, total=total, more=more)
    )


def _fact(said: Statement, count: int, say: Language) -> str:
    # Translators: {what} is a finding, {when} its date, {more} empty or ", and 2 more".
    return say("{what}, {when}{more}.", what=said.what, when=said.when, more=more_words(count, say))


def _recent_summary(finding: SafetyFinding, said: Statement, count: int, say: Language) -> str:
    recent = next((entry for entry in finding.later if entry.downgrades), None)
    known = recent or next((entry for entry in finding.later if entry.what is not LaterKind.ITEM_9_ZERO), None)
    named = {"what": said.what, "more": more_words(count, say)}
    long, short = named | {"when": said.when}, named | {"when": say.dated(finding.when)}
    if known is None:
        since = later("{what}, {when}{more}; no later C-SSRS, ASQ or risk assessment in this chart.")
        shorter = say("{what}, {when}{more}; no later screen here.", **short)
        return fit(say("Consider reassessing today."), say(since, **long), say(since, **short), shorter)
    action = say("Both shown; neither rules out risk.") if recent else say("Consider reassessing today.")
    came = {"entry": say(SHORT_LATER[known.what]), "date": say.dated(known.when)}
    text = later("{what}, {when}{more}; later {entry}, {date}.")
    return fit(action, say(text, **long, **came), say(text, **short, **came))


SHORT_LATER = complete(
    {
        LaterKind.CSSRS_NEGATIVE: later("C-SSRS answered no"),
        LaterKind.CSSRS_POSITIVE: later("C-SSRS with positive answers"),
        LaterKind.CSSRS_INCOMPLETE: later("C-SSRS, not complete"),
        LaterKind.ASQ_NEGATIVE: later("ASQ answered no"),
        LaterKind.ASQ_POSITIVE: later("ASQ with positive answers"),
        LaterKind.ASQ_INCOMPLETE: later("ASQ, not complete"),
        LaterKind.RISK_ASSESSMENT: later("risk assessment"),
        LaterKind.ITEM_9_ZERO: later("item 9 “not at all”"),
    },
    LaterKind,
)
SUMMARIES: dict[Topic, Callable[[SafetyFinding, Statement, int, Language], str]] = {
    Topic.ACUTE_SAFETY: _acute_summary,
    Topic.POSITIVE_SAFETY_ANSWER: _positive_summary,
    Topic.RECENT_SAFETY: _recent_summary,
}


def _anomaly(
    _assessment: Assessment, findings: list[SafetyFinding], statements: list[Statement], settings: NoticeSettings
) -> Notice:
    say = settings.say
    return Notice(
        topic=Topic.DATA_ANOMALY,
        urgency=max(f.urgency for f in findings),
        summary=fit(
            say("Check the source; no estimate was made."), anomaly_fact(findings[0], statements[0], len(findings), say)
        ),
        heading=say(IN_THE_CHART),
        chart=lines_of(statements, say),
        consider=tuple(say(text) for text in SPEC_OF[Topic.DATA_ANOMALY].consider),
        consider_heading=say(CONSIDER_TODAY),
        basis=Basis(kind=BasisKind.ANOMALY, rules=rules_of(findings)),
    )


def anomaly_fact(finding: SafetyFinding, said: Statement, count: int, say: Language) -> str:
    """What contradicts itself, and when; a date in the future is what the anomaly says already."""
    named = {"what": said.what, "more": more_words(count, say)}
    if finding.when and not finding.when.future:
        return say("{what} ({when}){more}.", when=said.when, **named)
    return say("{what}{more}.", **named)


def _ask_blank(form: Administration | None, say: Language) -> str:
    if form is None or form.instrument in NINE_ITEM_PHQ:
        return say("Ask item 9 directly and complete the form")
    title, item = form.instrument.spec.title, SAFETY_ITEMS[form.instrument].item
    return say("Ask {title} item {item} directly and complete the form", title=title, item=item)


def _could_not_assess(
    assessment: Assessment, findings: list[SafetyFinding], statements: list[Statement], settings: NoticeSettings
) -> Notice:
    say, chart = settings.say, assessment.chart
    needed = chart.lacking
    refused = [_not_read(gap, say) for gap in needed]
    broken = [broken_line(u, say) for u in chart.unreadable]
    left = len(broken) - MOST_UNREADABLE
    rest = [Line(text=say("and {count} more", count=left))] if left > 0 else []
    blank = next(((f, s) for f, s in zip(findings, statements, strict=True) if f.kind is Kind.BLANK_ITEM), None)
    form = blank[0].form if blank else None
    consider = tuple(say(text) for text in SPEC_OF[Topic.COULD_NOT_ASSESS].consider)
    if blank is not None:
        summary = fit(say("Thoughts of self-harm not assessed: ask directly."), _fact(blank[1], 1, say))
        consider = (_ask_blank(form, say),)
    elif needed:
        named = ", ".join(say(PARTS[u.what]) for u in needed)
        summary = fit(_missing_action({u.what for u in needed}, say), say("Could not be read: {parts}.", parts=named))
        if [u.what for u in needed] == [ChartPart.CONSENTS] and not broken:
            consider = (say("Go by the documented answers; check the consent on file"),)
    else:
        hides = any(u.may_hide_answer for u in chart.unreadable)
        action = (
            say("A safety answer may be among them: ask directly.") if hides else say("Estimates may be incomplete.")
        )
        summary = fit(
            action,
            say.many("{count} chart entry could not be read.", "{count} chart entries could not be read.", len(broken)),
        )
    return Notice(
        topic=Topic.COULD_NOT_ASSESS,
        urgency=max(f.urgency for f in findings),
        summary=summary,
        heading=say(IN_THE_CHART),
        chart=(*lines_of(statements, say), *refused, *broken[:MOST_UNREADABLE], *rest),
        consider=consider,
        consider_heading=say(CONSIDER_TODAY),
        offers=form is None or form.instrument in NINE_ITEM_PHQ,
        basis=Basis(kind=BasisKind.NOT_READ, rules=rules_of(findings)),
    )


def _not_read(gap: Unknown, say: Language) -> Line:
    text = say("**Not read: {part}** ({reason})", part=say(PARTS[gap.what]), reason=gap_words(gap.reason, say))
    return Line(text=text, role=LineRole.LEAD)


def broken_line(entry: Unreadable, say: Language) -> Line:
    """One entry of the chart that could not be read, and why."""
    text = say(
        "{reference} could not be read: {reason}", reference=code(entry.reference), reason=gap_words(entry.reason, say)
    )
    return Line(text=text, sources=(code(entry.reference),))


def _missing_action(parts: set[ChartPart], say: Language) -> str:
    if parts & {ChartPart.SCREENING, ChartPart.QUESTIONNAIRES, ChartPart.LOCAL_SCREENING, ChartPart.REST}:
        return say("PHQ-9, C-SSRS and ASQ may be incomplete: ask directly.")
    if ChartPart.CONDITIONS in parts:
        return say("Coded self-harm may be missing: ask directly.")
    return say("Age and sex are not known.") if ChartPart.PATIENT in parts else say("No estimate was made.")


def _follow_up(
    assessment: Assessment, findings: list[SafetyFinding], statements: list[Statement], settings: NoticeSettings
) -> Notice:
    say = settings.say
    finding, first = findings[0], statements[0]
    is_late = finding.days is not None and finding.days > 14
    table = _results_table(assessment, findings, say)
    told = [_beside_table(f, s) if table else s for f, s in zip(findings, statements, strict=True)]
    lines = [*lines_of(told, say)]
    if is_late:
        none = later("Later PHQ-9, or a visit coded for depression: none in the records read")
        part = later(
            "Later PHQ-9, or a visit coded for depression: none in the records read; not all of the chart could be read"
        )
        lines.append(Line(text=say(part if finding.partly_searched else none)))
    action, consider = _follow_up_advice(finding, is_late=is_late, say=say)
    fact = _fact(first, 1, say)
    long = say("{what}, {when}; no later PHQ-9 or follow-up visit found.", what=first.what, when=first.when)
    return Notice(
        topic=Topic.DEPRESSION_FOLLOW_UP,
        urgency=max(f.urgency for f in findings),
        summary=fit(action, long if is_late else fact, fact),
        heading=say(LAST_RESULTS if table else IN_THE_CHART),
        chart=(*table, *lines, *_care_lines(assessment, say)),
        consider=consider,
        consider_heading=say(CONSIDER_TODAY),
        basis=Basis(kind=BasisKind.CHART, rules=rules_of(findings)),
    )


def _beside_table(finding: SafetyFinding, said: Statement) -> Statement:
    """A PHQ-9's total and item 9 stand in the table already."""
    if finding.form is None or finding.form.instrument not in NINE_ITEM_PHQ:
        return said
    kept = tuple(line for line in said.lines if line.role not in (LineRole.LEAD, LineRole.RESULT))
    return replace(said, lines=kept)


def _follow_up_advice(finding: SafetyFinding, *, is_late: bool, say: Language) -> tuple[str, tuple[str, ...]]:
    """The action of the summary, and what to consider, by instrument and by whether the self-harm item is on file."""
    form = finding.form
    instrument = form.instrument if form else Instrument.PHQ9
    safety = instrument.spec.safety
    if safety is None:
        return say("Complete the PHQ-9."), (say("Complete the PHQ-9, item 9 asked directly"),)
    title, item = instrument.spec.title, safety.item
    answer = form.safety_answer if form else None
    unknown = answer is None or answer.state is AnswerState.BLANK
    if unknown:
        action = say("Item {item} not on file: ask directly.", item=item)
    else:
        action = say("Consider repeating it.") if is_late else say("Consider follow-up.")
    if instrument in NINE_ITEM_PHQ:
        soon = say("Review the result; repeat the PHQ-9 and ask item 9 again at follow-up")
        again = say("Repeat the PHQ-9 and ask item 9 again") if is_late else soon
    else:
        soon = say("Review the result; repeat the {title} or complete a PHQ-9 at follow-up", title=title)
        again = say("Repeat the {title} or complete a PHQ-9", title=title) if is_late else soon
    first = (say("Item {item} not on file: ask directly", item=item),) if unknown else ()
    history = (say("An answer over 14 days old is history; a 0 then does not speak for today"),) if is_late else ()
    return action, (*first, again, *history)


def _care_lines(assessment: Assessment, say: Language) -> list[Line]:
    """R13: that care is recorded, and bipolar disorder, without any word on what to prescribe."""
    lines = []
    if assessment.in_care:
        care = assessment.in_care[0]
        named = {"care": say(CARE.get(care.name, ANTIDEPRESSANT)), "sources": say.references(care.references)}
        if care.when:
            text = say("In care. {care}, {date}, {sources}", date=say.dated(care.when), **named)
        else:
            text = say("In care. {care}, {sources}", **named)
        lines.append(_sourced(text, care.references))
    bipolar = assessment.chart.bipolar_disorder
    if bipolar:
        sources = say.references(bipolar.references)
        text = say("Bipolar disorder recorded, {sources}: specialist advice first", sources=sources)
        lines.append(_sourced(text, bipolar.references))
    return lines


def _sourced(text: str, references: tuple[str, ...], role: LineRole = LineRole.FACT) -> Line:
    """A line whose text names its sources as `Language.references` does."""
    return Line(text=text, role=role, sources=tuple(code(reference) for reference in references[:1]))


CARE = {
    "mh_visit_yr": later("Mental-health visit within 12 months"),
    "depressive_disorder": later("Depressive disorder active"),
}
ANTIDEPRESSANT = later("Antidepressant on the list; shows care, not cause")


def _results_table(assessment: Assessment, findings: Iterable[SafetyFinding], say: Language) -> list[Line]:
    """Up to three PHQ-9 results, the findings' own among them, as lines of a table; empty without totals."""
    forms = [f for f in assessment.chart.of(*NINE_ITEM_PHQ) if total_of(f) is not None]
    here = set(forms)
    own = [f.form for f in findings if f.form in here]
    chosen = list(dict.fromkeys((*own, *forms)))[:3]
    rows = []
    for form in (f for f in forms if f in chosen):
        nine = form.answer("9")
        said = answer_words(nine, form.instrument, say) if nine else say("not on file")
        source = code(nine.reference if nine else form.total_reference or form.references[0])
        text = f"| {say.dated(form.when)} | {total_of(form)} | {said}, {source} |"
        rows.append(Line(text=text, role=LineRole.ROW, sources=(source,)))
    if not rows:
        return []
    head = say("| Date recorded | Total of 27 | Item 9 and source |")
    return [Line(text=head, role=LineRole.ROW), Line(text="|:--|:--|:--|", role=LineRole.ROW), *rows]


def measure_again(assessment: Assessment, settings: NoticeSettings) -> Notice:
    """R13: in care, and no PHQ-9 on file for 120 days, where the model would have prompted."""
    say = settings.say
    score = next(s for s in assessment.above() if OUTCOME_SPECS[s.outcome].measured_in_care)
    explanation = next(e for e in assessment.explanations if e.outcome == score.outcome)
    table = _results_table(assessment, (), say)
    last = _last_phq9(assessment)
    if last is None:
        fact = say("In depression care; no PHQ-9 on file.")
    else:
        fact = say("In depression care; last PHQ-9 {date}, {ago}.", **_moment(assessment, last, say))
    return Notice(
        topic=Topic.DEPRESSION_FOLLOW_UP,
        urgency=Urgency.NOTE,
        summary=fit(say("Consider measuring symptoms with a PHQ-9."), fact),
        heading=say(LAST_RESULTS if table else IN_THE_CHART),
        chart=(*table, *_care_lines(assessment, say), *_reason_lines(score, explanation, settings)),
        consider=(say("Measure symptoms with a PHQ-9, item 9 asked directly"),),
        consider_heading=say(CONSIDER_TODAY),
        basis=Basis(kind=BasisKind.PATTERN, rules=("R13",)),
    )


def _last_phq9(assessment: Assessment) -> When | None:
    return next((f.when for f in assessment.chart.of(*NINE_ITEM_PHQ) if f.when and total_of(f) is not None), None)


def _moment(assessment: Assessment, when: When, say: Language) -> dict[str, str]:
    return {"date": say.dated(when), "ago": say.ago(assessment.chart.days_since(when))}


def prompt(assessment: Assessment, settings: NoticeSettings) -> Notice:
    """The model's notice: that asking is worth while, and why, with what is not known."""
    say = settings.say
    scores = assessment.prompting()
    explained = [next(e for e in assessment.explanations if e.outcome == s.outcome) for s in scores]
    reasons = [_reason_lines(s, e, settings) for s, e in zip(scores, explained, strict=True)]
    pattern = say("Pattern in the record suggests asking about {outcomes} today", outcomes=_asked_about(scores, say))
    last = _last_phq9(assessment)
    if last is None:
        long = say("No PHQ-9 on file. {pattern}", pattern=pattern)
    else:
        long = say("Last PHQ-9 {date}, {ago}. {pattern}", pattern=pattern, **_moment(assessment, last, say))
    return Notice(
        topic=Topic.SCREENING_PROMPT,
        urgency=Urgency.NOTE,
        summary=fit(say("(machine learning, not a diagnosis)."), long, pattern),
        heading="",
        chart=(*(line for lines in reasons for line in lines), *_missing_lines(assessment, explained, say)),
        consider=tuple(say(text) for text in SPEC_OF[Topic.SCREENING_PROMPT].consider),
        consider_heading=say(CONSIDER_TODAY),
        basis=Basis(
            kind=BasisKind.MODEL,
            models=tuple(f"{s.outcome} {s.model_version}" for s in scores),
            known=explained[0].known,
            inputs=explained[0].inputs,
        ),
        crisis=any(OUTCOME_SPECS[s.outcome].concerns_safety for s in scores),
    )


def _reason_lines(score: RiskScore, explanation: Explanation, settings: NoticeSettings) -> list[Line]:
    say = settings.say
    shown = explanation.leading(MOST_REASONS)
    named = say(
        "**Above this site’s threshold:** estimate of {outcome}", outcome=say(OUTCOME_WORDS[score.outcome].estimated)
    )
    lines = [Line(text=named, role=LineRole.ESTIMATE)]
    for reason in shown:
        sources = tuple(code(fact.references[0]) for fact in reason.facts if fact.references and value_words(fact, say))
        lines.append(Line(text=reason_line(reason, say), role=LineRole.REASON, sources=sources))
    count, rest = explanation.remainder(shown)
    others = say(
        "{count} other inputs together, and what is not on file: {change}", count=count, change=change_words(rest, say)
    )
    lines.append(Line(text=others, role=LineRole.REASON))
    if settings.show_probability:
        of_hundred, low, high = (round(100 * p) for p in (score.probability, score.low, score.high))
        share = say(
            "Of 100 survey adults with similar records, about {count} (range {low} to {high}) reported this in the "
            "past two weeks",
            count=of_hundred,
            low=low,
            high=high,
        )
        lines.append(Line(text=share, role=LineRole.REASON))
    return lines


def _missing_lines(assessment: Assessment, explained: list[Explanation], say: Language) -> list[Line]:
    """The inputs of the models that speak which have no usable value, by reason."""
    inputs = {name for explanation in explained for reason in explanation.reasons for name in reason.missing}
    missing = [(gap.name, say(MISSING[gap.reason])) for gap in assessment.missing if gap.name in inputs]
    return [Line(text=capitalised(line), role=LineRole.REASON) for line in missing_lines(missing, say)]


def _asked_about(scores: Iterable[RiskScore], say: Language) -> str:
    """`depression and thoughts of self-harm`."""
    words = [say(OUTCOME_WORDS[score.outcome].ask_about) for score in scores]
    # Translators: two of what a clinician may ask about: "depression and thoughts of self-harm".
    return reduce(lambda first, second: say("{first} and {second}", first=first, second=second), words)


def rules_of(findings: Iterable[SafetyFinding]) -> tuple[str, ...]:
    """The rules of findings, each once."""
    return tuple(dict.fromkeys(f.rule for f in findings))


def more_words(count: int, say: Language) -> str:
    """How many findings there are beside the one that a summary names."""
    return "" if count == 1 else say(", and {count} more", count=count - 1)


def fit(action: str, *facts: str) -> str:
    """The first of `facts` that leaves room for the action under 140 characters; else the last one, cut."""
    room = MOST_SUMMARY - len(action) - 1
    fact = next((fact for fact in facts if len(fact) <= room), facts[-1])
    if len(fact) > room:
        fact = fact[: room - 1].rstrip(" ,;.") + "…"
    return f"{fact} {action}"


MAKERS: dict[Topic, Callable[..., Notice]] = {
    Topic.ACUTE_SAFETY: _safety,
    Topic.POSITIVE_SAFETY_ANSWER: _safety,
    Topic.RECENT_SAFETY: _safety,
    Topic.DATA_ANOMALY: _anomaly,
    Topic.DEPRESSION_FOLLOW_UP: _follow_up,
    Topic.COULD_NOT_ASSESS: _could_not_assess,
}
