"""Charts that hold one answer about self-harm, in shapes made by crossing how an answer can be written.

A shape is one choice on each axis: what was asked, in which resource, in which spelling of the code system, with which
type of value, contradicting itself or not, in which language, beside which other data. Of every shape with a positive
answer must hold: a positive answer is never answered by silence. Its twin with a negative answer counts false alarms.

`python tests/reading_shapes.py 50000 [seed]` makes that many and prints what was heard (make reading-shapes).
"""

from __future__ import annotations

import json
import random
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cds_service.cards.from_notices import cards_for
from cds_service.cards.wire import Card
from explanations.judgement.assessment import Engine, assess
from explanations.words.notices.notice import NoticeSettings
from fhir_adapters.access.bundles import chart_bundle
from fhir_adapters.reading.acute_codes import may_be_acute
from fhir_adapters.reading.extraction import patient_record
from fhir_adapters.settings import ReadSettings

AS_OF = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
HEARD = ("acute-safety", "positive-safety-answer", "recent-safety", "could-not-assess", "data-anomaly")

# The words of questions, answers and statements by language, answer codes, and the spellings of code systems.
DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
THEMES, DEGREES, ANSWER_CODES, SPELLINGS = (DATA[name] for name in ("themes", "degrees", "answer_codes", "spellings"))
LOCAL = "urn:oid:1.2.840.99999.1.13.7"


@dataclass(frozen=True)
class Asked:
    """One question, result or event. `codes`: by code system; none where only words or local codes exist.

    `topic`: the topic of a positive answer of today in standard form, `later` of one of three days ago.
    """

    title: str
    theme: str
    kind: str
    item: str = ""
    panel: str = ""
    codes: dict[str, str] = field(default_factory=dict)
    positive: tuple[int, ...] = (1,)
    topic: str = "positive-safety-answer"
    later: str = "positive-safety-answer"


def acute(*given, **more) -> Asked:
    return Asked(*given, topic="acute-safety", later="recent-safety", **more)


def cssrs(item: str, theme: str, code: str, make: Callable[..., Asked] = Asked) -> Asked:
    return make("C-SSRS", theme, "yes or no", item, "93373-9", {"loinc": code})


def asq(item: str, theme: str, code: str, **topics) -> Asked:
    return Asked("ASQ", theme, "yes or no", item, "115564-7", {"loinc": code}, topic="acute-safety", **topics)


