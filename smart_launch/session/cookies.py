"""The cookies: the browser that a launch belongs to, its session, and the language that its user has chosen.

`__Host-`, Secure, HttpOnly, SameSite=None and Partitioned, so that they work inside the EHR's frame and nowhere else
(SMART-091). The first two hold a random secret each, whose digest is in the store; the third a code such as `es`.
"""

from __future__ import annotations

import re

from flask import Response, request

BROWSER = "__Host-mhcds-browser"
SESSION = "__Host-mhcds-session"
LANGUAGE = "__Host-mhcds-language"
SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


def cookie(name: str) -> str | None:
    """The secret in a cookie of this request; None if absent or not ours."""
    value = request.cookies.get(name, "")
    return value if SECRET.fullmatch(value) else None


def put_cookie(response: Response, name: str, value: str) -> None:
    """Sets a cookie that lasts until the browser closes; the store decides how long a session lasts."""
    response.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="None", partitioned=True)


def drop_cookie(response: Response, name: str) -> None:
    """Deletes a cookie."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="None", partitioned=True)
