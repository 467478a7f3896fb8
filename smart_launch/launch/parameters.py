"""Query parameters of a launch and its callback."""

from __future__ import annotations

from flask import request

from smart_launch.errors import LaunchRefused

LONGEST_VALUE = 8000  # some servers put their whole state into a launch or a code


def parameter(name: str) -> str | None:
    """A query parameter, None when absent. Raises LaunchRefused when it is empty, repeated, too long or unprintable."""
    values = request.args.getlist(name)
    if not values:
        return None
    value = values[0]
    if len(values) > 1 or not value or len(value) > LONGEST_VALUE or not value.isprintable():
        raise LaunchRefused(f"launch: expected {name} once, with a value")
    return value
