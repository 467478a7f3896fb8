"""A site in a trial by a protocol, and a trial by draw: what tests of trials share."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from builders import AS_OF, PATIENT, given, patient, prefetch_of, resource
from ehr import ADDRESS, DATA_KEY, EHR, app_of, hook_request, kept_in, recorded, settings

from cds_service.control.acts import ModeRow, set_mode
from cds_service.control.targets import Mode, known_of
from cds_service.keys.data_key import DataKey
from cds_service.settings.trials import Design, Endpoint, Trial
from cds_service.trials.verification import verified

PROMPTING = ("Condition F41.9, 60 days ago", "Condition G47.00, 90 days ago")
INTENT = "C-SSRS, today: question 4 = yes"
KEY = DataKey(DATA_KEY)
WEDGE = """
id = "wedge"
version = 1
title = "Does the prompt lead to more forms?"
site = "north"
outcome = "depression"
design = "stepped-wedge"
begins = 2026-11-02
ends = 2026-12-31
[[clinic]]
name = "river"
references = ["Location/3"]
live_from = 2026-11-30
[[clinic]]
name = "hill"
references = ["Location/4"]
live_from = 2026-12-07
"""
DRAWN = Trial(
    id="drawn", version=1, title="Drawn", site="north", outcome="depression", design=Design.BY_PATIENT,
    begins=date(2026, 11, 2), ends=date(2026, 12, 31), endpoint=Endpoint.ACTED, population="flagged",
    seed="a seed of its own", blocks=(4, 6), clinics=(),
)  # fmt: skip


class Clinics:
    """A site in a trial by a protocol; `now` may be moved."""

    def __init__(self, folder: Path, engine, protocol: str = WEDGE) -> None:
        self.file = settings(folder, site={"thresholds": {"depression": 0.001}}, service=kept_in(
            f"sqlite:///{folder / 'mhcds.db'}", folder)) / "trials" / "trial.toml"  # fmt: skip
        self.file.parent.mkdir()
        self.file.write_text(protocol)
        self.now, self.engine = AS_OF, engine
        self.start()
        self.mode(Mode.TRIAL)

    def start(self) -> None:
        self.app = app_of(self.file.parents[1], engine=self.engine, now=lambda: self.now)
        self.runtime = self.app.extensions["mhcds"]

    def mode(self, mode: Mode) -> None:
        row = ModeRow(
            site="north", service="", outcome="depression", version="3.0.0", mode=mode, at=AS_OF, by="A. Smith",
            reason="as the protocol says", through="command",
        )  # fmt: skip
        set_mode(self.runtime.store, row, known=known_of(self.runtime.config()))

    def cards(self, *places: str, lines: tuple[str, ...] = PROMPTING, who: str = PATIENT, user: str = "doc") -> list:
        visit = resource("Encounter", id="e1", status="in-progress", subject={"reference": f"Patient/{who}"})
        visit |= {"class": {"code": "AMB"}, "location": [{"location": {"reference": place}} for place in places]}
        chart = prefetch_of([patient(), *(entry for line in lines for entry in given(line)), visit])
        chart = json.loads(json.dumps(chart).replace(PATIENT, who))
        context = {"userId": f"Practitioner/{user}", "patientId": who, "encounterId": "e1"}
        body = hook_request(prefetch=chart, context=context)
        answer = self.app.test_client().post(ADDRESS, json=body, headers=EHR(clock=self.now.timestamp()).headers())
        assert answer.status_code == 200, answer.get_json()
        return answer.get_json()["cards"]

    def topics(self, *places: str, **more) -> list[str]:
        return [card["source"]["topic"]["code"] for card in self.cards(*places, **more)]

    def last(self) -> tuple[str | None, dict | None]:
        """Why the model was silent in the last call, and in which arm it was asked."""
        event = recorded(self.runtime.store)[-1]["event"]
        why = [said.partition(" ")[2] for said in event["not_scored"] if said.startswith("depression ")]
        return (why[0] if why else None), event["trial"]

    def check(self) -> tuple[str, ...]:
        (trial,) = self.runtime.config().trials
        return verified(self.runtime.store, KEY, trial, self.runtime.config().site().day).faults
