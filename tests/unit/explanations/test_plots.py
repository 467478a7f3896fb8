"""Pictures: well formed, named, apart, inside their frame, escaped, and calm; approved ones in tests/golden."""

from __future__ import annotations

import math
import os
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from builders import gad7_timeline, phq9_timeline
from hypothesis import given as given_any
from hypothesis import strategies as st

from explanations.pictures.plots import NARROW, SMALL, WIDE, trend
from explanations.pictures.small_plots import array_words, bar, icon_array
from explanations.words.language import language
from explanations.words.pages.trends import trend_rows, trend_sentence
from fhir_adapters.facts import (
    Administration,
    AnswerState,
    CodedEvent,
    Course,
    EventKind,
    ItemAnswer,
    MedicineUse,
    PatientRecord,
    SafetyPlan,
    Setting,
    Visit,
    When,
)
from fhir_adapters.instruments import Instrument

GOLDEN = Path(__file__).parents[2] / "golden"
TODAY = date(2026, 11, 23)
SVG = "{http://www.w3.org/2000/svg}"
WIDTHS = (WIDE, NARROW, SMALL)


def when(day: date | None, *, partial: bool = False) -> When | None:
    return When(text=str(day), day=day, future=day > TODAY, partial=partial) if day else None


def form(day: date | None, scores: list[int | None], total: int | None = None, **more) -> Administration:
    answers = tuple(
        ItemAnswer(item=str(n), state=AnswerState.ANSWERED if s is not None else AnswerState.BLANK, reference="Observation/i", score=s)
        for n, s in enumerate(scores, start=1)
    )  # fmt: skip
    kind = more.pop("instrument", Instrument.PHQ9)
    return Administration(instrument=kind, when=when(day, partial=more.pop("partial", False)), answers=answers, total=total, references=("Observation/f",), **more)  # fmt: skip


def sertraline(day: date | None, name: str = "Sertraline 50 MG", ingredient: str = "sertraline", **more) -> MedicineUse:
    return MedicineUse(**more, name=name, classes=frozenset({"rx_ssri"}), when=when(day), reference="MedicationRequest/m", ingredients=(ingredient,) if ingredient else ())  # fmt: skip


def record(forms=(), medicines=(), visits=(), events=(), plans=()) -> PatientRecord:
    uses = tuple(medicines)
    return PatientRecord(
        patient_id="p", as_of=datetime(2026, 11, 23, 15, tzinfo=UTC), today=TODAY, administrations=tuple(forms),
        medicines=tuple(use for use in uses if use.active), past_medicines=tuple(use for use in uses if not use.active),
        visits=tuple(visits), events=tuple(events), safety_plans=tuple(plans),
    )  # fmt: skip


def visit(day: date, *, mental: bool = False) -> Visit:
    return Visit(reference="Encounter/e", when=when(day), kind="ambulatory", mental_health=mental)


def past(day: date | None, ended: date | None, name: str, ingredient: str) -> MedicineUse:
    return sertraline(day, name, ingredient, active=False, ended=when(ended))


def event(day: date | None, kind: EventKind = EventKind.SUICIDE_ATTEMPT, **more) -> CodedEvent:
    more = {"course": Course.ACTIVE, "setting": Setting.ENCOUNTER_DIAGNOSIS} | more
    return CodedEvent(kind=kind, code="T14.91XA", system="icd", when=when(day), reference="Condition/c", **more)


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


