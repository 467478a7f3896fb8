"""Members that stand twice in one object: found at any depth, and what was hidden by one is never silence."""

from __future__ import annotations

import json

import pytest
from builders import AS_OF, CSSRS, LOINC, PATIENT, PHQ, cards_of, codeable, observation, patient, resource
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.duplicates import named_twice, repeated
from fhir_adapters.gaps import Cause
from fhir_adapters.reading.extraction import patient_record
from fhir_adapters.settings import ReadSettings

TODAY = AS_OF.date().isoformat()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"a":1,"b":2}', []),
        ('{"a":{"x":1},"b":{"x":1},"c":[{"x":1},{"x":1}]}', []),
        ('{"a":1,"a":1}', ["a"]),
        ('{ "a" : 1 , "b":2, "a" : 1 }', ["a"]),
        ('{"a":1,"\\u0061":2}', ["a"]),
        ('{"a":{"b":{"c":1,"c":2}},"d":1}', ["a"]),
        ('{"a":[[{"c":1,"c":2}]],"d":1,"d":2}', ["a", "d"]),
        ('{"a":"\\"b\\":1,\\"b\\":2"}', []),
        ('{"a":"caf\\u00e9 \\u0022","b":1.50,"c":1E5,"d":1e999,"e":"\\/"}', []),
        ('{"a":"\\u0022\\u0022","b":1,"b":1}', ["b"]),
        ('{"a":1e999,"b":{"a":1,"a":2}}', ["b"]),
        ("[1]", []),
    ],
)
def test_the_members_that_stand_twice_are_found_at_any_depth(text: str, names: list[str]) -> None:
    assert sorted(named_twice(text.encode())) == names


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=2), JSON, max_size=4), st.sampled_from([None, 1]), st.booleans())
@settings(max_examples=300, deadline=None)
def test_no_json_that_was_written_once_holds_a_duplicate(value: dict, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode(errors="replace")
    kept = {
        name: Raw(json.dumps(inner, indent=indent, ensure_ascii=ascii_only).encode(errors="replace"))
        for name, inner in value.items()
    }

    assert not named_twice(text)
    assert not repeated(text, {}) and not repeated(text, kept)
    for name, inner in value.items():
        member = f"{json.dumps(name)}:{json.dumps(inner)}"
        again = b"{" + member.encode() + b"," + text.lstrip(b"{ \n")
        assert name in named_twice(again)
        if name.isascii():
            assert name in repeated(again, {}) and name in repeated(again, kept)


# ---- in a resource ----

YES = observation(LOINC, CSSRS["q4"], TODAY, {"valueBoolean": True})
ITEM9 = observation(LOINC, PHQ[8], TODAY, {"valueInteger": 2})
FORM = resource(
    "QuestionnaireResponse", status="completed", authored=TODAY,
    item=[{"linkId": CSSRS["q4"], "answer": [{"valueBoolean": True}]}],
)  # fmt: skip
ATTEMPT = resource("Condition", code=codeable("http://hl7.org/fhir/sid/icd-10-cm", "T14.91XA"), recordedDate=TODAY)
UNREAD, NAMED = ["positive-safety-answer warning"], ["could-not-assess info"]


def chart_of(*texts: str, whole: str = '{{"resourceType":"Bundle","type":"collection","entry":[{}]}}'):
    entries = ",".join(f'{{"resource":{text}}}' for text in (json.dumps(patient()), *texts))
    settings_ = ReadSettings()
    gathered = chart_bundle(whole.format(entries).encode(), settings=settings_, as_of=AS_OF)
    return patient_record(gathered, settings=settings_, as_of=AS_OF)


def topics(record) -> list[str]:
    return [f"{c.source.topic.code} {c.indicator}" for c in cards_of(record)]


@pytest.mark.parametrize(
    ("content", "found", "put", "expected"),
    [
        (YES, "}", ',"valueBoolean":false}', UNREAD),
        (YES, "}", ',"status":"entered-in-error"}', UNREAD),
        (YES, "}", ',"stat\\u0075s":"entered-in-error"}', [*UNREAD, *NAMED]),
        (YES, "}", ',"effectiveDateTime":"2020-01-01"}', UNREAD),
        (YES, "}", ',"code":{"text":"Height"}}', NAMED),
        (YES, '"coding": [', '"coding": [{"code":"1"}],"coding": [', NAMED),
        (YES, '"code": "', '"code":"8480-6","code": "', NAMED),
        (YES, "}", f',"subject":{{"reference":"Patient/{PATIENT}"}}}}', NAMED),
        (YES, "}", ',"focus":[],"focus":[{"reference":"Patient/p2"}]}', UNREAD),
        (ITEM9, "}", ',"valueInteger":0}', UNREAD),
        (ITEM9, "}", ',"performer":[],"performer":[]}', UNREAD),
        (FORM, '"answer": [', '"answer":[{"valueBoolean":false}],"answer": [', NAMED),
        (FORM, '"valueBoolean": true', '"valueBoolean": true, "valueBoolean": false', NAMED),
        (FORM, "}", ',"item":[]}', NAMED),
        (FORM, '"resourceType"', '"resourceType":"Basic","resourceType"', NAMED),
        (ATTEMPT, "}", ',"code":{"text":"Asthma"}}', NAMED),
        (ATTEMPT, "}", ',"verificationStatus":{},"verificationStatus":{}}', NAMED),
    ],
)
def test_r4_a_resource_with_a_member_twice_is_unreadable_and_never_silent(content, found, put, expected) -> None:
    text = json.dumps(content)
    head, _, tail = text.rpartition(found) if found == "}" else text.partition(found)
    record = chart_of(f"{head}{put}{tail}")

    assert topics(record) == expected
    if expected == NAMED:
        ((cause, hides),) = {(entry.reason.cause, entry.may_hide_answer) for entry in record.unreadable}
        assert (cause, hides) == (Cause.MEMBER_TWICE, True)


@pytest.mark.parametrize("more", ['"resourceType":"Basic"', '"resourceT\\u0079pe":"Basic"', f'"x":{"9" * 400},"resourceType":"Basic"'])  # fmt: skip
def test_r4_an_answer_whose_last_type_is_one_that_is_not_read_is_never_silent(more: str) -> None:
    record = chart_of(json.dumps(YES)[:-1] + f",{more}}}")

    assert [unknown.reason.cause for unknown in record.unknown] == [Cause.ENTRIES_BROKEN]
    assert topics(record) == NAMED


def test_a_name_that_is_no_element_is_not_repeated() -> None:
    record = chart_of(json.dumps(FORM)[:-1] + ',"Quillfeather, Ida":1,"Quillfeather, Ida":2}')

    assert [entry.reason.detail for entry in record.unreadable] == ["?"]


@pytest.mark.parametrize(
    "whole",
    [
        '{{"resourceType":"Bundle","type":"collection","entry":[{0}],"entry":[{0}]}}',
        '{{"resourceType":"Bundle","entry":[{}],"link":[{{"relation":"next","url":"x"}}],"link":[]}}',
        '{{"resourceType":"Bundle","entr\\u0079":[],"entry":[{}]}}',
        '{{"resourceType":"Bundle","entry":[{},{{"resource":{{"resourceType":"Basic"}},"resource":{{"resourceType":"Basic"}}}}]}}',
        '{{"resourceType":"Bundle","entry":[{},{{"resource":{{"resourceT\\u0079pe":"Basic"}},"resource":{{"resourceType":"Basic"}}}}]}}',
        '{{"resourceType":"Bundle","entry":[{},{{"resource":{{"resourceType":"Bundle","entry":[],"entry":[]}}}}]}}',
    ],
)
def test_a_bundle_with_a_member_twice_is_incomplete(whole: str) -> None:
    record = chart_of(whole=whole)

    assert [unknown.reason.cause for unknown in record.unknown] == [Cause.ENTRIES_BROKEN]
    assert topics(record) == NAMED


@pytest.mark.parametrize(
    "whole",
    [
        '{{"resourceType":"Bundle","entry":[{},{{"resource":{{"resourceType":"Basic","contained":[{{"resourceType":"Basic"}}]}}}}]}}',
        '{{"resourceType":"Bundle","entry":[{},{{"resource":{{"resourceType":"Basic"}},"response":{{"status":"200","outcome":{{"resourceType":"OperationOutcome"}}}}}}]}}',
        '{{"resourceType":"Bundle","entry":[{},{{"resource":{{"resourceType":"Basic","text":"\\u0041bc \\u00e9"}}}}]}}',
    ],
)  # fmt: skip
def test_a_bundle_without_is_whole(whole: str) -> None:
    assert chart_of(whole=whole).unknown == ()
