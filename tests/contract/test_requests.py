"""Hook requests as clients send them: sections B, C and E of the checklist, and what real clients do (requirements.toml)."""

from __future__ import annotations

import copy
import json
import logging

import pytest
from builders import PATIENT, gap_said, given, patient, record_of
from ehr import ADDRESS, BASE, EHR, ISSUER, issuer_table
from hook_calls import (
    ACUTE,
    CLOCK,
    NEED_ENCOUNTER,
    POSITIVE,
    call_of,
    client_of,
    diagnostics,
    path_of,
    topics,
)
from real_server import TOKEN

from cds_service.hooks.catalogue import SERVICES
from cds_service.keys.data_key import key_beside

VIEW = SERVICES[0]
HOOKS = [pytest.param(s, id=s.hook) for s in SERVICES]
ODD = [None, "", 7, True, [], {}]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory):
    return client_of(tmp_path_factory.mktemp("requests"))


def refused(client, service=VIEW, **changes) -> str:
    """What a 400 says."""
    answer = client.call(service=service, **changes)
    assert answer.status_code == 400, answer.get_json()
    return diagnostics(answer)


def in_context(service=VIEW, **changes) -> dict:
    context = call_of(service)["context"] | changes
    return {name: value for name, value in context.items() if value is not ...}


def granted(**changes) -> dict:
    """Access to a server on which nobody listens."""
    whole = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 60, "scope": "patient/*.rs", "subject": "us"}
    found = {name: value for name, value in (whole | changes).items() if value is not ...}
    return {"fhirServer": "http://127.0.0.1:9/fhir", "fhirAuthorization": found}


def reading(server, who: str, **changes) -> dict:
    """The body of a call that sends nothing and gives access to the real server."""
    grant = granted(**changes) | {"fhirServer": server.base}
    return call_of(VIEW) | grant | {"context": in_context(patientId=who), "prefetch": None}


# ---- the envelope ----


@pytest.mark.parametrize("service", HOOKS)
def test_cdsh_020_107_a_service_is_called_by_a_post_of_json_to_its_address(client, service) -> None:
    assert topics(client.call(POSITIVE, service=service)) == ["positive-safety-answer"]


@pytest.mark.parametrize("hook", [..., *ODD])
def test_cdsh_021_a_request_without_a_hook_is_refused(client, hook) -> None:
    assert "hook" in refused(client, hook=hook)


@pytest.mark.parametrize("service", HOOKS)
def test_cdsh_022_a_hook_that_the_address_does_not_take_is_refused_and_not_evaluated(client, service) -> None:
    others = [s.hook for s in SERVICES if s.hook != service.hook]

    for hook in (*others, "order-sign", "com.example.made-up", service.hook.upper()):
        assert f"hook: expected {service.hook}" in refused(client, service, hook=hook)


@pytest.mark.parametrize("instance", [..., *ODD])
def test_cdsh_023_hook_instance_is_required_and_not_empty(client, instance) -> None:
    assert "hookInstance" in refused(client, hookInstance=instance)


@pytest.mark.parametrize(
    "instance", ["00000000-007b-9f33-e810-e841a57c502c", "D1577C69-DFBE-44AD-BA6D-3E05E953B2EA", "a", "x" * 400, "Ünïcode/7"]
)  # fmt: skip
def test_cdsh_023_024_hook_instance_is_opaque(client, instance: str) -> None:
    assert topics(client.call(POSITIVE, hookInstance=instance)) == ["positive-safety-answer"]


def test_cdsh_023_the_same_hook_instance_again_is_another_call_and_proves_nothing(client, caplog) -> None:
    body = call_of(VIEW, POSITIVE, hookInstance="again-and-again")
    with caplog.at_level(logging.INFO):
        both = [topics(client.post(ADDRESS, body)) for _ in range(2)]

    assert both == [["positive-safety-answer"]] * 2
    assert "again-and-again" not in caplog.text
    kept = {json.loads(line)["hook_instance"] for line in caplog.messages if "hook-answered" in line}
    assert kept == {key_beside(client.folder / "data" / "mhcds.db").pseudonym("north", "again-and-again")}
    assert client.flask.post(ADDRESS, json=body).status_code == 401


@pytest.mark.parametrize("context", [..., None, "x", 7, []])
def test_cdsh_025_context_is_required_and_an_object(client, context) -> None:
    assert "context" in refused(client, context=context)


