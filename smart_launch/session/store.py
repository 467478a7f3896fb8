"""The store that the app needs; implemented by `cds_service.storage.app_store`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """A row of the store. launch: its id. sealed: the encrypted session. ended: why it is over, else None.

    digest, browser: digests of the secrets in the two cookies. iss: the FHIR base.
    """

    digest: str
    launch: str
    browser: str
    iss: str
    sealed: bytes = field(repr=False)
    started: int
    used: int
    version: int
    ended: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingLaunch:
    """A launch that waits for its callback. sealed: the encrypted pending launch.

    digest, browser: digests of its state and of the secret in the browser's cookie. address: a pseudonym of the network
    address. expires: seconds since 1970.
    """

    digest: str
    browser: str
    address: str
    sealed: bytes = field(repr=False)
    expires: int


class AppStore(Protocol):
    """Every method is one transaction and may raise the store's own error."""

    def put_launch(self, launch: WaitingLaunch, now: int) -> bool:
        """Stores a launch; False if its address or browser has begun too many."""

    def take_launch(self, digest: str, now: int) -> bytes | None:
        """Returns a pending launch once; None if unknown, used or expired."""

    def put_session(self, stored: StoredSession) -> None:
        """Stores a new session; the browser's others end, and their sealed content is deleted."""

    def session(self, launch: str) -> StoredSession | None:
        """The session of a launch."""

    def use_session(self, launch: str, now: int) -> None:
        """Notes when a session was last used."""

    def change_session(self, launch: str, sealed: bytes, version: int) -> bool:
        """Replaces version - 1 of a session. False if another request has done so or the session is over."""

    def end_session(self, launch: str, reason: str) -> None:
        """Ends one session."""

    def claim(self, submission_id: str, launch: str, now: int) -> bool:
        """Claims a submission; False if it was claimed before."""

    def release(self, submission_id: str) -> None:
        """Releases an unused claim."""

    def note_written(self, submission_id: str, slot: str, reference: str) -> None:
        """Notes that one resource of a submission is in the chart."""

    def written(self, submission_id: str) -> dict[str, str]:
        """Slot -> reference of what is already in the chart."""

    def record(self, at: str, event: Mapping[str, object]) -> None:
        """Appends one audit event: who saw or did what; pseudonyms only."""
