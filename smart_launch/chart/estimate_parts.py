"""The estimates of a page with their bars and figures; or the one reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from explanations.judgement.assessment import Assessment
from explanations.pictures.small_plots import bar, icon_array
from explanations.words.estimates import ADDS_UP, EstimateView, estimate_views, is_one_reason
from explanations.words.language import Language, capitalised
from explanations.words.notices import NoticeSettings
from explanations.words.outcomes import OUTCOME_WORDS
from models.scoring.risk import NotScored
from smart_launch.pages.markdown import line


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What moved an estimate: what it was, what it did, and its bar."""

    what: Markup
    change: str
    bar: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One outcome; `view` has the words. `wide` and `narrow`: one hundred figures, where the site turned them on."""

    view: EstimateView
    rows: tuple[Row, ...]
    adds_up: str
    wide: Markup | None = None
    narrow: Markup | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimates:
    """All of them. `reason`: instead, why there is none, where that is the same for all."""

    views: tuple[Estimate, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpinionTopic:
    """What an opinion may be about: its code, and its words."""

    code: str
    words: str


def estimates_of(assessment: Assessment, settings: NoticeSettings, say: Language) -> Estimates:
    """The estimates, those that are there first."""
    views = estimate_views(assessment, settings, say)
    if len(views) > 1 and is_one_reason(assessment.scores):
        return Estimates(reason=views[0].detail)
    return Estimates(
        views=tuple(_estimate(view, say) for view in sorted(views, key=lambda v: (not v.above, not v.rows)))
    )


def _estimate(view: EstimateView, say: Language) -> Estimate:
    rows = tuple(Row(what=line(capitalised(r.what)), change=r.change, bar=drawn(bar(r.log_odds))) for r in view.rows)
    if view.probability is None or view.high is None:
        return Estimate(view=view, rows=rows, adds_up=say(ADDS_UP))
    name = f"share-{view.outcome}"
    return Estimate(
        view=view,
        rows=rows,
        adds_up=say(ADDS_UP),
        wide=drawn(icon_array(view.probability, view.high, f"{name}-wide", say)),
        narrow=drawn(icon_array(view.probability, view.high, f"{name}-narrow", say, columns=10)),
    )


def drawn(svg: str) -> Markup:
    """A picture that `explanations` drew: its texts are escaped there."""
    return Markup(svg)  # noqa: S704 - escaped where it is drawn


def outcomes_of(assessment: Assessment, say: Language) -> tuple[OpinionTopic, ...]:
    """The outcomes that an estimate was made of, and the page itself."""
    made = [score.outcome for score in assessment.scores if not isinstance(score, NotScored)]
    estimates = (OpinionTopic(code=code, words=say(OUTCOME_WORDS[code].estimate)) for code in made)
    return (*estimates, OpinionTopic(code="page", words=say("This page")))
