"""GET /about, which the source of a card leads to."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from builders import open_app

from explanations.judgement.assessment import Engine
from explanations.words.notices.topics import TOPICS

RULES = tomllib.loads((Path(__file__).parents[1] / "clinical" / "rules.toml").read_text(encoding="utf-8"))["rules"]


@pytest.fixture(scope="module")
def answer():
    return open_app(engine=Engine()).test_client().get("/about")


def test_it_is_open_and_loads_nothing(answer) -> None:
    page = answer.get_data(as_text=True)

    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert not re.search(r"<script|<img|<link|src=", page)


def test_it_says_what_every_topic_and_every_rule_is(answer) -> None:
    page = answer.get_data(as_text=True)

    said = re.findall(r"<dt>([^<]+) <span[^>]*>\(([^)]+)\)</span></dt><dd>([^<]+)</dd>", page)
    assert [(name, word) for name, word, _ in said] == [(spec.name, spec.word) for spec in TOPICS]
    # Cards name rules by these ids.
    assert {*RULES, "R12", "R13", "R16", "R17"} == set(re.findall(r'<dt id="(R[0-9]+)">', page))
    assert all(len(text) > 40 for text in re.findall(r"<dd>([^<]+)</dd>", page))


def test_its_links_lead_somewhere_also_below_a_path(answer) -> None:
    links = re.findall(r'href="([^#"]+)"', answer.get_data(as_text=True))

    assert not [link for link in links if link.startswith("/")]
    client = open_app(engine=Engine()).test_client()
    assert {link: client.get(f"/{link}").status_code for link in links} == dict.fromkeys(links, 200)
