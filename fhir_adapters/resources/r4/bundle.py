"""The resources of a Bundle, and why they may be incomplete."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import msgspec

from fhir_adapters.errors import NotFhir
from fhir_adapters.gaps import Cause, Gap
from fhir_adapters.resources.r4.datatypes import Element, Meta
from fhir_adapters.resources.r4.elements import updated
from fhir_adapters.resources.r4.faults import UNREADABLE
from fhir_adapters.resources.r4.resource import Resource, entered, read
from fhir_adapters.resources.r4.resource_types import Bundle, BundleEntry, Issue
from fhir_adapters.resources.r4.whole import Texts, WholeBundle, WholeEntry

# Issue types that mean missing results, whatever their severity.
LACKING = {
    "suppressed", "forbidden", "security", "login", "expired", "incomplete", "too-costly", "throttled", "timeout",
    "transient", "exception", "lock-error", "no-store",
}  # fmt: skip


def _withholds(issue: Issue) -> bool:
    return issue.severity in ("error", "fatal") or issue.code in LACKING


FIRST_PAGE = Gap(cause=Cause.FIRST_PAGE)
# Bundles nested deeper are not read: each level is parsed anew, and only two occur in practice.
MOST_NESTED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The resources of a Bundle. `fault`: why there may be more; `included`: sent along, not search matches."""

    resources: tuple[Resource, ...]
    included: tuple[Resource, ...]
    fault: Gap | None


def contents(document: Resource, *, all_pages: bool = False, unfiltered: bool | None = None) -> Contents:
    """The contents of a readable Bundle. Failed, empty or unreadable entries make it incomplete, never just shorter.

    An entry that was deleted is no resource, and of a history only the newest version of each counts. `all_pages`: the
    other pages were read as well, so a next link does not matter. `unfiltered`: whether the search was not limited to
    the patient; None: as the self link of the Bundle says.
    """
    bundle: Bundle | WholeBundle = document.content
    matches: list[Resource] = []
    included: list[Resource] = []
    broken = None in bundle.link  # it may have led to the next page
    links = list(bundle.link)
    open_to_all = says_unfiltered(bundle) if unfiltered is None else unfiltered
    left = [(entry, document, place, 0, open_to_all) for place, entry in _places(bundle)]
    while left:
        entry, within, place, depth, open_to_all = left.pop()
        if entry is None:
            broken = True
            continue
        try:
            resource = _entered(entry, within, place)
        except NotFhir:
            broken = True
            continue
        if entry.response and not (entry.response.status or "200").startswith("2"):
            broken = True
        if resource.kind == "Bundle" and resource.content is not None and resource.content.entry:
            # A search within a batch answer
            if depth < MOST_NESTED:
                inside = open_to_all or says_unfiltered(resource.content)
                left += [(inner, resource, at, depth + 1, inside) for at, inner in _places(resource.content)]
                links += resource.content.link
                broken = broken or None in resource.content.link
            broken = broken or depth >= MOST_NESTED
            continue
        broken = broken or (resource.kind == "Bundle" and resource.content is None)
        if open_to_all:
            resource = msgspec.structs.replace(resource, unfiltered=True)
        (included if entry.search and entry.search.mode == "include" else matches).append(resource)
    outcomes = [r for r in (*matches, *included) if r.kind == "OperationOutcome"]
    if any(o.content is None or o.fault or any(_withholds(i) for i in o.content.issue) for o in outcomes):
        fault: Gap | None = Gap(cause=Cause.SEARCH_FAILED)
    elif broken:
        fault = Gap(cause=Cause.ENTRIES_BROKEN)
    else:
        more = not all_pages and any(link and link.relation == "next" for link in links)
        fault = FIRST_PAGE if more else None
    return Contents(resources=tuple(matches), included=tuple(included), fault=fault)


def self_link(bundle: Bundle | WholeBundle) -> str:
    """The URL of the search as the server ran it; empty without a self link."""
    return next((link.url for link in bundle.link if link and link.relation == "self" and link.url), "")


def says_unfiltered(bundle: Bundle | WholeBundle) -> bool:
    """Whether the self link shows that the server did not search by patient."""
    url = self_link(bundle)
    pairs = url.partition("?")[2].split("&")
    names = {re.split("[:.]", pair.partition("=")[0], maxsplit=1)[0] for pair in pairs}
    return bool(url) and not names & {"patient", "subject"}


def _entered(entry: BundleEntry | WholeEntry, within: Resource, place: int) -> Resource:
    """The resource of an entry. Raises NotFhir."""
    if isinstance(entry, WholeEntry):
        return entered(entry, cast("Texts", within.source), place)
    return read(entry.resource, entry.full_url, simple=within.simple)


def _places(bundle: Bundle | WholeBundle) -> list[tuple[int, BundleEntry | WholeEntry | None]]:
    """The entries that count with their places, the last one first."""
    entries = bundle.entry if isinstance(bundle, WholeBundle) else _live(bundle)
    return list(enumerate(entries))[::-1]


def _live(bundle: Bundle) -> list[BundleEntry | None]:
    """The entries that are not deleted; of a history, the newest entry of each resource unless that deletes it."""
    if bundle.type != "history":
        return [entry for entry in bundle.entry if not _is_deletion(entry)]
    newest: dict[str, BundleEntry] = {}
    other: list[BundleEntry | None] = []
    for entry in bundle.entry:
        name = _resource_of(entry) if entry else ""
        if entry is None or not name:
            other.append(entry)
        elif name not in newest or _is_later(entry, newest[name]):
            newest[name] = entry
    return [entry for entry in (*newest.values(), *other) if not _is_deletion(entry)]


def _is_deletion(entry: BundleEntry | None) -> bool:
    return bool(entry and entry.request and (entry.request.method or "").upper() == "DELETE")


class _Version(Element):
    resource_type: str | None = None
    id: str | None = None
    meta: Meta | None = None


VERSION: msgspec.json.Decoder[_Version] = msgspec.json.Decoder(_Version)


def _version(entry: BundleEntry) -> _Version:
    try:
        return VERSION.decode(entry.resource)
    except UNREADABLE:
        return _Version()


def _resource_of(entry: BundleEntry) -> str:
    """The resource that an entry of a history is a version of, mostly `Type/id`; empty when it does not say."""
    held = _version(entry)
    if held.resource_type and held.id:
        return f"{held.resource_type}/{held.id}"
    for url in (entry.request.url if entry.request else None, entry.full_url):
        path = (url or "").partition("?")[0].partition("/_history")[0]
        if "/" in path:
            return "/".join(path.split("/")[-2:])
    return entry.full_url or ""


def _is_later(entry: BundleEntry, other: BundleEntry) -> bool:
    """Whether an entry is surely a later version than one before it; the newest stand first in a history."""
    first, second = _made(other), _made(entry)
    return bool(first and second and second > first)


def _made(entry: BundleEntry) -> datetime | None:
    """When a version was made: by the server's answer for it, else as the resource says."""
    answered = entry.response.last_modified if entry.response else None
    return updated(_Version(meta=Meta(last_updated=answered))) if answered else updated(_version(entry))
