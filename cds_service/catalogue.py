"""The services that we offer, written out. One id per hook, because real clients key services by id."""

from __future__ import annotations

from dataclasses import dataclass

from cds_service.errors import UnknownService
from fhir_adapters.prefetch import templates


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One CDS service. `id` and `prefetch` are stored by sites: changing them breaks registrations.

    needs_encounter: its hook's definition requires `context.encounterId`.
    """

    id: str
    hook: str
    title: str
    description: str
    usage: str
    prefetch: tuple[tuple[str, str], ...]
    needs_encounter: bool = False


USAGE = "FHIR R4. Models speak for adults only; rules for every age. Needs prefetch or read access to the chart."

SERVICES: tuple[Service, ...] = (
    Service(
        id="depression-suicide-risk",
        hook="patient-view",
        title="Depression and suicide safety",
        description=(
            "Restates documented safety answers (PHQ-9 item 9, C-SSRS, ASQ, EPDS item 10, coded self-harm) and, for "
            "adults, estimates current depressive symptoms and suicidal ideation to prompt screening. A prompt is not "
            "a diagnosis, and no card is no reassurance."
        ),
        usage=USAGE,
        prefetch=tuple((t.key, t.query) for t in templates()),
    ),
    Service(
        id="depression-suicide-risk-encounter",
        hook="encounter-start",
        title="Depression and suicide safety, at the start of an encounter",
        description=(
            "The same reading and the same cards as depression-suicide-risk, asked for when an encounter starts: "
            "answers documented in this encounter count as current for seven days. A prompt is not a diagnosis, and no "
            "card is no reassurance."
        ),
        usage=USAGE,
        prefetch=tuple((t.key, t.query) for t in templates()),
        needs_encounter=True,
    ),
)

# What the services speak: the specification, and the definition of their hooks.
SPECIFICATION = "2.0.0"
HOOK_VERSION = "1.0"


def service_of(hook: str) -> Service | None:
    """The service that answers a hook, or None."""
    return next((s for s in SERVICES if s.hook == hook), None)


def known_service(identifier: str) -> Service:
    """The service of that id. Raises UnknownService."""
    found = next((s for s in SERVICES if s.id == identifier), None)
    if found is None:
        raise UnknownService("there is no service of this id; the services are listed at /cds-services")
    return found
