"""Markdown of notices and reasons as safe HTML.

It contains chart text, so it is not trusted: no HTML, images, links, headings or rules, and no inline style, which our
content security policy forbids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from explanations.words.language import Language, code

OFF = ["image", "link", "autolink", "reference", "heading", "lheading", "hr"]
_parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable(OFF)


@dataclass(slots=True)
class Sources:
    """The FHIR references of one page, numbered as they are first named: sentences have the number, a list the rest.

    A copy in another language (`replace`) goes on with the same numbers.
    """

    say: Language
    listed: list[str] = field(default_factory=list)

    def cited(self, reference: str) -> str:
        """`source 3`, for a sentence. What cannot be printed in an id, or makes it too long to read, is left out."""
        reference = code(reference).strip("`")
        if reference not in self.listed:
            self.listed.append(reference)
        return self.say("source {number}", number=self.listed.index(reference) + 1)


def html(text: str, sources: Sources | None = None) -> Markup:
    """Paragraphs, lists and tables. With `sources`, what is in code marks is a reference, and is cited."""
    return _rendered(_parser.parse(text), sources)


def line(text: str, sources: Sources | None = None) -> Markup:
    """One line, without a paragraph around it."""
    return _rendered(_parser.parseInline(text), sources)


def plain(text: str) -> str:
    """One line as its text alone, references whole."""
    inline = _parser.parseInline(text)
    return "".join(
        part.content or " " * part.type.endswith("break") for token in inline for part in token.children or ()
    )


def _rendered(tokens: Sequence[Token], sources: Sources | None) -> Markup:
    for token in tokens:
        # The table rule writes alignment as an inline style.
        token.attrs.pop("style", None)
        for part in token.children or ():
            if sources and part.type == "code_inline":
                part.type, part.content = "text", sources.cited(part.content)
    return Markup(_parser.renderer.render(tokens, _parser.options, {}))  # noqa: S704 - HTML is off in the parser
