"""The answer when needed data is lacking and nothing else is to be said: a card, or 412 (rule R16, decision 0025)."""

from __future__ import annotations

from cds_service.errors import DataUnavailable
from cds_service.settings.sites import OnMissing, SiteConfig
from explanations.judgement.assessment import Assessment
from explanations.judgement.judge import Judgement
from explanations.words.findings.gaps import gap_words
from fhir_adapters.facts import ChartPart
from models.rules.findings import Kind


def refuse_gaps(judgement: Judgement, site: SiteConfig) -> None:
    """412 where gaps are all there is to say, and no needed part was read, or the site wants 412 for every gap.

    Needed parts: `Template.needed`. Unreadable consent does not count: the rules have run, and a card says that there
    is no estimate.
    """
    gaps = [u for u in judgement.assessment.chart.lacking if u.what != ChartPart.CONSENTS]
    if not gaps or not only_gaps(judgement.assessment):
        return
    if judgement.gathered.none_read or site.on_missing is OnMissing.REFUSE:
        missing = "; ".join(f"{u.what}: {gap_words(u.reason, site.cards.say)}" for u in gaps)
        raise DataUnavailable(f"needed data could not be had, so an answer may have been missed. {missing}")


def only_gaps(assessment: Assessment) -> bool:
    """Whether needed parts that could not be had are all there is to say: no finding, no entry unread, no prompt."""
    chart = assessment.chart
    said = any(finding.kind is not Kind.NOT_OBTAINED for finding in assessment.findings)
    entries = chart.unreadable or chart.unheard
    prompts = assessment.prompting() or assessment.measure_again()
    return bool(chart.lacking) and not (chart.deceased or said or entries or prompts)
