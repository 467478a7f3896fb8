"""A chart to the values of the MHRN predictors as of a visit, and the score of that visit or why there is none.

The visit is today's of the chart. Windows are those of the published programs: 90 days, and calendar months, before the
day of the visit. Race and ethnicity, insurance, the census tract and the Charlson score are not read, so they are
always unknown (`mhrn_families.csv` says why).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from fhir_adapters.facts import Administration, AnswerState, ChartPart, Consent, PatientRecord, Visit, full_day
from fhir_adapters.instruments import NINE_ITEM_PHQ
from fhir_adapters.reading.care_history import CareHistory, PastMedicine
from models.inputs.feature_schema import ANTIDEPRESSANTS
from models.published.mhrn import (
    LEAST_YEARS,
    MOST_YEARS,
    PredictorValue,
    PublishedScore,
    Refusal,
    RefusalReason,
    VisitSetting,
    factors,
    score,
)

OUTPATIENT = ("ambulatory", "unknown")
DIAGNOSES = ("dep", "anx", "bip", "sch", "oth", "dem", "add", "asd", "per", "alc", "dru", "pts", "eat", "tbi")
# A visit to general care counts with one of these (srpm-denom).
MENTAL_HEALTH = {"dep", "anx", "bip", "sch", "asd", "add", "per", "alc", "dru"}
INJURIES = ("any_sui_att", "lvi_sui_att", "any_inj_poi")
AGE_BANDS = {"ac1": (0, 17), "ac3": (30, 44), "ac4": (45, 64), "ac5": (65, MOST_YEARS)}
# Drug classes of the feature map, and the listed ingredients that the published class leaves out (srpm-analytic).
MEDICINES = {
    "antidep": (ANTIDEPRESSANTS, {"trazodone", "amitriptyline", "doxepin"}),
    "benzo": (("rx_benzo",), set()),
    "hypno": (("rx_hypnotic",), set()),
    "sga": (
        ("rx_antipsychotic",),
        {
            "chlorpromazine", "fluphenazine", "haloperidol", "loxapine", "perphenazine", "thioridazine", "thiothixene",
            "trifluoperazine",
        },
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PastEvent:
    """Something that happened on `day`, None where no full date is known. `sure`: surely of the kind looked for."""

    day: date | None
    sure: bool = True


def published_score(
    chart: PatientRecord, history: CareHistory, stated: VisitSetting | None = None
) -> PublishedScore | Refusal:
    """The score of today's visit. `stated`: its kind, where the caller knows it; else the chart must say it."""
    reason = _not_for(chart)
    setting = reason or stated or _setting(chart, history)
    if isinstance(setting, RefusalReason):
        return Refusal(reason=setting)
    return score(setting, values(chart, history))


def _not_for(chart: PatientRecord) -> RefusalReason | None:
    if chart.deceased:
        return RefusalReason.DECEASED
    if chart.consent is not Consent.ALLOWED:
        return RefusalReason.CONSENT
    if chart.age_years is None:
        return RefusalReason.AGE_UNKNOWN
    if chart.age_years < LEAST_YEARS:
        return RefusalReason.UNDER_13
    visits = _visits_today(chart)
    if visits and not any(visit.kind in OUTPATIENT for visit in visits):
        return RefusalReason.OTHER_VISIT
    return None


def _setting(chart: PatientRecord, history: CareHistory) -> VisitSetting | RefusalReason:
    visits = [visit for visit in _visits_today(chart) if visit.kind in OUTPATIENT]
    if not visits:
        return RefusalReason.NO_VISIT
    if any(visit.mental_health for visit in visits):
        return VisitSetting.MENTAL_HEALTH
    of_today = {visit.reference for visit in visits}
    coded = (d for d in history.diagnoses if d.encounter in of_today or d.day == chart.today)
    return (
        VisitSetting.PRIMARY_CARE if any(d.classes & MENTAL_HEALTH for d in coded) else RefusalReason.NOT_MENTAL_HEALTH
    )


def _visits_today(chart: PatientRecord) -> list[Visit]:
    return [visit for visit in chart.visits if full_day(visit.when) == chart.today]


