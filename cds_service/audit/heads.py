"""Signed heads: what a chain's last event was, as a line to keep where nobody who can change the store can change it.

A JSON Web Signature with an Ed25519 key derived from the data key. With it, verification notices a chain that was cut
or written anew, and an older database in the place of a newer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import jwt
import msgspec
import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cds_service.errors import ConfigError
from cds_service.keys.data_key import DataKey
from cds_service.storage.store import Store
from cds_service.storage.tables import chain_head

EVENT = "audit-head"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHead:
    """The number and link of a site's last event when it was signed. at: ISO 8601."""

    site: str
    seq: int
    link: str
    at: str


class HeadLine(msgspec.Struct):
    """A line of `mhcds audit head`, or of the log."""

    jws: str


def head_lines(store: Store, key: DataKey, now: datetime) -> list[str]:
    """The head of each chain, a line each. Raises StoreUnavailable."""
    with store.transaction() as connection:
        heads = connection.execute(sa.select(chain_head).order_by(chain_head.c.site)).all()
    lines = []
    for head in heads:
        claims = {"site": head.site, "seq": head.seq, "link": head.link, "at": now.isoformat()}
        jws = jwt.encode(claims, _private(key), "EdDSA", {"typ": "mhcds-audit-head"})
        lines.append(json.dumps({"event": EVENT, "site": head.site, "seq": head.seq, "at": claims["at"], "jws": jws}))
    return lines


def read_heads(lines: Iterable[str], key: DataKey) -> list[SignedHead]:
    """The heads among lines, which may be those of a log with something before them.

    Raises ConfigError, which names the line, for one that is cut, changed, or signed with another key.
    """
    public, found = _private(key).public_key(), []
    for number, line in enumerate(lines, 1):
        if f'"{EVENT}"' not in line:
            continue
        try:
            jws = msgspec.json.decode(line[line.index("{") :].strip().encode(), type=HeadLine).jws
            found.append(SignedHead(**jwt.decode(jws, public, ["EdDSA"])))
        except (ValueError, TypeError, msgspec.MsgspecError, jwt.PyJWTError) as error:
            raise ConfigError(
                f"line {number}: expected a head as `mhcds audit head` prints it, signed with this data key; found one"
                " that was cut or changed, or that another data key signed"
            ) from error
    return found


def public_key(key: DataKey) -> str:
    """The key that verifies heads, as PEM, for whoever shall check them without ours."""
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    public: Ed25519PublicKey = _private(key).public_key()
    return public.public_bytes(*form).decode()


def _private(key: DataKey) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(key.derived(b"audit-head"))
