"""TOML files into typed tables; every problem names file, key and remedy."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from cds_service.settings.shapes import Shape, table
from cds_service.settings.toml_faults import toml_values

T = TypeVar("T", bound=msgspec.Struct)
NONE: dict[str, Shape] = {}
# What is switched off (`control.switch_file`): trusted as the settings are, but none of them.
SWITCHES = "switch.toml"


def read_toml(path: Path, shape: type[T], problems: list[str], elsewhere: Mapping[str, Shape] = NONE) -> T | None:
    """The file as a table of that shape, without what cannot be used; None when nothing can. Problems are appended.

    elsewhere: the name of another file -> its shape, for keys that were written into the wrong one.
    """
    try:
        values, faults = toml_values(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        problems.append(f"{path}: cannot be read ({error.strerror})")
        return None
    except UnicodeDecodeError:
        problems.append(f"{path}: expected UTF-8 text; save the file as UTF-8")
        return None
    read, wrong = (None, []) if values is None else table(shape, values, elsewhere)
    problems += [f"{path}: {problem}" for problem in (*faults, *wrong)]
    return read


def is_file(path: Path) -> bool:
    """Whether there is such a file; also no for a name that is too long."""
    try:
        return path.is_file()
    except OSError:
        return False


def settings_files(folder: Path) -> list[Path]:
    """All files of settings in a folder."""
    groups = ("*.toml", "sites/*", "approvals/*", "trials/*", "translations/*")
    return sorted(path for group in groups for path in folder.glob(group))


def files_digest(folder: Path) -> str:
    """SHA-256 of the names and contents of all files of settings, in hex."""
    found = hashlib.sha256()
    for path in settings_files(folder):
        found.update(f"{path.relative_to(folder)}\0".encode())
        with suppress(OSError):
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def referred_by(path: Path) -> Iterator[Path]:
    """The files referenced by `{ file = "..." }` in a settings file; none if it cannot be read."""
    try:
        values: list[object] = [tomllib.loads(path.read_text(encoding="utf-8-sig"))]
    except (OSError, ValueError, RecursionError):
        return
    while values:
        value = values.pop()
        if isinstance(value, dict):
            if isinstance(value.get("file"), str) and "\0" not in value["file"]:
                yield path.parent / value["file"]
            values += value.values()
        elif isinstance(value, list):
            values += value
