"""The panel of the demo EHR's page in which the SMART app opens: launch URLs, and what the page may frame.

To a browser the page and the app are two sites (localhost and 127.0.0.1), as in a real EHR; so the demo shows that the
app works with third-party cookies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from cds_service.demo_ehr.authorization.clients import Client
from cds_service.demo_ehr.codes import Json
from cds_service.demo_ehr.config import Addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class AppPlace:
    """The registered app. `new_launch` makes a launch handle of client id, patient's id and appContext."""

    addresses: Addresses
    client: Client
    new_launch: Callable[[str, str, str | None], str]

    def launch(self, patient_id: str, app_context: str | None) -> str:
        """The URL that opens the app for a patient. Every call makes a new launch."""
        handle = self.new_launch(self.client.client_id, patient_id, app_context)
        return f"{self.client.launch_url}?{urlencode({'iss': self.addresses.fhir_base, 'launch': handle})}"

    def link(self, card: Json) -> Json | None:
        """The card's link to the app; None without one. A link to anything that is not registered leads nowhere."""
        links = (link for link in card.get("links", ()) if link.get("type") == "smart")
        return next((link for link in links if link.get("url") == self.client.launch_url), None)

    def app_context(self, cards: Sequence[Json], card_id: str | None) -> str | None:
        """What a card says to the app that is opened from it."""
        card = next((card for card in cards if card_id and card.get("uuid") == card_id), None)
        context = (self.link(card) or {}).get("appContext") if card else None
        return context if isinstance(context, str) else None


def content_security_policy(place: AppPlace | None, *, framed: bool) -> str:
    """The page's policy. A launch goes from the page to the app, to the EHR and back, and all of it counts."""
    others = [] if place is None else [place.addresses.service, _origin(place.addresses.fhir_base)]
    ancestors = "'self'" if framed else "'none'"
    allowed = " ".join(["'self'", *dict.fromkeys(others)])
    return (
        f"default-src 'none'; style-src 'self'; img-src 'self'; frame-src {allowed}; form-action {allowed}; "
        f"base-uri 'none'; frame-ancestors {ancestors}"
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
