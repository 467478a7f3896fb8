"""The view model of the summary page, in page order. Pure; the only HTML is rendered markdown and SVG.

Findings first, then results over time, data availability, the estimate, medicines, guidelines. Availability comes
before the estimate so that gaps are read first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import version

from markupsafe import Markup

from explanations.words.findings.gaps import PARTS, gap_words
from explanations.words.help_lines import GuidelineLink, links
from explanations.words.interpreter import interpreter_words
from explanations.words.language import Language, clock
from explanations.words.notices.notice_list import history_apart
from explanations.words.pages.availability import AvailableRow, availability, withheld_words
from explanations.words.pages.medicines import ABOUT, MedicineLine, medicine_lines, treatment_note
from explanations.words.pages.other_results import other_results
from explanations.words.pages.summary_note import summary_note
from fhir_adapters.facts import ChartPart, PatientRecord, Unknown
from fhir_adapters.gaps import Cause
from fhir_adapters.resources.gathered import STEPS
from models.rules.findings import SAFETY_TOPICS, Topic
from models.rules.unread import is_offered
from models.scoring.risk import RiskScore
from smart_launch.chart.actions import ActionLink, form_links
from smart_launch.chart.banner import PatientBanner, patient_banner
from smart_launch.chart.estimates import EstimatePanel, estimates_of
from smart_launch.chart.findings import Finding, findings_of
from smart_launch.chart.opinions import OpinionTopic, opinion_reasons, opinion_topics
from smart_launch.chart.reading import Reading
from smart_launch.chart.rights import missing_rights
from smart_launch.chart.strip import Strip, strip_of, withheld_strip
from smart_launch.chart.trends import Trend, trends_of
from smart_launch.launch.guard import OpenLaunch
from smart_launch.pages.markdown import Sources, line, plain

PACKAGE = "mental-health-cds"


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherQuestionnaire:
    """Another questionnaire on file: its answers, latest first, and where the instrument is published."""

    title: str
    rows: tuple[Markup, ...]
    more: int
    home: GuidelineLink | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Everything on the page.

    withheld: the patient objects, so the rest is empty. can_retry: a part that was not read may be readable later.
    history: only what no finding shows. by_models: whether a model may be asked at all. fold_estimate: why
    estimates are folded, or "". labelled: what security labels
    withhold, in a sentence. medicines: None if the list was not read. caution: precedes them when bipolar disorder is
    recorded. plan_form: the site's own form of a safety plan, and plan_links public help for one, after safety
    findings. sources: FHIR references, in the order of their numbers. note: text for the clinician's own note.
    """

    banner: PatientBanner
    read_on: str
    read_at: str
    strip: Strip
    withheld: bool = False
    findings: tuple[Finding, ...] = ()
    history: tuple[Markup, ...] = ()
    gaps: tuple[str, ...] = ()
    missing_rights: tuple[str, ...] = ()
    can_retry: bool = False
    by_models: bool = True
    fold_estimate: str = ""
    trends: tuple[Trend, ...] = ()
    others: tuple[OtherQuestionnaire, ...] = ()
    forms: tuple[ActionLink, ...] = ()
    availability: tuple[AvailableRow, ...] = ()
    labelled: str = ""
    estimates: tuple[EstimatePanel, ...] = ()
    no_estimate: str = ""
    medicines: tuple[MedicineLine, ...] | None = None
    caution: str = ""
    about_medicines: tuple[str, ...] = ()
    guidelines: tuple[GuidelineLink, ...] = ()
    plan_form: str | None = None
    plan_links: tuple[GuidelineLink, ...] = ()
    sources: tuple[str, ...] = ()
    note: str = ""
    opinion_topics: tuple[OpinionTopic, ...] = ()
    opinion_reasons: tuple[tuple[str, str], ...] = ()
    versions: tuple[str, ...] = ()
    interpreter: str = ""


def others_of(chart: PatientRecord, launch: OpenLaunch, sources: Sources) -> tuple[OtherQuestionnaire, ...]:
    """Questionnaires without a picture of their own; their own pages where the region links them."""
    settings = launch.site.notices
    return tuple(
        OtherQuestionnaire(
            title=other.title,
            rows=tuple(line(row, sources) for row in other.rows),
            more=other.more,
            home=other.home if settings.region.homes else None,
        )
        for other in other_results(chart, launch.safe.say, settings.zone)
    )


