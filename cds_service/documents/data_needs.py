"""What the service reads from a chart and why, for security offices and machines.

One need per prefetch key: resource, queries, elements read, codes, look-back, purpose, and what happens without it.
Queries, elements, codes and inputs come from the catalogue, the types and the schema; only the sentences are written
here. Served at DATA_NEEDS, to which an extension of the discovery document links, and as docs/generated/data-needs.md (make
golden).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from cds_service.hooks.catalogue import SERVICES
from explanations.judgement.regions import DEFAULT_REGION, Region
from fhir_adapters.access.templates import LONGEST, PAGE, Template, templates
from fhir_adapters.codesets.terminology import LOINC, SNOMED, table
from fhir_adapters.facts import ChartPart
from fhir_adapters.resources import r4
from fhir_adapters.resources.gathered import ALL_KEYS
from models.inputs.feature_schema import FEATURES
from models.inputs.features import FRESH_DAYS, PHQ_DAYS
from models.rules.discharge import APPOINTMENT_DAYS
from models.rules.timing import POSITIVE_DAYS, RECENT_DAYS

EXTENSION = "org.mental-health-cds.data-needs"
DATA_NEEDS = "/data-needs.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A requested code. `verified` is yes, partial or no: whether its meaning was checked at its source."""

    system: str
    code: str
    display: str
    verified: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataNeed:
    """One part of a chart. `prefetch`: key and template, several where a list of codes is too long for one query.

    `own_queries`: tried in order by the service when the key was not sent.
    services: ids of those that use it. needed: a gap in it is said on a card; without any needed part a call is answered 412.
    """

    key: str
    services: tuple[str, ...]
    needed: bool
    scopes: tuple[str, ...]
    prefetch: Mapping[str, str]
    own_queries: tuple[str, ...]
    elements: tuple[str, ...]
    codes: tuple[Code, ...]
    model_inputs: tuple[str, ...]
    purpose: str
    look_back: str
    without: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """The parts of a need that cannot be generated. for_models, without_models: what is added where models are asked."""

    purpose: str
    look_back: str
    without: str = ""
    for_models: str = ""
    without_models: str = ""
    inputs: tuple[str, ...] = ()


def _years(group: str) -> str:
    return f"{FRESH_DAYS[group] // 365} year{'s' if FRESH_DAYS[group] > 365 else ''}"


