"""Which patient an escalation is about, sealed with the data key: all else in the store is a pseudonym."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec
from cryptography.fernet import InvalidToken

from cds_service.keys.data_key import DataKey
from cds_service.settings.escalation import MessageContent
from cds_service.settings.sites import SiteConfig
from fhir_adapters.reading.departments import place_name
from fhir_adapters.resources.gathered import Gathered
from fhir_adapters.resources.identity import initials


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientLink:
    """Where the patient is found. server: the FHIR base of the call, where it named one.

    initials, place: only where the site's messages hold them.
    """

    patient_id: str
    server: str | None = None
    initials: str | None = None
    place: str | None = None


def link_of(gathered: Gathered, encounter: str | None, server: str | None, site: SiteConfig) -> PatientLink:
    """The link to a patient whose chart was read. encounter: the reference of the call's own."""
    link = PatientLink(patient_id=gathered.patient_id, server=server)
    if site.escalation is None or site.escalation.content is MessageContent.LINK:
        return link
    return replace(link, initials=initials(gathered.patient), place=place_name(gathered.resources, encounter))


def sealed(key: DataKey, link: PatientLink) -> bytes:
    """The link, encrypted."""
    return key.seal(msgspec.json.encode(link).decode())


def unsealed(key: DataKey, text: bytes) -> PatientLink | None:
    """The link again; None once it is emptied, or where it was sealed with another key."""
    try:
        return msgspec.json.decode(key.unseal(text), type=PatientLink) if text else None
    except InvalidToken:
        return None
