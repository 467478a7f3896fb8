"""The page for patients: what was looked at and why, who sees it, how to say no, where to find help now.

The same for every patient of a site, so it can tell nobody anything about one of them: it is made from what is true of
the site and knows no chart. Reading grade 6 at most, by two formulas in each language (tests).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from explanations.judgement.control import ModelUse
from explanations.words.help_lines import emergency_number, how_to_reach, lines_to_name
from explanations.words.language import Language, later
from explanations.words.notices.notice import NoticeSettings
from explanations.words.tables import complete


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientFacts:
    """What the page must be true about. notices: the region and its crisis lines.

    models: what is done with estimates. is_off: all of it is switched off now. new_entries: charts are also read when
    something is added. alerts: somebody is told of acute answers. rules_stay: of those who said no, what the EHR sends
    is still judged by the rules. opt_out: locale -> whom to ask, in the site's own words. address: where the page
    stands openly; "": nowhere.
    """

    notices: NoticeSettings
    models: ModelUse
    is_off: bool = False
    new_entries: bool = False
    alerts: bool = False
    rules_stay: bool = True
    opt_out: Mapping[str, str] = field(default_factory=dict)
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientSection:
    """A heading; below it a list and paragraphs, before and after."""

    heading: str
    before: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientPage:
    """Plain text. help_now: to be seen first. address: where to read it again; ""."""

    title: str
    opening: tuple[str, ...]
    help_now: PatientSection
    sections: tuple[PatientSection, ...]
    address: str


TITLE = later("A computer program helps your care team")
OPENING = later(
    "When someone on your care team opens your health record, a computer program may look at it. It looks for signs "
    "that a person feels very low, or thinks about suicide or self-harm."
)
IS_OFF = later("Right now the program is switched off here.")
NEW_ENTRIES = later("It may also look when a new answer is added.")
SAME_FOR_ALL = (later("This page is the same for all patients."), later("It says nothing about you."))
URGENT = later("If you might hurt yourself, or do not feel safe, call {number} now.")
# Where the number is not known.
URGENT_HERE = later("If you might hurt yourself, or do not feel safe, call your local emergency number now.")
HOPE = later("Many people feel very low at some time. Talking can help, and things can get better.")
NOT_WATCHED = later("No one watches your record or your answers day and night. Please do not wait for a call from us.")
LOOKS_AT = (
    later("your answers on forms about mood, worry, drinking and thoughts of suicide"),
    later("your age and sex, your health problems, your medicines and your visits"),
    later("facts such as how you sleep, and if you smoke or drink"),
)
LOOKS_AT_NOT = later("It does not read letters or visit notes. It does not look at your phone, your mail or the web.")
PURPOSE = (
    later("Staff are busy, and an answer can be missed. The program helps them see it and ask how you are."),
    later("The program does not decide about your care. People do."),
)
GUESSES = complete(
    {
        ModelUse.NONE: (later("It follows fixed rules that people wrote. It does not guess."),),
        ModelUse.TESTED: (
            later("We are also testing a way to guess how adults feel from facts in their records."),
            later("The guess is not used in your care. Only people who test it can see it."),
        ),
        ModelUse.SPEAKS: (
            later("For adults it may also make a guess from facts in the record, so that staff ask about mood."),
            later("It makes this guess from a study of other people. It can be wrong."),
        ),
    },
    ModelUse,
)
MISSES = (later("The program can miss things."), later("So please tell us how you feel, even if no one asks."))
SEEN_BY = later("Your care team sees what the program found.")
ALERTED = later("If an answer sounds urgent, the program may also tell other staff here, so that they can help.")
CHECKED = (later("Some staff check that the program works well."), later("They see codes, not names."))
SENT_NOWHERE = (
    later("It sends nothing to you, your family, your job or your insurance."),
    later("Your care team may write about your visit in your record, as they always do."),
)
TELL = later("To say no, tell someone on your care team.")
SAY_NO = later("You do not have to say why. You still get care.")
STOPS = later("From then on the program does not look things up in your record, and it makes no guess about you.")
RULES_STAY = later(
    "Your record system may still send it answers about suicide or self-harm. It shows those to your care team."
)
RULES_GO = later("It does not look at your answers at all.")
NO_ALERTS = later("It does not tell other staff.")


def patient_page(facts: PatientFacts, say: Language, today: date, spoken: tuple[str, ...] = ()) -> PatientPage:
    """The page in a language. spoken: what the reader speaks, by code, which that language need not be."""

    def said(*messages: str) -> str:
        return " ".join(say(message) for message in messages)

    rest = RULES_STAY if facts.rules_stay else RULES_GO
    return PatientPage(
        title=say(TITLE),
        opening=(
            said(
                OPENING,
                *([NEW_ENTRIES] if facts.new_entries else []),
                *([IS_OFF] if facts.is_off else []),
            ),
            said(*SAME_FOR_ALL),
        ),
        help_now=_help_now(facts.notices, say, today, spoken or (say.locale,)),
        sections=(
            PatientSection(
                heading=say("What it looks at"), items=tuple(map(say, LOOKS_AT)), after=(said(LOOKS_AT_NOT),)
            ),
            PatientSection(
                heading=say("What it is for"), after=(said(*PURPOSE), said(*GUESSES[facts.models]), said(*MISSES))
            ),
            PatientSection(
                heading=say("Who sees it"),
                after=(said(SEEN_BY, *([ALERTED] if facts.alerts else []), *CHECKED), said(*SENT_NOWHERE)),
            ),
            PatientSection(
                heading=say("You can say no"),
                before=(" ".join((facts.opt_out.get(say.locale) or say(TELL), say(SAY_NO))),),
                after=(said(STOPS, rest, *([NO_ALERTS] if facts.alerts else [])),),
            ),
        ),
        address=facts.address,
    )


def _help_now(notices: NoticeSettings, say: Language, today: date, spoken: tuple[str, ...]) -> PatientSection:
    """The emergency number first, then the crisis lines that were checked lately, then what nobody does."""
    number = emergency_number(notices.region, notices.crisis_lines, today)
    lines = lines_to_name(notices.region, notices.crisis_lines, today, spoken)
    return PatientSection(
        heading=say("Help now"),
        before=(say(URGENT, number=number) if number else say(URGENT_HERE),),
        items=tuple(how_to_reach(line, say) for line in lines),
        after=(say(HOPE), say(NOT_WATCHED)),
    )
