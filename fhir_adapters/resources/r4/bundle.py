"""The resources of a Bundle, and why they may be incomplete."""

from __future__ import annotations

from dataclasses import dataclass

from fhir_adapters.errors import NotFhir
from fhir_adapters.gaps import Cause, Gap
from fhir_adapters.resources.r4.resource import Resource, read
from fhir_adapters.resources.r4.resource_types import Bundle, Issue

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


def contents(bundle: Bundle, *, all_pages: bool = False) -> Contents:
    """The contents of a Bundle. Failed, empty or unreadable entries make it incomplete, never just shorter.

    `all_pages`: the other pages were read as well, so a next link does not matter.
    """
    matches: list[Resource] = []
    included: list[Resource] = []
    broken = None in bundle.link  # it may have led to the next page
    links = list(bundle.link)
    left = [(entry, 0) for entry in reversed(bundle.entry)]
    while left:
        entry, depth = left.pop()
        if entry is None:
            broken = True
            continue
        status = (entry.response.status if entry.response else None) or "200"
        try:
            resource = read(entry.resource, entry.full_url)
        except NotFhir:
            broken = True
            continue
        broken = broken or not status.startswith("2")
        if resource.kind == "Bundle" and resource.content is not None and resource.content.entry:
            # A search within a batch answer
            if depth < MOST_NESTED:
                left += [(inner, depth + 1) for inner in reversed(resource.content.entry)]
                links += resource.content.link
                broken = broken or None in resource.content.link
            broken = broken or depth >= MOST_NESTED
            continue
        broken = broken or (resource.kind == "Bundle" and resource.content is None)
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
