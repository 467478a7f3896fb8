"""Three minutes for clinicians: what this is and what it misses, how often a prompt is right here, how to ask.

Completion is on record by user, without a patient. It is never a gate: nothing is held back from who has not read it.
"""

from __future__ import annotations

from dataclasses import dataclass

from explanations.judgement.control import ModelUse
from explanations.words.interpreter import interpreter_words
from explanations.words.language import Language
from explanations.words.pages.learning import measured_words
from explanations.words.patient.asking import how_to_ask
from smart_launch.launch.guard import OpenLaunch
from smart_launch.records import record_of_user
from smart_launch.runtime import AppRuntime

EDITION = "1"
"""Of the module: a new one when it has changed so much that whoever has read it should read it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """What depends on the site. measured: a sentence for each model, none where none is used.

    asking: in `asked_in`, the reader's language where a person has reviewed it; else interpreter says why not.
    """

    models: ModelUse
    measured: tuple[str, ...]
    asking: tuple[str, ...]
    asked_in: Language
    interpreter: str


def learning_of(app: AppRuntime, launch: OpenLaunch) -> Learning:
    """The module at the launch's site. Raises the store's error when the figures cannot be read."""
    site, say = launch.session.site, launch.say
    models = app.patient_facts(site).models
    measured = app.measured_here(site) if models is ModelUse.SPEAKS else ()
    return Learning(
        models=models,
        measured=measured_words(measured, say),
        asking=how_to_ask(say.safe),
        asked_in=say.safe,
        interpreter=interpreter_words(say),
    )


def record_learned(app: AppRuntime, launch: OpenLaunch) -> None:
    """Records that the session's user has read the module."""
    record_of_user(app, launch.session, "learned", edition=EDITION)
