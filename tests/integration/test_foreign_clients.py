"""CDS clients that others wrote call `mhcds serve`: HealthChain's SandboxClient and fhir-mcp, the real packages.

Each runs as a process of its own, with a folder that `make setup` fills: what they ask for is no part of this project.
Neither was made for this service, so they send what it does not expect. What counts is that nothing of it passes for a
chart without a finding. The chart is one in all calls: PHQ-9 six days ago, item 9 above zero.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from builders import PATIENT, bundle, given, patient, prefetch_of
from ehr import ADDRESS, free_port, served, settings

DRIVERS = Path(__file__).parents[1] / "clients"
INSTALLED = Path(sys.prefix) / "clients"
FHIR_MCP_ADDRESS = "/cds-services/fhir-mcp-patient-view"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory):
    port = free_port()
    folder = settings(tmp_path_factory.mktemp("service"), service={"public_url": f"http://127.0.0.1:{port}"})
    with served(folder, port=port) as running:
        yield running


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The chart as a Bundle, and as the prefetch that discovery asks for, with null where nothing was found."""
    folder = tmp_path_factory.mktemp("charts")
    day = (datetime.now(UTC) - timedelta(days=6)).date()
    chart = [patient(), *given(f"PHQ-9, {day}: items 1-8 = 1, item 9 = 1")]
    prefetch = {key: held if held.get("entry") != [] else None for key, held in prefetch_of(chart).items()}
    (folder / "bundle.json").write_bytes(bundle(*chart))
    (folder / "prefetch.json").write_text(json.dumps(prefetch))
    return {name: str(folder / f"{name}.json") for name in ("bundle", "prefetch")}


