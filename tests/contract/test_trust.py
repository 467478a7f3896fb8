"""Who may call: section H of the CDS Hooks checklist, over HTTP requests as a client signs them."""

from __future__ import annotations

import http.server
import itertools
import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

import jwt
import pytest
from builders import PATIENT
from cryptography.hazmat.primitives import serialization
from ehr import (
    ADDRESS,
    ALGORITHMS,
    BASE,
    EHR,
    FEEDBACK,
    ISSUER,
    app_of,
    hook_request,
    issuer_table,
    jws,
    pem,
    private_key,
    public_jwk,
    settings,
)

from cds_service.errors import ConfigError
from cds_service.keys import key_sets
from cds_service.keys.key_sets import SANDBOX_ISSUER, SANDBOX_KEY, KeySets, verification_key
from cds_service.serving import cross_origin
from cds_service.settings.issuers import MOST_LEEWAY_S
from cds_service.trust import admission
from fhir_adapters.received import Noted

ME = EHR()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory):
    return app_of(settings(tmp_path_factory.mktemp("trust"))).test_client()


def call(client, token: str | None = None, *, path: str = ADDRESS, body: object = None, **headers):
    sent = headers if token is None else {"Authorization": f"Bearer {token}"} | headers
    if isinstance(body, bytes):
        return client.post(path, data=body, content_type="application/json", headers=sent)
    return client.post(path, json=hook_request() if body is None else body, headers=sent)


def refused(answer) -> bool:
    """The one answer to whatever is wrong with a token."""
    issue = answer.get_json()["issue"][0]
    same = (
        issue["diagnostics"] == "expected Authorization: Bearer with a JWT of a registered CDS client for this address"
    )
    return answer.status_code == 401 and same and answer.headers["WWW-Authenticate"] == 'Bearer realm="cds-services"'


def with_settings(tmp_path: Path, **changes):
    return app_of(settings(tmp_path, issuers=[issuer_table(**changes)])).test_client()


# ---- the token and where it stands ----


def test_cdsh_166_no_call_and_no_feedback_is_answered_without_a_token(client) -> None:
    assert refused(call(client))
    assert refused(call(client, path=FEEDBACK, body={"feedback": []}))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_cdsh_167_the_scheme_is_bearer_in_any_case(client, scheme: str) -> None:
    assert call(client, Authorization=f"{scheme} {ME.token()}").status_code == 200


@pytest.mark.parametrize(
    "header", ["{}", "Basic {}", "Token {}", "Bearer", "Bearer {} {}", "Bearer {},{}", "Bearer\t\u00e4{}", "JWT {}"]
)
def test_cdsh_167_any_other_header_is_refused(client, header: str) -> None:
    assert refused(call(client, Authorization=header.replace("{}", ME.token())))


def test_cdsh_167_feedback_takes_a_token_for_its_own_address(client) -> None:
    item = {"card": "c", "outcome": "overridden", "outcomeTimestamp": "2026-11-25T10:00:00Z"}

    assert call(client, ME.token(FEEDBACK), path=FEEDBACK, body={"feedback": [item]}).status_code == 200
    assert refused(call(client, ME.token(ADDRESS), path=FEEDBACK, body={"feedback": [item]}))


def test_two_authorization_headers_are_refused(client) -> None:
    twice = [("Authorization", f"Bearer {ME.token()}"), ("Authorization", f"Bearer {ME.token()}")]

    assert refused(client.post(ADDRESS, json=hook_request(), headers=twice))


@pytest.mark.parametrize("name", ["access_token", "token", "authorization", "jwt"])
def test_cdsh_189_a_token_in_the_query_string_is_not_looked_at(client, name: str) -> None:
    assert refused(client.post(f"{ADDRESS}?{name}={ME.token()}", json=hook_request()))


def test_cdsh_189_a_token_in_the_body_is_not_looked_at(client) -> None:
    assert refused(call(client, body=hook_request(access_token=ME.token(), Authorization=f"Bearer {ME.token()}")))


# ---- signature ----


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_cdsh_168_each_listed_algorithm_works_with_its_kind_of_key(tmp_path: Path, algorithm: str) -> None:
    client = with_settings(tmp_path, keys=[public_jwk(algorithm, "k")])

    assert call(client, EHR(algorithm=algorithm, kid="k").token()).status_code == 200


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None, ..., 384])
def test_cdsh_168_an_unsigned_token_is_refused(client, algorithm: object) -> None:
    header = {k: v for k, v in {"alg": algorithm, "typ": "JWT", "kid": "ES384"}.items() if v is not ...}

    assert refused(call(client, jws(header, ME.claims(), None, "none")))


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("encoding", ["pem", "der", "jwk"])
def test_cdsh_168_169_a_public_key_is_never_a_shared_secret(client, algorithm: str, encoding: str) -> None:
    for kid in ("ES384", "RS384"):
        public = private_key(kid).public_key()
        secret = {
            "pem": public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
            "der": public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
            "jwk": json.dumps(public_jwk(kid, kid)).encode(),
        }[encoding]
        token = jws({"alg": algorithm, "typ": "JWT", "kid": kid}, ME.claims(), secret, algorithm)
        assert refused(call(client, token))


