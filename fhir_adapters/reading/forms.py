"""A chart's Observations and QuestionnaireResponses to screening forms, and to coded safety findings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from fhir_adapters.codesets.questions import QuestionnaireMap, target_of
from fhir_adapters.facts import Administration, CodedEvent, Setting, When
from fhir_adapters.gaps import Cause
from fhir_adapters.instruments import Instrument
from fhir_adapters.reading.agreement import words_doubt
from fhir_adapters.reading.asked import Asked, asked_by, says_nothing
from fhir_adapters.reading.lists.chart_resources import ChartResources, has_no_code
from fhir_adapters.reading.lists.conditions import CodeContext, coded_event, safety_rows
from fhir_adapters.reading.measurements import observed_at
from fhir_adapters.reading.net.responses import form_of, forms_sent, hear_response
from fhir_adapters.reading.net.unread import (
    LONGEST_NAME,
    hear_observation,
    name_of,
    names_of,
    unheard,
)
from fhir_adapters.reading.net.vocabulary import InstrumentName, named_instrument
from fhir_adapters.reading.questionnaires.answers import yes_or_no
from fhir_adapters.reading.questionnaires.pieces import Piece, piece_of
from fhir_adapters.reading.questionnaires.response_items import known_items, of_teens, targets_among
from fhir_adapters.reading.questionnaires.screening import administrations
from fhir_adapters.reading.questionnaires.values import codings, folded
from fhir_adapters.resources import r4
from fhir_adapters.resources.dates import when


def screening_forms(
    resources: ChartResources, observations: Sequence[r4.Resource]
) -> tuple[tuple[Administration, ...], list[CodedEvent]]:
    """Forms from QuestionnaireResponses and from these Observations, and safety findings coded as Observation.code."""
    pieces: list[Piece] = []
    events: list[CodedEvent] = []
    maps = resources.maps
    asked = [(resource, asked_by(resource.content.code, maps)) for resource in observations]
    panels, unread_panels = _panels(resources, asked), _unread_panels(resources)
    for resource, whole in asked:
        observation: r4.Observation = resource.content
        if observation.status in ("entered-in-error", "cancelled"):
            continue
        if whole.silent and not unread_panels and _is_of_other_things(observation, maps):
            continue
        if has_no_code(observation.code):
            resources.cannot_read(resource, Cause.NO_CODE)
            continue
        parts: list[Part] = [(observation.code, observation, whole)]
        components = [part for part in observation.component if part != EMPTY]
        parts += [(part.code, part, asked_by(part.code, maps)) for part in components]
        pieces += _observation_pieces(resources, resource, parts, panels)
        events += _finding_events(resources, resource, parts)
        _hear(resources, resource, parts, unread_panels)
    definitions = forms_sent(resources)
    for number, resource in enumerate(resources.of("QuestionnaireResponse")):
        response: r4.QuestionnaireResponse = resource.content
        if response.status == "entered-in-error":
            continue
        form = form_of(resource, definitions)
        items = list(known_items(response, resources.maps, form))
        targets = targets_among(items)
        unread = [item for item, target in items if target is None]
        authored = when(response.authored, resources.zone, resources.today)
        resources.unheard.extend(hear_response(resource, form, unread, authored, read=bool(targets)))
        named = _screen_named([response.questionnaire, form.title if form else None])
        encounter = resources.encounter(response.encounter)
        for known, value, text in targets:
            target = known
            if target.instrument is Instrument.RISK_LEVEL:
                screen = named or _screen_named([text, *map(_words, codings(value))])
                target = replace(target, instrument=screen or Instrument.RISK_LEVEL)
            piece = piece_of(
                target,
                value,
                when=authored,
                encounter=encounter.reference if encounter else None,
                provisional=response.status in ("in-progress", "stopped"),
                reference=resource.reference,
                form=resource.reference if resource.names else f"{resource.reference} {number}",
                doubt=words_doubt(target, [text]),
            )
            pieces += [piece] if piece else []
    return administrations(pieces), events


EMPTY = r4.Component()


def _is_of_other_things(observation: r4.Observation, maps: Sequence[QuestionnaireMap]) -> bool:
    """Whether there is nothing to listen for under a name that is silent, nor in its components."""
    if observation.note is not r4.NOT_THERE or not _holds_no_words(observation):
        return False
    if not observation.component:
        return observation.value_quantity is not None or observation.value_codeable_concept is not None
    for part in observation.component:
        asked = asked_by(part.code, maps)
        used_elsewhere = asked.is_used and not (asked.target or asked.is_finding)
        if not (used_elsewhere or (asked.silent and _holds_no_words(part))):
            return False
    return True


def _holds_no_words(value: r4.Value) -> bool:
    answer = value.value_codeable_concept
    return not (value.value_string or value.value_coding) and (answer is None or says_nothing(answer))


def _unread_panels(resources: ChartResources) -> dict[str, InstrumentName]:
    """The members of panels that name an instrument and have no member that a reader knows, with that instrument."""
    panels = [r.content for r in resources.of("Observation") if r.content.has_member]
    if not panels:
        return {}
    contents = {name: r.content for r in resources.of("Observation") for name in r.names}
    found: dict[str, InstrumentName] = {}
    for panel in panels:
        named = next((n for text in names_of(panel.code) if (n := name_of(text).instrument)), None)
        members = [member.target for member in panel.has_member if member.target]
        known = any(m in contents and target_of(contents[m].code, resources.maps) for m in members)
        if named and (named.suicide or not known):
            found |= dict.fromkeys(members, named)
    return found


# A part of an Observation: what it is named, its value, and what is known of the name.
Part = tuple[r4.CodeableConcept | None, r4.Value, Asked]


def _hear(
    resources: ChartResources, resource: r4.Resource, parts: Iterable[Part], panels: Mapping[str, InstrumentName]
) -> None:
    """What no reader used of an Observation. `panels`: the instruments of members of panels, by name of the member."""
    observation: r4.Observation = resource.content
    unread = [
        (concept, value)
        for concept, value, asked in parts
        if not asked.is_used
        and not (value is observation and _asserts(observation) and safety_rows(observation.value_codeable_concept))
    ]
    if unread or observation.note is not r4.NOT_THERE:
        panel = next((panels[name] for name in resource.names if name in panels), None)
        mentions = hear_observation(resource, unread, panel)
        if any(mentions):
            moment = observed_at(observation, resources.zone, resources.today)
            resources.unheard.extend(unheard(resource, moment, mentions))


NAMED_SCREENS = (Instrument.CSSRS, Instrument.ASQ)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A panel or response that item Observations belong to. `instrument`: where it is named."""

    reference: str
    when: When | None
    instrument: Instrument | None


