"""The text of each error page: what happened, why, and what to do; plain, and of no use to an attacker.

Keyed by `errors.SmartError.page`.
"""

from __future__ import annotations

from dataclasses import dataclass

from explanations.words.language import Language, later

FROM_CHART = later("Go back to the patient’s chart and open the app again.")
ASK_IT = later("If it happens again, give IT support the code below.")
SET_UP = later("Give IT support the code below: the app’s set-up needs to be corrected.")
STILL_THERE = later("Go back to the summary and try again.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorWords:
    """An error page: headline, cause in one sentence, and what to do. `back`: whether to link to the summary."""

    headline: str
    cause: str
    remedy: tuple[str, ...]
    back: bool = False


def _words(headline: str, cause: str, *remedy: str, back: bool = False) -> ErrorWords:
    return ErrorWords(headline=headline, cause=cause, remedy=remedy, back=back)


NOT_OPENED = later("This page could not be opened.")
NOT_STARTED = later("The app could not be opened.")
ENDED = later("Your session has ended.")
NOTHING_LOST = later("Unsaved answers were discarded.")

WORDS: dict[str, ErrorWords] = {
    "launch-refused": _words(
        NOT_STARTED, later("It was opened with missing or unexpected information."), FROM_CHART, ASK_IT
    ),
    "unknown-ehr": _words(NOT_STARTED, later("It is not set up for this EHR."), SET_UP),
    "insecure": _words(NOT_STARTED, later("It only accepts secure (https) connections."), SET_UP),
    "used": _words(
        NOT_STARTED,
        later("This sign-in expired, was already used, or was started in another browser."),
        FROM_CHART,
    ),
    "too-many": _words(
        NOT_STARTED,
        later("It was opened from this network too many times within a minute."),
        later("Wait a minute, then open the app again from the patient’s chart."),
        ASK_IT,
    ),
    "no-cookie": _words(
        NOT_STARTED,
        later("The browser did not keep the app’s cookie."),
        later("Open the app again from the chart, in its own window if the EHR offers that."),
        ASK_IT,
    ),
    "launch-expired": _words(NOT_STARTED, later("Opening it took too long, and the sign-in expired."), FROM_CHART),
    "not-registered": _words(NOT_STARTED, later("The app is not registered with this EHR, or no longer is."), SET_UP),
    "scope-refused": _words(NOT_STARTED, later("The EHR did not grant the access that the app needs."), SET_UP),
    "access-denied": _words(
        later("You do not have access to this."),
        later("The EHR, or the person asked, declined access. Nothing was read."),
        later("If you need it for patient care, ask IT support for access."),
    ),
    "ehr-refused": _words(NOT_STARTED, later("The EHR refused to open it."), FROM_CHART, ASK_IT),
    "ehr-failed": _words(NOT_STARTED, later("The EHR sent an answer that cannot be used."), FROM_CHART, ASK_IT),
    "ehr-unreachable": _words(
        NOT_OPENED,
        later("The EHR did not answer in time."),
        later("Wait a minute, then try again."),
        ASK_IT,
        back=True,
    ),
    "ehr-not-trusted": _words(
        NOT_STARTED, later("An answer did not come from the EHR that was asked, so it was not used."), SET_UP
    ),
    "identity": _words(NOT_STARTED, later("The app could not confirm who you are."), FROM_CHART, ASK_IT),
    "no-patient": _words(
        NOT_STARTED,
        later("The EHR did not say which patient’s chart is open."),
        later("Open a patient’s chart, then open the app from there."),
    ),
    "no-chart": _words(
        NOT_OPENED,
        later("The patient’s record could not be read, so no summary is shown."),
        later("Check the chart itself, then try again."),
        ASK_IT,
        back=True,
    ),
    "switched-off": _words(
        later("This app is switched off at this site."),
        later("The chart was not read, so nothing is shown."),
        later("Check the chart for answers about suicide and self-harm, and ask directly."),
    ),
    "clinicians-only": _words(
        later("This app is for clinicians."),
        later("You are not signed in as a clinician. Nothing was read."),
        later("If you are in distress or worried about someone, talk to your care team or your local crisis line."),
    ),
    "session-ended": _words(ENDED, later("This browser has no open session for this page."), NOTHING_LOST, FROM_CHART),
    "timed-out": _words(ENDED, later("It was inactive, or open, for too long."), NOTHING_LOST, FROM_CHART),
    "moved": _words(
        later("Another patient’s chart is open now."),
        later("This page was for the previous patient, so it is closed."),
        NOTHING_LOST,
        FROM_CHART,
    ),
    "other-patient": _words(
        later("This page is closed."),
        later("The EHR returned a different patient from the one the app was opened for. Nothing was written."),
        FROM_CHART,
        ASK_IT,
    ),
    "closed": _words(ENDED, later("The app was closed for this patient."), FROM_CHART),
    "access-ended": _words(ENDED, later("The access granted by the EHR has expired."), NOTHING_LOST, FROM_CHART),
    "form-refused": _words(
        later("This was not sent."),
        later("It did not come from a page in this session. Nothing was written."),
        STILL_THERE,
        ASK_IT,
        back=True,
    ),
    "not-allowed": _words(
        later("This was not done."),
        later("The EHR did not allow this app to do that. Nothing was written."),
        later("Enter it in the chart."),
        back=True,
    ),
    "not-written": _words(
        later("This was not written to the chart."),
        later("The EHR did not accept it."),
        later("Check the chart before you enter it again."),
        ASK_IT,
        back=True,
    ),
    "in-doubt": _words(
        later("It may or may not be in the chart."),
        later("The service failed while writing to the chart, or just before or after."),
        later("Wait a minute, then reload this page and let it resend the form: nothing is written twice."),
        later("Check the chart before you enter it again."),
        ASK_IT,
    ),
    "unavailable": _words(
        NOT_OPENED,
        later("The service is unavailable right now."),
        later("Check the chart itself, wait a minute, then try again."),
        ASK_IT,
        back=True,
    ),
    "no-page": _words(NOT_OPENED, later("There is no page at this address."), STILL_THERE, back=True),
    "failed": _words(
        NOT_OPENED,
        later("Something went wrong in this app. The error was logged."),
        later("Check the chart itself, then try again."),
        ASK_IT,
        back=True,
    ),
}


def error_words(code: str, say: Language) -> ErrorWords:
    """The text of a code; that of a general failure for an unknown one."""
    words = WORDS.get(code, WORDS["failed"])
    return ErrorWords(
        headline=say(words.headline),
        cause=say(words.cause),
        remedy=tuple(say(part) for part in words.remedy),
        back=words.back,
    )
