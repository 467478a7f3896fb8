"""What the shell passes to the app: settings, engine, languages, store, clock; built by `cds_service.smart_app`."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import msgspec

from explanations.judgement.alert_limits import Limited
from explanations.judgement.assessment import Assessment, Engine
from explanations.judgement.control import UNCONTROLLED, Control
from explanations.judgement.escalation import Done, Escalation
from explanations.judgement.judge import Judgement
from explanations.words.notices.notice import Notice
from explanations.words.pages.learning import MeasuredHere
from explanations.words.patient.page import PatientFacts
from models.rules.findings import Topic
from smart_launch.oauth.discovery import Discovery
from smart_launch.oauth.issuer_keys import IssuerKeys
from smart_launch.oauth.own_keys import OwnKeys
from smart_launch.oauth.tokens import TokenEndpoint
from smart_launch.session.sessions import Session
from smart_launch.session.store import AppStore
from smart_launch.settings import AppSettings, Registration

Stored = TypeVar("Stored", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRuntime:
    """One process of the app. `now` and `new_secret` are its only clock and randomness.

    seal, unseal: with the deployment's key; unseal raises ValueError for anything else.
    control: what a page for this site, patient and user may use and show.
    client_address: a pseudonym of the network address that the current request comes from.
    topic_of: the topic of our card named by an appContext, if it is for this site and patient, else None.
    escalation: who has been told of the session's patient: open, or acknowledged within a day. escalate: the same after
    a reading, whose acute findings open one. acknowledge: somebody knows of one with this id, by name ("": none), and
    did this; False: it is not of the session's patient.
    limits: which cards of these notices the session's user would not be shown now. snooze: keeps the reason that they
    gave on a notice of this topic, by its code and what the notice rests on (`Behind.snoozed_as`; None: not limited).
    patient_facts: what the page for patients says of a site. measured_here: what its outcomes say of its models.
    """

    settings: Callable[[], AppSettings]
    engine: Engine
    store: AppStore
    keys: Callable[[], OwnKeys]
    discovery: Discovery
    issuer_keys: IssuerKeys
    seal: Callable[[str], bytes]
    unseal: Callable[[bytes], str]
    pseudonym: Callable[[str, str], str]
    patient_facts: Callable[[str], PatientFacts]
    measured_here: Callable[[str], tuple[MeasuredHere, ...]] = lambda _site: ()
    control: Callable[[str, str, str | None], Control] = lambda _site, _patient, _user: UNCONTROLLED
    client_address: Callable[[], str]
    topic_of: Callable[[str, str, str], str | None]
    now: Callable[[], datetime]
    escalation: Callable[[Session], Escalation | None] = lambda _session: None
    escalate: Callable[[Session, Judgement, Control], Escalation | None] = lambda _session, _judgement, _control: None
    acknowledge: Callable[[Session, str, str, tuple[Done, ...]], bool] = lambda _session, _id, _by, _done: False
    limits: Callable[[Session, Assessment, tuple[Notice, ...]], Limited] = lambda _session, _found, _made: Limited()
    snooze: Callable[[Session, Topic, str, str | None], None] = lambda _session, _topic, _code, _grounds: None
    new_secret: Callable[[], str] = lambda: secrets.token_urlsafe(32)

    def token_endpoint(self, registration: Registration) -> TokenEndpoint:
        """An EHR's token endpoint. Raises EhrFailed when its configuration cannot be read."""
        return TokenEndpoint(
            endpoints=self.discovery.endpoints(registration),
            registration=registration,
            keys=self.keys(),
            now=self.now(),
        )

    def sealed(self, value: msgspec.Struct) -> bytes:
        """A pending launch or a session, encrypted for the store."""
        return self.seal(msgspec.json.encode(value).decode())

    def unsealed(self, content: bytes, kind: type[Stored]) -> Stored:
        """The inverse. Raises ValueError for what was sealed with another key or by another version."""
        return msgspec.json.decode(self.unseal(content), type=kind)

    def seconds(self) -> int:
        """Now, in seconds since 1970."""
        return int(self.now().timestamp())


def digest(secret: str) -> str:
    """What we store in place of a browser's secret: 64 hex digits."""
    return hashlib.sha256(secret.encode()).hexdigest()