CHARTS = {
    "phq9-years": record(
        [
            form(date(2025, 11, 10), [2] * 9),
            form(date(2026, 1, 12), [2] * 7 + [0, 0]),
            form(date(2026, 3, 2), [1] * 9, total=22, contradictory=True),
            form(date(2026, 4, 13), [1] * 7),
            form(date(2026, 6, 1), [1] * 8 + [0]),
            form(date(2026, 10, 25), [2] * 5 + [1] * 4),
            form(None, [], total=4),
        ],
        [sertraline(date(2026, 1, 14)), sertraline(date(2026, 6, 3), "Sertraline 100 MG")],
        [visit(ago(n), mental=n % 80 == 40) for n in range(0, 400, 40)],
    ),
    "phq9-events": record(
        [form(ago(n), [], total=t) for n, t in ((420, 12), (330, 21), (240, 16), (120, 9), (6, 17))],
        [
            past(ago(400), ago(320), "Fluoxetine 20 MG", "fluoxetine"),
            past(ago(310), ago(280), "Venlafaxine 75 MG", "venlafaxine"),
            past(ago(275), ago(200), "Venlafaxine 150 MG", "venlafaxine"),
            past(ago(180), None, "Mirtazapine 15 MG", "mirtazapine"),
            sertraline(ago(150)),
        ],
        [visit(ago(n), mental=n % 80 == 40) for n in range(0, 400, 40)],
        [event(ago(329)), event(ago(100), EventKind.SUICIDAL_IDEATION)],
        [SafetyPlan(reference="CarePlan/p", when=when(ago(328)))],
    ),
    "phq9-sixty": record([form(ago(12 * n), [], total=(n * 7) % 28) for n in range(60)], [sertraline(date(2019, 3, 3))]),
    "phq9-one-day": record([form(ago(20), [n] * 9) for n in (1, 2, 0)]),
    "gad7": record([form(ago(n), [], total=t, instrument=Instrument.GAD7) for n, t in ((60, 21), (3, 14))]),
}  # fmt: skip


def timeline_of(name: str):
    return (gad7_timeline if name == "gad7" else phq9_timeline)(CHARTS[name])


