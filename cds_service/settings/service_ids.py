"""The ids of the services, which sites store: a changed one breaks their registrations."""

from __future__ import annotations

from enum import StrEnum


class ServiceId(StrEnum):
    """One id per hook; what each service does is in `hooks/catalogue.py`."""

    CHART_OPENED = "depression-suicide-risk"
    ENCOUNTER_STARTED = "depression-suicide-risk-encounter"
    DISCHARGED = "suicide-safety-discharge"
