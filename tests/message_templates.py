"""The message catalogues, from the sources: their templates (`make messages`) and translations (`make translations`).

    python tests/message_templates.py                 write the .pot files: what a locale needs
    python tests/message_templates.py --update [es]   merge them into the .po files of all locales, or make those of one

A text that stands in several domains belongs to `safety`, or else to `explanations`: no translator meets it twice.
"""

from __future__ import annotations

import argparse
from fnmatch import fnmatch
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import write_po
from sources import ROOT

from explanations.words.catalogues import (
    finished,
    listed,
    locales,
    read_catalogue,
    reviewed,
    with_review,
    write_catalogue,
)

# Beside the sources that they are gathered from, whichever packages are installed.
SAFETY = ROOT / "explanations" / "locale" / "safety.pot"
EXPLANATIONS = ROOT / "explanations" / "locale" / "explanations.pot"
APP = ROOT / "smart_launch" / "locale" / "app.pot"
TEMPLATES = (SAFETY, EXPLANATIONS, APP)
FOLDERS = tuple(dict.fromkeys(template.parent for template in TEMPLATES))
# Whose texts a qualified person must review before they are shown in another language.
REVIEWED = (
    "explanations/words/language.py",
    "explanations/words/lines.py",
    "explanations/words/help_lines.py",
    "explanations/words/regional.py",
    "explanations/words/findings/*",
    "explanations/words/notices/*",
    "explanations/words/patient/*",
    "explanations/words/pages/escalation_message.py",
    "explanations/words/pages/medicines.py",
    "explanations/words/pages/other_results.py",
    "explanations/words/pages/strip.py",
    "smart_launch/chart/strip.py",
    "smart_launch/chart/told.py",
    "smart_launch/forms/result.py",
    "smart_launch/forms/safety.py",
    "smart_launch/templates/smart/_safety*",
)
KEYWORDS = DEFAULT_KEYWORDS | {"later": None, "say": None, "many": (1, 2)}
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]


def gathered() -> dict[Path, Catalog]:
    """The messages of the sources as they are now, by template."""
    found = {template: Catalog() for template in TEMPLATES}
    for package, usual in (("explanations", EXPLANATIONS), ("smart_launch", APP)):
        extracted = extract_from_dir(ROOT / package, METHODS, {}, KEYWORDS, ("Translators:",))
        for name, _line, message, comments, _context in extracted:
            path = f"{package}/{Path(name).as_posix()}"
            target = SAFETY if any(fnmatch(path, pattern) for pattern in REVIEWED) else usual
            found[target].add(message, auto_comments=comments)
    for place, template in enumerate(TEMPLATES):
        for message in listed(found[template]):
            for later in TEMPLATES[place + 1 :]:
                if (twin := found[later].get(message.id)) is not None:
                    message.auto_comments = list(dict.fromkeys([*message.auto_comments, *twin.auto_comments]))
                    found[later].delete(message.id)
    return found


def write_templates() -> None:
    """Writes the templates."""
    for template, catalogue in gathered().items():
        with template.open("wb") as file:
            write_po(file, catalogue, no_location=True, omit_header=True, sort_output=True)


def update(locale: str) -> None:
    """Brings a locale's catalogues up to date: what is new is guessed from what is like it, and marked as fuzzy.

    A text that moved to another domain keeps its translation. A safety message that is new, moved or guessed is
    reviewed by nobody.
    """
    paths = {each: each.parent / locale / "LC_MESSAGES" / f"{each.stem}.po" for each in TEMPLATES}
    kept = {each: read_catalogue(path) for each, path in paths.items() if path.exists()}
    known = {message.id: message.string for each in kept.values() for message in listed(each) if finished(message)}
    for template, path in paths.items():
        made = kept.get(template, Catalog())
        made.locale = locale
        before = {message.id: message.string for message in listed(made)}
        needed = read_catalogue(template)
        for message in listed(needed):
            if message.id in known and not before.get(message.id):
                made.add(message.id, known[message.id])
        made.update(needed)
        for message in listed(made) if template == SAFETY else ():
            if message.fuzzy or not reviewed(message):
                with_review(message)
        write_catalogue(path, made)
        lacking = sum(not finished(message) for message in listed(made))
        print(f"{path.relative_to(ROOT)}: {len(made)} messages, {lacking} to do")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", nargs="*", metavar="LOCALE")
    asked = parser.parse_args().update
    write_templates()
    for each in () if asked is None else asked or locales(FOLDERS):
        update(each)
