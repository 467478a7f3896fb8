"""GET /model-card and /model-card.json."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from builders import open_app

from cds_service.settings.config import default_config
from explanations.judgement.assessment import Engine, ModelFailure
from models.inputs.outcomes import OUTCOMES
from models.reports.card import LocalSections

PAGES = ("/model-card", "/model-card.json")


@pytest.fixture(scope="module")
def client():
    return open_app().test_client()


def test_the_json_names_every_deployed_model_with_its_version(client):
    content = client.get("/model-card.json").get_json()

    assert [card["outcome"] for card in content["models"]] == list(OUTCOMES)
    assert all(re.match(r"\d+\.\d+\.\d+", card["version"]) for card in content["models"])
    assert content["not_loaded"] == []


@pytest.mark.parametrize("address", PAGES)
def test_a_card_is_open_cacheable_and_not_sent_twice(client, address: str):
    first = client.get(address, headers={"Authorization": "Bearer nonsense"})

    again = client.get(address, headers={"If-None-Match": first.headers["ETag"]})

    assert (first.status_code, again.status_code, again.data) == (200, 304, b"")
    assert "max-age" in first.headers["Cache-Control"]
    assert first.headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_has_no_script_and_fetches_nothing(client):
    answer = client.get("/model-card")
    page = answer.get_data(as_text=True)

    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!#|model-card\.json)', page)
    assert page.count("<h1>") == 1
    assert '<html lang="en">' in page


def test_every_figure_on_the_page_has_an_interval_and_every_source_attribute_is_there(client):
    page = client.get("/model-card").get_data(as_text=True)

    assert len(re.findall(r"<strong>\d\.\d\d \(\d\.\d\d to \d\.\d\d\)</strong>", page)) == 4 * len(OUTCOMES)
    assert len(re.findall(r"<dt>\d+\. ", page)) == 31 * len(OUTCOMES)


def test_what_a_site_wrote_is_shown_as_text():
    local = {"depression": LocalSections(contact="<script>alert(1)</script> & co")}
    client = open_app(replace(default_config(), model_cards=local)).test_client()

    page = client.get("/model-card").get_data(as_text=True)

    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; co" in page
    assert "<script>" not in page


def test_a_model_that_could_not_be_loaded_is_named_without_the_reason():
    reason = "expected SHA-256 in /secret/place"
    lost = [("depression", None), ("suicidal-ideation", "2.0.0")]
    engine = Engine(failures=tuple(ModelFailure(outcome=o, version=v, reason=reason) for o, v in lost))
    client = open_app(engine=engine).test_client()

    content, page = client.get("/model-card.json").get_json(), client.get("/model-card").get_data(as_text=True)

    assert content["not_loaded"] == [
        {"outcome": "depression"},
        {"outcome": "suicidal-ideation", "version": "2.0.0"},
    ]
    assert "<h2>Suicidal ideation 2.0.0</h2>" in page
    assert "could not be loaded" in page
    assert "secret" not in page
