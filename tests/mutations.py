"""Charts spoiled at random, and what must hold of everything that is read from them.

`python tests/mutations.py 200000` runs that many on the sample charts and prints the counts (make fuzz).
"""

from __future__ import annotations

import gzip
import json
import math
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cds_service.cards.from_notices import cards_for
from explanations.judgement.assessment import Engine, assess
from explanations.words.notices.notice import NoticeSettings
from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.codesets.quantities import quantities
from fhir_adapters.errors import FhirError
from fhir_adapters.facts import PatientRecord
from fhir_adapters.reading.extraction import patient_record
from fhir_adapters.settings import ReadSettings

AS_OF = datetime(2026, 10, 15, 23, 59, 59, tzinfo=UTC)
FOREIGN = "foreign-"
NONSENSE = (
    None,
    "",
    0,
    -1,
    1e308,
    10**40,
    "x" * 300,
    [],
    {},
    [[]],
    {"a": 1},
    True,
    False,
    "2026-13-45",
    "NaN",
    "<script>",
    "\ud7ff",
    ["x"],
)
DATES = (
    "",
    "yesterday",
    "0000-00-00",
    "2026-02-30",
    "9999-12-31T23:59:59-12:00",
    "0001-01-01T00:00:00+14:00",
    "2026-10-15T25:00:00Z",
    "2030-01-01",
    "20261015",
    None,
    20261015,
    "2026-10",
    "1850",
)
UNITS = {quantity.feature: quantity for quantity in quantities().values()}
MOST_ENTRIES = 60


def places(value: object, path: tuple = ()) -> Iterator[tuple]:
    """Every place in a JSON value, as the way to it."""
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        yield from places(inner, (*path, key))


def holder(value, path: tuple):
    for part in path[:-1]:
        value = value[part]
    return value


def entry(chart: dict, drawer: random.Random) -> dict:
    return drawer.choice(chart["entry"])


def somewhere(chart: dict, drawer: random.Random) -> tuple[dict, tuple]:
    """A resource of the chart and a place in it."""
    resource = entry(chart, drawer).get("resource")
    ways = list(places(resource)) if isinstance(resource, dict) else []
    return (resource, drawer.choice(ways)) if ways else ({}, ())


def drop(chart: dict, drawer: random.Random) -> None:
    resource, path = somewhere(chart, drawer)
    if path:
        del holder(resource, path)[path[-1]]


def drop_entry(chart: dict, drawer: random.Random) -> None:
    if len(chart["entry"]) > 1:
        chart["entry"].pop(drawer.randrange(len(chart["entry"])))


def duplicate(chart: dict, drawer: random.Random) -> None:
    chart["entry"].append(json.loads(json.dumps(entry(chart, drawer))))


def double_element(chart: dict, drawer: random.Random) -> None:
    resource, path = somewhere(chart, drawer)
    found = holder(resource, path)[path[-1]] if path else None
    if isinstance(found, list) and found:
        found.append(json.loads(json.dumps(drawer.choice(found))))


def retype(chart: dict, drawer: random.Random) -> None:
    resource, path = somewhere(chart, drawer)
    if path:
        holder(resource, path)[path[-1]] = drawer.choice(NONSENSE)


def rename_type(chart: dict, drawer: random.Random) -> None:
    resource = entry(chart, drawer).get("resource")
    if isinstance(resource, dict):
        resource["resourceType"] = drawer.choice(("Observation", "Condition", "Encounter", "MedicationRequest", "QuestionnaireResponse", "Consent", "Bundle", "OperationOutcome", "Nope", "", 5))  # fmt: skip


def swap_patient(chart: dict, drawer: random.Random) -> None:
    resource = entry(chart, drawer).get("resource")
    if isinstance(resource, dict) and resource.get("resourceType") != "Patient":
        for name in ("subject", "beneficiary", "patient"):
            if name in resource:
                resource[name] = {
                    "reference": drawer.choice(
                        ("Patient/other", "https://other.example/fhir/Patient/x", "urn:uuid:0", "#none")
                    )
                }
                resource["id"] = f"{FOREIGN}{drawer.randrange(10**6)}"


