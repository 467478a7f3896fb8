"""Wording for model inputs, their values and their effect on an estimate: one row per input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from explanations.judgement.rationale import Reason, Size, size
from explanations.words.language import Language, capitalised, later, number
from explanations.words.tables import complete
from fhir_adapters.facts import Fact
from fhir_adapters.reading.habits import AUDITC_BANDS
from models.inputs.feature_schema import FEATURES

Value = float | int | bool | str


@dataclass(frozen=True, slots=True, kw_only=True)
class InputWords:
    """The name of an input when missing, and its value in words.

    `value` gives "" for something not listed, such as an absent condition. `dated`: what the date refers to, if not to
    the value itself.
    """

    name: str
    value: Callable[[Value, Language], str]
    dated: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonWords:
    """A reason in two parts: its effect on the estimate, and the chart values with dates and sources."""

    change: str
    what: str


def input_name(name: str, say: Language) -> str:
    """The name of a missing input."""
    return say(INPUTS[name].name)


def value_words(fact: Fact, say: Language) -> str:
    """A fact in words with its value; "" for something not listed, such as an absent condition."""
    return INPUTS[fact.name].value(fact.value, say)


def change_words(log_odds: float, say: Language) -> str:
    """`raised it slightly`."""
    return say(CHANGES[size(log_odds), log_odds >= 0])


def reason_words(reason: Reason, say: Language) -> ReasonWords:
    """`Raised it slightly`, and `daily smoker, 3 Aug 2026, Observation/s-3`."""
    shown = [
        _evidence(fact, said, say) for fact in reason.facts if fact.references and (said := value_words(fact, say))
    ]
    return ReasonWords(change=capitalised(change_words(reason.log_odds, say)), what="; ".join(shown))


def reason_line(reasons: Sequence[Reason], say: Language) -> str:
    """`Raised it slightly: daily smoker, 3 Aug 2026, Observation/s-3`, of reasons whose effect reads the same."""
    words = [reason_words(reason, say) for reason in reasons]
    # Translators: "Raised it slightly: daily smoker, 3 Aug 2026, Observation/s-3".
    return say("{change}: {what}", change=words[0].change, what="; ".join(one.what for one in words))


def _evidence(fact: Fact, value: str, say: Language) -> str:
    source, dated = say.references(fact.references), INPUTS[fact.name].dated
    if not fact.when:
        return say("{value}, {source}", value=value, source=source)
    date = say.day(fact.when.day)
    date = say(dated, date=date) if dated else date
    # Translators: a value, its date and its source: "daily smoker, 3 Aug 2026, Observation/s-3".
    return say("{value}, {date}, {source}", value=value, date=date, source=source)


CHANGES = complete(
    {
        # Translators: what a value did to the estimate; also after a colon, in the middle of a sentence.
        (Size.SLIGHTLY, True): later("raised it slightly"),
        (Size.MODERATELY, True): later("raised it moderately"),
        (Size.STRONGLY, True): later("raised it strongly"),
        (Size.SLIGHTLY, False): later("lowered it slightly"),
        (Size.MODERATELY, False): later("lowered it moderately"),
        (Size.STRONGLY, False): later("lowered it strongly"),
    },
    [(size, raised) for size in Size for raised in (True, False)],
)


DRINKING = (
    later("drinks no alcohol"),
    later("drinks alcohol monthly or less"),
    later("drinks alcohol 2 to 4 times a month"),
    later("drinks alcohol 2 to 3 times a week"),
    later("drinks alcohol 4 or more times a week"),
)
DRINKS = (
    later("1 or 2 drinks on a drinking day"),
    later("3 or 4 drinks on a drinking day"),
    later("5 or 6 drinks on a drinking day"),
    later("7 to 9 drinks on a drinking day"),
    later("10 or more drinks on a drinking day"),
)


def _number(message: str) -> Callable[[Value, Language], str]:
    return lambda value, say: say(message, value=number(value))


def _coded(*messages: str, start: int = 0) -> Callable[[Value, Language], str]:
    """One message per value, from `start` on."""
    return lambda value, say: say(messages[int(value) - start])


def _answered(code: str, answers: tuple[str, ...], measured: str) -> Callable[[Value, Language], str]:
    """The answer to an AUDIT-C question, by the value that stands for it; other values were measured."""
    words = dict(zip(AUDITC_BANDS[code], answers, strict=True))
    return lambda value, say: say(words.get(float(value), measured), value=number(value))


def _yes_no(yes: str, no: str = "") -> Callable[[Value, Language], str]:
    return lambda value, say: say(yes if value else no)


def _condition(name: str, yes: str = "") -> InputWords:
    return InputWords(name=name, value=_yes_no(yes or name))


def _treatment(name: str, medicine: str = "") -> InputWords:
    """A class of medicines; `medicine`: its name when recorded, if different."""

    def words(value: Value, say: Language) -> str:
        if not value:
            return ""
        return say("{medicine} on medication list", medicine=say(medicine or name))

    return InputWords(name=name, value=words)


def _phq(item: int) -> InputWords:
    return InputWords(
        name=later("PHQ-2") if item <= 2 else later("PHQ items 3 to 8"),
        value=lambda value, say: say("PHQ item {item}: {value} of 3", item=item, value=number(value)),
    )


INPUTS = complete(
    {
        # Translators: names of inputs are listed when they are missing; values are listed with a date and a source.
        "age": InputWords(name=later("age"), value=_number(later("age {value}"))),
        "female": InputWords(
            name=later("sex"), value=_yes_no(later("sex recorded as female"), later("sex recorded as male"))
        ),
        "smoke_status": InputWords(
            name=later("smoking status"),
            value=_coded(
                later("never smoked"), later("former smoker"), later("smokes on some days"), later("daily smoker")
            ),
        ),
        "alc_drinks_day": InputWords(
            name=later("alcohol"), value=_answered("68519-8", DRINKS, later("{value} drinks on a drinking day"))
        ),
        "alc_days_yr": InputWords(
            name=later("alcohol"), value=_answered("68518-0", DRINKING, later("drinks alcohol on {value} days a year"))
        ),
        "asthma": _condition(later("asthma")),
        "anemia_tx": _condition(later("anemia")),
        "arthritis": _condition(later("arthritis")),
        "chf": _condition(later("heart failure")),
        "chd": _condition(later("coronary heart disease")),
        "angina": _condition(later("angina")),
        "mi": _condition(later("heart attack"), later("past heart attack")),
        "stroke": _condition(later("stroke")),
        "copd": _condition(later("chronic obstructive lung disease")),
        "liver": _condition(later("liver disease")),
        "thyroid": _condition(later("thyroid disease")),
        "cancer": _condition(later("cancer")),
        "diabetes": _condition(later("diabetes")),
        "hypertension": _condition(later("high blood pressure")),
        "hyperlipid": _condition(later("raised blood lipids")),
        "kidney_disease": _condition(later("kidney disease")),
        "sleep_trouble_told_dr": _condition(later("insomnia")),
        "visits_yr": InputWords(
            name=later("visits"),
            value=lambda value, say: say.many("{count} visit in 12 months", "{count} visits in 12 months", int(value)),
            # Translators: the date of the last of several visits or stays.
            dated=later("last {date}"),
        ),
        "hosp_yr": InputWords(
            name=later("hospital stays"),
            value=lambda value, say: say.many(
                "{count} hospital stay in 12 months", "{count} hospital stays in 12 months", int(value)
            ),
            dated=later("last {date}"),
        ),
        "mh_visit_yr": InputWords(
            name=later("mental-health visits"),
            value=lambda value, say: say.many(
                "{count} mental-health visit in 12 months",
                "{count} mental-health visits in 12 months",
                int(value),
            ),
            dated=later("last {date}"),
        ),
        "usual_place": _condition(later("usual place of care"), later("has a usual place of care")),
        "n_rx": InputWords(
            name=later("medicines"),
            value=lambda value, say: say.many("{count} active medicine", "{count} active medicines", int(value)),
            # Translators: the date of the latest of several orders.
            dated=later("latest {date}"),
        ),
        "rx_ssri": _treatment(later("SSRI")),
        "rx_snri": _treatment(later("SNRI")),
        "rx_bupropion": _treatment(later("bupropion")),
        "rx_mirtaz_traz": _treatment(later("mirtazapine or trazodone")),
        "rx_tca_maoi": _treatment(later("tricyclic or MAO inhibitor")),
        "rx_antipsychotic": _treatment(later("antipsychotic")),
        "rx_lithium": _treatment(later("lithium")),
        "rx_anticonvulsant": _treatment(later("anticonvulsant")),
        "rx_benzo": _treatment(later("benzodiazepine")),
        "rx_buspirone": _treatment(later("buspirone or hydroxyzine")),
        "rx_hypnotic": _treatment(later("hypnotic")),
        "rx_stimulant": _treatment(later("stimulant")),
        "rx_opioid": _treatment(later("opioid")),
        "rx_muscle_relax": _treatment(later("muscle relaxant")),
        "rx_nsaid": _treatment(later("anti-inflammatory")),
        "rx_ppi": _treatment(later("acid suppressant"), later("proton-pump inhibitor")),
        "rx_betablocker": _treatment(later("beta blocker")),
        "rx_statin": _treatment(later("statin")),
        "rx_thyroid": _treatment(later("thyroid medicine")),
        "rx_steroid": _treatment(later("steroid")),
        "rx_insulin": _treatment(later("insulin")),
        "rx_metformin": _treatment(later("metformin")),
        "rx_bronchodil": _treatment(later("bronchodilator")),
        "rx_migraine": _treatment(later("migraine medicine")),
        "employed": InputWords(name=later("employment"), value=_yes_no(later("in work"), later("not in work"))),
        "food_insec": InputWords(
            name=later("food security"),
            value=_coded(
                later("no food insecurity reported"),
                later("some worry about food"),
                later("sometimes short of food"),
                later("often short of food"),
                start=1,
            ),
        ),
        "difficulty_concentrating": InputWords(
            name=later("difficulty concentrating"),
            value=_yes_no(
                later("serious difficulty concentrating, remembering or deciding"),
                later("no serious difficulty concentrating, remembering or deciding"),
            ),
        ),
        "sleep_hours": InputWords(name=later("hours of sleep"), value=_number(later("{value} hours of sleep"))),
        "gen_health": InputWords(
            name=later("self-rated health"),
            value=_coded(
                later("health rated excellent"),
                later("health rated very good"),
                later("health rated good"),
                later("health rated fair"),
                later("health rated poor"),
                start=1,
            ),
        ),
        **{f"DPQ0{item}0": _phq(item) for item in range(1, 9)},
    },
    [spec.name for spec in FEATURES],
)
