"""What `mhcds monitor` and the daily look compute: a site's figures, with weights where these can be computed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cds_service.burden.on_record import Window
    from cds_service.monitoring.counting import Weigh
    from cds_service.monitoring.episodes import Episode
    from cds_service.monitoring.site_figures import SiteFigures
    from cds_service.settings.config import ServiceConfig
    from cds_service.settings.sites import SiteConfig
    from cds_service.storage.store import Store


def window_of(site: SiteConfig, since: datetime | None, until: datetime | None, now: datetime) -> Window:
    """The months that are asked for, up to the latest that is closed; else the latest twelve."""
    from cds_service.burden.on_record import Window
    from cds_service.monitoring.daily import closed_months

    closed = closed_months(site, now)
    end = min(closed.until, (until.date() + timedelta(days=31)).replace(day=1)) if until else closed.until
    return Window(since=since.date() if since else min(closed.since, end), until=end)


def figures_of(
    store: Store, config: ServiceConfig, site: SiteConfig, window: Window, now: datetime,
    episodes: Sequence[Episode] | None = None,
) -> tuple[SiteFigures, ...]:  # fmt: skip
    """The figures of a site, from its episodes if they are known already."""
    from cds_service.monitoring.daily import figures_of_site, version_facts

    if episodes is None:
        episodes = episodes_of(store, site, window, now)
    weighing = weigh() if episodes else None
    facts = partial(version_facts, config.models, site)
    return figures_of_site(store, site, window, episodes, now, facts=facts, weigh=weighing)


def episodes_of(store: Store, site: SiteConfig, window: Window, now: datetime) -> Sequence[Episode]:
    """The episodes of a site that begin within these months."""
    from cds_service.monitoring.linking import episodes

    return episodes(store, site, window, now)


@cache
def weigh() -> Weigh | None:
    """Weighted figures, or None with a line that says what they need."""
    try:
        from models.evaluation.weighting import weighted_figures
    except ImportError:
        click.echo("No weighted figures: they need `pip install mental-health-cds[monitor]`.", err=True)
        return None
    return weighted_figures