def test_cdsh_026_access_without_a_server_to_read_is_refused(client) -> None:
    for absent in (..., None, ""):
        assert "fhirServer" in refused(client, **(granted() | {"fhirServer": absent}))


@pytest.mark.parametrize("absent", [..., None])
def test_cdsh_027_028_neither_access_nor_prefetch_has_to_be_there(client, absent) -> None:
    assert topics(client.call(POSITIVE, fhirAuthorization=absent, fhirServer=absent)) == ["positive-safety-answer"]
    # None at all: needed data is lacking, which is 412 and no fault of the request.
    body = call_of(VIEW) | {"prefetch": absent}
    assert client.post(ADDRESS, {k: v for k, v in body.items() if v is not ...}).status_code == 412


def test_cdsh_029_the_address_decides_the_version_of_the_hook(client) -> None:
    assert topics(client.call(POSITIVE, hookVersion="9.9")) == ["positive-safety-answer"]


def test_cdsh_030_unknown_members_change_nothing_at_any_level(client) -> None:
    extra = {"com.example.more": 1, "unknown": [1, {"deep": None}], "extension": {"com.example": {"a": []}}}
    plain = granted()
    body = call_of(VIEW, ACUTE, **plain)
    places = (body, body["context"], body["prefetch"], body["fhirAuthorization"], body["prefetch"]["screening"])
    (answer,) = [e["resource"] for e in body["prefetch"]["screening"]["entry"]]
    for place in (*places, answer):
        place.update({k: v for k, v in extra.items() if not (place is answer and k == "extension")})

    got = client.post(ADDRESS, body)

    assert topics(got) == topics(client.call(ACUTE)) == ["acute-safety"]


@pytest.mark.parametrize(
    "content",
    [{"com.example.timestamp": "2026"}, {"com.example": {"acute": False, "list": [1, None]}}, {}, None, {"hook": "x"}],
)
def test_cdsh_031_215_an_extension_of_the_request_neither_changes_nor_breaks_anything(client, content) -> None:
    for service in SERVICES:
        assert topics(client.call(POSITIVE, service=service, extension=content)) == ["positive-safety-answer"]


def test_of_prefetch_under_keys_that_we_do_not_ask_for_only_what_can_hold_an_answer_is_read(client) -> None:
    answer = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": given(ACUTE)[0]}]}
    another = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": given("Medicine lisinopril")[0]}]}

    assert topics(client.call(prefetch={"more": answer})) == ["acute-safety"]
    for key in ("consents", "medications", "encounters", "procedures"):
        assert topics(client.call(prefetch={key: answer}))[0] == "acute-safety"
    assert topics(client.call(prefetch={"patient": answer}))[0] == "acute-safety"
    for value in (another, None, 7, "x", {"resourceType": "OperationOutcome"}):
        assert topics(client.call(prefetch={"more": value})) == []


@pytest.mark.parametrize("prefetch", [[], "x", 7, True])
def test_cdsh_032_prefetch_of_another_type_is_refused(client, prefetch) -> None:
    answer = client.post(ADDRESS, call_of(VIEW) | {"prefetch": prefetch})

    assert answer.status_code == 400
    assert "prefetch" in diagnostics(answer)


@pytest.mark.parametrize("server", [5, [], {}])
def test_cdsh_032_a_server_of_another_type_is_refused(client, server) -> None:
    assert "fhirServer" in refused(client, fhirServer=server)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"{'hook': 1}", b"[" * 200_000, b"hook=patient-view"]
)  # fmt: skip
def test_cdsh_032_039_a_body_that_is_no_hook_request_is_a_400(client, body: bytes) -> None:
    answer = client.post(ADDRESS, data=body, content_type="application/json")

    assert answer.status_code == 400
    diagnostics(answer)


@pytest.mark.parametrize(
    "written",
    [
        '{"hook": "patient-view",}',
        '{"hook": "patient-view" /* c */}',
        "// c\n{}",
        '{"hook": NaN}',
        '{"a": Infinity}',
        '{"a": -Infinity}',
    ],
)
def test_cdsh_037_199_what_only_looks_like_json_is_refused(client, written: str) -> None:
    assert client.post(ADDRESS, data=written.encode(), content_type="application/json").status_code == 400


def test_cdsh_037_not_a_number_in_a_chart_is_refused(client) -> None:
    text = json.dumps(call_of(VIEW, POSITIVE)).replace('"gender"', '"multipleBirthInteger": NaN, "gender"')

    assert "NaN" in text
    assert client.post(ADDRESS, data=text.encode(), content_type="application/json").status_code == 400


