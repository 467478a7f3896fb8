"""The page of figures: what came of cards and escalations, by site and month."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date

from flask import Response

from cds_service.burden.figures import CardFigures, EscalationFigures, figures
from cds_service.burden.on_record import latest_months
from cds_service.governance.rendering import page
from cds_service.governance.session import Desk, Visitor
from cds_service.settings.alerts import AlertSettings
from explanations.words.notices.topics import SPEC_OF
from models.rules.findings import Topic

MOST_EVENTS = 100_000
"""Of a site, the latest; more would keep whoever looks waiting."""


def figures_page(desk: Desk, visitor: Visitor) -> Response:
    """This month and the two before it, the newest first."""
    config, now = desk.runtime.config(), desk.runtime.now()
    window = latest_months(now.date())
    found = figures(desk.rows.store, config.sites, window, now, most=MOST_EVENTS)
    cells: dict[tuple[str, str], list[CardFigures]] = defaultdict(list)
    for cell in found.cards:
        cells[cell.month, cell.site].append(cell)
    told: dict[tuple[str, str], EscalationFigures] = {(one.month, one.site): one for one in found.escalations}
    read = {(one.month, one.site): one for one in found.education}
    months = sorted({*cells, *told, *read}, key=lambda key: (key[0], key[1]), reverse=True)
    return page(
        "figures.html",
        visitor,
        months=[
            (_month_words(month), site, cells[month, site], told.get((month, site)), read.get((month, site)))
            for month, site in months
        ],
        since=window.since,
        partial=found.partial,
        most=MOST_EVENTS,
        alerts={site.id: site.alerts for site in config.sites},
        no_alerts=AlertSettings(),
        parts=parts,
        topics={topic.value: SPEC_OF[topic].name for topic in Topic},
    )


def parts(counts: Mapping[str, int]) -> str:
    """Such as `declines 3, none 1`, the most first."""
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda part: -part[1]))


def _month_words(month: str) -> str:
    return f"{date.fromisoformat(f'{month}-01'):%B %Y}"
