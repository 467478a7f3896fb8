"""The command `mhcds`. Subcommands import lazily, so `serve` never loads what `train` needs."""

from __future__ import annotations

import logging

import click

from cds_service.commands.assess import assess
from cds_service.commands.audit import audit
from cds_service.commands.check_config import check_config
from cds_service.commands.compare_published import compare_published
from cds_service.commands.drill import drill
from cds_service.commands.escalation import escalation
from cds_service.commands.figures import figures
from cds_service.commands.incidents import incident
from cds_service.commands.mode import mode
from cds_service.commands.monitor import monitor
from cds_service.commands.monitoring import drift, recalibrate
from cds_service.commands.opt_out import opt_out
from cds_service.commands.serve import serve
from cds_service.commands.sharing import evaluate_site, pool
from cds_service.commands.store import db, smart
from cds_service.commands.subscription import subscription
from cds_service.commands.switch import switch
from cds_service.commands.training import evaluate, train, transport
from cds_service.commands.translations import translations
from cds_service.commands.trial import trial
from cds_service.demo_ehr.command import demo


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="mental-health-cds")
def main() -> None:
    """Clinical decision support for depression and suicide safety, over CDS Hooks and FHIR."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")


COMMANDS = (
    serve, demo, assess, check_config, switch, mode, opt_out, audit, incident, escalation, drill, subscription,
    trial, figures, monitor, translations, db, smart, train, evaluate, transport, recalibrate, drift, evaluate_site,
    pool, compare_published,
)  # fmt: skip
for command in COMMANDS:
    main.add_command(command)

if __name__ == "__main__":
    main()
