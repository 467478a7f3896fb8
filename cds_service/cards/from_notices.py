"""Notices as cards: at most three and every safety card, with drafts, override reasons and links (rule R14).

Every card has the same order: summary, what to consider, crisis line on safety topics, what is in the chart, one
italic line that says whether it comes from a rule or a model, with its sources. Pure: ids come from the caller.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import UNSET

from cds_service.cards.drafts import offers, once_over_all, override_reasons, topic_coding
from cds_service.cards.wire import Card, Link, Source, Suggestion
from explanations.judgement.assessment import Assessment
from explanations.words.help_lines import links
from explanations.words.interpreter import interpreter_words
from explanations.words.language import Language
from explanations.words.lines import block, cited
from explanations.words.notices.notice import Notice, NoticeSettings, basis_words, source_label, sources_words
from explanations.words.notices.notice_list import crisis_line, merged, notices
from explanations.words.notices.topics import INDICATORS
from fhir_adapters.writing.drafts import DraftContext

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
    shown = merged(notices(assessment, settings), MOST_CARDS, settings)
    offered = once_over_all(offers(notice.drafts, context, new_id, settings.safe.say) for notice in shown)
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
    say = settings.safe.say
    guides = links(settings.region.links(notice.topic, assessment.chart.age_years))
    return Card(
        uuid=new_id(),
        summary=notice.summary,
        detail=_detail(assessment, notice, settings, say),
        indicator=INDICATORS[notice.urgency],
        source=Source(label=source_label(notice.basis, say), topic=topic_coding(notice.topic, say), url=about or UNSET),
        suggestions=suggestions or UNSET,
        selection_behavior="any" if suggestions else UNSET,
        override_reasons=override_reasons(notice.topic, say),
        links=[Link(label=guide.label, url=guide.url, type="absolute") for guide in guides] or UNSET,
    )


def _detail(assessment: Assessment, notice: Notice, settings: NoticeSettings, say: Language) -> str:
    """say: the language of the notice. One in English in place of the reader's language says so in that language."""
    lines, sources = cited(notice.chart)
    blocks = (
        f"**{notice.consider_heading}**\n\n" + "\n".join(f"- {line}" for line in notice.consider),
        crisis_line(assessment, settings) if notice.crisis else "",
        f"**{notice.heading}**" if notice.heading else "",
        block(lines),
        f"*{basis_words(notice.basis, say)}*",
        f"*{sources_words(sources, say)}*" if sources else "",
        "" if settings.say.reviewed else f"*{interpreter_words(settings.say)}*",
    )
    return "\n\n".join(part for part in blocks if part)
