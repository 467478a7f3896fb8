"""Outcomes come by themselves: a score in silent mode, a PHQ-9 at a later call, and the episode that both make."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from builders import AS_OF, PATIENT, codeable, given, patient, prefetch_of, resource
from ehr import ADDRESS, EHR, app_of, hook_request, issuer_table, recorded, settings

from cds_service.burden.on_record import Window
from cds_service.control import acts
from cds_service.control.acts import Actor, ModeRow
from cds_service.control.opt_outs import OptOutAct, change_opt_outs
from cds_service.control.targets import Mode, known_of
from cds_service.errors import StoreUnavailable
from cds_service.hooks.audit import ON_RECORD_ALONE, TO_WATCH_BY
from cds_service.monitoring import noted
from cds_service.monitoring.linking import LinkedEvent, episodes, linked
from cds_service.serving.engine import load_engine
from cds_service.settings.config import default_config
from cds_service.settings.monitoring import AuditGroup
from cds_service.storage.store import Store
from models.inputs.feature_schema import FEATURES
from models.inputs.outcomes import OUTCOMES

ENGINE = load_engine()
PROMPTS = "Condition I10, 300 days ago, problem list"
SYMPTOMS = "PHQ-9, today: items 1-8 = 2, item 9 = 0"
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
WARD = "Location/ward-3"


def extension(name: str, code: str) -> dict:
    parts = [{"url": "ombCategory", "valueCoding": {"code": code}}, {"url": "text", "valueString": "as told"}]
    return {"url": f"{US_CORE}{name}", "extension": parts}


GROUPED = {
    "extension": [extension("race", "2054-5"), extension("ethnicity", "2186-5")],
    "communication": [{"language": codeable("urn:ietf:bcp:47", "es-MX"), "preferred": True}],
}
COVERED = resource(
    "Coverage", status="active", type=codeable("https://nahdo.org/sopt", "21"),
    beneficiary={"reference": f"Patient/{PATIENT}"},
)  # fmt: skip


class Place:
    """One site's app in this process, and its clock."""

    def __init__(self, folder: Path, **site) -> None:
        wanted = {"consent": "not-used", "issuer": [issuer_table()], "time_zone": "America/Chicago"} | site
        self.now = AS_OF
        self.app = app_of(settings(folder, site=wanted), engine=ENGINE, now=lambda: self.now)
        self.runtime = self.app.extensions["mhcds"]
        self.site = self.runtime.config().site("north")

    def silent(self) -> None:
        for model in ENGINE.models:
            row = ModeRow(
                site="north", service="", outcome=model.outcome, version=model.version, mode=Mode.SILENT,
                at=AS_OF, by="Ann", reason="board", through="page",
            )  # fmt: skip
            acts.set_mode(self.runtime.store, row, known=known_of(self.runtime.config()))

    def opt_out(self) -> None:
        patients, ann = [self.runtime.key.pseudonym("north", PATIENT)], Actor("Ann Smith", "page")
        change_opt_outs(self.runtime.store, OptOutAct.ADD, "north", patients, actor=ann, reason="asked", now=AS_OF)

    def post(
        self, *lines: str, who: dict | None = None, more: dict | None = None, chart: tuple[dict, ...] = ()
    ) -> None:
        """A call about a chart with these lines, in an encounter on a ward."""
        found = [patient(**(who or {})), *(r for line in lines for r in given(line)), *chart]
        body = hook_request(prefetch=prefetch_of(found) | (more or {}))
        body["context"]["encounterId"] = "e1"
        headers = EHR(clock=self.now.timestamp()).headers(ADDRESS)
        answer = self.app.test_client().post(ADDRESS, json=body, headers=headers)
        assert answer.status_code == 200, answer.get_json()

    def call(self, *lines: str, **more) -> dict:
        """The event of such a call."""
        self.post(*lines, **more)
        return recorded(self.runtime.store)[-1]["event"]

    def episodes(self, window: Window | None = None):
        return episodes(self.runtime.store, self.site, window, self.now)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def visit() -> dict:
    found = resource("Encounter", id="e1", status="in-progress", location=[{"location": {"reference": WARD}}])
    return found | {"class": {"code": "AMB"}}


