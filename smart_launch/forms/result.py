"""The chart read anew after a form was written: the new result with its change, and the summary's strip."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from explanations.judgement.measured import results_of
from explanations.judgement.since import result_of
from explanations.words.pages.note import total_words
from explanations.words.pages.strip import result_words
from fhir_adapters.facts import Administration, AnswerState, Consent, ItemAnswer, PatientRecord, When
from fhir_adapters.writing.completed import FORM
from fhir_adapters.writing.questionnaires import FormAnswers
from smart_launch.chart.reading import read_chart, record_shown
from smart_launch.chart.strip import Strip
from smart_launch.chart.summary import summary_of
from smart_launch.errors import SmartError
from smart_launch.forms.outcome import SubmissionResult
from smart_launch.launch.guard import OpenLaunch
from smart_launch.pages.responses import log_failure
from smart_launch.records import record_event
from smart_launch.runtime import AppRuntime


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenResult:
    """words: the result; "" where the strip has it. strip: None where the chart does not give the form back (yet)."""

    words: str
    strip: Strip | None


def written_result(
    app: AppRuntime, launch: OpenLaunch, outcome: SubmissionResult, answers: FormAnswers
) -> WrittenResult:
    """What was written, and what follows from the chart with it; a chart that cannot be read leaves the former."""
    written = total_words(answers, launch.safe.say, bands=launch.site.notices.region.bands)
    if outcome.fault is not None:
        return WrittenResult(words=written, strip=None)
    try:
        return _read_again(app, launch, outcome, answers, written)
    except Exception as error:  # noqa: BLE001  # it is in the chart, whatever fails now
        if not isinstance(error, SmartError):
            log_failure(error)
        return WrittenResult(words=written, strip=None)


def _read_again(
    app: AppRuntime, launch: OpenLaunch, outcome: SubmissionResult, answers: FormAnswers, written: str
) -> WrittenResult:
    reading = read_chart(app, launch)
    chart = reading.assessment.chart
    if not any(outcome.written[FORM] in form.references for form in chart.administrations):
        if chart.consent is Consent.ALLOWED:
            record_event(app, launch.session, "measured", results_of(_as_read(answers, outcome, chart)))
        return WrittenResult(words=written, strip=None)
    record_shown(app, launch, reading, "written")
    strip = summary_of(reading, launch).strip
    latest = result_of(chart, None, launch.site.notices.region)
    # An earlier result says nothing of another form.
    if latest and latest.point.reference not in outcome.written.values():
        latest = None
    if latest:
        written = result_words(latest, launch.safe.say)
    if not strip.topic:
        return WrittenResult(words="", strip=replace(strip, headline=written, result=""))
    if strip.safety and latest and latest.point.safety_answer and not latest.point.safety_score:
        written = launch.safe.say("{result}. That does not rule out risk.", result=written)
    # After a safety finding the strip's headline has the item.
    said = (written, result_words(latest, launch.safe.say, with_item=False)) if latest else ()
    return WrittenResult(words="" if strip.result in said else written, strip=strip)


def _as_read(answers: FormAnswers, outcome: SubmissionResult, chart: PatientRecord) -> Administration:
    """The form as the chart will have it."""
    sent, form = datetime.fromtimestamp(outcome.sent_at, UTC), outcome.written[FORM]
    return Administration(
        instrument=answers.form.instrument,
        when=When(text=sent.isoformat(), day=chart.today, instant=sent),
        answers=tuple(
            ItemAnswer(item=given.question.item, state=AnswerState.ANSWERED, reference=form, score=given.option.score)
            for given in answers.answered
            if given.question.item and given.option
        ),
        references=(form,),
    )
