"""`mhcds assess`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cds_service.commands.options import CONFIG, configured, moment_option

if TYPE_CHECKING:
    from cds_service.commands.assess_files import Assessed, Failed


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--format", "form", type=click.Choice(["text", "json", "cards", "html"]), default="text",
              show_default=True,
              help="text; json, one object per line; cards as a client receives them; html, one page.")  # fmt: skip
@click.option("--as-of", help="Assess as of a date (its end, UTC) or a date and time. Default: now.")
@click.option(
    "--strict", is_flag=True, help="Refuse input that is not valid R4, and list every deviation with its path."
)
@click.option("--site", help="The site whose settings apply. Default: the first.")
@CONFIG
def assess(  # one argument an option
    *, files: tuple[str, ...], form: str, as_of: str | None, strict: bool, site: str | None, folder: Path | None
) -> None:
    """Assess charts without a server: FHIR Bundles or CDS Hooks requests in FILES (.gz too; - for standard input)."""
    from cds_service.commands.assess_files import Failed, assess_file
    from cds_service.commands.terminal import with_progress
    from cds_service.errors import ConfigError
    from cds_service.serving.engine import load_engine

    if form == "html" and len(files) > 1:
        raise click.UsageError(f"--format html: expected one file; found {len(files)}. Call it once for each.")
    config = configured(folder)
    try:
        chosen = config.site(site)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    moment = moment_option(as_of)
    engine = load_engine(config.models, [chosen.models])
    failed = False
    # If both go to the terminal, a bar would run into the output.
    bar = sys.stderr.isatty() and not sys.stdout.isatty()
    for name in with_progress("Assessing", files) if bar else files:
        result = assess_file(name, as_of=moment, site=chosen, engine=engine, strict=strict)
        failed = failed or isinstance(result, Failed)
        _print(result, form)
    sys.exit(1 if failed else 0)


def _print(result: Assessed | Failed, form: str) -> None:
    from dataclasses import asdict

    import msgspec

    from cds_service.commands.assess_files import Failed

    if isinstance(result, Failed):
        if form in ("text", "html"):
            click.echo(f"{result.name}: {result.error}", err=True)
            for deviation in result.deviations:
                click.echo(f"  {deviation.path} ({deviation.resource}): {deviation.fault}", err=True)
        else:
            more = {"deviations": [asdict(deviation) for deviation in result.deviations]} if result.deviations else {}
            click.echo(msgspec.json.encode({"input": result.name, "error": result.error} | more))
    elif form == "json":
        click.echo(msgspec.json.encode(result.report()))
    elif form == "html":
        click.echo(result.page())
    elif form == "cards":
        click.echo(msgspec.json.encode({"input": result.name, "cards": result.cards}))
    else:
        from cds_service.commands.assessed_view import print_assessed

        print_assessed(result)
