"""The published comparator: hand-computed sums, what is known and what is not, and charts to predictor values."""

from __future__ import annotations

import csv
import math
import re
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from builders import AS_OF, ICD, SNOMED, bundle, codeable, given, patient, resource
from sources import ROOT

from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.codesets.terminology import table
from fhir_adapters.facts import ChartPart
from fhir_adapters.reading.care_history import care_history
from fhir_adapters.reading.extraction import patient_record
from fhir_adapters.settings import ReadSettings
from models.published.from_chart import PastEvent, flag, published_score, values, years_before
from models.published.mhrn import (
    PredictorValue,
    PublishedScore,
    Refusal,
    RefusalReason,
    TermBasis,
    VisitSetting,
    coefficients,
    factors,
    rows_of,
    score,
)

MH, PC = VisitSetting.MENTAL_HEALTH, VisitSetting.PRIMARY_CARE


def table_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


ATOMS = {name for held in factors().values() for name in held}
NEVER_READ = {"insurance", "race-ethnicity", "census", "charlson"}


def scored(setting: VisitSetting, **known: float) -> PublishedScore:
    """A score with these values and 0 for every other one."""
    assert known.keys() <= ATOMS
    return score(setting, {name: PredictorValue(number=known.get(name, 0)) for name in ATOMS})


def read(*resources: dict, who: dict | None = None, whole_chart: bool = True):
    settings = ReadSettings()
    gathered = chart_bundle(bundle(who or patient(), *resources), settings=settings, as_of=AS_OF)
    record = patient_record(gathered, settings=settings, as_of=AS_OF)
    return record, care_history(gathered, record, settings=settings, as_of=AS_OF, whole_chart=whole_chart)


def visit(days: int, words: str = "Office visit", kind: str = "AMB", **elements) -> dict:
    day = (AS_OF.date() - timedelta(days=days)).isoformat()
    concept = [{"text": words}]
    return (
        resource("Encounter", status="finished", type=concept, period={"start": day}, **{"class": {"code": kind}})
        | elements
    )


def diagnosed(code: str, days: int, at: dict | None = None, system: str = ICD) -> dict:
    place = {"encounter": {"reference": f"Encounter/{at['id']}"}} if at else {}
    day = (AS_OF.date() - timedelta(days=days)).isoformat()
    return resource("Condition", code=codeable(system, code), recordedDate=day, **place)


def ordered(name: str, days: int, status: str = "completed", **elements) -> dict:
    day = (AS_OF.date() - timedelta(days=days)).isoformat()
    return resource(
        "MedicationRequest", status=status, intent="order", authoredOn=day,
        medicationCodeableConcept={"text": name}, **elements,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "known", "log_odds"),
    [
        # Each sum written out from the published table, intercept first.
        (MH, {}, -5.497382),
        (MH, {"age": 20}, -5.497382 - 0.034902 * 20),
        (MH, {"age": 15, "ac1": 1, "female": 1}, -5.497382 - 0.034902 * 15 + 0.178448 + 0.5063412),
        (
            MH,
            {"age": 35, "ac3": 1, "dep_dx_pre5y_cumulative": 1, "q9_3": 1, "phq8_index_score_calc": 20},
            -5.497382 - 0.034902 * 35 - 0.0358015 + 0.9937001 - 0.0104171 * 35 + 0.0128 * 35 + 0.0288333 * 20,
        ),
        (
            PC,
            {"age": 50, "ac4": 1, "female": 1, "alc_dx_pre5y_cumulative": 1, "any_sui_att_pre5y_cumulative": 1},
            -6.592665 - 0.0177708 * 50 - 0.169057 - 0.01017 - 0.2056298 + 0.5796565 + 1.668482 + 0.0223427 * 50 - 0.2630062,
        ),
        (
            PC,
            {"charlson_score": 2, "age": 70, "q9_2": 1, "phq8_index_score_calc": 10, "days_since_prev": 100},
            -6.592665 - 0.0177708 * 70 - 0.0997792 * 2 + 0.0018103 * 140 + 0.0004031 * 700 + 0.0296125 * 10
            - 0.0316618 * 2 - 0.0003243 * 100,
        ),
    ],
)  # fmt: skip
def test_a_sum_is_that_of_the_published_table_by_hand(setting: VisitSetting, known: dict, log_odds: float) -> None:
    result = scored(setting, **known)

    assert result.log_odds == pytest.approx(log_odds, abs=1e-12)
    assert result.probability == pytest.approx(math.exp(log_odds) / (1 + math.exp(log_odds)))
    assert result.share_of_terms == result.share_of_weight == 1


