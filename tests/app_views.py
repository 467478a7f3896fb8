"""Pages of the SMART app from made charts, without an EHR and without OAuth: the real templates, headers and words.

`look(name)` is a reading and a session; `flask_app()` serves each of them at `/smart/look/<page>/<name>`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, timedelta
from functools import cache, partial
from types import SimpleNamespace
from zoneinfo import ZoneInfo

from builders import (
    AS_OF,
    HIGH,
    LOINC,
    LOW,
    MAPS,
    appointment,
    bundle,
    care_plan,
    codeable,
    given,
    moment,
    observation,
    patient,
    read,
    resource,
)
from flask import Flask, Response
from werkzeug.serving import make_server

from cds_service.serving.engine import load_engine
from explanations.judgement.control import SPEAKS, ModelUse, Permission
from explanations.judgement.escalation import Done, Escalation, EscalationState
from explanations.judgement.judge import assess_shown
from explanations.judgement.proposals import DraftKind
from explanations.judgement.regions import DEFAULT_REGION, REGIONS, Region
from explanations.words.interpreter import interpreter_words
from explanations.words.language import Language
from explanations.words.notices.drafts import draft_label
from explanations.words.notices.notice import NoticeSettings
from explanations.words.notices.notice_list import notices
from explanations.words.notices.switched_off import marked
from explanations.words.pages.learning import MeasuredHere, measured_words
from explanations.words.pages.note import note_of, total_words
from explanations.words.patient.asking import how_to_ask
from explanations.words.patient.page import PatientFacts
from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.facts import Consent, Unknown
from fhir_adapters.gaps import Cause, Gap
from fhir_adapters.instruments import Instrument
from fhir_adapters.reading.extraction import patient_record
from fhir_adapters.reading.lists.chart_resources import STEP_TYPES
from fhir_adapters.resources.identity import Identity
from fhir_adapters.settings import ReadSettings
from fhir_adapters.writing.questionnaires import FormAnswers
from models.rules.findings import Topic
from models.scoring.risk import BandThresholds, NotScoredReason
from smart_launch.chart import routes as app_pages
from smart_launch.chart.banner import patient_banner
from smart_launch.chart.learning import Learning
from smart_launch.chart.patient import PatientDetails
from smart_launch.chart.reading import Reading
from smart_launch.chart.summary import Summary, summary_of
from smart_launch.errors import SmartError
from smart_launch.forms import form_routes as form_pages
from smart_launch.forms import task_routes as task_pages
from smart_launch.forms.answers import answer_fields, field_name, form_named, read_answers
from smart_launch.forms.confirmation import outcome_page
from smart_launch.forms.outcome import SubmissionResult
from smart_launch.forms.result import WrittenResult
from smart_launch.forms.safety import safety_answer
from smart_launch.forms.tasks import DraftRequest
from smart_launch.launch import begin as launch_routes
from smart_launch.launch.guard import OpenLaunch, render
from smart_launch.oauth.scopes import default_scopes
from smart_launch.pages.blueprint import register
from smart_launch.pages.error_words import WORDS
from smart_launch.pages.language import app_language
from smart_launch.pages.patient_page import patient_view
from smart_launch.pages.responses import error_page, page
from smart_launch.session.sessions import LaunchContext, Session, User
from smart_launch.settings import AppSettings, AppSite, Registration

ENGINE = load_engine()
ENGLISH = app_language()
ZONE = ZoneInfo("America/New_York")
MARGUERITE = Identity(name="Okafor, Marguerite", birth_date=date(1965, 3, 4), gender="female", identifier="MRN 0044471")
SCOPES = default_scopes(ehr_launch=True, version_2=True, consents=True, write_back=True, online=True)
COURSE = (
    "PHQ-9, 378 days ago: items 1-8 = 2, item 9 = 0, total = 16",
    "PHQ-9, 287 days ago: items 1-7 = 2, item 8 = 0, item 9 = 0, total = 14",
    "PHQ-9, 224 days ago: items 1-5 = 1, item 9 = 0",
    "PHQ-9, 175 days ago: items 1-8 = 1, item 9 = 0, total = 8",
    "Visit for depression, 287 days ago",
    "Visit for depression, 120 days ago",
    "Condition F32.1, 380 days ago, problem list",
    "Condition 193462001, 90 days ago, problem list",
    "Medicine lisinopril 10 mg",
)
PLAIN = (
    "Condition 193462001, 90 days ago, problem list",
    "Condition I10, 300 days ago, problem list",
    "Visit for depression, 500 days ago",
)
NO_ANSWER = Gap(cause=Cause.TOO_LATE)


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a page is made from. unknown: parts that were not read. open_for: seconds since the launch.

    silent: the models are, at this site. off: topics that it has switched off. escalation: who has been told.
    """

    lines: tuple[str, ...] = ()
    more: tuple[dict, ...] = ()
    age: int | None = 61
    deceased: bool = False
    consent: Consent = Consent.ALLOWED
    unknown: tuple[str, ...] = ()
    thresholds: BandThresholds = HIGH
    figures: bool = False
    who: Identity = MARGUERITE
    topic: str | None = None
    scopes: tuple[str, ...] = SCOPES
    context: dict = field(default_factory=dict)
    contact: str | None = None
    open_for: int = 0
    silent: bool = False
    off: tuple[Topic, ...] = ()
    escalation: Escalation | None = None


