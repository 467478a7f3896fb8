"""Medicines in words: since when, and what their labels warn of. Context, never a cause and no reason to stop one.

Texts are plain; the name and the dose are the chart's own words, to be shown escaped. What a medicine is for is not
read. Warnings that were not verified say so.
"""

from __future__ import annotations

from dataclasses import dataclass

from explanations.words.phrasebook import ago, dated
from fhir_adapters.codesets.boxed_warnings import LabelWarning, warnings_by_code
from fhir_adapters.facts import MedicineUse, PatientRecord

RECENT_DAYS = 30
# Said once, over the list.
ABOUT = (
    "What a medicine is for is not read: an antidepressant on the list is not a diagnosis.",
    "Context only: nothing here is a reason to stop a medicine.",
)
KINDS = {
    "antidepressant-under-25": "antidepressants: suicidal thoughts and behaviour in people under 25",
    "antipsychotic-under-25": "antipsychotics also used for depression: suicidal thoughts in people under 25",
    "suicidal-thoughts-under-18": "suicidal thoughts in people under 18",
    "suicidal-thoughts": "suicidal thoughts and behaviour",
    "depression-and-suicidal-thoughts": "depression and suicidal thoughts",
    "psychiatric-and-behavioural": "serious psychiatric and behavioural reactions",
    "neuropsychiatric": "neuropsychiatric events",
    "antiepileptic-class": "antiepileptic medicines: suicidal thoughts",
}
CHECKED = {
    "yes": "",
    "secondary": " Read in a secondary source; not verified at its source by this service.",
    "no": " Not verified at its source by this service.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MedicineLine:
    """One medicine for a list: `name` and `dose` from the chart, `since` and `notes` in our words."""

    name: str
    dose: str | None
    since: str
    notes: tuple[str, ...]
    reference: str


def medicine_lines(record: PatientRecord) -> tuple[MedicineLine, ...]:
    """The active medicines: those with a note first, then by name."""
    lines = [medicine_line(use, record) for use in record.medicines]
    return tuple(sorted(lines, key=lambda line: (not line.notes, line.name.lower(), line.reference)))


def medicine_line(use: MedicineUse, record: PatientRecord) -> MedicineLine:
    """One medicine, with what its label warns of where that can bear on this patient."""
    notes = [note for note in (_recent(use, record), warning_words(use, record.age_years)) if note]
    return MedicineLine(
        name=use.name, dose=use.dose_text, since=_since(use, record), notes=tuple(notes), reference=use.reference
    )


def _begun(use: MedicineUse) -> str:
    """A request is dated when it was written, also when it only goes on with what was taken before."""
    return "ordered" if use.reference.startswith("MedicationRequest/") else "since"


def _since(use: MedicineUse, record: PatientRecord) -> str:
    if use.when is None or use.when.future or use.when.partial:
        return f"{_begun(use)} {dated(use.when)}" if use.when and not use.when.future else dated(use.when)
    return f"{_begun(use)} {dated(use.when)}, {ago(record.days_since(use.when))}"


def _recent(use: MedicineUse, record: PatientRecord) -> str | None:
    days = record.days_since(use.when)
    if use.when is None or use.when.future or use.when.partial or days is None or days > RECENT_DAYS:
        return None
    what = "Recent start, dose change or renewal" if _begun(use) == "ordered" else "Recent start"
    return f"{what}, {dated(use.when)}."


def warning_words(use: MedicineUse, age_years: int | None) -> str | None:
    """What the label warns of, or None: no warning is listed, or it is for people younger than the patient."""
    warning = warnings_by_code().get(use.warning or "")
    if warning is None or (warning.under_age and age_years is not None and age_years >= warning.under_age):
        return None
    label = "Boxed warning on the label" if warning.boxed else "Class warning on the label, not boxed"
    checked = CHECKED[use.warning_verified or "no"]
    return f"{label}: {KINDS[warning.kind]}{_whom(warning, age_years)}.{checked}"


def _whom(warning: LabelWarning, age_years: int | None) -> str:
    if warning.under_age is None or age_years is not None:
        return ""
    return f" (applies under {warning.under_age}; the age is not known)"


def treatment_note(record: PatientRecord) -> str:
    """What stands beside any text on treatment: bipolar disorder where it is recorded, else to ask about mania first.

    Nothing here suggests a medicine.
    """
    bipolar = record.bipolar_disorder
    if bipolar is None:
        return "Before any treatment of depression: ask about past mania or hypomania first."
    recorded = f"Bipolar disorder or mania is recorded ({dated(bipolar.when)})"
    return f"{recorded}; antidepressant monotherapy can trigger mania. Specialist advice first."
