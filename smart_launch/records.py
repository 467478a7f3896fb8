"""The audit record of the app: who, which patient, which launch, what was shown or written (SMART-100).

Ids are pseudonyms; no field holds a token, or a value, name or text from the chart.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from smart_launch.runtime import AppRuntime
from smart_launch.session.sessions import Session

log = logging.getLogger("mhcds")


def record_event(app: AppRuntime, session: Session, what: str, **fields: Any) -> None:  # noqa: ANN401  # codes, counts
    """Appends one event; it is stored before the page is sent."""
    user = session.user
    who = app.pseudonym(session.site, f"{user.iss}\0{user.subject}") if user else None
    event = {"what": what, "site": session.site, "launch": session.launch_id, **fields}
    log.info(json.dumps({"event": "smart-app", **event}))
    patient = app.pseudonym(session.site, session.context.patient)
    app.store.record(app.now().isoformat(), {**event, "user": who, "patient": patient})
