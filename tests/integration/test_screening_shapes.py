"""Every instrument in every shape that a chart can hold it in: the same answers and the same total come out."""

from __future__ import annotations

import pytest
from builders import (
    AS_OF,
    LOINC,
    SNOMED,
    bundle,
    cards_of,
    codeable,
    observation,
    patient,
    record_of,
    resource,
)

from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.codesets.questions import QuestionnaireMap
from fhir_adapters.codesets.terminology import table
from fhir_adapters.instruments import SAFETY_ITEMS, Instrument
from fhir_adapters.reading.extraction import patient_record
from fhir_adapters.settings import ReadSettings

TODAY = AS_OF.date().isoformat()
ORDINAL = "http://hl7.org/fhir/StructureDefinition/ordinalValue"
FORM, CODES = "https://site.example/Questionnaire/x", "https://site.example/codes"
PHQ = ("44250-9", "44255-8", "44259-0", "44254-1", "44251-7", "44258-2", "44252-5", "44253-3", "44260-8")
# Instrument: LOINC codes of its items, of its panel and of its total; LOINC answer codes by score; words in two languages.
LIKERT = ("LA6568-5", "LA6569-3", "LA6570-1", "LA6571-9")
ENGLISH = ("Not at all", "Several days", "More than half the days", "Nearly every day")
SPANISH = ("Nunca", "Varios días", "Más de la mitad de los días", "Casi todos los días")
GAD = ("69725-0", "68509-9", "69733-4", "69734-2", "69735-9", "69689-8", "69736-7")
DRINKS = (
    ("LA6270-8", "LA18926-8", "LA18927-6", "LA18928-4", "LA18929-2"),
    ("LA15694-5", "LA15695-2", "LA18930-0", "LA18931-8", "LA18932-6"),
    ("LA6270-8", "LA18933-4", "LA18876-5", "LA18891-4", "LA18934-2"),
)
DRINKS_EN = (
    ("Never", "Monthly or less", "2-4 times a month", "2-3 times a week", "4 or more times a week"),
    ("1 or 2", "3 or 4", "5 or 6", "7 to 9", "10 or more"),
    ("Never", "Less than monthly", "Monthly", "Weekly", "Daily or almost daily"),
)
DRINKS_ES = (
    ("Nunca", "Una o menos veces al mes", "De 2 a 4 veces al mes", "De 2 a 3 veces a la semana", "4 o más veces a la semana"),
    ("1 o 2", "3 o 4", "5 o 6", "7 a 9", "10 o más"),
    ("Nunca", "Menos de una vez al mes", "Mensualmente", "Semanalmente", "A diario o casi a diario"),
)  # fmt: skip


class Spec:
    def __init__(self, instrument, items, panel, total, answers, english, spanish, asked=None):
        self.instrument, self.items, self.panel, self.total = instrument, items, panel, total
        self.asked = asked or instrument
        per_item = isinstance(answers[0], tuple)
        self.answers, self.english, self.spanish = (
            x if per_item else (x,) * len(items) for x in (answers, english, spanish)
        )
        self.scores = [n % (instrument.spec.top_item + 1) for n in range(1, len(items) + 1)]


SPECS = {
    "phq-9": Spec(Instrument.PHQ9, PHQ, "44249-1", "44261-6", LIKERT, ENGLISH, SPANISH),
    "phq-2": Spec(Instrument.PHQ2, PHQ[:2], "55757-9", "55758-7", LIKERT, ENGLISH, SPANISH),
    "phq-9m": Spec(Instrument.PHQ9M, PHQ, "89206-7", "89204-2", LIKERT, ENGLISH, SPANISH),
    "gad-7": Spec(Instrument.GAD7, GAD, "69737-5", "70274-6", LIKERT, ENGLISH, SPANISH),
    "audit-c": Spec(Instrument.AUDITC, ("68518-0", "68519-8", "68520-6"), "72109-2", "75626-2", DRINKS, DRINKS_EN, DRINKS_ES),
}  # fmt: skip

