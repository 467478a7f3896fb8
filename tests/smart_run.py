"""Service and demo EHR on loopback, as `mhcds demo` runs them, for tests: the EHR may behave as a test wants."""

from __future__ import annotations

import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any
from unittest.mock import patch

import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from cds_service.app import create_app
from cds_service.demo_ehr import runner
from cds_service.demo_ehr.authorization.behaviour import Behaviour
from cds_service.demo_ehr.clinic.hook_client import connect
from cds_service.demo_ehr.clinic.panel import AppPlace
from cds_service.demo_ehr.config import Addresses, demo_config
from cds_service.demo_ehr.ehr import Ehr, create_ehr, registered
from cds_service.demo_ehr.governed import governed, make_live
from cds_service.demo_ehr.patients.people import demo_patients
from cds_service.escalation.escalations import advance
from cds_service.sending.contacts import Means
from cds_service.sending.queue import send_next
from cds_service.settings.config import ServiceConfig
from cds_service.settings.live import LiveConfig
from explanations.judgement.assessment import Engine
from smart_launch.oauth import own_keys
from smart_launch.settings import Registration

NEW_RSA_KEY = rsa.generate_private_key
OWN_KEY = cache(own_keys.own_key)  # reads and checks a key


class Clock:
    """Real time, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self.seconds(), UTC)

    def seconds(self) -> float:
        return datetime.now(UTC).timestamp() + self.ahead


class StandingClock(Clock):
    """One moment."""

    def __init__(self, at: datetime) -> None:
        super().__init__()
        self.at = at

    def seconds(self) -> float:
        return self.at.timestamp() + self.ahead


@dataclass(frozen=True, kw_only=True)
class Run:
    addresses: Addresses
    ehr: Ehr
    clock: Clock
    service: Any

    def launch_url(self, patient: str, app_context: str | None = None) -> str:
        """The address that the EHR opens for a patient."""
        client = registered(self.addresses)
        return AppPlace(addresses=self.addresses, client=client, new_launch=self.ehr.authorization.new_launch).launch(
            patient, app_context
        )

    def behave(self, behaviour: Behaviour) -> None:
        """From here on the authorization server behaves so."""
        self.ehr.authorization.behaviour = behaviour

    @property
    def store(self):
        """The service's store."""
        return self.service.extensions["mhcds"].store

    def app_context(self, patient: str) -> str:
        """What the first card of a patient says to the app."""
        clinic = self.ehr.clinic
        exchange = clinic.client.open_chart(clinic.patient(patient))
        return next(k["appContext"] for card in exchange.cards for k in card["links"] if k["type"] == "smart")

    def forget(self) -> None:
        """What the service keeps of the EHR's configuration is old now."""
        self.service.extensions["mhcds-smart"].discovery._cached.clear()

    def send(self) -> None:
        """Sends what is due to whoever is to be told, as a worker does between two rests."""
        runtime = self.service.extensions["mhcds"]
        means = Means(key=runtime.key, backend=runtime.backend)
        advance(runtime.store, runtime.config(), runtime.now())
        while send_next(runtime.store, runtime.config(), runtime.now, means):
            pass

    def tokens(self) -> list[str]:
        """The access and refresh tokens that the EHR has handed out."""
        grants = self.ehr.authorization.grants
        return [*grants._refresh, *grants._access]

    def forget_access_tokens(self) -> None:
        """The EHR no longer knows the access tokens that it gave."""
        self.ehr.authorization.grants._access.clear()

    def refreshes(self) -> int:
        """How many refresh tokens of the last launch were used."""
        grants = self.ehr.authorization.grants
        last = list(grants._refresh.values())[-1][0]
        return sum(used for grant, used in grants._refresh.values() if grant is last)

    def secret(self, secret: str) -> None:
        """The EHR knows the service by a secret."""
        server = self.ehr.authorization
        known = registered(self.addresses)
        server.clients.register(replace(known, secret=secret))


def as_it_is(registration: Registration) -> Registration:
    return registration


@cache
def _rsa_key(exponent: int, size: int, _number: int) -> rsa.RSAPrivateKey:
    return NEW_RSA_KEY(exponent, size)


