"""The resources of one part of a chart, sent or fetched, and why they may be incomplete.

Search results are filtered by type here, and by patient in `belonging`; order and `_sort` are never trusted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

import msgspec
from msgspec import Raw

from fhir_adapters.access.templates import Template
from fhir_adapters.errors import NotFhir, WrongPatient
from fhir_adapters.facts import ChartPart
from fhir_adapters.gaps import Cause, Gap
from fhir_adapters.resources import r4
from fhir_adapters.resources.gathered import ANSWER_TYPES

NOT_SPLIT = Gap(cause=Cause.NOT_SPLIT)
OTHER_PATIENT = Gap(cause=Cause.OTHER_PATIENT)
PARTLY_SENT = Gap(cause=Cause.PARTLY_SENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Resources of one key. `unknown`: why they are, or may be, incomplete."""

    resources: tuple[r4.Resource, ...] = ()
    unknown: Gap | None = None


def sent_parts(templates: Iterable[Template], prefetch: Mapping[str, Raw], patient_id: str) -> dict[ChartPart, Part]:
    """The prefetched parts by key, also where one Bundle replaces the keys."""
    templates = tuple(templates)
    if "resourceType" not in prefetch:
        parts = {t.key: part for t in templates if (part := _sent(t, prefetch, patient_id))}
        return parts | {ChartPart.REST: Part(resources=_unasked(templates, prefetch))}
    try:
        whole = r4.read(msgspec.json.encode(prefetch))
    except NotFhir:
        return {}
    held = r4.contents(whole, all_pages=True) if whole.kind == "Bundle" and whole.content else None
    resources = [*held.resources, *held.included] if held else [whole]
    parts = {ChartPart.REST: Part(resources=tuple(r for r in resources if r.kind in HOLD_ANSWERS))}
    for template in templates:
        ours = tuple(r for r in resources if r.kind in template.types)
        if ours:
            parts[template.key] = Part(resources=ours, unknown=None if template.key == ChartPart.PATIENT else NOT_SPLIT)
    if whole.kind == "Bundle" and (held is None or held.fault):
        parts[ChartPart.REST] = replace(parts[ChartPart.REST], unknown=Gap(cause=Cause.SENT_BUNDLE_BROKEN))
    return parts


# What can hold an answer is read wherever it was sent (R18).
HOLD_ANSWERS = (*ANSWER_TYPES, "Procedure", "Questionnaire")


def _unasked(templates: Iterable[Template], prefetch: Mapping[str, Raw]) -> tuple[r4.Resource, ...]:
    """Resources under keys that were not asked for, of types that can hold an answer."""
    known = {key for t in templates for key in (t.key, *t.keys)}
    found: list[r4.Resource] = []
    for key, raw in prefetch.items():
        if key not in known and bytes(raw).startswith(b"{"):
            with suppress(NotFhir):
                document = r4.read(raw)
                held = r4.contents(document) if _is_read_bundle(document) else None
                found += [*held.resources, *held.included] if held else [document]
    return tuple(resource for resource in found if resource.kind in HOLD_ANSWERS)


def patient_in(part: Part, patient_id: str, *, was_sent: bool) -> r4.Resource | None:
    """The Patient requested, or None. Raises WrongPatient when another was sent."""
    patients = [r for r in part.resources if r.kind == "Patient" and r.content is not None]
    if was_sent and any(r.content.id != patient_id for r in patients):
        raise WrongPatient("the Patient sent is not the patient of the context; expected the same id in both")
    return next((r for r in patients if r.content.id == patient_id), None)


def why_no_patient(part: Part, patient_id: str) -> Gap:
    """Why a part lacks the Patient with that id."""
    patients = [r for r in part.resources if r.kind == "Patient"]
    if any(r.content is None for r in patients):
        return Gap(cause=Cause.PATIENT_UNREADABLE)
    others = any(r.content.id != patient_id for r in patients)
    return Gap(cause=Cause.OTHER_PATIENT if others else Cause.NO_SUCH_PATIENT)


def _sent(template: Template, prefetch: Mapping[str, Raw], patient_id: str) -> Part | None:
    """What was sent of a part: under its own key, which stands for all of it, else under those of its queries."""
    keys = (template.key,) if template.key in prefetch else template.keys
    sent = [_value(template, prefetch[key], patient_id) for key in keys if key in prefetch]
    if not sent:
        return None
    return together(sent if len(sent) == len(keys) else [Part(unknown=PARTLY_SENT), *sent])


