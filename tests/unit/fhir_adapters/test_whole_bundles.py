"""A Bundle that is decoded in one go gives what its entries give one by one, and any other is not decoded so."""

from __future__ import annotations

import json

import msgspec
import pytest
from benchmark import bodies
from builders import AS_OF

from fhir_adapters.resources import r4
from fhir_adapters.resources.r4.whole import WholeBundle

# What says that it is a Bundle is looked for at the start alone.
AWAY = b" " * 60


def told(text: bytes) -> list:
    """What is known of a Bundle's resources, and of what it lacks."""
    held = r4.contents(r4.read(text))
    lists = [
        [
            (
                r.kind,
                msgspec.json.encode(r.content),
                r.reference,
                r.names,
                r.fault,
                r.owner,
                r.labels,
                r.text,
                r.unfiltered,
            )
            for r in each
        ]
        for each in (held.resources, held.included)
    ]
    return [*lists, held.fault]


def is_whole(text: bytes) -> bool:
    return isinstance(r4.read(text).content, WholeBundle)


def searchset(*entries: object, **members: object) -> bytes:
    return json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": entries, **members}).encode()


def entry(kind: str = "Observation", **members: object) -> dict[str, object]:
    return {
        "fullUrl": f"https://ehr.example/{kind}/1",
        "resource": {"id": "1", "resourceType": kind, "subject": {"reference": "Patient/p1"}, **members},
    }


def test_the_chart_of_the_benchmark_is_decoded_whole() -> None:
    prefetch = json.loads(bodies.speaking(AS_OF).content)["prefetch"]
    bundles = [json.dumps(value).encode() for value in prefetch.values() if value and value["resourceType"] == "Bundle"]

    assert len(bundles) == 5
    for text in bundles:
        assert is_whole(text)
        assert not is_whole(AWAY + text)
        assert told(text) == told(AWAY + text)


SECRET = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "SUD"}]}
INSIDE = {
    "contained": [{"resourceType": "Patient", "id": "p", "identifier": [{"system": "urn:mrn", "value": "1"}]}],
    "subject": {"reference": "#p"},
}
LINK = {"relation": "next", "url": "https://ehr.example/next"}
USUAL = {
    "none": searchset(total=0),
    "no type": searchset(entry(), type=None).replace(b'"type": null, ', b""),
    "an include": searchset(entry("Condition"), entry("Medication") | {"search": {"mode": "include"}}),
    "an outcome": searchset(entry("OperationOutcome", issue=[{"severity": "error", "code": "processing"}])),
    "a failed entry": searchset(entry() | {"response": {"status": "404"}}),
    "a next page": searchset(entry(), link=[LINK]),
    "an open search": searchset(entry(), link=[{"relation": "self", "url": "https://ehr.example/Observation?code=1"}]),
    "labels": searchset(entry(meta=SECRET)),
    "another version": searchset(entry(context={"reference": "Encounter/1"}), entry("Condition")),
    "a contained patient": searchset(entry(**INSIDE), entry(subject={"reference": "#q"})),
    "no id": searchset(entry(id=None), {"resource": {"resourceType": "Flag"}}),
    "lines": searchset(entry(note=[{"text": 'two\nlines and "words"'}])),
}


@pytest.mark.parametrize("name", USUAL)
def test_what_is_decoded_whole_is_read_as_entry_by_entry(name: str) -> None:
    assert is_whole(USUAL[name])
    assert told(USUAL[name]) == told(AWAY + USUAL[name])


UNUSUAL = {
    "a type that is not read": searchset(entry(), entry("Basic")),
    "an element of the wrong type": searchset(entry(status=1), entry("Condition")),
    "a null": searchset(entry(), None),
    "an entry without a resource": searchset(entry(), {"fullUrl": "urn:x"}),
    "a deletion": searchset(entry() | {"request": {"method": "DELETE", "url": "Observation/1"}}),
    "a history": searchset(entry(), entry(), type="history"),
    "a search within": searchset({"resource": json.loads(searchset(entry()))}),
    "a modifier": searchset(entry(extension=[{"modifierExtension": [{"url": "urn:x"}]}]), entry("Flag")),
    "a rule": searchset(entry("Flag", implicitRules="urn:x")),
    "a member twice": searchset(entry(status="final")).replace(b'"status"', b'"status": "amended", "status"'),
    "twice where nobody reads": searchset(entry(performer=[{"display": "a"}])).replace(
        b'"display"', b'"display": "b", "display"'
    ),
    "an entry twice": searchset(entry()).replace(b'"entry"', b'"entry": [], "entry"'),
    "a number out of range": searchset(entry(extension=[{"valueDecimal": 7}])).replace(b"7", b"1e999"),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_a_bundle_with_anything_unusual_is_read_entry_by_entry(name: str) -> None:
    assert not is_whole(UNUSUAL[name])
    assert told(UNUSUAL[name]) == told(AWAY + UNUSUAL[name])