def corrupt_date(chart: dict, drawer: random.Random) -> None:
    resource = entry(chart, drawer).get("resource")
    dated = [
        p
        for p in places(resource)
        if isinstance(p[-1], str) and ("ate" in p[-1] or p[-1] in ("start", "end", "issued", "authored", "authoredOn"))
    ]
    if dated:
        path = drawer.choice(dated)
        holder(resource, path)[path[-1]] = drawer.choice(DATES)


def change_unit(chart: dict, drawer: random.Random) -> None:
    resource = entry(chart, drawer).get("resource")
    quantities_ = [p for p in places(resource) if p[-1] in ("code", "unit") and "valueQuantity" in p]
    if quantities_:
        path = drawer.choice(quantities_)
        holder(resource, path)[path[-1]] = drawer.choice(("kg", "[lb_av]", "mmol/L", "furlong", "", None, 5, "10*999999999", "%", "{score}", "Cel", "x" * 500))  # fmt: skip


def nest(chart: dict, drawer: random.Random) -> None:
    resource, path = somewhere(chart, drawer)
    if path:
        holder(resource, path)[path[-1]] = f"@nest {drawer.choice((1, 3, 40, 700, 30_000))} {drawer.choice('[{')}@"


def add_modifier(chart: dict, drawer: random.Random) -> None:
    resource = entry(chart, drawer).get("resource")
    if isinstance(resource, dict):
        resource[drawer.choice(("modifierExtension", "implicitRules", "meta", "contained"))] = drawer.choice(
            ([{"url": "x", "valueBoolean": True}], [], {}, "x", {"security": [{"code": "ETH"}]}, 5)
        )


def other_version(chart: dict, drawer: random.Random) -> None:
    resource = entry(chart, drawer).get("resource")
    if isinstance(resource, dict):
        resource[drawer.choice(("context", "related", "assertedDate", "participant", "reason", "medication", "notDone", "occurrenceDateTime", "decision", "focus"))] = drawer.choice(NONSENSE)  # fmt: skip


MUTATIONS = (drop, drop, drop_entry, duplicate, double_element, retype, retype, retype, rename_type, swap_patient, swap_patient, corrupt_date,
             corrupt_date, change_unit, nest, add_modifier, other_version)  # fmt: skip


def as_text(chart: dict) -> bytes:
    """The chart as JSON; what is nested deeply is written out here, since the encoder has a limit of its own."""

    def nested(found: re.Match) -> str:
        depth = int(found[1])
        return "[" * depth + "1" + "]" * depth if found[2] == "[" else '{"a":' * depth + "1" + "}" * depth

    return re.sub(r'"@nest (\d+) ([\[{])@"', nested, json.dumps(chart)).encode()


def check(record: PatientRecord) -> None:
    """No foreign fact, no value without its unit, nothing off its scale or no number."""
    named = [reference for fact in record.facts for reference in fact.references]
    named += [r for form in record.administrations for r in form.references]
    named += [event.reference for event in record.events] + [visit.reference for visit in record.visits]
    named += [found.reference for found in record.risk_assessments] + [entry.reference for entry in record.unreadable]
    assert not [r for r in named if FOREIGN in r], "a foreign resource gave a fact"
    for fact in record.facts:
        quantity = UNITS.get(fact.name)
        if quantity:
            assert fact.unit == quantity.unit, f"{fact.name} without its unit"
            if fact.name != "alc_drinks_day":
                assert quantity.low <= fact.value <= quantity.high, f"{fact.name} is not plausible"
        if isinstance(fact.value, float):
            assert math.isfinite(fact.value), f"{fact.name} is no number"
        if fact.name.startswith("phq_item_"):
            assert fact.value in (0, 1, 2, 3), f"{fact.name} is off its scale"
        if fact.name in ("phq9", "phq2"):
            assert fact.unit == "{score}"
            assert 0 <= fact.value <= (27 if fact.name == "phq9" else 6)