def test_cdsh_036_names_beyond_ascii_come_through_and_other_encodings_are_refused(client) -> None:
    body = call_of(VIEW, POSITIVE)
    body["prefetch"]["patient"] |= {"name": [{"family": "Müller-Łukasz 李"}]}
    body["prefetch"]["screening"]["entry"][0]["resource"]["code"]["text"] = "自殺念慮 ¿cuántas veces?"
    text = json.dumps(body, ensure_ascii=False)

    for good in (text.encode(), json.dumps(body).encode()):
        assert topics(client.post(ADDRESS, data=good, content_type="application/json")) == ["positive-safety-answer"]
    for bad in (text.encode("utf-16"), text.encode().replace("ü".encode(), b"\xfc"), b"\xff\xfe{}"):
        answer = client.post(ADDRESS, data=bad, content_type="application/json")
        assert answer.status_code == 400


def test_cdsh_036_an_id_beyond_ascii_is_the_same_in_the_answer(client) -> None:
    body = call_of(VIEW, POSITIVE, context=in_context(patientId="pätient-7"))
    body["prefetch"] = json.loads(json.dumps(body["prefetch"]).replace(PATIENT, "pätient-7"))

    (card,) = client.post(ADDRESS, body).get_json()["cards"]

    assert card["suggestions"][0]["actions"][0]["resource"]["subject"] == {"reference": "Patient/pätient-7"}


@pytest.mark.parametrize("member", ["fhirServer", "fhirAuthorization", "extension", "hookVersion"])
def test_cdsh_038_a_null_where_a_member_may_be_absent_counts_as_absent(client, member: str) -> None:
    assert topics(client.call(POSITIVE, **{member: None})) == ["positive-safety-answer"]


@pytest.mark.parametrize("size", [100, 70_000])
def test_cdsh_039_a_chart_nested_to_any_depth_gets_an_answer_and_never_a_500(client, size: int) -> None:
    text = json.dumps(call_of(VIEW, POSITIVE)).replace('"gender"', f'"deep": {"[" * size}{"]" * size}, "gender"')

    answer = client.post(ADDRESS, data=text.encode(), content_type="application/json")

    assert answer.status_code in ((200,) if size == 100 else (200, 400, 412))


# ---- context ----


@pytest.mark.parametrize("service", HOOKS)
@pytest.mark.parametrize(
    "user", ["Practitioner/doc", "PractitionerRole/r.1-a", "Practitioner/eXample.Vendor-Long-" + "9" * 150]
)
def test_cdsh_042_045_046_059_060_207_every_form_of_a_clinicians_id_is_taken(client, service, user: str) -> None:
    got = client.call(POSITIVE, service=service, context=in_context(service, userId=user))

    assert topics(got) == ["positive-safety-answer"]


@pytest.mark.parametrize("service", HOOKS)
@pytest.mark.parametrize(
    "user",
    [
        ...,
        None,
        "",
        "doc",
        "/doc",
        "Practitioner/",
        "Practitioner",
        "https://ehr.example/fhir/Practitioner/1",
        "Person/1",
        "Device/1",
        7,
        [],
    ],
)
def test_cdsh_042_045_046_059_a_user_who_is_no_reference_is_refused(client, service, user) -> None:
    assert "userId" in refused(client, service, context=in_context(service, userId=user))


@pytest.mark.parametrize("user", ["Patient/p1", "RelatedPerson/r1", "patient/p1", "RELATEDPERSON/r1"])
def test_cdsh_042_a_patient_or_relative_is_a_legal_user_and_sees_no_card(client, user: str) -> None:
    assert client.call(ACUTE, context=in_context(userId=user)).get_json() == {"cards": []}


@pytest.mark.parametrize("service", HOOKS)
@pytest.mark.parametrize("who", [..., None, "", "Patient/p1", 5, ["p1"], {"id": "p1"}])
def test_cdsh_043_045_046_the_patient_is_required_as_a_bare_id(client, service, who) -> None:
    assert "patientId" in refused(client, service, context=in_context(service, patientId=who))


def test_cdsh_060_an_id_longer_than_fhir_allows_is_neither_refused_nor_cut(client) -> None:
    long = "eTemporary." + "x" * 180
    body = call_of(VIEW, POSITIVE, context=in_context(patientId=long, encounterId=long))
    body["prefetch"] = json.loads(json.dumps(body["prefetch"]).replace(f'"{PATIENT}"', f'"{long}"').replace(f"Patient/{PATIENT}", f"Patient/{long}"))  # fmt: skip

    (card,) = client.post(ADDRESS, body).get_json()["cards"]

    draft = card["suggestions"][0]["actions"][0]["resource"]
    assert draft["subject"] == {"reference": f"Patient/{long}"}
    assert draft["encounter"] == {"reference": f"Encounter/{long}"}


