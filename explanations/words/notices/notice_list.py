"""An assessment to its notices: one per topic, safety first, in the order of rule R14, with the history.

The card or page decides how many are shown. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from explanations.judgement.assessment import Assessment
from explanations.judgement.next_steps import led_by_safety, next_steps
from explanations.words.findings.anomalies import anomaly_line
from explanations.words.findings.coded_events import event_words
from explanations.words.findings.statements import headline, statement
from explanations.words.language import Language
from explanations.words.lines import Line, LineRole, sourced
from explanations.words.notices.depression import measure_again
from explanations.words.notices.notice import Notice, NoticeSettings, rule_words
from explanations.words.notices.prompt import prompt
from explanations.words.notices.topics import SPEC_OF
from fhir_adapters.facts import ForeignEntries
from fhir_adapters.instruments import Instrument
from models.rules.findings import SAFETY_TOPICS, SafetyFinding, Topic
from models.rules.ordering import by_card

MOST_HISTORY = 3
# Topics about the data rather than the patient.
ABOUT_DATA = (Topic.DATA_ANOMALY, Topic.COULD_NOT_ASSESS)


def notices(assessment: Assessment, settings: NoticeSettings) -> tuple[Notice, ...]:
    """The notices of an assessment, most urgent first; empty when there is nothing to say."""
    by_topic = by_card(assessment.findings)
    beside = _foreign_beside(by_topic)
    if beside:
        del by_topic[Topic.DATA_ANOMALY]
    unordered = [from_findings(assessment, topic, findings, settings) for topic, findings in by_topic.items()]
    by_model = []
    if assessment.measure_again() and Topic.DEPRESSION_FOLLOW_UP not in by_topic:
        by_model.append(measure_again(assessment, settings.safe))
    if assessment.prompting():
        by_model.append(prompt(assessment, settings.safe))
    unordered += [replace(n, drafts=next_steps(n.topic, (), assessment.chart, settings.region)) for n in by_model]
    ranked = _led_by_safety(ordered(assessment, unordered, settings))
    return _with_foreign(ranked, beside, settings) if beside else ranked


def _foreign_beside(by_topic: Mapping[Topic, Sequence[SafetyFinding]]) -> tuple[ForeignEntries, ...]:
    """The entries of others that were left out, where nothing else is odd and a finding has a notice."""
    odd = [finding.anomaly for finding in by_topic.get(Topic.DATA_ANOMALY, ())]
    foreign = tuple(anomaly for anomaly in odd if isinstance(anomaly, ForeignEntries))
    has_finding = any(topic in by_topic for topic in (*SAFETY_TOPICS, Topic.DEPRESSION_FOLLOW_UP))
    return foreign if has_finding and len(foreign) == len(odd) else ()


def _with_foreign(
    ranked: tuple[Notice, ...], foreign: Iterable[ForeignEntries], settings: NoticeSettings
) -> tuple[Notice, ...]:
    """Entries of others as last lines of the first notice."""
    first, *others = ranked
    say = settings.safe.say
    lines = [sourced(anomaly_line(anomaly, say), anomaly.references, LineRole.OTHERS) for anomaly in foreign]
    return (replace(first, chart=(*first.chart, *lines)), *others)


def ordered(assessment: Assessment, unordered: Iterable[Notice], settings: NoticeSettings) -> tuple[Notice, ...]:
    """Notices in the order of R14: by urgency, then topic; the first about the patient's state has the history."""
    placed = sorted(unordered, key=lambda notice: (-notice.urgency, list(Topic).index(notice.topic)))
    return tuple(_with_history(assessment, placed, settings))


def _led_by_safety(ranked: tuple[Notice, ...]) -> tuple[Notice, ...]:
    """After a safety finding the first draft is that of the gravest, also where another notice stands above it."""
    safety = [n.drafts for n in ranked if n.topic in SAFETY_TOPICS and n.drafts]
    if not safety:
        return ranked
    place = next(place for place, n in enumerate(ranked, start=1) if n.topic in SAFETY_TOPICS and n.drafts)
    led = (replace(n, drafts=led_by_safety(n.drafts, safety)) if n.drafts else n for n in ranked[:place])
    return (*led, *ranked[place:])


