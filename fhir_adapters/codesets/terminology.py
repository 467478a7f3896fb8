"""Codes: which system, which of our code groups, and how far each was verified.

The lists are CSV files in `codesets/` (system, code, display, group, source, verified). Rows whose code is "(resolve)"
or "(none)" are not loaded; `unresolved()` names them. `[prefix]` in a group means the code and everything below it;
`regex:` rows match the code without its dot. ICD codes are compared in upper case without dots and marks.
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
ICD9CM = "http://hl7.org/fhir/sid/icd-9-cm"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ATC = "http://www.whocc.no/atc"
YES_NO = "http://terminology.hl7.org/CodeSystem/v2-0136"
ICD = (ICD10CM, ICD10, ICD9CM)

# The SNOMED CT procedure: suicide risk assessment.
RISK_ASSESSMENT = "225337009"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRow:
    """One row of a code list. `group` is without its notes; `verified` is yes, partial, secondary or no."""

    system: str
    code: str
    display: str
    group: str
    verified: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CodeList:
    """A loaded list: exact codes, prefixes and patterns, per system. Cached by name, so it compares by identity."""

    exact: dict[tuple[str, str], tuple[CodeRow, ...]]
    prefixes: dict[str, tuple[tuple[str, CodeRow], ...]]
    patterns: dict[str, tuple[tuple[re.Pattern[str], CodeRow], ...]]

    def rows(self, system: str | None, code: str | None) -> tuple[CodeRow, ...]:
        """Every row that matches the code, exact rows first."""
        if not code or len(code) > LONGEST_CODE:
            return ()
        if system and len(system) > LONGEST_SYSTEM:
            system = canonical(system)
            if len(system) > LONGEST_SYSTEM:
                return ()
        if not system and not guessed_system(code):
            # Words of a chart, looked up in case they are a code, must not be kept.
            return ()
        return _rows(self, system, code)


# No code or system of ours is longer; longer texts must not fill the cache.
LONGEST_CODE = 64
LONGEST_SYSTEM = 128


@lru_cache(maxsize=8192)
def _rows(codes: CodeList, system: str | None, code: str) -> tuple[CodeRow, ...]:
    known = canonical(system) if system else guessed_system(code)
    # A code of the American modification sent under the international system keeps its meaning, and the reverse: the
    # name "ICD10" stands for either, and no code of self-harm means anything else in the other.
    systems = (ICD10, ICD10CM) if known in (ICD10, ICD10CM) else (known,)
    rows: list[CodeRow] = []
    for one in systems:
        plain = normal(one, code)
        rows += codes.exact.get((one, plain), ())
        rows += [row for prefix, row in codes.prefixes.get(one, ()) if plain.startswith(prefix)]
        rows += [row for pattern, row in codes.patterns.get(one, ()) if pattern.match(plain)]
    return tuple(rows)


def guessed_system(code: str) -> str:
    """The likely system of a code sent without one, by its shape; unknown reads as worse than absent."""
    if re.fullmatch(r"[A-Z]\d[0-9A-Z](?:\.?[0-9A-Z]{1,4})?[!*+†]?", code.upper()):
        return ICD10CM
    return SNOMED if re.fullmatch(r"\d{6,18}", code) else ""


def canonical(system: str) -> str:
    """The system's URL by any spelling of `codesets/code_systems.csv`: another scheme or case, version, OID or name.

    An unknown system keeps its own name, spelled in one way: two spellings of it compare as equal.
    """
    return (_canonical if len(system) <= LONGEST_SYSTEM else _canonical.__wrapped__)(system)


@lru_cache(maxsize=1024)
def _canonical(system: str) -> str:
    spelled = _spelled(system.partition("|")[0])
    # Below the URI of SNOMED CT stand its editions and their versions.
    return _systems().get(spelled) or (SNOMED if spelled.startswith(SNOMED_EDITIONS) else spelled)


@cache
def _systems() -> dict[str, str]:
    return {_spelled(row["spelling"]): row["system"] for row in table("code_systems")}


SNOMED_EDITIONS = "snomed.info/sct/"
BEFORE_THE_NAME = re.compile(r"(?:https?://(?:www\.)?|urn:oid:)")


def _spelled(system: str) -> str:
    """A system without scheme, version, capitals and trailing marks; a plain name also without spaces and hyphens."""
    bare = BEFORE_THE_NAME.sub("", system.strip().lower(), count=1).rstrip("/#")
    return bare if "." in bare or ":" in bare else re.sub(r"[\s_-]", "", bare)


def normal(system: str, code: str) -> str:
    """A code in the form compared: ICD in capitals without dot and marks (`X84.9!`); others as they are."""
    return re.sub(r"[^0-9A-Z]", "", code.upper()) if system in ICD else code.strip()


@cache
def table(name: str) -> tuple[dict[str, str], ...]:
    """The rows of `codesets/<name>.csv`."""
    text = (files("fhir_adapters") / "codesets" / f"{name}.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


@cache
def code_list(name: str) -> CodeList:
    """The code list `codesets/<name>.csv`."""
    exact: dict[tuple[str, str], list[CodeRow]] = {}
    prefixes: dict[str, list[tuple[str, CodeRow]]] = {}
    patterns: dict[str, list[tuple[re.Pattern[str], CodeRow]]] = {}
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
            patterns.setdefault(system, []).append((re.compile(code.removeprefix("regex:")), row))
        elif "[prefix]" in raw["group"] or "[prefix]" in raw["display"]:
            prefixes.setdefault(system, []).append((normal(system, code), row))
        else:
            exact.setdefault((system, normal(system, code)), []).append(row)
    return CodeList(
        exact={key: tuple(rows) for key, rows in exact.items()},
        prefixes={system: tuple(rows) for system, rows in prefixes.items()},
        patterns={system: tuple(rows) for system, rows in patterns.items()},
    )


def code_group(text: str) -> str:
    """The name of a group without trailing notes."""
    return re.split(r"[ :,]", text, maxsplit=1)[0]


def unresolved(names: Iterable[str] = ("instruments", "conditions", "medications")) -> tuple[str, ...]:
    """Rows of the lists that carry no usable code yet, as `list: display`."""
    return tuple(f"{name}: {row['display']}" for name in names for row in table(name) if row["code"].startswith("("))