@pytest.mark.parametrize(
    ("named", "kid"),
    [("RS384", "ES384"), ("ES384", "RS384"), ("ES256", "ES384"), ("ES384", "ES256"), ("PS384", "ES384")],
)
def test_cdsh_169_an_algorithm_never_verifies_with_a_key_of_another_type(client, named: str, kid: str) -> None:
    made = jws({"alg": named, "typ": "JWT", "kid": kid}, ME.claims(), private_key(named), named)

    assert refused(call(client, made))


def test_cdsh_168_an_algorithm_outside_the_sites_list_is_refused(tmp_path: Path, host: KeyHost) -> None:
    """Also when the client's key set holds a key that fits it."""
    client = by_url(tmp_path, host, algorithms=["ES384"])
    host.keys.append(public_jwk("RS384", "RS384"))

    assert call(client, ME.token()).status_code == 200
    for algorithm in ("RS384", "RS256", "PS384"):
        assert refused(call(client, EHR(algorithm=algorithm, kid="RS384").token()))


def test_cdsh_168_a_key_that_names_its_algorithm_takes_no_other(tmp_path: Path) -> None:
    client = with_settings(tmp_path, keys=[public_jwk("RS384", "k") | {"alg": "RS384"}])

    assert call(client, EHR(algorithm="RS384", kid="k").token()).status_code == 200
    assert refused(call(client, EHR(algorithm="RS256", kid="k", key="first").token()))
    ps = jws({"alg": "PS384", "typ": "JWT", "kid": "k"}, ME.claims(), private_key("RS384"), "PS384")
    assert refused(call(client, ps))


def test_a_changed_claim_or_header_breaks_the_signature(client) -> None:
    head, claims, signature = ME.token().split(".")
    _, others, _ = ME.token(iss="https://ehr.example", sub="admin").split(".")

    assert refused(call(client, f"{head}.{others}.{signature}"))
    assert refused(call(client, f"{head}.{claims}.{signature[:-4]}AAAA"))
    assert refused(call(client, f"{head}.{claims}."))
    assert refused(call(client, f"{head}.{claims}"))


@pytest.mark.parametrize(
    "kid", [..., None, "", 7, ["ES384"], {"kid": "ES384"}, "es384", "ES384 ", "unknown", "../ES384", "' OR 1=1"]
)
def test_cdsh_170_a_token_must_name_a_known_key(client, kid: object) -> None:
    assert refused(call(client, ME.token(header={"kid": kid})))


def test_cdsh_170_the_kid_of_one_key_does_not_take_the_signature_of_another(tmp_path: Path) -> None:
    client = with_settings(tmp_path, keys=[public_jwk("ES384", "a", "a"), public_jwk("ES384", "b", "b")])

    assert call(client, EHR(kid="b", key="b").token()).status_code == 200
    assert refused(call(client, EHR(kid="a", key="b").token()))


@pytest.mark.parametrize(
    ("kind", "good"),
    [
        ("JWT", True),
        ("jwt", True),
        ("Jwt", True),
        (..., False),
        (None, False),
        ("", False),
        ("JOSE", False),
        ("at+jwt", False),
        (1, False),
    ],
)
def test_cdsh_171_typ_is_jwt_in_any_case(client, kind: object, good: bool) -> None:
    answer = call(client, ME.token(header={"typ": kind}))

    assert (answer.status_code == 200) if good else refused(answer)


def test_cdsh_183_a_critical_extension_is_refused(client) -> None:
    for crit in (["exp"], ["b64"], [], "exp", None):
        assert refused(call(client, ME.token(header={"crit": crit, "b64": True})))


def test_cdsh_183_a_key_inside_the_token_is_never_trusted(client) -> None:
    stranger = EHR(key="stranger")
    public = public_jwk("ES384", "ES384", "stranger")
    for extra in ({"jwk": public}, {"x5c": ["AAAA"]}, {"x5u": f"{BASE}/key"}, {"jwk": public, "kid": "unknown"}):
        assert refused(call(client, stranger.token(header=extra)))
    assert call(client, ME.token(header={"jwk": public, "x5t": "abc"})).status_code == 200


MALFORMED = [
    "x", "a.b", "a.b.c", "a.b.c.d", "..", "....", "{}", "%00", "é.é.é", "e30.e30.e30", "e30.e30.", " ", "null", "a" * 20_000,
    jws({"alg": "ES384", "typ": "JWT", "kid": "ES384"}, b"not json", private_key("ES384"), "ES384"),
    jws({"alg": "ES384", "typ": "JWT", "kid": "ES384"}, b"\xff\xfe", private_key("ES384"), "ES384"),
    jws({"alg": "ES384", "typ": "JWT", "kid": "ES384"}, b"[" * 5000, private_key("ES384"), "ES384"),
    *(jws({"alg": "ES384", "typ": "JWT", "kid": "ES384"}, claims, private_key("ES384"), "ES384") for claims in ([], 1, "iss", None, {}, [ISSUER])),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(MALFORMED)))
def test_cdsh_184_what_is_no_token_is_refused_like_all_else(client, number: int) -> None:
    assert refused(call(client, Authorization=f"Bearer {MALFORMED[number]}".encode().decode("latin-1")))


# ---- claims ----


@pytest.mark.parametrize(
    "iss",
    [
        ...,
        None,
        "",
        1,
        ["https://ehr.example"],
        "https://EHR.example",
        "https://ehr.example/",
        "http://ehr.example",
        "https://ehr.example.evil",
        " https://ehr.example",
        "https://other.example",
    ],
)
def test_cdsh_173_174_the_issuer_is_one_of_the_table_letter_by_letter(client, iss: object) -> None:
    assert refused(call(client, ME.token(iss=iss)))


