"""The 14 demo patients: who they are, what their charts hold, and which cards the demo expects.

Synthetic people; none is drawn from a real chart. Every date is relative to `as_of`. Charts of
patients for whom no model prompt is expected are plain on purpose: few visits, never smoked,
values in the usual range. `expected` restates the table of the demo and the rules it names; it is
asserted by `mhcds demo`, never read by the service.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from cds_service.demo_ehr import codes
from cds_service.demo_ehr.codes import Json
from cds_service.demo_ehr.patients import forms
from cds_service.demo_ehr.patients.chart_builder import CLINICIAN, ChartBuilder

USER = CLINICIAN
OPENS_WITH = "marguerite-okafor"
"""The patient who is open at first: a course to look at, and a PHQ-9 to repeat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedCard:
    """A card that the demo must show: its topic code and its indicator (critical, warning, info)."""

    topic: str
    indicator: str

    def __str__(self) -> str:
        return f"{self.topic} ({self.indicator})"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPatient:
    """One patient of the clinic list.

    `id` is the Patient's id, `time` that of the appointment (24-hour clock). `expected` lists every card, in the
    service's order; none means no card. `left_out` names prefetch keys that the demo EHR does not send for this
    patient, so that the service reads them itself. `chart` is every resource, the Patient first.
    """

    id: str
    name: str
    age: int
    time: str
    occupation: str
    reason: str
    story: str
    expected: tuple[ExpectedCard, ...]
    left_out: tuple[str, ...]
    chart: tuple[Json, ...]


def _card(topic: str, indicator: str) -> ExpectedCard:
    return ExpectedCard(topic=topic, indicator=indicator)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Person:
    """The line of the clinic list, and the function that writes the chart."""

    given: str
    family: str
    gender: str
    age: int
    time: str
    occupation: str
    reason: str
    story: str
    expected: tuple[ExpectedCard, ...]
    write: Callable[[ChartBuilder], None]
    left_out: tuple[str, ...] = ()


def demo_patients(as_of: datetime | None = None) -> tuple[DemoPatient, ...]:
    """The 14 patients as they stand at `as_of` (default now, UTC). Raises ValueError for a time without zone."""
    moment = as_of or datetime.now(UTC)
    return tuple(_patient(person, moment, place) for place, person in enumerate(PEOPLE))


def _patient(person: _Person, as_of: datetime, place: int) -> DemoPatient:
    prefix = _plain(person.given)
    patient_id = f"{prefix}-{_plain(person.family)}"
    chart = ChartBuilder(patient_id, prefix, as_of)
    chart.patient(person.given, person.family, person.gender, person.age, 23 + 19 * place)
    person.write(chart)
    return DemoPatient(
        id=patient_id,
        name=f"{person.given} {person.family}",
        age=person.age,
        time=person.time,
        occupation=person.occupation,
        reason=person.reason,
        story=person.story,
        expected=person.expected,
        left_out=person.left_out,
        chart=tuple(chart.resources),
    )


def _plain(name: str) -> str:
    """A name as part of an id: lower case, without accents."""
    return name.lower().replace(" ", "-").translate(str.maketrans("áóé", "aoe"))


def _healthy(
    chart: ChartBuilder, *, height_cm: float, weight_kg: float, pulse: int, blood_pressure: tuple[int, int],
    days_ago: int, us_units: bool = False,
) -> None:  # fmt: skip
    """Vitals, never smoked and little alcohol, recorded at one check-up."""
    chart.visit(days_ago, "Annual check-up")
    chart.vitals(
        days_ago,
        height_cm=height_cm,
        weight_kg=weight_kg,
        blood_pressure=blood_pressure,
        pulse=pulse,
        us_units=us_units,
    )
    chart.smoking(days_ago, codes.NEVER_SMOKED)
    chart.alcohol(days_ago, codes.MONTHLY_OR_LESS)


def _ingrid(chart: ChartBuilder) -> None:
    _healthy(chart, height_cm=171, weight_kg=66, pulse=64, blood_pressure=(118, 74), days_ago=190)
    chart.visit(6, "Knee pain")
    members = forms.phq9_items(chart, 6, (1, 1, 2, 1, 0, 1, 1, 0, 1))
    forms.phq9_total(chart, 6, 8, members)


def _tomas(chart: ChartBuilder) -> None:
    _healthy(chart, height_cm=183, weight_kg=79, pulse=68, blood_pressure=(122, 76), days_ago=120)
    chart.condition("asthma", codes.ASTHMA, 2900)
    chart.medication("inhaler", {"text": "Budesonide 200 micrograms inhaler"}, 120, "One puff twice a day")
    answers = {"q1": True, "q2": True, "q3": False, "q4": True, "q5": False, "q6": False}
    forms.cssrs_response(chart, 0, answers)