@pytest.mark.parametrize("encounter", [..., None, "e1"])
def test_cdsh_044_patient_view_works_with_and_without_an_encounter(client, encounter) -> None:
    assert topics(client.call(POSITIVE, context=in_context(encounterId=encounter))) == ["positive-safety-answer"]


@pytest.mark.parametrize("service", [pytest.param(s, id=s.hook) for s in NEED_ENCOUNTER])
@pytest.mark.parametrize("encounter", [..., None, "", "Encounter/1", 7])
def test_cdsh_045_046_hooks_of_an_encounter_require_its_bare_id(client, service, encounter) -> None:
    assert "encounterId" in refused(client, service, context=in_context(service, encounterId=encounter))


@pytest.mark.parametrize("service", [pytest.param(s, id=s.hook) for s in NEED_ENCOUNTER])
def test_cdsh_045_046_a_hook_that_fires_again_in_its_encounter_is_answered_again(client, service) -> None:
    body = call_of(service, ACUTE)
    cards = [client.post(path_of(service), body).get_json()["cards"] for _ in range(3)]

    assert [[c["source"]["topic"]["code"] for c in found] for found in cards] == [["acute-safety"]] * 3
    ids = [c["uuid"] for found in cards for c in found]
    assert len(set(ids)) == len(ids), "feedback has to say which of them it is about"


# ---- access ----


@pytest.mark.parametrize("token", [..., None, "", 7, "t\r\nX-More: y", "tök", []])
def test_cdsh_087_104_an_access_token_is_required_and_cannot_carry_another_header(client, token) -> None:
    assert "access_token" in refused(client, **granted(access_token=token))


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER", ..., None])
def test_cdsh_088_215_the_token_type_is_bearer_in_any_case_and_names_no_header(server, client, kind) -> None:
    who = server.load(patient(), *given(POSITIVE))

    assert topics(client.post(ADDRESS, reading(server, who, token_type=kind))) == ["positive-safety-answer"]
    assert {header for _, header in server.proxy.seen} == {f"Bearer {TOKEN}"}


def test_cdsh_088_a_token_of_another_type_is_refused(client) -> None:
    assert "token_type" in refused(client, **granted(token_type="mac"))


@pytest.mark.parametrize("lifetime", [300, 300.0, "300", 1, ...])
def test_cdsh_089_how_long_a_token_lives_is_taken_as_clients_send_it(server, client, lifetime) -> None:
    who = server.load(patient(), *given(POSITIVE))

    got = client.post(ADDRESS, reading(server, who, expires_in=lifetime))

    assert topics(got) == ["positive-safety-answer"]


@pytest.mark.parametrize(
    "scope",
    ["patient/Patient.read patient/Observation.read user/*.*", "patient/Observation.rs?category=survey patient/*.cruds", "launch EPIC.FHIR.R4.SERVICES.PATIENTDEMOGRAPHICS.READ", "", ...],
)  # fmt: skip
def test_cdsh_090_106_scopes_of_every_version_are_taken_and_the_server_decides(server, client, scope) -> None:
    who = server.load(patient(), *given(POSITIVE))

    got = client.post(ADDRESS, reading(server, who, scope=scope))

    assert topics(got) == ["positive-safety-answer"]


def test_cdsh_091_access_that_was_given_to_another_client_is_refused_where_the_site_says_who_we_are(tmp_path) -> None:
    client = client_of(tmp_path, site={"client_id": "our-client-id"})

    assert topics(client.call(POSITIVE, **granted(subject="our-client-id"))) == ["positive-safety-answer"]
    assert "subject" in refused(client, **granted(subject="somebody-else"))


@pytest.mark.parametrize("who", [PATIENT, None, ...])
def test_cdsh_092_access_for_the_patient_of_the_context_is_taken(client, who) -> None:
    assert topics(client.call(POSITIVE, **granted(patient=who))) == ["positive-safety-answer"]


@pytest.mark.parametrize("who", ["other", "", f"Patient/{PATIENT}"])
def test_cdsh_092_access_for_another_patient_is_refused(client, who: str) -> None:
    assert "fhirAuthorization.patient" in refused(client, **granted(patient=who))


