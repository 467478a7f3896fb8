"""Addresses of FHIR servers: valid, local, identical; ids that can stand in them. Pure."""

from __future__ import annotations

import ipaddress
import unicodedata
from urllib.parse import urlsplit

from fhir_adapters.errors import NoPatient

# In a search, encoded or not: "or", escape, composite, a system before a code (FHIR R4, Search), wildcards, and what
# ends a value in an address.
SIGNS = frozenset(",\\$|*;&?#%/")
FORBIDDEN_IN_ID = frozenset("/?#&%\\\"'<>()[]` ")
NOT_IN_BASE = frozenset("?#\\ ")


def is_loopback(url: str) -> bool:
    """Whether `url` is http or https to this machine, without user information."""
    return is_base(url) and is_loopback_host(urlsplit(url).hostname or "")


def is_base(url: str) -> bool:
    """Whether `url` can be the base of a FHIR server: http or https, a host, no user information, query or fragment.

    Nor signs that readers of addresses drop or turn into others, and so see two addresses in one text.
    """
    if not (url.isascii() and url.isprintable()) or set(url) & NOT_IN_BASE:
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


def is_loopback_host(host: str) -> bool:
    """Whether a host is this machine, by name or by address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def same_base(url: str, other: str) -> bool:
    """Whether two addresses are the same FHIR base; host case, default port and trailing slash do not matter.

    Paths are compared as they are written: what `%2f` means is up to the server.
    """
    return is_base(url) and is_base(other) and origin(url) == origin(other) and base_path(url) == base_path(other)


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port of an address, the default port written out."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def base_path(url: str) -> str:
    """The path of an address as it is written, without a trailing slash."""
    return urlsplit(url).path.rstrip("/")


def is_bare(identifier: str) -> bool:
    """Whether an id is one path segment. Ids that FHIR does not allow occur and are accepted (CDSH-060)."""
    plain = identifier.isprintable() and not set(identifier) & FORBIDDEN_IN_ID and len(identifier) <= 256
    return plain and identifier not in ("", ".", "..")


def is_plain(identifier: str) -> bool:
    """Whether an id means itself in every search and address, also once a server has normalised it."""
    return bool(identifier) and not SIGNS & set(unicodedata.normalize("NFKC", identifier))


def plain_id(identifier: str) -> str:
    """The id of a patient, to be searched by. Raises NoPatient when a server could take it for several."""
    if not is_plain(identifier):
        raise NoPatient("patient id: expected one without signs that a search reads as more than one")
    return identifier
