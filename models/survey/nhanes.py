"""NHANES tables into one row per adult: raw feature values, labels, and audit columns.

Features have the names of the feature map, in raw units (visit counts as mid-points of CDC's bands, the finest
available). Every rule is below with CDC's variable names; 7/9, 77/99, 777/999 (refused, do not know) become missing. A
table or column that a cycle lacks makes its features missing, never an error. Training and evaluation only: needs
pandas. Rows must never leave the machine they were read on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fhir_adapters.codesets.terminology import table
from models.errors import SurveyDataError
from models.inputs.feature_schema import ANTIDEPRESSANTS, FeatureSchema, FeatureSpec
from models.inputs.outcomes import OUTCOME_SPECS, PHQ_ITEMS
from models.survey.tables import CYCLES_BY_LETTER, PRE_PANDEMIC, checksums, read_tables

MINIMUM_AGE_YEARS = 18
PAYERS = ("medicaid", "private", "medicare", "other", "none")
"""Of `insurance`, codes 1 to 5; the first that applies counts."""

_CYCLE_OF_SURVEY_YEAR = {
    **dict(zip(range(4, 11), CYCLES_BY_LETTER.values(), strict=False)),
    12: "2021-2023",
    66: PRE_PANDEMIC,
}
_CONDITIONS = {
    "asthma": ("MCQ", "MCQ010"),
    "anemia_tx": ("MCQ", "MCQ053"),
    "arthritis": ("MCQ", "MCQ160A"),
    "chf": ("MCQ", "MCQ160B"),
    "chd": ("MCQ", "MCQ160C"),
    "angina": ("MCQ", "MCQ160D"),
    "mi": ("MCQ", "MCQ160E"),
    "stroke": ("MCQ", "MCQ160F"),
    "liver": ("MCQ", "MCQ160L"),
    "thyroid": ("MCQ", "MCQ160M"),
    "cancer": ("MCQ", "MCQ220"),
    "diabetes": ("DIQ", "DIQ010"),
    "hypertension": ("BPQ", "BPQ020"),
    "hyperlipid": ("BPQ", "BPQ080"),
    "kidney_disease": ("KIQ_U", "KIQ022"),
    "sleep_trouble_told_dr": ("SLQ", "SLQ050"),
}
_VISITS_OLD = {0: 0, 1: 1, 2: 2.5, 3: 6, 4: 11, 5: 15}  # HUQ050, to 2012: 0, 1, 2-3, 4-9, 10-12, 13+
_VISITS_NEW = {0: 0, 1: 1, 2: 2.5, 3: 6, 4: 6, 5: 6, 6: 11, 7: 15, 8: 15}  # HUQ051: 4-9 in three bands, 13+ in two
_DRINK_DAYS = {0: 0, 1: 365, 2: 300, 3: 182, 4: 104, 5: 52, 6: 30, 7: 12, 8: 9, 9: 4.5, 10: 1.5}
"""ALQ121 (from 2017): never in the last year, every day, nearly every day, 3-4 a week ... 1-2 times in the year."""
_MOST_DRINKS_A_DAY = 24  # more is an entry error rather than an average
_ROUTE = re.compile(r"\b(TOPICAL|OTIC|OPHTHALMIC|NASAL)\b")


def survey_frame(*folders: Path, left_out: bool = False) -> pd.DataFrame:
    """One row per adult of every cycle found in the folders, index SEQN.

    Columns: CYCLE; the features in raw units (float, NaN where missing; booleans 0/1); DPQ010 ... DPQ090 (0-3);
    phq9 (0-27, all nine items needed); one for each outcome (label 0/1); in_care (0/1); and for audits race_eth, pir,
    insurance (PAYERS), weight (of the examination). left_out: also the columns of LEFT_OUT. Raises SurveyDataError when
    a folder lacks DEMO or DPQ or has no adult in a known cycle, or two folders have a cycle or a person in common.
    """
    frames = [_one_folder(folder, left_out=left_out) for folder in folders]
    frame = pd.concat(frames)
    twice = {c for c in set(frame["CYCLE"]) if sum((part["CYCLE"] == c).any() for part in frames) > 1}
    if twice or frame.index.has_duplicates:
        raise SurveyDataError(
            expected="each cycle, and each person, in one of the folders only",
            found=f"{', '.join(sorted(twice)) or 'the same people'} in more than one",
            remedy="give each folder of tables once, and take away the tables of a cycle that another folder has",
        )
    return frame.sort_index()


def survey_checksums(*folders: Path) -> dict[str, str]:
    """Name of each table file -> its SHA-256; of several folders under their years: `2005-2016/raw/DEMO.parquet`."""
    if len(folders) == 1:
        return checksums(folders[0])
    return {f"{_years(folder)}/{name}": digest for folder in folders for name, digest in checksums(folder).items()}


def _years(folder: Path) -> str:
    cycles = sorted(_cycles(read_tables(folder)["DEMO"]).dropna().astype(str))
    return f"{cycles[0][:4]}-{cycles[-1][-4:]}"


def _one_folder(folder: Path, *, left_out: bool) -> pd.DataFrame:
    tables = read_tables(folder, left_out=left_out)
    demo = tables["DEMO"].set_index("SEQN")
    if "RIDAGEYR" not in demo:
        raise SurveyDataError(expected="a column RIDAGEYR in DEMO", found="none", remedy="fetch DEMO again from CDC")
    cycle = _cycles(demo)
    adults = demo.index[(demo["RIDAGEYR"] >= MINIMUM_AGE_YEARS) & cycle.notna()]
    if adults.empty:
        raise SurveyDataError(
            expected="adults (RIDAGEYR 18 or more) in a known cycle",
            found="none in DEMO",
            remedy="check the DEMO tables",
        )
    source = _Source(tables, adults)
    frame = pd.DataFrame({"CYCLE": cycle.loc[adults].astype(str)}, index=adults)
    parts = [_demographics, _payer, _measurements, _lifestyle, _conditions, _utilisation, _needs, _questionnaire]
    if left_out:
        parts += [_left_out, _labs]
    frame = pd.concat([frame, *(part(source) for part in parts), _medicines(tables.get("RXQ_RX"), adults)], axis=1)
    frame = frame.join(_labels(frame))
    frame["in_care"] = _in_care(frame)
    return frame


def feature_matrix(frame: pd.DataFrame, schema: FeatureSchema) -> NDArray[np.float32]:
    """Prepared values, shape (people, features of the schema), NaN where missing; same transform as in serving."""
    return np.column_stack([_prepared(frame[spec.name], spec) for spec in schema.features])


def _prepared(values: pd.Series, spec: FeatureSpec) -> NDArray[np.float32]:
    codes, distinct = pd.factorize(values)  # -1 for missing, which picks the NaN appended last
    known = [spec.prepare(float(value)) for value in distinct]
    lookup: NDArray[np.float32] = np.array([*known, np.nan], dtype=np.float32)
    return np.asarray(lookup[codes], dtype=np.float32)


class _Source:
    """Columns of the tables for these adults; an absent column is all missing."""

    def __init__(self, tables: dict[str, pd.DataFrame], adults: pd.Index) -> None:
        self.adults = adults
        self._tables = {
            name: table.set_index("SEQN").reindex(adults) for name, table in tables.items() if name != "RXQ_RX"
        }

    def column(self, table: str, name: str) -> pd.Series:
        rows = self._tables.get(table)
        if rows is None or name not in rows:
            return pd.Series(np.nan, index=self.adults, dtype="float64")
        return pd.to_numeric(rows[name], errors="coerce").astype("float64")

    def anywhere(self, name: str) -> pd.Series:
        table = next((table for table, rows in self._tables.items() if name in rows), "")
        return self.column(table, name)

    def yes_no(self, table: str, name: str) -> pd.Series:
        return self.column(table, name).map({1.0: 1.0, 2.0: 0.0})


def _cycles(demo: pd.DataFrame) -> pd.Series:
    known = demo["CYCLE"] if "CYCLE" in demo else pd.Series(None, index=demo.index, dtype=object)
    if "SDDSRVYR" not in demo:
        return known
    by_year = pd.to_numeric(demo["SDDSRVYR"], errors="coerce").map(_CYCLE_OF_SURVEY_YEAR)
    return known.where(known.notna(), by_year)


def _demographics(source: _Source) -> pd.DataFrame:
    weight = source.column("DEMO", "WTMEC2YR")
    return pd.DataFrame(
        {
            "age": source.column("DEMO", "RIDAGEYR"),
            "female": source.column("DEMO", "RIAGENDR").map({1.0: 0.0, 2.0: 1.0}),
            "race_eth": source.column("DEMO", "RIDRETH1"),
            "pir": source.column("DEMO", "INDFMPIR"),
            "weight": weight.where(weight.notna(), source.column("DEMO", "WTMECPRP")),
        }
    )


def _payer(source: _Source) -> pd.DataFrame:
    """The first kind of insurance that applies, in the order of PAYERS; missing where not asked."""
    insured = source.column("HIQ", "HIQ011")
    choices = [*(_covered(source, letter) for letter in "DAB"), insured == 1, insured == 2]
    codes = np.select(choices, range(1, len(choices) + 1), default=np.nan)
    return pd.DataFrame({"insurance": codes}, index=source.adults)


def _covered(source: _Source, letter: str) -> pd.Series:
    """Whether a kind of insurance was named: A private, B Medicare, D Medicaid."""
    new, old = source.column("HIQ", f"HIQ032{letter}"), source.column("HIQ", f"HIQ031{letter}")
    answer = new.where(new.notna(), old)
    return answer.notna() & ~answer.isin((77, 99))


def _measurements(source: _Source) -> pd.DataFrame:
    def mean(table: str, stem: str, readings: int, *, zero_is_missing: bool = False) -> pd.Series:
        values = pd.concat([source.column(table, f"{stem}{n}") for n in range(1, readings + 1)], axis=1)
        return (values.mask(values == 0) if zero_is_missing else values).mean(axis=1)

    def either(cuff: pd.Series, oscillometric: pd.Series) -> pd.Series:
        return cuff.where(cuff.notna(), oscillometric)

    pulse = source.column("BPX", "BPXPLS")
    return pd.DataFrame(
        {
            "bmi": source.column("BMX", "BMXBMI"),
            "weight_kg": source.column("BMX", "BMXWT"),
            "height_cm": source.column("BMX", "BMXHT"),
            "pulse": either(pulse.mask(pulse == 0), mean("BPXO", "BPXOPLS", 3, zero_is_missing=True)),
            "sbp": either(mean("BPX", "BPXSY", 4), mean("BPXO", "BPXOSY", 3)),
            # A diastolic reading of 0 means that the sounds never stopped.
            "dbp": either(
                mean("BPX", "BPXDI", 4, zero_is_missing=True), mean("BPXO", "BPXODI", 3, zero_is_missing=True)
            ),
        }
    )


def _lifestyle(source: _Source) -> pd.DataFrame:
    smoked = source.column("SMQ", "SMQ020")
    now = source.column("SMQ", "SMQ040").map({1.0: 3.0, 2.0: 2.0, 3.0: 1.0})
    days, never = _drinking_days(source)
    drinks = source.column("ALQ", "ALQ130")
    drinks = drinks.where(drinks <= _MOST_DRINKS_A_DAY)
    return pd.DataFrame(
        {
            "smoke_status": now.mask(smoked == 2, 0.0),
            "alc_drinks_day": drinks.mask(never | (days == 0), 0.0),
            "alc_days_yr": days,
        }
    )


def _drinking_days(source: _Source) -> tuple[pd.Series, pd.Series]:
    """Drinking days in a year, and who never drinks (fewer than 12 drinks in life, or never one)."""
    times = source.column("ALQ", "ALQ120Q")
    per_year = source.column("ALQ", "ALQ120U").map({1.0: 52.0, 2.0: 12.0, 3.0: 1.0})
    old = (times.where(times <= 366) * per_year).clip(upper=365).mask(times == 0, 0.0)
    new = source.column("ALQ", "ALQ121").map(_DRINK_DAYS)
    lifetime_none = (source.column("ALQ", "ALQ101") == 2) & (source.column("ALQ", "ALQ110") == 2)
    never = lifetime_none | (source.column("ALQ", "ALQ111") == 2)
    return old.where(old.notna(), new).mask(never, 0.0), never


def _conditions(source: _Source) -> pd.DataFrame:
    """Ever told by a doctor: 1 yes, 2 no. Borderline diabetes (3) counts as no."""
    conditions = {name: source.yes_no(table, column) for name, (table, column) in _CONDITIONS.items()}
    conditions["diabetes"] = conditions["diabetes"].mask(source.column("DIQ", "DIQ010") == 3, 0.0)
    lungs = pd.concat([source.yes_no("MCQ", f"MCQ160{letter}") for letter in "GKOP"], axis=1)
    return pd.DataFrame({**conditions, "copd": lungs.max(axis=1)})


def _utilisation(source: _Source) -> pd.DataFrame:
    old = source.column("HUQ", "HUQ050").map(_VISITS_OLD)
    place = source.column("HUQ", "HUQ030")
    return pd.DataFrame(
        {
            "visits_yr": old.where(old.notna(), source.column("HUQ", "HUQ051").map(_VISITS_NEW)).astype("float64"),
            "hosp_yr": source.yes_no("HUQ", "HUQ071"),
            "mh_visit_yr": source.yes_no("HUQ", "HUQ090"),
            "usual_place": place.map({1.0: 1.0, 2.0: 0.0, 3.0: 1.0}),
        }
    )


def _needs(source: _Source) -> pd.DataFrame:
    adult, household = source.column("FSQ", "FSDAD"), source.column("FSQ", "FSDHH")
    hours, hours_old = source.column("SLQ", "SLD012"), source.column("SLQ", "SLD010H")
    hours_old = hours_old.where(hours_old <= 24)
    health = source.column("HUQ", "HUQ010")
    # The question of the chart's code; before 2013 only the nearest is asked (decision 0115).
    concentrating, memory = source.yes_no("DLQ", "DLQ040"), source.yes_no("PFQ", "PFQ057")
    return pd.DataFrame(
        {
            "employed": source.column("OCQ", "OCD150").map({1.0: 1.0, 2.0: 1.0, 3.0: 0.0, 4.0: 0.0}),
            "food_insec": adult.where(adult.notna(), household),
            "difficulty_concentrating": concentrating.where(concentrating.notna(), memory),
            "sleep_hours": hours.where(hours <= 24).where(hours.notna(), hours_old),
            "gen_health": health.where(health.between(1, 5)),
        }
    )


def _questionnaire(source: _Source) -> pd.DataFrame:
    items = {name: source.column("DPQ", name) for name in PHQ_ITEMS}
    return pd.DataFrame({name: values.where(values.between(0, 3)) for name, values in items.items()})


def _labels(frame: pd.DataFrame) -> pd.DataFrame:
    """The PHQ-9 total, and each outcome as 0 or 1; missing where any of its items is."""
    labels = {"phq9": frame[list(PHQ_ITEMS)].sum(axis=1, skipna=False)}
    for spec in OUTCOME_SPECS.values():
        total = frame[list(spec.label_items)].sum(axis=1, skipna=False)
        labels[spec.outcome.value] = (total >= spec.label_from).astype("float64").where(total.notna())
    return pd.DataFrame(labels)


def _in_care(frame: pd.DataFrame) -> pd.Series:
    """1: an antidepressant or a mental-health visit in the last year. 0: neither, as far as was asked in that cycle."""
    signs = frame[[*ANTIDEPRESSANTS, "mh_visit_yr"]]
    return signs.max(axis=1)


_LABS = {
    "wbc": "LBXWBCSI",
    "hgb": "LBXHGB",
    "mcv": "LBXMCVSI",
    "rdw": "LBXRDW",
    "plt": "LBXPLTSI",
    "neut": "LBDNENO",
    "lymph": "LBDLYMNO",
    "hba1c": "LBXGH",
    "chol": "LBXTC",
    "hdl": "LBDHDD",
    "alt": "LBXSATSI",
    "ast": "LBXSASSI",
    "alp": "LBXSAPSI",
    "albumin": "LBXSAL",
    "bun": "LBXSBU",
    "co2": "LBXSC3SI",
    "creat": "LBXSCR",
    "ggt": "LBXSGTSI",
    "glucose": "LBXSGL",
    "iron": "LBXSIR",
    "na": "LBXSNASI",
    "k": "LBXSKSI",
    "ca": "LBXSCA",
    "bili": "LBXSTB",
    "tprot": "LBXSTP",
    "trig": "LBXSTR",
    "uric": "LBXSUA",
    "cl": "LBXSCLSI",
}
_DIFFICULTIES = {
    "hearing": "DLQ010",
    "seeing": "DLQ020",
    "walking": "DLQ050",
    "dressing": "DLQ060",
    "errands": "DLQ080",
}
_LIMITS = {"no_work": "PFQ049", "less_work": "PFQ051", "walking_aid": "PFQ054"}
LEFT_OUT: Mapping[str, tuple[str, ...]] = {
    "vital signs": ("bmi", "weight_kg", "height_cm", "pulse", "sbp", "dbp"),
    "marital status": ("marital3",),
    "insurance": ("ins_medicaid", "ins_private", "ins_medicare"),
    "heavy drinking ever": ("alc_heavy_ever",),
    "pregnancy": ("pregnant",),
    "urinary leakage": ("urine_leak",),
    "hearing, seeing, walking, dressing, errands": tuple(_DIFFICULTIES),
    "work or walking limited by health": tuple(_LIMITS),
    "days of pain": ("pain_days",),
    "education": ("educ5",),
    "income": ("pir",),
    "29 laboratory values": (*_LABS, "crp_mgL"),
}
"""What no model takes, by its label in a table: names of the feature map."""


def _left_out(source: _Source) -> pd.DataFrame:
    """Read only to measure what each would have added to an estimate (`validation`)."""

    def first(table: str, *names: str) -> pd.Series:
        values = source.column(table, names[0])
        for name in names[1:]:
            values = values.where(values.notna(), source.column(table, name))
        return values

    old, new = source.column("DEMO", "DMDMARTL"), source.column("DEMO", "DMDMARTZ")
    education = source.column("DEMO", "DMDEDUC2")
    heavy = first("ALQ", "ALQ151", "ALQ150")
    pain = source.column("HSQ", "HSQ493")
    return pd.DataFrame(
        {
            "marital3": old.map({1.0: 1, 6.0: 1, 2.0: 2, 3.0: 2, 4.0: 2, 5.0: 3}).where(
                old.notna(), new.where(new.between(1, 3))
            ),
            "educ5": education.where(education.between(1, 5)),
            "pregnant": source.column("DEMO", "RIDEXPRG").map({1.0: 1.0, 2.0: 0.0}),
            "urine_leak": (source.column("KIQ_U", "KIQ005") - 1).pipe(lambda leak: leak.where(leak.between(0, 4))),
            "alc_heavy_ever": heavy.map({1.0: 1.0, 2.0: 0.0}),
            **{name: source.yes_no("DLQ", column) for name, column in _DIFFICULTIES.items()},
            **{name: source.yes_no("PFQ", column) for name, column in _LIMITS.items()},
            "pain_days": pain.where(pain <= 30),
            "ins_private": _covered(source, "A").astype("float64"),
            "ins_medicare": _covered(source, "B").astype("float64"),
            "ins_medicaid": _covered(source, "D").astype("float64"),
        }
    )


def _labs(source: _Source) -> pd.DataFrame:
    """Laboratory values in the survey's own units, from whichever table has them."""
    labs = {name: source.anywhere(column) for name, column in _LABS.items()}
    old, new = source.column("CRP", "LBXCRP"), source.column("HSCRP", "LBXHSCRP")
    return pd.DataFrame({**labs, "crp_mgL": (old * 10).where(old.notna(), new)})