SETTINGS = ReadSettings()
NOTICES = NoticeSettings(zone=UTC)
ENGINE = Engine()


def read(chart: dict, counts: Counter) -> None:
    """One chart from its text to its cards. Raises whatever is not an error of ours, and what `check` finds."""
    try:
        gathered = chart_bundle(as_text(chart), settings=SETTINGS, as_of=AS_OF)
        record = patient_record(gathered, settings=SETTINGS, as_of=AS_OF, left_out=True)
    except FhirError as error:
        counts[f"refused: {type(error).__name__}"] += 1
        return
    check(record)
    cards = cards_for(assess(record, ENGINE), NOTICES, new_id=lambda: "00000000-0000-4000-8000-000000000000")
    assert all(len(card.summary) < 140 for card in cards)
    counts["read"] += 1
    counts["with an entry that cannot be read"] += bool(record.unreadable)
    counts["with an anomaly"] += bool(record.anomalies)
    counts["with foreign entries put aside"] += any(a.flaw.kind == "wrong-patient" for a in record.anomalies)
    counts["facts"] += len(record.facts)
    counts["cards"] += len(cards)


@dataclass(frozen=True)
class Chart:
    """A sample chart as the texts of its entries: the Patient's, and all others."""

    patients: list[str]
    others: list[str]


def sample_charts(folder: Path) -> list[Chart]:
    """The sample charts."""
    found = []
    for path in sorted(folder.glob("*/*.json.gz")):
        patients, others = [], []
        for one in json.loads(gzip.decompress(path.read_bytes()))["entry"]:
            kept = {name: one[name] for name in ("fullUrl", "resource") if name in one}
            own = one["resource"]["resourceType"] == "Patient"
            (patients if own else others).append(json.dumps(kept))
        found.append(Chart(patients, others))
    return found


def mutated(sample: Chart, drawer: random.Random, counts: Counter) -> dict:
    """A chart with one to five mutations, cut to at most sixty entries beside its Patient."""
    chosen = drawer.sample(sample.others, min(len(sample.others), MOST_ENTRIES))
    entries = json.loads(f"[{','.join((*sample.patients, *chosen))}]")
    chart = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    for change in drawer.choices(MUTATIONS, k=drawer.randint(1, 5)):
        change(chart, drawer)
        counts[change.__name__] += 1
    return chart


def run(charts: list[Chart], seed: int, number: int) -> Counter:
    """Spoils and reads `number` charts. Raises on the first that breaks a promise, with its seed."""
    counts: Counter = Counter()
    for n in range(number):
        drawer = random.Random(f"{seed}-{n}")
        chart = mutated(drawer.choice(charts), drawer, counts)
        try:
            read(chart, counts)
        except Exception as error:
            raise AssertionError(f"seed {seed}-{n}: {type(error).__name__}: {error}") from error
    return counts


def main(number: int, folder: Path) -> None:
    """Runs in two processes and prints what was done."""
    charts = sample_charts(folder)
    began = time.monotonic()
    with ProcessPoolExecutor(max_workers=2) as pool:
        jobs = [pool.submit(run, charts, seed, number // 20) for seed in range(20)]
        counts = sum((job.result() for job in jobs), Counter())
    print(
        f"{number} mutated records of {len(charts)} charts in {time.monotonic() - began:.0f} s: no exception, no foreign fact, no value without a unit"
    )
    for name, count in sorted(counts.items(), key=lambda pair: -pair[1]):
        print(f"{count:>9} {name}")


if __name__ == "__main__":
    import os

    shared = Path(os.environ.get("MHCDS_SHARED", Path(__file__).parent.parent.parent / "shared"))
    main(int(sys.argv[1]), shared / "data" / "fhir-samples")
