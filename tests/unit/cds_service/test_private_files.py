"""Files with secrets are their owner's alone, and nobody else changes settings; check-config names file and remedy."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from ehr import certificate, issuer_table, private, public_jwk, settings

from cds_service.commands.check_config import check_config
from cds_service.errors import ConfigError
from cds_service.keys.data_key import new_key
from cds_service.settings.config import load_config
from cds_service.storage.backup import write_backup
from cds_service.storage.opening import prepare
from smart_launch.oauth.own_keys import new_pem

SMART = {"iss": "https://ehr.example/fhir", "client_id": "us", "authentication": "client_secret_basic"}
FILES = ("data.key", "smart.pem", "secret.txt", "cert.key", "data/mhcds.db", "data/mhcds.db-wal", "data/mhcds.db.key")


def deployment(folder: Path, mode: str = "production") -> Path:
    """A deployment with every kind of secret, each readable by its owner alone."""
    (folder / "data").mkdir()
    for name in FILES:
        private(folder / name, "x")
    private(folder / "data.key", new_key().text)
    private(folder / "smart.pem", new_pem("ES384"))
    certificate(folder)
    service = {"mode": mode, "public_url": "https://cds.example", "data_key": {"file": "data.key"}, "smart_keys": [{"file": "smart.pem"}],
               "tls": {"certificate": "cert.crt", "key": "cert.key"}}  # fmt: skip
    return settings(folder, service=service, site={"smart": [SMART | {"client_secret": {"file": "../secret.txt"}}]})


def checked(folder: Path) -> tuple[int, str]:
    done = CliRunner().invoke(check_config, [str(folder)])
    return done.exit_code, done.output


def test_secrets_of_their_owner_alone_are_no_matter(tmp_path: Path) -> None:
    folder = deployment(tmp_path)

    assert load_config(folder, serving=True)
    status, said = checked(folder)
    assert (status, "chmod" in said) == (0, False), said


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o444, 0o666, 0o602])
@pytest.mark.parametrize("name", FILES)
def test_a_secret_that_everybody_may_read_stops_production_and_is_named(tmp_path: Path, name: str, mode: int) -> None:
    folder = deployment(tmp_path)
    (folder / name).chmod(mode)

    with pytest.raises(ConfigError) as refused:
        load_config(folder, serving=True)

    file = {"secret.txt": folder / "sites" / ".." / name}.get(name, folder / name)
    assert str(refused.value) == (
        f"{file}: expected a file that others on this machine cannot read; found mode {mode:04o}; run chmod o= {file}"
    )
    assert load_config(folder)  # a backup, say, is still made
    status, said = checked(folder)
    assert (status, f"warning: {refused.value}" in said) == (1, True)


def test_in_development_it_is_said_and_stops_nothing(tmp_path: Path) -> None:
    folder = deployment(tmp_path, "development")
    (folder / "data.key").chmod(0o644)

    assert load_config(folder, serving=True)
    status, said = checked(folder)
    assert (status, "chmod o=" in said) == (0, True)


def test_what_a_group_may_read_is_said_and_stops_nothing(tmp_path: Path) -> None:
    """As Kubernetes hands out secrets: mode 0440, owned by root, with the group of the pod."""
    folder = deployment(tmp_path)
    (folder / "data.key").chmod(0o440)

    assert load_config(folder, serving=True)
    status, said = checked(folder)
    assert (status, f"warning: {folder / 'data.key'}: mode 0440 lets its group read it" in said) == (0, True)


# ---- who may change settings ----

CHANGEABLE = ("service.toml", "sites/north.toml", "keys/ehr.json", "cert.crt", "models/own/1/manifest.json", ".", "sites",
              "keys", "data", "models/own")  # fmt: skip


def with_public_keys(folder: Path, mode: str = "production") -> Path:
    """The same, with an issuer's keys in a file of a folder of its own and with models of its own."""
    deployment(folder, mode)
    (folder / "keys").mkdir()
    (folder / "keys" / "ehr.json").write_text(json.dumps({"keys": [public_jwk("ES384", "ES384")]}))
    (folder / "models" / "own" / "1").mkdir(parents=True)
    (folder / "models" / "own" / "1" / "manifest.json").write_text("{}")
    main = folder / "service.toml"
    main.write_text(f'{main.read_text()}models = "models"\n')
    keys = issuer_table(keys=..., jwks_file="../keys/ehr.json")
    settings(folder / "one", issuers=[keys])
    (folder / "one" / "sites" / "north.toml").replace(folder / "sites" / "north.toml")
    (folder / "one" / "service.toml").unlink()
    return folder


