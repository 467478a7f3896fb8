"""What consents come to, one row a case; and what is withheld by its security label."""

from __future__ import annotations

from datetime import UTC, date

import pytest
from builders import AS_OF, ICD, PATIENT, bundle, codeable, given, patient, read, record_of, resource

from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.facts import Consent
from fhir_adapters.reading.extraction import patient_record
from fhir_adapters.resources.belonging import owner_of
from fhir_adapters.resources.consent import ConsentSettings, allowed
from fhir_adapters.resources.r4 import LABEL_BASIS
from fhir_adapters.settings import ReadSettings

ACT, REASON = "http://terminology.hl7.org/CodeSystem/v3-ActCode", "http://terminology.hl7.org/CodeSystem/v3-ActReason"
ACTION = "http://terminology.hl7.org/CodeSystem/consentaction"
DENY, PERMIT = {"type": "deny"}, {"type": "permit"}


def consent(
    provision: dict | None = None, policy: str | None = None, scope: str = "patient-privacy", **elements
) -> dict:
    found = {
        "resourceType": "Consent",
        "id": "c1",
        "status": "active",
        "scope": codeable("http://terminology.hl7.org/CodeSystem/consentscope", scope),
        "patient": {"reference": f"Patient/{PATIENT}"},
    }
    if provision is not None:
        found["provision"] = provision
    if policy:
        found["policyRule"] = codeable(ACT, policy)
    return found | elements


def purpose(*codes: str) -> dict:
    return {"purpose": [{"system": REASON, "code": code} for code in codes]}


def action(*codes: str) -> dict:
    return {"action": [codeable(ACTION, code) for code in codes]}


def actor(*references: str) -> dict:
    return {"actor": [{"role": {"text": "x"}, "reference": {"reference": r}} for r in references]}


def nested(*inner: dict) -> dict:
    return {"provision": list(inner)}


def outcome(*consents: dict, settings: ConsentSettings | None = None, **more):
    return allowed(
        [read(c) for c in consents],
        owner_of(PATIENT, read(patient()), ("https://ehr.example/fhir",)),
        settings or ConsentSettings(),
        today=AS_OF.date(),
        zone=UTC,
        **more,
    )


