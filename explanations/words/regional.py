"""Texts that a region words otherwise: for each, what is said in its place. Both are messages of the catalogues.

`tests/unit/explanations/test_regional.py` notices a text on the left that nothing says any more.
"""

from __future__ import annotations

from dataclasses import replace

from explanations.judgement.regions import REGIONS, Region
from explanations.words.language import PLAIN, Language, Wording, later
from explanations.words.tables import complete

POSITIVE = later("overall result positive")
ASSESSED = later("suicide risk assessment with a positive result")
BY_SOFTWARE = later("positive result of suicide risk software")
PSYCHOSOCIAL = later("Psychosocial assessment (NICE NG225)")
BEFORE_LEAVING = later("Psychosocial assessment before the patient leaves.")
# NICE NG225 section 1.6 and NHS England (docs/clinical-sources.md): no level, tier or score of a person, nothing that
# sounds like screening, and a psychosocial assessment where another country has a screener or an evaluation.
ENGLAND = {
    "overall result recorded as high": POSITIVE,
    "overall result recorded as acute": POSITIVE,
    "overall result recorded as moderate": POSITIVE,
    "overall result recorded as positive": POSITIVE,
    "overall result recorded as non-acute positive": POSITIVE,
    "suicide risk assessment: risk recorded as high": ASSESSED,
    "suicide risk assessment: risk recorded as moderate": ASSESSED,
    "suicide risk score from software: risk recorded as high": BY_SOFTWARE,
    "suicide risk score from software: risk recorded as moderate": BY_SOFTWARE,
    "suicide risk score from software: result could not be read": later(
        "result of suicide risk software: it could not be read"
    ),
    "Suicide risk score from software, not an assessment": later("Result of suicide risk software, not an assessment"),
    "risk score from software": later("result of suicide risk software"),
    "Suicide risk screen": later("Suicide questionnaire"),
    "Suicide risk screen with a positive result": later("Suicide questionnaire with a positive result"),
    "Suicide risk screen, overall result only": later("Suicide questionnaire, overall result only"),
    "positive result of a suicide risk screen": later("positive result of a suicide questionnaire"),
    "result of a suicide risk screen": later("result of a suicide questionnaire"),
    "later screens may be unread": later("later questionnaires may be unread"),
    "screening answers": later("answers to questionnaires"),
    "screening answers in local codes": later("answers to questionnaires in local codes"),
    "measurements and screening answers": later("answers to questionnaires as observations"),
    "Questionnaires and screening answers": later("Questionnaires and their answers"),
    "A low total does not make item {item} less important": later("The total does not make item {item} less important"),
    "Ask directly; a screener such as the C-SSRS or ASQ can follow": later(
        "Ask directly; offer a psychosocial assessment (NICE NG225)"
    ),
    "Stay with the patient; full safety evaluation today": later(
        "Stay with the patient; psychosocial assessment today (NICE NG225)"
    ),
    "With intent, a plan or recent behavior: stay with the patient; full safety evaluation today": later(
        "With intent, a plan or recent behaviour: stay with the patient; psychosocial assessment today"
    ),
    "Stay with the patient; full safety evaluation": later(
        "Stay with the patient; psychosocial assessment (NICE NG225)"
    ),
    "Safety evaluation before the patient leaves.": BEFORE_LEAVING,
    "Acute safety finding in the chart. Safety evaluation before the patient leaves.": later(
        "Acute safety finding in the chart. Psychosocial assessment before the patient leaves."
    ),
    "Safety evaluation done or under way today": later("Psychosocial assessment done or under way today"),
    "Brief suicide safety assessment before the patient leaves.": BEFORE_LEAVING,
    "Brief suicide safety assessment before the patient leaves": later(
        "Psychosocial assessment before the patient leaves (NICE NG225)"
    ),
    "Brief suicide safety assessment": PSYCHOSOCIAL,
    "Brief suicide safety assessment, if not done": later("Psychosocial assessment, if not done (NICE NG225)"),
    "Clinical assessment; no single instrument decides": later(
        "Psychosocial assessment; no questionnaire decides who is offered care (NICE NG225)"
    ),
    "Reassess; make or review the safety plan; discuss access to means": later(
        "Offer a psychosocial assessment; make or review the safety plan together; discuss access to means"
    ),
    "Check the source; no estimate was made": later("Check the source"),
    "Check the source; no estimate was made.": later("Check the source."),
    "Estimates may be incomplete.": later("Findings may be incomplete."),
    "No estimate was made.": later("Findings may be incomplete."),
    "For the care team. Not for the after-visit summary, the patient portal or a shared screen. This printout shortens "
    "long lists and leaves out model inputs and figures; see the app.": later(
        "For the care team. Not for letters to the patient, the online record or a shared screen. This printout "
        "shortens long lists; see the app."
    ),
    "Feedback goes to the model team. It does not change what is shown and is not part of the chart.": later(
        "Feedback goes to the team behind this service. It does not change what is shown and is not part of the chart."
    ),
    "Thank you. Your feedback was sent to the model team. The findings stay as they are.": later(
        "Thank you. Your feedback was sent to the team behind this service. The findings stay as they are."
    ),
    # As spelt in Britain.
    "question 6 (behavior)": later("question 6 (behaviour)"),
    "question 6 (behavior, past 3 months)": later("question 6 (behaviour, past 3 months)"),
    "suicidal behavior": later("suicidal behaviour"),
    "past suicidal behavior or self-harm": later("past suicidal behaviour or self-harm"),
    "Date of the behavior: not recorded": later("Date of the behaviour: not recorded"),
    "suicidal thoughts and behavior": later("suicidal thoughts and behaviour"),
    "antidepressants: suicidal thoughts and behavior in people under 25": later(
        "antidepressants: suicidal thoughts and behaviour in people under 25"
    ),
    "serious psychiatric and behavioral reactions": later("serious psychiatric and behavioural reactions"),
    "hemoglobin": later("haemoglobin"),
}
WORDINGS = complete(
    {"plain": PLAIN, "england": Wording(instead=ENGLAND)}, {region.wording for region in REGIONS.values()}
)


def regional(say: Language, region: Region) -> Language:
    """A language as it is used in a region."""
    wording = WORDINGS[region.wording]
    return say if say.wording is wording else replace(say, wording=wording)