SAID = "A card names the gap, beside the findings from the rest or alone; a call of which no needed part could be had is answered 412."
WORDS: dict[str, _Words] = {
    ChartPart.PATIENT: _Words(
        purpose="That the data is this patient's; age (rules by age), sex, and whether the patient has died.",
        for_models="No model is asked under 18.",
        look_back="Present state.",
        without=SAID,
        inputs=("demographics",),
    ),
    ChartPart.CONDITIONS: _Words(
        purpose="Coded self-harm, suicidality, depressive and bipolar disorders (rules R2, R7, R8, R13).",
        for_models="Chronic conditions are model inputs.",
        look_back=f"Safety codes: cards up to {RECENT_DAYS} days, older ones as one line of history. Chronic conditions: ever.",
        without=SAID,
        inputs=("conditions",),
    ),
    ChartPart.SCREENING: _Words(
        purpose="Documented answers: PHQ-9, PHQ-9M, PHQ-2, GAD-7, EPDS total, C-SSRS, overall results, and findings of suicidality (rules R1 to R7, R11, R12).",
        look_back=f"Positive answers: {POSITIVE_DAYS} days, acute ones and totals {RECENT_DAYS} days, then one line of history.",
        for_models=f"As model inputs, answers of the last {PHQ_DAYS} days.",
        without=SAID,
        inputs=("phq2", "phq"),
    ),
    ChartPart.QUESTIONNAIRES: _Words(
        purpose="The same answers where they are filed as forms, those in a site's own codes by its map.",
        look_back="As for answers in codes.",
        without=SAID,
    ),
    ChartPart.LOCAL_SCREENING: _Words(
        purpose="The same answers where they are filed as Observations in codes of the site's own, by its map.",
        look_back="As for answers in codes.",
        without=SAID,
    ),
    ChartPart.MEASUREMENTS: _Words(
        purpose="Model inputs that patients report: smoking, alcohol, sleep, self-rated health, employment, food security, difficulty concentrating. No vital signs and no laboratory values.",
        look_back=f"Smoking and alcohol {_years('lifestyle')}; the others {_years('needs')}.",
        without_models="The models count them as missing, name them on the card, and may give no estimate.",
        inputs=("lifestyle", "needs", "difficulties", "pro"),
    ),
    ChartPart.MEDICATIONS: _Words(
        purpose="Active medicines: antidepressants show depression care (rule R13). The detailed view lists them by name, date and dose; it alone also reads those that are over (`status=stopped,completed`), for antidepressants and mood stabilisers on its timeline.",
        for_models="Their number and classes are model inputs.",
        look_back="Active now.",
        without="Depression care may go unseen.",
        without_models="The models count medicines as missing.",
        inputs=("drugs",),
    ),
    ChartPart.ENCOUNTERS: _Words(
        purpose="Dates of coded events, whether an answer belongs to the visit at hand (rule R1), follow-up and depression care (R6, R13).",
        for_models="Visits are model inputs.",
        look_back="12 months for visits; older ones only to date coded events.",
        without="Coded events take the date of their record.",
        without_models="The models count visits as missing.",
        inputs=("utilisation",),
    ),
    ChartPart.PROCEDURES: _Words(
        purpose="A suicide risk assessment that was completed, which lowers an older acute finding by one step (rule R3), and is one of the steps looked for at discharge.",
        look_back=f"{RECENT_DAYS} days.",
        without="Older findings stay as urgent as they are, and the card says that later records were not all read.",
    ),
    ChartPart.RISK_ASSESSMENTS: _Words(
        purpose="Suicide risk assessments with their qualitative result (rules R2, R4, R7); a practitioner's final one counts as completed (R3, discharge). Those about something else are set aside.",
        look_back=f"{RECENT_DAYS} days.",
        without="Such results go unseen. Where the key was never sent, or the server refuses or does not know the type, no card says so; where a read fails, cards say that later records were not all read.",
    ),
    ChartPart.CONSENTS: _Words(
        purpose="Whether the patient denies this use of the chart. Asked for before anything else.",
        look_back="Consents that are active and in force today.",
        without='The rules still speak. A site whose chart holds no Consents sets consent = "not-used".',
        without_models="No estimate is made, and a card says so.",
    ),
    ChartPart.CARE_PLANS: _Words(
        purpose="At discharge after a positive safety answer: whether a safety or crisis plan was made since, known by its words. The words are not kept and not shown; its date and reference are.",
        look_back="Plans dated after the finding, which is at most 90 days old; one earlier plan is named.",
        without="The card says that safety plans could not be read, and comes.",
    ),
    ChartPart.APPOINTMENTS: _Words(
        purpose="At discharge after a positive safety answer: whether a follow-up appointment is booked, by its kind in code or words. The words are not kept and not shown; its date and reference are.",
        look_back=f"Appointments that start within the next {APPOINTMENT_DAYS} days; later ones are named.",
        without="The card says that appointments could not be read, and comes.",
    ),
}  # fmt: skip
# Elements that only reveal another FHIR version, and one that only `mhcds assess` uses.
NOT_READ = {name for names in r4.FOREIGN.values() for name in names} | {"marital_status"}


def data_needs(region: Region = DEFAULT_REGION) -> tuple[DataNeed, ...]:
    """Every need of a region, in the order of the prefetch keys."""
    return tuple(_need(template, region) for template in templates(region.read(ALL_KEYS)))


def _need(template: Template, region: Region) -> DataNeed:
    words, models = WORDS[template.key], region.models
    return DataNeed(
        key=template.key,
        services=tuple(
            service.id for service in SERVICES if template.key in (*service.keys, ChartPart.LOCAL_SCREENING)
        ),
        needed=template.needed,
        scopes=tuple(f"patient/{kind}.rs" for kind in template.types),
        prefetch=dict(template.prefetch()),
        own_queries=tuple(form for query in template.queries for form in template.reads(query)),
        elements=tuple(f"{kind}.{name}" for kind in template.types for name in _elements(kind)),
        codes=() if template.key == ChartPart.LOCAL_SCREENING else tuple(_codes(template)),
        model_inputs=tuple(spec.name for spec in FEATURES if models and spec.group in words.inputs),
        purpose=f"{words.purpose} {words.for_models if models else ''}".strip(),
        look_back=words.look_back,
        without=f"{words.without} {words.without_models if models else ''}".strip(),
    )


def _elements(kind: str) -> list[str]:
    """The elements of a resource type that are read, by FHIR name; values of any type as value[x]."""
    fields = msgspec.structs.fields(r4.TYPES[kind])
    names = [f.encode_name for f in fields if f.name not in NOT_READ]
    plain = ["value[x]" if name.startswith("value") else name for name in names]
    return sorted(dict.fromkeys(name for name in plain if name not in ("id", "meta")))


def _codes(template: Template) -> Iterable[Code]:
    """The codes in a template's query, with their entries in our lists."""
    listed = {row["code"]: row for name in ("measurements", "conditions", "instruments") for row in table(name)}
    for query in template.queries:
        found = query.partition("code=")[2].partition("&")[0]
        for code in found.split(",") if found else ():
            row = listed.get(code, {})
            display = row.get("display") or DISPLAYS.get(code) or row.get("feature", "")
            system = row.get("system", LOINC if "-" in code else SNOMED)
            yield Code(system=system, code=code, display=display, verified=row.get("verified", "yes"))


