"""The language of a page: the `say` it is rendered with, which `{% trans %}` and `_()` in templates use too.

Page texts have a catalogue of their own, `locale/<locale>/LC_MESSAGES/app.po`, read together with those of
`explanations` (`make messages`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from flask import request
from jinja2 import Environment, pass_context
from jinja2.runtime import Context
from werkzeug.datastructures import LanguageAccept

from explanations.words import catalogues
from explanations.words.language import ENGLISH, Language, language
from smart_launch.session.cookies import LANGUAGE

FOLDERS = (catalogues.FOLDER, Path(__file__).parents[1] / "locale")


def app_language(locale: str = ENGLISH, folders: tuple[Path, ...] = FOLDERS) -> Language:
    """The language of a locale with the texts of pages, as it ships; English if it has no catalogue."""
    return language(locale, folders)


def accepted_language(accepted: LanguageAccept, offered: Sequence[Language]) -> Language:
    """Of those offered, what a browser or client asks for; the first if it asks for none of them (RFC 9110, 12.5.4)."""
    best = accepted.best_match([each.tag for each in offered])
    return next((each for each in offered if each.tag == best), offered[0])


def user_language(offered: Sequence[Language]) -> Language:
    """Of those offered, what the user of this request has chosen on a page, else what the browser asks for."""
    chosen = request.cookies.get(LANGUAGE)
    by_choice = next((each for each in offered if each.tag == chosen), None)
    return by_choice or accepted_language(request.accept_languages, offered)


def patient_language(spoken: Iterable[str], offered: Iterable[Language], otherwise: Language) -> Language:
    """Of those offered, the first that the patient speaks (BCP 47, preferred first); `otherwise` if none.

    Texts for the patient on safety are in its `safe`, with `interpreter_words` beside them.
    """
    by_tag = {each.tag.lower(): each for each in offered}
    found = (by_tag.get(tag.lower()) or by_tag.get(tag.lower().partition("-")[0]) for tag in spoken)
    return next((each for each in found if each), otherwise)


def install(templates: Environment) -> None:
    """Lets templates use `{% trans %}` and `_()`."""
    templates.add_extension("jinja2.ext.i18n")
    templates.install_gettext_callables(  # type: ignore[attr-defined]  # comes with the extension
        _gettext, _ngettext, newstyle=True
    )


@pass_context
def _gettext(context: Context, message: str) -> str:
    say: Language = context["say"]
    return say(message)


@pass_context
def _ngettext(context: Context, singular: str, plural: str, count: int) -> str:
    say: Language = context["say"]
    return say.catalogue.ngettext(singular, plural, count)
