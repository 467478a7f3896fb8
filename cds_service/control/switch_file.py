"""`switch.toml` beside the configuration: switches that work while the store cannot be written.

Every worker looks at the file at each call. An entry that is not exactly as expected switches nothing off, but then no
model speaks at all: somebody meant to stop something. The rules go on.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from cds_service.control.acts import ActDone, Actor, SwitchRow, check
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
    at = raw.at or written
    row = SwitchRow(
        id=f"file-{place}",
        target=raw.target,
        at=at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC),
        state="off",
        by=raw.by or SWITCHES,
        reason=raw.reason,
        confirmed_by=raw.confirmed_by,
        file=True,
    )
    _check(row, known)
    return row


def _check(row: SwitchRow, known: Known) -> None:
    """Raises ActRefused for what does not exist, and for a topic about safety without a second person."""
    known.check(row.target)
    if row.target.topic in TWO_PEOPLE and (not row.confirmed_by.strip() or Actor(row.by, "").is_same(row.confirmed_by)):
        raise ActRefused(f"topic {row.target.topic}: expected confirmed_by, a person other than by; found none")


def file_off(path: Path, row: SwitchRow, known: Known) -> ActDone:
    """Puts an entry into the file. Raises ActRefused."""
    check(Actor(row.by, ""), row.reason)
    _check(row, known)
    with _alone(path):
        rows = _good_rows(path, known)
        there = next((one for one in rows if one.target == row.target), None)
        if there is not None:
            return ActDone(done=False, said=f"Nothing changed: in {path}, {row.target.words} is {there.words}.")
        write_switches(path, (*rows, row))
    return ActDone(done=True, said=f"Switched off from the next call on, by {path}: {row.target.words}.")


def file_on(path: Path, target: SwitchTarget, known: Known) -> SwitchRow | None:
    """Takes an entry out of the file, and returns it; None where there is none. Raises ActRefused."""
    rows, _ = read_switches(path, known)
    if not any(row.target == target for row in rows):
        return None
    with _alone(path):
        rows = _good_rows(path, known)
        there = next((row for row in rows if row.target == target), None)
        if there is not None:
            write_switches(path, [row for row in rows if row != there])
    return there


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Of two people at once the second waits, so that neither entry is lost. Raises ActRefused."""
    try:
        folder = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise ActRefused(f"{path}: cannot be written ({error.strerror}); nothing changed") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _good_rows(path: Path, known: Known) -> tuple[SwitchRow, ...]:
    rows, problems = read_switches(path, known)
    if problems:
        raise ActRefused(f"{'; '.join(problems)}. Mend the file by hand, or delete it: until then no model speaks")
    return rows


def write_switches(path: Path, rows: Sequence[SwitchRow]) -> None:
    """Writes the file, whole or not at all; without rows it goes. Raises ActRefused."""
    lines = ["# What is switched off while the store cannot be written. mhcds switch on takes an entry out."]
    for row in rows:
        values = {**asdict(row.target), "by": row.by, "confirmed_by": row.confirmed_by, "reason": row.reason}
        values["model"] = values.pop("outcome")
        lines += ["", "[[off]]", *(f"{name} = {json.dumps(value)}" for name, value in values.items() if value)]
        lines.append(f"at = {row.at.isoformat()}")
    beside = path.with_name(f".{path.name}.new")
    try:
        if not rows:
            path.unlink(missing_ok=True)
            return
        with beside.open("w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            os.fsync(file.fileno())
        beside.chmod(0o644)  # whoever acts, the service reads it
        beside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    except OSError as error:
        raise ActRefused(f"{path}: cannot be written ({error.strerror}); nothing changed") from error


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
            try:
                found = read_switches(self._path, self._known())
            except Exception as error:  # noqa: BLE001  # whatever is wrong with it, the rules must answer
                found = (), (f"{self._path}: cannot be checked ({type(error).__name__})",)
            self._found, self._seen = found, seen
            event = {"event": "switch-file-read", "off": [row.target.words for row in found[0]], "problems": found[1]}
            log.error(json.dumps(event))
        return self._found
