"""A reading of the chart as what the page shows, in the order of the page. Pure; no HTML but that of markdown and SVG.

Findings first, then results over time, what was known, the estimate, medicines, guidelines. What was known stands
before the estimate, so that gaps are read first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo
from importlib.metadata import version

from markupsafe import Markup

from explanations.words.availability import AvailableRow, availability, withheld_words
from explanations.words.gaps import PARTS, gap_words
from explanations.words.help_lines import GuidelineLink, guidelines
from explanations.words.language import Language, later
from explanations.words.medicines import ABOUT, MedicineLine, medicine_lines, treatment_note
from explanations.words.notice_list import history_apart
from explanations.words.other_results import other_results
from explanations.words.topics import PageAction
from fhir_adapters.facts import ChartPart, Consent, PatientRecord
from fhir_adapters.gaps import Cause
from models.rules.findings import Topic, Urgency
from models.scoring.risk import RiskScore
from smart_launch.chart.banner import PatientBanner, patient_banner
from smart_launch.chart.estimate_parts import Estimate, OpinionTopic, estimates_of, outcomes_of
from smart_launch.chart.findings import Action, Finding, about_safety, actions, findings_of, not_granted
from smart_launch.chart.opinions import REASON_WORDS
from smart_launch.chart.reading import Reading
from smart_launch.chart.trends import Trend, trends_of
from smart_launch.launch.guard import OpenLaunch
from smart_launch.pages.markdown import line

PACKAGE = "mental-health-cds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """What stands in the place of findings where there are none: a headline, sentences and what can be done."""

    headline: str
    lines: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """Another questionnaire on file: what was answered, latest first, and where the instrument is at home."""

    title: str
    rows: tuple[Markup, ...]
    more: int
    home: GuidelineLink | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Everything on the page.

    kept: nothing of the chart may be shown (the patient does not want it), and the rest is empty. again: something was
    not read, so that trying again makes sense. history: where no finding carries it. acute: estimates are folded.
    notified: that nobody was is said. medicines: None where the list was not read. caution: what stands before them,
    where bipolar disorder is recorded. outcomes, reasons: what an opinion may be about, and why, as (code, words).
    """

    who: PatientBanner
    read_at: str
    lead: Lead | None
    kept: bool = False
    findings: tuple[Finding, ...] = ()
    history: tuple[Markup, ...] = ()
    gaps: tuple[str, ...] = ()
    rights: tuple[str, ...] = ()
    again: bool = False
    acute: bool = False
    notified: bool = False
    trends: tuple[Trend, ...] = ()
    others: tuple[Other, ...] = ()
    known: tuple[AvailableRow, ...] = ()
    withheld: str = ""
    estimates: tuple[Estimate, ...] = ()
    no_estimate: str = ""
    medicines: tuple[MedicineLine, ...] | None = None
    caution: str = ""
    about_medicines: tuple[str, ...] = ()
    guidelines: tuple[GuidelineLink, ...] = ()
    outcomes: tuple[OpinionTopic, ...] = ()
    reasons: tuple[tuple[str, str], ...] = ()
    versions: tuple[str, ...] = ()


def others_of(chart: PatientRecord, say: Language) -> tuple[Other, ...]:
    """Questionnaires beside those that have a picture."""
    return tuple(
        Other(title=found.title, rows=tuple(line(row) for row in found.rows), more=found.more, home=found.home)
        for found in other_results(chart, say)
    )


