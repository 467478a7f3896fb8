"""Message catalogues as translators keep them, read at start: `<folder>/<locale>/LC_MESSAGES/<domain>.po`.

A folder's templates, `<domain>.pot`, say which messages a locale needs. The domain `safety` holds every text that a
qualified person must review before it is shown; each of its messages has a comment, `Reviewed: nobody` or
`Reviewed: <name>, <role>, <date>, of <digest>`, which holds for the text of that digest (docs/translating.md).
"""

from __future__ import annotations

import gettext
import re
import sys
from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from string import Formatter

from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po, write_po

from explanations.errors import CatalogueUnreadable

FOLDER = Path(__file__).parents[1] / "locale"
SAFETY = "safety"
NOBODY = "Reviewed: nobody"
_REVIEWED = re.compile(r"Reviewed: ([^,]+), ([^,]+), ([0-9]{4}-[0-9]{2}-[0-9]{2}), of ([0-9a-f]{8})")
_PLACES = re.compile(r"%\(\w+\)s|%%|%|</?[A-Za-z][^<>]*|<[!?/]")
HEADER = """\
msgid ""
msgstr ""
"Language: {locale}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {plural_forms}\\n"

"""


MessageId = str | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """The messages of a locale, and what is wrong with them, each by its English text.

    missing: without a finished text (none, empty, or marked as fuzzy). differing: with other placeholders or tags than
    the English. unreviewed: on safety, and no person has reviewed the translation. unused: of a site's own catalogue,
    and no longer among those needed. needed, on_safety: how many a locale needs, in all and for safety.
    """

    locale: str
    texts: gettext.NullTranslations = field(repr=False)
    missing: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    unreviewed: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    needed: int = 0
    on_safety: int = 0


def locales(folders: Iterable[Path] = (FOLDER,)) -> tuple[str, ...]:
    """The locales that have a catalogue, in order; English, whose texts are the keys, has none."""
    return tuple(sorted({path.parents[1].name for folder in folders for path in folder.glob("*/LC_MESSAGES/*.po")}))


def translation(locale: str, folders: tuple[Path, ...] = (FOLDER,), own: Path | None = None) -> Translation:
    """All domains of a locale as one, as it ships and with a site's `own` catalogue, whose texts win.

    A text is reviewed where either has it so, word for word. Raises CatalogueUnreadable.
    """
    needed, texts = needed_messages(folders), dict(shipped_messages(locale, folders))
    checked, unused = {each for each, message in texts.items() if reviewed(message)}, []
    for each, message in _by_id([own] if own else []).items():
        if each not in needed:
            unused.append(english(each))
        elif finished(message):
            if reviewed(message):
                checked.add(each)
            elif each not in texts or texts[each].string != message.string:
                checked.discard(each)
            texts[each] = message
    merged, file = Catalog(locale=locale), BytesIO()
    # A number whose form a translator left out would be said in English, in the middle of a card.
    texts = {each: message for each, message in texts.items() if _has_forms(message, merged.num_plurals)}
    for message in texts.values():
        merged.add(message.id, message.string)
    write_mo(file, merged)
    file.seek(0)
    return Translation(
        locale=locale,
        texts=gettext.GNUTranslations(file),
        missing=tuple(english(each) for each in needed if each not in texts),
        differing=tuple(english(each) for each in needed if each in texts and not _agree(texts[each])),
        unreviewed=tuple(english(each) for each, on_safety in needed.items() if on_safety and each not in checked),
        unused=tuple(unused),
        needed=len(needed),
        on_safety=sum(needed.values()),
    )


@cache
def needed_messages(folders: tuple[Path, ...] = (FOLDER,)) -> Mapping[MessageId, bool]:
    """What a locale needs, by the templates: each message, and whether it is on safety."""
    paths = [path for folder in folders for path in sorted(folder.glob("*.pot"))]
    return {each: path.stem == SAFETY for path in paths for each in _by_id([path])}


@cache
def shipped_messages(locale: str, folders: tuple[Path, ...] = (FOLDER,)) -> Mapping[MessageId, Message]:
    """The finished messages of a locale as it ships."""
    paths = [path for folder in folders for path in sorted(folder.glob(f"{locale}/LC_MESSAGES/*.po"))]
    return {each: message for each, message in _by_id(paths).items() if finished(message)}


def _by_id(paths: Iterable[Path]) -> dict[MessageId, Message]:
    """The messages of files; a plural message by all its English forms."""
    read = (message for path in paths for message in listed(read_catalogue(path)))
    return {message.id if isinstance(message.id, str) else tuple(message.id): message for message in read}


