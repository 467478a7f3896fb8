"""Assembles the demo EHR: charts, FHIR API, authorization server, pager and page, as one Flask app."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import Flask

from cds_service.demo_ehr.authorization import routes as authorization
from cds_service.demo_ehr.authorization import staff
from cds_service.demo_ehr.authorization.behaviour import Behaviour
from cds_service.demo_ehr.authorization.clients import Client
from cds_service.demo_ehr.authorization.server import AuthorizationServer, Choice
from cds_service.demo_ehr.clinic import page
from cds_service.demo_ehr.clinic.pager import Pager
from cds_service.demo_ehr.clinic.pager import create_blueprint as create_pager
from cds_service.demo_ehr.clinic.panel import AppPlace
from cds_service.demo_ehr.clinic.state import Clinic
from cds_service.demo_ehr.config import CLIENT_ID, Addresses
from cds_service.demo_ehr.fhir_api import routes as fhir_server
from cds_service.demo_ehr.fhir_api.charts import Charts
from cds_service.demo_ehr.patients.chart_builder import PRACTITIONER, visit_of_today
from cds_service.demo_ehr.patients.people import USER, DemoPatient


@dataclass(frozen=True, slots=True, kw_only=True)
class Ehr:
    """The app to serve, and its parts."""

    app: Flask
    charts: Charts
    clinic: Clinic
    authorization: AuthorizationServer


def create_ehr(
    addresses: Addresses,
    patients: Sequence[DemoPatient],
    as_of: datetime,
    token: str,
    *,
    behaviour: Behaviour | None = None,
    now: Callable[[], float] = time.time,
) -> Ehr:
    """The EHR at these addresses, with the service as a registered app. `token` is the one of hook calls.

    behaviour, now: for tests; how the authorization server behaves, and the clock in seconds since 1970.
    """
    written = [*(patient.chart for patient in patients), (PRACTITIONER,)]
    charts = Charts(written, now=lambda: datetime.fromtimestamp(now(), UTC))
    pager = Pager(addresses, now)
    clinic = Clinic(patients=patients, as_of=as_of, charts=charts, pager=pager)
    server = AuthorizationServer(
        fhir_base=addresses.fhir_base,
        page_origin=addresses.page_origin,
        user=USER,
        choices=[Choice(patient=p.id, name=p.name, about=f"{p.age}, {p.reason}") for p in patients],
        visit=lambda patient_id: _begun_visit(charts, clinic, patient_id),
        behaviour=behaviour,
        now=now,
    )
    client = registered(addresses)
    server.clients.register(client)
    place = AppPlace(addresses=addresses, client=client, new_launch=server.new_launch)
    app = Flask("cds_service.demo_ehr", static_folder=None)
    app.register_blueprint(authorization.create_blueprint(server))
    app.register_blueprint(fhir_server.create_blueprint(charts, token, base=addresses.fhir_base, access=server.access))
    app.register_blueprint(staff.create_blueprint(staff.StaffSignIn(addresses.staff_issuer, _of_staff(addresses), now)))
    app.register_blueprint(create_pager(pager))
    app.register_blueprint(page.create_blueprint(clinic, place))
    return Ehr(app=app, charts=charts, clinic=clinic, authorization=server)


def registered(addresses: Addresses) -> Client:
    """The service as an app of this EHR."""
    return Client(
        client_id=CLIENT_ID,
        name="Mental health CDS",
        redirect_uris=(addresses.redirect_uri,),
        launch_url=addresses.launch_url,
        keys_url=addresses.keys_url,
    )


def _of_staff(addresses: Addresses) -> Client:
    """The governance pages as a client of the sign-in for staff."""
    return Client(
        client_id=CLIENT_ID,
        name="Mental health CDS, governance",
        redirect_uris=(f"{addresses.governance_url}callback",),
        secret=addresses.staff_secret,
    )


def _begun_visit(charts: Charts, clinic: Clinic, patient_id: str) -> str | None:
    """The id of today's encounter, which begins when an app is first opened for the patient."""
    patient = clinic.patient(patient_id)
    if patient is None:
        return None
    encounter = visit_of_today(patient.id, patient.reason, clinic.as_of)
    charts.add(encounter)
    return str(encounter["id"])
