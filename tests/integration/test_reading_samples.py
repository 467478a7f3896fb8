"""Reading of the sample charts against what a correct reader gets."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.facts import PatientRecord
from fhir_adapters.reading.extraction import patient_record
from fhir_adapters.settings import ReadSettings

AS_OF = datetime(2026, 10, 15, 23, 59, 59, tzinfo=UTC)
NOT_FACTS = {"patient", "as_of", "meds", "phq_mode", "phq9_true", "phq2_true", "item9_true", "phq_date",
             "suicide_scenario", "mdd_condition", "options"}  # fmt: skip
OTHER_NAMES = {"ambulatory_visits_yr": "visits_yr", "patient_has_suicide_history": "suicide_history"}
# The kinds of input that are not read as the samples expect, each with its reason.
KNOWN_EXCEPTIONS: dict[str, str] = {}
ITEMS_IN_CHART = ("items_obs", "qr")
TOTAL_IN_CHART = (*ITEMS_IN_CHART, "total_only", "multi", "stale")


def chart(path: Path) -> PatientRecord:
    gathered = chart_bundle(gzip.decompress(path.read_bytes()), settings=ReadSettings(), as_of=AS_OF)
    return patient_record(gathered, settings=ReadSettings(), as_of=AS_OF, left_out=True)


def compared(record: PatientRecord, row: dict[str, str]) -> list[tuple[str, bool]]:
    """Every expected value by column, and whether it was read."""

    def number(name: str) -> float | None:
        fact = record.fact(name)
        return None if fact is None else float(fact.value)

    found = []
    for column, text in row.items():
        if column in NOT_FACTS or text == "":
            continue
        got, wanted = number(OTHER_NAMES.get(column, column.removeprefix("cond_"))), float(text)
        absent_payer = got is None and column.startswith("ins_") and wanted == 0
        found.append((column, absent_payer or (got is not None and abs(got - wanted) <= 0.01 * abs(wanted) + 1e-9)))
    mode = row["phq_mode"]
    if mode in TOTAL_IN_CHART:
        total = record.fact("phq9")
        found.append(
            ("phq9", total is not None and (total.value, total.when.text) == (int(row["phq9_true"]), row["phq_date"]))
        )
    else:
        found.append(("phq9", record.fact("phq9") is None))
    if mode in ITEMS_IN_CHART:
        found.append(("item9", number("phq_item_9") == float(row["item9_true"])))
    if mode in (*ITEMS_IN_CHART, "phq2_only"):
        found.append(("phq2", number("phq2") == float(row["phq2_true"])))
    found.append(("mdd", (record.depressive_disorder is not None) == (row["mdd_condition"] == "1")))
    return found


def test_every_expected_value_is_read_but_for_known_kinds_of_input(shared: Path) -> None:
    folder = shared / "data" / "fhir-samples" / "mixed-synthetic"
    right, wrong = 0, Counter()
    for row in csv.DictReader((folder / "expected.csv").read_text(encoding="utf-8").splitlines()):
        for column, ok in compared(chart(folder / f"{row['patient']}.json.gz"), row):
            right += ok
            wrong[column] += not ok
    wrong = +wrong

    print(f"{right} values right, {sum(wrong.values())} not: {dict(wrong)}")
    assert set(wrong) <= set(KNOWN_EXCEPTIONS)
    assert right > 3600


def test_all_synthea_patients_are_read_without_an_error(shared: Path) -> None:
    paths = sorted((shared / "data" / "fhir-samples" / "synthea-r4").glob("*.json.gz"))

    records = [chart(path) for path in paths]

    assert len(records) == 60
    assert all(record.fact("age") and record.fact("visits_yr") for record in records)
    assert not any(record.unreadable for record in records)


def test_a_value_without_a_unit_is_marked_and_kept_from_the_models(shared: Path) -> None:
    folder = shared / "data" / "fhir-samples" / "mixed-synthetic"

    assumed = [fact for path in folder.glob("*.json.gz") for fact in chart(path).facts if fact.unit_assumed]

    assert len(assumed) > 20
