"""What the app asks of a store; `cds_service.storage.app_store` is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """A row of the store. launch: its id. `sealed` is the session, encrypted; `ended` says why it is over, else None.

    digest, browser: of the secrets in the browser's two cookies. iss: the FHIR base.
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


class AppStore(Protocol):
    """What the app stores. Every method is one transaction and may raise the store's own error."""

    def put_launch(self, digest: str, sealed: bytes, expires: int, now: int) -> None:
        """Stores a launch that waits for its callback."""

    def take_launch(self, digest: str, now: int) -> bytes | None:
        """Returns it once; None when it is unknown, used or expired."""

    def put_session(self, stored: StoredSession) -> None:
        """Stores a new session."""

    def session(self, launch: str) -> StoredSession | None:
        """The session of a launch."""

    def use_session(self, launch: str, now: int) -> None:
        """Notes when it was last used."""

    def change_session(self, launch: str, sealed: bytes, version: int) -> bool:
        """Replaces version - 1 of a session. False when another request has done so, or the session is over."""

    def end_sessions(self, browser: str, reason: str) -> None:
        """Ends the sessions of a browser, and deletes what was sealed of them."""

    def end_session(self, launch: str, reason: str) -> None:
        """Ends one."""

    def claim(self, submission_id: str, launch: str, now: int) -> bool:
        """Takes a submission of a form for the first time; False when it was taken before."""

    def release(self, submission_id: str) -> None:
        """Gives back what was claimed and not used."""

    def note_written(self, submission_id: str, slot: str, reference: str) -> None:
        """Stores that one resource of a submission is in the chart."""

    def written(self, submission_id: str) -> dict[str, str]:
        """Slot -> reference, of what is in the chart already."""

    def record(self, at: str, event: Mapping[str, object]) -> None:
        """Appends one event of the app: who saw or did what; pseudonyms only."""
