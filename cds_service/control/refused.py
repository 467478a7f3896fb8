"""An act that cannot be done."""

from __future__ import annotations

from cds_service.errors import ConfigError


class ActRefused(ConfigError):
    """An act that cannot be done; its text is for people: what was expected, what was found, what to do."""

    status = 400
    code = "business-rule"
