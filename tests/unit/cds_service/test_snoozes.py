"""When a reason that somebody gave makes a snooze."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cds_service.burden.snoozes import snooze_row
from cds_service.settings.alerts import AlertSettings
from cds_service.settings.sites import SiteConfig
from explanations.judgement.alert_limits import AlertLimits
from explanations.words.notices.notice import NoticeSettings
from models.rules.findings import Topic

NOW = datetime(2026, 11, 30, 17, 0, tzinfo=UTC)
SITE = SiteConfig(
    id="north", cards=NoticeSettings(zone=ZoneInfo("America/Chicago")), alerts=AlertSettings(limits=AlertLimits())
)


@pytest.mark.parametrize(
    ("at", "days"),
    [
        (NOW, 90),
        (NOW - timedelta(days=89), 90),
        (NOW - timedelta(days=90), None),
        (datetime.fromisoformat("0001-01-01T00:00:00Z"), None),
        (datetime.fromisoformat("9999-12-31T23:59:59-12:00"), 90),
    ],
)
def test_a_reason_counts_from_when_it_was_given_and_whatever_a_clients_clock_says(at: datetime, days: int) -> None:
    row = snooze_row(SITE, Topic.SCREENING_PROMPT, "declines", patient="p", user="u", grounds="g", at=at, now=NOW)

    assert (row and row["days"]) == days
