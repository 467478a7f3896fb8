"""Plots of the evaluation report as HTML snippets: inline SVG, or a PNG in a data address where dots are many.

The same numbers give the same bytes. Grey-scale safe: series differ by dash and marker, not by colour alone. Each plot
has a title and a description. Only this module uses matplotlib and shap. Computes no reported figures.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from models.scoring.calibration import Floats

INK, MUTED, BAR = "#17212b", "#4d5b69", "#3f5a78"
STYLES: tuple[dict[str, Any], ...] = (
    {"color": "#1d4f80", "linestyle": "-", "linewidth": 2.0},
    {"color": "#8a5300", "linestyle": "--", "linewidth": 1.8},
    {"color": "#4d5b69", "linestyle": ":", "linewidth": 2.0},
    {"color": "#17212b", "linestyle": "-.", "linewidth": 1.4},
)
_RC: dict[Any, Any] = {
    "svg.hashsalt": "mhcds",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A named line: x and y of the same length."""

    name: str
    x: Sequence[float] | Floats
    y: Sequence[float] | Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalEstimate:
    """A named figure with its interval, and the count of events behind it; value None where too few."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    events: int


def lines(
    title: str, shows: str, curves: Sequence[Curve], *, x: str, y: str, diagonal: bool = False,
    limits: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 1.0), markers: bool = False,
) -> Markup:  # fmt: skip
    """Curves in one square of axes; `limits` are x from, x to, y from, y to."""
    with mpl.rc_context(_RC):
        figure = Figure(figsize=(5.2, 4.4), layout="constrained")
        axes = figure.subplots()
        if diagonal:
            axes.plot(limits[:2], limits[:2], color="#7d8b98", linewidth=1, linestyle=(0, (1, 3)))
        for number, curve in enumerate(curves):
            axes.plot(curve.x, curve.y, label=curve.name, marker="osD^"[number % 4] if markers else None, markersize=4,
                      **STYLES[number % len(STYLES)])  # fmt: skip
        axes.set(xlabel=x, ylabel=y, xlim=limits[:2], ylim=limits[2:])
        axes.legend(frameon=False, fontsize=9)
        return _svg(figure, title, shows)


def forest(title: str, shows: str, panels: Mapping[str, tuple[Sequence[IntervalEstimate], float]]) -> Markup:
    """Rows of estimates with intervals; panel -> its estimates and where its reference line stands."""
    first = next(iter(panels.values()))[0]
    with mpl.rc_context(_RC):
        figure = Figure(figsize=(8.6, 1.0 + 0.26 * len(first)), layout="constrained")
        for axes, (name, (estimates, reference)) in zip(
            np.atleast_1d(figure.subplots(1, len(panels), sharey=True)), panels.items(), strict=True
        ):
            _forest_panel(axes, name, estimates, reference)
        return _svg(figure, title, shows)


def _forest_panel(axes: Axes, name: str, estimates: Sequence[IntervalEstimate], reference: float) -> None:
    axes.axvline(reference, color="#7d8b98", linewidth=1)
    for row, estimate in enumerate(estimates):
        if estimate.value is None or estimate.low is None or estimate.high is None:
            axes.text(reference, row, " too few", va="center", fontsize=8, color=MUTED)
            continue
        axes.plot([estimate.low, estimate.high], [row, row], color=BAR, linewidth=1.5)
        axes.plot([estimate.value], [row], marker="s", color=BAR, markersize=4)
    axes.set_yticks(range(len(estimates)), [f"{e.name} ({e.events:,})" for e in estimates], fontsize=8)
    axes.set_ylim(len(estimates) - 0.5, -0.5)
    axes.set_xlabel(name)


def heat_map(title: str, shows: str, rows: Sequence[str], columns: Sequence[str], values: NDArray[np.float64],
             off: NDArray[np.float64]) -> Markup:  # fmt: skip
    """Figures in cells, the darker the further off. values, off: shape (rows, columns); off in [0, 1]."""
    with mpl.rc_context(_RC):
        figure = Figure(figsize=(8.6, 0.9 + 0.34 * len(rows)), layout="constrained")
        axes = figure.subplots()
        axes.imshow(off, cmap="Greys", vmin=0, vmax=1.6, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            axes.text(
                column, row, "too few" if np.isnan(value) else f"{value:.3f}", ha="center", va="center", fontsize=9
            )
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(rows)), rows)
        axes.tick_params(length=0)
        return _svg(figure, title, shows)


def beeswarm(title: str, shows: str, names: Sequence[str], contributions: Floats, values: Floats, most: int) -> Markup:
    """Beeswarm of shap: one dot a person and input. contributions, values: shape (people, inputs), log-odds."""
    import shap  # noqa: PLC0415 - a slow import, for reports only
    from matplotlib import pyplot as plt  # noqa: PLC0415 - shap draws on pyplot's current figure

    state = np.random.get_state()  # noqa: NPY002 - shap jitters with the global generator
    np.random.seed(0)  # noqa: NPY002 - as above
    try:
        with mpl.rc_context({**_RC, "backend": "agg"}):
            shap.plots.beeswarm(
                shap.Explanation(values=contributions, data=values, feature_names=list(names)),
                max_display=most, show=False, plot_size=(8.2, 5.6), color=plt.get_cmap("cividis"),
            )  # fmt: skip
            plt.xlabel("change of the estimate (log-odds)")
            return _png(plt.gcf(), title, shows)
    finally:
        plt.close("all")
        np.random.set_state(state)  # noqa: NPY002 - as above


def dependence(title: str, shows: str, panels: Sequence[tuple[str, Floats, Floats]]) -> Markup:
    """Dependence plots of shap of some inputs side by side: (name, values, contributions) of each."""
    import shap  # noqa: PLC0415 - as above
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

    state = np.random.get_state()  # noqa: NPY002 - as above
    np.random.seed(0)  # noqa: NPY002 - as above
    try:
        with mpl.rc_context({**_RC, "backend": "agg"}):
            figure, axes = plt.subplots(1, len(panels), figsize=(2.9 * len(panels), 2.8), layout="constrained")
            for axis, (name, values, contributions) in zip(np.atleast_1d(axes), panels, strict=True):
                explanation = shap.Explanation(values=contributions, data=values, feature_names=name)
                shap.plots.scatter(explanation, ax=axis, show=False, color=BAR, hist=False, x_jitter=0.4, dot_size=6)
                axis.set_ylabel("log-odds")
            return _png(figure, title, shows)
    finally:
        plt.close("all")
        np.random.set_state(state)  # noqa: NPY002 - as above


def _svg(figure: Figure, title: str, shows: str) -> Markup:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    drawing = out.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    start, _, rest = drawing.partition(">")
    label = Markup("<title>{}</title><desc>{}</desc>").format(title, shows)
    # matplotlib repeats its ids in every drawing; on one page they must differ.
    salt = f"p{hashlib.sha256(title.encode()).hexdigest()[:8]}"
    rest = rest.replace('id="', f'id="{salt}-').replace('href="#', f'href="#{salt}-').replace("url(#", f"url(#{salt}-")
    return Markup(f'{start} role="img" class="plot">{label}{rest}')  # noqa: S704 - made here, words escaped above


def _png(figure: Figure, title: str, shows: str) -> Markup:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None}, bbox_inches="tight", facecolor="white")
    image = base64.b64encode(out.getvalue()).decode()
    words = f"{title}. {shows}"
    return Markup(f'<img class="plot" alt="{escape(words)}" src="data:image/png;base64,{image}">')  # noqa: S704 - as above