def values(chart: PatientRecord, history: CareHistory) -> dict[str, PredictorValue | None]:
    """Every factor of the published predictors; None for those that this chart cannot give."""
    found: dict[str, PredictorValue | None] = {}
    found |= _person(chart) | _diagnoses(chart, history) | _medicines(chart, history) | _visits(chart, history)
    found |= _item_9(chart, history)
    return {name: found.get(name) for held in factors().values() for name in held}


def _person(chart: PatientRecord) -> dict[str, PredictorValue | None]:
    female = chart.fact("female")
    found: dict[str, PredictorValue | None] = {"female": _number(bool(female.value)) if female else None}
    if chart.age_years is not None:
        age = min(chart.age_years, MOST_YEARS)
        found |= {"age": _number(age)} | {name: _number(low <= age <= high) for name, (low, high) in AGE_BANDS.items()}
    return found


def _number(number: float) -> PredictorValue:
    return PredictorValue(number=float(number))


def _diagnoses(chart: PatientRecord, history: CareHistory) -> dict[str, PredictorValue | None]:
    today = chart.today
    whole = ChartPart.CONDITIONS in history.whole
    five, one = years_before(today, 5), years_before(today, 1)
    found: dict[str, PredictorValue | None] = {}
    for name in (*DIAGNOSES, *INJURIES):
        events = [PastEvent(day=d.day, sure=d.coded) for d in history.diagnoses if name in d.classes or not d.coded]
        if name in INJURIES:
            found |= _three_windows(name, events, today, whole=whole)
            continue
        found[f"{name}_dx_pre5y"] = flag(events, lambda day: five < day < one, whole=whole)
        found[f"{name}_dx_pre5y_noi_cumulative"] = flag(events, lambda day: five < day < today, whole=whole)
        found[f"{name}_dx_pre5y_cumulative"] = flag(events, lambda day: five < day <= today, whole=whole)
    return found


def _medicines(chart: PatientRecord, history: CareHistory) -> dict[str, PredictorValue | None]:
    found: dict[str, PredictorValue | None] = {}
    for name, (classes, left_out) in MEDICINES.items():
        events = [
            event
            for medicine in history.medicines
            if not medicine.named or medicine.classes.intersection(classes)
            for sure in [_is_meant(medicine, left_out)]
            if sure is not False
            for event in _fills(medicine, chart.today, sure=bool(sure))
        ]
        found |= _three_windows(f"{name}_rx", events, chart.today, whole=ChartPart.MEDICATIONS in history.whole)
    return found


def _is_meant(medicine: PastMedicine, left_out: set[str]) -> bool | None:
    """Whether it is none of the ingredients left out; None where it has no listed name, as with an ATC code alone."""
    if not medicine.named or (left_out and not medicine.ingredients):
        return None
    return not left_out.issuperset(medicine.ingredients) if left_out else True


def _fills(medicine: PastMedicine, today: date, *, sure: bool) -> Iterator[PastEvent]:
    """When it was ordered; and yesterday, for what was ordered before and is taken now."""
    if medicine.current and (medicine.day is None or medicine.day < today):
        yield PastEvent(day=today - timedelta(days=1), sure=sure)
    if medicine.day is not None or not medicine.current:
        yield PastEvent(day=medicine.day, sure=sure)


