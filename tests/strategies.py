"""Hypothesis strategies for FHIR resources, bundles and prefetch maps: mostly plausible, at times nonsense."""

from __future__ import annotations

from builders import AS_OF, CSSRS, ICD, LOINC, PATIENT, PHQ, RXNORM, SNOMED
from hypothesis import strategies as st

from fhir_adapters.access.templates import templates
from fhir_adapters.codesets.terminology import table
from fhir_adapters.resources.gathered import ALL_KEYS

NONSENSE = st.sampled_from(
    [None, "", 0, -1, 1e308, "x" * 300, [], {}, [[]], {"a": 1}, True, "2026-13-45", "<script>", "\u0000", "🙂"]
)
OWN = {"reference": f"Patient/{PATIENT}"}
# A foreign resource is known by its id, so that no fact may ever name one.
FOREIGN = "foreign"


def rarely(usual: st.SearchStrategy, odd: st.SearchStrategy = NONSENSE) -> st.SearchStrategy:
    """`usual`, and one time in eight `odd`."""
    return st.integers(0, 7).flatmap(lambda n: odd if n == 0 else usual)


DATES = st.dates(AS_OF.date().replace(year=2023), AS_OF.date().replace(year=2027)).map(str)
MOMENTS = st.one_of(
    DATES,
    DATES.map(lambda d: d[:7]),
    DATES.map(lambda d: d[:4]),
    st.tuples(
        DATES, st.sampled_from(("T10:00:00Z", "T23:30:00-11:00", "T00:15:00+14:00", "T08:00:00.123Z", "T08:00"))
    ).map("".join),
    st.just(AS_OF.date().isoformat()),
)
MEASURED = [row["code"] for row in table("measurements")]
UNITS = st.sampled_from(
    [
        "kg",
        "[lb_av]",
        "lbs",
        "cm",
        "[in_i]",
        "mm[Hg]",
        "mg/dL",
        "mmol/L",
        "umol/L",
        "%",
        "mmol/mol",
        "g/dL",
        "10*3/uL",
        "/min",
        "h",
        "Cel",
        "",
        "1",
        "furlong",
        "{score}",
    ]
)
CODES = st.one_of(
    st.sampled_from([*PHQ, *CSSRS.values(), "44261-6", "55758-7", "89204-2", "99046-5", "44249-1", "93374-7", "75626-2", *MEASURED, "72166-2", "68519-8"]).map(lambda c: {"system": LOINC, "code": c}),
    st.sampled_from([row["code"] for row in table("conditions") if row["code"].isdigit()]).map(lambda c: {"system": SNOMED, "code": c}),
    st.sampled_from(["T14.91XA", "T39.1X2A", "X78.8XXD", "R45.851", "F32.9", "F31.9", "I10", "J45.909", "E11.9", "Z91.51", "T43.92XS"]).map(lambda c: {"system": ICD, "code": c}),
    st.sampled_from(["36437", "42347", "7804", "999999999"]).map(lambda c: {"system": RXNORM, "code": c}),
)  # fmt: skip
ANSWERS = st.sampled_from(
    ["LA6568-5", "LA6569-3", "LA6570-1", "LA6571-9", "LA33-6", "LA32-8", "LA9193-9", "LA6270-8", "X1"]
)
WORDS = st.sampled_from(
    [
        "Not at all",
        "nunca",
        "Several days",
        "Yes",
        "No",
        "Sí",
        "7",
        "NaN",
        "-1",
        "sertraline 50 MG Oral Tablet",
        "Suicidal ideation",
        "never smoker",
        "Poor",
    ]
)
CONCEPTS = st.fixed_dictionaries(
    {}, optional={"coding": rarely(st.lists(rarely(CODES), min_size=1, max_size=2)), "text": rarely(WORDS)}
)
NUMBERS = st.one_of(st.integers(-2, 30), st.floats(0, 400, width=32), st.sampled_from(["3", "1e3", "NaN", 10**30]))
QUANTITIES = st.fixed_dictionaries(
    {"value": rarely(NUMBERS)}, optional={"code": UNITS, "unit": UNITS, "comparator": st.just("<")}
)
VALUES = st.one_of(
    st.fixed_dictionaries({"valueQuantity": rarely(QUANTITIES)}),
    st.fixed_dictionaries({"valueInteger": rarely(NUMBERS)}),
    st.fixed_dictionaries({"valueBoolean": rarely(st.booleans())}),
    st.fixed_dictionaries({"valueString": rarely(WORDS)}),
    st.fixed_dictionaries(
        {"valueCodeableConcept": rarely(ANSWERS.map(lambda c: {"coding": [{"system": LOINC, "code": c}]}))}
    ),
    st.just({}),
    st.just({"dataAbsentReason": {"coding": [{"code": "asked-declined"}]}}),
)
OWNERS = rarely(st.sampled_from([OWN, {"reference": f"Patient/{PATIENT}/_history/2"}]), st.sampled_from([{"reference": "Patient/other"}, {}, {"display": "x"}, None, 7]))  # fmt: skip
PERIODS = st.fixed_dictionaries({}, optional={"start": rarely(MOMENTS), "end": rarely(MOMENTS)})


