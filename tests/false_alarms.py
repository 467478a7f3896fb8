"""Counts cards that say of a chart without a finding that there is one, or that something could not be read.

`python tests/false_alarms.py` prints them for the sample charts and for the lines of quiet.csv, each a chart of its own;
and the lines of loud.csv, which say yes in the same places, that give no card.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from reading_shapes import HEARD, PATIENT, bundle, cards_of

SAMPLES_AS_OF = datetime(2026, 10, 15, 23, 59, 59, tzinfo=UTC)


def lines(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines()))


QUIET, LOUD = lines("quiet.csv"), lines("loud.csv")
WHEN = "2026-11-22T09:00:00Z"


def entry(line: dict[str, str]) -> dict:
    """The resource of one line."""
    place, question, answer = line["place"], line["question"], line["answer"]
    about = {"id": "quiet", "subject": {"reference": "Patient/p1"}}
    item = {"linkId": "a", "text": question} | ({"answer": [{"valueString": answer}]} if answer else {})
    form = {"resourceType": "QuestionnaireResponse", "status": "completed", "authored": WHEN, "item": [item]}
    return about | {
        "note": {"resourceType": "Observation", "status": "final", "code": {"text": "Clinical note"}, "effectiveDateTime": WHEN, "note": [{"text": answer}]},
        "observation": {"resourceType": "Observation", "status": "final", "code": {"text": question}, "effectiveDateTime": WHEN, "valueString": answer},
        "conclusion": {"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "Report"}, "effectiveDateTime": WHEN, "conclusion": answer},
        "condition": {"resourceType": "Condition", "code": {"text": question}, "recordedDate": WHEN},
        "procedure": {"resourceType": "Procedure", "status": "completed", "code": {"text": question}, "performedDateTime": WHEN} | ({"outcome": {"text": answer}} if answer else {}),
        "flag": {"resourceType": "Flag", "status": "active", "code": {"text": question}, "period": {"start": WHEN}},
        "form": form,
        "empty form": form,
    }[place]  # fmt: skip


def topics_of(line: dict[str, str]) -> list[str]:
    """The topics of the cards about a finding or about something unread, of a chart with this line."""
    cards = cards_of(json.dumps(bundle([PATIENT, entry(line)])).encode())
    return [card.source.topic.code for card in cards if card.source.topic.code in HEARD]


def of_quiet_lines() -> dict[str, list[str]]:
    """The lines of quiet.csv that give such a card, with its topics."""
    return {" | ".join(line.values()): topics for line in QUIET if (topics := topics_of(line))}


def silent_lines() -> list[str]:
    """The lines of loud.csv that give none."""
    return [" | ".join(line.values()) for line in LOUD if not topics_of(line)]


def expected_quiet(row: dict[str, str]) -> bool:
    """Whether a sample chart holds no positive answer and no event, by what a correct reader gets."""
    return (
        row["item9_true"] in ("", "0")
        and not row["suicide_scenario"]
        and row["patient_has_suicide_history"] in ("", "0")
    )


def of_samples(folder: Path) -> dict[str, list[str]]:
    """The topics of those cards by sample chart, without anomalies (of measurements, there).

    Charts whose row in `expected.csv` has a positive answer or an event are left out.
    """
    rows = csv.DictReader((folder / "mixed-synthetic" / "expected.csv").read_text(encoding="utf-8").splitlines())
    loud = {row["patient"] for row in rows if not expected_quiet(row)}
    found = {}
    for path in sorted(folder.glob("*/*.json.gz")):
        name = path.name.removesuffix(".json.gz")
        cards = [] if name in loud else cards_of(gzip.decompress(path.read_bytes()), as_of=SAMPLES_AS_OF)
        if topics := [card.source.topic.code for card in cards if card.source.topic.code in HEARD[:-1]]:
            found[name] = topics
    return found


def main(folder: Path) -> None:
    for title, found, number in (
        ("sample charts", of_samples(folder), len(list(folder.glob("*/*.json.gz")))),
        ("quiet lines", of_quiet_lines(), len(QUIET)),
    ):
        topics = Counter(topic for named in found.values() for topic in named)
        print(f"{number} {title}: {100 * topics.total() / number:.1f} cards per 100 charts; {dict(topics)}")
        print("".join(f"    {name}: {', '.join(topics)}\n" for name, topics in found.items()))
    silent = silent_lines()
    print(f"{len(LOUD)} loud lines: {len(silent)} without a card")
    print("".join(f"    {line}\n" for line in silent))


if __name__ == "__main__":
    main(Path(os.environ.get("MHCDS_SHARED", Path(__file__).parent.parent.parent / "shared")) / "data" / "fhir-samples")
