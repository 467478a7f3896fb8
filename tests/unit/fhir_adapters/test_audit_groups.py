"""Race and ethnicity, language and payer as groups for the audit: what is read, what is unrecorded, and who may read it."""

from __future__ import annotations

import ast
import json
from datetime import date

import pytest
from sources import ROOT, modules, tree_of

from cds_service.monitoring import episodes
from fhir_adapters.reading.audit_groups import UNRECORDED, language, payer, race_ethnicity

TODAY = date(2026, 11, 23)
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
WHITE, BLACK, HISPANIC, NOT_HISPANIC, ASKED_BUT_UNKNOWN = "2106-3", "2054-5", "2135-2", "2186-5", "ASKU"


def person(race: tuple[str, ...] = (), ethnicity: tuple[str, ...] = (), **more) -> bytes:
    named = {"race": race, "ethnicity": ethnicity}
    found = [
        {"url": US_CORE + name, "extension": [{"url": "ombCategory", "valueCoding": {"code": code}} for code in codes]}
        for name, codes in named.items()
    ]
    return json.dumps({"resourceType": "Patient", "extension": found} | more).encode()


@pytest.mark.parametrize(
    ("text", "group"),
    [
        (person((WHITE,)), "white"),
        (person((WHITE,), (HISPANIC,)), "hispanic-or-latino"),
        (person((BLACK,), (NOT_HISPANIC,)), "black-or-african-american"),
        (person((WHITE, BLACK)), "more-than-one"),
        (person((ASKED_BUT_UNKNOWN,)), "unrecorded"),
        (person(), "unrecorded"),
        (b'{"extension": {"url": "odd"}}', "unrecorded"),
        (b"{", "unrecorded"),
    ],
)
def test_race_and_ethnicity_are_one_group(text: bytes, group: str) -> None:
    assert race_ethnicity(text) == group


def spoken(*codes: str, preferred: str | None = None) -> bytes:
    each = [{"language": {"coding": [{"code": code}]}, "preferred": code == preferred} for code in codes]
    return json.dumps({"communication": each}).encode()


@pytest.mark.parametrize(
    ("text", "group"),
    [
        (spoken("es-MX"), "es"),
        (spoken("EN"), "en"),
        (spoken("en", "es", preferred="es"), "es"),
        (spoken("en", "es"), "unrecorded"),
        (spoken(), "unrecorded"),
        (spoken("Spanish, since she moved here"), "unrecorded"),
    ],
)
def test_the_language_is_the_preferred_or_only_one(text: bytes, group: str) -> None:
    assert language(text) == group


def cover(code: str = "12", **changes) -> dict:
    coded = {"coding": [{"system": "https://nahdo.org/sopt", "code": code}]}
    known = {"resourceType": "Coverage", "status": "active", "beneficiary": {"reference": "Patient/p1"}, "type": coded}
    return known | changes


@pytest.mark.parametrize(
    ("covers", "group"),
    [
        ([cover("12")], "medicare"),
        ([cover("2")], "medicaid"),
        ([cover("512"), cover("6")], "private"),
        ([cover("81")], "other"),
        ([cover("1"), cover("2")], "more-than-one"),
        ([cover(status="cancelled")], "unrecorded"),
        ([cover(period={"end": "2026-11-22"})], "unrecorded"),
        ([cover(period={"end": "2026"})], "medicare"),
        ([cover(beneficiary={"reference": "Patient/p2"})], "unrecorded"),
        ([cover(beneficiary={"reference": "https://ehr.example/fhir/Patient/p1"})], "medicare"),
        ([cover(meta={"security": [{"code": "42CFRPart2"}]})], "unrecorded"),
        ([cover(type={"text": "employer"})], "unrecorded"),
        ([{"resourceType": "Organization", "type": [{"text": "payer"}]}, cover("2")], "medicaid"),
        ([], "unrecorded"),
    ],
)
def test_the_payer_is_that_of_the_patients_cover_in_force(covers: list[dict], group: str) -> None:
    bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": each} for each in covers]}

    assert payer(json.dumps(bundle).encode(), "p1", TODAY) == group
    if len(covers) == 1:
        assert payer(json.dumps(covers[0]).encode(), "p1", TODAY) == group


def test_one_module_alone_reads_the_groups_and_it_only_records_them() -> None:
    readers = {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom) and node.module == "fhir_adapters.reading.audit_groups"
    }

    assert readers == {"cds_service/monitoring/noted.py"}
    assert episodes.UNRECORDED == UNRECORDED
