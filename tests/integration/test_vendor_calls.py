"""One chart, called about as the public sandbox, Epic and Oracle Health call: each gets the same card.

The shapes are second-hand (the pages in docs/registering say whence); of the three only the sandbox's own code has called this one, by hand. The card that is
expected is that of a plain call of tests/ehr.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import AS_OF, PATIENT, given, patient, prefetch_of
from ehr import ADDRESS, BASE, EHR, FEEDBACK, app_of, hook_request, issuer_table, public_jwk, settings

RESOURCES = given("PHQ-9, 6 days ago: items 1-8 = 1, item 9 = 1")
CHART = prefetch_of([patient(), *RESOURCES])
NOW = AS_OF.timestamp()


def client_of(folder: Path, **wanted):
    return app_of(settings(folder, **wanted), now=lambda: AS_OF).test_client()


def cards(answer) -> list[dict]:
    assert answer.status_code == 200, answer.get_json()
    return answer.get_json()["cards"]


def told(found: list[dict]) -> list[tuple[str, ...]]:
    """What the clinician reads, less ids, codes and links, which kinds of client have in their own form."""
    return [(card["indicator"], card["summary"], card["detail"]) for card in found]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, ...]]:
    client = client_of(tmp_path_factory.mktemp("plain"))

    found = cards(client.post(ADDRESS, json=hook_request(more=CHART), headers=EHR(clock=NOW).headers()))

    assert [card["source"]["topic"]["code"] for card in found] == ["positive-safety-answer"]
    assert len(found[0]["links"]) == 2
    return told(found)


# ---- the public sandbox: a page in a browser ----

ORIGIN = "https://sandbox.cds-hooks.org"
SANDBOX = EHR(iss=ORIGIN, clock=NOW)
BROWSER = {"Origin": ORIGIN, "Accept": "application/json"}
SANDBOX_JKU = {"jku": f"{ORIGIN}/.well-known/jwks.json"}
SANDBOX_SITE = {"dialect": "sandbox", "issuer": [issuer_table(iss=ORIGIN, algorithms=["ES384"], keys=[public_jwk("ES384", "ES384")], jku=[*SANDBOX_JKU.values()])]}  # fmt: skip


@pytest.fixture
def sandbox(tmp_path: Path):
    service = {"allow_public_sandbox": True, "cors_origins": [ORIGIN]}
    return client_of(tmp_path, service=service, site=SANDBOX_SITE)


def preflight(client, path: str, method: str = "POST"):
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization,content-type"}
    return client.options(path, headers={"Origin": ORIGIN} | asked)


def from_browser(client, path: str, body: dict):
    """A POST as a browser lets a page make it: asked before, without a token, and the answer read only if allowed."""
    before = preflight(client, path)
    allowed = before.headers["Access-Control-Allow-Headers"].replace(" ", "").lower().split(",")
    assert before.status_code in (200, 204)
    assert before.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "POST" in before.headers["Access-Control-Allow-Methods"]
    assert {"authorization", "content-type"} <= set(allowed)

    answer = client.post(path, json=body, headers=BROWSER | SANDBOX.headers(path, header=SANDBOX_JKU))

    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    return answer


def sandbox_request(**changes) -> dict:
    """Keys that it could not fetch are left out, never null."""
    fetched = {key: CHART[key] for key in ("patient", "screening")}
    context = {"userId": "Practitioner/COREPRACTITIONER1", "patientId": PATIENT}
    return hook_request(context=context, fhirServer="https://r4.example/fhir") | {"prefetch": fetched} | changes


def test_cdsh_015_211_the_sandbox_signs_its_discovery_too_and_that_changes_nothing(sandbox) -> None:
    path = "/cds-services"
    before = preflight(sandbox, path, "GET")

    signed = sandbox.get(path, headers=BROWSER | SANDBOX.headers(path, header=SANDBOX_JKU))
    unreadable = sandbox.get(path, headers=BROWSER | {"Authorization": "Bearer x"})

    assert before.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert signed.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert signed.status_code == unreadable.status_code == 200
    assert signed.data == unreadable.data == sandbox.get(path).data


def test_cdsh_211_the_sandbox_gets_the_card_and_is_told_what_it_left_out(sandbox, expected) -> None:
    found = cards(from_browser(sandbox, ADDRESS, sandbox_request()))

    assert told(found)[0][:2] == expected[0][:2]
    assert [card["source"]["topic"]["code"] for card in found[1:]] == ["could-not-assess"]
    assert "conditions" in found[1]["detail"]


def test_cdsh_211_with_access_the_sandbox_gets_the_card_alone(sandbox, expected, server) -> None:
    from real_server import TOKEN

    who = server.load(patient(), *RESOURCES)
    granted = {
        "access_token": TOKEN,
        "token_type": "Bearer",
        "scope": "patient/*.* user/*.* launch openid profile online_access",
        "subject": "sandbox",
    }
    context = {"userId": "Practitioner/COREPRACTITIONER1", "patientId": who}
    body = sandbox_request(fhirServer=server.base, fhirAuthorization=granted, context=context, prefetch={})

    assert told(cards(from_browser(sandbox, ADDRESS, body))) == expected
    assert server.asked("Condition")


@pytest.mark.parametrize("also", [{}, {"userComment": "seen last week"}])
def test_cdsh_156_211_the_sandbox_reports_an_override_by_code_and_system(sandbox, also: dict) -> None:
    card = cards(from_browser(sandbox, ADDRESS, sandbox_request()))[0]
    reason = {name: card["overrideReasons"][0][name] for name in ("code", "system")}
    item = {
        "card": card["uuid"],
        "outcome": "overridden",
        "overrideReason": {"reason": reason} | also,
        "outcomeTimestamp": "2026-11-23T15:00:04.123Z",
    }

    answer = from_browser(sandbox, FEEDBACK, {"feedback": [item]})

    assert (answer.status_code, answer.get_json()) == (200, {"received": 1, "stored": 1})


def test_cdsh_191_192_a_browser_of_an_origin_that_is_not_listed_may_not_read_the_answer(tmp_path: Path) -> None:
    client = client_of(tmp_path, service={"allow_public_sandbox": True}, site=SANDBOX_SITE)

    before = preflight(client, ADDRESS)
    answer = client.post(ADDRESS, json=sandbox_request(), headers=BROWSER | SANDBOX.headers())

    assert not [name for name, _ in (*before.headers, *answer.headers) if name.startswith("Access-Control-")]


# ---- Epic: one organisation, its own issuer ----

EPIC_BASE = "https://epic.example.org/FHIR/api/FHIR/R4"
JKU = "https://epic.example.org/FHIR/api/epic/2019/Security/Open/PublicKeys/530013/530013"
TYPED = "https://cds.example.org/CDS-Services/depression-suicide-risk/"
CLIENT_ID = "11111111-1111-1111-1111-111111111111"
EPIC = EHR(iss=EPIC_BASE, algorithm="RS384", kid="RS384", clock=NOW)
EPIC_TIMES = {"nbf": int(NOW) - 300, "exp": int(NOW) + 900, "sub": CLIENT_ID}


@pytest.fixture
def epic(tmp_path: Path):
    entry = issuer_table(
        iss=EPIC_BASE, algorithms=["RS384"], keys=[public_jwk("RS384", "RS384")], jku=[JKU], audiences=[TYPED]
    )
    site = {"dialect": "epic", "fhir_bases": [EPIC_BASE], "client_id": CLIENT_ID, "issuer": [entry]}
    return client_of(tmp_path, site=site)


def epic_request(user: str = "PractitionerRole/r1") -> dict:
    granted = {
        "access_token": "eyJ",
        "token_type": "Bearer",
        "expires_in": 900,
        "scope": "patient/Condition.read patient/Observation.read patient/Patient.read",
        "subject": CLIENT_ID,
    }
    return hook_request(
        # No UUID of any version: its nibbles are what they are.
        hookInstance="8D0B4F0E-2A1C-F1EE-0E56-0242AC120002",
        fhirServer=EPIC_BASE,
        fhirAuthorization=granted,
        context={"userId": user, "patientId": PATIENT, "encounterId": "eoK.8nGv9R3k"},
        extension={
            "com.epic.cdshooks.request.bpa-trigger-action": "23",
            "com.epic.cdshooks.request.cds-hooks-specification-version": "1.0",
            "com.epic.cdshooks.request.fhir-version": "R4",
            "com.epic.cdshooks.request.criteria-id": "1000123",
            "internal": {"any": [None, {"thing": 1}]},
        },
        prefetch=CHART,
    )


@pytest.mark.parametrize("user", ["PractitionerRole/eM5CWtq15N0WJeuCet5bJlQ3", "Practitioner/e3MBXCOmcoLKl7ay"])
@pytest.mark.parametrize("audience", [TYPED, f"{BASE}{ADDRESS}"])
def test_cdsh_202_204_207_epic_gets_the_card_with_codes_of_letters_and_digits(
    epic, expected, user: str, audience: str
) -> None:
    token = EPIC.headers(header={"jku": JKU}, aud=audience, **EPIC_TIMES)

    found = cards(epic.post(ADDRESS, json=epic_request(user), headers=token))

    assert told(found) == expected
    assert found[0]["source"]["topic"]["code"] == "positivesafetyanswer"
    assert all(len(suggestion["actions"]) == 1 for suggestion in found[0].get("suggestions", []))


def test_cdsh_161_202_epic_reports_on_the_card_under_the_address_that_was_typed(epic) -> None:
    sign = {"header": {"jku": JKU}, "aud": TYPED, **EPIC_TIMES}
    card = cards(epic.post(ADDRESS, json=epic_request(), headers=EPIC.headers(**sign)))[0]
    accepted = [{"id": card["suggestions"][0]["uuid"]}]
    item = {"card": card["uuid"].upper(), "outcome": "accepted", "acceptedSuggestions": accepted, "outcomeTimestamp": "2026-11-23T15:00:04Z"}  # fmt: skip

    answer = epic.post(FEEDBACK, json={"feedback": [item]}, headers=EPIC.headers(**sign))

    assert (answer.status_code, answer.get_json()) == (200, {"received": 1, "stored": 1})


@pytest.mark.parametrize(
    ("jku", "audience"),
    [("https://epic.example.org/other", TYPED), (JKU, TYPED.lower()), (JKU, "https://cds.example.org")],
)
def test_cdsh_202_an_address_that_the_site_did_not_list_is_refused(epic, jku: str, audience: str) -> None:
    token = EPIC.headers(header={"jku": jku}, aud=audience, **EPIC_TIMES)

    assert epic.post(ADDRESS, json=epic_request(), headers=token).status_code == 401


# ---- Oracle Health: one issuer for all of its customers ----

CERNER = "https://cds-hooks.cerner.com"
ORACLE = EHR(iss=CERNER, algorithm="RS384", kid="RS384", clock=NOW)
LINKS = {"east": "https://www.samhsa.gov/resource/", "west": "https://sprc.org/"}  # what each hospital lets through


def base_of(site: str) -> str:
    return f"https://fhir-ehr.cerner.com/r4/{site}"


def oracle(folder: Path, apart: str):
    """Two hospitals, told apart by `tenants` or by `fhir_bases`."""
    sites = {}
    for name, allowed in LINKS.items():
        entry = issuer_table(iss=CERNER, tenants=[name] if apart == "tenants" else ...)
        bases = [base_of(name)] if apart == "fhir_bases" else []
        common = {"dialect": "oracle-health", "consent": "not-used", "issuer": [entry]}
        sites[name] = common | {"allowed_links": [allowed], "fhir_bases": bases}
    return client_of(folder, sites=sites)


@pytest.mark.parametrize("site", LINKS)
@pytest.mark.parametrize("apart", ["tenants", "fhir_bases"])
def test_cdsh_208_209_each_hospital_of_oracle_health_gets_the_card_with_its_own_links(
    tmp_path: Path, expected, apart: str, site: str
) -> None:
    client = oracle(tmp_path, apart)
    token = ORACLE.headers(tenant=site if apart == "tenants" else ...)
    body = hook_request(fhirServer=base_of(site), more=CHART)

    found = cards(client.post(ADDRESS, json=body, headers=token))

    assert told(found) == expected
    assert [link["url"].startswith(LINKS[site]) for link in found[0]["links"]] == [True]


@pytest.mark.parametrize("server", [base_of("north"), ...], ids=["a third hospital", "no server"])
def test_cdsh_209_a_call_that_belongs_to_no_hospital_of_oracle_health_gets_nothing(tmp_path: Path, server) -> None:
    by_base, by_tenant = oracle(tmp_path / "bases", "fhir_bases"), oracle(tmp_path / "tenants", "tenants")
    body = hook_request(fhirServer=server, more=CHART)

    assert by_base.post(ADDRESS, json=body, headers=ORACLE.headers()).status_code == 400
    assert by_tenant.post(ADDRESS, json=body, headers=ORACLE.headers(tenant="north")).status_code == 401
    assert by_tenant.post(ADDRESS, json=body, headers=ORACLE.headers()).status_code == 401
