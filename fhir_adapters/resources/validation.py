"""Validation against the R4 definitions with fhir.resources, of what we emit and on request.

Much slower than the types of the hot path, so only for drafts, tests and `mhcds assess --strict`. The library's R4B
models serve for R4: the resource types used here did not change between the two. It knows some required value sets
and enforces none; those it knows are enforced here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic import BaseModel, ValidationError

from fhir_adapters.errors import NotFhir


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """One departure from R4: where, in which resource, and what; never the value."""

    path: str
    resource: str
    fault: str


def deviations(raw: bytes) -> list[Deviation]:
    """Every deviation in a Bundle, a resource, or the prefetch of a hook request. Raises NotFhir for no JSON object."""
    try:
        whole = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise NotFhir("expected JSON; found something else") from error
    if not isinstance(whole, dict):
        raise NotFhir("expected a JSON object; found something else")
    if "resourceType" in whole:
        return list(_of_resource(whole, ""))
    sent = whole.get("prefetch")
    values = sent.items() if isinstance(sent, dict) and "resourceType" not in sent else [("", sent)]
    return [
        deviation
        for key, value in values
        if value is not None
        for deviation in _of_resource(value, f"prefetch.{key}".rstrip("."))
    ]


def faults(resource: dict[str, Any]) -> list[str]:
    """The faults of one resource as element and kind, without values. Empty when it is valid."""
    return [f"{deviation.path}: {deviation.fault}" for deviation in _of_resource(resource, "")]


def _of_resource(resource: Any, place: str) -> Iterator[Deviation]:  # noqa: ANN401  # plain JSON
    """The deviations of a resource, and of each resource in a Bundle under its own path."""
    if not isinstance(resource, dict):
        yield Deviation(path=place or "resource", resource="(none)", fault="expected a resource as a JSON object")
        return
    kind, name = resource.get("resourceType"), resource.get("id")
    reference = f"{kind or '(no type)'}/{name or '(no id)'}"
    entries = resource.get("entry") if kind == "Bundle" else None
    plain = resource
    if isinstance(entries, list):
        # Each resource is checked by itself; a stand-in keeps its entry from being empty.
        held = [
            {**e, "resource": {"resourceType": "Basic", "code": {"text": "x"}}} if _holds(e) else e for e in entries
        ]
        plain = resource | {"entry": held}
    for path, fault in _checked(plain):
        yield Deviation(path=".".join(part for part in (place, path) if part), resource=reference, fault=fault)
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        if _holds(entry):
            inner = f"entry[{number}].resource"
            yield from _of_resource(entry["resource"], f"{place}.{inner}" if place else inner)


def _holds(entry: object) -> bool:
    return isinstance(entry, dict) and "resource" in entry


def _checked(resource: dict[str, Any]) -> list[tuple[str, str]]:
    from fhir.resources.R4B import get_fhir_model_class  # noqa: PLC0415  # takes a second to load; rarely needed

    try:
        model = get_fhir_model_class(str(resource.get("resourceType")))
    except (LookupError, ModuleNotFoundError, AttributeError, ValueError):
        return [("resourceType", "no R4 resource of this name")]
    try:
        valid = model.model_validate(resource)
    except ValidationError as error:
        problems = {_path(e["loc"]): _words(e) for e in error.errors()}
        # The library checks required primitives only when nothing else is wrong.
        lacking = [name for name in _required(model) if resource.get(name) is None and f"_{name}" not in resource]
        return list((problems | dict.fromkeys(lacking, WORDS["missing"])).items())
    return list(_outside_value_sets(valid, ""))


def _required(model: type[BaseModel]) -> Iterator[str]:
    """The required primitive elements of a resource."""
    for name, field in model.model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and extra.get("element_required"):
            yield field.alias or name


def _path(location: tuple[int | str, ...]) -> str:
    """component[0].code, as FHIRPath would have it."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".") or "resource"


def _words(error: Any) -> str:  # noqa: ANN401  # pydantic's ErrorDetails
    if "got multiple" in error["msg"]:
        return "more than one value of a choice of types"
    kind = str(error["type"])
    return WORDS.get(kind, kind)


WORDS = {
    "missing": "required and missing",
    "model_field_validation.missing": "required and missing",
    "extra_forbidden": "no such element in R4",
    "value_error": "not a value of its type",
}


def _outside_value_sets(valid: BaseModel, place: str) -> Iterator[tuple[str, str]]:
    """Codes outside the required value set of their element."""
    for name, field in type(valid).model_fields.items():
        value = getattr(valid, name)
        extra = field.json_schema_extra
        allowed = extra.get("enum_values") if isinstance(extra, dict) else None
        allowed = None if isinstance(allowed, list) and "+" in allowed else allowed  # an incomplete list
        for number, inner in enumerate(value) if isinstance(value, list) else ((None, value),):
            path = f"{place}.{field.alias or name}".removeprefix(".") + ("" if number is None else f"[{number}]")
            if isinstance(inner, BaseModel):
                yield from _outside_value_sets(inner, path)
            elif isinstance(allowed, list) and isinstance(inner, str) and inner not in allowed:
                yield path, "not a code of the required value set"
