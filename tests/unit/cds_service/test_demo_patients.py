import json
import os
import re
import tomllib
from datetime import UTC, date, datetime, time, timedelta, timezone
from importlib import import_module
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cds_service.demo_ehr import codes
from cds_service.demo_ehr.clinic.chart_facts import chart_sections, dated_text
from cds_service.demo_ehr.fhir_api.charts import Charts
from cds_service.demo_ehr.patients.people import demo_patients

AS_OF = datetime(2026, 11, 23, 16, 12, tzinfo=UTC)
SAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "chart.json"
ZONES = (UTC, timezone(timedelta(hours=-7)), timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=13)))

# Hypothesis wants its limits without a zone and adds one itself.
moments = st.datetimes(
    min_value=AS_OF.replace(year=2025, tzinfo=None),
    max_value=AS_OF.replace(year=2100, tzinfo=None),
    timezones=st.sampled_from(ZONES),
)
leap_day = datetime(2028, 2, 29, 8, 0, tzinfo=UTC)
day_after_leap_day = datetime(2028, 3, 1, 0, 0, tzinfo=UTC)
month_end = datetime(2027, 3, 31, 23, 59, 59, tzinfo=UTC)
new_year = datetime(2027, 1, 1, 0, 0, tzinfo=UTC)

# Patient by patient, what the demo promises to show: topic and indicator.
TABLE = {
    "Ingrid Solheim-Park": (44, ["positive-safety-answer warning"]),
    "Tomás Wójcik": (38, ["acute-safety critical"]),
    "Bronwen Achterberg": (36, ["recent-safety warning"]),
    "Devin Castellanos": (29, ["recent-safety info"]),
    "Hyacinth Oyelaran": (52, ["depression-follow-up info"]),
    "Stellan Brannigan": (67, ["screening-prompt info"]),
    "Mei-Lin Abernathy": (41, ["positive-safety-answer warning"]),
    "Rafael Nunes-Whitaker": (15, ["positive-safety-answer warning"]),
    "Eleni Marchetti": (58, ["depression-follow-up info"]),
    "Kwabena Lindqvist": (40, ["positive-safety-answer warning", "depression-follow-up warning"]),
    "Saoirse Takahashi": (24, ["data-anomaly info"]),
    "Josef Mbeki-Larsen": (63, ["could-not-assess info"]),
    "Pilar Ostrowski": (47, []),
    "Marguerite Okafor": (61, ["depression-follow-up info"]),
}


def charts(as_of=AS_OF):
    return {patient.name: patient for patient in demo_patients(as_of)}


def resources(patient, resource_type):
    return [resource for resource in patient.chart if resource["resourceType"] == resource_type]


def age_on(birth: date, day: date) -> int:
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


