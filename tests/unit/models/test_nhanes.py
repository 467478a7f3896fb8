from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.errors import SurveyDataError
from models.inputs.feature_schema import FEATURES, SCHEMAS
from models.survey.nhanes import drug_classes, feature_matrix, ingredients, survey_checksums, survey_frame
from tests.unit.models import synthetic_survey
from tests.unit.models.xport import write_xport


def survey(folder: Path, **tables: dict) -> pd.DataFrame:
    """The survey frame of a few people in cycle D, from transport files."""
    n = len(next(iter(tables.values()))[next(iter(next(iter(tables.values()))))])
    basis = {"DEMO": {"RIDAGEYR": [40.0] * n}, "DPQ": {"DPQ010": [0.0] * n}}
    for component in basis | tables:
        columns = basis.get(component, {}) | tables.get(component, {})
        seqn = columns.pop("SEQN", [float(i) for i in range(1, n + 1)])
        write_xport(folder / f"{component}_D.XPT", f"{component}_D", pd.DataFrame({"SEQN": seqn, **columns}))
    return survey_frame(folder)


def known(values: pd.Series) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values]


def test_the_same_tables_give_the_same_people_from_parquet_and_from_cdcs_transport_files(tmp_path: Path):
    stacked = survey_frame(synthetic_survey.write_parquet(tmp_path / "parquet"))
    transport = survey_frame(synthetic_survey.write_transport(tmp_path / "xpt"))

    pd.testing.assert_frame_equal(stacked, transport, check_dtype=False, rtol=1e-12)
    assert set(stacked["CYCLE"]) == set(synthetic_survey.CYCLES)
    assert stacked["age"].min() >= 18


def test_a_cycle_that_lies_there_twice_counts_once(tmp_path: Path):
    folder = synthetic_survey.write_transport(synthetic_survey.write_parquet(tmp_path / "both"))

    pd.testing.assert_frame_equal(
        survey_frame(folder), survey_frame(synthetic_survey.write_parquet(tmp_path / "once")), check_dtype=False
    )


def test_cycles_in_several_folders_are_the_same_people_as_in_one_in_either_order(tmp_path: Path):
    early, late = synthetic_survey.CYCLES[:2], synthetic_survey.CYCLES[2:]
    folders = [
        synthetic_survey.write_parquet(tmp_path / "early", early),
        synthetic_survey.write_transport(tmp_path / "late", late),
    ]
    whole = survey_frame(synthetic_survey.write_parquet(tmp_path / "whole"), left_out=True)

    for order in (folders, folders[::-1]):
        pd.testing.assert_frame_equal(survey_frame(*order, left_out=True), whole, check_dtype=False, rtol=1e-12)
    names = survey_checksums(*folders)
    assert names == survey_checksums(*folders[::-1])
    assert {"2005-2008/raw/DEMO.parquet", "2009-2010/DEMO_F.XPT"} <= set(names)
    assert "DEMO_F.XPT" in survey_checksums(folders[1])


def test_a_cycle_or_a_person_in_two_folders_is_refused(tmp_path: Path):
    first = synthetic_survey.write_parquet(tmp_path / "first")
    again = synthetic_survey.write_transport(tmp_path / "again", synthetic_survey.CYCLES[1:])
    with pytest.raises(SurveyDataError, match=r"in one of the folders only; found 2007-2008, 2009-2010 in more than"):
        survey_frame(first, again)

    renamed = synthetic_survey.write_parquet(tmp_path / "renamed", synthetic_survey.CYCLES[:1])
    demo = pd.read_parquet(renamed / "raw/DEMO.parquet").assign(CYCLE="2015-2016")
    demo.to_parquet(renamed / "raw/DEMO.parquet")
    with pytest.raises(SurveyDataError, match="found the same people in more than one"):
        survey_frame(first, renamed)


