"""The page for patients in a language that they read: in the app, and open to everybody.

`?lang=` chooses; else the languages that the patient speaks, or that the browser asks for; else that of the clinician
or site. What nobody has reviewed is in English, with a line that says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from flask import render_template, request

from explanations.words.interpreter import interpreter_words
from explanations.words.language import Language
from explanations.words.patient.page import PatientFacts, PatientPage, patient_page
from smart_launch.pages.language import accepted_language, patient_language

# Of the open page, whose style sheet and script are those of the app.
OWN_PARTS = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientView:
    """The page and its language. wanted, interpreter: the language wanted, and in it that the page is in another; "".

    others: the further languages that it can be had in.
    """

    page: PatientPage
    say: Language
    wanted: Language
    interpreter: str
    others: tuple[Language, ...]


def patient_view(
    facts: PatientFacts, spoken: Iterable[str], offered: Sequence[Language], otherwise: Language, today: date
) -> PatientView:
    """The page. spoken: BCP 47, the best first; also what the site does not have. today: by the site's calendar."""
    asked = (request.args.get("lang", ""), *spoken)
    wanted = patient_language(asked, offered, otherwise)
    say = wanted.safe
    return PatientView(
        page=patient_page(facts, say, today, (*asked, wanted.locale)),
        say=say,
        wanted=wanted,
        interpreter=interpreter_words(wanted),
        others=tuple(one for one in offered if one.reviewed and one.locale != say.locale),
    )


def open_page(facts: PatientFacts, offered: Sequence[Language], today: date) -> str:
    """The page by itself, for whoever opens its address. offered: the site's own language first."""
    accepted = request.accept_languages
    spoken = [tag for tag, quality in accepted if quality > 0]
    view = patient_view(facts, spoken, offered, accepted_language(accepted, offered), today)
    return render_template("smart/for_patient.html", say=view.say, view=view)
