"""Names for the parts of a chart, and why something is unknown: a clause for brackets, or after a colon."""

from __future__ import annotations

from explanations.words.language import Language, later
from explanations.words.tables import complete
from fhir_adapters.errors import FhirError
from fhir_adapters.facts import ChartPart
from fhir_adapters.gaps import Cause, Gap

WORDS = complete(
    {
        Cause.NO_ACCESS: later("not sent, and no access to the EHR was given"),
        Cause.SERVER_NOT_ALLOWED: later("not sent, and this site does not allow reading from this FHIR server"),
        Cause.TOO_MANY_CALLS: later("not sent, and not read because too many calls came in at once"),
        Cause.NOT_PERMITTED: later("not read: the patient has not consented, or has opted out"),
        Cause.NOT_GRANTED: later("the EHR did not allow this app to read them"),
        Cause.PARTLY_GRANTED: later("the access granted covers only part of them"),
        Cause.REFUSED: later("the EHR refused access"),
        Cause.NOT_FOUND: later("not found in the chart"),
        Cause.BUSY: later("the EHR is too busy (429)"),
        # Translators: {detail} is an HTTP status, such as 503.
        Cause.FAILED: later("the EHR answered with status {detail}"),
        # Translators: {detail} is an HTTP status, such as 302.
        Cause.REDIRECTED: later("the EHR pointed to another address ({detail}); redirects are not followed"),
        # Translators: {detail} is an HTTP status, such as 400.
        Cause.NOT_SUPPORTED: later("the EHR does not support this query ({detail})"),
        Cause.UNREACHABLE: later("the EHR could not be reached, or dropped the connection"),
        Cause.TOO_LATE: later("the EHR did not answer in time"),
        Cause.TOO_MUCH: later("the EHR sent more than can be read"),
        # Translators: {detail} is a number.
        Cause.TOO_MANY_PAGES: later("the EHR sent more than {detail} pages, or the same page twice"),
        Cause.NEXT_PAGE_ELSEWHERE: later("the EHR’s next page is on another server; it was not read"),
        Cause.NEXT_PAGE_UNNAMED: later("the EHR said that there is more, but not where"),
        Cause.NOT_UNPACKED: later("the EHR’s answer could not be decompressed"),
        # Translators: {detail} is a media type, such as application/fhir+json.
        Cause.MEDIA_TYPE: later("the EHR’s answer was not {detail}"),
        Cause.OTHER_VERSION: later("the EHR’s answer was in another FHIR version; only R4 and R4B are read"),
        Cause.ANSWER_NOT_FHIR: later("the EHR’s answer was not FHIR"),
        Cause.SENT_NOT_FHIR: later("what was sent is not FHIR"),
        Cause.ERROR_REPORT: later("the EHR returned an error report"),
        # Translators: {detail} is a FHIR resource type, such as Observation.
        Cause.OTHER_TYPE: later("the EHR returned a {detail}"),
        Cause.UNKNOWN_TYPE: later("the EHR returned a different resource"),
        Cause.BUNDLE_UNREADABLE: later("the EHR returned a Bundle that cannot be read"),
        Cause.SENT_BUNDLE_BROKEN: later("the Bundle sent has entries that failed or cannot be read"),
        Cause.SEARCH_FAILED: later("the EHR reported an error while searching"),
        Cause.ENTRIES_BROKEN: later("entries are missing or cannot be read"),
        Cause.NONE_ASKED_FOR: later("the search returned nothing that was asked for"),
        Cause.FIRST_PAGE: later("only the first page was sent"),
        Cause.NOT_SPLIT: later("sent in one Bundle, which does not say what was searched for"),
        Cause.PARTLY_SENT: later("only part of it was sent"),
        Cause.OTHER_CODES: later("the EHR searched for codes other than those asked for"),
        # Translators: {detail} is a code of a care plan's category, such as assess-plan.
        Cause.ONE_CATEGORY: later("the EHR can be searched only for plans of category {detail}"),
        Cause.PATIENT_UNREADABLE: later("the patient details cannot be read"),
        Cause.OTHER_PATIENT: later("the EHR returned another patient"),
        Cause.NO_SUCH_PATIENT: later("the EHR has no such patient"),
        Cause.CONSENT_UNREADABLE: later("a consent on file cannot be read"),
        Cause.MUST_UNDERSTAND: later("it has a modifier extension or implicit rules unknown to this service"),
        # Translators: {detail} is a FHIR version, such as R5.
        Cause.FOREIGN_VERSION: later("it looks like FHIR {detail}; only R4 and R4B are read"),
        Cause.WRONG_TYPE: later("an element has the wrong type"),
        # Translators: {detail} is the place of the element, such as $.subject.
        Cause.WRONG_TYPE_AT: later("an element has the wrong type ({detail})"),
        Cause.NULL_LISTED: later("a list in it has null where a value is required"),
        # Translators: {detail} is the name of an element, such as status.
        Cause.MEMBER_TWICE: later("an element appears in it twice ({detail})"),
        Cause.FOCUS_UNCLEAR: later("it is unclear whom it is about"),
        Cause.NO_CODE: later("it has no code"),
        Cause.NO_MEDICINE: later("it names no medicine"),
    },
    Cause,
)

PARTS = complete(
    {
        # Translators: parts of a chart; listed, or in a sentence such as "Not read: medicines (...)".
        ChartPart.PATIENT: later("patient details"),
        ChartPart.SCREENING: later("screening answers"),
        ChartPart.LOCAL_SCREENING: later("screening answers in local codes"),
        ChartPart.REST: later("part of the chart"),
        ChartPart.QUESTIONNAIRES: later("questionnaires"),
        ChartPart.CONDITIONS: later("conditions"),
        ChartPart.MEASUREMENTS: later("measurements"),
        ChartPart.MEDICATIONS: later("medicines"),
        ChartPart.PAST_MEDICATIONS: later("medicines that have ended"),
        ChartPart.ENCOUNTERS: later("visits"),
        ChartPart.PROCEDURES: later("procedures"),
        ChartPart.RISK_ASSESSMENTS: later("risk assessments"),
        ChartPart.CONSENTS: later("the patient's consent"),
        ChartPart.CARE_PLANS: later("care plans"),
        ChartPart.APPOINTMENTS: later("appointments"),
        ChartPart.COVERAGE: later("coverage"),
    },
    ChartPart,
)


def gap_words(gap: Gap, say: Language) -> str:
    """`the EHR answered with status 503`."""
    return say(WORDS[gap.cause], detail=gap.detail)


def error_words(error: FhirError, say: Language) -> str:
    """The message of an error, for those who run the service, with its gap in words."""
    return f"{error.args[0]}: {gap_words(error.gap, say)}" if error.gap else str(error)