VALUES = {
    "integer": lambda spec, n, score: {"valueInteger": score},
    "integer as text": lambda spec, n, score: {"valueInteger": str(score)},
    "Quantity": lambda spec, n, score: {"valueQuantity": {"value": score, "code": "{score}", "unit": "score"}},
    "Quantity without unit": lambda spec, n, score: {"valueQuantity": {"value": score}},
    "numeric string": lambda spec, n, score: {"valueString": f" {score} "},
    "answer code": lambda spec, n, score: {"valueCodeableConcept": codeable(LOINC, spec.answers[n][score])},
    "answer code, local one first": lambda spec, n, score: {"valueCodeableConcept": {"coding": [{"system": "local", "code": "77"}, {"system": LOINC, "code": spec.answers[n][score]}]}},
    "answer code without system": lambda spec, n, score: {"valueCodeableConcept": {"coding": [{"code": spec.answers[n][score]}]}},
    "ordinal value": lambda spec, n, score: {"valueCodeableConcept": {"coding": [{"system": "local", "code": f"a{score}", "extension": [{"url": ORDINAL, "valueDecimal": score}]}]}},
    "English": lambda spec, n, score: {"valueString": spec.english[n][score]},
    "English, as display": lambda spec, n, score: {"valueCodeableConcept": {"coding": [{"system": "local", "code": "x", "display": spec.english[n][score].upper()}]}},
    "English, score before it": lambda spec, n, score: {"valueString": f"{score} - {spec.english[n][score]}"},
    "English, score behind it": lambda spec, n, score: {"valueString": f"{spec.english[n][score]} ({score})"},
    "Spanish": lambda spec, n, score: {"valueString": spec.spanish[n][score]},
    "Spanish without accents, as text": lambda spec, n, score: {"valueCodeableConcept": {"text": spec.spanish[n][score].replace("í", "i").replace("á", "a").lower()}},
}  # fmt: skip


def answered(spec: Spec, value: str) -> list[dict]:
    return [VALUES[value](spec, n, score) for n, score in enumerate(spec.scores)]


def as_answer(value: dict) -> dict:
    """The value as a QuestionnaireResponse holds it: a Coding instead of a concept."""
    concept = value.get("valueCodeableConcept")
    if concept is None:
        return value
    coding = concept["coding"][-1] if concept.get("coding") else {"display": concept["text"]}
    return {"valueCoding": coding}


def items(spec: Spec, value: str) -> list[dict]:
    return [observation(LOINC, code, TODAY, v) for code, v in zip(spec.items, answered(spec, value), strict=True)]


def panel(spec: Spec, value: str) -> list[dict]:
    members = items(spec, value)
    for member in members:
        del member["effectiveDateTime"]
    return [
        *members,
        observation(LOINC, spec.panel, TODAY, {}, hasMember=[{"reference": f"Observation/{m['id']}"} for m in members]),
    ]


def components(spec: Spec, value: str) -> list[dict]:
    parts = [{"code": codeable(LOINC, code)} | v for code, v in zip(spec.items, answered(spec, value), strict=True)]
    return [observation(LOINC, spec.panel, TODAY, {}, component=parts)]


def response(spec: Spec, value: str, link, **more) -> list[dict]:
    lines = [
        {"linkId": link(n, code), "answer": [as_answer(v)]}
        for n, (code, v) in enumerate(zip(spec.items, answered(spec, value), strict=True), start=1)
    ]
    return [resource("QuestionnaireResponse", status="completed", authored=TODAY, item=lines, **more)]


SHAPES = {
    "items": items,
    "panel with members": panel,
    "panel with components": components,
    "questionnaire": lambda spec, value: response(spec, value, lambda n, code: code),
    "questionnaire, path": lambda spec, value: response(spec, value, lambda n, code: f"/{spec.panel}/{code}"),
    "questionnaire, short path": lambda spec, value: response(spec, value, lambda n, code: f"/{code}"),
    "questionnaire, site map": lambda spec, value: response(spec, value, lambda n, code: f"Q{n}", questionnaire=f"{FORM}|2.0"),
}  # fmt: skip


