"""What can go wrong at FHIR's door.

FhirError
├── NotFhir            the JSON is not a FHIR resource that we can take
├── NoPatient          there is no patient, or more than one, to whom the data could belong
├── WrongPatient       the Patient sent is not the patient asked about
├── NotValid           what we are about to write is not valid R4; nothing was sent
├── WriteFailed        a FHIR server did not take what was to be written
│   ├── WriteRefused       401 or 403: the token does not allow it
│   ├── WriteInvalid       400, 422 and other 4xx: the server does not take such a resource
│   ├── WriteConflict      409 or 412: it was changed meanwhile, or several match
│   ├── WriteElsewhere     the server pointed elsewhere; redirects are not followed
│   └── WriteUnknown       no answer, or none that can be read: it may or may not be in the chart
└── FetchFailed        a FHIR server did not give what was asked for
    ├── NotAllowed         the server is not one that may be read
    ├── Refused            403: the token does not open it
    │   └── NotAuthorized      401: the server does not take the token
    ├── NotFound           404 or 410
    ├── NotSupported       other 4xx, or 501: it does not answer such a query
    ├── Redirected         3xx: redirects are not followed
    ├── Busy               429, also after waiting
    ├── GatewayFailed      502, 503 or 504, also when asked again
    ├── ServerFailed       500 and others above
    ├── Unreachable        no connection, or one that was dropped twice
    │   └── NotReached         no connection at all: nothing was sent
    ├── TooLate            the time for this call is over
    ├── TooMuch            more bytes or pages than are read
    ├── NextElsewhere      the next page lies outside the server's base
    └── NotUsable          no FHIR JSON, or of a FHIR version that is not read
"""

from __future__ import annotations

from typing import Any

from fhir_adapters.gaps import Gap


class FhirError(Exception):
    """Base of this package. The message says what was expected, what was found and what to do; no patient data.

    `gap`: why, as a value, where the message leaves that open.
    """

    def __init__(self, message: str, gap: Gap | None = None) -> None:
        super().__init__(message)
        self.gap = gap

    def __str__(self) -> str:
        return f"{self.args[0]}: {self.gap}" if self.gap else str(self.args[0])


class NotFhir(FhirError):
    """The JSON is not a FHIR resource that we can take."""


class NoPatient(FhirError):
    """No patient, or more than one, to whom the data could belong."""


class WrongPatient(FhirError):
    """The Patient sent is not the patient asked about."""


class NotValid(FhirError):
    """What we are about to write is not valid R4; nothing was sent. Names elements and faults, no values."""


class WriteFailed(FhirError):
    """A FHIR server did not take what was to be written; unless it is WriteUnknown, it is not in the chart."""


class WriteRefused(WriteFailed):
    """The token does not allow it."""


class WriteInvalid(WriteFailed):
    """The server does not take such a resource."""


class WriteConflict(WriteFailed):
    """It was changed meanwhile, or several resources match."""


class WriteElsewhere(WriteFailed):
    """The server points elsewhere; redirects are not followed."""


class WriteUnknown(WriteFailed):
    """No answer, or none that can be read: it may or may not be in the chart. Look before writing again."""


class FetchFailed(FhirError):
    """A FHIR server did not give what was asked for, or not all of it.

    `pages`: the pages of a search that were read before one failed, each an `r4.Resource`.
    """

    pages: tuple[Any, ...] = ()  # Any: `r4` imports this module
    gap: Gap

    def __init__(self, gap: Gap) -> None:
        super().__init__("not read", gap)


class NotAllowed(FetchFailed):
    """The server is not one that may be read."""


class Refused(FetchFailed):
    """The token does not open it."""


class NotAuthorized(Refused):
    """The server does not take the token, which may have expired (401)."""


class NotFound(FetchFailed):
    """There is no such resource."""


class NotSupported(FetchFailed):
    """The server does not answer a query of this form."""


class Redirected(FetchFailed):
    """The server points elsewhere; redirects are not followed."""


class Passing(FetchFailed):
    """A failure that may be over in a moment: worth asking once more.

    `wait_s`: how long the server asks to wait, in seconds; None when it does not say.
    """

    def __init__(self, gap: Gap, wait_s: float | None = None) -> None:
        super().__init__(gap)
        self.wait_s = wait_s


class Busy(Passing):
    """The server has too many requests."""


class GatewayFailed(Passing):
    """The server, or a gateway before it, is not up to it at the moment."""


class ServerFailed(FetchFailed):
    """The server failed."""


class Unreachable(Passing):
    """No connection, or one that was dropped."""


class NotReached(Unreachable):
    """No connection at all, or no time left for one: nothing was sent."""


class TooLate(FetchFailed):
    """The time for this call is over."""


class TooMuch(FetchFailed):
    """More bytes or pages than are read."""


class NextElsewhere(FetchFailed):
    """The next page lies outside the server's base."""


class NotUsable(FetchFailed):
    """An answer that is no FHIR JSON, or of a FHIR version that is not read."""