@pytest.mark.parametrize(
    "aud", [f"{BASE}{ADDRESS}", [f"{BASE}{ADDRESS}"], ["https://x.example", f"{BASE}{ADDRESS}"], f"{BASE}{ADDRESS}/"]
)
def test_cdsh_175_the_audience_is_the_address_called_alone_or_in_a_list(client, aud: object) -> None:
    assert call(client, ME.token(aud=aud)).status_code == 200


@pytest.mark.parametrize("aud", [
    ..., None, "", 1, [], [None], {}, {"aud": f"{BASE}{ADDRESS}"}, BASE, f"{BASE}/cds-services", f"{BASE}{FEEDBACK}", ADDRESS, f"{BASE}{ADDRESS}-encounter",
    f"{BASE}{ADDRESS}?x=1", f"https://127.0.0.1:8080{ADDRESS}", f"http://localhost:8080{ADDRESS}", f"{BASE.upper()}{ADDRESS}", "https://other.example", [[f"{BASE}{ADDRESS}"]],
])  # fmt: skip
def test_cdsh_175_another_audience_is_refused(client, aud: object) -> None:
    assert refused(call(client, ME.token(aud=aud)))


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"X-Forwarded-Host": "evil.example"}, {"Forwarded": "host=evil.example"}]
)
def test_cdsh_175_the_host_header_is_never_looked_at(client, headers: dict) -> None:
    assert refused(call(client, ME.token(aud=f"http://evil.example{ADDRESS}"), **headers))
    assert call(client, ME.token(), **headers).status_code == 200


def test_cdsh_175_a_site_can_accept_an_audience_as_somebody_typed_it(tmp_path: Path) -> None:
    client = with_settings(tmp_path, audiences=["mental health cds (prod)"])

    for path, body in ((ADDRESS, hook_request()), (FEEDBACK, {"feedback": [FEEDBACK_ITEM]})):
        assert call(client, ME.token(path, aud="mental health cds (prod)"), path=path, body=body).status_code == 200
    assert refused(call(client, ME.token(aud="Mental health cds (prod)")))


FEEDBACK_ITEM = {"card": "c", "outcome": "overridden", "outcomeTimestamp": "2026-11-25T10:00:00Z"}
NOW = 1_700_000_000
NOT_TIMES = [..., None, "", "soon", str(NOW + 300), True, [], {}, -1, 10**400, 1e300]


@pytest.fixture(scope="module")
def clocked(tmp_path_factory: pytest.TempPathFactory):
    """The app at a fixed time, and a client with the same clock."""
    from datetime import UTC, datetime

    app = app_of(settings(tmp_path_factory.mktemp("clock")), now=lambda: datetime.fromtimestamp(NOW, UTC))
    return app.test_client(), EHR(clock=NOW)


@pytest.mark.parametrize("claim", ["exp", "iat"])
@pytest.mark.parametrize("value", NOT_TIMES)
def test_cdsh_176_177_exp_and_iat_are_required_numbers(clocked, claim: str, value: object) -> None:
    client, me = clocked
    assert refused(call(client, me.token(**{claim: value})))


@pytest.mark.parametrize(("changes", "good"), [
    ({"iat": NOW, "exp": NOW + 1}, True), ({"iat": NOW - 300, "exp": NOW}, True), ({"iat": NOW - 300, "exp": NOW - 59}, True),
    ({"iat": NOW - 300, "exp": NOW - 60}, False), ({"iat": NOW - 300, "exp": NOW - 61}, False), ({"iat": NOW - 7200, "exp": NOW - 3600}, False),
])  # fmt: skip
def test_cdsh_176_a_token_is_good_until_it_expires_and_a_minute_for_clocks(clocked, changes: dict, good: bool) -> None:
    client, me = clocked
    answer = call(client, me.token(**changes))
    assert (answer.status_code == 200) if good else refused(answer)


def test_cdsh_176_the_leeway_is_never_above_a_minute() -> None:
    assert MOST_LEEWAY_S <= 60


@pytest.mark.parametrize(("changes", "good"), [
    ({"iat": NOW + 60}, True), ({"iat": NOW + 61}, False), ({"iat": NOW + 3600, "exp": NOW + 3900}, False),
    ({"iat": NOW - 3599, "exp": NOW + 1}, True), ({"iat": NOW - 86_400, "exp": NOW + 1}, False), ({"iat": NOW + 10, "exp": NOW + 5}, False), ({"iat": 0, "exp": NOW + 60}, False),
    ({"iat": NOW + 0.5, "exp": NOW + 300.25}, True),
])  # fmt: skip
def test_cdsh_177_a_token_is_neither_of_the_future_nor_very_old(clocked, changes: dict, good: bool) -> None:
    client, me = clocked
    answer = call(client, me.token(**changes))
    assert (answer.status_code == 200) if good else refused(answer)


@pytest.mark.parametrize(
    ("nbf", "good"),
    [
        (..., True),
        (NOW - 300, True),
        (NOW, True),
        (NOW + 60, True),
        (NOW + 61, False),
        ("now", False),
        (None, False),
        (True, False),
    ],
)
def test_cdsh_179_not_before_is_honoured(clocked, nbf: object, good: bool) -> None:
    client, me = clocked
    answer = call(client, me.token(nbf=nbf))
    assert (answer.status_code == 200) if good else refused(answer)