def merged(ranked: tuple[Notice, ...], most: int, settings: NoticeSettings) -> list[Notice]:
    """The first `most` notices and every safety notice; the summaries of the rest become lines of the last one kept."""
    safety = [n for n in ranked if n.topic in SAFETY_TOPICS]
    room = max(0, most - len(safety))
    others = [n for n in ranked if n.topic not in SAFETY_TOPICS]
    shown = [n for n in ranked if n in safety or n in others[:room]]
    below = others[room:]
    if not below:
        return shown
    last = shown[-1]
    say = settings.safe.say
    lines = [line for notice in below for line in (_also(notice, say), *_sourced(notice, say))]
    basis = replace(last.basis, model_below=any(notice.basis.by_model for notice in below))
    return [*shown[:-1], replace(last, chart=(*last.chart, *lines), basis=basis)]


def _also(notice: Notice, say: Language) -> Line:
    if not notice.basis.rules:
        return Line(text=say("Also: {summary}", summary=notice.summary))
    return Line(
        text=say("Also: {summary} ({rules})", summary=notice.summary, rules=rule_words(notice.basis.rules, say))
    )


def _sourced(notice: Notice, say: Language) -> list[Line]:
    """The first two lines with a source; of a table, the sources alone; of a model nothing.

    Reasons of a model need its caveats beside them, which a card of documented answers has no place for.
    """
    lines = [line for line in notice.chart if line.sources and not notice.basis.by_model]
    plain = [line for line in lines if line.role is not LineRole.ROW][:2]
    if plain or not lines:
        return plain
    sources = tuple(source for line in lines for source in line.sources)[:2]
    return [Line(text=say("Source: {sources}", sources=", ".join(sources)), sources=sources)]


def crisis_line(assessment: Assessment, settings: NoticeSettings) -> str:
    """The crisis lines of the site, as markdown; including the perinatal line beside an EPDS."""
    perinatal = any(f.form and f.form.instrument is Instrument.EPDS for f in assessment.findings)
    chart = assessment.chart
    return settings.crisis_text(chart.today, settings.say, spoken=chart.spoken, perinatal=perinatal)


def history_apart(assessment: Assessment, ranked: Iterable[Notice], settings: NoticeSettings) -> tuple[Line, ...]:
    """The whole history if no notice holds it: a page shows it even without a notice."""
    held = any(line.role is LineRole.HISTORY for notice in ranked for line in notice.chart)
    return () if held else _history(assessment, settings)


def _with_history(assessment: Assessment, ranked: list[Notice], settings: NoticeSettings) -> list[Notice]:
    """Adds the history (over 90 days, or coded as history) to the first notice about the patient, else to the first."""
    listed = _history(assessment, settings)
    left = len(listed) - MOST_HISTORY
    say = settings.say.safe
    rest = [Line(text=say("and {count} more in the history", count=left), role=LineRole.HISTORY)]
    shown = [*listed[:MOST_HISTORY], *(rest if left > 0 else [])]
    if not ranked or not shown:
        return ranked
    place = next((n for n in ranked if n.topic not in ABOUT_DATA), ranked[0])
    return [replace(n, chart=(*n.chart, *shown)) if n is place else n for n in ranked]


def _history(assessment: Assessment, settings: NoticeSettings) -> tuple[Line, ...]:
    return tuple(dict.fromkeys(_history_line(finding, settings) for finding in assessment.history))


def _history_line(finding: SafetyFinding, settings: NoticeSettings) -> Line:
    say = settings.say.safe
    what = event_words(finding.event.kind, say) if finding.event else headline(finding, say)
    text = say(
        "History: {what}, {date}, {sources}",
        what=what,
        date=say.dated(finding.when),
        sources=say.references(finding.references),
    )
    return sourced(text, finding.references, LineRole.HISTORY)


def from_findings(
    assessment: Assessment, topic: Topic, findings: list[SafetyFinding], settings: NoticeSettings
) -> Notice:
    """The notice of one topic from its findings, the most urgent first."""
    settings = settings.safe
    spec, say = SPEC_OF[topic], settings.say
    if spec.notice is None:
        raise LookupError(f"expected a topic that findings have; found {topic}")
    statements = [statement(finding, settings.zone, say) for finding in findings]
    made = spec.notice(assessment, findings, statements, settings, tuple(say(text) for text in spec.consider))
    return replace(made, drafts=next_steps(topic, findings, assessment.chart, settings.region))
