"""One clinician with one launch: the app's own routes on a real store and a real FHIR server, without an EHR's OAuth.

`desks` makes them; a desk's `get` and `post` go to pages below its launch as its browser would.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import msgspec
from builders import AS_OF, patient
from cryptography.fernet import Fernet
from flask import Flask
from real_server import TOKEN, RealServer

from cds_service.storage.app_store import AppRows
from cds_service.storage.opening import open_store
from cds_service.storage.versions import upgrade
from explanations.judgement.assessment import Engine
from explanations.judgement.control import ModelUse
from explanations.judgement.regions import REGIONS
from explanations.words.language import Language, language
from explanations.words.notices.notice import NoticeSettings
from explanations.words.patient.page import PatientFacts
from fhir_adapters.settings import ReadSettings
from fhir_adapters.writing.questionnaires import form
from smart_launch.chart import routes as app_pages
from smart_launch.forms import form_routes as form_pages
from smart_launch.oauth.discovery import Discovery
from smart_launch.oauth.issuer_keys import IssuerKeys
from smart_launch.oauth.own_keys import OwnKeys
from smart_launch.pages.blueprint import register
from smart_launch.runtime import AppRuntime, digest
from smart_launch.session.cookies import BROWSER, SESSION
from smart_launch.session.sessions import LaunchContext, Session, User
from smart_launch.session.store import StoredSession
from smart_launch.settings import AppSettings, AppSite, Registration

ADDRESS = "https://cds.example"
UTC_SITE = NoticeSettings(zone=AS_OF.tzinfo, contact="On-call psychiatry: ext. 4410")
SCOPES = (
    "patient/Patient.rs",
    "patient/Observation.crus",
    "patient/QuestionnaireResponse.crus",
    "patient/Task.c",
    "patient/ServiceRequest.c",
)
SECRET = "s" * 43
secrets = count(1)


@dataclass
class Desk:
    """One clinician with one launch. `get` and `post` go to pages below it; `post` sends the token of its forms."""

    server: RealServer
    store: AppRows
    who: str
    app: Flask
    runtime: AppRuntime
    clock: list
    launch: str = "launch-a"

    def client(self):
        found = self.app.test_client()
        for name in (SESSION, BROWSER):
            found.set_cookie(name, SECRET, domain="cds.example", secure=True)
        return found

    def get(self, path: str):
        return self.client().get(f"/smart/app/{self.launch}/{path}", base_url=ADDRESS)

    def post(self, path: str, fields: dict | None = None, **headers):
        return self.client().post(
            f"/smart/app/{self.launch}/{path}",
            base_url=ADDRESS,
            data={"csrf": "c" * 43} | (fields or {}),
            headers={"Origin": ADDRESS, "Sec-Fetch-Site": "same-origin"} | headers,
        )

    def stored(self) -> list[dict]:
        return [
            resource
            for kind in ("QuestionnaireResponse", "Observation", "Task", "ServiceRequest")
            for resource in self.server.all_of(kind)
            if f"Patient/{self.who}" in json.dumps(resource)
        ]

    def open(self, launch: str, **changes) -> None:
        """A launch of this browser."""
        now = int(AS_OF.timestamp()) - 60
        session = Session(
            launch_id=launch,
            site="s1",
            iss=self.server.base,
            client_id="c1",
            user=User(iss="https://ehr.example", subject="u1", fhir_user="Practitioner/doc"),
            context=LaunchContext(patient=self.who, encounter="e1"),
            scopes=SCOPES,
            token=TOKEN,
            token_expires=now + 3600,
            refresh_token=None,
            csrf="c" * 43,
            started=now,
        )
        session = msgspec.structs.replace(session, **changes)
        kept = StoredSession(
            digest=digest(SECRET),
            launch=launch,
            browser=digest(SECRET),
            iss=self.server.base,
            sealed=self.runtime.sealed(session),
            started=now,
            used=now,
            version=0,
        )
        self.store.put_session(kept)


@contextmanager
def desks(server: RealServer, folder: Path) -> Iterator[Callable[..., Desk]]:
    """Makes a desk for a patient; `scopes` and other parts of the session, `write_back` of the registration."""
    (folder / "store").mkdir()
    kept = open_store(f"sqlite:///{folder / 'store' / 'mhcds.db'}")
    upgrade(kept)
    key = Fernet(Fernet.generate_key())

    def make(
        who: dict | None = None,
        *,
        write_back: bool = True,
        region: str = "US",
        languages: tuple[Language, ...] = (language(),),
        **session,
    ) -> Desk:
        registration = Registration(site="s1", iss=server.base, client_id="c1", label="EHR", write_back=write_back)
        site = AppSite(
            id="s1",
            reading=ReadSettings(zone=AS_OF.tzinfo),
            notices=replace(UTC_SITE, region=REGIONS[region]),
            registrations=(registration,),
            languages=languages,
        )
        clock = [AS_OF]
        runtime = AppRuntime(
            settings=lambda: AppSettings(sites=(site,), address=ADDRESS, local=True),
            engine=Engine(),
            store=AppRows(kept),
            keys=OwnKeys,
            discovery=Discovery(local=lambda: True),
            issuer_keys=IssuerKeys(local=lambda: True),
            seal=lambda text: key.encrypt(text.encode()),
            unseal=lambda sealed: key.decrypt(sealed).decode(),
            pseudonym=lambda site, what: f"pseudonym-{len(what)}",
            topic_of=lambda said, site, who: None,
            patient_facts=lambda site: PatientFacts(notices=UTC_SITE, models=ModelUse.SPEAKS),
            client_address=lambda: "one",
            now=lambda: clock[0],
            new_secret=lambda: f"{next(secrets):043d}",
        )
        app = Flask("test")
        register(app, runtime, app_pages.create_blueprint(runtime), form_pages.create_blueprint(runtime))
        made = Desk(
            server=server,
            store=AppRows(kept),
            who=server.load(who or patient(name=[{"family": "Okafor", "given": ["Marguerite"]}])),
            app=app,
            runtime=runtime,
            clock=clock,
        )
        made.open("launch-a", **session)
        server.reset()
        return made

    yield make
    kept.close()


def said(name: str, *scores) -> dict[str, str]:
    """A number is the answer of that score, text goes as it is, None is no field."""
    return {
        f"q-{q.name}": q.options[s].code if isinstance(s, int) else s
        for q, s in zip(form(name).questions, scores, strict=False)
        if s is not None
    }


def hidden(page) -> dict[str, str]:
    """The hidden fields of the last form that writes."""
    text = page.get_data(as_text=True)
    whole = re.findall(r"<form[^>]*>.*?</form>", text, re.DOTALL)
    found = next(f for f in whole if "write" in f.split(">", 1)[0])
    return {n: html.unescape(v) for n, v in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', found)}


def words(page) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.get_data(as_text=True))).split())
