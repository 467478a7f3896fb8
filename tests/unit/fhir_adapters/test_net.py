"""What the net under the readers hears (R18): words in seven languages, and the places where they stand."""

from __future__ import annotations

import pytest
from builders import ICD, LOINC, SNOMED, codeable, observation, record_of, resource

from fhir_adapters.codesets.terminology import table
from fhir_adapters.reading.net import statements
from fhir_adapters.reading.net.statements import Asks, Says, asks, says
from fhir_adapters.reading.net.vocabulary import finder, named_instrument
from fhir_adapters.reading.questionnaires.values import folded

LANGUAGES = ("en", "es", "fr", "de", "nl", "pt", "it")
STATED = """
en: Active suicidal ideation; no safety plan in place
en: suicidal, no plan
en: wants to die
en: Suicdal thoughts
en: High risk of suicide
es: Ideación suicida activa
es: Refiere ganas de morir
fr: Idées suicidaires actives
fr: Veut mettre fin à ses jours
de: Akute Suizidalität
de: Möchte sich das Leben nehmen
de: Moechte sich das Leben nehmen
nl: Suïcidale gedachten
nl: Zelfbeschadiging gisteren
nl: Gedachten aan de dood
pt: Ideação suicida ativa
pt: Pensamentos de se ferir
it: Pensieri suicidari
it: Vuole togliersi la vita
en: Suicidal, mother died yesterday
en: Suicidal ideation, hotline number given
en: Doesn’t want to live anymore
en: Would be better of dead
en: Suicidal ideation? Yes
en: Depression with SI
en: +SI, no HI
en: Danger to self
en: Wants to kill my self
en: Intentional drug overdose
en: s\u200buicidal thoughts
es: Intoxicación medicamentosa voluntaria
es: Lesiones autoinfligidas
fr: Intoxication médicamenteuse volontaire
fr: Ne veut plus vivre
de: Eigen- und Fremdgefährdung
de: Vorsätzliche Selbstbeschädigung
nl: Auto-intoxicatie
pt: Tentativa de autoextermínio
pt: Pensou em fazer mal a mim mesma
it: Gesto anticonservativo
it: Vuole farla finita
"""
DENIED = """
en: Denies SI/HI
en: Denies current suicidal or homicidal ideation
en: No suicidal ideation
en: Suicidal thoughts: none
en: Better off dead or hurting yourself: not at all
en: Risk of self harm denied
en: Suicide risk: low
en: Family history of suicide
en: Brother died by suicide
en: Suicide prevention education given
en: Suicide risk assessment done
es: Niega ideación suicida
es: Sin ideas suicidas
es: Ideación suicida: no
fr: Pas d'idées suicidaires
fr: Nie toute idée suicidaire
de: Keine Suizidgedanken
de: Suizidgedanken verneint
nl: Geen suïcidale gedachten
pt: Nega ideação suicida
it: Nessun pensiero suicidario
en: Suicidal ideation? No
en: Denies hx of suicide attempts
en: He doesn't have suicidal ideation
en: Danger to self or others: none
en: FH: suicide (uncle)
en: Loss of son to suicide
en: Family history: depression, suicide
en: 988 Suicide and Crisis Lifeline given
en: Suicidal ideation: N/A
es: No tiene ideas de muerte
de: Von Suizidalität klar distanziert
de: Suizidalität besteht nicht
de: Kein Anhalt für Eigen- oder Fremdgefährdung
nl: Suïcidaliteit niet aanwezig
pt: Não apresenta ideação suicida
"""
UNCLEAR = """
en: No plan, suicidal
en: Denies SI but cut herself yesterday
en: Does not deny suicidal thoughts
en: No longer wants to die
en: No longer denies suicidal thoughts
en: History of suicide attempt
en: Suicide risk
en: Suicidal?
en: Suicide screening positive
en: Denies depression, anxiety, suicidal ideation
en: Mother died last week, suicidal
en: Husband died - now suicidal thoughts
en: Cannot deny suicidal ideation
en: Suicidal ideation: unable to assess
en: Suicidal ideation: pending
de: Verneint Suizidalität nicht
nl: Ontkent suïcidaliteit niet
"""
SILENT = """
en: Accidental poisoning
en: End of life care
en: Death of spouse
en: Cut to the hand while cooking
en: Patient Health Questionnaire
es: Sí, casi todos los días
en: Overdose of insulin, accidental
en: Risk of falls to others
"""


