"""The conditions of a chart: yes/no facts, coded safety events, and the depressive and bipolar disorders of R13."""

from __future__ import annotations

from dataclasses import dataclass

from fhir_adapters.facts import CodedEvent, Fact, When
from fhir_adapters.gaps import Cause
from fhir_adapters.reading.lists.chart_resources import ChartResources, has_no_code
from fhir_adapters.reading.lists.chronic_conditions import chronic_features, chronic_names
from fhir_adapters.reading.lists.conditions import (
    OVER,
    condition_event,
    disorder_groups,
    is_bipolar,
    is_confirmed,
    is_depressive,
    is_listed,
    onset_of,
    safety_rows,
    status_codes,
)
from fhir_adapters.reading.lists.list_facts import yes_no_fact
from fhir_adapters.resources import r4
from fhir_adapters.resources.dates import when


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionList:
    """What the conditions give; `depressive` and `bipolar` are None where none is recorded."""

    facts: tuple[Fact, ...]
    events: tuple[CodedEvent, ...]
    depressive: Fact | None
    bipolar: Fact | None


def condition_list(resources: ChartResources) -> ConditionList:
    """Reads every Condition of the chart."""
    sources: dict[str, list[tuple[When | None, str]]] = {}
    events: list[CodedEvent] = []
    zone, today = resources.zone, resources.today
    for resource in resources.of("Condition"):
        condition: r4.Condition = resource.content
        if condition.code is None or has_no_code(condition.code):
            resources.cannot_read(resource, Cause.NO_CODE)
            continue
        names = [*chronic_features(condition.code)]
        if is_listed(condition.code):
            if safety_rows(condition.code):
                encounter = resources.encounter(condition.encounter)
                event = condition_event(condition, resource.reference, encounter, zone, today)
                events += [event] if event else []
            names += _disorders(condition)
        if names and is_confirmed(condition):
            moment = onset_of(condition, zone, today) or when(condition.recorded_date, zone, today)
            for name in names:
                sources.setdefault(name, []).append((moment, resource.reference))
    return ConditionList(
        facts=tuple(yes_no_fact(name, sources.get(name, [])) for name in chronic_names() if resources.reads(name)),
        events=tuple(events),
        depressive=yes_no_fact(DEPRESSIVE, sources[DEPRESSIVE]) if DEPRESSIVE in sources else None,
        bipolar=yes_no_fact(BIPOLAR, sources[BIPOLAR]) if BIPOLAR in sources else None,
    )


DEPRESSIVE, BIPOLAR = "depressive_disorder", "bipolar_disorder"


def _disorders(condition: r4.Condition) -> list[str]:
    """An active depressive disorder; a bipolar disorder whether active or not."""
    groups = disorder_groups(condition.code)
    if not groups:
        return []
    active_now = not status_codes(condition.clinical_status) & OVER
    return [DEPRESSIVE] * (is_depressive(groups) and active_now) + [BIPOLAR] * is_bipolar(groups)
