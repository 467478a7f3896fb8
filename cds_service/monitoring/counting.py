"""Episodes to figures: of any run of whole months of one site, outcome and version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from cds_service.monitoring.episodes import Episode
from cds_service.monitoring.site_figures import OutcomeFigures, SiteFigures

Weigh = Callable[[Sequence[Episode], float], OutcomeFigures]
"""Weighted figures of episodes at a threshold: `models.evaluation.weighting`, which a serving worker cannot import."""


def site_figures(
    episodes: Sequence[Episode], *, threshold: float | None, now: datetime, weigh: Weigh | None = None
) -> tuple[SiteFigures, ...]:
    """All months together, then each month, of one site, outcome and version. Empty without episodes."""
    raise NotImplementedError