@pytest.mark.parametrize("table", ["BMX", "BPX", "MCQ", "HUQ", "SLQ", "RXQ_RX", "SMQ"])
def test_a_table_that_is_not_there_leaves_its_features_missing_and_nothing_else(tmp_path: Path, table: str):
    whole = survey_frame(synthetic_survey.write_parquet(tmp_path / "whole"))

    frame = survey_frame(synthetic_survey.write_parquet(tmp_path / "partial", without=(table,)))

    lost = [name for name in whole if frame[name].isna().all() and not whole[name].isna().all()]
    untouched = [name for name in whole if name not in (*lost, "in_care")]
    assert lost
    pd.testing.assert_frame_equal(frame[untouched], whole[untouched])


@pytest.mark.parametrize("table", ["DEMO", "DPQ"])
def test_without_demographics_or_questionnaire_nothing_is_read_and_the_message_says_why(tmp_path: Path, table: str):
    with pytest.raises(SurveyDataError, match=f"no {table} table"):
        survey_frame(synthetic_survey.write_parquet(tmp_path / "partial", without=(table,)))


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path):
    with pytest.raises(SurveyDataError, match="no folder"):
        survey_frame(tmp_path / "nowhere")


def test_a_damaged_file_is_named(tmp_path: Path):
    folder = synthetic_survey.write_parquet(tmp_path / "s")
    (folder / "raw" / "BMX.parquet").write_bytes(b"nothing of the sort")

    with pytest.raises(SurveyDataError, match=r"BMX\.parquet"):
        survey_frame(folder)


@pytest.mark.parametrize("cut", [1, 77, 80 * 3 + 40])
def test_a_transport_file_that_ends_too_early_is_named_and_not_read_as_fewer_people(tmp_path: Path, cut: int):
    folder = synthetic_survey.write_transport(tmp_path / "s")
    file = folder / "BMX_D.XPT"
    file.write_bytes(file.read_bytes()[:-cut])

    with pytest.raises(SurveyDataError, match=r"BMX_D\.XPT.*fetch the file again"):
        survey_frame(folder)


@pytest.mark.parametrize("content", [b"", b"HEADER RECORD*******", b"SEQN,BMXBMI\n1,2\n"])
def test_an_empty_file_or_one_of_another_kind_is_named(tmp_path: Path, content: bytes):
    folder = synthetic_survey.write_transport(tmp_path / "s")
    (folder / "BMX_D.XPT").write_bytes(content)

    with pytest.raises(SurveyDataError, match=r"BMX_D\.XPT"):
        survey_frame(folder)


@pytest.mark.parametrize("name", ["DEMO_Z.XPT", "DPQ_B.xpt", "BMX.XPT"])
def test_a_table_of_a_cycle_that_is_not_known_is_named(tmp_path: Path, name: str):
    folder = synthetic_survey.write_transport(tmp_path / "s")
    (folder / name).write_bytes((folder / "DEMO_D.XPT").read_bytes())

    with pytest.raises(SurveyDataError, match=rf"found {name}; give the file CDC's own name"):
        survey_frame(folder)


def test_tables_without_rows_or_without_the_number_of_the_person_are_named(tmp_path: Path):
    for number, frame in enumerate((pd.DataFrame({"SEQN": []}), pd.DataFrame({"BMXBMI": [22.0]}))):
        folder = synthetic_survey.write_parquet(tmp_path / f"s{number}")
        frame.to_parquet(folder / "raw" / "BMX.parquet")

        with pytest.raises(SurveyDataError, match=r"BMX\.parquet"):
            survey_frame(folder)


def test_a_questionnaire_without_any_of_its_columns_is_named_and_any_other_table_is_merely_missing(tmp_path: Path):
    folder = synthetic_survey.write_parquet(tmp_path / "s")
    people = pd.read_parquet(folder / "raw" / "DPQ.parquet")[["SEQN", "CYCLE"]]
    people.assign(BMXWAIST=90.0).to_parquet(folder / "raw" / "BMX.parquet")
    assert survey_frame(folder)["bmi"].isna().all()

    people.assign(DPQ999=1).to_parquet(folder / "raw" / "DPQ.parquet")
    with pytest.raises(SurveyDataError, match=r"none of them in DPQ\.parquet"):
        survey_frame(folder)


