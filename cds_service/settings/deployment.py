"""Settings of the whole deployment: `service.toml` and the secrets that it refers to.

The only module that reads the environment, and only the variables that the file names. Every problem is
reported with file, key and remedy.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec
import sqlalchemy.engine

from cds_service.errors import ConfigError
from cds_service.keys.data_key import DataKey
from cds_service.settings.files import is_file
from cds_service.settings.shapes import lacking, shown
from fhir_adapters.access.addresses import is_base, is_loopback

DEFAULT_BODY_BYTES = 2 * 1024 * 1024
LEAST_BODY_BYTES = 1024
MOST_BODY_BYTES = 64 * 1024 * 1024
MOST_DEADLINE_S = 60
MOST_CONCURRENT = 1000
# Concurrent requests to the SMART app per worker, besides hook calls, and launches among them. Anybody may open a
# launch, which waits for its EHR, so launches must not take the threads of hooks or of clinicians with a session.
APP_SLOTS, LAUNCH_SLOTS = 16, 8
# Acts of a site's own systems at once: a service whose calls hang must still be switched off.
CONTROL_SLOTS = 8
# Notifications of FHIR servers at once. One writes at a time; the others wait for it.
NOTIFICATION_SLOTS = 64
DEFAULT_STORE = "sqlite:///data/mhcds.db"

Mode = Literal["production", "development"]


class SecretReference(msgspec.Struct):
    """The location of a secret: `{ file = "..." }` or `{ env = "..." }`."""

    written: ClassVar[str] = '{ file = "..." } or { env = "NAME" }'
    file: str | None = None
    env: str | None = None


class Limits(msgspec.Struct, frozen=True):
    """`[limits]`.

    calls_per_minute: per client, 0 for no limit; concurrent_calls: per worker; deadline_s: per call.
    """

    calls_per_minute: int = 600
    concurrent_calls: int = 32
    deadline_s: float = 4.0


class TlsTable(msgspec.Struct):
    """`[tls]`."""

    certificate: str = ""
    key: str = ""


class GovernanceTable(msgspec.Struct):
    """`[governance]`; checked in `governance`."""

    issuer: str = ""
    client_id: str = ""
    client_secret: SecretReference | None = None
    scopes: list[str] = msgspec.field(default_factory=lambda: ["openid", "profile"])
    roles_claim: str = "groups"
    roles: dict[Literal["viewer", "safety-officer", "operator", "responder"], list[str]] = {}
    idle_s: int = 15 * 60
    absolute_s: int = 8 * 60 * 60


class WebhookTable(msgspec.Struct):
    """`[webhook]`, of the whole deployment or of a site."""

    url: str | SecretReference = ""
    secret: SecretReference | None = None


class ServiceFile(msgspec.Struct):
    """`service.toml`."""

    mode: Mode | None = None
    public_url: str | None = None
    body_bytes: int = DEFAULT_BODY_BYTES
    models: str | None = None
    store: str | SecretReference = DEFAULT_STORE
    data_key: SecretReference | None = None
    smart_keys: list[SecretReference] = []
    cors_origins: list[str] = []
    trusted_proxies: list[str] = []
    allow_public_sandbox: bool = False
    server_timing: bool = False
    limits: Limits = msgspec.field(default_factory=Limits)
    tls: TlsTable | None = None
    governance: GovernanceTable | None = None
    webhook: WebhookTable | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The files of the certificate chain and its key."""

    certificate: Path
    key: Path


