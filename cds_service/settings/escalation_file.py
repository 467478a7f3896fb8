"""`[escalation]` of a site's file, read: each mistake with its place, what was expected, and what was found."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Literal

import msgspec

from cds_service.settings.deployment import SecretReference, WebhookTable, secret
from cds_service.settings.escalation import (
    DEFAULT_WITHIN_MIN,
    Channel,
    Contact,
    EscalationSettings,
    Hours,
    MessageContent,
    Smtp,
)
from cds_service.settings.shapes import lacking, numbered, one_of, shown
from cds_service.settings.webhook import webhook
from fhir_adapters.access.addresses import is_base, is_loopback

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LEAST_MIN, MOST_MIN = 1, 240
MOST_NAME = 100
PORTS = {"starttls": 587, "tls": 465, "none": 25}
TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
TIMES = re.compile(rf"(\S+) ({TIME})-({TIME}|24:00)")
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
REFERENCE = re.compile(r"(Practitioner|PractitionerRole|Organization|CareTeam)/[A-Za-z0-9.-]{1,64}")
OWN_KEY = {Channel.WEBHOOK: "webhook", Channel.EMAIL: "email", Channel.TASK: "owner"}


class ContactTable(msgspec.Struct):
    """`[[escalation.contact]]`."""

    name: str = ""
    channel: Channel | None = None
    within_min: int = DEFAULT_WITHIN_MIN
    hours: list[str] = []
    webhook: WebhookTable | None = None
    email: str | None = None
    owner: str | None = None


class SmtpTable(msgspec.Struct):
    """`[escalation.smtp]`."""

    host: str = ""
    port: int | None = None
    security: Literal["starttls", "tls", "none"] = "starttls"
    sender: str = ""
    user: str | None = None
    password: SecretReference | None = None


class EscalationTable(msgspec.Struct):
    """`[escalation]`."""

    contact: list[ContactTable] = []
    content: MessageContent = MessageContent.LINK
    smtp: SmtpTable | None = None
    chart_url: str | None = None


def escalation(
    path: Path, raw: EscalationTable | None, problems: list[str], *, bases: int, has_backend: bool, development: bool
) -> EscalationSettings | None:
    """The table; None without one. What cannot be used is among the problems.

    bases: how many FHIR servers the file names. has_backend: whether it has `[backend]`.
    """
    if raw is None:
        return None
    if bases > 1:
        problems.append(
            f"{path}: fhir_bases: expected one with [escalation], since ids of patients are unique within one server "
            f"alone; found {bases}. Write a site's file for each"
        )
    if not raw.contact:
        lacking(problems, f"{path}: [escalation] contact", "expected at least one [[escalation.contact]]; found none")
    contacts, taken = list[Contact | None](), set[str]()
    for n, table in enumerate(raw.contact):
        place = numbered("[[escalation.contact]]", n, len(raw.contact))
        contacts.append(_contact(path, place, table, problems, development=development))
        name = " ".join(table.name.casefold().split())
        if name and name in taken:
            problems.append(f"{path}: {place} name: {shown(table.name)} is another contact's; give each its own")
        taken.add(name)
        if table.channel is Channel.TASK and not has_backend:
            problems.append(f"{path}: {place} channel: a task is written with [backend]; add it, or choose another")
        if table.channel is Channel.EMAIL and raw.smtp is None:
            problems.append(f"{path}: {place} channel: an e-mail is sent by [escalation.smtp]; add it")
    if raw.chart_url is not None and not _is_chart(raw.chart_url, development=development):
        problems.append(
            f"{path}: [escalation] chart_url: expected an https address with {{patient}} once, for the patient's id; "
            f"found {shown(raw.chart_url)}"
        )
    return EscalationSettings(
        contacts=tuple(contact for contact in contacts if contact is not None),
        content=raw.content,
        smtp=None if raw.smtp is None else _smtp(path, raw.smtp, problems),
        chart_url=raw.chart_url,
    )


def without_pages(path: Path, settings: EscalationSettings | None, *, production: bool) -> Iterator[str]:
    """The problems where there are no governance pages: a message holds a link to one, and often nothing else.

    production: else a webhook may be tried without them.
    """
    if settings is None:
        return
    for contact in settings.contacts:
        is_blind = production and contact.channel is Channel.WEBHOOK and settings.content is MessageContent.LINK
        if contact.channel is Channel.EMAIL or is_blind:
            yield (
                f"{path}: [[escalation.contact]] {shown(contact.name)}: its messages lead to a governance page and say "
                "nothing else; add [governance] to service.toml"
            )


def uncovered(contacts: Sequence[Contact]) -> list[str]:
    """When nobody is on duty, by the site's clock: `Sat 18:00 to Mon 08:00`, in order of the week."""
    monday = datetime(2026, 1, 5)  # noqa: DTZ001  # the clock of any zone
    minutes = [monday + timedelta(minutes=n) for n in range(7 * 24 * 60)]
    free = [not any(contact.on_duty(minute) for contact in contacts) for minute in minutes]
    if all(free):
        return ["Mon 00:00 to Mon 00:00"]
    starts = [n for n, is_free in enumerate(free) if is_free and not free[n - 1]]
    spans = []
    for start in starts:
        end = next(n for n in range(start, start + len(free)) if not free[n % len(free)])
        spans.append(f"{_day_time(minutes[start])} to {_day_time(minutes[end % len(free)])}")
    return spans


