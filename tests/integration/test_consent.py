"""Consent before all else: against a real server and with what the client sends."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import AS_OF, LOW, PATIENT, given, open_app, patient, prefetch_of
from prometheus_client import REGISTRY
from real_server import TOKEN, answering

from cds_service.control.acts import Actor
from cds_service.control.opt_outs import OptOutAct, change_opt_outs
from cds_service.serving.engine import load_engine
from cds_service.settings.config import ServiceConfig, default_config
from fhir_adapters.access.templates import templates
from fhir_adapters.resources.consent import ConsentSettings
from fhir_adapters.settings import ReadSettings

ENGINE = load_engine()
# A chart with something on it; the site's threshold is one that any estimate reaches.
PROMPTING = (
    "Condition 193462001, 90 days ago, problem list",
    "Medicine oxycodone, today",
    "Condition 3723001, 900 days ago, problem list",
)
INTENT = "C-SSRS, today: question 4 = yes"
DENIAL = {"resourceType": "Consent", "status": "active", "patient": {"reference": f"Patient/{PATIENT}"}, "provision": {"type": "deny"},
          "scope": {"coding": [{"code": "patient-privacy"}]}, "category": [{"text": "privacy"}]}  # fmt: skip


def prompting() -> list[dict]:
    return [r for line in PROMPTING for r in given(line)]


def post(body: dict, *, use: str = "required", opted_out: bool = False, substance_use: str = "withheld"):
    site = replace(
        default_config().sites[0],
        thresholds=LOW,
        reading=ReadSettings(consent=ConsentSettings(use=use, substance_use=substance_use), budget_s=5.0),
    )
    app = open_app(ServiceConfig(sites=(site,)), engine=ENGINE, now=lambda: AS_OF)
    if opted_out:
        opt_out(app, site.id, body["context"]["patientId"])
    base = {"hook": "patient-view", "hookInstance": "h1"}
    return app.test_client().post("/cds-services/depression-suicide-risk", json=base | body)


def opt_out(app, site: str, who: str) -> None:
    runtime = app.extensions["mhcds"]
    patients = [runtime.key.pseudonym(site, who)]
    actor = Actor("A. Smith", "command")
    change_opt_outs(runtime.store, OptOutAct.ADD, site, patients, actor=actor, reason="form 12", now=AS_OF)


def sent(*resources: dict, without: tuple[str, ...] = (), **keys):
    prefetch = {k: v for k, v in (prefetch_of([patient(), *resources]) | keys).items() if k not in without}
    return {"context": {"userId": "Practitioner/doc", "patientId": PATIENT}, "prefetch": prefetch}


def fetched(server, who: str) -> dict:
    return {
        "context": {"userId": "Practitioner/doc", "patientId": who},
        "fhirServer": server.base,
        "fhirAuthorization": {
            "access_token": TOKEN,
            "token_type": "Bearer",
            "expires_in": 60,
            "scope": "x",
            "subject": "y",
        },
    }


def topics(got) -> list[str]:
    assert got.status_code == 200, got.get_json()
    return [c["source"]["topic"]["code"] for c in got.get_json()["cards"]]


def test_without_a_consent_on_file_the_model_speaks(server) -> None:
    assert topics(post(sent(*prompting()))) == ["screening-prompt"]
    assert topics(post(fetched(server, server.load(patient(), *prompting())))) == ["screening-prompt"]


def test_a_denial_silences_the_model_and_not_the_rules_on_what_was_sent() -> None:
    assert topics(post(sent(*prompting(), DENIAL | {"id": "c"}))) == []
    assert topics(post(sent(*prompting(), *given(INTENT), DENIAL | {"id": "c"}))) == ["acute-safety"]


def test_a_denial_on_the_server_ends_the_reading_there(server) -> None:
    who = server.load(patient(), *given(INTENT), DENIAL | {"id": "denial-1"})

    refused = post(fetched(server, who))

    assert refused.status_code == 412
    assert "has not consented" in refused.get_data(as_text=True)
    assert {path.partition("?")[0] for path in server.asked()} == {"Consent"}


def test_cards_of_a_patient_who_opted_out_are_not_counted() -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("mhcds_cards_total", {"topic": "acute-safety", "indicator": "critical"}) or 0.0

    before = counted()

    assert topics(post(sent(*given(INTENT)), opted_out=True)) == ["acute-safety"]
    assert counted() == before
    assert topics(post(sent(*given(INTENT)))) == ["acute-safety"]
    assert counted() == before + 1


def test_an_opt_out_ends_the_reading_before_it_begins(server) -> None:
    who = server.load(patient(), *given(INTENT))

    assert post(fetched(server, who), opted_out=True).status_code == 412
    assert server.asked() == []
    assert topics(post(sent(*prompting(), *given(INTENT)), opted_out=True)) == ["acute-safety"]


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_a_failed_read_of_consents_silences_the_model_and_a_card_says_so(server, status: int) -> None:
    who = server.load(patient(), *prompting())
    server.fail("Consent?", act=answering(status, b"{}"))

    got = post(fetched(server, who))

    assert topics(got) == ["could-not-assess"]
    card = got.get_json()["cards"][0]
    assert card["indicator"] == "info"
    assert "No estimate was made" in card["summary"]
    assert "Check the consent on file" in card["detail"]
    assert "Ask directly" not in card["detail"]


@pytest.mark.parametrize(
    "value",
    [{"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "forbidden"}]}, {"resourceType": "Bundle", "type": "searchset", "total": 3}, {"no": "FHIR"}, DENIAL | {"provision": 5}],
)  # fmt: skip
def test_consents_that_could_not_be_had_are_unknown(value: dict) -> None:
    assert topics(post(sent(*prompting(), consents=value))) == ["could-not-assess"]
    assert topics(post(sent(*prompting(), *given(INTENT), consents=value))) == ["acute-safety", "could-not-assess"]


def test_no_key_and_no_access_is_unknown_and_null_is_allowed() -> None:
    assert topics(post(sent(*prompting(), without=("consents",)))) == ["could-not-assess"]
    assert topics(post(sent(*prompting(), consents=None))) == ["screening-prompt"]


def test_a_site_without_consents_asks_for_none_and_honours_one_that_comes(server) -> None:
    who = server.load(patient(), *prompting())

    assert topics(post(fetched(server, who), use="not-used")) == ["screening-prompt"]
    assert not server.asked("Consent")
    assert topics(post(sent(*prompting(), without=("consents",)), use="not-used")) == ["screening-prompt"]
    assert topics(post(sent(*prompting(), DENIAL | {"id": "c"}), use="not-used")) == []


def test_a_denial_of_another_patient_is_not_this_patients() -> None:
    foreign = DENIAL | {"id": "c", "patient": {"reference": "Patient/other"}}

    assert topics(post(sent(*prompting(), foreign))) == ["screening-prompt"]


def test_consent_is_asked_for_by_a_key_of_its_own() -> None:
    (template,) = [t for t in templates() if t.key == "consents"]

    assert template.queries == ("Consent?patient={{context.patientId}}&status=active",)


def test_the_record_says_why_no_estimate_was_made(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        post(sent(*prompting(), DENIAL | {"id": "c"}))

    assert '"consent": "consent-denied"' in caplog.text


def test_a_minor_is_told_nothing_about_consent() -> None:
    body = sent(without=("consents",))
    body["prefetch"]["patient"] = patient(age=15)

    assert topics(post(body)) == []


def test_a_labelled_answer_is_put_away_whether_it_is_sent_or_read(server, caplog: pytest.LogCaptureFixture) -> None:
    label = {
        "meta": {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "42CFRPart2"}]}
    }
    labelled = [r | label for r in given(INTENT)]
    who = server.load(patient(), *labelled)

    with caplog.at_level("INFO"):
        assert topics(post(sent(*labelled))) == topics(post(fetched(server, who))) == []

    assert caplog.text.count('"withheld": 1') == 2
    assert topics(post(sent(*labelled), substance_use="consented")) == ["acute-safety"]
