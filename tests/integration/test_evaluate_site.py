"""`mhcds evaluate-site`, `mhcds pool` and `mhcds monitor --html` as a site runs them."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from ehr import kept_in, mhcds, settings
from episodes import episodes, months_before, put_on_record

from cds_service.__main__ import main
from cds_service.storage.opening import open_store
from cds_service.storage.versions import upgrade

MONTHS = months_before(datetime.now(UTC).date(), 3)[:-1]


def a_site(place: Path, seed: int, n: int = 600, **how) -> Path:
    url = f"sqlite:///{place / 'store' / 'mhcds.db'}"
    (place / "store").mkdir(parents=True)
    store = open_store(url)
    upgrade(store)
    put_on_record(store, episodes(n, months=MONTHS, measured=0.6, seed=seed, **how))
    store.close()
    return settings(place / "settings", service=kept_in(url, place / "settings"))


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The settings of two sites, and a folder with what they exported."""
    one, two = (a_site(tmp_path_factory.mktemp("site"), seed) for seed in (1, 2))
    out = tmp_path_factory.mktemp("exports")
    for folder, name in ((one, "north"), (two, "south")):
        done = exported(folder, out / f"{name}.json", "--name", f"Clinic {name}")
        assert done.exit_code == 0, done.output
    return one, two, out


def here(*arguments: str):
    """A command within this process: most of a process of its own is its start."""
    return CliRunner().invoke(main, arguments)


def exported(folder: Path, file: Path, *options: str, run=here):
    ends = ("--since", MONTHS[0], "--last", MONTHS[-1]) if "--last" not in options else ()
    return run(
        "evaluate-site",
        "--config",
        str(folder),
        "--site",
        "north",
        "--by",
        "A. Name",
        "--export",
        str(file),
        *ends,
        *options,
    )


def test_a_site_writes_a_file_for_its_owner_alone_and_it_is_on_the_chain_who_did(sites) -> None:
    one, _, out = sites

    file = json.loads((out / "north.json").read_text())
    lines = here("audit", "export", "--config", str(one), "--by", "B. Name", "--reason", "test").stdout.splitlines()

    (model,) = file["models"]
    assert (file["site"], file["since"], file["last"]) == ("Clinic north", MONTHS[0], MONTHS[-1])
    assert model["everyone"]["observed"]["auroc"]["value"] > 0.6
    assert model["everyone"]["people"] % 20 == 0
    assert stat.S_IMODE((out / "north.json").stat().st_mode) == 0o600
    (event,) = [e["event"] for e in map(json.loads, lines) if e["kind"] == "export" and e["event"]["what"] == "figures"]
    assert (event["by"], event["since"], event["until"]) == ("A. Name", MONTHS[0], MONTHS[-1])


def test_a_file_is_never_written_over_nor_months_cut_out_of_those_that_were_shared(sites) -> None:
    one, _, out = sites

    again = exported(one, out / "north.json")
    cut = exported(one, out / "cut.json", "--since", MONTHS[1], "--last", MONTHS[-1])
    future = exported(one, out / "future.json", "--since", MONTHS[0], "--last", f"{datetime.now(UTC):%Y-%m}")

    assert "expected a new file" in again.stderr
    assert "overlaps" in cut.stderr
    assert "its outcome windows have passed" in future.stderr
    assert not (out / "cut.json").exists()
    assert not (out / "future.json").exists()


def test_noise_is_said_to_be_in_the_file_there_are_no_groups_and_it_is_no_use_beside_a_file_without(
    sites, tmp_path
) -> None:
    one, _, out = sites
    third = a_site(tmp_path, 3)

    done = exported(third, tmp_path / "noisy.json", "--epsilon", "6")
    more = exported(third, tmp_path / "more.json", "--epsilon", "6")
    late = exported(one, out / "late.json", "--epsilon", "1")

    assert done.exit_code == 0, done.output
    assert "of all files of these months 6" in done.output
    assert "6 went before" in more.output
    assert "without noise before" in late.output
    file = json.loads((tmp_path / "noisy.json").read_text())
    assert (file["epsilon"], file["models"][0]["groups"]) == (6.0, [])
    assert file["models"][0]["everyone"]["measured"] % 20 == 0


def test_files_of_two_sites_are_pooled_in_words_and_as_json_and_hostile_ones_refused(sites, tmp_path) -> None:
    _, _, out = sites
    files = [str(out / f"{name}.json") for name in ("north", "south")]
    odd = tmp_path / "odd.json"
    odd.write_text("{}")

    words, plain = mhcds("pool", *files), json.loads(here("pool", *files, "--json").stdout)
    alone, twice, hostile = (
        here("pool", files[0]),
        here("pool", files[0], files[0]),
        here("pool", files[0], str(odd)),
    )

    assert "2 sites together" in words.stdout
    assert "how far sites differ cannot be told from two" in words.stdout
    (found,) = [one for one in plain["pooled"] if one["measure"] == "auroc" and one["row"] == "as seen"]
    assert found["pooled"]["mean"]["low"] < found["of_sites"]["Clinic north"]["value"] < found["pooled"]["mean"]["high"]
    assert "one site with a figure that can be pooled: nothing to pool" in alone.stdout
    assert "expected each month of a site once" in twice.stderr
    assert "odd.json: expected a file of `mhcds evaluate-site`" in hostile.stderr
    assert twice.exit_code == hostile.exit_code == 1


def test_the_report_of_a_site_is_written_as_one_new_file(sites, tmp_path) -> None:
    one, _, _ = sites
    page = tmp_path / "report.html"

    done = mhcds("monitor", "--config", str(one), "--html", str(page))
    again = here("monitor", "--config", str(one), "--html", str(page))

    assert done.returncode == 0, done.stderr
    assert "Does it help?" in page.read_text(encoding="utf-8")
    assert "Depressive symptoms" in page.read_text(encoding="utf-8")
    assert "expected a new file" in again.stderr
