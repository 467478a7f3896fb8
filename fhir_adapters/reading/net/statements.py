"""What a text says of suicide or self-harm: a small documented method of negation, after NegEx.

A denial counts only where it is plain: a negation next to the words, or with nothing but listed words between ("denies
current suicidal ideation"), or an answer after them ("suicidal thoughts: none"). A negation further off, a question, a
risk, a history or a "but" leaves the text unclear, which counts as unread and never as no.
"""

from __future__ import annotations

import re
from enum import IntEnum
from functools import cache

from fhir_adapters.reading.net.vocabulary import APART, finder, names_self_harm, words


class Says(IntEnum):
    """What a text says; the higher is the graver."""

    NOTHING = 0  # does not touch the subject
    NO = 1  # denied, of others, education, something done
    UNCLEAR = 2
    YES = 3


LONGEST_TEXT = 20_000
# Characters looked through for all mentions of a text together. Each is judged by its whole clause, so a long text that
# repeats itself without a full stop would take half a minute. Beyond this a text is unclear.
MOST_LOOKED_AT = 400_000
CLAUSE = re.compile(r"[^.;!?\n\r|]+[.;!?\n\r|]?")


@cache
def _parts() -> dict[str, re.Pattern[str]]:
    start, end = r"(?<![^\W_])", r"(?![^\W_])"
    between = rf"(?:{APART}(?:{words('between')}|{words('states')}|{words('asks')}))*"
    nouns = rf"(?:{APART}(?:{words('noun')}){end})*"
    return {
        "denied": re.compile(rf"{start}{words('not')}{between}[\s_/\"“’'(-]*$"),
        "answered": re.compile(rf"^{nouns}[\s:=_\"”)–-]*(?<![^\W_]){words('after')}{end}(?=\s*(?:[,.;)/|]|$))"),
        "joined": re.compile(
            rf"^(?:(?:{APART}(?:{words('between')}|{words('noun')}){end})*{APART}{words('states')}|"
            rf"(?:{APART}(?:{words('between')}|{words('noun')}){end})*{APART}{words('asks')})+"
        ),
        "again": re.compile(rf"{nouns}\s+(?:{words('not')}|{words('after')})\W*"),
        "asked": re.compile(rf"\?[\s:=-]*(?=(?:{words('after')}|yes|ja|oui|si|sim){end}\s*(?:[,.;)/|]|$))"),
        "others_before": re.compile(rf"{start}{words('others')}(?:\W+\w+){{0,3}}\W*$"),
        "others_after": re.compile(rf"^{APART}(?:\w+{APART})?{words('others')}{end}"),
        "activity_before": re.compile(rf"{start}{words('activity')}(?:[^\w.]+\w+){{0,2}}[^\w.]*$"),
        "activity_after": re.compile(rf"^{nouns}[\s:/-]*{words('activity')}{end}"),
    }


def says(text: str) -> Says:
    """What a text (lower case, without accents) says of suicide or self-harm: the gravest of its clauses."""
    if not names_self_harm(text):
        return Says.NOTHING
    gravest = Says.UNCLEAR if names_self_harm(text[LONGEST_TEXT:]) else Says.NOTHING
    looked_at = 0
    # "Suicidal ideation? No" is one statement.
    text = _parts()["asked"].sub(": ", text[:LONGEST_TEXT])
    turned = bool(finder("turn").search(text))
    for clause in CLAUSE.findall(text):
        for use in ("states", "asks"):
            for match in finder(use).finditer(clause):
                looked_at += len(clause)
                if looked_at > MOST_LOOKED_AT:
                    return max(gravest, Says.UNCLEAR)
                said = _mention(clause, match.span())
                if (said is Says.NO and turned) or (said is Says.YES and use == "asks"):
                    said = Says.UNCLEAR
                gravest = max(gravest, said)
                if gravest is Says.YES:
                    return gravest
    return gravest


def _mention(clause: str, span: tuple[int, int]) -> Says:
    before, mention, after = clause[: span[0]], clause[slice(*span)], clause[span[1] :]
    parts = _parts()
    if _of_others(before, mention, after):
        # "Mother died, suicidal": after a comma it may be the patient, unless a colon opens a list.
        return Says.UNCLEAR if re.match(rf"[^:]*(?:{ASIDE})", _last_others(before)) else Says.NO
    denied = parts["denied"].search(before)
    if denied:
        # "No longer denies": two negations in one breath are not a denial.
        twice = finder("not").search(re.split(r",|:", before[: denied.start()])[-1])
        return Says.UNCLEAR if twice or parts["again"].fullmatch(after) else Says.NO
    # One answer can be to several words: "better off dead or hurting yourself: no".
    if parts["answered"].search(parts["joined"].sub("", after)):
        return Says.NO
    negated = finder("not").search(before)
    if clause.rstrip().endswith("?") or negated:
        return Says.UNCLEAR
    grave = finder("grave").search(before + after)
    if parts["activity_before"].search(before) or parts["activity_after"].search(after):
        return Says.UNCLEAR if grave else Says.NO
    if finder("unsure").search(before + after):
        return Says.YES if grave and not finder("not").search(after) else Says.UNCLEAR
    return Says.YES


ASIDE = r",|\s[-–]\s"


def _last_others(before: str) -> str:
    """What stands between the last word on others and the mention."""
    return before[max((m.end() for m in finder("others").finditer(before)), default=len(before)) :]


def _of_others(before: str, mention: str, after: str) -> bool:
    parts = _parts()
    behind = parts["others_after"].search(after)
    return bool(
        parts["others_before"].search(before)
        or (behind and not re.search(ASIDE, behind[0]))
        or finder("others").search(mention)
    )


class Asks(IntEnum):
    """What a question, or the name of an entry, is about."""

    NOTHING = 0
    OTHERS = 1  # family, prevention, education
    ACTIVITY = 2  # whether something was done
    DENIAL = 3  # worded so that "yes" denies
    SELF_HARM = 4


def asks(text: str) -> Asks:
    """What a question (lower case, without accents) asks about."""
    parts, found, looked_at = _parts(), Asks.NOTHING, 0
    if finder("name").fullmatch(text):
        return Asks.SELF_HARM
    for use in ("states", "asks"):
        for match in finder(use).finditer(text):
            before, after = text[: match.start()], text[match.end() :]
            looked_at += len(text)
            if looked_at > MOST_LOOKED_AT:
                return Asks.SELF_HARM
            if _of_others(before, match[0], after):
                about = Asks.OTHERS
            elif parts["activity_before"].search(before) or parts["activity_after"].search(after):
                about = Asks.ACTIVITY
            elif parts["denied"].search(before):
                about = Asks.DENIAL
            else:
                about = Asks.SELF_HARM
            found = max(found, about)
            if found is Asks.SELF_HARM:
                return found
    return found
