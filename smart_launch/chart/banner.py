"""The patient banner of a page."""

from __future__ import annotations

from dataclasses import dataclass

from explanations.words.language import Language, later
from fhir_adapters.resources.identity import Identity

GENDERS = {"female": later("female"), "male": later("male"), "other": later("other"), "unknown": later("unknown")}


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientBanner:
    """None: not recorded or not readable."""

    name: str | None
    born: str | None
    gender: str | None
    identifier: str | None


def patient_banner(identity: Identity, age: int | None, say: Language, *, deceased: bool) -> PatientBanner:
    """The banner of a patient; no age for the deceased."""
    born = say.long_day(identity.birth_date) if identity.birth_date else None
    if born and age is not None and not deceased:
        born = f"{born} ({age})"
    gender = identity.gender
    return PatientBanner(
        name=identity.name,
        born=born,
        gender=say(GENDERS[gender]) if gender in GENDERS else gender,
        identifier=identity.identifier,
    )