def _panels(resources: ChartResources, named: Sequence[tuple[r4.Resource, Asked]]) -> dict[str, Panel]:
    """Observation name to the panel that lists it, or the response or the answers that it was derived from."""
    panels: dict[str, Panel] = {}
    screens: dict[str, Instrument] = {}
    levels: list[r4.Resource] = []
    for resource, asked in named:
        target = asked.target
        if target is None:
            continue
        if target.instrument in NAMED_SCREENS:
            screens.update(dict.fromkeys(resource.names, target.instrument))
        if target.instrument is Instrument.RISK_LEVEL:
            levels.append(resource)
        if target.item == "panel":
            moment = observed_at(resource.content, resources.zone, resources.today)
            panel = Panel(reference=resource.reference, when=moment, instrument=target.instrument)
            members = (m.target for m in resource.content.has_member if m.target)
            panels.update(dict.fromkeys(members, panel))
    responses = {name: r for r in resources.of("QuestionnaireResponse") for name in r.names}
    for resource, _ in named if responses else ():
        source = next((responses[d.reference] for d in resource.content.derived_from if d.reference in responses), None)
        if source and not any(name in panels for name in resource.names):
            moment = when(source.content.authored, resources.zone, resources.today)
            panel = Panel(
                reference=source.reference, when=moment, instrument=_screen_named([source.content.questionnaire])
            )
            panels.update(dict.fromkeys(resource.names, panel))
    for resource in levels:
        made_of = (*resource.content.derived_from, *resource.content.has_member)
        of = {screens[part.target] for part in made_of if part.target in screens}
        if len(of) == 1 and not any(name in panels for name in resource.names):
            panel = Panel(reference=resource.reference, when=None, instrument=of.pop())
            panels.update(dict.fromkeys(resource.names, panel))
    return panels


