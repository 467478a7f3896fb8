"""Why a part of the chart is missing or unreadable: values, put into words by `explanations.words.findings.gaps`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """The cause. A comment names the detail that a `Gap` of this cause carries."""

    # Not requested.
    NO_ACCESS = "no-access"
    SERVER_NOT_ALLOWED = "server-not-allowed"
    NOT_PERMITTED = "not-permitted"
    NOT_GRANTED = "not-granted"
    PARTLY_GRANTED = "partly-granted"
    TOO_MANY_CALLS = "too-many-calls"
    # Requested, and not returned by the server.
    REFUSED = "refused"
    NOT_FOUND = "not-found"
    BUSY = "busy"
    FAILED = "failed"  # HTTP status
    REDIRECTED = "redirected"  # HTTP status
    NOT_SUPPORTED = "not-supported"  # HTTP status
    UNREACHABLE = "unreachable"
    TOO_LATE = "too-late"
    TOO_MUCH = "too-much"
    TOO_MANY_PAGES = "too-many-pages"  # the limit
    NEXT_PAGE_ELSEWHERE = "next-page-elsewhere"
    NEXT_PAGE_UNNAMED = "next-page-unnamed"
    NOT_UNPACKED = "not-unpacked"
    MEDIA_TYPE = "media-type"  # the supported one
    OTHER_VERSION = "other-version"
    ANSWER_NOT_FHIR = "answer-not-fhir"
    # Returned, but incomplete or possibly so.
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
    PARTLY_SENT = "partly-sent"
    OTHER_CODES = "other-codes"
    ONE_CATEGORY = "one-category"  # the category
    PATIENT_UNREADABLE = "patient-unreadable"
    OTHER_PATIENT = "other-patient"
    NO_SUCH_PATIENT = "no-such-patient"
    CONSENT_UNREADABLE = "consent-unreadable"
    # A resource that cannot be read, or not in full.
    MUST_UNDERSTAND = "must-understand"
    FOREIGN_VERSION = "foreign-version"  # FHIR version
    WRONG_TYPE = "wrong-type"
    WRONG_TYPE_AT = "wrong-type-at"  # path of the element
    NULL_LISTED = "null-listed"
    FOCUS_UNCLEAR = "focus-unclear"
    MEMBER_TWICE = "member-twice"  # name of the element
    NO_CODE = "no-code"
    NO_MEDICINE = "no-medicine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A cause with its detail, which is never patient data."""

    cause: Cause
    detail: str = ""

    def __str__(self) -> str:
        """For logs: `failed (503)`."""
        return f"{self.cause} ({self.detail})" if self.detail else self.cause.value