def sertraline(days: int, dose: int) -> dict:
    when = AS_OF.date().toordinal() - days
    return resource(
        "MedicationRequest",
        status="active",
        intent="order",
        authoredOn=date.fromordinal(when).isoformat(),
        medicationCodeableConcept={
            "text": f"sertraline {dose} mg tablet",
            **codeable("http://www.nlm.nih.gov/research/umls/rxnorm", "36437"),
        },
    )


ACUTE = (*COURSE, "C-SSRS, today: question 2 = yes, question 4 = yes, question 6 = no")
ASKED = (*COURSE, "PHQ-9, 6 days ago: items 1-6 = 2, item 7 = 1, item 8 = 0, item 9 = 1, total = 14")
TOLD = Escalation(
    state=EscalationState.TOLD, id="e-1", contact="Crisis team, night desk", at=AS_OF - timedelta(minutes=9)
)
KNOWN = replace(TOLD, state=EscalationState.ACKNOWLEDGED, by="Dr Robin Lindqvist", done=(Done.ASSESSMENT,))
LONG_NAME = "Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh, Maximiliana Constantia Aurelia"
LOOKS = {
    "ask": Look(
        lines=ASKED,
        more=(sertraline(280, 50), sertraline(20, 100)),
        topic="positive-safety-answer",
    ),
    "acute": Look(
        lines=ACUTE,
        contact="On-call psychiatry: ext. 4410",
        thresholds=LOW,
    ),
    "told": Look(lines=ACUTE, contact="On-call psychiatry: ext. 4410", escalation=TOLD),
    "overdue": Look(lines=ACUTE, escalation=replace(TOLD, at=AS_OF - timedelta(days=1), overdue=True)),
    "acknowledged": Look(lines=ACUTE, escalation=KNOWN),
    "all-done": Look(lines=ACUTE, escalation=replace(KNOWN, by="", done=tuple(Done))),
    "waiting": Look(lines=ACUTE, escalation=replace(TOLD, state=EscalationState.WAITING)),
    "nobody-on-duty": Look(lines=ACUTE, escalation=replace(TOLD, state=EscalationState.NOBODY_ON_DUTY, contact=None)),
    "not-recorded": Look(lines=ACUTE, escalation=Escalation(state=EscalationState.NOT_RECORDED)),
    "acute-off": Look(
        lines=ACUTE, off=(Topic.ACUTE_SAFETY,), escalation=Escalation(state=EscalationState.SWITCHED_OFF)
    ),
    "told-before": Look(lines=PLAIN[:2], escalation=TOLD),
    "told-opted-out": Look(lines=ACUTE, consent=Consent.OPTED_OUT, escalation=TOLD),
    "recent": Look(
        lines=(*COURSE, "Condition T14.91XA, 41 days ago"),
        more=(
            *(
                observation(LOINC, "70274-6", moment(when), {"valueInteger": total})
                for when, total in (("280 days ago", 15), ("41 days ago", 11))
            ),
            sertraline(280, 50) | {
                "status": "stopped", "dispenseRequest": {"validityPeriod": {"end": moment("190 days ago")}}
            },
            resource("MedicationRequest", status="completed", intent="order", authoredOn=moment("150 days ago"),
                     medicationCodeableConcept={"text": "mirtazapine 15 mg"}),
        ),
    ),
    "done-since": Look(
        lines=(*PLAIN, "Condition T14.91XA, 41 days ago", "C-SSRS, 5 days ago: questions 1-2 = no, question 6 = no"),
        more=(*given("Risk assessment, 3 days ago"), care_plan("3 days ago"), appointment("in 4 days")),
    ),
    "steps-unread": Look(
        lines=("PHQ-9, today: items 1-8 = 3, item 9 = 3",), more=(care_plan("today"),), unknown=("appointments",)
    ),
    "follow-up": Look(lines=(*PLAIN[:2], "PHQ-9, 56 days ago: items 1-8 = 2, item 9 = 0, total = 16")),
    "prompt": Look(lines=(*PLAIN, "Medicine sertraline"), thresholds=LOW),
    "figures": Look(lines=PLAIN, thresholds=LOW, figures=True),
    "nothing": Look(lines=PLAIN[:2]),
    "bare": Look(),
    "long-open": Look(open_for=8 * 3600 - 1000),
    "history": Look(lines=(*PLAIN[:2], "Condition T14.91XA, 400 days ago", "PHQ-9, 200 days ago: total = 25")),
    "silent": Look(
        lines=("Condition T14.91XA, 41 days ago", *PLAIN), thresholds=LOW, silent=True, off=(Topic.RECENT_SAFETY,)
    ),
    "answered": Look(lines=("PHQ-9, 6 days ago: items 1-8 = 0, item 9 = 0, total = 0", *PLAIN)),
    "not-assessed": Look(
        lines=PLAIN, unknown=("questionnaires", "screening")
    ),
    "partial": Look(lines=ASKED, unknown=("medications",)),
    "rights": Look(lines=ASKED, scopes=tuple(s for s in SCOPES if "Task" not in s and "MedicationRequest" not in s)),
    "anomaly": Look(lines=(*PLAIN, "PHQ-9, 10 days ago: items 1-8 = 2, item 9 = 0, total = 11")),
    "opted-out": Look(lines=ASKED, consent=Consent.OPTED_OUT),
    "denied": Look(lines=ASKED, consent=Consent.DENIED),
    "deceased": Look(lines=(*PLAIN, "Medicine sertraline"), deceased=True),
    "young": Look(
        who=replace(MARGUERITE, name="Nunes-Whitaker, Rafael", birth_date=date(2011, 1, 15), gender="male"),
        lines=("ASQ, today: questions 1-2 = yes, questions 3-4 = no, acuity = no",), age=15),
    "unnamed": Look(
        lines=PLAIN, age=None, who=Identity(name=None, birth_date=None, gender=None, identifier=None)
    ),
    "odd": Look(
        lines=(*PLAIN, "Medicine <script>alert(1)</script> **bold**"),
        who=replace(MARGUERITE, name="<script>alert(2)</script>, <b>Zoë</b>", identifier="<b>1</b>"),
    ),
    "unheard": Look(
        lines=(*PLAIN, "Condition T14.91XA, 41 days ago"),
        more=(
            resource(
                "QuestionnaireResponse", status="completed", authored=moment("2 days ago"),
                questionnaire="https://forms.example/C-SSRS", item=[{"linkId": "q4", "answer": [{"valueBoolean": True}]}],
            ),
            resource(
                "Observation", status="final", effectiveDateTime=moment("3 days ago"), valueString="Nearly every day",
                code={"text": "Thoughts of being better off dead"},
            ),
        ),
        topic="positive-safety-answer",
    ),
    "bipolar": Look(lines=("Condition F31.9, 900 days ago, problem list",), more=(sertraline(15, 50),)),
    "two-acute": Look(
        lines=(
            "C-SSRS, today: questions 1-5 = yes, question 6 = yes, q6_recent = yes",
            "ASQ, today: questions 1-4 = yes, acuity = yes",
        ),
    ),
    "no-banner": Look(lines=ASKED, context={"banner": False}),
    "many": Look(
        lines=(
            *(f"PHQ-9, {9 + 11 * n} days ago: items 1-8 = {n % 3}, item 9 = {n % 2}" for n in range(60)),
            *(f"Medicine a medicine with a long name of its own number {n}, 40 mg extended release" for n in range(14)),
            *COURSE,
            "C-SSRS, today: question 5 = yes",
            "Condition T14.91XA, 41 days ago",
        ),
        who=replace(MARGUERITE, name=LONG_NAME, identifier="0123456789-0123456789-0123456789"),
        thresholds=LOW,
    ),
}  # fmt: skip


