"""SMART scopes of both versions: SMART-037 to 042, 046."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smart_launch.oauth.scopes import (
    READ_TYPES,
    configured_scopes,
    default_scopes,
    grants,
    not_granted,
    parse_scope,
    reads_part_only,
)


@pytest.mark.parametrize(
    ("text", "kind", "rights"),
    [
        ("patient/Observation.rs", "Observation", "rs"),
        ("patient/Observation.cruds", "Observation", "cruds"),
        ("user/*.cud", "*", "cud"),
        ("patient/Observation.read", "Observation", "rs"),
        ("patient/Observation.write", "Observation", "cud"),
        ("patient/*.*", "*", "cruds"),
        ("patient/Observation.rs?category=http://x|survey", "Observation", "rs"),
    ],
)
def test_smart_038_039_both_syntaxes_are_read(text: str, kind: str, rights: str) -> None:
    found = parse_scope(text)

    assert found is not None
    assert (found.kind, found.rights) == (kind, frozenset(rights))


@pytest.mark.parametrize(
    "text",
    ["openid", "launch", "launch/patient", "patient/Observation.dus", "patient/Observation.rd", "patient/Observation.sr",
     "patient/Observation.", "patient/Observation", "Observation.rs", "patient/Observation.rsx", "", "patient/.rs",
     "patient/Observation.rs extra"],
)  # fmt: skip
def test_smart_038_what_is_no_scope_on_data_gives_nothing(text: str) -> None:
    # `.rd` is in order, but `.dus` and `.sr` are not.
    found = parse_scope(text)

    assert found is None or text == "patient/Observation.rd"


@pytest.mark.parametrize(
    ("supported", "asked"),
    [
        ((), True),
        (("openid", "launch", "online_access"), True),
        (("patient/Observation.rs", "patient/CarePlan.rs", "patient/Appointment.read"), True),
        (("openid", "patient/*.read"), True),
        (("openid", "patient/Patient.rs", "patient/Observation.rs"), False),
    ],
)
def test_what_only_the_steps_need_is_not_asked_of_an_ehr_whose_list_lacks_it(
    supported: tuple[str, ...], asked: bool
) -> None:
    scopes = default_scopes(
        ehr_launch=True, version_2=True, consents=False, write_back=False, online=False, supported=supported
    )

    assert {scope for scope in scopes if scope.startswith("patient/")} == {
        f"patient/{kind}.rs" for kind in READ_TYPES if asked or kind not in ("CarePlan", "Appointment")
    }


def test_smart_042_rights_are_those_granted_and_not_those_asked() -> None:
    asked = default_scopes(ehr_launch=True, version_2=True, consents=True, write_back=True, online=False)

    lacking = not_granted(
        asked, ("patient/Patient.read", "patient/Observation.rs", "patient/Condition.r", "user/Task.*")
    )

    assert ("Observation", "c") in lacking
    assert ("QuestionnaireResponse", "r") in lacking
    assert ("Consent", "r") in lacking
    assert not {("Patient", "r"), ("Observation", "r"), ("Condition", "r"), ("Task", "c")} & set(lacking)


@pytest.mark.parametrize("syntax", [".read", ".rs", ".*", ".cruds"])
def test_smart_039_all_reading_granted_in_either_syntax_lacks_no_reading(syntax: str) -> None:
    asked = default_scopes(ehr_launch=True, version_2=True, consents=True, write_back=True, online=True)

    assert [pair for pair in not_granted(asked, (f"patient/*{syntax}",)) if pair[1] == "r"] == []


def test_smart_041_a_type_that_can_be_read_in_part_only_is_said_to_be() -> None:
    part = ("patient/Observation.rs?category=laboratory",)

    assert reads_part_only(part, "Observation")
    assert not reads_part_only((*part, "patient/Observation.r"), "Observation")
    assert not reads_part_only(part, "Condition")


@pytest.mark.parametrize("version_2", [True, False])
@pytest.mark.parametrize("ehr_launch", [True, False])
def test_smart_013_015_037_044_045_046_least_rights_are_asked_for(ehr_launch: bool, version_2: bool) -> None:
    asked = default_scopes(ehr_launch=ehr_launch, version_2=version_2, consents=False, write_back=False, online=False)
    data = [scope for text in asked if (scope := parse_scope(text))]

    assert asked[0] == ("launch" if ehr_launch else "launch/patient")
    assert {"openid", "fhirUser"} < set(asked)
    assert "offline_access" not in asked
    assert {scope.kind for scope in data} == set(READ_TYPES)
    assert all(scope.rights == {"r", "s"} for scope in data)


def test_writing_is_asked_for_what_the_forms_write_and_nothing_is_ever_deleted() -> None:
    asked = default_scopes(ehr_launch=True, version_2=True, consents=False, write_back=True, online=False)
    data = [scope for text in asked if (scope := parse_scope(text))]

    assert {s.kind for s in data if "c" in s.rights} == {
        "QuestionnaireResponse",
        "Observation",
        "Task",
        "ServiceRequest",
    }
    assert not any("d" in scope.rights for scope in data)


@given(st.text(max_size=60))
def test_no_text_grants_more_than_it_says(text: str) -> None:
    found = parse_scope(text)

    assert grants((text,), "Observation", "c") == (
        found is not None and found.kind in ("Observation", "*") and "c" in found.rights
    )


def test_smart_013_016_scopes_of_a_site_go_with_the_kind_of_launch() -> None:
    given = ("openid", "launch/patient", "launch", "patient/Patient.rs")

    assert configured_scopes(given, ehr_launch=True) == ("launch", "openid", "patient/Patient.rs")
    assert configured_scopes(given[:1], ehr_launch=False) == ("launch/patient", "openid")
