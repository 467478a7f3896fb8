"""`[backend]` of a site's file: every mistake is named with its key and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from ehr import settings

from cds_service.errors import ConfigError
from cds_service.settings.config import load_config
from smart_launch.oauth.own_keys import new_pem

TABLE = {
    "base": "https://ehr.example/fhir/",
    "client_id": "cds",
    "scopes": ["system/Observation.rs", "system/Task.crs"],
}


def loaded(folder: Path, table: dict, **service):
    site = {"fhir_bases": ["https://ehr.example/fhir", "https://other.example/r4"], "backend": table}
    return load_config(
        settings(folder, site=site, service={"mode": "production", "public_url": "https://cds.example"} | service)
    )


def test_a_backend_is_taken_as_it_is_written(tmp_path: Path) -> None:
    config = loaded(tmp_path, TABLE | {"algorithm": "RS384", "hosts": ["login.ehr.example"]})
    found = config.sites[0].backend
    assert (found.base, found.client_id, found.algorithm) == ("https://ehr.example/fhir", "cds", "RS384")
    assert found.scopes == ("system/Observation.rs", "system/Task.crs")
    assert found.registration("north").hosts == ("login.ehr.example",)


def test_its_keys_are_made_beside_sqlite_and_wanted_with_postgresql(tmp_path: Path) -> None:
    config = loaded(tmp_path / "a", TABLE, store=f"sqlite:///{tmp_path / 'mhcds.db'}")
    assert {key.algorithm for key in config.own_keys().keys} == {"ES384", "RS384"}
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "own.pem").write_text(new_pem("ES384"))
    (tmp_path / "b" / "key").write_text("k" * 44)
    postgresql = {"store": "postgresql://cds@db.example/cds", "data_key": {"file": "key"}}
    with pytest.raises(ConfigError, match="smart_keys: required with PostgreSQL"):
        loaded(tmp_path / "b", TABLE, **postgresql)


MISTAKES = {
    "no base": ({"base": ...}, "[backend] base: expected"),
    "a base of nobody": ({"base": "https://ehr.example/dstu2"}, '[backend] base: expected "https://ehr.example/fhir"'),
    "no client id": ({"client_id": " "}, "[backend] client_id: expected the client id that the EHR gave us"),
    "no scopes": ({"scopes": ...}, '[backend] scopes: expected scopes such as "system/Observation.rs"; found none'),
    "scopes of a user": ({"scopes": ["user/Observation.rs"]}, 'found "user/Observation.rs"'),
    "a word": ({"scopes": ["launch"]}, 'found "launch"'),
    "a host with a port": ({"hosts": ["login.ehr.example:8443"]}, "[backend] hosts: expected host names"),
    "another algorithm": ({"algorithm": "HS256"}, '[backend] algorithm: expected "ES384" or "RS384"; found "HS256"'),
    "an unknown key": ({"secret": "hunter2"}, "[backend] secret: no such setting"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(mistake: str, tmp_path: Path) -> None:
    changes, expected = MISTAKES[mistake]
    table = {name: value for name, value in (TABLE | changes).items() if value is not ...}
    with pytest.raises(ConfigError) as found:
        loaded(tmp_path, table)
    assert expected in str(found.value)
    assert "hunter2" not in str(found.value)