YES, NO, UNKNOWN = Consent.ALLOWED, Consent.DENIED, Consent.UNKNOWN
CASES = {
    "no consent on file": ([], YES),
    "permitted": ([consent(PERMIT)], YES),
    "permitted by policy": ([consent(policy="OPTIN")], YES),
    "denied": ([consent(DENY)], NO),
    "denied by policy": ([consent(policy="OPTOUT")], NO),
    "one denial outweighs a permission": ([consent(PERMIT), consent(DENY, id="c2")], NO),
    "not yet or no longer active": ([consent(DENY, status=s) for s in ("draft", "proposed", "rejected", "inactive", "entered-in-error")], YES),
    "about research": ([consent(DENY, scope="research")], YES),
    "about advance directives": ([consent(DENY, scope="adr")], YES),
    "about treatment": ([consent(DENY, scope="treatment")], NO),
    "scope not said": ([consent(DENY, scope={}) | {"scope": None}], NO),
    "over": ([consent(DENY | {"period": {"end": "2026-11-22"}})], YES),
    "until today": ([consent(DENY | {"period": {"end": "2026-11-23"}})], NO),
    "not begun": ([consent(DENY | {"period": {"start": "2026-11-24"}})], YES),
    "begun, end open": ([consent(DENY | {"period": {"start": "2020"}})], NO),
    "denied for research use": ([consent(DENY | purpose("HRESCH", "HMARKT"))], YES),
    "denied for care and research": ([consent(DENY | purpose("HRESCH", "TREAT"))], NO),
    "denied for a purpose not known here": ([consent(DENY | purpose("X-OTHER"))], NO),
    "denied to disclose": ([consent(DENY | action("disclose"))], YES),
    "denied to use": ([consent(DENY | action("disclose", "use"))], NO),
    "denied to another person": ([consent(DENY | actor("Practitioner/other"))], YES),
    "denied to this person": ([consent(DENY | actor("Practitioner/other", "Practitioner/doc"))], NO),
    "denied to an organisation": ([consent(DENY | actor("Organization/1"))], NO),
    "denied for some data": ([consent(DENY | {"class": [{"code": "Observation"}]})], NO),
    "permitted but for care": ([consent(PERMIT | nested(DENY | purpose("TREAT")))], NO),
    "permitted but for research": ([consent(PERMIT | nested(DENY | purpose("HRESCH")))], YES),
    "denied but for care": ([consent(DENY | nested(PERMIT | purpose("TREAT")))], YES),
    "denied but for research": ([consent(DENY | nested(PERMIT | purpose("HRESCH")))], NO),
    "denied but for a purpose not known here": ([consent(DENY | nested(PERMIT | purpose("X-OTHER")))], NO),
    "denied but for some data": ([consent(DENY | nested(PERMIT | {"class": [{"code": "Observation"}]}))], NO),
    "denied but for this person": ([consent(DENY | nested(PERMIT | actor("Practitioner/doc")))], YES),
    "denied but for another person": ([consent(DENY | nested(PERMIT | actor("Practitioner/other")))], NO),
    "opted out by policy but for care": ([consent(PERMIT | purpose("TREAT"), policy="OPTOUT")], YES),
    "denied three levels down": ([consent(PERMIT | nested(PERMIT | nested(DENY)))], NO),
    "of another patient": ([consent(DENY, patient={"reference": "Patient/other"})], YES),
    "absolute reference": ([consent(DENY, patient={"reference": f"https://ehr.example/fhir/Patient/{PATIENT}"})], NO),
    "no patient named": ([{k: v for k, v in consent(DENY).items() if k != "patient"}], NO),
    "cannot be read": ([consent(provision=7)], UNKNOWN),
    "of another patient and cannot be read": ([consent(provision=7, patient={"reference": "Patient/other"})], YES),
    "with a modifier extension": ([consent(PERMIT, modifierExtension=[{"url": "x", "valueBoolean": True}])], UNKNOWN),
    "STU3": ([consent(PERMIT, policyRule="http://x")], UNKNOWN),
    "R5": ([consent(decision="permit")], UNKNOWN),
    "denied, and another cannot be read": ([consent(DENY), consent(provision=7)], NO),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_a_patients_consents_come_to(case: str) -> None:
    consents, expected = CASES[case]

    assert outcome(*consents, user="Practitioner/doc").consent is expected


@pytest.mark.parametrize(
    ("named", "expected"),
    [({"identifier": {"system": "urn:mrn", "value": "1"}}, UNKNOWN), ({"reference": "Patient?identifier=urn:mrn|1"}, UNKNOWN), ({"display": "x"}, UNKNOWN),
     ({"reference": "https://registry.example/fhir/Patient/p1"}, UNKNOWN), ({"reference": "Patient/other"}, YES), ({"reference": "https://ehr.example/fhir/Patient/other"}, YES)],
)  # fmt: skip
def test_a_denial_that_names_the_patient_in_words_not_known_here_is_not_passed_over(
    named: dict, expected: Consent
) -> None:
    denial = [read(consent(DENY, patient=named))]
    held = [read(patient(identifier=[{"system": "urn:mrn", "value": "2"}])), None]

    for who in held:
        owner = owner_of(PATIENT, who, ("https://ehr.example/fhir",))
        assert allowed(denial, owner, ConsentSettings(), today=AS_OF.date(), zone=UTC).consent is expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [(consent(policy="OPTOUTE"), NO), (consent(policy="NOCONSENT"), NO), (consent(policy="EMRGONLY"), NO), (consent({"type": "Deny"}), UNKNOWN), (consent(DENY, status="Active"), UNKNOWN),
     ({k: v for k, v in consent(DENY).items() if k != "status"}, UNKNOWN), (consent(DENY | actor(f"Patient/{PATIENT}")), NO)],
)  # fmt: skip
def test_what_is_said_carelessly_is_no_permission(said: dict, expected: Consent) -> None:
    assert outcome(said, user="Practitioner/doc").consent is expected


