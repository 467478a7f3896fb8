"""An assessment to cards: one a topic, safety first, at most three, the rest merged (rule R14).

Each card reads in the same order: summary, what is in the chart, what to consider, crisis line on safety
topics, one italic line that says whether a rule or a model speaks. Pure: ids come from the caller.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

from msgspec import UNSET

from cds_service.card_topics import MODEL_LABEL, CardSettings, Draft, from_findings, measure_again, prompt
from cds_service.drafts import Visit, offers, once_over_all, override_reasons, step_offers, topic_coding
from cds_service.wire import Card, Link, Source, Suggestion
from explanations.assessment import Assessment
from explanations.help_lines import crisis_text, guideline
from explanations.phrasebook import Phrasebook, dated, references
from explanations.statements import INDICATORS, headline
from fhir_adapters.facts import Instrument
from models.safety_rules import SAFETY_TOPICS, SafetyFinding, Topic

MOST_CARDS = 3


def cards_for(
    assessment: Assessment,
    settings: CardSettings,
    phrases: Phrasebook,
    *,
    new_id: Callable[[], str],
    user: str | None = None,
) -> list[Card]:
    """The cards of an assessment, most urgent first; empty when there is nothing to say."""
    by_topic: dict[Topic, list[SafetyFinding]] = {}
    for finding in assessment.findings:
        by_topic.setdefault(finding.topic, []).append(finding)
    drafts = [from_findings(assessment, topic, found, settings) for topic, found in by_topic.items()]
    if assessment.measure_again and Topic.DEPRESSION_FOLLOW_UP not in by_topic:
        drafts.append(measure_again(assessment, settings, phrases))
    if assessment.prompting():
        drafts.append(prompt(assessment, settings, phrases))
    return presented(assessment, drafts, settings, new_id=new_id, user=user)


def presented(
    assessment: Assessment,
    drafts: list[Draft],
    settings: CardSettings,
    *,
    new_id: Callable[[], str],
    user: str | None = None,
) -> list[Card]:
    """Drafts as cards: in the order of R14, at most three and every safety card, with links and buttons."""
    drafts.sort(key=lambda d: (-d.urgency, list(Topic).index(d.topic)))
    drafts = _with_history(assessment, drafts, settings)
    visit = Visit(
        patient_id=assessment.record.patient_id,
        today=assessment.record.today,
        encounter=assessment.record.encounter,
        user=user,
    )
    kept, age = _at_most_three(drafts), assessment.record.age_years
    offered = once_over_all(_offers(draft, visit, age, new_id) for draft in kept)
    return [
        _card(assessment, draft, settings, suggestions, new_id)
        for draft, suggestions in zip(kept, offered, strict=True)
    ]


def _offers(draft: Draft, visit: Visit, age: int | None, new_id: Callable[[], str]) -> list[Suggestion]:
    if not draft.offers:
        return []
    if draft.steps:
        return step_offers([step.kind for step in draft.steps if step.done is None], visit, new_id)
    return offers(draft.topic, visit, age, new_id)


def _with_history(assessment: Assessment, drafts: list[Draft], settings: CardSettings) -> list[Draft]:
    """History (over 90 days, or coded as history) as a line on the first card that is about the patient's state."""
    listed = list(dict.fromkeys(_history_line(finding, settings) for finding in assessment.history))
    shown = [*listed[:3], *([f"and {len(listed) - 3} more in the history"] if len(listed) > 3 else [])]
    place = next((d for d in drafts if d.topic not in (Topic.DATA_ANOMALY, Topic.COULD_NOT_ASSESS)), None)
    if place is None or not shown:
        return drafts
    lines = (*place.chart, *shown)
    return [replace(d, chart=lines) if d is place else d for d in drafts]


def _history_line(finding: SafetyFinding, settings: CardSettings) -> str:
    what = finding.event.display if finding.event else headline(finding, settings.zone)
    return f"History: {what}, {dated(finding.when)}, {references(finding.references)}"