def read(spec: Spec, *resources: dict):
    mapped = QuestionnaireMap(
        instrument=spec.instrument, source=FORM, items={f"Q{n}": str(n) for n in range(1, len(spec.items) + 1)}
    )
    settings = ReadSettings(maps=(mapped,))
    gathered = chart_bundle(bundle(patient(), *resources), settings=settings, as_of=AS_OF)
    return patient_record(gathered, settings=settings, as_of=AS_OF, left_out=True)


def the_form(spec: Spec, record):
    forms = [f for f in record.administrations if f.instrument is spec.instrument]
    assert len(forms) == 1, [f.instrument for f in record.administrations]
    return forms[0]


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("value", VALUES)
def test_cdsh_217_the_same_answers_come_out_of_every_shape(name: str, shape: str, value: str) -> None:
    spec = SPECS[name]
    # Nothing but the panel or the map says that PHQ items are those of the form for adolescents.
    if name == "phq-9m" and (shape == "items" or (shape.startswith("questionnaire") and "map" not in shape)):
        spec = SPECS["phq-9"]

    form = the_form(spec, record := read(SPECS[name], *SHAPES[shape](SPECS[name], value)))

    assert [form.score(str(n)) for n in range(1, len(spec.items) + 1)] == spec.scores
    assert not record.anomalies


TOTALS = {
    "integer": lambda n: {"valueInteger": n},
    "Quantity": lambda n: {"valueQuantity": {"value": n, "unit": "{score}"}},
    "numeric string": lambda n: {"valueString": str(n)},
    "decimal": lambda n: {"valueQuantity": {"value": float(n)}},
    "coded, in its text": lambda n: {"valueCodeableConcept": {"text": str(n)}},
    "coded, as local code": lambda n: {"valueCodeableConcept": {"coding": [{"system": "local", "code": str(n), "display": "score"}]}},
    "coded, as display": lambda n: {"valueCodeableConcept": {"coding": [{"system": "local", "code": "T", "display": str(n)}]}},
    "coded, with an ordinal value": lambda n: {"valueCodeableConcept": {"coding": [{"code": "T", "extension": [{"url": ORDINAL, "valueDecimal": n}]}]}},
}  # fmt: skip
ALL_TOTALS = {spec.total: spec.instrument for spec in SPECS.values()} | {"99046-5": Instrument.EPDS}


@pytest.mark.parametrize("shape", TOTALS)
@pytest.mark.parametrize("code", ALL_TOTALS)
def test_cdsh_217_a_total_alone_is_read_in_every_shape(code: str, shape: str) -> None:
    instrument = ALL_TOTALS[code]
    highest = instrument.spec.top_total

    for number in (0, highest):
        (form,) = record_of(observation(LOINC, code, TODAY, TOTALS[shape](number))).administrations
        assert (form.instrument, form.total, form.contradictory) == (instrument, number, False)
    (beyond,) = record_of(observation(LOINC, code, TODAY, TOTALS[shape](highest + 1))).administrations
    assert beyond.contradictory


@pytest.mark.parametrize("name", SPECS)
def test_a_total_is_checked_against_the_items(name: str) -> None:
    spec = SPECS[name]
    right = sum(spec.scores)

    for total, kinds in ((right, []), (right - 1, ["contradiction"]), (spec.instrument.spec.top_total + 5, ["out-of-range"]), (-3, ["out-of-range"])):  # fmt: skip
        chart = [*panel(spec, "integer"), observation(LOINC, spec.total, TODAY, {"valueInteger": total})]
        assert [a.flaw.kind for a in read(spec, *chart).anomalies] == kinds, total


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize(
    "odd",
    [
        {"valueInteger": 9},
        {"valueInteger": -1},
        {"valueQuantity": {"value": 1.5}},
        {"valueString": "1e400"},
        {"valueString": "perhaps"},
        {"valueRange": {}},
    ],
)
def test_a_value_off_the_scale_is_an_anomaly_or_unreadable_and_never_a_score(name: str, odd: dict) -> None:
    spec = SPECS[name]
    record = read(spec, *items(spec, "integer")[1:], observation(LOINC, spec.items[0], TODAY, odd))

    form = record.administrations[0]
    assert form.score("1") is None
    numeric = not ({"valueRange"} & odd.keys()) and odd.get("valueString") not in ("perhaps", "1e400")
    assert [a.flaw.kind for a in record.anomalies if a.flaw.stops_model] == (["out-of-range"] if numeric else [])


