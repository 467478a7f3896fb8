"""Why something of a chart is not known, as a clinician reads it."""

from __future__ import annotations

import pytest

from explanations.words.findings.gaps import error_words, gap_words
from explanations.words.language import language
from fhir_adapters.errors import NoPatient
from fhir_adapters.gaps import Cause, Gap

SAY = language()


@pytest.mark.parametrize(
    ("gap", "words"),
    [
        (Gap(cause=Cause.REFUSED), "the EHR refused access"),
        (Gap(cause=Cause.FAILED, detail="503"), "the EHR answered with status 503"),
        (Gap(cause=Cause.OTHER_TYPE, detail="Binary"), "the EHR returned a Binary"),
        (Gap(cause=Cause.WRONG_TYPE_AT, detail="$.subject"), "an element has the wrong type ($.subject)"),
        (Gap(cause=Cause.NO_MEDICINE), "it names no medicine"),
    ],
)
def test_a_cause_and_its_detail_make_one_clause(gap: Gap, words: str) -> None:
    assert gap_words(gap, SAY) == words


def test_an_error_says_its_gap_in_words_to_people_and_as_a_value_to_logs() -> None:
    error = NoPatient("the Patient resource cannot be read", Gap(cause=Cause.WRONG_TYPE))

    assert error_words(error, SAY) == "the Patient resource cannot be read: an element has the wrong type"
    assert str(error) == "the Patient resource cannot be read: wrong-type"
