"""The regions: what guidelines of a country allow and ask for, as rows of `reference/regions.toml` (rule R15).

Nothing asks for the name of a region: each place that differs asks for the property that it needs.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from importlib.resources import files
from typing import Literal

import msgspec

from explanations.judgement.proposals import DraftKind
from fhir_adapters.facts import ChartPart
from fhir_adapters.resources.gathered import FOR_MODELS
from models.rules.findings import SafetyFinding, Topic, Urgency

YOUNG_YEARS = 18


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Region:
    """One region. Equal to itself alone; all of them are in REGIONS.

    models: whether a model may be asked. prompts: whether asking is suggested where nothing is found. bands: whether
    totals have the published names of their bands; levels: whether overall results such as "high" are named, and a
    screen for suicide risk can be filled in. follow_up: the urgency of results to follow up (R6). wording: a key of
    `words.regional`. country: whose crisis lines are shown, "": none are on file; help: their audiences, in order.
    plan: ids of links that help with a safety plan. guidelines: ids of links by topic; young: the id that replaces
    another up to 18. homes: whether the own pages of instruments are linked; labels: whether the warnings of US labels
    of medicines are shown. drafts: what is drafted in place of something else.
    """

    id: str
    models: bool
    prompts: bool
    bands: bool
    levels: bool
    follow_up: Literal["by-total", "info"]
    wording: str
    country: str
    help: tuple[str, ...]
    plan: tuple[str, ...]
    guidelines: Mapping[Topic, tuple[str, ...]]
    young: Mapping[str, str]
    homes: bool
    labels: bool
    drafts: Mapping[DraftKind, DraftKind]

    @property
    def psychosocial(self) -> bool:
        """Whether a psychosocial assessment is asked for in place of one of the risk of suicide."""
        return self.drafts.get(DraftKind.ASSESSMENT) is DraftKind.PSYCHOSOCIAL

    def links(self, topic: Topic, age_years: int | None) -> tuple[str, ...]:
        """The ids of the guideline links of a topic, for young people those for them."""
        ids = self.guidelines.get(topic, ())
        is_young = age_years is not None and age_years <= YOUNG_YEARS
        return tuple(self.young.get(name, name) for name in ids) if is_young else ids

    def read(self, parts: Iterable[ChartPart]) -> tuple[ChartPart, ...]:
        """The parts of a chart that are needed here: where no model is asked, not what models alone take."""
        return tuple(part for part in parts if self.models or part not in FOR_MODELS)

    def urged(self, findings: Iterable[SafetyFinding]) -> tuple[SafetyFinding, ...]:
        """Findings with the urgency that they have here. Safety findings keep theirs everywhere."""
        noted = self.follow_up == "info"
        return tuple(
            replace(found, urgency=Urgency.NOTE) if noted and found.topic is Topic.DEPRESSION_FOLLOW_UP else found
            for found in findings
        )

    def offered(self, drafts: Iterable[DraftKind]) -> tuple[DraftKind, ...]:
        """Drafts with those that replace others here, each once."""
        return tuple(dict.fromkeys(self.drafts.get(kind, kind) for kind in drafts))


def _regions() -> tuple[str, dict[str, Region]]:
    """The name of the default region, and all regions. Raises LookupError for a key that no region has."""
    raw = tomllib.loads((files("explanations") / "reference" / "regions.toml").read_text(encoding="utf-8"))
    default: str = raw.pop("default")
    known = {field.name for field in fields(Region)} - {"id"}
    for name, row in raw.items():
        if unknown := row.keys() - known:
            raise LookupError(f"regions.toml {name}: expected {sorted(known)}; found {sorted(unknown)}")
    base = raw["generic"]
    return default, {name: msgspec.convert(base | row | {"id": name}, Region) for name, row in raw.items()}


_DEFAULT, REGIONS = _regions()
DEFAULT_REGION = REGIONS[_DEFAULT]