# Codes without an entry in the lists of displays.
DISPLAYS = {
    "225337009": "Suicide risk assessment", "72166-2": "Tobacco smoking status", "67875-5": "Employment status", "61577-3": "Self-rated health",
    "11287-0": "Alcoholic drinks per drinking day", "93832-4": "Sleep duration", "65968-0": "Sleep duration", "88122-7": "Hunger Vital Sign, question 1",
    "69858-9": "Serious difficulty concentrating, remembering or deciding",
    "88123-5": "Hunger Vital Sign, question 2", "54652-3": "PHQ-9 item 9 in nursing-home forms, presence", "54653-1": "PHQ-9 item 9 in nursing-home forms, frequency",
}  # fmt: skip


def as_json(local: Template | None = None, region: Region = DEFAULT_REGION) -> dict[str, Any]:
    """The needs as plain JSON values, without empty members. `local`: of one site, for its own codes."""
    every = (*data_needs(region), *((_need(local, region),) if local else ()))
    needs = [{name: value for name, value in asdict(need).items() if value not in ((), "")} for need in every]
    return {"needs": needs, "never": list(NEVER)}


NEVER = (
    "No DocumentReference or psychotherapy note is asked for.",
    "A note on an entry that was sent is looked at for words on self-harm (rule R18) and never shown.",
    "Race and ethnicity are no input; insurance, income, education and marital status neither.",
    "Race and ethnicity, language and payer are recorded for the audit of fairness alone, where a site switches that on.",
    "Nothing is written to the chart; suggestions are drafts that a person accepts.",
    "Nothing of a patient is kept between calls: no answer of the FHIR server, no token; short names of codes alone.",
    "Resources labelled as substance use records (42 CFR Part 2) are put away unread unless the site has consent on record.",
)

_HEAD = """# What is read from a chart, and why

*Generated by `make golden`: change what it is made from, not this page.*

For integration engineers and security offices. A reference, made from the catalogue, the types and the schema; the same as JSON is at `{path}`, and the discovery document links to it (`extension.{extension}.url`).

A site that maps an instrument by its own codes has one key more, `local-screening`, in a discovery document of its own ([configuration.md](../configuration.md)).

**Page size:** a needed search ends in `{page}`, since a first page alone counts as incomplete and one written PHQ-9 is 11 Observations. A client that leaves it out needs a server whose pages are as long, or gives access to the chart: then the service reads the following pages itself. **Length:** no query is longer than {longest:,} characters, the address of the server included.

**Scopes to grant:** {scopes}. Narrower grants work: a refused read is said, as the last column says.

{never}

| prefetch key | asked by | needed | query (the patient is always given) | look-back | what for | without it |
|---|---|---|---|---|---|---|
"""


def as_markdown() -> str:
    """docs/generated/data-needs.md."""
    needs = data_needs()
    scopes = ", ".join(f"`{scope}`" for scope in dict.fromkeys(s for need in needs for s in need.scopes))
    never = "\n".join(f"- {line}" for line in NEVER)
    rows = [
        f"| `{key}` | {_who(n)} | {'yes' if n.needed else 'no'} | `{_short(query)}` | {n.look_back} | {n.purpose} | {n.without} |"
        for n in needs
        for key, query in n.prefetch.items()
    ]
    return "\n".join(
        [
            _HEAD.format(extension=EXTENSION, path=DATA_NEEDS, scopes=scopes, never=never, page=PAGE, longest=LONGEST)
            + "\n".join(rows),
            *map(_section, needs),
        ]
    )


def _who(need: DataNeed) -> str:
    """The services that use a key."""
    return "all" if len(need.services) == len(SERVICES) else ", ".join(f"`{service}`" for service in need.services)


def _short(query: str) -> str:
    """A query without its list of codes."""
    head, mark, rest = query.partition("code=")
    codes, also, after = rest.partition("&")
    count = codes.count(",") + 1
    return f"{head}{mark}({count} listed code{'s' if count > 1 else ''}){also}{after}" if mark else query


def _section(need: DataNeed) -> str:
    lines = [f"\n## {need.key}\n", f"Scopes: {', '.join(f'`{s}`' for s in need.scopes)}.", ""]
    lines += ["Asked by the service itself when the key was not sent, the first that the server supports:", ""]
    lines += [f"- `{_short(query)}`" for query in need.own_queries]
    lines += ["", f"Elements read: {', '.join(f'`{e}`' for e in need.elements)}."]
    if need.model_inputs:
        lines += ["", f"Model inputs: {', '.join(f'`{name}`' for name in need.model_inputs)}."]
    if need.codes:
        lines += ["", "| system | code | meaning | verified |", "|---|---|---|---|"]
        lines += [f"| {c.system} | {c.code} | {c.display} | {c.verified} |" for c in need.codes]
    return "\n".join([*lines, ""])
