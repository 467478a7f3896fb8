"""Which patients have new answers on a server: for notifications that name nobody, and for those that were missed.

Servers differ in what they make of `_lastUpdated` (FHIR R4, Search, "Parameters for all resources"): what they send is
compared with the moment again where a resource says when it was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from fhir_adapters.access.notifications import patient_of
from fhir_adapters.access.searches import Fetch
from fhir_adapters.access.templates import PAGE, PATIENT_ID, local_template, templates
from fhir_adapters.errors import FetchFailed
from fhir_adapters.facts import ChartPart
from fhir_adapters.gaps import Gap
from fhir_adapters.resources import r4
from fhir_adapters.settings import ReadSettings

MINE = f"patient={PATIENT_ID}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """Ids of patients with new answers. gap: why there may be more."""

    patients: tuple[str, ...]
    gap: Gap | None = None


def answer_queries(settings: ReadSettings) -> tuple[str, ...]:
    """What can hold an answer, of whichever patient: forms, and Observations of screening codes, a site's own too."""
    local = local_template(settings.maps)
    parts = (*templates((ChartPart.SCREENING, ChartPart.QUESTIONNAIRES)), *((local,) if local else ()))
    return tuple(query.replace(f"{MINE}&", "").replace(f"?{MINE}", "") for part in parts for query in part.queries)


def changed_since(since: datetime, fetch: Fetch, settings: ReadSettings) -> Changed:
    """The patients of what was made since then, as far as it can be read."""
    moment = since.isoformat(timespec="seconds").replace("+00:00", "Z")
    found: set[str] = set()
    gap: Gap | None = None
    for query in answer_queries(settings):
        mark = "&" if "?" in query else "?"
        try:
            pages = fetch(f"{query}{mark}_lastUpdated=ge{moment}{PAGE}".replace("://", "%3A%2F%2F"))
        except FetchFailed as failure:
            pages, gap = list(failure.pages), failure.gap
        new = (one for one in _held(pages) if one.updated is None or one.updated >= since)
        found |= {whose for one in new if (whose := patient_of(one, settings.fhir_bases))}
    return Changed(patients=tuple(sorted(found)), gap=gap)


def _held(pages: Iterable[r4.Resource]) -> Iterator[r4.Resource]:
    for page in pages:
        if page.kind == "Bundle" and page.content is not None:
            yield from r4.contents(page, all_pages=True).resources
