"""What `mhcds trial` does."""

from __future__ import annotations

import csv
from datetime import datetime, timedelta
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa

from cds_service.burden.on_record import Window
from cds_service.commands.options import one_line, written
from cds_service.control.acts import modes_in
from cds_service.control.targets import Mode
from cds_service.monitoring.linking import episodes
from cds_service.monitoring.trial_table import COLUMNS, trial_rows
from cds_service.settings.config import ServiceConfig
from cds_service.settings.mismatches import weaknesses
from cds_service.settings.trials import Trial
from cds_service.storage.chain import AuditKind, NewEvent, append
from cds_service.storage.store import Store
from cds_service.storage.tables import allocation, audit_event
from cds_service.trials.arms import LIVE, SILENT
from cds_service.trials.protocols import protocol_problems
from cds_service.trials.verification import in_trial
from models.scoring.risk import NotScoredReason

OUTSIDE = (NotScoredReason.NOT_IN_TRIAL, NotScoredReason.TRIAL_NOT_RUNNING, NotScoredReason.TRIAL_NOT_READ)
RUN = """

if __name__ == "__main__":
    import csv
    import sys
    from pathlib import Path

    with (Path(__file__).parent / "trial.csv").open(encoding="utf-8", newline="") as file:
        data = trial_data(csv.DictReader(file), endpoint={endpoint!r}, population={population!r})
    print({title!r})
    try:
        print(effect_words(trial_effect(data, wedge={wedge})))
    except ValueError as error:
        sys.exit(str(error))
"""


def chosen(config: ServiceConfig, name: str | None) -> tuple[Trial, ...]:
    """The trial of that name, or without one all; exits with a clear message if there is none of that name."""
    found = tuple(each for each in config.trials if name in (None, each.id))
    if name is not None and not found:
        known = ", ".join(each.id for each in config.trials) or "no protocol in trials/"
        raise click.ClickException(f"--trial: expected one of {known}; found {name}")
    return found


def state_of(store: Store, config: ServiceConfig, trial: Trial, now: datetime) -> dict[str, Any]:
    """What `show` says of a trial. Arms that were drawn are counted once it has ended: sums would foretell the next."""
    site, c = config.site(trial.site), audit_event.c
    day = site.day(now)
    of_units = sa.select(allocation.c.arm, sa.func.count()).where(allocation.c.trial == trial.id)
    told = trial.is_wedge or day > trial.ends
    outside = sa.select(sa.func.count()).where(c.site == trial.site, c.kind == AuditKind.ANSWER.value)
    with store.transaction(snapshot=True, patient=True) as connection:
        units = {row.arm: row[1] for row in connection.execute(of_units.group_by(allocation.c.arm))}
        in_arms = {
            arm: connection.scalar(sa.select(sa.func.count()).where(in_trial(trial, arm))) for arm in (LIVE, SILENT)
        }
        not_in = {
            why: connection.scalar(outside.where(c.event.like(f'%"{trial.outcome} {why.value}"%'))) for why in OUTSIDE
        }
        set_so = any(
            (row.site, row.outcome, row.mode) == (trial.site, trial.outcome, Mode.TRIAL) for row in modes_in(connection)
        )
    running = "running" if trial.runs(day) else "not begun" if day < trial.begins else "ended"
    return {
        "id": trial.id,
        "title": trial.title,
        "version": trial.version,
        "site": trial.site,
        "model": trial.outcome,
        "design": trial.design.value,
        "from_to": f"{trial.begins} to {trial.ends}, {running}",
        "mode_is_trial": set_so,
        "units": sum(units.values()),
        "answers": sum(count or 0 for count in in_arms.values()),
        **({f"answers_{arm}": count for arm, count in in_arms.items()} if told else {}),
        **({f"units_{arm}": units.get(arm, 0) for arm in (LIVE, SILENT)} if told and not trial.is_wedge else {}),
        **{f"answers_{why.value}": count for why, count in not_in.items()},
        "problems": "; ".join((*protocol_problems(store, [trial]), *weaknesses(trial, site))) or "none",
    }


def rows_of(store: Store, config: ServiceConfig, trial: Trial, now: datetime) -> list[dict[str, str]]:
    """The trial's table. Raises StoreUnavailable."""
    site, key = config.site(trial.site), config.kept_key()
    apart = partial(key.pseudonym, f"trial export\0{trial.id}")
    window = Window(since=trial.begins, until=trial.ends + timedelta(days=1))
    return list(trial_rows(trial, episodes(store, site, window, now), apart, site.day))


def export(store: Store, config: ServiceConfig, trial: Trial, out: Path, by: str, reason: str, now: datetime) -> int:
    """Writes the four files and returns how many episodes there are. Raises StoreUnavailable."""
    rows = rows_of(store, config, trial, now)
    event = {"what": f"trial {trial.id}", "format": "csv", "site": trial.site, "count": len(rows)}
    event |= {"by": one_line(by, "--by"), "reason": one_line(reason, "--reason")}
    with store.transaction() as connection:
        append(connection, NewEvent(site=trial.site, kind=AuditKind.EXPORT, at=now.isoformat(), event=event))
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    with written(out / "trial.csv") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    with written(out / "dictionary.csv") as file:
        csv.writer(file, lineterminator="\n").writerows([("column", "meaning"), *COLUMNS.items()])
    with written(out / "protocol.toml") as file:
        file.write(trial.path.read_text(encoding="utf-8-sig") if trial.path else "")
    with written(out / "analysis.py") as file:
        file.write(analysis_of(trial))
    return len(rows)


def analysis_of(trial: Trial) -> str:
    """The program that analyses an export: the estimators as they are here, and what the protocol says."""
    text = (files("models.evaluation") / "trials.py").read_text(encoding="utf-8")
    title = f"{trial.id}, version {trial.version}: {trial.endpoint}, {trial.population} episodes"
    return text + RUN.format(
        endpoint=trial.endpoint.value, population=trial.population, title=title, wedge=trial.is_wedge
    )
