"""Anomalies (contradictory, off the scale, in the future, another patient's) in one plain sentence each."""

from __future__ import annotations

from explanations.words.findings.answers import title_of
from explanations.words.findings.coded_events import event_words
from explanations.words.language import Language, capitalised, later, many
from explanations.words.tables import complete
from fhir_adapters.codesets.quantities import quantities
from fhir_adapters.facts import Anomaly, EventAnomaly, ForeignEntries, FormAnomaly, ValueAnomaly
from fhir_adapters.flaws import Flaw
from fhir_adapters.reading.habits import CODED

SENTENCES = {
    # Translators: {title} is an instrument such as PHQ-9, {date} a date as recorded, {name} a measured value.
    Flaw.FORM_IN_FUTURE: later("{title} is dated {date}, in the future"),
    Flaw.TOTAL_UNREADABLE: later("{title} total could not be read as a whole number from 0 to {top}"),
    Flaw.TOTAL_OFF_SCALE: later("{title} total is recorded as {total}; it can only be 0 to {top}"),
    Flaw.ANSWER_OFF_SCALE: later("{title}: an answer is outside its scale of 0 to {top_item}"),
    Flaw.ANSWER_CONTRADICTS: later("{title}: the code, number and words of an answer disagree"),
    Flaw.QUESTION_CONTRADICTS: later("{title}: the code and words of a question disagree"),
    Flaw.SELF_HARM_UNDER_OTHER_CODE: later("{title}: a question on self-harm has another question’s code"),
    Flaw.FORMS_DISAGREE: later("{title}: different answers or totals are recorded for one occasion"),
    Flaw.EVENT_IN_FUTURE: later("{event} is dated {date}, in the future"),
    Flaw.DEATH_NOT_MARKED: later("A code for death by suicide is recorded, but the patient is not marked deceased"),
    Flaw.DEATH_IN_FUTURE: later("The date of death is {date}, in the future"),
    Flaw.ANSWER_AFTER_DEATH: later("One or more answers are dated after the recorded date of death"),
    Flaw.ASSESSMENT_IN_FUTURE: later("A suicide risk assessment is dated {date}, in the future"),
    Flaw.VISIT_CLASS_UNKNOWN: later("This service does not know the class of an encounter"),
    Flaw.VALUE_IN_FUTURE: later("A value for {name} is dated {date}, in the future"),
    Flaw.VALUE_IS_BOUND: later("A value for {name} is only an upper or lower limit"),
    Flaw.UNITS_DISAGREE: later("A value for {name} has two units that disagree"),
    # Translators: {unit} is the unit that is read, such as kg.
    Flaw.UNIT_UNKNOWN: later("A value for {name} is in an unknown unit (expected {unit})"),
    Flaw.NOT_A_NUMBER: later("A value for {name} is not a number"),
    Flaw.VALUE_OFF_RANGE: later("A value for {name} is outside the possible range of {low} to {high} {unit}"),
    Flaw.ANSWER_UNKNOWN: later("The latest answer on {name} was not understood"),
}
# What follows from a flaw for the reading; "" where nothing does, or the sentence says it.
NOT_USED = later("It was not used.")
REMARKS = {
    Flaw.ANSWER_CONTRADICTS: NOT_USED,
    Flaw.QUESTION_CONTRADICTS: later("Its answer was not used."),
    Flaw.SELF_HARM_UNDER_OTHER_CODE: later("Its answer was not used."),
    Flaw.VISIT_CLASS_UNKNOWN: later("It was not counted as a visit or a stay."),
    Flaw.UNITS_DISAGREE: NOT_USED,
    Flaw.UNIT_UNKNOWN: NOT_USED,
    Flaw.NOT_A_NUMBER: NOT_USED,
    Flaw.VALUE_OFF_RANGE: NOT_USED,
    Flaw.ANSWER_UNKNOWN: NOT_USED,
}
NAMES = complete(
    {
        "sbp": later("systolic blood pressure"),
        "dbp": later("diastolic blood pressure"),
        "bmi": later("body mass index"),
        "weight_kg": later("body weight"),
        "height_cm": later("body height"),
        "pulse": later("heart rate"),
        "sleep_hours": later("hours of sleep"),
        "smoke_status": later("smoking"),
        "employed": later("employment"),
        "gen_health": later("self-rated health"),
        "food_insec": later("food security"),
        "difficulty_concentrating": later("difficulty concentrating"),
        "alc_drinks_day": later("drinks on a drinking day"),
        "alc_days_yr": later("drinking days a year"),
        "wbc": later("white blood cells"),
        "hgb": later("hemoglobin"),
        "mcv": later("mean red cell volume"),
        "rdw": later("red cell width"),
        "plt": later("platelets"),
        "neut": later("neutrophils"),
        "lymph": later("lymphocytes"),
        "hba1c": later("HbA1c"),
        "chol": later("cholesterol"),
        "hdl": later("HDL cholesterol"),
        "trig": later("triglycerides"),
        "alt": later("ALT"),
        "ast": later("AST"),
        "alp": later("alkaline phosphatase"),
        "ggt": later("gamma-GT"),
        "bili": later("bilirubin"),
        "albumin": later("albumin"),
        "tprot": later("total protein"),
        "bun": later("urea nitrogen"),
        "creat": later("creatinine"),
        "uric": later("uric acid"),
        "glucose": later("glucose"),
        "iron": later("iron"),
        "ca": later("calcium"),
        "na": later("sodium"),
        "k": later("potassium"),
        "cl": later("chloride"),
        "co2": later("bicarbonate"),
        "crp_mgL": later("C-reactive protein"),
    },
    {quantity.feature for quantity in quantities().values()} | set(CODED.values()),
)
NUMBERS = (
    later("no"), later("one"), later("two"), later("three"), later("four"), later("five"), later("six"),
    later("seven"), later("eight"), later("nine"), later("ten"),
)  # fmt: skip


