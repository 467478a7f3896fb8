"""An assessment to cards: one a topic, safety first, at most three, the rest merged (rule R14).

Each card reads in the same order: summary, what is in the chart, what to consider, crisis line on safety
topics, one italic line that says whether a rule or a model speaks. Pure: ids come from the caller.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

from msgspec import UNSET

from cds_service.cards.drafts import offers, once_over_all, override_reasons, step_offers, topic_coding
from cds_service.cards.wire import Card, Link, Source, Suggestion
from explanations.judgement.assessment import Assessment
from explanations.words.help_lines import guidelines
from explanations.words.language import Language
from explanations.words.notice_list import crisis_line, notices
from explanations.words.notices import MODEL_LABEL, Notice, NoticeSettings
from explanations.words.statements import INDICATORS
from fhir_adapters.writing.drafts import Visit
from models.rules.findings import SAFETY_TOPICS, Topic

MOST_CARDS = 3


def cards_for(
    assessment: Assessment,
    settings: NoticeSettings,
    say: Language,
    *,
    new_id: Callable[[], str],
    user: str | None = None,
) -> list[Card]:
    """The cards of an assessment, most urgent first; empty when there is nothing to say."""
    return presented(assessment, notices(assessment, settings, say), settings, new_id=new_id, user=user)


def presented(
    assessment: Assessment,
    said: tuple[Notice, ...],
    settings: NoticeSettings,
    *,
    new_id: Callable[[], str],
    user: str | None = None,
) -> list[Card]:
    """Notices as cards, in the order in which they stand: at most three and every safety card, with links, buttons."""
    visit = Visit(
        patient_id=assessment.chart.patient_id,
        today=assessment.chart.today,
        encounter=assessment.chart.encounter,
        user=user,
    )
    kept, age = _at_most_three(said), assessment.chart.age_years
    offered = once_over_all(_offers(notice, visit, age, new_id) for notice in kept)
    return [
        _card(assessment, notice, settings, suggestions, new_id)
        for notice, suggestions in zip(kept, offered, strict=True)
    ]


def _offers(notice: Notice, visit: Visit, age: int | None, new_id: Callable[[], str]) -> list[Suggestion]:
    if not notice.offers:
        return []
    if notice.steps:
        return step_offers([step.kind for step in notice.steps if step.done is None], visit, new_id)
    return offers(notice.topic, visit, age, new_id)


def _at_most_three(said: tuple[Notice, ...]) -> list[Notice]:
    """The first three cards and every safety card; the summaries of the rest become lines of the last one kept."""
    safety = [n for n in said if n.topic in SAFETY_TOPICS]
    room = max(0, MOST_CARDS - len(safety))
    others = [n for n in said if n.topic not in SAFETY_TOPICS]
    kept = [n for n in said if n in safety or n in others[:room]]
    merged = others[room:]
    if not merged:
        return kept
    last = kept[-1]
    lines = list(last.chart)
    basis = last.basis
    for notice in merged:
        rule = RULE.search(notice.basis)
        lines.append(f"Also: {notice.summary}{f' ({rule[0]})' if rule else ''}")
        lines += _sourced(notice.chart)
        if notice.label == MODEL_LABEL:
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
    notice: Notice,
    settings: NoticeSettings,
    suggestions: list[Suggestion],
    new_id: Callable[[], str],
) -> Card:
    links = _links(notice.topic, assessment.chart.age_years, settings.country)
    return Card(
        uuid=new_id(),
        summary=notice.summary,
        detail=_detail(assessment, notice, settings),
        indicator=INDICATORS[notice.urgency],
        source=Source(label=notice.label, topic=topic_coding(notice.topic, settings.say)),
        suggestions=suggestions or UNSET,
        selection_behavior="any" if suggestions else UNSET,
        override_reasons=override_reasons(notice.topic, settings.say),
        links=links or UNSET,
    )


def _detail(assessment: Assessment, notice: Notice, settings: NoticeSettings) -> str:
    blocks = [f"**{notice.heading}**"] if notice.heading else []
    blocks.append(_block(notice.chart))
    blocks.append(f"**{notice.consider_heading}**\n\n" + "\n".join(f"- {line}" for line in notice.consider))
    if notice.crisis:
        blocks.append(crisis_line(assessment, settings))
    blocks.append(f"*{notice.basis}*")
    return "\n\n".join(block for block in blocks if block)


def _block(lines: Iterable[str]) -> str:
    """List items; lines of a table stand together as a table."""
    listed = list(lines)
    table = [line for line in listed if line.startswith("|")]
    items = [f"- {line}" for line in listed if not line.startswith("|")]
    return "\n\n".join(part for part in ("\n".join(table), "\n".join(items)) if part)


def _links(topic: Topic, age: int | None, country: str) -> list[Link]:
    return [Link(label=g.label, url=g.url, type="absolute") for g in guidelines(topic, age, country)]
