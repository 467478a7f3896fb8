"""What can go wrong in the app, and which page says so.

SmartError
├── LaunchRefused       the launch cannot be begun or finished: wrong parameters, unknown EHR, refused, expired
├── EhrFailed           the EHR did not do its part: discovery, token endpoint, keys, a wrong ID token
├── SessionOver         no session: ended, timed out, of another browser, or unknown
├── Forbidden           a form that is not ours (CSRF), or a right that was not granted
└── NotWritten          the chart did not take what was to be written

A message is one plain sentence for the log; a person reads the words of its `page` code. Neither holds a token, an
address or chart data.
"""

from __future__ import annotations


class SmartError(Exception):
    """Base. `page` is the code of its words in `pages.error_words`, `status` is HTTP's."""

    status = 500
    page = "failed"

    def __init__(self, message: str, page: str | None = None, status: int | None = None) -> None:
        super().__init__(message)
        self.page = page or type(self).page
        self.status = status or type(self).status


class LaunchRefused(SmartError):
    """The launch cannot be begun or finished."""

    status = 400
    page = "launch-refused"


class EhrFailed(SmartError):
    """The EHR did not do its part."""

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
    """The chart did not take what was to be written."""

    status = 502
    page = "not-written"
