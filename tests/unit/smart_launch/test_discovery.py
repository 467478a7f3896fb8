"""smart-configuration: SMART-020 to 029, against a real host on loopback."""

from __future__ import annotations

import pytest
from smart_host import Answer, smart_host

from smart_launch.errors import EhrFailed
from smart_launch.oauth.discovery import Discovery, parse_configuration
from smart_launch.oauth.outbound import allowed_url

WELL_KNOWN = "/fhir/.well-known/smart-configuration"


@pytest.fixture
def host():
    with smart_host() as found:
        yield found


def test_smart_020_021_it_is_read_below_the_base_with_its_path(host) -> None:
    found = Discovery(local=lambda: True).endpoints(host.registration())

    (asked,) = host.asked
    assert (asked.path, asked.headers["accept"]) == (WELL_KNOWN, "application/json")
    assert (found.token, found.issuer) == (f"{host.root}/token", f"{host.root}/op")


def test_smart_027_it_is_kept_for_some_minutes_and_asked_again_when_told_to_forget(host) -> None:
    clock = [0.0]
    discovery = Discovery(local=lambda: True, clock=lambda: clock[0])
    ours = host.registration()
    for seconds in (0, 500, 99):
        clock[0] += seconds
        discovery.endpoints(ours)
    assert len(host.asked) == 1
    clock[0] += 2
    discovery.endpoints(ours)
    assert len(host.asked) == 2
    discovery.forget(ours)
    discovery.endpoints(ours)

    assert len(host.asked) == 3


def test_smart_023_relative_addresses_are_taken_from_the_fhir_base() -> None:
    content = {
        "authorization_endpoint": "auth/authorize",
        "token_endpoint": "/token",
        "code_challenge_methods_supported": ["S256"],
    }

    found = parse_configuration(content, "https://ehr.example/a/fhir")

    assert found.authorization == "https://ehr.example/a/fhir/auth/authorize"
    assert found.token == "https://ehr.example/token"


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge_methods_supported": None},
        {"code_challenge_methods_supported": ["plain"]},
        {"token_endpoint": None},
        {"authorization_endpoint": 7},
        {"authorization_endpoint": ""},
    ],
)
def test_smart_022_a_configuration_that_cannot_serve_us_is_refused(host, changes: dict) -> None:
    host.configuration |= changes
    with pytest.raises(EhrFailed):
        Discovery(local=lambda: True).endpoints(host.registration())


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri", "revocation_endpoint"])
@pytest.mark.parametrize(
    "url", ["https://evil.example/x", "http://evil.example/x", "javascript:alert(1)", "https:evil"]
)
def test_smart_028_endpoints_on_a_host_that_is_not_registered_are_refused(host, name: str, url: str) -> None:
    host.configuration[name] = url
    with pytest.raises(EhrFailed) as refused:
        Discovery(local=lambda: True).endpoints(host.registration())

    assert refused.value.page == "ehr-not-trusted"
    assert "evil" not in str(refused.value)


def test_smart_028_a_registered_host_may_hold_them(host) -> None:
    host.configuration["token_endpoint"] = "https://login.ehr.example/token"

    found = Discovery(local=lambda: True).endpoints(host.registration(hosts=("login.ehr.example",)))

    assert found.token == "https://login.ehr.example/token"


def test_smart_028_plain_http_on_this_machine_is_for_development(host) -> None:
    with pytest.raises(EhrFailed):
        Discovery(local=lambda: False).endpoints(host.registration())


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://ehr.example/token", True),
        ("https://EHR.example/token?x=1", True),
        ("https://ehr.example:8443/token", True),
        ("https://ehr.example@evil.example/token", False),
        ("https://evil.example/ehr.example", False),
        ("https://ehr.example.evil.example/", False),
        ("https://evil.example\\@ehr.example/", False),
        ("https://evil.example#@ehr.example/", False),
        ("http://ehr.example/token", False),
        ("//ehr.example/token", False),
        ("https://ehr.example:port/token", False),
        ("https://ehr.exämple/", False),
        (None, False),
    ],
)
def test_where_a_call_may_go(url: object, allowed: bool) -> None:
    assert allowed_url(url, ["ehr.example"], local=True) is allowed


@pytest.mark.parametrize(
    "answer", [Answer({}, 404), Answer(raw=b"<html>"), Answer({}, 301, {"Location": "/x"}), Answer([])]
)
def test_what_cannot_be_discovered_is_an_error_that_the_next_launch_tries_again(host, answer: Answer) -> None:
    clock = [0.0]
    discovery = Discovery(local=lambda: True, clock=lambda: clock[0])
    good = host.answers[WELL_KNOWN]
    host.answers[WELL_KNOWN] = answer
    for _ in range(3):
        with pytest.raises(EhrFailed):
            discovery.endpoints(host.registration())
    assert len(host.asked) == 1
    host.answers[WELL_KNOWN] = good
    clock[0] += 5

    assert discovery.endpoints(host.registration()).token


@pytest.mark.parametrize(
    ("capabilities", "version_2"), [([], True), (["permission-v1"], False), (["permission-v1", "permission-v2"], True)]
)
def test_smart_026_040_scopes_are_asked_for_in_the_version_that_the_server_has(
    capabilities: list, version_2: bool
) -> None:
    content = {
        "authorization_endpoint": "a",
        "token_endpoint": "b",
        "code_challenge_methods_supported": ["S256"],
        "capabilities": capabilities,
    }

    assert parse_configuration(content, "https://ehr.example/fhir").version_2 is version_2
