"""Codes to items of instruments: by LOINC, or by a site's own map for forms without standard codes.

No LOINC code was found for EPDS item 10. Does not read answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from fhir_adapters.codesets.terminology import LOINC, SNOMED, canonical, table
from fhir_adapters.instruments import Instrument
from fhir_adapters.resources import r4


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionnaireMap:
    """A site's map of one form without standard codes (docs/configuration.md).

    `source` is the Questionnaire's canonical (`form`) or a code system; `items` maps linkId or code to an
    item: "1".."10", "total", or "q1".."q6", "q6_recent", "acuity".
    """

    instrument: Instrument
    source: str
    items: Mapping[str, str]
    form: bool = True


def item_names(instrument: Instrument) -> set[str]:
    """The names of an instrument's items in a site's map."""
    spec = instrument.spec
    return set(spec.items) if spec.yes_no else {*(f"item{item}" for item in spec.items), "total", *spec.further}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a code or linkId stands for: `item`, or "total", "panel", "level", "most-severe"."""

    instrument: Instrument
    item: str


# The questions of our own forms that have no verified code, by linkId. It names the form, since servers that register
# forms under their own URL drop or rewrite our canonical.
OWN_QUESTIONS = {
    f"mental-health-cds/{instrument}/{prefix}{item}": Target(instrument=instrument, item=item)
    for instrument, prefix in ((Instrument.ASQ, ""), (Instrument.EPDS, "item"))
    for item in instrument.spec.items
}


@cache
def targets() -> dict[str, Target]:
    """LOINC (and two SNOMED) codes to instrument and item."""
    groups = {i.spec.code_group: i for i in Instrument if i.spec.code_group}
    known: dict[str, Target] = {}
    for row in table("instruments"):
        match = re.match(rf"({'|'.join(groups)})\.(item\d+(?:_recent)?|acuity|total|panel)", row["group"])
        if match and not row["code"].startswith("("):
            instrument, part = groups[match[1]], match[2]
            item = part.replace("item", "q" if instrument.spec.yes_no else "")
            known[row["code"]] = Target(instrument=instrument, item=item)
    # Nursing-home (MDS) form of item 9: presence is yes/no, frequency 0-3 (docs/clinical-sources.md S1).
    known["54652-3"] = Target(instrument=Instrument.PHQ9, item="9")
    known["54653-1"] = Target(instrument=Instrument.PHQ9, item="9")
    known["93245-9"] = Target(instrument=Instrument.CSSRS, item="panel")
    known["93374-7"] = Target(instrument=Instrument.RISK_LEVEL, item="level")
    known["93293-9"] = Target(instrument=Instrument.CSSRS, item="most-severe")
    return known


def coding_of(instrument: Instrument, part: str) -> tuple[str, str]:
    """LOINC code and display of an instrument's "panel" or "total". Raises KeyError where the code set has none."""
    for row in table("instruments"):
        if row["system"] == LOINC and row["group"].split(" ")[0] == f"{instrument.spec.code_group}.{part}":
            return row["code"], row["display"]
    raise KeyError(f"{instrument} {part}")


def verified_code(instrument: Instrument, part: str) -> str | None:
    """The LOINC code of an instrument's part if it was verified, as what is written to a chart must be."""
    rows = (row for row in table("instruments") if row["group"].split(" ")[0] == f"{instrument.spec.code_group}.{part}")
    return next((row["code"] for row in rows if row["system"] == LOINC and row["verified"] == "yes"), None)


@cache
def displays() -> dict[str, str]:
    """LOINC codes of instruments to their displays."""
    return {row["code"]: row["display"] for row in table("instruments") if row["system"] == LOINC}


def screening_codes() -> tuple[str, ...]:
    """The codes of `targets` that rules or pages use; codes of model inputs are queried elsewhere."""
    return tuple(code for code, target in targets().items() if not target.instrument.spec.input_only)


def target_of(concept: r4.CodeableConcept | None, maps: Sequence[QuestionnaireMap]) -> Target | None:
    """The target of a concept, by standard code or by a site's map of a local code system."""
    known = targets()
    for coding in concept.coding if concept else ():
        if not coding.code or not (maps or coding.code in known):
            continue
        system = canonical(coding.system) if coding.system else None
        # A listed code without a system is read too: unknown reads as worse (rule R4).
        if system in (None, LOINC, SNOMED) and coding.code in known:
            return known[coding.code]
        for site_map in maps:
            if system and canonical(site_map.source) == system and coding.code in site_map.items:
                return Target(instrument=site_map.instrument, item=site_map.items[coding.code])
    return None
