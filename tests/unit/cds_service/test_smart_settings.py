"""`[[smart]]` and `smart_keys`: every mistake is named with its key and what to do; SMART-001 to 004, 028, 046."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from ehr import app_of, settings

from cds_service.errors import ConfigError
from cds_service.settings import live as live_config
from cds_service.settings.config import load_config
from cds_service.settings.live import LiveConfig
from smart_launch.oauth.own_keys import new_pem
from smart_launch.settings import ClientAuthentication

SMART = {"iss": "https://ehr.example/fhir/", "client_id": "ours", "frame_ancestors": ["https://ehr.example"]}


def loaded(folder: Path, *, service: dict | None = None, **changes):
    table = {name: value for name, value in (SMART | changes).items() if value is not ...}
    return load_config(settings(folder, site={"smart": [table]}, service=service))


def test_smart_002_003_a_registration_is_taken_as_it_is_written(tmp_path: Path) -> None:
    (entry,) = loaded(tmp_path, hosts=["login.ehr.example"], label="North").registrations

    assert (entry.iss, entry.client_id, entry.label, entry.site) == (
        "https://ehr.example/fhir",
        "ours",
        "North",
        "north",
    )
    assert entry.authentication is ClientAuthentication.PRIVATE_KEY_JWT
    assert (entry.write_back, entry.standalone, entry.idle_s, entry.absolute_s) == (True, True, 900, 28_800)


MISTAKES = {
    "iss": ({"iss": "http://ehr.example/fhir"}, "[[smart]] iss: expected an https address"),
    "iss that is none": ({"iss": "ehr"}, "[[smart]] iss: expected an https address"),
    "no iss": (
        {"iss": ...},
        "[[smart]] iss: expected an https address (http on this machine in development only); found none",
    ),
    "no client id": ({"client_id": ""}, "[[smart]] client_id: expected the client id"),
    "a client id of blanks": ({"client_id": "  "}, "[[smart]] client_id: expected the client id"),
    "an iss with a blank": ({"iss": "https://ehr.example/fh ir"}, "[[smart]] iss: expected an https address"),
    "an iss with a control character": (
        {"iss": "https://ehr.example/\u0001"},
        "[[smart]] iss: expected an https address",
    ),
    "an iss that goes up": ({"iss": "https://ehr.example/../fhir"}, "[[smart]] iss: expected an https address"),
    "an iss with two slashes": ({"iss": "https://ehr.example/fhir//"}, "[[smart]] iss: expected an https address"),
    "an iss that is not ASCII": ({"iss": "https://ehr.exämple/fhir"}, "[[smart]] iss: expected an https address"),
    "a label that turns the text": ({"label": "\u202eNorth"}, "[[smart]] label: expected text"),
    "no issuer of ID tokens": ({"id_token_issuer": ""}, "[[smart]] id_token_issuer: expected text"),
    "a frame in the clear": ({"frame_ancestors": ["http://ehr.example"]}, "[[smart]] frame_ancestors"),
    "a scope of a server": ({"scopes": ["system/Observation.rs"]}, "[[smart]] scopes"),
    "an unknown key": ({"client": "x"}, "[[smart]] client: no such setting; remove it"),
    "an unknown way": (
        {"authentication": "none"},
        'expected "client_secret_basic" or "client_secret_post" or "private_key_jwt"; found "none"',
    ),
    "a secret too many": ({"client_secret": {"env": "X"}}, 'expected none with authentication = "private_key_jwt"'),
    "no secret": ({"authentication": "client_secret_basic"}, "[[smart]] client_secret: expected {"),
    "a secret written in": (
        {"authentication": "client_secret_post", "client_secret": "s"},
        'client_secret: expected { file = "..." } or { env = "NAME" }; found text',
    ),
    "a secret that is not there": (
        {"authentication": "client_secret_post", "client_secret": {"env": "NO_SUCH_VARIABLE"}},
        "client_secret: the environment variable that it names is not set",
    ),
    "a path in an origin": ({"frame_ancestors": ["https://ehr.example/"]}, "[[smart]] frame_ancestors"),
    "any origin": ({"frame_ancestors": ["https://*.ehr.example"]}, "[[smart]] frame_ancestors"),
    "an origin that adds a policy": (
        {"frame_ancestors": ["https://ehr.example;script-src"]},
        "[[smart]] frame_ancestors",
    ),
    "capital letters": ({"frame_ancestors": ["https://EHR.example"]}, "small letters"),
    "a host with a port": ({"hosts": ["login.ehr.example:8443"]}, "[[smart]] hosts"),
    "a host that is an address": ({"hosts": ["https://login.ehr.example"]}, "[[smart]] hosts"),
    "every type": ({"scopes": ["launch", "patient/*.rs"]}, "without *"),
    "no scope": ({"scopes": ["patient/Observation"]}, "[[smart]] scopes"),
    "too short": ({"idle_s": 5}, "idle_s, absolute_s: expected 60 to 3600"),
    "too long": ({"absolute_s": 100_000}, "absolute_s"),
    "ends before it idles": ({"idle_s": 900, "absolute_s": 600}, "absolute_s"),
    "keys elsewhere in the clear": ({"id_token_jwks": "http://x.example/k"}, "[[smart]] id_token_jwks"),
}


@pytest.mark.parametrize(("changes", "words"), MISTAKES.values(), ids=MISTAKES)
def test_every_mistake_is_named(tmp_path: Path, changes: dict, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, **changes)

    assert words in str(refused.value)
    assert "north.toml" in str(refused.value)


def test_two_registrations_with_one_ehr_are_refused(tmp_path: Path) -> None:
    sites = {name: {"consent": "not-used", "smart": [SMART]} for name in ("north", "south")}
    with pytest.raises(ConfigError, match=r'iss: 2 tables have "https://ehr\.example/fhir"'):
        load_config(settings(tmp_path, sites=sites))


def test_http_on_this_machine_is_for_development(tmp_path: Path) -> None:
    local = "http://127.0.0.1:9090/fhir"
    assert loaded(tmp_path, iss=local).registrations[0].iss == local

    with pytest.raises(ConfigError, match=r"\[\[smart\]\] iss"):
        loaded(tmp_path, iss=local, service={"mode": "production", "public_url": "https://cds.example"})


def test_keys_are_made_beside_a_sqlite_database_and_stay(tmp_path: Path) -> None:
    folder = settings(tmp_path, site={"smart": [SMART]})
    kids = [
        [k["kid"] for k in app_of(folder).test_client().get("/smart/jwks.json").get_json()["keys"]] for _ in range(2)
    ]

    assert kids[0] == kids[1]
    assert len(kids[0]) == 2
    for path in (tmp_path / "data").glob("*.pem"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_smart_007_keys_that_are_named_are_published_in_their_order(tmp_path: Path) -> None:
    for name in ("now", "next"):
        (tmp_path / f"{name}.pem").write_text(new_pem("ES384"))

    config = loaded(tmp_path, service={"smart_keys": [{"file": "now.pem"}, {"file": "next.pem"}]})

    assert len(config.smart_keys.published()["keys"]) == 2


@pytest.mark.parametrize("text", ["no key", ""])
def test_keys_that_are_none_are_refused_without_being_quoted(tmp_path: Path, text: str) -> None:
    (tmp_path / "key.pem").write_text(text)
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, service={"smart_keys": [{"file": "key.pem"}]})

    assert "smart_keys" in str(refused.value)


def test_postgresql_needs_keys_that_all_replicas_have(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("x")
    service = {"store": "postgresql://u@h/d", "data_key": {"file": "key"}}
    with pytest.raises(ConfigError, match="smart_keys: required with PostgreSQL"):
        loaded(tmp_path, service=service)


def test_without_a_registration_no_keys_are_made_and_no_launch_is_known(tmp_path: Path) -> None:
    client = app_of(settings(tmp_path)).test_client()

    assert client.get("/smart/jwks.json").get_json() == {"keys": []}
    assert client.get("/smart/launch?iss=https%3A%2F%2Fehr.example%2Ffhir&launch=x").status_code == 400
    assert not list((tmp_path / "data").glob("*.pem"))


def test_smart_007_008_a_key_and_a_secret_that_are_changed_in_their_files_are_used_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_config, "LOOK_S", 0)
    key, secret = tmp_path / "key.pem", tmp_path / "secret"
    key.write_text(new_pem("ES384"))
    secret.write_text("one")
    table = SMART | {"authentication": "client_secret_basic", "client_secret": {"file": str(secret)}}
    live = LiveConfig.of(
        settings(tmp_path / "settings", service={"smart_keys": [{"file": str(key)}]}, site={"smart": [table]}), "x"
    )
    before = live()
    key.write_text(new_pem("ES384"))
    secret.write_text("another")
    after = live()

    assert (before.registrations[0].secret, after.registrations[0].secret) == ("one", "another")
    assert before.smart_keys != after.smart_keys
    secret.unlink()
    assert live().registrations[0].secret == "another"
    assert "cannot be read" in str(live.problem)