def test_a_failed_search_leaves_consent_unknown_and_a_denial_in_it_still_counts() -> None:
    assert outcome(failed=True).consent is UNKNOWN
    assert outcome(consent(DENY), failed=True).consent is NO


def test_an_opt_out_outweighs_every_consent() -> None:
    assert outcome(consent(PERMIT), opted_out=True).consent is Consent.OPTED_OUT


def test_a_denial_of_labelled_data_withholds_those_labels_and_nothing_else() -> None:
    got = outcome(consent(PERMIT | nested(DENY | {"securityLabel": [{"system": ACT, "code": "PSY"}]})))

    assert got.consent is YES
    assert "PSY" in got.withheld
    assert "ETH" in got.withheld


def test_substance_use_is_withheld_unless_the_site_has_consent_on_record() -> None:
    assert outcome().withheld == {"ETH", "SUD", "ETHUD", "OPIOIDUD", "42CFRPart2"}
    assert outcome(settings=ConsentSettings(substance_use="consented")).withheld == frozenset()


def labelled(content: dict, *codes: str, law: str | None = None) -> dict:
    label = [{"system": ACT, "code": code} for code in codes]
    if law:
        label[0]["extension"] = [{"url": LABEL_BASIS, "valueCoding": {"system": ACT, "code": law}}]
    return content | {"meta": {"security": label}}


@pytest.mark.parametrize(
    "marks", [{"codes": ("ETH",)}, {"codes": ("R", "42CFRPart2")}, {"codes": ("R",), "law": "42CFRPart2"}]
)
def test_a_labelled_resource_is_put_away_before_facts_and_leaves_no_trace_but_its_number(marks: dict) -> None:
    event = resource("Condition", code=codeable(ICD, "F10.20"), recordedDate="2026-11-01") | {"id": "secret"}
    drug = resource(
        "MedicationRequest", status="active", intent="order", medicationCodeableConcept={"text": "sertraline"}
    )

    record = record_of(*(labelled(r, *marks["codes"], law=marks.get("law")) for r in (event, drug)), left_out=True)

    assert record.withheld == 2
    assert record.fact("alc_heavy_ever").value is False
    assert record.fact("rx_ssri").value is False
    assert "secret" not in repr(record)


def test_another_label_is_no_reason_to_put_a_resource_away() -> None:
    event = labelled(resource("Condition", code=codeable(ICD, "R45.851"), recordedDate="2026-11-20"), "PSY", "R")

    record = record_of(event)

    assert (record.withheld, len(record.events)) == (0, 1)


def test_a_chart_file_with_a_denial_is_read_for_the_rules_alone() -> None:
    chart = bundle(patient(), consent(DENY), *given("C-SSRS, today: question 4 = yes"))
    settings = ReadSettings()

    record = patient_record(chart_bundle(chart, settings=settings, as_of=AS_OF), settings=settings, as_of=AS_OF)

    assert record.consent is NO
    assert len(record.administrations) == 1
    assert not record.unreadable


def test_the_period_of_a_consent_is_counted_on_the_sites_calendar() -> None:
    from zoneinfo import ZoneInfo

    ends = [read(consent(DENY | {"period": {"end": "2026-11-22T23:30:00-06:00"}}))]
    owner = owner_of(PATIENT, None, ())

    for zone, expected in (("UTC", NO), ("America/Chicago", YES)):
        got = allowed(ends, owner, ConsentSettings(), today=date(2026, 11, 23), zone=ZoneInfo(zone))
        assert got.consent is expected
