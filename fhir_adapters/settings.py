"""A site's settings for reading charts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from fhir_adapters.codesets.questions import QuestionnaireMap
from fhir_adapters.resources.consent import ConsentSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSettings:
    """How one customer's charts are read.

    zone: the calendar by which days are counted (rule R1). maps: forms without standard codes. fhir_bases: the servers
    that may be read, and whose references are the site's own; none: this machine only. budget_s: seconds for all
    reads of one call. psychosocial: whether assessments of that name are looked for, which takes time (rule R15).
    """

    zone: tzinfo = UTC
    maps: tuple[QuestionnaireMap, ...] = ()
    fhir_bases: tuple[str, ...] = ()
    consent: ConsentSettings = field(default_factory=ConsentSettings)
    budget_s: float = 2.0
    psychosocial: bool = True
