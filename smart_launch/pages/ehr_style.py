"""The EHR's own colour, from smart_style_url: one accent for links and buttons, in the light scheme.

Fetched with limits from a host of the registration, and cached by URL, since new content has a new URL (SMART-067).
Only `color_highlight` is used, only as six hex digits, and only with enough contrast to our cards (4.5 to 1, WCAG 2.2
AA, SMART-101). The rest of the page stays as tested.
"""

from __future__ import annotations

import re
import threading

from cachetools import LRUCache

from smart_launch.errors import EhrFailed
from smart_launch.oauth.outbound import allowed_url, get_json, hosts_of
from smart_launch.settings import Registration

COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
CARD = "#ffffff"
LEAST_CONTRAST = 4.5
TIMEOUT_S = 2.0
MOST_CACHED = 200
PLAIN = ""


class Styles:
    """The style sheets cached by one process, by URL of the style."""

    def __init__(self) -> None:
        self._cached: LRUCache[str, str] = LRUCache(MOST_CACHED)
        self._lock = threading.Lock()

    def sheet(self, url: str | None, registration: Registration, *, local: bool) -> str:
        """A style sheet for the app; PLAIN when the EHR has no usable style."""
        hosts = hosts_of(registration)
        if url is None or not allowed_url(url, hosts, local=local):
            return PLAIN
        with self._lock:
            cached = self._cached.get(url)
        if cached is not None:
            return cached
        try:
            sheet = style_sheet(get_json(url, timeout_s=TIMEOUT_S).content)
        except EhrFailed:
            return PLAIN
        with self._lock:
            self._cached[url] = sheet
        return sheet


def style_sheet(style: dict[str, object]) -> str:
    """The style sheet of a SMART style document."""
    colour = style.get("color_highlight")
    if not isinstance(colour, str) or not COLOUR.fullmatch(colour) or contrast(colour, CARD) < LEAST_CONTRAST:
        return PLAIN
    return f"@media (prefers-color-scheme: light) {{ :root {{ --link: {colour}; --button: {colour}; }} }}\n"


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours (#rrggbb), 1 to 21 (WCAG 2.2, relative luminance)."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
