"""`[[crisis_line]]`: the crisis lines and the emergency number that a site has checked itself."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import msgspec
from babel import Locale

from cds_service.settings.shapes import one_of, shown
from explanations.words.help_lines import EMERGENCY, CrisisLine

AUDIENCES = ("general", "perinatal", EMERGENCY)
MOST_NAME = 80
AHEAD = timedelta(days=1)  # where the day has begun already
NUMBER = re.compile(r"[0-9][0-9 -]{1,19}")
KEY = re.compile(r"[0-9*#]")
MARKUP = frozenset("*_[]<>`|\\")
LANGUAGES = {code for code in map(str, Locale("en").languages) if code.isalpha()}
WORD = re.compile(r"[A-Za-z0-9]{1,20}")


class CrisisLineTable(msgspec.Struct):
    """One `[[crisis_line]]`."""

    service: str = ""
    call: str = ""
    press: str = ""
    sms: str = ""
    sms_word: str = ""
    audience: str = "general"
    languages: list[str] = []
    checked: date | None = None


def crisis_line(where: str, raw: CrisisLineTable, problems: list[str]) -> CrisisLine | None:
    """The line, its problems appended; None when it cannot be used."""
    before = len(problems)
    if not (raw.service.strip() and len(raw.service) <= MOST_NAME and raw.service.isprintable()):
        problems.append(f"{where} service: expected the name of the service, in 1 to {MOST_NAME} printable characters")
    if marks := sorted(MARKUP.intersection(raw.service)):
        found = " ".join(marks)
        problems.append(
            f"{where} service: expected plain text, since it stands in the markdown of cards; found {found}"
        )
    if unknown := [tag for tag in raw.languages if tag not in LANGUAGES]:
        found = ", ".join(map(shown, unknown))
        problems.append(
            f'{where} languages: expected codes of two or three letters (BCP 47), such as "es"; found {found}'
        )
    if not NUMBER.fullmatch(raw.call):
        expected = 'a number as dialled within the country, such as "116 123"'
        problems.append(f"{where} call: expected {expected}; found {shown(raw.call)}")
    problems += [
        f"{where} {key}: expected {expected}; found {shown(value)}"
        for key, value, shape, expected in (
            ("press", raw.press, KEY, 'a key, such as "2"'),
            ("sms", raw.sms, NUMBER, 'a number, such as "85258"'),
            ("sms_word", raw.sms_word, WORD, 'a word, such as "SHOUT"'),
        )
        if value and not shape.fullmatch(value)
    ]
    if raw.sms_word and not raw.sms:
        problems.append(f"{where} sms: expected the number that {shown(raw.sms_word)} is sent to; found none")
    if raw.audience not in AUDIENCES:
        problems.append(f"{where} audience: expected {one_of(AUDIENCES, raw.audience)}; found {shown(raw.audience)}")
    if raw.checked is None:
        problems.append(f"{where} checked: expected the day on which the number was last checked, such as 2026-11-30")
    elif raw.checked > datetime.now(UTC).date() + AHEAD:
        problems.append(f"{where} checked: expected a day up to today, since a later one would keep it for too long")
    if len(problems) > before:
        return None
    return CrisisLine(
        service=raw.service,
        call=raw.call,
        press=raw.press,
        sms=raw.sms,
        sms_word=raw.sms_word,
        audience=raw.audience,
        languages=tuple(raw.languages),
        checked=raw.checked,
    )
