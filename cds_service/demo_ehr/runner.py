"""Runs the demo: the service and the demo EHR on loopback, real hook calls, cards on the terminal.

`run_demo` starts two servers in this process, asks the service about all demo patients over HTTP,
prints the cards, compares them with what the demo expects, and then either ends or stays with a
page until it is interrupted. Nothing is reachable from other machines, nothing is written to disk.
"""

from __future__ import annotations

import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import TextIO

from flask import Flask
from rich.console import Console
from rich.text import Text
from werkzeug.serving import WSGIRequestHandler, make_server

from cds_service.commands.terminal import console_on
from cds_service.demo_ehr import terminal
from cds_service.demo_ehr.clinic.hook_client import Exchange, HookClient, ServiceUnreachableError, connect, topic
from cds_service.demo_ehr.config import Addresses
from cds_service.demo_ehr.ehr import create_ehr
from cds_service.demo_ehr.patients.people import DemoPatient, ExpectedCard, demo_patients
from cds_service.settings.config import served_at
from fhir_adapters.access.addresses import is_loopback_host


class DemoError(Exception):
    """The demo cannot run. The message is one plain sentence for the person at the terminal."""


def run_demo(
    create_service: Callable[[Addresses], Flask], *, once: bool, host: str = "127.0.0.1", port: int = 0,
    as_of: datetime | None = None, out: TextIO | None = None, compared: bool = True,
) -> int:  # fmt: skip
    """The exit status: 0 when every patient was answered and got the expected cards, else 1.

    `create_service` gives the CDS service as a Flask app, for the addresses of this run. `port` is the page's; 0 takes
    a free one. `as_of` (with a time zone; default now, UTC) is what the charts are dated from. `once` ends after the
    cards. `compared`: the cards are to be those that the demo expects, which are those of the United States.
    """
    stream = out or sys.stdout
    if hasattr(stream, "reconfigure"):
        # Names and signs outside ASCII must not stop the demo on a terminal that cannot show them.
        stream.reconfigure(errors="replace")
    console = console_on(stream)
    try:
        return _run(
            console,
            create_service,
            once=once,
            host=host,
            port=port,
            as_of=as_of or datetime.now(UTC),
            compared=compared,
        )
    except (DemoError, ServiceUnreachableError) as error:
        console.print(Text(f"The demo stopped: {error}"))
        return 1
    except KeyboardInterrupt:
        console.print(Text("Stopped before all patients were asked."))
        return 1


def _run(
    console: Console,
    create_service: Callable[[Addresses], Flask],
    *,
    once: bool,
    host: str,
    port: int,
    as_of: datetime,
    compared: bool,
) -> int:
    patients = demo_patients(as_of)
    token = secrets.token_urlsafe(32)
    with ExitStack() as running:
        ehr_socket = running.enter_context(_listening(host, port))
        service_socket = running.enter_context(_listening(host, 0))
        addresses = addresses_of(ehr_socket, service_socket)
        with _doing(console, "Starting the service (loading models)"):
            service = create_service(addresses)
        running.enter_context(_serving(service, service_socket))
        ehr = create_ehr(addresses, patients, as_of, token)
        running.enter_context(_serving(ehr.app, ehr_socket))
        client = connect(addresses.service, addresses.fhir_base, token, ehr.charts)
        clinic = ehr.clinic
        clinic.client = client
        console.print(Text(f"Service: {addresses.service}/cds-services"))
        console.print(Text(f"{len(patients)} synthetic patients. Nothing here is real."))
        exchanges = _ask(console, client, patients)
        clinic.exchanges.update(exchanges)
        status = _compare(console, patients, exchanges, compared=compared)
        if not once:
            _stay(console, addresses)
    return status


def _ask(console: Console, client: HookClient, patients: Sequence[DemoPatient]) -> dict[str, Exchange]:
    exchanges = {}
    for place, patient in enumerate(patients, start=1):
        with _doing(console, f"Asking about {patient.name} ({place} of {len(patients)})", quiet=True):
            exchange = client.open_chart(patient)
        exchanges[patient.id] = exchange
        terminal.print_patient(console, place, patient, exchange)
    return exchanges


def differences(patient: DemoPatient, exchange: Exchange) -> list[str]:
    """What differs between the cards that came and those expected, one sentence each; none when all is as expected."""
    if exchange.cards is None:
        return [f"{patient.name}: {exchange.problem}"]
    came = [ExpectedCard(topic=topic(card), indicator=str(card.get("indicator"))) for card in exchange.cards]
    missing = [f"{patient.name}: expected {card}, which did not come" for card in patient.expected if card not in came]
    surplus = [f"{patient.name}: {card} came, which was not expected" for card in came if card not in patient.expected]
    return missing + surplus


