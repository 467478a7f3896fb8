"""The proxy configuration of docs/operations.md, in a real nginx before a real `mhcds serve`."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from builders import bundle, given
from ehr import ADDRESS, EHR, certificate, free_port, hook_request, served, settings

DOCS = Path(__file__).parents[2] / "docs" / "operations.md"
POSITIVE = {"screening": json.loads(bundle(*given("PHQ-9, today: item 9 = 2, total = 9")))}
# nginx of a distribution has these in folders that only root may write to.
OF_ROOT = (
    "proxy_temp_path {0}/proxy; fastcgi_temp_path {0}/fastcgi; uwsgi_temp_path {0}/uwsgi; scgi_temp_path {0}/scgi;"
)


@dataclass(frozen=True, kw_only=True)
class Proxied:
    """`base` leads through nginx; `certificate` is what it shows, `folder` has its logs."""

    base: str
    certificate: str
    folder: Path

    def get(self, path: str, **wanted) -> requests.Response:
        return requests.get(self.base + path, verify=self.certificate, timeout=30, **wanted)

    def call(self, body: dict | None = None, **headers: str) -> requests.Response:
        sent = EHR(base=self.base).headers() | headers
        return requests.post(
            self.base + ADDRESS, json=body or hook_request(), headers=sent, verify=self.certificate, timeout=30
        )

    def logged(self, awaited: str) -> str:
        """Both logs once nginx has logged `awaited`; it writes its line after the client has its answer."""
        until = time.monotonic() + 30
        while True:
            found = {file.name: file.read_text() for file in self.folder.glob("*.log")}
            if awaited in found["access.log"]:
                return "".join(found.values())
            assert time.monotonic() < until, found
            time.sleep(0.05)

    def client(self) -> ssl.SSLSocket:
        """A connection after its handshake."""
        context = ssl.create_default_context(cafile=self.certificate)
        plain = socket.create_connection(("127.0.0.1", int(self.base.rpartition(":")[2])), timeout=30)
        return context.wrap_socket(plain, server_hostname="127.0.0.1")


def configuration(folder: Path, ports: dict[str, int]) -> str:
    """The block of the page with the paths and ports of a test. Each is replaced, or the page has changed."""
    (found,) = re.findall(r"```nginx\n(.+?)```", DOCS.read_text(), re.DOTALL)
    for written, here in {
        "pid /run/nginx.pid": f"daemon off; pid {folder}/nginx.pid",
        "/var/log/nginx": str(folder),
        "http {": "http { " + OF_ROOT.format(folder),
        "/var/lib/nginx": str(folder),
        "127.0.0.1:8080": f"127.0.0.1:{ports['service']}",
        "127.0.0.1:8081": f"127.0.0.1:{ports['health']}",
        "listen 443": f"listen 127.0.0.1:{ports['proxy']}",
        "/etc/ssl/cds.example.crt": f"{folder}/cert.crt",
        "/etc/ssl/private/cds.example.key": f"{folder}/cert.key",
    }.items():
        assert written in found
        found = found.replace(written, here)
    return found


@contextmanager
def nginx(folder: Path, port: int) -> Iterator[None]:
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("needs nginx (on Debian: apt-get install nginx-light)")
    words = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "start.log")]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            assert process.poll() is None, (folder / "start.log").read_text()
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except OSError:
                time.sleep(0.05)
            else:
                break
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    folder = tmp_path_factory.mktemp("proxied")
    crt, _key = certificate(folder)
    ports = {name: free_port() for name in ("service", "health", "proxy")}
    base = f"https://127.0.0.1:{ports['proxy']}"
    settings(folder, service={"mode": "production", "public_url": base, "trusted_proxies": ["127.0.0.1"]})
    (folder / "nginx.conf").write_text(configuration(folder, ports))
    words = ("--workers", "1", "--health-port", str(ports["health"]))
    with served(folder, *words, port=ports["service"]), nginx(folder, ports["proxy"]):
        yield Proxied(base=base, certificate=str(crt), folder=folder)


def test_calls_and_health_pass_and_metrics_do_not(proxied: Proxied) -> None:
    answer = proxied.call(hook_request(more=POSITIVE, extension=[{"padding": "x" * 1_500_000}]))

    assert (answer.status_code, len(answer.json()["cards"])) == (200, 1)
    assert "max-age" in answer.headers["Strict-Transport-Security"]
    assert proxied.get("/health/live").json() == {"status": "live"}
    assert proxied.get("/health/ready").status_code == 200
    assert proxied.get("/cds-services").status_code == 200
    assert proxied.get("/metrics").status_code == 404


def test_a_client_cannot_say_by_what_scheme_it_came(proxied: Proxied) -> None:
    assert proxied.call(**{"X-Forwarded-Proto": "http"}).status_code == 200


def test_long_headers_and_addresses_reach_the_service(proxied: Proxied) -> None:
    assert proxied.call(Authorization="Bearer " + "a" * 30_000).status_code == 401
    assert proxied.get("/health/live?" + "a" * 8_000).status_code == 200


def test_a_body_that_is_too_large_is_refused(proxied: Proxied) -> None:
    assert proxied.call(hook_request(extension=[{"padding": "x" * 2_200_000}])).status_code == 413


def test_half_sent_bodies_and_silent_connections_delay_no_call(proxied: Proxied) -> None:
    """Signed bodies, more of them than the service has places for calls."""
    with ExitStack() as kept:
        for number in range(300):
            client = kept.enter_context(proxied.client())
            if number % 3 == 0:
                token = EHR(base=proxied.base).headers()["Authorization"]
                head = f"POST {ADDRESS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: {token}\r\n"
                client.sendall(f"{head}Content-Length: 5000\r\n\r\n{{".encode())

        seen = [(proxied.call().status_code, proxied.get("/health/live").status_code) for _ in range(10)]

    assert seen == [(200, 200)] * 10


def test_no_query_of_an_address_is_logged(proxied: Proxied) -> None:
    proxied.get("/smart/callback?code=SECRET&state=SECRET")

    assert "SECRET" not in proxied.logged("/smart/callback")
