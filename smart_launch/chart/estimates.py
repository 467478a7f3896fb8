"""The estimates of a page with their bars and figures, or the one reason why there are none."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from explanations.judgement.assessment import Assessment
from explanations.pictures.small_plots import bar, icon_array
from explanations.words.language import Language, capitalised
from explanations.words.notices.notice import NoticeSettings
from explanations.words.pages.estimates import ADDS_UP, EstimateView, estimate_views, is_one_reason
from smart_launch.pages.markdown import Sources, line


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateRow:
    """One reason for an estimate: the input, its effect, and its bar."""

    what: Markup
    change: str
    bar: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimatePanel:
    """One outcome; `view` has the words. `wide`, `narrow`: icon arrays of 100 figures, if the site turned them on."""

    view: EstimateView
    rows: tuple[EstimateRow, ...]
    adds_up: str
    wide: Markup | None = None
    narrow: Markup | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimates:
    """All estimates, or the single `reason` why there are none."""

    panels: tuple[EstimatePanel, ...] = ()
    reason: str = ""


def estimates_of(assessment: Assessment, settings: NoticeSettings, say: Language, sources: Sources) -> Estimates:
    """The estimates, those above the threshold first."""
    views = estimate_views(assessment, settings, say)
    if len(views) > 1 and is_one_reason(assessment.scores):
        return Estimates(reason=views[0].detail)
    return Estimates(
        panels=tuple(_panel(view, say, sources) for view in sorted(views, key=lambda v: (not v.above, not v.rows)))
    )


def _panel(view: EstimateView, say: Language, sources: Sources) -> EstimatePanel:
    rows = tuple(
        EstimateRow(what=line(capitalised(r.what), sources), change=r.change, bar=inline_svg(bar(r.log_odds)))
        for r in view.rows
    )
    wide, narrow = _icons(view, "wide", say, columns=20), _icons(view, "narrow", say, columns=10)
    return EstimatePanel(view=view, rows=rows, adds_up=say(ADDS_UP), wide=wide, narrow=narrow)


def _icons(view: EstimateView, width: str, say: Language, *, columns: int) -> Markup | None:
    if view.probability is None or view.high is None:
        return None
    return inline_svg(icon_array(view.probability, view.high, f"share-{view.outcome}-{width}", say, columns=columns))


def inline_svg(svg: str) -> Markup:
    """A picture from `explanations`, which escapes its text."""
    return Markup(svg)  # noqa: S704 - escaped where it is drawn
