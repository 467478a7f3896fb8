"""Medication requests and statements to ingredients, and ingredients to the classes that the models know.

EHRs send products, ingredients or text alone. A class is found by RxNorm ingredient code, by ATC code, and by
an ingredient's or a brand's name as whole words in the display or text. Methadone and
buprenorphine belong to no class (42 CFR Part 2). What a medicine is for is not inferred.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import cast

from fhir_adapters import r4
from fhir_adapters.errors import NotFhir
from fhir_adapters.facts import Fact, When
from fhir_adapters.listed import listed_fact
from fhir_adapters.terminology import ATC, LONGEST_CODE, RXNORM, canonical, code_list, table

INTENTS = {"order", "plan", "original-order", "reflex-order", "filler-order", "instance-order", None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Medicine:
    """One active medicine: what it is called, which classes it belongs to, since when, and its source."""

    name: str
    classes: frozenset[str]
    when: When | None
    reference: str


def active(use: r4.MedicationUse, kind: str) -> bool:
    """Whether the patient is meant to be taking it now."""
    if use.do_not_perform or use.status != "active":
        return False
    return kind == "MedicationStatement" or use.intent in INTENTS


def concept_of(use: r4.MedicationUse, medications: Mapping[str, r4.Medication]) -> r4.CodeableConcept | None:
    """What the medicine is: coded in place, contained, or a Medication resource that was sent along."""
    if use.medication_codeable_concept:
        return use.medication_codeable_concept
    reference = use.medication_reference or r4.Reference()
    target = reference.target
    if target.startswith("#"):
        contained = _contained(use)
        found = next(
            (c.content for c in contained if c.kind == "Medication" and c.content and c.content.id == target[1:]), None
        )
    else:
        found = medications.get(target) or medications.get("/".join(target.split("/")[-2:]))
    if found and found.code:
        return cast("r4.CodeableConcept", found.code)
    return r4.CodeableConcept(text=reference.display) if reference.display else None


def _contained(use: r4.MedicationUse) -> list[r4.Resource]:
    found = []
    for raw in use.contained:
        with suppress(NotFhir):
            found.append(r4.read(raw))
    return found


# Words of a product's name that say that it is not taken by mouth or injection. A cream or an eye drop is
# another medicine than the tablet of the same ingredient, so the route must be listed with it.
ROUTES = {
    "topical": "topical", "cream": "topical", "ointment": "topical", "lotion": "topical", "gel": "topical",
    "shampoo": "topical", "ophthalmic": "ophthalmic", "eye": "ophthalmic", "otic": "otic", "ear": "otic",
    "nasal": "nasal",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One listed ingredient or brand: its words without a route, the routes it is listed for, and its class."""

    words: tuple[str, ...]
    routes: frozenset[str]
    name: str


@cache
def _by_first_word() -> dict[str, list[Listed]]:
    index: dict[str, list[Listed]] = {}
    classes: dict[str, list[str]] = {}
    for row in table("drug_classes"):
        classes.setdefault(row["ingredient"], []).append(row["class"])
    brands = [(row["brand"], name) for row in table("brand_names") for name in classes[row["ingredient"]]]
    for text, name in (*((i, name) for i, names in classes.items() for name in names), *brands):
        words, routes = _words(text)
        index.setdefault(words[0], []).append(Listed(words=words, routes=routes, name=name))
    return index


@lru_cache(maxsize=1024)
def classes_of_atc(code: str) -> frozenset[str]:
    """The classes of an ATC code, of a substance or of a group."""
    plain = code.strip().upper()
    return frozenset(row["class"] for row in table("atc_classes") if plain.startswith(row["atc"]))


def _words(text: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """The words of a name that say what it is, and the routes that it names."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    return tuple(w for w in words if w not in ROUTES), frozenset(ROUTES[w] for w in words if w in ROUTES)


def classes_in(text: str) -> frozenset[str]:
    """The classes of every listed ingredient that stands in `text` as whole words, for the route that it names."""
    words, routes = _words(text)
    return frozenset(
        listed.name
        for start, word in enumerate(words)
        for listed in _by_first_word().get(word, ())
        if words[start : start + len(listed.words)] == listed.words
        and (bool(routes & listed.routes) or not (routes or listed.routes))
    )


def medicine(concept: r4.CodeableConcept | None, when: When | None, reference: str) -> Medicine | None:
    """The medicine that a concept names, or None when it names nothing."""
    if concept is None or not (concept.text or concept.coding):
        return None
    classes: set[str] = set()
    names = [concept.text or ""]
    for coding in concept.coding:
        names.append(coding.display or "")
        if canonical(coding.system or "") == RXNORM:
            names += [row.display for row in code_list("medications").rows(RXNORM, coding.code)]
        elif canonical(coding.system or "") == ATC:
            classes |= classes_of_atc((coding.code or "")[:LONGEST_CODE])
    for name in names:
        classes |= classes_in(name)
    plain = next((name for name in names if name), concept.coding[0].code if concept.coding else None)
    return Medicine(name=_key(plain or ""), classes=frozenset(classes), when=when, reference=reference)


def _key(name: str) -> str:
    """A name by which two requests for the same ingredients count once: without strength and form."""
    lower = re.sub(r"^\d+ hr ", "", name.lower().strip())
    return re.split(r"\s\d", lower, maxsplit=1)[0].strip()


def medication_facts(medicines: Iterable[Medicine], names: Iterable[str]) -> list[Fact]:
    """`n_rx` (distinct medicines) and one yes/no fact a class in `names`."""
    taken = list(medicines)
    facts = [listed_fact("n_rx", len({m.name for m in taken}), ((m.when, m.reference) for m in taken))]
    for name in names:
        of_class = [(m.when, m.reference) for m in taken if name in m.classes]
        facts.append(listed_fact(name, bool(of_class), of_class))
    return facts


@cache
def class_names() -> tuple[str, ...]:
    """Every drug class of the feature map that has ingredients listed."""
    return tuple(dict.fromkeys(row["class"] for row in table("drug_classes")))