def driven(driver: str, calls: dict[str, dict], folder: Path) -> dict[str, dict]:
    """The outcomes of the calls, by name. No variable of ours reaches the package: no proxy, no account, no settings."""
    done = subprocess.run(
        [sys.executable, DRIVERS / f"{driver}_driver.py"],
        input=json.dumps(list(calls.values())),
        env={"PYTHONPATH": str(INSTALLED), "HOME": str(folder), "FHIR_MCP_STATE_DIR": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr[-3000:]}\nIs {INSTALLED} there? `make setup` fills it."
    return dict(zip(calls, json.loads(done.stdout.splitlines()[-1]), strict=True))


@pytest.fixture(scope="module")
def healthchain(service, files, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """Its calls. Left to itself the client makes up patient and user, the user at times a patient."""
    if sys.version_info >= (3, 14):
        pytest.skip("there is no HealthChain for Python 3.14")

    def call(file: str, *, loader: str = "path", signed: bool = True, **context: str) -> dict:
        known = {"userId": "Practitioner/doc", "patientId": PATIENT} | context
        return {
            "url": f"{service.base}{ADDRESS}",
            "headers": service.ehr().headers() if signed else {},
            "file": files[file],
            "loader": loader,
            "context": known,
        }

    calls = {
        "our keys": call("prefetch"),
        "one Bundle": call("bundle"),
        "its own keys": call("bundle", loader="registry"),
        "another patient": call("prefetch", patientId="4957949"),
        "another patient, one Bundle": call("bundle", patientId="4957949"),
        "another patient, its own keys": call("bundle", loader="registry", patientId="4957949"),
        "unsigned": call("prefetch", signed=False),
    }
    return driven("healthchain", calls, tmp_path_factory.mktemp("healthchain"))


@pytest.fixture(scope="module")
def fhir_mcp(service, files, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """Its calls. The client rewrites every id and birth date that it sends, but not the context."""
    prefetch = {"prefetch": json.loads(Path(files["prefetch"]).read_text())}

    def call(chart: dict, *, path: str = ADDRESS, pseudonym: bool = True, signed: bool = True) -> dict:
        # The client appends its own path to the base. After a # that is a fragment, which is not sent.
        base = service.base if path == FHIR_MCP_ADDRESS else f"{service.base}{path}#"
        headers = service.ehr().headers(path) if signed else {}
        return {"base": base, "headers": headers, "patient": PATIENT, "pseudonym": pseudonym, **chart}

    calls = {
        "our keys": call(prefetch),
        "its own keys": call({"bundle": files["bundle"]}),
        "another patient": call(prefetch, pseudonym=False),
        "unsigned": call(prefetch, signed=False),
        "its own address": call(prefetch, path=FHIR_MCP_ADDRESS),
    }
    return driven("fhir_mcp", calls, tmp_path_factory.mktemp("fhir-mcp"))


@pytest.fixture
def got(request: pytest.FixtureRequest) -> dict:
    """The outcome of one call: (client, call)."""
    client, call = request.param
    return request.getfixturevalue(client)[call]


def of(*names: str, **also: tuple[str, ...]):
    """The test is about these calls of both clients, and `also` those that one makes alone."""
    both = [(client, name) for name in names for client in ("healthchain", "fhir_mcp")]
    found = both + [(client, name) for client, more in also.items() for name in more]
    return pytest.mark.parametrize("got", found, indirect=True, ids=[": ".join(pair) for pair in found])


def topics(got: dict) -> list[str]:
    assert got["status"] == 200, got["answer"]
    return [card["source"]["topic"]["code"] for card in got["answer"]["cards"]]


ELSEWHERE = ("another patient, one Bundle", "another patient, its own keys")


@of(
    "our keys", "its own keys", "another patient", healthchain=("one Bundle", *ELSEWHERE), fhir_mcp=("its own address",)
)
def test_no_call_fails_and_none_is_told_that_there_is_nothing_to_say(got: dict) -> None:
    assert got["status"] < 500
    assert got["status"] != 200 or got["answer"]["cards"]


# HealthChain's own model refuses our cards, since it requires isRecommended and autoLaunchable, which CDS Hooks does
# not; it then hands on the JSON as it came.
@of("our keys")
def test_what_discovery_asks_for_gives_the_card_and_the_client_shows_it(got: dict) -> None:
    assert topics(got) == ["positive-safety-answer"]
    assert got["shown"]["cards"] == got["answer"]["cards"]


@of(healthchain=("one Bundle",))
def test_a_whole_bundle_gives_the_card_and_says_what_could_not_be_looked_up(got: dict) -> None:
    assert topics(got) == ["positive-safety-answer", "could-not-assess"]
    for needed in ("conditions", "screening answers", "questionnaires"):
        assert f"Not read: {needed}" in got["answer"]["cards"][1]["detail"]
    assert got["shown"]["cards"] == got["answer"]["cards"]


@of("its own keys")
def test_answers_under_keys_that_were_not_asked_for_are_never_taken_for_none(got: dict) -> None:
    assert "observation" in "".join(got["sent"]["prefetch"])
    assert got["status"] == 412 or topics(got)


@of("another patient", healthchain=ELSEWHERE)
def test_the_chart_of_another_patient_gives_no_card(got: dict) -> None:
    assert got["status"] == 400
    assert "patient of the context" in got["answer"]["issue"][0]["diagnostics"]


@of("unsigned")
def test_a_call_without_a_token_is_refused(got: dict) -> None:
    assert (got["status"], got["answer"]["issue"][0]["code"]) == (401, "login")


# What their users see of a refusal (400, 401, 404 and 412 alike). HealthChain: {}, the reason only in its log. fhir-mcp:
# the cards of its own built-in service, here none, with used_mock and fallback_reason "http_401". So a screen of either
# that shows cards alone is empty, as for a quiet chart; from here that cannot be helped, and not be made worse.
@of("another patient", "unsigned", healthchain=ELSEWHERE, fhir_mcp=("its own address",))
def test_a_refusal_leaves_none_of_our_cards_with_the_client(got: dict) -> None:
    assert 400 <= got["status"] < 500
    assert "cards" not in got["answer"]
    assert not got["shown"].get("cards")
    assert not got["shown"] or got["shown"]["used_mock"]
