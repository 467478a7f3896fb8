"""HTTP around the calls: CORS, methods, media types, packed and chunked bodies, errors, headers, many calls at once.

Section I of the checklist and its neighbours (requirements.toml).
"""

from __future__ import annotations

import gzip
import json
import logging
import socket
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest
from builders import AS_OF, PATIENT
from ehr import ADDRESS, FEEDBACK, app_of, certificate, free_port, served, settings
from hook_calls import ACUTE, CHARTS, POSITIVE, call_of, client_of, diagnostics, path_of, topics

from cds_service.hooks.catalogue import SERVICES

ORIGIN = "https://sandbox.cds-hooks.org"
DISCOVERY = "/cds-services"
VIEW = SERVICES[0]
PATHS = (DISCOVERY, *(p for s in SERVICES for p in (path_of(s), f"{path_of(s)}/feedback")))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory):
    return client_of(tmp_path_factory.mktemp("http"), service={"cors_origins": [ORIGIN]})


def body(*lines: str, **changes) -> bytes:
    return json.dumps(call_of(VIEW, *lines, **changes)).encode()


# ---- browsers ----


@pytest.mark.parametrize("path", PATHS)
def test_cdsh_190_211_a_preflight_needs_no_token_and_allows_what_a_signed_call_sends(client, path: str) -> None:
    method = "GET" if path == DISCOVERY else "POST"
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization, content-type"}  # fmt: skip

    answer = client.flask.options(path, headers=asked)

    assert answer.status_code in (200, 204)
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert method in answer.headers["Access-Control-Allow-Methods"]
    allowed = {name.strip().lower() for name in answer.headers["Access-Control-Allow-Headers"].split(",")}
    assert allowed >= {"authorization", "content-type"}


