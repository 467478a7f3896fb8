"""Medication requests and statements to medicines: their ingredients, and the classes that the models know.

EHRs send products, ingredients or text alone. A class is found by RxNorm ingredient code, by ATC code, and by the name
of an ingredient or brand as whole words in the display or text. Methadone and buprenorphine belong to no class (42 CFR
Part 2). Indications are not inferred.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache, lru_cache
from typing import TypeVar, cast

import msgspec
from msgspec import Struct

from fhir_adapters.codesets.boxed_warnings import LabelWarning, places_among, warning_of
from fhir_adapters.codesets.names import NameEntry, name_index, names_among, words_in
from fhir_adapters.codesets.terminology import ATC, LONGEST_CODE, RXNORM, canonical, code_list, table
from fhir_adapters.errors import NotFhir
from fhir_adapters.facts import Fact, MedicineUse, When
from fhir_adapters.reading.lists.list_facts import list_fact, yes_no_fact
from fhir_adapters.resources import r4

# The length to which chart text is shown.
MOST_NAME, MOST_DOSE = 120, 80
UNNAMED = "name not sent"

INTENTS = {"order", "plan", "original-order", "reflex-order", "filler-order", "instance-order", None}


class Medicine(Struct, frozen=True, kw_only=True, gc=False):
    """One active medicine: what it is called, which classes it belongs to, since when, and its source.

    `name` is the key by which medicines are counted, `shown` the name in the chart.
    """

    name: str
    classes: frozenset[str]
    when: When | None
    reference: str
    shown: str = ""
    ingredients: tuple[str, ...] = ()
    dose: str | None = None
    warning: LabelWarning | None = None

    def use(self, *, active: bool = True, ended: When | None = None) -> MedicineUse:
        """The medicine as the record holds it."""
        return MedicineUse(
            name=self.shown or UNNAMED,
            classes=self.classes,
            ingredients=self.ingredients,
            when=self.when,
            reference=self.reference,
            dose_text=self.dose,
            warning=self.warning.kind if self.warning else None,
            warning_verified=self.warning.verified if self.warning else None,
            active=active,
            ended=ended,
        )


def is_active(use: r4.MedicationUse, kind: str) -> bool:
    """Whether the patient is meant to be taking it now."""
    if use.do_not_perform or use.status != "active":
        return False
    return kind == "MedicationStatement" or use.intent in INTENTS


def is_past(use: r4.MedicationUse, kind: str) -> bool:
    """Whether it was taken and is over. A cancelled order was withdrawn before that; one on hold is not over."""
    if use.do_not_perform or use.status not in ("stopped", "completed"):
        return False
    return kind == "MedicationStatement" or use.intent in INTENTS


STATUS_CHANGED = "http://hl7.org/fhir/5.0/StructureDefinition/extension-MedicationRequest.statusChanged"


def ends_of(use: r4.MedicationUse) -> list[str | None]:
    """When a past medicine ended as recorded, the nearest to its stop first; what cannot be read says nothing."""
    changes = _decoded(CHANGES, use.extension) or []
    dosages = _decoded(TIMED_DOSAGES, use.dosage_instruction) or _decoded(TIMED_DOSAGES, use.dosage) or []
    dispensed = _decoded(DISPENSED, use.dispense_request)
    valid = dispensed.validity_period if dispensed else None
    return [
        *(change.value_date_time for change in changes if change.url == STATUS_CHANGED),
        use.effective_period.end if use.effective_period else None,
        *(dosage.end for dosage in dosages),
        valid.end if valid else None,
    ]


Decoded = TypeVar("Decoded")


def _decoded(decoder: msgspec.json.Decoder[Decoded], raw: msgspec.Raw) -> Decoded | None:
    try:
        return decoder.decode(raw) if raw else None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


CHANGES: msgspec.json.Decoder[list[r4.StatusChange]] = msgspec.json.Decoder(list[r4.StatusChange])
TIMED_DOSAGES: msgspec.json.Decoder[list[r4.TimedDosage]] = msgspec.json.Decoder(list[r4.TimedDosage])
DISPENSED: msgspec.json.Decoder[r4.DispenseRequest] = msgspec.json.Decoder(r4.DispenseRequest)


def concept_of(use: r4.MedicationUse, medications: Mapping[str, r4.Medication]) -> r4.CodeableConcept | None:
    """The medicine's concept: inline, contained, or of a Medication resource sent along."""
    if use.medication_codeable_concept:
        return use.medication_codeable_concept
    reference = use.medication_reference or r4.Reference()
    target = reference.target
    if target.startswith("#"):
        contained = _contained(use)
        medication = next(
            (c.content for c in contained if c.kind == "Medication" and c.content and c.content.id == target[1:]), None
        )
    else:
        medication = medications.get(target) or medications.get("/".join(target.split("/")[-2:]))
    if medication and medication.code:
        return cast("r4.CodeableConcept", medication.code)
    return r4.CodeableConcept(text=reference.display) if reference.display else None