@pytest.mark.parametrize("name", SPECS)
def test_a_form_of_tomorrow_or_of_somebody_else_gives_no_fact(name: str) -> None:
    spec = SPECS[name]
    future = [o | {"effectiveDateTime": "2026-12-24"} for o in items(spec, "integer")]
    foreign = [o | {"subject": {"reference": "Patient/other"}} for o in items(spec, "integer")]

    assert "future-date" in {a.flaw.kind for a in read(spec, *future).anomalies}
    other = read(spec, *foreign)
    assert {a.flaw.kind for a in other.anomalies} == {"wrong-patient"}
    assert other.administrations == ()


# ---- instruments that ask yes or no ----

CSSRS = {
    "q1": "93246-7",
    "q2": "93247-5",
    "q3": "93248-3",
    "q4": "93249-1",
    "q5": "93250-9",
    "q6": "93267-3",
    "q6_recent": "93269-9",
}
ASQ = ("q1", "q2", "q3", "q4", "acuity")
YES = {
    "boolean": {"valueBoolean": True}, "LOINC": {"valueCodeableConcept": codeable(LOINC, "LA33-6")}, "SNOMED CT": {"valueCodeableConcept": codeable(SNOMED, "373066001")},
    "HL7 v2": {"valueCodeableConcept": codeable("http://terminology.hl7.org/CodeSystem/v2-0136", "Y")}, "integer": {"valueInteger": 1}, "English": {"valueString": "Yes"},
    "Spanish": {"valueString": "Sí"}, "display": {"valueCodeableConcept": {"coding": [{"code": "x", "display": "YES"}]}},
}  # fmt: skip
NO = {
    "boolean": {"valueBoolean": False}, "LOINC": {"valueCodeableConcept": codeable(LOINC, "LA32-8")}, "SNOMED CT": {"valueCodeableConcept": codeable(SNOMED, "373067005")},
    "HL7 v2": {"valueCodeableConcept": codeable("http://terminology.hl7.org/CodeSystem/v2-0136", "N")}, "integer": {"valueInteger": 0}, "English": {"valueString": "No"},
    "Spanish": {"valueString": "no"}, "display": {"valueCodeableConcept": {"coding": [{"code": "x", "display": "No"}]}},
}  # fmt: skip


def yes_no_chart(
    instrument: str, shape: str, values: dict[str, dict]
) -> tuple[list[dict], tuple[QuestionnaireMap, ...]]:
    asq = instrument == "asq"
    system = CODES if asq else LOINC
    code = {item: item if asq else CSSRS[item] for item in values}
    kind = Instrument.ASQ if asq else Instrument.CSSRS
    maps = (
        QuestionnaireMap(instrument=kind, source=CODES, items={i: i for i in values}, form=False),
        QuestionnaireMap(instrument=kind, source=FORM, items={f"L{i}": i for i in values}),
    )
    if shape == "items":
        return [observation(system, code[i], TODAY, v) for i, v in values.items()], maps
    if shape == "components":
        parts = [{"code": codeable(system, code[i])} | v for i, v in values.items()]
        return [observation(LOINC, "93373-9" if not asq else "8867-4", TODAY, {}, component=parts)], maps
    lines = [{"linkId": f"L{i}", "answer": [as_answer(v)]} for i, v in values.items()]
    return [resource("QuestionnaireResponse", status="completed", authored=TODAY, questionnaire=FORM, item=lines)], maps


