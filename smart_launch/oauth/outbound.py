"""Calls to an EHR's OAuth endpoints: JSON over https, limited in size and time, never redirected.

They carry secrets and assertions, so `allowed_url` decides first where a call may go (SMART-028).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec
import requests

from fhir_adapters.access.addresses import is_base, is_loopback
from fhir_adapters.access.deadline import watched_session
from fhir_adapters.access.exchange import never_connected
from fhir_adapters.duplicates import named_twice
from smart_launch.errors import EhrFailed
from smart_launch.settings import Registration

TIMEOUT_S = 5.0
MOST_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonResponse:
    """The HTTP status and the JSON object in the body."""

    status: int
    content: dict[str, Any]
    cache_control: str = ""


class NothingSent(EhrFailed):
    """No connection was made, so the same request can be sent again."""


def hosts_of(registration: Registration) -> tuple[str, ...]:
    """The hosts that a registration's endpoints may be on, without port."""
    return ((urlsplit(registration.iss).hostname or "").lower(), *registration.hosts)


def allowed_url(url: object, hosts: Iterable[str], *, local: bool) -> bool:
    """Whether a call may go to this address: https on one of these hosts (http on this machine when `local`)."""
    if not isinstance(url, str) or len(url) > 2048 or not url.isascii() or not url.isprintable():
        return False
    plain = url.partition("?")[0]
    if not is_base(plain) or "#" in url or "\\" in url:
        return False
    host = (urlsplit(url).hostname or "").lower()
    secure = url.startswith("https://") or (local and is_loopback(plain))
    return secure and host in {name.lower() for name in hosts}


def get_json(url: str, *, timeout_s: float = TIMEOUT_S) -> JsonResponse:
    """A JSON object at an address. Raises EhrFailed."""
    return _call("GET", url, {"Accept": "application/json"}, None, timeout_s)


def post_form(
    url: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None, *, empty: bool = False
) -> JsonResponse:
    """The response to a form, whatever its status. Raises EhrFailed when it is not a JSON object.

    empty: a successful response may have no body.
    """
    return _call("POST", url, {"Accept": "application/json"} | dict(headers or {}), fields, TIMEOUT_S, empty=empty)


def _call(
    method: str,
    url: str,
    headers: Mapping[str, str],
    fields: Mapping[str, str] | None,
    timeout_s: float,
    *,
    empty: bool = False,
) -> JsonResponse:
    deadline = time.monotonic() + timeout_s
    try:
        with (
            watched_session(deadline) as session,
            session.request(
                method, url, headers=headers, data=fields, timeout=timeout_s, allow_redirects=False, stream=True
            ) as response,
        ):
            status, body = response.status_code, b""
            for part in response.iter_content(16 * 1024):
                body += part
                if len(body) > MOST_BYTES:
                    raise EhrFailed("an OAuth endpoint sent too large a response")
            cache_control = response.headers.get("Cache-Control", "")
    # AttributeError: a TLS connection that is cut during a read.
    except (requests.RequestException, OSError, ValueError, AttributeError) as error:
        kind = NothingSent if never_connected(error) else EhrFailed
        raise kind("an OAuth endpoint could not be reached", "ehr-unreachable") from error
    if time.monotonic() >= deadline:
        raise EhrFailed("an OAuth endpoint did not answer in time", "ehr-unreachable")
    if 300 <= status < 400:
        raise EhrFailed("an OAuth endpoint sent a redirect; redirects are not followed")
    return JsonResponse(status=status, content={} if empty else _json_object(body, status), cache_control=cache_control)


def _json_object(body: bytes, status: int) -> dict[str, Any]:
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        if status >= 400:
            return {}
        raise EhrFailed("expected JSON from an OAuth endpoint; found something else") from error
    if not isinstance(content, dict):
        raise EhrFailed("expected a JSON object from an OAuth endpoint; found another type")
    if status < 400 and named_twice(body):
        raise EhrFailed("expected each member once in an answer of an OAuth endpoint; found one twice")
    return content