def approved(name: str, drawn: str) -> None:
    path = GOLDEN / f"{name}.svg"
    written = drawn.replace("><", ">\n<") + "\n"
    if os.environ.get("MHCDS_REWRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(written, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == written


@pytest.mark.parametrize("width", WIDTHS, ids=lambda w: w.name)
@pytest.mark.parametrize("name", CHARTS)
def test_the_pictures_are_the_approved_ones(name: str, width) -> None:
    approved(f"{name}-{width.name}", trend(timeline_of(name), width, name, language()))


def test_the_small_pictures_are_the_approved_ones() -> None:
    bars = "".join(bar(value) for value in (0.5, -0.3, 0.0, 1.4, -2.3))
    approved("bars", f'<svg xmlns="http://www.w3.org/2000/svg">{bars}</svg>')
    approved("icons", icon_array(0.12, 0.17, "estimate", language()))


# ---- what holds of every picture


def numbers_of(element: ET.Element) -> list[float]:
    geometry = ("x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "width", "height", "points", "d", "viewBox")
    return [
        float(n) for name in geometry for n in re.findall(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?|nan|inf", element.get(name, ""))
    ]  # fmt: skip


def box_of(label: ET.Element) -> tuple[float, float, float, float]:
    """A simple estimate of its own: half the size of the font a letter."""
    size = float(label.get("font-size"))
    wide, x, y = len(label.text) * size * 0.52, float(label.get("x")), float(label.get("y"))
    left = {"start": x, "middle": x - wide / 2, "end": x - wide}[label.get("text-anchor")]
    return left, y - size * 0.75, left + wide, y + size * 0.2


def meet(one, two) -> bool:
    return one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]


def check(drawn: str) -> ET.Element:
    """That a picture keeps to the rules; gives its root."""
    root = ET.fromstring(drawn)  # noqa: S314  # our own text
    _, _, wide, high = (float(n) for n in root.get("viewBox").split())
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert root.get("role") == "img"
    assert root.get("aria-labelledby").split() == [
        root.find(f"{SVG}title").get("id"),
        root.find(f"{SVG}desc").get("id"),
    ]
    assert root.find(f"{SVG}title").text and root.find(f"{SVG}desc").text
    assert len(ids) == len(set(ids))
    for element in root.iter():
        assert element.tag.removeprefix(SVG) not in ("script", "style", "foreignObject", "image", "a")
        assert not [name for name in element.attrib if name == "style" or name.startswith("on")]
        for name in ("fill", "stroke"):
            assert re.fullmatch(r"none|var\(--[a-z-]+\)|url\(#[\w-]+\)", element.get(name, "none"))
        assert all(math.isfinite(n) for n in numbers_of(element))
        for name, most in (
            ("x", wide),
            ("x1", wide),
            ("x2", wide),
            ("cx", wide),
            ("y", high),
            ("y1", high),
            ("y2", high),
            ("cy", high),
        ):
            assert 0 <= float(element.get(name, 0)) <= most, (element.tag, element.attrib)
    boxes = [box_of(label) for label in root.iter(f"{SVG}text")]
    assert all(b[0] >= 0 and b[1] >= 0 and b[2] <= wide and b[3] <= high for b in boxes), boxes
    for place, one in enumerate(boxes):
        assert not any(meet(one, two) for two in boxes[place + 1 :])
    return root


DAYS = st.one_of(st.none(), st.integers(-40, 1500).map(ago))
NAMES = st.one_of(st.just("Sertraline 50 MG"), st.text(max_size=120), st.just("W" * 120), st.just("<script>&\"'"))
SCORES = st.lists(st.one_of(st.integers(0, 3), st.none()), max_size=9)


@st.composite
def forms(draw, instrument: Instrument = Instrument.PHQ9) -> Administration:
    total = draw(st.one_of(st.none(), st.integers(0, 21)))
    more = {
        "partial": draw(st.integers(0, 9)) == 0,
        "contradictory": draw(st.integers(0, 5)) == 0,
        "instrument": instrument,
    }
    return form(draw(DAYS), draw(SCORES), total, **more)


MEDICINES = st.builds(
    sertraline, DAYS, NAMES, st.sampled_from(["", "sertraline", "bupropion", "mirtazapine", "x" * 90])
)
VISITS = st.builds(visit, st.integers(-5, 1500).map(ago), mental=st.booleans())


@pytest.mark.parametrize("width", WIDTHS, ids=lambda w: w.name)
@given_any(st.lists(forms(), max_size=60), st.lists(MEDICINES, max_size=9), st.lists(VISITS, max_size=30))
def test_every_timeline_gives_a_picture_that_keeps_to_the_rules_and_a_whole_table(
    width, held, medicines, visits
) -> None:
    timeline = phq9_timeline(record(held, medicines, visits))
    drawn = trend(timeline, width, "any", language())

    assert bool(drawn) == bool(timeline.shown)
    if drawn:
        check(drawn)
    assert len(trend_rows(timeline, language())) == len(held)
    assert not re.search(r"improv|respon|better|worse|%", trend_sentence(timeline, language()))


@given_any(st.lists(forms(Instrument.GAD7), max_size=20))
def test_gad_7_keeps_to_the_same_rules(held) -> None:
    drawn = trend(gad7_timeline(record(held)), WIDE, "gad", language())

    assert "item 9" not in drawn
    if drawn:
        check(drawn)


@given_any(st.floats(-30, 30))
def test_every_bar_is_well_formed_inside_its_frame_and_hidden_from_readers_of_the_screen(value: float) -> None:
    root = ET.fromstring(bar(value))  # noqa: S314  # our own text

    assert root.get("aria-hidden") == "true"
    rect = root.find(f"{SVG}rect")
    left, wide = float(rect.get("x")), float(rect.get("width"))
    assert (left >= 84 if value >= 0 else left + wide <= 84.05) and wide <= 48
    assert (rect.get("fill") == "none") == (value < 0)
    assert len(root.findall(f"{SVG}text")) == (abs(value) > 1)
    for label in root.findall(f"{SVG}text"):
        assert box_of(label)[0] >= 0 and box_of(label)[2] <= 168


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_contribution_that_is_no_number_is_no_bar(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        bar(value)


@given_any(st.floats(0, 1), st.floats(0, 1), st.sampled_from([10, 20]))
def test_one_hundred_figures_stand_for_numerator_and_denominator(probability: float, high: float, columns: int) -> None:
    root = check(icon_array(probability, high, "any", language(), columns=columns))
    figures = [(group.get("fill"), figure) for group in root.iter(f"{SVG}g") for figure in group]
    fills = [fill for fill, figure in figures if not figure.get("transform")]
    key = [fill for fill, figure in figures if figure.get("transform")]

    assert len(fills) == 100
    assert key == ["var(--bar)", *(["url(#any-stripes)"] if "url(#any-stripes)" in fills else []), "none"]
    assert fills.count("var(--bar)") == round(100 * probability)
    assert fills.count("url(#any-stripes)") == max(0, round(100 * high) - round(100 * probability))


def test_the_figures_are_said_in_words() -> None:
    assert (
        array_words(0.12, 0.17, language())
        == "12 of 100 figures are solid; 5 more are striped, up to 17, the upper end of the range."
    )
    assert array_words(0.01, 0.02, language()).startswith("1 of 100 figures is solid; 1 more is striped, up to 2")
    assert array_words(0.12, 0.12, language()).endswith("the upper end of the range is the same number.")


# ---- what a trend says


def marks(drawn: str) -> list[str]:
    """The marks of the plot, without those of the key under it."""
    root = ET.fromstring(drawn)  # noqa: S314  # our own text
    floor = 20 + WIDE.plot_height + 10
    return [
        element.tag.removeprefix(SVG)
        for element in root
        if element.tag.removeprefix(SVG) in ("circle", "polygon", "path") and min(numbers_of(element)[1::2]) < floor
    ]


def test_each_state_has_its_own_mark() -> None:
    drawn = trend(timeline_of("phq9-years"), WIDE, "x", language())

    assert marks(drawn).count("path") == 1
    assert marks(drawn).count("polygon") == 2
    assert ">14, item 9: 1<" in drawn and ">7 of 9<" in drawn


def test_item_9_above_0_is_not_lost_on_a_form_without_a_total() -> None:
    drawn = trend(
        phq9_timeline(record([form(ago(3), [1] * 7 + [None, 2]), form(ago(90), [1] * 9)])), WIDE, "x", language()
    )

    assert ">8 of 9, item 9: 2<" in drawn


def test_results_more_than_90_days_apart_are_joined_by_dashes_and_nothing_follows_the_last() -> None:
    def lines(*days: int) -> list[bool]:
        drawn = trend(phq9_timeline(record([form(ago(n), [], total=9) for n in days])), WIDE, "x", language())
        root = ET.fromstring(drawn)  # noqa: S314  # our own text
        return [e.get("stroke-dasharray") is not None for e in root.find(f"{SVG}g")]

    assert lines(100, 10) == [False]
    assert lines(101, 10) == [True]


def test_the_line_passes_over_a_form_without_a_total() -> None:
    from explanations.pictures.trend_layout import segments

    points = phq9_timeline(
        record([form(ago(90), [], total=9), form(ago(60), [1] * 3), form(ago(30), [], total=12)])
    ).points

    assert [(one.total, two.total, solid) for one, two, solid in segments(points)] == [(9, 12, True)]


def test_names_of_the_chart_are_escaped() -> None:
    hostile = '</text><script>alert("x")</script>&\x00\ud800\u202e'
    chart = record([form(ago(3), [], total=5), form(ago(9), [], total=4)], [sertraline(ago(2), hostile, "")])

    drawn = trend(phq9_timeline(chart), WIDE, "x", language())

    assert "<script" not in drawn
    assert "script" in "".join(check(drawn).itertext()).lower()


def test_two_pictures_on_a_page_share_no_id() -> None:
    drawn = "".join(trend(timeline_of(name), width, name, language()) for name in CHARTS for width in WIDTHS)
    ids = re.findall(r' id="([^"]+)"', drawn)

    assert len(ids) == len(set(ids)) == 2 * len(WIDTHS) * len(CHARTS)


def test_a_picture_is_small() -> None:
    assert len(trend(timeline_of("phq9-years"), WIDE, "x", language())) < 9000
