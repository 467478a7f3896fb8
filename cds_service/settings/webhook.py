"""A webhook of service.toml or of a site's file: where messages are sent, and the secret that signs them."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from pathlib import Path

from cds_service.settings.deployment import SecretReference, WebhookTable, is_plain, secret
from cds_service.settings.shapes import lacking, shown
from fhir_adapters.access.addresses import is_base, is_loopback

SECRET = "whsec_ and 24 to 64 bytes in base64, as Standard Webhooks has it"  # noqa: S105  # what one looks like
LEAST_BYTES, MOST_BYTES = 24, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """The site's own system. An address may hold a secret too."""

    url: str = field(repr=False)
    secret: str = field(repr=False)


def webhook(
    path: Path, raw: WebhookTable | None, problems: list[str], *, development: bool, place: str = "[webhook]"
) -> Webhook | None:
    """The webhook of a file; None if it has none, or none that can be used, which is then among the problems.

    place: where it stands in the file.
    """
    if raw is None:
        return None
    where = f"{path}: {place}"
    url = raw.url if isinstance(raw.url, str) else secret(path, f"{where} url", raw.url, problems)
    address = url or ""
    if not _is_usable(address, development=development):
        found = shown(address) if isinstance(raw.url, str) else "another in the place that it names"
        lacking(
            problems, f"{where} url", f"expected an https address (http on this machine in development); found {found}"
        )
        url = None
    if raw.secret is None:
        problems.append(f"{where} secret: expected {SecretReference.written}; found none")
        return None
    key = secret(path, f"{where} secret", raw.secret, problems)
    if key is not None and not _is_secret(key):
        problems.append(f"{where} secret: expected {SECRET}; found another text in the place that it names")
        return None
    return Webhook(url=url, secret=key) if url and key else None


def _is_usable(url: str, *, development: bool) -> bool:
    base = url.partition("?")[0]
    plain = is_plain(url) and is_base(base) and "#" not in url
    return plain and (url.startswith("https:") or (development and is_loopback(base)))


def _is_secret(text: str) -> bool:
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return False
    return text.startswith("whsec_") and LEAST_BYTES <= len(key) <= MOST_BYTES
