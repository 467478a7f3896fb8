"""NHANES tables as CDC publishes them, or as parquet with the cycles stacked, into one table per component.

Reads `DIR/raw/*.parquet` or `DIR/*.parquet` (columns SEQN and, where the cycles are stacked, CYCLE) and CDC's own SAS
transport files (`DEMO_D.XPT`, `DEMO_J.xpt`, `P_DEMO.XPT` ...) anywhere below DIR. Column names become upper case.
Absent components are left out. Training and evaluation only: needs pandas and pyarrow.
Does not interpret a value; `nhanes` does.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from models.errors import SurveyDataError
from models.inputs.outcomes import PHQ_ITEMS

COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "DEMO": ("SDDSRVYR", "RIDAGEYR", "RIAGENDR", "RIDRETH1", "INDFMPIR", "WTMEC2YR", "WTMECPRP"),
    "DPQ": PHQ_ITEMS,
    "BMX": ("BMXBMI", "BMXWT", "BMXHT"),
    "BPX": ("BPXPLS", *(f"BPX{kind}{n}" for kind in ("SY", "DI") for n in range(1, 5))),
    "BPXO": tuple(f"BPXO{kind}{n}" for kind in ("SY", "DI", "PLS") for n in range(1, 4)),
    "SMQ": ("SMQ020", "SMQ040"),
    "ALQ": ("ALQ101", "ALQ110", "ALQ111", "ALQ120Q", "ALQ120U", "ALQ121", "ALQ130"),
    "MCQ": ("MCQ010", "MCQ053", "MCQ220", *(f"MCQ160{letter}" for letter in "ABCDEFGKLMOP")),
    "DIQ": ("DIQ010",),
    "BPQ": ("BPQ020", "BPQ080"),
    "KIQ_U": ("KIQ022",),
    "SLQ": ("SLQ050", "SLD010H", "SLD012"),
    "HUQ": ("HUQ010", "HUQ030", "HUQ050", "HUQ051", "HUQ071", "HUQ090"),
    "RXQ_RX": ("RXDUSE", "RXQ033", "RXDDRUG", "RXDCOUNT", "RXQ050"),
    "OCQ": ("OCD150",),
    "FSQ": ("FSDAD", "FSDHH"),
    "DLQ": ("DLQ040",),
    "PFQ": ("PFQ057",),
    "HIQ": ("HIQ011", *(f"HIQ03{n}{letter}" for n in (1, 2) for letter in "ABD")),
}
"""The components for models and audits, and the columns read from each. Only SEQN is required."""

LEFT_OUT_COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "DEMO": ("DMDMARTL", "DMDMARTZ", "DMDEDUC2", "RIDEXPRG"),
    "ALQ": ("ALQ150", "ALQ151"),
    "KIQ_U": ("KIQ005",),
    "DLQ": ("DLQ010", "DLQ020", "DLQ050", "DLQ060", "DLQ080"),
    "PFQ": ("PFQ049", "PFQ051", "PFQ054"),
    "HSQ": ("HSQ493",),
    "CBC": ("LBXWBCSI", "LBXHGB", "LBXMCVSI", "LBXRDW", "LBXPLTSI", "LBDNENO", "LBDLYMNO"),
    "GHB": ("LBXGH",),
    "TCHOL": ("LBXTC",),
    "HDL": ("LBDHDD",),
    "BIOPRO": (
        *("LBXSATSI", "LBXSASSI", "LBXSAPSI", "LBXSAL", "LBXSBU", "LBXSC3SI", "LBXSCR", "LBXSGTSI", "LBXSGL", "LBXSIR"),
        *("LBXSNASI", "LBXSKSI", "LBXSCA", "LBXSTB", "LBXSTP", "LBXSTR", "LBXSUA", "LBXSCLSI"),
    ),
    "CRP": ("LBXCRP",),
    "HSCRP": ("LBXHSCRP",),
}
"""What no model takes: read only in training, to measure what it would have added."""

CYCLES_BY_LETTER = {
    "D": "2005-2006",
    "E": "2007-2008",
    "F": "2009-2010",
    "G": "2011-2012",
    "H": "2013-2014",
    "I": "2015-2016",
    "J": "2017-2018",
    "L": "2021-2023",
}
"""CDC's letter at the end of a table's name -> cycle. K (2019-2020) was published only inside the P_ tables."""

PRE_PANDEMIC = "2017-2020"
"""CDC's P_ tables: 2017 to March 2020. They hold the people of 2017-2018 again, under other SEQN."""


def holds_2017_2018_again(cycle: str) -> bool:
    """Whether a cycle, under any label in use ("2017-2020", "2017-March 2020"), is CDC's 2017 to March 2020."""
    return cycle.startswith("2017") and "2020" in cycle


_NAME = re.compile(r"^(?P<early>P_)?(?P<component>[A-Z]+(?:_U|_RX)?)(?:_(?P<letter>[A-Z]))?$")


def read_tables(folder: Path, *, left_out: bool = False) -> dict[str, pd.DataFrame]:
    """Component -> its rows of all cycles, with SEQN, CYCLE (may be missing outside DEMO) and the columns found.

    left_out: also what no model takes. Raises SurveyDataError when the folder, or the DEMO or DPQ table or all of its
    columns, is missing, or a file cannot be read.
    """
    columns = columns_wanted(left_out=left_out)
    files = table_files(folder, columns)
    for needed in ("DEMO", "DPQ"):
        if needed not in files:
            raise SurveyDataError(
                expected=f"NHANES tables with {needed} among them (parquet in raw/, or CDC's XPT files)",
                found=f"no {needed} table in {folder}",
                remedy="see docs/training.md for the list of files and where CDC publishes them",
            )
    tables = {component: _stacked(component, paths, columns[component]) for component, paths in files.items()}
    for needed in ("DEMO", "DPQ"):
        if not set(tables[needed]) & set(COMPONENTS[needed]):
            raise SurveyDataError(
                expected=f"columns {', '.join(COMPONENTS[needed][:3])} ... in {needed}",
                found=f"none of them in {', '.join(path.name for path in files[needed])}",
                remedy="fetch the table again from CDC",
            )
    return tables


