"""What can go wrong in the app, and the page shown for it.

SmartError
├── LaunchRefused       the launch cannot start or finish: bad parameters, unknown EHR, refused, expired
│   └── TooManyLaunches of one network address or browser
├── EhrFailed           the EHR failed: discovery, token endpoint, keys, invalid ID token
├── SessionOver         no session: ended, timed out, another browser's, or unknown
├── Forbidden           a form that is not ours (CSRF), or a right that was not granted
└── NotWritten          the chart did not accept a write

The message is for the log; people see the text of the `page` code. Neither holds a token, an address or chart data.
"""

from __future__ import annotations


class SmartError(Exception):
    """Base. `page` is a code in `pages.error_words`, `status` the HTTP status."""

    status = 500
    page = "failed"

    def __init__(self, message: str, page: str | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.page = page or type(self).page
        self.status = status or type(self).status


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


class NotWritten(SmartError):
    """The chart did not accept a write."""

    status = 502
    page = "not-written"
