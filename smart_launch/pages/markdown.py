"""Markdown of notices and reasons as HTML that is safe to place in a page.

Chart text stands in it, so it is treated as foreign: HTML off, no images, no links, no headings, no rules, and no
inline style, which the policy of our pages forbids.
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