def _visits(chart: PatientRecord, history: CareHistory) -> dict[str, PredictorValue | None]:
    classes: dict[str, set[str]] = {}
    for diagnosis in history.diagnoses:
        if diagnosis.encounter and diagnosis.coded:
            classes.setdefault(diagnosis.encounter, set()).update(diagnosis.classes | {"coded"})
    whole, today = ChartPart.ENCOUNTERS in history.whole, chart.today
    events: dict[str, list[PastEvent]] = {"inpatient": [], "emergency": [], "ambulatory": []}
    earlier: list[date] = []
    for visit in chart.visits:
        day, of_visit = full_day(visit.when), classes.get(visit.reference, set())
        mental = visit.mental_health or "mental" in of_visit
        if visit.kind == "ambulatory":
            events["ambulatory"] += [PastEvent(day=day)] if visit.mental_health else []
            counts = visit.mental_health or bool(of_visit & MENTAL_HEALTH)
            earlier += [day] if counts and day and day < today else []
        elif visit.kind in events and (mental or "coded" not in of_visit):
            events[visit.kind].append(PastEvent(day=day, sure=mental))
        elif visit.kind == "unknown":
            for held in events.values():
                held.append(PastEvent(day=day, sure=False))
    previous = (today - max(earlier)).days if earlier else 0
    return {
        "days_since_prev": PredictorValue(number=previous, assumed=not earlier) if whole else None,
        **_three_windows("mh_ip", events["inpatient"], today, whole=whole),
        **_three_windows("mh_ed", events["emergency"], today, whole=whole),
        **_three_windows("mh_op", events["ambulatory"], today, whole=whole),
    }


def _item_9(chart: PatientRecord, history: CareHistory) -> dict[str, PredictorValue | None]:
    """The answers of today, latest form first, and those of days before; each score counts once a day."""
    forms = [form for form in chart.of(*NINE_ITEM_PHQ) if not form.provisional]
    unclear = any(full_day(form.when) is None or _state(form) is AnswerState.UNREADABLE for form in forms)
    whole = {ChartPart.SCREENING, ChartPart.QUESTIONNAIRES} <= history.whole and not unclear
    of_today = [form for form in forms if full_day(form.when) == chart.today]
    latest = next((s for form in of_today if (s := form.score("9")) is not None), None)
    found: dict[str, PredictorValue | None] = {}
    for k in range(4):
        absent = PredictorValue(number=0, assumed=True) if whole else None
        found[f"q9_{k}"] = absent if latest is None else _number(latest == k)
    points = next((p for form in of_today if (p := _points(form))), ())
    nothing = PredictorValue(number=0, assumed=True) if whole else None
    found["phq8_index_score_calc"] = _number(8 * sum(points) / len(points)) if points else nothing
    answered = {(day, s) for form in forms if (day := full_day(form.when)) and (s := form.score("9")) is not None}
    for days in (90, 183, 365):
        scores = [s for day, s in answered if 0 < (chart.today - day).days <= days]
        mode = max(set(scores), key=lambda s: (scores.count(s), s), default=None)
        counted = {f"phqnumber{days}": float(len(scores))}
        for k in range(4):
            counted |= {f"phqmax{days}_{k}": max(scores, default=None) == k, f"phqmode{days}_{k}": mode == k}
        for name, number in counted.items():
            found[name] = PredictorValue(number=float(number), assumed=not scores) if whole else None
    return found


def _state(form: Administration) -> AnswerState | None:
    answer = form.answer("9")
    return answer.state if answer else None


def _points(form: Administration) -> tuple[int, ...]:
    return tuple(s for item in range(1, 9) if (s := form.score(str(item))) is not None)


def _three_windows(
    name: str, events: Sequence[PastEvent], today: date, *, whole: bool
) -> dict[str, PredictorValue | None]:
    """In the last 90 days, 12 months and 60 months, each including the shorter, the day itself in none."""
    quarter, one, five = today - timedelta(days=90), years_before(today, 1), years_before(today, 5)
    return {
        f"{name}_pre3m": flag(events, lambda day: quarter <= day < today, whole=whole),
        f"{name}_pre1y_cumulative": flag(events, lambda day: one <= day < today, whole=whole),
        f"{name}_pre5y_cumulative": flag(events, lambda day: five < day < today, whole=whole),
    }


def flag(events: Sequence[PastEvent], inside: Callable[[date], bool], *, whole: bool) -> PredictorValue | None:
    """1 if a sure event lies inside; None if one may, or the list is not whole; else 0, assumed."""
    held = [event for event in events if event.day is not None and inside(event.day)]
    if any(event.sure for event in held):
        return _number(1)
    if held or not whole or any(event.day is None for event in events):
        return None
    return PredictorValue(number=0, assumed=True)


def years_before(day: date, years: int) -> date:
    """The same day so many years before; 28 February for the 29th."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return day.replace(year=day.year - years, day=28)