@cache
def drug_classes() -> dict[str, frozenset[str]]:
    """Drug class (a feature's name) -> its ingredients in capitals, from the code set shared with the FHIR reader."""
    classes: dict[str, set[str]] = {}
    for row in table("drug_classes"):
        classes.setdefault(row["class"], set()).add(row["ingredient"].upper())
    return {name: frozenset(ingredients) for name, ingredients in classes.items()}


def ingredients(generic_name: str) -> tuple[str, ...]:
    """Ingredients of a drug name in the survey; in `A; B OPHTHALMIC` the route holds for every ingredient."""
    parts = [part.strip() for part in generic_name.upper().split(";")]
    route = _ROUTE.search(generic_name.upper())
    if route is None:
        return tuple(parts)
    return tuple(part if _ROUTE.search(part) else f"{part} {route[0]}" for part in parts)


def _medicines(table: pd.DataFrame | None, adults: pd.Index) -> pd.DataFrame:
    """Number of medicines and one 0/1 column per drug class, of the past 30 days.

    Missing for people who were not asked or did not know, and the classes for whole cycles without drug names
    unless the person takes no medicine at all.
    """
    classes = drug_classes()
    frame = pd.DataFrame(np.nan, index=adults, columns=["n_rx", *classes], dtype="float64")
    if table is None:
        return frame
    table = table[table["SEQN"].isin(adults)]
    takes_any = _per_person(table, ("RXDUSE", "RXQ033"), adults)
    count = _per_person(table, ("RXDCOUNT", "RXQ050"), adults)
    frame["n_rx"] = count.where(count < 77).mask(takes_any == 2, 0.0)
    none = (takes_any == 2) | (frame["n_rx"] == 0)
    names = table.dropna(subset=["RXDDRUG"]) if "RXDDRUG" in table else table.iloc[0:0]
    named = adults.isin(names["SEQN"])
    for drug_class, members in classes.items():
        taken = adults.isin(names["SEQN"][_holds(names, members)]) if len(names) else np.zeros(len(adults), dtype=bool)
        frame.loc[named | none, drug_class] = taken[named | none].astype("float64")
    return frame


def _holds(names: pd.DataFrame, members: Iterable[str]) -> pd.Series:
    members = frozenset(members)
    hit = {name: not members.isdisjoint(ingredients(str(name))) for name in names["RXDDRUG"].unique()}
    return names["RXDDRUG"].map(hit).astype(bool)


def _per_person(table: pd.DataFrame, names: tuple[str, ...], adults: pd.Index) -> pd.Series:
    """The first known of these columns for each person; it is the same on all of their rows."""
    known = pd.Series(np.nan, index=adults, dtype="float64")
    for name in names:
        if name in table:
            values = pd.to_numeric(table[name], errors="coerce").groupby(table["SEQN"]).max()
            known = known.where(known.notna(), values.reindex(adults).astype("float64"))
    return known
