"""The languages of a site: as they ship, and what a deployment adds or has reviewed (`translations/<locale>.po`)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from babel.core import Locale, UnknownLocaleError

from cds_service.settings.shapes import one_of, shown
from explanations.errors import CatalogueUnreadable
from explanations.words.catalogues import Translation, locales, translation
from explanations.words.language import ENGLISH, Language, language, spoken
from smart_launch.pages.language import FOLDERS

TRANSLATIONS = "translations"
MOST_NAMED = 3


def site_languages(
    path: Path, first: str, others: list[str], folder: Path | None, problems: list[str]
) -> tuple[Language, ...]:
    """The languages of a site, its own first; problems of its file at `path` are appended.

    folder: of the settings, whose `translations` may hold the deployment's own catalogues.
    """
    keys = dict.fromkeys(others, "languages") | {first: "language"}
    found = [_site_language(f"{path}: {keys[tag]}", tag, folder, problems) for tag in dict.fromkeys((first, *others))]
    return tuple(each for each in found if each is not None) or (language(),)


def _site_language(where: str, locale: str, folder: Path | None, problems: list[str]) -> Language | None:
    known = (ENGLISH, *known_locales(folder))
    if locale not in known:
        problems.append(f"{where}: expected {one_of(known, locale)}; found {shown(locale)}")
        return None
    if locale == ENGLISH:
        return language()
    try:
        read = site_translation(locale, folder)
    except (CatalogueUnreadable, UnknownLocaleError, ValueError) as error:
        problems.append(f"{where} {locale}: {error}")
        return None
    problems += [f"{where} {locale}: {fault}" for fault in faults(read)]
    return spoken(read)


def known_locales(folder: Path | None) -> tuple[str, ...]:
    """The locales with a catalogue, shipped or in a folder of settings; English needs none."""
    return tuple(sorted({*locales(FOLDERS), *(file.stem for file in _own_files(folder) if _names_a_locale(file))}))


def misnamed(folder: Path | None) -> list[str]:
    """A sentence on each file among the deployment's own catalogues that no locale has."""
    return [
        f"{file} is not read: expected the code of a language other than English, as in es.po or pt_BR.po"
        for file in sorted(_own_files(folder))
        if not _names_a_locale(file)
    ]


def _own_files(folder: Path | None) -> Iterable[Path]:
    return (folder / TRANSLATIONS).glob("*.po") if folder else ()


def _names_a_locale(file: Path) -> bool:
    try:
        return file.stem != ENGLISH and str(Locale.parse(file.stem)) == file.stem
    except (UnknownLocaleError, ValueError):
        return False


def site_translation(locale: str, folder: Path | None) -> Translation:
    """A locale as it ships, with the deployment's own texts and reviews. Raises CatalogueUnreadable."""
    own = own_catalogue(locale, folder) if folder else None
    if own is None or not own.exists():
        return _translation(locale, None, ())
    at = own.stat()
    return _translation(locale, own, (at.st_mtime_ns, at.st_size))


@lru_cache(maxsize=32)
def _translation(locale: str, own: Path | None, _version: tuple[int, ...]) -> Translation:
    """Read once for all sites that have it, and anew when the file has changed: one takes 60 ms."""
    return translation(locale, FOLDERS, own)


def own_catalogue(locale: str, folder: Path) -> Path:
    """Where the deployment's own texts and reviews of a locale are."""
    return folder / TRANSLATIONS / f"{locale}.po"


def gaps(found: Translation) -> list[str]:
    """What is not as a reader would expect, though a locale can be shown: unreviewed texts, and unused ones."""
    name = spoken(found).name
    unreviewed = (
        f"{name}: nobody has reviewed {len(found.unreviewed)} of {found.on_safety} texts on safety, so cards, and "
        f"pages on safety, are in English, with a notice (mhcds translations show {found.locale}; docs/translating.md)"
    )
    unused = (
        f"{name}: {len(found.unused)} of your own texts are no longer used (mhcds translations show {found.locale})"
    )
    return [*([unreviewed] if found.unreviewed else []), *([unused] if found.unused else [])]


def faults(found: Translation) -> list[str]:
    """Why a locale cannot be shown: texts that it lacks, or whose placeholders would not be filled."""
    lists = ((found.missing, "are not translated"), (found.differing, "have other placeholders than the English"))
    return [
        f"{len(texts)} of {found.needed} texts {what}, such as {'; '.join(map(shown, texts[:MOST_NAMED]))}: complete "
        f"its catalogue (docs/translating.md), or leave the language out"
        for texts, what in lists
        if texts
    ]
