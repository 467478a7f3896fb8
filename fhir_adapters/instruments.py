"""The screening instruments, one row each: scale, items, cut scores, and how each is recognised and shown.

A new instrument is a row here, and rows for its codes in `codesets/instruments.csv` (answers in words:
`codesets/answer_words.csv`). Every field is required. No FHIR.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Band(StrEnum):
    """A severity band of totals (docs/clinical-sources.md S1). It describes a total, not a person."""

    MINIMAL = "minimal"
    MILD = "mild"
    MODERATE = "moderate"
    MODERATELY_SEVERE = "moderately-severe"
    SEVERE = "severe"


Bands = tuple[tuple[int, Band], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How each question is answered: 0 to `top`.

    `codes`: groups of answer codes in `codesets/instruments.csv`; `words`: the options of `codesets/answer_words.csv`.
    """

    top: int
    codes: tuple[str, ...]
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyItem:
    """The question of a graded instrument that asks about self-harm or suicide.

    positive_days: how long an answer above 0 counts as positive (R7). further: questions outside the total that count
    as the item does (docs/clinical-sources.md S1).
    """

    item: str
    positive_days: int
    further: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentSpec:
    """One instrument.

    family: instruments with the same items and scale. code_group: its group in
    `codesets/instruments.csv`; None without standard codes. items: for a graded instrument, those of the total.
    scale: None where every item is yes/no. bands: each with its lowest total; None: no trend is shown.
    depression_cut: the total from which depression is followed up (R6); severe_total: from which, sooner.
    safety: None where no single graded item asks about self-harm. negative_items: those that a complete negative
    answers with no (R3); None: it never lowers a finding.
    asked_from: the lowest age in years at which the app asks it (`writing/forms/`); None: it never does. site_map: a
    site may map its items.
    input_only: used only as a model input. home: its own page, by guideline link.
    """

    title: str
    family: str
    code_group: str | None
    items: tuple[str, ...]
    scale: Scale | None
    bands: Bands | None
    depression_cut: int | None
    severe_total: int | None
    safety: SafetyItem | None
    negative_items: tuple[str, ...] | None
    asked_from: int | None
    site_map: bool
    input_only: bool
    home: str | None

    @property
    def yes_no(self) -> bool:
        """Whether every question is answered yes or no."""
        return self.scale is None

    @property
    def top_item(self) -> int:
        """The highest score of a question; 1 for a yes."""
        return self.scale.top if self.scale else 1

    @property
    def top_total(self) -> int:
        """The highest total."""
        return self.top_item * len(self.items)

    @property
    def further(self) -> tuple[str, ...]:
        """Questions outside the total that count as the self-harm item does."""
        return self.safety.further if self.safety else ()

    @property
    def total_of_others(self) -> int:
        """The highest total possible without the self-harm item (R6)."""
        return self.top_total - self.top_item

    def band(self, total: int) -> Band | None:
        """The severity band of a total; None for an instrument without bands."""
        return next((band for lowest, band in reversed(self.bands or ()) if total >= lowest), None)


# "Not at all" to "nearly every day"; the code of GAD-7 item 2 means "more than half the days".
FREQUENCY = Scale(top=3, codes=("LL358-3", "gad7.item2"), words="phq, gad-7")
EPDS_OPTIONS = Scale(top=3, codes=FREQUENCY.codes, words="epds")
DRINKING = Scale(top=4, codes=("auditc.item1", "auditc.item2", "auditc.item3"), words="audit-c")

PHQ_BANDS = (
    (0, Band.MINIMAL),
    (5, Band.MILD),
    (10, Band.MODERATE),
    (15, Band.MODERATELY_SEVERE),
    (20, Band.SEVERE),
)
GAD_BANDS = ((0, Band.MINIMAL), (5, Band.MILD), (10, Band.MODERATE), (15, Band.SEVERE))


def numbered(count: int, prefix: str = "") -> tuple[str, ...]:
    """Items 1 to `count`."""
    return tuple(f"{prefix}{number}" for number in range(1, count + 1))


