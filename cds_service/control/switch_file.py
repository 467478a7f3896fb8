"""`switch.toml` beside the configuration: switches that work while the store cannot be written.

Every worker looks at the file at each call. An entry that is not exactly as expected switches nothing off, but then no
model speaks at all: somebody meant to stop something. The rules go on.
"""

from __future__ import annotations

import json
import logging
import os
import tomllib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from cds_service.control.acts import Actor, SwitchRow
from cds_service.control.refused import ActRefused
from cds_service.control.targets import TWO_PEOPLE, Known, SwitchTarget
from cds_service.settings.files import SWITCHES
from cds_service.settings.shapes import numbered

log = logging.getLogger("mhcds")
NOTHING: tuple[tuple[SwitchRow, ...], tuple[str, ...]] = ((), ())


class OffTable(msgspec.Struct, forbid_unknown_fields=True):
    """`[[off]]`. What is not named stands for all."""

    site: str = ""
    service: str = ""
    model: str = ""
    topic: str = ""
    by: str = ""
    confirmed_by: str = ""
    reason: str = ""
    at: datetime | None = None

    @property
    def target(self) -> SwitchTarget:
        """What it turns off."""
        return SwitchTarget(site=self.site, service=self.service, outcome=self.model, topic=self.topic)


def read_switches(path: Path, known: Known) -> tuple[tuple[SwitchRow, ...], tuple[str, ...]]:
    """What the file switches off, and each problem with it; neither where there is no file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except FileNotFoundError:
        return NOTHING
    except (OSError, UnicodeDecodeError) as error:
        return (), (f"{path}: cannot be read as text ({type(error).__name__})",)
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError):
        return (), (f"{path}: expected TOML with tables [[off]]; found something else",)
    entries = values.pop("off", [])
    problems = [f"{path}: expected tables [[off]] alone; found {', '.join(sorted(values))[:80]}"] if values else []
    if not isinstance(entries, list):
        return (), (*problems, f"{path}: expected tables [[off]]; found another value of that name")
    rows = []
    for place, entry in enumerate(entries):
        try:
            rows.append(_row(msgspec.convert(entry, OffTable), known, place, written))
        except (msgspec.ValidationError, ActRefused) as error:
            problems.append(f"{path}: {numbered('[[off]]', place, len(entries))}: {error}")
    return tuple(rows), tuple(problems)


def _row(raw: OffTable, known: Known, place: int, written: datetime) -> SwitchRow:
    known.check(raw.target)
    by = raw.by or SWITCHES
    if raw.topic in TWO_PEOPLE and (not raw.confirmed_by.strip() or Actor(by, "file").is_same(raw.confirmed_by)):
        raise ActRefused(f"topic {raw.topic}: expected confirmed_by, a person other than by; found none")
    at = raw.at or written
    return SwitchRow(
        id=f"file-{place}",
        target=raw.target,
        at=at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC),
        state="off",
        by=by,
        reason=raw.reason,
        confirmed_by=raw.confirmed_by,
        file=True,
    )


def write_switches(path: Path, rows: Sequence[SwitchRow]) -> None:
    """Writes the file, whole or not at all; without rows it goes. Raises OSError."""
    if not rows:
        path.unlink(missing_ok=True)
        return
    tables = [
        {
            "site": row.target.site,
            "service": row.target.service,
            "model": row.target.outcome,
            "topic": row.target.topic,
            "by": row.by,
            "confirmed_by": row.confirmed_by,
            "reason": row.reason,
        }
        | {"at": row.at}
        for row in rows
    ]
    lines = ["# What is switched off while the store cannot be written. mhcds switch on takes an entry out."]
    for table in tables:
        lines += ["", "[[off]]", *(f"{name} = {_toml(value)}" for name, value in table.items() if value)]
    beside = path.with_name(f".{path.name}.new")
    with beside.open("w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        os.fsync(file.fileno())
    beside.chmod(0o644)
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _toml(value: str | datetime) -> str:
    return value.isoformat() if isinstance(value, datetime) else json.dumps(value)


class SwitchFile:
    """The file as it is at this moment, read again whenever it changed. path: None where there is no configuration."""

    def __init__(self, path: Path | None, known: Callable[[], Known]) -> None:
        self._path, self._known = path, known
        self._seen: object = None
        self._found = NOTHING

    def __call__(self) -> tuple[tuple[SwitchRow, ...], tuple[str, ...]]:
        """What it switches off, and its problems."""
        if self._path is None:
            return NOTHING
        try:
            now = self._path.stat()
            seen: object = (now.st_mtime_ns, now.st_size, now.st_ino)
        except FileNotFoundError:
            seen = None
        except OSError as error:
            seen = error.errno
        if seen != self._seen:
            found = read_switches(self._path, self._known())
            self._found, self._seen = found, seen
            event = {"event": "switch-file-read", "off": [row.target.words for row in found[0]], "problems": found[1]}
            log.error(json.dumps(event))
        return self._found
