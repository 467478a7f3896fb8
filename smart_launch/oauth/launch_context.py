"""The launch context in the token response: patient, encounter, banner, and more (SMART-063 to 070)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from smart_launch.errors import EhrFailed
from smart_launch.session.sessions import LaunchContext

ID = re.compile(r"[A-Za-z0-9\-._~:]{1,128}")
REFERENCE = re.compile(r"[A-Z][A-Za-z]{1,50}/[A-Za-z0-9\-._~:]{1,128}")
LONGEST_TEXT = 2048
MOST_RESOURCES = 20


def launch_context(response: Mapping[str, Any], *, topic: str | None = None) -> LaunchContext:
    """The launch context. Raises EhrFailed without a patient, since no page could be shown."""
    patient = response.get("patient")
    if not isinstance(patient, str) or not ID.fullmatch(patient) or patient in (".", ".."):
        raise EhrFailed("token answer: expected patient, the id of the patient in context", "no-patient", 400)
    encounter = response.get("encounter")
    return LaunchContext(
        patient=patient,
        encounter=encounter if isinstance(encounter, str) and ID.fullmatch(encounter) else None,
        # Some servers send a string; only a clear no hides the banner.
        banner=response.get("need_patient_banner") not in (False, "false"),
        intent=_text(response.get("intent")),
        tenant=_text(response.get("tenant")),
        style_url=_text(response.get("smart_style_url")),
        resources=_resources(response.get("fhirContext")),
        topic=topic,
    )


def _text(value: object) -> str | None:
    plain = isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT and value.isprintable()
    return str(value) if plain else None


def _resources(value: object) -> tuple[str, ...]:
    """Relative references in fhirContext with role `launch`; other roles are ignored."""
    references = [
        entry["reference"]
        for entry in (value if isinstance(value, list) else ())
        if isinstance(entry, dict)
        and entry.get("role", "launch") == "launch"
        and isinstance(entry.get("reference"), str)
        and REFERENCE.fullmatch(entry["reference"])
    ]
    return tuple(dict.fromkeys(references))[:MOST_RESOURCES]