def test_insurance_is_one_kind_a_person_and_missing_where_nobody_asked(tmp_path: Path):
    frame = survey(
        tmp_path,
        HIQ={
            "HIQ011": [1.0, 1.0, 1.0, 1.0, 2.0, np.nan],
            "HIQ031A": [14.0, np.nan, np.nan, np.nan, np.nan, np.nan],
            "HIQ031B": [np.nan, 15.0, 15.0, 77.0, np.nan, np.nan],
            "HIQ031D": [np.nan, 17.0, np.nan, 99.0, np.nan, np.nan],
        },
    )

    assert known(frame["insurance"]) == [2, 1, 3, 4, 5, None]


def test_what_no_model_takes_is_read_only_when_asked_for(tmp_path: Path):
    folder = synthetic_survey.write_parquet(tmp_path / "s")

    assert "marital3" not in survey_frame(folder)
    assert {"marital3", "educ5", "urine_leak", "walking", "pain_days", "hgb", "crp_mgL"} <= set(
        survey_frame(folder, left_out=True)
    )


@pytest.mark.parametrize(
    ("name", "cycle"),
    [("DEMO_D", "2005-2006"), ("DEMO_J", "2017-2018"), ("DEMO_L", "2021-2023"), ("P_DEMO", "2017-2020")],
)
def test_the_cycle_is_told_from_cdcs_table_name(tmp_path: Path, name: str, cycle: str):
    for component, column, value in (("DEMO", "RIDAGEYR", 40.0), ("DPQ", "DPQ010", 0.0)):
        table = name.replace("DEMO", component)
        write_xport(tmp_path / f"{table}.xpt", table, pd.DataFrame({"SEQN": [7.0], column: [value]}))

    assert list(survey_frame(tmp_path)["CYCLE"]) == [cycle]


def test_the_cycle_is_told_from_the_survey_year_where_stacked_tables_do_not_say(tmp_path: Path):
    (tmp_path / "raw").mkdir()
    demo = pd.DataFrame({"SEQN": [1, 2, 3], "RIDAGEYR": [30, 40, 50], "SDDSRVYR": [9, 12, 66]})
    demo.to_parquet(tmp_path / "raw" / "DEMO.parquet")
    pd.DataFrame({"SEQN": [1, 2, 3], "DPQ010": [0, 1, 2]}).to_parquet(tmp_path / "raw" / "DPQ.parquet")

    assert list(survey_frame(tmp_path)["CYCLE"]) == ["2015-2016", "2021-2023", "2017-2020"]


def test_refused_and_do_not_know_are_missing_not_no(tmp_path: Path):
    codes = [1.0, 2.0, 7.0, 9.0, np.nan]

    frame = survey(
        tmp_path, MCQ={"MCQ010": codes, "MCQ160A": codes}, HUQ={"HUQ090": codes, "HUQ010": [1, 5, 7, 9, 3.0]}
    )

    for name in ("asthma", "arthritis", "mh_visit_yr"):
        assert known(frame[name]) == [1, 0, None, None, None]
    assert known(frame["gen_health"]) == [1, 5, None, None, 3]


def test_difficulty_concentrating_is_the_question_of_its_code_or_else_the_nearest(tmp_path: Path):
    frame = survey(
        tmp_path, DLQ={"DLQ040": [1.0, 2.0, 9.0, np.nan, np.nan]}, PFQ={"PFQ057": [2.0, 1.0, 1.0, 2.0, np.nan]}
    )

    assert known(frame["difficulty_concentrating"]) == [1, 0, 1, 0, None]


def test_borderline_diabetes_is_no_diabetes(tmp_path: Path):
    assert known(survey(tmp_path, DIQ={"DIQ010": [1.0, 2.0, 3.0, 9.0]})["diabetes"]) == [1, 0, 0, None]


