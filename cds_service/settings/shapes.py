"""Values of a settings file as a typed table, one by one, so that one run names every mistake.

What cannot be used is reported and left out: its default then stands for the checks that follow. Values are shown as
they were written and shortened, those that may be secrets not at all.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, inspect

from fhir_adapters.received import cleaned

Shape = type[msgspec.Struct]
TABLES = (inspect.StructType, inspect.DataclassType)
T = TypeVar("T", bound=msgspec.Struct)
MOST_SHOWN, MOST_INTEGER = 80, 2**63
SCALARS: dict[type[inspect.Type], tuple[tuple[type, ...], str]] = {
    inspect.StrType: ((str,), "text in quotation marks"),
    inspect.BoolType: ((bool,), "true or false without quotation marks"),
    inspect.IntType: ((int,), "a whole number without quotation marks"),
    inspect.FloatType: ((int, float), "a number without quotation marks"),
    inspect.DateType: ((date,), "a date without quotation marks, such as 2026-11-30"),
}


def shown(value: object) -> str:
    """A value as a file would have it, shortened; of an address no user information and no query."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{cleaned(value, MOST_SHOWN)}"' if value else "none"
    if isinstance(value, int | float):
        return "a number of too many digits" if _is_huge(value) else str(value)
    return "a list" if isinstance(value, list) else "a table" if isinstance(value, dict) else "a date or time"


def _is_huge(value: object) -> bool:
    return isinstance(value, int) and abs(value) >= MOST_INTEGER


def _kind(value: object) -> str:
    """What stands where a table belongs; never the value, which may be the secret that the table should refer to."""
    return "text" if isinstance(value, str) else "a value" if isinstance(value, int | float) else shown(value)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    plain = {_plain(name): name for name in known}
    found = difflib.get_close_matches(_plain(word), plain, 1, 0.7)
    return plain[found[0]] if found else None


def _plain(word: str) -> str:
    return word.lower().replace("-", "_")


def numbered(name: str, place: int, count: int) -> str:
    """One of several: `[[smart]] no. 2`."""
    return f"{name} no. {place + 1}" if count > 1 else name


def one_of(values: Iterable[object], found: object = None) -> str:
    """Choices as a file would have them; that alone which was probably meant."""
    several = list(dict.fromkeys(map(str, values)))
    near = nearest(found, several) if isinstance(found, str) else None
    return " or ".join(f'"{value}"' for value in ([near] if near else several))


def lacking(problems: list[str], place: str, text: str) -> None:
    """Appends that a setting is lacking, unless something is wrong with what stands there."""
    if not any(problem.startswith(f"{place}: ") for problem in problems):
        problems.append(f"{place}: {text}")


def table(shape: type[T], raw: Mapping[str, Any], elsewhere: Mapping[str, Shape]) -> tuple[T, list[str]]:
    """A file as its shape, and its problems as `key: what was expected; what was found`.

    elsewhere: name of another file -> its shape, for keys that stand in the wrong one.
    """
    reader = _Reader(shape, elsewhere)
    return msgspec.convert(reader.table(shape, raw, ""), shape), reader.problems