def together(parts: Iterable[Part]) -> Part:
    """Parts of one part as one; what one of them lacks, the whole lacks."""
    held = list(parts)
    gaps = (part.unknown for part in held)
    return Part(resources=tuple(r for part in held for r in part.resources), unknown=next(filter(None, gaps), None))


def _value(template: Template, raw: Raw, patient_id: str) -> Part:
    """The part of a prefetch value: null is known-empty; a bare resource and a Bundle are both accepted."""
    text = bytes(raw)
    if text.strip() == b"null":
        return Part()
    try:
        document = r4.read(text)
    except NotFhir:
        return Part(unknown=Gap(cause=Cause.SENT_NOT_FHIR))
    return searched_for(patient_id, document, part_of(template, [document]))


def searched_for(patient_id: str, first_page: r4.Resource, part: Part) -> Part:
    """The part; what was searched for another patient says nothing of this one, even when it is empty.

    A server may know the patient by another id, and then its entries name this one.
    """
    owners = (o for r in part.resources if r.content is not None for o in r4.subjects_of(r.content))
    if not _says_other_patient(first_page, patient_id) or any(o.target.endswith(f"/{patient_id}") for o in owners):
        return part
    return replace(part, unknown=OTHER_PATIENT)


def part_of(template: Template, documents: Iterable[r4.Resource], *, all_pages: bool = False) -> Part:
    """The resources of a read or of a search. A failed search must never pass for an empty one.

    `all_pages`: the documents are all pages of a search, so a next link does not matter.
    """
    resources: list[r4.Resource] = []
    faults: list[Gap] = []
    pages = list(documents)
    unfiltered = r4.says_unfiltered(pages[0].content) if all_pages and pages and _is_read_bundle(pages[0]) else None
    matches, total = 0, 0
    expected = (*template.types, "OperationOutcome")
    for page in pages:
        if page.kind in template.types:
            resources.append(page)
        elif page.kind == "OperationOutcome":
            faults.append(Gap(cause=Cause.ERROR_REPORT))
        elif page.kind != "Bundle":
            resources += [page] if page.kind in HOLD_ANSWERS else []
            faults.append(_other_type(page.kind))
        elif page.content is None:
            faults.append(Gap(cause=Cause.BUNDLE_UNREADABLE))
        else:
            held = r4.contents(page, all_pages=all_pages, unfiltered=unfiltered)
            ours = [r for r in (*held.resources, *held.included) if r.kind in template.types]
            others = [r for r in held.resources if r.kind not in expected]
            resources += [*ours, *(r for r in (*others, *held.included) if r.kind in HOLD_ANSWERS and r not in ours)]
            matches += sum(r.kind != "OperationOutcome" for r in held.resources)
            total = max(total, page.content.total or 0)
            empty_handed = not ours and (others or (page.content.total or 0) > 0)
            fault = held.fault or (Gap(cause=Cause.NONE_ASKED_FOR) if empty_handed else None)
            faults += [fault] if fault else []
    if 0 < matches < total:
        faults.append(r4.FIRST_PAGE)
    return Part(resources=tuple(resources), unknown=faults[0] if faults else None)


def _is_read_bundle(page: r4.Resource) -> bool:
    return page.kind == "Bundle" and page.content is not None


def _says_other_patient(page: r4.Resource, patient_id: str) -> bool:
    """Whether the self link shows that the server searched for other patients only."""
    pairs = parse_qsl(_self_link(page).partition("?")[2])
    searched = [value for name, value in pairs if re.fullmatch(r"(patient|subject)(:Patient)?", name)]
    ids = {one.rpartition("/")[2] for value in searched for one in value.split(",")}
    return bool(ids) and patient_id not in ids


def says_other_codes(first_page: r4.Resource, query: str) -> bool:
    """Whether the self link shows that the server searched for none of the codes in `query`.

    A gateway that alters a query would otherwise make existing answers look absent.
    """
    searched, queried = _codes_in(_self_link(first_page)), _codes_in(query)
    return bool(searched and queried) and not searched & queried


def _self_link(page: r4.Resource) -> str:
    return r4.self_link(page.content) if _is_read_bundle(page) else ""


def _codes_in(url: str) -> set[str]:
    """The codes of a search URL, without their systems: a server may add them."""
    values = [value for name, value in parse_qsl(url.partition("?")[2]) if name == "code"]
    return {code.rpartition("|")[2] for value in values for code in value.split(",")}


def _other_type(kind: str) -> Gap:
    named = re.fullmatch(r"[A-Za-z]{1,40}", kind)
    return Gap(cause=Cause.OTHER_TYPE, detail=kind) if named else Gap(cause=Cause.UNKNOWN_TYPE)
