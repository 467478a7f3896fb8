"""The services we offer. One id per hook, because real clients key services by id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cds_service.errors import UnknownService
from cds_service.settings.service_ids import ServiceId
from explanations.judgement.assessment import Assessment
from explanations.judgement.judge import CHART_OPENED, PATIENT_DISCHARGED, Occasion
from explanations.judgement.regions import DEFAULT_REGION, Region
from explanations.words.notices.discharge import discharge_notices
from explanations.words.notices.notice import Notice, NoticeSettings
from explanations.words.notices.notice_list import notices
from fhir_adapters.access.templates import templates
from fhir_adapters.facts import ChartPart


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One CDS service. `id`, `keys` and their templates are stored by sites: changing them breaks registrations.

    occasion: what it reads of a chart and how it judges it; notices: makes its notices. needs_encounter: the hook
    definition requires `context.encounterId`. by_rules: the description where no model is asked, if another.
    """

    id: str
    hook: str
    title: str
    description: str
    usage: str
    by_rules: str = ""
    occasion: Occasion = CHART_OPENED
    needs_encounter: bool = False
    notices: Callable[[Assessment, NoticeSettings], tuple[Notice, ...]] = notices

    @property
    def keys(self) -> tuple[ChartPart, ...]:
        """Its prefetch keys."""
        return self.occasion.parts

    def prefetch(self, *, page_size: bool = True, region: Region = DEFAULT_REGION) -> tuple[tuple[str, str], ...]:
        """Its prefetch templates, by key; with a page size or without."""
        parts = templates(region.read(self.keys))
        return tuple(pair for template in parts for pair in template.prefetch(page_size=page_size))

    def described(self, region: Region) -> tuple[str, str]:
        """Its description and usage requirements in a region."""
        return (self.description, self.usage) if region.models else (self.by_rules or self.description, RULES_USAGE)


RULES_USAGE = "FHIR R4. Documented answers at every age; no model. Needs prefetch or read access to the chart."
USAGE = "FHIR R4. Models speak for adults only; rules for every age. Needs prefetch or read access to the chart."

SERVICES: tuple[Service, ...] = (
    Service(
        id=ServiceId.CHART_OPENED.value,
        hook="patient-view",
        title="Depression and suicide safety",
        description=(
            "Restates documented safety answers (PHQ-9 item 9, C-SSRS, ASQ, EPDS item 10, coded self-harm) and, for "
            "adults, estimates current depressive symptoms and suicidal ideation to prompt screening. It does not "
            "diagnose, and the absence of a card is not reassurance."
        ),
        by_rules=(
            "Restates documented safety answers (PHQ-9 item 9, C-SSRS, ASQ, EPDS item 10, coded self-harm). No model "
            "is asked. It does not diagnose, and the absence of a card is not reassurance."
        ),
        usage=USAGE,
    ),
    Service(
        id=ServiceId.ENCOUNTER_STARTED.value,
        hook="encounter-start",
        title="Depression and suicide safety, at the start of an encounter",
        description=(
            "The same reading and the same cards as depression-suicide-risk, asked for when an encounter starts: "
            "answers documented in this encounter count as current for seven days. The service does not diagnose, "
            "and the absence of a card is not reassurance."
        ),
        usage=USAGE,
        needs_encounter=True,
    ),
    Service(
        id=ServiceId.DISCHARGED.value,
        hook="encounter-discharge",
        title="Suicide safety at discharge",
        description=(
            "Where a positive safety answer is on file, looks for a later suicide risk assessment, a later safety plan "
            "and a follow-up appointment. While one of them is not on file, restates the answer, says what is on file "
            "of each, and offers the follow-up as drafts. No model is asked. The absence of a card is not reassurance."
        ),
        usage=RULES_USAGE,
        occasion=PATIENT_DISCHARGED,
        needs_encounter=True,
        notices=discharge_notices,
    ),
)

# Versions of the specification and of the hook definitions.
SPECIFICATION = "2.0.0"
HOOK_VERSION = "1.0"


def service_of(hook: str) -> Service | None:
    """The service for a hook, or None."""
    return next((s for s in SERVICES if s.hook == hook), None)


def known_service(identifier: str) -> Service:
    """The service with that id. Raises UnknownService."""
    service = next((s for s in SERVICES if s.id == identifier), None)
    if service is None:
        raise UnknownService("there is no service of this id; the services are listed at /cds-services")
    return service
