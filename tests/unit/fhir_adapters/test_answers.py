"""Answers and overall results as they are recorded: seven languages, negation, and code, number and words that disagree."""

from __future__ import annotations

import pytest
from builders import as_recorded, codeable, observation, record_of, resource

from fhir_adapters.codesets.terminology import LOINC, table
from fhir_adapters.facts import Administration, AnswerState, Result
from fhir_adapters.flaws import Flaw
from fhir_adapters.instruments import Instrument
from fhir_adapters.reading.questionnaires import answers
from fhir_adapters.reading.questionnaires.levels import overall_level
from fhir_adapters.reading.questionnaires.values import folded
from fhir_adapters.resources import r4

TODAY = "2026-11-23"
LEVELS = {
    Result.HIGH: ("High", "HIGH RISK", "Riesgo alto", "Risque élevé", "Hohes Suizidrisiko", "Hoog risico", "Risco elevado", "Rischio alto", "Positive - high risk"),
    Result.MODERATE: ("Moderate", "medium risk", "Riesgo moderado", "Risque modéré", "Mittleres Risiko", "Matig", "Risco médio", "Rischio moderato"),
    Result.ACUTE: ("Acute Positive Screen (imminent/acute risk identified)", "Positivo agudo", "Akut positiv", "Imminent"),
    Result.NON_ACUTE: ("Non-Acute Positive Screen (potential risk identified)", "nicht akut positiv"),
    Result.POSITIVE: ("Positive", "Positivo", "Positif", "Positive, low risk", "Yes"),
    Result.LOW: ("Low", "Low (1)", "Riesgo bajo", "Risque faible", "Geringes Risiko", "Laag risico", "Risco baixo", "Rischio basso"),
    Result.NEGATIVE: ("Negative Screen", "No risk identified", "Sin riesgo", "Aucun risque", "Kein Risiko", "Geen risico", "Sem risco", "Nessun rischio", "No", "No, denies"),
    None: ("No high risk", "Not high", "High risk ruled out", "kein hohes Risiko", "pas de risque élevé", "sin riesgo alto", "geen hoog risico", "sem risco alto", "nessun rischio alto",
           "Low to moderate", "high or low", "Low, but has a plan", "Previously low", "Low mood, thoughts of death", "No acute risk", "See note", "positive or negative", "lowered", "highway"),
}  # fmt: skip


def value_of(words: str, **more) -> r4.Value:
    return r4.Observation(value_string=words, **more)


@pytest.mark.parametrize(("level", "words"), [(level, words) for level, texts in LEVELS.items() for words in texts])
def test_a_level_is_read_in_whole_words_and_never_where_it_is_negated_or_not_alone(
    level: Result | None, words: str
) -> None:
    assert overall_level(value_of(words)) is level


@pytest.mark.parametrize(
    ("flag", "level"), [("POS", Result.POSITIVE), ("H", Result.HIGH), ("N", Result.NEGATIVE), ("A", None), ("?", None)]
)
def test_an_interpretation_alone_is_a_result(flag: str, level: Result | None) -> None:
    concept = r4.CodeableConcept(coding=[r4.Coding(code=flag)])

    assert overall_level(r4.Observation(interpretation=(concept,))) is level


@pytest.mark.parametrize(("words", "flag", "level"), [("Low", "POS", Result.POSITIVE), ("Low", "A", None), ("Low", "N", Result.LOW), ("High", "N", Result.HIGH), ("See note", "N", None)])  # fmt: skip
def test_the_graver_of_a_result_and_its_interpretation_counts(words: str, flag: str, level: Result | None) -> None:
    concept = r4.CodeableConcept(coding=[r4.Coding(code=flag)])

    assert overall_level(value_of(words, interpretation=(concept,))) is level