def test_any_of_the_lung_diseases_is_copd_under_the_old_and_the_new_question(tmp_path: Path):
    frame = survey(
        tmp_path, MCQ={"MCQ160G": [2.0, 1.0, np.nan], "MCQ160K": [2.0, 2.0, np.nan], "MCQ160P": [np.nan, np.nan, 1]}
    )

    assert known(frame["copd"]) == [0, 1, 1]


def test_visits_of_the_old_and_the_new_question_fall_into_the_same_bands(tmp_path: Path):
    old = {"HUQ050": [0.0, 1, 2, 3, 4, 5, 77, 99, np.nan, np.nan, np.nan, np.nan]}
    new = {"HUQ051": [np.nan] * 8 + [5.0, 6.0, 8.0, 99.0]}

    assert known(survey(tmp_path, HUQ=old | new)["visits_yr"]) == [0, 1, 2.5, 6, 11, 15, None, None, 6, 11, 15, None]


def test_drinking_days_come_from_either_question_and_never_drinkers_drink_nothing(tmp_path: Path):
    frame = survey(
        tmp_path,
        ALQ={
            "ALQ101": [1.0, 1.0, 2.0, np.nan, np.nan, 1.0],
            "ALQ110": [np.nan, np.nan, 2.0, np.nan, np.nan, np.nan],
            "ALQ111": [np.nan, np.nan, np.nan, 1.0, 2.0, np.nan],
            "ALQ120Q": [3.0, 0.0, np.nan, np.nan, np.nan, 999.0],
            "ALQ120U": [1.0, np.nan, np.nan, np.nan, np.nan, np.nan],
            "ALQ121": [np.nan, np.nan, np.nan, 5.0, np.nan, np.nan],
            "ALQ130": [2.0, np.nan, np.nan, 4.0, np.nan, 82.0],
        },
    )

    assert known(frame["alc_days_yr"]) == [156, 0, 0, 52, 0, None]
    assert known(frame["alc_drinks_day"]) == [2, 0, 0, 4, 0, None]


def test_blood_pressure_and_pulse_come_from_the_cuff_or_else_from_the_oscillometer(tmp_path: Path):
    frame = survey(
        tmp_path,
        BPX={
            "BPXSY1": [120.0, np.nan],
            "BPXSY2": [124.0, np.nan],
            "BPXDI1": [0.0, np.nan],
            "BPXDI2": [80.0, np.nan],
            "BPXPLS": [0.0, np.nan],
        },
        BPXO={"BPXOSY1": [130.0, 140.0], "BPXODI1": [90.0, 95.0], "BPXOPLS1": [66.0, 70.0], "BPXOPLS2": [68.0, np.nan]},
    )

    assert known(frame["sbp"]) == [122, 140]
    assert known(frame["dbp"]) == [80, 95]
    assert known(frame["pulse"]) == [67, 70]


def test_labels_need_all_nine_items_for_depression_and_item_9_alone_for_ideation(tmp_path: Path):
    items = {f"DPQ0{i}0": [1.0, 1.0, np.nan, 7.0] for i in range(1, 8)}
    frame = survey(tmp_path, DPQ=items | {"DPQ080": [1.0, 2.0, 0.0, 0.0], "DPQ090": [1.0, 1.0, 1.0, 0.0]})

    assert known(frame["phq9"]) == [9, 10, None, None]
    assert known(frame["depression"]) == [0, 1, None, None]
    assert known(frame["suicidal-ideation"]) == [1, 1, 1, 0]


