"""Hand-made rows of NSDUH and YRBS under the names of our inputs. Nobody in them exists."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.errors import SurveyDataError
from models.inputs.feature_schema import FEATURES
from models.survey.other_surveys import (
    AGE_BANDS,
    EPISODE,
    K6,
    K6_DISTRESS,
    MATCHES,
    NSDUH_2019,
    NSDUH_2023,
    THOUGHTS,
    YRBS,
    Fit,
    banded_age,
    other_surveys,
    shared_inputs,
)

YOUNG = {
    "AGE2": 11, "IRSEX": 2, "IRCIGRC": 1, "IRCIGFM": 30.0, "IRALCRC": 1, "IRALCFM": 3.0,
    "MHSUITHK": 1, "AMDEYR": 2, "K6SCMON": 13,
}  # fmt: skip
ADULT = {"CATAG6": 6, "IRSEX": 1, "IRALCFY": 104, "IRWRKSTAT18": 2, "MHTRTPY": 1, "IRAMDEYR": 0.0}
STUDENT = {"Q2": 1.0, "QN32": 2.0, "QN41": 1.0, "QN87": 1.0, "Q88": 1.0, "QN25": 1.0, "QN26": 2.0}


def written(folder: Path, name: str, rows: list[dict]) -> Path:
    path = folder / "below" / name
    path.parent.mkdir(exist_ok=True)
    pd.DataFrame(rows).convert_dtypes().to_parquet(path)
    return folder


def young(folder: Path, *changes: dict) -> pd.DataFrame:
    rows = [{**YOUNG, **change} for change in changes]
    return other_surveys(written(folder, "nsduh_2019_age18_25_subset.parquet", rows))[NSDUH_2019]


def test_a_row_of_each_survey_comes_out_under_our_names(tmp_path: Path):
    written(tmp_path, "nsduh_2020_age18_25_subset.parquet", [YOUNG])
    written(tmp_path, "nsduh_2023_subset.parquet", [ADULT])
    written(tmp_path, "yrbs_hs_national_2019.parquet", [STUDENT])

    found = {survey: frame.iloc[0].to_dict() for survey, frame in other_surveys(tmp_path).items()}

    assert found == {
        NSDUH_2019: {
            "age": 22.5, "female": 1, "smoke_status": 3, "alc_days_yr": 36.5,
            THOUGHTS: 1, EPISODE: 0, K6: 13, K6_DISTRESS: 1,
        },
        NSDUH_2023: {"age": 72.5, "female": 0, "alc_days_yr": 104, "employed": 1, "mh_visit_yr": 1, EPISODE: 0},
        YRBS: {
            "female": 1, "smoke_status": 0, "alc_days_yr": 12, "asthma": 1, "sleep_hours": 4, "DPQ020": 2, THOUGHTS: 0,
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("recency", "days", "status"),
    [(9, 91, 0), (4, 93, 1), (3, 93, 1), (2, 93, 1), (1, 1, 2), (1, 29, 2), (1, 30, 3), (1, 5.5, 2), (97, 97, None)],
)
def test_smoking_is_never_former_some_days_or_every_day(
    tmp_path: Path, recency: int, days: float, status: float | None
):
    found = young(tmp_path, {"IRCIGRC": recency, "IRCIGFM": days})["smoke_status"].iloc[0]

    assert np.isnan(found) if status is None else found == status


@pytest.mark.parametrize(
    ("recency", "days", "per_year"), [(9, 91, 0), (3, 93, 0), (2, 93, 6), (1, 30, 365), (1, 6, 73), (98, 98, None)]
)
def test_drinking_days_of_a_month_stand_for_the_year(tmp_path: Path, recency: int, days: int, per_year: float | None):
    found = young(tmp_path, {"IRALCRC": recency, "IRALCFM": days})["alc_days_yr"].iloc[0]

    assert np.isnan(found) if per_year is None else found == pytest.approx(per_year)


def test_minors_are_left_out_of_nsduh(tmp_path: Path):
    written(tmp_path, "nsduh_2023_subset.parquet", [ADULT, {**ADULT, "CATAG6": 1, "IRAMDEYR": None}])

    assert len(other_surveys(tmp_path)[NSDUH_2023]) == 1


def test_a_k6_counts_only_of_people_who_answered_the_question_on_thoughts(tmp_path: Path):
    found = young(tmp_path, {"MHSUITHK": None, "K6SCMON": 0}, {"MHSUITHK": 0, "K6SCMON": 12})

    assert found[K6].isna().tolist() == [True, False]
    assert found[K6_DISTRESS].fillna(-1).tolist() == [-1, 0]


@pytest.mark.parametrize("survey", AGE_BANDS)
def test_our_ages_are_banded_as_the_survey_bands_its_own(survey: str):
    ages = pd.Series(range(18, 81))

    banded = banded_age(survey, ages)

    assert sorted(banded.dropna().unique()) == sorted(used for _, used in AGE_BANDS[survey].values())
    assert (banded.diff().dropna() >= 0).all()
    assert banded_age(survey, pd.Series([17, 18, 22, 23, 24])).tolist() == (
        [pytest.approx(np.nan, nan_ok=True), 18, 22.5, 22.5, 24.5]
        if survey == NSDUH_2019
        else [pytest.approx(np.nan, nan_ok=True), 21.5, 21.5, 21.5, 21.5]
    )


def test_every_match_names_an_input_or_a_label_and_a_near_miss_names_none():
    inputs = {spec.name for spec in FEATURES}
    for row in MATCHES:
        if row.fit is Fit.NONE:
            assert row.name is None
        else:
            assert row.name in ({THOUGHTS, EPISODE, K6} if row.fit is Fit.LABEL else inputs)
            assert row.codes
        assert row.note.endswith(".")


def test_race_income_education_insurance_and_numbers_of_people_are_never_read():
    never = {"NEWRACE2", "raceeth", "Q4", "Q5", "INCOME", "POVERTY3", "IREDUHIGHST2", "IRINSUR4", "IRMARIT", "QUESTID2"}

    assert {row.name for row in MATCHES if never & set(row.columns)} == {None}


def test_shared_inputs_come_in_the_order_of_the_schema():
    assert shared_inputs(NSDUH_2019) == ("age", "female", "smoke_status", "alc_days_yr")
    assert shared_inputs(NSDUH_2023) == ("age", "female", "alc_days_yr", "mh_visit_yr", "employed")


def test_a_folder_without_surveys_and_a_file_without_a_column_are_refused(tmp_path: Path):
    with pytest.raises(SurveyDataError, match=r"nsduh_2023_\*\.parquet"):
        other_surveys(tmp_path)
    written(tmp_path, "nsduh_2023_subset.parquet", [{"CATAG6": 2}])
    with pytest.raises(SurveyDataError, match="MHTRTPY"):
        other_surveys(tmp_path)
