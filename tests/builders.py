"""Short ways to write charts: FHIR resources from plain words, records and cards from them.

A line such as "PHQ-9, 6 days ago: item 9 = 1, total = 8" becomes real resources, so that a table
of such lines tests the reading, the rules and the cards together.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import count
from zoneinfo import ZoneInfo

from cds_service.app import create_app
from cds_service.cards.from_notices import cards_for
from cds_service.settings.config import ServiceConfig, default_config
from explanations.judgement.assessment import Engine, assess
from explanations.judgement.regions import DEFAULT_REGION
from explanations.judgement.timeline import timeline_of
from explanations.words.notices.notice import NoticeSettings
from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.access.templates import templates
from fhir_adapters.codesets.questions import QuestionnaireMap
from fhir_adapters.instruments import Instrument
from fhir_adapters.reading.extraction import patient_record
from fhir_adapters.resources import r4
from fhir_adapters.resources.gathered import OPENED
from fhir_adapters.settings import ReadSettings
from models.inputs.outcomes import OUTCOMES
from models.scoring.risk import BandThresholds

AS_OF = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
# Thresholds that every estimate of the tests reaches, and that none does.
LOW = BandThresholds(by_outcome=dict.fromkeys(OUTCOMES, 0.0001))
HIGH = BandThresholds(by_outcome=dict.fromkeys(OUTCOMES, 0.999))
phq9_timeline = partial(timeline_of, instrument=Instrument.PHQ9)
gad7_timeline = partial(timeline_of, instrument=Instrument.GAD7)
PATIENT = "p1"
LOINC, SNOMED, ICD = "http://loinc.org", "http://snomed.info/sct", "http://hl7.org/fhir/sid/icd-10-cm"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
PHQ = ["44250-9", "44255-8", "44259-0", "44254-1", "44251-7", "44258-2", "44252-5", "44253-3", "44260-8"]
ANSWERS = ["LA6568-5", "LA6569-3", "LA6570-1", "LA6571-9"]
CSSRS = {"q1": "93246-7", "q2": "93247-5", "q3": "93248-3", "q4": "93249-1", "q5": "93250-9", "q6": "93267-3",
         "q6_recent": "93269-9"}  # fmt: skip
TOTALS = {"PHQ-9": "44261-6", "PHQ-2": "55758-7", "EPDS": "99046-5", "PHQ-9M": "89204-2"}
LEVELS = {"low": "LA9194-7", "moderate": "LA6751-7", "high": "LA9193-9"}
SITE = "https://site.example/Questionnaire/"
LOCAL = "https://site.example/codes/"
MAPS = tuple(
    QuestionnaireMap(instrument=instrument, source=base + instrument.value, items={name: name for name in items})
    for instrument, items in (
        (Instrument.ASQ, ("q1", "q2", "q3", "q4", "acuity")),
        (Instrument.EPDS, tuple(str(n) for n in range(1, 11))),
        (Instrument.PHQ9M, ("past_month_thoughts", "lifetime_attempt")),
    )
    for base in (SITE, LOCAL)
)
_numbers = count(1)


def open_app(config: ServiceConfig | None = None, **wanted):
    """The app as the demo has it: everybody on this machine may call. Who may call otherwise: test_trust.py."""
    return create_app(replace(config or default_config(), mode="demo"), **wanted)


def codeable(system: str, code: str) -> dict:
    return {"coding": [{"system": system, "code": code}]}


def resource(kind: str, **elements) -> dict:
    found = {"resourceType": kind, "id": f"{kind.lower()[:4]}-{next(_numbers)}", **elements}
    if kind not in ("Patient", "Medication"):
        found.setdefault("subject", {"reference": f"Patient/{PATIENT}"})
    return found


def patient(age: int | None = 40, gender: str | None = "female", **elements) -> dict:
    born = {"birthDate": f"{AS_OF.year - age}-01-15"} if age is not None else {}
    return {"resourceType": "Patient", "id": PATIENT, "gender": gender, **born, **elements}


def moment(words: str) -> str | None:
    """`today`, `yesterday`, `6 days ago`, `in 3 days`, `20 hours ago`, `undated`, or a date as it is."""
    words = words.strip()
    days = {"today": 0, "yesterday": 1}.get(words)
    if match := re.fullmatch(r"(\d+) days? ago", words):
        days = int(match[1])
    if match := re.fullmatch(r"in (\d+) days?", words):
        days = -int(match[1])
    if match := re.fullmatch(r"(\d+) hours ago", words):
        return (AS_OF - timedelta(hours=int(match[1]))).isoformat()
    if words == "undated":
        return None
    return (AS_OF.date() - timedelta(days=days)).isoformat() if days is not None else words


def given(line: str, shape: str = "observations") -> list[dict]:
    """The resources of one line of a clinical table."""
    head, _, rest = line.partition(": ")
    name, *words = [part.strip() for part in head.split(",")]
    when = moment(words[0]) if words else None
    extras = set(words[1:])
    if name.startswith("Condition "):
        return condition(name.removeprefix("Condition "), when, extras)
    if name.startswith("Finding "):
        code, _, value = name.removeprefix("Finding ").partition(" = ")
        return [observation(SNOMED, code, when, boolean(value))]
    if name.startswith("Answer "):
        code, _, words = name.removeprefix("Answer ").partition(" as ")
        asked = codeable(LOINC, code) | ({"text": words} if words else {})
        return [observation(LOINC, code, when, as_recorded(rest)) | {"code": asked}]
    if name == "Risk assessment":
        done = resource("Procedure", status="completed", code=codeable(SNOMED, "225337009"), performedDateTime=when)
        return [done | {"outcome": {"text": rest}}] if rest else [done]
    if name == "RiskAssessment":
        return [risk_assessment(rest, when, extras)]
    if name == "Visit for depression":
        visit = resource("Encounter", status="finished", period={"start": when}, reasonCode=[codeable(ICD, "F32.9")])
        name = next((e.removeprefix("encounter ") for e in extras if e.startswith("encounter ")), visit["id"])
        return [visit | {"id": name, "class": {"code": "AMB"}}]
    if name.startswith("Medicine "):
        medicine = {"text": name.removeprefix("Medicine ")}
        return [resource("MedicationRequest", status="active", intent="order", medicationCodeableConcept=medicine)]
    return form(name, when, answers(rest), extras, shape)


def as_recorded(text: str) -> dict:
    """`4` a number; `interpretation POS`; `LA6568-5 words` a LOINC answer with its display; `weight 0 words` an option
    with its ordinal value; other words a text."""
    first, _, words = text.partition(" ")
    if text.isdigit():
        return {"valueInteger": int(text)}
    if first == "interpretation":
        system = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
        return {"interpretation": [codeable(system, words)]}
    if first.startswith("LA"):
        return {"valueCodeableConcept": {"coding": [{"system": LOINC, "code": first, "display": words}]}}
    if first == "weight":
        weight, _, display = words.partition(" ")
        ordinal = {"url": "http://hl7.org/fhir/StructureDefinition/ordinalValue", "valueDecimal": int(weight)}
        return {"valueCodeableConcept": {"coding": [{"code": "x", "display": display, "extension": [ordinal]}]}}
    return {"valueString": text}


PERFORMERS = {"by nobody": None, "by software": "Device/d1", "by clinician": "Practitioner/1"}


def risk_assessment(risk: str, when: str | None, extras: set[str]) -> dict:
    """A final RiskAssessment on suicide with a qualitative risk in words; by a clinician unless something else is said."""
    by = next((PERFORMERS[e] for e in extras if e in PERFORMERS), PERFORMERS["by clinician"])
    status = next((e for e in extras if e in ("preliminary", "amended", "cancelled", "entered-in-error")), "final")
    return resource(
        "RiskAssessment",
        status=status,
        code=codeable(SNOMED, "225337009"),
        prediction=[{"qualitativeRisk": {"text": risk}}] if risk else [],
        **({"occurrenceDateTime": when} if when else {}),
        **({"performer": {"reference": by}} if by else {}),
    )


def boolean(word: str) -> dict:
    return {"valueBoolean": word == "yes"} if word in ("yes", "no") else {}


def condition(code: str, when: str | None, extras: set[str]) -> list[dict]:
    """ICD-10-CM when it begins with a letter, else SNOMED CT; `a+b` for several codings, `?a` without its system,
    `text words` without any. An encounter diagnosis unless `problem list` is said."""
    if code.startswith("text "):
        concept = {"text": code.removeprefix("text ")}
    else:
        codings = [
            {"system": ICD if c.strip("?")[0].isalpha() else SNOMED, "code": c.strip("?")} for c in code.split("+")
        ]
        if code.startswith("?"):
            del codings[0]["system"]
        concept = {"coding": codings}
    listed = "problem list" in extras
    category = "problem-list-item" if listed else "encounter-diagnosis"
    clinical = next((e for e in extras if e in ("resolved", "inactive")), "active")
    sure = next((e for e in extras if e in ("provisional", "refuted", "entered-in-error", "unconfirmed")), "confirmed")
    found = resource(
        "Condition",
        code=concept,
        category=[codeable("http://terminology.hl7.org/CodeSystem/condition-category", category)],
        clinicalStatus=codeable("http://terminology.hl7.org/CodeSystem/condition-clinical", clinical),
        verificationStatus=codeable("http://terminology.hl7.org/CodeSystem/condition-ver-status", sure),
    )
    if when is None:
        return [found]
    if listed:
        return [found | {"onsetDateTime": when}]
    name = next((e.removeprefix("encounter ") for e in extras if e.startswith("encounter ")), None)
    if name is None:
        return [found | {"recordedDate": when}]
    encounter = {"resourceType": "Encounter", "id": name, "status": "finished", "class": {"code": "EMER"}}
    encounter |= {"subject": {"reference": f"Patient/{PATIENT}"}, "period": {"start": when}}
    return [found | {"encounter": {"reference": f"Encounter/{name}"}}, encounter]


def answers(text: str) -> dict[str, str]:
    """`items 1-8 = 1, item 9 = declined, total = 9` to item: word."""
    found: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        names, _, value = part.partition(" = ")
        names = re.sub(r"^(items?|questions?) ", "", names)
        prefix = "q" if re.match(r"questions? ", part) else ""
        for piece in names.split(" "):
            low, _, high = piece.partition("-")
            numbers = range(int(low), int(high) + 1) if high and low.isdigit() else [piece]
            found |= {f"{prefix}{n}": value for n in numbers}
    return found


def coded_value(instrument: str, word: str) -> dict:
    """An answer in the shape that the instrument usually has."""
    if word == "declined":
        return {
            "dataAbsentReason": codeable("http://terminology.hl7.org/CodeSystem/data-absent-reason", "asked-declined")
        }
    if word == "unreadable":
        return {"valueCodeableConcept": codeable("https://unknown.example", "x")}
    if word in ("yes", "no"):
        return {"valueCodeableConcept": codeable(LOINC, "LA33-6" if word == "yes" else "LA32-8")}
    if instrument in ("PHQ-9", "PHQ-9M", "PHQ-2") and word in "0123":
        return {"valueCodeableConcept": codeable(LOINC, ANSWERS[int(word)])}
    return {"valueInteger": int(word)}


def observation(system: str, code: str, when: str | None, value: dict, **elements) -> dict:
    dated = {"effectiveDateTime": when} if when else {}
    return resource("Observation", status="final", code=codeable(system, code), **dated, **value, **elements)


def form(name: str, when: str | None, items: dict[str, str], extras: set[str], shape: str) -> list[dict]:
    """One administration, as item Observations or as a QuestionnaireResponse."""
    local = name in ("ASQ", "EPDS")
    encounter = next((e.removeprefix("encounter ") for e in extras if e.startswith("encounter ")), None)
    place = {"encounter": {"reference": f"Encounter/{encounter}"}} if encounter else {}
    status = "in-progress" if "in progress" in extras else None

    def code_of(item: str) -> str:
        if item == "total":
            return TOTALS[name]
        if item == "level":
            return "93374-7"
        if local:
            return item
        if item in ("past_month_thoughts", "lifetime_attempt"):
            return item
        return CSSRS[item] if name == "C-SSRS" else PHQ[int(item) - 1]

    def value_of(item: str, word: str) -> dict:
        if item == "level":
            return {"valueCodeableConcept": codeable(LOINC, LEVELS[word])}
        return {"valueInteger": int(word)} if item == "total" else coded_value(name, word)

    direct = {item: word for item, word in items.items() if item in ("total", "level")}
    if shape == "observations":

        def system_of(item: str) -> str:
            own = local or item in ("past_month_thoughts", "lifetime_attempt")
            return LOCAL + name.lower() if own and item not in direct else LOINC

        found = [
            observation(system_of(item), code_of(item), when, value_of(item, word), **place)
            | ({"status": "preliminary"} if status else {})
            for item, word in items.items()
            if word != "blank"
        ]
        if name == "PHQ-9M":
            member = [{"reference": f"Observation/{o['id']}"} for o in found]
            found.append(observation(LOINC, "89206-7", when, {}, hasMember=member))
        return found
    lines = []
    for item, word in items.items():
        if item in direct:
            continue
        value = value_of(item, word) if word != "blank" else {}
        concept = value.pop("valueCodeableConcept", None)
        if concept:
            value["valueCoding"] = concept["coding"][0]
        if "dataAbsentReason" in value:
            value = {"valueCoding": {"code": "asked-declined"}}
        link = code_of(item) if local or shape == "questionnaire" or item.isidentifier() else f"/{code_of(item)}"
        lines.append({"linkId": link, **({"answer": [value]} if value else {})})
    asked = (
        {"questionnaire": SITE + name.lower()}
        if local or name == "PHQ-9M"
        else {"questionnaire": "http://loinc.org/q/44249-1"}
    )
    response = resource("QuestionnaireResponse", status=status or "completed", item=lines, **asked, **place)
    if when:
        response["authored"] = when
    totals = [observation(LOINC, code_of(i), when, value_of(i, w), **place) for i, w in direct.items()]
    return ([response] if lines else []) + totals


def bundle(*resources: dict) -> bytes:
    whole = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in resources]}
    return json.dumps(whole).encode()


def care_plan(when: str | None, title: str | None = "Safety plan", **elements) -> dict:
    """A care plan of that moment (`moment`), a safety plan unless another title is given."""
    dated = {"created": moment(when)} if when else {}
    return resource("CarePlan", status="active", intent="plan", title=title, **dated) | elements


FOLLOW_UP = {"appointmentType": codeable("http://terminology.hl7.org/CodeSystem/v2-0276", "FOLLOWUP")}


def appointment(when: str | None, who: str = PATIENT, **elements) -> dict:
    """A booked appointment at noon of that day (`moment`); a follow-up unless other elements say what it is for."""
    start = {"start": f"{moment(when)}T12:00:00Z", "end": f"{moment(when)}T12:30:00Z"} if when else {}
    actors = [{"actor": {"reference": name}, "status": "accepted"} for name in (f"Patient/{who}", "Practitioner/doc")]
    found = resource("Appointment", status="booked", participant=actors, **start) | (elements or FOLLOW_UP)
    return {key: value for key, value in found.items() if key != "subject"}


def prefetch_of(chart: list[dict], keys: tuple[str, ...] = OPENED) -> dict:
    """A chart as a client sends it that ran the prefetch templates."""
    found = {}
    for template in templates(keys):
        ours = [r for r in chart if r["resourceType"] in template.types]
        found[template.key] = ours[0] if template.key == "patient" else json.loads(bundle(*ours))
    return found


def record_of(
    *resources: dict,
    who: dict | None = None,
    as_of: datetime = AS_OF,
    zone: str = "UTC",
    encounter=None,
    left_out=False,
):
    """The record of a chart with these resources; `who` replaces the patient."""
    settings = ReadSettings(zone=ZoneInfo(zone), maps=MAPS)
    gathered = chart_bundle(bundle(who or patient(), *resources), settings=settings, as_of=as_of)
    return patient_record(gathered, settings=settings, as_of=as_of, encounter=encounter, left_out=left_out)


def cards_of(record, engine: Engine = Engine(), thresholds: BandThresholds = BandThresholds(), **settings):
    """The cards for a record, without models unless an engine is given."""
    ids = count(1)
    return cards_for(
        assess(record, engine, thresholds, region=settings.get("region", DEFAULT_REGION)),
        NoticeSettings(zone=ZoneInfo("UTC"), **settings),
        new_id=lambda: f"00000000-0000-4000-8000-{next(ids):012d}",
    )


def gap_said(answer) -> str:
    """What the one card of an answer says, once it is seen to be that of a gap alone (R16)."""
    assert answer.status_code == 200, answer.get_json()
    (card,) = answer.get_json()["cards"]
    assert (card["source"]["topic"]["code"], card["indicator"]) == ("could-not-assess", "info")
    return f"{card['summary']}\n{card['detail']}".replace("**", "")


def days_before(days: int) -> date:
    return AS_OF.date() - timedelta(days=days)


def read(content: dict) -> r4.Resource:
    return r4.read(json.dumps(content).encode())
