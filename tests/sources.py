"""The packages of the project, and their modules as syntax trees."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("cds_service", "explanations", "fhir_adapters", "models", "smart_launch")


def modules(*packages: str) -> list[Path]:
    """The modules of these packages, by default of all."""
    return sorted(path for package in packages or PACKAGES for path in (ROOT / package).rglob("*.py"))


@cache
def tree_of(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"))