def _bronwen(chart: ChartBuilder) -> None:
    _healthy(chart, height_cm=166, weight_kg=61, pulse=70, blood_pressure=(116, 72), days_ago=150)
    chart.condition("asthma", codes.ASTHMA, 3100)
    chart.medication("inhaler", {"text": "Albuterol 90 micrograms inhaler"}, 150, "Two puffs when needed")
    kind = {"text": "Emergency visit"}
    emergency = chart.visit(41, "Emergency department", kind=kind, place="EMER", name="emergency")
    chart.condition("self-harm", codes.SELF_HARM, 41, encounter=emergency)


def _devin(chart: ChartBuilder) -> None:
    _healthy(chart, height_cm=175, weight_kg=72, pulse=62, blood_pressure=(114, 70), days_ago=80)
    chart.visit(20, "Occupational health", name="occupational-health")
    answers = {"q1": True, "q2": True, "q3": True, "q4": True, "q5": False, "q6": False}
    forms.cssrs_observations(chart, 20, answers, level=codes.HIGH)
    chart.visit(5, "Reassessment", name="reassessment")
    forms.cssrs_observations(chart, 5, {"q1": False, "q2": False, "q6": False})
    chart.safety_plan(5)


def _hyacinth(chart: ChartBuilder) -> None:
    _healthy(chart, height_cm=164, weight_kg=67, pulse=72, blood_pressure=(124, 78), days_ago=56)
    forms.phq9_panel(chart, 56, (3, 2, 3, 3, 2, 2, 1, 1, 0))


def _stellan(chart: ChartBuilder) -> None:
    for days_ago in (11, 46, 81, 120, 158, 199, 241, 290, 331):
        chart.visit(days_ago, "Blood pressure" if days_ago % 2 else "Poor sleep")
    chart.visit(172, "Chest infection", kind={"text": "Hospital stay"}, place="IMP", name="hospital-stay")
    chart.vitals(11, height_cm=178, weight_kg=78, blood_pressure=(148, 86), pulse=86)
    chart.smoking(112, codes.DAILY_SMOKER)
    chart.alcohol(112, codes.TWO_TO_FOUR_A_MONTH)
    chart.condition("insomnia", codes.INSOMNIA, 285)
    chart.condition("hypertension", codes.HYPERTENSION, 2600)
    chart.condition("copd", codes.COPD, 1200)
    chart.condition("arthritis", codes.ARTHRITIS, 2100)
    chart.condition("anemia", codes.ANEMIA, 241)
    chart.condition("kidney", codes.KIDNEY_DISEASE, 700)
    chart.medication("lisinopril", {"text": "Lisinopril 20 mg tablet"}, 200, "One tablet in the morning")
    chart.medication("inhaler", {"text": "Albuterol 90 micrograms inhaler"}, 158, "Two puffs when needed")
    chart.medication("omeprazole", {"text": "Omeprazole 20 mg capsule"}, 199, "One capsule in the morning")
    chart.medication("zolpidem", {"text": "Zolpidem 5 mg tablet"}, 46, "One tablet at bedtime")
    tramadol = codes.concept(codes.RXNORM, "10689", "tramadol")
    chart.medication("tramadol", tramadol, 120, "50 mg when needed")


def _mei_lin(chart: ChartBuilder) -> None:
    _healthy(chart, height_cm=162, weight_kg=59, pulse=70, blood_pressure=(112, 70), days_ago=230)
    chart.condition("pregnancy", codes.PREGNANCY, 63 + 270, ended_days_ago=63)
    chart.visit(21, "Postpartum visit", name="postpartum")
    forms.epds(chart, 1, (1, 1, 1, 1, 1, 0, 1, 1, 1, 1))


def _rafael(chart: ChartBuilder) -> None:
    chart.vitals(0, height_cm=174, weight_kg=63, blood_pressure=(112, 68), pulse=58)
    chart.visit(360, "Sports physical")
    forms.asq(chart, 0, (False, True, False, False), acuity=False)


