"""Why something of a chart could not be had or read: values, said in `explanations.words.findings.gaps`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """What stood in the way. A comment names the detail that a `Gap` of this cause carries."""

    # A part of the chart was not asked for.
    NO_ACCESS = "no-access"
    SERVER_NOT_ALLOWED = "server-not-allowed"
    NOT_PERMITTED = "not-permitted"
    NOT_GRANTED = "not-granted"
    PARTLY_GRANTED = "partly-granted"
    # It was asked for, and the server did not give it.
    REFUSED = "refused"
    NOT_FOUND = "not-found"
    BUSY = "busy"
    FAILED = "failed"  # HTTP status
    REDIRECTED = "redirected"  # HTTP status
    NOT_SUPPORTED = "not-supported"  # HTTP status
    UNREACHABLE = "unreachable"
    TOO_LATE = "too-late"
    TOO_MUCH = "too-much"
    TOO_MANY_PAGES = "too-many-pages"  # how many are read
    NEXT_PAGE_ELSEWHERE = "next-page-elsewhere"
    NEXT_PAGE_UNNAMED = "next-page-unnamed"
    NOT_UNPACKED = "not-unpacked"
    MEDIA_TYPE = "media-type"  # the one that is read
    OTHER_VERSION = "other-version"
    ANSWER_NOT_FHIR = "answer-not-fhir"
    # Something came, and is not, or may not be, all that was asked for.
    SENT_NOT_FHIR = "sent-not-fhir"
    ERROR_REPORT = "error-report"
    OTHER_TYPE = "other-type"  # resource type
    UNKNOWN_TYPE = "unknown-type"
    BUNDLE_UNREADABLE = "bundle-unreadable"
    SENT_BUNDLE_BROKEN = "sent-bundle-broken"
    SEARCH_FAILED = "search-failed"
    ENTRIES_BROKEN = "entries-broken"
    NONE_ASKED_FOR = "none-asked-for"
    FIRST_PAGE = "first-page"
    NOT_SPLIT = "not-split"
    OTHER_CODES = "other-codes"
    ONE_CATEGORY = "one-category"  # the category
    PATIENT_UNREADABLE = "patient-unreadable"
    OTHER_PATIENT = "other-patient"
    NO_SUCH_PATIENT = "no-such-patient"
    CONSENT_UNREADABLE = "consent-unreadable"
    # One resource cannot be read, or not in full.
    MUST_UNDERSTAND = "must-understand"
    FOREIGN_VERSION = "foreign-version"  # FHIR version
    WRONG_TYPE = "wrong-type"
    WRONG_TYPE_AT = "wrong-type-at"  # path of the element
    NULL_LISTED = "null-listed"
    NO_CODE = "no-code"
    NOT_MAPPED = "not-mapped"
    NO_MEDICINE = "no-medicine"
    SELF_HARM_IN_WORDS = "self-harm-in-words"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A cause, with what its sentence names beside it; `detail` is never patient data."""

    cause: Cause
    detail: str = ""

    def __str__(self) -> str:
        """For logs: `failed (503)`."""
        return f"{self.cause} ({self.detail})" if self.detail else self.cause.value