def columns_wanted(*, left_out: bool) -> dict[str, tuple[str, ...]]:
    """Component -> the columns read from it."""
    extra = LEFT_OUT_COMPONENTS if left_out else {}
    names = [*COMPONENTS, *(name for name in extra if name not in COMPONENTS)]
    return {name: (*COMPONENTS.get(name, ()), *extra.get(name, ())) for name in names}


def table_files(folder: Path, components: Iterable[str] = tuple(COMPONENTS)) -> dict[str, list[Path]]:
    """Component -> its files, in a stable order.

    Raises SurveyDataError when the folder is missing, or the letter of a transport file is of no known cycle.
    """
    components = tuple(components)
    if not folder.is_dir():
        raise SurveyDataError(
            expected="a folder of NHANES tables", found=f"no folder {folder}", remedy="give the folder with --nhanes"
        )
    parquet = sorted([*folder.glob("raw/*.parquet"), *folder.glob("*.parquet")])
    transport = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".xpt")
    files: dict[str, list[Path]] = {}
    for path in [*parquet, *transport]:
        component, cycle = _component_and_cycle(path)
        if component not in components:
            continue
        if cycle is None and path.suffix != ".parquet":
            raise SurveyDataError(
                expected=f"a letter of a known cycle ({', '.join(CYCLES_BY_LETTER)}) or P_ in the name of a table",
                found=path.name,
                remedy="give the file CDC's own name, or take it away",
            )
        files.setdefault(component, []).append(path)
    return {component: files[component] for component in components if component in files}


def checksums(folder: Path) -> dict[str, str]:
    """Name of each table file that is read (below the folder) -> its SHA-256."""
    paths = sorted(path for paths in table_files(folder).values() for path in paths)
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def _component_and_cycle(path: Path) -> tuple[str, str | None]:
    match = _NAME.match(path.stem.upper())
    if match is None:
        return path.stem.upper(), None
    return match["component"], PRE_PANDEMIC if match["early"] else CYCLES_BY_LETTER.get(match["letter"] or "")


def _stacked(component: str, paths: list[Path], columns: tuple[str, ...]) -> pd.DataFrame:
    tables = [_table(path, columns) for path in paths]
    stacked = pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]
    # A cycle may be there twice, as parquet and as XPT; only medicines have several rows for one person.
    return stacked if component == "RXQ_RX" else stacked.drop_duplicates("SEQN", ignore_index=True)


def _table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    names = {"SEQN", "CYCLE", "SRC_TABLE", *columns}
    try:
        frame = _parquet(path, names) if path.suffix == ".parquet" else _transport(path, names)
    except (OSError, ValueError, UserWarning, pa.ArrowException) as error:
        raise SurveyDataError(
            expected="a readable parquet or SAS transport file",
            found=f"{path.name}: {error}",
            remedy="fetch the file again",
        ) from error
    if "SEQN" not in frame or frame["SEQN"].isna().any() or frame.empty:
        raise SurveyDataError(
            expected="rows, each with a number in the column SEQN",
            found=f"none, or gaps, in {path.name}",
            remedy="fetch the table again from CDC",
        )
    frame["SEQN"] = frame["SEQN"].astype("int64")
    _, cycle = _component_and_cycle(path)
    if "CYCLE" not in frame and cycle is not None:
        frame["CYCLE"] = cycle
    elif "CYCLE" not in frame and "SRC_TABLE" in frame:
        frame["CYCLE"] = [_component_and_cycle(Path(str(name)))[1] for name in frame["SRC_TABLE"]]
    return frame.drop(columns="SRC_TABLE", errors="ignore")


def _parquet(path: Path, names: set[str]) -> pd.DataFrame:
    present = [name for name in pq.read_schema(path).names if name.upper() in names]
    frame = pq.read_table(path, columns=present).to_pandas()
    return frame.rename(columns=str.upper)


def _transport(path: Path, names: set[str]) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # pandas warns of possibly damaged files
        with pd.read_sas(path, format="xport", encoding="latin-1", iterator=True) as reader:
            # pandas mistakes blank texts in the last record for padding and drops the record.
            reader.nobs = _records(path, reader.record_start, reader.record_length)
            frame = reader.read().rename(columns=str.upper)
    frame = frame[[name for name in frame.columns if name in names]].copy()
    numbers = frame.select_dtypes("number").columns
    # pandas reads the zero of a SAS transport file as 5.4e-79.
    frame[numbers] = frame[numbers].mask(frame[numbers].abs() < 1e-70, 0.0)
    if "RXDDRUG" in frame:
        drug = frame["RXDDRUG"].astype("string").str.strip()
        frame["RXDDRUG"] = drug.mask(drug == "")
    return frame


def _records(path: Path, start: int, length: int) -> int:
    """Number of records in a transport file, which is padded with blanks to a multiple of 80 bytes."""
    body = path.read_bytes()[start:]
    count = len(body) // length
    if len(body) % 80 or body[count * length :].strip():
        raise ValueError("the file ends in the middle of a record")
    while count and not body[(count - 1) * length : count * length].strip():
        count -= 1
    return count
