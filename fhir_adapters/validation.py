"""Resources checked against the R4 definitions with fhir.resources: what we emit, and what we are asked to check.

Much slower than the hot path's own types, so it is used for drafts, in tests and by `mhcds assess --strict`. The
R4B models of the library serve for R4: the resource types used here did not change between the two.
"""

from __future__ import annotations

from typing import Any

import msgspec
from pydantic import ValidationError

from fhir_adapters import r4


def faults(resource: dict[str, Any]) -> list[str]:
    """What is wrong with one resource: element and kind of fault, without the values found. Empty when it is valid."""
    from fhir.resources.R4B import get_fhir_model_class  # noqa: PLC0415  # takes a second to load; rarely needed

    kind = resource.get("resourceType")
    try:
        model = get_fhir_model_class(str(kind))
    except (LookupError, ModuleNotFoundError, AttributeError):
        return ["resourceType: no R4 resource of this name"]
    try:
        model.model_validate(resource)
    except ValidationError as error:
        return [f"{'.'.join(str(part) for part in e['loc']) or 'resource'}: {e['type']}" for e in error.errors()]
    return []


def bundle_faults(raw: bytes) -> list[str]:
    """The faults of every resource in a Bundle, each named by its reference."""
    whole = r4.read(raw)
    if whole.kind != "Bundle" or whole.content is None:
        return ["expected a Bundle that can be read"]
    found = []
    for place, entry in enumerate(msgspec.json.decode(raw).get("entry", ()), start=1):
        resource = entry.get("resource") or {}
        name = f"entry {place} ({resource.get('resourceType', 'nothing')}/{resource.get('id', 'no id')})"
        found += [f"{name}: {fault}" for fault in faults(resource)]
    return found
