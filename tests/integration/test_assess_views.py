"""`mhcds assess` for people: what a terminal of any width shows, with and without colours, and the page of one file."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from app_views import AS_OF, ENGINE, LOOKS, Look
from builders import LOW, bundle, given, patient
from click.testing import CliRunner

from cds_service.__main__ import main
from cds_service.commands.assess_files import Assessed, assess_file
from cds_service.commands.assessed_view import print_assessed
from cds_service.settings.config import default_config

SHOWN = ("ask", "recent", "prompt", "figures", "acute", "anomaly", "nothing", "many", "deceased", "opted-out")
CODES = re.compile(r"\x1b\[[0-9;]*m")


def written(folder: Path, made: Look) -> Path:
    path = folder / "chart.json"
    found = [resource for line in made.lines for resource in given(line)]
    path.write_bytes(
        bundle(patient(made.age, **({"deceasedBoolean": True} if made.deceased else {})), *found, *made.more)
    )
    return path


@pytest.fixture(params=SHOWN)
def assessed(request, tmp_path: Path) -> Assessed:
    site = replace(default_config().sites[0], thresholds=LOW)
    found = assess_file(str(written(tmp_path, LOOKS[request.param])), as_of=AS_OF, site=site, engine=ENGINE)
    assert isinstance(found, Assessed)
    return replace(found, name="chart.json")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(assessed: Assessed, monkeypatch, width: int, **environment: str) -> str:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    for name, value in {"COLUMNS": str(width), "TERM": "xterm", "COLORTERM": "", **environment}.items():
        monkeypatch.setenv(name, value)
    print_assessed(assessed)
    return terminal.getvalue()


def test_nothing_is_wider_than_the_terminal_or_cut_but_addresses_stay_whole(assessed, monkeypatch) -> None:
    words = []
    for width in (60, 80, 120):
        printed = CODES.sub("", on_terminal(assessed, monkeypatch, width))
        assert all(len(line) <= width for line in printed.splitlines() if "https://" not in line), width
        assert "…" not in printed.replace("Maximiliana", "")
        words.append(sorted(re.findall(r"[^\s│╭╮╰╯─]+", printed)))

    assert len(words[0]) > 20
    assert "".join(sorted("".join(words[0]))) == "".join(sorted("".join(words[2])))


def test_colours_only_repeat_what_words_say_and_can_be_switched_off(assessed, monkeypatch) -> None:
    coloured = on_terminal(assessed, monkeypatch, 80)
    plain = on_terminal(assessed, monkeypatch, 80, NO_COLOR="1")

    assert CODES.sub("", coloured) == CODES.sub("", plain)
    assert not re.search(r"\x1b\[(?:[0-9;]*;)?(?:3[0-7]|38|9[0-7])[;m]", plain)
    assert not re.search(r"\x1b\[(?:[0-9;]*;)?(?:32|92)m", coloured), "green praises"


def test_bars_stand_for_totals_and_a_form_without_one_has_none(tmp_path: Path, monkeypatch) -> None:
    lines = ("PHQ-9, 9 days ago: items 1-8 = 2, item 9 = 1, total = 17", "PHQ-9, 40 days ago: items 1-5 = 1")
    path = written(tmp_path, Look(lines=lines))
    found = assess_file(str(path), as_of=AS_OF, site=default_config().sites[0], engine=ENGINE)
    assert isinstance(found, Assessed)

    rows = CODES.sub("", on_terminal(found, monkeypatch, 100)).splitlines()

    assert any(re.match(r"14 Nov 2026 +████████▌····· +17 of 27 +1 of 3, several days", row) for row in rows)
    (incomplete,) = (row for row in rows if row.startswith("14 Oct 2026"))
    assert "none" in incomplete and not re.search("[█▌·]", incomplete)


def test_the_page_of_a_file_is_one_document_without_script_form_or_anything_from_elsewhere(assessed) -> None:
    page = assessed.page()
    linked = re.findall(r'(?:src|href|action)="([^"]*)"', page)

    assert page.startswith("<!doctype html>") and page.count("<html") == 1
    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    assert not re.search(r"<script|<form|<button(?! type=\"button\")|<link|url\((?!#)|@import", page)
    assert all(link.startswith(("#", "https://")) for link in linked)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(re.findall(r'id="([^"]+)"', page))
    assert all(notice.summary.replace("’", "’") in page.replace("&#39;", "'") for notice in assessed.notices[1:])
    assert "Made from the file chart.json" in page and "nobody was notified" in page


def test_a_page_is_of_one_file_alone(tmp_path: Path) -> None:
    path = str(written(tmp_path, LOOKS["nothing"]))

    refused = CliRunner().invoke(main, ["assess", "--format", "html", path, path])
    given_one = CliRunner().invoke(main, ["assess", "--format", "html", "--as-of", "2026-11-23", path])

    assert refused.exit_code == 2 and "expected one file; found 2" in refused.output
    assert given_one.exit_code == 0 and "</html>" in given_one.output
