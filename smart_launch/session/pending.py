"""A launch that waits for its callback, and how the parameters of either are read."""

from __future__ import annotations

import msgspec
from flask import request

from smart_launch.errors import LaunchRefused

LONGEST_VALUE = 8000  # some servers write all that they know into a launch or a code


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A launch that waits for its callback. ehr: opened by the EHR rather than by us. again: its address here."""

    browser: str
    iss: str
    verifier: str
    nonce: str
    ehr: bool
    again: str
    asked: tuple[str, ...]


def one(name: str) -> str | None:
    """A query parameter, None when absent. Raises LaunchRefused when it is empty, repeated or odd."""
    values = request.args.getlist(name)
    if not values:
        return None
    value = values[0]
    if len(values) > 1 or not value or len(value) > LONGEST_VALUE or not value.isprintable():
        raise LaunchRefused(f"launch: expected {name} once, with a value")
    return value
