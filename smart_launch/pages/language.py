"""The language of a page: the `say` it is rendered with, which `{% trans %}` and `_()` in templates use too.

Page texts have their own catalogue, `locale/<locale>/LC_MESSAGES/app.mo`, made from `app.pot` (`make messages`); it
falls back to the messages of `explanations`.
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from functools import cache
from pathlib import Path

from jinja2 import Environment, pass_context
from jinja2.runtime import Context

from explanations.words.language import ENGLISH, Language, language

FOLDER = Path(__file__).parents[1] / "locale"
DOMAIN = "app"


@cache
def app_language(locale: str = ENGLISH, folder: Path = FOLDER) -> Language:
    """The language of a locale; English if it has no catalogue."""
    say = language(locale, folder, DOMAIN)
    # A copy, because concurrent or repeated calls would make a catalogue its own fallback, in an endless loop.
    catalogue = copy(say.catalogue)
    catalogue.add_fallback(language(locale).catalogue)
    return replace(say, catalogue=catalogue)


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