@pytest.mark.parametrize(("seconds", "good"), [(300, True), (900, True), (3600, True), (3601, False), (86_400, False)])
def test_cdsh_181_a_token_lives_an_hour_at_most(clocked, seconds: int, good: bool) -> None:
    client, me = clocked
    answer = call(client, me.token(exp=NOW + seconds))
    assert (answer.status_code == 200) if good else refused(answer)


@pytest.mark.parametrize("jti", [..., None, "", 5, [], {}, "x" * 1025])
def test_cdsh_178_a_token_has_an_id(client, jti: object) -> None:
    assert refused(call(client, ME.token(jti=jti)))


def test_cdsh_178_a_token_works_once(client) -> None:
    token = ME.token()

    assert call(client, token).status_code == 200
    assert refused(call(client, token))
    assert refused(call(client, token, path=FEEDBACK, body={"feedback": [FEEDBACK_ITEM]}))


def test_cdsh_178_an_id_is_used_up_for_its_issuer_alone_and_on_every_address(tmp_path: Path) -> None:
    both = [issuer_table(), issuer_table(iss="https://second.example")]
    client = app_of(settings(tmp_path, issuers=both)).test_client()

    assert call(client, ME.token(jti="one")).status_code == 200
    assert call(client, EHR(iss="https://second.example").token(jti="one")).status_code == 200
    assert refused(call(client, ME.token(FEEDBACK, jti="one"), path=FEEDBACK, body={"feedback": [FEEDBACK_ITEM]}))


def test_cdsh_178_a_forged_token_uses_up_nobodys_id(client) -> None:
    assert refused(call(client, EHR(key="stranger").token(jti="mine")))
    assert refused(call(client, ME.token(jti="mine", aud="https://elsewhere.example")))

    assert call(client, ME.token(jti="mine")).status_code == 200