def url_parts(url: str) -> SplitResult | None:
    """The parts of a URL; None if invalid."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def is_plain(url: str) -> bool:
    """Whether a URL is sent as written: no character needs encoding, and no segment goes up."""
    path = url.partition("://")[2]
    plain = url.isascii() and url.isprintable() and not any(c in url for c in ' "<>\\^`{|}')
    return plain and "//" not in path and not any(part in (".", "..") for part in path.split("/"))


def limits(path: Path, raw: Limits, problems: list[str]) -> Limits:
    """The checked limits."""
    if raw.calls_per_minute < 0:
        problems.append(
            f"{path}: [limits] calls_per_minute: expected 0 (no limit) or more; found {raw.calls_per_minute}"
        )
    if not 0 < raw.concurrent_calls <= MOST_CONCURRENT:
        problems.append(
            f"{path}: [limits] concurrent_calls: expected 1 to {MOST_CONCURRENT}; found {raw.concurrent_calls}"
        )
    if not 0 < raw.deadline_s <= MOST_DEADLINE_S:
        problems.append(
            f"{path}: [limits] deadline_s: expected above 0 and at most {MOST_DEADLINE_S}; found {raw.deadline_s}"
        )
    return raw


def public_url(path: Path, raw: ServiceFile, address: str | None, problems: list[str], *, required: bool) -> str | None:
    """The address by which clients know the service, without a trailing slash.

    address: that of the listening socket, the default in development.
    """
    url = raw.public_url
    if url is None:
        if raw.mode == "production" and required:
            lacking(
                problems,
                f"{path}: public_url",
                'required; the https address clients call, for example "https://cds.example" '
                '(or mode = "development" on this machine)',
            )
        return address
    parts = url_parts(url)
    local = raw.mode == "development" and is_loopback(url)
    if not (is_plain(url) and is_base(url)) or parts is None or not (parts.scheme == "https" or local):
        problems.append(
            f"{path}: public_url: expected an https address without query (http on this machine in development); "
            f"found {shown(url)}"
        )
    return url.rstrip("/")


def is_origin(text: str) -> bool:
    """Whether a string is an origin as browsers write it: scheme, host and port in lower case, no path."""
    parts = url_parts(text)
    return parts is not None and is_base(text) and text == f"{parts.scheme}://{parts.netloc}".lower()


def origins(path: Path, raw: ServiceFile, problems: list[str]) -> tuple[str, ...]:
    """The origins that may call: scheme, host and port, no path and no wildcard."""
    problems += [
        f'{path}: cors_origins: expected origins as browsers send them, such as "https://ehr.example": '
        f"small letters, no path, no *; found {shown(origin)}"
        for origin in raw.cors_origins
        if not is_origin(origin)
    ]
    return tuple(raw.cors_origins)


def store_url(path: Path, raw: ServiceFile, problems: list[str]) -> str:
    """The URL of the store; a SQLite file is relative to the settings folder."""
    if isinstance(raw.store, SecretReference):
        text = secret(path, f"{path}: store", raw.store, problems) or DEFAULT_STORE
    else:
        text = raw.store
    try:
        url = sqlalchemy.engine.make_url(text)
    except (sqlalchemy.exc.ArgumentError, ValueError):
        problems.append(f"{path}: store: expected sqlite:///file or postgresql://user@host/database")
        return DEFAULT_STORE
    if url.password is not None and not isinstance(raw.store, SecretReference):
        problems.append(f'{path}: store: holds a password; put the address in a file, store = {{ file = "..." }}')
    backend = url.get_backend_name()
    if backend == "sqlite" and url.database and url.database != ":memory:":
        file = path.parent / url.database
        try:
            taken = file.is_dir()
        except OSError:
            taken = False
            problems.append(f"{path}: store: expected a shorter file name")
        if taken:
            problems.append(f"{path}: store: expected a file; found a folder of that name")
        return url.set(database=str(file)).render_as_string(hide_password=False)
    if backend != "postgresql":
        problems.append(
            f"{path}: store: expected sqlite:///file or postgresql://user@host/database; found {shown(backend)}"
        )
    return text


def data_key(path: Path, raw: ServiceFile, url: str, problems: list[str]) -> DataKey | None:
    """The referenced key; None if one is created beside a SQLite database."""
    if raw.data_key is None:
        if url.startswith("postgresql"):
            lacking(
                problems,
                f"{path}: data_key",
                'required with PostgreSQL; data_key = { file = "..." } with a key as `mhcds db new-key` prints it',
            )
        return None
    text = secret(path, f"{path}: data_key", raw.data_key, problems)
    try:
        return None if text is None else DataKey(text)
    except ConfigError as error:
        problems.append(f"{path}: {error}")
        return None


def tls(path: Path, raw: ServiceFile, problems: list[str]) -> Tls | None:
    """The certificate's files; None also if one of them is not given."""
    if raw.tls is None:
        return None
    files = Tls(certificate=path.parent / raw.tls.certificate, key=path.parent / raw.tls.key)
    for name, file in (("certificate", files.certificate), ("key", files.key)):
        if not is_file(file):
            found = f"nothing at {shown(str(file))}" if getattr(raw.tls, name) else "none"
            lacking(problems, f"{path}: [tls] {name}", f"expected a PEM file; found {found}")
    if not (is_file(files.certificate) and is_file(files.key)):
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.certificate, files.key)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        problems.append(
            f"{path}: [tls]: expected a certificate and its key in PEM; these two do not belong together or are not PEM"
        )
    return files


def proxies(path: Path, raw: ServiceFile, problems: list[str]) -> tuple[str, ...]:
    """The proxies trusted for scheme and client address: addresses and networks, never all."""
    for address in raw.trusted_proxies:
        try:
            network = ipaddress.ip_network(address)
        except ValueError:
            network = None
        if network is None or network.prefixlen == 0:
            problems.append(
                f"{path}: trusted_proxies: expected addresses or networks such as 10.0.0.0/8; found {shown(address)}"
            )
    return tuple(raw.trusted_proxies)


def secret(path: Path, place: str, reference: SecretReference, problems: list[str]) -> str | None:
    """The secret that a reference in a file points to; nothing that may be one is printed, nor is what it points to.

    place: file and key, to be named in problems.
    """
    if (reference.file is None) == (reference.env is None):
        found = "neither file nor env" if reference.env is None else "both"
        problems.append(f"{place}: expected {SecretReference.written}; found {found}")
        return None
    if reference.env is not None:
        value = os.environ.get(reference.env)
        if not value:
            problems.append(f"{place}: the environment variable that it names is not set or empty")
        return value or None
    file = path.parent / (reference.file or "")
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        problems.append(
            f"{place}: the file that it names cannot be read as text (relative paths start at {path.parent})"
        )
        return None
    if not text:
        problems.append(f"{place}: the file that it names is empty")
    return text or None