@pytest.mark.parametrize("name", CHANGEABLE)
def test_what_everybody_may_change_stops_production_and_is_named(tmp_path: Path, name: str) -> None:
    folder = with_public_keys(tmp_path)
    assert load_config(folder, serving=True)
    path = folder / name
    mode = path.stat().st_mode & 0o777 | 0o002
    path.chmod(mode)

    with pytest.raises(ConfigError) as refused:
        load_config(folder, serving=True)

    kind = "folder" if path.is_dir() else "file"
    said = f"expected a {kind} that others on this machine cannot change; found mode {mode:04o}; run chmod o-w "
    (line,) = str(refused.value).splitlines()
    assert said in line
    assert os.path.samefile(line.partition(": ")[0], path)  # noqa: PTH121  # a folder may be named in two ways
    status, told = checked(folder)
    assert (status, f"warning: {line}" in told) == (1, True)
    path.chmod(mode & ~0o002)
    assert load_config(folder, serving=True)


def test_what_a_group_may_change_is_said_and_stops_nothing(tmp_path: Path) -> None:
    folder = with_public_keys(tmp_path)
    (folder / "sites" / "north.toml").chmod(0o664)
    (folder / "sites").chmod(0o775)

    assert load_config(folder, serving=True)
    told = checked(folder)[1]
    assert f"warning: {folder / 'sites' / 'north.toml'}: mode 0664 lets its group change it" in told
    assert f"warning: {folder / 'sites'}: mode 0775 lets its group change it" in told
    assert "chmod o" not in told


def test_a_folder_above_counts_unless_nobody_may_move_what_is_another_s_there(tmp_path: Path) -> None:
    above = tmp_path / "above"
    (above / "settings").mkdir(parents=True)
    folder = deployment(above / "settings")
    above.chmod(0o1777)
    assert load_config(folder, serving=True)

    above.chmod(0o777)

    with pytest.raises(ConfigError, match="above: expected a folder that others"):
        load_config(folder, serving=True)
    above.chmod(0o755)
    folder.chmod(0o1777)  # anybody could add a file
    with pytest.raises(ConfigError, match="settings: expected a folder that others"):
        load_config(folder, serving=True)


def test_where_nothing_can_be_written_modes_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Kubernetes mounts settings and secrets: mode 1777, and read-only."""
    folder = deployment(tmp_path)
    folder.chmod(0o1777)
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result((0,) * 8 + (os.ST_RDONLY, 255)))

    assert load_config(folder, serving=True)


def test_a_link_is_judged_by_the_file_that_it_leads_to(tmp_path: Path) -> None:
    folder = deployment(tmp_path)
    (folder / "data.key").rename(folder / "real")
    (folder / "data.key").symlink_to("real")
    assert load_config(folder, serving=True)

    (folder / "real").chmod(0o644)

    with pytest.raises(ConfigError, match=r"data\.key: expected a file that others"):
        load_config(folder, serving=True)


def test_a_backup_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    store, before = prepare(f"sqlite:///{tmp_path / 'mhcds.db'}"), os.umask(0)
    try:
        write_backup(store, tmp_path / "backup.gz")
    finally:
        os.umask(before)

    assert (tmp_path / "backup.gz").stat().st_mode & 0o777 == 0o600
    (tmp_path / "link").symlink_to(tmp_path / "target.gz")
    with pytest.raises(ConfigError, match="expected a new file"):
        write_backup(store, tmp_path / "link")
    assert not (tmp_path / "target.gz").exists()
