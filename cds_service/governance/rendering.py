"""A governance page from its template."""

from __future__ import annotations

from typing import Any

from flask import Response, make_response, render_template

from cds_service.governance.session import Visitor


def page(template: str, visitor: Visitor | None, status: int = 200, **values: Any) -> Response:  # noqa: ANN401  # for templates
    """A page from a template, with the navigation where somebody is signed in."""
    return make_response(render_template(f"governance/{template}", visitor=visitor, **values), status)
