"""Screening forms of the synthetic charts, in the shapes that real systems use.

PHQ-9 as coded item Observations, as a panel with members, as a panel with components, as a
QuestionnaireResponse by LOINC linkId, and as a total alone; C-SSRS by LOINC as Observations or
as a QuestionnaireResponse; EPDS and ASQ, whose questions rarely have LOINC codes, by the demo site's
own linkIds (`site.toml`). No question text is carried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cds_service.demo_ehr import codes
from cds_service.demo_ehr.codes import Json
from cds_service.demo_ehr.patients.chart_builder import CLINICIAN, ChartBuilder, quantity

PHQ9_FORM = f"{codes.DEMO}/Questionnaire/phq-9"
CSSRS_FORM = f"{codes.DEMO}/Questionnaire/c-ssrs-screener"
EPDS_FORM = f"{codes.DEMO}/Questionnaire/epds"
ASQ_FORM = f"{codes.DEMO}/Questionnaire/asq"


def answer_coding(score: int) -> Json:
    """The LOINC answer of a PHQ item: 0 not at all ... 3 nearly every day."""
    code, display = codes.PHQ_ANSWERS[score]
    return {"system": codes.LOINC, "code": code, "display": display}


def answer_concept(score: int) -> Json:
    """The same as a CodeableConcept."""
    coding = answer_coding(score)
    return {"coding": [coding], "text": coding["display"]}


def phq9_items(chart: ChartBuilder, days_ago: int, scores: Sequence[int], *, coded: bool = True) -> list[str]:
    """One Observation per item, answered by LOINC code or integer; returns their references."""
    references = []
    for number, score in enumerate(scores, start=1):
        code = codes.numbered(codes.PHQ9_ITEMS[number - 1], f"PHQ-9 item {number}")
        value: Json = {"valueCodeableConcept": answer_concept(score)} if coded else {"valueInteger": score}
        references.append(chart.observation(f"phq9-item{number}", "survey", code, days_ago, value))
    return references


def phq9_total(chart: ChartBuilder, days_ago: int, total: int, members: Sequence[str] = ()) -> str:
    """The total as a scored Quantity, derived from its items where they are given."""
    body: Json = {"valueQuantity": quantity(total, "{score}")}
    if members:
        body["derivedFrom"] = [{"reference": reference} for reference in members]
    return chart.observation("phq9-total", "survey", codes.PHQ9_TOTAL, days_ago, body)


def phq9_panel(chart: ChartBuilder, days_ago: int, scores: Sequence[int]) -> None:
    """A panel Observation whose members are integer items and their total."""
    members = phq9_items(chart, days_ago, scores, coded=False)
    members.append(phq9_total(chart, days_ago, sum(scores)))
    body = {"hasMember": [{"reference": reference} for reference in members]}
    chart.observation("phq9-panel", "survey", codes.PHQ9_PANEL, days_ago, body)


def phq9_components(chart: ChartBuilder, days_ago: int, scores: Sequence[int], recorded_total: int) -> None:
    """One panel Observation with the answers as components, and the total as recorded beside it."""
    components: list[Json] = [
        {
            "code": codes.numbered(codes.PHQ9_ITEMS[number - 1], f"PHQ-9 item {number}"),
            "valueCodeableConcept": answer_concept(score),
        }
        for number, score in enumerate(scores, start=1)
    ]
    components.append({"code": codes.PHQ9_TOTAL, "valueInteger": recorded_total})
    chart.observation("phq9-panel", "survey", codes.PHQ9_PANEL, days_ago, {"component": components})


def response(chart: ChartBuilder, name: str, form: str, days_ago: int, answers: Mapping[str, Json | None]) -> str:
    """A completed QuestionnaireResponse: linkId to its `value[x]`, or to None for a question left blank."""
    items: list[Json] = [
        {"linkId": link} if value is None else {"linkId": link, "answer": [value]} for link, value in answers.items()
    ]
    return chart.add(
        "QuestionnaireResponse",
        name,
        {
            "questionnaire": form,
            "status": "completed",
            "authored": chart.moment(days_ago),
            "author": {"reference": CLINICIAN},
            "item": items,
        },
    )


def phq9_response(chart: ChartBuilder, days_ago: int, scores: Sequence[int | None], *, slash: bool) -> None:
    """A PHQ-9 by LOINC linkId, written `/44260-8` or `44260-8`; None is a blank item."""
    lead = "/" if slash else ""
    response(
        chart,
        "phq9-form",
        PHQ9_FORM,
        days_ago,
        {
            f"{lead}{code}": None if score is None else {"valueCoding": answer_coding(score)}
            for code, score in zip(codes.PHQ9_ITEMS, scores, strict=True)
        },
    )


def cssrs_observations(
    chart: ChartBuilder, days_ago: int, answers: Mapping[str, bool], *, level: Json | None = None
) -> None:
    """C-SSRS questions as Observations with SNOMED CT yes or no under a panel, and the coded overall result if any."""
    members = [
        chart.observation(
            f"cssrs-{item}",
            "survey",
            codes.numbered(codes.CSSRS_ITEMS[item], cssrs_question(item)),
            days_ago,
            {"valueCodeableConcept": {"coding": [codes.YES_SNOMED if yes else codes.NO_SNOMED]}},
        )
        for item, yes in answers.items()
    ]
    if level:
        value = {"valueCodeableConcept": level}
        members.append(chart.observation("cssrs-level", "survey", codes.SUICIDE_RISK_LEVEL, days_ago, value))
    body = {"hasMember": [{"reference": reference} for reference in members]}
    chart.observation("cssrs-panel", "survey", codes.CSSRS_PANEL, days_ago, body)


def cssrs_question(item: str) -> str:
    """What the chart calls a C-SSRS question: its number only."""
    return "C-SSRS question 6, past 3 months" if item == "q6_recent" else f"C-SSRS question {item.removeprefix('q')}"


def cssrs_response(chart: ChartBuilder, days_ago: int, answers: Mapping[str, bool]) -> None:
    """The same questions as a QuestionnaireResponse with LOINC yes or no."""
    values: dict[str, Json | None] = {
        f"/{codes.CSSRS_ITEMS[item]}": {"valueCoding": codes.YES_LOINC if yes else codes.NO_LOINC}
        for item, yes in answers.items()
    }
    response(chart, "cssrs-form", CSSRS_FORM, days_ago, values)


def epds(chart: ChartBuilder, days_ago: int, scores: Sequence[int]) -> None:
    """An EPDS by the site's linkIds, answers with ordinal values, and its total as a member of the panel."""
    values: dict[str, Json | None] = {}
    for number, score in enumerate(scores, start=1):
        # Odd questions as codings with an ordinal value, even ones as integers: both occur.
        ordinal = {
            "system": f"{codes.DEMO}/epds-answers",
            "code": f"{number}-{score}",
            "extension": [{"url": codes.ORDINAL_VALUE, "valueDecimal": score}],
        }
        values[f"epds-{number}"] = {"valueCoding": ordinal} if number % 2 else {"valueInteger": score}
    form = response(chart, "epds-form", EPDS_FORM, days_ago, values)
    total = chart.observation(
        "epds-total",
        "survey",
        codes.EPDS_TOTAL,
        days_ago,
        {"valueQuantity": quantity(sum(scores), "{score}"), "derivedFrom": [{"reference": form}]},
    )
    chart.observation("epds-panel", "survey", codes.EPDS_PANEL, days_ago, {"hasMember": [{"reference": total}]})


def asq(chart: ChartBuilder, days_ago: int, answers: Sequence[bool], *, acuity: bool | None) -> None:
    """An ASQ by the site's linkIds, yes or no as booleans; the acuity question only where it was asked."""
    values: dict[str, Json | None] = {f"asq-{n}": {"valueBoolean": yes} for n, yes in enumerate(answers, start=1)}
    if acuity is not None:
        values["asq-5"] = {"valueBoolean": acuity}
    response(chart, "asq-form", ASQ_FORM, days_ago, values)