@cache
def look(name: str, say: Language = ENGLISH, region: Region = DEFAULT_REGION) -> tuple[Reading, OpenLaunch]:
    """A reading and its session, in this language and region."""
    made = LOOKS[name]
    resources = [found for text in made.lines for found in given(text)]
    who = patient(made.age, deceasedBoolean=True) if made.deceased else patient(made.age)
    reading_of = ReadSettings(zone=ZONE, maps=MAPS)
    gathered = chart_bundle(bundle(who, *resources, *made.more), settings=reading_of, as_of=AS_OF)
    # A file of one chart leaves out what only the app and discharge read.
    steps = tuple(read(entry) for entry in made.more if entry["resourceType"] in STEP_TYPES)
    gathered = replace(gathered, resources=(*gathered.resources, *steps))
    record = patient_record(gathered, settings=reading_of, as_of=AS_OF)
    lost = tuple(
        Unknown(what=part, reason=NO_ANSWER, needed=part in ("questionnaires", "screening")) for part in made.unknown
    )
    record = replace(record, consent=made.consent, unknown=(*record.unknown, *lost))
    settings = NoticeSettings(zone=ZONE, region=region, show_probability=made.figures, contact=made.contact, say=say)
    may = Permission(why_not=NotScoredReason.SILENT) if made.silent else SPEAKS
    assessment = assess_shown(record, ENGINE, made.thresholds, may_speak=lambda _: may, region=region)
    assessment = replace(assessment, escalation=made.escalation)
    off = dict.fromkeys(made.off, AS_OF)
    found = marked(notices(assessment, settings), off, settings)
    reading = Reading(identity=made.who, assessment=assessment, notices=found, at=AS_OF)
    return reading, opened_for(made, settings)