def summary_of(reading: Reading, launch: OpenLaunch) -> Summary:
    """The page of a reading."""
    assessment, chart, say = reading.assessment, reading.assessment.chart, launch.say
    who = patient_banner(reading.identity, chart.age_years, say, deceased=chart.deceased)
    read_at = moment(reading.at, launch.site.notices.zone, say)
    if chart.consent in KEPT:
        lead = Lead(headline=say(KEPT[chart.consent]), lines=(say("Nothing of the chart was read."), say(LOOK_THERE)))
        return Summary(who=who, read_at=read_at, lead=lead, kept=True, versions=_versions(reading))
    note = "" if chart.deceased else treatment_note(chart, say)
    bipolar = chart.bipolar_disorder is not None
    found = estimates_of(assessment, launch.site.notices, say)
    history = history_apart(assessment, reading.notices, launch.site.notices)
    return Summary(
        who=who,
        read_at=read_at,
        lead=_lead(reading, launch, only_history=bool(history)),
        findings=findings_of(reading, launch),
        history=tuple(line(entry.text) for entry in history),
        gaps=_gaps(reading, say),
        rights=not_granted(launch),
        again=any(gap.reason.cause is not Cause.NOT_PERMITTED for gap in chart.unknown),
        acute=any(notice.urgency is Urgency.ACUTE for notice in reading.notices),
        notified=about_safety(reading.notices),
        trends=trends_of(chart, say),
        others=others_of(chart, say),
        known=availability(assessment, say),
        withheld=withheld_words(chart, say),
        estimates=found.views,
        no_estimate=found.reason,
        medicines=_medicines(chart, say),
        caution=note if bipolar else "",
        about_medicines=(*map(say, ABOUT), *([note] if note and not bipolar else [])) if chart.medicines else (),
        guidelines=_guidelines(reading, launch),
        outcomes=outcomes_of(assessment, say),
        reasons=tuple((code, say(words)) for code, words in REASON_WORDS.items()),
        versions=_versions(reading),
    )


KEPT = {
    Consent.OPTED_OUT: later("The patient has chosen not to have this used."),
    Consent.DENIED: later("A consent on file does not allow this use."),
}


LOOK_THERE = later(
    "This says nothing about the patient’s safety. Look at the answers in the chart itself; ask if you are concerned."
)


def _lead(reading: Reading, launch: OpenLaunch, *, only_history: bool) -> Lead | None:
    """What is said where there are no findings, and of a patient who has died. Nothing here reassures."""
    chart, say = reading.assessment.chart, launch.say
    if chart.deceased:
        return Lead(headline=say("The patient is recorded as deceased."), lines=(say("No estimate is made."),))
    if reading.notices:
        return None
    return Lead(
        headline=say("Only history to show from what was read.")
        if only_history
        else say("Nothing to show from what was read."),
        lines=(
            say("This does not say that the patient is well; people often do not disclose. Ask if you are concerned."),
        ),
        actions=actions((PageAction.WHOLE_FORM,), chart, launch),
    )


def _gaps(reading: Reading, say: Language) -> tuple[str, ...]:
    """`Not read: medicines (the chart did not answer).` What a finding names already is not said twice."""
    named = any(notice.topic is Topic.COULD_NOT_ASSESS for notice in reading.notices)
    return tuple(
        say("Not read: {part} ({reason}).", part=say(PARTS[gap.what]), reason=gap_words(gap.reason, say))
        for gap in reading.assessment.chart.unknown
        if not (named and gap.needed)
    )


def _medicines(chart: PatientRecord, say: Language) -> tuple[MedicineLine, ...] | None:
    lines = medicine_lines(chart, say)
    unread = any(gap.what == ChartPart.MEDICATIONS for gap in chart.unknown)
    return None if unread and not lines else lines


def _guidelines(reading: Reading, launch: OpenLaunch) -> tuple[GuidelineLink, ...]:
    """The verified links of all topics, each once."""
    age, country = reading.assessment.chart.age_years, launch.site.notices.country
    return tuple(dict.fromkeys(link for notice in reading.notices for link in guidelines(notice.topic, age, country)))


def moment(at: datetime, zone: tzinfo, say: Language) -> str:
    """`23 Nov 2026, 10:12 EST`: a moment at the site."""
    local = at.astimezone(zone)
    return f"{say.day(local.date())}, {local:%H:%M} {local.tzname() or ''}".rstrip()


def _versions(reading: Reading) -> tuple[str, ...]:
    """The package and the models that gave an estimate."""
    scored = [score for score in reading.assessment.scores if isinstance(score, RiskScore)]
    return (f"{PACKAGE} {version(PACKAGE)}", *(f"{score.outcome} {score.model_version}" for score in scored))
