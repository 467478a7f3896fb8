"""The FHIR data types. Numbers may arrive as JSON strings (seen in the field)."""

from __future__ import annotations

import re

from msgspec import Raw, Struct


class Element(Struct, rename="camel", gc=False):
    """Base of all wire types: camelCase names on the wire, not tracked by the garbage collector.

    Types that a sender can repeat a million times in one body have tuples, which cost nothing when empty.
    """


NUMBER = re.compile(r"\s*[+-]?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,3})?\s*", re.ASCII)


def as_number(value: float | str) -> float:
    """A number, possibly sent as text. Raises ValueError for text that is not a JSON number."""
    if isinstance(value, str) and not NUMBER.fullmatch(value):
        raise ValueError("expected a number as JSON writes it")
    return float(value)


class Extension(Element):
    url: str | None = None
    value_decimal: float | str | None = None
    value_integer: float | str | None = None
    value_code: str | None = None
    value_coding: Coding | None = None


class Coding(Element):
    system: str | None = None
    code: str | None = None
    display: str | None = None
    extension: tuple[Extension, ...] = ()


class CodeableConcept(Element):
    coding: list[Coding] = []
    text: str | None = None


class Quantity(Element):
    value: float | str | None = None
    comparator: str | None = None
    unit: str | None = None
    system: str | None = None
    code: str | None = None


class Identifier(Element):
    system: str | None = None
    value: str | None = None


class Reference(Element):
    reference: str | None = None
    type: str | None = None
    identifier: Identifier | None = None
    display: str | None = None

    @property
    def target(self) -> str:
        """The reference without a version; empty when there is none."""
        return (self.reference or "").partition("/_history/")[0]

    @property
    def kind(self) -> str:
        """The resource type before the id, also of an absolute or conditional reference; empty when there is none."""
        path, mark, _ = self.target.partition("?")
        return path.rpartition("/")[2] if mark else path.rpartition("/")[0].rpartition("/")[2]


class Period(Element):
    start: str | None = None
    end: str | None = None


# Elements of other FHIR versions are kept unread: their presence is enough (`faults.FOREIGN`).
Absent = Raw
NOT_THERE = Raw()


class Meta(Element):
    last_updated: str | None = None
    security: list[Coding] = []
    profile: Raw = NOT_THERE


class Value(Element):
    """The value[x] of an Observation, a component or a questionnaire answer."""

    value_quantity: Quantity | None = None
    value_codeable_concept: CodeableConcept | None = None
    value_coding: Coding | None = None
    value_integer: float | str | None = None
    value_decimal: float | str | None = None
    value_string: str | None = None
    value_boolean: bool | None = None
    data_absent_reason: CodeableConcept | None = None
    interpretation: tuple[CodeableConcept, ...] = ()
    # Types that no answer is read from; kept, because such a value must not pass for none.
    value_range: Raw = NOT_THERE
    value_ratio: Raw = NOT_THERE
    value_period: Raw = NOT_THERE
    value_date: Raw = NOT_THERE
    value_time: Raw = NOT_THERE
    value_date_time: Raw = NOT_THERE
    value_sampled_data: Raw = NOT_THERE
    value_uri: Raw = NOT_THERE
    value_reference: Raw = NOT_THERE
    value_attachment: Raw = NOT_THERE
