"""Writes SAS transport files (version 5), the form in which CDC publishes NHANES, so that tests can read some.

Follows SAS technical note TS-140: 80-byte records, numbers as IBM floating point.
"""

import math
import struct
from pathlib import Path

import pandas as pd

_STAMP = b"23NOV26:00:00:00"


def write_xport(path: Path, name: str, frame: pd.DataFrame) -> None:
    columns = [(column, _is_text(frame[column])) for column in frame.columns]
    widths = [_width(frame[column]) if text else 8 for column, text in columns]
    body = b"".join(_row(row, columns, widths) for row in frame.itertuples(index=False))
    path.write_bytes(
        _header("LIBRARY")
        + _record(b"SAS     SAS     SASLIB  9.4     LINUX   ", tail=_STAMP)
        + _record(_STAMP)
        + _header("MEMBER ", b"000000000000000001600000000140  ")
        + _header("DSCRPTR")
        + _record(b"SAS     " + f"{name:<8}".encode() + b"SASDATA 9.4     LINUX   ", tail=_STAMP)
        + _record(_STAMP)
        + _header("NAMESTR", f"000000{len(columns):04d}00000000000000000000  ".encode())
        + _padded(b"".join(_namestr(i, column, widths) for i, column in enumerate(columns)), b"\0")
        + _header("OBS    ")
        + _padded(body, b" ")
    )


def _header(kind: str, numbers: bytes = b"0" * 30 + b"  ") -> bytes:
    return b"HEADER RECORD*******" + f"{kind} HEADER RECORD!!!!!!!".encode() + numbers


def _record(start: bytes, tail: bytes = b"") -> bytes:
    return start.ljust(80 - len(tail)) + tail


def _padded(content: bytes, filler: bytes) -> bytes:
    return content + filler * (-len(content) % 80)


def _namestr(index: int, column: tuple[str, bool], widths: list[int]) -> bytes:
    name, text = column
    start = struct.pack(">hhhh", 2 if text else 1, 0, widths[index], index + 1)
    return (
        (start + f"{name:<8}{'':<40}".encode()).ljust(84, b"\0") + struct.pack(">l", sum(widths[:index])) + b"\0" * 52
    )


def _row(row: tuple[object, ...], columns: list[tuple[str, bool]], widths: list[int]) -> bytes:
    cells = zip(row, columns, widths, strict=True)
    return b"".join(_text(v, width) if text else _ibm_float(float(v)) for v, (_, text), width in cells)


def _is_text(values: pd.Series) -> bool:
    return not pd.api.types.is_numeric_dtype(values)


def _width(values: pd.Series) -> int:
    return max(8, int(values.fillna("").str.len().max()))


def _text(value: object, width: int) -> bytes:
    return ("" if pd.isna(value) else str(value)).encode("latin-1").ljust(width)


def _ibm_float(value: float) -> bytes:
    if math.isnan(value):
        return b"." + b"\0" * 7
    if value == 0:
        return b"\0" * 8
    sign, value, exponent = (0x80 if value < 0 else 0), abs(value), 64
    while value >= 1:
        value, exponent = value / 16, exponent + 1
    while value < 1 / 16:
        value, exponent = value * 16, exponent - 1
    return bytes([sign | exponent]) + int(value * 2**56).to_bytes(7, "big")
