"""`mhcds compare-published`: our estimates beside a published model's, for silent evaluation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cds_service.commands.options import CONFIG, configured, moment_option

if TYPE_CHECKING:
    from cds_service.commands.assess_files import Assessed
    from models.published.mhrn import PublishedScore, Refusal

USE = "silent evaluation only: for no card, no clinician and no decision about this patient"
MODEL = "MHRN, Simon et al. 2018 (doi 10.1176/appi.ajp.2018.17101167)"
OUTCOME = (
    "suicide attempt within 90 days of an outpatient mental-health visit (specialty or primary care), "
    "published 2018, other population"
)


@click.command("compare-published")
@click.argument("files", nargs=-1, required=True)
@click.option("--as-of", help="Date, or date and time, of the visit. Default: now.")
@click.option("--setting", type=click.Choice(["mental-health-specialty", "primary-care"]),
              help="The kind of visit, where you know it. Default: what the chart says of that day.")  # fmt: skip
@click.option("--site", help="The site whose settings apply. Default: the first.")
@CONFIG
def compare_published(
    *, files: tuple[str, ...], as_of: str | None, setting: str | None, site: str | None, folder: Path | None
) -> None:
    """For silent evaluation only: print our estimates and, separately, the published MHRN score for suicide attempts.

    One JSON object per line, with the patient's id, for each of FILES (FHIR Bundles or CDS Hooks requests; .gz too; -
    for standard input). The published score is about an attempt within 90 days of an outpatient visit: the two estimate
    different things, and it is never shown on a card.
    """
    import msgspec

    from cds_service.commands.assess_files import Failed, assess_file
    from cds_service.errors import ConfigError
    from cds_service.serving.engine import load_engine

    config = configured(folder)
    try:
        chosen = config.site(site)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    moment, engine = moment_option(as_of), load_engine(config.models, [chosen.models])
    failed = False
    for name in files:
        result = assess_file(name, as_of=moment, site=chosen, engine=engine)
        said = {"input": result.name}
        try:
            said |= {"error": result.error} if isinstance(result, Failed) else _compared(result, setting)
        except Exception as error:  # noqa: BLE001  # the boundary of one input: the others must still be compared
            said["error"] = f"failed unexpectedly ({type(error).__name__}); expected to compare it: please report"
        failed = failed or "error" in said
        click.echo(msgspec.json.encode(said))
    sys.exit(1 if failed else 0)


def _compared(result: Assessed, setting: str | None) -> dict[str, Any]:
    from fhir_adapters.reading.care_history import care_history
    from models.published.from_chart import published_score
    from models.published.mhrn import VisitSetting
    from models.scoring.risk import NotScored

    chart, settings = result.assessment.chart, result.site.judgement.reading
    history = care_history(result.gathered, chart, settings=settings, as_of=chart.as_of, whole_chart=result.whole_chart)
    published = published_score(chart, history, VisitSetting(setting) if setting else None)
    return {
        "patient": chart.patient_id,
        "as_of": chart.as_of.isoformat(),
        "use": USE,
        "ours": [
            {"outcome": s.outcome, "scored": False, "reason": s.reason}
            if isinstance(s, NotScored)
            else {"outcome": s.outcome, "scored": True, "probability": s.probability, "model_version": s.model_version}
            for s in result.assessment.scores
        ],
        "published": {"model": MODEL, "outcome": OUTCOME, "setting_from": "option" if setting else "chart"}
        | _published(published),
    }


def _published(published: PublishedScore | Refusal) -> dict[str, Any]:
    from models.published.mhrn import Refusal, TermBasis

    if isinstance(published, Refusal):
        return {"scored": False, "reason": published.reason}
    return {
        "scored": True,
        "setting": published.setting,
        "complete": not published.named(TermBasis.UNKNOWN),
        "probability": published.probability,
        "log_odds": published.log_odds,
        "share_of_terms": published.share_of_terms,
        "share_of_weight": published.share_of_weight,
        "known": published.named(TermBasis.KNOWN),
        "assumed_absent": published.named(TermBasis.ASSUMED_ABSENT),
        "unknown": published.named(TermBasis.UNKNOWN),
    }