@pytest.mark.parametrize("setting", VisitSetting)
def test_an_answer_of_3_to_item_9_beside_many_symptoms_raises_the_score(setting: VisitSetting) -> None:
    person = {"age": 40, "dep_dx_pre5y_cumulative": 1, "phq8_index_score_calc": 18}
    answers = [scored(setting, **person, **{f"q9_{k}": 1}).log_odds for k in range(4)]

    assert answers == sorted(answers)
    assert answers[3] > scored(setting, **person).log_odds


@pytest.mark.parametrize("setting", VisitSetting)
@pytest.mark.parametrize(
    "more",
    ["mh_ip_pre3m", "mh_ed_pre3m", "any_sui_att_pre3m", "benzo_rx_pre3m", "per_dx_pre5y_cumulative", "phqmax365_3"],
)
def test_what_the_published_table_gives_a_positive_weight_raises_the_score(setting: VisitSetting, more: str) -> None:
    assert scored(setting, age=40, **{more: 1}).log_odds > scored(setting, age=40).log_odds


def test_an_unknown_value_is_left_out_and_named_and_a_zero_beside_it_is_still_a_zero() -> None:
    held: dict[str, PredictorValue | None] = {name: PredictorValue(number=0) for name in ATOMS}
    held |= {"charlson_score": None, "q9_3": PredictorValue(number=1), "age": PredictorValue(number=40)}
    held |= {"any_sui_att_pre5y_cumulative": PredictorValue(number=0, assumed=True)}

    result = score(MH, held)

    by_name = {term.predictor: term for term in result.terms}
    assert result.named(TermBasis.UNKNOWN) == ("q9_3_c",)
    assert by_name["q9_2_c"].basis is TermBasis.KNOWN  # the answer was not 2, whatever the score
    assert by_name["any_sui_att_pre5y_cumulative_c"].basis is TermBasis.ASSUMED_ABSENT
    assert result.share_of_terms == pytest.approx(93 / 94)
    weights = [abs(term.coefficient) for term in result.terms]
    assert result.share_of_weight == pytest.approx(1 - abs(-0.2917472) / sum(weights))
    assert result.log_odds == pytest.approx(-5.497382 + 40 * (-0.034902 + 0.0128))


def test_every_predictor_has_factors_a_family_and_a_meaning() -> None:
    families = {row["family"]: row for row in rows_of("families")}
    described = {row["predictor"]: row for row in rows_of("predictors")}

    for setting in VisitSetting:
        assert coefficients(setting).keys() - {"_cons"} <= described.keys()
    assert {row["family"] for row in described.values()} == families.keys()
    assert described.keys() >= ATOMS
    for row in families.values():
        assert all(row[column] for column in ("meaning", "chart", "given", "meaning_verified", "reading_verified"))
        assert bool(row["lacking"]) == (row["given"] != "yes" and row["family"] != "product"), row["family"]


def test_the_page_has_a_row_for_every_family_and_operating_point() -> None:
    page = (ROOT / "docs" / "published-comparator.md").read_text(encoding="utf-8")

    for row in rows_of("families"):
        assert f"| {' | '.join(row.values())} |" in page, row["family"]
    for row in rows_of("operating_points"):
        assert (f"| {row['cutoff']} |" in page) == (float(row["flag_rate"]) <= 0.1), row


def test_the_coefficients_and_operating_points_are_those_of_the_shared_copies(shared) -> None:
    folder = shared / "data" / "srm-published"
    theirs = table_of(folder / "mhrn_srpm_2018_coefficients.csv")
    attempts = [row for row in theirs if row["outcome"] == "suicide_attempt_90d"]
    points = table_of(folder / "mhrn_srpm_2018_validation_operating_points.csv")

    assert [(r["predictor"], r["log_odds"]) for r in attempts] == [
        (r["predictor"], r["log_odds"]) for r in rows_of("coefficients")
    ]
    assert [(r["sensitivity"], r["ppv"], r["cutoff"]) for r in points if "Attempt" in r["model"]] == [
        (r["sensitivity"], r["ppv"], r["cutoff"]) for r in rows_of("operating_points")
    ]


