"""Reading grades of the page for patients, by two formulas a language, each as a grade of school in the United States."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import textstat

from explanations.words.patient.page import PatientPage

FORMULAS: Mapping[str, Mapping[str, Callable[[str], float]]] = {
    "en": {"Flesch-Kincaid": textstat.flesch_kincaid_grade, "SMOG": textstat.smog_index},
    "es": {
        "Crawford": textstat.crawford,
        # 90 to 100 is very easy, and 70 the lower end of what a sixth grader reads.
        "Fernández-Huerta": lambda text: 6 + (70 - textstat.fernandez_huerta(text)) / 10,
    },
}


def sentences(page: PatientPage) -> list[str]:
    """What it says, without its headings."""
    listed = [*page.opening]
    for section in (page.help_now, *page.sections):
        listed += [*section.before, *section.items, *section.after]
    return listed


def grades(page: PatientPage, locale: str) -> dict[str, float]:
    """By formula. Names and numbers of services are left out: they are not ours to simplify."""
    textstat.set_lang(locale)
    said = sentences(replace(page, help_now=replace(page.help_now, items=())))
    text = " ".join(each if each.endswith((".", "!")) else f"{each}." for each in said)
    return {name: formula(text) for name, formula in FORMULAS[locale].items()}