ITEM_9 = "44260-8"
PLAN = "93250-9"
DISAGREE = [
    *((ITEM_9, f"LA6568-5 {words}") for words in ("Nearly every day", "Casi todos los días", "Presque tous les jours", "Beinahe jeden Tag", "Bijna elke dag", "Quase todos os dias", "Quasi ogni giorno", "Yes", "Oui")),
    *((ITEM_9, text) for text in ("LA6570-1 No", "LA6571-9 Not at all", "LA6571-9 Pas du tout", "weight 0 Nearly every day", "weight 1 Nearly every day")),
    *((PLAN, text) for text in ("LA32-8 Yes", "LA33-6 No", "LA32-8 Ja", "LA33-6 Nein")),
]  # fmt: skip
SCORES = {
    0: ("LA6568-5 Not at all", "LA6568-5 Überhaupt nicht", "LA6568-5 reworded", "weight 0 Not at all", "Überhaupt nicht", "Pas du tout", "Helemaal niet", "Nenhuma vez", "Per niente", "0"),
    1: ("LA6569-3 Several days", "An einzelnen Tagen", "Plusieurs jours", "Meerdere dagen", "Vários dias", "Alcuni giorni"),
    2: ("Mehr als die Hälfte der Tage", "Plus de la moitié des jours", "Più della metà dei giorni"),
    3: ("LA6571-9 Nearly every day", "Fast jeden Tag", "Presque tous les jours", "Quasi tutti i giorni"),
}  # fmt: skip
YES = {
    True: ("Yes, last week", "Sí", "Oui", "Ja, letzte Woche", "Sim", "LA33-6 Oui"),
    False: ("No", "No, denies", "No - never", "Nein", "Nee", "Não", "Non, jamais", "LA32-8 Nein"),
    None: ("No, but last week", "No plan today", "Not at all today, but last week had a plan", "never mind", "notable"),
}


def form_with(code: str, text: str) -> Administration:
    (form,) = record_of(observation(LOINC, code, TODAY, as_recorded(text))).administrations
    return form


@pytest.mark.parametrize(("code", "text"), DISAGREE)
def test_an_answer_whose_code_number_and_words_disagree_is_unreadable_and_an_anomaly(code: str, text: str) -> None:
    record = record_of(observation(LOINC, code, TODAY, as_recorded(text)))

    (form,) = record.administrations
    assert [a.state for a in form.answers] == [AnswerState.UNREADABLE]
    assert [a.flaw for a in record.anomalies] == [Flaw.ANSWER_CONTRADICTS]


@pytest.mark.parametrize(("score", "text"), [(score, text) for score, texts in SCORES.items() for text in texts])
def test_options_are_read_in_seven_languages_and_translated_ones_agree_with_their_code(score: int, text: str) -> None:
    assert form_with(ITEM_9, text).score("9") == score


@pytest.mark.parametrize(("yes", "text"), [(yes, text) for yes, texts in YES.items() for text in texts])
def test_yes_begins_a_text_and_no_stands_alone_or_with_words_of_denial(yes: bool | None, text: str) -> None:
    assert form_with(PLAN, text).yes("q5") is yes


@pytest.mark.parametrize("value", [{"valueInteger": 0}, {"valueBoolean": False}, as_recorded("LA6568-5 Not at all")])
def test_a_negative_that_is_called_abnormal_contradicts_itself(value: dict) -> None:
    record = record_of(observation(LOINC, ITEM_9, TODAY, value | as_recorded("interpretation A")))

    assert [a.flaw for a in record.anomalies] == [Flaw.ANSWER_CONTRADICTS]


@pytest.mark.parametrize("name", ["answer_words", "yes_no_words", "level_words"])
def test_words_are_listed_as_they_are_compared_and_mean_one_thing(name: str) -> None:
    rows = table(name)
    keys = [(row.get("instrument"), row.get("item"), row["words"]) for row in rows]
    meanings = {
        key: row.get("score") or row.get("says") or row.get("result") for key, row in zip(keys, rows, strict=True)
    }

    assert all(folded(row["words"]) == row["words"] for row in rows)
    for key, row in zip(keys, rows, strict=True):
        assert meanings[key] == (row.get("score") or row.get("says") or row.get("result"))


# ---- whose result a risk level is ----


def level(**elements) -> dict:
    return observation(LOINC, "93374-7", TODAY, {"valueString": "High"}, **elements)


def instrument_of(*resources: dict) -> Instrument:
    (form,) = [f for f in record_of(*resources).administrations if f.level]
    return form.instrument


