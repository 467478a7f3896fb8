"""What can go wrong on the governance pages, and what the page says of it: headline, cause, what to do.

The message of an error is for the log; it holds no token, no address and nothing that a browser or provider sent.
"""

from __future__ import annotations

from enum import Enum


class PageRefusal(Enum):
    """Why a page is not shown: status, headline, then what to do."""

    SIGNED_OUT = (401, "Sign in", "These pages are for the people who govern this service at your hospital.")
    TIMED_OUT = (401, "Your session has ended", "You were inactive for a while, or the day is over. Sign in again.")
    NO_ROLE = (
        403,
        "You have no role here",
        "You are signed in, but not in a group that may see these pages. Ask whoever runs this service.",
    )
    NOT_YOURS = (403, "Your role does not allow this", "Nothing was changed.")
    FORM = (403, "This was not done", "The form did not come from a page in this session. Go back and reload it.")
    STALE = (400, "This sign-in cannot be used", "It was already used, has expired, or was started in another browser.")
    DECLINED = (403, "You were not signed in", "Your hospital’s sign-in declined, or it was cancelled there.")
    PROVIDER = (
        502,
        "Your hospital’s sign-in did not answer as expected",
        "Try again in a minute; the log has the cause. Until then, models can be stopped by command (mhcds switch).",
    )
    UNAVAILABLE = (
        503,
        "The database does not answer",
        "Nothing was changed. Models can still be stopped: the file switch.toml needs no database.",
    )
    INSECURE = (403, "This page needs https", "Use the address you were given by whoever runs this service.")
    NOTHING = (404, "There is no page at this address", "Choose one above.")
    INVALID = (400, "This cannot be used", "Nothing was changed. Go back and check what was entered.")
    FAILED = (500, "Something went wrong", "The error was logged. Check whether anything was changed.")


class PageRefused(Exception):
    """A page that is not shown. detail: further words for the person, ours alone."""

    def __init__(self, why: PageRefusal, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.why, self.detail = why, detail