def test_cdsh_191_a_listed_origin_may_read_errors_too(client) -> None:
    sent = {"Origin": ORIGIN}
    answers = [
        client.post(ADDRESS, call_of(VIEW, POSITIVE), headers=sent),
        client.post(ADDRESS, call_of(VIEW, hook=...), headers=sent),
        client.flask.post(ADDRESS, json={}, headers=sent),
        client.flask.get("/nowhere", headers=sent),
        client.flask.get(ADDRESS, headers=sent),
        client.post("/cds-services/none", {}, headers=sent),
        client.post(ADDRESS, call_of(VIEW) | {"prefetch": None}, headers=sent),
        client.post(ADDRESS, data=b"{}", content_type="text/plain", headers=sent),
    ]

    assert [a.status_code for a in answers] == [200, 400, 401, 404, 405, 404, 412, 415]
    for answer in answers:
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "Origin" in answer.headers["Vary"]
        exposed = {name.strip().lower() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
        assert exposed >= {"retry-after", "www-authenticate"}


@pytest.mark.parametrize("origin", ["null", "https://evil.example", f"{ORIGIN}.evil.example", "http://sandbox.cds-hooks.org", "https://SANDBOX.cds-hooks.org:8443", "*", ""])  # fmt: skip
def test_cdsh_192_no_other_origin_is_let_in_and_credentials_never_are(client, origin: str) -> None:
    sent = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    answers = [client.flask.options(ADDRESS, headers=sent), client.flask.get(DISCOVERY, headers=sent)]
    answers += [client.post(ADDRESS, call_of(VIEW, POSITIVE), headers={"Origin": origin})]

    for answer in answers:
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control-")]


def test_cdsh_192_a_listed_origin_gets_no_credentials_either(client) -> None:
    answer = client.flask.get(DISCOVERY, headers={"Origin": ORIGIN, "Cookie": "session=1"})

    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Set-Cookie" not in answer.headers


def test_cdsh_019_191_a_copy_that_a_cache_kept_without_an_origin_is_not_given_to_a_browser(client) -> None:
    for sent in ({}, {"Origin": ORIGIN}, {"Origin": "https://evil.example"}):
        assert "Origin" in client.flask.get(DISCOVERY, headers=sent).headers["Vary"]


# ---- methods and addresses ----


def test_cdsh_033_an_unknown_service_is_404_with_its_feedback(client) -> None:
    for path in ("/cds-services/none", "/cds-services/none/feedback", f"{ADDRESS}-2", f"{ADDRESS}/analytics"):
        answer = client.post(path, call_of(VIEW))
        assert answer.status_code == 404
        assert "/cds-services" in diagnostics(answer)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
def test_cdsh_034_a_method_that_is_not_taken_is_405_and_allow_names_those_that_are(client, method: str) -> None:
    for path in PATHS[1:]:
        answer = client.flask.open(path, method=method)
        assert answer.status_code == 405
        assert {m.strip() for m in answer.headers["Allow"].split(",")} == {"POST", "OPTIONS"}
        if method != "HEAD":
            diagnostics(answer)


@pytest.mark.parametrize("path", PATHS)
def test_cdsh_040_a_slash_at_the_end_changes_nothing_and_redirects_nobody(client, path: str) -> None:
    method = "GET" if path == DISCOVERY else "POST"
    plain, slashed = (client.flask.open(p, method=method, json={}) for p in (path, f"{path}/"))

    assert (slashed.status_code, slashed.data) == (plain.status_code, plain.data)
    assert slashed.status_code in (200, 401)


def test_cdsh_040_a_signed_call_with_a_slash_at_the_end_is_answered(client) -> None:
    for path, aud in ((f"{ADDRESS}/", ADDRESS), (f"{ADDRESS}/", f"{ADDRESS}/")):
        sent = client.flask.post(path, json=call_of(VIEW, POSITIVE), headers=client.ehr.headers(aud))
        assert topics(sent) == ["positive-safety-answer"]


# ---- bodies ----


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8", "application/fhir+json"])  # fmt: skip
def test_cdsh_035_json_is_taken_under_every_name_that_it_goes_by(client, kind: str) -> None:
    assert topics(client.post(ADDRESS, data=body(POSITIVE), content_type=kind)) == ["positive-safety-answer"]


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", None])  # fmt: skip
def test_cdsh_035_a_body_declared_as_something_else_is_415(client, kind: str | None) -> None:
    for path in (ADDRESS, FEEDBACK):
        answer = client.post(path, data=body(POSITIVE), content_type=kind)
        assert answer.status_code == 415
        diagnostics(answer)


@pytest.mark.parametrize("accept", ["application/json", "application/fhir+json", "*/*", "text/html", "application/xml;q=0.9", ""])  # fmt: skip
def test_cdsh_148_211_the_answer_is_json_whatever_a_client_says_that_it_would_like(client, accept: str) -> None:
    for answer in (
        client.post(ADDRESS, call_of(VIEW, POSITIVE), headers={"Accept": accept}),
        client.post(ADDRESS, call_of(VIEW, hook=...), headers={"Accept": accept}),
        client.flask.get(DISCOVERY, headers={"Accept": accept}),
    ):
        assert answer.content_type == "application/json"
        assert json.loads(answer.data.decode("utf-8"))


def test_cdsh_039_a_megabyte_is_taken_and_three_are_a_413_that_names_the_limit(client) -> None:
    much = {"patient": {"resourceType": "Patient", "id": PATIENT, "text": {"div": "x" * 1_200_000}}}

    assert topics(client.post(ADDRESS, data=body(POSITIVE, prefetch=much), content_type="application/json")) == [
        "positive-safety-answer"
    ]
    answer = client.post(ADDRESS, data=b'{"x": "' + b"a" * 3_000_000 + b'"}', content_type="application/json")
    assert answer.status_code == 413
    assert "2097152 bytes" in diagnostics(answer)


def test_cdsh_195_a_chunked_body_works_within_the_limit_and_is_413_above_it(client) -> None:
    for padding, status in ((3_000, 200), (3_000_000, 413)):
        stream = BytesIO(body(POSITIVE, more="a" * padding))
        answer = client.post(
            ADDRESS, input_stream=stream, content_type="application/json", environ_overrides={"wsgi.input_terminated": True}
        )  # fmt: skip
        assert answer.status_code == status


def test_cdsh_195_a_body_packed_with_gzip_works_and_a_damaged_one_is_refused(client) -> None:
    whole = gzip.compress(body(POSITIVE))

    def packed(data: bytes, encoding: str = "gzip", path: str = ADDRESS):
        return client.post(path, data=data, content_type="application/json", headers={"Content-Encoding": encoding})

    assert topics(packed(whole)) == ["positive-safety-answer"]
    assert packed(gzip.compress(b" " * 3_000_000 + body())).status_code == 413
    assert packed(gzip.compress(b'{"feedback": []}'), path=FEEDBACK).status_code == 400
    for spoiled in (whole[:-9], whole + whole, body(), b"\x1f\x8b", b""):
        answer = packed(spoiled)
        assert answer.status_code == 400
        assert "gzip" in diagnostics(answer)
    for other in ("br", "deflate", "gzip, gzip"):
        assert packed(body(), other).status_code == 415


def test_cdsh_039_a_small_body_that_unpacks_to_a_huge_one_is_never_unpacked_whole(client) -> None:
    bomb, huge = zlib.compressobj(wbits=31), 200_000_000
    packed = b"".join([*(bomb.compress(b" " * 1_000_000) for _ in range(huge // 1_000_000)), bomb.flush()])
    tracemalloc.start()
    try:
        answer = client.post(
            ADDRESS, data=packed, content_type="application/json", headers={"Content-Encoding": "gzip"}
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert answer.status_code == 413
    assert peak < huge / 10


# ---- errors and headers ----


def test_cdsh_032_110_193_every_refusal_is_a_valid_outcome_and_repeats_nothing(client) -> None:
    secret = "Zebulon-secret"
    grant = {
        "fhirServer": f"http://127.0.0.1:9/{secret}",
        "fhirAuthorization": {"access_token": secret, "patient": "x"},
    }
    context = {"userId": "Practitioner/doc", "patientId": f"{secret}/x"}
    answers = [
        client.call(hook=secret),
        client.call(context=context),
        client.call(**grant),
        client.call(hookInstance={secret: secret}),
        client.post(ADDRESS, call_of(VIEW) | {"prefetch": {"screening": {"resourceType": secret}}}),
        client.post(f"/cds-services/{secret}", {}),
        client.post(ADDRESS, data=secret.encode(), content_type="application/json"),
        client.post(ADDRESS, data=secret.encode(), content_type=f"text/{secret}"),
        client.flask.post(ADDRESS, json={}, headers={"Authorization": f"Bearer {secret}"}),
        client.flask.get(f"/{secret}"),
    ]

    assert [a.status_code for a in answers] == [400, 400, 400, 400, 412, 404, 400, 415, 401, 404]
    for answer in answers:
        assert diagnostics(answer)
        assert secret not in answer.get_data(as_text=True)


def test_cdsh_110_the_key_that_was_lacking_is_named(client) -> None:
    assert "questionnaires" in diagnostics(client.post(ADDRESS, call_of(VIEW) | {"prefetch": None}))


def test_cdsh_193_an_unforeseen_error_says_nothing_to_the_client_and_its_place_to_the_log(tmp_path, caplog) -> None:
    def broken() -> str:
        raise RuntimeError("patient Quillfeather")

    working = client_of(tmp_path)
    app = app_of(tmp_path, now=lambda: AS_OF, new_id=broken)
    headers = working.ehr.headers(ADDRESS)
    with caplog.at_level(logging.INFO):
        answer = app.test_client().post(ADDRESS, json=call_of(VIEW, POSITIVE), headers=headers)

    assert answer.status_code == 500
    assert "Quillfeather" not in answer.get_data(as_text=True) + caplog.text
    assert "Traceback" not in answer.get_data(as_text=True)
    assert diagnostics(answer) == "the service failed; nothing was assessed"
    assert "RuntimeError" in caplog.text
    assert "test_http.py" in caplog.text


def test_cdsh_194_answers_with_patient_data_are_kept_by_no_cache_and_read_as_nothing_but_json(client) -> None:
    for answer in (
        client.call(ACUTE),
        client.call(),
        client.call(hook=...),
        client.flask.post(ADDRESS, json={}),
        client.post(FEEDBACK, {"feedback": []}),
        client.flask.get("/nowhere"),
    ):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert client.flask.get(DISCOVERY).headers["X-Content-Type-Options"] == "nosniff"


# ---- at once ----


def test_cdsh_086_196_calls_at_once_share_nothing_of_a_patient(tmp_path) -> None:
    client = client_of(tmp_path, service={"limits": {"calls_per_minute": 0, "concurrent_calls": 50}})
    app = client.flask.application
    lines = [CHARTS[name] for name in ("acute", "positive", "recent", "blank item")] + [[]]

    def call(number: int) -> tuple[str, str]:
        who = f"patient-{number}"
        text = json.dumps(call_of(VIEW, *lines[number % len(lines)])).replace(f'"{PATIENT}"', f'"{who}"')
        text = text.replace(f'"Patient/{PATIENT}"', f'"Patient/{who}"')
        answer = app.test_client().post(
            ADDRESS, data=text.encode(), content_type="application/json", headers=client.ehr.headers(ADDRESS)
        )
        return who, answer.get_data(as_text=True)

    with ThreadPoolExecutor(max_workers=16) as pool:
        answers = list(pool.map(call, range(100)))

    for number, (who, text) in enumerate(answers):
        alone = topics(client.call(*lines[number % len(lines)]))
        assert [c["source"]["topic"]["code"] for c in json.loads(text)["cards"]] == alone
        if alone:
            assert f'"Patient/{who}"' in text
        assert not [other for other in (f"patient-{n}" for n in range(100)) if other != who and f'/{other}"' in text]


# ---- over a socket ----


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    """`mhcds serve`, for what only a real server does."""
    folder, port = tmp_path_factory.mktemp("served"), free_port()
    settings(folder, service={"public_url": f"http://127.0.0.1:{port}"})
    with served(folder, "--workers", "1", port=port) as found:
        yield found


def raw(server, request: bytes) -> bytes:
    """What comes back for these very bytes, to the end of the connection."""
    host, port = server.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(request)
        found = b""
        while piece := connection.recv(65536):
            found += piece
    return found


def test_cdsh_193_no_answer_names_a_product_or_a_version(server) -> None:
    call = b"POST /cds-services/depression-suicide-risk HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    answers = [
        raw(server, b"GET /cds-services HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        raw(server, call + b"Content-Length: 2\r\n\r\n{}"),
        raw(server, b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        raw(server, call + b"Content-Length: two\r\n\r\n{}"),
        raw(server, b"nonsense\r\n\r\n"),
    ]

    assert [a.split()[1] for a in answers] == [b"200", b"401", b"404", b"400", b"400"]
    for answer in answers:
        head = answer.partition(b"\r\n\r\n")[0].lower()
        assert not [n for n in (b"gunicorn", b"werkzeug", b"flask", b"python", b"x-powered-by") if n in answer.lower()]
        assert b"traceback" not in answer.lower()
        if b"\nserver:" in head:
            assert head.partition(b"\nserver:")[2].split(b"\r\n")[0].strip() == b"mhcds"


def test_cdsh_195_a_chunked_call_over_a_socket_is_answered_on_a_connection_that_stays(server) -> None:
    sent = json.dumps(call_of(VIEW, "PHQ-9, 2026-11-20: total = 26")).encode()

    def pieces():
        yield sent[:100]
        yield sent[100:]

    for _ in range(2):
        headers = server.ehr().headers(ADDRESS) | {"Content-Type": "application/json"}
        answer = server.session.post(f"{server.base}{ADDRESS}", data=pieces(), headers=headers, timeout=30)
        assert answer.status_code == 200
        assert "cards" in answer.json()


def test_cdsh_194_https_is_for_good_where_the_service_itself_ends_tls_and_elsewhere_the_proxys_to_say(
    tmp_path, client
) -> None:
    crt, key = certificate(tmp_path)
    edge = client_of(tmp_path, service={"tls": {"certificate": crt.name, "key": key.name}})

    assert "max-age=" in edge.call().headers["Strict-Transport-Security"]
    assert "Strict-Transport-Security" not in client.call().headers
