"""The resources of one part of a chart, sent or fetched, and why they may be incomplete.

Search results are filtered by type here, and by patient in `belonging`; order and `_sort` are never trusted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

import msgspec
from msgspec import Raw

from fhir_adapters.access.templates import Template
from fhir_adapters.errors import NotFhir, WrongPatient
from fhir_adapters.facts import ChartPart
from fhir_adapters.gaps import Cause, Gap
from fhir_adapters.resources import r4

NOT_SPLIT = Gap(cause=Cause.NOT_SPLIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Resources of one key. `unknown`: why they are, or may be, incomplete."""

    resources: tuple[r4.Resource, ...] = ()
    unknown: Gap | None = None


def sent_parts(templates: Iterable[Template], prefetch: Mapping[str, Raw]) -> dict[ChartPart, Part]:
    """The prefetched parts by key, also where one Bundle replaces the keys."""
    if "resourceType" not in prefetch:
        return {t.key: _sent(t, prefetch[t.key]) for t in templates if t.key in prefetch}
    try:
        whole = r4.read(msgspec.json.encode(prefetch))
    except NotFhir:
        return {}
    held = r4.contents(whole.content, all_pages=True) if whole.kind == "Bundle" and whole.content else None
    resources = [*held.resources, *held.included] if held else [whole]
    parts: dict[ChartPart, Part] = {}
    for template in templates:
        ours = tuple(r for r in resources if r.kind in template.types)
        if ours:
            parts[template.key] = Part(resources=ours, unknown=None if template.key == ChartPart.PATIENT else NOT_SPLIT)
    if whole.kind == "Bundle" and (held is None or held.fault):
        parts[ChartPart.REST] = Part(unknown=Gap(cause=Cause.SENT_BUNDLE_BROKEN))
    return parts


def patient_in(part: Part, patient_id: str, *, was_sent: bool) -> r4.Resource | None:
    """The Patient requested, or None. Raises WrongPatient when another was sent."""
    patients = [r for r in part.resources if r.kind == "Patient" and r.content is not None]
    if was_sent and any(r.content.id != patient_id for r in patients):
        raise WrongPatient("the Patient sent is not the patient of the context; expected the same id in both")
    return next((r for r in patients if r.content.id == patient_id), None)


def why_no_patient(part: Part, patient_id: str) -> Gap:
    """Why a part lacks the Patient with that id."""
    if any(r.content is None for r in part.resources):
        return Gap(cause=Cause.PATIENT_UNREADABLE)
    others = any(r.content.id != patient_id for r in part.resources)
    return Gap(cause=Cause.OTHER_PATIENT if others else Cause.NO_SUCH_PATIENT)


def _sent(template: Template, raw: Raw) -> Part:
    """The part of a prefetch value: null is known-empty; a bare resource and a Bundle are both accepted."""
    if bytes(raw).strip() == b"null":
        return Part()
    try:
        return part_of(template, [r4.read(raw)])
    except NotFhir:
        return Part(unknown=Gap(cause=Cause.SENT_NOT_FHIR))


def part_of(template: Template, documents: Iterable[r4.Resource], *, all_pages: bool = False) -> Part:
    """The resources of a read or of a search. A failed search must never pass for an empty one.

    `all_pages`: the documents are all pages of a search, so a next link does not matter.
    """
    resources: list[r4.Resource] = []
    faults: list[Gap] = []
    pages = list(documents)
    unfiltered = all_pages and bool(pages) and _says_unfiltered(pages[0])
    matches, total = 0, 0
    for page in pages:
        if page.kind in template.types:
            resources.append(page)
        elif page.kind == "OperationOutcome":
            faults.append(Gap(cause=Cause.ERROR_REPORT))
        elif page.kind != "Bundle":
            faults.append(_other_type(page.kind))
        elif page.content is None:
            faults.append(Gap(cause=Cause.BUNDLE_UNREADABLE))
        else:
            held = r4.contents(page.content, all_pages=all_pages)
            ours = [r for r in (*held.resources, *held.included) if r.kind in template.types]
            others = [r for r in held.resources if r.kind not in (*template.types, "OperationOutcome")]
            resources += [replace(r, unfiltered=True) for r in ours] if unfiltered else ours
            matches += sum(r.kind != "OperationOutcome" for r in held.resources)
            total = max(total, page.content.total or 0)
            empty_handed = not ours and (others or (page.content.total or 0) > 0)
            fault = held.fault or (Gap(cause=Cause.NONE_ASKED_FOR) if empty_handed else None)
            faults += [fault] if fault else []
    if 0 < matches < total:
        faults.append(r4.FIRST_PAGE)
    return Part(resources=tuple(resources), unknown=faults[0] if faults else None)


def _says_unfiltered(first_page: r4.Resource) -> bool:
    """Whether the self link shows that the server did not search by patient."""
    query = _self_link(first_page)
    names = {pair.partition("=")[0].partition(":")[0] for pair in query.partition("?")[2].split("&")}
    return bool(query) and not names & {"patient", "subject"}


def says_other_codes(first_page: r4.Resource, query: str) -> bool:
    """Whether the self link shows that the server searched for none of the codes in `query`.

    A gateway that alters a query would otherwise make existing answers look absent.
    """
    searched, queried = _codes_in(_self_link(first_page)), _codes_in(query)
    return bool(searched and queried) and not searched & queried


def _self_link(page: r4.Resource) -> str:
    """The URL of the search as the server ran it; empty without a self link."""
    links = page.content.link if page.kind == "Bundle" and page.content is not None else ()
    return next((link.url for link in links if link and link.relation == "self" and link.url), "")


def _codes_in(url: str) -> set[str]:
    """The codes of a search URL, each with its system where it has one."""
    values = [value for name, value in parse_qsl(url.partition("?")[2]) if name == "code"]
    return {code for value in values for code in value.split(",")}


def _other_type(kind: str) -> Gap:
    named = re.fullmatch(r"[A-Za-z]{1,40}", kind)
    return Gap(cause=Cause.OTHER_TYPE, detail=kind) if named else Gap(cause=Cause.UNKNOWN_TYPE)
