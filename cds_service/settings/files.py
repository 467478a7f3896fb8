"""TOML files into typed tables. Unknown keys are refused; every problem names file, key and remedy."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)


def read_toml(path: Path, shape: type[T], problems: list[str]) -> T | None:
    """The file as a table of that shape; None when a problem was appended."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=shape)
    except OSError as error:
        problems.append(f"{path}: cannot be read ({error.strerror})")
    except UnicodeDecodeError:
        problems.append(f"{path}: expected UTF-8 text; save the file as UTF-8")
    except msgspec.ValidationError as error:
        keys = ", ".join(field.encode_name for field in msgspec.structs.fields(shape))
        problems.append(f"{path}: {error}; known keys: {keys}")
    except msgspec.DecodeError as error:
        problems.append(f"{path}: is not valid TOML: {error}")
    return None


def settings_files(folder: Path) -> list[Path]:
    """All files of settings in a folder."""
    return sorted((*folder.glob("*.toml"), *folder.glob("sites/*")))


def referred_by(path: Path) -> Iterator[Path]:
    """The files referenced by `{ file = "..." }` in a settings file; none if it cannot be read."""
    try:
        values: list[object] = [tomllib.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError):
        return
    while values:
        value = values.pop()
        if isinstance(value, dict):
            if isinstance(value.get("file"), str):
                yield path.parent / value["file"]
            values += value.values()
        elif isinstance(value, list):
            values += value
