"""What cards and pages say once it is put together, over all sample charts and in each language that we ship.

A rule of tests/wording can be broken by two texts that each keep it. Figures are shown where a site asks for them, as
people out of a hundred, and nowhere else.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from pathlib import Path

import app_views
import pytest
from flask import Flask
from shown_texts import SITE, assessed, card_texts, cards, page_texts
from wording_rules import faults, of_a_hundred

from explanations.words.language import language, languages
from smart_launch.pages.language import FOLDERS

SHIPPED = languages()
WITH_FIGURES = {"figures"}
"""The looks of app_views whose site shows figures."""


def texts_of_cards(shared: Path, locale: str, *, figures: bool) -> set[str]:
    site = replace(SITE, say=replace(language(locale), reviewed=True), show_probability=figures)
    shown = chain.from_iterable(cards(*both, site) for both in assessed(shared))
    return {text for card in shown for text in card_texts(card)}


@pytest.mark.parametrize("locale", SHIPPED)
def test_cards_with_and_without_figures_keep_to_the_language_rules(shared: Path, locale: str) -> None:
    plain, figures = (texts_of_cards(shared, locale, figures=on) for on in (False, True))

    assert [(m.group(), text) for text in plain | figures for m, _ in faults(text, locale)] == []
    assert [text for text in plain if of_a_hundred(locale).search(text)] == []
    assert [text for text in figures if of_a_hundred(locale).search(text)] != []


@pytest.fixture(scope="module", params=SHIPPED)
def app(request: pytest.FixtureRequest) -> tuple[str, Flask]:
    """A language, as if all of it were reviewed, and the pages in it."""
    return request.param, app_views.flask_app(replace(language(request.param, FOLDERS), reviewed=True))


@pytest.mark.parametrize("page", app_views.PAGES)
def test_pages_keep_to_the_language_rules_and_show_an_estimate_only_where_a_site_asks(
    app: tuple[str, Flask], page: str
) -> None:
    locale, flask = app
    texts = list(page_texts(flask.test_client().get(f"/smart/look/{page}").text))

    assert [(m.group(), text) for text in texts for m, _ in faults(text, locale)] == []
    # What the module for clinicians gives out of a hundred is published, or counted at the site.
    if not page.startswith("learn/"):
        hundred = [text for text in texts if any(of_a_hundred(each).search(text) for each in {"en", locale})]
        assert bool(hundred) is (page.partition("/")[2] in WITH_FIGURES), hundred
