"""Whether the bytes of a request may hold an acute answer, by codes alone: a tenth of the work of reading the chart.

An acute finding has a code behind it: a suicide screen's, a risk level's or an act of self-harm's (rules R2 and R4).
What is put in words alone is never acute. Says yes too often rather than too seldom; reads no answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from fhir_adapters.codesets.questions import OWN_QUESTIONS, QuestionnaireMap, targets
from fhir_adapters.codesets.terminology import ICD9CM, ICD10CM, RISK_ASSESSMENT, SNOMED, code_list, normal
from fhir_adapters.instruments import Instrument
from fhir_adapters.reading.lists.conditions import ACUTE_KINDS, event_kind
from fhir_adapters.reading.questionnaires.response_items import CODE_AT_END

SCREENS = (Instrument.CSSRS, Instrument.ASQ, Instrument.RISK_LEVEL)
# The members that hold a code: of a Coding, of a form's item, and of the item's definition.
CODES = re.compile(rb'"(?:code|linkId|definition)"\s*:\s*"([^"]*)"')
# The beginning of an ICD code, and a concept of SNOMED CT.
ICD_CODE, CONCEPT = re.compile(r"[A-Z]\d[0-9A-Z]{1,5}"), re.compile(r"\s*(\d{6,18})\s*")
# A plain letter, digit or mark written as an escape, which JSON allows anywhere, in names of members too.
ESCAPED = re.compile(rb"\\u00[2-7]")


def may_be_acute(body: bytes, maps: Iterable[QuestionnaireMap]) -> bool:
    """Whether JSON may hold an acute answer. `maps`: of every site that it may be for."""
    if ESCAPED.search(body) or b'"RiskAssessment"' in body:  # that type may be acute without a code
        return True
    mapped = {item.encode() for site_map in maps if site_map.instrument in SCREENS for item in site_map.items}
    return any(
        code in mapped or b"\\" in code or _is_acute(code.decode(errors="replace")) for code in set(CODES.findall(body))
    )


def _is_acute(code: str) -> bool:
    """Whether a code, in whatever system, is of a suicide screen or of an acute kind of self-harm."""
    at_end = CODE_AT_END.search(code)
    target = targets().get(at_end[1]) if at_end else OWN_QUESTIONS.get(code)
    if target and target.instrument in SCREENS:
        return True
    # The lists keep what is looked up in them, so only what has the form of a code may be.
    conditions, icd, concept = code_list("conditions"), ICD_CODE.match(normal(ICD10CM, code)), CONCEPT.fullmatch(code)
    rows = [*conditions.rows(ICD10CM, icd[0]), *conditions.rows(ICD9CM, icd[0])] if icd else []
    rows += conditions.rows(SNOMED, concept[1]) if concept else ()
    return any(event_kind(row.group) in ACUTE_KINDS for row in rows) or bool(concept and concept[1] == RISK_ASSESSMENT)