def anomaly_words(anomaly: Anomaly, say: Language) -> str:
    """One or two sentences: the flaw, and what follows from it."""
    # Translators: {what} is a sentence without its full stop.
    sentence = say("{what}.", what=flaw_words(anomaly, say))
    return f"{sentence} {remark_words(anomaly, say)}".rstrip()


def anomaly_line(anomaly: Anomaly, say: Language) -> str:
    """The sentences of an anomaly with its sources."""
    return f"{anomaly_words(anomaly, say)} {say.references(anomaly.references)}".rstrip()


def remark_words(anomaly: Anomaly, say: Language) -> str:
    """What follows from a flaw, as a sentence, or ""."""
    if isinstance(anomaly, ForeignEntries) and anomaly.answers and not anomaly.answers_only:
        if anomaly.count == 1:
            return say("It may contain an answer.")
        return say.many(
            "{count} of them may contain an answer.", "{count} of them may contain answers.", anomaly.answers
        )
    return say(REMARKS.get(anomaly.flaw, ""))


def flaw_words(anomaly: Anomaly, say: Language) -> str:
    """One sentence without its full stop, for a headline."""
    if isinstance(anomaly, ForeignEntries):
        if anomaly.answers_only:
            return say.many(*ANSWERS[anomaly.flaw], anomaly.answers)
        return say.many(*ENTRIES[anomaly.flaw], anomaly.count)
    if isinstance(anomaly, FormAnomaly) and anomaly.flaw is Flaw.TOTAL_UNLIKE_ANSWERS:
        return _unlike_answers(anomaly, say)
    return say(
        SENTENCES[anomaly.flaw],
        date=anomaly.when.text[: len("2026-11-23")] if anomaly.when else "",
        **_values(anomaly, say),
    )


def _values(anomaly: Anomaly, say: Language) -> dict[str, object]:
    if isinstance(anomaly, FormAnomaly):
        spec = anomaly.instrument.spec
        return {
            "title": title_of(anomaly.instrument, say),
            "total": anomaly.total,
            "top": spec.top_total,
            "top_item": spec.top_item,
        }
    if isinstance(anomaly, EventAnomaly):
        return {"event": capitalised(event_words(anomaly.event, say))}
    if isinstance(anomaly, ValueAnomaly):
        name = say(NAMES[anomaly.feature])
        return {"name": name, "unit": anomaly.unit, "low": f"{anomaly.low:g}", "high": f"{anomaly.high:g}"}
    return {}


def _unlike_answers(anomaly: FormAnomaly, say: Language) -> str:
    count = len(anomaly.scores)
    return say.many(
        "{title}: total {total}, but the one answer is {sum}",
        "{title}: total {total}, but the {number} answers add up to {sum}",
        count,
        title=anomaly.instrument.spec.title,
        total=anomaly.total,
        number=say(NUMBERS[count]) if count < len(NUMBERS) else count,
        sum=sum(anomaly.scores),
    )


# Entries that were set aside: all of them, and those that may hold answers.
ENTRIES = {
    Flaw.OF_OTHERS: many(
        "{count} entry for another patient or from an unknown server was left out",
        "{count} entries for another patient or from an unknown server were left out",
    ),
    Flaw.OF_NOBODY: many(
        "{count} entry that names no patient was left out", "{count} entries that name no patient were left out"
    ),
    Flaw.UNFILTERED: many(
        "{count} entry for others was left out; the server did not limit the search to this patient",
        "{count} entries for others were left out; the server did not limit the search to this patient",
    ),
}
ANSWERS = complete(
    {
        Flaw.OF_OTHERS: many(
            "{count} entry for another patient or from an unknown server, which may contain answers, was left out",
            "{count} entries for another patient or from an unknown server, which may contain answers, were left out",
        ),
        Flaw.OF_NOBODY: many(
            "{count} entry that names no patient and may contain answers was left out",
            "{count} entries that name no patient and may contain answers were left out",
        ),
        Flaw.UNFILTERED: many(
            "{count} entry for others, which may contain answers, was left out; the server did not limit the search",
            "{count} entries for others, which may contain answers, were left out; the server did not limit the search",
        ),
    },
    ENTRIES,
)
complete(dict.fromkeys((*SENTENCES, *ENTRIES, Flaw.TOTAL_UNLIKE_ANSWERS)), Flaw)