def _eleni(chart: ChartBuilder) -> None:
    chart.visit(340, "Annual check-up")
    for days_ago in (95, 262):
        chart.visit(days_ago, "Wrist pain")
    chart.visit(208, "Gallbladder surgery", kind={"text": "Hospital stay"}, place="IMP", name="hospital-stay")
    chart.vitals(95, height_cm=163, weight_kg=88, blood_pressure=(128, 80), pulse=76)
    chart.smoking(340, codes.FORMER_SMOKER)
    chart.alcohol(340, codes.MONTHLY_OR_LESS)
    chart.sleep(61, 4)
    chart.condition("bipolar", codes.BIPOLAR, 5200)
    chart.condition("arthritis", codes.ARTHRITIS, 1300)
    chart.condition("thyroid", codes.THYROID, 3000)
    chart.condition("anemia", codes.ANEMIA, 200)
    chart.medication("lithium", codes.LITHIUM, 400, "One tablet twice a day")
    chart.medication("levothyroxine", {"text": "Levothyroxine 75 micrograms tablet"}, 340, "One tablet in the morning")
    chart.medication("omeprazole", {"text": "Omeprazole 20 mg capsule"}, 208, "One capsule in the morning")
    chart.medication("zolpidem", {"text": "Zolpidem 5 mg tablet"}, 61, "One tablet at bedtime")
    chart.visit(61, "Psychiatry follow-up", kind=codes.PSYCHIATRY, name="psychiatry")
    chart.visit(150, "Psychiatry follow-up", kind=codes.PSYCHIATRY, name="psychiatry")
    forms.phq9_response(chart, 150, (1, 1, 1, 1, 0, 1, 1, 0, 0), slash=False)


def _kwabena(chart: ChartBuilder) -> None:
    _healthy(chart, height_cm=180, weight_kg=84, pulse=70, blood_pressure=(126, 80), days_ago=100, us_units=True)
    chart.visit(4, "Back pain")
    forms.phq9_total(chart, 4, 26)


def _saoirse(chart: ChartBuilder) -> None:
    _healthy(chart, height_cm=168, weight_kg=60, pulse=66, blood_pressure=(110, 70), days_ago=210)
    chart.visit(10, "Headache")
    forms.phq9_components(chart, 10, (3, 3, 3, 2, 2, 2, 2, 2, 0), recorded_total=14)


def _josef(chart: ChartBuilder) -> None:
    _healthy(chart, height_cm=176, weight_kg=77, pulse=66, blood_pressure=(126, 78), days_ago=140)
    chart.condition("hyperlipidemia", codes.HYPERLIPIDEMIA, 1500)
    chart.medication("atorvastatin", {"text": "Atorvastatin 20 mg tablet"}, 140, "One tablet in the evening")
    forms.phq9_response(chart, 3, (0, 0, 2, 2, 1, 0, 1, 1, None), slash=True)


def _pilar(chart: ChartBuilder) -> None:
    _healthy(chart, height_cm=165, weight_kg=63, pulse=66, blood_pressure=(116, 74), days_ago=30)
    members = forms.phq9_items(chart, 30, (0, 0, 1, 1, 0, 0, 0, 0, 0), coded=False)
    forms.phq9_total(chart, 30, 2, members)


def _marguerite(chart: ChartBuilder) -> None:
    _healthy(chart, height_cm=168, weight_kg=71, pulse=72, blood_pressure=(128, 80), days_ago=182)
    chart.condition("depression", codes.DEPRESSION, 2300)
    for days_ago in (350, 266, 182, 91):
        chart.visit(days_ago, "Depression follow-up", diagnosis=codes.DEPRESSION, name="depression-visit")
    chart.visit(24, "Shingles vaccination")
    for days_ago, scores in (
        (350, (3, 3, 2, 3, 2, 2, 2, 1, 0)),
        (266, (2, 2, 2, 2, 1, 2, 1, 1, 0)),
        (182, (1, 1, 2, 1, 1, 1, 1, 0, 0)),
        (91, (1, 1, 1, 1, 0, 1, 0, 0, 0)),
        (24, (2, 3, 3, 2, 1, 2, 2, 1, 0)),
    ):
        members = forms.phq9_items(chart, days_ago, scores)
        forms.phq9_total(chart, days_ago, sum(scores), members)
    for days_ago, milligrams, ended_days_ago in ((350, 50, 266), (266, 100, 70), (70, 50, None)):
        drug = codes.SERTRALINE | {"text": f"Sertraline {milligrams} mg tablet"}
        chart.medication("sertraline", drug, days_ago, "One tablet in the morning", ended_days_ago=ended_days_ago)


