"""What can go wrong in the app, and the page shown for it.

SmartError
├── LaunchRefused       the launch cannot start or finish: bad parameters, unknown EHR, refused, expired
│   └── TooManyLaunches of one network address or browser
├── EhrFailed           the EHR failed: discovery, token endpoint, keys, invalid ID token
├── SessionOver         no session: ended, timed out, another browser's, or unknown
├── SwitchedOff         the site has switched the app off
├── Forbidden           a form that is not ours (CSRF), or a right that was not granted
└── NotWritten          the chart did not accept a write

The message is for the log; people see the text of the `page` code. Neither holds a token, an address or chart data.
What an EHR said of its refusal is in `said`, for both; what else was received is in `noted`, for the log alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fhir_adapters.received import cleaned_words

MOST_CODE, MOST_WORDS = 60, 300


@dataclass(frozen=True, slots=True, kw_only=True)
class EhrRefusal:
    """An EHR's own words for its refusal: the error code and the description of RFC 6749, fit to be shown."""

    code: str
    words: str


def said_by_ehr(error: object, description: object, hidden: Iterable[str] = ()) -> EhrRefusal | None:
    """What an EHR said, without markup, opaque runs and what is `hidden` (codes, secrets); None without a code."""
    if not isinstance(error, str) or not error.strip():
        return None
    words = cleaned_words(description, MOST_WORDS, hidden) if isinstance(description, str) else ""
    return EhrRefusal(code=cleaned_words(error, MOST_CODE, hidden), words=words)


class SmartError(Exception):
    """Base. `page` is a code in `pages.error_words`, `status` the HTTP status."""

    status = 500
    page = "failed"

    def __init__(
        self,
        message: str,
        page: str | None = None,
        status: int | None = None,
        *,
        said: EhrRefusal | None = None,
        noted: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.page = page or type(self).page
        self.status = status or type(self).status
        self.said, self.noted = said, noted or {}


class LaunchRefused(SmartError):
    """The launch cannot start or finish."""

    status = 400
    page = "launch-refused"


class TooManyLaunches(LaunchRefused):
    """Too many launches of one network address or browser wait for their callbacks."""

    status = 429
    page = "too-many"


class EhrFailed(SmartError):
    """The EHR failed or sent something invalid."""

    status = 502
    page = "ehr-failed"


class SessionOver(SmartError):
    """There is no session for this page."""

    status = 401
    page = "session-ended"


class Forbidden(SmartError):
    """A form that is not ours, or a right that was not granted."""

    status = 403
    page = "not-allowed"


class SwitchedOff(SmartError):
    """The site has switched the app off."""

    status = 503
    page = "switched-off"


class NotWritten(SmartError):
    """The chart did not accept a write."""

    status = 502
    page = "not-written"
