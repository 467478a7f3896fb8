"""One launch as values: pending until its callback, then a session with user, patient and token.

The browser holds an opaque id; everything else is stored encrypted. A session belongs to one launch, whose id is in the
URL of every page, so that two launches in one browser never mix (SMART-094).
"""

from __future__ import annotations

import msgspec


class PendingLaunch(msgspec.Struct, frozen=True, kw_only=True):
    """A launch that waits for its callback.

    browser: digest of the secret in its cookie. ehr_launch: started by the EHR, not standalone. launch_url: our URL
    that starts the same launch again.
    """

    browser: str
    iss: str
    verifier: str
    nonce: str
    ehr_launch: bool
    launch_url: str
    requested_scopes: tuple[str, ...]


class User(msgspec.Struct, frozen=True, kw_only=True):
    """The user. `iss` and `subject` are the key; `fhir_user` is a reference such as Practitioner/1.

    name: as shown and signed with; None where neither the ID token nor the chart gives one.
    """

    iss: str
    subject: str
    fhir_user: str | None = None
    name: str | None = None


class LaunchContext(msgspec.Struct, frozen=True, kw_only=True):
    """The launch context from the EHR.

    banner: whether we must show the patient banner (default yes). topic: of our card that led to the launch.
    resources: relative references in fhirContext.
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
        """The visit as a relative reference, such as Encounter/1; None without an encounter in context."""
        return f"Encounter/{self.encounter}" if self.encounter else None


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One launch. launch_id: in the URL of every page. scopes: as granted. Times are seconds since 1970.

    version counts token changes; csrf is in every form.
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
    requested_scopes: tuple[str, ...] = ()
    version: int = 0

    def __repr__(self) -> str:
        return f"Session(launch_id={self.launch_id}, site={self.site})"

    @property
    def fhir_user(self) -> str | None:
        """The user's reference, such as Practitioner/1; None if the EHR names no clinician."""
        return self.user.fhir_user if self.user else None
