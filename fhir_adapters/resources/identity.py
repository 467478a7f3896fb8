"""Who a Patient or Practitioner resource is about, as a page shows it. Never a fact, never an input, never in a log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import msgspec

from fhir_adapters.resources import r4

LONGEST_SHOWN = 200
MEDICAL_RECORD = "MR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What distinguishes two patients. None: not recorded, or unreadable."""

    name: str | None
    birth_date: date | None
    gender: str | None
    identifier: str | None


class _Name(msgspec.Struct, rename="camel"):
    text: str | None = None
    family: str | None = None
    given: list[str] = []
    use: str | None = None
    prefix: list[str] = []


class _Identifier(msgspec.Struct):
    value: str | None = None
    type: r4.CodeableConcept | None = None


class _Communication(msgspec.Struct):
    language: r4.CodeableConcept | None = None
    preferred: bool = False


class _Patient(msgspec.Struct, rename="camel"):
    name: list[_Name] = []
    birth_date: str | None = None
    gender: str | None = None
    identifier: list[_Identifier] = []
    communication: list[_Communication] = []


def identity(patient: r4.Resource | None) -> Identity:
    """The identity in a Patient, without what cannot be read."""
    elements = _Patient()
    if patient is not None:
        whole = _object(patient.text)
        for name in ("name", "birthDate", "gender", "identifier"):
            if name in whole:
                elements = _with(elements, name, whole[name])
    return Identity(
        name=shown(_best_name(elements.name)),
        birth_date=_day(elements.birth_date),
        gender=shown(elements.gender),
        identifier=shown(_best_identifier(elements.identifier)),
    )


# ISO 639-2, which older records have where BCP 47 asks for the code of two letters.
THREE_LETTERS = {
    "eng": "en", "spa": "es", "fra": "fr", "fre": "fr", "deu": "de", "ger": "de", "ita": "it", "nld": "nl", "dut": "nl",
    "por": "pt",
}  # fmt: skip


def spoken_languages(patient: r4.Resource) -> tuple[str, ...]:
    """The languages of Patient.communication in lower case (`es`, `en-us`; BCP 47), the preferred ones first."""
    spoken = _object(patient.text).get("communication")
    if spoken is None:
        return ()
    entries = _with(_Patient(), "communication", spoken).communication
    ordered = sorted(entries, key=lambda entry: not entry.preferred)
    codes = [coding.code for entry in ordered if entry.language for coding in entry.language.coding]
    tags = (code.strip().replace("_", "-").lower() for code in codes if code)
    return tuple(dict.fromkeys(THREE_LETTERS.get(tag, tag) for tag in tags if tag))


def initials(patient: r4.Resource | None) -> str | None:
    """The first letters of the given names and of the family name (`MO`), at most four; None without a name."""
    name = identity(patient).name
    if name is None:
        return None
    family, comma, given = name.partition(",")
    words = [*given.split(), *family.split()] if comma else name.split()
    return "".join(word[0] for word in words if word[0].isalpha())[:4].upper() or None


def practitioner_name(practitioner: r4.Resource) -> str | None:
    """`Dr Robin Lindqvist`; None where it is not recorded, or unreadable."""
    names = _object(practitioner.text).get("name")
    if names is None:
        return None
    for name in _sorted(_with(_Patient(), "name", names).name):
        written = (
            " ".join(part for part in (*name.prefix, *name.given, name.family) if part) if name.family else name.text
        )
        if written:
            return shown(written)
    return None


def _object(text: bytes) -> dict[str, msgspec.Raw]:
    try:
        return msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return {}


def _with(elements: _Patient, name: str, raw: msgspec.Raw) -> _Patient:
    """One more member, unless it is damaged."""
    try:
        read = msgspec.convert({name: msgspec.json.decode(raw)}, _Patient)
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError):
        return elements
    field = {"birthDate": "birth_date"}.get(name, name)
    return msgspec.structs.replace(elements, **{field: getattr(read, field)})


def _sorted(names: Iterable[_Name]) -> list[_Name]:
    """The official or usual name, then others; an old or maiden name only for want of another."""
    order = {"official": 0, "usual": 1, None: 2, "temp": 3, "nickname": 4, "anonymous": 5, "maiden": 6, "old": 7}
    return sorted(names, key=lambda n: order.get(n.use, 2))


def _best_name(names: Iterable[_Name]) -> str | None:
    for name in _sorted(names):
        given = " ".join(name.given)
        written = ", ".join(part for part in (name.family, given) if part) or name.text
        if written:
            return written
    return None


def _best_identifier(identifiers: Iterable[_Identifier]) -> str | None:
    """The medical record number, else the first that has a value."""
    valued = [i for i in identifiers if i.value]
    records = [i for i in valued if i.type and any(c.code == MEDICAL_RECORD for c in i.type.coding)]
    return (records or valued)[0].value if valued else None


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None


def shown(text: str | None) -> str | None:
    """Printable characters, at most LONGEST_SHOWN."""
    plain = "".join(c for c in (text or "")[:LONGEST_SHOWN] if c.isprintable()).strip()
    return plain or None