def _day_time(moment: datetime) -> str:
    return f"{DAYS[moment.weekday()]} {moment:%H:%M}"


def _contact(path: Path, place: str, raw: ContactTable, problems: list[str], *, development: bool) -> Contact | None:
    where = f"{path}: {place}"
    if not (0 < len(raw.name.strip()) <= MOST_NAME and raw.name.isprintable()):
        lacking(problems, f"{where} name", f"expected 1 to {MOST_NAME} printable characters; found {shown(raw.name)}")
    if not LEAST_MIN <= raw.within_min <= MOST_MIN:
        problems.append(f"{where} within_min: expected {LEAST_MIN} to {MOST_MIN}; found {raw.within_min}")
    hours = [_hours(f"{where} hours", text, problems) for text in raw.hours]
    if raw.channel is None:
        lacking(problems, f"{where} channel", f"expected {one_of(Channel)}; found none")
        return None
    for channel, key in OWN_KEY.items():
        if channel is not raw.channel and getattr(raw, key) is not None:
            problems.append(f'{where} {key}: only with channel = "{channel}"; remove it')
    if raw.channel is Channel.WEBHOOK and raw.webhook is None:
        lacking(problems, f"{where} webhook", "expected a table with url and secret; found none")
    if raw.channel is Channel.EMAIL:
        _check_address(f"{where} email", raw.email, "ward@hospital.example", problems)
    if raw.owner is not None and not REFERENCE.fullmatch(raw.owner):
        problems.append(f"{where} owner: expected a reference such as PractitionerRole/17; found {shown(raw.owner)}")
    return Contact(
        name=raw.name.strip(),
        channel=raw.channel,
        within_min=raw.within_min,
        hours=tuple(each for each in hours if each is not None),
        webhook=webhook(path, raw.webhook, problems, development=development, place=f"{place} webhook"),
        email=raw.email,
        owner=raw.owner,
    )


def _check_address(where: str, text: str | None, example: str, problems: list[str]) -> None:
    """Appends a problem unless it is an e-mail address, which is not quoted."""
    if not ADDRESS.fullmatch(text or ""):
        found = "another text" if text else "none"
        lacking(problems, where, f"expected an address such as {example}; found {found}")


def _hours(where: str, text: str, problems: list[str]) -> Hours | None:
    parts = TIMES.fullmatch(text)
    days = _days(parts[1]) if parts else None
    if not parts or not days:
        problems.append(
            f'{where}: expected days and times such as "Mon-Fri 08:00-18:00" or "Sat,Sun 22:00-06:00"; '
            f"found {shown(text)}"
        )
        return None
    start, end = (time.fromisoformat(text.replace("24:00", "00:00")) for text in parts.groups()[1:])
    return Hours(days=days, start=start, end=end)


def _days(text: str) -> frozenset[int] | None:
    """Days of the week by comma, single or from one to another, over Sunday too."""
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            return None
        begin = DAYS.index(first)
        length = (DAYS.index(last) - begin) % 7 if dash else 0
        found |= {(begin + n) % 7 for n in range(length + 1)}
    return frozenset(found)


def _smtp(path: Path, raw: SmtpTable, problems: list[str]) -> Smtp | None:
    where, before = f"{path}: [escalation.smtp]", len(problems)
    port = PORTS[raw.security] if raw.port is None else raw.port
    if not (raw.host and raw.host.isascii() and raw.host.isprintable() and not set(raw.host) & set(" /@")):
        lacking(problems, f"{where} host", f"expected the name of a mail server; found {shown(raw.host)}")
    if not 0 < port < 65536:
        problems.append(f"{where} port: expected 1 to 65535; found {port}")
    _check_address(f"{where} sender", raw.sender, "cds@hospital.example", problems)
    if (raw.user is None) != (raw.password is None):
        lacked = "password" if raw.password is None else "user"
        problems.append(f"{where} {lacked}: expected with {'user' if lacked == 'password' else 'password'}; found none")
    if raw.password is not None and raw.security == "none":
        problems.append(f'{where} security: a password is sent encrypted alone; expected "starttls" or "tls"')
    password = None if raw.password is None else secret(path, f"{where} password", raw.password, problems)
    if len(problems) > before:
        return None
    return Smtp(host=raw.host, port=port, security=raw.security, sender=raw.sender, user=raw.user, password=password)


def _is_chart(url: str, *, development: bool) -> bool:
    """Whether it is an address with the patient's id in it; a fragment is allowed, as EHRs of one page use it."""
    plain = url.replace("{patient}", "1").partition("#")[0].partition("?")[0]
    safe = is_base(plain) and url.isascii() and not re.search(r"[\s\"'<>\\]", url)
    return safe and url.count("{patient}") == 1 and (url.startswith("https:") or (development and is_loopback(plain)))