def texts(value, key=None):
    """Every (key, text) below a JSON value."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from texts(part, name)
    elif isinstance(value, list):
        for part in value:
            yield from texts(part, key)
    elif isinstance(value, str):
        yield key, value


def codings(value):
    if isinstance(value, dict):
        if "system" in value and "code" in value and "value" not in value:
            yield value
        for part in value.values():
            yield from codings(part)
    elif isinstance(value, list):
        for part in value:
            yield from codings(part)


def test_the_14_patients_and_their_cards_are_those_of_the_table():
    found = {p.name: (p.age, [f"{c.topic} {c.indicator}" for c in p.expected]) for p in demo_patients(AS_OF)}

    assert found == TABLE
    assert list(found) == list(TABLE)


@pytest.mark.parametrize("as_of", [AS_OF, leap_day], ids=["today", "leap day"])
def test_every_resource_is_valid_fhir_r4(as_of):
    for patient in demo_patients(as_of):
        for resource in patient.chart:
            kind = resource["resourceType"]
            model = getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)
            model.model_validate_json(json.dumps(resource))


@given(as_of=moments)
@example(as_of=leap_day)
@example(as_of=day_after_leap_day)
@example(as_of=month_end)
@example(as_of=new_year)
def test_patients_have_their_age_on_whatever_day_the_demo_runs(as_of):
    for patient in demo_patients(as_of):
        born = date.fromisoformat(resources(patient, "Patient")[0]["birthDate"])

        assert age_on(born, as_of.date()) == patient.age


@given(as_of=moments)
@example(as_of=leap_day)
@example(as_of=month_end)
@example(as_of=new_year)
def test_nothing_in_a_chart_lies_in_the_future(as_of):
    for patient in demo_patients(as_of):
        for key, text in texts(list(patient.chart)):
            if not re.fullmatch(r"\d{4}-\d{2}-\d{2}(T.+)?", text):
                continue
            if "T" in text:
                assert datetime.fromisoformat(text) <= as_of, (patient.id, key)
            assert date.fromisoformat(text[:10]) <= as_of.date(), (patient.id, key)


@given(as_of=moments)
@example(as_of=leap_day)
@example(as_of=new_year)
def test_stories_keep_their_distance_in_days(as_of):
    by_name = charts(as_of)

    def days_ago(name, resource_type, part):
        found = [r for r in resources(by_name[name], resource_type) if part in r["id"]]
        stamp = found[-1].get("effectiveDateTime") or found[-1].get("authored") or found[-1].get("recordedDate")
        return (as_of.date() - date.fromisoformat(stamp[:10])).days

    assert days_ago("Ingrid Solheim-Park", "Observation", "phq9-item9") == 6
    assert days_ago("Tomás Wójcik", "QuestionnaireResponse", "cssrs") == 0
    assert days_ago("Bronwen Achterberg", "Condition", "self-harm") == 41
    assert days_ago("Devin Castellanos", "Observation", "cssrs-q4") == 20
    assert days_ago("Devin Castellanos", "Observation", "cssrs-q6-2") == 5
    assert days_ago("Hyacinth Oyelaran", "Observation", "phq9-total") == 56
    assert days_ago("Mei-Lin Abernathy", "QuestionnaireResponse", "epds") == 1
    assert days_ago("Rafael Nunes-Whitaker", "QuestionnaireResponse", "asq") == 0
    assert days_ago("Eleni Marchetti", "QuestionnaireResponse", "phq9") == 150
    assert days_ago("Kwabena Lindqvist", "Observation", "phq9-total") == 4
    assert days_ago("Saoirse Takahashi", "Observation", "phq9-panel") == 10
    assert days_ago("Marguerite Okafor", "Observation", "phq9-total") == 24
    assert days_ago("Josef Mbeki-Larsen", "QuestionnaireResponse", "phq9") == 3


def test_appointments_are_within_the_clinic_s_hours_and_no_two_at_once():
    times = [patient.time for patient in demo_patients(AS_OF)]

    assert len(set(times)) == len(times)
    assert all("08:30" <= time <= "16:30" and time[3:] in ("00", "30") for time in times)


def test_the_same_moment_gives_the_same_charts():
    assert demo_patients(AS_OF) == demo_patients(AS_OF)


def test_the_sample_chart_of_the_documentation_is_one_of_them():
    ingrid = charts()["Ingrid Solheim-Park"]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in ingrid.chart]}
    text = json.dumps(bundle, indent=1) + "\n"
    if os.environ.get("MHCDS_REWRITE_GOLDEN"):
        SAMPLE.write_text(text, encoding="utf-8")

    assert SAMPLE.read_text(encoding="utf-8") == text


def test_a_moment_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        demo_patients(datetime(2026, 11, 23, 9, 0))  # noqa: DTZ001 - the mistake under test


def test_ids_are_legal_and_used_once():
    patients = demo_patients(AS_OF)

    Charts(patient.chart for patient in patients)

    for patient in patients:
        assert all(re.fullmatch(r"[A-Za-z0-9.-]{1,64}", resource["id"]) for resource in patient.chart)


def test_two_resources_of_one_id_are_refused():
    twice = [{"resourceType": "Patient", "id": "one"}] * 2

    with pytest.raises(ValueError, match="own id"):
        Charts([twice])


def test_every_resource_names_its_own_patient():
    for patient in demo_patients(AS_OF):
        owners = {r["subject"]["reference"] for r in patient.chart if r["resourceType"] != "Patient"}

        assert owners == {f"Patient/{patient.id}"}
        assert resources(patient, "Patient")[0]["id"] == patient.id


def test_references_between_resources_lead_somewhere():
    for patient in demo_patients(AS_OF):
        own = {f"{r['resourceType']}/{r['id']}" for r in patient.chart}
        named = {text for key, text in texts(list(patient.chart)) if key == "reference"}

        assert named - own <= {"Practitioner/demo-clinician"}


def test_codes_are_those_of_the_code_lists(shared):
    lists = [*(shared / "clinical/codes").glob("*.csv"), shared / "data/nhanes/feature_fhir_map.csv"]
    known = set(re.findall(r"[A-Za-z0-9.-]+", "\n".join(path.read_text(encoding="utf-8") for path in lists)))
    coded = [c for p in demo_patients(AS_OF) for c in codings(list(p.chart))]
    of_lists = [c for c in coded if re.search(r"loinc|snomed|icd-10|rxnorm", c["system"])]

    assert len(of_lists) > 100
    assert {c["code"] for c in of_lists} - known == set()


def test_no_wording_of_licensed_questions_is_carried():
    """C-SSRS and EPDS questions go by number: their codes come without display."""
    licensed = {*codes.CSSRS_ITEMS.values(), "93373-9", "93374-7", "71354-5", "99046-5"}
    asked = [c for p in demo_patients(AS_OF) for c in codings(list(p.chart)) if c["code"] in licensed]

    assert {c["code"] for c in asked} >= {"93249-1", "93374-7", "99046-5"}
    assert all("display" not in coding for coding in asked)
    forms = [r for p in demo_patients(AS_OF) for r in resources(p, "QuestionnaireResponse")]
    assert forms
    assert all("text" not in item for form in forms for item in form["item"])


def test_the_sites_map_names_every_question_without_a_standard_code():
    site = tomllib.loads((files("cds_service.demo_ehr") / "site.toml").read_text(encoding="utf-8"))
    mapped = {table["canonical"]: table["items"] for table in site["questionnaire"]}
    forms = [r for p in demo_patients(AS_OF) for r in resources(p, "QuestionnaireResponse")]
    local = [form for form in forms if form["questionnaire"] in mapped]

    assert {form["questionnaire"].rpartition("/")[2] for form in local} == {"epds", "asq"}
    for form in local:
        assert {item["linkId"] for item in form["item"]} <= set(mapped[form["questionnaire"]])


def test_the_answers_add_up_as_the_stories_say():
    by_name = charts()
    items = [r for r in resources(by_name["Ingrid Solheim-Park"], "Observation") if "phq9-item" in r["id"]]
    answers = [code for code, _ in codes.PHQ_ANSWERS]
    scores = [answers.index(r["valueCodeableConcept"]["coding"][0]["code"]) for r in items]
    panel = next(r for r in resources(by_name["Saoirse Takahashi"], "Observation") if "panel" in r["id"])
    parts = [answers.index(c["valueCodeableConcept"]["coding"][0]["code"]) for c in panel["component"][:9]]
    blank = resources(by_name["Josef Mbeki-Larsen"], "QuestionnaireResponse")[0]["item"]
    epds = resources(by_name["Mei-Lin Abernathy"], "Observation")

    assert (sum(scores), scores[8]) == (8, 1)
    assert (sum(parts), panel["component"][9]["valueInteger"]) == (19, 14)
    assert [item["linkId"] for item in blank if "answer" not in item] == ["/44260-8"]
    assert next(r for r in epds if r["id"].endswith("epds-total"))["valueQuantity"]["value"] == 9
    cssrs = resources(by_name["Tomás Wójcik"], "QuestionnaireResponse")[0]["item"]
    said_yes = [item["linkId"] for item in cssrs if item["answer"][0]["valueCoding"]["code"] == "LA33-6"]
    assert said_yes == ["/93246-7", "/93247-5", "/93249-1"]
    assert not [r for r in resources(by_name["Stellan Brannigan"], "Observation") if "phq9" in r["id"]]
    visits = resources(by_name["Stellan Brannigan"], "Encounter")
    assert [visit["class"]["code"] for visit in visits].count("AMB") == 9
    course = [r for r in resources(by_name["Marguerite Okafor"], "Observation") if "phq9-total" in r["id"]]
    assert [r["valueQuantity"]["value"] for r in course] == [18, 13, 8, 5, 16]
    assert resources(by_name["Devin Castellanos"], "Patient")[0]["gender"] == "other"


def test_the_facts_view_shows_every_resource_but_folded_ones():
    for patient in demo_patients(AS_OF):
        sections = chart_sections(patient.chart, AS_OF)
        shown = {row.reference for section in sections for row in section.rows}

        assert sections[0].rows
        for resource_type in ("QuestionnaireResponse", "Condition", "MedicationRequest"):
            assert {f"{resource_type}/{r['id']}" for r in resources(patient, resource_type)} <= shown


def test_a_blank_answer_is_shown_as_not_answered():
    josef = charts()["Josef Mbeki-Larsen"]

    form = chart_sections(josef.chart, AS_OF)[0].rows[0]

    assert form.value == "8 of 9 questions answered"
    assert ("PHQ-9 item 9", "not answered") in form.parts


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (0, "today, 09:40"),
        (1, "22 Nov 2026 (yesterday)"),
        (90, "25 Aug 2026 (90 days ago)"),
        (91, "24 Aug 2026 (3 months ago)"),
    ],
)
def test_dates_are_spoken_in_days_up_to_90_and_in_months_from_there(days, expected):
    stamp = datetime.combine(AS_OF.date() - timedelta(days=days), time(9, 40), tzinfo=UTC).isoformat()

    assert dated_text(stamp, AS_OF) == expected