ASKED = {
    "phq-9 item 9": Asked("PHQ-9", "thoughts", "graded", "9", "44249-1", {"loinc": "44260-8"}, (1, 2, 3)),
    "phq-9 total": Asked("PHQ-9", "score", "total", "total", "44249-1", {"loinc": "44261-6"}, (25, 26, 27)),
    "phq-9 panel": Asked("PHQ-9", "score", "total", "total", "44249-1", {"loinc": "44249-1"}, (25, 26, 27)),
    "phq-9m thoughts": Asked("PHQ-9M", "thoughts", "yes or no", "past_month_thoughts", "89206-7"),
    "phq-9m attempt": Asked("PHQ-9M", "attempt", "yes or no", "lifetime_attempt", "89206-7"),
    "epds item 10": Asked("EPDS", "thoughts", "how often", "10", "71354-5", positive=(1, 2, 3)),
    "epds total": Asked("EPDS", "score", "total", "total", "71354-5", {"loinc": "99046-5"}, (28, 29, 30)),
    "epds panel": Asked("EPDS", "score", "total", "total", "71354-5", {"loinc": "71354-5"}, (28, 29, 30)),
    "c-ssrs q1": cssrs("q1", "thoughts", "93246-7"),
    "c-ssrs q2": cssrs("q2", "thoughts", "93247-5"),
    "c-ssrs q3": cssrs("q3", "thoughts", "93248-3"),
    "c-ssrs q4": cssrs("q4", "plan", "93249-1", acute),
    "c-ssrs q5": cssrs("q5", "plan", "93250-9", acute),
    "c-ssrs q6": replace(cssrs("q6", "attempt", "93267-3"), topic="acute-safety"),
    "c-ssrs recent": cssrs("q6_recent", "attempt", "93269-9", acute),
    "c-ssrs panel": acute("C-SSRS", "risk", "level", "level", "93373-9", {"loinc": "93373-9"}, (2,)),
    "suicide risk level": acute("", "risk", "level", "level", "", {"loinc": "93374-7"}, (2,)),
    "suicide screen": Asked("", "risk", "screen", "level", "", {"loinc": "93374-7"}, (1, 2)),
    "asq panel": Asked("ASQ", "risk", "screen", "result", "115564-7", {"loinc": "115564-7"}, (1, 2)),
    "asq q1": asq("q1", "thoughts", "115566-2"),
    "asq q2": asq("q2", "thoughts", "115567-0"),
    "asq q3": asq("q3", "thoughts", "115568-8"),
    "asq q4": asq("q4", "attempt", "115569-6"),
    "asq acuity": asq("acuity", "thoughts", "115571-2", later="recent-safety"),
    "sbq-r total": Asked("SBQ-R", "score", "total", "total", positive=(12, 14, 18)),
    "sbq-r attempt": Asked("SBQ-R", "attempt", "yes or no", "1"),
    "pss-3 thoughts": Asked("PSS-3", "thoughts", "yes or no", "q2-ideation"),
    "pss-3 attempt": Asked("PSS-3", "attempt", "yes or no", "q3-lifetime-attempt"),
    "safe-t plan": Asked("SAFE-T", "plan", "yes or no", "plan"),
    "safe-t level": Asked("SAFE-T", "risk", "level", "level", positive=(1, 2)),
    "bssa thoughts": Asked("BSSA", "thoughts", "yes or no", "ideation"),
    "local thoughts": Asked("", "thoughts", "yes or no", "b"),
    "local plan": Asked("", "plan", "yes or no", "b"),
    "local attempt": Asked("", "attempt", "yes or no", "b"),
    "local level": Asked("", "risk", "level", "b", positive=(1, 2)),
    "coded attempt": acute("", "attempt", "yes or no", codes={"snomed": "82313006", "icd": "T14.91XA"}),
    "coded ideation": Asked("", "thoughts", "yes or no", codes={"snomed": "6471006", "icd": "R45.851"}),
}
FOCUS = {"visit": "Encounter/e1", "condition": "Condition/c1", "observation": "Observation/o1"}
# The kinds of answers that a type of value can hold.
KINDS = {
    "code": ("graded", "yes or no", "level"),
    "local code": ("graded", "how often", "yes or no", "level", "screen"),
    "text": ("graded", "how often", "yes or no", "level", "screen"),
    "string": ("graded", "how often", "yes or no", "level", "screen", "total"),
    "boolean": ("graded", "yes or no"),
    "integer": ("graded", "how often", "yes or no", "total"),
    "decimal": ("graded", "how often", "yes or no", "total"),
    "number as string": ("graded", "how often", "yes or no", "total"),
    "quantity": ("graded", "how often", "yes or no", "total"),
    "weight and words": ("graded", "how often"),
    "weight alone": ("graded", "how often"),
    "interpretation": ("yes or no", "level", "screen"),
}
STATED_IN = ("conclusion", "condition", "flag", "procedure outcome", "risk assessment", "visit reason", "note", "condition note", "procedure note")  # fmt: skip
AXES = {
    "asked": tuple(ASKED),
    "place": ("observation", "component", "member", "contained", "result", "form", "form", "nested form", *STATED_IN),
    "system": ("standard", "beside a local code", "upper case", "slash", "https", "www", "urn:oid", "oid", "v2", "name", "version", "edition", "none", "local", "words alone"),
    "value": tuple(KINDS),
    "contradiction": ("none", "none", "none", "code and display", "weight and display", "question and code"),
    "identity": ("link ids of LOINC", "canonical of LOINC", "named", "title", "definition", "contained", "nothing"),
    "words": ("without", "with"),
    "language": tuple(DATA["stated"]),
    "when": ("today", "three days ago", "no date"),
    "status": ("final", "final", "amended", "corrected", "preliminary"),
    "focus": ("none", "none", "visit", "condition", "observation"),
    "noise": ("none", "before", "after", "around", "negative screen"),
}  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """One choice on each axis; `seed` draws what the axes leave open. The defaults are the plainest shape."""

    asked: str = "phq-9 item 9"
    place: str = "observation"
    system: str = "standard"
    value: str = "code"
    contradiction: str = "none"
    identity: str = "link ids of LOINC"
    words: str = "without"
    language: str = "en"
    when: str = "today"
    status: str = "final"
    focus: str = "none"
    noise: str = "none"
    seed: int = 0

    def __str__(self) -> str:
        plain = Shape()
        named = [f.name for f in fields(self)[:-1]]
        kept = [n for n in named if n in ("asked", "place") or getattr(self, n) != getattr(plain, n)]
        return " | ".join(f"{name}: {getattr(self, name)}" for name in kept)


