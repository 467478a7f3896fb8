"""GET /patients and /sites/<id>/patients: the open page for patients, true of the site, with nobody's data."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from builders import AS_OF, open_app
from ehr import app_of, issuer_table, settings
from episodes import episodes
from hook_calls import client_of

from cds_service.control.acts import Actor, ModeRow, switch_off
from cds_service.control.in_use import model_use
from cds_service.control.snapshot import ControlState
from cds_service.control.targets import Mode, SwitchTarget, known_of
from cds_service.monitoring.counting import site_figures
from cds_service.monitoring.site_figures import write_figures
from cds_service.serving.engine import load_engine
from cds_service.serving.site_facts import measured_here, patient_facts
from cds_service.settings.config import default_config
from explanations.judgement.assessment import Engine
from explanations.judgement.control import ModelUse
from explanations.judgement.regions import REGIONS
from explanations.words.pages.learning import MeasuredHere

ASK = "Call the front desk at 555-0100."


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory):
    def site(name: str, **more) -> dict:
        return {"fhir_bases": [f"https://{name}.example/fhir"], "issuer": [issuer_table()], **more}

    sites = {
        "north": site("north", opt_out={"ask": {"en": ASK}}),
        "south": site("south", region="generic", opt_out={"rules": "off", "policy": "Policy 1"}),
    }
    return client_of(tmp_path_factory.mktemp("sites"), sites=sites).flask


def text(answer) -> str:
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True)))


def test_it_is_open_loads_only_our_own_parts_and_may_be_kept_by_caches(client) -> None:
    answer = client.get("/sites/north/patients")

    assert answer.content_type == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert answer.headers["ETag"] and "Accept-Language" in answer.headers["Vary"]
    parts = re.findall(r'(?:src|href)="([^"]+)"', answer.get_data(as_text=True))
    assert all(part.startswith(("/smart/static/", "#", "?lang=")) for part in parts)
    assert "<form" not in answer.get_data(as_text=True)
    styles = next(part for part in parts if ".css" in part)
    with client.get(styles) as found:
        assert found.status_code == 200


def test_a_site_says_whom_to_ask_and_what_happens_there(client) -> None:
    north, south = text(client.get("/sites/north/patients")), text(client.get("/sites/south/patients"))

    assert ASK in north and "call 911 now" in north and "may still send it answers" in north
    assert "tell someone on your care team" in south and "your local emergency number" in south
    assert "It does not look at your answers at all." in south


def test_without_a_site_it_says_what_is_so_at_any_and_names_none(client) -> None:
    both = text(client.get("/patients"))

    assert ASK not in both and "north" not in both and "911" not in both
    assert "your local emergency number" in both and "may still send it answers" in both


def test_the_only_site_speaks_for_the_deployment() -> None:
    assert "call or text 988" in text(open_app(engine=Engine()).test_client().get("/patients"))


def test_a_site_that_is_not_there_has_no_page(client) -> None:
    assert client.get("/sites/west/patients").status_code == 404


def test_no_word_of_the_request_reaches_the_page(client) -> None:
    planted = "/sites/north/patients?lang=<b>Okafor</b>&patient=Okafor"

    assert "Okafor" not in client.get(planted, headers={"Accept-Language": "Okafor"}).get_data(as_text=True)


class Model:
    outcome, version, digest = "depression", "3.0.0", "0" * 64


def use(state: ControlState, **config) -> ModelUse:
    whole = replace(default_config(), **config)
    return model_use(state, whole, whole.sites[0].id, [Model()], AS_OF.date())


def moded(mode: Mode, **more) -> ControlState:
    site = default_config().sites[0].id
    row = ModeRow(
        site=site, service="", outcome="depression", version="3.0.0", mode=mode, at=datetime.now(UTC), by="Ann",
        reason="r", through="page", **more,
    )  # fmt: skip
    return ControlState(number=1, modes={row.key: row})


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (Mode.OFF, ModelUse.NONE),
        (Mode.SILENT, ModelUse.TESTED),
        (Mode.REVIEW, ModelUse.TESTED),
        (Mode.PILOT, ModelUse.SPEAKS),
        (Mode.TRIAL, ModelUse.SPEAKS),
        (Mode.LIVE, ModelUse.SPEAKS),
    ],
)
def test_what_is_done_with_estimates_follows_the_mode(mode: Mode, expected: ModelUse) -> None:
    assert use(moded(mode, share=0.1) if mode is Mode.PILOT else moded(mode)) is expected


def test_a_governed_site_without_an_approval_only_tests() -> None:
    assert use(ControlState(number=1), mode="production") is ModelUse.TESTED
    assert use(moded(Mode.LIVE), mode="production") is ModelUse.TESTED


def test_while_nobody_knows_the_page_says_more_and_not_less() -> None:
    assert use(ControlState()) is ModelUse.SPEAKS


def test_without_a_model_nothing_is_done() -> None:
    assert model_use(ControlState(number=1), default_config(), "x", [], AS_OF.date()) is ModelUse.NONE


def test_a_site_that_is_switched_off_says_so(tmp_path: Path) -> None:
    app = app_of(settings(tmp_path))
    runtime = app.extensions["mhcds"]
    target, known = SwitchTarget(site="north"), known_of(runtime.config())
    assert "switched off" not in text(app.test_client().get("/sites/north/patients"))

    switch_off(runtime.store, target, actor=Actor("Ann", "page"), reason="why", now=runtime.now(), known=known)

    assert "Right now the program is switched off here." in text(app.test_client().get("/sites/north/patients"))


# ---- figures for the module for clinicians


def test_the_site_figures_of_the_models_in_use_are_those_that_clinicians_read(tmp_path: Path) -> None:
    engine = Engine(models=tuple(model for model in load_engine().models if model.outcome == "depression"))
    (model,) = engine.models
    runtime = app_of(settings(tmp_path), engine=engine).extensions["mhcds"]
    site = runtime.config().sites[0]
    (nothing,) = measured_here(runtime, site)
    made = episodes(2000, version=model.version, level=1.0, seed=4)
    write_figures(runtime.store, site.id, site_figures(made, threshold=0.2, now=runtime.now()))
    (known,) = measured_here(runtime, site)
    england = replace(site, cards=replace(site.cards, region=REGIONS["GB-ENG"]))

    assert nothing == MeasuredHere(outcome="depression")
    assert known.ppv is not None and known.ppv[1] <= known.ppv[0] <= known.ppv[2]
    assert measured_here(runtime, england) == ()
    assert patient_facts(runtime, (england,)).models is ModelUse.NONE
    assert patient_facts(runtime, (england, site)).models is ModelUse.SPEAKS


def test_it_names_the_crisis_line_in_the_language_that_the_browser_asks_for_also_where_the_site_has_it_not(
    client,
) -> None:
    assert "AYUDA" in text(client.get("/sites/north/patients", headers={"Accept-Language": "de,es-MX;q=0.5"}))
    for refused in ("en", "en,es;q=0"):
        assert "AYUDA" not in text(client.get("/sites/north/patients", headers={"Accept-Language": refused}))