def test_cdsh_094_the_token_is_neither_kept_nor_logged_nor_sent_back(server, tmp_path, caplog) -> None:
    client = client_of(tmp_path)
    who = server.load(patient(), *given(POSITIVE))
    with caplog.at_level(logging.DEBUG):
        got = client.post(ADDRESS, reading(server, who))
        failed = client.post(ADDRESS, reading(server, "nobody"))
        wrong = client.call(**granted(patient="other"))

    assert topics(got) == ["positive-safety-answer"]
    assert "Not read: patient details (not found in the chart)" in gap_said(failed)
    assert wrong.status_code == 400
    assert TOKEN not in caplog.text
    assert TOKEN.encode() not in client.database() != b""
    for answer in (got, failed, wrong):
        assert TOKEN not in answer.get_data(as_text=True) + str(answer.headers)


def test_cdsh_094_a_token_does_not_outlive_its_call(server, client) -> None:
    who = server.load(patient(), *given(POSITIVE))
    client.post(ADDRESS, reading(server, who))
    server.reset()

    without = client.post(ADDRESS, call_of(VIEW) | {"fhirServer": server.base, "prefetch": None})

    assert without.status_code == 412
    assert server.asked() == []


def test_cdsh_103_fhir_json_is_asked_for(server, client) -> None:
    seen: list[str] = []
    server.fail("", act=lambda handler: seen.append(handler.headers["Accept"]))
    who = server.load(patient(), *given(POSITIVE))

    client.post(ADDRESS, reading(server, who))

    assert seen
    assert all(accept.startswith("application/fhir+json") for accept in seen)


@pytest.mark.parametrize("who", ["a b", "x?y=1", "../../admin", "a/b", "p%2e1", "p\r\n1", "p\x00", ".", "..", "x](http://evil)", "p#1", "p&_id=2"])  # fmt: skip
def test_cdsh_104_an_id_that_could_lead_elsewhere_is_refused(client, who: str) -> None:
    for service in SERVICES:
        assert "patientId" in refused(client, service, context=in_context(service, patientId=who))
        assert "encounterId" in refused(client, service, context=in_context(service, encounterId=who))


@pytest.mark.parametrize("who", ["p1,p2", "p1\\,p2", "p1，p2", "x|p1", "p1$p2", "*", "p1;p2", "p1%2Cp2"])
def test_cdsh_104_an_id_that_a_search_could_read_as_several_is_refused_and_never_sent(server, client, who) -> None:
    got = client.post(ADDRESS, reading(server, who))

    assert got.status_code == 400
    assert "patientId" in got.get_data(as_text=True)
    assert server.asked() == server.writes() == []


def test_cdsh_104_an_id_beyond_ascii_is_encoded_in_addresses(server, client) -> None:
    client.post(ADDRESS, reading(server, "pä+1"))

    assert "Patient/p%C3%A4%2B1" in server.asked()


# ---- prefetch, across calls ----


def test_cdsh_086_what_was_sent_for_one_call_is_not_there_for_the_next(client) -> None:
    first = client.call(ACUTE)
    body = call_of(VIEW)
    del body["prefetch"]["screening"]

    assert topics(first) == ["acute-safety"]
    assert "Not read: screening answers" in gap_said(client.post(ADDRESS, body))
    assert topics(client.call()) == []


