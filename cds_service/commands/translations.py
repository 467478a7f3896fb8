"""`mhcds translations`: what a language still needs, and the review of its texts on safety."""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path

import click

from cds_service.commands.options import CONFIG, REQUIRED_CONFIG, one_line

LOCALE = click.argument("locale")
MOST_SHOWN = 5


@click.group()
def translations() -> None:
    """Languages: which texts one lacks, and who has reviewed its texts on safety.

    Until a person has reviewed all of them, cards and pages on safety stay in English (docs/translating.md).
    """


@translations.command()
@LOCALE
@CONFIG
@click.option("--all", "whole", is_flag=True, help="List every text, not the first few.")
def show(locale: str, folder: Path | None, *, whole: bool) -> None:
    """Print what LOCALE lacks, what nobody has reviewed, and what is no longer used."""
    from cds_service.settings.languages import faults, site_translation
    from explanations.errors import CatalogueUnreadable

    _check(locale, folder)
    try:
        found = site_translation(locale, folder)
    except CatalogueUnreadable as error:
        raise click.ClickException(str(error)) from error
    lists = {
        "without a translation": found.missing,
        "with other placeholders than the English": found.differing,
        "no longer used": found.unused,
        "on safety, reviewed by nobody": found.unreviewed,
    }
    click.echo(f"{locale}: {found.needed} texts, {found.on_safety} of them on safety")
    for name, texts in lists.items():
        click.echo(f"{len(texts)} {name}")
        shown = texts if whole else texts[:MOST_SHOWN]
        for text in shown:
            click.echo(f"  {text}")
        if len(texts) > len(shown):
            click.echo(f"  and {len(texts) - len(shown)} more (--all)")
    sys.exit(1 if faults(found) else 0)


@translations.command()
@LOCALE
@REQUIRED_CONFIG
def export(locale: str, folder: Path) -> None:
    """Write the texts on safety to FOLDER/translations/LOCALE.po, for a person to review, correct and sign.

    A file that is there already is kept, with what is new added, and without reviews of texts that have changed since.
    """
    from explanations.errors import CatalogueUnreadable
    from explanations.words.catalogues import listed, reviewable, reviewed, write_catalogue

    _check(locale, folder)
    file = _file(locale, folder)
    try:
        made = reviewable(locale, file if file.exists() else None)
    except CatalogueUnreadable as error:
        raise click.ClickException(str(error)) from error
    write_catalogue(file, made)
    done = sum(map(reviewed, listed(made)))
    click.echo(
        f"{file}: {len(made)} texts, {done} of them reviewed. Correct them there; then: "
        f"mhcds translations sign {locale}"
    )


@translations.command()
@LOCALE
@REQUIRED_CONFIG
@click.option("--by", required=True, metavar="NAME", help="Who has read every one of these texts.")
@click.option("--role", required=True, metavar="TEXT", help="Their profession or role, such as psychiatrist.")
@click.option("--on", type=click.DateTime(("%Y-%m-%d",)), help="The day of the review. Default: today.")
@click.option("--text", "texts", multiple=True, help="Sign this text alone, by its English; may be repeated.")
def sign(locale: str, folder: Path, by: str, role: str, on: datetime | None, texts: tuple[str, ...]) -> None:
    """Note that a person has reviewed the texts in FOLDER/translations/LOCALE.po, as they stand there now.

    Texts that somebody has reviewed already keep that name. A review holds for these words alone: a text that changes
    later, here or in a new release, must be reviewed anew.
    """
    from cds_service.settings.languages import site_translation
    from explanations.errors import CatalogueUnreadable
    from explanations.words.catalogues import (
        english,
        finished,
        listed,
        names_somebody,
        read_catalogue,
        reviewed,
        with_review,
        write_catalogue,
    )

    _check(locale, folder)
    file = _file(locale, folder)
    if not file.exists():
        raise click.ClickException(f"{file}: expected the texts to sign; run mhcds translations export {locale} first")
    named = [one_line(by, "--by"), one_line(role, "--role")]
    if not all(map(names_somebody, named)):
        raise click.ClickException("--by, --role: expected a name and a role, in letters and without a comma")
    today = date.today()  # noqa: DTZ011  # where it is signed
    if (day := on.date() if on else today) > today:
        raise click.ClickException(f"--on: expected today ({today}) or an earlier day; found {day}")
    try:
        made = read_catalogue(file)
    except CatalogueUnreadable as error:
        raise click.ClickException(str(error)) from error
    made.locale = locale
    known = {english(message.id): message for message in listed(made)}
    if unknown := [text for text in texts if text not in known]:
        raise click.ClickException(f"--text: expected the English of a text in {file}; found {unknown[0]}")
    signed = 0
    for message in map(known.__getitem__, texts or known):
        if finished(message) and not reviewed(message):
            with_review(message, f"Reviewed: {', '.join((*named, str(day)))}")
            signed += 1
    write_catalogue(file, made)
    left = len(site_translation(locale, folder).unreviewed)
    more = f" (mhcds translations show {locale} names them; export adds to the file what is new)" if left else ""
    click.echo(f"{file}: {signed} texts signed, {left} left{more}")


def _check(locale: str, folder: Path | None) -> None:
    from cds_service.settings.languages import known_locales, misnamed

    for line in misnamed(folder):
        click.echo(f"warning: {line}", err=True)
    known = known_locales(folder)
    if locale not in known:
        raise click.ClickException(f"LOCALE: expected {' or '.join(known) or 'none, since none ships'}; found {locale}")


def _file(locale: str, folder: Path) -> Path:
    from cds_service.settings.languages import own_catalogue

    return own_catalogue(locale, folder)