def opened_for(made: Look, settings: NoticeSettings) -> OpenLaunch:
    registration = Registration(site="clinic", iss="https://fhir.example", client_id="c", label="Clinic")
    session = Session(
        launch_id="made",
        site="clinic",
        iss=registration.iss,
        client_id="c",
        user=User(
            iss="https://fhir.example", subject="l", fhir_user="Practitioner/lindqvist", name="Dr Robin Lindqvist"
        ),
        context=LaunchContext(patient="p1", topic=made.topic, **made.context),
        scopes=made.scopes,
        requested_scopes=SCOPES,
        token="t",
        token_expires=0,
        refresh_token=None,
        csrf="0123456789",
        started=int(AS_OF.timestamp()) - made.open_for,
    )
    site = AppSite(
        id="clinic",
        reading=ReadSettings(zone=ZONE),
        notices=settings,
        registrations=(registration,),
        languages=(settings.say,),
    )
    return OpenLaunch(session=session, site=site, registration=registration, say=settings.say, expires_in=900)


def summary(name: str) -> Summary:
    """What the page of that look shows."""
    return summary_of(*look(name))


def flask_app(say: Language = ENGLISH, region: Region = DEFAULT_REGION) -> Flask:
    """All pages of the app that need no EHR, with the headers that they have."""
    _, bare = look("bare", say, region)
    settings = AppSettings(sites=(bare.site,), address="http://127.0.0.1")
    runtime = SimpleNamespace(
        settings=lambda: settings,
        say=bare.say,
        region=region,
        now=lambda: AS_OF.astimezone(UTC),
        seconds=lambda: int(AS_OF.timestamp()),
    )
    flask = Flask(__name__)
    register(flask, runtime, *(part.create_blueprint(runtime) for part in (app_pages, form_pages, launch_routes)))
    for rule, view in ROUTES.items():
        flask.add_url_rule(f"/smart/look/{rule}", rule, partial(view, runtime))
    flask.add_url_rule("/smart/look/entry/<step>", "entry", lambda step: ENTRY[step](runtime, bare))
    return flask