def _compare(
    console: Console, patients: Sequence[DemoPatient], exchanges: dict[str, Exchange], *, compared: bool
) -> int:
    unanswered = [patient for patient in patients if exchanges[patient.id].cards is None]
    asked = patients if compared else unanswered
    differing = [line for patient in asked for line in differences(patient, exchanges[patient.id])]
    cards = sum(len(exchange.cards or ()) for exchange in exchanges.values())
    seconds = sum(exchange.seconds for exchange in exchanges.values())
    console.print()
    console.print(Text(f"{len(patients)} charts opened, {cards} cards, {seconds:.1f} s of hook calls."))
    if differing:
        console.print(Text("Not as the demo expects:", style="bold"))
    for line in differing:
        console.print(Text(f"- {line}"))
    if not compared:
        console.print(Text("Cards are not compared: the demo expects those of the United States."))
    elif not differing:
        console.print(Text("Every patient got the expected cards."))
    return 1 if differing else 0


def _stay(console: Console, addresses: Addresses) -> None:
    """Waits for Ctrl-C or a request to terminate."""
    console.print()
    console.print(Text(f"Page: {addresses.page_origin}/", style="bold"))
    console.print(Text(f"For the safety officer: {addresses.governance_url}"))
    console.print(Text("Open it in a browser. Ctrl-C ends the demo."))
    ended = threading.Event()
    before = None
    if threading.current_thread() is threading.main_thread():

        def end(_signal: int, _frame: FrameType | None) -> None:
            ended.set()

        before = signal.signal(signal.SIGTERM, end)
    try:
        # A wait without a limit would not notice Ctrl-C on every system.
        while not ended.wait(0.5):
            pass
    except KeyboardInterrupt:
        pass
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
    console.print(Text("Ended."))


@contextmanager
def _doing(console: Console, what: str, *, quiet: bool = False) -> Iterator[None]:
    """Shows activity: a spinner on a terminal, else one plain line (none if `quiet`)."""
    if console.is_terminal:
        # The spinner is green by default, a colour that reads as reassurance.
        with console.status(Text(f"{what} …"), spinner_style="none"):
            yield
        return
    if not quiet:
        console.print(Text(f"{what} …"))
    yield


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A bound loopback socket. Raises DemoError for another host, or a port already in use."""
    family = _loopback_family(host)
    listener = socket.socket(family, socket.SOCK_STREAM)
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except (OSError, OverflowError) as error:
            raise DemoError(
                f"port {port} on {host} cannot be used (another program may hold it); choose another port."
            ) from error
        listener.listen()
        yield listener


def _loopback_family(host: str) -> socket.AddressFamily:
    if not is_loopback_host(host):
        raise DemoError(f"it runs on this machine only; expected a loopback host such as 127.0.0.1, found {host!r}.")
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _address(listener: socket.socket) -> str:
    return served_at(*listener.getsockname()[:2])


def addresses_of(ehr: socket.socket, service: socket.socket) -> Addresses:
    """Where things are, by the sockets that listen. The page has the name localhost, where that leads to its socket.

    To a browser localhost and 127.0.0.1 are two sites: the app in the page's frame is a third party, as in real EHRs.
    """
    host, port = ehr.getsockname()[:2]
    try:
        infos = socket.getaddrinfo("localhost", port, ehr.family, socket.SOCK_STREAM)
    except OSError:
        infos = []
    has_name = any(place[0] == host for *_, place in infos)
    return Addresses(
        service=_address(service),
        fhir_base=f"{_address(ehr)}/fhir",
        page_origin=f"http://localhost:{port}" if has_name else _address(ehr),
    )


class _SilentHandler(WSGIRequestHandler):
    """Prints no access line: the terminal belongs to the cards."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing."""


@contextmanager
def _serving(app: Flask, listener: socket.socket) -> Iterator[str]:
    """Serves an app on a listening socket in the background; returns its address."""
    host, port = listener.getsockname()[:2]
    server = make_server(host, port, app, threaded=True, request_handler=_SilentHandler, fd=listener.fileno())
    server.daemon_threads = True  # type: ignore[attr-defined]  # the threaded server has it; its stated type does not
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield _address(listener)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
