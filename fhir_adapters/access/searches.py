"""One query of a chart's part, read from the server in the best form that it answers: `Reader`.

Form after form, the last guaranteed by US Core; then the list of codes by halves. Never more than a failed read: what
one form or one half lacks is a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import quote

from fhir_adapters.access.addresses import plain_id
from fhir_adapters.access.chart_parts import Part, part_of, says_other_codes, searched_for, together
from fhir_adapters.access.templates import PATIENT_ID, Template
from fhir_adapters.errors import FetchFailed, NotFhir, NotSupported, ServerFailed
from fhir_adapters.gaps import Cause, Gap
from fhir_adapters.resources import r4

Fetch = Callable[[str], list[r4.Resource]]
OTHER_CODES = Gap(cause=Cause.OTHER_CODES)
# A query is below the limits that are known, so that a quarter of it passes one that nobody knew of.
HALVINGS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Reads about one patient. `fetch` runs one query, with the caller's token and by the caller's deadline."""

    fetch: Fetch
    patient_id: str

    def read(self, template: Template, query: str) -> Part:
        """What the server has for one query of a template."""
        forms = template.reads(query)
        refusal: FetchFailed | None = None
        for form in forms:
            try:
                part = self._asked(template, form)
            except (NotSupported, ServerFailed) as failure:
                refusal = failure
                continue
            lacks = template.narrower if form == forms[-1] else None
            return replace(part, unknown=part.unknown or lacks)
        if isinstance(refusal, NotSupported):
            return self._by_halves(template, query, refusal, HALVINGS)
        return Part(unknown=refusal.gap if refusal else None)

    def _by_halves(self, template: Template, query: str, refusal: FetchFailed, times: int) -> Part:
        """What the two halves of a query give that was refused whole."""
        parts = []
        for half in _halves(query) if times else ():
            try:
                parts.append(self._asked(template, half))
            except (NotSupported, ServerFailed) as failure:
                parts.append(self._by_halves(template, half, failure, times - 1))
        return together(parts) if parts else Part(unknown=refusal.gap)

    def _asked(self, template: Template, query: str) -> Part:
        """The answer to a query. Raises NotSupported or ServerFailed when another form of it may be answered."""
        try:
            pages = self.fetch(_sendable(query, self.patient_id))
        except FetchFailed as failure:
            # After a first page the query was evidently supported.
            if isinstance(failure, NotSupported | ServerFailed) and not failure.pages:
                raise
            read = part_of(template, failure.pages, all_pages=True)
            return replace(read, unknown=failure.gap)
        except NotFhir:
            return Part(unknown=Gap(cause=Cause.ANSWER_NOT_FHIR))
        part = part_of(template, pages, all_pages=True)
        if pages and says_other_codes(pages[0], query):
            return replace(part, unknown=OTHER_CODES)
        return searched_for(self.patient_id, pages[0], part) if pages else part


def _halves(query: str) -> Iterator[str]:
    """The query for each half of its codes; nothing when it has fewer than two."""
    start, mark, codes = query.partition("&code=")
    listed = codes.split(",")
    if mark and len(listed) > 1:
        middle = len(listed) // 2
        yield from (f"{start}{mark}{','.join(half)}" for half in (listed[:middle], listed[middle:]))


def _sendable(query: str, patient_id: str) -> str:
    """A query as it is sent: `://` in a value is encoded, since some gateways collapse the two slashes."""
    path, mark, rest = query.replace(PATIENT_ID, quote(plain_id(patient_id), safe="")).partition("?")
    return f"{path}{mark}{rest.replace('://', '%3A%2F%2F')}"
