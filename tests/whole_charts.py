"""Drawn FHIR charts, what one more medicine, visit or condition does to them, and to every model's estimates.

Charts are read by the real readers, from one Bundle or from a prefetch with gaps, and scored by the boosters and
calibrations of the artifacts, all rows of a tier at once. `PYTHONPATH=. python tests/whole_charts.py [number [seed]]`
prints how many estimates fall, by what was added, and what happens when a list that was not read becomes known.
Artifacts are those in MHCDS_ARTIFACTS, by default the shipped ones.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import xgboost
from builders import (
    AS_OF,
    ICD,
    LOINC,
    PATIENT,
    PHQ,
    RXNORM,
    SNOMED,
    bundle,
    codeable,
    observation,
    patient,
    prefetch_of,
    resource,
)
from msgspec import Raw

from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.access.chart_request import ChartRequest
from fhir_adapters.access.prefetch import Access, gather
from fhir_adapters.codesets.terminology import ATC, table
from fhir_adapters.facts import ChartPart
from fhir_adapters.reading.extraction import patient_record
from fhir_adapters.reading.habits import CONCENTRATING, HEALTH_WORDS, HUNGER, HUNGER_WORDS, SMOKING_STATUS
from fhir_adapters.reading.lists.encounters import TOOK_PLACE
from fhir_adapters.settings import ReadSettings
from models.inputs.feature_schema import FEATURES
from models.inputs.features import Inputs, inputs
from models.inputs.outcomes import OUTCOMES
from models.inputs.patterns import tier_of
from models.scoring.boosters import boosters_of
from models.scoring.registry import SHIPPED, Model, load_model, versions
from models.scoring.score import _refusal

ARTIFACTS = Path(os.environ.get("MHCDS_ARTIFACTS", SHIPPED))
FOLDERS = [folder for outcome in OUTCOMES for folder in versions(ARTIFACTS / outcome)]
TOLERANCE = 1e-6
"""A fall by less log-odds than this is none."""

LISTED = {spec.name for spec in FEATURES if spec.group in ("conditions", "drugs", "utilisation")}
"""The inputs that rest on a list of the chart: conditions, medicines, visits."""
CLASSES = {spec.name for spec in FEATURES if spec.group == "drugs" and spec.kind == "boolean"}
OF_A_VISIT = frozenset(spec.name for spec in FEATURES if spec.group == "utilisation")
SETTINGS = ReadSettings()
LISTS = (ChartPart.CONDITIONS, ChartPart.MEDICATIONS, ChartPart.ENCOUNTERS)
CLASS_OF = {row["ingredient"]: row["class"] for row in table("drug_classes") if row["class"] in CLASSES}
INGREDIENTS = {name: [one for one, of in CLASS_OF.items() if of == name] for name in sorted(CLASSES)}
OF_NO_CLASS = ("lisinopril", "amlodipine", "warfarin", "methadone", "montelukast", "prazosin", "acetaminophen", "")
CHRONIC = [row for row in table("chronic_conditions") if row["feature"] in LISTED]
OF_NO_FEATURE = [(row["system"], row["code"]) for row in table("conditions") if "[" not in row["group"]]
VISIT_CLASSES = ("AMB", "VR", "IMP", "ACUTE", "NONAC", "EMER", "OBSENC", "PRENC", "SS", "FLD", "HH", "?")
WORK, HEALTH = ("Employed", "Unemployed", "Retired"), tuple(HEALTH_WORDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A drawn chart. `whole`: sent as one Bundle, else by prefetch key, without `unread` and with a page only of `cut`."""

    who: dict
    entries: tuple[dict, ...]
    whole: bool
    unread: frozenset[ChartPart]
    cut: frozenset[ChartPart]

    def read(self) -> Inputs:
        """The model inputs that the service reads from this chart."""
        if self.whole:
            gathered = chart_bundle(bundle(self.who, *self.entries), settings=SETTINGS, as_of=AS_OF)
        else:
            request = ChartRequest(patient_id=PATIENT, as_of=AS_OF)
            gathered = gather(request, dict(self._prefetch()), Access(), settings=SETTINGS)
        return inputs(patient_record(gathered, settings=SETTINGS, as_of=AS_OF))

    def _prefetch(self) -> Iterator[tuple[str, Raw]]:
        for key, sent in prefetch_of([self.who, *self.entries]).items():
            next_page = {"link": [{"relation": "next", "url": "https://ehr.example/fhir?page=2"}]}
            if key not in self.unread:
                yield key, Raw(json.dumps(sent | (next_page if key in self.cut else {})).encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """What is added to a chart: its name in reports, its entries, and the inputs that it may change."""

    name: str
    entries: tuple[dict, ...]
    may_change: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An addition, and the positions of the inputs before and after it among those read."""

    addition: Addition
    before: int
    after: int


def day(drawer: random.Random, first: int, last: int) -> str:
    """A day from so many days ago to so many; in the future where negative."""
    return (AS_OF.date() - timedelta(days=drawer.randint(first, last))).isoformat()


def medicine(drawer: random.Random, name: str, **elements) -> dict:
    """An active medicine of that name, in one of the ways in which EHRs name it."""
    concept = drawer.choice(
        (
            {"text": name},
            {"text": f"{name} 20 MG Oral Tablet"},
            {"coding": [{"system": RXNORM, "code": "0", "display": name.title()}]},
        )
    )
    kind, more = drawer.choice(
        (
            ("MedicationRequest", {"intent": "order"}),
            ("MedicationRequest", {"intent": "plan"}),
            ("MedicationStatement", {}),
        )
    )
    return resource(kind, **{"status": "active", "medicationCodeableConcept": concept} | more | elements)


def visit(drawer: random.Random, kind: str, when: str, status: str = "finished") -> dict:
    """A visit; one in three is for mental health."""
    words = drawer.choice(("Office visit", "Follow-up", "Outpatient mental health visit"))
    return resource("Encounter", status=status, period={"start": when}, type=[{"text": words}]) | {
        "class": {"code": kind}
    }


def condition(drawer: random.Random, system: str, code: str) -> dict:
    """A confirmed condition, active or over."""
    status = {"coding": [{"code": drawer.choice(("active", "active", "resolved"))}]}
    return resource("Condition", code=codeable(system, code), clinicalStatus=status, recordedDate=day(drawer, 0, 4000))


def chronic(drawer: random.Random, row: Mapping[str, str]) -> dict:
    """A condition with a code of that row: a range of ICD-10-CM by its first code."""
    code = row["code"].partition(" ")[0].partition("-")[0]
    return condition(drawer, row["system"], code + drawer.choice(("", ".9")) if len(code) == 3 else code)


def meant_by(row: Mapping[str, str]) -> frozenset[str]:
    """The features of all rows that share a code, or a category of ICD-10-CM, with this one."""

    def span(code: str) -> tuple[str, str]:
        low, _, high = code.partition(" ")[0].partition("-")
        return (low[:3], (high or low)[:3]) if row["system"] == ICD else (code, code)

    first = span(row["code"])[0]
    return frozenset(
        other["feature"]
        for other in CHRONIC
        if other["system"] == row["system"] and span(other["code"])[0] <= first <= span(other["code"])[1]
    )


def drawn_chart(drawer: random.Random) -> Chart:
    """A chart with as much or as little as charts have. Some lists are empty, cut short or not read at all."""
    entries = [
        medicine(drawer, drawer.choice([*CLASS_OF, *OF_NO_CLASS[:-1]])) for _ in range(drawer.choice((0, 0, 1, 3, 6)))
    ]
    for entry in entries:
        entry["status"] = drawer.choice(("active", "active", "active", "stopped"))
    for _ in range(drawer.choice((0, 0, 1, 3, 5))):
        entries.append(chronic(drawer, drawer.choice(CHRONIC)))
    for _ in range(drawer.choice((0, 0, 1, 4, 11))):
        entries.append(visit(drawer, drawer.choice(("AMB", "AMB", *VISIT_CLASSES)), day(drawer, 0, 800)))
    entries += [*_answers(drawer), *_habits(drawer)]
    states = [(part, drawer.random()) for part in LISTS]
    doctor = [{"reference": "Practitioner/1"}] if drawer.random() < 0.2 else []
    age, gender = drawer.randint(17, 95), drawer.choice(("female", "male") * 12 + ("unknown",))
    return Chart(
        who=patient(age, gender, generalPractitioner=doctor),
        entries=tuple(entries),
        whole=drawer.random() < 0.5,
        unread=frozenset(part for part, chance in states if chance < 0.12),
        cut=frozenset(part for part, chance in states if 0.12 <= chance < 0.2),
    )


def _answers(drawer: random.Random) -> list[dict]:
    """PHQ answers of one day: none, those of the PHQ-2 or items 1-8; now and then one is lacking or all are too old."""
    asked = drawer.choice((0, 0, 2, 8))
    when = day(drawer, 0, 16)
    return [
        observation(LOINC, PHQ[item], when, {"valueInteger": drawer.choice((0, 0, 1, 2, 3))})
        for item in range(asked)
        if drawer.random() < 0.95
    ]


def _habits(drawer: random.Random) -> list[dict]:
    """Smoking and drinking; in half of the charts also work, own health, food, sleep and difficulties."""
    told = [
        ("72166-2", {"valueCodeableConcept": codeable(SNOMED, drawer.choice(tuple(SMOKING_STATUS)))}),
        ("11287-0", {"valueQuantity": {"value": drawer.randint(0, 12), "code": "{drinks}/d"}}),
        ("68518-0", {"valueInteger": drawer.randint(0, 4)}),
    ]
    if drawer.random() < 0.5:
        told += [
            ("67875-5", {"valueCodeableConcept": {"text": drawer.choice(WORK)}}),
            ("61577-3", {"valueCodeableConcept": {"text": drawer.choice(HEALTH)}}),
            (HUNGER[0], {"valueCodeableConcept": {"text": drawer.choice(tuple(HUNGER_WORDS))}}),
            ("93832-4", {"valueQuantity": {"value": drawer.randint(3, 15), "code": "h"}}),
            (CONCENTRATING, {"valueCodeableConcept": {"text": drawer.choice(("Yes", "No"))}}),
        ]
    return [observation(LOINC, code, day(drawer, 0, 500), value) for code, value in told if drawer.random() < 0.6]


def added(drawer: random.Random, number: int) -> Addition:
    """One medicine, visit or condition. The number goes through every ingredient, class, kind of visit and code."""
    kind, number = number % 3, number // 3
    if kind == 0:
        return _medicine_added(drawer, number)
    if kind == 1:
        return _visit_added(drawer, number)
    return _condition_added(drawer, number)


def _medicine_added(drawer: random.Random, number: int) -> Addition:
    turn, number = number % 8, number // 8
    if turn == 0:
        name = OF_NO_CLASS[number % len(OF_NO_CLASS)]
        if name:
            return Addition(
                name="medicine of no class", entries=(medicine(drawer, name),), may_change=frozenset({"n_rx"})
            )
        entry = medicine(drawer, "", medicationReference={"reference": "Medication/not-sent"})
        del entry["medicationCodeableConcept"]
        return Addition(name=UNNAMED, entries=(entry,), may_change=CLASSES | {"n_rx"})
    if turn == 1:
        group = table("atc_classes")[number % len(table("atc_classes"))]
        coded = codeable(ATC, group["atc"])
        entry, found = medicine(drawer, "", medicationCodeableConcept=coded), group["class"]
    elif turn == 2:
        brand = table("brand_names")[number % len(table("brand_names"))]
        entry, found = medicine(drawer, brand["brand"]), CLASS_OF.get(brand["ingredient"], "")
    else:
        round_, place = divmod(number * 5 + turn - 3, len(INGREDIENTS))
        found, names = list(INGREDIENTS.items())[place]
        entry = medicine(drawer, names[round_ % len(names)])
    return Addition(name=f"medicine {found}", entries=(entry,), may_change=frozenset({"n_rx", found}))


def _visit_added(drawer: random.Random, number: int) -> Addition:
    kind = VISIT_CLASSES[number % len(VISIT_CLASSES)]
    when, status = day(drawer, -5, 380), drawer.choice(sorted(TOOK_PLACE))
    return Addition(name=f"visit {kind}", entries=(visit(drawer, kind, when, status),), may_change=OF_A_VISIT)


def _condition_added(drawer: random.Random, number: int) -> Addition:
    turn, number = number % 4, number // 4
    if turn == 0:
        entry = condition(drawer, *OF_NO_FEATURE[number % len(OF_NO_FEATURE)])
        return Addition(name="condition of no input", entries=(entry,), may_change=frozenset({"sleep_trouble_told_dr"}))
    row = CHRONIC[(number * 3 + turn - 1) % len(CHRONIC)]
    return Addition(name=f"condition {row['feature']}", entries=(chronic(drawer, row),), may_change=meant_by(row))


UNNAMED = "medicine whose name was not sent"


def again(drawer: random.Random, addition: Addition) -> Addition:
    """A dozen more visits like this one, a second medicine of the class, or the same condition under its code again."""
    (entry,) = addition.entries
    if entry["resourceType"] == "Encounter":
        more = tuple(visit(drawer, entry["class"]["code"], day(drawer, 0, 380)) for _ in range(12))
    else:
        more = (entry | {"id": f"{entry['id']}-again"},)
        found = next(iter(addition.may_change & CLASSES), None)
        if found and addition.name != UNNAMED:
            more = (medicine(drawer, drawer.choice([name for name, of in CLASS_OF.items() if of == found])),)
    return replace(addition, name=f"again: {addition.name}", entries=more)


def steps(number: int, seed: int = 1) -> tuple[list[Inputs], list[Step]]:
    """`number` charts read with and without one addition; every tenth also with more of the same."""
    readings: list[Inputs] = []
    taken: list[Step] = []
    for n in range(number):
        drawer = random.Random(f"{seed}-{n}")
        chart, addition = drawn_chart(drawer), added(drawer, n)
        readings.append(chart.read())
        for each in (addition, again(drawer, addition)) if n % 10 == 0 else (addition,):
            chart = replace(chart, entries=(*chart.entries, *each.entries))
            readings.append(chart.read())
            taken.append(Step(addition=each, before=len(readings) - 2, after=len(readings) - 1))
    return readings, taken


def changes(before: Inputs, after: Inputs) -> dict[str, tuple[float | None, float | None]]:
    """The inputs that differ, each with its value before and after; None where it is unknown."""

    def value(known: Inputs, name: str) -> float | None:
        return float(known.facts[name].value) if name in known.facts else None

    pairs = {spec.name: (value(before, spec.name), value(after, spec.name)) for spec in FEATURES}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def estimates(model: Model, readings: list[Inputs]) -> np.ndarray:
    """Calibrated log-odds, shape (readings,); NaN where the model gives no score."""
    vectors = [reading.vector(model.schema) for reading in readings]
    rows = np.array([[np.nan if v is None else v for v in vector.values] for vector in vectors], dtype=np.float32)
    groups = np.array([spec.group for spec in model.schema.features])
    of = np.array([tier_of(set(groups[known])) for known in ~np.isnan(rows)])
    found = np.full(len(rows), np.nan)
    for tier, booster in boosters_of(model.folder, model.outcome, model.schema).items():
        mine = of == tier
        margins = booster.predict(xgboost.DMatrix(rows[mine], nthread=1), output_margin=True, validate_features=False)
        lines = [model.line(frozenset(groups[known])) for known in ~np.isnan(rows[mine])]
        slopes, intercepts = (
            [getattr(model.calibrations[line], part) for line in lines] for part in ("slope", "intercept")
        )
        found[mine] = np.array(intercepts) + np.array(slopes) * margins.astype(np.float64)
    found[[_refusal(model, vector) is not None for vector in vectors]] = np.nan
    return found


def first_entries(number: int, seed: int = 1) -> tuple[list[Inputs], list[Step]]:
    """`number` charts in which one list was not read, the same with that list known to be empty, and with one entry."""
    readings: list[Inputs] = []
    taken: list[Step] = []
    for n in range(number):
        drawer = random.Random(f"{seed}-{n}")
        chart, addition = drawn_chart(drawer), added(drawer, n)
        part, kinds = LISTS[(1, 2, 0)[n % 3]], (MEDICINES, ("Encounter",), ("Condition",))[n % 3]
        others = tuple(entry for entry in chart.entries if entry["resourceType"] not in kinds)
        unread = replace(chart, entries=others, whole=False, unread=chart.unread | {part})
        empty = replace(unread, unread=chart.unread - {part}, cut=chart.cut - {part})
        for each in (unread, empty, replace(empty, entries=(*others, *addition.entries))):
            readings.append(each.read())
        for name, place in (("empty", -2), (addition.name, -1)):
            shown = replace(addition, name=f"{part} unread, then {name}")
            taken.append(Step(addition=shown, before=len(readings) - 3, after=len(readings) + place))
    return readings, taken


MEDICINES = ("MedicationRequest", "MedicationStatement")


def report(model: Model, readings: list[Inputs], taken: list[Step]) -> None:
    """Prints, by what was added, in how many charts the estimate falls, and by how much."""
    log_odds = estimates(model, readings)
    before, after = (log_odds[[getattr(step, side) for step in taken]] for side in ("before", "after"))
    names, both = np.array([step.addition.name for step in taken]), ~np.isnan(before + after)
    gained, lost = (np.isnan(less) & ~np.isnan(more) for less, more in ((before, after), (after, before)))
    print(
        f"\n{model.outcome} {model.version}: {both.sum()} estimates before and after, {gained.sum()} gained, {lost.sum()} lost"
    )
    print(f"{'':60} {'steps':>6} {'falls':>6} {'median':>7} {'worst':>7}")
    for name in ["all", *sorted(set(names))]:
        moved = (after - before)[both & ((names == name) | (name == "all"))]
        falls = moved[moved < -TOLERANCE]
        if len(falls):
            print(f"{name:60} {len(moved):>6} {len(falls):>6} {np.median(falls):>7.3f} {falls.min():>7.3f}")


def main(number: int, seed: int) -> None:
    """Reports on every model: first on steps from known to known, then on lists that become known."""
    for made in (steps, first_entries):
        began = time.monotonic()
        readings, taken = made(number, seed)
        print(
            f"\n{made.__name__} of {number} charts, seed {seed}: {len(readings)} read in {time.monotonic() - began:.0f} s"
        )
        for folder in FOLDERS:
            report(load_model(folder), readings, taken)


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*given, *(10_000, 1)[len(given) :])
