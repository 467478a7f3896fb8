"""The deployment's own secret: pseudonyms of patients and of all that may name one, and sealed free text.

One Fernet key (32 random bytes, URL-safe base64). Pseudonyms are keyed hashes, so that a copy of the store without the
key identifies nobody; clinicians' comments are encrypted with it. Losing the key loses the comments.
"""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from cryptography.fernet import Fernet

from cds_service.errors import ConfigError

HOW = "expected a Fernet key (32 bytes in URL-safe base64), as `mhcds db new-key` prints"


@dataclass(frozen=True, slots=True)
class DataKey:
    """Raises ConfigError when the text is not a key."""

    text: str = field(repr=False)

    def __post_init__(self) -> None:
        try:
            Fernet(self.text)
        except ValueError as error:
            raise ConfigError(f"data_key: {HOW}") from error

    def pseudonym(self, site: str, identifier: str) -> str:
        """The same 32 hex digits for the same id (or code) at a site; they reveal nothing about it."""
        return hmac.digest(self.derived(b"pseudonym"), f"{site}\0{identifier}".encode(), "sha256").hex()[:32]

    def derived(self, purpose: bytes) -> bytes:
        """A separate key for one purpose."""
        return _derived(self.text, purpose)

    def seal(self, text: str) -> bytes:
        """Encrypted and authenticated."""
        return Fernet(self.text).encrypt(text.encode())

    def unseal(self, sealed: bytes) -> str:
        """Raises cryptography.fernet.InvalidToken when it was sealed with another key."""
        return Fernet(self.text).decrypt(sealed).decode()


@lru_cache(maxsize=64)
def _derived(text: str, purpose: bytes) -> bytes:
    """Kept, since every call names several pseudonyms."""
    return hmac.digest(base64.urlsafe_b64decode(text), purpose, "sha256")


def new_key() -> DataKey:
    """A fresh random key."""
    return DataKey(Fernet.generate_key().decode())


def text_beside(database: Path, suffix: str, make: Callable[[], str]) -> str:
    """The text of the file beside a SQLite database, created at first use, readable by its owner only.

    Raises ConfigError when it cannot be read or written.
    """
    path = database.with_name(f"{database.name}.{suffix}")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror}); name one in service.toml") from error
    else:
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(make())
                file.flush()
                os.fsync(descriptor)
        except OSError as error:
            path.unlink()  # an empty key would stop every later start
            raise ConfigError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read; restore it from a backup") from error


def key_beside(database: Path) -> DataKey:
    """The key in the file beside a SQLite database, created at first use.

    Raises ConfigError when it cannot be read, written or used.
    """
    text = text_beside(database, "key", lambda: new_key().text)
    try:
        return DataKey(text)
    except ConfigError as error:
        raise ConfigError(f"{database.with_name(f'{database.name}.key')}: {HOW}") from error
