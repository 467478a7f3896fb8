"""Safety plans and appointments on file, for the discharge service, recognised by code or by words.

No verified code for a safety plan was found, so a plan is recognised by English and Spanish words in its category,
title, description or a begun activity (decision 0013; the words are not verified against any authority). The patterns
are an allow-list over whole texts: any other sentence may deny the plan, postpone it or mean another kind, so it never
counts as a step taken. The words are not kept. Notes and documents are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from fhir_adapters.codesets.terminology import SNOMED, canonical
from fhir_adapters.facts import Booking, Purpose, SafetyPlan, When
from fhir_adapters.reading.lists.chart_resources import ChartResources
from fhir_adapters.reading.questionnaires.values import folded
from fhir_adapters.resources import r4
from fhir_adapters.resources.dates import first_when, when

# Any other status is not a plan that a patient can go home with.
PLAN_STATUSES = ("active", "completed", "on-hold")
# CarePlan intents that are mere suggestions.
NOT_INTENDED = ("proposal", "option")
BEGUN = ("in-progress", "completed")

# A suicide safety plan, and nothing else in the text but that it was made, with whom, and its date.
MADE = r"(?:completed|reviewed|updated|made|done|created|completado|realizado|revisado|actualizado|elaborado|hecho)"
PLANNED = r"plan(?:ning(?: intervention)?)?"
PLAN = re.compile(
    rf"(?:(?:my|personal|mental health|psychiatric|suicide|suicidal|suicidal crisis) )?"
    rf"(?:safety|crisis|safety and crisis|crisis and safety|crisis response|suicide (?:prevention|safety)"
    rf"|suicide prevention safety) {PLANNED}(?: stanley brown)?(?P<suffix>.*)"
    rf"|stanley brown(?: safety {PLANNED})?(?P<stanley>.*)"
    r"|(?:mi )?plan (?:personal )?de (?:seguridad|crisis|(?:seguridad para la )?prevencion (?:del|de) suicidio)"
    r"(?: (?:personal|de suicidio|stanley brown))?(?P<sufijo>.*)"
)
PLAN_SUFFIX = re.compile(
    rf"(?: {MADE}(?: (?:and|y) {MADE})?)?(?: with (?:the )?patient| con (?:el|la) paciente)?"
    r"(?:(?: on| el)? (?P<date>\d{1,4} \d{1,2} \d{1,4}))?"
)
# What else the title or category of such a plan may say: nothing about its purpose.
NO_KIND = re.compile(
    r"(?:care |treatment )?plan(?: of (?:care|treatment))?|assess plan|assessment and plan(?: of treatment)?"
    r"|(?:mental health|behaviou?ral health|psychiatr(?:ic|y)|depression)(?: care| treatment)?(?: plan)?"
    r"|suicide prevention|plan de (?:cuidados|atencion|tratamiento)|salud mental"
)
NO_KIND_CODES = ("assess-plan",)
MENTIONED = re.compile(
    r"\b(?:safety|crisis|prevention)(?: \w+){0,3} plan(?:s|ning)?\b|\bstanley brown\b"
    r"|\bplan(?:s|es)?(?: \w+){0,3} (?:safety|crisis|seguridad|suicidio)\b"
)

# Mental health care, whatever else it is.
MENTAL_HEALTH = re.compile(
    r"\b(?:mental health|behaviou?ral health|psychiatr\w*|psycholog\w*|psychotherap\w*|psych|suicid\w*|mh|bh"
    r"|partial hospitali[sz]ation|cmht|camhs|salud mental|psiquiatr\w*|psicolog\w*|psicoterap\w*)\b"
)
# Denied, cancelled, unsettled, or not a visit of the patient for care: in any of an appointment's texts.
NO_VISIT = re.compile(
    r"\b(?:no|not|non|none|never|without|cannot|unable|declin\w*|refus\w*|cancel\w*|denie\w*|deny\w*|\w+n t"
    r"|tbd|pending|if needed|prn|instead|sin|nunca|ningun\w*|rechaz\w*|nieg\w*|anulad\w*|suspend\w*|pendiente"
    r"|research|study|trial|training|staff|student\w*|supervision|teaching|lecture|seminar|course|workshop|conference"
    r"|pharmac\w*|refill|investigacion|estudio|ensayo|capacitacion|formacion|personal|farmacia)\b"
)
# A follow-up by its words; "IOP" means intensive outpatient programme, and also intraocular pressure.
GENERAL_PRACTICE = re.compile(
    r"\b(?:general (?:medical )?practi(?:ce|tioner)|family (?:medicine|practice|doctor|physician)|primary care|pcp|gp"
    r"|medicina (?:general|familiar)|medico de (?:cabecera|familia)|atencion primaria)\b"
)
FOLLOW_UP = re.compile(
    r"\b(?:follow(?:ing)? ?up|f u|post discharge|crisis|counsell?ing|iop|intensive outpatient|seguimiento|consejeria"
    r"|post ?alta)\b"
)
NAMED_DOCTOR = re.compile(r"\b(?:dr|dra|doctor|doctora) \w+\b")
NO_SERVICE = re.compile(
    r"\d+|a|the|with|for|of|in|after|from|by|and|visits?|appointment|appt|hospital|hospitalization|discharge|ed|er"
    r"|emergency|clinic|team|service|program|programme|group|session|intake|telehealth|video|phone|telephone|call"
    r"|person|office|outpatient|patient|specialty|previous|check|intervention|line|days?|weeks?|months?"
    r"|de|del|la|el|con|tras|visita|consulta|cita|control|llamada|alta|hospitalaria|paciente"
)
# Types whose display is a person's name; any other display may name a service.
PEOPLE = ("Patient", "RelatedPerson", "Practitioner", "PractitionerRole", "Person")
SERVICE_IN_NAME = re.compile(
    r"olog(?:y|ist|ia|o|a)\b|opa?edic|iatrics|surge|surgi|cirug|therap|dietit|dental|dentist|endoscop|imaging"
    r"|\b(?:clinic|unit|ward|department|service|cent(?:er|re)|nurse|ent|servicio|unidad|consultas)\b"
)

# v2-0276: kinds of visits; none names a service.
VISIT_KINDS = tuple(map(canonical, ("http://terminology.hl7.org/CodeSystem/v2-0276", "http://hl7.org/fhir/v2/0276")))
FOLLOW_UP_TYPE = {(system, "FOLLOWUP") for system in VISIT_KINDS}
# SNOMED CT practice settings: psychiatry, psychotherapy; general and family practice (docs/clinical-sources.md S9).
MENTAL_HEALTH_CODES = {(SNOMED, "394587001"), (SNOMED, "394913002")}
GENERAL_CODES = {(SNOMED, "394814009"), (SNOMED, "419772000")}

PUNCTUATION = re.compile(r"""[\s.,:;()/'"’‘“”&–—-]+""")
NO_WORD = re.compile(r"[\W_]+")


def words_of(text: str) -> str:
    """The words of a text, folded, with one space between."""
    return NO_WORD.sub(" ", folded(text)).strip()


def safety_plans(resources: ChartResources) -> tuple[SafetyPlan, ...]:
    """Every plan that names a safety or crisis plan and is meant to be carried out."""
    plans = []
    for resource in resources.of("CarePlan"):
        plan: r4.CarePlan = resource.content
        if plan.status not in PLAN_STATUSES or plan.intent in NOT_INTENDED:
            continue
        period = plan.period or r4.Period()
        made = first_when(resources.zone, resources.today, plan.created, period.start)
        texts = _plan_texts(plan)
        is_plan = any(_is_safety_plan(text, made) for text in texts)
        if is_plan or any(MENTIONED.search(words_of(text)) for text in texts):
            plans.append(
                SafetyPlan(
                    reference=resource.reference,
                    when=made,
                    begins=when(period.start, resources.zone, resources.today),
                    ends=when(period.end, resources.zone, resources.today),
                    on_hold=plan.status == "on-hold",
                    understood=is_plan and _nothing_else(plan, made),
                )
            )
    return tuple(plans)


def _plan_texts(plan: r4.CarePlan) -> list[str]:
    begun = (a.detail for a in plan.activity if a.detail and a.detail.status in BEGUN and not a.detail.do_not_perform)
    concepts = [*plan.category, *(detail.code for detail in begun if detail.code)]
    return [text for text in (plan.title, plan.description, *_texts(concepts)) if text]


def _is_safety_plan(text: str, made: When | None) -> bool:
    """Whether a whole text says that a safety plan exists, and nothing more."""
    # A question mark, an empty box or a trailing colon is kept: it can mean "not yet".
    plain = PUNCTUATION.sub(" ", folded(text).strip().rstrip(".)\"'’”")).strip()
    plain = f"{plain} ?" if folded(text).rstrip().endswith((":", "-", "–", "—", "/")) else plain
    match = PLAN.fullmatch(plain)
    suffix = match and PLAN_SUFFIX.fullmatch(next(rest for rest in match.groups() if rest is not None))
    return suffix is not None and (suffix["date"] is None or _is_date_of(suffix["date"], made))


def _is_date_of(numbers: str, made: When | None) -> bool:
    """Whether three numbers, in any order, are the day the plan was made."""
    if made is None or made.partial:
        return False
    day = made.day
    return sorted(map(int, numbers.split())) in (
        sorted((year, day.month, day.day)) for year in (day.year, day.year % 100)
    )


def _nothing_else(plan: r4.CarePlan, made: When | None) -> bool:
    """Whether no other words of a plan mean another kind of plan, one not made, or are not understood."""
    named = [plan.title, plan.description, *_texts(plan.category)]
    done = [text for a in plan.activity if a.detail and a.detail.code for text in _texts([a.detail.code])]
    left_undone = any(
        MENTIONED.search(words_of(text))
        for a in plan.activity
        if a.detail and a.detail.code and (a.detail.status not in BEGUN or a.detail.do_not_perform)
        for text in _texts([a.detail.code])
    )
    return (
        not left_undone
        and all(_is_safety_plan(t, made) or NO_KIND.fullmatch(words_of(t)) for t in named if t)
        and all(_is_safety_plan(t, made) or not MENTIONED.search(words_of(t)) for t in done)
        and all(
            concept.text or c.display or c.code in NO_KIND_CODES for concept in plan.category for c in concept.coding
        )
    )


def bookings(resources: ChartResources) -> tuple[Booking, ...]:
    """Booked or pending appointments with their purpose."""
    return tuple(
        Booking(
            reference=resource.reference,
            when=when(appointment.start, resources.zone, resources.today),
            purpose=_purpose(appointment),
            confirmed=appointment.status == "booked",
            declined=any(
                p.status == "declined"
                for p in appointment.participant
                if p.actor and resources.owner.is_named_by(p.actor)
            ),
        )
        for resource in resources.of("Appointment")
        for appointment in [resource.content]
        if appointment.status in ("booked", "pending")
    )


def _purpose(appointment: r4.Appointment) -> Purpose:
    """Mental health by word or code; or a follow-up that names no service and no reason, or only general practice."""
    concepts = [*appointment.service_category, *appointment.service_type, *appointment.specialty]
    concepts += [*appointment.reason_code, *([appointment.appointment_type] if appointment.appointment_type else [])]
    reasons = [r.display for r in appointment.reason_reference]
    own = [words_of(t) for t in (appointment.description, *_texts(concepts), *reasons) if t]
    comment = [words_of(appointment.comment)] if appointment.comment else []
    if any(NO_VISIT.search(text) for text in (*own, *comment)):
        return Purpose.OTHER
    codes = [(canonical(c.system or ""), c) for concept in concepts for c in concept.coding if c.code]
    known = {(system, c.code) for system, c in codes}
    if known & MENTAL_HEALTH_CODES or any(MENTAL_HEALTH.search(text) for text in own):
        return Purpose.FOLLOW_UP
    unnamed = any(
        not c.display and system not in VISIT_KINDS and (system, c.code) not in GENERAL_CODES for system, c in codes
    )
    if unnamed or not all(reasons) or not all(_names_no_service(text) for text in (*own, *comment)):
        return Purpose.OTHER
    if any(_place_or_service(p.actor) for p in appointment.participant if p.actor):
        return Purpose.OTHER
    is_follow_up = known & FOLLOW_UP_TYPE or any(FOLLOW_UP.search(text) for text in own)
    return Purpose.FOLLOW_UP if is_follow_up else Purpose.OTHER


def _names_no_service(text: str) -> bool:
    """Whether the words name only a visit and a follow-up, or general practice."""
    for words in (NAMED_DOCTOR, GENERAL_PRACTICE, FOLLOW_UP):
        text = words.sub(" ", text)
    return all(NO_SERVICE.fullmatch(word) for word in text.split())


def _place_or_service(actor: r4.Reference) -> bool:
    """Whether a participant's display names a place or service that is neither general nor for mental health."""
    text = words_of(actor.display or "")
    if not text or _names_no_service(text) or MENTAL_HEALTH.search(text):
        return False
    return actor.kind not in PEOPLE or bool(SERVICE_IN_NAME.search(text))


def _texts(concepts: Iterable[r4.CodeableConcept]) -> Iterator[str]:
    return (text for concept in concepts for text in (concept.text, *(c.display for c in concept.coding)) if text)