def _contained(use: r4.MedicationUse) -> list[r4.Resource]:
    contained = []
    for raw in use.contained:
        with suppress(NotFhir):
            contained.append(r4.read(raw))
    return contained


@cache
def _by_first_word() -> dict[str, list[NameEntry]]:
    classes: dict[str, list[str]] = {}
    for row in table("drug_classes"):
        classes.setdefault(row["ingredient"], []).append(row["class"])
    brands = [(row["brand"], row["ingredient"]) for row in table("brand_names")]
    texts = [*((ingredient, ingredient) for ingredient in classes), *brands]
    return name_index((text, name, ingredient) for text, ingredient in texts for name in classes[ingredient])


@lru_cache(maxsize=1024)
def classes_of_atc(code: str) -> frozenset[str]:
    """The classes of an ATC code, whether of a substance or a group."""
    plain = code.strip().upper()
    return frozenset(row["class"] for row in table("atc_classes") if plain.startswith(row["atc"]))


def classes_in(text: str) -> frozenset[str]:
    """The classes of every listed ingredient that `text` names in whole words, for its route."""
    return frozenset(entry.name for entry in names_among(words_in(text), _by_first_word()))


def medicine(
    concept: r4.CodeableConcept | None, when: When | None, reference: str, dose: str | None = None
) -> Medicine | None:
    """The medicine that a concept names, or None when it names nothing."""
    if concept is None or not (concept.text or concept.coding):
        return None
    classes: set[str] = set()
    texts = [concept.text]
    for coding in concept.coding:
        texts.append(coding.display)
        system = canonical(coding.system or "")
        if system == RXNORM:
            texts += [row.display for row in code_list("medications").rows(RXNORM, coding.code)]
        elif system == ATC:
            classes |= classes_of_atc((coding.code or "")[:LONGEST_CODE])
    names = [text for text in dict.fromkeys(texts) if text]
    ingredients: dict[str, None] = {}
    warnings: list[int] = []
    for words in map(words_in, names):
        warnings += places_among(words)
        for entry in names_among(words, _by_first_word()):
            classes.add(entry.name)
            ingredients[entry.ingredient] = None
    plain = names[0] if names else (concept.coding[0].code or "") if concept.coding else ""
    return Medicine(
        name=_key(plain),
        classes=frozenset(classes),
        when=when,
        reference=reference,
        shown=as_line(plain, MOST_NAME),
        ingredients=tuple(ingredients),
        dose=dose,
        warning=warning_of(warnings, frozenset(classes)),
    )


def dose_text(use: r4.MedicationUse) -> str | None:
    """The dosage in the chart's own words, or None. An unreadable dosage never makes its medicine unreadable."""
    for raw in (use.dosage_instruction, use.dosage):
        text = "; ".join([d.text for d in _decoded(DOSAGES, raw) or () if d.text])
        if text:
            return as_line(text, MOST_DOSE) or None
    return None


DOSAGES: msgspec.json.Decoder[list[r4.Dosage]] = msgspec.json.Decoder(list[r4.Dosage])


def as_line(text: str, most: int) -> str:
    """Chart text as one line of at most `most` characters, all printable."""
    line = text[: most * 4]
    if not line.isprintable():
        line = "".join(c if c.isprintable() else " " for c in line)
    line = " ".join(line.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def _key(name: str) -> str:
    """A name without strength and form, so that two requests for the same ingredients count once."""
    lower = HOURS.sub("", name.lower().strip())
    return STRENGTH.split(lower, maxsplit=1)[0].strip()


HOURS = re.compile(r"^\d+ hr ")
STRENGTH = re.compile(r"\s\d")


def medication_facts(medicines: Iterable[Medicine], names: Iterable[str]) -> list[Fact]:
    """`n_rx` (distinct medicines) and a yes/no fact for each class in `names`."""
    active = list(medicines)
    of_class: dict[str, list[tuple[When | None, str]]] = {}
    for one in active:
        for name in one.classes:
            of_class.setdefault(name, []).append((one.when, one.reference))
    facts = [list_fact("n_rx", len({m.name for m in active}), ((m.when, m.reference) for m in active))]
    return facts + [yes_no_fact(name, of_class.get(name, [])) for name in names]


@cache
def class_names() -> tuple[str, ...]:
    """Every drug class of the feature map that has ingredients listed."""
    return tuple(dict.fromkeys(row["class"] for row in table("drug_classes")))
