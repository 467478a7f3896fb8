"""What the summary shows in each state, in which order, and what it never says."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import msgspec
import pytest
from app_views import LOOKS, english_app, look, summary

from explanations.words.lines import LineRole
from explanations.words.notices.topics import SPEC_OF
from fhir_adapters.facts import Consent, Unknown
from fhir_adapters.gaps import Cause, Gap
from models.rules.findings import Topic
from smart_launch.chart.rights import missing_rights
from smart_launch.chart.strip import strip_of
from smart_launch.chart.summary import Summary, summary_of

CSSRS, ASSESSMENT = "tasks/new?order=c-ssrs", "tasks/new?order=assessment"
CONTACT, FORM = "tasks/new", "forms/phq-9"
ORDER = (
    "answer-title",
    "findings-title",
    "phq-9-title",
    "known-title",
    "estimate-title",
    "medicines-title",
    "guidelines-title",
    "opinion-title",
)


@cache
def page(name: str, kind: str = "summary") -> str:
    answer = english_app().test_client().get(f"/smart/look/{kind}/{name}")
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def without_note(name: str, kind: str = "summary") -> str:
    return re.sub(r'(?s)<textarea id="note".*?</textarea>', "", page(name, kind))


def words(name: str, kind: str = "summary") -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", without_note(name, kind)))


def paths(found: Summary) -> list[list[str]]:
    return [[action.path for action in finding.actions] for finding in found.findings]


def test_sections_stand_in_the_order_in_which_they_are_asked_for() -> None:
    text = page("ask")

    places = [text.index(f'id="{name}"') for name in ORDER]

    assert places == sorted(places)


@pytest.mark.parametrize("name", LOOKS)
def test_no_state_reassures_foretells_or_praises(name: str) -> None:
    said = words(name).lower()

    for never in ("low risk", "predicts", "no risk", "all clear", "improved", "response to", "imminent", "✓", "✔", "%"):
        assert never not in said, never


@pytest.mark.parametrize("name", LOOKS)
def test_findings_are_those_of_the_notices_in_their_order(name: str) -> None:
    reading, _ = look(name)
    kept = reading.assessment.chart.consent is not Consent.ALLOWED

    found = summary(name)

    assert [f.topic for f in found.findings] == ([] if kept else [n.topic.value for n in reading.notices])


def test_the_card_that_the_clinician_came_from_is_marked_and_hides_no_other() -> None:
    found = summary("ask")

    assert [f.came_from for f in found.findings] == [True, False]
    assert "Opened from this card" in page("ask")
    assert "Opened from this card" not in page("recent")


def test_acute_answers_come_with_their_steps_first_and_the_estimate_is_folded() -> None:
    found, text = summary("acute"), words("acute")

    assert (found.strip.edge, found.findings[0].edge, found.findings[0].word) == ("acute", "acute", "Acute")
    strip = text[text.index("Acute") : text.index("In the chart")]
    places = [strip.index(part) for part in ("Stay with the patient", "ext. 4410", "Draft order", "Crisis lines:")]
    assert places == sorted(places)
    assert "Show the estimate" in text


def test_a_current_positive_asq_says_on_top_that_the_assessment_comes_before_the_patient_leaves() -> None:
    assert [str(step) for step in summary("young").strip.steps] == [
        "Brief suicide safety assessment before the patient leaves"
    ]
    assert summary("ask").strip.steps == ()


def test_other_findings_show_what_is_in_the_chart_first() -> None:
    text = words("ask")

    assert text.index("In the chart") < text.index("Consider today")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ask", [CSSRS, [CONTACT], []]),
        ("acute", [ASSESSMENT, [CONTACT], [FORM], ["forms/phq-2"]]),
        ("recent", [ASSESSMENT, [CONTACT]]),
        ("follow-up", [FORM, [CONTACT]]),
        ("prompt", [FORM, [], ["forms/phq-2"]]),
        ("anomaly", [None, []]),
        ("young", [ASSESSMENT, [CONTACT]]),
        ("rights", [CSSRS, [], []]),
        ("not-assessed", [FORM, [""]]),
        ("nothing", [FORM]),
        ("deceased", [None]),
    ],
)
def test_there_is_one_main_button_and_every_other_stands_once_where_it_is_needed_first(name: str, expected) -> None:
    found = summary(name)

    assert [found.strip.main and found.strip.main.path, *paths(found)] == expected
    assert page(name).count('class="button"') == (1 if expected[0] else 0)


@pytest.mark.parametrize("name", LOOKS)
def test_crisis_lines_and_who_was_notified_stand_once(name: str) -> None:
    told = summary(name).strip.told
    safety = {f.topic for f in summary(name).findings} & {"acute-safety", "positive-safety-answer", "recent-safety"}

    assert words(name).count("Crisis lines:") <= 1
    assert words(name).count(told.words if told else "Nobody has been notified.") == (1 if safety or told else 0)
    assert words(name).count("Nobody has been notified") <= 1
    assert not safety or "Crisis lines:" in words(name)


def test_the_strip_says_what_was_done_since_what_was_not_found_and_what_was_not_read() -> None:
    done, unread = summary("done-since").strip.since, summary("steps-unread").strip.since

    assert done == (
        (
            "On file since: C-SSRS answered no, 18 Nov 2026; suicide risk assessment, 20 Nov 2026; safety plan, "
            "20 Nov 2026; follow-up appointment, 27 Nov 2026 07:00 EST."
        ),
        "Answers of “no” or “not at all” do not rule out risk.",
    )
    assert unread == (
        "On file, but not certain that it came later: safety plan, 23 Nov 2026.",
        "None found since: suicide risk assessment.",
        "Not read: follow-up appointment.",
    )
    assert summary("follow-up").strip.since == (), "steps follow safety findings"


def test_without_the_right_to_read_the_steps_nothing_else_is_said_to_be_missing() -> None:
    text = words("steps-unread")

    assert text.count("Not read") == 1
    assert "Not everything could be read" not in text and "Try again" not in text


def test_rights_to_read_the_steps_that_were_not_granted_are_no_missing_rights() -> None:
    _, launch = look("ask")
    granted = tuple(scope for scope in launch.session.scopes if "CarePlan" not in scope and "Appointment" not in scope)

    assert len(granted) == len(launch.session.scopes) - 2
    assert missing_rights(replace(launch, session=msgspec.structs.replace(launch.session, scopes=granted))) == ()


def test_the_strip_has_the_severity_of_a_result_and_its_change_in_points() -> None:
    assert summary("ask").strip.result == "PHQ-9 14, moderate; up 6 points from 8 on 1 Jun 2026"
    assert summary("follow-up").strip.result == "PHQ-9 16, moderately severe; item 9 “not at all”"
    reading, launch = look("history")
    assert "item 9 not on file" in summary("history").strip.result
    gap = Unknown(what="questionnaires", reason=Gap(cause=Cause.TOO_LATE), needed=False)
    chart = replace(reading.assessment.chart, unknown=(gap,))
    unread = replace(reading, assessment=replace(reading.assessment, chart=chart))
    assert "item 9 not among the answers read" in strip_of(unread, launch, only_history=True).result
    assert summary("ask").strip.course and not summary("follow-up").strip.course
    assert summary("acute").strip.result == "", "a C-SSRS has no total"
    assert "Last result, 17 Nov 2026, 6 days ago: PHQ-9 0, minimal" in summary("answered").strip.result


@pytest.mark.parametrize("name", LOOKS)
def test_references_stand_in_the_list_of_sources_and_the_note_alone(name: str) -> None:
    text = without_note(name)
    start = text.find('<ol class="sources">')
    listed = text[start : text.index("</ol>", start)] if start >= 0 else ""

    assert "<code>" not in text.replace(listed, "")
    assert not re.search(r"\b[A-Z][A-Za-z]+/[a-z]{4}-[0-9]+", text.replace(listed, ""))
    cited = [int(number) for number in re.findall(r"source ([0-9]+)", text)]
    assert set(cited) == set(range(1, listed.count("<li") + 1))


def test_an_estimate_stands_open_only_where_nothing_but_a_model_prompts() -> None:
    for name in LOOKS:
        found, text = summary(name), page(name)
        ruled = [f for f in found.findings if not f.by_model]
        if "Show the estimate" in text:
            assert ruled or not found.findings, name
        elif any(panel.rows for panel in found.estimates):
            assert found.findings and not ruled, name
        section = text[text.find('id="estimate-title"') :] if not found.withheld else ""
        assert "<strong>Below" not in section and "<strong>No estimate" not in section, name


def test_counts_of_inputs_are_shown_only_where_a_model_speaks() -> None:
    assert "model inputs known" not in words("ask") and "model inputs known" not in words("young")
    assert "model inputs known" in words("prompt")


def test_an_override_is_offered_with_the_reasons_of_the_card() -> None:
    for name in LOOKS:
        strip = summary(name).strip
        reasons = [reason.code for reason in SPEC_OF[Topic(strip.topic)].overrides] if strip.topic else []
        assert [code for code, _ in strip.reasons] == reasons
    assert "Already assessed…" in words("ask") and "Already assessed" not in words("follow-up")


def test_a_safety_plan_is_linked_after_safety_findings_alone() -> None:
    reading, launch = look("ask")
    notices = replace(launch.site.notices, safety_plan="https://forms.example/plan")
    launch = replace(launch, site=replace(launch.site, notices=notices))

    assert summary_of(reading, launch).plan_form == "https://forms.example/plan"
    assert [link.url for link in summary("ask").plan_links] == [
        "https://sprc.org/resources/calm-counseling-on-access-to-lethal-means/",
        "https://988lifeline.org/",
    ]
    assert summary_of(look("follow-up")[0], launch).plan_form is None
    assert 'id="plan-title"' not in page("follow-up") and 'id="plan-title"' in page("ask")


def test_nothing_to_show_is_said_with_care() -> None:
    text = words("nothing")

    assert "No current findings in the records read." in text
    assert (
        "This does not mean that the patient is well; people often do not disclose. Ask if you are concerned." in text
    )
    assert "Start PHQ-9 with the patient" in text


def test_history_is_shown_also_where_no_finding_carries_it() -> None:
    text = words("history")

    assert "Nothing to show" not in text
    assert "Only past history found in the records read. This does not mean that the patient is well" in text
    assert "History: suicide attempt, 19 Oct 2025," in text
    assert "History: PHQ-9 total of 25 means item 9 was above 0, 7 May 2026," in text
    assert text.index("History: suicide attempt") < text.index("One result: 25 on 7 May 2026")
    assert "History in the chart" not in words("many"), "a finding carries it"


@pytest.mark.parametrize(
    ("name", "title", "drawn"),
    [
        ("ask", "PHQ-9 over time", ["small", "narrow", "wide"]),
        ("history", "PHQ-9", []),
        ("bare", "PHQ-9", []),
    ],
)
def test_a_trend_is_drawn_from_two_results_on(name: str, title: str, drawn: list[str]) -> None:
    (found,) = summary(name).trends

    assert (found.title, list(found.pictures), bool(found.events)) == (title, drawn, bool(drawn))


def test_what_was_not_read_is_named_with_its_reason_and_can_be_tried_again() -> None:
    text = words("partial")

    assert "Not read: medicines (the EHR did not answer in time)." in text
    assert "The medication list was not read" not in text, "those that came are shown"
    assert "Try again" in text
    assert text.index("item 9") < text.index("Not read: medicines")


def test_when_questionnaires_were_not_read_none_is_said_not_to_be_on_file() -> None:
    text = words("not-assessed")

    assert "Could not be read: questionnaires" in text
    assert "Not all results could be read." in text
    assert "No PHQ-9" not in text
    assert "Not read: questionnaires (the EHR did not answer in time)." not in text, "the finding says it already"
    assert "No estimate: Needed parts of the chart could not be read" in text
    assert "Ask directly about thoughts of suicide and self-harm" in text
    assert "Shown to you once" not in text, "a page says it each time"


def test_one_reason_says_why_there_is_no_estimate() -> None:
    assert "No estimate: The models were trained on adults; no estimate is made under 18." in words("young")
    assert summary("young").estimates == ()
    assert "A PHQ-9 in the last 14 days already answers this." in words("answered")


@pytest.mark.parametrize("name", ["opted-out", "denied"])
def test_of_a_patient_who_does_not_want_it_nothing_but_that_is_said(name: str) -> None:
    found, text = summary(name), words(name)

    assert found.withheld and not (found.findings or found.trends or found.availability or found.medicines)
    assert "The chart was not read." in text
    assert "This says nothing about the patient’s safety. Check the answers in the chart" in text
    for part in ("PHQ", "Estimate", "Medicines", "item 9", "What was known"):
        assert part not in text


def test_of_a_patient_who_has_died_it_is_said_and_nothing_is_offered() -> None:
    text = words("deceased")

    assert "The patient is recorded as deceased." in text
    assert "Start PHQ-9" not in text
    assert "(61)" not in text, "no age goes on"
    assert "sertraline" in text and "Before any treatment" not in text


def test_what_the_chart_did_not_allow_is_named() -> None:
    text = words("rights")

    assert "The EHR did not allow this app to read: medicines." in text
    assert "The EHR did not allow this app to write: draft tasks." in text
    assert "did not allow" not in words("ask")


def test_the_banner_tells_patients_apart_and_may_be_left_to_the_ehr_but_for_the_name() -> None:
    own, left = words("ask"), words("no-banner")

    assert "Okafor, Marguerite born 4 March 1965 (61) female MRN 0044471" in own
    assert "MRN 0044471" not in left
    assert "Okafor, Marguerite" in left
    assert "Name not recorded birth date not recorded" in words("unnamed")


def test_no_name_and_no_finding_is_in_the_title_of_a_page() -> None:
    for name in LOOKS:
        assert re.findall("<title>(.*?)</title>", page(name)) == ["Mood and safety summary"]


def test_figures_in_people_are_shown_only_where_the_site_turned_them_on() -> None:
    assert "Of 100 survey adults" in words("figures")
    assert "Of 100 survey adults" not in words("prompt")


def test_the_estimate_has_its_reasons_gaps_figures_and_the_limits_of_the_model() -> None:
    text = words("prompt")

    for part in ("Main reasons", "inputs known", "Missing inputs", "Exact figures", "Full model card"):
        assert part in text
    assert "associations, not causes" in text
    assert 'href="/model-card" target="_blank" rel="noopener' in page("prompt")


def test_reasons_of_a_model_are_in_the_section_of_the_estimate_alone() -> None:
    finding = next(f for f in summary("prompt").findings if f.topic == "screening-prompt")

    assert "Above this site" in finding.chart
    assert "Raised it" not in finding.chart
    assert finding.by_model


def test_long_lists_are_folded_and_nothing_is_left_out() -> None:
    for name in LOOKS:
        for finding, notice in zip(summary(name).findings, look(name)[0].notices, strict=False):
            lines = [line for line in notice.chart if line.role is not LineRole.ROW]
            assert finding.chart.count("<li>") + (finding.more or "").count("<li>") == len(lines)
    assert any(finding.more for finding in summary("many").findings)
    assert len(summary("many").medicines or ()) == 15
    assert "Show 9 more medicines" in words("many")


@pytest.mark.parametrize("name", LOOKS)
def test_no_finding_is_folded_away(name: str) -> None:
    for finding in summary(name).findings:
        assert finding.by_model or "<strong>" not in (finding.more or ""), finding.topic
    assert "ASQ acuity question: yes" in summary("two-acute").findings[0].chart


def test_a_caution_for_bipolar_disorder_stands_before_the_medicines() -> None:
    text = words("bipolar")

    assert text.count("antidepressant monotherapy can trigger mania") == 1
    assert text.index("antidepressant monotherapy can trigger mania") < text.index("sertraline 50 mg")
    assert "ask about past mania" not in text


def test_on_the_page_for_printing_everything_is_open() -> None:
    text = page("ask", "print")

    assert "<details>" not in text
    assert "<details open>" in text
    assert 'class="button' not in text
    assert "Not for the after-visit summary" in text
    assert "after-visit summary" not in page("ask")


def test_chart_text_stays_text() -> None:
    """Names of medicines, identifiers and names come from the chart."""
    text = page("odd")

    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert "<b>" not in text


def test_gad_7_has_its_own_course_where_there_is_one() -> None:
    assert [trend.name for trend in summary("recent").trends] == ["phq-9", "gad-7"]
    assert [trend.name for trend in summary("ask").trends] == ["phq-9"]


def test_feedback_offers_the_estimates_that_were_made_and_the_page() -> None:
    assert [outcome.code for outcome in summary("prompt").opinion_topics] == ["depression", "suicidal-ideation", "page"]
    assert [outcome.code for outcome in summary("ask").opinion_topics] == ["page"]
    assert 'name="csrf" value="0123456789"' in page("prompt")


def test_a_further_safety_finding_is_named_in_the_strip_and_another_by_its_topic() -> None:
    named = [other.name for name in ("many", "acute") for other in summary(name).strip.others]

    assert named[0] == "Suicide attempt recorded"
    assert "Depression follow-up" in named


@pytest.mark.parametrize("name", LOOKS)
def test_the_note_holds_every_finding_result_and_medicine_with_its_reference(name: str) -> None:
    reading, shown = look(name)[0], summary(name)
    chart, lines = reading.assessment.chart, shown.note.splitlines()
    if shown.withheld:
        assert shown.note == ""
        return

    for notice in reading.notices:
        assert notice.summary in lines
        for line in notice.chart:
            if line.role in (LineRole.LEAD, LineRole.FACT, LineRole.RESULT):
                assert all(source.strip("`") in shown.note for source in line.sources), line
    for use in chart.medicines:
        assert any(use.name in line and line.endswith(use.reference) for line in lines), use.name
    results = [line for line in lines if re.match(r"- \d+ \w+ \d{4}: (none|\d+ of \d+);", line)]
    held = [row for trend in shown.trends for row in trend.rows[:6]]
    assert len(results) == len([row for row in held if row.date[0].isdigit()])
    assert not re.search(r"\*\*|`|\|", shown.note) or name == "odd"
    assert "Consider today" not in shown.note and "Crisis lines" not in shown.note


def test_the_note_says_when_the_chart_was_read_and_what_was_not() -> None:
    lines = summary("partial").note.splitlines()

    assert lines[0] == "Mood and safety summary, read from the chart on 23 Nov 2026, 10:00 EST"
    assert (
        "- 17 Nov 2026: 14 of 27; item 9: 1 of 3, several days; complete, Observation/obse-" in summary("partial").note
    )
    assert lines[-1] == "Not read: medicines (the EHR did not answer in time)."
