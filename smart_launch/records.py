"""The audit record of the app: who, which patient, which launch, what was shown or written (SMART-100).

Ids are pseudonyms; no field holds a token, or a value, name or text from the chart.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from functools import partial
from typing import Any

from explanations.judgement.measured import MeasuredResult
from smart_launch.runtime import AppRuntime
from smart_launch.session.sessions import Session

log = logging.getLogger("mhcds")


def record_event(
    app: AppRuntime,
    session: Session,
    what: str,
    measured: Iterable[MeasuredResult] = (),
    /,
    **fields: Any,  # noqa: ANN401  # codes, counts
) -> None:
    """Appends one event; it is stored before the page is sent. measured: results on file, which no log has."""
    event = {"what": what, "site": session.site, "launch": session.launch_id, **fields}
    log.info(json.dumps({"event": "smart-app", **event}))
    patient = app.pseudonym(session.site, session.context.patient)
    results = [each.recorded(partial(app.pseudonym, session.site)) for each in measured]
    known = {"measured": results} if results else {}
    app.store.record(app.now().isoformat(), {**event, "user": _user(app, session), "patient": patient, **known})


def record_of_user(app: AppRuntime, session: Session, what: str, **fields: str) -> None:
    """Appends one event about the user alone: no patient and no launch."""
    event = {"what": what, "site": session.site, **fields}
    log.info(json.dumps({"event": "smart-app", **event}))
    app.store.record(app.now().isoformat(), {**event, "user": _user(app, session)})


def _user(app: AppRuntime, session: Session) -> str | None:
    user = session.user
    return app.pseudonym(session.site, f"{user.iss}\0{user.subject}") if user else None
