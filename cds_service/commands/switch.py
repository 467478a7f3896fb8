"""`mhcds switch`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cds_service.commands.options import AS_JSON, BY, REASON, REQUIRED_CONFIG

if TYPE_CHECKING:
    from cds_service.control.targets import SwitchTarget

Command = Callable[..., None]
TARGET = (
    click.option("--everything", is_flag=True, help="Every service of every site."),
    click.option("--site", default="", help="Id of the site. Default: all."),
    click.option("--service", default="", help="Id of the service (the app is smart-app). Default: all."),
    click.option("--model", default="", metavar="OUTCOME", help="One model only, such as depression."),
    click.option("--topic", default="", help="The cards of one topic only, such as screening-prompt."),
)


def targets(command: Command) -> Command:
    """Adds the options that say what to switch."""
    for option in reversed(TARGET):
        command = option(command)
    return command


@click.group()
def switch() -> None:
    """Stop a service, site, model or card topic as of the next call, or start it again."""


@switch.command("off")
@REQUIRED_CONFIG
@targets
@BY
@REASON
@click.option("--file", "in_file", is_flag=True, help="Use switch.toml beside the configuration, not the store.")
@click.option("--confirmed-by", default="", metavar="NAME", help="In switch.toml: the second person of a safety topic.")
@AS_JSON
def switch_off(
    folder: Path, by: str, reason: str, in_file: bool, confirmed_by: str, as_json: bool, **what: str
) -> None:
    """Switch something off: in the store, or in switch.toml beside the configuration if the store cannot be written.

    A safety topic is switched off only once a second person has confirmed it.
    """
    from cds_service.commands import switching

    target = _target(**what)
    switching.say(lambda: switching.off(folder, target, by, reason, confirmed_by, in_file=in_file), as_json=as_json)


@switch.command("on")
@REQUIRED_CONFIG
@targets
@BY
@REASON
@AS_JSON
def switch_on(folder: Path, by: str, reason: str, as_json: bool, **what: str) -> None:
    """Switch on again exactly what these options switched off."""
    from cds_service.commands import switching

    target = _target(**what)
    switching.say(lambda: switching.on(folder, target, by, reason), as_json=as_json)


@switch.command("confirm")
@REQUIRED_CONFIG
@click.argument("identifier", metavar="ID")
@BY
@AS_JSON
def switch_confirm(folder: Path, identifier: str, by: str, as_json: bool) -> None:
    """Confirm, as the second person, what somebody else wants switched off."""
    from cds_service.commands import switching

    switching.say(lambda: switching.confirm(folder, identifier, by), as_json=as_json)


@switch.command("status")
@REQUIRED_CONFIG
@AS_JSON
def switch_status(folder: Path, as_json: bool) -> None:
    """Show what is switched off, by whom and why, and what waits for a second person."""
    from cds_service.commands import switching

    switching.say_status(folder, as_json=as_json)


def _target(*, everything: object, site: str, service: str, model: str, topic: str) -> SwitchTarget:
    from cds_service.control.targets import SwitchTarget

    target = SwitchTarget(site=site, service=service, outcome=model, topic=topic)
    if bool(everything) == (target != SwitchTarget()):
        raise click.ClickException(
            "expected --site, --service, --model or --topic, or --everything alone; nothing changed"
        )
    return target