def _at_most_three(drafts: list[Draft]) -> list[Draft]:
    """The first three cards and every safety card; the summaries of the rest become lines of the last one kept."""
    safety = [d for d in drafts if d.topic in SAFETY_TOPICS]
    room = max(0, MOST_CARDS - len(safety))
    others = [d for d in drafts if d.topic not in SAFETY_TOPICS]
    kept = [d for d in drafts if d in safety or d in others[:room]]
    merged = others[room:]
    if not merged:
        return kept
    last = kept[-1]
    lines = list(last.chart)
    basis = last.basis
    for draft in merged:
        rule = RULE.search(draft.basis)
        lines.append(f"Also: {draft.summary}{f' ({rule[0]})' if rule else ''}")
        lines += _sourced(draft.chart)
        if draft.label == MODEL_LABEL:
            basis = basis.replace("no model was used", "a model prompted only what follows “Also”")
    return [*kept[:-1], replace(last, chart=tuple(lines), basis=basis)]


RULE = re.compile(r"[Rr]ule R\d+(?:, R\d+)*")


def _sourced(chart: Iterable[str]) -> list[str]:
    """The first two lines with a source; of a table, the sources alone."""
    lines = [line for line in chart if "`" in line]
    plain = [line for line in lines if not line.startswith("|")][:2]
    return plain or [f"Source: {', '.join(re.findall('`[^`]+`', ' '.join(lines))[:2])}"] if lines else []


def _card(
    assessment: Assessment,
    draft: Draft,
    settings: CardSettings,
    suggestions: list[Suggestion],
    new_id: Callable[[], str],
) -> Card:
    links = _links(draft.topic, assessment.record.age_years, settings.country)
    return Card(
        uuid=new_id(),
        summary=draft.summary,
        detail=_detail(assessment, draft, settings),
        indicator=INDICATORS[draft.urgency],
        source=Source(label=draft.label, topic=topic_coding(draft.topic)),
        suggestions=suggestions or UNSET,
        selection_behavior="any" if suggestions else UNSET,
        override_reasons=override_reasons(draft.topic),
        links=links or UNSET,
    )


def _detail(assessment: Assessment, draft: Draft, settings: CardSettings) -> str:
    blocks = [f"**{draft.heading}**"] if draft.heading else []
    blocks.append(_block(draft.chart))
    blocks.append(f"**{draft.consider_heading}**\n\n" + "\n".join(f"- {line}" for line in draft.consider))
    if draft.crisis:
        perinatal = any(f.form and f.form.instrument is Instrument.EPDS for f in assessment.findings)
        blocks.append(crisis_text(settings.country, assessment.record.today, perinatal=perinatal))
    blocks.append(f"*{draft.basis}*")
    return "\n\n".join(block for block in blocks if block)


def _block(lines: Iterable[str]) -> str:
    """List items; lines of a table stand together as a table."""
    listed = list(lines)
    table = [line for line in listed if line.startswith("|")]
    items = [f"- {line}" for line in listed if not line.startswith("|")]
    return "\n\n".join(part for part in ("\n".join(table), "\n".join(items)) if part)


LINKS: dict[Topic, tuple[str, ...]] = {
    Topic.ACUTE_SAFETY: ("safe-t", "calm"),
    Topic.POSITIVE_SAFETY_ANSWER: ("safe-t", "calm"),
    Topic.RECENT_SAFETY: ("safe-t", "calm"),
    Topic.DEPRESSION_FOLLOW_UP: ("uspstf-adult-2023",),
    Topic.SCREENING_PROMPT: ("uspstf-adult-2023",),
}
YOUNG = {"safe-t": "nimh-asq", "uspstf-adult-2023": "uspstf-child-2022"}


def _links(topic: Topic, age: int | None, country: str) -> list[Link]:
    """One or two verified guideline links; those for young people up to 18. US guidelines stay in the US."""
    if country != "US":
        return []
    young = age is not None and age <= 18
    names = [YOUNG.get(name, name) if young else name for name in LINKS.get(topic, ())]
    found = [guideline(name) for name in names]
    return [Link(label=g.label, url=g.url, type="absolute") for g in found if g]
