"""The services that we offer, written out. One id per hook, because real clients key services by id."""

from __future__ import annotations

from dataclasses import dataclass

from fhir_adapters.prefetch import templates


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One CDS service. `id` and `prefetch` are stored by sites: changing them breaks registrations."""

    id: str
    hook: str
    title: str
    description: str
    usage: str
    prefetch: tuple[tuple[str, str], ...]


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
        usage="FHIR R4. Models speak for adults only; rules for every age. Needs prefetch or read access to the chart.",
        prefetch=tuple((t.key, t.query) for t in templates()),
    ),
)


def service(identifier: str) -> Service | None:
    """The service of that id, or None."""
    return next((s for s in SERVICES if s.id == identifier), None)