def reviewable(locale: str, own: Path | None) -> Catalog:
    """The messages on safety with their notes, for a person to review: texts of `own`, else as they ship.

    A review of another text is taken out. What else `own` has stays in it.
    """
    made = read_catalogue(own) if own else Catalog(locale=locale)
    made.locale = locale
    texts = dict(shipped_messages(locale)) | _by_id([own] if own else [])
    for each, needed in _by_id([FOLDER / f"{SAFETY}.pot"]).items():
        found = texts.get(each)
        text, notes = (found.string, found.user_comments) if found else ("", [])
        made.add(each, text, auto_comments=needed.auto_comments, user_comments=notes, flags=needed.flags)
        message = made.get(each)  # what `add` gives is not what stands there, where one stood before
        if message and not reviewed(message):
            with_review(message)
    return made


def read_catalogue(path: Path) -> Catalog:
    """A `.po` or `.pot` file. Raises CatalogueUnreadable, with the line."""
    try:
        # Editors on Windows put a mark first, which Babel takes for a keyword.
        file = BytesIO(path.read_bytes().removeprefix(BOM_UTF8))
        return read_po(file, abort_invalid=True, domain=path.stem)
    except (PoFileError, OSError, ValueError) as error:
        raise CatalogueUnreadable(f"{path}: expected a message catalogue (.po, in UTF-8); {error}") from error


def write_catalogue(path: Path, catalogue: Catalog) -> None:
    """Writes a `.po` file: sorted, a message or note a line, with no dates, so that a change shows what changed."""
    file = BytesIO()
    # A width of 0 would cut long notes, and a review is read from one line.
    write_po(
        file, catalogue, width=sys.maxsize, no_location=True, omit_header=True, sort_output=True, ignore_obsolete=True
    )
    header = HEADER.format(locale=catalogue.locale_identifier, plural_forms=catalogue.plural_forms)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header.encode() + file.getvalue().strip() + b"\n")


def listed(catalogue: Catalog) -> list[Message]:
    """The messages of a catalogue, without its header."""
    return [message for message in catalogue if message.id]


def english(message_id: str | Sequence[str]) -> str:
    """The English text of a message; of one with a number, the singular."""
    return message_id if isinstance(message_id, str) else message_id[0]


def reviewed(message: Message) -> bool:
    """Whether a person reviewed the message as it is now: its review says who, in which role, on which day."""
    reviews = [each for each in message.user_comments if _is_review(each)]
    return bool(reviews) and all(_holds(each, _digest(message)) for each in reviews)


def _is_review(comment: str) -> bool:
    return comment.partition(":")[0] == "Reviewed"


def _holds(review: str, digest: str) -> bool:
    found = _REVIEWED.fullmatch(review)
    try:
        return (
            found is not None
            and found[4] == digest
            and bool(date.fromisoformat(found[3]))
            and all(map(names_somebody, found.group(1, 2)))
        )
    except ValueError:
        return False


def names_somebody(text: str) -> bool:
    """Whether a review can have this name or role."""
    return any(map(str.isalpha, text)) and "," not in text and text.strip().casefold() != "nobody"


def _digest(message: Message) -> str:
    """Of the English and the translation in all their forms: a review of other words has another."""
    return sha256("\0".join((*_forms(message.id), "", *_forms(message.string))).encode()).hexdigest()[:8]


def with_review(message: Message, line: str | None = None) -> None:
    """Notes in place of an earlier review who reviewed a message as it is now, or that nobody has.

    line: `Reviewed: <name>, <role>, <date>`; the digest is added.
    """
    kept = [each for each in message.user_comments if not _is_review(each)]
    message.user_comments = [*kept, f"{line}, of {_digest(message)}" if line else NOBODY]


def finished(message: Message) -> bool:
    """Whether a message is translated, in every plural form, and not only guessed."""
    return not message.fuzzy and all(_forms(message.string))


def _has_forms(message: Message, plurals: int) -> bool:
    """Whether a message with a number has as many forms as the language."""
    return isinstance(message.id, str) or len(_forms(message.string)) == plurals


def _forms(text: str | Iterable[str] | None) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text or ("",))


def _agree(message: Message) -> bool:
    """Whether every form has the placeholders and tags of the English; `{count}` may be left out."""
    try:
        english = [_places(text) for text in _forms(message.id)]
        given = [_places(text) for text in _forms(message.string)]
    except ValueError:
        return False
    least, most = set.intersection(*english) - {"{count}"}, set.union(*english)
    return all(least <= places <= most for places in given)


def _places(text: str) -> set[str]:
    """What is filled in or marked up in a text.

    Raises ValueError for a brace that is not closed, or says how to fill it: that fails once a card is made.
    """
    fields = [field for field in Formatter().parse(text) if field[1] is not None]
    if any(spec or conversion for _, _, spec, conversion in fields):
        raise ValueError("expected a name alone in braces")
    return {f"{{{name}}}" for _, name, _, _ in fields} | set(_PLACES.findall(text))