def test_medicines_are_counted_and_classed_by_ingredient(tmp_path: Path):
    frame = survey(
        tmp_path,
        DEMO={"RIDAGEYR": [40.0] * 6},
        DPQ={"DPQ010": [0.0] * 6},
        RXQ_RX={
            "SEQN": [1.0, 1.0, 2.0, 3.0, 4.0, 5.0],
            "RXDUSE": [1.0, 1.0, 2.0, 1.0, 9.0, 1.0],
            "RXDDRUG": ["Acetaminophen; Hydrocodone".upper(), "SERTRALINE", None, "METHADONE", None, "55555"],
            "RXDCOUNT": [2.0, 2.0, np.nan, 1.0, np.nan, 1.0],
        },
    )

    assert known(frame["n_rx"]) == [2, 0, 1, None, 1, None]
    assert known(frame["rx_ssri"]) == [1, 0, 0, None, 0, None]
    assert known(frame["rx_opioid"]) == [1, 0, 0, None, 0, None]
    assert known(frame["in_care"]) == [1, 0, 0, None, 0, None]


def test_a_cycle_without_drug_names_keeps_the_count_and_only_knows_the_classes_of_people_who_take_nothing(
    tmp_path: Path,
):
    frame = survey(tmp_path, RXQ_RX={"RXQ033": [1.0, 2.0], "RXQ050": [4.0, np.nan]})

    assert known(frame["n_rx"]) == [4, 0]
    assert known(frame["rx_ssri"]) == [None, 0]


def test_a_local_route_at_the_end_of_a_drug_name_holds_for_all_its_ingredients():
    assert ingredients("DEXAMETHASONE; TOBRAMYCIN OPHTHALMIC") == ("DEXAMETHASONE OPHTHALMIC", "TOBRAMYCIN OPHTHALMIC")
    assert ingredients("Acetaminophen; Codeine") == ("ACETAMINOPHEN", "CODEINE")


def test_every_drug_class_of_the_schema_has_ingredients_and_no_other_class_is_shipped():
    assert set(drug_classes()) == {spec.name for spec in FEATURES if spec.name.startswith("rx_")}
    assert {"METHADONE", "BUPRENORPHINE"}.isdisjoint(drug_classes()["rx_opioid"])


def test_the_matrix_holds_what_the_schema_prepares_row_by_row(tmp_path: Path):
    frame = survey_frame(synthetic_survey.write_parquet(tmp_path / "s")).head(40)
    for schema in SCHEMAS.values():
        matrix = feature_matrix(frame, schema)

        for row, (_, person) in zip(matrix, frame.iterrows(), strict=True):
            prepared = schema.vector({n: None if pd.isna(person[n]) else person[n] for n in schema.names}).values  # noqa: PD011 - not pandas
            expected = np.array([np.nan if v is None else v for v in prepared], dtype=np.float32)
            assert np.array_equal(row, expected, equal_nan=True)


def test_the_real_tables_give_the_derived_columns_of_the_data_folder_person_by_person(shared: Path):
    """Three differences are meant: age is capped by the schema, and two opioids of addiction treatment are left out."""
    folder = shared / "data/nhanes"
    derived = pd.read_parquet(folder / "nhanes_adults_2005_2016.parquet").set_index("SEQN").sort_index()

    frame = survey_frame(folder)

    assert frame.index.equals(derived.index)
    assert (frame["CYCLE"] == derived["CYCLE"].astype(str)).all()
    frame = frame.assign(age=frame["age"].clip(upper=80)).rename(columns={"weight": "WTMEC"})
    compared = [name for name in frame if name in derived and name not in ("CYCLE", "rx_opioid")]
    assert {spec.name for spec in FEATURES} - {"rx_opioid", "difficulty_concentrating"} <= set(compared)
    pd.testing.assert_frame_equal(frame[compared], derived[compared], check_dtype=False, check_names=False, rtol=1e-9)
    opioids = frame["rx_opioid"].compare(derived["rx_opioid"])
    assert (opioids["other"] == 1).all(), "no opioid that the data folder does not have"
    assert len(opioids) == 49, (
        "people whose only opioid is methadone, buprenorphine or (in the folder by mistake) apomorphine"
    )
    assert (frame["phq9"] >= 10).sum() == 2709
    assert frame["suicidal-ideation"].sum() == 1190
