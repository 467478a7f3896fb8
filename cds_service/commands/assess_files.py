"""Files to assessments, without a server: FHIR Bundles and CDS Hooks requests, plain or gzip, or standard input."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import sys
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import msgspec

from cds_service.cards.from_notices import cards_for
from cds_service.cards.wire import Card, HookRequest
from cds_service.commands.json_report import report
from cds_service.errors import BadRequest, ServiceError
from cds_service.hooks.catalogue import SERVICES, Service, service_of
from cds_service.hooks.parsing import check_context, decode
from cds_service.serving.runtime import random_id
from cds_service.settings.sites import SiteConfig
from cds_service.smart_app import app_site
from explanations.judgement.assessment import Assessment, Engine
from explanations.judgement.judge import ChartSource, judge
from explanations.words.findings.gaps import error_words
from explanations.words.language import language
from explanations.words.notices.notice import Notice
from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.access.chart_request import ChartRequest
from fhir_adapters.access.prefetch import Access, gather
from fhir_adapters.errors import FhirError, NotFhir
from fhir_adapters.resources import r4
from fhir_adapters.resources.gathered import Gathered
from fhir_adapters.resources.identity import identity
from fhir_adapters.resources.validation import Deviation, deviations
from fhir_adapters.surrogates import without_halves
from smart_launch.chart.file_page import file_page
from smart_launch.chart.reading import Reading

GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """An input that could not be assessed, and why; `deviations` from R4 with --strict."""

    name: str
    error: str
    deviations: tuple[Deviation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessed:
    """An input with its assessment, notices and cards, and what was gathered. `whole_chart`: not a hook request."""

    name: str
    assessment: Assessment
    notices: tuple[Notice, ...]
    cards: list[Card]
    site: SiteConfig
    gathered: Gathered
    whole_chart: bool

    def report(self) -> dict[str, Any]:
        """The assessment as plain JSON values."""
        return report(self.name, self.assessment, self.site.cards.region)

    def page(self) -> str:
        """The chart's page as one HTML document."""
        chart = self.assessment.chart
        who = identity(self.gathered.patient)
        reading = Reading(identity=who, assessment=self.assessment, notices=self.notices, at=chart.as_of)
        return file_page(reading, app_site(self.site), self.name)


def moment(text: str | None) -> datetime:
    """`--as-of`: a date means the end of that day, UTC; a time without a zone is UTC; None is now.

    Raises ValueError for anything else, and for years outside 1900 to 2200.
    """
    if text is None:
        return datetime.now(UTC)
    if not re.fullmatch(r"(?:19|20|21)\d{2}-\d{2}-\d{2}(?:T\S+)?", text):
        raise ValueError(text)
    at = datetime.fromisoformat(text)
    if len(text) == len("2026-11-23"):
        at = datetime.combine(at.date(), time(23, 59, 59))
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


MOST_BYTES = 200_000_000


def content(name: str) -> bytes:
    """The bytes of a file, or of standard input for `-`; gzip is unpacked, a byte-order mark dropped.

    Raises OSError, or NotFhir if empty, too large, damaged or not UTF-8.
    """
    raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    if raw.startswith(GZIP):
        try:
            with gzip.open(io.BytesIO(raw)) as packed:
                raw = packed.read(MOST_BYTES + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise NotFhir("expected a gzip file; found one that is cut off or damaged") from error
    if len(raw) > MOST_BYTES:
        raise NotFhir(f"expected at most {MOST_BYTES} bytes; found more")
    if not raw.strip():
        raise NotFhir("expected a FHIR Bundle or a hook request; the input is empty")
    raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        raise NotFhir("expected text in UTF-8; found another encoding") from error
    return raw


def assess_file(
    path: str, *, as_of: datetime, site: SiteConfig, engine: Engine, strict: bool = False
) -> Assessed | Failed:
    """One input assessed, or why not. `strict`: refuse invalid R4, listing every deviation."""
    name = path.encode(errors="replace").decode()  # path bytes that are not UTF-8 cannot be printed
    try:
        raw = without_halves(content(path))
        invalid = deviations(raw) if strict else []
        if invalid:
            return _not_valid(name, invalid)
        hooked = _is_hook(raw)
        service, chart_request, source = _hook_call(raw, as_of) if hooked else _whole_chart(raw, as_of)
        judgement = judge(chart_request, source, site.judgement, engine, occasion=service.occasion)
    except OSError as error:
        return Failed(name=name, error=f"cannot be read: {error.strerror or 'unknown reason'}")
    except FhirError as error:
        return Failed(name=name, error=error_words(error, language()))
    except ServiceError as error:
        return Failed(name=name, error=str(error))
    except Exception as error:  # noqa: BLE001  # the boundary of one input: the others must still be read
        return Failed(
            name=name, error=f"failed unexpectedly ({type(error).__name__}); expected to read it: please report"
        )
    assessment = judgement.assessment
    made = service.notices(assessment, site.cards)
    cards = cards_for(assessment, site.cards, new_id=random_id, user=chart_request.user, notices=lambda *_: made)
    return Assessed(
        name=name,
        assessment=assessment,
        notices=made,
        cards=cards,
        site=site,
        gathered=judgement.gathered,
        whole_chart=not hooked,
    )


Asked = tuple[Service, ChartRequest, ChartSource]


def _whole_chart(raw: bytes, as_of: datetime) -> Asked:
    """A chart alone is judged as if it were opened; its Bundle names the patient."""
    chart_request = ChartRequest(patient_id="", as_of=as_of, left_out=True)
    return SERVICES[0], chart_request, lambda _, settings: chart_bundle(raw, settings=settings, as_of=as_of)


def _hook_call(raw: bytes, as_of: datetime) -> Asked:
    hook = decode(raw)
    chart_request = ChartRequest(
        patient_id=hook.context.patient_id or "",
        as_of=as_of,
        user=hook.context.user_id,
        encounter=hook.context.encounter,
        left_out=True,
    )
    sent, no_access = hook.prefetch or {}, Access(server=hook.fhir_server)
    return (
        service_for(hook),
        chart_request,
        lambda request, settings: gather(request, sent, no_access, settings=settings),
    )


def _not_valid(name: str, invalid: list[Deviation]) -> Failed:
    first, count = invalid[0], "1 deviation" if len(invalid) == 1 else f"{len(invalid)} deviations"
    error = f"not valid R4: {count}; the first in {first.resource} at {first.path}: {first.fault}"
    return Failed(name=name, error=error, deviations=tuple(invalid))


def service_for(hook: HookRequest) -> Service:
    """The service that answers the hook of a request. Raises BadRequest."""
    service = service_of(hook.hook)
    if service is None:
        raise BadRequest(f"hook: expected {', '.join(s.hook for s in SERVICES)}")
    check_context(service, hook)
    return service


def _is_hook(raw: bytes) -> bool:
    try:
        return r4.PEEK.decode(raw).resource_type is None and HOOK_PEEK.decode(raw).hook is not None
    except (ValueError, RecursionError):
        return False


class _Hook(r4.Element):
    hook: str | None = None


HOOK_PEEK = msgspec.json.Decoder(_Hook)
