"""The screening instruments: scales, titles, and which code or linkId asks which question.

By LOINC for PHQ-9, PHQ-2, PHQ-9M, GAD-7, AUDIT-C and C-SSRS; by a site's own map for forms without standard codes
(ASQ has no LOINC codes, and none was found for EPDS item 10). Does not read answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import msgspec

from fhir_adapters.codesets.terminology import LOINC, SNOMED, canonical, table
from fhir_adapters.facts import Instrument
from fhir_adapters.resources import r4

# Highest item score and highest total of the graded instruments (docs/clinical-sources.md S1, S2).
TOP_ITEM = {
    Instrument.PHQ9: 3,
    Instrument.PHQ9M: 3,
    Instrument.PHQ2: 3,
    Instrument.EPDS: 3,
    Instrument.GAD7: 3,
    Instrument.AUDITC: 4,
}
TOP_TOTAL = {
    Instrument.PHQ9: 27,
    Instrument.PHQ9M: 27,
    Instrument.PHQ2: 6,
    Instrument.EPDS: 30,
    Instrument.GAD7: 21,
    Instrument.AUDITC: 12,
}
ITEM_COUNT = {
    Instrument.PHQ9: 9,
    Instrument.PHQ9M: 9,
    Instrument.PHQ2: 2,
    Instrument.EPDS: 10,
    Instrument.GAD7: 7,
    Instrument.AUDITC: 3,
}
YES_NO = (Instrument.CSSRS, Instrument.ASQ)
# The nine-item PHQ, for adults and for adolescents: the rules read both alike.
NINE_ITEM_PHQ = (Instrument.PHQ9, Instrument.PHQ9M)
TITLES = {
    Instrument.PHQ9: "PHQ-9",
    Instrument.PHQ9M: "PHQ-9M",
    Instrument.PHQ2: "PHQ-2",
    Instrument.EPDS: "EPDS",
    Instrument.GAD7: "GAD-7",
    Instrument.AUDITC: "AUDIT-C",
    Instrument.CSSRS: "C-SSRS",
    Instrument.ASQ: "ASQ",
}
# The question of each instrument that asks about self-harm or suicide; all of them for the last two.
SAFETY_ITEM = {Instrument.PHQ9: "9", Instrument.PHQ9M: "9", Instrument.EPDS: "10"}

GROUPS = {"phq9": Instrument.PHQ9, "phq9m": Instrument.PHQ9M, "phq2": Instrument.PHQ2, "epds": Instrument.EPDS,
          "gad7": Instrument.GAD7, "auditc": Instrument.AUDITC, "cssrs.screener": Instrument.CSSRS}  # fmt: skip

# The two questions of PHQ-9M outside its total; they must reach the rules all the same (docs/clinical-sources.md S1).
TEEN_QUESTIONS = ("past_month_thoughts", "lifetime_attempt")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionnaireMap:
    """A site's map of one form without standard codes (docs/operations.md).

    `source` is the Questionnaire's canonical (`form`) or a code system; `items` maps linkId or code to an
    item: "1".."10", "total", or "q1".."q6", "q6_recent", "acuity".
    """

    instrument: Instrument
    source: str
    items: Mapping[str, str]
    form: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a code or linkId asks: `item`, or "total", "panel", "level", "most-severe"."""

    instrument: Instrument
    item: str


@cache
def targets() -> dict[str, Target]:
    """LOINC (and two SNOMED) codes to the instrument and item that they stand for."""
    found: dict[str, Target] = {}
    for row in table("instruments"):
        match = re.match(
            r"(phq9m|phq9|phq2|gad7|auditc|epds|cssrs\.screener)\.(item\d(?:_recent)?|total|panel)", row["group"]
        )
        if match and not row["code"].startswith("("):
            instrument, part = GROUPS[match[1]], match[2]
            item = part.replace("item", "q" if instrument is Instrument.CSSRS else "")
            found[row["code"]] = Target(instrument=instrument, item=item)
    # Nursing-home (MDS) form of item 9: presence is yes/no, frequency 0-3 (docs/clinical-sources.md S1).
    found["54652-3"] = Target(instrument=Instrument.PHQ9, item="9")
    found["54653-1"] = Target(instrument=Instrument.PHQ9, item="9")
    found["93374-7"] = Target(instrument=Instrument.CSSRS, item="level")
    found["93293-9"] = Target(instrument=Instrument.CSSRS, item="most-severe")
    return found


def asked_for() -> tuple[str, ...]:
    """The codes of `targets` that rules or pages have a use for.

    AUDIT-C is not among them: its answers on drinking are inputs of the models, and asked for as such.
    """
    return tuple(code for code, target in targets().items() if target.instrument is not Instrument.AUDITC)


def target_of(concept: r4.CodeableConcept | None, maps: Iterable[QuestionnaireMap]) -> Target | None:
    """What a code asks, by standard code or by a site's map of a local code system."""
    for coding in concept.coding if concept else ():
        if not coding.code:
            continue
        # A listed code whose system was left out is read all the same: unknown reads as worse (rule R4).
        if (not coding.system or canonical(coding.system) in (LOINC, SNOMED)) and coding.code in targets():
            return targets()[coding.code]
        for site_map in maps:
            if site_map.source == coding.system and coding.code in site_map.items:
                return Target(instrument=site_map.instrument, item=site_map.items[coding.code])
    return None


def questionnaire_targets(
    response: r4.QuestionnaireResponse, maps: Iterable[QuestionnaireMap]
) -> list[tuple[Target, r4.Value]]:
    """Each answered or blank question of a known form, by the site's map first, then by LOINC linkId.

    R4 items carry no code, so the LOINC code is the linkId itself or the last part of its path.
    """
    canonical_url = (response.questionnaire or "").partition("|")[0]
    site_items: dict[str, Target] = {}
    for site_map in maps:
        if site_map.source == canonical_url:
            site_items |= {
                link: Target(instrument=site_map.instrument, item=item) for link, item in site_map.items.items()
            }
    found: list[tuple[Target, r4.Value]] = []
    for item in items_of(response):
        if not item.link_id and not item.definition:
            continue
        target = site_items.get(item.link_id or "") or _loinc_target(item)
        if target:
            # Each of several answers is kept; putting the form together keeps the worst.
            found += [(target, answer) for answer in _distinct(item.answer)] or [(target, r4.Value())]
    teen = any(t.instrument is Instrument.PHQ9M for t, _ in found)
    if teen:
        found = [
            (replace(t, instrument=Instrument.PHQ9M), v) if t.instrument is Instrument.PHQ9 else (t, v)
            for t, v in found
        ]
    return found


def _distinct(answers: Sequence[r4.Answer]) -> Iterable[r4.Answer]:
    """The answers, those that were sent several times once."""
    return answers if len(answers) < 2 else {msgspec.json.encode(answer): answer for answer in answers}.values()


def items_of(response: r4.QuestionnaireResponse) -> Iterator[r4.QuestionnaireItem]:
    """Every item of a response, in order, however deep; without recursion, whose depth a sender would choose."""
    left = list(reversed(response.item))
    while left:
        item = left.pop()
        yield item
        left += reversed([*item.item, *(inner for answer in item.answer for inner in answer.item)])


def _loinc_target(item: r4.QuestionnaireItem) -> Target | None:
    """By the LOINC code that ends the linkId or the definition; R4 items carry no code of their own."""
    for text in (item.link_id, item.definition):
        match = re.search(r"(?:^|[^0-9A-Za-z])(\d{4,6}-\d)$", text or "")
        if match and match[1] in targets():
            return targets()[match[1]]
    return None