@pytest.mark.parametrize(
    ("elements", "instrument"),
    [
        ({}, Instrument.RISK_LEVEL),
        ({"code": codeable(LOINC, "93374-7") | {"text": "C-SSRS risk level"}}, Instrument.CSSRS),
        ({"code": codeable(LOINC, "93374-7") | {"text": "ASQ result"}}, Instrument.ASQ),
        ({"code": codeable(LOINC, "93374-7") | {"text": "SAFE-T risk level"}}, Instrument.RISK_LEVEL),
        ({"method": {"text": "Columbia screener"}}, Instrument.CSSRS),
        ({"method": "Columbia screener"}, Instrument.CSSRS),
    ],
)
def test_a_risk_level_is_named_after_the_screen_that_is_named_beside_it(elements: dict, instrument: str) -> None:
    assert instrument_of(level() | elements) is instrument


def test_a_risk_level_is_of_the_panel_the_answers_or_the_only_screen_of_its_day() -> None:
    asked = observation(LOINC, "93246-7", "2026-11-20", {"valueBoolean": False})
    panel = observation(LOINC, "115564-7", TODAY, {}, hasMember=[{"reference": f"Observation/{asked['id']}"}])
    of_answers = level(derivedFrom=[{"reference": f"Observation/{asked['id']}"}])
    of_panel = level()
    panel["hasMember"] = [{"reference": f"Observation/{of_panel['id']}"}]
    same_day = asked | {"id": "same-day", "effectiveDateTime": TODAY}

    assert instrument_of(of_answers, asked) is Instrument.CSSRS
    assert instrument_of(of_panel, panel) is Instrument.ASQ
    assert instrument_of(level(), same_day) is Instrument.CSSRS
    assert instrument_of(level(), asked) is Instrument.RISK_LEVEL
    other = level() | {"code": codeable(LOINC, "93374-7") | {"text": "SAFE-T"}}
    assert instrument_of(other, same_day) is Instrument.RISK_LEVEL


def test_a_risk_level_in_a_form_is_of_the_screen_that_the_form_names() -> None:
    item = [{"linkId": "/93374-7", "answer": [{"valueString": "High"}]}]
    form = resource("QuestionnaireResponse", status="completed", authored=TODAY, item=item)

    assert instrument_of(form | {"questionnaire": "https://x.example/columbia-screener"}) is Instrument.CSSRS
    assert instrument_of(form | {"questionnaire": "https://x.example/q"}) is Instrument.RISK_LEVEL
    coded = {"system": "https://x.example/asq-result", "code": "acute-positive"}
    assert (
        instrument_of(form | {"item": [{"linkId": "/93374-7", "answer": [{"valueCoding": coded}]}]}) is Instrument.ASQ
    )


@pytest.mark.parametrize(
    ("code", "yes"), [("373066001", True), ("LA33-6", True), ("373067005", False), ("LA32-8", False)]
)
def test_a_listed_yes_or_no_is_read_without_its_system(code: str, yes: bool) -> None:
    value = {"valueCodeableConcept": {"coding": [{"code": code}]}}

    assert record_of(observation(LOINC, PLAN, TODAY, value)).administrations[0].yes("q5") is yes


@pytest.mark.parametrize("instrument", [each for each in Instrument if each.spec.scale])
def test_an_option_alone_is_read_as_if_it_were_looked_at_closely(instrument: Instrument, monkeypatch) -> None:
    words = {row["words"] for row in table("answer_words")}
    coded = [
        r4.Value(value_codeable_concept=r4.CodeableConcept(coding=[r4.Coding(LOINC, code, display)], text=text))
        for code in answers.scores_by_code(instrument)
        for display in (None, *words)
        for text in {None, display, "Not at all"}
    ]
    flagged = [r4.Value(value_codeable_concept=v.value_codeable_concept, interpretation=(r4.CodeableConcept(text="positive"),)) for v in coded[:50]]  # fmt: skip
    every = [(item, value) for item in instrument.spec.items for value in (*coded, *flagged)]
    quick = [answers.graded(item, value, instrument, "x") for item, value in every]

    monkeypatch.setattr(answers, "_option_alone", lambda *_: None)

    assert quick == [answers.graded(item, value, instrument, "x") for item, value in every]


def test_a_form_sent_twice_around_midnight_is_one() -> None:
    item = [{"linkId": "/44260-8", "answer": [{"valueInteger": 1}]}]
    times = ("2026-11-21T23:40:00Z", "2026-11-22T00:10:00Z")
    sent = [resource("QuestionnaireResponse", status="completed", authored=time, item=item) for time in times]

    (form,) = record_of(*sent).administrations

    assert len(form.references) == 2
