"""One launch as a session: who, which patient, which token; and what is kept of it between requests.

The browser holds an opaque id; everything else is in the store, sealed. A session belongs to one launch, whose id is
in the address of every page, so that two launches in one browser never mix (SMART-094).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Who uses the app. `iss` and `subject` are the key; `fhir_user` is a reference such as Practitioner/1."""

    iss: str
    subject: str
    fhir_user: str | None = None


class LaunchContext(msgspec.Struct, frozen=True, kw_only=True):
    """What the EHR said that the launch is about.

    banner: whether we must show who the patient is (absent counts as yes). topic: of our card that the launch came
    from. resources: relative references of fhirContext.
    """

    patient: str
    encounter: str | None = None
    banner: bool = True
    intent: str | None = None
    tenant: str | None = None
    style_url: str | None = None
    resources: tuple[str, ...] = ()
    topic: str | None = None

    @property
    def encounter_reference(self) -> str | None:
        """The visit as a relative reference, such as Encounter/1; None where the launch named none."""
        return f"Encounter/{self.encounter}" if self.encounter else None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One launch. launch_id: in the address of every page. scopes: granted. Times are seconds since 1970.

    version counts the changes of the token; csrf stands in every form.
    """

    launch_id: str
    site: str
    iss: str
    client_id: str
    user: User | None
    context: LaunchContext
    scopes: tuple[str, ...]
    token: str
    token_expires: int
    refresh_token: str | None
    csrf: str
    started: int
    asked: tuple[str, ...] = ()
    version: int = 0

    def __repr__(self) -> str:
        return f"Session(launch_id={self.launch_id}, site={self.site})"

    @property
    def fhir_user(self) -> str | None:
        """The reference of the user, such as Practitioner/1; None where the EHR names no clinician."""
        return self.user.fhir_user if self.user else None


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
    """What the app keeps. Every method is one transaction and may raise the store's own error."""

    def put_launch(self, digest: str, sealed: bytes, expires: int, now: int) -> None:
        """Keeps a launch that waits for its callback."""

    def take_launch(self, digest: str, now: int) -> bytes | None:
        """Gives it once; None when it is unknown, used or expired."""

    def put_session(self, kept: StoredSession) -> None:
        """Keeps a new session."""

    def session(self, launch: str) -> StoredSession | None:
        """The session of a launch."""

    def use_session(self, launch: str, now: int) -> None:
        """Takes note that it was used."""

    def change_session(self, launch: str, sealed: bytes, version: int) -> bool:
        """Puts a changed session in the place of version - 1. False when somebody else was first."""

    def end_sessions(self, browser: str, reason: str) -> None:
        """Ends the sessions of a browser; of an ended session nothing sealed stays."""

    def end_session(self, launch: str, reason: str) -> None:
        """Ends one."""

    def claim(self, submission_id: str, launch: str, now: int) -> bool:
        """Takes a submission of a form for the first time; False when it was taken before."""

    def release(self, submission_id: str) -> None:
        """Gives back what was claimed and not used."""

    def note_written(self, submission_id: str, slot: str, reference: str) -> None:
        """Keeps that one resource of a submission is in the chart."""

    def written(self, submission_id: str) -> dict[str, str]:
        """Slot -> reference, of what is in the chart already."""

    def record(self, at: str, event: Mapping[str, object]) -> None:
        """Appends one event of the app: who saw or did what; pseudonyms only."""
