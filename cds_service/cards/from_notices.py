"""Notices as cards: at most three and every safety card, with drafts, override reasons and links (rule R14).

Every card has the same order: summary, what is in the chart, what to consider, crisis line on safety topics, one
italic line that says whether it comes from a rule or a model. Pure: ids come from the caller.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import UNSET

from cds_service.cards.drafts import offers, once_over_all, override_reasons, topic_coding
from cds_service.cards.wire import Card, Link, Source, Suggestion
from explanations.judgement.assessment import Assessment
from explanations.words.help_lines import guidelines
from explanations.words.lines import block
from explanations.words.notices.notice import Notice, NoticeSettings, basis_words, source_label
from explanations.words.notices.notice_list import crisis_line, merged, notices
from explanations.words.notices.topics import INDICATORS, SPEC_OF
from fhir_adapters.writing.drafts import DraftContext
from models.rules.findings import Topic

MOST_CARDS = 3


def cards_for(
    assessment: Assessment,
    settings: NoticeSettings,
    *,
    new_id: Callable[[], str],
    user: str | None = None,
    about: str | None = None,
    notices: Callable[[Assessment, NoticeSettings], tuple[Notice, ...]] = notices,
) -> list[Card]:
    """The cards of an assessment, most urgent first; empty when there is nothing to say.

    about: the address of the page about this service, where it is served.
    """
    context = DraftContext(
        patient_id=assessment.chart.patient_id,
        today=assessment.chart.today,
        encounter=assessment.chart.encounter,
        user=user,
    )
    shown = merged(notices(assessment, settings), MOST_CARDS, settings.say)
    offered = once_over_all(offers(notice.drafts, context, new_id, settings.say) for notice in shown)
    return [
        _card(assessment, notice, settings, suggestions, new_id, about)
        for notice, suggestions in zip(shown, offered, strict=True)
    ]


def _card(
    assessment: Assessment,
    notice: Notice,
    settings: NoticeSettings,
    suggestions: list[Suggestion],
    new_id: Callable[[], str],
    about: str | None,
) -> Card:
    say = settings.say
    links = _links(notice.topic, assessment.chart.age_years, settings.country)
    return Card(
        uuid=new_id(),
        summary=notice.summary,
        detail=_detail(assessment, notice, settings),
        indicator=INDICATORS[notice.urgency],
        source=Source(label=source_label(notice.basis, say), topic=topic_coding(notice.topic, say), url=about or UNSET),
        suggestions=suggestions or UNSET,
        selection_behavior="any" if suggestions else UNSET,
        override_reasons=override_reasons(notice.topic, say),
        links=links or UNSET,
    )


def _detail(assessment: Assessment, notice: Notice, settings: NoticeSettings) -> str:
    blocks = [f"**{notice.heading}**"] if notice.heading else []
    blocks.append(block(notice.chart))
    blocks.append(f"**{notice.consider_heading}**\n\n" + "\n".join(f"- {line}" for line in notice.consider))
    if notice.crisis:
        blocks.append(crisis_line(assessment, settings))
    blocks.append(f"*{basis_words(notice.basis, settings.say)}*")
    return "\n\n".join(part for part in blocks if part)


def _links(topic: Topic, age: int | None, country: str) -> list[Link]:
    return [
        Link(label=g.label, url=g.url, type="absolute") for g in guidelines(SPEC_OF[topic].guidelines, age, country)
    ]
