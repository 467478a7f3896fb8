"""Codes: which system, which of our code groups, and how far each was verified.

The lists are CSV files in `codesets/` (system, code, display, group, source, verified). Rows whose code is "(resolve)"
or "(none)" are not loaded; `unresolved()` names them. `[prefix]` in a group means the code and everything below it;
`regex:` rows match the code without its dot. ICD-10-CM is compared in upper case without the dot.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
ICD10 = "http://hl7.org/fhir/sid/icd-10"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ATC = "http://www.whocc.no/atc"

# The SNOMED CT procedure: suicide risk assessment.
RISK_ASSESSMENT = "225337009"

# The same systems by OID, as CDA-born records carry them.
ALIASES = {
    "https://loinc.org": LOINC,
    "https://snomed.info/sct": SNOMED,
    "urn:oid:2.16.840.1.113883.6.1": LOINC,
    "urn:oid:2.16.840.1.113883.6.96": SNOMED,
    "urn:oid:2.16.840.1.113883.6.90": ICD10CM,
    "urn:oid:2.16.840.1.113883.6.3": ICD10,
    "urn:oid:2.16.840.1.113883.6.88": RXNORM,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRow:
    """One row of a code list. `group` is without its notes; `verified` is yes, partial or no."""

    system: str
    code: str
    display: str
    group: str
    verified: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CodeList:
    """A loaded list: exact codes, prefixes and patterns, per system. Cached by name, so it compares by identity."""

    exact: dict[tuple[str, str], tuple[CodeRow, ...]]
    prefixes: tuple[tuple[str, str, CodeRow], ...]
    patterns: tuple[tuple[str, re.Pattern[str], CodeRow], ...]

    def rows(self, system: str | None, code: str | None) -> tuple[CodeRow, ...]:
        """Every row that matches the code, exact rows first."""
        if not code or len(code) > LONGEST_CODE:
            return ()
        known = canonical(system) if system else guessed_system(code)
        return _rows(self, known, code) if len(known) <= LONGEST_SYSTEM else ()


# No code or system of ours is longer; longer texts must not fill the cache.
LONGEST_CODE = 64
LONGEST_SYSTEM = 128


@lru_cache(maxsize=8192)
def _rows(codes: CodeList, known: str, code: str) -> tuple[CodeRow, ...]:
    # A code of the American modification sent under the international system keeps its meaning.
    systems = (ICD10, ICD10CM) if known == ICD10 else (known,)
    rows: list[CodeRow] = []
    for system in systems:
        plain = normal(system, code)
        rows += codes.exact.get((system, plain), ())
        rows += [row for s, prefix, row in codes.prefixes if s == system and plain.startswith(prefix)]
        rows += [row for s, pattern, row in codes.patterns if s == system and pattern.match(plain)]
    return tuple(rows)


def guessed_system(code: str) -> str:
    """The likely system of a code sent without one, by its shape; unknown reads as worse than absent."""
    if re.fullmatch(r"[A-Z]\d[0-9A-Z](?:\.?[0-9A-Z]{1,4})?", code.upper()):
        return ICD10CM
    return SNOMED if re.fullmatch(r"\d{6,18}", code) else ""


def canonical(system: str) -> str:
    """The system's URL, also for an OID or a URL with a version or trailing slash."""
    bare = system.partition("|")[0].rstrip("/")
    return ALIASES.get(bare, bare)


def normal(system: str, code: str) -> str:
    """A code in the form compared: ICD-10 without dot, in capitals; others as they are."""
    return code.replace(".", "").upper().strip() if system in (ICD10CM, ICD10) else code.strip()


@cache
def table(name: str) -> tuple[dict[str, str], ...]:
    """The rows of `codesets/<name>.csv`."""
    text = (files("fhir_adapters") / "codesets" / f"{name}.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


@cache
def code_list(name: str) -> CodeList:
    """The code list `codesets/<name>.csv`."""
    exact: dict[tuple[str, str], list[CodeRow]] = {}
    prefixes, patterns = [], []
    for raw in table(name):
        if raw["code"].startswith("("):
            continue
        system, code = canonical(raw["system"]), raw["code"]
        row = CodeRow(
            system=system,
            code=code,
            display=raw["display"],
            group=code_group(raw["group"]),
            verified=raw["verified"],
        )
        if code.startswith("regex:"):
            patterns.append((system, re.compile(code.removeprefix("regex:")), row))
        elif "[prefix]" in raw["group"] or "[prefix]" in raw["display"]:
            prefixes.append((system, normal(system, code), row))
        else:
            exact.setdefault((system, normal(system, code)), []).append(row)
    return CodeList(
        exact={key: tuple(rows) for key, rows in exact.items()}, prefixes=tuple(prefixes), patterns=tuple(patterns)
    )


def code_group(text: str) -> str:
    """The name of a group without trailing notes."""
    return re.split(r"[ :,]", text, maxsplit=1)[0]


def unresolved(names: Iterable[str] = ("instruments", "conditions", "medications")) -> tuple[str, ...]:
    """Rows of the lists that carry no usable code yet, as `list: display`."""
    return tuple(f"{name}: {row['display']}" for name in names for row in table(name) if row["code"].startswith("("))
