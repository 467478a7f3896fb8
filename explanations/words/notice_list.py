"""An assessment to its notices: one a topic, safety first, in the order of rule R14, with the history.

All of them: how many are shown at once is for the card or the page to say. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from explanations.judgement.assessment import Assessment
from explanations.words.help_lines import crisis_text
from explanations.words.language import Language
from explanations.words.notices import Notice, NoticeSettings, from_findings, measure_again, prompt
from explanations.words.phrasebook import dated, references
from explanations.words.statements import event_words, headline
from fhir_adapters.facts import Instrument
from models.rules.findings import SafetyFinding, Topic

MOST_HISTORY = 3


def notices(assessment: Assessment, settings: NoticeSettings, say: Language) -> tuple[Notice, ...]:
    """The notices of an assessment, most urgent first; empty when there is nothing to say."""
    by_topic: dict[Topic, list[SafetyFinding]] = {}
    for finding in assessment.findings:
        by_topic.setdefault(finding.topic, []).append(finding)
    said = [from_findings(assessment, topic, found, settings) for topic, found in by_topic.items()]
    if assessment.measure_again and Topic.DEPRESSION_FOLLOW_UP not in by_topic:
        said.append(measure_again(assessment, settings, say))
    if assessment.prompting():
        said.append(prompt(assessment, settings, say))
    return ordered(assessment, said, settings)


def ordered(assessment: Assessment, said: Iterable[Notice], settings: NoticeSettings) -> tuple[Notice, ...]:
    """Notices in the order of R14: by urgency, then by topic; the history on the first about the patient's state."""
    placed = sorted(said, key=lambda notice: (-notice.urgency, list(Topic).index(notice.topic)))
    return tuple(_with_history(assessment, placed, settings))


def crisis_line(assessment: Assessment, settings: NoticeSettings) -> str:
    """The crisis lines of the site's country, as markdown; with that for the time around a birth beside an EPDS."""
    perinatal = any(f.form and f.form.instrument is Instrument.EPDS for f in assessment.findings)
    return crisis_text(settings.country, assessment.chart.today, settings.say, perinatal=perinatal)


def history_apart(assessment: Assessment, said: Iterable[Notice], settings: NoticeSettings) -> tuple[str, ...]:
    """All of the history where no notice has a place for it: for a page, which shows it also without a notice."""
    return () if _for_history(said) else _history(assessment, settings)


def _with_history(assessment: Assessment, said: list[Notice], settings: NoticeSettings) -> list[Notice]:
    """History (over 90 days, or coded as history) as lines of the first notice that is about the patient's state."""
    listed = _history(assessment, settings)
    left = len(listed) - MOST_HISTORY
    shown = [*listed[:MOST_HISTORY], *([f"and {left} more in the history"] if left > 0 else [])]
    place = _for_history(said)
    if place is None or not shown:
        return said
    lines = (*place.chart, *shown)
    return [replace(n, chart=lines) if n is place else n for n in said]


def _for_history(said: Iterable[Notice]) -> Notice | None:
    return next((n for n in said if n.topic not in (Topic.DATA_ANOMALY, Topic.COULD_NOT_ASSESS)), None)


def _history(assessment: Assessment, settings: NoticeSettings) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_history_line(finding, settings) for finding in assessment.history))


def _history_line(finding: SafetyFinding, settings: NoticeSettings) -> str:
    say = settings.say
    what = event_words(finding.event, say)[1] if finding.event else headline(finding, settings.zone, say)
    return f"History: {what}, {dated(finding.when)}, {references(finding.references)}"