@cache
def english_app() -> Flask:
    """The same for all who only read the pages: its templates are compiled once."""
    return flask_app()


def shown(template: str) -> Callable[..., Response]:
    def view(app, name: str) -> Response:
        reading, launch = look(name, app.say, app.region)
        return render(launch, template, summary=summary_of(reading, launch))

    return view


def failed(app, code: str) -> Response:
    return error_page(app, SmartError("made", code, 400))


def who_of(launch: OpenLaunch) -> PatientDetails:
    banner = patient_banner(MARGUERITE, 61, launch.say, deceased=False)
    return PatientDetails(banner=banner, age_years=61, deceased=False, mark="m")


def answered(launch: OpenLaunch, *scores: int | None):
    """The PHQ-9 in the language of the page with these answers, None for a question left open."""
    asked = form_named("phq-9", launch.say.locale)
    options = zip(asked.questions, scores, strict=False)
    return read_answers(asked, {f"q-{q.code}": [q.options[n].code] for q, n in options if n is not None})


def reviewed(app, launch: OpenLaunch) -> Response:
    answers = answered(launch, 2, 2, 1, 1, 0, 1, 2, 1, 1, 1)
    about = form_pages.review_values(app, launch, answers, who_of(launch))
    return render(launch, "review.html", answers=answers, hidden_fields=answer_fields(answers), **about)


def phq2(app, launch: OpenLaunch) -> Response:
    asked = form_named("phq-2", launch.say.locale)
    answers = read_answers(asked, {f"q-{q.code}": [q.options[2].code] for q in asked.questions})
    about = form_pages.review_values(app, launch, answers, who_of(launch))
    return render(launch, "review.html", answers=answers, hidden_fields=answer_fields(answers), **about)


def in_full(name: str, *places: int, language: str = "en") -> FormAnswers:
    """The form with these places of its options chosen; the rest is open."""
    asked = form_named(name, language)
    chosen = zip(asked.questions, places, strict=False)
    return read_answers(asked, {field_name(q): [q.options[place].code] for q, place in chosen})


def screened(app, launch: OpenLaunch) -> Response:
    answers = in_full("asq", 1, 0, 1, 1, 0, language=launch.say.locale)
    about = form_pages.review_values(app, launch, answers, who_of(launch))
    return render(launch, "review.html", answers=answers, hidden_fields=answer_fields(answers), **about)


def drafted(_app, launch: OpenLaunch) -> Response:
    (order,) = launch.site.notices.region.offered([DraftKind.ASSESSMENT])
    return render(
        launch,
        "task_review.html",
        drafts=DraftRequest(order=order, days=7),
        order_label=draft_label(order, launch.say),
        end="30 Nov 2026",
        hidden_fields={},
        patient=who_of(launch),
    )


DONE = SubmissionResult(
    form="phq-9",
    sent_at=int(AS_OF.timestamp()),
    planned=("form", "total", "item-9"),
    written={"form": "QuestionnaireResponse/q-1", "total": "Observation/o-1", "item-9": "Observation/o-9"},
)


def written(app, launch: OpenLaunch) -> Response:
    answers = answered(launch, 2, 2, 1, 1, 0, 1, 2, 1, 1, 1)
    region = launch.site.notices.region
    strip = summary_of(look("ask", launch.say, region)[0], launch).strip
    result = WrittenResult(words=total_words(answers, launch.say, bands=region.bands), strip=strip)
    note = note_of(answers, AS_OF.astimezone(ZONE), "Dr Robin Lindqvist", launch.say, bands=region.bands)
    return outcome_page(
        app, launch, who_of(launch), "s", DONE, result=result, safety=safety_answer(answers, launch.say), note=note
    )


