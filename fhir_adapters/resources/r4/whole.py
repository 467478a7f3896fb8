"""A Bundle decoded in one go, with its resources: `whole_bundle`.

Most Bundles have nothing unusual in them. Any other is decoded entry by entry, so that what is wrong with one resource
concerns no other.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import msgspec

from fhir_adapters.duplicates import ANY, is_kept
from fhir_adapters.resources.r4.datatypes import Element
from fhir_adapters.resources.r4.faults import UNREADABLE, may_change_meaning
from fhir_adapters.resources.r4.resource_types import DECODERS, Entered, EntryResponse, Link, Search


class WholeEntry(Element):
    """An entry with a resource of a type that is read."""

    resource: Entered
    full_url: str | None = None
    search: Search | None = None
    response: EntryResponse | None = None
    # It can mean that the resource was deleted.
    request: None = None


class WholeBundle(Element):
    """A Bundle of such entries alone, none of which replaces another."""

    resource_type: Literal["Bundle"]
    id: str | None = None
    # Not a history.
    type: Literal["searchset", "collection", "batch-response", "document", "message"] | None = None
    total: int | None = None
    entry: tuple[WholeEntry, ...] = ()
    link: tuple[Link, ...] = ()


WHOLE_BUNDLE: msgspec.json.Decoder[WholeBundle] = msgspec.json.Decoder(WholeBundle)


def whole_bundle(text: bytes) -> WholeBundle | None:
    """The Bundle in a text, if all its resources fit their types, no member stands twice and nothing changes meaning.

    None for any other text.
    """
    if text.find(b'"Bundle"', 0, 60) < 0:
        return None
    try:
        bundle = WHOLE_BUNDLE.decode(text)
        return bundle if not may_change_meaning(text) and is_kept(text, ANY.decode(text)) else None
    except UNREADABLE:
        return None


class Texts:
    """The texts of a Bundle's resources. It is split only when one of them is asked for, which is seldom."""

    def __init__(self, whole: bytes) -> None:
        self.whole = whole
        # Only then can a reference point to a contained resource.
        self.may_refer_inside = b"#" in whole or b"\\" in whole

    @cached_property
    def held(self) -> list[bytes]:
        """The text of each entry's resource, by its place."""
        return [bytes(entry.resource) for entry in DECODERS["Bundle"].decode(self.whole).entry]