def test_a_score_in_silent_mode_finds_its_outcome_at_a_later_call(place: Place, caplog) -> None:
    place.silent()
    with caplog.at_level(logging.INFO, logger="mhcds"):
        first = place.call(PROMPTS, chart=(visit(),))
    place.now = AS_OF + timedelta(days=3)
    later = place.call(PROMPTS, "PHQ-9, 2026-11-26: items 1-8 = 2, item 9 = 0")
    place.now = AS_OF + timedelta(days=30)

    found = place.episodes()

    assert [(e.outcome, e.positive, e.shown) for e in found] == [
        ("depression", True, False),
        ("suicidal-ideation", False, False),
    ]
    episode, score = found[0], first["scores"][0]
    assert (episode.at, episode.month, episode.known) == (AS_OF, "2026-11", AS_OF + timedelta(days=3))
    assert episode.measured == datetime.fromisoformat("2026-11-26T06:00:00+00:00")
    assert (episode.probability, episode.flagged, episode.inputs) == (
        score["probability"], score["flagged"], score["inputs"],
    )  # fmt: skip
    assert (episode.sex, episode.age_band, episode.department) == ("female", "30-44", first["department"])
    assert (episode.groups, episode.exposure, episode.over) == ({}, None, True)
    assert later["scores"] == [] and [r["positive"] for r in later["measured"]] == [True, False]
    assert later["department"] is later["sex"] is later["age_band"] is None
    days = (AS_OF + timedelta(days=1)).date()
    assert place.episodes(Window(since=days, until=days + timedelta(days=60))) == ()
    (line,) = (json.loads(m) for m in caplog.messages if "hook-answered" in m)
    assert not set(ON_RECORD_ALONE) & set(line)
    assert line["cpu_ms"] > 0 and first["cpu_ms"] == line["cpu_ms"]


def test_the_bins_of_a_score_are_those_of_its_inputs_in_the_order_of_its_schema(place: Place) -> None:
    (depression, _) = place.call("Medicine sertraline, today", PROMPTS)["scores"]

    names = dict(zip(ENGINE.models[0].schema.names, depression["inputs"], strict=True))
    assert names["rx_ssri"] == "1" and names["rx_snri"] == "0", "known, since the whole list of medicines came"
    assert names["sleep_hours"] == "-" and names["age"].isdigit()
    assert depression["flagged"] is (depression["probability"] >= ENGINE.models[0].default_threshold)


def test_who_opts_out_afterwards_has_no_episode(place: Place) -> None:
    place.call(PROMPTS)
    assert place.episodes() != ()
    place.opt_out()

    assert place.episodes() == ()