def summary_of(reading: Reading, launch: OpenLaunch) -> Summary:
    """The view model of a reading."""
    assessment, chart, say = reading.assessment, reading.assessment.chart, launch.say
    zone, region = launch.site.notices.zone, launch.site.notices.region
    banner = patient_banner(reading.identity, chart.age_years, say, deceased=chart.deceased)
    local = reading.at.astimezone(zone)
    read_on, read_at = say.day(local.date()), clock(local)
    withheld = withheld_strip(reading, launch)
    if withheld:
        return Summary(
            banner=banner,
            read_on=read_on,
            read_at=read_at,
            strip=withheld,
            withheld=True,
            versions=_versions(reading),
        )
    note = "" if chart.deceased else treatment_note(chart, say.safe)
    bipolar = chart.bipolar_disorder is not None
    # The sources are numbered in the order of the page.
    sources = Sources(say)
    findings = findings_of(reading, launch, sources)
    apart = history_apart(assessment, reading.notices, launch.site.notices)
    history = [line(entry.text, replace(sources, say=say.safe)) for entry in apart]
    trends = trends_of(chart, say, launch.site.notices, sources)
    others = others_of(chart, launch, sources)
    known = tuple(_cited(row, sources) for row in availability(assessment, say))
    estimates = estimates_of(assessment, launch.site.notices, say, sources)
    medicines = _medicines(chart, launch, sources)
    safety = [notice.topic in SAFETY_TOPICS for notice in reading.notices]
    english = bool(reading.notices or history or others or medicines or note)
    plan = links(launch.site.notices.region.plan) if any(safety) else ()
    return Summary(
        banner=banner,
        read_on=read_on,
        read_at=read_at,
        strip=strip_of(reading, launch, only_history=bool(history)),
        findings=findings,
        history=tuple(history),
        interpreter=interpreter_words(say) if english else "",
        gaps=_gaps(reading, say),
        missing_rights=missing_rights(launch),
        can_retry=any(_may_come(gap) for gap in chart.unknown),
        by_models=launch.site.notices.region.models,
        fold_estimate=_why_folded(reading, say),
        trends=trends,
        others=others,
        forms=form_links(chart, launch),
        availability=known,
        labelled=withheld_words(chart, say),
        estimates=estimates.panels,
        no_estimate=estimates.reason,
        medicines=medicines,
        caution=note if bipolar else "",
        about_medicines=(*map(say.safe, ABOUT), *([note] if note and not bipolar else [])) if chart.medicines else (),
        guidelines=tuple(link for link in _guidelines(reading, launch) if link not in plan),
        plan_form=launch.site.notices.safety_plan if any(safety) else None,
        plan_links=plan,
        sources=tuple(sources.listed),
        note=summary_note(assessment, reading.notices, apart, local, launch.safe.say, plain, region),
        opinion_topics=opinion_topics(assessment, say),
        opinion_reasons=opinion_reasons(say),
        versions=_versions(reading),
    )


def _cited(row: AvailableRow, sources: Sources) -> AvailableRow:
    return replace(row, gaps=tuple(line(gap, sources) for gap in row.gaps))


def _why_folded(reading: Reading, say: Language) -> str:
    """Why no estimate stands open: documented facts speak, or no model prompts anything."""
    if any(not notice.basis.by_model for notice in reading.notices):
        return say("The findings above come first. Act on them whatever the estimate.")
    if reading.notices:
        return ""
    if any(isinstance(score, RiskScore) for score in reading.assessment.scores):
        return say("No estimate shown here is above this site’s threshold. That does not rule anything out.")
    return say("No estimate is shown. That does not rule anything out.")


def _may_come(gap: Unknown) -> bool:
    return gap.reason.cause is not Cause.NOT_PERMITTED and is_offered(gap) and gap.what not in STEPS


def _gaps(reading: Reading, say: Language) -> tuple[str, ...]:
    """`Not read: medicines (the chart did not answer).` Leaves out what a finding or the strip already names."""
    named = any(notice.topic is Topic.COULD_NOT_ASSESS for notice in reading.notices)
    return tuple(
        say("Not read: {part} ({reason}).", part=say(PARTS[gap.what]), reason=gap_words(gap.reason, say))
        for gap in reading.assessment.chart.unknown
        if is_offered(gap) and gap.what not in STEPS and not (named and gap.needed)
    )


def _medicines(chart: PatientRecord, launch: OpenLaunch, sources: Sources) -> tuple[MedicineLine, ...] | None:
    lines = tuple(
        replace(entry, reference=sources.cited(entry.reference)) if entry.reference else entry
        for entry in medicine_lines(chart, launch.safe.say, launch.site.notices.region)
    )
    unread = any(gap.what == ChartPart.MEDICATIONS for gap in chart.unknown)
    return None if unread and not lines else lines


def _guidelines(reading: Reading, launch: OpenLaunch) -> tuple[GuidelineLink, ...]:
    """The verified links of all topics, without duplicates."""
    age, region = reading.assessment.chart.age_years, launch.site.notices.region
    return links(dict.fromkeys(name for n in reading.notices for name in region.links(n.topic, age)))


def _versions(reading: Reading) -> tuple[str, ...]:
    """Versions of the package and of the models that gave an estimate."""
    scored = [score for score in reading.assessment.scores if isinstance(score, RiskScore)]
    return (f"{PACKAGE} {version(PACKAGE)}", *(score.model for score in scored))
