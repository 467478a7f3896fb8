"""Where the time of a call goes: in the metrics, the log and, where the settings say so, the answer itself."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import requests
from builders import PATIENT, bundle, given
from ehr import free_port, hook_request, served, settings

from cds_service.serving.stage_times import Stage

CHART = {"screening": json.loads(bundle(*given("PHQ-9, today: item 9 = 2, total = 9")))}
HEADER = "Server-Timing"


def stages_of(answer: requests.Response) -> dict[str, float]:
    """Milliseconds by stage, in the order of the header."""
    parts = [re.fullmatch(r"(\w+);dur=(\d+\.\d+)", part) for part in answer.headers[HEADER].split(", ")]
    return {part[1]: float(part[2]) for part in parts}


def counts_of(metrics: str) -> dict[str, int]:
    return {m[1]: int(m[2]) for m in re.finditer(r'mhcds_stage_seconds_count\{stage="(\w+)"\} (\d+)', metrics)}


def test_every_stage_is_timed_and_the_answer_says_so_where_the_settings_do(tmp_path: Path) -> None:
    port = free_port()
    url = {"public_url": f"http://127.0.0.1:{port}"}
    with served(settings(tmp_path, service=url), "--workers", "1", port=port) as found:
        silent = found.call(hook_request(more=CHART))
        settings(tmp_path, service=url | {"server_timing": True})
        time.sleep(1.1)  # settings are looked at once a second
        began = time.monotonic()
        answer = found.call(hook_request(more=CHART))
        whole_ms = 1000 * (time.monotonic() - began)
        lacking = found.call(hook_request(prefetch={}))
        metrics = found.get("/metrics").text
        log = [json.loads(line) for line in found.lines() if '"hook-answered"' in line]

    assert (silent.status_code, HEADER in silent.headers) == (200, False)
    assert answer.json()["cards"]
    times = stages_of(answer)
    assert [*times] == [*Stage]
    assert 0 < sum(times.values()) <= whole_ms
    assert PATIENT not in answer.headers[HEADER]
    assert log[1]["stages"] == times
    # A call that ends before its cards has the stages that it came to.
    assert (lacking.status_code, HEADER in lacking.headers) == (412, False)
    assert [*log[2]["stages"]] == [stage for stage in Stage if stage is not Stage.PRESENT]
    assert counts_of(metrics) == dict.fromkeys(Stage, 3) | {Stage.PRESENT: 2}


def test_a_stage_that_fails_is_not_timed(tmp_path: Path) -> None:
    port = free_port()
    folder = settings(tmp_path, service={"public_url": f"http://127.0.0.1:{port}", "server_timing": True})
    with served(folder, "--workers", "1", port=port) as found:
        refused = found.call(hook_request(hook="other"))
        metrics = found.get("/metrics").text

    assert (refused.status_code, HEADER in refused.headers) == (400, False)
    assert {stage for stage, n in counts_of(metrics).items() if n} == {Stage.AUTHENTICATE, Stage.RECORD}
