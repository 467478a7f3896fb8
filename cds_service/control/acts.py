"""Modes and switches as recorded acts: each one transaction, with an event of the audit chain.

Acts come one after the other. One that would change nothing says so and writes nothing; one that cannot be done raises
ActRefused. What comes back has words for the person who acts. Raises StoreUnavailable.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from cds_service.control.refused import ActRefused
from cds_service.control.targets import SPEAKING, TWO_PEOPLE, Known, Mode, SwitchTarget, expect
from cds_service.control.version import changed, lock
from cds_service.settings.files import SWITCHES
from cds_service.storage.chain import AuditKind, NewEvent, append
from cds_service.storage.store import Store
from cds_service.storage.tables import mode, switch

LAPSES = timedelta(days=1)
NEVER = datetime.min.replace(tzinfo=UTC)
MOST_WHO, MOST_REASON, MOST_LISTED = 200, 500, 200
DEFAULT_REVIEW = 0.05


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and through what: command, endpoint, page. Two actors are one person if their names read the same.

    subject: of a sign-in, with which `who` then ends in parentheses; the same one is the same person under any name.
    """

    who: str
    through: str
    subject: str = ""

    def is_same(self, who: str) -> bool:
        """Whether this is the person of that name."""
        if self.subject and who.endswith(f" ({self.subject})"):
            return True
        return " ".join(self.who.casefold().split()) == " ".join(who.casefold().split())


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchRow:
    """What is switched off, or will be once a second person has confirmed it. file: switched off by `switch.toml`."""

    id: str
    target: SwitchTarget
    at: datetime
    state: Literal["off", "pending"]
    by: str
    reason: str
    through: str = ""
    confirmed_by: str = ""
    file: bool = False

    @property
    def words(self) -> str:
        """Such as `switched off since 2026-11-30 10:00 UTC by A. Smith`."""
        state = "switched off" if self.state == "off" else "waiting for a second person"
        return f"{state} since {moment_words(self.at)} by {self.by}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeRow:
    """The mode of one version of a model. share: of patients, for a pilot; review: of answers, in a review."""

    site: str
    service: str
    outcome: str
    version: str
    mode: Mode
    at: datetime
    by: str = ""
    reason: str = ""
    through: str = ""
    approval: str = ""
    users: tuple[str, ...] = ()
    departments: tuple[str, ...] = ()
    share: float = 0.0
    review: float = DEFAULT_REVIEW

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What it is the mode of."""
        return self.site, self.service, self.outcome, self.version

    @property
    def words(self) -> str:
        """Such as `depression 3.0.0 at site north`."""
        return f"{self.outcome} {self.version} at site {self.site}" + (f", {self.service}" if self.service else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ActDone:
    """What came of an act. done: False where nothing had to change. said: for the person who acts."""

    done: bool
    said: str
    id: str = ""
    pending: bool = False


def moment_words(at: datetime) -> str:
    """Such as `2026-11-30 10:00 UTC`."""
    return at.strftime("%Y-%m-%d %H:%M UTC")


def switch_off(
    store: Store, target: SwitchTarget, *, actor: Actor, reason: str, now: datetime, known: Known
) -> ActDone:
    """Switches off at once; a topic about safety once a second person has confirmed it."""
    known.check(target)
    check(actor, reason)
    pending = target.topic in TWO_PEOPLE
    with store.transaction() as connection:
        lock(connection)
        _drop_lapsed(connection, now)
        there = _of(connection, target)
        if there is not None:
            return ActDone(
                done=False, said=f"Nothing changed: {target.words} is {there.words} ({there.id}).", id=there.id
            )
        identifier, state = secrets.token_hex(4), "pending" if pending else "off"
        setting = {"by": actor.who, "through": actor.through, "reason": reason}
        values = {"id": identifier, **asdict(target), "at": now.isoformat(), "state": state, "setting": setting}
        connection.execute(switch.insert().values(values))
        append(connection, _event(target, "asked-off" if pending else "off", actor, reason, now, id=identifier))
        if not pending:
            changed(connection)
    if pending:
        said = (
            f"Not yet switched off: {target.words} is about safety, so a second person confirms it within a day: "
            f"mhcds switch confirm {identifier} --by NAME"
        )
        return ActDone(done=True, said=said, id=identifier, pending=True)
    return ActDone(done=True, said=f"Switched off from the next call on: {target.words} ({identifier}).", id=identifier)


def confirm(store: Store, identifier: str, *, actor: Actor, now: datetime) -> ActDone:
    """Switches off what another person has asked for."""
    check(actor, "-")
    with store.transaction() as connection:
        lock(connection)
        found = next((row for row in _switches(connection) if row.id == identifier), None)
        if found is None:
            raise ActRefused(
                f"expected the id of a switch, as mhcds switch status lists them; found {identifier[:40]!r}"
            )
        if found.state == "off":
            return ActDone(done=False, said=f"Nothing changed: {found.target.words} is {found.words}.", id=identifier)
        if now - found.at >= LAPSES:
            raise ActRefused(f"it was asked for on {moment_words(found.at)} and lapsed after a day; switch it off anew")
        if actor.is_same(found.by):
            raise ActRefused(f"expected a person other than {found.by}, who asked for it; nothing is switched off")
        setting = {"by": found.by, "through": found.through, "reason": found.reason, "confirmed_by": actor.who}
        row = switch.update().where(switch.c.id == identifier)
        connection.execute(row.values(state="off", at=now.isoformat(), setting=setting))
        event = _event(found.target, "off", actor, found.reason, now, id=identifier, asked_by=found.by)
        append(connection, event)
        changed(connection)
    return ActDone(done=True, said=f"Switched off from the next call on: {found.target.words}.", id=identifier)


def switch_on(
    store: Store,
    target: SwitchTarget,
    *,
    actor: Actor,
    reason: str,
    now: datetime,
    known: Known,
    filed: SwitchRow | None = None,
) -> ActDone:
    """Switches on what exactly this target switched off, or withdraws what waits for a second person.

    filed: its entry in `switch.toml`, which was just taken out and has not been on record.
    """
    known.check(target)
    check(actor, reason)
    with store.transaction() as connection:
        lock(connection)
        off = _of(connection, target) or filed
        if off is None:
            return ActDone(done=False, said=f"Nothing changed: {target.words} is not switched off.")
        connection.execute(switch.delete().where(switch.c.id == off.id))
        if filed is not None:
            append(connection, _event(target, "off", Actor(filed.by, SWITCHES), filed.reason, filed.at, id=filed.id))
        append(connection, _event(target, "on", actor, reason, now, id=off.id, off_since=off.at.isoformat()))
        changed(connection)
    return ActDone(done=True, said=f"Switched on from the next call on: {target.words}.", id=off.id)


def set_mode(store: Store, wanted: ModeRow, *, known: Known, unmet: str = "") -> ActDone:
    """Sets the mode of one version of a model; who, why, when and under which approval are in the row.

    unmet: why the site has no valid approval for this use, in words; "" where it has, or needs none.
    """
    _check_mode(wanted, known, unmet)
    with store.transaction() as connection:
        lock(connection)
        rows = _modes(connection)
        before = next((row for row in rows if row.key == wanted.key), None)
        but = _single_words(wanted, rows)
        if before is not None and _decided(before) == _decided(wanted):
            since = f"since {moment_words(before.at)}, set by {before.by}"
            return ActDone(done=False, said=f"Nothing changed: {wanted.words} is {before.mode} {since}.{but}")
        put_modes(connection, [(wanted, before)])
    was = f" It was {before.mode}, set by {before.by} on {moment_words(before.at)}." if before else ""
    return ActDone(done=True, said=f"{wanted.words} is {wanted.mode} from the next call on.{was}{but}")


def put_modes(connection: sa.Connection, wanted: Sequence[tuple[ModeRow, ModeRow | None]]) -> None:
    """Writes modes, each with its event, for an act that holds the lock. wanted: each with the one in its place."""
    events = []
    for row, before in wanted:
        setting = msgspec.to_builtins(row)
        key = {column.name: setting.pop(column.name) for column in mode.primary_key}
        del setting["at"]
        connection.execute(mode.delete().where(*(mode.c[name] == value for name, value in key.items())))
        connection.execute(mode.insert().values(**key, at=row.at.isoformat(), setting=setting))
        event = {"act": "mode", **key, **setting, "before": before.mode.value if before else None}
        events.append(NewEvent(site=row.site, kind=AuditKind.MODE, at=row.at.isoformat(), event=event))
    append(connection, *events)
    changed(connection)


def _single_words(wanted: ModeRow, rows: Sequence[ModeRow]) -> str:
    """Where a mode of all services does not reach, since a service has one of its own; "" if it reaches all."""
    single = [row for row in rows if row.service and replace(row, service="").key == wanted.key]
    own = ", ".join(f"{row.service} is {row.mode}" for row in single if row.mode is not wanted.mode)
    return f" Not where a service has a mode of its own: {own}. Set it there too." if own else ""


def modes(store: Store) -> tuple[ModeRow, ...]:
    """All recorded modes."""
    with store.transaction() as connection:
        return modes_in(connection)


def switches(store: Store, now: datetime) -> tuple[SwitchRow, ...]:
    """What is switched off, and what waits for a second person."""
    with store.transaction() as connection:
        return tuple(row for row in _switches(connection) if row.state == "off" or now - row.at < LAPSES)


def modes_in(connection: sa.Connection) -> tuple[ModeRow, ...]:
    """All recorded modes, within a transaction."""
    return tuple(_modes(connection))


def off_in(connection: sa.Connection) -> tuple[SwitchRow, ...]:
    """What is switched off, within a transaction."""
    return tuple(row for row in _switches(connection) if row.state == "off")


def check(actor: Actor, reason: str) -> None:
    """Raises ActRefused unless it is said who acts, and why."""
    for name, value, most in (("who acts", actor.who, MOST_WHO), ("the reason", reason, MOST_REASON)):
        if not value.strip() or len(value) > most or not value.isprintable():
            raise ActRefused(f"{name}: expected one line of 1 to {most} characters; found {len(value)} characters")


def _check_mode(wanted: ModeRow, known: Known, unmet: str) -> None:
    expect("site", wanted.site, known.sites)
    expect("service", wanted.service, ("", *known.services))
    known.version(wanted.site, wanted.outcome, wanted.version)
    check(Actor(wanted.by, wanted.through), wanted.reason)
    for name, share in (("share", wanted.share), ("share to review", wanted.review)):
        if not 0 <= share <= 1:
            raise ActRefused(f"{name}: expected a number from 0 to 1, such as 0.1 for every tenth; found {share}")
    listed = (*wanted.users, *wanted.departments)
    if len(listed) > MOST_LISTED or any(not word.strip() or len(word) > MOST_WHO for word in listed):
        raise ActRefused(f"users and departments: expected at most {MOST_LISTED} references such as Practitioner/123")
    if wanted.mode is Mode.PILOT and not (listed or wanted.share):
        raise ActRefused(
            "pilot: expected users, departments or a share of patients; found none, so nobody would see it"
        )
    if wanted.mode is Mode.TRIAL and (wanted.site, wanted.outcome) not in known.trials:
        raise ActRefused(
            f"trial: expected a protocol in trials/ that names {wanted.outcome} at site {wanted.site}; found none, so "
            "nobody would see it"
        )
    if wanted.mode in SPEAKING and unmet:
        raise ActRefused(f"{wanted.mode}: {wanted.words} may not speak: {unmet}")


def _decided(row: ModeRow) -> ModeRow:
    """The mode itself, without who set it, when and why."""
    return replace(row, at=NEVER, by="", reason="", through="")


def _modes(connection: sa.Connection) -> list[ModeRow]:
    return [msgspec.convert(row, ModeRow) for row in _rows(connection, mode, *mode.primary_key)]


def _switches(connection: sa.Connection) -> list[SwitchRow]:
    return [msgspec.convert({**row, "target": row}, SwitchRow) for row in _rows(connection, switch, switch.c.at)]


def _rows(connection: sa.Connection, table: sa.Table, *order: sa.Column[Any]) -> list[dict[str, Any]]:
    """Each with its setting."""
    found = connection.execute(sa.select(table).order_by(*order)).mappings()
    return [{str(name): value for name, value in {**row, **row["setting"]}.items()} for row in found]


def _of(connection: sa.Connection, target: SwitchTarget) -> SwitchRow | None:
    return next((row for row in _switches(connection) if row.target == target), None)


def _drop_lapsed(connection: sa.Connection, now: datetime) -> None:
    lapsed = [row.id for row in _switches(connection) if row.state == "pending" and now - row.at >= LAPSES]
    if lapsed:
        connection.execute(switch.delete().where(switch.c.id.in_(lapsed)))


def _event(target: SwitchTarget, act: str, actor: Actor, reason: str, now: datetime, **more: str) -> NewEvent:
    event = {"act": act, **asdict(target), "by": actor.who, "through": actor.through, "reason": reason, **more}
    return NewEvent(site=target.site, kind=AuditKind.SWITCH, at=now.isoformat(), event=event)
