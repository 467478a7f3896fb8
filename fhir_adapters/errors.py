"""The errors of this package.

FhirError
├── NotFhir            the JSON is not a usable FHIR resource
├── NoPatient          no patient, or more than one, to whom the data could belong
├── WrongPatient       the Patient sent is not the patient requested
├── NotValid           a resource to be written is not valid R4; nothing was sent
├── WriteFailed        a FHIR server did not accept a write
│   ├── WriteRefused       401 or 403: the token does not permit it
│   ├── WriteInvalid       400, 422 and other 4xx: the server does not accept such a resource
│   ├── WriteConflict      409 or 412: changed in the meantime, or several match
│   ├── WriteElsewhere     a redirect, which is not followed
│   └── WriteUnknown       no readable answer: it may or may not be in the chart
└── FetchFailed        a read from a FHIR server failed
    ├── NotAllowed         the server is not on the allow-list
    ├── Refused            403: the token does not permit it
    │   └── NotAuthorized      401: the server rejects the token
    ├── NotFound           404 or 410
    ├── NotSupported       other 4xx, or 501: the server does not support the query
    │   └── AddressRefused     400, 405, 413, 414 or 431: perhaps not in an address, or not of this length
    ├── Redirected         3xx: redirects are not followed
    ├── Busy               429, even after waiting
    ├── GatewayFailed      502, 503 or 504, even on retry
    ├── ServerFailed       other 5xx, even on retry
    ├── Unreachable        no connection, or one dropped twice
    │   └── NotReached         no connection at all: nothing was sent
    ├── TooLate            the deadline of this call has passed
    ├── TooMuch            more bytes or pages than the limit
    ├── NextElsewhere      the next page lies outside the server's base
    └── NotUsable          not FHIR JSON, or an unsupported FHIR version
"""

from __future__ import annotations

from typing import Any

from fhir_adapters.gaps import Gap


class FhirError(Exception):
    """Base of this package. The message says what was expected, what was found and what to do; no patient data.

    `gap`: the reason as a value, where the message does not give it.
    """

    def __init__(self, message: str, gap: Gap | None = None) -> None:
        super().__init__(message)
        self.gap = gap

    def __str__(self) -> str:
        return f"{self.args[0]}: {self.gap}" if self.gap else str(self.args[0])


class NotFhir(FhirError):
    """The JSON is not a usable FHIR resource."""


class NoPatient(FhirError):
    """No patient, or more than one, to whom the data could belong."""


class WrongPatient(FhirError):
    """The Patient sent is not the patient requested."""


class NotValid(FhirError):
    """A resource to be written is not valid R4; nothing was sent. Names elements and faults, no values."""


class WriteFailed(FhirError):
    """A FHIR server did not accept a write. Except for WriteUnknown, nothing was written."""


class WriteRefused(WriteFailed):
    """The token does not permit the write."""


class WriteInvalid(WriteFailed):
    """The server does not accept such a resource."""


class WriteConflict(WriteFailed):
    """The resource was changed in the meantime, or several match."""


class WriteElsewhere(WriteFailed):
    """The server redirects; redirects are not followed."""


class WriteUnknown(WriteFailed):
    """No readable answer: it may or may not be in the chart. Search before writing again."""


class FetchFailed(FhirError):
    """A read from a FHIR server failed, or was incomplete.

    `pages`: the pages of a search read before the failure, each an `r4.Resource`.
    """

    pages: tuple[Any, ...] = ()  # Any: `r4` imports this module
    gap: Gap

    def __init__(self, gap: Gap) -> None:
        super().__init__("not read", gap)


class NotAllowed(FetchFailed):
    """The server is not on the allow-list."""


class Refused(FetchFailed):
    """The token does not permit the read."""


class NotAuthorized(Refused):
    """The server rejects the token, which may have expired (401)."""


class NotFound(FetchFailed):
    """There is no such resource."""


class NotSupported(FetchFailed):
    """The server does not support this form of query."""


class AddressRefused(NotSupported):
    """The server does not take the query in an address, or not one as long."""


class Redirected(FetchFailed):
    """The server redirects; redirects are not followed."""


class Passing(FetchFailed):
    """A transient failure, worth one retry.

    `wait_s`: seconds the server asks to wait; None when it does not say.
    """

    def __init__(self, gap: Gap, wait_s: float | None = None) -> None:
        super().__init__(gap)
        self.wait_s = wait_s


class Busy(Passing):
    """The server has received too many requests."""


class GatewayFailed(Passing):
    """The server, or a gateway in front of it, is temporarily unavailable."""


class ServerFailed(Passing):
    """The server failed."""


class Unreachable(Passing):
    """No connection, or a dropped one."""


class NotReached(Unreachable):
    """No connection at all, or no time left for one: nothing was sent."""


class TooLate(FetchFailed):
    """The deadline of this call has passed."""


class TooMuch(FetchFailed):
    """More bytes or pages than the limit."""


class NextElsewhere(FetchFailed):
    """The next page lies outside the server's base."""


class NotUsable(FetchFailed):
    """The answer is not FHIR JSON, or is in an unsupported FHIR version."""
