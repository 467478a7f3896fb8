"""`mhcds drill`: an escalation drill, and its report."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cds_service.commands.options import REQUIRED_CONFIG, SITE, one_line, opened, written

MOST_WAIT_MIN = 240


@click.command()
@REQUIRED_CONFIG
@SITE
@click.option("--contact", metavar="NAME", help="Only this contact. Default: each of the site's.")
@click.option("--wait", "wait_min", metavar="MIN", type=click.FloatRange(0, MOST_WAIT_MIN, min_open=True),
              help="Minutes to wait. Default: as long as the slowest contact has to acknowledge.")  # fmt: skip
@click.option("--by", default="a schedule", show_default=True, metavar="NAME", help="Who starts it, for the report.")
@click.option("--out", required=True, metavar="DIR", type=click.Path(path_type=Path),
              help="Folder for drill.html and drill.json, as new files.")  # fmt: skip
def drill(folder: Path, site: str, contact: str | None, wait_min: float | None, by: str, out: Path) -> None:
    """Run an escalation drill: tell each contact about a made-up patient and see who acknowledges in time.

    Every message is marked as a drill; no chart is touched. Exits with 1 if a contact did not acknowledge in time.
    """
    from cds_service.backend.backend import Backend
    from cds_service.commands.drill_report import RESULTS, as_json, as_page
    from cds_service.commands.drill_run import rehearse, rules_of_drill
    from cds_service.sending.contacts import Means
    from cds_service.serving.runtime import now_utc

    by = one_line(by, "--by")
    with opened(folder, ready=True) as (config, store):
        chosen = config.site(site)
        if chosen.escalation is None:
            raise click.ClickException(f"site {chosen.id}: expected [escalation] in its file; there is nobody to tell")
        contacts = [each for each in chosen.escalation.contacts if contact in (None, each.name)]
        if not contacts:
            known = ", ".join(each.name for each in chosen.escalation.contacts)
            raise click.ClickException(f"--contact: expected one of {known}; found {contact}")
        if not rules_of_drill(chosen, "drill-chart", now_utc()):
            raise click.ClickException("the rules found nothing acute in the made-up chart, so nobody was told")
        wait = wait_min or max(each.within_min for each in contacts)
        backend = Backend(keys=config.own_keys, local=lambda: config.mode != "production", now=now_utc)
        page, data = out / "drill.html", out / "drill.json"
        # Before anybody is told: that a report cannot be written would be found too late.
        out.mkdir(parents=True, exist_ok=True)
        if there := [file for file in (page, data) if file.exists()]:
            raise click.ClickException(f"{there[0]}: expected a folder without a report; found one")
        click.echo(f"Telling {', '.join(each.name for each in contacts)}; waiting up to {wait:g} min.")
        found = rehearse(store, config, chosen, contacts, wait, Means(key=config.kept_key(), backend=backend), now_utc)
    for file, text in (
        (page, as_page(found, by, config.digest, chosen.cards.zone)),
        (data, as_json(found, by, config.digest).decode()),
    ):
        with written(file) as out_file:
            out_file.write(text)
    for seen in found.contacts:
        click.echo(f"{seen.contact}: {RESULTS[seen.result].lower()}")
    click.echo(f"Report: {page}")
    sys.exit(0 if found.passed else 1)
