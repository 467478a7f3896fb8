"""`[governance]`: taken as it is written, and every mistake is named with its key and what to do."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from ehr import app_of, private, settings

from cds_service.commands.check_config import check_config
from cds_service.errors import ConfigError
from cds_service.settings import live as live_config
from cds_service.settings.config import load_config, read_config
from cds_service.settings.governance import Role
from cds_service.settings.live import LiveConfig

GOOD = {
    "issuer": "https://login.hospital.example/realms/staff",
    "client_id": "mhcds-governance",
    "client_secret": {"file": "client-secret"},
    "roles": {"viewer": ["board"], "safety-officer": ["safety", "board"]},
}


def folder_of(folder: Path, *, service: dict | None = None, **changes) -> Path:
    table = {name: value for name, value in (GOOD | changes).items() if value is not ...}
    folder.mkdir(exist_ok=True)
    private(folder / "client-secret", "s3cret\n")
    return settings(folder, service={"governance": table} | (service or {}))


def test_the_table_is_taken_as_it_is_written(tmp_path: Path) -> None:
    found = load_config(folder_of(tmp_path)).governance

    assert found is not None
    assert (found.issuer, found.client_id, found.client_secret) == (GOOD["issuer"], "mhcds-governance", "s3cret")
    assert (found.roles_claim, found.scopes, found.idle_s, found.absolute_s) == (
        "groups",
        ("openid", "profile"),
        900,
        28_800,
    )
    assert found.roles_of(frozenset({"board", "choir"})) == {Role.VIEWER, Role.SAFETY_OFFICER}
    assert found.roles_of(frozenset({"Board"})) == frozenset()
    assert "s3cret" not in repr(found)


def test_without_the_table_there_is_none(tmp_path: Path) -> None:
    assert load_config(settings(tmp_path)).governance is None


def test_check_config_says_what_the_provider_has_to_know(tmp_path: Path) -> None:
    said = CliRunner().invoke(check_config, [str(folder_of(tmp_path))]).output

    assert (
        "governance pages http://127.0.0.1:8080/governance/, sign-in at https://login.hospital.example/realms/staff, "
        "which sends people back to http://127.0.0.1:8080/governance/callback"
    ) in said


MISTAKES = {
    "no issuer": ({"issuer": ...}, "[governance] issuer: expected the https address of the OpenID provider"),
    "an issuer in the clear": (
        {"issuer": "http://login.hospital.example"},
        "(http on this machine in development only)",
    ),
    "an issuer with a query": ({"issuer": "https://login.hospital.example?x=1"}, "[governance] issuer: expected"),
    "no client id": ({"client_id": ...}, "[governance] client_id: expected our client id at the provider; found none"),
    "no secret": ({"client_secret": ...}, "[governance] client_secret: expected {"),
    "a secret written in": (
        {"client_secret": "s"},
        'client_secret: expected { file = "..." } or { env = "NAME" }; found text',
    ),
    "a secret that is not there": (
        {"client_secret": {"file": "no-such"}},
        "client_secret: the file that it names cannot be read",
    ),
    "nobody": ({"roles": ...}, "[governance] roles: expected at least one role"),
    "roles of nobody": ({"roles": {"viewer": []}}, "[governance] roles: expected at least one role"),
    "an unknown role": ({"roles": {"admin": ["it"], "viewer": ["x"]}}, "[governance] roles: expected key"),
    "a group that is no list": ({"roles": {"viewer": "board"}}, "expected a list"),
    "scopes without openid": ({"scopes": ["profile"]}, '[governance] scopes: expected "openid"'),
    "a scope with a blank": ({"scopes": ["openid profile"]}, "scopes: expected"),
    "a claim without a name": ({"roles_claim": ""}, "[governance] roles_claim: expected the name of a claim"),
    "a misspelt key": ({"role_claim": "groups"}, "[governance] role_claim: no such setting; write roles_claim"),
    "too short": ({"idle_s": 5}, "idle_s, absolute_s: expected 60 to 3600"),
    "ends before it idles": ({"idle_s": 900, "absolute_s": 600}, "absolute_s"),
}


@pytest.mark.parametrize(("changes", "words"), MISTAKES.values(), ids=MISTAKES)
def test_every_mistake_is_named(tmp_path: Path, changes: dict, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(folder_of(tmp_path, **changes))

    assert words in str(refused.value)
    assert "service.toml" in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_http_on_this_machine_only_in_development(tmp_path: Path) -> None:
    place = folder_of(tmp_path, issuer="http://127.0.0.1:9400")
    assert load_config(place).governance is not None

    _, problems = read_config(folder_of(tmp_path, issuer="http://127.0.0.1:9400", service={"mode": "production"}))

    assert any("[governance] issuer" in problem for problem in problems)


def test_the_pages_need_an_address_of_ours(tmp_path: Path) -> None:
    _, problems = read_config(folder_of(tmp_path, service={"mode": "production", "public_url": ...}))

    assert any("public_url: required" in problem for problem in problems)


def test_pages_that_come_later_take_a_restart_and_those_that_go_are_gone_at_once(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(live_config, "LOOK_S", 0.0)
    live = LiveConfig.of(settings(tmp_path), "http://127.0.0.1:1")
    folder_of(tmp_path)
    os.utime(tmp_path / "service.toml", (time.time() + 5, time.time() + 5))

    assert live().governance is None
    assert live.problem == "[governance]: changed; restart the service for it"

    app = app_of(folder_of(tmp_path / "other"))
    client = app.test_client()
    assert client.get("/governance/").status_code == 401
    settings(tmp_path / "other")
    assert client.get("/governance/").status_code == 404