@pytest.mark.parametrize("setting", VisitSetting)
def test_the_published_cut_offs_are_probabilities_as_ours_are(setting: VisitSetting) -> None:
    """Between two cut-offs the observed share with the outcome lies between them: the scale is that of the outcome."""
    rows = [row for row in rows_of("operating_points") if row["setting"] == setting]
    base = int(rows[0]["events"]) / int(rows[0]["visits"])

    for high, low in pairwise(rows):
        flagged = float(low["flag_rate"]) - float(high["flag_rate"])
        observed = base * (float(low["sensitivity"]) - float(high["sensitivity"])) / flagged
        assert float(low["cutoff"]) < observed < float(high["cutoff"])
    assert float(rows[0]["cutoff"]) < float(rows[0]["ppv"])
    # The intercept alone, nobody's chart, lies below the base rate; a chart full of grave events above the first 1 %.
    assert scored(setting, age=40).probability < base
    grave = dict.fromkeys(("any_sui_att_pre3m", "any_sui_att_pre1y_cumulative", "any_sui_att_pre5y_cumulative"), 1)
    grave |= {"mh_ip_pre3m": 1, "mh_ip_pre1y_cumulative": 1, "mh_ip_pre5y_cumulative": 1, "mh_ed_pre3m": 1, "q9_3": 1}
    grave |= {"dep_dx_pre5y_cumulative": 1, "phq8_index_score_calc": 24, "phqmax365_3": 1, "per_dx_pre5y_cumulative": 1}
    assert scored(setting, age=25, **grave).probability > float(rows[0]["cutoff"])


FLAGS = {"dep": "DEP", "anx": "ANX", "bip": "BIP", "sch": "SCH", "oth": "OPD", "dem": "DEM", "add": "ADD", "per": "PER",
         "alc": "ALC", "dru": "DRU", "pts": "PTS", "eat": "EAT"}  # fmt: skip


def test_the_patterns_of_the_classes_reproduce_every_flag_of_the_list(shared) -> None:
    rows = table_of(shared / "data" / "srm-published" / "icd10cm_mental_health_and_self_harm_flags.csv")
    patterns = {row["class"]: row["pattern"] for row in table("mhrn_diagnoses")}

    for name, flag_name in FLAGS.items():
        wrong = [r["CODE"] for r in rows if bool(re.match(patterns[name], r["CODE"])) != (r[flag_name] == "1")]
        assert wrong == [], name
    harm = [
        r["CODE"] for r in rows if bool(re.match(patterns["any_sui_att"], r["CODE"])) != ("1" in (r["DSH"], r["PSH"]))
    ]
    assert harm == []


@pytest.mark.parametrize(
    ("code", "classes"),
    [
        ("S06.0X0A", {"tbi", "any_inj_poi"}),
        ("T39.012A", {"any_sui_att", "any_inj_poi"}),
        ("T39.015A", set()),  # an adverse effect
        ("X78.9XXA", {"any_sui_att", "lvi_sui_att"}),
        ("F84.0", {"asd", "mental"}),
        ("F43.10", {"anx", "pts", "mental"}),
        ("J45.909", set()),
    ],
)
def test_a_code_is_in_the_classes_of_the_list(code: str, classes: set[str]) -> None:
    _, history = read(diagnosed(code, 10))

    assert history.diagnoses[0].classes == classes


