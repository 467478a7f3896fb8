"""Medicines in words: since when, and label warnings. Context, never a cause and no reason to stop one.

Texts are plain; name and dose are the chart's own words and must be escaped. Indications are not read. Unverified
warnings say so.
"""

from __future__ import annotations

from dataclasses import dataclass

from explanations.judgement.regions import Region
from explanations.words.language import Language, later
from explanations.words.tables import complete
from fhir_adapters.codesets.boxed_warnings import LabelWarning, warnings_by_code
from fhir_adapters.facts import MedicineUse, PatientRecord

RECENT_DAYS = 30
# Shown once, above the list.
ABOUT = (
    later("Indications are not read: an antidepressant on the list is not a diagnosis."),
    later("Context only: nothing here is a reason to stop a medicine."),
)
KINDS = complete(
    {
        # Translators: what the label of a medicine warns of, after "Boxed warning on the label:".
        "antidepressant-under-25": later("antidepressants: suicidal thoughts and behavior in people under 25"),
        "antipsychotic-under-25": later(
            "antipsychotics also used for depression: suicidal thoughts in people under 25"
        ),
        "suicidal-thoughts-under-18": later("suicidal thoughts in people under 18"),
        "suicidal-thoughts": later("suicidal thoughts and behavior"),
        "depression-and-suicidal-thoughts": later("depression and suicidal thoughts"),
        "psychiatric-and-behavioural": later("serious psychiatric and behavioral reactions"),
        "neuropsychiatric": later("neuropsychiatric events"),
        "antiepileptic-class": later("antiepileptic medicines: suicidal thoughts"),
    },
    warnings_by_code(),
)
# By verification status of the warning.
CHECKED = {
    "yes": "",
    "secondary": later("Read in a secondary source; not verified at its source by this service."),
    "no": later("Not verified at its source by this service."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MedicineLine:
    """One medicine for a list: `name` and `dose` from the chart, `since` and `notes` in our words."""

    name: str
    dose: str | None
    since: str
    notes: tuple[str, ...]
    reference: str


def medicine_lines(chart: PatientRecord, say: Language, region: Region) -> tuple[MedicineLine, ...]:
    """The active medicines: those with a note first, then by name."""
    lines = [medicine_line(use, chart, say, region) for use in chart.medicines]
    return tuple(sorted(lines, key=lambda line: (not line.notes, line.name.lower(), line.reference)))


def medicine_line(use: MedicineUse, chart: PatientRecord, say: Language, region: Region) -> MedicineLine:
    """One medicine, with the label warnings that apply to this patient, where the labels are those of the region."""
    warning = warning_words(use, chart.age_years, say) if region.labels else None
    notes = [note for note in (_recent(use, chart, say), warning) if note]
    return MedicineLine(
        name=use.name, dose=use.dose_text, since=_since(use, chart, say), notes=tuple(notes), reference=use.reference
    )


def _is_order(use: MedicineUse) -> bool:
    """Whether it is an order: dated when written, even if it continues an earlier one."""
    return use.reference.startswith("MedicationRequest/")


def _since(use: MedicineUse, chart: PatientRecord, say: Language) -> str:
    if use.when is None or use.when.future:
        return say.dated(use.when)
    date = say.dated_ago(use.when, chart.days_since(use.when))
    return say("ordered {date}", date=date) if _is_order(use) else say("since {date}", date=date)


def _recent(use: MedicineUse, chart: PatientRecord, say: Language) -> str | None:
    days = chart.days_since(use.when)
    if use.when is None or not use.when.exact or days is None or days > RECENT_DAYS:
        return None
    date = say.dated(use.when)
    if _is_order(use):
        return say("Recent start, dose change or renewal, {date}.", date=date)
    return say("Recent start, {date}.", date=date)


def warning_words(use: MedicineUse, age_years: int | None, say: Language) -> str | None:
    """The label warning; None if none is listed, or it applies only to people younger than the patient."""
    warning = warnings_by_code().get(use.warning or "")
    if warning is None or (warning.under_age and age_years is not None and age_years >= warning.under_age):
        return None
    kind = _kind(warning, age_years, say)
    if warning.boxed:
        text = say("Boxed warning on the label: {warning}.", warning=kind)
    else:
        text = say("Class warning on the label, not boxed: {warning}.", warning=kind)
    return f"{text} {say(CHECKED[use.warning_verified or 'no'])}".rstrip()


def _kind(warning: LabelWarning, age_years: int | None, say: Language) -> str:
    kind = say(KINDS[warning.kind])
    if warning.under_age is None or age_years is not None:
        return kind
    return say("{warning} (applies under {years}; the age is not known)", warning=kind, years=warning.under_age)


def treatment_note(chart: PatientRecord, say: Language) -> str:
    """The note beside any text on treatment: recorded bipolar disorder, else to ask about mania first.

    It never suggests a medicine.
    """
    bipolar = chart.bipolar_disorder
    if bipolar is None:
        return say("Before any treatment of depression: ask about past mania or hypomania first.")
    return say(
        "Bipolar disorder or mania is recorded ({date}); antidepressant monotherapy can trigger mania. "
        "Seek specialist advice first.",
        date=say.dated(bipolar.when),
    )
