"""One name, one thing: no class name stands for two things in the five packages."""

import ast
from collections import Counter

from sources import modules, tree_of

# Names of CDS Hooks and FHIR may stand on the wire of both.
TWICE = {"Coding", "Consent", "Link", "RiskAssessment"}


def test_no_class_name_stands_for_two_things() -> None:
    names = Counter(
        node.name for module in modules() for node in ast.walk(tree_of(module)) if isinstance(node, ast.ClassDef)
    )

    assert {name for name, count in names.items() if count > 1} - TWICE == set()
