"""Tokens of the service's own (SMART Backend Services), from an authorization server over HTTP: kept, renewed, dropped."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from demo_ehr_server import running_ehr

from cds_service.backend.backend import EARLY_S, Backend, BackendFailed
from cds_service.demo_ehr.authorization.behaviour import Behaviour, TokenFailure
from cds_service.demo_ehr.authorization.clients import Client
from cds_service.serving.runtime import now_utc
from cds_service.settings.backend import BackendSettings
from cds_service.settings.sites import SiteConfig
from explanations.words.notices.notice import NoticeSettings
from fhir_adapters.errors import NotAuthorized
from smart_launch.oauth.own_keys import OwnKeys, new_pem, own_keys

KEYS = own_keys([new_pem("ES384")])
OURS = "our-backend"
SCOPES = ("system/Patient.rs", "system/Observation.rs", "system/Task.crs")
BUT_OBSERVATION = ("system/Patient.rs", "system/Task.crs")


@pytest.fixture(scope="module")
def running():
    with running_ehr() as found:
        found.server.clients.register(Client(client_id=OURS, name="Ours", redirect_uris=(), keys=KEYS.published()))
        yield found


@pytest.fixture
def ehr(running):
    running.server.behaviour = Behaviour()
    running.server.grants._access.clear()
    return running


class Passing:
    """Seconds, as a test lets them pass."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def backend(clock=time.monotonic, keys: OwnKeys = KEYS) -> Backend:
    return Backend(keys=lambda: keys, local=lambda: True, now=now_utc, clock=clock)


def site(ehr, **changes) -> SiteConfig:
    settings = replace(BackendSettings(base=ehr.base, client_id=OURS, scopes=SCOPES), **changes)
    return SiteConfig(id="north", cards=NoticeSettings(zone=ZoneInfo("UTC")), backend=settings)


def tokens(ehr) -> list[str]:
    return list(ehr.server.grants._access)


def test_a_token_of_our_own_reads_any_chart_that_its_scopes_allow_and_is_kept(ehr) -> None:
    ours = backend()
    for person in ehr.patients[:3]:
        (chart,) = ours.reader(site(ehr), time.monotonic() + 10).get(f"Patient/{person.id}")
        assert chart.kind == "Patient"

    assert len(tokens(ehr)) == 1
    (grant, _, scopes) = ehr.server.grants._access[tokens(ehr)[0]]
    assert (grant.client_id, grant.patient, scopes) == (OURS, None, SCOPES)


def test_a_token_is_renewed_shortly_before_it_ends_and_not_sooner(ehr) -> None:
    clock = Passing()
    ours = backend(clock)
    first = ours.token(site(ehr))
    clock.seconds += Behaviour().token_life_s - EARLY_S - 1
    assert ours.token(site(ehr)) == first
    clock.seconds += 2
    assert ours.token(site(ehr)) != first


def test_a_token_that_lives_for_seconds_is_used_for_half_of_them(ehr) -> None:
    clock = Passing()
    ehr.server.behaviour = Behaviour(token_life_s=20)
    ours = backend(clock)
    first = ours.token(site(ehr))
    clock.seconds += 9
    assert ours.token(site(ehr)) == first
    clock.seconds += 2
    assert ours.token(site(ehr)) != first


def test_a_token_that_the_server_forgot_is_fetched_anew_once_it_is_dropped_here(ehr) -> None:
    ours, where = backend(), site(ehr)
    ours.token(where)
    ehr.server.grants._access.clear()
    with pytest.raises(NotAuthorized):
        ours.reader(where, time.monotonic() + 10).get(f"Patient/{ehr.patients[0].id}")
    ours.forget(where)
    assert ours.reader(where, time.monotonic() + 10).get(f"Patient/{ehr.patients[0].id}")


REFUSALS = {
    "another client": ({"client_id": "stranger"}, KEYS),
    "another key": ({}, own_keys([new_pem("ES384")])),
    "no key": ({}, OwnKeys()),
    "scopes of a patient": ({"scopes": ("patient/Observation.rs",)}, KEYS),
}


@pytest.mark.parametrize("why", REFUSALS)
def test_whatever_the_token_endpoint_refuses_is_one_error_without_a_secret(ehr, why: str) -> None:
    changes, keys = REFUSALS[why]
    with pytest.raises(BackendFailed, match="no token of our own: ") as refused:
        backend(keys=keys).token(site(ehr, **changes))
    assert "eyJ" not in str(refused.value)


def test_an_endpoint_that_fails_is_asked_again_at_the_next_call(ehr) -> None:
    ours = backend()
    ehr.server.behaviour = Behaviour(
        token_failure=TokenFailure(status=503, body="", grant_types=("client_credentials",))
    )
    with pytest.raises(BackendFailed):
        ours.token(site(ehr))
    ehr.server.behaviour = Behaviour()
    assert ours.token(site(ehr)) in tokens(ehr)


def test_a_site_without_a_backend_has_no_token(ehr) -> None:
    without = SiteConfig(id="south", cards=NoticeSettings(zone=ZoneInfo("UTC")))
    with pytest.raises(BackendFailed, match=r"site south: expected \[backend\] in its file; found none"):
        backend().token(without)


def test_rights_that_were_not_granted_are_named_in_the_log(ehr, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="mhcds")
    ehr.server.behaviour = Behaviour(granted=lambda text: text in BUT_OBSERVATION)
    backend().token(site(ehr))
    said = [json.loads(record.message) for record in caplog.records]
    assert said == [{"event": "backend-scopes-missing", "site": "north", "missing": ["Observation.r"]}]


def test_discovery_without_anything_for_launches_is_enough(ehr) -> None:
    lacking = dict.fromkeys(("authorization_endpoint", "code_challenge_methods_supported", "jwks_uri"))
    ehr.server.behaviour = Behaviour(metadata=lacking)
    assert backend().token(site(ehr)) in tokens(ehr)


def test_a_token_endpoint_on_another_host_is_used_only_if_the_site_names_it(ehr) -> None:
    elsewhere = ehr.server.token_endpoint.replace("127.0.0.1", "localhost")
    ehr.server.behaviour = Behaviour(metadata={"token_endpoint": elsewhere})
    with pytest.raises(BackendFailed, match="on a host of the registration"):
        backend().token(site(ehr))
    # It was asked: this server answers under one name of its own alone.
    with pytest.raises(BackendFailed, match="the token endpoint answered 403"):
        backend().token(site(ehr, hosts=("localhost",)))
