"""Files that nobody else on the machine may read: secrets, private keys, a SQLite database and what lies beside it.

Access for everybody is a fault, which stops a start in production. Access for the file's group is only reported:
administrators give secrets to a service through a group, as Kubernetes does (docs/decisions/0032-private-files.md).
"""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import make_url

from cds_service.settings.files import referred_by, settings_files

EVERYBODY, GROUP = 0o006, 0o060


def private_files(folder: Path, tls_key: Path | None, store: str) -> list[Path]:
    """The files that hold secrets or records: those that settings name, the database and all that begins with its name.

    store: its URL.
    """
    found = {secret for path in settings_files(folder) for secret in referred_by(path)}
    database = make_url(store).database if store.startswith("sqlite") else None
    if database:
        found.update(Path(database).parent.glob(f"{glob.escape(Path(database).name)}*"))
    return sorted(found | ({tls_key} if tls_key else set()))


def open_to_everybody(files: list[Path]) -> Iterator[str]:
    """One message for each file that everybody may read or write: file, what was found, remedy."""
    for file, mode in _modes(files):
        if mode & EVERYBODY:
            yield (
                f"{file}: expected a file that others on this machine cannot read; found mode {mode:04o}; "
                f"run chmod o= {file}"
            )


def open_to_a_group(files: list[Path]) -> Iterator[str]:
    """One message for each file that the members of its group may read or write, and nobody else."""
    for file, mode in _modes(files):
        if mode & GROUP and not mode & EVERYBODY:
            yield f"{file}: mode {mode:04o} lets its group read it; run chmod g= unless the service alone is in it"


def _modes(files: list[Path]) -> Iterator[tuple[Path, int]]:
    """The permissions of those that exist, of a link's target."""
    for file in files:
        try:
            yield file, file.stat().st_mode & 0o777
        except OSError:
            continue
