"""The ids of the services, which sites store: a changed one breaks their registrations."""

from __future__ import annotations

from enum import StrEnum


class ServiceId(StrEnum):
    """One id per hook (what each service does: `hooks/catalogue.py`), and the SMART app, which is governed like one."""

    CHART_OPENED = "depression-suicide-risk"
    ENCOUNTER_STARTED = "depression-suicide-risk-encounter"
    DISCHARGED = "suicide-safety-discharge"
    APP = "smart-app"


ASK_MODELS = (ServiceId.CHART_OPENED, ServiceId.ENCOUNTER_STARTED, ServiceId.APP)
"""Those that ask models; at discharge documented answers alone count."""
