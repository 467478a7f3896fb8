"""NSDUH (adults) and YRBS (students) as rows under the names of our inputs: to check transport, never to train.

`MATCHES` says of every column what it is to us: the same question, a near one, a label, or nothing. Race and
ethnicity, income, education, insurance and marital status are never read, nor are numbers of people. Codes are those
of SAMHSA's and CDC's code books, SAMHSA's read second-hand; the counts of the files agree with them. Rows must never
leave the machine they were read on. YRBS students are minors: their rows are for comparing factors, not for scoring.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
import pandas as pd

from models.errors import SurveyDataError
from models.inputs.feature_schema import FEATURES

NSDUH_2019, NSDUH_2023, YRBS = "NSDUH 2019-2020", "NSDUH 2023", "YRBS 2019"
FILES: Mapping[str, tuple[str, ...]] = {
    NSDUH_2019: ("nsduh_2019_*.parquet", "nsduh_2020_*.parquet"),
    NSDUH_2023: ("nsduh_2023_*.parquet",),
    YRBS: ("yrbs_hs_national_2019.parquet",),
}
"""Survey -> its files, anywhere below the folder given."""

THOUGHTS, EPISODE, K6 = "thoughts_yr", "episode_yr", "k6"
"""Labels: serious thoughts of suicide and a major depressive episode in the last year (0/1); K6 of 30 days (0-24)."""

K6_DISTRESS = "k6_13"
K6_FROM = 13
"""K6 of 13 or more: serious psychological distress, SAMHSA's own cut."""


