"""Who has been told of an acute answer, on a page, and the one place to say that somebody knows and what was done."""

from __future__ import annotations

from dataclasses import dataclass

from explanations.judgement.assessment import Assessment
from explanations.judgement.escalation import ACKNOWLEDGING, Done, EscalationState
from explanations.words.language import Language, capitalised
from explanations.words.notices.escalations import DONE, told_words
from explanations.words.notices.notice import NoticeSettings
from models.rules.findings import Topic, Urgency
from smart_launch.chart.overrides import Override
from smart_launch.errors import Forbidden
from smart_launch.runtime import AppRuntime
from smart_launch.session.sessions import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How far somebody is told, in `words`.

    id: of what can be acknowledged or added to; "" for nothing. known: somebody has acknowledged it. choices: what can
    still be said to be done, as (code, words).
    """

    words: str
    id: str = ""
    known: bool = False
    choices: tuple[tuple[str, str], ...] = ()


def told_of(assessment: Assessment, settings: NoticeSettings, say: Language) -> Told | None:
    """None where the site tells nobody."""
    escalation = assessment.escalation
    if escalation is None:
        return None
    left = [done for done in Done if done not in escalation.done] if escalation.id else []
    settings = settings.safe
    words = told_words(assessment, settings)
    acute = any(finding.urgency is Urgency.ACUTE for finding in assessment.findings)
    return Told(
        words=words if acute else settings.say("Earlier acute answer. {told}", told=words),
        id=escalation.id,
        known=escalation.state is EscalationState.ACKNOWLEDGED,
        choices=tuple((done.value, capitalised(say(DONE[done]))) for done in left),
    )


def note_known(app: AppRuntime, session: Session, identifier: str, codes: list[str]) -> None:
    """Records that the user knows, and what was done. Raises Forbidden for what the page does not offer."""
    if not {*codes} <= {*Done}:
        raise Forbidden("escalation: expected one of the choices of the page", "form-refused", 400)
    if not app.acknowledge(session, identifier, signer(session), tuple(map(Done, codes))):
        raise Forbidden("escalation: expected that of the session's patient", "form-refused", 400)


def note_override(app: AppRuntime, session: Session, said: Override) -> None:
    """A reason that says that somebody knows acknowledges too."""
    if said.topic is Topic.ACUTE_SAFETY and said.code in ACKNOWLEDGING:
        escalation = app.escalation(session)
        if escalation is not None:
            app.acknowledge(session, escalation.id, signer(session), ())


def signer(session: Session) -> str:
    """Who acts, as on what is written: by name, else by reference; "" where the EHR names nobody."""
    return (session.user and (session.user.name or session.user.fhir_user)) or ""
