"""The one judgement: a chart request to an assessment, for hook calls, files and the app alike.

The caller provides the `ChartSource`: prefetch and a FHIR server, a Bundle, or a session's token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from explanations.judgement.assessment import Assessment, Engine, assess
from explanations.judgement.control import UNCONTROLLED, Control, MaySpeak, speaks
from explanations.judgement.discharge import assess_discharge
from explanations.judgement.regions import DEFAULT_REGION, Region
from fhir_adapters.access.chart_request import ChartRequest
from fhir_adapters.facts import ChartPart, PatientRecord
from fhir_adapters.reading.departments import departments
from fhir_adapters.reading.extraction import patient_record
from fhir_adapters.resources.gathered import DISCHARGE, OPENED, SHOWN, Gathered
from fhir_adapters.settings import ReadSettings
from models.rules.discharge import follow_up_steps
from models.scoring.risk import BandThresholds

ChartSource = Callable[[ChartRequest, ReadSettings], Gathered]


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """When a chart is judged: the parts to gather, and the function that assesses them (called like `assess`)."""

    name: str
    parts: tuple[ChartPart, ...]
    assess: Callable[..., Assessment]


CHART_OPENED = Occasion(name="chart-opened", parts=OPENED, assess=assess)
PATIENT_DISCHARGED = Occasion(
    name="patient-discharged",
    parts=DISCHARGE,
    assess=lambda chart, *_, region=DEFAULT_REGION, **__: assess_discharge(chart, region),
)


def assess_shown(
    chart: PatientRecord,
    engine: Engine,
    thresholds: BandThresholds = BandThresholds(),
    *,
    out_of_time: bool = False,
    may_speak: MaySpeak = speaks,
    region: Region = DEFAULT_REGION,
) -> Assessment:
    """As when a chart is opened, with the steps that are on file since its findings."""
    found = assess(chart, engine, thresholds, out_of_time=out_of_time, may_speak=may_speak, region=region)
    return replace(found, steps=follow_up_steps(chart, found.findings, psychosocial=region.psychosocial))


CHART_SHOWN = Occasion(name="chart-shown", parts=SHOWN, assess=assess_shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgementSettings:
    """A site's settings for judgements: how its charts are read, and the thresholds for a prompt.

    models: outcome -> the version that the site keeps; the newest otherwise. region: where it is.
    """

    reading: ReadSettings = field(default_factory=ReadSettings)
    thresholds: BandThresholds = BandThresholds()
    models: Mapping[str, str] = field(default_factory=dict)
    region: Region = DEFAULT_REGION


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """An assessment and the resources behind it. `late`: time was up, so no model ran.

    places: the departments (references) of the call's encounter.
    """

    gathered: Gathered
    assessment: Assessment
    late: bool
    places: tuple[str, ...] = ()


def judge(
    request: ChartRequest,
    source: ChartSource,
    settings: JudgementSettings,
    engine: Engine,
    *,
    occasion: Occasion = CHART_OPENED,
    control: Control = UNCONTROLLED,
    is_late: Callable[[], bool] = lambda: False,
) -> Judgement:
    """Gather, extract, assess. `is_late` is checked before the models run; rules always do, whatever `control` says.

    Raises FhirError when the chart cannot be read at all, and whatever `source` raises.
    """
    gathered = source(replace(request, parts=settings.region.read(occasion.parts)), settings.reading)
    chart = patient_record(
        gathered,
        settings=settings.reading,
        as_of=request.as_of,
        encounter=request.encounter,
        left_out=request.left_out,
    )
    late = is_late()
    places = departments(gathered.resources, request.encounter)
    assessment = occasion.assess(
        chart,
        engine.of(settings.models) if settings.region.models else Engine(),
        settings.thresholds,
        out_of_time=late,
        may_speak=lambda model: control.permission(model, places),
        region=settings.region,
    )
    return Judgement(gathered=gathered, assessment=assessment, late=late, places=places)