@st.composite
def resources(draw) -> dict:
    """One resource of a type that we read, owned by the patient or, now and then, by somebody else."""
    kind = draw(
        st.sampled_from(
            [
                "Observation",
                "Observation",
                "Observation",
                "QuestionnaireResponse",
                "Condition",
                "MedicationRequest",
                "Encounter",
                "Procedure",
                "RiskAssessment",
                "Consent",
                "MedicationStatement",
                "CarePlan",
                "Appointment",
            ]
        )
    )
    owner = draw(OWNERS)
    own = isinstance(owner, dict) and str(owner.get("reference", "")).startswith(f"Patient/{PATIENT}")
    found: dict = {"resourceType": kind, "id": f"{FOREIGN if not own else 'own'}-{draw(st.integers(0, 10**6))}"}
    if kind == "Appointment":
        found["participant"] = draw(rarely(st.just([{"actor": owner}, {"actor": {"reference": "Practitioner/1"}}])))
    else:
        found["patient" if kind == "Consent" else "subject"] = owner
    found |= draw(BODIES[kind])
    if draw(st.integers(0, 30)) == 0:
        found["modifierExtension"] = draw(st.sampled_from([[{"url": "x"}], [], None, {}]))
    if draw(st.integers(0, 30)) == 0:
        found["meta"] = {"security": [{"code": draw(st.sampled_from(["ETH", "R", "PSY"]))}]}
    return found


def _body(required: dict, optional: dict | None = None) -> st.SearchStrategy:
    return st.fixed_dictionaries(required, optional=optional or {})


