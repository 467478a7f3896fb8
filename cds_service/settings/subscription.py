"""`[subscription]` of a site's file: notifications of its FHIR server, off unless it is there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from cds_service.settings.deployment import SecretReference, secret
from cds_service.settings.shapes import shown

LEAST_SECRET, MOST_SECRET = 32, 512
MOST_EXPECT_H = 30 * 24


class SubscriptionTable(msgspec.Struct):
    """`[subscription]`."""

    secret: SecretReference | None = None
    expect_every_h: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionSettings:
    """secret: what follows `Bearer` in the Authorization header of notifications.

    expect_every_h: hours without any notification after which an incident is opened; None: never.
    """

    secret: str = field(repr=False)
    expect_every_h: int | None = None


def subscription(
    path: Path, raw: SubscriptionTable | None, problems: list[str], *, has_backend: bool, has_path: bool
) -> SubscriptionSettings | None:
    """The settings; None without them, and where they cannot be used, which is then among the problems.

    has_backend: the site has `[backend]`; has_path: its id can stand in an address.
    """
    if raw is None:
        return None
    where = f"{path}: [subscription]"
    if not has_backend:
        problems.append(
            f"{where}: required with it: [backend], since the chart is read anew with the service's own token"
        )
    if not has_path:
        problems.append(f"{where}: expected an id of letters, digits and . _ ~ - above, since it stands in the address")
    hours = raw.expect_every_h
    if hours is not None and not 0 < hours <= MOST_EXPECT_H:
        problems.append(f"{where} expect_every_h: expected 1 to {MOST_EXPECT_H}; found {shown(hours)}")
    if raw.secret is None:
        problems.append(f"{where} secret: expected {SecretReference.written}; found none")
        return None
    text = secret(path, f"{where} secret", raw.secret, problems)
    if text is None:
        return None
    if not (LEAST_SECRET <= len(text) <= MOST_SECRET and text.isascii() and text.isprintable() and " " not in text):
        problems.append(
            f"{where} secret: expected {LEAST_SECRET} to {MOST_SECRET} letters, digits and signs without spaces, as "
            "`openssl rand -hex 32` prints; found another text in the place that it names"
        )
        return None
    return SubscriptionSettings(secret=text, expect_every_h=hours)