def test_cdsh_178_an_id_stays_used_until_its_token_has_expired_with_leeway(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    clock = [NOW]

    def another():
        """Another process: what it knows of used tokens is in the store."""
        return app_of(settings(tmp_path), now=lambda: datetime.fromtimestamp(clock[0], UTC)).test_client()

    client, long = another(), EHR(clock=NOW).token(exp=NOW + 3000)
    assert call(client, long).status_code == 200

    for later in (600, 1800, 2999, 3059):
        clock[0] = NOW + later
        assert call(client, EHR(clock=NOW + later).token()).status_code == 200  # tidies up
        assert refused(call(client, long)), later
        assert refused(call(another(), long)), later


@pytest.mark.parametrize("subject", ["client-id", None, 7, {"a": 1}])
def test_cdsh_180_the_subject_is_no_matter(client, subject: object) -> None:
    assert call(client, ME.token(sub=subject)).status_code == 200


@pytest.mark.parametrize(
    ("tenant", "good"),
    [
        ("north", True),
        ("south", True),
        ("east", False),
        (..., False),
        ("", False),
        (None, False),
        (["north"], False),
        (1, False),
    ],
)
def test_cdsh_182_a_site_can_list_its_tenants(tmp_path: Path, tenant: object, good: bool) -> None:
    client = with_settings(tmp_path, tenants=["north", "south"])

    answer = call(client, ME.token(tenant=tenant))
    assert (answer.status_code == 200) if good else refused(answer)


def test_cdsh_182_without_a_list_any_tenant_will_do(client) -> None:
    assert call(client, ME.token(tenant="whoever")).status_code == 200


# ---- key sets by address ----


class KeyHost(http.server.ThreadingHTTPServer):
    """Serves a key set on loopback, or fails as told; `seen` are the paths asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.keys: list[dict] = [public_jwk("ES384", "ES384")]
        self.answer: Callable | None = None
        self.seen: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/jwks.json"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: KeyHost

    def do_GET(self) -> None:
        self.server.seen.append(self.path)
        if self.server.answer:
            self.server.answer(self)
            return
        self.reply(json.dumps({"keys": self.server.keys}).encode())

    def reply(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def host():
    with running(KeyHost()) as found:
        yield found


@contextmanager
def running(server: KeyHost):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def by_url(tmp_path: Path, host: KeyHost, **changes):
    return with_settings(tmp_path, keys=..., jwks_url=host.url, **changes)


def test_cdsh_172_a_jku_is_optional_and_must_be_a_listed_one(tmp_path: Path, host: KeyHost) -> None:
    client = by_url(tmp_path, host, jku=["https://ehr.example/old/jwks"])

    for jku in (..., host.url, "https://ehr.example/old/jwks"):
        assert call(client, ME.token(header={"jku": jku})).status_code == 200
    for jku in ("https://evil.example/jwks.json", host.url + "?", host.url.upper(), "", 5, [host.url]):
        assert refused(call(client, ME.token(header={"jku": jku})))


def test_cdsh_172_a_jku_that_is_not_listed_is_never_asked_for(tmp_path: Path, host: KeyHost) -> None:
    with running(KeyHost()) as evil:
        evil.keys = [public_jwk("ES384", "ES384", "stranger")]
        client = by_url(tmp_path, host)

        assert refused(call(client, EHR(key="stranger").token(header={"jku": evil.url})))
        assert refused(call(client, EHR(key="stranger", iss=evil.url).token(header={"jku": evil.url})))

    assert (evil.seen, host.seen) == ([], [])


def test_cdsh_172_a_jku_of_an_issuer_with_keys_by_value_must_be_listed_too(tmp_path: Path) -> None:
    client = with_settings(tmp_path, jku=["https://ehr.example/jwks"])

    assert call(client, ME.token(header={"jku": "https://ehr.example/jwks"})).status_code == 200
    assert refused(call(client, ME.token(header={"jku": "https://elsewhere.example/jwks"})))


def test_cdsh_186_a_key_set_is_read_once_and_kept(tmp_path: Path, host: KeyHost) -> None:
    client = by_url(tmp_path, host)

    assert {call(client, ME.token()).status_code for _ in range(5)} == {200}
    assert host.seen == ["/jwks.json"]


def test_cdsh_170_187_a_rotated_key_works_at_once_and_several_keys_side_by_side(tmp_path: Path, host: KeyHost) -> None:
    client, new = by_url(tmp_path, host), EHR(kid="new", key="new")
    assert call(client, ME.token()).status_code == 200

    host.keys.append(public_jwk("ES384", "new", "new"))

    assert call(client, new.token()).status_code == 200
    assert call(client, ME.token()).status_code == 200
    assert len(host.seen) == 2


def test_cdsh_170_186_unknown_kids_lead_to_one_reading_a_minute(host: KeyHost) -> None:
    clock = Clock()
    sets = KeySets(clock)
    assert sets.keys(host.url, "ES384")

    for seconds, readings in ((1, 2), (30, 2), (59, 2), (61, 3), (62, 3), (122, 4)):
        clock.time = 1000 + seconds
        assert sets.keys(host.url, "unknown") == ()
        assert len(host.seen) == readings, seconds


@pytest.mark.parametrize(
    ("control", "fresh_s"),
    [
        (None, 600),
        ("max-age=120", 120),
        ("max-age=1", 60),
        ("no-store", 600),
        ("max-age=99999999", 86_400),
        ("public, max-age=300, must-revalidate", 300),
    ],
)
def test_cdsh_186_a_key_set_is_kept_as_long_as_its_host_says(host: KeyHost, control: str | None, fresh_s: int) -> None:
    clock = Clock()
    sets = KeySets(clock)
    body = json.dumps({"keys": host.keys}).encode()
    host.answer = lambda h: h.reply(body, **({"Cache_Control": control} if control else {}))
    sets.keys(host.url, "ES384")

    for seconds, readings in ((fresh_s - 1, 1), (fresh_s + 1, 2)):
        clock.time = 1000 + seconds
        assert sets.keys(host.url, "ES384")
        assert len(host.seen) == readings


FAILURES = {
    "status 500": lambda h: h.reply(b"{}", 500),
    "status 403": lambda h: h.reply(b"no", 403),
    "a redirect": lambda h: h.reply(b"", 302, Location="/elsewhere"),
    "HTML": lambda h: h.reply(b"<html>sign in</html>"),
    "no set": lambda h: h.reply(b'{"key": []}'),
    "a list": lambda h: h.reply(b"[]"),
    "half an answer": lambda h: (h.send_response(200), h.send_header("Content-Length", "5000"), h.end_headers(), h.wfile.write(b'{"keys": ['), h.connection.close()),
    "nesting": lambda h: h.reply(b'{"keys":' + b"[" * 50_000),
    "too much": lambda h: h.reply(b'{"keys": [], "x": "' + b"a" * 300_000 + b'"}'),
    "nothing": lambda h: h.connection.close(),
}  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES)
def test_cdsh_186_while_the_host_fails_the_keys_that_are_known_serve_on(host: KeyHost, failure: str) -> None:
    clock = Clock()
    sets = KeySets(clock)
    assert sets.keys(host.url, "ES384")

    host.answer = FAILURES[failure]
    for seconds in (601, 602, 5000, 86_399):
        clock.time = 1000 + seconds
        assert sets.keys(host.url, "ES384"), seconds

    assert "/elsewhere" not in host.seen
    assert len(host.seen) == 4  # 602 comes within a minute of a failure


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize(("hours", "lasts_s"), [(24, 86_400), (1, 3600), (168, 604_800)])
def test_keys_of_a_set_that_cannot_be_read_are_trusted_for_so_many_hours_and_no_longer(
    host: KeyHost, failure: str, hours: int, lasts_s: int
) -> None:
    clock, good = Clock(), host.answer
    sets = KeySets(clock)
    assert sets.keys(host.url, "ES384", hours)

    host.answer = FAILURES[failure]
    for seconds, count in ((lasts_s - 1, 1), (lasts_s, 0), (lasts_s + 10, 0), (lasts_s + 365 * 86_400, 0)):
        clock.time = 1000 + seconds
        assert len(sets.keys(host.url, "ES384", hours)) == count, seconds

    host.answer = good
    clock.time += 10
    assert sets.keys(host.url, "ES384", hours)


def test_a_long_max_age_does_not_outlast_the_hours_of_the_site(host: KeyHost) -> None:
    clock = Clock()
    sets = KeySets(clock)
    body = json.dumps({"keys": host.keys}).encode()
    host.answer = lambda h: h.reply(body, Cache_Control="max-age=86400")
    assert sets.keys(host.url, "ES384", 1)

    host.answer = FAILURES["status 500"]
    clock.time = 1000 + 3600
    assert sets.keys(host.url, "ES384", 1) == ()
    assert sets.keys(host.url, "ES384", 24)


@pytest.mark.parametrize("status", [404, 410])
def test_a_key_set_that_is_gone_ends_at_once_and_begins_again_when_it_is_back(
    host: KeyHost, status: int, caplog
) -> None:
    clock, good = Clock(), host.answer
    sets = KeySets(clock)
    assert sets.keys(host.url, "ES384")

    host.answer = lambda h: h.reply(b"{}", status)
    clock.time += 599
    assert sets.keys(host.url, "ES384")
    clock.time += 2
    assert sets.keys(host.url, "ES384") == ()
    assert f"found {status}" in caplog.text
    assert '"keys_trusted": 0' in caplog.text

    host.answer = good
    clock.time += 6
    assert sets.keys(host.url, "ES384")


def test_a_set_that_is_gone_while_it_is_fresh_ends_with_the_reading_that_an_unknown_kid_causes(host: KeyHost) -> None:
    clock, good = Clock(), host.answer
    sets = KeySets(clock)
    assert sets.keys(host.url, "ES384")

    host.answer = lambda h: h.reply(b"", 410)
    assert sets.keys(host.url, "unknown") == ()
    assert sets.keys(host.url, "ES384") == ()

    host.answer = good
    clock.time += 6
    assert sets.keys(host.url, "ES384")


def test_a_retired_key_set_refuses_calls_however_well_they_are_signed(tmp_path: Path, host: KeyHost) -> None:
    client = by_url(tmp_path, host)
    assert call(client, ME.token()).status_code == 200

    host.answer = lambda h: h.reply(b"", 404)
    assert refused(call(client, ME.token(header={"kid": "other"})))
    assert refused(call(client, ME.token()))


@pytest.mark.parametrize("hours", [0, -1, 169])
def test_keys_are_trusted_for_one_hour_to_a_week(tmp_path: Path, hours: int) -> None:
    with pytest.raises(ConfigError, match="jwks_max_age_h: expected 1 to 168"):
        with_settings(tmp_path, jwks_max_age_h=hours)


@pytest.mark.parametrize("failure", FAILURES)
def test_cdsh_184_186_a_host_that_never_answered_well_refuses_like_all_else(
    tmp_path: Path, host: KeyHost, failure: str
) -> None:
    host.answer = FAILURES[failure]

    assert refused(call(by_url(tmp_path, host), ME.token()))


def test_cdsh_186_a_key_host_that_drips_is_left(tmp_path: Path, host: KeyHost) -> None:
    release = threading.Event()

    def drip(handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        while not release.wait(0.2):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    host.answer = drip
    assert refused(call(by_url(tmp_path, host), ME.token()))
    release.set()


def test_cdsh_186_who_has_a_key_does_not_wait_for_a_reading_of_the_set(host: KeyHost) -> None:
    clock, started, release = Clock(), threading.Event(), threading.Event()
    sets = KeySets(clock)
    assert sets.keys(host.url, "ES384")
    body = json.dumps({"keys": host.keys}).encode()
    host.answer = lambda h: (started.set(), release.wait(10), h.reply(body))
    slow = threading.Thread(target=sets.keys, args=(host.url, "unknown"))
    slow.start()
    started.wait(10)

    assert sets.keys(host.url, "ES384")  # would hang until `release` otherwise
    release.set()
    slow.join()


def test_a_key_host_that_hangs_holds_only_some_of_the_calls(
    tmp_path: Path, host: KeyHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can name an issuer, and so make a call wait for its keys; of four at once, two may."""
    monkeypatch.setattr(key_sets, "TIMEOUT_S", 60)
    release = threading.Event()
    host.answer = lambda h: (release.wait(30), h.reply(b"", 500))
    slow = issuer_table(iss="https://slow.example", keys=..., jwks_url=host.url)
    app = app_of(
        settings(tmp_path, issuers=[issuer_table(), slow], service={"limits": {"concurrent_calls": 4}}),
    )
    forged = EHR(iss="https://slow.example", key="stranger")

    with ThreadPoolExecutor(12) as pool:
        calls = [pool.submit(call, app.test_client(), forged.token(jti=str(n))) for n in range(12)]
        turned_away = [job.result() for job in itertools.islice(as_completed(calls, 20), 10)]
        honest = {call(app.test_client(), ME.token()).status_code for _ in range(5)}
        release.set()
    waited = [job.result() for job in calls if job.result() not in turned_away]

    assert {(a.status_code, a.headers["Retry-After"]) for a in turned_away} == {(503, "1")}
    assert honest == {200}
    assert [refused(answer) for answer in waited] == [True, True]
    assert len(host.seen) == 1
    assert refused(call(app.test_client(), forged.token()))  # remembered, so that the host is not asked
    assert len(host.seen) == 1


def test_a_failure_is_remembered_from_its_end(host: KeyHost) -> None:
    clock = Clock()
    sets = KeySets(clock)

    def slowly(handler) -> None:
        clock.time += 2
        handler.reply(b"", 500)

    host.answer = slowly
    for seconds, readings in ((0, 1), (6, 1), (6.9, 1), (7, 2)):
        clock.time = max(clock.time, 1000 + seconds)
        assert sets.keys(host.url, "ES384") == ()
        assert len(host.seen) == readings, seconds


def test_keys_of_a_set_that_cannot_verify_are_passed_over(tmp_path: Path, host: KeyHost) -> None:
    host.keys = [
        {"kty": "oct", "kid": "ES384", "k": "AAAA"},
        {"kty": "OKP", "crv": "Ed25519", "kid": "o", "x": "AAAA"},
        public_jwk("ES384", "enc") | {"use": "enc"},
        {"kty": "EC"},
        public_jwk("ES384", "ES384") | {"key_ops": None, "crv": ["P-384"]},
        public_jwk("ES384", "ES384") | {"key_ops": "verify", "alg": 7},
        public_jwk("ES384", "ES384") | {"use": ["sig"], "x": None},
        "text",
        public_jwk("ES384", "ES384"),
    ]
    client = by_url(tmp_path, host)

    assert call(client, ME.token()).status_code == 200
    assert refused(call(client, ME.token(header={"kid": "enc"})))


def test_a_published_private_key_is_not_taken_for_a_public_one(tmp_path: Path, host: KeyHost) -> None:
    from jwt.algorithms import ECAlgorithm

    host.keys = [json.loads(ECAlgorithm(ECAlgorithm.SHA384).to_jwk(private_key("ES384"))) | {"kid": "ES384"}]

    assert refused(call(by_url(tmp_path, host), ME.token()))


# ---- the public sandbox ----


def test_the_public_sandbox_may_not_call_unless_a_development_site_says_so(tmp_path: Path) -> None:
    """Its private key is published. Here another key stands in for it, found by its thumbprint."""
    from cds_service.settings import issuers
    from cds_service.trust import auth

    jwk = public_jwk("ES384", "ES384", "sandbox")
    thumbprint = verification_key(jwk).thumbprint
    sandbox = EHR(iss=SANDBOX_ISSUER, key="sandbox")
    table = issuer_table(iss=SANDBOX_ISSUER, keys=[jwk])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auth, "SANDBOX_KEY", thumbprint)
        patch.setattr(issuers, "SANDBOX_KEY", thumbprint)
        with pytest.raises(Exception, match="public sandbox"):
            app_of(settings(tmp_path / "a", issuers=[table]))
        with pytest.raises(Exception, match="public sandbox"):
            app_of(settings(tmp_path / "b", issuers=[issuer_table(keys=[jwk])], service={"allow_public_sandbox": True}))
        with pytest.raises(Exception, match="only with mode"):
            app_of(
                settings(
                    tmp_path / "c",
                    issuers=[table],
                    service={"allow_public_sandbox": True, "mode": "production", "public_url": "https://cds.example"},
                )
            )
        allowed = app_of(
            settings(tmp_path / "d", issuers=[table], service={"allow_public_sandbox": True})
        ).test_client()

        assert call(allowed, sandbox.token()).status_code == 200