def test_the_made_patients_of_a_chart_give_the_sum_by_hand() -> None:
    """A woman of 40 in mental-health care: depression coded, an overdose 6 months ago, PHQ-9 today, sertraline."""
    clinic, ward = visit(0, "Psychiatry follow-up"), visit(200, kind="IMP")
    chart = [
        clinic, ward, visit(30, "Mental health visit"),
        diagnosed("F33.1", 400), diagnosed("F33.1", 0, clinic), diagnosed("T39.012A", 200, ward), diagnosed("F33.2", 200, ward),
        ordered("sertraline 50 MG Oral Tablet", 120, "active"),
        *given("PHQ-9, today: items 1-8 = 2, item 9 = 1"), *given("PHQ-9, 40 days ago: items 1-8 = 3, item 9 = 3"),
    ]  # fmt: skip

    result = published_score(*read(*chart))

    assert isinstance(result, PublishedScore)
    assert result.setting is MH
    by_hand = (
        -5.497382 - 0.034902 * 40 - 0.0358015 - 0.0002604 * 30  # age, 30-44, days since the last visit
        - 0.1706591 + 0.9937001 + 0.0124627 - 0.0104171 * 40  # depression
        + 0.1840148 + 0.1500438 + 0.1732092  # antidepressant: taken now, so in each window
        + 0.3349677 + 0.0636899  # a stay within 12 and 60 months, not within 90 days
        - 0.2080869 - 0.1074946  # mental-health visits
        + 0.2702175 + 0.138099 + 0.0439858 + 0.0260373 * 40  # overdose: self-harm and poisoning
        - 0.0002945 + 0.0082783 + 0.4336656  # one earlier answer, a 3, in each window
        + 0.0066678 * 40 + 0.0109181 * 16 - 0.0160737 * 16  # item 9 of 1, eight items of 2, with self-harm
    )  # fmt: skip
    assert result.log_odds == pytest.approx(by_hand, abs=1e-9)
    families = {row["predictor"]: row["family"] for row in rows_of("predictors")}
    for name in result.named(TermBasis.UNKNOWN):
        assert {families[factor] for factor in factors()[name]} & NEVER_READ, name


def test_race_insurance_census_and_charlson_are_never_known() -> None:
    race = {"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
            "extension": [{"url": "ombCategory", "valueCoding": {"code": "2054-5"}}]}  # fmt: skip
    found = values(*read(visit(0), diagnosed("J44.9", 30), who=patient(extension=[race])))

    for row in rows_of("predictors"):
        if row["family"] in NEVER_READ:
            assert found[row["predictor"]] is None, row["predictor"]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (0, (0, 0, 0)),  # of the day itself: not before it
        (1, (1, 1, 1)),
        (90, (1, 1, 1)),
        (91, (0, 1, 1)),
        (365, (0, 1, 1)),
        (366, (0, 0, 1)),
        (1825, (0, 0, 1)),
        (1826, (0, 0, 0)),  # the same day five years before is outside
    ],
)
def test_windows_are_those_of_the_published_programs(days: int, expected: tuple[int, ...]) -> None:
    found = values(*read(ordered("lorazepam 1 MG Oral Tablet", days)))

    names = ("benzo_rx_pre3m", "benzo_rx_pre1y_cumulative", "benzo_rx_pre5y_cumulative")
    assert tuple(found[name].number for name in names) == expected
    assert years_before(date(2028, 2, 29), 1) == date(2027, 2, 28)


@pytest.mark.parametrize(
    ("days", "expected"), [(0, (0, 0, 1)), (300, (0, 1, 1)), (365, (0, 1, 1)), (366, (1, 1, 1)), (1830, (0, 0, 0))]
)
def test_a_diagnosis_counts_in_its_own_windows(days: int, expected: tuple[int, ...]) -> None:
    found = values(*read(diagnosed("F32.1", days)))

    names = ("dep_dx_pre5y", "dep_dx_pre5y_noi_cumulative", "dep_dx_pre5y_cumulative")
    assert tuple(found[name].number for name in names) == expected


@pytest.mark.parametrize(
    ("name", "predictor", "number"),
    [
        ("trazodone 50 MG", "antidep_rx_pre3m", 0),
        ("mirtazapine 15 MG", "antidep_rx_pre3m", 1),
        ("haloperidol 5 MG", "sga_rx_pre1y_cumulative", 0),
        ("quetiapine 25 MG", "sga_rx_pre1y_cumulative", 1),
        ("zolpidem 10 MG", "hypno_rx_pre3m", 1),
    ],
)
def test_a_medicine_is_in_the_published_class_only(name: str, predictor: str, number: float) -> None:
    assert values(*read(ordered(name, 20)))[predictor].number == number


