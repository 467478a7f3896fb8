"""One name, one thing: no class name stands for two things in the five packages."""

import ast
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("cds_service", "explanations", "fhir_adapters", "models", "smart_launch")
# Names of CDS Hooks and FHIR may stand on the wire of both.
TWICE = {"Coding", "Consent", "Link"}


def test_no_class_name_stands_for_two_things() -> None:
    names = Counter(
        node.name
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    )

    assert {name for name, count in names.items() if count > 1} - TWICE == set()
