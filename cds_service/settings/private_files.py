"""Nobody else on the machine may read secrets and records, or change these, settings and models.

Access for everybody is a fault, which stops a start in production. Access for the file's group is only reported:
administrators give secrets to a service through a group, as Kubernetes does (docs/decisions/0032-private-files.md).
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from sqlalchemy import make_url

from cds_service.settings.files import is_file, referred_by, settings_files

EVERYBODY, GROUP = 0o006, 0o060
EVERYBODY_WRITES, GROUP_WRITES = 0o002, 0o020


def private_files(folder: Path, tls_key: Path | None, store: str) -> list[Path]:
    """The files that hold secrets or records: those that settings name, the database and all that begins with its name.

    store: its URL.
    """
    found = {secret for path in settings_files(folder) for secret in referred_by(path)}
    database = make_url(store).database if store.startswith("sqlite") else None
    if database:
        found.update(Path(database).parent.glob(f"{glob.escape(Path(database).name)}*"))
    return sorted(found | ({tls_key} if tls_key else set()))


def trusted_files(folder: Path, named: Iterable[Path | None], models: Path | None) -> list[Path]:
    """The files that decide who may call and what is said: the settings, public keys that they name, own models."""
    own = models.rglob("*") if models else ()
    return sorted(
        {
            folder / "service.toml",
            *settings_files(folder),
            *(path for path in (*named, *own) if path and is_file(path)),
        }
    )


def open_to_everybody(private: Iterable[Path], trusted: Iterable[Path]) -> Iterator[str]:
    """One message for each private file that everybody may read, and each file or folder that everybody may change."""
    for file, mode in _modes(private):
        if mode & EVERYBODY:
            yield (
                f"{file}: expected a file that others on this machine cannot read; found mode {mode:04o}; "
                f"run chmod o= {file}"
            )
    folders = _folders((*private, *trusted))
    above = {parent for folder in folders for parent in folder.parents} - folders
    changed = [*_modes(trusted), *_modes(sorted(folders))]
    # In a folder with the sticky bit, such as /tmp, nobody can move what belongs to another.
    changed += [(folder, mode) for folder, mode in _modes(sorted(above)) if not mode & stat.S_ISVTX]
    for path, mode in changed:
        if mode & EVERYBODY_WRITES and not _is_read_only(path):
            kind, found = "folder" if path.is_dir() else "file", f"{mode & 0o777:04o}"
            yield (
                f"{path}: expected a {kind} that others on this machine cannot change; "
                f"found mode {found}; run chmod o-w {path}"
            )


def open_to_a_group(private: Iterable[Path], trusted: Iterable[Path]) -> Iterator[str]:
    """The same for the members of a group, where not everybody may; folders above do not count."""
    for file, mode in _modes(private):
        if mode & GROUP and not mode & EVERYBODY:
            yield f"{file}: mode {mode:04o} lets its group read it; run chmod g= unless the service alone is in it"
    for path, mode in _modes((*trusted, *sorted(_folders((*private, *trusted))))):
        if mode & GROUP_WRITES and not mode & EVERYBODY_WRITES:
            found = f"{mode & 0o777:04o}"
            yield f"{path}: mode {found} lets its group change it; run chmod g-w unless you trust all who are in it"


def _folders(files: Iterable[Path]) -> set[Path]:
    """The folders that hold these files, and those that hold the targets of links."""
    return {path.parent.resolve() for file in files for path in (file, file.resolve())}


def _is_read_only(path: Path) -> bool:
    """Whether nobody can write there whatever the mode says, as where Kubernetes mounts settings."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _modes(paths: Iterable[Path]) -> Iterator[tuple[Path, int]]:
    """The permissions of those that exist, of a link's target; with the sticky bit."""
    for path in paths:
        try:
            yield path, path.stat().st_mode & (0o777 | stat.S_ISVTX)
        except OSError:
            continue