@pytest.mark.parametrize("words", YES)
@pytest.mark.parametrize("shape", ["items", "components", "questionnaire by site map"])
@pytest.mark.parametrize(("instrument", "all_items", "worst"), [("c-ssrs", tuple(CSSRS), "q5"), ("asq", ASQ, "acuity")])
def test_yes_and_no_are_read_in_every_shape(
    instrument: str, all_items: tuple, worst: str, shape: str, words: str
) -> None:
    values = {item: YES[words] if item == worst else NO[words] for item in all_items}
    chart, maps = yes_no_chart(instrument, shape, values)
    settings = ReadSettings(maps=maps)

    record = patient_record(
        chart_bundle(bundle(patient(), *chart), settings=settings, as_of=AS_OF), settings=settings, as_of=AS_OF
    )

    (form,) = record.administrations
    assert {item: form.yes(item) for item in all_items} == {item: item == worst for item in all_items}
    assert [c.source.topic.code for c in cards_of(record)] == ["acute-safety"]


@pytest.mark.parametrize(
    "words", ["Sí, bastante a menudo", "A veces", "Casi nunca", "Quite often", "sometimes", "Hardly ever"]
)
def test_the_self_harm_item_of_epds_is_read_in_words_by_a_site_map(words: str) -> None:
    settings = ReadSettings(maps=(QuestionnaireMap(instrument=Instrument.EPDS, source=FORM, items={"E10": "10"}),))
    form = resource(
        "QuestionnaireResponse",
        status="completed",
        authored=TODAY,
        questionnaire=FORM,
        item=[{"linkId": "E10", "answer": [{"valueString": words}]}],
    )

    record = patient_record(
        chart_bundle(bundle(patient(), form), settings=settings, as_of=AS_OF), settings=settings, as_of=AS_OF
    )

    assert [c.source.topic.code for c in cards_of(record)] == ["positive-safety-answer"]


# ---- AUDIT-C ----


def test_audit_c_answers_become_the_facts_on_drinking_in_every_shape() -> None:
    spec = SPECS["audit-c"]
    for shape in SHAPES.values():
        for value in VALUES:
            record = read(spec, *shape(spec, value))
            assert (record.fact("alc_days_yr").value, record.fact("alc_drinks_day").value) == (12.0, 5.5)
            assert record.fact("alc_drinks_day").unit == "{drinks}/d"


def test_a_number_of_drinks_is_not_taken_for_a_score() -> None:
    drinks = observation(LOINC, "68519-8", TODAY, {"valueQuantity": {"value": 3, "code": "{drinks}/d"}})

    assert record_of(drinks).fact("alc_drinks_day").value == 3.5


def test_the_single_question_in_a_published_example_is_no_part_of_audit_c() -> None:
    other = observation(LOINC, "68517-2", TODAY, {"valueQuantity": {"value": 4, "unit": "/a"}})

    record = record_of(
        other, *items(SPECS["audit-c"], "integer"), observation(LOINC, "75626-2", TODAY, {"valueInteger": 6})
    )

    assert not record.anomalies
    assert record.administrations[0].total == 6


def test_every_code_of_the_list_is_read_or_known_to_be_left_alone() -> None:
    from fhir_adapters.codesets.questions import targets

    left_alone = (
        "functional",
        "deprecated",
        "cms_variant",
        "mds_variant.panel",
        "full",
        "procedure",
        "depression_screen",
        "note",
        "suicide",
        "alcohol",
        "dast10",
        "do_not_use",
        "asq",
        "anxiety",
        "substance",
        "cssrs.since",
        "answer",
    )
    for row in table("instruments"):
        known = row["code"] in targets() or row["code"].startswith("(")
        assert known or any(word in row["group"] for word in left_alone), row


def test_every_instrument_has_its_scale() -> None:
    published = {"phq-9": 27, "phq-9m": 27, "phq-2": 6, "epds": 30, "gad-7": 21, "audit-c": 12}

    assert {i: i.spec.top_total for i in Instrument if not i.spec.yes_no} == published
    assert [i.spec.total_of_others + 1 for i in SAFETY_ITEMS] == [25, 25, 28]
