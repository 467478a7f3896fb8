"""SVG as text: elements with escaped content, and boxes to keep text apart.

Geometry is in attributes and colour in CSS variables (`var(--ink)`): no style attribute or script, to suit a strict
content security policy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from unicodedata import east_asian_width

# Width of a letter relative to the font size, above the average of system fonts. Names from the chart can be in
# capitals or in any script.
LETTER, CAPITAL, WIDE_LETTER = 0.56, 0.7, 1.0
# No label is smaller: pictures are shown at their own size or larger.
TEXT_SIZE = 12


def el(name: str, *inside: str, **attributes: str | float) -> str:
    """One element; `inside` is SVG already. `stroke_width=2` becomes `stroke-width="2"`, `class_` becomes `class`."""
    written = "".join(f' {_name(key)}="{value_of(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>{''.join(inside)}</{name}>" if inside else f"<{name}{written}/>"


def words(text: str) -> str:
    """Untrusted text as content: escaped, without characters that XML forbids."""
    return escape("".join(c for c in text if c.isprintable()))


def value_of(value: str | float) -> str:
    """An attribute's value: numbers with at most one decimal."""
    return words(value) if isinstance(value, str) else f"{round(value, 1) or 0:g}"


def _name(key: str) -> str:
    return key.removesuffix("_").replace("_", "-")


def picture(ident: str, width: float, height: float, title: str, finding: str, drawn: Iterable[str]) -> str:
    """A picture with its name and its finding for screen readers. `ident` must be unique on the page."""
    names = (f"{ident}-title", f"{ident}-desc")
    return el(
        "svg",
        el("title", words(title), id=names[0]),
        el("desc", words(finding), id=names[1]),
        *drawn,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {value_of(width)} {value_of(height)}",
        width=width,
        height=height,
        role="img",
        aria_labelledby=" ".join(names),
    )


def decoration(width: float, height: float, drawn: Iterable[str]) -> str:
    """A picture beside words that say the same; screen readers pass over it."""
    return el(
        "svg",
        *drawn,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {value_of(width)} {value_of(height)}",
        width=width,
        height=height,
        aria_hidden="true",
        focusable="false",
    )


def text(
    content: str, x: float, y: float, *, anchor: str = "start", fill: str = "ink", room: float = float("inf")
) -> str:
    """One line of text with its baseline at `y`; set narrower where it would be wider than its room."""
    look: dict[str, str | float] = {"text_anchor": anchor, "font_size": TEXT_SIZE, "fill": f"var(--{fill})"}
    if text_width(content) > room:
        look |= {"textLength": room, "lengthAdjust": "spacingAndGlyphs"}
    return el("text", words(content), x=x, y=y, **look)


def text_width(line: str) -> float:
    """The approximate width of a line of text; errs on the wide side."""
    return sum(_letter(c) for c in line) * TEXT_SIZE


def _letter(letter: str) -> float:
    if letter in "MWmw@%" or east_asian_width(letter) in "WF" or ord(letter) > LAST_NARROW:
        return WIDE_LETTER
    return CAPITAL if letter.isupper() else LETTER


LAST_NARROW = 0x2FFF


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle by its edges."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether the two overlap."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def wider(self, gap: float) -> Box:
        """The box with a gap added left and right."""
        return Box(self.left - gap, self.top, self.right + gap, self.bottom)

    def within(self, other: Box) -> bool:
        """Whether this one lies inside the other."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


def text_box(line: str, x: float, y: float, anchor: str = "start") -> Box:
    """The box of a line of text with its baseline at `y`."""
    wide, size = text_width(line), TEXT_SIZE
    left = {"start": x, "middle": x - wide / 2, "end": x - wide}[anchor]
    return Box(left, y - size, left + wide, y + 3)
