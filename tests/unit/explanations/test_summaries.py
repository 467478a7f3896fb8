"""Summaries are whole sentences under 140 characters, whatever the chart holds and in a language two fifths longer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from builders import AS_OF, LOW, given, patient, record_of
from hypothesis import given as holds
from hypothesis import strategies as st
from made_up_language import LANGUAGE, compiled

from cds_service.cards.from_notices import MOST_CARDS
from explanations.judgement.assessment import Engine, assess
from explanations.judgement.discharge import assess_discharge
from explanations.words.language import language
from explanations.words.notices.discharge import discharge_notices
from explanations.words.notices.notice import Notice, NoticeSettings
from explanations.words.notices.notice_list import merged, notices
from explanations.words.notices.summaries import LAST, MOST_SUMMARY, summary
from fhir_adapters import facts
from fhir_adapters.codesets.quantities import quantities
from fhir_adapters.facts import AnswerState, ChartPart, EventKind, PatientRecord, Result, RiskResult, When
from fhir_adapters.flaws import Flaw
from fhir_adapters.gaps import Cause, Gap
from fhir_adapters.instruments import Instrument
from models.rules.findings import Topic
from models.scoring.registry import load_models

TODAY = AS_OF.date()
ENGINE = Engine(models=load_models())


ENGLISH_SITE = NoticeSettings(zone=ZoneInfo("America/New_York"), contact="On-call psychiatry, ext. 4410")


@pytest.fixture(scope="module", params=["English", "Spanish", "made up"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NoticeSettings:
    """In English, in Spanish, and in a language that is two fifths longer."""
    if request.param == "English":
        return ENGLISH_SITE
    if request.param == "Spanish":
        return replace(ENGLISH_SITE, say=replace(language("es"), reviewed=True))
    return replace(ENGLISH_SITE, say=language(LANGUAGE, compiled(tmp_path_factory.mktemp("locale"))))


@st.composite
def moments(draw: st.DrawFn) -> When | None:
    days = draw(st.sampled_from((0, 1, 3, 14, 29, 89, 90, 91, 400, -30, None)))
    if days is None:
        return None
    day = TODAY - timedelta(days=days)
    if days < 0:
        return When(text=f"{day}T10:00:00.123456789-11:00", day=day, future=True)
    shape = draw(st.sampled_from(("day", "time", "month", "year")))
    instant = datetime(day.year, day.month, day.day, 22, 58, tzinfo=UTC) if shape == "time" else None
    text = {"month": f"{day:%Y-%m}", "year": f"{day:%Y}"}.get(shape, str(day))
    return When(text=text, day=day, instant=instant, partial=shape in ("month", "year"))


def answer(item: str, state: AnswerState, value: int, *, yes_no: bool) -> facts.ItemAnswer:
    answered = state is AnswerState.ANSWERED
    return facts.ItemAnswer(
        item=item,
        state=state,
        reference=f"Observation/{item}",
        score=value if answered and not yes_no else None,
        yes=value > 0 if answered and yes_no else None,
    )


@st.composite
def forms(draw: st.DrawFn) -> facts.Administration:
    instrument = draw(st.sampled_from(list(Instrument)))
    spec = instrument.spec
    further = spec.safety.further if spec.safety else ()
    states = st.sampled_from(list(AnswerState))
    items = (*spec.items, *further, *(("acuity",) if instrument is Instrument.ASQ else ()))
    one = draw(st.sampled_from((*AnswerState, None)))
    answers = tuple(
        answer(item, one or draw(states), draw(st.integers(0, 3)), yes_no=spec.scale is None or item in further)
        for item in items
        if draw(st.booleans())
    )
    return facts.Administration(
        instrument=instrument,
        when=draw(moments()),
        answers=answers,
        total=draw(st.sampled_from((None, 3, 17, 25, spec.top_total, 10**30))),
        level=draw(st.sampled_from((None, *Result))) if spec.scale is None else None,
        provisional=draw(st.booleans()),
        references=(f"QuestionnaireResponse/{draw(st.integers(0, 9))}",),
    )


@st.composite
def events(draw: st.DrawFn) -> facts.CodedEvent:
    return facts.CodedEvent(
        kind=draw(st.sampled_from(list(EventKind))),
        code=draw(st.sampled_from(("T14.91XA", "R45.851", "82313006"))),
        system="urn:any",
        when=draw(moments()),
        course=draw(st.sampled_from(list(facts.Course))),
        reference=f"Condition/{draw(st.integers(0, 9))}",
        setting=draw(st.sampled_from(list(facts.Setting))),
        subsequent=draw(st.booleans()),
    )


@st.composite
def anomalies(draw: st.DrawFn) -> facts.Anomaly:
    named = {"flaw": draw(st.sampled_from(list(Flaw))), "when": draw(moments()), "references": ("Observation/odd",)}
    if named["flaw"] in (Flaw.OF_OTHERS, Flaw.OF_NOBODY, Flaw.UNFILTERED):
        count = draw(st.sampled_from((1, 2, 123_456)))
        return facts.ForeignEntries(count=count, answers=draw(st.sampled_from((0, count))), **named)
    if named["flaw"] in (Flaw.EVENT_IN_FUTURE, Flaw.DEATH_NOT_MARKED):
        return facts.EventAnomaly(event=draw(st.sampled_from(list(EventKind))), **named)
    if named["flaw"].value.startswith(("value", "unit", "not-a-number", "answer-unknown")):
        quantity = draw(st.sampled_from(sorted({q.feature for q in quantities().values()})))
        return facts.ValueAnomaly(feature=quantity, unit="10*3/uL", low=0.001, high=123456.5, **named)
    total, scores = draw(st.sampled_from((0, 27, 10**30))), draw(st.lists(st.integers(0, 3), max_size=20))
    return facts.FormAnomaly(
        instrument=draw(st.sampled_from(list(Instrument))), total=total, scores=tuple(scores), **named
    )


UNHEARD = st.builds(
    facts.Unheard,
    kind=st.just("Observation"),
    reference=st.just("Observation/unheard"),
    when=moments(),
    instrument=st.sampled_from((None, *(instrument.spec.title for instrument in Instrument))),
    self_harm=st.booleans(),
    says_yes=st.booleans(),
    stated=st.booleans(),
    words=st.sampled_from((None, "yes", "yes, " * 40)),
)
ASSESSMENTS = st.builds(
    facts.RiskAssessment,
    reference=st.just("RiskAssessment/r"),
    when=moments(),
    result=st.sampled_from((None, *RiskResult)),
    by_software=st.booleans(),
)
UNREADABLE = st.builds(
    facts.Unreadable,
    kind=st.just("Observation"),
    reference=st.just("Observation/broken"),
    reason=st.just(Gap(cause=Cause.NO_CODE)),
    may_hide_answer=st.booleans(),
)


def few(one: st.SearchStrategy, most: int = 3) -> st.SearchStrategy:
    return st.lists(one, max_size=most).map(tuple)


CHARTS = st.builds(
    PatientRecord,
    patient_id=st.just("p1"),
    as_of=st.just(AS_OF),
    today=st.just(TODAY),
    age_years=st.sampled_from((None, 9, 15, 40)),
    deceased=st.sampled_from((False, False, False, True)),
    administrations=few(forms(), 15),
    events=few(events()),
    risk_assessments=few(ASSESSMENTS),
    anomalies=few(anomalies()),
    unheard=few(UNHEARD),
    unreadable=few(UNREADABLE),
    unknown=st.lists(st.sampled_from(list(ChartPart)), max_size=len(ChartPart), unique=True).map(
        lambda parts: tuple(facts.Unknown(what=p, reason=Gap(cause=Cause.REFUSED), needed=True) for p in parts)
    ),
)


def said(chart: PatientRecord, site: NoticeSettings) -> list[Notice]:
    """All notices of a chart: as opened, as cards, and at discharge."""
    opened = notices(assess(chart, Engine()), site)
    return [*opened, *merged(opened, MOST_CARDS, site), *discharge_notices(assess_discharge(chart), site)]


def is_whole(text: str) -> bool:
    return len(text) <= MOST_SUMMARY and "…" not in text and "  " not in text and text.rstrip("›~ ").endswith(".")


@holds(chart=CHARTS)
def test_every_summary_is_a_whole_sentence_under_140_characters(site: NoticeSettings, chart: PatientRecord) -> None:
    for notice in said(chart, site):
        assert is_whole(notice.summary), notice.summary


@holds(form=forms(), count=st.integers(1, 13))
def test_so_is_that_of_a_form_and_twelve_more(site: NoticeSettings, form: facts.Administration, count: int) -> None:
    chart = PatientRecord(patient_id="p1", as_of=AS_OF, today=TODAY, age_years=40, administrations=(form,) * count)

    for notice in said(chart, site):
        assert is_whole(notice.summary), notice.summary


@holds(anomaly=anomalies(), count=st.integers(1, 13))
def test_so_is_that_of_an_anomaly_and_twelve_more(site: NoticeSettings, anomaly: facts.Anomaly, count: int) -> None:
    chart = PatientRecord(patient_id="p1", as_of=AS_OF, today=TODAY, age_years=40, anomalies=(anomaly,) * count)

    for notice in said(chart, site):
        assert is_whole(notice.summary), notice.summary


@pytest.mark.parametrize("treatment", ["Medicine sertraline", "Medicine metformin"])
def test_so_is_that_of_a_model_in_care_or_not(site: NoticeSettings, treatment: str) -> None:
    lines = (
        "Condition 193462001, 90 days ago, problem list",
        treatment,
        "PHQ-9, 190 days ago: items 1-9 = 0, total = 0",
    )
    chart = record_of(*(r for line in lines for r in given(line)), who=patient(40))
    opened = notices(assess(chart, ENGINE, LOW), site)

    assert any(notice.basis.by_model for notice in opened)
    assert all(is_whole(notice.summary) for notice in opened)


@pytest.mark.parametrize("topic", list(Topic))
def test_the_last_wording_of_a_topic_fits_in_a_longer_language_too(site: NoticeSettings, topic: Topic) -> None:
    assert is_whole(site.say(LAST[topic]))


def test_a_translation_that_is_too_long_gives_way_to_english() -> None:
    endless = replace(language(), catalogue=type("Endless", (), {"gettext": lambda _self, text: text * 4})())

    assert summary(Topic.RECENT_SAFETY, endless, "x" * 200, ["x" * 200]) == LAST[Topic.RECENT_SAFETY]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("PHQ-9, 6 days ago: items 1-8 = 1, item 9 = 1",), "PHQ-9 item 9 answered “several days” 6 days ago (17 Nov 2026; total 9). Ask"),
        (("PHQ-9, undated: items 1-8 = 1, item 9 = 1",), "PHQ-9 item 9 answered “several days” (date not recorded; total 9). Ask"),
        (("PHQ-9, 2026-11: items 1-8 = 1, item 9 = 1",), "PHQ-9 item 9 answered “several days” (Nov 2026; total 9). Ask"),
        (("PHQ-9, in 9 days: items 1-8 = 1, item 9 = 1",), "PHQ-9 item 9 answered “several days” (dated 2026-12-02, in the future; total 9). Ask"),
        (("PHQ-9, 6 days ago: items 1-8 = 1, item 9 = 1", "Condition R45.851, 9 days ago"), "PHQ-9 item 9 answered “several days” on 17 Nov 2026; suicidal ideation recorded on 14 Nov 2026. Ask"),
        (("PHQ-9, 6 days ago: items 1-8 = 1, item 9 = 1", "PHQ-9, 9 days ago: items 1-8 = 1, item 9 = 1"), "PHQ-9 item 9 answered “several days” 6 days ago (17 Nov 2026; total 9); also on 14 Nov 2026. Ask"),
        (("PHQ-9, 6 days ago: items 1-8 = 1, item 9 = 1", *(f"Condition R45.851, {days} days ago" for days in (7, 8))), "PHQ-9 item 9 answered “several days” 6 days ago (17 Nov 2026; total 9), and 2 more. Ask"),
        (("PHQ-9, 4 days ago: total = 26",), "PHQ-9 total of 26 means item 9 was above 0 (19 Nov 2026, 4 days ago). Ask"),
        (("Condition R45.851, 60 days ago",), "Suicidal ideation recorded 60 days ago (24 Sep 2026); no reassessment found since. Consider reassessing"),
        (("EPDS, yesterday: items 1-9 = 1, item 10 = 1",), "EPDS item 10 answered “hardly ever” yesterday (22 Nov 2026; total 10). Ask"),
    ],
)  # fmt: skip
def test_the_fullest_wording_that_fits_is_taken(lines: tuple[str, ...], words: str) -> None:
    chart = record_of(*(r for line in lines for r in given(line)), who=patient())

    assert notices(assess(chart, Engine()), ENGLISH_SITE)[0].summary.startswith(words)