class Instrument(StrEnum):
    """The supported screening instruments. Scales, cuts and windows: docs/clinical-sources.md S1 to S4."""

    spec: InstrumentSpec

    def __new__(cls, value: str, spec: InstrumentSpec) -> Self:
        """A member whose value is the id alone."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.spec = spec
        return member

    PHQ9 = "phq-9", InstrumentSpec(
        title="PHQ-9", family="phq-9", code_group="phq9", home=None,
        items=numbered(9), scale=FREQUENCY, bands=PHQ_BANDS, depression_cut=10, severe_total=20,
        safety=SafetyItem(item="9", positive_days=14, further=()), negative_items=None,
        asked_from=18, site_map=False, input_only=False,
    )  # fmt: skip
    PHQ9M = "phq-9m", InstrumentSpec(
        title="PHQ-9M", family="phq-9", code_group="phq9m", home=None,
        items=numbered(9), scale=FREQUENCY, bands=PHQ_BANDS, depression_cut=10, severe_total=20,
        safety=SafetyItem(item="9", positive_days=14, further=("past_month_thoughts", "lifetime_attempt")),
        negative_items=None, asked_from=None, site_map=True, input_only=False,
    )  # fmt: skip
    PHQ2 = "phq-2", InstrumentSpec(
        title="PHQ-2", family="phq-2", code_group="phq2", home=None,
        items=numbered(2), scale=FREQUENCY, bands=None, depression_cut=3, severe_total=None,  # cut: Arroll 2010
        safety=None, negative_items=None, asked_from=18, site_map=False, input_only=False,
    )  # fmt: skip
    # EPDS asks about the past seven days; no LOINC code was found for item 10, so a site maps it, as we our form.
    EPDS = "epds", InstrumentSpec(
        title="EPDS", family="epds", code_group="epds", home=None,
        items=numbered(10), scale=EPDS_OPTIONS, bands=None, depression_cut=13, severe_total=None,
        safety=SafetyItem(item="10", positive_days=7, further=()), negative_items=None,
        asked_from=18, site_map=True, input_only=False,
    )  # fmt: skip
    CSSRS = "c-ssrs", InstrumentSpec(
        title="C-SSRS", family="c-ssrs", code_group="cssrs.screener", home="cssrs-triage",
        items=(*numbered(6, "q"), "q6_recent"), scale=None, bands=None, depression_cut=None, severe_total=None,
        safety=None, negative_items=("q1", "q2", "q6"), asked_from=None, site_map=True, input_only=False,
    )  # fmt: skip
    # Validated from 8 years on (NIMH's toolkit; docs/clinical-sources.md S3).
    ASQ = "asq", InstrumentSpec(
        title="ASQ", family="asq", code_group="asq", home="nimh-asq",
        items=(*numbered(4, "q"), "acuity"), scale=None, bands=None, depression_cut=None, severe_total=None,
        safety=None, negative_items=numbered(4, "q"), asked_from=8, site_map=True, input_only=False,
    )  # fmt: skip
    # The overall result of a screen that is not named: 93374-7 is used by several.
    RISK_LEVEL = "risk-level", InstrumentSpec(
        title="Suicide risk screen", family="risk-level", code_group=None, home=None,
        items=(), scale=None, bands=None, depression_cut=None, severe_total=None,
        safety=None, negative_items=None, asked_from=None, site_map=False, input_only=False,
    )  # fmt: skip
    GAD7 = "gad-7", InstrumentSpec(
        title="GAD-7", family="gad-7", code_group="gad7", home=None,
        items=numbered(7), scale=FREQUENCY, bands=GAD_BANDS, depression_cut=None, severe_total=None,
        safety=None, negative_items=None, asked_from=18, site_map=False, input_only=False,
    )  # fmt: skip
    AUDITC = "audit-c", InstrumentSpec(
        title="AUDIT-C", family="audit-c", code_group="auditc", home=None,
        items=numbered(3), scale=DRINKING, bands=None, depression_cut=None, severe_total=None,
        safety=None, negative_items=None, asked_from=18, site_map=False, input_only=True,
    )  # fmt: skip


SAFETY_ITEMS = {i: i.spec.safety for i in Instrument if i.spec.safety}
DEPRESSION_CUTS = {i: i.spec.depression_cut for i in Instrument if i.spec.depression_cut}
# The item whose answer 0 ends the form, so that the total is 0: after "Never" the AUDIT skips to its questions 9
# and 10, which are beyond the AUDIT-C (WHO/MSD/MSB/01.6a, interview version, in public copies).
ENDED_BY = {Instrument.AUDITC: "1"}
SUICIDE_SCREENS = tuple(i for i in Instrument if i.spec.yes_no)
# The nine-item PHQ, for adults and for adolescents: the rules treat both alike.
NINE_ITEM_PHQ = tuple(i for i in Instrument if i.spec.family == Instrument.PHQ9.spec.family)
ADMINISTERED = tuple(i for i in Instrument if i.spec.asked_from is not None)