def test_the_sandboxs_key_under_another_issuers_address_is_refused(tmp_path: Path, host: KeyHost) -> None:
    from cds_service.trust import auth

    host.keys = [public_jwk("ES384", "ES384", "sandbox")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auth, "SANDBOX_KEY", verification_key(host.keys[0]).thumbprint)

        assert refused(call(by_url(tmp_path, host), EHR(key="sandbox").token()))
    assert len(SANDBOX_KEY) == 43


# ---- order, silence, no issuer ----


def test_without_an_issuer_every_call_is_refused(tmp_path: Path) -> None:
    client = app_of(settings(tmp_path, issuers=[])).test_client()

    assert refused(call(client, ME.token()))
    assert refused(call(client))


def test_cdsh_188_the_token_is_judged_before_the_body_is_read(client) -> None:
    """A body that would be refused for its size, type, packing or form is not looked at for a stranger."""
    stranger = EHR(key="stranger")
    assert refused(call(client, stranger.token(), body=b"x" * 3_000_000))
    assert refused(call(client, stranger.token(), body=b"{not json"))
    assert refused(client.post(ADDRESS, data=b"x", content_type="text/plain", headers=stranger.headers()))
    assert refused(call(client, stranger.token(), body=b"\x1f\x8b", **{"Content-Encoding": "br"}))

    assert call(client, ME.token(), body=b"x" * 3_000_000).status_code == 413


