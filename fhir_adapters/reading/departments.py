"""Where the encounter of a call takes place, as far as its resource says so."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from fhir_adapters.resources.identity import shown
from fhir_adapters.resources.r4 import Resource


class _Referring(msgspec.Struct, frozen=True):
    reference: str | None = None
    display: str | None = None


class _Place(msgspec.Struct, frozen=True):
    location: _Referring = _Referring()


class _Places(msgspec.Struct, frozen=True):
    location: tuple[_Place, ...] = ()
    service_provider: _Referring = msgspec.field(default=_Referring(), name="serviceProvider")


def departments(resources: Iterable[Resource], encounter: str | None) -> tuple[str, ...]:
    """References (`Location/…`, `Organization/…`) of the encounter with this reference; none where it is not here.

    Read apart from the chart: an odd location must not cost the encounter its meaning.
    """
    places = _places(resources, encounter)
    return tuple(
        reference
        for p in (*(p.location for p in places.location), places.service_provider)
        if (reference := p.reference)
    )


def place_name(resources: Iterable[Resource], encounter: str | None) -> str | None:
    """What the encounter calls its latest location, for people to go to; None where it does not say."""
    names = [shown(p.location.display) for p in _places(resources, encounter).location]
    return next((name for name in reversed(names) if name), None)


def _places(resources: Iterable[Resource], encounter: str | None) -> _Places:
    found = next((r for r in resources if r.kind == "Encounter" and encounter and encounter in r.names), None)
    if found is None:
        return _Places()
    try:
        return msgspec.json.decode(found.text, type=_Places)
    except msgspec.DecodeError:
        return _Places()