@pytest.mark.parametrize("why", ["on the list", "has died", "the chart denies it"])
def test_of_a_chart_that_models_may_not_use_nothing_is_on_record_to_compare(tmp_path: Path, why: str) -> None:
    place = Place(tmp_path, consent="required", monitoring={"groups": ["language"]})
    denies = resource(
        "Consent", status="active", scope=codeable("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        category=[codeable("http://loinc.org", "59284-0")], patient={"reference": f"Patient/{PATIENT}"},
        provision={"type": "deny"},
    )  # fmt: skip
    if why == "on the list":
        place.opt_out()
    event = place.call(
        PROMPTS, SYMPTOMS,
        who={"deceasedBoolean": True} if why == "has died" else {},
        chart=(denies,) if why == "the chart denies it" else (),
    )  # fmt: skip

    assert event["deceased"] or event["consent"] in ("opted-out", "consent-denied")
    assert (event["scores"], event["measured"], event["groups"]) == ([], [], {})
    assert event["sex"] is event["age_band"] is event["department"] is None


def test_groups_are_recorded_where_they_are_switched_on_and_no_model_can_see_them(tmp_path: Path) -> None:
    on = Place(tmp_path / "on", monitoring={"groups": ["race-ethnicity", "language", "payer"]})
    off = Place(tmp_path / "off")
    covered = {"coverage": {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": COVERED}]}}

    recorded_groups = on.call(PROMPTS, who=GROUPED, more=covered, chart=(visit(),))
    plain = on.call(PROMPTS, chart=(visit(),))
    not_on = off.call(PROMPTS, who=GROUPED, more=covered, chart=(visit(),))

    assert recorded_groups["groups"] == {
        "race-ethnicity": "black-or-african-american",
        "language": "es",
        "payer": "medicaid",
    }
    assert plain["groups"] == dict.fromkeys(recorded_groups["groups"], "unrecorded")
    assert not_on["groups"] == {}
    assert recorded_groups["scores"] == plain["scores"] == not_on["scores"] != []
    assert not {spec.name for spec in FEATURES} & {"race", "ethnicity", "language", "payer", "insurance"}
    on.now = AS_OF + timedelta(hours=1)
    (first, _) = on.episodes()
    assert first.groups == recorded_groups["groups"]
    switched_off = replace(on.site, monitoring=replace(on.site.monitoring, groups=(AuditGroup.LANGUAGE,)))
    assert next(e.groups for e in episodes(on.runtime.store, switched_off, None, on.now)) == {"language": "es"}
    kept = b"".join(path.read_bytes() for path in (tmp_path / "on" / "data").glob("mhcds.db*"))
    for text in (WARD, "2054-5", "es-MX", "as told"):
        assert text.encode() not in kept, text


def test_a_threshold_of_the_site_is_the_one_that_flags(tmp_path: Path) -> None:
    place = Place(tmp_path, thresholds={"depression": 0.0001, "suicidal-ideation": 0.999})

    found = place.call(PROMPTS)["scores"]

    assert {score["model"].split()[0]: score["flagged"] for score in found} == {
        "depression": True,
        "suicidal-ideation": False,
    }


def test_while_the_store_is_away_the_log_has_nothing_that_models_are_watched_by(
    tmp_path: Path, monkeypatch, caplog
) -> None:
    place = Place(tmp_path, monitoring={"groups": ["race-ethnicity"]})

    def away(_store: Store, _row: object) -> None:
        raise StoreUnavailable("locked")

    monkeypatch.setattr(Store, "write_answer", away)
    with caplog.at_level(logging.INFO, logger="mhcds"):
        place.post(PROMPTS, "PHQ-9, 40 days ago: items 1-9 = 1", who=GROUPED, chart=(visit(),))

    (lost,) = (json.loads(m)["answer"] for m in caplog.messages if "answer-not-stored" in m)
    assert [set(score) for score in lost["scores"]] == [{"model", "probability", "shown", "flagged"}] * 2
    assert not set(TO_WATCH_BY) & set(lost)
    assert not any(word in caplog.text for word in ("measured", "black-or", "30-44", "2026-10-14"))
    assert place.runtime.key.pseudonym("north", WARD) not in caplog.text


def test_what_cannot_be_noted_costs_no_answer(place: Place, monkeypatch, caplog) -> None:
    monkeypatch.setattr(noted, "measured", lambda _chart: 1 / 0)

    event = place.call(PROMPTS, chart=(visit(),))

    assert (event["status"], event["measured"], event["sex"]) == (200, [], None)
    (line,) = (json.loads(m) for m in caplog.messages if "not-noted" in m)
    assert line == {"event": "not-noted", "site": "north", "kind": "ZeroDivisionError"}


def test_a_trial_of_one_model_exposes_no_episode_of_the_other() -> None:
    scores = [{"model": f"{o} 3.0.0", "probability": 0.1, "shown": True, "flagged": True} for o in OUTCOMES]
    arm = {"id": "wedge", "outcome": "depression", "version": "1", "unit": "a", "stratum": "", "arm": "live"}
    event = msgspec.convert({"patient": "p", "consent": "allowed", "scores": scores, "trial": arm}, LinkedEvent)
    event.at, event.seq = AS_OF, 1

    found = {e.outcome: e.exposure and e.exposure.trial for e in linked([event], default_config().site(), AS_OF)}

    assert found == {"depression": "wedge", "suicidal-ideation": None}