def test_cdsh_188_no_fhir_server_hears_of_a_call_by_a_stranger(tmp_path: Path, host: KeyHost) -> None:
    client = app_of(settings(tmp_path, site={"fhir_bases": [host.url.removesuffix("/jwks.json")]})).test_client()
    granted = {"access_token": "secret", "token_type": "Bearer", "expires_in": 300, "scope": "x", "subject": "y"}
    body = hook_request(prefetch=..., fhirServer=host.url.removesuffix("/jwks.json"), fhirAuthorization=granted)

    assert refused(call(client, EHR(key="stranger").token(), body=body))
    assert host.seen == []
    assert call(client, ME.token(), body=body).status_code == 412
    assert host.seen


def test_cdsh_184_whatever_is_wrong_the_answer_is_the_same_to_the_byte(client) -> None:
    tokens = [
        None,
        "x",
        EHR(key="stranger").token(),
        ME.token(exp=1),
        ME.token(aud="x"),
        ME.token(iss="x"),
        ME.token(header={"kid": "x"}),
        ME.token(jti=...),
    ]
    used = ME.token()
    call(client, used)
    answers = [call(client, token) for token in (*tokens, used)]

    assert {(a.status_code, a.data, a.headers["Content-Type"], a.headers["WWW-Authenticate"]) for a in answers} == {
        (401, answers[0].data, "application/json", 'Bearer realm="cds-services"')
    }