@dataclass(frozen=True)
class Built:
    """The entries of a shape, the references that a card may name, and the topic where the right one is certain."""

    entries: list[dict]
    references: tuple[str, ...]
    topic: str | None


class NotApplicable(Exception):
    """These choices do not go together."""


def hl7(name: str, code: str) -> dict:
    """A concept of one of HL7's own code systems."""
    return {"coding": [{"system": f"http://terminology.hl7.org/CodeSystem/{name}", "code": code}]}


def must(condition: object) -> None:
    if not condition:
        raise NotApplicable


@dataclass
class Maker:
    """What the parts of one chart have in common."""

    shape: Shape
    positive: bool

    def __post_init__(self) -> None:
        self.drawer = random.Random(self.shape.seed)
        self.asked = ASKED[self.shape.asked]
        self.degree = self.drawer.choice(self.asked.positive) if self.positive else 0
        self.code_system = self.drawer.choice(sorted(self.asked.codes)) if self.asked.codes else ""
        if self.shape.contradiction != "none" and self.drawer.random() < 0.5:
            self.degree = 0  # one half of what contradicts itself says no, the other half yes
        self.day = AS_OF - (timedelta(days=3) if self.shape.when == "three days ago" else timedelta(hours=2))

    def theme(self) -> str:
        """What it is about, in some words."""
        return self.drawer.choice(THEMES[self.asked.theme][self.shape.language])

    def titled(self, words: str) -> str:
        """The words, at times behind the name of the instrument."""
        named = self.asked.title and (self.asked.theme == "score" or self.drawer.random() < 0.3)
        return f"{self.asked.title} {words}" if named else words

    def degree_words(self, degree: int) -> str:
        return str(degree) if self.asked.kind == "total" else DEGREES[self.asked.kind][self.shape.language][degree]

    def statement(self) -> str:
        """A sentence of a note, report or list that states the answer."""
        theme = self.theme()
        if self.asked.kind != "yes or no":
            return self.titled(f"{theme}: {self.degree_words(self.degree)}")
        pattern = self.drawer.choice(DATA["stated" if self.positive else "denied"][self.shape.language])
        return self.titled(pattern.format(theme))

    def system(self, name: str) -> dict:
        """The code system of a coding in the spelling of the shape."""
        spelling = self.shape.system
        if spelling == "none":
            return {}
        if spelling == "beside a local code":
            spelling = "standard"
        must(spelling in SPELLINGS[name])
        return {"system": SPELLINGS[name][spelling]}

    def question(self) -> dict:
        """The question as a concept."""
        worded = self.shape.words == "with"
        said = self.titled(self.theme()) if worded else ""
        if self.shape.contradiction == "question and code":
            must(
                worded
                and self.asked.theme == "thoughts"
                and self.code_system == "loinc"
                and self.shape.system == "standard"
            )
            if not self.degree:
                must(self.shape.asked == "phq-9 item 9")
                other = {"system": "http://loinc.org", "code": "44260-8", "display": "Feeling bad about yourself"}
                return {"coding": [other]}
            coding = {"system": "http://loinc.org", "code": "44258-2"}
        elif self.shape.system == "words alone":
            must(worded)
            return {"text": said}
        elif self.shape.system == "local":
            must(worded)
            coding = {"system": LOCAL, "code": str(self.drawer.randint(1000, 9999))}
        else:
            must(self.code_system)
            coding = {**self.system(self.code_system), "code": self.asked.codes[self.code_system]}
        first = [{"system": LOCAL, "code": "q-1"}] if self.shape.system == "beside a local code" else []
        if worded and self.drawer.random() < 0.5:
            return {"coding": [*first, coding | {"display": said}]}
        return {"coding": [*first, coding]} | ({"text": said} if worded else {})

    def answer(self) -> dict:
        """The answer as elements of an Observation."""
        how, degree, against = self.shape.value, self.degree, self.shape.contradiction
        must(self.asked.kind in KINDS[how])
        must(how == {"code and display": "code", "weight and display": "weight and words"}.get(against, how))
        must(how != ("interpretation" if self.shape.place.endswith("form") else "decimal"))
        words = self.degree_words(self.other_degree() if "display" in against else degree)
        said = "display" in against or how in ("local code", "weight and words") or self.drawer.random() < 0.4
        shown = {"display": words} if said and how != "weight alone" else {}
        if how in ("text", "string") and self.asked.kind != "total":
            ways = (
                ("{0}", "{0}", "{0}.", "{1} - {0}", "{0} ({1})")
                if self.asked.kind == "graded"
                else ("{0}", "{0}", "{0}.")
            )
            words = self.drawer.choice(ways).format(words, degree)
            words = words.upper() if self.drawer.random() < 0.1 else words
        weight = {"url": "http://hl7.org/fhir/StructureDefinition/ordinalValue", "valueDecimal": degree}
        sign = hl7("v3-ObservationInterpretation", "POS" if degree else "NEG")
        if how in ("code", "local code", "weight and words", "weight alone"):
            local = {"system": LOCAL, "code": f"option-{degree + 1}"} | (
                {"extension": [weight]} if "weight" in how else {}
            )
            coding = (self.answer_code(degree) if how == "code" else local) | shown
            return {"valueCodeableConcept": {"coding": [coding]}}
        return {
            "text": {"valueCodeableConcept": {"text": words}}, "string": {"valueString": words}, "boolean": {"valueBoolean": bool(degree)},
            "integer": {"valueInteger": degree}, "decimal": {"valueDecimal": degree + 0.0}, "number as string": {"valueString": str(degree)},
            "quantity": {"valueQuantity": {"value": degree, "unit": "{score}"}}, "interpretation": {"interpretation": [sign]},
        }[how]  # fmt: skip

    def other_degree(self) -> int:
        """A degree that contradicts this one: no against yes."""
        return 0 if self.degree else len(DEGREES[self.asked.kind]["en"]) - 1

    def answer_code(self, degree: int) -> dict:
        """The standard code of an answer, its system spelled as that of the question is."""
        kind, name = self.asked.kind, "loinc"
        if kind == "yes or no" and self.drawer.random() < 0.4:
            kind, name = "yes or no in SNOMED CT", "snomed"
        spelled = self.shape.system if self.shape.system in SPELLINGS[name] else "standard"
        system = {} if self.shape.system == "none" else {"system": SPELLINGS[name][spelled]}
        return {**system, "code": ANSWER_CODES[kind][degree]}

    def resource(self, kind: str, name: str, **elements) -> dict:
        return {"resourceType": kind, "id": f"shape-{name}", "subject": {"reference": "Patient/p1"}, **elements}

    def dated(self, member: str) -> dict:
        return {} if self.shape.when == "no date" else {member: self.day.isoformat()}

    def observation(self, name: str, code: dict, **elements) -> dict:
        about = {"focus": [{"reference": FOCUS[self.shape.focus]}]} if self.shape.focus in FOCUS else {}
        return self.resource(
            "Observation",
            name,
            status=self.shape.status,
            code=code,
            **self.dated("effectiveDateTime"),
            **about,
            **elements,
        )

    def panel(self) -> dict:
        """The concept of the whole form."""
        if self.asked.panel and self.shape.system not in ("local", "words alone", "none"):
            return {"coding": [{**self.system("loinc"), "code": self.asked.panel}]}
        return {"text": self.asked.title or "Triage form"}

    def report(self, **elements) -> dict:
        about = {"status": self.shape.status, "code": self.panel()} | self.dated("effectiveDateTime")
        return self.resource("DiagnosticReport", "report", **about, **elements)

    def form(self, *, nested: bool) -> dict:
        """A QuestionnaireResponse; how it says which form it is follows `identity`."""
        asked, identity, worded = self.asked, self.shape.identity, self.shape.words == "with"
        question = self.question()  # draws the words; only contained questionnaires have codes
        said = question.get("text") or question.get("coding", [{}])[-1].get("display", "")
        code = asked.codes.get("loinc", "")
        canonical, item, more = "https://forms.example/Questionnaire/7f3", {"linkId": asked.item}, {}
        if identity == "link ids of LOINC":
            must(code and self.shape.system == "standard")
            item["linkId"] = f"/{asked.panel or '0000-0'}/{code}"
        elif identity == "canonical of LOINC":
            must(asked.panel and self.shape.system == "standard")
            canonical = f"http://loinc.org/{self.drawer.choice(('vs/', 'q/', ''))}{asked.panel}"
        elif identity == "named":
            must(asked.title)
            canonical = f"https://forms.example/Questionnaire/{asked.title}"
        elif identity == "title":
            must(asked.title)
            display = {"url": "http://hl7.org/fhir/StructureDefinition/display", "valueString": asked.title}
            more["_questionnaire"] = {"extension": [display]}
        elif identity == "definition":
            must(code and self.shape.system == "standard")
            item["definition"] = f"http://loinc.org/fhir/Questionnaire/{asked.panel}#{code}"
        elif identity == "contained":
            canonical = "#q"
            asking = {"linkId": asked.item, "text": said or None, "code": question.get("coding"), "type": "choice"}
            asking = {"item": [{name: part for name, part in asking.items() if part}]}
            more["contained"] = [
                {"resourceType": "Questionnaire", "id": "q", "title": asked.title or "Triage"} | asking
            ]
        else:
            must(worded)
        if worded and identity != "contained":
            item["text"] = said
        must(asked.item)
        item["answer"] = [as_answer(self.answer())]
        items: list[dict] = [{"linkId": "smoking", "text": "Smoking", "answer": [{"valueBoolean": False}]}, item]
        for depth in range(self.drawer.randint(1, 3) if nested else 0):
            items = [{"linkId": f"section-{depth}", "text": "Section", "item": items}]
        about = {"status": "completed", "questionnaire": canonical, "item": items} | self.dated("authored")
        return self.resource("QuestionnaireResponse", "form", **about, **more)

    def entries(self) -> list[dict]:
        """The resources that hold the answer."""
        place = self.shape.place
        if place in ("form", "nested form"):
            must(self.shape.focus == "none" and self.shape.contradiction != "question and code")
            return [self.form(nested=place == "nested form")]
        must(self.shape.identity == "link ids of LOINC")
        if place in ("observation", "component", "member", "contained", "result"):
            said, answer = self.question(), self.answer()
            if place == "component":
                must("interpretation" not in answer or self.asked.kind in ("level", "screen"))
                other = {"code": {"text": "Sleep"}, "valueInteger": 0}
                return [self.observation("panel", self.panel(), component=[other, {"code": said, **answer}])]
            item = self.observation("item", said, **answer)
            if place == "contained":
                return [self.report(contained=[item], result=[{"reference": "#shape-item"}])]
            named = [{"reference": "Observation/shape-item"}]
            more = {
                "member": [self.observation("panel", self.panel(), hasMember=named)],
                "result": [self.report(result=named)],
            }
            return [item, *more.get(place, [])]
        # The rest states the answer; only events have codes there.
        must(self.shape.focus == "none" and self.shape.contradiction == "none" and self.shape.value == "code")
        return [self.stated(place)]

    def stated(self, place: str) -> dict:
        """An entry that states the answer; an event has its code, where a code can be."""
        coded = place in ("condition", "flag", "visit reason") and self.shape.asked.startswith("coded")
        if coded and self.positive and self.shape.system not in ("local", "words alone"):
            code = self.question()
        else:
            must(self.shape.words == "with")
            must(self.shape.system == ("standard" if place == "conclusion" else "words alone"))
            code = {"text": self.statement()}
        must(self.asked.kind != "total" or place in ("conclusion", "note", "procedure note"))
        words, note = code.get("text", ""), [{"text": code.get("text", "")}]
        if place == "risk assessment":
            must(self.asked.kind == "level")
            level = {"text": self.degree_words(self.degree)}
            if self.drawer.random() < 0.5:
                level = hl7("risk-probability", ("low", "moderate", "high")[self.degree])
            found = {"qualitativeRisk": level, "outcome": {"text": self.theme()}}
            about = {"status": "final", "prediction": [found]} | self.dated("occurrenceDateTime")
            return self.resource("RiskAssessment", "risk", **about)
        if place.startswith("condition"):
            listed = {"code": {"text": "Depression"}, "note": note} if "note" in place else {"code": code}
            active = {"clinicalStatus": hl7("condition-clinical", "active")} | self.dated("recordedDate")
            return self.resource("Condition", "condition", **listed, **active)
        if place.startswith("procedure"):
            held = {"note": note} if "note" in place else {"outcome": {"text": words}}
            done = {"status": "completed", "code": {"text": "Suicide risk assessment"}} | self.dated(
                "performedDateTime"
            )
            return self.resource("Procedure", "procedure", **done, **held)
        began = {"period": self.dated("start")}
        if place == "visit reason":
            about = {"status": "finished", "class": {"code": "EMER"}, "reasonCode": [code]}
            return self.resource("Encounter", "visit", **about, **began)
        if place == "flag":
            return self.resource("Flag", "flag", status="active", code=code, **began)
        return (
            self.report(conclusion=words)
            if place == "conclusion"
            else self.observation("item", {"text": "Mental status"}, note=note)
        )

    def topic(self) -> str | None:
        """The topic where standard code, value and place leave no doubt."""
        shape, codes = self.shape, self.asked.codes
        plain = (
            shape.contradiction == "none"
            and shape.system in ("standard", "beside a local code")
            and shape.noise != "negative screen"
        )
        where = shape.place in ("observation", "component", "member") or (
            shape.place in ("form", "nested form") and shape.identity == "link ids of LOINC"
        )
        how = {
            "graded": ("code", "integer"),
            "yes or no": ("code", "boolean"),
            "level": ("code",),
            "total": ("integer",),
        }
        if shape.place == "condition" and codes and shape.words == "without":
            how["yes or no"], where = ("code",), True
        elif self.code_system != "loinc":
            return None
        if not (plain and where and codes and shape.value in how.get(self.asked.kind, ()) and shape.when != "no date"):
            return None
        return self.asked.topic if shape.when == "today" else self.asked.later


