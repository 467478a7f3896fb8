"""The demo's sign-in for staff: an OpenID provider that lets in whom one chooses, and nobody by a trick."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from flask import Flask
from smart_run import StandingClock

from cds_service.demo_ehr.authorization.clients import Client
from cds_service.demo_ehr.authorization.grants import challenge_of
from cds_service.demo_ehr.authorization.staff import CODE_LIFE_S, PEOPLE, SAFETY, StaffSignIn, create_blueprint
from cds_service.demo_ehr.clinic.page import create_blueprint as page_blueprint
from cds_service.demo_ehr.clinic.state import Clinic
from cds_service.demo_ehr.patients.people import demo_patients
from cds_service.serving.runtime import now_utc

ISSUER, BACK, VERIFIER = "http://127.0.0.1:2/staff", "http://127.0.0.1:1/governance/callback", "v" * 43
KNOWN = "known to both"  # a made-up secret
ASKED = {
    "client_id": "pages",
    "redirect_uri": BACK,
    "response_type": "code",
    "scope": "openid profile",
    "state": "a state",
    "nonce": "a nonce",
    "code_challenge": challenge_of(VERIFIER),
    "code_challenge_method": "S256",
}


class Staff:
    """The provider and a browser that goes there."""

    def __init__(self) -> None:
        self.clock = StandingClock(now_utc())
        client = Client(client_id="pages", name="pages", redirect_uris=(BACK,), secret=KNOWN)
        self.provider = StaffSignIn(ISSUER, client, self.clock.seconds)
        app = Flask("sign-in of the test", static_folder=None)
        app.register_blueprint(create_blueprint(self.provider))
        # Its pages have the style of the clinic's.
        app.register_blueprint(page_blueprint(Clinic(patients=demo_patients(now_utc()), as_of=now_utc())))
        self.browser = app.test_client()

    def get(self, path: str, base: str = "http://127.0.0.1:2", **fields: str):
        return self.browser.get(f"/staff/{path}", base_url=base, query_string=fields)

    def post(self, path: str, fields: dict[str, str], **how):
        return self.browser.post(f"/staff/{path}", base_url="http://127.0.0.1:2", data=fields, **how)

    def choose(self, **chosen: str) -> dict[str, list[str]]:
        handle = re.search('name="request" value="([^"]+)"', self.get("authorize", **ASKED).text)[1]
        self.handle = handle
        answer = self.post("authorize", {"request": handle, **chosen})
        assert answer.status_code == 303
        assert answer.location.startswith(f"{BACK}?")
        return parse_qs(urlsplit(answer.location).query)

    def exchange(self, code: str, secret: str = KNOWN, **changes: str):
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
        return self.post("token", form | changes, auth=("pages", secret))


@pytest.fixture
def staff() -> Staff:
    return Staff()


def test_discovery_names_what_is_there(staff) -> None:
    found = staff.get(".well-known/openid-configuration").json
    keys = staff.get("jwks").json["keys"]

    assert found["issuer"] == ISSUER
    assert [urlsplit(found[name]).path for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")] == [
        "/staff/authorize",
        "/staff/token",
        "/staff/jwks",
    ]
    assert [key["alg"] for key in keys] == found["id_token_signing_alg_values_supported"]
    assert "d" not in keys[0]


@pytest.mark.parametrize("person", PEOPLE, ids=lambda p: p.id)
def test_whoever_is_chosen_is_named_with_their_group(staff, person) -> None:
    back = staff.choose(person=person.id)
    token = staff.exchange(back["code"][0]).json["id_token"]
    claims = jwt.decode(token, jwt.PyJWK(staff.provider.key.public_jwk), audience="pages", issuer=ISSUER)

    assert (back["state"], back["iss"]) == (["a state"], [ISSUER])
    assert (claims["sub"], claims["name"], claims["nonce"]) == (person.id, person.name, "a nonce")
    assert claims["groups"] == ([person.group] if person.group else [])


def test_two_people_may_answer_for_safety_so_that_one_can_confirm_what_the_other_asks() -> None:
    assert len([p for p in PEOPLE if p.group == SAFETY]) >= 2


def test_whoever_cancels_or_is_unknown_is_not_signed_in(staff) -> None:
    for chosen in ({"cancel": "1"}, {"person": "nobody"}):
        back = staff.choose(**chosen)

        assert (back["error"], "code" in back) == (["access_denied"], False)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "another"},
        {"redirect_uri": "http://127.0.0.1:3/governance/callback"},
        {"response_type": "token"},
        {"code_challenge_method": "plain"},
        {"state": ""},
        {"nonce": ""},
    ],
    ids=str,
)
def test_a_request_that_is_not_as_agreed_shows_nobody_and_leads_nowhere(staff, changes) -> None:
    answer = staff.get("authorize", **ASKED | changes)

    assert answer.status_code == 400
    assert PEOPLE[0].name not in answer.text


def test_a_choice_and_a_code_are_good_once_and_a_code_for_a_minute(staff) -> None:
    code = staff.choose(person="staff-1")["code"][0]

    assert staff.post("authorize", {"request": staff.handle, "person": "staff-1"}).status_code == 400
    assert staff.exchange(code).status_code == 200
    assert staff.exchange(code).json["error"] == "invalid_grant"
    late = staff.choose(person="staff-1")["code"][0]
    staff.clock.ahead += CODE_LIFE_S + 1
    assert staff.exchange(late).json["error"] == "invalid_grant"


def test_another_verifier_secret_or_address_gets_no_token(staff) -> None:
    for secret, changes in (
        (KNOWN, {"code_verifier": "w" * 43}),
        ("guessed", {}),
        (KNOWN, {"redirect_uri": "http://127.0.0.1:3/"}),
    ):
        code = staff.choose(person="staff-1")["code"][0]

        assert "id_token" not in staff.exchange(code, secret, **changes).json


def test_another_name_of_this_machine_leads_nowhere(staff) -> None:
    assert staff.get("authorize", base="http://localhost:2", **ASKED).status_code == 403
