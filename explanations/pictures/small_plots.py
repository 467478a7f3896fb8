"""Small pictures: the bar of one reason, a figure with its interval, and an icon array of 100 figures.

Bars repeat the words in their table row and are hidden from screen readers. Colours are CSS variables: `bar`, `axis`,
`ink`, `muted`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

from explanations.pictures.plot_parts import Entry, key
from explanations.pictures.svg import TEXT_SIZE, decoration, el, picture, value_of
from explanations.words.estimates.outcomes import shares
from explanations.words.language import Language

# Log-odds from the middle to either end, the same for every patient.
AXIS = 1.0
BAR_WIDTH, BAR_HEIGHT = 168.0, 16.0
_MIDDLE, _UNIT = BAR_WIDTH / 2, 48.0


def bar(log_odds: float) -> str:
    """A bar on the fixed axis: solid to the right if it raised the estimate, outlined to the left if it lowered it.

    A bar longer than the axis is cut, with a tip and its figure after it.
    """
    if not math.isfinite(log_odds):
        raise ValueError("expected a finite contribution in log-odds")
    side = 1 if log_odds >= 0 else -1
    length = max(1.0, min(abs(log_odds), AXIS) * _UNIT)
    look: dict[str, str | float] = {"stroke": "var(--bar)", "stroke_width": 1.5}
    look["fill"] = "var(--bar)" if side > 0 else "none"
    drawn = [
        el("line", x1=_MIDDLE, y1=0, x2=_MIDDLE, y2=BAR_HEIGHT, stroke="var(--axis)"),
        el("rect", x=_MIDDLE if side > 0 else _MIDDLE - length, y=4, width=length, height=8, **look),
    ]
    if abs(log_odds) > AXIS:
        tip = _MIDDLE + side * (_UNIT + 2)
        points = f"{value_of(tip)},3 {value_of(tip + side * 7)},8 {value_of(tip)},13"
        drawn.append(el("polygon", points=points, fill="var(--bar)"))
        anchor = "start" if side > 0 else "end"
        figure = f"{abs(log_odds):.1f}"
        drawn.append(
            el("text", figure, x=tip + side * 9, y=12, text_anchor=anchor, font_size=TEXT_SIZE, fill="var(--muted)")
        )
    return decoration(BAR_WIDTH, BAR_HEIGHT, drawn)


def interval(value: float, low: float, high: float, ends: tuple[float, float], *, even: float) -> str:
    """A figure as a point on its 95 % interval, between two ends (all in the same units), with a line at `even`.

    What lies beyond an end is cut there, with a tip.
    """

    def x(at: float) -> float:
        share = (min(max(at, ends[0]), ends[1]) - ends[0]) / (ends[1] - ends[0])
        return 8 + share * (BAR_WIDTH - 16)

    middle, left, right = BAR_HEIGHT / 2, x(low), x(high)
    drawn = [
        el("line", x1=x(even), y1=0, x2=x(even), y2=BAR_HEIGHT, stroke="var(--axis)"),
        el("line", x1=left, y1=middle, x2=right, y2=middle, stroke="var(--bar)", stroke_width=2),
        el("circle", cx=x(value), cy=middle, r=4, fill="var(--bar)"),
    ]
    for is_cut, at, side in ((low < ends[0], left, -1), (high > ends[1], right, 1)):
        if is_cut:
            points = f"{value_of(at)},3 {value_of(at + side * 7)},8 {value_of(at)},13"
            drawn.append(el("polygon", points=points, fill="var(--bar)"))
    return decoration(BAR_WIDTH, BAR_HEIGHT, drawn)


HUNDRED = 100
CELL, ROW = 18.0, 26.0
LEAST_WIDTH = 250.0
"""For the words of the key, which the narrow page has room for."""
PERSON = "M7 0a3 3 0 1 1 0 6a3 3 0 1 1 0-6zM3 8a1 1 0 0 1 1-1h6a1 1 0 0 1 1 1v6h-2v7h-4v-7h-2z"


def icon_array(probability: float, high: float, ident: str, say: Language, *, columns: int = 20) -> str:
    """100 figures: solid for the estimate, striped up to the upper end of its range, outlined for the rest.

    For sites that turned figures on. 20 columns for a wide page, 10 for a narrow one.
    """
    solid, upper = shares(probability, high)
    title = say("About {people} of 100 survey adults with similar records", people=solid)
    # Translators: the key of a picture with 100 small drawings of people; keep these three short.
    meanings = {"solid": say("{count} of 100: the estimate", count=solid)}
    if upper > solid:
        meanings["striped"] = say("up to {count}: upper end of the range", count=upper)
    meanings["outline"] = say("the others")
    finding = array_words(probability, high, say)
    return hundred(solid, upper, ident, title, finding, columns=columns, meanings=meanings)


def hundred(
    solid: int,
    upper: int,
    ident: str,
    title: str,
    finding: str,
    *,
    columns: int = 20,
    meanings: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """100 figures: so many solid, those up to `upper` striped, the rest outlined.

    meanings: the key below them: what "solid", "striped" and "outline" stand for.
    """
    wide, height = 4 + columns * CELL, 2 + HUNDRED // columns * ROW
    person, stripes = f"{ident}-person", f"{ident}-stripes"
    lines = el("path", d="M0 2H4", stroke="var(--bar)", stroke_width=1.5)
    pattern = el("pattern", lines, id=stripes, width=4, height=4, patternUnits="userSpaceOnUse")
    drawn = [el("defs", el("path", id=person, d=PERSON), pattern)]

    fills = {"solid": "var(--bar)", "striped": f"url(#{stripes})", "outline": "none"}

    def alike(look: str, *figures: str) -> str:
        return el("g", *figures, fill=fills[look], stroke="var(--axis)" if look == "outline" else "var(--bar)")

    for look, (first, end) in zip(fills, pairwise((0, solid, max(solid, upper), HUNDRED)), strict=True):
        places = ((2 + n % columns * CELL, 2 + n // columns * ROW) for n in range(first, end))
        figures = [el("use", href=f"#{person}", x=x, y=y) for x, y in places]
        drawn += [alike(look, *figures)] if figures else []

    def entry(look: str, words: str) -> Entry:
        # Two thirds of the size, standing on the line of its words.
        def small(x: float, y: float) -> str:
            place = f"translate({value_of(x - 5)} {value_of(y - 7)}) scale(0.667)"
            return alike(look, el("use", href=f"#{person}", transform=place))

        return small, words

    if meanings:
        wide = max(wide, LEAST_WIDTH)
        below, height = key((entry(*meaning) for meaning in meanings.items()), 2, wide, height + 2)
        drawn, height = drawn + below, height + 6
    return picture(ident, wide, height, title, finding, drawn)


def array_words(probability: float, high: float, say: Language) -> str:
    """The icon array in words."""
    solid, upper = shares(probability, high)
    # Translators: the figures are small drawings of people.
    first = say.many("{count} of 100 figures is solid", "{count} of 100 figures are solid", solid)
    if upper == solid:
        return say("{solid}; the upper end of the range is the same number.", solid=first)
    second = say.many("{count} more is striped", "{count} more are striped", upper - solid)
    return say(
        "{solid}; {striped}, up to {upper}, the upper end of the range.", solid=first, striped=second, upper=upper
    )
