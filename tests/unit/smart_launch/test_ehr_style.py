"""The EHR's colour: SMART-067, 098, 101."""

from __future__ import annotations

import pytest
from smart_host import Answer, smart_host

from smart_launch.pages.ehr_style import Styles, contrast, style_sheet


@pytest.fixture
def host():
    with smart_host() as found:
        found.answers["/style.json"] = Answer({"color_highlight": "#8a1538"})
        yield found


def test_smart_067_the_accent_of_the_ehr_is_taken_and_asked_for_once(host) -> None:
    styles = Styles()

    sheets = [styles.sheet(f"{host.root}/style.json", host.registration(), local=True) for _ in range(3)]

    assert set(sheets) == {"@media (prefers-color-scheme: light) { :root { --link: #8a1538; --button: #8a1538; } }\n"}
    assert len(host.asked) == 1


@pytest.mark.parametrize(
    "value",
    [
        "red",
        "#fff",
        "#ffff00",
        "#8a1538; } body { display: none",
        "url(https://evil.example)",
        "#8a1538\n",
        7,
        None,
        ["#000000"],
    ],
)
def test_smart_098_101_anything_but_a_colour_that_can_be_read_changes_nothing(value: object) -> None:
    assert style_sheet({"color_highlight": value, "color_background": "#000000"}) == ""


@pytest.mark.parametrize("url", [None, "https://evil.example/style.json", "file:///etc/passwd", ""])
def test_a_style_elsewhere_is_not_asked_for(host, url: str | None) -> None:
    assert Styles().sheet(url, host.registration(), local=True) == ""


def test_a_style_that_cannot_be_had_changes_nothing(host) -> None:
    host.answers["/style.json"] = Answer(raw=b"<html>")

    assert Styles().sheet(f"{host.root}/style.json", host.registration(), local=True) == ""


def test_contrast_is_as_wcag_has_it() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