class Fit(StrEnum):
    """How well a column matches one of our inputs."""

    SAME = "same"
    NEAR = "near"
    LABEL = "label"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What columns of a survey are to us.

    name: our input or label, or None. codes: code -> our raw value; other codes are missing. Of several rows for one
    name the first that gives a value counts.
    """

    survey: str
    columns: tuple[str, ...]
    name: str | None
    codes: Mapping[float, float] = field(default_factory=dict)
    fit: Fit
    note: str


def _as_is(first: int, last: int) -> dict[float, float]:
    return {float(n): float(n) for n in range(first, last + 1)}


AGE_BANDS: Mapping[str, Mapping[int, tuple[float, float]]] = {
    NSDUH_2019: {7: (18, 18), 8: (19, 19), 9: (20, 20), 10: (21, 21), 11: (22, 22.5), 12: (24, 24.5)},
    NSDUH_2023: {2: (18, 21.5), 3: (26, 30), 4: (35, 42), 5: (50, 57), 6: (65, 72.5)},
}
"""Code -> (lowest age, age used: the middle; of 65 and older the middle of 65 and 80, where our ages end)."""

_SEX = {1.0: 0.0, 2.0: 1.0}
_YES_NO = {1.0: 1.0, 2.0: 0.0}
_YES_ZERO = {1.0: 1.0, 0.0: 0.0}
_BETWEEN_MONTH_AND_YEAR = 6.0


def _ages(survey: str) -> dict[float, float]:
    return {float(code): used for code, (_, used) in AGE_BANDS[survey].items()}


def _match(survey: str, columns: str, name: str | None, fit: Fit, note: str, codes: Mapping[float, float]) -> Match:
    return Match(survey=survey, columns=tuple(columns.split()), name=name, codes=codes, fit=fit, note=note)


def _none(survey: str, columns: str, note: str) -> Match:
    return _match(survey, columns, None, Fit.NONE, note, {})


MATCHES: tuple[Match, ...] = (
    _match(
        NSDUH_2019, "AGE2", "age", Fit.SAME, "Years 18 to 21; 22-23 and 24-25 as their middle.", _ages(NSDUH_2019)
    ),
    _match(NSDUH_2019, "IRSEX", "female", Fit.SAME, "1 male, 2 female.", _SEX),
    _match(
        NSDUH_2019,
        "IRCIGFM",
        "smoke_status",
        Fit.NEAR,
        "Days smoked of the last 30: all is every day, fewer some days. NHANES: after 100 cigarettes in life.",
        {**{float(d): 2.0 for d in range(1, 30)}, 30.0: 3.0},
    ),
    _match(
        NSDUH_2019,
        "IRCIGRC",
        "smoke_status",
        Fit.NEAR,
        "Never is never; smoked, but not in the last 30 days, is former, even after one cigarette.",
        {9.0: 0.0, 2.0: 1.0, 3.0: 1.0, 4.0: 1.0},
    ),
    _match(
        NSDUH_2019,
        "IRALCFM",
        "alc_days_yr",
        Fit.NEAR,
        "Days drunk of the last 30, times 365 / 30: a month stands for the year.",
        {float(d): d * 365 / 30 for d in range(1, 31)},
    ),
    _match(
        NSDUH_2019,
        "IRALCRC",
        "alc_days_yr",
        Fit.NEAR,
        "Never, or not for 12 months, is 0 days; in the year but not the last 30 days is 6.",
        {9.0: 0.0, 3.0: 0.0, 2.0: _BETWEEN_MONTH_AND_YEAR},
    ),
    _match(NSDUH_2019, "MHSUITHK", THOUGHTS, Fit.LABEL, "Serious thoughts of killing oneself, last year.", _YES_ZERO),
    _match(NSDUH_2019, "AMDEYR", EPISODE, Fit.LABEL, "Major depressive episode, last year (DSM).", _YES_NO),
    _match(
        NSDUH_2019,
        "K6SCMON",
        K6,
        Fit.LABEL,
        "K6 of the last 30 days. Unanswered items count as 0, so only people who answered the question on thoughts.",
        _as_is(0, 24),
    ),
    _none(NSDUH_2019, "IRALCBNG30D", "Days with 4 or 5 drinks: not our average number of drinks on a drinking day."),
    _none(
        NSDUH_2019,
        "IRPNRNMREC IRSTMNMREC IRPNRNM30FQ IRSTMNM30FQ STMRSSTDY",
        "Misuse of pain relievers and stimulants: our inputs are medicines taken as prescribed.",
    ),
    _none(NSDUH_2019, "IRVAPNICREC", "Vaping: our smoking is cigarettes. 2020 only."),
    _none(NSDUH_2019, "IRMJRC IRCOCRC IRMJFM IRCOCFM", "Cannabis and cocaine: no such input."),
    _none(NSDUH_2019, "COLLENRLFT EDUSCHGRD2 IREDUHIGHST2", "Enrolment is not work; education is never an input."),
    _none(NSDUH_2019, "GOVTPROG INCOME", "Benefits are not food insecurity; income is never an input."),
    _none(
        NSDUH_2019,
        "ASDSHOM2 ASDSWRK2 ASDSREL2 ASDSSOC2",
        "Impairment by depression, asked only of people with an episode: part of a label.",
    ),
    _none(NSDUH_2019, "K6SCMAX SPDMON SPDYR MI_CAT_U", "Made from the K6 or from labels."),
    _none(NSDUH_2019, "FILEDATE QUESTID2", "No answer."),
    _match(NSDUH_2023, "CATAG6", "age", Fit.NEAR, "Bands as their middle; under 18 left out.", _ages(NSDUH_2023)),
    _match(NSDUH_2023, "IRSEX", "female", Fit.SAME, "1 male, 2 female.", _SEX),
    _match(
        NSDUH_2023,
        "IRALCFY",
        "alc_days_yr",
        Fit.SAME,
        "Days in the last year; never and not in the year are 0.",
        {**_as_is(1, 365), 991.0: 0.0, 993.0: 0.0},
    ),
    _match(
        NSDUH_2023,
        "IRWRKSTAT18",
        "employed",
        Fit.SAME,
        "Full or part time is work; unemployed and other are not.",
        {1.0: 1.0, 2.0: 1.0, 3.0: 0.0, 4.0: 0.0},
    ),
    _match(
        NSDUH_2023,
        "MHTRTPY",
        "mh_visit_yr",
        Fit.NEAR,
        "Any mental-health treatment in the year, medicines too; ours is a visit to a mental-health professional.",
        _YES_ZERO,
    ),
    _match(NSDUH_2023, "IRAMDEYR", EPISODE, Fit.LABEL, "Major depressive episode in the last year, adults.", _YES_ZERO),
    _none(NSDUH_2023, "KSSLR6YR", "K6 of the worst month, there for a third of adults only: a selected group."),
    _none(NSDUH_2023, "IRMHTPHVID TELEAPTYR", "Telehealth: part of our visits, not their number."),
    _none(NSDUH_2023, "IRSUTPHVID SUTRTPY IRPYUD5ALC IRPYUD5MRJ IRMJFY ILLYR", "Substance use: no such input."),
    _none(NSDUH_2023, "RSKCIGPKD RSKMRJWK", "What people think of risks, not what they smoke."),
    _none(NSDUH_2023, "NEWRACE2 IRMARIT IREDUHIGHST2 IRINSUR4 INCOME POVERTY3", "Never inputs."),
    _none(NSDUH_2023, "ANALWT2_C VESTR_C VEREP", "Design; our figures are unweighted on both sides (decision 0104)."),
    _match(YRBS, "Q2", "female", Fit.SAME, "1 female, 2 male.", _YES_NO),
    _match(
        YRBS, "QN32", "smoke_status", Fit.NEAR, "Any cigarette in the last 30 days.", {1.0: 2.0, 2.0: 0.0}
    ),
    _match(YRBS, "QN41", "alc_days_yr", Fit.NEAR, "Any drink in the last 30 days.", {1.0: 12.0, 2.0: 0.0}),
    _match(YRBS, "QN87", "asthma", Fit.SAME, "Ever told by a doctor or nurse.", _YES_NO),
    _match(
        YRBS,
        "Q88",
        "sleep_hours",
        Fit.NEAR,
        "Hours on a school night, 4 or fewer to 10 or more.",
        {float(code): code + 3.0 for code in range(1, 8)},
    ),
    _match(
        YRBS,
        "QN25",
        "DPQ020",
        Fit.NEAR,
        "Sad or hopeless for two weeks of the last year; ours is more than half the days of the last two weeks.",
        {1.0: 2.0, 2.0: 0.0},
    ),
    _match(YRBS, "QN26", THOUGHTS, Fit.LABEL, "Seriously considered attempting suicide, last year.", _YES_NO),
    _none(YRBS, "Q1 Q3", "Age and grade: outside the ages of our models."),
    _none(YRBS, "QN27 QN28 QN29", "Plans and attempts: nothing that our models estimate."),
    _none(YRBS, "QN33 QN42 QN43", "Heavy smoking and bingeing: not our inputs."),
    _none(YRBS, "QN98", "Lasting difficulty concentrating: not PHQ item 7, and half unanswered."),
    _none(YRBS, "QN78", "Physical activity: no such input."),
    _none(YRBS, "bmipct qnobese qnowt", "Vital signs are not inputs."),
    _none(YRBS, "raceeth Q4 Q5", "Never inputs."),
)  # fmt: skip
"""Columns of YRBS that are not named are on safety, violence, sex, drugs, diet and school: no such inputs."""


def shared_inputs(survey: str) -> tuple[str, ...]:
    """Names of our inputs that a survey asks about, in the order of FEATURES."""
    matched = {row.name for row in MATCHES if row.survey == survey}
    return tuple(spec.name for spec in FEATURES if spec.name in matched)


def other_surveys(folder: Path) -> dict[str, pd.DataFrame]:
    """Survey -> its people, for every survey found below the folder.

    Columns: our shared inputs in raw units and the survey's labels, float, NaN where missing; of NSDUH adults only.
    Raises SurveyDataError when there is none, or a file lacks a column.
    """
    found = {survey: paths for survey in FILES if (paths := _paths(folder, survey))}
    if not found:
        names = ", ".join(pattern for patterns in FILES.values() for pattern in patterns)
        raise SurveyDataError(
            expected=f"one of {names} below {folder}", found="none", remedy="give the folder that holds them"
        )
    frames = {
        survey: pd.concat([_people(survey, _raw(survey, path)) for path in paths]) for survey, paths in found.items()
    }
    return {survey: frame.reset_index(drop=True) for survey, frame in frames.items()}


def _paths(folder: Path, survey: str) -> list[Path]:
    return sorted(path for pattern in FILES[survey] for path in folder.rglob(pattern))


def _raw(survey: str, path: Path) -> pd.DataFrame:
    wanted = list(dict.fromkeys(c for row in MATCHES if row.survey == survey and row.name for c in row.columns))
    try:
        return pd.read_parquet(path, columns=wanted)
    except (OSError, ValueError) as error:
        raise SurveyDataError(
            expected=f"a parquet file with the columns {', '.join(wanted)}",
            found=f"{path.name}: {error}",
            remedy="fetch the file again",
        ) from error


def _people(survey: str, raw: pd.DataFrame) -> pd.DataFrame:
    """Rows in the survey's codes as rows under our names."""
    people: dict[str, pd.Series] = {}
    for row in MATCHES:
        if row.survey == survey and row.name:
            values = raw[row.columns[0]].astype("float64").round().map(row.codes)
            people[row.name] = people[row.name].combine_first(values) if row.name in people else values
    frame = pd.DataFrame(people).astype("float64")
    if K6 in frame:
        frame[K6] = frame[K6].where(frame[THOUGHTS].notna())
        frame[K6_DISTRESS] = (frame[K6] >= K6_FROM).astype("float64").where(frame[K6].notna())
    return frame[frame["age"].notna()] if survey in AGE_BANDS else frame


def banded_age(survey: str, age: pd.Series) -> pd.Series:
    """Ages in years as the survey would have recorded them; NaN below its lowest band."""
    lows, used = zip(*AGE_BANDS[survey].values(), strict=True)
    at = np.searchsorted(np.array(lows), age.to_numpy(), side="right") - 1
    return pd.Series(np.where(at < 0, np.nan, np.array(used)[np.maximum(at, 0)]), index=age.index)
