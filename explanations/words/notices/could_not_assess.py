"""The notice of what could not be assessed: needed parts not read, unreadable entries, a blank item."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from explanations.judgement.assessment import Assessment
from explanations.words.findings.gaps import PARTS, gap_words
from explanations.words.findings.statements import Statement
from explanations.words.language import Language
from explanations.words.lines import Line, LineRole
from explanations.words.notices.notice import (
    CONSIDER_TODAY,
    IN_THE_CHART,
    Basis,
    BasisKind,
    Notice,
    NoticeSettings,
    broken_line,
    lines_of,
    rules_of,
)
from explanations.words.notices.summaries import counted_words, moment_words, sentences, summary
from fhir_adapters.facts import ANSWER_PARTS, Administration, ChartPart, Unknown
from fhir_adapters.gaps import Cause
from fhir_adapters.instruments import NINE_ITEM_PHQ, SAFETY_ITEMS
from models.rules.findings import Kind, SafetyFinding, Topic

MOST_UNREADABLE = 5


def _ask_blank(form: Administration | None, say: Language) -> str:
    if form is None or form.instrument in NINE_ITEM_PHQ:
        return say("Ask item 9 directly and complete the form")
    title, item = form.instrument.spec.title, SAFETY_ITEMS[form.instrument].item
    return say("Ask {title} item {item} directly and complete the form", title=title, item=item)


def could_not_assess(
    assessment: Assessment,
    findings: list[SafetyFinding],
    statements: list[Statement],
    settings: NoticeSettings,
    consider: tuple[str, ...],
) -> Notice:
    """The needed data that could not be obtained, and what to do about it (R5, R16)."""
    say, chart = settings.say, assessment.chart
    needed = chart.lacking
    refused = [_not_read(gap, say) for gap in needed]
    broken = [broken_line(u, say) for u in chart.unreadable]
    left = len(broken) - MOST_UNREADABLE
    rest = [Line(text=say("and {count} more", count=left))] if left > 0 else []
    blank = next(((f, s) for f, s in zip(findings, statements, strict=True) if f.kind is Kind.BLANK_ITEM), None)
    form = blank[0].form if blank else None
    unheard = [finding for finding in findings if finding.kind is Kind.UNHEARD]
    if blank is not None:
        action = say("Thoughts of self-harm not assessed: ask directly.")
        facts = sentences(moment_words(blank[1], say), say)
        consider = (_ask_blank(form, say), *_where_to_look(needed, say))
    elif unheard:
        action = say("Look at the source and ask directly.")
        dated = moment_words(statements[findings.index(unheard[0])], say)
        facts = sentences(counted_words(dated, len(unheard) - 1, say), say)
        consider = (*consider, *_where_to_look(needed, say))
    elif needed:
        named = ", ".join(say(PARTS[u.what]) for u in needed)
        action = _missing_action({u.what for u in needed}, say)
        facts = (
            say("Could not be read: {parts}.", parts=named),
            say.many(
                "{count} needed part of the chart could not be read.",
                "{count} needed parts of the chart could not be read.",
                len(needed),
            ),
        )
        if [u.what for u in needed] != [ChartPart.CONSENTS]:
            consider = _what_to_do(needed, say)
        elif not broken:
            consider = (say("Check the consent on file; documented answers are still shown"),)
    else:
        hides = any(u.may_hide_answer for u in chart.unreadable)
        hidden = say.many(
            "It may contain a safety answer: ask directly.",
            "They may contain a safety answer: ask directly.",
            len(broken),
        )
        action = hidden if hides else say("Estimates may be incomplete.")
        count = len(broken)
        facts = (say.many("{count} chart entry could not be read.", "{count} chart entries could not be read.", count),)
    return Notice(
        topic=Topic.COULD_NOT_ASSESS,
        urgency=max(f.urgency for f in findings),
        summary=summary(Topic.COULD_NOT_ASSESS, say, action, facts),
        heading=say(IN_THE_CHART),
        chart=(*lines_of(statements, say), *refused, *broken[:MOST_UNREADABLE], *rest),
        consider=consider,
        consider_heading=say(CONSIDER_TODAY),
        basis=Basis(kind=BasisKind.NOT_READ, rules=rules_of(findings)),
    )


def _not_read(gap: Unknown, say: Language) -> Line:
    text = say("**Not read: {part}** ({reason})", part=say(PARTS[gap.what]), reason=gap_words(gap.reason, say))
    return Line(text=text, role=LineRole.LEAD)


def _missing_action(parts: set[ChartPart], say: Language) -> str:
    if parts & set(ANSWER_PARTS):
        return say("PHQ-9, C-SSRS and ASQ may be incomplete: ask directly.")
    if ChartPart.CONDITIONS in parts:
        return say("Coded self-harm may be missing: ask directly.")
    return say("Age and sex are not known.") if ChartPart.PATIENT in parts else say("No estimate was made.")


def _where_to_look(needed: Iterable[Unknown], say: Language) -> tuple[str, ...]:
    parts = dict.fromkeys(say(PARTS[u.what]) for u in needed if u.what != ChartPart.CONSENTS)
    return (say("Check the chart itself for: {parts}", parts=", ".join(parts)),) if parts else ()


def _what_to_do(needed: Iterable[Unknown], say: Language) -> tuple[str, ...]:
    """Ask where an answer may be missing, look where it would stand, tell who can mend it."""
    steps = [*_where_to_look(needed, say)]
    if {u.what for u in needed} - {ChartPart.PATIENT, ChartPart.CONSENTS}:
        steps.insert(0, say("Ask directly about thoughts of suicide and self-harm"))
    if any(u.reason.cause is not Cause.NOT_PERMITTED for u in needed):
        steps.append(say("If this keeps happening, tell EHR support"))
    return tuple(steps)


def shown_once(notice: Notice, hours: int, say: Language) -> Notice:
    """The notice of a gap on a card that does not come to the same user again for so many hours."""
    text = say.many(
        "**Shown to you once in {count} hour.** Until then, no card does not mean that everything was read",
        "**Shown to you once in {count} hours:** until then, the absence of a card does not mean that everything "
        "was read",
        hours,
    )
    return replace(notice, chart=(*notice.chart, Line(text=text)))
