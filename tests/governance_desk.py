"""The service with governance pages and something on each of them, for tests and pictures: a real provider, a real store."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from ehr import app_of, free_port, private
from episodes import episodes
from escalation_desk import acute, assessment
from flask import Flask
from openid import Between, governed
from werkzeug.serving import make_server

from cds_service.control import acts
from cds_service.control.acts import Actor, ModeRow
from cds_service.control.targets import Mode, SwitchTarget, known_of
from cds_service.escalation import escalations
from cds_service.escalation.links import PatientLink
from cds_service.escalation.opening import open_drill, open_for
from cds_service.escalation.records import listed, patient_of
from cds_service.incidents import incidents
from cds_service.incidents.incidents import Handling, NewIncident
from cds_service.incidents.kinds import IncidentKind
from cds_service.monitoring.counting import site_figures
from cds_service.monitoring.site_figures import write_figures
from cds_service.storage.tables import delivery, escalation, opt_out
from explanations.judgement.assessment import Engine
from explanations.judgement.escalation import Done
from models.evaluation.weighting import weighted_figures
from models.scoring.registry import SHIPPED, sha256, the_version

# Two pagers, told in turn.
PAGED = {
    "chart_url": "https://ehr.example/chart?id={patient}",
    "contact": [
        {"name": name, "channel": "webhook", "within_min": 5,
         "webhook": {"url": f"http://127.0.0.1:9/{name.split()[0].lower()}", "secret": {"file": "pager-secret"}}}
        for name in ("Crisis pager", "House officer")
    ],
}  # fmt: skip
# Planted where patients' data may be: no page may have it.
PLANTED = "Zebulon-Featherstone"


def digest_of(outcome: str) -> tuple[str, str]:
    """Version and digest of the newest artifact."""
    folder = the_version(SHIPPED / outcome)
    return folder.name, sha256(folder / "manifest.json")


def approval(*, ended: bool = False) -> str:
    """An approval of both models at site north, of one artifact that exists and one that does not."""
    version, digest = digest_of("depression")
    today = datetime.now(UTC).date()
    last = today - timedelta(days=3) if ended else today + timedelta(days=170)
    return f"""
