"""What one hook call costs, by the shape of its body: processor seconds at a quarter of the largest body and at the whole.

Not a test, since it measures time: run it by hand after a change to the path of a request,

    PYTHONPATH=. .venv/bin/python tests/cost.py            # every shape
    PYTHONPATH=. .venv/bin/python tests/cost.py nested     # those with "nested" in their name

Each shape is a body of many small entries that an odd or hostile client can send. A line is marked when four times
the body takes more than six times as long, or the whole body more than two seconds.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import resource as limits
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

MOST_BYTES = 2 * 1024 * 1024
MOST_SECONDS = 20
AS_OF = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
PATIENT = {"resourceType": "Patient", "id": "p", "gender": "female", "birthDate": "1980-01-01"}
LOINC, SNOMED, ICD = "http://loinc.org", "http://snomed.info/sct", "http://hl7.org/fhir/sid/icd-10-cm"
PHQ = ["44250-9", "44255-8", "44259-0", "44254-1", "44251-7", "44258-2", "44252-5", "44253-3", "44260-8"]
CSSRS = ["93246-7", "93247-5", "93248-3", "93249-1", "93250-9", "93267-3", "93269-9"]
Entry = Callable[[int], dict]


def day(n: int) -> str:
    """n days ago, back to the year 1, then from the start again."""
    return (AS_OF.date() - timedelta(days=n % 700_000)).isoformat()


def minute(n: int, of_day: str = "2026-11-23") -> str:
    return f"{of_day}T{n // 60 % 24:02d}:{n % 60:02d}:00Z"


def code(system: str, value: str) -> dict:
    return {"coding": [{"system": system, "code": value}]}


def entry(kind: str, n: int, **elements) -> dict:
    return {"resourceType": kind, "id": f"{n}", "subject": {"reference": "Patient/p"}, **elements}


def obs(n: int, what: str, value: dict, when: str | None = None, system: str = LOINC, **more) -> dict:
    dated = {"effectiveDateTime": when} if when else {}
    return entry("Observation", n, status="final", code=code(system, what), **dated, **value, **more)


def qr(n: int, answers: dict[str, dict], when: str | None = None, **more) -> dict:
    items = [{"linkId": link, "answer": [value]} for link, value in answers.items()]
    dated = {"authored": when} if when else {}
    return entry("QuestionnaireResponse", n, status="completed", item=items, **dated, **more)


def cond(n: int, what: str, when: str | None = None, system: str = ICD, **more) -> dict:
    dated = {"recordedDate": when} if when else {}
    return entry("Condition", n, code=code(system, what), **dated, **more)


def visit(n: int, **more) -> dict:
    return entry("Encounter", n, status="finished", **{"class": {"code": "AMB"}}, **more)


def enc(n: int) -> dict:
    return {"encounter": {"reference": f"Encounter/{n}"}}


def yes(n: int) -> dict[str, dict]:
    """Answers of a C-SSRS, another pattern for each n."""
    return {c: {"valueBoolean": bool((n >> i) & 1)} for i, c in enumerate(CSSRS)}


def phq(n: int) -> dict[str, dict]:
    """Answers of a PHQ-9, another pattern for each n."""
    return {c: {"valueInteger": n >> 2 * i & 3} for i, c in enumerate(PHQ)}


NEGATIVE = {CSSRS[0]: {"valueBoolean": False}, CSSRS[1]: {"valueBoolean": False}, CSSRS[5]: {"valueBoolean": False}}
POSITIVE = {CSSRS[4]: {"valueBoolean": True}}
# Shapes by prefetch key: each entry is one resource.
ENTRIES: dict[str, tuple[str, Entry]] = {
    "C-SSRS forms of many days": ("questionnaires", lambda n: qr(n, POSITIVE, day(n))),
    "C-SSRS forms of many past days": ("questionnaires", lambda n: qr(n, POSITIVE, day(n + 200))),
    "C-SSRS forms, positive and negative": ("questionnaires", lambda n: qr(n, POSITIVE if n % 2 else NEGATIVE, day(n // 2))),
    "C-SSRS forms of one day, pos/neg, encounters": ("questionnaires", lambda n: qr(n, POSITIVE if n % 2 else NEGATIVE, minute(n), **enc(n))),
    "C-SSRS forms of one day that disagree": ("questionnaires", lambda n: qr(n, yes(n), "2026-11-23")),
    "C-SSRS forms, undated, that disagree": ("questionnaires", lambda n: qr(n, yes(n))),
    "C-SSRS forms of one day that agree": ("questionnaires", lambda n: qr(n, POSITIVE, "2026-11-23")),
    "C-SSRS forms of one day, many encounters": ("questionnaires", lambda n: qr(n, POSITIVE, "2026-11-23", **enc(n))),
    "C-SSRS forms, encounters, then none": ("questionnaires", lambda n: qr(n, yes(n), "2026-11-23", **(enc(n) if n % 2 else {}))),
    "PHQ-9 forms of one day that disagree": ("questionnaires", lambda n: qr(n, phq(n), "2026-11-23")),
    "PHQ-9 forms of one hour, chained": ("questionnaires", lambda n: qr(n, phq(n), minute(n, day(n // 1440)))),
    "PHQ-9 forms of many days": ("questionnaires", lambda n: qr(n, phq(n), day(n))),
    "PHQ-9 halves of one day": ("questionnaires", lambda n: qr(n, {PHQ[n % 8]: {"valueInteger": 1}, PHQ[8]: {"valueInteger": 1}}, "2026-11-23")),
    "item 9 of many days": ("screening", lambda n: obs(n, PHQ[8], {"valueInteger": 1}, day(n))),
    "item 9, zero and positive, many days": ("screening", lambda n: obs(n, PHQ[8], {"valueInteger": n % 2}, day(n))),
    "item 9 of one day, many encounters": ("screening", lambda n: obs(n, PHQ[8], {"valueInteger": 1}, "2026-11-23", **enc(n))),
    "item 9 of every minute": ("screening", lambda n: obs(n, PHQ[8], {"valueInteger": n % 4}, minute(n, day(n // 1440)))),
    "PHQ-9 totals of many days": ("screening", lambda n: obs(n, "44261-6", {"valueInteger": 27}, day(n))),
    "PHQ-9 totals of one day, encounters": ("screening", lambda n: obs(n, "44261-6", {"valueInteger": 12}, "2026-11-23", **enc(n))),
    "PHQ-9 totals, undated, encounters": ("screening", lambda n: obs(n, "44261-6", {"valueInteger": 12}, **enc(n))),
    "PHQ-9 totals of one day that disagree": ("screening", lambda n: obs(n, "44261-6", {"valueInteger": n % 28}, "2026-11-23", component=[{}])),
    "PHQ-9 totals off the scale": ("screening", lambda n: obs(n, "44261-6", {"valueInteger": 99}, day(n))),
    "PHQ-9 totals of days to come": ("screening", lambda n: obs(n, "44261-6", {"valueInteger": 9}, f"{2027 + n % 7000}-01-{n % 28 + 1:02d}")),
    "PHQ-2 totals beside item 3s": ("screening", lambda n: obs(n, *(("55758-7", {"valueInteger": 6}) if n % 2 else (PHQ[2], {"valueInteger": 1})), day(n % 90), **enc(n))),
    "PHQ-9 without item 9, encounters": ("screening", lambda n: obs(n, PHQ[3], {"valueInteger": 1}, "2026-11-23", **enc(n))),
    "C-SSRS level high, encounters": ("screening", lambda n: obs(n, "93374-7", {"valueCodeableConcept": code(LOINC, "LA9193-9")}, "2026-11-20", **enc(n))),
    "findings as Observations": ("screening", lambda n: obs(n, "6471006", {"valueBoolean": True}, day(n), SNOMED)),
    "panels with one member": ("screening", lambda n: obs(n, "44249-1", {}, day(n), hasMember=[{"reference": f"Observation/{n}"}])),
    "panels with one member, in a ring": ("screening", lambda n: obs(n, "44249-1", {"valueInteger": 3}, hasMember=[{"reference": f"Observation/{n + 1}"}])),
    "derived from each other": ("screening", lambda n: obs(n, PHQ[8], {"valueInteger": 1}, derivedFrom=[{"reference": f"Observation/{n + 1}"}])),
    "same id, other patients": ("screening", lambda n: obs(1, PHQ[8], {"valueInteger": 1}, day(n)) | {"subject": {"reference": f"Patient/{n}"}}),
    "same encounter id": ("encounters", lambda n: visit(1, period={"start": day(n)}, reasonCode=[code(SNOMED, "82313006")])),
    "same id": ("screening", lambda n: obs(1, PHQ[8], {"valueInteger": n % 4}, day(n))),
    "same id, versions": ("screening", lambda n: obs(1, PHQ[8], {"valueInteger": n % 4}, day(n), meta={"lastUpdated": minute(n, day(n // 1440))})),
    "empty Observations": ("screening", lambda _: {"resourceType": "Observation"}),
    "Observations that name nobody": ("screening", lambda n: {"resourceType": "Observation", "id": f"{n}"}),
    "Observations with a null": ("screening", lambda n: obs(n, PHQ[8], {"valueInteger": None}, day(n))),
    "Observations with wrong types": ("screening", lambda n: {"resourceType": "Observation", "id": f"{n}", "status": 1, "subject": {"reference": "Patient/p"}}),
    "Responses with wrong types": ("questionnaires", lambda n: {"resourceType": "QuestionnaireResponse", "id": f"{n}", "status": 1, "subject": {"reference": "Patient/p"}}),
    "Responses that seem a screen": ("questionnaires", lambda n: entry("QuestionnaireResponse", n, questionnaire="phq")),
    "modifier extensions": ("screening", lambda n: obs(n, PHQ[8], {"valueInteger": 1}, modifierExtension=[{"url": "x"}])),
    "attempts coded on many days": ("conditions", lambda n: cond(n, "T14.91XA", day(8 * n))),
    "attempts coded, follow-up": ("conditions", lambda n: cond(n, "T14.91XD" if n % 2 else "T14.91XA", day(8 * n))),
    "attempts coded, many codes": ("conditions", lambda n: cond(n, f"X{71 + n % 13}.{n // 13 % 9}XXA", day(8 * n))),
    "attempts coded without 7th character": ("conditions", lambda n: cond(n, "T14.91", day(n))),
    "attempts coded in many encounters": ("conditions", lambda n: cond(n, "T14.91", "2026-11-22", **enc(n))),
    "attempts in SNOMED CT on many days": ("conditions", lambda n: cond(n, "82313006", day(n), SNOMED)),
    "attempts in one encounter": ("conditions", lambda n: cond(n, f"X{71 + n % 13}.{n // 13 % 9}XXA", day(n), **enc(1))),
    "attempts in long stays": ("encounters", lambda n: visit(n, period={"start": day(9 * n), "end": "2026-11-01"}, reasonCode=[code(ICD, "T14.91XA")])),
    "attempts undated, many encounters": ("conditions", lambda n: cond(n, "82313006", None, SNOMED, **enc(n))),
    "attempts of days to come": ("conditions", lambda n: cond(n, "82313006", f"{2027 + n % 7000}-01-{n % 28 + 1:02d}", SNOMED)),
    "ideation coded on many days": ("conditions", lambda n: cond(n, "R45.851", day(n))),
    "self-harm in words": ("conditions", lambda n: entry("Condition", n, code={"text": "suicid"})),
    "conditions without a code": ("conditions", lambda n: entry("Condition", n)),
    "conditions with codes that differ": ("conditions", lambda n: cond(n, f"A{n:05d}", day(n))),
    "visits": ("encounters", lambda n: visit(n, period={"start": day(n)})),
    "visits of an unknown class": ("encounters", lambda n: entry("Encounter", n, status="finished", period={"start": day(n)})),
    "visits for self-harm": ("encounters", lambda n: visit(n, period={"start": day(n)}, reasonCode=[code(SNOMED, "82313006")])),
    "medicines": ("medications", lambda n: entry("MedicationRequest", n, status="active", intent="order", medicationCodeableConcept={"text": f"sertraline {n}"})),
    "medicines contained": ("medications", lambda n: entry("MedicationRequest", n, status="active", intent="order", contained=[{"resourceType": "Medication", "id": "m", "code": {"text": "sertraline"}}], medicationReference={"reference": "#m"})),
    "medicines by reference": ("medications", lambda n: entry("MedicationRequest", n, status="active", intent="order", medicationReference={"reference": f"Medication/{n}"})),
    "consents": ("consents", lambda n: {"resourceType": "Consent", "id": f"{n}", "status": "active", "provision": {"type": "deny", "securityLabel": [{"code": f"{n}"}]}}),
    "consents that cannot be read": ("consents", lambda n: {"resourceType": "Consent", "id": f"{n}", "status": 1}),
    "units that differ": ("measurements", lambda n: obs(n, "8480-6", {"valueQuantity": {"value": 1, "unit": f"mm[Hg]{n}"}}, day(n))),
    "drinks on many days": ("measurements", lambda n: obs(n, "68519-8", {"valueString": "3 or 4"}, day(n))),
    "results of risk assessments": ("risk-assessments", lambda n: entry("RiskAssessment", n, status="final", code=code(SNOMED, "225337009"), performer={"reference": "Practitioner/1"}, occurrenceDateTime=day(n), prediction=[{"qualitativeRisk": {"text": ("High", "Moderate", "Low", "x")[n % 4]}}])),
    "risk assessments": ("procedures", lambda n: entry("Procedure", n, status="completed", code=code(SNOMED, "225337009"), performedDateTime=day(n))),
}  # fmt: skip


def hook(prefetch: dict) -> bytes:
    context = {"userId": "Practitioner/1", "patientId": "p"}
    parts = {"patient": PATIENT, **{key: as_search(value) for key, value in prefetch.items()}}
    for key in ("conditions", "screening", "questionnaires", "measurements", "medications", "encounters", "procedures"):
        parts.setdefault(key, None)
    whole = {"hook": "patient-view", "hookInstance": "1", "context": context, "prefetch": parts}
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False).encode()


def as_search(value: object) -> object:
    return search(value) if isinstance(value, list) else value


def search(resources: list) -> dict:
    return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": r} for r in resources]}


def filled(make: Callable[[int], bytes], size: int) -> bytes:
    """The body that `make` gives for about as many entries as fit into `size`."""
    few, many = len(make(100)), len(make(2100))
    n = max(1, int((size - few) / max(0.001, (many - few) / 2000)))
    body = make(n)
    while len(body) > size and n > 1:
        n = min(n - 1, n * size // len(body))
        body = make(n)
    return body


def two(first: tuple[str, Entry], second: tuple[str, Entry]) -> Callable[[int], bytes]:
    """Half of one kind, half of another."""
    return lambda n: hook({key: [one(i) for i in range(n // 2)] for key, one in (first, second)})


def deep(levels: int, innermost: object, each: Callable[[object], object]) -> object:
    for _ in range(levels):
        innermost = each(innermost)
    return innermost


def nested(depth: int, beside: bool) -> Callable[[int], bytes]:
    """Bundles in each other, with a long text in the innermost; `beside`: each with an entry that waits behind."""

    def make(n: int) -> bytes:
        inner: dict = search([{"resourceType": "Basic", "text": "x" * n}])
        for _ in range(depth):
            inner = search([inner, {"resourceType": "Basic"}] if beside else [inner])
        return hook({"screening": inner})

    return make


def one(key: str, whole: Callable[[int], dict]) -> Callable[[int], bytes]:
    return lambda n: hook({key: [whole(n)]})


def long_dates(n: int) -> dict:
    """One response: half of its bytes a date, half of them answers."""
    return qr(1, {}, "2026-11-23T00:00:00." + "0" * (60 * n) + "Z") | {
        "item": [{"linkId": PHQ[8], "answer": [{"valueInteger": 1}]}] * n
    }


def long_name(n: int) -> dict:
    """One Observation with a long id and many components that are findings."""
    part = {"code": code(SNOMED, "6471006"), "valueBoolean": True}
    return obs(1, "x", {}, "2026-11-23", component=[part] * n) | {"id": "i" * (90 * n)}


def coded_often(n: int) -> dict:
    """One Observation whose code has many codings, and whose value has as many."""
    many = {"coding": [{"system": LOINC, "code": "68519-8"}] * n}
    return obs(1, "x", {"valueCodeableConcept": {"coding": [{"code": "LA1"}] * n}}) | {"code": many}


def measures() -> list[str]:
    """Every code of a measured fact."""
    from fhir_adapters.codesets.quantities import quantities

    return list(quantities())


WHOLE: dict[str, Callable[[int], bytes]] = {
    "events and risk assessments": two(ENTRIES["attempts in SNOMED CT on many days"], ENTRIES["risk assessments"]),
    "PHQ-9 totals and visits for depression": two(ENTRIES["PHQ-9 totals of many days"], ("encounters", lambda n: visit(n, period={"start": day(n + 200)}, reasonCode=[code(ICD, "F32.9")]))),
    "C-SSRS forms and zeros of item 9": two(("questionnaires", lambda n: qr(n, POSITIVE, day(n + 30))), ("screening", lambda n: obs(n, PHQ[8], {"valueInteger": 0}, day(n), **enc(n)))),
    "C-SSRS negative in the end, events before": two(("conditions", lambda n: cond(n, "82313006", day(n + 5), SNOMED)), ("questionnaires", lambda n: qr(n, NEGATIVE, minute(n), **enc(n)))),
    "Bundles nested 200 deep": nested(200, beside=False),
    "Bundles nested 200 deep, with neighbours": nested(200, beside=True),
    "Bundles nested 20 deep, with neighbours": nested(20, beside=True),
    "Bundles nested 100 deep, with neighbours": nested(100, beside=True),
    "Bundles in a Bundle": lambda n: hook({"screening": search([search([{"resourceType": "Basic"}]) for _ in range(n)])}),
    "a response of many equal answers": one("questionnaires", lambda n: qr(1, {}, day(1)) | {"item": [{"linkId": PHQ[8], "answer": [{"valueInteger": 1}] * n}]}),
    "a response of empty items": one("questionnaires", lambda n: qr(1, {}, day(1)) | {"item": [{}] * n}),
    "a response of empty answers": one("questionnaires", lambda n: qr(1, {}, day(1)) | {"item": [{"linkId": PHQ[8], "answer": [{}] * n}]}),
    "a response of texts": one("questionnaires", lambda n: qr(1, {}, day(1)) | {"item": [{"text": "suicide", "answer": [{"valueString": "no"}]}] * n}),
    "a response of links": one("questionnaires", lambda n: qr(1, {}, day(1)) | {"item": [{"linkId": f"{i:05d}-1"} for i in range(n)]}),
    "an Observation of empty components": one("screening", lambda n: obs(1, "x", {}, day(1), component=[{}] * n)),
    "an Observation of findings": one("screening", lambda n: obs(1, "x", {}, day(1), component=[{"code": code(SNOMED, "6471006"), "valueBoolean": True}] * n)),
    "an Observation of empty codings": one("screening", lambda n: obs(1, "x", {}, day(1)) | {"code": {"coding": [{}] * n}}),
    "an Observation of codings, in code and value": one("measurements", coded_often),
    "an answer of empty codings": one("screening", lambda n: obs(1, PHQ[8], {"valueCodeableConcept": {"coding": [{}] * n}}, day(1))),
    "an answer of displays": one("screening", lambda n: obs(1, PHQ[8], {"valueCodeableConcept": {"coding": [{"display": f"\ufdfa{i}"} for i in range(n)]}}, day(1))),
    "an Observation of answers": one("screening", lambda n: obs(1, "44249-1", {}, day(1), component=[{"code": code(LOINC, PHQ[i % 9]), "valueInteger": i % 4} for i in range(n)])),
    "a response of answers": one("questionnaires", lambda n: qr(1, {}, day(1)) | {"item": [{"linkId": PHQ[i % 9], "answer": [{"valueInteger": i % 4}]} for i in range(n)]}),
    "a response of answers that differ": one("questionnaires", lambda n: qr(1, {}, day(1)) | {"item": [{"linkId": PHQ[8], "answer": [{"valueInteger": i} for i in range(n)]}]}),
    "labels of a resource": one("screening", lambda n: obs(1, PHQ[8], {"valueInteger": 1}, day(1), meta={"security": [{"code": f"{i}"} for i in range(n)]})),
    "those whom an Observation is about": one("screening", lambda n: obs(1, PHQ[8], {"valueInteger": 1}, day(1), focus=[{"reference": f"Patient/{i}"} for i in range(n)])),
    "sources of an Observation": one("screening", lambda n: obs(1, PHQ[8], {"valueInteger": 1}, day(1), derivedFrom=[{"reference": f"Observation/{i}"} for i in range(n)])),
    "actors of a consent": one("consents", lambda n: {"resourceType": "Consent", "status": "active", "provision": {"type": "deny", "actor": [{"reference": {"reference": f"Practitioner/{i}"}} for i in range(n)]}}),
    "contained resources": one("medications", lambda n: entry("MedicationRequest", 1, status="active", intent="order", contained=[{"resourceType": "Medication", "id": f"{i}"} for i in range(n)], medicationReference={"reference": "#m"})),
    "contained patients": one("screening", lambda n: obs(1, PHQ[8], {"valueInteger": 1}, day(1), contained=[{"resourceType": "Patient", "id": f"{i}"} for i in range(n)]) | {"subject": {"reference": "#x"}}),
    "a whole chart in the place of the keys": lambda n: hook({}).replace(b'"prefetch":{', b'"prefetch":{"resourceType":"Bundle","entry":' + json.dumps([{"resource": r} for r in (PATIENT, *(obs(i, PHQ[8], {"valueInteger": 1}, day(i)) for i in range(n)))]).encode() + b","),
    "a panel of many members": one("screening", lambda n: obs(1, "44249-1", {}, day(1), hasMember=[{"reference": f"Observation/{i}"} for i in range(n)])),
    "a condition of many codes": one("conditions", lambda n: cond(1, "x") | {"code": {"coding": [{"system": ICD, "code": f"T{i:06d}"} for i in range(n)]}}),
    "a condition of many systems": one("conditions", lambda n: cond(1, "x") | {"code": {"coding": [{"system": f"http://x.example/{i}", "code": f"{i}"} for i in range(n)]}}),
    "a visit of many reasons": one("encounters", lambda n: visit(1, period={"start": day(1)}, reasonCode=[code(SNOMED, "82313006")] * n)),
    "a consent of many rules": one("consents", lambda n: {"resourceType": "Consent", "status": "active", "provision": {"provision": [{"type": "deny"}] * n}}),
    "a consent of empty rules": one("consents", lambda n: {"resourceType": "Consent", "status": "active", "provision": {"provision": [{}] * n}}),
    "a medicine of many words": one("medications", lambda n: entry("MedicationRequest", 1, status="active", intent="order", medicationCodeableConcept={"text": "insulin " * n})),
    "a medicine of many codings": one("medications", lambda n: entry("MedicationRequest", 1, status="active", intent="order", medicationCodeableConcept={"coding": [{"system": "http://www.whocc.no/atc", "code": f"N{i}"} for i in range(n)]})),
    "a long date and many answers": one("questionnaires", long_dates),
    "a long id and many findings": one("screening", long_name),
    "a long date": one("screening", lambda n: obs(1, PHQ[8], {"valueInteger": 1}, "2027-11-23T00:00:00." + "0" * n + "Z")),
    "a long unit": one("measurements", lambda n: obs(1, "93832-4", {"valueQuantity": {"value": 1, "unit": "m." * n}}, day(1))),
    "units of every measure": lambda n: hook({"measurements": [obs(i, what, {"valueQuantity": {"value": 1, "code": f"[lb_av]2.m9/m2/N99/Pa9.A{n % 90}", "unit": f"((m)).mmol9/s.h{n % 90}"}}, day(1)) for i, what in enumerate(measures())]}),
    "a long text as condition": one("conditions", lambda n: entry("Condition", 1, code={"text": "self-" * n})),
    "a long link": one("questionnaires", lambda n: qr(1, {"1" * n: {"valueInteger": 1}}, day(1))),
    "a long number": lambda n: hook({"screening": [obs(1, PHQ[8], {"valueInteger": "NUMBER"}, day(1))]}).replace(b'"NUMBER"', b"9" * n),
    "a long number as text": one("screening", lambda n: obs(1, PHQ[8], {"valueString": "9" * n}, day(1))),
    "a long number beside a modifier": lambda n: hook({"screening": [obs(1, PHQ[8], {"modifierExtension": 7}, day(1))]}).replace(b":7", b":" + b"9" * n),
    "a long number of entries": lambda n: hook({"screening": search([]) | {"total": "NUMBER"}}).replace(b'"NUMBER"', b"9" * n),
    "lists in lists": lambda n: hook({"screening": [{"resourceType": "Observation", "x": "LISTS"}]}).replace(b'"LISTS"', b"[" * n + b"]" * n),
    "a search of many parameters": lambda n: hook({"screening": search([]) | {"link": [{"relation": "self", "url": "x?" + "a=1&" * n}]}}),
    "nulls": one("screening", lambda n: obs(1, PHQ[8], {"valueInteger": 1}, extension=[None] * n) | {"status": None}),
    "identifiers of the patient": lambda n: hook({"patient": PATIENT | {"identifier": [{"system": "s", "value": f"{i}"} for i in range(n)]}, "conditions": [entry("Condition", 1) | {"subject": {"reference": "Patient?identifier=s|9"}}]}),
    "errors of a search": one("screening", lambda n: {"resourceType": "OperationOutcome", "issue": [{}] * n}),
    "keys of a prefetch": lambda n: hook({f"{i}": None for i in range(n)}),
}  # fmt: skip

SHAPES: dict[str, Callable[[int], bytes]] = {
    name: (lambda n, key=key, make=make: hook({key: [make(i) for i in range(n)]})) for name, (key, make) in ENTRIES.items()
} | WHOLE  # fmt: skip


def answered(body: bytes) -> tuple[float, str]:
    """Seconds of processor time for one call without server, store and models, and what came of it."""
    import msgspec

    from cds_service.cards.from_notices import cards_for
    from cds_service.hooks.parsing import decode
    from explanations.judgement.assessment import Engine, assess
    from explanations.words.notices.notice import NoticeSettings
    from fhir_adapters.access.chart_request import ChartRequest
    from fhir_adapters.access.prefetch import Access, gather
    from fhir_adapters.reading.extraction import patient_record
    from fhir_adapters.settings import ReadSettings

    reading = ReadSettings()
    started = time.process_time()
    try:
        sent = decode(body)
        gathered = gather(ChartRequest(patient_id="p", as_of=AS_OF), sent.prefetch or {}, Access(), settings=reading)
        record = patient_record(gathered, settings=reading, as_of=AS_OF)
        assessment = assess(record, Engine())
        cards = cards_for(assessment, NoticeSettings(zone=reading.zone), new_id=lambda: "1")
        size = len(msgspec.json.encode(cards))
        said = f"{len(assessment.findings)} findings, {size} bytes"
    except Exception as error:  # noqa: BLE001  # what a call ends in is what is asked
        said = type(error).__name__
    return time.process_time() - started, said


NEVER = (float("inf"), float("nan"), f"more than {MOST_SECONDS} s")


def measured(body: bytes) -> tuple[float, float, str]:
    """Seconds, megabytes beyond those before, and what came of a call in a process of its own."""
    ours, theirs = multiprocessing.Pipe()

    def child() -> None:
        gc.collect()  # has the process take its own copy of the memory that it shares after a fork
        gc.freeze()  # this, and when garbage is looked for, as in a worker (`cds_service.serving.server`)
        gc.set_threshold(20_000)
        before = limits.getrusage(limits.RUSAGE_SELF).ru_maxrss
        seconds, said = answered(body)
        theirs.send((seconds, (limits.getrusage(limits.RUSAGE_SELF).ru_maxrss - before) / 1024, said))

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    found = ours.recv() if ours.poll(MOST_SECONDS) else NEVER
    process.kill()
    process.join()
    return found


def main(words: list[str]) -> None:
    from fhir_adapters.codesets.units import registry

    registry()  # as the app does at its start
    answered(hook({"screening": [obs(1, PHQ[8], {"valueInteger": 1}, day(1))]}))  # loads and fills what is kept
    print(f"{'shape':48} {'quarter':>8} {'whole':>8} {'factor':>6} {'MB':>6}")
    for name, make in SHAPES.items():
        if words and not any(word in name for word in words):
            continue
        quarter, _, _ = measured(filled(make, MOST_BYTES // 4))
        whole, megabytes, said = measured(filled(make, MOST_BYTES)) if quarter < MOST_SECONDS else NEVER
        factor = whole / quarter
        mark = " <<<" if whole > 2 or (factor > 6 and whole > 0.5) else ""
        print(f"{name:48} {quarter:8.2f} {whole:8.2f} {factor:6.1f} {megabytes:6.0f}  {said}{mark}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
