"""OAuth before a real FHIR server: the demo EHR's authorization server, and its tokens exchanged for the server's own.

What a hospital has: one address for launch, tokens and FHIR, and behind it a FHIR server that somebody else wrote.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import requests
from flask import Flask, Response, request
from real_server import PASSED_BACK, PASSED_ON, TOKEN, RealServer
from smart_run import Clock, Visitor

from cds_service.app import create_app
from cds_service.demo_ehr import runner
from cds_service.demo_ehr.authorization import routes as authorization
from cds_service.demo_ehr.authorization.behaviour import Behaviour
from cds_service.demo_ehr.authorization.server import AuthorizationServer, Choice
from cds_service.demo_ehr.clinic.panel import AppPlace
from cds_service.demo_ehr.config import Addresses, demo_config
from cds_service.demo_ehr.ehr import registered
from explanations.judgement.assessment import Engine

USER = "Practitioner/dr-demo"


@dataclass(frozen=True, kw_only=True)
class Front:
    addresses: Addresses
    authorization: AuthorizationServer
    service: Flask
    clock: Clock
    real: RealServer

    def launch_url(self, patient: str, app_context: str | None = None) -> str:
        place = AppPlace(
            addresses=self.addresses, client=registered(self.addresses), new_launch=self.authorization.new_launch
        )
        return place.launch(patient, app_context)

    def visitor(self) -> Visitor:
        return Visitor(self)


def front_app(server: AuthorizationServer, real: RealServer) -> Flask:
    """The one address."""
    app = Flask("front", static_folder=None)
    app.register_blueprint(authorization.create_blueprint(server))

    @app.route("/fhir/<path:rest>", methods=["GET", "POST", "PUT"])
    def fhir(rest: str) -> Response:
        if server.access(request.headers.get("Authorization", "").removeprefix("Bearer ")) is None:
            return Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        sent = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        with requests.Session() as session:
            session.trust_env = False
            got = session.request(
                request.method,
                f"{real.base}/{rest}",
                params=request.query_string.decode(),
                data=request.get_data() or None,
                headers=sent | {"Authorization": f"Bearer {TOKEN}"},
                timeout=30,
            )
        # The server writes its own address; here it has another.
        body = got.content.replace(real.base.encode(), server.fhir_base.encode())
        back = {
            name: got.headers[name].replace(real.base, server.fhir_base) for name in PASSED_BACK if name in got.headers
        }
        return Response(body, status=got.status_code, content_type=got.headers.get("Content-Type"), headers=back)

    return app


@contextmanager
def front(
    real: RealServer, *patients: str, engine: Engine | None = None, behaviour: Behaviour | None = None
) -> Iterator[Front]:
    """The service, and that address before a real server."""
    clock = Clock()
    with ExitStack() as kept:
        ehr_socket = kept.enter_context(runner._listening("127.0.0.1", 0))
        service_socket = kept.enter_context(runner._listening("127.0.0.1", 0))
        addresses = runner.addresses_of(ehr_socket, service_socket)
        server = AuthorizationServer(
            fhir_base=addresses.fhir_base,
            page_origin=addresses.page_origin,
            user=USER,
            choices=[Choice(patient=p, name=p, about="") for p in patients],
            behaviour=behaviour,
            now=clock.seconds,
        )
        server.clients.register(registered(addresses))
        known = demo_config(addresses)
        site = replace(known.sites[0], reading=replace(known.sites[0].reading, budget_s=20))
        service = create_app(replace(known, sites=(site,)), engine=engine or Engine(), now=clock)
        kept.enter_context(runner._serving(service, service_socket))
        kept.enter_context(runner._serving(front_app(server, real), ehr_socket))
        yield Front(addresses=addresses, authorization=server, service=service, clock=clock, real=real)
