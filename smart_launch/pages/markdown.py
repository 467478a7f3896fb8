"""Markdown of notices and reasons as safe HTML.

It contains chart text, so it is not trusted: no HTML, images, links, headings or rules, and no inline style, which our
content security policy forbids.
"""

from __future__ import annotations

from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

OFF = ["image", "link", "autolink", "reference", "heading", "lheading", "hr"]
_parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable(OFF)


def html(text: str) -> Markup:
    """Paragraphs, lists and tables."""
    return _rendered(_parser.parse(text))


def line(text: str) -> Markup:
    """One line, without a paragraph around it."""
    return _rendered(_parser.parseInline(text))


def _rendered(tokens: Sequence[Token]) -> Markup:
    for token in tokens:
        # The table rule writes alignment as an inline style.
        token.attrs.pop("style", None)
    return Markup(_parser.renderer.render(tokens, _parser.options, {}))  # noqa: S704 - HTML is off in the parser