LEFT = replace(DONE, written={"form": "QuestionnaireResponse/q-1"}, unsure="total", fault="unknown")
ENTRY: dict[str, Callable[..., Response]] = {
    "form": lambda app, launch: form_pages.form_page(app, launch, answered(launch), who_of(launch)),
    "open": lambda app, launch: form_pages.form_page(
        app, launch, answered(launch, 1, None, 2, 0, 0, 0, 0, 0, 2), who_of(launch), checked=True
    ),
    "review": reviewed,
    "asq": lambda app, launch: form_pages.form_page(
        app, launch, in_full("asq", 1, 0, language=launch.say.locale), who_of(launch)
    ),
    "asq-review": screened,
    "epds": lambda app, launch: form_pages.form_page(
        app, launch, in_full("epds", 1, 1, language=launch.say.locale), who_of(launch)
    ),
    "gad-7": lambda app, launch: form_pages.form_page(app, launch, in_full("gad-7", language="es"), who_of(launch)),
    "audit-c": lambda app, launch: form_pages.form_page(
        app, launch, in_full("audit-c", 4, language=launch.say.locale), who_of(launch)
    ),
    "phq-2": phq2,
    "written": written,
    "left": lambda app, launch: outcome_page(app, launch, who_of(launch), "s", LEFT, hidden_fields={"a": "b"}),
    "task": lambda _app, launch: task_pages.choice_page(launch, DraftRequest(), who_of(launch), checked=True),
    "draft": drafted,
    "refused": lambda _app, launch: render(
        launch, "no_form.html", reason="too-young", spec=Instrument.PHQ9.spec, patient=who_of(launch)
    ),
}
# What a page for patients says where everything that it may say is so, and where the least is.
MOST_SAID = PatientFacts(
    notices=NoticeSettings(zone=ZONE),
    models=ModelUse.SPEAKS,
    new_entries=True,
    alerts=True,
    opt_out={"en": "Call the front desk at 555-0100 and say that you do not want the program."},
    address="https://cds.hospital.example/sites/north/patients",
)
LEAST_SAID = PatientFacts(
    notices=NoticeSettings(zone=ZONE, region=REGIONS["generic"]), models=ModelUse.NONE, rules_stay=False
)
PATIENT_FACTS = {
    "most": MOST_SAID,
    "tested": replace(MOST_SAID, models=ModelUse.TESTED, alerts=False),
    "england": replace(
        MOST_SAID, notices=replace(MOST_SAID.notices, region=REGIONS["GB-ENG"]), models=ModelUse.NONE, opt_out={}
    ),
    "least": LEAST_SAID,
}


def for_patient(app, name: str) -> Response:
    launch = look("bare", app.say)[1]
    view = patient_view(PATIENT_FACTS[name], (), (ENGLISH, app.say), app.say, AS_OF.date())
    return render(launch, "for_patient.html", view=view)


MEASURED = (
    MeasuredHere(outcome="depression", ppv=(0.31, 0.24, 0.39), since=date(2026, 6, 1), last=date(2026, 10, 31)),
    MeasuredHere(outcome="suicidal-ideation"),
)


def learn(app, name: str) -> Response:
    launch = look("bare", app.say)[1]
    measured = measured_words(MEASURED, launch.say)
    made = Learning(
        models=ModelUse(name),
        measured=measured,
        asking=how_to_ask(launch.say.safe),
        asked_in=launch.say.safe,
        interpreter=interpreter_words(launch.say),
    )
    return render(launch, "learn.html", learning=made, learned=name == "tested")


ROUTES: dict[str, Callable[..., Response]] = {
    "summary/<name>": shown("summary.html"),
    "print/<name>": shown("print.html"),
    "thanks": lambda app: render(look("bare", app.say, app.region)[1], "thanks.html"),
    "closed": lambda app: page(app.say, "closed.html"),
    "choose": lambda app: page(app.say, "choose.html", choices=[("Northside Clinic", "a" * 16), ("Harbour Hospital", "b" * 16)]),
    "window": lambda app: page(app.say, "window.html", window_url="/smart/launch?iss=x&launch=y"),
    "patient/<name>": for_patient,
    "learn/<name>": learn,
    "error/<code>": failed,
}  # fmt: skip
PAGES = (
    *(f"summary/{name}" for name in LOOKS),
    "print/ask",
    "print/many",
    "thanks",
    "closed",
    "choose",
    "window",
    *(f"patient/{name}" for name in PATIENT_FACTS),
    *(f"learn/{use.value}" for use in ModelUse),
    "error/failed",
    "error/timed-out",
    *(f"entry/{step}" for step in ENTRY),
)
ERRORS = tuple(WORDS)


@contextmanager
def serving(flask: Flask) -> Iterator[str]:
    """The address of a server with these pages."""
    server = make_server("127.0.0.1", 0, flask, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