id = "pilot-2027"
version = "2"
sites = ["north"]
owner = "Head of Primary Care"
clinical_safety_officer = "Dr O. Officer"
approved_on = {today - timedelta(days=10)}
review_by = {last}
uses = ["pilot", "live"]
[[model]]
outcome = "depression"
version = "{version}"
digest = "{digest}"
[[model]]
outcome = "suicidal-ideation"
version = "3.0.0"
digest = "{"a" * 64}"
[[success]]
measure = "accepted-share"
at_least = 0.2
least_n = 50
window_days = 30
text = "A fifth of the cards lead to a screening that is ordered."
[[exit]]
measure = "near-misses"
at_least = 1
least_n = 1
window_days = 30
text = "A clinician reports that a card misled them."
"""


def desk(folder: Path, between: Between, *, engine: Engine | None = None, full: bool = True, **service) -> Flask:
    """The app; `full`: with an approval, switches, modes, incidents and opt-outs."""
    if full:
        (folder / "approvals").mkdir(parents=True)
        (folder / "approvals" / "pilot.toml").write_text(approval())
    (folder / "sites").mkdir(parents=True, exist_ok=True)
    private(folder / "sites" / "pager-secret", "whsec_" + base64.b64encode(b"p" * 32).decode())
    governed(folder, between, service=service, site={"consent": "not-used", "escalation": PAGED} if full else None)
    app = app_of(folder, engine=engine)
    if full:
        fill(app)
    return app


def fill(app: Flask) -> None:
    runtime = app.extensions["mhcds"]
    store, now, key = runtime.store, runtime.now(), runtime.key
    known = known_of(runtime.config())
    officer = Actor("Olu Officer (olu)", "page")
    version, _ = digest_of("depression")
    acts.set_mode(
        store,
        ModeRow(
            site="north", service="", outcome="depression", version=version, mode=Mode.PILOT, at=now, by=officer.who,
            reason="Pilot in two practices, protocol 7", through="page", approval="pilot-2027", share=0.2,
            departments=("Location/7", "Location/8"),
        ),
        known=known,
    )  # fmt: skip
    acts.switch_off(
        store, SwitchTarget(outcome="suicidal-ideation"), actor=Actor("Ines Operator (ines)", "page"),
        reason="Drift seen in the weekly report, ticket 4711", now=now, known=known,
    )  # fmt: skip
    acts.switch_off(
        store, SwitchTarget(topic="recent-safety", site="north"), actor=officer,
        reason="Doubled cards after the EHR's upgrade", now=now, known=known,
    )  # fmt: skip
    with store.transaction() as connection:
        connection.execute(
            opt_out.insert().values(site="north", patient="0" * 32, at=now.isoformat(), source="command")
        )
        near = NewIncident(
            site="north",
            kind=IncidentKind.NEAR_MISS,
            occasion="launch-1",
            facts={"about": "depression", "reason": "wrong"},
        )
        first = incidents.open_incident(connection, near, now)
        late = NewIncident(
            site="north",
            kind=IncidentKind.APPROVAL_EXPIRED,
            occasion="x",
            facts={"approval": "pilot-2026", "ended": "2026-11-27"},
        )
        incidents.open_incident(connection, late, now)
    with store.transaction() as connection:
        told = Handling(
            by="Ines Operator (ines)", at=now, sealed=key.seal("Called the practice; they had an old form open.")
        )
        incidents.note(connection, first, told)


def fill_figures(app: Flask) -> None:
    """Figures of one model at site north, as the daily look leaves them; the other is not measured there."""
    version, now = digest_of("depression")[0], app.extensions["mhcds"].now()
    made = episodes(1500, version=version, level=0.8, seed=2)
    rows = site_figures(made, threshold=0.2, now=now, weigh=partial(weighted_figures, repeats=20))
    write_figures(app.extensions["mhcds"].store, "north", rows)


def fill_escalations(app: Flask) -> dict[str, str]:
    """One that is overdue, one that was told of, one acknowledged and done, a drill; by patient, their ids."""
    runtime = app.extensions["mhcds"]
    store, key, config, now = runtime.store, runtime.key, runtime.config(), runtime.now()
    site = config.site("north")

    def opened(patient: str, minutes: float) -> None:
        link = PatientLink(patient_id=patient, server="https://ehr.example/fhir")
        found, at = assessment(acute(when=f"{now - timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}")), None
        at = now - timedelta(minutes=minutes)
        open_for(store, key, site, link, found, at, service="mental-health-chart")

    opened("acknowledged/1", 200)
    with store.transaction() as connection:
        (first,) = listed(connection)
        at = now - timedelta(minutes=196)
        escalations.acknowledge(connection, first.id, by="", through="feedback", now=at)
    with store.transaction() as connection:
        who = {"by": "Rhea Responder (rhea)", "through": "page", "now": now - timedelta(minutes=180)}
        escalations.record_done(connection, first.id, [Done.ASSESSMENT, Done.SAFETY_PLAN], **who)
    opened("overdue 1", 40)
    for minutes in (34, 27, 20, 5):
        escalations.advance(store, config, now - timedelta(minutes=minutes))
    opened("told-1", 2)
    theirs = delivery.c.escalation.in_(
        sa.select(escalation.c.id).where(escalation.c.patient == key.pseudonym("north", "told-1"))
    )
    with store.transaction() as connection:
        came = {"delivered": int(now.timestamp()), "attempts": 2}
        connection.execute(delivery.update().where(theirs).values(came))
    drilled = PatientLink(patient_id="drill-1")
    contact = site.escalation.contacts[0]
    open_drill(store, key, site, drilled, contact, now - timedelta(minutes=1), service="drill")
    with store.transaction() as connection:
        found = {row.id: patient_of(connection, key, row.id) for row in listed(connection, open_only=False)}
    return {link.patient_id: identifier for identifier, link in found.items()}


@contextmanager
def listening(
    folder: Path, between: Between, engine: Engine | None = None, *, full: bool = True
) -> Iterator[tuple[str, Flask]]:
    """The same on loopback, for browsers."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    app = desk(folder, between, engine=engine, full=full, public_url=address)
    server = make_server("127.0.0.1", port, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield address, app
    finally:
        server.shutdown()
        server.server_close()