REFUSED_VALUES = {
    "issuer": ({"iss": "https://u:p@other.example/?x=1"}, {}, "https://…@other.example/?…"),
    "jku": ({}, {"jku": "https://other.example/jwks.json\n"}, "https://other.example/jwks.json\ufffd"),
    "audience": ({"aud": ["https://cds.example//cds-services/", 7]}, {}, "https://cds.example//cds-services/, (int)"),
}


@pytest.mark.parametrize("why", REFUSED_VALUES)
def test_what_was_refused_is_in_the_log_as_it_came(
    client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(admission, "noted", Noted())
    claims, header, found = REFUSED_VALUES[why]
    tokens = [ME.token(header=header, **claims) for _ in range(2)]

    for token in tokens:
        assert call(client, token).status_code == 401

    first, again = [json.loads(r.message) for r in caplog.records if "client-refused" in r.message]
    assert (first["why"], first["found"], "found" in again) == (why, found, False)
    assert not any(part in caplog.text for token in tokens for part in token.split("."))


@pytest.mark.parametrize("path", ["/cds-services", ADDRESS, "/sites/north/cds-services", "/model-card.json"])
def test_an_origin_that_may_not_call_is_in_the_log_once(
    client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(cross_origin, "noted", Noted())

    for _ in range(2):
        assert (
            "Access-Control-Allow-Origin" not in client.options(path, headers={"Origin": "https://x.example"}).headers
        )
        client.options(path)

    lines = [json.loads(r.message) for r in caplog.records if "origin-refused" in r.message]
    assert lines == ([] if "card" in path else [{"event": "origin-refused", "found": "https://x.example"}])


def test_cdsh_185_no_token_and_no_claim_that_was_not_refused_reaches_a_log(
    client, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "access-token-of-this-call"
    granted = {"access_token": secret, "token_type": "Bearer", "expires_in": 300, "scope": "x", "subject": "y"}
    tokens = [
        ME.token(jti="id-1", sub="subject-1"),
        ME.token(aud="audience-1", sub="subject-2"),
        EHR(key="stranger").token(),
        "garbage-token",
    ]
    with caplog.at_level(logging.DEBUG):
        for token in tokens:
            call(client, token, body=hook_request(fhirServer="http://127.0.0.1:9/fhir", fhirAuthorization=granted))
        call(client, Authorization="Basic c2VjcmV0")

    assert "client-refused" in caplog.text
    for word in (
        secret,
        "subject-1",
        "subject-2",
        "c2VjcmV0",
        PATIENT,
        *tokens,
        *(t.split(".")[-1] for t in tokens[:3]),
    ):
        assert word not in caplog.text, word


def test_cdsh_164_production_answers_cds_hooks_over_https_alone(tmp_path: Path) -> None:
    folder = settings(tmp_path, service={"mode": "production", "public_url": "https://cds.example"})
    client, me = app_of(folder).test_client(), EHR(base="https://cds.example")

    for answer in (
        call(client, me.token()),
        client.get("/cds-services"),
        call(client, me.token(FEEDBACK), path=FEEDBACK),
    ):
        assert (answer.status_code, answer.get_json()["issue"][0]["code"]) == (403, "security")
    assert (
        client.post(ADDRESS, json=hook_request(), headers=me.headers(), base_url="https://cds.example").status_code
        == 200
    )
    assert client.get("/cds-services", base_url="https://cds.example").status_code == 200
    assert client.get("/health/live").status_code == 200  # asked for by the platform, behind the proxy


@pytest.mark.parametrize(
    "forwarded", [{"X-Forwarded-Proto": "https"}, {"Forwarded": "proto=https"}, {"X-Forwarded-SSL": "on"}]
)
def test_cdsh_164_a_client_cannot_claim_https_by_a_header(tmp_path: Path, forwarded: dict) -> None:
    """Only gunicorn, for a trusted proxy, may turn such a header into the scheme (test_served.py)."""
    folder = settings(tmp_path, service={"mode": "production", "public_url": "https://cds.example"})
    me = EHR(base="https://cds.example")

    assert call(app_of(folder).test_client(), me.token(), **forwarded).status_code == 403


@pytest.mark.parametrize(
    "given",
    [
        "http://cds.example",
        "cds.example",
        "https://",
        "https://user:secret@cds.example",
        "https://cds.example/?x=1",
        "ftp://cds.example",
    ],
)
def test_cdsh_164_the_public_address_is_an_https_one(tmp_path: Path, given: str) -> None:
    with pytest.raises(Exception, match="public_url"):
        app_of(settings(tmp_path, service={"mode": "production", "public_url": given}))


def test_tokens_are_as_a_library_would_make_them() -> None:
    """Our own signer and PyJWT's agree, so that the refusals above are not those of a broken signer."""
    token = ME.token()
    public = private_key("ES384").public_key()

    claims = jwt.decode(token, public, algorithms=["ES384"], audience=f"{BASE}{ADDRESS}")
    assert claims["iss"] == ISSUER
    other = jwt.encode(ME.claims(), pem(private_key("ES384")), algorithm="ES384", headers={"kid": "ES384"})
    assert jwt.decode(other, public, algorithms=["ES384"], audience=f"{BASE}{ADDRESS}")["exp"] > time.time()