def as_answer(value: dict) -> dict:
    """The value of an Observation as an answer of a form."""
    concept = value.get("valueCodeableConcept")
    if concept is None:
        return value
    return {"valueCoding": concept["coding"][0]} if "coding" in concept else {"valueString": concept["text"]}


def _observation(name: str, code: str, value: dict, **elements) -> dict:
    loinc = {"coding": [{"system": "http://loinc.org", "code": code}]}
    about = {"subject": {"reference": "Patient/p1"}, "effectiveDateTime": "2026-11-20T08:00:00Z", "status": "final"}
    return {"resourceType": "Observation", "id": name, "code": loinc, **about, **value, **elements}


_ABOUT = {"subject": {"reference": "Patient/p1"}}
PATIENT = {"resourceType": "Patient", "id": "p1", "birthDate": "1984-05-02", "gender": "female"}
NOISE = [
    _observation("o1", "8867-4", {"valueQuantity": {"value": 71, "unit": "/min", "code": "/min", "system": "http://unitsofmeasure.org"}}),
    _observation("o2", "55758-7", {"valueInteger": 0}),
    _observation("o3", "70274-6", {"valueInteger": 3}),
    _observation("o4", "75626-2", {"valueInteger": 2}),
    {"resourceType": "Condition", "id": "c1", "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "I10"}], "text": "Hypertension"}, "recordedDate": "2024-03-01", **_ABOUT},
    {"resourceType": "Condition", "id": "c2", "code": {"text": "Family history of diabetes"}, **_ABOUT},
    {"resourceType": "Procedure", "id": "pr1", "status": "completed", "code": {"text": "Influenza vaccination"}, "performedDateTime": "2026-10-01", **_ABOUT},
    {"resourceType": "Encounter", "id": "e1", "status": "finished", "class": {"code": "AMB"}, "period": {"start": "2026-11-20T08:00:00Z"}, **_ABOUT},
    {"resourceType": "MedicationRequest", "id": "m1", "status": "active", "intent": "order", "medicationCodeableConcept": {"text": "Lisinopril 10 mg"}, **_ABOUT},
]  # fmt: skip
_NO = {"valueCodeableConcept": {"coding": [{"system": "http://loinc.org", "code": "LA32-8"}]}}
NEGATIVE_SCREEN = [_observation(f"n{n}", code, _NO, effectiveDateTime="2026-11-23T14:30:00Z") for n, code in enumerate(("93246-7", "93247-5", "93267-3"))]  # fmt: skip


def built(shape: Shape, *, positive: bool = True) -> Built | None:
    """The chart of a shape, or None where its choices do not go together."""
    maker = Maker(shape, positive)
    try:
        held = maker.entries()
    except NotApplicable:
        return None
    drawer = random.Random(shape.seed + 1)
    normal = drawer.sample(NOISE, drawer.randint(2, len(NOISE)))
    around = [*held, *normal]
    drawer.shuffle(around)
    entries = {
        "none": held, "before": [*normal, *held], "after": [*held, *normal], "around": around,
        "negative screen": [*NEGATIVE_SCREEN, *held],
    }[shape.noise]  # fmt: skip
    references = tuple(f"{r['resourceType']}/{r['id']}" for r in held)
    return Built([PATIENT, *entries], references, maker.topic())


SETTINGS, NOTICES, ENGINE = ReadSettings(), NoticeSettings(zone=UTC), Engine()


def bundle(entries: Iterable[dict]) -> dict:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": entry} for entry in entries]}


def cards_of(chart: bytes, as_of: datetime = AS_OF) -> list[Card]:
    """The cards of a Bundle, read as `mhcds assess` reads it, without models."""
    record = patient_record(
        chart_bundle(chart, settings=SETTINGS, as_of=as_of), settings=SETTINGS, as_of=as_of, left_out=True
    )
    return cards_for(assess(record, ENGINE), NOTICES, new_id=lambda: "00000000-0000-4000-8000-000000000000")


def topics(entries: Iterable[dict], references: Iterable[str]) -> list[str]:
    """The topics of the cards that name one of these references."""
    cards, named = cards_of(json.dumps(bundle(entries)).encode()), tuple(references)
    return [card.source.topic.code for card in cards if any(reference in card.detail for reference in named)]


def fault(shape: Shape) -> str | None:
    """What is wrong with the answer to a positive shape: silence, another topic, or acute without a code for it."""
    chart = built(shape)
    if chart is None:
        return None
    found = topics(chart.entries, chart.references)
    if not any(topic in HEARD for topic in found):
        return "silence"
    if "acute-safety" in found and not may_be_acute(json.dumps(chart.entries).encode(), SETTINGS.maps):
        return "unseen by its codes"
    return f"not {chart.topic}" if chart.topic and chart.topic not in found else None


def false_alarm(shape: Shape) -> str | None:
    """How a negative twin is named, if it is. A bare number, a low level or an unread form may be: those are `shown`."""
    if shape.contradiction != "none" or shape.value == "interpretation":
        return None
    chart = built(shape, positive=False)
    if chart is None:
        return None
    found = [topic for topic in topics(chart.entries, chart.references) if topic in HEARD]
    unclear = ASKED[shape.asked].kind in ("level", "screen", "total") or shape.value in ("integer", "decimal", "number as string", "quantity", "weight alone")  # fmt: skip
    return f"{'shown' if unclear else 'false alarm'}: {found[0]}" if found else None


def drawn(drawer: random.Random) -> Shape:
    """A shape whose choices go together; what is asked and where are drawn first, so that each place has its share."""
    while True:
        first = {axis: drawer.choice(AXES[axis]) for axis in ("asked", "place")}
        for _ in range(60):
            choices = {axis: drawer.choice(options) for axis, options in AXES.items()} | first
            if choices["place"] in STATED_IN:  # where most other choices do not apply
                choices |= {"value": "code", "contradiction": "none", "focus": "none"}
            if not choices["place"].endswith("form"):
                choices["identity"] = "link ids of LOINC"
            shape = Shape(**choices, seed=drawer.randrange(10**9))
            if built(shape):
                return shape


def plainest(shape: Shape, wrong: Callable[[Shape], str | None]) -> Shape:
    """The shape with as many of its choices plain as leave it wrong in the same way."""
    kind = wrong(shape)
    for axis in reversed(AXES):
        simpler = replace(shape, **{axis: getattr(Shape(), axis)})
        if simpler != shape and wrong(simpler) == kind:
            shape = simpler
    return shape


@dataclass
class Counts:
    """What a run found: shapes made by place, and by kind of fault or alarm how many, each with its plainest shape."""

    made: Counter = field(default_factory=Counter)
    faults: Counter = field(default_factory=Counter)
    alarms: Counter = field(default_factory=Counter)
    examples: dict[str, Shape] = field(default_factory=dict)

    def add(self, other: Counts) -> None:
        self.made += other.made
        self.faults += other.faults
        self.alarms += other.alarms
        self.examples = other.examples | self.examples


def run(seed: str, number: int) -> Counts:
    """Makes and reads `number` shapes and their twins. An error of the reader escapes, named by its shape."""
    counts = Counts()
    for n in range(number):
        shape = drawn(random.Random(f"{seed}-{n}"))
        counts.made[shape.place] += 1
        try:
            for wrong, found in ((fault, counts.faults), (false_alarm, counts.alarms)):
                if kind := wrong(shape):
                    small = plainest(shape, wrong)
                    name = f"{kind} | {small}"
                    found[name] += 1
                    counts.examples.setdefault(name, small)
        except Exception as error:
            raise AssertionError(f"{type(error).__name__} on {shape!r}: {error}") from error
    return counts


def example(shape: Shape, *, positive: bool) -> str:
    """The entries of a shape beside the patient, as one line of JSON."""
    chart = built(shape, positive=positive)
    return json.dumps(chart.entries[1:], ensure_ascii=False) if chart else ""


def main(number: int, seed: str) -> int:
    """Runs in two processes and prints what was found; 1 when a positive answer was met with silence."""
    began, counts = time.monotonic(), Counts()
    with ProcessPoolExecutor(max_workers=2) as pool:
        for part in [pool.submit(run, f"{seed}-{n}", number // 20) for n in range(20)]:
            counts.add(part.result())
    print(f"{counts.made.total()} shapes and their negative twins in {time.monotonic() - began:.0f} s: {counts.faults.total()} faults, "
          f"{sum(n for name, n in counts.alarms.items() if name.startswith('false'))} false alarms")  # fmt: skip
    print(", ".join(f"{place} {n}" for place, n in counts.made.most_common()))
    for title, found, positive in (("Faults", counts.faults, True), ("Alarms of negative twins", counts.alarms, False)):
        print(f"\n{title}, by the plainest shape that has them")
        for name, count in found.most_common(60):
            print(f"{count:>6} {name}\n       {example(counts.examples[name], positive=positive)}")
    return 1 if counts.faults else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "1"))