def _observation_pieces(
    resources: ChartResources, resource: r4.Resource, parts: Iterable[Part], panels: Mapping[str, Panel]
) -> list[Piece]:
    """The values of one Observation and its components that belong to a screening instrument."""
    observation: r4.Observation = resource.content
    values = [(asked.target, value, asked.doubt) for _, value, asked in parts if asked.target]
    if not values:
        return []
    panel = next((panels[name] for name in resource.names if name in panels), None) if panels else None
    encounter = resources.encounter(observation.encounter)
    moment = observed_at(observation, resources.zone, resources.today) or (panel.when if panel else None)
    instruments = {panel.instrument if panel else None, *[target.instrument for target, _, _ in values]}
    pieces: list[Piece] = []
    for coded, value, doubt in values:
        target = of_teens(coded) if Instrument.PHQ9M in instruments else coded
        own_form = target.item == "panel" or bool(observation.component)
        if target.instrument is Instrument.RISK_LEVEL:
            screen = _screen_of(observation, value, instruments)
            target = replace(target, instrument=screen or Instrument.RISK_LEVEL)
            own_form = own_form or screen is Instrument.RISK_LEVEL
        piece = piece_of(
            target,
            value,
            when=moment,
            encounter=encounter.reference if encounter else None,
            provisional=observation.status in ("preliminary", "registered"),
            reference=resource.reference,
            form=panel.reference if panel else (resource.reference if own_form else None),
            doubt=doubt,
        )
        pieces += [piece] if piece else []
    return pieces


def _screen_of(observation: r4.Observation, level: r4.Value, instruments: set[Instrument | None]) -> Instrument | None:
    """The screen that a risk level is the result of: of the same panel, or as named in code, method and value."""
    beside = [screen for screen in NAMED_SCREENS if screen in instruments]
    if len(beside) == 1:
        return beside[0]
    concepts = (observation.code, level.value_codeable_concept)
    words = [text for concept in concepts if concept for text in (concept.text, *map(_words, concept.coding))]
    return _screen_named([*words, level.value_string, bytes(observation.method).decode(errors="replace")])


def _screen_named(texts: Iterable[str | None]) -> Instrument | None:
    """The suicide screen that texts name: RISK_LEVEL for one that is not ours, None where none is named."""
    plain = [folded(text[:LONGEST_NAME]) for text in texts if text]
    for text in plain:
        name = named_instrument(text)
        if name and name.suicide:
            return next((screen for screen in NAMED_SCREENS if screen.spec.title == name.title), Instrument.RISK_LEVEL)
    return Instrument.ASQ if any(RESULT_OF_ASQ.search(text) for text in plain) else None


# "Acute positive" and "non-acute positive" are results of the ASQ alone.
RESULT_OF_ASQ = re.compile(r"acute[\W_]positive")


def _words(coding: r4.Coding) -> str:
    return f"{coding.system} {coding.code} {coding.display}"


def _asserts(observation: r4.Observation) -> bool:
    """Whether the value is the finding and the code says only that."""
    return observation.code is not None and "ASSERTION" in [coding.code for coding in observation.code.coding]


def _finding_events(resources: ChartResources, resource: r4.Resource, parts: Iterable[Part]) -> list[CodedEvent]:
    """Safety findings coded as an Observation's code or a component's, or as the value of an assertion.

    A value of no or false is not positive (R8); a value that says neither counts.
    """
    observation: r4.Observation = resource.content
    concepts = (
        [observation.value_codeable_concept]
        if _asserts(observation)
        else [
            concept
            for concept, value, asked in parts
            if asked.is_finding
            and value.data_absent_reason is None
            and yes_or_no("finding", value, resource.reference).yes is not False
        ]
    )
    if not concepts:
        return []
    context = CodeContext(
        reference=resource.reference,
        when=observed_at(observation, resources.zone, resources.today),
        setting=Setting.FINDING,
        encounter=resources.encounter(observation.encounter),
        provisional=observation.status in ("preliminary", "registered"),
    )
    return [event for concept in concepts if (event := coded_event(concept, context))]
