"""A service that a FHIR server notifies: OAuth before the real server, a token of the service's own, a pager that listens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from builders import given, patient
from ehr import app_of, private, recorded, settings
from flask import Flask
from real_server import RealServer
from smart_front import USER, front_app
from webhook_receiver import SECRET as PAGER_SECRET
from webhook_receiver import Receiver

from cds_service.demo_ehr import runner
from cds_service.demo_ehr.authorization.clients import Client
from cds_service.demo_ehr.authorization.server import AuthorizationServer
from cds_service.escalation.records import EscalationRow, listed
from cds_service.incidents.incidents import Incident, incidents
from cds_service.serving.runtime import Runtime
from smart_launch.oauth.own_keys import new_pem, own_keys

SECRET = "a1b2c3d4" * 8
OURS = "our-backend"
PEM = new_pem("ES384")
ACUTE = "C-SSRS, {}: question 4 = yes"
QUIET = "PHQ-9, {}: item 9 = 0, total = 2"


def answered(line: str, shape: str = "form") -> list[dict]:
    """The resources of answers given now."""
    return given(line.format(datetime.now(UTC).isoformat(timespec="seconds")), shape)


@dataclass(frozen=True, kw_only=True)
class Front:
    """The EHR's one address: its authorization server, and behind that the real FHIR server."""

    base: str
    server: AuthorizationServer


@contextmanager
def fronted(real: RealServer) -> Iterator[Front]:
    with ExitStack() as kept:
        socket = kept.enter_context(runner._listening("127.0.0.1", 0))
        base = f"{runner._address(socket)}/fhir"
        server = AuthorizationServer(fhir_base=base, page_origin=base, user=USER, choices=[], now=time.time)
        server.clients.register(Client(client_id=OURS, name="Ours", redirect_uris=(), keys=own_keys([PEM]).published()))
        kept.enter_context(runner._serving(front_app(server, real), socket))
        yield Front(base=base, server=server)


def site_table(folder: Path, front: Front, pager: Receiver, **changes) -> dict:
    """The site's file, with its secrets beside it."""
    for name, text in {"secret": SECRET, "pager": PAGER_SECRET}.items():
        private(folder / name, text)
    contact = {
        "name": "crisis desk",
        "channel": "webhook",
        "webhook": {"url": pager.url, "secret": {"file": "../pager"}},
    }
    whole = {
        "fhir_bases": [front.base],
        "fetch_budget_s": 20,
        "consent": "not-used",
        "backend": {"base": front.base, "client_id": OURS, "scopes": ["system/*.rs"]},
        "subscription": {"secret": {"file": "../secret"}},
        "escalation": {"content": "initials-and-place", "contact": [contact]},
    }  # fmt: skip
    return {name: value for name, value in (whole | changes).items() if value is not ...}


def service_table(folder: Path) -> dict:
    private(folder / "own.pem", PEM)
    return {"smart_keys": [{"file": "own.pem"}]}


@dataclass(frozen=True, kw_only=True)
class Subscribed:
    """The service in this process."""

    app: Flask
    front: Front
    real: RealServer

    @property
    def runtime(self) -> Runtime:
        return self.app.extensions["mhcds"]

    def send(
        self,
        body: object = b"",
        path: str = "",
        *,
        secret: str | None = SECRET,
        site: str = "north",
        method: str = "POST",
        **headers,
    ):
        """A notification; returns the answer."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {secret}"} if secret else {}
        sent |= {"Content-Type": "application/fhir+json"} if raw else {}
        return self.app.test_client().open(
            f"/subscriptions/{site}{path}", method=method, data=raw, headers=sent | headers
        )

    def read(self) -> None:
        """What the service's own thread does in one turn."""
        self.app.extensions["mhcds-jobs"]["subscriptions-1"]()

    def escalations(self) -> list[EscalationRow]:
        with self.runtime.store.transaction() as connection:
            return listed(connection, open_only=False)

    def incidents(self) -> list[Incident]:
        with self.runtime.store.transaction() as connection:
            return incidents(connection)

    def readings(self) -> list[dict]:
        return [row["event"] for row in recorded(self.runtime.store, "reading")]

    def pseudonym(self, patient_id: str) -> str:
        return self.runtime.key.pseudonym("north", patient_id)

    def charts_read(self) -> set[str]:
        """The patients whose charts were asked for, by their Patient resources."""
        return {path.partition("/")[2] for path in self.real.asked("Patient/")}


@contextmanager
def subscribed(real: RealServer, pager: Receiver, folder: Path, *, now=None, service: dict | None = None, **changes):
    with fronted(real) as front:
        site = site_table(folder, front, pager, **changes)
        made = settings(folder, service=service_table(folder) | (service or {}), site=site)
        app = app_of(made, **({"now": now} if now else {}))
        yield Subscribed(app=app, front=front, real=real)
        app.extensions["mhcds"].store.close()


def new_patient(real: RealServer, *resources: dict, **elements) -> str:
    """Somebody on the real server, with these in the chart."""
    return real.load(patient(**elements), *resources)
