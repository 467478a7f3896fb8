"""A near miss reported in the app: its record and its incident in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cds_service.incidents.incidents import Handling, NewIncident, note, open_incident, open_of
from cds_service.incidents.kinds import IncidentKind
from cds_service.storage.app_store import AppRows, app_event
from cds_service.storage.chain import append
from smart_launch.chart.opinions import NEAR_MISS

APP = "app"  # who wrote a note that came with a report; whoever it was is in the audit chain, as a pseudonym


@dataclass(frozen=True, slots=True)
class ReportingRows(AppRows):
    """The app's rows, with incidents."""

    def record(self, at: str, event: Mapping[str, object]) -> None:
        """Appends one event; a near miss also opens an incident, or adds to the one of this launch."""
        if event.get("choice") != NEAR_MISS:
            AppRows.record(self, at, event)
            return
        about, launch, site = str(event["outcome"]), str(event["launch"]), str(event["site"])
        facts = {"about": about, "launch": launch}
        if "reason" in event:
            facts["reason"] = str(event["reason"])
        occasion = f"near-miss:{launch}:{about}"
        new = NewIncident(site=site, kind=IncidentKind.NEAR_MISS, occasion=occasion, facts=facts)
        moment, sealed = datetime.fromisoformat(at), str(event.get("comment", "")).encode() or None
        with self.store.transaction() as connection:
            append(connection, app_event(at, event))
            opened = open_incident(connection, new, moment)
            identifier = opened or open_of(connection, occasion)
            if identifier and (sealed or not opened):
                note(connection, identifier, Handling(by=APP, at=moment, sealed=sealed))
