"""The languages that a Patient resource says to speak with the patient in."""

from __future__ import annotations

import pytest
from builders import codeable, patient, read

from fhir_adapters.resources.identity import spoken_languages

TAGS = "urn:ietf:bcp:47"


def spoken(code: str, **more) -> dict:
    return {"language": codeable(TAGS, code), **more}


@pytest.mark.parametrize(
    ("communication", "expected"),
    [
        ([spoken("es")], ("es",)),
        ([spoken("en"), spoken("es-US", preferred=True)], ("es-us", "en")),
        ([spoken("en_US"), spoken("en_US")], ("en-us",)),
        ([spoken("spa"), spoken("ENG")], ("es", "en")),
        ([{"language": {"text": "Spanish"}}, {"preferred": True}], ()),
        ([], ()),
        ("es", ()),
        ([{"language": {"coding": "es"}}], ()),
    ],
)
def test_the_preferred_languages_come_first_and_damage_is_no_language(communication, expected) -> None:
    assert spoken_languages(read(patient(61, communication=communication))) == expected


def test_no_communication_is_no_language() -> None:
    assert spoken_languages(read(patient(61))) == ()