def test_what_cannot_be_placed_is_unknown_and_never_absent() -> None:
    snomed = values(*read(diagnosed("35489007", 100, system=SNOMED)))
    undated = resource("Condition", code=codeable(ICD, "F32.1"))
    anonymous = ordered("x", 20) | {"medicationCodeableConcept": {"coding": [{"code": "9", "system": "urn:local"}]}}
    hook = values(*read(ordered("lorazepam", 20), whole_chart=False))

    assert snomed["dep_dx_pre5y_cumulative"] is snomed["any_sui_att_pre1y_cumulative"] is None
    assert snomed["dep_dx_pre5y"].number == 0  # it was recorded after that window
    assert values(*read(undated))["dep_dx_pre5y_cumulative"] is None
    assert values(*read(undated))["anx_dx_pre5y_cumulative"].number == 0
    assert values(*read(anonymous))["benzo_rx_pre3m"].number == 0  # named, though not by a listed name
    assert hook["benzo_rx_pre3m"].number == 1
    assert hook["antidep_rx_pre3m"] is None  # a hook request holds active medicines only
    assert flag([PastEvent(day=date(2026, 1, 1), sure=False)], lambda _: True, whole=True) is None


def test_a_label_or_an_unreadable_entry_leaves_no_list_whole() -> None:
    broken = {"resourceType": "Encounter", "id": "e9", "status": ["no"], "subject": {"reference": "Patient/p1"}}
    _, history = read(broken, diagnosed("F32.1", 30))

    assert ChartPart.ENCOUNTERS not in history.whole
    assert ChartPart.CONDITIONS in history.whole
    assert values(*read(broken))["mh_ip_pre3m"] is None


def test_no_phq_at_the_visit_counts_as_the_programs_count_it_and_says_that_it_is_assumed() -> None:
    found = values(*read(visit(0)))

    assert [found[name] for name in ("q9_0", "q9_3", "phq8_index_score_calc", "phqnumber365")] == [
        PredictorValue(number=0, assumed=True)
    ] * 4


def test_an_unreadable_answer_to_item_9_is_unknown() -> None:
    found = values(*read(*given("PHQ-9, today: items 1-8 = 1, item 9 = unreadable")))

    assert found["q9_0"] is found["q9_3"] is found["phqmax365_3"] is None
    assert found["phq8_index_score_calc"].number == 8


def test_a_missing_item_is_filled_with_the_mean_of_those_answered_as_published() -> None:
    found = values(*read(*given("PHQ-9, today: items 1-6 = 2, item 9 = 0")))

    assert found["phq8_index_score_calc"].number == 16


def test_the_earlier_answers_give_number_highest_and_most_frequent() -> None:
    chart = [r for d, k in ((10, 1), (50, 2), (100, 0), (200, 3)) for r in given(f"PHQ-9, {d} days ago: item 9 = {k}")]
    found = values(*read(*chart, *given("PHQ-9, today: item 9 = 3")))

    assert [found[f"phqnumber{d}"].number for d in (90, 183, 365)] == [2, 3, 4]
    assert [found[n].number for n in ("phqmode90_1", "phqmode90_2", "phqmax90_2")] == [0, 1, 1]  # of two, the higher
    assert [found[n].number for n in ("phqmax365_3", "phqmax365_0", "phqmode365_2")] == [1, 0, 0]


@pytest.mark.parametrize(
    ("chart", "who", "stated", "reason"),
    [
        ([], {}, None, RefusalReason.NO_VISIT),
        ([visit(3, "Psychiatry visit")], {}, None, RefusalReason.NO_VISIT),
        ([visit(0)], {}, None, RefusalReason.NOT_MENTAL_HEALTH),
        ([visit(0, kind="EMER")], {}, MH, RefusalReason.OTHER_VISIT),
        ([visit(0, kind="IMP")], {}, None, RefusalReason.OTHER_VISIT),
        ([], {"age": 12}, MH, RefusalReason.UNDER_13),
        ([], {"age": None}, MH, RefusalReason.AGE_UNKNOWN),
        ([], {"deceasedBoolean": True}, MH, RefusalReason.DECEASED),
    ],
)
def test_where_the_published_model_does_not_fit_the_answer_is_a_reason(
    chart: list[dict], who: dict, stated: VisitSetting | None, reason: RefusalReason
) -> None:
    assert published_score(*read(*chart, who=patient(**who)), stated) == Refusal(reason=reason)


def test_the_kind_of_visit_is_what_the_chart_says_or_the_caller_knows() -> None:
    general = visit(0)

    assert published_score(*read(general, diagnosed("F41.1", 0, general))).setting is PC
    assert published_score(*read(visit(0, "Behavioral health visit"))).setting is MH
    assert published_score(*read(), PC).setting is PC
