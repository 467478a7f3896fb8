"""Safety plans and appointments, for the discharge service: which are on file, known by code or by words.

No verified code for a safety plan was found, so a plan is known by words, English and Spanish, in its category, title,
description or an activity that was begun (decision 0013; the words are not verified against any authority). Words are
looked at and never kept. A word that is denied, or that belongs to another kind of plan or service, does not count:
what is not understood must not stand for a step that was taken. Notes and documents are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from fhir_adapters import r4
from fhir_adapters.belonging import Owner
from fhir_adapters.chart import Chart
from fhir_adapters.dates import first_when, when
from fhir_adapters.facts import Booking, Purpose, SafetyPlan
from fhir_adapters.terminology import SNOMED, canonical

# Draft, revoked, entered-in-error and what has no status that is known are no plan that a patient can go home with.
PLAN_STATUSES = ("active", "completed", "on-hold")
# Intents of a CarePlan that are a suggestion of somebody's.
NOT_INTENDED = ("proposal", "option")
BEGUN = ("in-progress", "completed")

PLAN_WORDS = re.compile(
    r"\b(?:safety|crisis)[ -]+(?:\w+[ -]+)?plan(?:s|ning)?\b|\bstanley[ -]+brown\b"
    r"|\bplan(?:es)? de (?:seguridad|crisis|prevenci[oó]n del suicidio)\b|\bsuicide (?:safety|prevention) plan\b",
    re.IGNORECASE,
)
# Within a few words of the plan: it was not made, or it is a plan against something else.
DENIED = re.compile(
    r"\b(?:no|not|none|without|never|declin\w+|refus\w+|needed|need|needs|required|requires|due|pending|incomplete"
    r"|sin|rechaz\w+|pendiente|falta)\b",
    re.IGNORECASE,
)
OTHER_PLAN = re.compile(
    r"\b(?:falls?|fire|home|household|food|water|bath\w*|swim\w*|driv\w+|travel|medication|medicine|drug|allerg\w*"
    r"|asthma\w*|seizures?|epilep\w*|sickle|adrenal|addison\w*|hypertens\w*|diabet\w*|glyc\w*|infection|radiation|oxygen"
    r"|wound|child|infant|newborn|sleep|school|internet|workplace|financial|ca[ií]das?|incendios?|hogar|alimentari\w+"
    r"|medicamentos?|asma|convulsi\w+|infantil)\b",
    re.IGNORECASE,
)
WORDS_AROUND = 3
SENTENCE, CLAUSE = re.compile(r"[.;]"), re.compile(r"[.;:,]")

MENTAL_HEALTH = re.compile(
    r"\b(?:mental[ -]health|behaviou?ral[ -]health|psychiatr\w*|psycholog\w*|psychotherap\w*|suicid\w*"
    r"|salud mental|psiqui[aá]tr\w*|psic[oó]log\w*|psicoterap\w*)",
    re.IGNORECASE,
)
FOLLOW_UP = re.compile(
    r"\b(?:follow(?:ing)?[ -]?up|crisis|counsel+ing|seguimiento|consejer[ií]a|control post[ -]?alta)\b", re.IGNORECASE
)
# A follow-up of one of these is not a follow-up of what was answered.
OTHER_SERVICE = re.compile(
    r"\b(?:orthop\w*|ortop\w*|cardio\w*|dermat\w*|ophthalm\w*|oftalm\w*|optomet\w*|eye|dent\w+|oral|radiolog\w*|imaging"
    r"|x-?ray|mri|ultrasound|ecograf\w*|laborator\w*|blood|vaccin\w*|immuni[sz]\w*|vacun\w*|physio\w*|physical therapy"
    r"|fisio\w*|occupational|surg\w*|post-?op\w*|cirug\w*|oncolog\w*|gyn(?:a?e)?c\w*|ginec\w*|obstet\w*|antenatal"
    r"|prenatal|postnatal|podiat\w*|urolog\w*|neurolog\w*|nephro\w*|nefro\w*|renal|dialysis|di[aá]lisis|pulmon\w*"
    r"|respirator\w*|neumol\w*|gastro\w*|endocrin\w*|diabet\w*|rheumat\w*|reumat\w*|hematol\w*|haematol\w*|allerg\w*"
    r"|alerg\w*|audiol\w*|hearing|wound|fracture|genetic\w*|nutrition\w*|nutrici\w*|diet\w*|lactation|tobacco|smoking"
    r"|contracept\w*|financial|sickle|hypertens\w*|adrenal|pain)\b",
    re.IGNORECASE,
)
# v2-0276: a follow-up visit. SNOMED CT practice settings: psychiatry, psychotherapy (docs/clinical-sources.md S9).
FOLLOW_UP_TYPE = {
    ("http://terminology.hl7.org/CodeSystem/v2-0276", "FOLLOWUP"),
    ("http://hl7.org/fhir/v2/0276", "FOLLOWUP"),
}
MENTAL_HEALTH_CODES = {(SNOMED, "394587001"), (SNOMED, "394913002")}


def safety_plans(chart: Chart) -> tuple[SafetyPlan, ...]:
    """Every plan that is one by its words and that somebody meant to be carried out."""
    return tuple(
        SafetyPlan(
            reference=resource.reference,
            when=first_when(chart.zone, chart.today, plan.created, (plan.period or r4.Period()).start),
            in_force=plan.status != "on-hold" and not _ended(plan, chart),
        )
        for resource in chart.of("CarePlan")
        for plan in [resource.content]
        if plan.status in PLAN_STATUSES
        and plan.intent not in NOT_INTENDED
        and any(_names_safety_plan(text) for text in _plan_texts(plan))
    )


def _ended(plan: r4.CarePlan, chart: Chart) -> bool:
    end = when(plan.period.end if plan.period else None, chart.zone, chart.today)
    return end is not None and end.day < chart.today


def _plan_texts(plan: r4.CarePlan) -> list[str]:
    begun = (a.detail for a in plan.activity if a.detail and a.detail.status in BEGUN and not a.detail.do_not_perform)
    concepts = [*plan.category, *(detail.code for detail in begun if detail.code)]
    return [text for text in (plan.title, plan.description, *_texts(concepts)) if text]


def _names_safety_plan(text: str) -> bool:
    """Whether a text names a safety or crisis plan, and neither denies it nor means a plan of another kind."""
    for found in PLAN_WORDS.finditer(text):
        before = " ".join(CLAUSE.split(text[: found.start()])[-1].split()[-WORDS_AROUND:])
        after = " ".join(SENTENCE.split(text[found.end() :])[0].split()[:WORDS_AROUND])
        denied = DENIED.search(f"{before} {found.group()} {after}")
        if not denied and not OTHER_PLAN.search(f"{before} {found.group()} {CLAUSE.split(after)[0]}"):
            return True
    return False


def bookings(chart: Chart, owner: Owner) -> tuple[Booking, ...]:
    """Appointments that are booked or pending, with what they are for; `owner` is the patient who takes part."""
    return tuple(
        Booking(
            reference=resource.reference,
            when=when(appointment.start, chart.zone, chart.today),
            purpose=_purpose(appointment),
            confirmed=appointment.status == "booked",
            declined=any(
                p.status == "declined" for p in appointment.participant if p.actor and owner.is_named_by(p.actor)
            ),
        )
        for resource in chart.of("Appointment")
        for appointment in [resource.content]
        if appointment.status in ("booked", "pending")
    )


def _purpose(appointment: r4.Appointment) -> Purpose:
    """Mental health by word or code; or a follow-up that names no other service."""
    concepts = [*appointment.service_category, *appointment.service_type, *appointment.specialty]
    concepts += [*appointment.reason_code, *([appointment.appointment_type] if appointment.appointment_type else [])]
    codes = {(canonical(c.system or ""), c.code) for concept in concepts for c in concept.coding}
    words = " / ".join(text for text in (appointment.description, *_texts(concepts)) if text)
    if codes & MENTAL_HEALTH_CODES or MENTAL_HEALTH.search(words):
        return Purpose.FOLLOW_UP
    follow_up = bool(codes & FOLLOW_UP_TYPE or FOLLOW_UP.search(words))
    return Purpose.FOLLOW_UP if follow_up and not OTHER_SERVICE.search(words) else Purpose.OTHER


def _texts(concepts: Iterable[r4.CodeableConcept]) -> list[str | None]:
    return [text for concept in concepts for text in (concept.text, *(c.display for c in concept.coding))]