def test_cdsh_200_decimals_and_extensions_of_primitives_are_read_as_fhir_writes_them() -> None:
    nine, *_ = given("PHQ-9, 3 days ago: item 9 = 1")
    height = copy.deepcopy(nine) | {"id": "h", "code": {"coding": [{"system": "http://loinc.org", "code": "8302-2"}]}, "effectiveDateTime": "2026-11-20",
                                    "valueQuantity": {"value": 170.10, "code": "cm", "_code": {"id": "c"}}}  # fmt: skip
    height.pop("valueInteger", None)
    height.pop("valueCodeableConcept", None)
    who = patient() | {"_birthDate": {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime", "valueDateTime": "1986-01-15T10:00:00Z"}]}}  # fmt: skip

    record = record_of(height, who=who)

    assert record.age_years == 40
    assert record.fact("height_cm").value == 170.1


# ---- real clients ----


def test_cdsh_202_a_call_as_epic_signs_it_is_taken(tmp_path) -> None:
    keys = "https://ehr.example/api/epic/2019/Site/JWKS"
    entry = issuer_table(jku=[keys], audiences=["as typed by hand"])
    client = client_of(tmp_path, site={"dialect": "epic"}, issuers=[entry])
    epic = EHR(algorithm="RS384", kid="RS384", clock=CLOCK)
    times = {"iat": int(CLOCK), "nbf": int(CLOCK) - 300, "exp": int(CLOCK) + 900}
    token = epic.token(header={"jku": keys}, aud="as typed by hand", sub="a-client-id", **times)

    got = client.flask.post(ADDRESS, json=call_of(VIEW, POSITIVE), headers={"Authorization": f"Bearer {token}"})

    assert topics(got) == ["positivesafetyanswer"]


def test_cdsh_203_what_epic_adds_to_a_request_changes_nothing(client) -> None:
    added = {
        "com.epic.cdshooks.request.bpa-trigger-action": 23,
        "com.epic.cdshooks.request.criteria-id": "1040",
        "com.epic.cdshooks.request.epic-version": 10.7,
        "com.epic.cdshooks.request.fhir-version": "R4",
        "com.epic.cdshooks.request.cds-hooks-specification-version": "1.1",
        "com.epic.cdshooks.request.cds-hooks-implementation-version": None,
    }

    assert topics(client.call(POSITIVE, extension=added, **added)) == ["positive-safety-answer"]
    assert topics(client.call(POSITIVE, context=in_context() | added)) == ["positive-safety-answer"]


def test_cdsh_207_no_template_rests_on_what_kind_of_user_looks() -> None:
    for service in SERVICES:
        assert not [query for _, query in service.prefetch() if "user" in query.lower()]


def test_cdsh_209_one_issuer_for_many_sites_is_told_apart_by_tenant_or_server(tmp_path) -> None:
    def site(name: str, **issuer) -> dict:
        keys = issuer_table(**issuer)
        return {"consent": "not-used", "fhir_bases": [f"https://ehr.example/{name}"], "dialect": {"one": "epic"}.get(name, "generic"), "issuer": [keys]}  # fmt: skip

    by_server = client_of(tmp_path / "server", sites={name: site(name) for name in ("one", "two")})
    by_tenant = client_of(tmp_path / "tenant", sites={n: site(n, tenants=[f"t-{n}"]) for n in ("one", "two")})

    def tenant(name: str) -> dict:
        return {"Authorization": f"Bearer {by_tenant.ehr.token(tenant=f't-{name}')}"}

    found = {
        name: topics(by_server.call(POSITIVE, fhirServer=f"https://ehr.example/{name}")) for name in ("one", "two")
    }
    told = {name: topics(by_tenant.flask.post(ADDRESS, json=call_of(VIEW, POSITIVE), headers=tenant(name))) for name in ("one", "two")}  # fmt: skip
    assert found == told == {"one": ["positivesafetyanswer"], "two": ["positive-safety-answer"]}
    for nobody in ("https://ehr.example/three", ...):
        assert "fhirServer" in refused(by_server, fhirServer=nobody)


def test_cdsh_210_the_address_that_tokens_name_follows_the_public_one(tmp_path) -> None:
    public = f"{BASE}/behind/a/gateway"
    client = client_of(tmp_path, service={"public_url": public})

    assert topics(client.log_in_as(base=public).call(POSITIVE)) == ["positive-safety-answer"]
    assert client.call(POSITIVE).status_code == 401


def test_cdsh_211_213_a_call_as_the_sandbox_and_inferno_send_it_is_taken(client) -> None:
    # ES384, five minutes, the exact address, Accept, and a key that could not be fetched left out.
    body = call_of(VIEW, POSITIVE)
    del body["prefetch"]["procedures"]
    claims = client.ehr.claims()

    got = client.post(ADDRESS, body, headers={"Accept": "application/json"})

    assert (claims["aud"], claims["exp"] - claims["iat"], claims["iss"]) == (f"{BASE}{ADDRESS}", 300, ISSUER)
    assert topics(got) == ["positive-safety-answer"]
    assert client.flask.post(ADDRESS, json=body).status_code == 401, "an unsigned call of a service is refused"


@pytest.mark.parametrize("category", ["survey", "disability-status", "social-history", None])
def test_cdsh_217_a_screening_answer_is_known_by_its_code_whatever_its_category(client, category: str | None) -> None:
    found = given("PHQ-9, 6 days ago: total = 26")
    for item in found:
        item["valueString"] = str(item.pop("valueInteger"))
        item.pop("category", None)
        if category:
            item["category"] = [{"coding": [{"code": category}]}]

    assert topics(client.call(chart=found)) == ["positive-safety-answer", "depression-follow-up"]