COMPONENTS = st.lists(st.tuples(CONCEPTS, VALUES).map(lambda p: {"code": p[0]} | p[1]), max_size=3)
ITEMS = st.lists(
    st.tuples(st.sampled_from([*PHQ, *CSSRS.values(), "q1"]), st.one_of(VALUES, st.just({}))).map(
        lambda p: {"linkId": p[0], "answer": [p[1]]}
    ),
    max_size=9,
)
PLANS = st.sampled_from(["Safety plan", "Plan de seguridad", "Fall safety plan", "Follow-up", "Psychiatry"])
STATUSES = st.sampled_from(
    ["final", "final", "preliminary", "entered-in-error", "active", "finished", "completed", "in-progress", "x"]
)
BODIES = {
    "Observation": st.tuples(
        _body({"status": STATUSES, "code": rarely(CONCEPTS)}, {"effectiveDateTime": rarely(MOMENTS), "component": rarely(COMPONENTS), "encounter": st.just({"reference": "Encounter/own-1"}), "issued": MOMENTS}),
        VALUES,
    ).map(lambda p: p[0] | p[1]),
    "QuestionnaireResponse": _body({"status": STATUSES, "item": rarely(ITEMS)}, {"authored": rarely(MOMENTS), "questionnaire": rarely(st.just("http://x/PHQ9"))}),
    "Condition": _body({"code": rarely(CONCEPTS)}, {"onsetDateTime": rarely(MOMENTS), "recordedDate": rarely(MOMENTS), "clinicalStatus": rarely(st.just({"coding": [{"code": "resolved"}]})), "verificationStatus": rarely(st.just({"coding": [{"code": "refuted"}]}))}),
    "MedicationRequest": _body({"status": STATUSES, "intent": st.sampled_from(["order", "plan", "proposal"])}, {"medicationCodeableConcept": rarely(CONCEPTS), "medicationReference": rarely(st.just({"reference": "Medication/1", "display": "sertraline"})), "authoredOn": rarely(MOMENTS)}),
    "MedicationStatement": _body({"status": STATUSES}, {"medicationCodeableConcept": rarely(CONCEPTS), "effectivePeriod": rarely(PERIODS)}),
    "Encounter": _body({"status": STATUSES, "class": rarely(st.sampled_from([{"code": "AMB"}, {"code": "IMP"}, {"code": "?"}]))}, {"period": rarely(PERIODS), "reasonCode": rarely(st.lists(CONCEPTS, max_size=2)), "type": rarely(st.lists(CONCEPTS, max_size=1))}),
    "Procedure": _body({"status": STATUSES, "code": rarely(CONCEPTS)}, {"performedDateTime": rarely(MOMENTS)}),
    "RiskAssessment": _body({"status": STATUSES, "code": rarely(st.just({"coding": [{"system": SNOMED, "code": "225337009"}]}))}, {"occurrenceDateTime": rarely(MOMENTS), "performer": rarely(st.sampled_from([{"reference": "Practitioner/1"}, {"reference": "Device/1"}])), "prediction": rarely(st.lists(st.sampled_from(["High", "Moderate", "Low", "x", ""]).map(lambda risk: {"qualitativeRisk": {"text": risk}}), max_size=2))}),
    "CarePlan": _body({"status": STATUSES, "intent": st.sampled_from(["plan", "order", "proposal"])}, {"title": rarely(PLANS), "category": rarely(st.lists(CONCEPTS, max_size=2)), "created": rarely(MOMENTS), "period": rarely(PERIODS), "activity": rarely(st.just([{"detail": {"status": "completed", "code": {"text": "Safety plan"}}}]))}),
    "Appointment": _body({"status": rarely(st.sampled_from(["booked", "pending", "cancelled"]))}, {"start": rarely(MOMENTS), "description": rarely(PLANS), "specialty": rarely(st.lists(CONCEPTS, max_size=2))}),
    "Consent": _body({"status": STATUSES}, {"provision": rarely(st.sampled_from([{"type": "permit"}, {"type": "deny"}, {"type": "deny", "purpose": [{"code": "HRESCH"}]}])), "scope": rarely(CONCEPTS)}),
}  # fmt: skip
PATIENTS = _body(
    {"resourceType": st.just("Patient"), "id": st.just(PATIENT)},
    {"birthDate": rarely(st.sampled_from(["1980-01-15", "2012-05", "1901", "2030-01-01"])), "gender": rarely(st.sampled_from(["female", "male", "other"])), "deceasedBoolean": rarely(st.just(value=False)), "deceasedDateTime": rarely(MOMENTS), "identifier": rarely(st.just([{"system": "urn:mrn", "value": "1"}]))},
)  # fmt: skip


@st.composite
def bundles(draw) -> dict:
    """A chart in one Bundle, at times with entries that are none."""
    held = [draw(PATIENTS), *draw(st.lists(resources(), max_size=12))]
    entries = [{"resource": r} for r in held]
    if draw(st.integers(0, 5)) == 0:
        entries.append(draw(st.sampled_from([None, {}, {"fullUrl": "urn:uuid:1"}, {"response": {"status": "404"}}, {"resource": {"resourceType": "Provenance"}}])))  # fmt: skip
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


@st.composite
def prefetches(draw):
    """What may stand in `prefetch`: a map with some keys, null, odd values, or one Bundle."""
    shape = draw(st.integers(0, 11))
    if shape == 0:
        return draw(bundles())
    if shape == 1:
        return draw(NONSENSE)
    held = draw(st.lists(resources(), max_size=12))
    found = {}
    for template in templates(ALL_KEYS):
        ours = [r for r in held if r["resourceType"] in template.types]
        whole = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": r} for r in ours]}
        usual = st.just(draw(PATIENTS) if template.key == "patient" else whole)
        odd = st.sampled_from(
            [
                None,
                {"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]},
                ours[0] if ours else {},
                "x",
                5,
                {"resourceType": "Bundle"},
            ]
        )
        if draw(st.integers(0, 9)):
            found[template.key] = draw(rarely(usual, odd))
    return found