PEOPLE: tuple[_Person, ...] = (
    _Person(
        given="Ingrid",
        family="Solheim-Park",
        gender="female",
        age=44,
        time="08:30",
        occupation="bridge engineer",
        reason="knee pain",
        story="PHQ-9 of 6 days ago: total 8, and item 9 answered several days.",
        expected=(_card("positive-safety-answer", "warning"),),
        write=_ingrid,
    ),
    _Person(
        given="Tomás",
        family="Wójcik",
        gender="male",
        age=38,
        time="09:30",
        occupation="landscape architect",
        reason="repeat prescription",
        story="C-SSRS completed today: question 4 answered yes.",
        expected=(_card("acute-safety", "critical"),),
        write=_tomas,
    ),
    _Person(
        given="Bronwen",
        family="Achterberg",
        gender="female",
        age=36,
        time="10:00",
        occupation="court interpreter",
        reason="asthma review",
        story="Self-harm coded 41 days ago in an emergency department; nothing on file since.",
        expected=(_card("recent-safety", "warning"),),
        write=_bronwen,
        left_out=("encounters",),
    ),
    _Person(
        given="Devin",
        family="Castellanos",
        gender="other",
        age=29,
        time="10:30",
        occupation="night-shift nurse",
        reason="vaccination record",
        story="C-SSRS high 20 days ago; 5 days ago complete and negative, and a safety plan. All are shown.",
        expected=(_card("recent-safety", "info"),),
        write=_devin,
    ),
    _Person(
        given="Hyacinth",
        family="Oyelaran",
        gender="female",
        age=52,
        time="11:00",
        occupation="school head",
        reason="shoulder stiffness",
        story="PHQ-9 of 17 recorded 56 days ago, item 9 not at all; no follow-up on file.",
        expected=(_card("depression-follow-up", "info"),),
        write=_hyacinth,
    ),
    _Person(
        given="Stellan",
        family="Brannigan",
        gender="male",
        age=67,
        time="11:30",
        occupation="runs a bicycle workshop",
        reason="blood pressure",
        story="No PHQ-9 ever; insomnia, nine visits in 12 months, smokes daily. A model prompts to ask.",
        expected=(_card("screening-prompt", "info"),),
        write=_stellan,
        left_out=("encounters",),
    ),
    _Person(
        given="Mei-Lin",
        family="Abernathy",
        gender="female",
        age=41,
        time="12:00",
        occupation="surgeon",
        reason="third child 9 weeks ago",
        story="EPDS of yesterday: total 9, and item 10 above never.",
        expected=(_card("positive-safety-answer", "warning"),),
        write=_mei_lin,
    ),
    _Person(
        given="Rafael",
        family="Nunes-Whitaker",
        gender="male",
        age=15,
        time="13:00",
        occupation="goalkeeper",
        reason="sports physical",
        story="ASQ of today positive, acuity answered no. Under 18, so no model.",
        expected=(_card("positive-safety-answer", "warning"),),
        write=_rafael,
        left_out=("questionnaires",),
    ),
    _Person(
        given="Eleni",
        family="Marchetti",
        gender="female",
        age=58,
        time="13:30",
        occupation="cellist",
        reason="wrist pain",
        story="Bipolar disorder, lithium, psychiatry 2 months ago; last PHQ-9 150 days ago.",
        expected=(_card("depression-follow-up", "info"),),
        write=_eleni,
    ),
    _Person(
        given="Kwabena",
        family="Lindqvist",
        gender="male",
        age=40,
        time="14:00",
        occupation="truck dispatcher",
        reason="back pain",
        story="PHQ-9 total of 26, 4 days ago, without its items: it means item 9 was above 0.",
        # The safety card is R6's first sentence, the follow-up its second: a total of 20 or more, 0-90 days old.
        expected=(_card("positive-safety-answer", "warning"), _card("depression-follow-up", "warning")),
        write=_kwabena,
    ),
    _Person(
        given="Saoirse",
        family="Takahashi",
        gender="female",
        age=24,
        time="14:30",
        occupation="pastry chef",
        reason="headache",
        story="PHQ-9 of 10 days ago: total recorded as 14, its items add up to 19.",
        expected=(_card("data-anomaly", "info"),),
        write=_saoirse,
    ),
    _Person(
        given="Josef",
        family="Mbeki-Larsen",
        gender="male",
        age=63,
        time="15:00",
        occupation="bus driver",
        reason="licence medical",
        story="PHQ-9 of 3 days ago with item 9 left blank.",
        expected=(_card("could-not-assess", "info"),),
        write=_josef,
    ),
    _Person(
        given="Pilar",
        family="Ostrowski",
        gender="female",
        age=47,
        time="16:00",
        occupation="tax adviser",
        reason="flu shot",
        story="Known data, nothing due.",
        expected=(),
        write=_pilar,
    ),
    _Person(
        given="Marguerite",
        family="Okafor",
        gender="female",
        age=61,
        time="09:00",
        occupation="librarian",
        reason="poor sleep",
        story="Five PHQ-9s in a year: from 18 down to 5 on sertraline, then 16 after the dose was lowered.",
        expected=(_card("depression-follow-up", "info"),),
        write=_marguerite,
    ),
)