class _Reader:
    def __init__(self, root: Shape, elsewhere: Mapping[str, Shape]) -> None:
        self.root, self.elsewhere = root, elsewhere
        self.problems: list[str] = []
        self.misplaced: dict[str, Any] = {}

    def table(self, shape: Shape, raw: Mapping[str, Any], where: str) -> dict[str, Any]:
        """The values of a table that can be used, by the keys that were meant."""
        kinds = {field.encode_name: field.type for field in inspect.type_info(shape).fields}  # type: ignore[attr-defined]
        meant = {given: self._key(given, kinds, raw, where) for given in raw}
        read = {key: self._value(kinds[key], raw[given], _in(where, key)) for given, key in meant.items() if key}
        if shape is self.root:
            read |= {
                key: self._value(kinds[key], value, key) for key, value in self.misplaced.items() if key not in raw
            }
        return {key: value for key, value in read.items() if value is not UNSET}

    def _key(self, given: str, known: Mapping[str, object], raw: Mapping[str, Any], where: str) -> str | None:
        """The setting that a key stands for; None when that is not known."""
        if given in known:
            return given
        place, near = _in(where, cleaned(given, MOST_SHOWN)), nearest(given, known)
        if where and given in self.root.__struct_fields__:
            self.problems.append(f"{place}: belongs above the first line that has brackets around it")
            self.misplaced[given] = raw[given]
        elif file := next((name for name, shape in self.elsewhere.items() if given in shape.__struct_fields__), None):
            self.problems.append(f"{place}: belongs into {file}")
        else:
            near = None if near in raw else near
            self.problems.append(f"{place}: no such setting; " + (f"write {near}" if near else "remove it"))
            return near
        return None

    def _value(self, kind: inspect.Type, value: object, where: str) -> Any:  # noqa: ANN401  # of the kind
        """The value, or UNSET when it cannot be used."""
        if isinstance(kind, inspect.UnionType):
            kinds = [of for of in kind.types if not isinstance(of, inspect.NoneType)]
            kind = next((of for of in kinds if isinstance(of, TABLES) == isinstance(value, dict)), kinds[0])
        if isinstance(kind, TABLES):
            if isinstance(value, dict):
                return self.table(kind.cls, value, where)
            known = getattr(kind.cls, "written", f"a table, [{where}]")
            return self._wrong(where, known, _kind(value))
        if isinstance(kind, inspect.ListType | inspect.VarTupleType):
            return self._list(kind.item_type, value, where)
        if isinstance(kind, inspect.DictType):
            return self._open_table(kind, value, where)
        if isinstance(kind, inspect.LiteralType | inspect.EnumType):
            return self._choice(_choices(kind), value, where)
        types, known = SCALARS.get(type(kind), ((object,), ""))
        # To Python true and false are numbers, and a moment is a date.
        if isinstance(value, str) and "\0" in value:
            return self._wrong(where, "text", "the character U+0000")
        confused = (isinstance(value, bool) and int in types) or isinstance(value, datetime)
        if isinstance(value, types) and not confused and not _is_huge(value):
            return value
        self._wrong(where, known, shown(value))
        return str(value) if str in types and isinstance(value, int | float) and not _is_huge(value) else UNSET

    def _list(self, kind: inspect.Type, value: object, where: str) -> list[Any]:
        written = getattr(kind.cls, "written", None) if isinstance(kind, inspect.StructType) else None
        tables = isinstance(kind, inspect.StructType) and written is None
        name = f"[[{where}]]" if tables else where
        if not isinstance(value, list):
            found = f"[{where}]" if isinstance(value, dict) else _kind(value) if written else shown(value)
            self._wrong(where, f"a table {name}" if tables else f"a list, [{written or found}]", found)
            if tables and not isinstance(value, dict):
                return []
        several = value if isinstance(value, list) else [value]
        read = [self._value(kind, one, numbered(name, place, len(several))) for place, one in enumerate(several)]
        return [one for one in read if one is not UNSET]

    def _open_table(self, kind: inspect.DictType, value: object, where: str) -> Any:  # noqa: ANN401  # as above
        if not isinstance(value, dict):
            return self._wrong(where, "a table", shown(value))
        read = {}
        for given, one in value.items():
            key = self._choice(_choices(kind.key_type), given, where if where.startswith("[") else f"[{where}]", "key")
            read[key] = self._value(kind.value_type, one, _in(where, cleaned(given, MOST_SHOWN)))
        return {key: one for key, one in read.items() if UNSET not in (key, one)}

    def _choice(self, choices: list[Any], value: object, where: str, what: str = "") -> Any:  # noqa: ANN401  # one of them
        """One of these, or the nearest to what was written; anything without choices."""
        # To Python 412.0 is 412, which another library then refuses.
        if not choices or (value in choices and not isinstance(value, float)):
            return value
        self._wrong(where, f"{what} {one_of(choices, value)}".strip(), shown(value))
        near = nearest(value, map(str, choices)) if isinstance(value, str) else None
        return next((one for one in choices if str(one) == near), UNSET)

    def _wrong(self, where: str, expected: str, found: str) -> Any:  # noqa: ANN401  # UNSET
        self.problems.append(f"{where}: expected {expected}; found {found}")
        return UNSET


def _choices(kind: inspect.Type) -> list[Any]:
    if isinstance(kind, inspect.LiteralType):
        return list(kind.values)
    return list(kind.cls) if isinstance(kind, inspect.EnumType) else []


def _in(where: str, key: str) -> str:
    """A key in a table, as it is found in the file."""
    return f"{where if where.startswith('[') else f'[{where}]'} {key}" if where else key
