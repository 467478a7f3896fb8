"""The panel of the demo EHR's page in which the SMART app opens: launch URLs, and what the page may frame.

To a browser the page and the app are two sites (localhost and 127.0.0.1), as in a real EHR; so the demo shows that the
app works with third-party cookies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from cds_service.demo_ehr.authorization.clients import Client
from cds_service.demo_ehr.codes import Json
from cds_service.demo_ehr.config import Addresses

PHQ9_ORDER, PHQ9_FORM = "44249-1", "phq-9"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppPlace:
    """The registered app. `new_launch` makes a launch handle of client id, patient's id, appContext and intent."""

    addresses: Addresses
    client: Client
    new_launch: Callable[[str, str, str | None, str | None], str]

    def launch(self, patient_id: str, app_context: str | None, intent: str | None = None) -> str:
        """The URL that opens the app for a patient. Every call makes a new launch."""
        handle = self.new_launch(self.client.client_id, patient_id, app_context, intent)
        return f"{self.client.launch_url}?{urlencode({'iss': self.addresses.fhir_base, 'launch': handle})}"

    def link(self, card: Json) -> Json | None:
        """The card's link to the app; None without one. A link to anything that is not registered leads nowhere."""
        links = (link for link in card.get("links", ()) if link.get("type") == "smart")
        return next((link for link in links if link.get("url") == self.client.launch_url), None)

    def app_context(self, card: Json | None) -> str | None:
        """What a card says to the app that is opened from it."""
        context = (self.link(card) or {}).get("appContext") if card else None
        return context if isinstance(context, str) else None


def form_of(card: Json) -> str | None:
    """The form of the app that answers what a card's drafts order: a PHQ-9, or none."""
    actions = [action for suggestion in card.get("suggestions", ()) for action in suggestion.get("actions", ())]
    codings = [c for a in actions for c in a.get("resource", {}).get("code", {}).get("coding", ())]
    return PHQ9_FORM if any(coding.get("code") == PHQ9_ORDER for coding in codings) else None


def content_security_policy(place: AppPlace | None) -> str:
    """The page's policy. A launch goes from the page to the app, to the EHR and back, and all of it counts."""
    others = [] if place is None else [place.addresses.service, _origin(place.addresses.fhir_base)]
    allowed = " ".join(["'self'", *dict.fromkeys(others)])
    return (
        f"default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
        f"frame-src {allowed}; form-action {allowed}; base-uri 'none'; frame-ancestors 'none'"
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