@contextmanager
def _keys_in_turn() -> Iterator[None]:
    """The first RSA key of a size that is made here is that of every run, and so on: a new one takes half a second.

    No other key of a test is among them: outside of this block each is made anew.
    """
    made = Counter[int]()

    def in_turn(public_exponent: int, key_size: int) -> rsa.RSAPrivateKey:
        made[key_size] += 1
        return _rsa_key(public_exponent, key_size, made[key_size])

    with patch.object(rsa, "generate_private_key", in_turn), patch.object(own_keys, "own_key", OWN_KEY):
        yield


@contextmanager
def running(
    *,
    engine: Engine | None = None,
    behaviour: Behaviour | None = None,
    registration: Callable[[Registration], Registration] = as_it_is,
    config: Callable[[ServiceConfig], ServiceConfig | LiveConfig] = lambda c: c,
    clock: Clock | None = None,
    governance: bool = False,
) -> Iterator[Run]:
    """Both, with the models of `engine` (none unless given); as the demo governs them, or as without any governance."""
    clock = clock or Clock()
    patients = demo_patients(clock())
    token = secrets.token_urlsafe(32)
    with ExitStack() as kept, ExitStack() as building:
        building.enter_context(_keys_in_turn())
        ehr_socket = kept.enter_context(runner._listening("127.0.0.1", 0))
        service_socket = kept.enter_context(runner._listening("127.0.0.1", 0))
        addresses = runner.addresses_of(ehr_socket, service_socket)
        known = demo_config(addresses)
        (site,) = known.sites
        known = replace(known, sites=(replace(site, smart=tuple(registration(r) for r in site.smart)),))
        engine = engine or Engine()
        if governance:
            known = governed(known, addresses, engine.models, clock())
        service = create_app(config(known), engine=engine, now=clock)
        if governance:
            make_live(service.extensions["mhcds"].store, known, engine.models, clock())
        kept.enter_context(runner._serving(service, service_socket))
        ehr = create_ehr(addresses, patients, clock(), token, behaviour=behaviour, now=clock.seconds)
        kept.enter_context(runner._serving(ehr.app, ehr_socket))
        ehr.clinic.client = connect(addresses.service, addresses.fhir_base, token, ehr.charts)
        building.close()
        yield Run(addresses=addresses, ehr=ehr, clock=clock, service=service)


class Visitor:
    """A browser without pictures: keeps the service's cookies, follows a launch step by step."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.client = run.service.test_client()
        self.base = run.addresses.service

    def get(self, url: str, **headers: str):
        return self.client.get(self.inside(url), base_url=self.base, headers=named(headers))

    def post(self, url: str, form: dict, **headers: str):
        return self.client.post(self.inside(url), base_url=self.base, data=form, headers=named(headers))

    def cookies(self) -> dict[str, str]:
        """The service's cookies."""
        names = ("__Host-mhcds-browser", "__Host-mhcds-session")
        found = {name: self.client.get_cookie(name, domain="127.0.0.1") for name in names}
        return {name: one.value for name, one in found.items() if one}

    def inside(self, url: str) -> str:
        """The path and query of an address of the service."""
        assert url.startswith((self.base, "/")), url
        return url.removeprefix(self.base)

    def begin(self, patient: str = "tomas-wojcik", app_context: str | None = None) -> str:
        """Opens the launch URL; the address of the authorization request."""
        answer = self.get(self.run.launch_url(patient, app_context))
        assert answer.status_code == 303, answer.text
        return answer.headers["Location"]

    def authorize(self, request_url: str) -> str:
        """What the EHR's authorization server redirects to."""
        session = requests.Session()
        session.trust_env = False
        answer = session.get(request_url, allow_redirects=False, timeout=10)
        assert answer.status_code == 303, answer.text
        return answer.headers["Location"]

    def callback(self, patient: str = "tomas-wojcik", app_context: str | None = None):
        """The answer to the callback of a whole launch."""
        return self.get(self.authorize(self.begin(patient, app_context)))

    def open(self, patient: str = "tomas-wojcik", app_context: str | None = None) -> str:
        """Launches; the address of the page."""
        answer = self.callback(patient, app_context)
        assert answer.status_code == 303, answer.text
        return answer.headers["Location"]


def named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def csrf_of(page: str) -> str:
    """The token of the forms of a page."""
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found, "no form on the page"
    return found[1]
