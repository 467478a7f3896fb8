"""The text for a clinician's note: everything that was said and by whom, nothing that was not, and no score of a model."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from explanations.words.language import language
from explanations.words.pages.note import note_of, total_words
from fhir_adapters.writing.questionnaires import EntryState, FormAnswer, FormAnswers, form

AT = datetime(2026, 11, 23, 10, 5, tzinfo=ZoneInfo("America/New_York"))
ENGLISH = language()
DECLINED, OPEN = EntryState.DECLINED, EntryState.OPEN


def answers(name: str, *said: int | EntryState) -> FormAnswers:
    """A number is the answer of that place."""
    asked = form(name)
    given = [
        FormAnswer(question=q, state=s)
        if isinstance(s, EntryState)
        else FormAnswer(question=q, state=EntryState.ANSWERED, option=q.options[s])
        for q, s in zip(asked.questions, said, strict=True)
    ]
    return FormAnswers(form=asked, given=tuple(given))


WHOLE = """\
PHQ-9, 23 Nov 2026 10:05 EST, entered by Dr Robin Lindqvist
PHQ-9 total 11 of 27, moderate
PHQ-9 item 9: 1 of 3, several days
1. Little interest or pleasure in doing things: More than half the days (2)
2. Feeling down, depressed, or hopeless: More than half the days (2)
3. Trouble falling or staying asleep, or sleeping too much: Several days (1)
4. Feeling tired or having little energy: Several days (1)
5. Poor appetite or overeating: Not at all (0)
6. Feeling bad about yourself — or that you are a failure or have let yourself or your family down: Several days (1)
7. Trouble concentrating on things, such as reading the newspaper or watching television: More than half the days (2)
8. Moving or speaking so slowly that other people could have noticed. Or the opposite — being so fidgety or restless \
that you have been moving around a lot more than usual: Several days (1)
9. Thoughts that you would be better off dead or of hurting yourself in some way: Several days (1)
10. If you checked off any problems, how difficult have these problems made it for you to do your work, take care of \
things at home, or get along with other people?: Somewhat difficult"""


def test_a_whole_form_is_whole_in_the_note() -> None:
    said = answers("phq-9", 2, 2, 1, 1, 0, 1, 2, 1, 1, 1)

    assert note_of(said, AT, "Dr Robin Lindqvist", ENGLISH, bands=True) == WHOLE


@pytest.mark.parametrize(
    ("said", "lines", "count"),
    [
        # A declined answer is named, and there is no total then.
        (
            ("phq-9", 1, DECLINED, 0, 0, 0, 0, 0, 0, 0, OPEN),
            {
                1: "PHQ-9: no total; a declined answer is not counted as zero",
                2: "PHQ-9 item 9: 0 of 3, not at all",
                4: "2. Feeling down, depressed, or hopeless: declined",
            },
            12,
        ),
        (
            ("phq-9", *[0] * 8, DECLINED, DECLINED),
            {2: "PHQ-9 item 9: declined", 11: "9. Thoughts that you would be better off dead or of hurting yourself in some way: declined"},
            13,
        ),
        # Item 9 stands at the top whatever the total, a 0 as well.
        (("phq-9", *[0] * 9, OPEN), {1: "PHQ-9 total 0 of 27, minimal", 2: "PHQ-9 item 9: 0 of 3, not at all"}, 12),
        (("phq-9", *[3] * 9, OPEN), {1: "PHQ-9 total 27 of 27, severe", 2: "PHQ-9 item 9: 3 of 3, nearly every day"}, 12),
        # The PHQ-2 has neither bands nor the item.
        (("phq-2", 3, 2), {0: "PHQ-2, 23 Nov 2026 10:05 EST", 1: "PHQ-2 total 5 of 6", 2: "1. Little interest or pleasure in doing things: Nearly every day (3)"}, 4),
    ],
)  # fmt: skip
def test_what_stands_in_a_note(said: tuple, lines: dict[int, str], count: int) -> None:
    found = note_of(answers(*said), AT, None, ENGLISH, bands=True).split("\n")

    assert {place: found[place] for place in lines} == lines
    assert len(found) == count


@pytest.mark.parametrize(
    ("total", "band"),
    [(0, "minimal"), (4, "minimal"), (5, "mild"), (9, "mild"), (10, "moderate"), (14, "moderate"),
     (15, "moderately severe"), (19, "moderately severe"), (20, "severe"), (27, "severe")],
)  # fmt: skip
def test_a_total_has_the_published_name_of_its_band(total: int, band: str) -> None:
    each = [total // 9 + (place < total % 9) for place in range(9)]

    assert total_words(answers("phq-9", *each, OPEN), ENGLISH, bands=True) == f"PHQ-9 total {total} of 27, {band}"
