"""Stand-in until the forms land."""

from __future__ import annotations

from flask import Blueprint

from smart_launch.runtime import AppRuntime


def create_blueprint(_app: AppRuntime) -> Blueprint:
    """No routes yet."""
    return Blueprint("smart_forms", __name__, url_prefix="/smart/app")
