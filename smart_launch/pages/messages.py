"""Every text of the pages, from message catalogues (GNU gettext; Babel extracts and compiles them).

The texts in templates and code are English and are their own keys; a language is a folder
`locale/<language>/LC_MESSAGES/app.mo`. Texts of findings and reasons come from `explanations`.
"""

from __future__ import annotations

import gettext as catalogues
from functools import cache
from pathlib import Path

from flask import g, has_app_context
from jinja2 import Environment

FOLDER = Path(__file__).parents[1] / "locale"
DOMAIN = "app"
ENGLISH = "en"


@cache
def catalogue(language: str, folder: Path = FOLDER) -> catalogues.NullTranslations:
    """The catalogue of a language; English for one that has none."""
    return catalogues.translation(DOMAIN, localedir=folder, languages=[language], fallback=True)


def use(language: str, folder: Path = FOLDER) -> None:
    """From here on this request's texts are of that language."""
    g.catalogue = catalogue(language, folder)
    g.language = language if isinstance(g.catalogue, catalogues.GNUTranslations) else ENGLISH


def gettext(text: str) -> str:
    """A text in the language of this request; outside of one, as it is."""
    found = _in_use()
    return text if found is None else str(found.gettext(text))


def _in_use() -> catalogues.NullTranslations | None:
    return g.get("catalogue") if has_app_context() else None


def later(text: str) -> str:
    """The text as it is: marks a constant for the catalogue, which `gettext` looks up when it is shown."""
    return text


def ngettext(one: str, many: str, number: int) -> str:
    """A text with a number in it."""
    found = _in_use()
    if found is None:
        return one if number == 1 else many
    return str(found.ngettext(one, many, number))


def install(templates: Environment) -> None:
    """`{% trans %}` and `_()` in templates."""
    templates.add_extension("jinja2.ext.i18n")
    templates.install_gettext_callables(  # type: ignore[attr-defined]  # comes with the extension
        gettext, ngettext, newstyle=True
    )
