"""`[webhook]`: every mistake is named with its key and what to do, and no secret is printed."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from ehr import mhcds, settings
from webhook_receiver import SECRET

from cds_service.errors import ConfigError
from cds_service.settings.config import load_config

URL = "https://tickets.example/hooks/k3y?team=safety"


def loaded(folder: Path, table: dict, *, at: str = "service"):
    (folder / "key").write_text(f"{SECRET}\n")
    (folder / "bad").write_text("hunter2-hunter2\n")
    tables = {"service": {"mode": "production", "public_url": "https://cds.example"}, "site": {}}
    tables[at]["webhook"] = table
    return load_config(settings(folder, **tables))


@pytest.mark.parametrize("at", ["service", "site"])
def test_a_webhook_is_taken_as_it_is_written(at: str, tmp_path: Path) -> None:
    where = "key" if at == "service" else "../key"
    config = loaded(tmp_path, {"url": URL, "secret": {"file": where}}, at=at)
    assert (config.webhook_of("north").url, config.webhook_of("north").secret) == (URL, SECRET)
    assert (config.webhook_of("") is not None) is (at == "service")
    assert SECRET not in repr(config)
    assert "k3y" not in repr(config)


def test_an_address_may_be_a_secret_itself(tmp_path: Path) -> None:
    (tmp_path / "address").write_text(URL)
    config = loaded(tmp_path, {"url": {"file": "address"}, "secret": {"file": "key"}})
    assert config.webhook_of("").url == URL


MISTAKES = {
    "http": ({"url": "http://tickets.example/"}, "[webhook] url: expected an https address (http on this machine in"),
    "this machine in production": ({"url": "http://127.0.0.1/"}, "[webhook] url: expected an https address"),
    "no address": ({"url": ""}, "found none"),
    "a password in it": ({"url": "https://me:pw@tickets.example/"}, "[webhook] url: expected an https address"),
    "a fragment": ({"url": f"{URL}#here"}, "[webhook] url: expected an https address"),
    "no secret": ({"secret": ...}, '[webhook] secret: expected { file = "..." } or { env = "NAME" }; found none'),
    "a secret written in": ({"secret": SECRET}, "[webhook] secret: expected {"),
    "another text": ({"secret": {"file": "bad"}}, "[webhook] secret: expected whsec_ and 24 to 64 bytes in base64"),
    "a secret that is not there": ({"secret": {"env": "NO_SUCH"}}, "[webhook] secret: the environment variable"),
    "an unknown key": ({"uri": URL}, "[webhook] uri: no such setting; remove it"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_and_no_secret_is_printed(mistake: str, tmp_path: Path) -> None:
    changes, expected = MISTAKES[mistake]
    table = {"url": URL, "secret": {"file": "key"}} | changes
    with pytest.raises(ConfigError) as found:
        loaded(tmp_path, {name: value for name, value in table.items() if value is not ...})
    assert expected in str(found.value)
    assert not [word for word in ("hunter2", SECRET, "pw@") if word in str(found.value)]


@pytest.mark.parametrize(("length", "usable"), [(23, False), (24, True), (64, True), (65, False)])
def test_a_secret_has_24_to_64_bytes(length: int, usable: bool, tmp_path: Path) -> None:
    (tmp_path / "own").write_text("whsec_" + base64.b64encode(b"k" * length).decode())
    try:
        loaded(tmp_path, {"url": URL, "secret": {"file": "own"}})
        assert usable
    except ConfigError:
        assert not usable


def test_check_config_says_where_incidents_go_and_not_the_whole_address(tmp_path: Path) -> None:
    folder = settings(tmp_path / "a")
    assert "site north: no [webhook]: incidents are only listed" in mhcds("check-config", str(folder)).stdout
    (folder / "key").write_text(SECRET)
    service = {"mode": "development", "webhook": {"url": URL, "secret": {"file": "key"}}}
    said = mhcds("check-config", str(settings(folder, service=service))).stdout
    assert "site north: incidents are sent to tickets.example\n" in said
    assert "k3y" not in said