def lines(text: str) -> list[str]:
    return [line.partition(": ")[2] for line in text.strip().splitlines()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, Says.YES) for text in lines(STATED)),
        *((text, Says.NO) for text in lines(DENIED)),
        *((text, Says.UNCLEAR) for text in lines(UNCLEAR)),
        *((text, Says.NOTHING) for text in lines(SILENT)),
    ],
)
def test_a_text_says_yes_or_no_only_where_it_is_plain(text: str, expected: Says) -> None:
    assert says(folded(text)) is expected


@pytest.mark.parametrize(("text", "expected", "judged"), [
    ("i want to die ", Says.YES, 1),
    ("denies suicidal ideation. ", Says.NO, 768),
    ("no suicidal ideation ", Says.UNCLEAR, 20),
    ("mother suicide ", Says.UNCLEAR, 20),
])  # fmt: skip
def test_a_text_that_repeats_itself_is_judged_until_it_is_plain_or_enough_was_looked_at(
    text: str, expected: Says, judged: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of a thousand mentions in one sentence of 20,000 characters took 36 ms."""
    clauses, mention = [], statements._mention
    monkeypatch.setattr(statements, "_mention", lambda *words: (clauses.append(words[0]), mention(*words))[1])

    assert says((text * 2000)[: statements.LONGEST_TEXT - 32]) is expected
    assert 0 < len(clauses) <= judged
    assert sum(map(len, clauses)) <= statements.MOST_LOOKED_AT


def test_a_question_that_repeats_itself_is_about_self_harm_once_enough_was_looked_at() -> None:
    assert asks("family history of suicide " * 3) is Asks.OTHERS
    assert asks("family history of suicide " * 1000) is Asks.SELF_HARM


def test_every_language_has_words_of_every_use_and_is_tried_here() -> None:
    rows = table("self_harm_words")

    for language in LANGUAGES:
        assert {"states", "screen", "not", "between", "after", "noun", "turn", "others", "activity", "unsure"} <= {
            row["use"] for row in rows if row["language"] == language
        }
        assert f"\n{language}: " in STATED
        assert f"\n{language}: " in DENIED
    assert {row["language"] for row in rows} == {*LANGUAGES, "*"}


@pytest.mark.parametrize("use", sorted({row["use"] for row in table("self_harm_words")}))
def test_every_row_of_words_is_a_pattern_that_matches_something(use: str) -> None:
    assert finder(use)


@pytest.mark.parametrize(
    ("question", "about"),
    [
        ("Thoughts that you would be better off dead", Asks.SELF_HARM),
        ("Family history of suicide", Asks.OTHERS),
        ("Suicide risk assessment completed", Asks.ACTIVITY),
        ("Denies suicidal ideation", Asks.DENIAL),
        ("Poor appetite", Asks.NOTHING),
    ],
)
def test_what_a_question_is_about(question: str, about: Asks) -> None:
    assert asks(folded(question)) is about


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("http://loinc.org/vs/44249-1", "PHQ-9"),
        ("Questionnaire/44249-1-x", "PHQ-9"),
        ("phq-phq2a", "PHQ-9"),
        ("patient health questionnaire 2 item", "PHQ-2"),
        ("phq-9 modified for teens", "PHQ-9M"),
        ("c_ssrs", "C-SSRS"),
        ("columbia suicide severity", "C-SSRS"),
        ("asq-screening-tool", "ASQ"),
        ("ages and stages asq-3", None),
        ("sbq-r", "SBQ-R"),
        ("pss-3", "PSS-3"),
        ("safe-t", "SAFE-T"),
        ("safe to discharge", None),
        ("bssa", "BSSA"),
        ("edinburgh postnatal depression scale", "EPDS"),
    ],
)
def test_an_instrument_is_known_by_name_and_by_code_in_any_spelling(text: str, title: str | None) -> None:
    name = named_instrument(text)

    assert (name.title if name else None) == title


DAY = "2026-11-20"


def asked(text: str, value: dict, **more) -> dict:
    return resource("Observation", status="final", code={"text": text}, effectiveDateTime=DAY, **value, **more)


def form(*items: dict, **more) -> dict:
    return resource("QuestionnaireResponse", status="completed", authored=DAY, item=list(items), **more)


def item(link: str, answer: dict, **more) -> dict:
    return {"linkId": link, "answer": [answer], **more}


def heard(*resources: dict) -> list[tuple[str | None, bool, str | None]]:
    """Of what was heard: the instrument, whether it says yes, and the words that may be shown."""
    return [(entry.instrument, entry.says_yes, entry.words) for entry in record_of(*resources).unheard]


YES, NO = {"valueBoolean": True}, {"valueBoolean": False}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (asked("Suicidal thoughts", {"valueString": "Nearly every day"}), (None, True, "Nearly every day")),
        (asked("Suicidal thoughts", YES), (None, True, None)),
        (asked("Suicidal thoughts", {"valueInteger": 2}), (None, False, None)),
        (asked("Suicidal thoughts", {"valueString": "see note"}), (None, False, None)),
        (asked("Suicide risk level", {"valueString": "High"}), (None, True, "High")),
        (asked("Mental status", {"valueString": "wants to die"}), (None, True, None)),
        (asked("Mental status", {"valueString": "calm"}, note=[{"text": "reports suicidal ideation"}]), (None, True, None)),
        (asked("PHQ-9 total score", {"valueQuantity": {"value": 21}}), ("PHQ-9", False, None)),
        (asked("SBQ-R", {"valueInteger": 14}), ("SBQ-R", False, None)),
        (asked("PHQ-9 Q9", {"valueInteger": 3}), ("PHQ-9", False, None)),
        (asked("PHQ9 SI", {"valueInteger": 1}), ("PHQ-9", False, None)),
        (asked("Sleep", {}, component=[{"code": {"text": "Self-harm"}, "valueString": "yes"}]), (None, True, "yes")),
        (asked("PHQ-9 question 9", {"valueString": "3 - Nearly every day"}), ("PHQ-9", True, None)),
        (asked("PHQ-9", {}, component=[{"code": {"text": "Item 9"}, "valueInteger": 3}]), ("PHQ-9", False, None)),
        (asked("Suicide risk screen", {"valueString": "POSITIVE"}), (None, True, "POSITIVE")),
        (asked("Suicide risk", {}, interpretation=[{"text": "Positive"}]), (None, True, None)),
        (asked("Complaint", {"valueCodeableConcept": codeable(SNOMED, "6471006")}), (None, True, None)),
        (asked("Complaint", {"valueCodeableConcept": codeable(ICD, "R45.851")}), (None, True, None)),
        (asked("Note", {"valueString": "word " * 5000 + "suicidal"}), (None, False, None)),
        (form(item("screening.selfHarm", YES)), (None, True, None)),
        (form({"linkId": "g", "text": "Suicidal thoughts", "item": [item("g.1", YES)]}), (None, True, None)),
        (
            resource("Flag", status="active", code={"text": "Alert"}, category=[{"text": "Suicidal"}]),
            (None, True, None),
        ),
        (
            resource("RiskAssessment", status="final", prediction=[{"rationale": "Suicidal, with a plan"}]),
            (None, True, None),
        ),
        (resource("Flag", status="active", code={"text": "Suicide risk"}), (None, False, None)),
        (resource("Flag", status="active", code=codeable(SNOMED, "82313006")), (None, False, None)),
        (resource("Condition", code={"text": "Suicidal ideation"}, recordedDate=DAY), (None, True, None)),
        (resource("Procedure", status="completed", code={"text": "Repair of self-inflicted wound"}), (None, True, None)),
        (
            resource("Procedure", status="completed", code={"text": "Suicide risk assessment"}, outcome={"text": "High risk"}),
            (None, True, None),
        ),
        (asked("SI", {"valueString": "Yes"}), (None, True, "Yes")),
        (asked("Father", {"valueString": "says that his son is suicidal today"}), (None, False, None)),
        (resource("Condition", code=codeable("https://codes.example", "82313006"), recordedDate=DAY), (None, False, None)),
        (resource("Encounter", status="finished", reasonCode=[{"text": "Suicidal"}]), (None, True, None)),
        (
            resource("DiagnosticReport", status="final", code={"text": "PHQ-9"}, conclusion="24, item 9 nearly every day"),
            ("PHQ-9", False, None),
        ),
        (
            resource("DiagnosticReport", status="final", code={"text": "PHQ-9"}, result=[{"reference": "Observation/gone"}]),
            ("PHQ-9", False, None),
        ),
        (form(item("q4", YES), questionnaire="https://x.example/ASQ"), ("ASQ", False, None)),
        (form(item("plan", YES), questionnaire="https://x.example/SAFE-T"), ("SAFE-T", True, None)),
        (form(item("a", YES, text="Did you want to hurt yourself?")), (None, True, None)),
        (form(item("9", {"valueInteger": 2}), questionnaire="https://x.example/PHQ-9"), ("PHQ-9", False, None)),
        (form(item("phq.9", {"valueString": "Several days"})), ("PHQ-9", True, "Several days")),
        (form(*(item(str(n), {"valueInteger": 1}) for n in range(1, 10))), ("PHQ-9", False, None)),
        (
            form(item("a", {"valueInteger": 1}), _questionnaire={"extension": [{"url": "x", "valueString": "PHQ-9"}]}),
            ("PHQ-9", False, None),
        ),
    ],
)  # fmt: skip
def test_what_no_reader_knows_is_heard(entry: dict, expected: tuple) -> None:
    assert heard(entry) == [expected]


@pytest.mark.parametrize(
    "entry",
    [
        asked("Suicidal thoughts", NO),
        asked("Suicidal thoughts", {"valueString": "Not at all"}),
        asked("Suicidal thoughts", {"valueString": "N - No"}),
        asked("Suicidal thoughts", {"valueString": "Ninguna"}),
        asked("Suicide risk level", {"valueString": "No risk indicated"}),
        asked("PHQ-9", {}, component=[{"code": {"text": "Item 3"}, "valueInteger": 3}]),
        asked("Family history", {"valueCodeableConcept": codeable(SNOMED, "82313006")}),
        resource("Procedure", status="completed", code=codeable(SNOMED, "225337009"), outcome={"text": "Completed"}),
        asked("Suicidal thoughts", {"valueInteger": 0}),
        asked("Suicidal thoughts", {"dataAbsentReason": {"coding": [{"code": "not-asked"}]}}),
        asked("Suicide risk level", {"valueString": "Low"}),
        asked("Family history of suicide", YES),
        asked("Suicide prevention leaflet given", YES),
        asked("Cause of death of father", {"valueString": "Suicide"}),
        asked("Any suicide in your family?", YES),
        resource(
            "Procedure", status="completed", code={"text": "Suicide risk assessment"}, outcome={"text": "Low risk"}
        ),
        asked("Suicide risk assessment completed", YES),
        asked("Denies suicidal ideation", YES),
        asked("Mental status", {"valueString": "denies SI/HI"}),
        asked("PHQ-9 total score", {"valueInteger": 4}),
        asked("GAD-7 total score", {"valueInteger": 19}),
        asked("Body weight", {"valueQuantity": {"value": 80, "unit": "kg"}}),
        resource("Flag", status="inactive", code={"text": "Suicide risk"}),
        resource("Flag", status="active", code={"text": "Fall risk"}),
        resource("Condition", code={"text": "Family history of suicide"}),
        resource("Procedure", status="completed", code={"text": "Suicide risk assessment"}),
        resource("DiagnosticReport", status="final", code={"text": "Chest x-ray"}, conclusion="No acute findings"),
        form({"linkId": "q4", "text": "Suicidal thoughts"}, questionnaire="https://x.example/ASQ"),
        form(item("q1", NO), item("q2", NO), questionnaire="https://x.example/ASQ"),
        form(
            item("44260-8", {"valueInteger": 0}), item("difficulty", {"valueString": "Very"}), questionnaire="x/PHQ-9"
        ),
    ],
)
def test_plain_negatives_and_what_concerns_others_stay_quiet(entry: dict) -> None:
    assert heard(entry) == []


def test_members_of_a_panel_are_of_the_instrument_that_it_names() -> None:
    member = asked("Question 5", YES)
    panel = asked("Columbia screener", {}, hasMember=[{"reference": f"Observation/{member['id']}"}])

    assert heard(member, panel) == [("C-SSRS", False, None)]
    assert heard(member | NO, panel) == []
    assert heard(member) == []


def test_what_is_left_of_a_form_is_heard_where_it_says_yes_in_a_screen_for_suicide() -> None:
    read = [item(f"/{code}", NO) for code in ("93246-7", "93247-5")]

    assert heard(form(*read, item("q6", YES), questionnaire="x/C-SSRS")) == [("C-SSRS", False, None)]
    assert heard(form(*read, item("remark", {"valueString": "tired"}), questionnaire="x/C-SSRS")) == []


def test_an_observation_contained_in_a_report_is_read_with_the_date_of_the_report() -> None:
    held = {
        "resourceType": "Observation",
        "id": "a",
        "status": "final",
        "code": codeable(LOINC, "44260-8"),
        "valueInteger": 2,
    }
    report = resource(
        "DiagnosticReport", status="final", code={"text": "PHQ-9"}, effectiveDateTime=DAY, contained=[held]
    )
    other = held | {"subject": {"reference": "Patient/somebody-else"}}

    (form_read,) = record_of(report).administrations

    assert (form_read.score("9"), form_read.when.text) == (2, DAY)
    assert form_read.references == (f"DiagnosticReport/{report['id']}#a",)
    assert record_of(report | {"contained": [other]}).administrations == ()


def test_a_contained_questionnaire_gives_its_questions_their_codes() -> None:
    questions = [{"linkId": "x9", "text": "…", "code": [{"system": LOINC, "code": "44260-8"}], "type": "choice"}]
    inner = {"resourceType": "Questionnaire", "id": "q", "status": "active", "item": questions}
    response = form(item("x9", {"valueInteger": 3}), questionnaire="#q", contained=[inner])

    assert [f.score("9") for f in record_of(response).administrations] == [3]


def test_a_code_of_ours_under_an_unknown_system_is_heard() -> None:
    strange = observation("https://codes.example", "44260-8", DAY, {"valueInteger": 2})

    assert heard(strange) == [("PHQ-9", False, None)]


def test_a_finding_that_is_asserted_is_an_event_and_not_heard_twice() -> None:
    assertion = codeable("http://terminology.hl7.org/CodeSystem/v3-ActCode", "ASSERTION")
    found = record_of(asked("", {"valueCodeableConcept": codeable(SNOMED, "6471006")}) | {"code": assertion})

    assert (len(found.events), found.unheard) == (1, ())
